//! The gate in front of the stack: every message passes it before anything is done with it.
//!
//! ```text
//!   datagram ─► raw ─► check ─┬─ Pass ──► the stack, in the plain form
//!                             ├─ Refuse ► answered here, without state
//!                             └─ Drop
//! ```
//!
//! The stack that we build on takes most messages as they are: it checks no version, no required extension, no length, and
//! is silent on odd white space (docs/decisions/0045). What a message must be is decided here.

pub mod check;
#[cfg(test)]
mod mutations;
pub mod raw;
pub mod reply;
#[cfg(test)]
pub(crate) mod torture;

use std::borrow::Cow;
use std::net::SocketAddr;
use std::time::Duration;

pub use check::{ALLOW, Refusal, SUPPORTED, Verdict};
pub use raw::Raw;

/// The stack reads no more of a datagram.
pub const LARGEST: usize = 8_192;

/// A tag for callers of the days before tags (RFC 2543). It is taken off again on the way out.
pub const NO_TAG: &str = "rfc2543";

/// Who may come in, beyond what the standard says. The gateway knows its trunks and its load.
pub trait Door: Send + Sync + 'static {
    /// Looks at a request that is well-formed. The oldest of those that were admitted has waited so long for the stack.
    ///
    /// # Errors
    /// The answer that turns it away.
    fn admit(&self, raw: &Raw<'_>, from: SocketAddr, waited: Duration) -> Result<(), Refusal>;
}

/// What comes of a message.
#[derive(Debug, PartialEq, Eq)]
pub enum Passed<'a> {
    /// For the stack.
    On(Cow<'a, [u8]>),
    /// To be sent to this address; the stack gets nothing.
    Answer(Vec<u8>, SocketAddr),
    /// Nothing.
    Dropped,
}

/// Takes a datagram through the gate. For `waited` see [`Door::admit`].
pub fn pass<'a>(bytes: &'a [u8], from: SocketAddr, door: &dyn Door, waited: Duration) -> Passed<'a> {
    let raw = match Raw::parse(bytes) {
        Ok(raw) => raw,
        Err(_) => return unreadable(bytes, from),
    };
    let verdict = match check::check(&raw) {
        Verdict::Pass if reply::acknowledges(&raw) => Verdict::Drop,
        Verdict::Pass if raw.method().is_some() => {
            door.admit(&raw, from, waited).map_or_else(Verdict::Refuse, |()| Verdict::Pass)
        }
        verdict => verdict,
    };
    match verdict {
        Verdict::Pass => on(bytes, raw, from),
        Verdict::Refuse(refusal) => refuse(&raw, from, &refusal),
        Verdict::Drop => Passed::Dropped,
    }
}

fn on<'a>(bytes: &'a [u8], mut raw: Raw<'a>, from: SocketAddr) -> Passed<'a> {
    let odd = raw.odd | old(&mut raw);
    let plain: Cow<'_, [u8]> = if odd { raw.plain().into() } else { bytes.into() };
    if plain.len() <= LARGEST {
        return Passed::On(plain);
    }
    refuse(&raw, from, &Refusal::of(513, "Message Too Large"))
}

fn refuse<'a>(raw: &Raw<'_>, from: SocketAddr, refusal: &Refusal) -> Passed<'a> {
    match reply::reply(raw, from, refusal) {
        Some(answer) => Passed::Answer(answer, reply::back_to(raw, from)),
        None => Passed::Dropped,
    }
}

/// What came with RFC 2543: no tag, and in an INVITE no Contact. True if something was added.
fn old(raw: &mut Raw<'_>) -> bool {
    if raw.method().is_none() {
        return false;
    }
    let mut added = false;
    let is_invite = raw.method() == Some("INVITE");
    let contact =
        raw.header("From").filter(|_| is_invite && raw.header("Contact").is_none()).map(address_alone);
    if let Some((_, from)) = raw.headers.iter_mut().find(|(name, _)| name.eq_ignore_ascii_case("From"))
        && !has_tag(from)
    {
        from.to_mut().push_str(&format!(";tag={NO_TAG}"));
        added = true;
    }
    if let Some(contact) = contact {
        raw.headers.push(("Contact".into(), contact.into()));
        added = true;
    }
    added
}

fn has_tag(value: &str) -> bool {
    let outside = value.rsplit('>').next().unwrap_or_default();
    outside.split(';').skip(1).any(|part| part.trim().to_ascii_lowercase().starts_with("tag"))
}

fn address_alone(value: &str) -> String {
    match value.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
        Some((uri, _)) => format!("<{uri}>"),
        None => format!("<{}>", value.split(';').next().unwrap_or_default().trim()),
    }
}

/// A request whose first line can be read although the rest cannot gets an answer as far as there is enough for one.
fn unreadable<'a>(bytes: &[u8], from: SocketAddr) -> Passed<'a> {
    let Ok(text) = std::str::from_utf8(bytes) else { return Passed::Dropped };
    let is_request = text.lines().next().is_some_and(|line| line.contains(" SIP/2.0"));
    if !is_request || text.starts_with("ACK ") || text.starts_with("SIP/") {
        return Passed::Dropped;
    }
    // What is no header field is left out, the first line is made readable.
    let head = text.split("\r\n\r\n").next().unwrap_or_default();
    let method = head.split_whitespace().next().unwrap_or_default();
    let mut kept = format!("{method} sip:unknown SIP/2.0\r\n");
    for line in head.split("\r\n").skip(1).filter(|line| line.contains(':') || line.starts_with([' ', '\t']))
    {
        kept.push_str(line);
        kept.push_str("\r\n");
    }
    kept.push_str("\r\n");
    match Raw::parse(kept.as_bytes()) {
        Ok(raw) if raw.header("Via").is_some() => refuse(&raw, from, &Refusal::of(400, "Bad Request")),
        _ => Passed::Dropped,
    }
}
