//! The contract of agent systems. Provisional until voice and WhatsApp stand on it (docs/decisions/).

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use interline_core::conversation::input::AgentEvent;
use interline_core::conversation::state::Customer;
use interline_core::flow::work::Availability;
use interline_core::transfer::Ask;
use interline_core::{AppId, ConversationId, Entry, File, Owner, Participant, Seq, app};
use serde_json::Value;
use url::Url;

use crate::channel::Mark;
use crate::failure::Failure;
use crate::files::{Carried, FileRefused, Incoming};
use crate::http::Http;
use crate::manifest::Manifest;
use crate::webhook::{Answer, History, Received, Rejected, Unverified};

/// An integrated agent system.
#[async_trait]
pub trait AgentSystem: Send + Sync + 'static {
    /// What it can do.
    fn manifest(&self) -> &Manifest;

    /// What the transfer machine must know of it; the settings may differ from the manifest.
    fn describe(&self) -> app::AgentSystem;

    /// Delivers one entry to one participant's session. `session` is what an earlier delivery returned, none at first.
    /// Called for one entry of a participant at a time, in order; possibly again with the same key after a crash.
    ///
    /// # Errors
    /// The variant is the decision of what happens next.
    async fn deliver(&self, item: &Item, session: Option<Value>) -> Result<Done, Failure>;

    /// Proves who sent a request, then says what it means.
    ///
    /// # Errors
    /// Turned away, with the answer to give. Without proof there is no other way out of here.
    fn receive(&self, request: &Unverified) -> Result<Received, Rejected>;

    /// Answers a proven [`crate::webhook::Heard::History`]. Only for systems whose `receive` returns that.
    fn history(&self, history: &History) -> Answer {
        let _ = history;
        Answer::error(404, "this integration has no history call")
    }

    /// Tells what is not in the log: typing, receipts. Only what the manifest says it takes. Best effort: what is lost is
    /// lost, and a newer one makes up for it. Not for duplex sessions, which get it by their [`Link`].
    async fn aside(&self, conversation: &Brief, session: Option<Value>, aside: &Aside) {
        let _ = (conversation, session, aside);
    }

    /// Files that came with a call ([`crate::webhook::Heard::Event`]) are not taken. True: the agent is told in the chat, the
    /// rest of the call counts and is answered as usual. False, as here: the call is answered with the refusal, and nothing
    /// more of it counts; for vendors that show their agents what is wrong with a call. The call is answered after this.
    async fn refused(
        &self,
        conversation: &Brief,
        session: Option<Value>,
        files: &[Incoming],
        why: &FileRefused,
    ) -> bool {
        let _ = (conversation, session, files, why);
        false
    }

    /// Owns a duplex session instead of `deliver`, until it is over. Only for [`crate::manifest::Delivery::Pinned`].
    async fn run(&self, link: &mut dyn Link) -> RunEnd {
        let _ = link;
        RunEnd::Lost("this connector has no duplex session".into())
    }

    /// Listens to what the vendor tells about all sessions of this integration at once, as long as the integration is there.
    /// What it hears it hands to its own sessions ([`AgentSystem::run`]). It is called again, after a pause, when it is lost.
    async fn listen(&self) -> RunEnd {
        RunEnd::Over
    }

    /// Whether somebody is there who could take a conversation. Advisory: a transfer may fail all the same. None: the vendor
    /// offers no way to know.
    ///
    /// # Errors
    /// It could not be asked.
    async fn availability(&self, asked: &Availability) -> Result<Option<bool>, Failure> {
        let _ = asked;
        Ok(None)
    }

    /// "Test connection": whether it would work, and if not, what to do.
    ///
    /// # Errors
    /// What is wrong, in words for the operator.
    async fn probe(&self) -> Result<(), String>;
}

/// One entry on its way to one participant.
#[derive(Debug, Clone)]
pub struct Item {
    /// What is delivered.
    pub entry: Entry,
    /// To whom. With the entry's seq this is the key: ids that a connector invents derive from it.
    pub participant: Participant,
    /// The conversation.
    pub conversation: Brief,
    /// What was said before, oldest first, as the customer saw it; for an Open only. Complete up to the Open.
    pub before: Vec<Entry>,
    /// The files of the entry, in its order, and how they may reach the vendor.
    pub files: Vec<Carried>,
    /// For an Open only: where the agent can read what was said before, a limited number of times. It is a secret.
    pub transcript: Option<Url>,
    /// For an Open only: what else travels along.
    pub context: Context,
}

/// What travels along with an Open, beside who the customer is and where it goes ([`Participant::queue`]).
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Context {
    /// Skills that the agent should have, in the words of the agent system.
    pub skills: Vec<String>,
    /// Custom data by name: what the channel knows of the customer, and what the flow's node adds or overrides.
    pub data: BTreeMap<String, String>,
    /// What was said before, in a few lines. Empty: nothing, or it is not wanted.
    pub summary: String,
    /// What the flow asks: where a call goes and how, priority, language, tags.
    pub ask: Ask,
}

impl Item {
    /// The idempotency key: `conversation/participant#seq`. The same for every repetition.
    pub fn key(&self) -> String {
        format!("{}/{}#{}", self.conversation.id, self.participant.no, self.entry.seq)
    }
}

