//! What a script is asked and what it answers. Types only: scripts themselves run elsewhere (`crates/scripts`).
//!
//! ```text
//!   step ──► Call ──► a script thread ──► Answer ──► stored with the input ──► step again, from the same state
//! ```
//!
//! Time and randomness of a script come from the call. What a script sets takes effect in one place, the interpreter,
//! from the [`Answer`]: so a replay needs no script engine, and a script that fails has changed nothing.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{NodeId, Private};
use crate::Time;

/// The longest script, in bytes.
pub const MOST_SOURCE: usize = 64 * 1024;
/// What one run may answer, in bytes of JSON: value, changes and effects together. Beside it the state document, of at
/// most 256 kB, has to hold what earlier runs left.
pub const MOST_ANSWER: usize = 64 * 1024;
/// So many effects of one run.
pub const MOST_EFFECTS: usize = 64;
/// So many lines of [`Done::log`], each of so many bytes.
pub const MOST_LOG: usize = 20;
/// The longest line of [`Done::log`] and the longest message of a [`Fault`], in bytes.
pub const LONGEST_LINE: usize = 300;

/// One run of a script.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The flow, for error messages.
    pub flow: String,
    /// The node, for error messages.
    pub node: NodeId,
    /// The script.
    pub source: Arc<str>,
    /// What it sees.
    pub scope: Scope,
    /// What its `Date` says.
    pub now: Time,
    /// Where its `Math.random` begins.
    pub seed: u64,
}

/// What scripts and `{{…}}` in texts see.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Scope {
    /// `context`: flow variables by name, beside what the conversation knows ([`RESERVED`] names it).
    ///
    /// `session.BotUserSession` and `session.UserSession` are the two stores that outlive the flow; scripts find them
    /// directly under `context` too, and need not be given twice.
    pub context: Map<String, Value>,
    /// `content`: texts that the app defines.
    #[serde(default)]
    pub content: Map<String, Value>,
    /// `env`: settings that the app defines.
    #[serde(default)]
    pub env: Map<String, Value>,
    /// What `agentUtils.getBotLanguage()` says until the script sets another: `en`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub language: Option<String>,
}

/// Names under `context` that are no flow variables. A script may write there, but nothing of it is kept, except in the
/// two stores of `session`.
pub const RESERVED: [&str; 6] =
    ["session", "BotUserSession", "UserSession", "UserContext", "steps", "childBotsContext"];

/// What came of a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It ran to its end.
    Done(Done),
    /// It did not, and has changed nothing.
    Failed(Fault),
}

/// What a script that ran to its end leaves.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// Its last expression, or what it returned. What is not JSON is null.
    pub value: Value,
    /// Flow variables that it changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub variables: Changes,
    /// Values of the bot's session that it changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub bot_user_session: Changes,
    /// Values of the person's session that it changed.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub user_session: Changes,
    /// What it asked for, in its order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub effects: Vec<Effect>,
    /// What it wrote to its log, and what was ignored of its calls and why: for whoever writes the script.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub log: Vec<String>,
}

/// Changed values by name.
pub type Changes = BTreeMap<String, Change>;

/// What became of one value. (A value may well be null, so "deleted" is a word of its own.)
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// It is this now.
    Put(Value),
    /// It is gone.
    Deleted,
}

/// Makes changes in the values that they are about.
pub fn apply(changes: &Changes, values: &mut Map<String, Value>) {
    for (name, change) in changes {
        match change {
            Change::Put(value) => _ = values.insert(name.clone(), value.clone()),
            Change::Deleted => _ = values.remove(name),
        }
    }
}

/// Why a script did not run to its end.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The flow.
    pub flow: String,
    /// The node.
    pub node: NodeId,
    /// The line in the script, from 1, where that is known. (`throw "text"` leaves none: only errors carry one.)
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub line: Option<u32>,
    /// What went wrong.
    pub why: Why,
    /// In words, at most [`LONGEST_LINE`] bytes. It may quote the script's own texts, so it is for the flow's author
    /// and not for a log file.
    pub message: String,
}

/// What went wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Why {
    /// It is no JavaScript.
    Syntax,
    /// It threw.
    Threw,
    /// It reached a limit.
    Limit(Limit),
    /// No script thread was free for a long time.
    Busy,
    /// A fault of ours.
    Internal,
}

/// The limits of a script.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Limit {
    /// Longer than [`MOST_SOURCE`].
    Source,
    /// Interpreter ticks: about 50 ms of work.
    Ticks,
    /// The clock: it worked for seconds inside few ticks.
    Time,
    /// 16 MB.
    Memory,
    /// Calls within calls.
    Stack,
    /// [`MOST_ANSWER`] or [`MOST_EFFECTS`].
    Answer,
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "flow {}, node {}", self.flow, self.node)?;
        if let Some(line) = self.line {
            write!(f, ", line {line}")?;
        }
        write!(f, ": {}", self.message)
    }
}

