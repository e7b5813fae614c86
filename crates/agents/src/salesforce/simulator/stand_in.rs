//! What the stand-in offers to `simulate`, the demo and the conformance suite.

use axum::Router;
use interline_connector::simulator::{Desk, Deviation, Points, StandIn};
use serde_json::{Value, json};
use url::Url;

use super::{Simulator, events};

/// Where the connector does otherwise than the others. The README says the same.
const DEVIATIONS: &[Deviation] = &[
    Deviation {
        scenario: "token_expires",
        reason: "Salesforce has no second token for an unverified customer: the customer is warned, and when it runs out \
                 the human part ends as lost and the next agent system, or the bot, goes on.",
    },
    Deviation {
        scenario: "inbound_forged",
        reason: "Salesforce calls nobody: we hear by a stream that we open ourselves.",
    },
    Deviation {
        scenario: "inbound_unsigned",
        reason: "Salesforce calls nobody: we hear by a stream that we open ourselves.",
    },
];

impl StandIn for Simulator {
    fn desk(&self) -> &Desk {
        Self::desk(self)
    }

    fn router(&self) -> Router {
        Self::router(self)
    }

    fn settings(&self, base: &Url) -> Value {
        let org = Self::settings(self);
        json!({
            "organization_id": org.organization, "url": base, "developer_name": org.developer_name,
            "summary_field": "summary", "transcript_field": "transcript",
            "outside_hours_words": ["outside our working hours"],
            "starts_per_30_s": org.starts_per_30_s, "messages_per_minute": org.messages_per_minute,
        })
    }

    fn points(&self) -> Points {
        Points {
            open: Some("POST /iamessage/api/v2/conversation$"),
            say: Some("/message"),
            close: Some("DELETE /iamessage/api/v2/conversation/"),
            token: Some("/access-token"),
            stream: Some(events::STREAM),
            said: Some("CONVERSATION_MESSAGE Agent"),
            ended: Some("CONVERSATION_SESSION_STATUS_CHANGED"),
        }
    }

    fn deviations(&self) -> &'static [Deviation] {
        DEVIATIONS
    }
}
