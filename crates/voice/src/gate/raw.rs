//! A SIP message as bytes, read generously and written plainly.
//!
//! The stack under us reads plain messages well and odd ones (folded lines, white space around separators, compact names,
//! a missing length) in ways of its own. So each message is read here first; what is odd but valid is written again in the
//! plain form, and what is wrong is known to be wrong (RFC 3261 §7.3, RFC 4475).

use std::borrow::Cow;

/// A message, read.
#[derive(Debug, PartialEq, Eq)]
pub struct Raw<'a> {
    /// The first line.
    pub start: Start<'a>,
    /// Header fields in their order: long names, unfolded values.
    pub headers: Vec<(Cow<'a, str>, Cow<'a, str>)>,
    /// The body. Longer than the length that is told is cut; shorter shows in [`Raw::short_by`].
    pub body: &'a [u8],
    /// So many bytes of the body are missing.
    pub short_by: usize,
    /// It is not in the plain form: it has to be written anew before the stack can read it.
    pub odd: bool,
}

/// The first line.
#[derive(Debug, PartialEq, Eq)]
pub enum Start<'a> {
    /// Of a request.
    Request {
        /// `INVITE`.
        method: &'a str,
        /// The Request-URI.
        uri: &'a str,
        /// `SIP/2.0`.
        version: &'a str,
    },
    /// Of a response: its code.
    Response {
        /// As it stands there.
        code: &'a str,
        /// May be empty.
        phrase: &'a str,
    },
}

/// It cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unreadable {
    /// It is no message at all, and nothing can be answered.
    Noise,
    /// A request with this fault. What of its headers could be read is enough for an answer.
    Request(&'static str),
}

/// Compact names (RFC 3261 §7.3.3 and the registry).
const COMPACT: [(&str, &str); 16] = [
    ("a", "Accept-Contact"),
    ("b", "Referred-By"),
    ("c", "Content-Type"),
    ("e", "Content-Encoding"),
    ("f", "From"),
    ("i", "Call-ID"),
    ("k", "Supported"),
    ("l", "Content-Length"),
    ("m", "Contact"),
    ("o", "Event"),
    ("r", "Refer-To"),
    ("s", "Subject"),
    ("t", "To"),
    ("u", "Allow-Events"),
    ("v", "Via"),
    ("x", "Session-Expires"),
];

impl<'a> Raw<'a> {
    /// Reads a datagram, or a message that was cut out of a stream.
    ///
    /// # Errors
    /// It is noise. A request that is merely wrong is read; [`super::check`] finds what is wrong with it.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, Unreadable> {
        let skipped = bytes.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).count();
        let mut odd = skipped > 0;
        let bytes = &bytes[skipped..];
        let (head, rest) = split_head(bytes).ok_or(Unreadable::Noise)?;
        let head = std::str::from_utf8(head).map_err(|_| Unreadable::Noise)?;
        let mut lines = head.split("\r\n");
        let start = start_line(lines.next().unwrap_or_default())?;
        let mut headers: Vec<(Cow<'a, str>, Cow<'a, str>)> = Vec::with_capacity(16);
        for line in lines {
            if line.starts_with([' ', '\t']) {
                odd = true;
                if let Some((_, value)) = headers.last_mut() {
                    let value = value.to_mut();
                    value.push(' ');
                    value.push_str(line.trim_matches([' ', '\t']));
                }
                continue;
            }
            let Some((name, value)) = line.split_once(':') else {
                return Err(Unreadable::Request("a line that is no header field"));
            };
            let bare = name.trim_end_matches([' ', '\t']);
            odd |= bare.len() != name.len();
            let long = COMPACT.iter().find(|(compact, _)| bare.eq_ignore_ascii_case(compact));
            odd |= long.is_some();
            let name = long.map_or(bare, |(_, long)| long);
            headers.push((name.into(), value.trim_matches([' ', '\t']).into()));
        }
        odd |= headers.iter().any(|(name, value)| is_structured(name) && is_spaced(value));
        let mut raw = Self { start, headers, body: rest, short_by: 0, odd };
        raw.cut_body();
        Ok(raw)
    }

    fn cut_body(&mut self) {
        match self.header("Content-Length").map(|value| value.trim().parse::<usize>()) {
            Some(Ok(length)) if length <= self.body.len() => {
                self.odd |= length < self.body.len();
                self.body = &self.body[..length];
            }
            Some(Ok(length)) => self.short_by = length - self.body.len(),
            // The check refuses it.
            Some(Err(_)) => {}
            // RFC 3261 §18.3: in a datagram the body goes up to the end.
            None => self.odd = true,
        }
    }

    /// The first value of a header field.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.all(name).next()
    }

    /// All values of a header field, in order.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.headers
            .iter()
            .filter(move |(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| &**value)
    }

    /// The method of a request.
    pub fn method(&self) -> Option<&str> {
        match self.start {
            Start::Request { method, .. } => Some(method),
            Start::Response { .. } => None,
        }
    }

    /// The message in the plain form.
    pub fn plain(&self) -> Vec<u8> {
        let mut out = String::with_capacity(1_024 + self.body.len());
        match &self.start {
            Start::Request { method, uri, version } => out.extend([*method, " ", uri, " ", version, "\r\n"]),
            Start::Response { code, phrase } => out.extend(["SIP/2.0 ", code, " ", phrase, "\r\n"]),
        }
        for (name, value) in &self.headers {
            if name.eq_ignore_ascii_case("Content-Length") {
                continue;
            }
            let value = if is_structured(name) { tidy(value).into() } else { value.clone() };
            out.extend([&**name, ": ", &value, "\r\n"]);
        }
        out.push_str(&format!("Content-Length: {}\r\n\r\n", self.body.len()));
        let mut bytes = out.into_bytes();
        bytes.extend_from_slice(self.body);
        bytes
    }
}

