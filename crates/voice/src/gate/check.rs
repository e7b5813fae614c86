//! What is wrong with a message, before anything is done with it.
//!
//! One rule a row, in the order in which they are looked at (RFC 3261 §8.2, §16.3; RFC 4475):
//!
//! | what | answer |
//! |---|---|
//! | another version | 505 |
//! | first line: white space, `<>`, headers in the URI | 400 |
//! | a required field is missing, doubled or cannot be read | 400 |
//! | `CSeq` names another method, or a number beyond 2³¹ | 400 |
//! | a length that is none, or more than came | 400 |
//! | a scheme that we cannot call | 416 |
//! | a method that we do not have | 405, `Allow` |
//! | an extension that we do not have | 420, `Unsupported` |
//! | INVITE: a body that is no SDP, an encoding | 415, `Accept` |
//! | INVITE: the answer may not be SDP | 406 |
//!
//! A response that breaks a rule is dropped: nothing can be told to who sent it. So is an ACK.

use super::raw::{Raw, Start};

/// What becomes of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The stack gets it.
    Pass,
    /// It is answered, and nobody hears of it.
    Refuse(Refusal),
    /// It is forgotten.
    Drop,
}

/// An answer that turns a request away.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// The status code.
    pub code: u16,
    /// The reason phrase.
    pub phrase: &'static str,
    /// Further header fields.
    pub headers: Vec<(&'static str, String)>,
}

impl Refusal {
    /// One without further header fields.
    pub fn of(code: u16, phrase: &'static str) -> Self {
        Self { code, phrase, headers: Vec::new() }
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }
}

/// The methods that we have, as `Allow` says it.
pub const ALLOW: &str = "INVITE, ACK, CANCEL, BYE, OPTIONS, REFER, NOTIFY, UPDATE, PRACK, INFO";
/// The extensions that we have, as `Supported` says it.
pub const SUPPORTED: &str = "timer, replaces, norefersub";
/// What a request may `Require`. Of `100rel` that holds because a caller who requires it gets no provisional answer but 100.
const REQUIRABLE: [&str; 4] = ["timer", "replaces", "norefersub", "100rel"];
/// Fields that stand in a message at most once.
const SINGLE: [&str; 9] =
    ["From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type", "Date", "Expires"];

/// Looks at a message.
pub fn check(raw: &Raw<'_>) -> Verdict {
    match &raw.start {
        Start::Response { code, .. } => {
            if response(raw, code) {
                Verdict::Pass
            } else {
                Verdict::Drop
            }
        }
        Start::Request { method, uri, version } => match request(raw, method, uri, version) {
            Ok(()) => Verdict::Pass,
            Err(_) if *method == "ACK" => Verdict::Drop,
            Err(refusal) => Verdict::Refuse(refusal),
        },
    }
}

fn response(raw: &Raw<'_>, code: &str) -> bool {
    let known = code.len() == 3 && code.parse().is_ok_and(|code: u16| (100..700).contains(&code));
    let required = ["Via", "From", "To", "Call-ID", "CSeq"];
    known
        && raw.short_by == 0
        && required.iter().all(|name| raw.header(name).is_some())
        && raw.header("CSeq").and_then(cseq).is_some()
        && raw.header("Via").is_some_and(|via| is_via(via, &mut 0))
        // RFC 3261 §18.1.2: one that is for somebody else.
        && vias(raw) == 1
}

fn vias(raw: &Raw<'_>) -> usize {
    raw.all("Via").flat_map(|line| split(line, ',')).count()
}

