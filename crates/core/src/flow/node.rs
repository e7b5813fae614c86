//! The types of nodes, as people write them. What each does stands in `run/`.
//!
//! All have a name for people (`name`), and where they can fail, what happens then (`on_error`): a message and a node;
//! else the flow's own `on_error`; else the app's text.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::VoiceProperties;
use super::condition::Condition;
use super::document::{FlowName, NodeId, OnFailure};
use super::prompt::Variants;
use super::work::Verb;
use crate::IntegrationName;
use crate::transfer::ask::{Call, Tags};
use crate::transfer::target::Target;

/// One step of a flow.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Node {
    /// Says something (Message Prompt).
    Message(Message),
    /// Offers keys (IVR Menu); in a chat, choices.
    IvrMenu(Menu),
    /// Asks for digits (IVR Digit Input).
    DigitInput(Digits),
    /// Goes one of several ways by what is known (Split).
    Split(Split),
    /// Goes by the time of day (Check Business Hours).
    BusinessHours(BusinessHours),
    /// Asks whether somebody is there (Check Agent Availability).
    AgentAvailability(AgentAvailability),
    /// Chooses queue and priority of the next transfer (Set Queue).
    SetQueue(SetQueue),
    /// Sends a caller a link to the chat (Deflection).
    Deflection(Deflection),
    /// Lets an external bot talk (Automation).
    Automation(Automation),
    /// Asks an API (Connect to API).
    Api(Api),
    /// Goes on in another flow (Go To Flow).
    GoToFlow(GoToFlow),
    /// Runs JavaScript (Script Task).
    Script(Script),
    /// Hands over to a human (Agent Transfer).
    AgentTransfer(Box<AgentTransfer>),
    /// Ends the conversation (End Flow).
    End(End),
}

/// A Message Prompt node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Message {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said: a text, a recording, or one of several.
    pub text: Variants,
    /// The node after this one; none: the flow listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NodeId>,
    /// What happens when its script fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

impl Message {
    /// Says this, and goes on there.
    pub fn new(text: impl Into<Variants>, next: Option<NodeId>) -> Self {
        Self { name: None, text: text.into(), next, on_error: OnFailure::default() }
    }
}

/// How an input is waited for, and what follows when none comes, or a wrong one: so often, and then elsewhere.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct Tries {
    /// Waited for so many seconds (for a time-out only).
    pub seconds: u32,
    /// Said then; none: the node's own message again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// So often in all.
    pub tries: u8,
    /// Where it goes when that was too often; none: the error exit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub go_to: Option<NodeId>,
}

impl Default for Tries {
    fn default() -> Self {
        Self { seconds: 10, message: None, tries: 3, go_to: None }
    }
}

/// An IVR Menu node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Menu {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said.
    pub message: Variants,
    /// Whether a key cuts it short.
    #[serde(default)]
    pub barge_in: bool,
    /// The keys, and where they lead.
    pub choices: Vec<Choice>,
    /// Nothing was pressed or said. Where it is not set, a call waits ten seconds three times, and a chat for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Tries>,
    /// Something else was.
    #[serde(default)]
    pub wrong_input: Tries,
    /// Voice properties.
    #[serde(default, skip_serializing_if = "VoiceProperties::is_empty")]
    pub voice: VoiceProperties,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// A key of a menu.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Choice {
    /// `0` to `9`, `*`, `#`.
    pub key: String,
    /// Words that mean it, as whole words, in any case.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub words: Vec<String>,
    /// How it is shown where it can be shown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub label: Option<String>,
    /// Where it leads.
    pub go_to: NodeId,
}

