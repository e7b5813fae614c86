//! What a channel is offered. A channel knows its wire protocol and its customers; through [`Host`] it lets the engine
//! hear what they say, and reads what they are to see. It never sees the store or another app.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use interline_core::conversation::call::CallRecord;
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::Scope;
use interline_core::conversation::state::Customer;
use interline_core::conversation::voicemail::Recorded;
use interline_core::{AppId, ConversationId, Entry, IntegrationName, Seq};
use serde_json::Value;
use tokio::sync::broadcast;
use url::Url;

use crate::Credential;
use crate::files::Files;

/// The engine, as a channel sees it.
#[async_trait]
pub trait Host: Send + Sync + 'static {
    /// An app by its id, with this channel's settings. None: there is no such app.
    fn app(&self, app: &AppId) -> Option<Arc<ChannelApp>>;

    /// Where the outside reaches us. It has no path.
    fn public_url(&self) -> &Url;

    /// Milliseconds since 1970.
    fn now_ms(&self) -> i64;

    /// Seals a small text into a token that only [`Host::unseal`] reads, for the same purpose.
    fn seal(&self, purpose: &str, plain: &str) -> String;

    /// Reads a sealed token. None: not ours, changed, or for another purpose.
    fn unseal(&self, purpose: &str, token: &str) -> Option<String>;

    /// Whether `key` is used for the first time; remembered for `ttl_ms`, also across restarts. Returns when the first
    /// use was, in milliseconds since 1970, if there was one.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn first_use(
        &self,
        app: &AppId,
        purpose: &str,
        key: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, Unavailable>;

    /// The customer at an address of a channel; made on first sight.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn customer(
        &self,
        app: &AppId,
        channel: &IntegrationName,
        address: &str,
    ) -> Result<Customer, Unavailable>;

    /// The customer did something. Returns when it is durable. A text opens a conversation if none is open.
    ///
    /// # Errors
    /// The store is out of reach, or a limit is hit; nothing was accepted.
    async fn hear(&self, app: &AppId, customer: &Customer, said: Said) -> Result<HeardAs, Unavailable>;

    /// What the legs of a call came to, together with what the caller did. Nothing, if no conversation is open and none is
    /// opened by it. A host without a timeline drops the legs.
    ///
    /// # Errors
    /// As of [`hear`](Host::hear).
    async fn hear_call(
        &self,
        app: &AppId,
        customer: &Customer,
        _legs: Vec<CallRecord>,
        what: Option<What>,
    ) -> Result<HeardAs, Unavailable> {
        match what {
            Some(what) => self.hear(app, customer, Said { external_id: None, what }).await,
            None => Ok(HeardAs::Nothing),
        }
    }

    /// What the customer sees after `place`, oldest first, at most `limit`; moves `place` behind it. Follows the
    /// customer from a closed conversation into the next. Fewer than `limit`: that was all. Nothing, if `place` is in
    /// a conversation that is not the customer's: clients name places.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn read(
        &self,
        app: &AppId,
        customer: &Customer,
        place: &mut Place,
        limit: usize,
    ) -> Result<Vec<Line>, Unavailable>;

    /// The end of the customer's log, or, with `undelivered`, the customer's delivered mark, at most 100 entries back.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn place(&self, app: &AppId, customer: &Customer, undelivered: bool) -> Result<Place, Unavailable>;

    /// Who the customer talks to right now: a page that is opened in the middle of a human part must know. It changes
    /// with a [`Hint::Entries`], never without one.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn phase(&self, app: &AppId, customer: &Customer) -> Result<Phase, Unavailable>;

    /// A page of the customer's history, oldest first: the `limit` lines before the newest `skip`, or before the line
    /// `before` (an empty page if that is not the customer's).
    ///
    /// # Errors
    /// The store is out of reach.
    async fn history(&self, app: &AppId, customer: &Customer, page: Page)
    -> Result<HistoryPage, Unavailable>;

    /// What concerns the customer from now on. Hints only: a lagging receiver misses some and reads again.
    fn watch(&self, app: &AppId, customer: &Customer) -> broadcast::Receiver<Hint>;

    /// Raises the customer's marks: everything up to `seq` was delivered, or read. Never lowers them. What is read was
    /// delivered. A conversation that is not the customer's, or a seq beyond its log, changes nothing: clients name
    /// them.
    fn mark(&self, app: &AppId, customer: &Customer, conversation: &ConversationId, seq: Seq, mark: Mark);

    /// The customer is typing, or stopped.
    fn typing(&self, app: &AppId, customer: &Customer, on: bool);

    /// What an agent would have got of a conversation that was handed off through this channel, beside what the node asked;
    /// with `summary`, also that. A host without transcripts has nothing.
    ///
    /// # Errors
    /// The store is out of reach.
    async fn handed_off(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        summary: bool,
    ) -> Result<HandedOff, Unavailable> {
        let _ = (app, conversation, summary);
        Ok(HandedOff::default())
    }

    /// What came of a voicemail that the entry `seq` of a conversation of the customer's asked for, also when the conversation is
    /// closed. Returns when it is durable; who is to be told is told then. The same again changes nothing.
    ///
    /// # Errors
    /// The store is out of reach, there is no such conversation (any more), or this host keeps none.
    async fn voicemail(
        &self,
        app: &AppId,
        customer: &Customer,
        conversation: &ConversationId,
        seq: Seq,
        recorded: Recorded,
    ) -> Result<(), Unavailable> {
        let _ = (app, customer, conversation, seq, recorded);
        Err(Unavailable("Voicemail is not kept here.".into()))
    }

    /// What customers send and fetch.
    fn files(&self) -> &dyn Files;

    /// Resolves when the server is about to stop: say good-bye so that clients reconnect.
    async fn stopping(&self);
}

