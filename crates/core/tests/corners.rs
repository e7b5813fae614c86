//! That the random world is rich enough to meet what the rules speak of.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Note;
use interline_core::conversation::input::OperatorAct;
use interline_core::transfer::{Failure, Outcome, Reason, Stage};
use interline_core::{Body, Entry, Input, IntegrationName, Owner, Role, Seq, Speaker};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use support::story::any_story;
use support::world::{Moment, World};

/// What was met, and how often.
#[derive(Debug, Default)]
struct Corners(BTreeMap<&'static str, usize>);

impl Corners {
    fn count(&mut self, what: &'static str, times: usize) {
        *self.0.entry(what).or_default() += times;
    }

    fn met(&mut self, what: &'static str, is: bool) {
        self.count(what, usize::from(is));
    }
}

/// A property that never meets its case proves nothing: the random world must reach every corner that the rules name.
#[test]
fn the_random_world_reaches_every_corner() {
    let rng = TestRng::deterministic_rng(RngAlgorithm::ChaCha);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let mut corners = Corners::default();
    for _ in 0..1_000 {
        let story = any_story().new_tree(&mut runner).unwrap().current();
        let world = World::play(&story);
        for moment in &world.history {
            places(&mut corners, moment);
            retired(&mut corners, moment);
            operators(&mut corners, moment);
        }
        for entry in &world.log {
            entries(&mut corners, &world, entry);
        }
        for hearer in world.hearers.values() {
            corners.met("took over", hearer.participant.took_over);
            corners.met("a third transfer", hearer.participant.transfer.is_some_and(|no| no.0 == 3));
        }
    }
    for (what, times) in &corners.0 {
        assert!(*times >= 10, "{what}: {times} of {corners:?}");
    }
}

fn places(corners: &mut Corners, moment: &Moment) {
    let state = &moment.step.state;
    let transfer = state.transfer.as_ref();
    for (name, of) in [
        ("requested", Stage::Requested),
        ("opening", Stage::Opening),
        ("waiting", Stage::Waiting),
        ("talking", Stage::Talking),
        ("closing", Stage::Closing),
    ] {
        corners.met(name, transfer.is_some_and(|transfer| transfer.stage == of));
    }
    corners.met("closed", state.owner == Owner::Closed);
    corners.met("second rung", transfer.is_some_and(|transfer| transfer.tried > 1));
    corners.count("said while closing", transfer.map_or(0, |transfer| transfer.for_bot.len()));
    corners.count("held", state.held.len());
    corners.met("many held", state.held.len() == 20);
}

fn retired(corners: &mut Corners, moment: &Moment) {
    let Moment { app, before, input, step, .. } = moment;
    let is_retired = |name: &IntegrationName| app.agents.get(name).is_some_and(|agent| agent.retired);
    let transfer = before.transfer.as_ref();
    let rung = transfer.and_then(|transfer| transfer.rung.as_ref());
    let on_it = rung.is_some_and(|rung| is_retired(&rung.target.integration));
    let heard = step.entries.iter().any(|entry| entry.to == Role::Customer);
    corners.met("what is at a retired system goes on", on_it && heard);
    let opens = step.entries.iter().any(|entry| matches!(entry.body, Body::Note(Note::RungOpens(_))));
    let mut ladder = transfer.into_iter().flat_map(|transfer| &transfer.ladder);
    let in_ladder = ladder.any(|target| is_retired(&target.integration));
    corners.met("the ladder leaves a retired system out", opens && in_ladder);
    if let Input::Callback { integration, call: Call::StartAgentSession, .. } = input {
        let refused = before.owner == Owner::Bot && is_retired(integration);
        corners.met("a retired system may not take over", refused);
    }
    let held =
        before.participants.iter().any(|known| known.is_interceptor() && is_retired(&known.integration));
    corners.met("a retired interceptor still holds", held && !before.held.is_empty());
}

fn operators(corners: &mut Corners, moment: &Moment) {
    let Moment { before, step, .. } = moment;
    let Input::Operator { act, .. } = &moment.input else { return };
    let stage = before.transfer.as_ref().map(|transfer| transfer.stage);
    let wrote = |is: fn(&Entry) -> bool| step.entries.iter().any(is);
    let rung_failed = wrote(|entry| matches!(entry.body, Body::Note(Note::RungFailed { .. })));
    let opens = wrote(|entry| matches!(entry.body, Body::Note(Note::RungOpens(_))));
    let tells = wrote(|entry| entry.by == Speaker::System && entry.to == Role::Customer);
    let decided = step.state.held.len() < before.held.len();
    match act {
        OperatorAct::Ends(_) => corners.met("an operator ends a transfer", stage.is_some()),
        OperatorAct::Retries => {
            corners.met("an operator retries in Requested", opens && stage == Some(Stage::Requested));
            corners.met("an operator retries in Opening", opens && stage == Some(Stage::Opening));
            corners.met("an operator retries in Waiting", opens && stage == Some(Stage::Waiting));
            corners.met("an operator retries in vain", !opens && stage.is_some());
        }
        OperatorAct::Says { .. } => corners.met("an operator speaks", before.owner != Owner::Closed),
        OperatorAct::Skips { .. } => {
            corners.met("an operator skips an Open", rung_failed);
            corners.met("an operator skips a held line", decided);
            corners.met("an operator skips a line", !rung_failed && !decided && tells);
        }
        OperatorAct::Drops { .. } => {
            corners.met("an operator drops an agent", rung_failed);
            corners.met("an operator drops an interceptor", decided);
        }
    }
}

fn entries(corners: &mut Corners, world: &World, entry: &Entry) {
    let released = entry.release_of.is_some();
    let bot_line = released && entry.by == Speaker::Bot && entry.to == Role::Customer;
    corners.met("bot line released", bot_line);
    corners.met("released after the bot let go", bot_line && world.owner_at(entry.seq) == Owner::Agent);
    corners.met("customer line released", released && entry.to == Role::Bot);
    let loops = Outcome::Failed(Failure::of(Reason::Loop));
    let Body::Note(note) = &entry.body else { return };
    corners.met("skipped", *note == Note::Skipped);
    corners.met("passed on", *note == Note::PassedOn);
    corners.met("dropped", *note == Note::Dropped);
    corners.met("late", matches!(note, Note::Late { .. }));
    corners.met("loop", *note == Note::TransferEnded(loops));
}

impl World {
    /// Who owned the conversation when an entry was written.
    fn owner_at(&self, seq: Seq) -> Owner {
        let newest = self.log.iter().filter(|entry| entry.seq <= seq).map(|entry| entry.epoch).max();
        newest.and_then(|epoch| self.owners().get(&epoch).copied()).unwrap_or(Owner::Bot)
    }
}
