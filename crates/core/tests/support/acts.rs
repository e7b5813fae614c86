//! What people and systems do in the example stories, in a word each.

use std::sync::Arc;

use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::{Note, Text};
use interline_core::conversation::input::{AgentEvent, DeliveryResult, OperatorAct};
use interline_core::transfer::{Failure, Reason};
use interline_core::{App, Body, Input, ParticipantNo, State};

use super::world::{Moment, World, operator};

impl World {
    pub fn customer(&mut self, text: &str) {
        self.step(Input::CustomerSaid(Text::plain(text)));
    }

    pub fn rung(&self) -> ParticipantNo {
        self.state.transfer.as_ref().unwrap().rung.as_ref().unwrap().participant
    }

    pub fn agent(&mut self, event: AgentEvent) {
        let participant = self.rung();
        self.step(Input::Agent { participant, event });
    }

    pub fn agent_says(&mut self, text: &str) {
        self.agent(AgentEvent::Said { text: Text::plain(text), name: Some("Kim".into()) });
    }

    pub fn joins(&mut self) {
        self.agent(AgentEvent::Joined { name: Some("Kim".into()) });
    }

    pub fn calls(&mut self, at: usize, call: Call) {
        let id = self.ids[at].clone();
        let integration = self.hearers[&id.participant].participant.integration.clone();
        self.step(Input::Callback { integration, id, call });
    }

    pub fn open_refused(&mut self, reason: Reason) {
        let participant = self.rung();
        let seq = self.state.transfer.as_ref().unwrap().first;
        let result = DeliveryResult::Refused(Failure::of(reason));
        self.step(Input::Delivery { participant, seq, result });
    }

    pub fn heard_by(&self, no: u32) -> Vec<&str> {
        let heard = &self.hearers[&ParticipantNo(no)].heard;
        heard.iter().filter_map(|entry| entry.text()).map(|text| text.text.as_str()).collect()
    }

    pub fn does(&mut self, act: OperatorAct) -> &Moment {
        self.step(operator(act))
    }

    pub fn notes(&self) -> Vec<&Note> {
        self.log
            .iter()
            .filter_map(|entry| match &entry.body {
                Body::Note(note) => Some(note),
                _ => None,
            })
            .collect()
    }

    /// Whether a participant was told that its part is over.
    pub fn was_closed(&self, no: u32) -> bool {
        let heard = &self.hearers[&ParticipantNo(no)].heard;
        heard.iter().any(|entry| matches!(entry.body, Body::Close { .. }))
    }

    pub fn retires(&mut self, name: &str, retired: bool) {
        Arc::make_mut(&mut self.app).agents.get_mut(&name.into()).unwrap().retired = retired;
    }

    pub fn passes(&mut self, ms: u64) {
        self.now = self.now.plus(ms);
        self.step(Input::Tick);
    }
}

pub fn say(text: &str) -> Text {
    Text::plain(text)
}

pub fn begun(app: App) -> World {
    let mut world = World::new(app);
    world.step(Input::Connected);
    world
}

/// Nothing came of an act but its note.
pub fn only_noted(moment: &Moment) -> bool {
    let Moment { before, step, .. } = moment;
    let expected = State { head: before.head.next(), ..before.clone() };
    step.state == expected && step.participants.is_empty() && step.entries.len() == 1
}
