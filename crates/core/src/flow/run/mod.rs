//! The interpreter: one event goes in, acts come out. Pure; the same arguments give the same acts.
//!
//! ```text
//!   Event ─► where does it go on? ─► node ─► node ─► … ─► it waits, listens, hands over or ends
//!                (this file, input.rs)    (nodes.rs, script.rs, transfer.rs)
//! ```
//!
//! A node that fails goes to its error exit (`fail`), and where there is none to a polite end: whatever a flow says, a
//! conversation is never left without a way on.

mod input;
mod nodes;
mod script;
mod transfer;

use crate::conversation::entry::{Note, Recording, Text};
use crate::conversation::facts::{Facts, Standing, Tag, TaskRun};
use crate::conversation::state::Customer;
use crate::flow::document::{Flow, FlowName, NodeId, OnFailure};
use crate::flow::expects::{Asks, Expects, Takes, VoiceProperties};
use crate::flow::flows::Place;
use crate::flow::memory::{At, Memory, Wait};
use crate::flow::prompt::{Spoken, Variants};
use crate::flow::scope::Scope;
use crate::flow::script as scripts;
use crate::flow::work::Work;
use crate::transfer::Outcome;
use crate::{App, ConversationId, Time};

/// What the bot is told.
#[derive(Debug, Clone, PartialEq)]
pub enum Event<'a> {
    /// The customer opened the chat, or called.
    Started,
    /// The customer said something.
    Said(&'a Text),
    /// The customer said nothing for as long as was waited.
    NoInput,
    /// A deadline may have passed.
    Tick,
    /// What came of a piece of work.
    Worked {
        /// Which.
        no: u64,
        /// What.
        outcome: &'a crate::flow::work::Outcome,
    },
    /// A human part is over; `place` is the transfer node that began it.
    Returned {
        /// The transfer node; none when the agent's side began by itself.
        place: Option<&'a Place>,
        /// How it ended.
        outcome: &'a Outcome,
    },
    /// The caller hung up: the Exit flow runs.
    HungUp,
    /// The customer is in a queue: this flow runs meanwhile.
    Queued(&'a FlowName),
}

/// What the bot does.
#[derive(Debug, Clone, PartialEq)]
pub enum Act {
    /// Says this.
    Say(Text),
    /// Does this on the call.
    Voice(scripts::Voice),
    /// Gives out a piece of work.
    Work(Work),
    /// For the timeline.
    Note(Note),
    /// A task came to its end.
    Task(TaskRun),
    /// A tag was set.
    Tag(Tag),
    /// Hands over, by this node. Always the last act.
    Transfer(Place),
    /// Ends the conversation. Always the last act.
    End,
}

/// A script's answer is needed first: run it, and step again from the same state with the answer added.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("a script of flow {}, node {} has to run first", .0.flow, .0.node)]
pub struct NeedScript(pub Box<scripts::Call>);

/// The answers of scripts that ran for this input already, in the order in which they are needed.
#[derive(Debug, Clone, Copy)]
pub struct Answers<'a> {
    all: &'a [scripts::Answer],
    used: usize,
}

impl<'a> Answers<'a> {
    /// These, none of them used yet.
    pub fn new(all: &'a [scripts::Answer]) -> Self {
        Self { all, used: 0 }
    }

    /// So many were used.
    pub fn used(&self) -> usize {
        self.used
    }

    fn next(&mut self) -> Option<&'a scripts::Answer> {
        let next = self.all.get(self.used)?;
        self.used += 1;
        Some(next)
    }
}

/// What a run knows and does not change.
#[derive(Debug, Clone, Copy)]
pub struct Around<'a> {
    /// The app, with the flows that the conversation keeps.
    pub app: &'a App,
    /// The conversation.
    pub conversation: &'a ConversationId,
    /// The person.
    pub customer: &'a Customer,
    /// When.
    pub now: Time,
    /// The only randomness there is.
    pub seed: u64,
    /// It is a transfer's in-queue flow: it hands nothing over and ends nothing.
    pub in_queue: bool,
}

/// A flow that goes in circles without waiting for anybody is cut after so many nodes, or after so many lines.
const MOST_NODES: usize = 1_000;
const MOST_LINES: usize = 64;
/// Each script that a step needs is a step from its beginning: so many may run in one.
const MOST_SCRIPTS: u64 = 32;

