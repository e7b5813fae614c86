//! What every vendor's stand-in offers, so that `interline simulate`, the demo and the conformance suite need not know
//! whose it is.

use axum::Router;
use interline_core::AppId;
use serde_json::Value;
use url::Url;

use super::desk::Desk;
use crate::Credential;

/// A vendor's stand-in, with an administrator and agents. Made by [`Connector::stand_in`](crate::agent::Connector::stand_in).
pub trait StandIn: Send + Sync {
    /// The agents' side.
    fn desk(&self) -> &Desk;

    /// Its HTTP side: the paths of the vendor's real host, and the agent page under `/_sim/{vendor}/`.
    fn router(&self) -> Router;

    /// What an operator writes under `agents:` to reach it at `base`, all but `type`. It passes the connector's schema.
    fn settings(&self, base: &Url) -> Value;

    /// The vendor's administrator enters our address ([`Env::webhook`](crate::Env::webhook)). Of no concern to a vendor that
    /// calls nobody.
    fn calls(&self, webhook: Url) {
        let _ = webhook;
    }

    /// A queue that there is, as a flow's node names it.
    fn queue(&self) -> &'static str {
        "billing"
    }

    /// Where faults strike.
    fn points(&self) -> Points;

    /// Where the connector, for the vendor's sake, does otherwise than the others: scenario by scenario. Printed into its
    /// README and into the matrix.
    fn deviations(&self) -> &'static [Deviation];
}

/// Whose bot a stand-in serves. Vendors with accounts of their own take no notice.
#[derive(Debug, Clone)]
pub struct Tenant {
    /// The app.
    pub app: AppId,
    /// What the app signs with.
    pub credential: Credential,
}

/// What [`Rule::on`](super::Rule::on) says for each thing that every vendor has. None: this vendor has no such thing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Points {
    /// The call that asks for an agent: a part of `METHOD /path`.
    pub open: Option<&'static str>,
    /// The call that brings what the customer says.
    pub say: Option<&'static str>,
    /// The call that ends our side.
    pub close: Option<&'static str>,
    /// The call that gets an access token.
    pub token: Option<&'static str>,
    /// The stream, socket or poll that we hear by: what [`Fault::Kill`](super::Fault::Kill) closes.
    pub stream: Option<&'static str>,
    /// The name under which the stand-in tells what an agent says, for `Twice`, `Late`, `Lose`, `Forged`, `Unsigned`.
    pub said: Option<&'static str>,
    /// The name under which it tells that the agent's part is over.
    pub ended: Option<&'static str>,
}

/// A scenario of the conformance suite in which a connector does otherwise, or that its vendor has nothing for.
#[derive(Debug, Clone, Copy)]
pub struct Deviation {
    /// One of [`SCENARIOS`].
    pub scenario: &'static str,
    /// Why, in one sentence for whoever chooses a vendor.
    pub reason: &'static str,
}

/// A fault of every vendor's ([`Fault::Special`](super::Fault::Special)): who asks for an agent is told that it is outside
/// working hours, in this vendor's own way.
pub const OUTSIDE_HOURS: &str = "outside_hours";

/// The scenarios of the conformance suite, in the order of the table: name, and what is seen.
pub const SCENARIOS: &[(&str, &str)] = &[
    (
        "open_with_context",
        "the agent sees who it is, language, custom data, queue, skills, summary, link to the transcript",
    ),
    ("stranger", "somebody without a name, with nested and odd custom data, is handed over like anybody"),
    ("queue_position", "the customer learns their place in the queue"),
    ("agent_joins", "the customer learns who joined"),
    ("both_ways_in_order", "200 lines both ways, in order"),
    ("lines_while_queued", "what is said before an agent joins reaches the agent"),
    ("typing", "typing, both ways, and that it is over"),
    ("receipts_delivered", "the agent learns that the customer has what was said"),
    ("receipts_read", "read, both ways"),
    ("files_to_agent", "a file of the customer's, byte for byte"),
    ("files_to_customer", "a file of the agent's, byte for byte"),
    ("files_refused", "a type or size that the vendor does not take goes as a link"),
    ("customer_ends", "the customer ends it, waiting and talking"),
    ("agent_ends", "the agent's side ends it, waiting and talking; the bot goes on"),
    ("operator_ends", "an operator ends it, waiting and talking"),
    ("agent_transfer", "another agent takes over at the vendor"),
    ("no_agents", "nobody is there: the typed reason, and the bot's fallback"),
    ("outside_hours", "outside working hours: the typed reason"),
    ("queue_timeout", "nobody comes in time"),
    ("customer_silent", "nobody says anything: it ends"),
    ("token_expires", "access runs out in mid-chat"),
    ("rate_limited", "429 with and without Retry-After: nothing lost, nothing doubled"),
    ("error_before_effect", "500 and nothing done"),
    ("error_after_effect", "500 although it was done"),
    ("dropped_after_effect", "the connection breaks after the effect"),
    ("inbound_duplicate", "told twice, said once"),
    ("inbound_late", "told late and out of order"),
    ("inbound_forged", "signed by somebody else: not a word of it"),
    ("inbound_unsigned", "not signed: not a word of it"),
    ("end_overtakes_words", "the end comes before the last words"),
    ("stream_killed", "what we hear by is cut and taken up again, nothing missed"),
    ("server_killed", "kill -9 while delivering: nothing lost, doubled or reordered"),
    ("line_refused", "one line is refused: the chat goes on, the speaker is told"),
    ("long_text", "very long and non-ASCII words"),
    (
        "rich_degraded",
        "a choice that an agent offers is told in words; markup arrives as it was written, both ways",
    ),
    ("second_handover", "a second hand-over in one conversation"),
    ("fallback_with_lines_waiting", "it fails with lines waiting: the next system gets them"),
];
