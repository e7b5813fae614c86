//! What BotKits call back, with ids of any age.
#![allow(clippy::unwrap_used)]

mod support;

use interline_core::conversation::classify::{Call, Meaning, classify};
use interline_core::conversation::entry::Text;
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::transfer::Stage;
use interline_core::{Body, Entry, Input, IntegrationName, Owner, Role, Speaker, State, step};
use proptest::prelude::*;
use support::config;
use support::story::any_story;
use support::world::{Moment, World};

proptest! {
    #![proptest_config(config())]

    /// The rule of the design page, said in another way than the code says it.
    #[test]
    fn send_user_message_means_what_the_rule_says(story in any_story()) {
        let world = World::play(&story);
        for Moment { before, input, step, .. } in &world.history {
            let Input::Callback { integration, id, call: Call::SendUserMessage(text) } = input else { continue };
            if text.text.is_empty() || before.owner == Owner::Closed {
                continue;
            }
            let said: Vec<&Entry> = step.entries.iter().filter(|entry| entry.text() == Some(text)).collect();
            let is_held = before.held.iter().any(|held| held.seq == id.seq && held.epoch == id.epoch);
            let of_interceptor = before
                .participants
                .iter()
                .any(|participant| participant.no == id.participant && participant.is_interceptor());
            let current = before.owner == Owner::Bot && before.epoch == id.epoch;
            let bots = matches!(id.kind, RequestKind::BotLine | RequestKind::CustomerLine);
            let held_bot_line = id.kind == RequestKind::BotLine && is_held && of_interceptor
                && world.log[usize::try_from(id.seq.0).unwrap() - 1].by == Speaker::Bot;
            if held_bot_line {
                prop_assert_eq!(said.len(), 1);
                prop_assert_eq!((said[0].release_of, &said[0].by, said[0].to), (Some(id.seq), &Speaker::Bot, Role::Customer));
            } else if id.kind == RequestKind::BotLine && before.unanswered.contains(&id.seq) {
                let call = Call::SendUserMessage(text.clone());
                prop_assert!(only_noted(&with_its_word(before.clone(), id, &call), step), "{:?}", step.entries);
            } else if is_live(before, integration) {
                let by = Speaker::Agent { name: None };
                prop_assert!(said.len() == 1 && said[0].by == by && said[0].to == Role::Customer, "{:?}", said);
            } else if bots && current {
                prop_assert!(said.len() == 1 && said[0].by == Speaker::Bot && said[0].to == Role::Customer, "{:?}", said);
                prop_assert_eq!(said[0].release_of, None);
            } else {
                prop_assert!(only_noted(before, step), "{:?}", step.entries);
            }
        }
    }

    #[test]
    fn send_bot_message_releases_a_held_customer_line_or_is_noted(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let Input::Callback { id, call: Call::SendBotMessage(_), .. } = &input else { continue };
            let released = before.held.iter().any(|held| held.seq == id.seq)
                && !step.state.held.iter().any(|held| held.seq == id.seq);
            prop_assert!(released || only_noted(&before, &step), "{:?}", step.entries);
            prop_assert!(!released || id.kind == RequestKind::CustomerLine);
        }
    }

    #[test]
    fn each_call_that_means_nothing_is_noted(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let Input::Callback { integration, id, call } = &input else { continue };
            if before.owner == Owner::Closed || classify(&before, integration, id, call) == Meaning::Note {
                prop_assert!(only_noted(&with_its_word(before, id, call), &step));
                prop_assert_eq!(step.entries.len(), 1);
            }
        }
    }

    #[test]
    fn starting_takes_over_once(story in any_story()) {
        let world = World::play(&story);
        for moment in &world.history {
            for (integration, id) in world.ids.iter().rev().take(3).map(|id| of(&world, id)) {
                let start = Input::Callback { integration: integration.clone(), id, call: Call::StartAgentSession };
                let before = &moment.step.state;
                let first = step(&moment.app, before, &start, moment.now, 1);
                let may_begin = before.owner == Owner::Bot && moment.app.takes_new(&integration);
                let stage = before.transfer.as_ref().map(|transfer| transfer.stage);
                let own = is_live(before, &integration);
                if may_begin || own && matches!(stage, Some(Stage::Opening | Stage::Waiting)) {
                    let transfer = first.state.transfer.as_ref().unwrap();
                    prop_assert_eq!(transfer.stage, Stage::Talking);
                    prop_assert_eq!(&transfer.rung.as_ref().unwrap().target.integration, &integration);
                    let grew = first.state.transfers.0 - before.transfers.0;
                    prop_assert_eq!(grew, u32::from(may_begin));
                } else {
                    prop_assert!(only_noted(before, &first));
                }
                let second = step(&moment.app, &first.state, &start, moment.now, 1);
                prop_assert!(only_noted(&first.state, &second), "started twice: {:?}", second.entries);
            }
        }
    }

    #[test]
    fn clearing_and_closing_twice_is_like_once(story in any_story()) {
        let world = World::play(&story);
        for moment in &world.history {
            for (integration, id) in world.ids.iter().rev().take(2).map(|id| of(&world, id)) {
                for call in [Call::ClearAgentSession, Call::CloseConversation] {
                    let input = Input::Callback { integration: integration.clone(), id: id.clone(), call };
                    let first = step(&moment.app, &moment.step.state, &input, moment.now, 1);
                    let second = step(&moment.app, &first.state, &input, moment.now, 1);
                    // The flow may hand over to this BotKit again at once; then a second clear clears that.
                    if first.state.transfers == moment.step.state.transfers {
                        prop_assert!(only_noted(&first.state, &second), "{:?}", second.entries);
                    }
                }
            }
        }
    }

    #[test]
    fn ids_are_read_as_they_were_written(story in any_story()) {
        for id in World::play(&story).ids {
            prop_assert_eq!(id.to_string().parse(), Ok(id));
        }
    }

    #[test]
    fn nobody_elses_id_moves_a_held_line(story in any_story(), kind in prop::sample::select(RequestKind::ALL.to_vec())) {
        let world = World::play(&story);
        for Moment { app, before, now, .. } in &world.history {
            let agents = world.hearers.values().filter(|hearer| !hearer.participant.is_interceptor());
            for hearer in agents.take(2) {
                for held in before.held.iter().take(2) {
                    let id = RequestId {
                        conversation: before.id.clone(),
                        participant: hearer.participant.no,
                        epoch: held.epoch,
                        seq: held.seq,
                        kind,
                    };
                    let integration = hearer.participant.integration.clone();
                    let call = Call::SendBotMessage(Text::plain("mine"));
                    let after = step(app, before, &Input::Callback { integration, id, call }, *now, 1);
                    prop_assert!(only_noted(before, &after));
                }
            }
        }
    }
}

fn of(world: &World, id: &RequestId) -> (IntegrationName, RequestId) {
    (world.hearers[&id.participant].participant.integration.clone(), id.clone())
}

fn is_live(state: &State, integration: &IntegrationName) -> bool {
    state.transfer.as_ref().is_some_and(|transfer| {
        let next = transfer.rung.as_ref().map_or_else(|| transfer.ladder.first(), |rung| Some(&rung.target));
        next.is_some_and(|target| target.integration == *integration)
    })
}

/// A late word about a bot line is remembered as given: the next one is one more line.
fn with_its_word(mut state: State, id: &RequestId, call: &Call) -> State {
    let is_word = matches!(call, Call::SendUserMessage(_) | Call::SkipUserMessage);
    if is_word && id.kind == RequestKind::BotLine && state.owner != Owner::Closed {
        state.unanswered.retain(|seq| *seq != id.seq);
    }
    state
}

fn only_noted(before: &State, step: &interline_core::Step) -> bool {
    let expected = State { head: step.state.head, ..before.clone() };
    let noted = |entry: &Entry| entry.to == Role::Nobody && matches!(entry.body, Body::Note(_));
    step.state == expected && step.participants.is_empty() && step.entries.iter().all(noted)
}