/// An app as one of its channels sees it.
#[derive(Debug)]
pub struct ChannelApp {
    /// The tenant.
    pub id: AppId,
    /// The bot's name.
    pub name: String,
    /// The credentials with their scopes, by name.
    pub credentials: BTreeMap<String, Credential>,
    /// This app's channel integrations: name → (type, settings).
    pub channels: BTreeMap<IntegrationName, (String, Value)>,
}

/// What only the engine knows of a hand-off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HandedOff {
    /// What was said before, in a few lines. Empty: nothing, or it is not wanted.
    pub summary: String,
    /// Where an agent can read all of it, a limited number of times. It is a secret.
    pub transcript: Option<Url>,
}

/// What a customer did.
#[derive(Debug, Clone)]
pub struct Said {
    /// The client's own id of this; within the customer, the same one again changes nothing.
    pub external_id: Option<String>,
    /// What.
    pub what: What,
}

/// What a customer did.
#[derive(Debug, Clone)]
pub enum What {
    /// Opened the chat. Opens a conversation if none is open, else nothing.
    Connected,
    /// Said something.
    Text(Text),
    /// Said nothing for as long as was waited. Only from channels that measure it.
    NoInput,
    /// Ended something.
    Ends(Scope),
}

/// What became of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HeardAs {
    /// It is in the log.
    New,
    /// It was there already.
    Again,
    /// There was nothing to end.
    Nothing,
}

/// It could not be done now; nothing was accepted. The text is fit for the client.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Unavailable(pub String);

/// A place in a customer's log. The default is before everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Place {
    /// The conversation; none: before the first.
    pub conversation: Option<ConversationId>,
    /// The last entry seen in it.
    pub seq: Seq,
}

/// An entry that the customer sees.
#[derive(Debug, Clone, PartialEq)]
pub struct Line {
    /// In which conversation.
    pub conversation: ConversationId,
    /// The entry.
    pub entry: Entry,
}

/// Which page of the history.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Page {
    /// Leave out so many of the newest.
    pub skip: usize,
    /// Only what is older than this line.
    pub before: Option<(ConversationId, Seq)>,
    /// At most so many.
    pub limit: usize,
}

/// Who a customer talks to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Phase {
    /// Nobody: there is no open conversation.
    Closed,
    /// The bot.
    Bot,
    /// A human was asked for and is not there yet.
    Waiting {
        /// The place in the queue, 1 is next, if the agent system told one.
        position: Option<u32>,
    },
    /// A human agent.
    Agent {
        /// As shown to customers.
        name: Option<String>,
    },
}

/// A page of history.
#[derive(Debug, Clone, PartialEq)]
pub struct HistoryPage {
    /// Texts only, oldest first.
    pub lines: Vec<Line>,
    /// How many there are in all (at least).
    pub total: usize,
    /// Older ones exist.
    pub more: bool,
}

/// Something worth a look.
#[derive(Debug, Clone, PartialEq)]
pub enum Hint {
    /// There are new entries.
    Entries,
    /// The agent is typing, or stopped.
    AgentTyping(bool),
    /// The customer was erased: whoever is logged in as them is shown out, and has to log in anew.
    Erased,
    /// The agent's side has everything the customer said in `conversation` up to `seq`.
    Reached {
        /// The conversation.
        conversation: ConversationId,
        /// Up to here.
        seq: Seq,
        /// Delivered or read.
        mark: Mark,
        /// The client ids of the lines newly covered.
        client_ids: Vec<String>,
    },
}

/// A receipt.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Mark {
    /// It arrived.
    Delivered,
    /// It was read.
    Read,
}