/// An IVR Digit Input node. What was pressed is `context.steps.<node>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Digits {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is said.
    pub message: Variants,
    /// Whether a key cuts it short.
    #[serde(default)]
    pub barge_in: bool,
    /// At least so many digits.
    #[serde(default = "Digits::one")]
    pub min: usize,
    /// At most so many.
    #[serde(default = "Digits::many")]
    pub max: usize,
    /// The key that ends them before: `#`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub end_key: Option<char>,
    /// Where it goes on.
    pub next: NodeId,
    /// Nothing was pressed or said. Where it is not set, a call waits ten seconds three times, and a chat for ever.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Tries>,
    /// Something else was.
    #[serde(default)]
    pub wrong_input: Tries,
    /// Voice properties.
    #[serde(default, skip_serializing_if = "VoiceProperties::is_empty")]
    pub voice: VoiceProperties,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

impl Digits {
    fn one() -> usize {
        1
    }
    fn many() -> usize {
        32
    }
}

/// A way out under a condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Branch {
    /// When it is taken.
    #[serde(rename = "if")]
    pub when: Condition,
    /// Where it leads.
    pub go_to: NodeId,
}

/// The most branches of a node, as the field has it.
pub const MOST_BRANCHES: usize = 10;

/// A Split node: the first branch whose condition holds, else `otherwise`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Split {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// At most ten.
    pub branches: Vec<Branch>,
    /// Where it goes when none holds.
    pub otherwise: NodeId,
}

/// A Check Business Hours node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BusinessHours {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which hours of the app.
    #[serde(default = "default_hours")]
    pub hours: String,
    /// Inside them.
    pub inside: NodeId,
    /// Outside.
    pub outside: NodeId,
    /// What happens when there are no such hours.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// The hours that are meant where none are named.
pub const DEFAULT_HOURS: &str = "default";

fn default_hours() -> String {
    DEFAULT_HOURS.to_owned()
}

/// A Check Agent Availability node: skills and groups, or agents, not both.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct AgentAvailability {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which agent system; else the channel's, else the app's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Skills or skill groups.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// These agents.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Somebody is there, or the agent system cannot tell.
    pub available: NodeId,
    /// Nobody is.
    pub not_available: NodeId,
    /// What happens when it cannot be asked.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// A Set Queue node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SetQueue {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Id or name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue: Option<String>,
    /// 1 to 10, 5 where nobody says another. (A script may say 0, which is before all.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// JavaScript that calls `agentUtils.setQueue` and `setPriority` instead.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub script: Option<String>,
    /// The hours of the queue; none: it is always open.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hours: Option<String>,
    /// Inside them.
    pub inside: NodeId,
    /// Outside; none: `inside`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub outside: Option<NodeId>,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// A request, as a node writes it. `{{…}}` stands for a variable; `{{env.…}}` is filled when it is sent.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Request {
    /// How.
    #[serde(default)]
    pub method: Verb,
    /// Where. Variables stand in its path and query and are encoded; the host is the author's.
    pub url: String,
    /// Headers by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// The body: JSON, or a text (`<soap:Envelope…`).
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub body: Value,
}

/// A Deflection node. We have no way to reach a caller's telephone by text, so the link goes out by an API of yours.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Deflection {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where the chat is; in the request it is `{{context.deflection.link}}`.
    pub link: String,
    /// How the link is sent to the caller.
    pub send: Request,
    /// What is said once it is sent.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// Where it goes on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NodeId>,
    /// What happens when it could not be sent.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// An Automation node: an external bot talks with the customer until it is done, gives up, or asks for a human.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Automation {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which bot of the app: one of `bots`.
    pub bot: IntegrationName,
    /// What it is to be or do, for an LLM.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub instructions: String,
    /// Flow variables that it is told, by name.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tells: Vec<String>,
    /// What is said before it listens; none: the bot begins.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// It may take so many seconds for a turn.
    #[serde(default = "Automation::seconds")]
    pub seconds: u32,
    /// Its task is done: where it goes; none: it goes on talking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub success: Option<NodeId>,
    /// It gave up: where it goes; none: it goes on talking.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<NodeId>,
    /// It asks for a human.
    pub on_agent_transfer: NodeId,
    /// Nobody says anything.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Tries>,
    /// Voice properties.
    #[serde(default, skip_serializing_if = "VoiceProperties::is_empty")]
    pub voice: VoiceProperties,
    /// What happens when the bot does not answer.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

