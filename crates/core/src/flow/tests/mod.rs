//! What flows do, node by node and exit by exit.
#![allow(clippy::unwrap_used)]

mod checked;
mod golden;
mod inputs;
mod listens;
mod nodes;
mod open;
mod random;
mod scripts;
mod works;

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::memory::At;
use super::*;
use crate::app::{AgentSystem, App};
use crate::conversation::connection::Connection;
use crate::conversation::entry::{Note, Text};
use crate::conversation::facts::Facts;
use crate::conversation::state::Customer;
use crate::{ConversationId, Time};

/// A bot and one customer of it.
pub struct Stage {
    pub app: App,
    pub customer: Customer,
    pub memory: Memory,
    pub at: Option<At>,
    pub facts: Facts,
    pub now: Time,
    pub seed: u64,
    pub answers: Vec<script::Answer>,
    /// The scripts that were asked for.
    pub asked: Vec<script::Call>,
    conversation: ConversationId,
}

impl Stage {
    /// With this as `main`.
    pub fn new(main: Value) -> Self {
        Self::with(json!({ "main": main }))
    }

    /// With these flows.
    pub fn with(flows: Value) -> Self {
        let all: BTreeMap<FlowName, Flow> = serde_json::from_value(flows).unwrap();
        let app = App {
            flows: Flows { all, ..Flows::default() }.into(),
            agents: [("desk".into(), AgentSystem::default())].into(),
            default_agent: Some("desk".into()),
            bots: ["clever".into()].into(),
            ..App::default()
        };
        let customer = Customer {
            id: "cus_01".into(),
            channel: "web".into(),
            address: "ann".into(),
            profile: Default::default(),
            connection: Connection::default(),
        };
        Self {
            app,
            customer,
            memory: Memory::default(),
            at: None,
            facts: Facts::default(),
            now: Time(0),
            seed: 0,
            answers: Vec::new(),
            asked: Vec::new(),
            conversation: "cnv_01".into(),
        }
    }

    /// The same on a call.
    pub fn call(mut self) -> Self {
        let turns =
            Connection { is_call: true, takes_turns: true, times_input: true, ..Connection::default() };
        self.customer.connection = turns;
        self
    }

    pub fn hears(&mut self, event: &Event<'_>) -> Vec<Act> {
        loop {
            let (memory, facts, at) = (self.memory.clone(), self.facts.clone(), self.at.clone());
            let around = Around {
                app: &self.app,
                conversation: &self.conversation,
                customer: &self.customer,
                now: self.now,
                seed: self.seed,
                in_queue: matches!(event, Event::Queued(_)),
            };
            let mut answers = Answers::new(&self.answers);
            match run(around, &mut self.memory, &mut self.at, &mut self.facts, &mut answers, event) {
                Ok(acts) => {
                    self.answers.clear();
                    return acts;
                }
                Err(NeedScript(call)) => {
                    (self.memory, self.facts, self.at) = (memory, facts, at);
                    let answer = script_of(&call);
                    self.asked.push(*call);
                    self.answers.push(answer);
                }
            }
        }
    }

    /// What the bot does when it begins, in short.
    pub fn starts(&mut self) -> Vec<String> {
        let acts = self.hears(&Event::Started);
        acts.iter().filter_map(short).collect()
    }

    pub fn says(&mut self, text: &str) -> Vec<String> {
        let acts = self.hears(&Event::Said(&Text::plain(text)));
        acts.iter().filter_map(short).collect()
    }

    pub fn is_silent(&mut self) -> Vec<String> {
        let acts = self.hears(&Event::NoInput);
        acts.iter().filter_map(short).collect()
    }

    pub fn passes(&mut self, ms: u64) -> Vec<String> {
        self.now = self.now.plus(ms);
        let acts = self.hears(&Event::Tick);
        acts.iter().filter_map(short).collect()
    }

    pub fn works(&mut self, outcome: &work::Outcome) -> Vec<String> {
        let no = self.memory.works;
        let acts = self.hears(&Event::Worked { no, outcome });
        acts.iter().filter_map(short).collect()
    }
}

/// A stand-in for scripts: the source says what comes of it, as JSON; `fail` fails.
fn script_of(call: &script::Call) -> script::Answer {
    match serde_json::from_str(&call.source) {
        Ok(done) => script::Answer::Done(done),
        Err(_) => script::Answer::Failed(script::Fault {
            flow: call.flow.clone(),
            node: call.node.clone(),
            line: Some(1),
            why: script::Why::Threw,
            message: "it threw".into(),
        }),
    }
}

/// An act in short. What is only counted is left out.
fn short(act: &Act) -> Option<String> {
    Some(match act {
        Act::Say(text) => text.text.clone(),
        Act::Voice(command) => format!("voice: {command:?}"),
        Act::Work(work) => format!("work: {}", serde_json::to_value(&work.task).unwrap()),
        Act::Note(Note::FlowFailed { place, why }) => format!("failed at {}: {why}", place.node),
        Act::Transfer(place) => format!("transfer by {}.{}", place.flow, place.node),
        Act::End => "end".into(),
        Act::Note(_) | Act::Task(_) | Act::Tag(_) => return None,
    })
}

/// A flow that begins at `start` with these nodes, and ends at `end`.
fn begins(start: &str, nodes: Value) -> Value {
    let mut nodes = nodes;
    for (name, text) in [("yes", "yes"), ("no", "no"), ("oops", "oops")] {
        nodes[name] = json!({ "message": { "text": text, "next": "end" } });
    }
    nodes["end"] = json!({ "end": {} });
    json!({ "start": start, "nodes": nodes })
}
