//! What holds of whatever operators do at random.
#![allow(clippy::unwrap_used)]

mod support;

use interline_core::conversation::entry::Note;
use interline_core::conversation::input::{OperatorAct, Scope};
use interline_core::transfer::{Outcome, Stage};
use interline_core::{Body, Entry, Input, Owner, Role, Seq, Speaker, State};
use proptest::prelude::*;
use support::acts::only_noted;
use support::config;
use support::story::any_story;
use support::world::{Moment, World};

/// The moments in which an operator did something, with the act.
fn acts(world: &World) -> impl Iterator<Item = (&Moment, &OperatorAct)> {
    world.history.iter().filter_map(|moment| match &moment.input {
        Input::Operator { act, .. } => Some((moment, act)),
        _ => None,
    })
}

fn stage(state: &State) -> Option<Stage> {
    state.transfer.as_ref().map(|transfer| transfer.stage)
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn every_act_leaves_one_note_with_who_did_it(story in any_story()) {
        let world = World::play(&story);
        for (moment, act) in acts(&world) {
            let note = Body::Note(Note::Operator { by: "ann".into(), act: act.clone() });
            let noted: Vec<&Entry> = moment.step.entries.iter().filter(|entry| entry.body == note).collect();
            prop_assert_eq!(noted.len(), 1);
            prop_assert_eq!((noted[0].to, noted[0].seq), (Role::Nobody, moment.before.head.next()));
        }
    }

    #[test]
    fn an_act_that_cannot_do_anything_is_only_noted(story in any_story()) {
        let world = World::play(&story);
        for (moment, act) in acts(&world) {
            let before = &moment.before;
            let takes_part = |no| before.participants.iter().any(|known| known.no == no);
            let in_vain = before.owner == Owner::Closed || match act {
                OperatorAct::Ends(Scope::Conversation) | OperatorAct::Says { .. } => false,
                OperatorAct::Ends(Scope::AgentChat) => stage(before).is_none(),
                OperatorAct::Retries => matches!(stage(before), None | Some(Stage::Talking | Stage::Closing)),
                OperatorAct::Skips { participant, .. } | OperatorAct::Drops { participant } => !takes_part(*participant),
            };
            prop_assert!(!in_vain || only_noted(moment), "{:?}", moment.step.entries);
        }
    }

    #[test]
    fn an_operators_word_reaches_the_customer_and_nobody_else(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for (moment, act) in acts(&world) {
            let OperatorAct::Says { name, text } = act else { continue };
            if moment.before.owner == Owner::Closed {
                continue;
            }
            let [_, said] = moment.step.entries.as_slice() else { panic!("{:?}", moment.step.entries) };
            prop_assert_eq!((&said.by, said.to), (&Speaker::Operator { name: name.clone() }, Role::Customer));
            prop_assert!(said.customer_sees() && said.text().is_some_and(|said| said.text == *text));
            let expected = State { head: moment.step.state.head, ..moment.before.clone() };
            prop_assert_eq!(&moment.step.state, &expected);
            prop_assert!(moment.step.participants.is_empty());
        }
        for entry in world.log.iter().filter(|entry| matches!(entry.by, Speaker::Operator { .. })) {
            prop_assert!(entry.to == Role::Customer && entry.release_of.is_none());
            prop_assert!(world.hearers.values().all(|hearer| !hearer.participant.hears(entry)));
        }
    }

    #[test]
    fn a_retry_is_the_same_rung_with_another_session(story in any_story()) {
        let world = World::play(&story);
        for (moment, act) in acts(&world) {
            let (Some(before), OperatorAct::Retries) = (&moment.before.transfer, act) else { continue };
            let Some(rung) = before.rung.as_ref().filter(|_| matches!(before.stage, Stage::Opening | Stage::Waiting)) else { continue };
            if !moment.app.takes_new(&rung.target.integration) {
                prop_assert!(only_noted(moment));
                continue;
            }
            let after = moment.step.state.transfer.as_ref().unwrap();
            let anew = after.rung.as_ref().unwrap();
            prop_assert_eq!((after.no, after.stage, &anew.target), (before.no, Stage::Opening, &rung.target));
            prop_assert_eq!((after.tried, &after.ladder), (before.tried, &before.ladder));
            prop_assert_ne!(anew.participant, rung.participant);
            let [former, new] = moment.step.participants.as_slice() else { panic!("{:?}", moment.step.participants) };
            prop_assert_eq!((former.no, new.no), (rung.participant, anew.participant));
            prop_assert_eq!((new.from, new.to, former.from), (before.first, None, before.first));
        }
    }

    /// Two sessions with one agent system never both stay open: of whatever it had not heard yet, the former one hears
    /// its Close alone.
    #[test]
    fn who_was_retried_hears_its_close_and_nothing_else(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for (moment, act) in acts(&world) {
            let (Some(before), Some(after)) = (&moment.before.transfer, &moment.step.state.transfer) else { continue };
            let (Some(former), OperatorAct::Retries) = (&before.rung, act) else { continue };
            if after.rung.as_ref() == Some(former) {
                continue;
            }
            let hearer = &world.hearers[&former.participant];
            let (after, close) = (moment.before.head, hearer.participant.to.unwrap());
            let hears = world.log.iter().filter(|entry| hearer.participant.hears(entry));
            let hears: Vec<Seq> = hears.map(|entry| entry.seq).collect();
            prop_assert_eq!(hears, [close]);
            let told = Body::Close { participant: former.participant, outcome: Outcome::OperatorEnded };
            prop_assert_eq!(&world.log[usize::try_from(close.0).unwrap() - 1].body, &told);
            // It may have heard the Open and lines before; afterwards it heard the Close, unless that failed.
            let heard: Vec<Seq> = hearer.heard.iter().map(|entry| entry.seq).filter(|seq| *seq > after).collect();
            prop_assert!(heard == [close] || hearer.refused.contains(&close) || hearer.dead, "{:?}", heard);
        }
    }

    #[test]
    fn who_was_dropped_hears_nothing_more(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for (moment, act) in acts(&world) {
            let OperatorAct::Drops { participant } = act else { continue };
            let Some(known) = moment.before.participants.iter().find(|known| known.no == *participant) else { continue };
            let hearer = &world.hearers[participant];
            prop_assert!(hearer.participant.gone);
            prop_assert!(world.log.iter().all(|entry| !hearer.participant.hears(entry)));
            prop_assert!(hearer.heard.iter().all(|entry| entry.seq <= moment.before.head));
            let state = &moment.step.state;
            if known.is_interceptor() {
                // What the bot says to a line that goes on is held anew, for a new session.
                prop_assert!(state.held.iter().all(|held| held.seq > moment.before.head));
            } else {
                let same = |rung: &interline_core::transfer::Rung| rung.participant == *participant;
                prop_assert!(!state.transfer.as_ref().and_then(|transfer| transfer.rung.as_ref()).is_some_and(same));
            }
        }
    }

    /// However often operators retry: once they stop, the transfer ends.
    #[test]
    fn silence_ends_what_was_retried(story in any_story(), retries in 0..20_usize) {
        let mut world = World::play(&story);
        for _ in 0..retries {
            world.does(OperatorAct::Retries);
        }
        world.silence();
        prop_assert_eq!(&world.state.transfer, &None);
    }

    #[test]
    fn a_conversation_that_an_operator_ended_is_over(story in any_story()) {
        let mut world = World::play(&story);
        world.does(OperatorAct::Ends(Scope::Conversation));
        prop_assert_eq!((world.state.owner, &world.state.transfer), (Owner::Closed, &None));
        prop_assert!(world.state.held.is_empty() && world.state.participants.is_empty());
    }
}