/// What a script asked for. One variant per setter; those for variables are [`Changes`] instead.
///
/// What `agentUtils` sets counts for the next transfer; a later call of the same setter replaces an earlier one.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "set", rename_all = "snake_case", deny_unknown_fields)]
pub enum Effect {
    /// `agentUtils.setTransferSipURI(uri)`
    TransferSipUri {
        /// `sip:+123344234000@2.3.4.5:5060`
        uri: String,
    },
    /// `agentUtils.setTransferPhoneNumber(num)`
    TransferPhoneNumber {
        /// `+12345434000`
        number: String,
    },
    /// `agentUtils.setReferredBy(num)`
    ReferredBy {
        /// `+1902323242424`
        number: String,
    },
    /// `agentUtils.setUserInfo(obj)`: added to what is known of the customer.
    UserInfo {
        /// Free names; usual are `firstName`, `lastName`, `email`, `phoneNumber`, `country`, `city`, `Unit Address`.
        info: Map<String, Value>,
    },
    /// `agentUtils.setBotLanguage(code)`
    BotLanguage {
        /// `en`
        code: String,
    },
    /// `agentUtils.setUserPreferredLanguage(code)`: for translation.
    UserLanguage {
        /// `fr`
        code: String,
    },
    /// `agentUtils.setQueue(x)`
    Queue {
        /// Id or name.
        queue: String,
    },
    /// `agentUtils.setPriority(n)`
    Priority {
        /// 0 (first) to 10. An invalid one is ignored, and [`PRIORITY`] set in its place.
        priority: u8,
    },
    /// `agentUtils.setLiveChatAgentOutGoingSetup({name, config})`: the agent system of the next transfer.
    AgentSystem {
        /// Its name.
        name: String,
        /// Its settings. They may hold secrets, and a change of host uses no others than these.
        #[serde(default, skip_serializing_if = "Private::is_nothing")]
        config: Private,
    },
    /// `agentUtils.setNamedAgents([ids], {waitForAgent, waitDurationSeconds})`: only these agents.
    NamedAgents {
        /// Their ids.
        ids: Vec<String>,
        /// How long to wait for them before anybody may take it, seconds; none: not at all.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        wait_seconds: Option<u32>,
    },
    /// `agentUtils.setAgentMatchingConditions({skills, agentGroups, skillGroups})`
    AgentMatching {
        /// Skill ids.
        #[serde(default)]
        skills: Vec<String>,
        /// Group ids.
        #[serde(default)]
        agent_groups: Vec<String>,
        /// Skill group ids.
        #[serde(default)]
        skill_groups: Vec<String>,
    },
    /// `agentUtils.setWaitingExperience(id)`
    WaitingExperience {
        /// Its id.
        id: String,
    },
    /// `agentUtils.setExternalAgentRecordingControl({record})`: recording of the leg with an external agent.
    ExternalAgentRecording {
        /// What to do.
        record: Recording,
    },
    /// `agentUtils.setAgentRecordingControl({record})`: recording with an agent of the platform.
    AgentRecording {
        /// What to do.
        record: Recording,
    },
    /// `agentUtils.setAgentTranscribe({transcribe})`
    AgentTranscribe {
        /// Whether the agent sees a transcript.
        transcribe: bool,
    },
    /// `userSessionUtils.setConversationType(type)`
    ConversationType {
        /// `voiceChat`
        kind: String,
    },
    /// `userSessionUtils.setLanguageTranslationAPIKey(key)`. The key is a secret that nothing here has a use for: it is not
    /// kept.
    TranslationKey {},
    /// `userSessionUtils.setVoiceChatAgentLang(code)`
    VoiceChatAgentLanguage {
        /// `en`
        code: String,
    },
    /// `userSessionUtils.setVoiceChatUserLang(code)`
    VoiceChatUserLanguage {
        /// `de`
        code: String,
    },
    /// `print(text)`: says it to the customer.
    Print {
        /// The words.
        text: String,
    },
    /// `voiceUtils.…`
    Voice {
        /// What to do on the call.
        command: Voice,
    },
}

/// The priority of a transfer that nobody gave another.
pub const PRIORITY: u8 = 5;

/// What becomes of a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Recording {
    /// It begins.
    Start,
    /// It ends.
    Stop,
    /// It rests.
    Pause,
    /// It goes on.
    Resume,
}

/// SIP headers, by name, in the case they were given.
pub type Headers = BTreeMap<String, String>;

/// A message on a call: texts and addresses of audio files, in order. Empty: none.
pub type Spoken = Vec<String>;

