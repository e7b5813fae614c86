//! What flows, scripts and operators say, made fit for a SIP message.

use std::fmt;

use rsipstack::sip::Header;

use crate::gate::check::is_token;

/// So many header fields, and so many bytes of them, are taken. A whole INVITE by UDP should stay under 1,300 bytes
/// (RFC 3261 §18.1.1); this is where it ends.
const MOST_FIELDS: usize = 32;
const MOST_BYTES: usize = 4_096;

/// Fields that belong to the dialog, the transaction or the body. Who may set them may forge a message.
const OURS: [&str; 41] = [
    "Accept",
    "Allow",
    "Allow-Events",
    "Authorization",
    "Call-ID",
    "Contact",
    "Content-Disposition",
    "Content-Encoding",
    "Content-Length",
    "Content-Type",
    "CSeq",
    "Event",
    "Expires",
    "From",
    "Max-Forwards",
    "Min-Expires",
    "Min-SE",
    "Path",
    "Proxy-Authenticate",
    "Proxy-Authorization",
    "Proxy-Require",
    "RAck",
    "Record-Route",
    "Refer-Sub",
    "Refer-To",
    "Referred-By",
    "Replaces",
    "Require",
    "Route",
    "RSeq",
    "Service-Route",
    "Session-Expires",
    "Subscription-State",
    "Supported",
    "Target-Dialog",
    "Timestamp",
    "To",
    "Unsupported",
    "User-Agent",
    "Via",
    "WWW-Authenticate",
];

/// Header fields as flows and scripts name them: each name exactly as it is to be sent.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Takes what may be sent: names that are tokens and not ours, values without line ends. The rest is left out.
    pub fn of<'a>(fields: impl IntoIterator<Item = (&'a str, &'a str)>) -> Self {
        let mut bytes = 0;
        let mut kept = Vec::new();
        for (name, value) in fields {
            let name = name.trim();
            let allowed =
                is_token(name) && !OURS.iter().any(|ours| ours.eq_ignore_ascii_case(name)) && name.len() > 1;
            let value = clean(value);
            if !allowed || value.is_empty() {
                continue;
            }
            bytes += name.len() + value.len() + 4;
            if kept.len() == MOST_FIELDS || bytes > MOST_BYTES {
                break;
            }
            kept.push((name.to_owned(), value));
        }
        Self(kept)
    }

    /// The same with others behind, of which one with a known name is left out.
    pub fn and(mut self, others: &Self) -> Self {
        for (name, value) in &others.0 {
            if !self.0.iter().any(|(known, _)| known.eq_ignore_ascii_case(name)) {
                self.0.push((name.clone(), value.clone()));
            }
        }
        self
    }

    /// For the stack, which leaves the case of these as it is.
    pub fn headers(&self) -> Vec<Header> {
        self.0.iter().map(|(name, value)| Header::Other(name.clone(), value.clone())).collect()
    }

    /// Name and value.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value.as_str()))
    }
}

/// A value without control characters: no line of its own can be begun with it.
pub fn clean(value: &str) -> String {
    let spaced: String = value.chars().map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    let trimmed = spaced.trim();
    trimmed[..trimmed.floor_char_boundary(1_024)].to_owned()
}

/// Text inside of quotes: a display name, a Reason's text.
pub fn quoted(text: &str) -> String {
    format!("\"{}\"", clean(text).replace('\\', "\\\\").replace('"', "\\\""))
}

/// `Reason` (RFC 3326).
pub fn reason(protocol: &str, cause: u16, text: &str) -> Header {
    Header::Reason(format!("{protocol};cause={cause};text={}", quoted(text)).into())
}

/// User-to-user information (RFC 7433), and where it goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Uui {
    /// As it stands in the field: `0035…;encoding=hex`.
    pub value: String,
    /// Where.
    pub place: UuiPlace,
}

/// Where a peer looks for user-to-user information.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum UuiPlace {
    /// A header field of the request.
    #[default]
    Header,
    /// Inside of the Refer-To URI, for those who read it nowhere else.
    ReferTo,
    /// Nowhere: for those who choke on it.
    Off,
}

/// A URI's header part (`?User-to-User=…`): everything but unreserved characters is escaped (RFC 3261 §19.1.1).
pub fn escaped(value: &str) -> Escaped<'_> {
    Escaped(value)
}

/// See [`escaped`].
pub struct Escaped<'a>(&'a str);

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for byte in self.0.bytes() {
            if byte.is_ascii_alphanumeric() || b"-_.!~*'()".contains(&byte) {
                write!(f, "{}", char::from(byte))?;
            } else {
                write!(f, "%{byte:02X}")?;
            }
        }
        Ok(())
    }
}

/// The other way round. None: it is no escaped text.
pub fn unescaped(value: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(value.len());
    let mut rest = value.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let (high, low) =
                (char::from(rest.next()?).to_digit(16)?, char::from(rest.next()?).to_digit(16)?);
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_begins_a_line_of_their_own() {
        let fields = Fields::of([
            ("X-A", "1\r\nVia: evil"),
            ("X-B\r\nVia", "2"),
            ("via", "3"),
            ("i", "compact"),
            ("User-To-User", "00AB;encoding=hex"),
            ("x-koresession-id", "s\u{0}1"),
            ("Empty", "\r\n"),
        ]);
        let kept: Vec<_> = fields.iter().collect();
        assert_eq!(
            kept,
            [("X-A", "1  Via: evil"), ("User-To-User", "00AB;encoding=hex"), ("x-koresession-id", "s 1")]
        );
    }

    #[test]
    fn there_is_an_end_to_it() {
        let many: Vec<(String, String)> = (0..100).map(|no| (format!("X-{no}"), "v".repeat(100))).collect();
        let fields = Fields::of(many.iter().map(|(name, value)| (name.as_str(), value.as_str())));
        assert_eq!(fields.iter().count(), MOST_FIELDS);
        let long = [("X-A", "é".repeat(5_000)), ("X-B", "v".repeat(5_000))];
        let fields = Fields::of(long.iter().map(|(name, value)| (*name, value.as_str())));
        assert!(fields.iter().all(|(_, value)| value.len() <= 1_024));
    }

    #[test]
    fn a_uri_carries_it_escaped() {
        assert_eq!(escaped("00FA1B2C;encoding=hex").to_string(), "00FA1B2C%3Bencoding%3Dhex");
        assert_eq!(unescaped("00FA1B2C%3Bencoding%3Dhex").as_deref(), Some("00FA1B2C;encoding=hex"));
        assert_eq!((unescaped("%4"), unescaped("%zz"), unescaped("%ff")), (None, None, None));
        assert_eq!(quoted("a \"b\" \\\r\n c"), "\"a \\\"b\\\" \\\\   c\"");
    }
}