impl Automation {
    fn seconds() -> u32 {
        20
    }
}

/// A Connect to API node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Api {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// What is asked.
    pub request: Request,
    /// Sync (default) waits at most 8 seconds; async as many as are said.
    #[serde(default)]
    pub wait: Patience,
    /// Whether a status from 400 on is a failure. Else it is a success, and `status` tells.
    #[serde(default = "yes")]
    pub errors_fail: bool,
    /// Flow variables that the answer sets: name → JSON pointer into the body (`/order/state`), or `status`. The whole is
    /// `context.<node>` only where it is asked for: name → ``.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub sets: BTreeMap<String, String>,
    /// It worked.
    pub success: NodeId,
    /// It did not; none: the error exit.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub failure: Option<NodeId>,
    /// What happens when it could not be asked at all.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

fn yes() -> bool {
    true
}

/// How long an answer is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Patience {
    /// At most 8 seconds.
    #[default]
    Sync,
    /// So long.
    Async {
        /// 8 to 20.
        seconds: u32,
    },
}

impl Patience {
    /// In milliseconds.
    pub fn ms(self) -> u64 {
        match self {
            Self::Sync => 8_000,
            Self::Async { seconds } => u64::from(seconds.clamp(8, 20)) * 1_000,
        }
    }
}

/// A Go To Flow node.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GoToFlow {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Which flow.
    pub flow: FlowName,
}

/// A Script Task node, with connection rules.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Script {
    /// For people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// JavaScript.
    pub source: String,
    /// The flow variable that its value becomes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
    /// Where it goes on, first match first; at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub branches: Vec<Branch>,
    /// Else here; none: the flow listens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next: Option<NodeId>,
    /// What happens when it fails.
    #[serde(default, skip_serializing_if = "OnFailure::is_empty")]
    pub on_error: OnFailure,
}

/// How a conversation counts that reached an Agent Transfer node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Containment {
    /// As handed over to an agent.
    #[default]
    Agent,
    /// As self-service, although it is handed over.
    SelfService,
}

/// An Agent Transfer node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct AgentTransfer {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// How the conversation counts.
    #[serde(skip_serializing_if = "is_default")]
    pub containment: Containment,
    /// Said before the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
    /// Or a flow that runs before it. It must not ask anything: a question prevents the transfer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub before: Option<FlowName>,
    /// Where to; else the channel's agent system, else the app's default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<Target>,
    /// Where else, one after the other, when that fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub fallback: Vec<Target>,
    /// Skills that the agent should have, in the words of the agent system.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub skills: Vec<String>,
    /// Only these agents.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub agents: Vec<String>,
    /// Custom data for the agent system, by name, beside what is known of the customer. `{{…}}` stands for a variable.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub data: BTreeMap<String, String>,
    /// For a call: where it goes, and how.
    #[serde(skip_serializing_if = "Call::is_empty")]
    pub call: Call,
    /// Tags of this use of the node.
    #[serde(skip_serializing_if = "Tags::is_empty")]
    pub tags: Tags,
    /// Whether a summary of what was said travels along; off unless it is switched on here.
    #[serde(skip_serializing_if = "is_default")]
    pub conversation_summary: bool,
    /// The waiting experience, in the words of the agent system.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub waiting_experience: Option<String>,
    /// A flow that runs while the customer is in the queue. Whatever becomes of it, the transfer goes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub in_queue: Option<FlowName>,
    /// What happens when all of it failed.
    #[serde(skip_serializing_if = "OnFailure::is_empty")]
    pub on_failure: OnFailure,
    /// Run when the human part is over; else the flow's `returned`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub returned: Option<NodeId>,
}

fn is_default<T: Default + PartialEq>(value: &T) -> bool {
    *value == T::default()
}

/// An End Flow node.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub struct End {
    /// For people.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Said before.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Variants>,
}