/// Runs the flow for one event. `at` is where it waits: the memory's, or the transfer's for an in-queue flow.
///
/// # Errors
/// A script has to run first. Memory and facts are of no use then: begin again from what they were.
pub fn run(
    around: Around<'_>,
    memory: &mut Memory,
    at: &mut Option<At>,
    facts: &mut Facts,
    answers: &mut Answers<'_>,
    event: &Event<'_>,
) -> Result<Vec<Act>, NeedScript> {
    let waiting = at.take();
    let entry = || {
        let asked = around.customer.connection.flow.as_ref();
        around.app.flows.entry(&around.customer.channel, asked).cloned()
    };
    let known = waiting.as_ref().map(|at| at.place.flow.clone()).or_else(|| memory.flow.clone());
    let flow = known.or_else(entry);
    let then = waiting.as_ref().and_then(|at| at.then.clone());
    let mut machine = Machine {
        around,
        memory,
        facts,
        answers,
        acts: Vec::new(),
        flow,
        then,
        at: None,
        pending: Vec::new(),
        nodes: 0,
        lines: 0,
        scripts: 0,
        said: match event {
            Event::Said(text) => Some(text),
            _ => None,
        },
    };
    let go = machine.begin(waiting, event)?;
    machine.go(go)?;
    let Machine { acts, at: now_at, flow, .. } = machine;
    *at = now_at;
    if !around.in_queue {
        memory.flow = flow;
    }
    Ok(acts)
}

/// Where it goes on.
#[derive(Debug)]
enum Go {
    /// At this node of the current flow; none: the path ends, and the flow listens.
    Node(Option<NodeId>),
    /// At the start of another flow.
    Flow(FlowName),
    /// It waits, where `at` says.
    Wait,
    /// Nothing more in this step.
    Stop,
    /// The node failed, because of this.
    Fail(NodeId, String),
}

impl Go {
    fn to(node: &NodeId) -> Self {
        Self::Node(Some(node.clone()))
    }
}

/// A run under way.
struct Machine<'a, 'b, 'c> {
    around: Around<'a>,
    memory: &'b mut Memory,
    facts: &'b mut Facts,
    answers: &'b mut Answers<'c>,
    acts: Vec<Act>,
    /// The flow it is in.
    flow: Option<FlowName>,
    /// It runs before this transfer.
    then: Option<Place>,
    at: Option<At>,
    /// What the customer said while the bot was at work.
    pending: Vec<String>,
    nodes: usize,
    lines: usize,
    scripts: u64,
    said: Option<&'b Text>,
}

impl<'a> Machine<'a, '_, '_> {
    fn go(&mut self, mut go: Go) -> Result<(), NeedScript> {
        loop {
            go = match go {
                Go::Stop => return Ok(()),
                Go::Wait => match self.next_pending() {
                    Some(go) => go,
                    None => return Ok(()),
                },
                Go::Node(None) => self.path_ends(),
                Go::Flow(name) => match self.flows().get(&name) {
                    Some(flow) => {
                        self.flow = Some(name);
                        Go::to(&flow.start)
                    }
                    None => Go::Fail(NodeId::from("start"), format!("there is no published flow `{name}`")),
                },
                Go::Node(Some(id)) => {
                    self.nodes += 1;
                    if self.nodes > MOST_NODES || self.lines >= MOST_LINES {
                        self.give_up(&id, "the flow goes in circles without waiting for anybody");
                        return Ok(());
                    }
                    self.node(&id)?
                }
                Go::Fail(id, why) => {
                    self.nodes += 1;
                    if self.nodes > MOST_NODES || self.lines >= MOST_LINES {
                        self.give_up(&id, &why);
                        return Ok(());
                    }
                    self.fail(&id, &why)?
                }
            };
        }
    }

    /// A path ended without an End node.
    fn path_ends(&mut self) -> Go {
        if let Some(place) = self.then.take() {
            return self.hand_over(place);
        }
        if self.around.in_queue {
            return Go::Stop;
        }
        self.expect(None, Takes::Anything, false, None, &VoiceProperties::default());
        Go::Stop
    }

    /// A node failed: its own error exit, else the flow's, else a polite end.
    fn fail(&mut self, id: &NodeId, why: &str) -> Result<Go, NeedScript> {
        self.note_failure(id, why);
        let flow = self.current();
        let own = flow.and_then(|flow| flow.nodes.get(id)).and_then(|node| node.on_error());
        let paths: [Option<&OnFailure>; 2] = [own, flow.map(|flow| &flow.on_error)];
        let path = paths.into_iter().flatten().find(|path| !path.is_empty());
        match path {
            Some(path) => {
                if let Some(message) = &path.message {
                    self.say_plainly(message);
                }
                match &path.go_to {
                    Some(node) => Ok(Go::to(node)),
                    None => Ok(self.polite_end()),
                }
            }
            None => {
                let text = self.around.app.texts.flow_failed.clone();
                self.say(Text::plain(text));
                Ok(self.polite_end())
            }
        }
    }