fn request(raw: &Raw<'_>, method: &str, uri: &str, version: &str) -> Result<(), Refusal> {
    let bad = |phrase| Err(Refusal::of(400, phrase));
    if version != "SIP/2.0" {
        return Err(Refusal::of(505, "Version Not Supported"));
    }
    if !is_token(method) || uri.is_empty() || uri.contains([' ', '\t', '<', '>', '"']) {
        return bad("Bad Request-Line");
    }
    for name in SINGLE {
        if raw.all(name).nth(1).is_some() {
            return bad("Field Stands Twice");
        }
    }
    for name in ["Via", "From", "To", "Call-ID", "CSeq"] {
        if raw.header(name).is_none_or(str::is_empty) {
            return bad("Field Is Missing");
        }
    }
    if raw.header("CSeq").and_then(cseq).is_none_or(|(_, of)| of != method) {
        return bad("Bad CSeq");
    }
    if raw.header("Content-Length").is_some_and(|length| length.parse::<u32>().is_err()) || raw.short_by > 0 {
        return bad("Bad Content-Length");
    }
    if raw.header("Max-Forwards").is_some_and(|left| left.parse::<u8>().is_err()) {
        return bad("Bad Max-Forwards");
    }
    if raw.header("Date").is_some_and(|date| !date.ends_with("GMT")) {
        return bad("Bad Date");
    }
    let mut hops = 0;
    if !raw.all("Via").all(|line| is_via(line, &mut hops)) {
        return bad("Bad Via");
    }
    if !["From", "To"].iter().all(|name| raw.header(name).is_some_and(is_address)) {
        return bad("Bad Address");
    }
    let contacts = raw.all("Contact").flat_map(|line| split(line, ','));
    if !contacts.into_iter().all(|contact| contact == "*" || is_address(contact)) {
        return bad("Bad Contact");
    }
    scheme(uri)?;
    if !ALLOW.split(", ").any(|known| known == method) {
        return Err(Refusal::of(405, "Method Not Allowed").with("Allow", ALLOW));
    }
    if method != "ACK" && method != "CANCEL" {
        extensions(raw)?;
    }
    if method == "INVITE" { invite(raw) } else { Ok(()) }
}

fn scheme(uri: &str) -> Result<(), Refusal> {
    let Some((scheme, rest)) = uri.split_once(':') else { return Err(Refusal::of(400, "Bad Request-URI")) };
    let known = ["sip", "sips", "tel"].iter().any(|known| scheme.eq_ignore_ascii_case(known));
    if !known {
        return Err(Refusal::of(416, "Unsupported URI Scheme"));
    }
    // In the user part a `?` is a letter like others.
    let host = rest.rsplit('@').next().unwrap_or_default();
    if host.is_empty() || host.contains('?') {
        return Err(Refusal::of(400, "Bad Request-URI"));
    }
    Ok(())
}

fn extensions(raw: &Raw<'_>) -> Result<(), Refusal> {
    let required =
        raw.all("Require").flat_map(|line| line.split(',')).map(str::trim).filter(|tag| !tag.is_empty());
    let unknown: Vec<&str> =
        required.filter(|tag| !REQUIRABLE.iter().any(|known| known.eq_ignore_ascii_case(tag))).collect();
    if unknown.is_empty() {
        return Ok(());
    }
    Err(Refusal::of(420, "Bad Extension").with("Unsupported", unknown.join(", ")))
}

fn invite(raw: &Raw<'_>) -> Result<(), Refusal> {
    let is_old = raw.header("Via").is_some_and(|via| !via.contains("branch=z9hG4bK"));
    if raw.header("Contact").is_none() && !is_old {
        return Err(Refusal::of(400, "Contact Is Missing"));
    }
    if raw.header("Content-Encoding").is_some_and(|encoding| !encoding.eq_ignore_ascii_case("identity")) {
        return Err(Refusal::of(415, "Unsupported Media Type").with("Accept-Encoding", "identity"));
    }
    let kind = raw.header("Content-Type").unwrap_or_default();
    let is_sdp = is_sdp(kind) || kind.to_ascii_lowercase().starts_with("multipart/");
    if !raw.body.is_empty() && !is_sdp {
        return Err(Refusal::of(415, "Unsupported Media Type").with("Accept", "application/sdp"));
    }
    let mut accepted = raw.all("Accept").flat_map(|line| line.split(',')).peekable();
    let any = |kind: &str| {
        let kind = kind.split(';').next().unwrap_or_default().trim();
        is_sdp_type(kind) || kind == "*/*" || kind.eq_ignore_ascii_case("application/*")
    };
    if accepted.peek().is_some() && !accepted.any(any) {
        return Err(Refusal::of(406, "Not Acceptable"));
    }
    Ok(())
}

