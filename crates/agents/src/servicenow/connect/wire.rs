//! The vendor's JSON: the REST API behind Connect, which is internal and in no public reference.
//!
//! Source: the vendor's Connect front end (`app.ng_chat`), and the business rule as it is published.

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::super::reading::lenient;

/// A line, or the first words of a chat.
#[derive(Debug, Serialize)]
pub(super) struct Words<'a> {
    pub message: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<&'a str>,
}

/// Every answer has its result here.
#[derive(Debug, Deserialize)]
pub(super) struct Answer<T> {
    pub result: T,
}

/// A queue.
#[derive(Debug, Deserialize)]
pub(super) struct Queue {
    /// It is closed: what to tell the customer.
    #[serde(default)]
    pub not_available: Option<Value>,
}

/// A chat, as the queue knows it.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(super) struct QueueEntry {
    #[serde(deserialize_with = "lenient")]
    pub sys_id: Option<String>,
    /// What its lines are found by.
    #[serde(deserialize_with = "lenient")]
    pub group: Option<String>,
    #[serde(deserialize_with = "number")]
    pub position: Option<u32>,
    #[serde(deserialize_with = "number")]
    pub state: Option<u32>,
    #[serde(deserialize_with = "lenient")]
    pub assigned_to: Option<String>,
}

/// Where a chat stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    /// 1.
    Waiting,
    /// 2.
    Talking,
    /// 3 closed by the agent, 4 escalated: for good. 7 closed by the client.
    Closed,
    /// 8.
    Abandoned,
    /// One that we do not know, or none.
    Unknown,
}

impl QueueEntry {
    pub fn stands(&self) -> State {
        match self.state {
            Some(1) => State::Waiting,
            Some(2) => State::Talking,
            Some(3 | 4 | 7) => State::Closed,
            Some(8) => State::Abandoned,
            _ => State::Unknown,
        }
    }
}

/// A row of `live_message`: as the business rule sends it, and as the list of lines has it.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(default)]
pub(super) struct Row {
    #[serde(deserialize_with = "lenient")]
    pub group: Option<String>,
    #[serde(deserialize_with = "lenient", alias = "message")]
    pub formatted_message: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub sys_created_by: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub sys_created_on: Option<String>,
    #[serde(deserialize_with = "lenient")]
    pub sys_id: Option<String>,
}

/// A person, as the table API tells it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct User {
    #[serde(deserialize_with = "lenient")]
    pub name: Option<String>,
}

/// The platform likes to write numbers as texts.
fn number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<u32>, D::Error> {
    let value = Value::deserialize(deserializer)?;
    let number = value.as_u64().and_then(|number| number.try_into().ok());
    Ok(number.or_else(|| value.as_str()?.trim().parse().ok()))
}

/// A row as the published business rule writes it: by putting texts together, without escaping. The names come in its order,
/// so what stands between them is found although it is not JSON.
pub(super) fn broken_row(text: &str) -> Option<Row> {
    const NAMES: [&str; 5] = ["group", "formatted_message", "sys_created_by", "last_message", "sys_id"];
    let mut values = Vec::with_capacity(NAMES.len());
    let mut rest = text.trim().strip_prefix('{')?;
    for (at, name) in NAMES.iter().enumerate() {
        rest = rest.trim_start().strip_prefix(&format!("\"{name}\""))?.trim_start();
        rest = rest.strip_prefix(':')?.trim_start().strip_prefix('"')?;
        let end = match NAMES.get(at + 1) {
            // The last place it can be: what was said may look like the end of itself.
            Some(next) => rest.rfind(&format!("\",\"{next}\""))?,
            None => rest.rfind('"')?,
        };
        values.push(&rest[..end]);
        rest = rest.get(end + 1..)?.trim_start_matches(',');
    }
    let [group, formatted_message, sys_created_by, _, sys_id] = values.try_into().ok()?;
    let owned = |text: &str| Some(text.to_owned());
    Some(Row {
        group: owned(group),
        formatted_message: owned(formatted_message),
        sys_created_by: owned(sys_created_by),
        sys_created_on: None,
        sys_id: owned(sys_id),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_that_is_not_json_is_read() {
        let broken = r#"{"group":"g1","formatted_message":"She said "hi","sys_id" and left","sys_created_by":"agent.one","last_message":"","sys_id":"m2"}"#;
        let row = broken_row(broken).expect("a row");
        assert_eq!(row.formatted_message.as_deref(), Some(r#"She said "hi","sys_id" and left"#));
        assert_eq!((row.group.as_deref(), row.sys_id.as_deref()), (Some("g1"), Some("m2")));
        assert_eq!(row.sys_created_by.as_deref(), Some("agent.one"));
        for bad in
            ["", "{", "null", "{\"group\":\"g1\"}", "{\"sys_id\":\"m\",\"group\":\"g\"}", "{\"group\":\"é"]
        {
            assert_eq!(broken_row(bad), None, "{bad}");
        }
    }

    #[test]
    fn numbers_come_as_texts_too() {
        let entry: QueueEntry =
            serde_json::from_str(r#"{"state":"2","position":7,"assigned_to":{}}"#).expect("an entry");
        assert_eq!((entry.stands(), entry.position, entry.assigned_to), (State::Talking, Some(7), None));
        let entry: QueueEntry = serde_json::from_str(r#"{"state":99999999999999999999}"#).expect("an entry");
        assert_eq!(entry.stands(), State::Unknown);
    }
}