    /// After the words of regret. Who was to be handed over is; a call ends, because nobody would say anything more on it; a
    /// chat goes on with the next line.
    fn polite_end(&mut self) -> Go {
        if let Some(place) = self.then.take() {
            return self.hand_over(place);
        }
        let ends = self.around.customer.connection.is_call || self.around.customer.connection.takes_turns;
        if ends && !self.around.in_queue {
            self.acts.push(Act::End);
        }
        Go::Stop
    }

    /// What fails for good, whatever the flow says about it.
    fn give_up(&mut self, id: &NodeId, why: &str) {
        self.note_failure(id, why);
        self.acts.push(Act::Say(Text::plain(self.around.app.texts.flow_failed.clone())));
        // Stops at once, or hands over.
        let _ = self.polite_end();
    }

    fn note_failure(&mut self, id: &NodeId, why: &str) {
        self.facts.standing = Standing::Failed;
        let place = self.place(id);
        self.acts.push(Act::Note(Note::FlowFailed { place, why: brief(why) }));
    }

    // ── saying ───────────────────────────────────────────────────────────────────────────────────────────────────

    fn say(&mut self, text: Text) {
        if !text.is_empty() {
            self.lines += 1;
            self.acts.push(Act::Say(text));
        }
    }

    /// Says one of several. A script's value is what is said, where it is not empty.
    fn say_one(&mut self, node: &NodeId, variants: &Variants) -> Result<Result<(), String>, NeedScript> {
        let Some(spoken) = variants.pick(self.around.seed).cloned() else { return Ok(Ok(())) };
        if let Spoken::Media(media) = &spoken
            && let Some(source) = &media.script
        {
            let done = match self.script(node, source)? {
                Ok(done) => done,
                Err(why) => return Ok(Err(why)),
            };
            let value = crate::flow::scope::plain(&done.value);
            if !value.is_empty() {
                self.say(Text::plain(value));
            }
            return Ok(Ok(()));
        }
        let text = self.spoken(&spoken);
        self.say(text);
        Ok(Ok(()))
    }

    /// Says one of several, without its script.
    fn say_plainly(&mut self, variants: &Variants) {
        if let Some(spoken) = variants.pick(self.around.seed) {
            let text = self.spoken(spoken);
            self.say(text);
        }
    }

    fn spoken(&self, spoken: &Spoken) -> Text {
        let scope = self.scope();
        match spoken {
            Spoken::Text(text) => Text::plain(scope.fill(text)),
            Spoken::Media(media) => {
                let recording = match (&media.audio, &media.link) {
                    (Some(name), _) => Some(Recording::Audio(name.clone())),
                    (None, Some(link)) => Some(Recording::Link(scope.fill(link))),
                    (None, None) => None,
                };
                Text { recording, ..Text::plain(scope.fill(&media.text)) }
            }
        }
    }

    // ── waiting ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// What the customer is asked for from here on.
    fn expect(
        &mut self,
        node: Option<&NodeId>,
        takes: Takes,
        barge_in: bool,
        timeout_ms: Option<u64>,
        voice: &VoiceProperties,
    ) {
        if !self.around.customer.connection.takes_turns {
            return;
        }
        let below = self.current().map(|flow| flow.voice.clone()).unwrap_or_default();
        let voice = voice.over(&below);
        let asks = Asks { node: node.cloned(), takes, barge_in, timeout_ms, voice };
        self.memory.turn = Some(Expects::Input(Box::new(asks)));
    }

    fn wait(&mut self, id: &NodeId, wait: Wait, until: Option<Time>) -> Go {
        let pending = std::mem::take(&mut self.pending);
        let place = self.place(id);
        self.at = Some(At { place, wait, until, then: self.then.clone(), pending });
        if !self.around.in_queue {
            self.facts.standing = Standing::Midway;
        }
        Go::Wait
    }

    // ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn flows(&self) -> &'a crate::flow::Flows {
        &self.around.app.flows
    }

    fn current(&self) -> Option<&'a Flow> {
        self.flows().get(self.flow.as_ref()?)
    }

    fn place(&self, id: &NodeId) -> Place {
        let flow = self.flow.clone().unwrap_or_else(|| FlowName::from(crate::flow::MAIN));
        Place { flow, node: id.clone() }
    }

    fn scope(&self) -> Scope<'_> {
        let Around { app, conversation, customer, .. } = self.around;
        Scope::new(app, conversation, customer, self.memory, self.said)
    }
}

/// The longest reason that is noted, in bytes.
const LONGEST_WHY: usize = 400;

fn brief(why: &str) -> String {
    why[..why.floor_char_boundary(LONGEST_WHY)].to_owned()
}