/// Whether a Content-Type is that of a session description.
pub fn is_sdp(kind: &str) -> bool {
    is_sdp_type(kind.split(';').next().unwrap_or_default().trim())
}

fn is_sdp_type(kind: &str) -> bool {
    kind.eq_ignore_ascii_case("application/sdp")
}

/// The number, below 2³¹, and the method.
fn cseq(value: &str) -> Option<(u32, &str)> {
    let (number, method) = value.split_once([' ', '\t'])?;
    let number: u32 = number.parse().ok().filter(|number| *number < 1 << 31)?;
    Some((number, method.trim()))
}

/// RFC 3261 §25.1 `token`.
pub fn is_token(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&byte))
}

/// `SIP/2.0/UDP host;branch=…`, one or many. Counts them into `hops`: a message that went through more than 70 is in a loop.
fn is_via(line: &str, hops: &mut usize) -> bool {
    split(line, ',').into_iter().all(|via| {
        *hops += 1;
        let mut parts = via.split(';');
        let head: String = parts.next().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
        let head = head.replace(" /", "/").replace("/ ", "/");
        let Some((protocol, host)) = head.split_once(' ') else { return false };
        let protocol: Vec<&str> = protocol.split('/').collect();
        let [name, version, transport] = protocol[..] else { return false };
        name.eq_ignore_ascii_case("SIP")
            && version == "2.0"
            && is_token(transport)
            && !host.is_empty()
            && *hops <= 70
            && parts.all(|part| !part.trim().is_empty())
    })
}

/// A name and an address, or an address alone (RFC 3261 §20.10), with parameters.
fn is_address(value: &str) -> bool {
    let Some((name, rest)) = quoted_name(value) else { return false };
    let (uri, parameters) = match rest.find('<') {
        Some(at) => {
            // An unquoted name is made of tokens.
            if !rest[..at].split_whitespace().all(is_token) || (name && !rest[..at].trim().is_empty()) {
                return false;
            }
            let Some((uri, parameters)) = rest[at + 1..].split_once('>') else { return false };
            (uri, parameters)
        }
        None if name => return false,
        None => {
            // Without brackets a `?` or `,` would be ambiguous.
            let (uri, parameters) =
                rest.split_once(';').map_or((rest, ""), |(uri, _)| (uri, &rest[uri.len()..]));
            if uri.contains(['?', ',']) {
                return false;
            }
            (uri.trim(), parameters)
        }
    };
    let parameters = parameters.trim();
    let well_formed = parameters.is_empty()
        || parameters
            .strip_prefix(';')
            .is_some_and(|rest| split(rest, ';').iter().all(|part| !part.is_empty()));
    !uri.is_empty() && !uri.contains(char::is_whitespace) && uri.contains(':') && well_formed
}

/// Whether a quoted name stands in front, and what comes behind it. None: the quotes are not closed.
fn quoted_name(value: &str) -> Option<(bool, &str)> {
    let value = value.trim();
    let Some(rest) = value.strip_prefix('"') else {
        return value.matches('"').count().is_multiple_of(2).then_some((false, value));
    };
    let mut escaped = false;
    for (at, letter) in rest.char_indices() {
        match letter {
            '"' if !escaped => return Some((true, &rest[at + 1..])),
            '\\' => escaped = !escaped,
            _ => escaped = false,
        }
    }
    None
}

/// The parts between separators that stand outside of quotes and brackets, trimmed.
pub fn split(text: &str, separator: char) -> Vec<&str> {
    let (mut parts, mut from) = (Vec::new(), 0);
    let (mut quoted, mut escaped, mut bracket) = (false, false, false);
    for (at, letter) in text.char_indices() {
        match letter {
            _ if escaped => escaped = false,
            '\\' if quoted => escaped = true,
            '"' => quoted = !quoted,
            '<' if !quoted => bracket = true,
            '>' if !quoted => bracket = false,
            _ if letter == separator && !quoted && !bracket => {
                parts.push(text[from..at].trim());
                from = at + letter.len_utf8();
            }
            _ => {}
        }
    }
    parts.push(text[from..].trim());
    parts
}
