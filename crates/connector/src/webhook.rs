//! Requests from outside. One that nobody has proven yet is [`Unverified`]; only a connector turns it into a
//! [`Received`], and it must name the proof it checked.

use ::http::{HeaderMap, Method};
use bytes::Bytes;
use interline_core::conversation::classify::Call;
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::request_id::RequestId;
use interline_core::{ConversationId, Entry, ParticipantNo};

use crate::agent::UpTo;
use crate::channel::Mark;
use crate::files::Incoming;

/// A request that has proven nothing yet.
#[derive(Debug, Clone)]
pub struct Unverified {
    /// The method.
    pub method: Method,
    /// What follows the integration's own part of the path, its secret part included, without a leading slash, still
    /// percent-encoded.
    pub path: String,
    /// The query, still percent-encoded.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The exact bytes: signatures cover them.
    pub body: Bytes,
    /// Now, milliseconds since 1970.
    pub now_ms: i64,
    /// It came to the integration's own address, whose secret part only the vendor's side knows.
    pub secret_part: bool,
}

/// How a request was proven.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Proof {
    /// A token signed with the integration's client secret.
    Token,
    /// A MAC over the body.
    Signature,
    /// A secret in the path or a header.
    SharedSecret,
}

/// A proven request.
#[derive(Debug)]
pub struct Received {
    /// What was checked.
    pub proof: Proof,
    /// What it means. All of it is committed before the answer is sent.
    pub heard: Vec<Heard>,
    /// What to answer then.
    pub answer: Answer,
}

/// What a request means.
#[derive(Debug)]
pub enum Heard {
    /// A BotKit called back with an id of ours.
    Callback {
        /// The id.
        id: RequestId,
        /// What it asks.
        call: Call,
        /// Files that come with the words of the call. The engine fetches and stores them, and adds them to the words.
        files: Vec<Incoming>,
    },
    /// A call that changes nothing, but names an id of ours: it is answered only to whom the id belongs.
    Named(RequestId),
    /// A vendor tells about one of its sessions.
    Event {
        /// The conversation.
        conversation: ConversationId,
        /// The participant.
        participant: ParticipantNo,
        /// The vendor's own id of this event; the same one again changes nothing.
        external_id: Option<String>,
        /// What.
        event: AgentEvent,
        /// Files that come with what the agent said. The engine fetches and stores them, and adds them to the words.
        files: Vec<Incoming>,
    },
    /// A vendor tells up to where its side has, or has read, what the customer said.
    Receipt {
        /// The conversation.
        conversation: ConversationId,
        /// The participant.
        participant: ParticipantNo,
        /// Delivered or read.
        mark: Mark,
        /// Up to here.
        up_to: UpTo,
    },
    /// A vendor took what the customer said, and tells now that it could not handle it. To the customer it is the same as if it
    /// had been refused at once. Of a line of several parts the first counts.
    Refused {
        /// The conversation.
        conversation: ConversationId,
        /// The participant.
        participant: ParticipantNo,
        /// What the vendor calls that part ([`crate::Done::remote_ids`]). One that nobody knows changes nothing.
        remote_id: String,
        /// The vendor's own word for it: for the operator.
        code: String,
    },
    /// A vendor tells that its agent is typing, or stopped.
    Typing {
        /// The conversation.
        conversation: ConversationId,
        /// The participant.
        participant: ParticipantNo,
        /// Typing or not.
        on: bool,
    },
    /// It asks what was said in an app to and by a customer. The answer comes from [`crate::AgentSystem::history`].
    History(HistoryQuery),
}

/// Which part of a customer's history is asked for, newest first.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HistoryQuery {
    /// The customer: its id, or its user id on the wire.
    pub customer: String,
    /// So many of the newest are left out.
    pub skip: usize,
    /// At most so many.
    pub limit: usize,
}

/// A part of a customer's history.
#[derive(Debug)]
pub struct History {
    /// Oldest first.
    pub lines: Vec<(ConversationId, Entry)>,
    /// How many there are in all.
    pub total: usize,
    /// Older ones exist.
    pub more: bool,
}

/// An HTTP answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// JSON, or nothing.
    pub body: Option<serde_json::Value>,
}

/// A request that is turned away; nothing was changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected(pub Answer);

impl Answer {
    /// 200 with JSON.
    pub fn ok(body: serde_json::Value) -> Self {
        Self { status: 200, body: Some(body) }
    }

    /// An error in the shape of the field: `{"errors":[{"msg","code"}]}`.
    pub fn error(status: u16, message: &str) -> Self {
        let body = serde_json::json!({ "errors": [{ "msg": message, "code": status }] });
        Self { status, body: Some(body) }
    }
}