fn split_head(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = memchr::memmem::find(bytes, b"\r\n\r\n")?;
    Some((&bytes[..at], &bytes[at + 4..]))
}

/// `INVITE sip:ann@example.com SIP/2.0`. Exactly one space stands between the parts; what deviates is refused, not guessed.
fn start_line(line: &str) -> Result<Start<'_>, Unreadable> {
    if let Some(rest) = line.strip_prefix("SIP/2.0 ") {
        let (code, phrase) = rest.split_once(' ').unwrap_or((rest, ""));
        return Ok(Start::Response { code, phrase });
    }
    if line.starts_with("SIP/") {
        return Err(Unreadable::Noise);
    }
    let (method, rest) = line.split_once(' ').ok_or(Unreadable::Noise)?;
    let (uri, version) = rest.rsplit_once(' ').ok_or(Unreadable::Noise)?;
    // `INVITE sip:ann@example.com SIP/2.0 ` has its version in the middle.
    if version.is_empty() && uri.contains(" SIP/") {
        return Err(Unreadable::Request("white space behind the first line"));
    }
    if !version.starts_with("SIP/") || method.is_empty() {
        return Err(Unreadable::Noise);
    }
    Ok(Start::Request { method, uri, version })
}

/// Header fields whose white space around separators means nothing.
fn is_structured(name: &str) -> bool {
    const NAMES: [&str; 9] =
        ["Via", "From", "To", "Contact", "CSeq", "Route", "Record-Route", "Refer-To", "Max-Forwards"];
    NAMES.iter().any(|known| known.eq_ignore_ascii_case(name))
}

/// Whether there is white space that [`tidy`] would take away, or a number with leading zeros that it would shorten.
fn is_spaced(value: &str) -> bool {
    value.contains("  ")
        || value.contains('\t')
        || [" ;", "; ", " =", "= ", " /", "/ ", " ,", ", "].iter().any(|odd| value.contains(odd))
}

/// A value without white space around `;`, `=`, `/` and `,`, and with one space for many, outside of quotes.
fn tidy(value: &str) -> String {
    let mut out = String::with_capacity(value.len());
    let (mut quoted, mut escaped, mut space) = (false, false, false);
    for letter in value.chars() {
        if quoted {
            out.push(letter);
            quoted = escaped || letter != '"';
            escaped = !escaped && letter == '\\';
            continue;
        }
        if letter == ' ' || letter == '\t' {
            space = true;
            continue;
        }
        let joins = |it: char| matches!(it, ';' | '=' | '/' | ',');
        if space && !joins(letter) && !out.is_empty() && !out.ends_with(joins) {
            out.push(' ');
        }
        space = false;
        quoted = letter == '"';
        out.push(letter);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_plain_message_is_left_as_it_is() {
        let text = "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"A, B\" <sip:a@b>;tag=1\r\n\
                    To: <sip:b@b>\r\nCall-ID: 1\r\nCSeq: 1 OPTIONS\r\nContent-Length: 2\r\n\r\nhi";
        let raw = Raw::parse(text.as_bytes()).expect("readable");
        assert_eq!((raw.body, raw.short_by), (&b"hi"[..], 0));
        assert_eq!(raw.method(), Some("OPTIONS"));
    }

    #[test]
    fn an_odd_message_is_written_plainly() {
        let text = "\r\nOPTIONS sip:a@b SIP/2.0\r\nv : SIP / 2.0\r\n /UDP  h ; branch =\r\n\tz9hG4bK1\r\nf: \"A ; B\"  <sip:a@b> ; tag = 1\r\n\
                    CSEQ: 1\r\n  OPTIONS\r\nX-Odd: a ; b\r\n\r\nhi";
        let raw = Raw::parse(text.as_bytes()).expect("readable");
        assert!(raw.odd);
        let plain = String::from_utf8(raw.plain()).expect("text");
        assert_eq!(
            plain,
            "OPTIONS sip:a@b SIP/2.0\r\nVia: SIP/2.0/UDP h;branch=z9hG4bK1\r\nFrom: \"A ; B\" <sip:a@b>;tag=1\r\n\
             CSEQ: 1 OPTIONS\r\nX-Odd: a ; b\r\nContent-Length: 2\r\n\r\nhi"
        );
        let again = Raw::parse(plain.as_bytes()).expect("readable").plain();
        assert_eq!(again, plain.as_bytes());
    }

    #[test]
    fn what_is_no_message_is_noise() {
        for noise in ["", "hello", "SIP/7.0 200 OK\r\n\r\n", "GET / HTTP/1.1\r\n\r\n", "INVITE\r\n\r\n"] {
            assert_eq!(Raw::parse(noise.as_bytes()), Err(Unreadable::Noise), "{noise}");
        }
    }
}
