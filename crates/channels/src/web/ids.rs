//! Ids on this wire.
//!
//! A line's `messageId` is its place in the log, so that the socket, the history and a reconnect name it alike and
//! the client draws it once. The client builds CSS selectors from it: letters, digits, `-` and `_` only.
//!
//! The client id of a line is stored with a **session tag** behind it, `1795329732228~3f9a01bc`, so that after a
//! reconnect a tab knows its own lines again. The protocol has no id for a tab; the access token is one.

use interline_core::{ConversationId, Seq};
use serde_json::Value;
use uuid::Uuid;

/// The longest client id that is taken.
const LONGEST: usize = 128;

/// The id of a line.
pub(super) fn message(conversation: &ConversationId, seq: Seq) -> String {
    format!("ms-{conversation}-{seq}")
}

/// The line that an id names. The conversation may be anybody's: the host answers only for the customer's own.
pub(super) fn parse(id: &str) -> Option<(ConversationId, Seq)> {
    let (conversation, seq) = id.strip_prefix("ms-")?.rsplit_once('-')?;
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '_';
    if conversation.is_empty() || conversation.len() > LONGEST || !conversation.chars().all(plain) {
        return None;
    }
    let number = seq.parse().ok().filter(|_| seq.bytes().all(|b| b.is_ascii_digit()))?;
    Some((conversation.into(), Seq(number)))
}

/// An id for a frame that is no line of the log.
pub(super) fn unlogged() -> String {
    format!("ms-local-{}-x", Uuid::new_v4().simple())
}

/// Names one login, hence one tab.
pub(super) fn session() -> String {
    let id = Uuid::new_v4().simple().to_string();
    id[..12].to_owned()
}

/// A client id as it is stored.
pub(super) fn tagged(client_id: &str, session: &str) -> String {
    format!("{client_id}~{session}")
}

/// A stored client id: the client's own part, and the tag.
pub(super) fn untagged(stored: &str) -> (&str, Option<&str>) {
    stored.rsplit_once('~').map_or((stored, None), |(id, tag)| (id, Some(tag)))
}

/// Stands in for the client id of a line whose client gave none.
pub(super) fn nameless() -> String {
    format!("{NAMELESS}{}", Uuid::new_v4().simple())
}

/// Whether the client knows this id.
pub(super) fn is_named(client_id: &str) -> bool {
    !client_id.starts_with(NAMELESS)
}

const NAMELESS: &str = "~";

/// A client id from a frame: a number or a text.
pub(super) fn client(value: &Value) -> Option<String> {
    let id = match value {
        Value::Number(number) => number.to_string(),
        Value::String(text) => text.replace('\0', ""),
        _ => return None,
    };
    (!id.is_empty() && id.len() <= LONGEST && is_named(&id)).then_some(id)
}

/// A client id for a frame. The client compares strictly and gave a number, unless `quoted`.
pub(super) fn to_client(id: &str, quoted: bool) -> Value {
    match id.parse::<u64>() {
        Ok(number) if !quoted && number < (1 << 53) && number.to_string() == id => number.into(),
        _ => id.into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn message_ids_are_reversible() {
        let conversation: ConversationId = "cnv_0198c0ffee".into();
        let id = message(&conversation, Seq(12));
        assert_eq!(id, "ms-cnv_0198c0ffee-12");
        assert_eq!(parse(&id), Some((conversation, Seq(12))));
        for foreign in
            ["", "ms-", "ms-1", "ms-cnv_1-", "ms-cnv_1-x", "ms-cnv_1-+1", "ms-c n-1", "ms--1", &unlogged()]
        {
            assert_eq!(parse(foreign), None, "{foreign}");
        }
        assert_eq!(parse(&format!("ms-{}-1", "c".repeat(500))), None);
    }

    #[test]
    fn client_ids_keep_their_kind() {
        assert_eq!(client(&json!(1795329732228u64)), Some("1795329732228".into()));
        assert_eq!(client(&json!("1795329732228")), Some("1795329732228".into()));
        for none in [json!(null), json!(""), json!({}), json!("x".repeat(200)), json!("~forged")] {
            assert_eq!(client(&none), None);
        }
        assert_eq!(to_client("1795329732228", false), json!(1795329732228u64));
        assert_eq!(to_client("1795329732228", true), json!("1795329732228"));
        assert_eq!(to_client("007", false), json!("007"));
        assert_eq!(to_client("m-1", false), json!("m-1"));
    }

    #[test]
    fn tags_come_off_again() {
        assert_eq!(untagged(&tagged("a~b", "3f9a")), ("a~b", Some("3f9a")));
        assert_eq!(untagged("17"), ("17", None));
        let stored = tagged(&nameless(), "3f9a");
        let (id, tag) = untagged(&stored);
        assert!(!is_named(id) && tag == Some("3f9a"));
    }
}