/// What `voiceUtils` asks for. `queue`: after what was asked before; else all that is dropped and this done at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case", deny_unknown_fields)]
pub enum Voice {
    /// `hangup(message?, headers?, queueCommand = true)`: BYE with headers.
    Hangup {
        /// Played before.
        message: Spoken,
        /// On the BYE.
        headers: Headers,
        /// See [`Voice`].
        queue: bool,
    },
    /// `refer(message?, referTo, headers?, queueCommand = true, referredBy?)`
    Refer {
        /// Played before.
        message: Spoken,
        /// A SIP URI or a telephone number.
        refer_to: String,
        /// On the REFER.
        headers: Headers,
        /// See [`Voice`].
        queue: bool,
        /// A SIP URI or a telephone number; none: the party that is being transferred.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        referred_by: Option<String>,
    },
    /// `invite(message?, callerId, target, headers?, queueCommand = true)`: the call goes on when the third party left.
    Invite {
        /// Played before.
        message: Spoken,
        /// The bot's number, E.164.
        caller_id: String,
        /// A SIP URI or a telephone number.
        target: String,
        /// On the INVITE.
        headers: Headers,
        /// See [`Voice`].
        queue: bool,
    },
    /// `transfer({number})`
    Transfer {
        /// E.164.
        number: String,
    },
    /// `abortPrompt(message?)`: cancels running and queued prompts.
    AbortPrompt {
        /// Played then.
        message: Spoken,
    },
    /// `sendDTMF(dtmf, duration = 500)`
    SendDtmf {
        /// 0-9 * #
        digits: String,
        /// Milliseconds for each digit.
        duration_ms: u32,
    },
    /// `pauseAndPlay(length = 3, message?)`
    PauseAndPlay {
        /// Milliseconds of silence.
        pause_ms: u32,
        /// Played then.
        message: Spoken,
    },
    /// `play(message)`
    Play {
        /// Played.
        message: Spoken,
    },
    /// `voicemail(message, beepRequired = false, transcriptionRequired = false, notifyUrl, metaInfo?, callControlParams?)`
    Voicemail {
        /// Played before.
        message: Spoken,
        /// A beep after it.
        beep: bool,
        /// Whether what was said is wanted as text.
        transcription: bool,
        /// Who is told.
        notify: Notify,
        /// Told along.
        meta: Map<String, Value>,
        /// Call control parameters.
        parameters: Map<String, Value>,
    },
}

/// Who is told of a voicemail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Notify {
    /// An address; it passes the address guard like any other.
    pub url: String,
    /// HTTP headers. They may hold secrets.
    #[serde(default, skip_serializing_if = "Private::is_nothing")]
    pub headers: Private,
}

impl Answer {
    /// What may hold secrets: the engine seals it before it stores the answer.
    pub fn private(&mut self) -> impl Iterator<Item = &mut Private> {
        let effects = match self {
            Self::Done(done) => done.effects.as_mut_slice(),
            Self::Failed(_) => &mut [],
        };
        effects.iter_mut().filter_map(|effect| {
            if let Effect::AgentSystem { config: fields, .. }
            | Effect::Voice {
                command: Voice::Voicemail { notify: Notify { headers: fields, .. }, .. },
            } = effect
            {
                Some(fields)
            } else {
                None
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn null_and_deleted_are_two_things() {
        let changes: Changes =
            [("a".to_owned(), Change::Put(Value::Null)), ("b".to_owned(), Change::Deleted)].into();
        let stored = serde_json::to_string(&changes).expect("JSON");
        let changes: Changes = serde_json::from_str(&stored).expect("read back");
        let mut values = json!({ "a": 1, "b": 2, "c": 3 }).as_object().cloned().expect("an object");
        apply(&changes, &mut values);
        assert_eq!(Value::Object(values), json!({ "a": null, "c": 3 }));
    }

    #[test]
    fn an_answer_reads_back_as_it_was_stored() {
        let voice = Voice::SendDtmf { digits: "1#".into(), duration_ms: 500 };
        let effects = vec![
            Effect::Priority { priority: PRIORITY },
            Effect::TranslationKey {},
            Effect::Voice { command: voice },
        ];
        let answer = Answer::Done(Done { value: json!([1]), effects, ..Done::default() });
        let stored = serde_json::to_value(&answer).expect("JSON");
        assert_eq!(stored["done"]["effects"][0], json!({ "set": "priority", "priority": 5 }));
        assert_eq!(serde_json::from_value::<Answer>(stored).expect("read back"), answer);
    }

    #[test]
    fn all_that_may_be_secret_is_found() {
        let effects = json!([
            { "set": "queue", "queue": "q" },
            { "set": "agent_system", "name": "a", "config": { "key": "hunter2" } },
            { "set": "voice", "command": { "do": "voicemail", "message": ["Speak"], "beep": false,
                "transcription": false, "notify": { "url": "https://x.test", "headers": { "auth": "hunter3" } },
                "meta": {}, "parameters": {} } },
        ]);
        let mut answer: Answer =
            serde_json::from_value(json!({ "done": { "effects": effects } })).expect("an answer");
        assert_eq!(answer.private().filter(|fields| matches!(fields, Private::Clear(_))).count(), 2);
        let stored = serde_json::to_string(&answer).expect("JSON");
        assert!(!stored.contains("hunter"), "{stored}");
    }

    #[test]
    fn a_fault_says_where() {
        let fault = Fault {
            flow: "main".into(),
            node: "hello".into(),
            line: Some(3),
            why: Why::Threw,
            message: "TypeError: not a function".into(),
        };
        assert_eq!(fault.to_string(), "flow main, node hello, line 3: TypeError: not a function");
    }
}
