//! A stand-in for BotKit, with the sample live-chat bot file loaded and an agent page.
//!
//! It was written from the protocol's fact sheet, before the client and without looking at it: real paths, BotKit's own
//! checks and refusals, its tokens with a fractional `exp`, its habit of answering an event only after the platform
//! answered its callbacks. It refuses everything that a real BotKit, or a bot file like the sample, would stumble over.
//!
//! ```text
//!   POST {prefix}/sdk/bots/{bot}/{event}     gate.rs (checks) ─► bot.rs (the bot file) ─► sdk.rs (callbacks)
//!   /_sim/botkit/                            the kit: agent page, files, faults, log; agents.rs: what agents do
//!   /_sim/botkit/behaviour                   what the bot file does
//! ```
//!
//! Faults of its own ([`Fault::Special`](interline_connector::simulator::Fault::Special)): [`HOLD`], [`EXPIRED_TOKEN`],
//! [`FOREIGN_TOKEN`], [`NO_EXP`]. The others name an event (`on_user_message`) or a callback (`sendUserMessage`).

mod agents;
mod bot;
mod gate;
mod parts;
mod sdk;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::routing::get;
use interline_connector::Algorithm;
use interline_connector::simulator::{Act, ActError, Acts as _, Desk};
use serde::{Deserialize, Serialize};

use gate::Keys;
use parts::Parts;

/// An event is answered with success, but the bot file does nothing: the line is never released.
pub const HOLD: &str = "hold";
/// A callback's token expired ten minutes ago.
pub const EXPIRED_TOKEN: &str = "expired_token";
/// A callback's token is well signed, but names another client.
pub const FOREIGN_TOKEN: &str = "foreign_token";
/// A callback's token has no `exp`: the 2017 generation.
pub const NO_EXP: &str = "no_exp";

/// What stands in BotKit's `config.json`.
#[derive(Debug, Clone)]
pub struct Settings {
    /// The bot it serves: `st-` and a version 5 UUID. The credentials below stand under its id; there are no working
    /// default credentials, so a URL of the wrong depth shows as a refused token.
    pub app_id: String,
    /// `credentials.<bot>.appId`.
    pub client_id: String,
    /// `credentials.<bot>.apikey`.
    pub client_secret: String,
    /// `jwt.<bot>.jwtAlgorithm`.
    pub algorithm: Algorithm,
    /// `app.apiPrefix`, empty or like `/botkit`. With a prefix BotKit checks no credentials at all, and neither does
    /// this.
    pub prefix: String,
}

/// What its bot file does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Behaviour {
    /// Tells the user that an agent is coming, when a transfer comes in.
    pub welcome: Option<String>,
    /// Calls `startAgentSession` when a transfer comes in.
    pub start_session: bool,
    /// Fetches the transcript for the agent.
    pub transcript: bool,
    /// Answers an event at once, not after its callbacks were answered.
    pub answer_at_once: bool,
    /// Opens a chat for a user in agent mode whom it does not know: it was restarted, the human part goes on.
    pub adopt_strangers: bool,
    /// A word of the user that makes it start an agent session by itself.
    pub take_over_word: Option<String>,
}

impl Default for Behaviour {
    fn default() -> Self {
        Self {
            welcome: Some("An agent will be with you shortly".into()),
            start_session: true,
            transcript: true,
            answer_at_once: false,
            adopt_strangers: false,
            take_over_word: None,
        }
    }
}

/// A running stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Simulator {
    inner: Arc<Inner>,
}

struct Inner {
    settings: Settings,
    desk: Desk,
    behaviour: Mutex<Behaviour>,
    parts: Mutex<Parts>,
}

impl Simulator {
    /// A stand-in with nothing in it yet.
    pub fn new(settings: Settings) -> Self {
        let desk = Desk::new("botkit", "Custom (BotKit)").with_errors(gate::scripted);
        let (behaviour, parts) = (Mutex::default(), Mutex::default());
        Self { inner: Arc::new(Inner { settings, desk, behaviour, parts }) }
    }

    /// Its HTTP side: events, agent page, faults and log. Nothing else, so that it can be merged with others.
    pub fn router(&self) -> Router {
        let behaviour = Router::new()
            .route("/_sim/botkit/behaviour", get(agents::behaviour).put(agents::set_behaviour))
            .with_state(self.clone());
        let events = bot::routes(&self.inner.settings.prefix).with_state(self.clone());
        self.desk().watch(events, Arc::new(self.clone())).merge(behaviour)
    }

    /// The agents' side.
    pub fn desk(&self) -> &Desk {
        &self.inner.desk
    }

    /// Changes what the bot file does.
    pub fn set_behaviour(&self, behaviour: Behaviour) {
        *self.inner.behaviour.lock().unwrap_or_else(PoisonError::into_inner) = behaviour;
    }

    /// What the bot file does.
    pub fn behaviour(&self) -> Behaviour {
        self.inner.behaviour.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The agent says something: `sendUserMessage` with the stored data object. Returns when the platform answered.
    ///
    /// # Errors
    /// When it did not take it.
    pub async fn say(&self, chat: &str, text: &str) -> Result<(), ActError> {
        self.act(chat, Act::say(text)).await
    }

    /// The agent ends the chat: `clearAgentSession`. Returns when the platform answered.
    ///
    /// # Errors
    /// When it did not take it; the chat is ended here all the same.
    pub async fn end(&self, chat: &str) -> Result<(), ActError> {
        self.act(chat, Act::End).await
    }

    fn parts(&self) -> MutexGuard<'_, Parts> {
        self.inner.parts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The credentials under a bot id. Those of the default entry are nobody's.
    fn keys_of(&self, bot: &str) -> Keys<'_> {
        let settings = &self.inner.settings;
        if bot == settings.app_id {
            Keys {
                client_id: &settings.client_id,
                client_secret: &settings.client_secret,
                algorithm: settings.algorithm,
            }
        } else {
            Keys { client_id: "cs-default", client_secret: "default-secret", algorithm: Algorithm::HS256 }
        }
    }
}