/// What travels along with every entry.
#[derive(Debug, Clone)]
pub struct Brief {
    /// The tenant.
    pub app: AppId,
    /// The conversation.
    pub id: ConversationId,
    /// The person.
    pub customer: Customer,
    /// Who owns the conversation at the time of delivery.
    pub owner: Owner,
}

/// Something that is told and is not in the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Aside {
    /// The customer is typing, or stopped.
    Typing(bool),
    /// The customer has, or has read, everything up to here. The newest one alone is told.
    Receipt {
        /// Delivered or read.
        mark: Mark,
        /// The newest line of the agent that it covers.
        seq: Seq,
        /// What the vendor calls that line, if it told.
        remote_id: Option<String>,
    },
}

/// Up to where a receipt of an agent system goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum UpTo {
    /// An entry of ours.
    Entry(Seq),
    /// What the vendor calls a part of an entry ([`Done::remote_ids`]). One that nobody knows changes nothing.
    Remote(String),
}

/// A delivery that worked.
#[derive(Debug, Clone, Default)]
pub struct Done {
    /// The session document from now on; none: unchanged. Sealed by the engine.
    pub session: Option<Value>,
    /// The ids that the vendor gave to the parts of this entry.
    pub remote_ids: Vec<String>,
    /// What the answer told beside.
    pub events: Vec<AgentEvent>,
}

/// A duplex session's line to the engine.
#[async_trait]
pub trait Link: Send {
    /// The session document as last saved.
    fn session(&self) -> Option<Value>;
    /// What is to be told next. None: the participant's part is over. Safe to drop and call again.
    async fn next(&mut self) -> Option<Next>;
    /// What came of the entry that `next` returned last. Returns when it is durable.
    async fn done(&mut self, seq: Seq, result: Result<Done, Failure>);
    /// The vendor told something. Returns when it is durable. The same `external_id` again changes nothing.
    async fn heard(&mut self, external_id: Option<String>, event: AgentEvent);
    /// The same of several that came at once, none of which the vendor would tell again.
    async fn heard_all(&mut self, events: Vec<AgentEvent>) {
        for event in events {
            self.heard(None, event).await;
        }
    }
    /// The agent is typing, or stopped. Outside the log; nothing waits for it.
    fn typing(&mut self, on: bool);
    /// The agent's side has, or has read, what the customer said, up to here.
    async fn receipt(&mut self, mark: Mark, up_to: UpTo);
    /// Fetches and stores a file of the agent's, so that what is [heard](Link::heard) can name it.
    ///
    /// # Errors
    /// It is not taken; the text is for the agent.
    async fn keep(&mut self, file: Incoming) -> Result<File, FileRefused>;
    /// Saves the session document.
    async fn save(&mut self, session: Value);
}

/// What a duplex session is to tell.
#[derive(Debug)]
pub enum Next {
    /// An entry. It is settled with [`Link::done`].
    Item(Box<Item>),
    /// Something that is not in the log: told and forgotten.
    Aside(Aside),
}

/// How a duplex session ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RunEnd {
    /// Properly.
    Over,
    /// The connection was lost; run again from the session document if the manifest says `resumes`.
    Lost(String),
}

/// What a connector is given to build an integration.
#[derive(Clone)]
pub struct Env {
    /// The tenant.
    pub app: AppId,
    /// Under which name the integration stands in the app.
    pub name: interline_core::IntegrationName,
    /// Where the outside reaches us. It has no path.
    pub public_url: Url,
    /// The way out.
    pub http: Http,
    /// Where the vendor reaches this integration: `{public_url}/in/{app}/{integration}/{secret part}`. Whoever knows it may
    /// call: it is shown to operators only. A request that came there says so ([`Unverified::secret_part`]).
    pub webhook: Url,
    /// The app's credentials by name.
    pub credentials: Arc<BTreeMap<String, crate::Credential>>,
}

/// A setting that a script may set for one hand-over (`agentUtils.setLiveChatAgentOutGoingSetup`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AtRunTime {
    /// Its name, at the top of the settings.
    pub name: &'static str,
    /// Another value leads to another host: the integration's own secrets do not go there.
    pub leads_elsewhere: bool,
}

/// A kind of agent system: the one word in the list of `agents/src/lib.rs`.
pub trait Connector: Send + Sync {
    /// What it can do.
    fn manifest(&self) -> &'static Manifest;

    /// The settings an operator fills in, as JSON Schema.
    fn settings_schema(&self) -> Value;

    /// Builds an integration.
    ///
    /// # Errors
    /// What is wrong with the settings, naming the field and the remedy.
    fn build(&self, settings: Value, env: Env) -> Result<Arc<dyn AgentSystem>, String>;

    /// Settings that a script may set for one hand-over. None, as here, where vendors call back at what the integration is
    /// configured to, or sessions share what only the integration has.
    fn at_run_time(&self) -> &'static [AtRunTime] {
        &[]
    }

    /// A stand-in for the vendor, in which nothing happened yet. None: there is no such thing.
    #[cfg(feature = "simulators")]
    fn stand_in(&self, tenant: &crate::simulator::Tenant) -> Option<Arc<dyn crate::simulator::StandIn>> {
        let _ = tenant;
        None
    }
}
