//! A stand-in for Salesforce's Enhanced Chat (Messaging for In-App and Web, v2): an org with one deployment and its agents.
//!
//! Written from the fact sheet before the client. Strict where the org is: ids, required fields, who may see what, limits.
//!
//! ```text
//!   /iamessage/api/v2/…      tokens.rs, conversations.rs, messages.rs ─► org.rs: what the org knows
//!   agents                   agents.rs ─► events.rs: what a customer's side is told
//!   /eventrouter/v1/sse      stream.rs: one stream per token, resumed behind Last-Event-ID
//!   /_sim/salesforce/        the agent page of the kit
//! ```

mod agents;
mod conversations;
mod events;
mod messages;
mod org;
mod refused;
mod stand_in;
mod stream;
#[cfg(test)]
mod tests;
mod tokens;

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::routing::{delete, get, post};
use interline_connector::simulator::Desk;

use org::Org;

/// A fault of this vendor's own: before a human, a bot of the org joins and greets.
pub const BOT_FIRST: &str = "bot_first";
/// A fault of this vendor's own: with the agent, a supervisor joins who only looks in.
pub const SUPERVISOR: &str = "supervisor";

/// What the org's administrator configured, and the vendor's limits.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The organization's id, 15 or 18 characters.
    pub organization: String,
    /// The API name of the deployment.
    pub developer_name: String,
    /// Whether its channel lets unverified customers in (`UnAuth`).
    pub auth_mode: &'static str,
    /// How long a token is good, seconds.
    pub token_seconds: i64,
    /// Pre-chat fields.
    pub fields: Vec<Field>,
    /// There is a field, of any length, for whatever comes.
    pub any_field: bool,
    /// Whether customers may send files.
    pub files: bool,
    /// Access tokens a minute.
    pub tokens_per_minute: usize,
    /// Conversations started within 30 seconds.
    pub starts_per_30_s: usize,
    /// Messages of a customer a minute and conversation.
    pub messages_per_minute: usize,
}

/// A pre-chat field.
#[derive(Debug, Clone)]
pub struct Field {
    /// Its API name.
    pub name: &'static str,
    /// It stands in the form that people see, and must be filled.
    pub required: bool,
    /// The longest value, in characters.
    pub longest: usize,
}

impl Default for Settings {
    /// With the vendor's own limits.
    fn default() -> Self {
        let field = |name, longest| Field { name, required: false, longest };
        Self {
            organization: "00DSim000000001AAA".into(),
            developer_name: "Interline_Custom_Client".into(),
            auth_mode: "UnAuth",
            token_seconds: 6 * 3600,
            fields: vec![
                field("_firstName", 40),
                field("_lastName", 80),
                field("_email", 80),
                field("phone", 40),
                field("language", 20),
                field("queue", 80),
                field("skills", 255),
                field("summary", 4_000),
                field("transcript", 1_000),
            ],
            any_field: false,
            files: true,
            tokens_per_minute: 200,
            starts_per_30_s: 3,
            messages_per_minute: 22,
        }
    }
}

impl Settings {
    /// As an org for the demo and the suite: a field for whatever comes, and limits that nobody reaches.
    pub fn roomy() -> Self {
        let most = 1_000_000;
        Self {
            any_field: true,
            tokens_per_minute: most,
            starts_per_30_s: most,
            messages_per_minute: most,
            ..Self::default()
        }
    }
}

/// A running stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    settings: Arc<Settings>,
    desk: Desk,
    org: Arc<Org>,
}

impl Simulator {
    /// An org in which nothing happened yet.
    pub fn new(settings: Settings) -> Self {
        let desk = Desk::new("salesforce", "Salesforce");
        Self { settings: Arc::new(settings), desk, org: Arc::default() }
    }

    /// The agents' side.
    pub fn desk(&self) -> &Desk {
        &self.desk
    }

    /// What the administrator configured.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Its HTTP side, with the agent page.
    pub fn router(&self) -> Router {
        let at = |path: &str| format!("/iamessage/api/v2{path}");
        let wire = Router::new()
            .route(&at("/authorization/unauthenticated/access-token"), post(tokens::unauthenticated))
            .route(&at("/authorization/authenticated/access-token"), post(tokens::authenticated))
            .route(&at("/authorization/continuation-access-token"), get(tokens::continuation))
            .route(&at("/conversation"), post(conversations::create))
            .route(&at("/conversation/list"), get(conversations::list))
            .route(&at("/conversation/{id}"), get(conversations::read).delete(conversations::close))
            .route(&at("/conversation/{id}/session"), delete(conversations::close_session))
            .route(&at("/conversation/{id}/entries"), get(conversations::entries))
            .route(&at("/conversation/{id}/transcript"), get(conversations::transcript))
            .route(&at("/conversation/{id}/message"), post(messages::message))
            .route(&at("/conversation/{id}/file"), post(messages::file))
            .route(&at("/conversation/{id}/entry"), post(messages::entry))
            .route(&at("/conversation/{id}/acknowledge-entries"), post(messages::acknowledge))
            .route("/eventrouter/v1/sse", get(stream::stream))
            .layer(DefaultBodyLimit::max(64 * 1024 * 1024))
            .with_state(self.clone());
        self.desk.watch(wire, Arc::new(self.clone()))
    }

    /// Closes every stream; the events stay.
    pub fn cut_streams(&self) {
        self.org.inner().subjects.values().for_each(org::Subject::cut);
    }
}
