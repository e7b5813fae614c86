//! Connect Support's queue and agents: what is there, and what the business rule tells of it.

use std::collections::BTreeMap;

use axum::body::Bytes;
use serde_json::{Value, json};

use super::instance::USER;

/// The sys_id of the usual queue.
pub const QUEUE: &str = "c54f0abf0a0a0b452db84664f409c79c";

/// How the business rule was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Rule {
    /// As it is published: JSON put together of texts, without escaping.
    pub broken_json: bool,
    /// The condition that leaves out the integration user was forgotten.
    pub echoes: bool,
}

/// What is there.
#[derive(Default)]
pub(super) struct Support {
    /// By group, in the order in which they came.
    pub chats: BTreeMap<String, Session>,
    pub rule: Rule,
}

/// A chat.
#[derive(Debug, Clone)]
pub(super) struct Session {
    pub sys_id: String,
    pub group: String,
    pub queue: String,
    pub number: usize,
    /// 1 waiting, 2 in progress, 3 closed by the agent, 4 escalated, 7 closed by the client, 8 abandoned.
    pub state: u8,
    pub agent: Option<String>,
    pub description: String,
    pub rows: Vec<Value>,
}

impl Support {
    /// As the API tells it.
    pub fn entry(&self, session: &Session, assigned_to: &str) -> Value {
        let before =
            self.chats.values().filter(|other| other.state == 1 && other.number < session.number).count();
        json!({
            "sys_id": session.sys_id, "group": session.group, "queue": session.queue,
            "number": format!("CQE{:07}", session.number), "position": if session.state == 1 { before + 1 } else { 0 },
            "state": session.state, "opened_by": USER, "assigned_to": assigned_to,
            "short_description": session.description, "wait_time": "", "average_wait_time": "2 Minutes",
        })
    }

    /// What the business rule sends of a new line; none: its condition does not fit.
    pub fn told(&self, row: &Value) -> Option<Bytes> {
        if row["sys_created_by"] == USER && !self.rule.echoes {
            return None;
        }
        let field = |name: &str| row[name].as_str().unwrap_or_default().to_owned();
        let names = ["group", "formatted_message", "sys_created_by", "last_message", "sys_id"];
        if self.rule.broken_json {
            let fields: Vec<String> =
                names.iter().map(|name| format!("\"{name}\":\"{}\"", field(name))).collect();
            return Some(format!("{{{}}}", fields.join(",")).into());
        }
        let told: Value = names
            .iter()
            .map(|name| ((*name).to_owned(), Value::from(field(name))))
            .collect::<serde_json::Map<_, _>>()
            .into();
        Some(told.to_string().into())
    }
}

/// As the platform keeps what was said.
pub(super) fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The login of an agent: "Agent One" is `agent.one`.
pub(super) fn user_of(name: &str) -> String {
    name.to_lowercase().replace(' ', ".")
}
