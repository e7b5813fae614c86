//! Who owns a conversation, and that `step` is a function: same inputs, same entries.
#![allow(clippy::unwrap_used)]

mod support;

use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::{Note, Text};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Stage;
use interline_core::{Body, Entry, Epoch, Input, Owner, Role, Seq, Speaker, State, step};
use proptest::prelude::*;
use support::app::{simple, watching_kit};
use support::config;
use support::story::{any_story, result, wordy_story};
use support::world::{Moment, World};

const MAX_STATE: usize = 256 * 1000;

proptest! {
    #![proptest_config(config())]

    #[test]
    fn owner_is_agent_exactly_while_a_transfer_is_live(story in any_story()) {
        for Moment { step, .. } in World::play(&story).history {
            prop_assert_eq!(step.state.owner == Owner::Agent, step.state.transfer.is_some());
        }
    }

    #[test]
    fn at_most_one_transfer_is_live(story in any_story()) {
        // Read from the log: after an Open, the next one comes only after that transfer ended.
        let mut live = None;
        for entry in World::play(&story).log {
            match (&entry.body, entry.transfer) {
                (Body::Open, no) => {
                    prop_assert_eq!(live, None, "a transfer began within another: {:?}", entry);
                    live = no;
                }
                (Body::Note(Note::TransferEnded(_)), Some(no)) => {
                    prop_assert_eq!(live, Some(no));
                    live = None;
                }
                _ => {}
            }
        }
    }

    #[test]
    fn the_epoch_rises_exactly_with_each_change_of_owner(story in any_story()) {
        let world = World::play(&story);
        for Moment { before, step, .. } in &world.history {
            // One step may change the owner several times: each change leaves one of these entries.
            let changes = step.entries.iter().filter(|entry| changes_owner(entry)).count() as u64;
            prop_assert_eq!(step.state.epoch.0 - before.epoch.0, changes);
            prop_assert!(before.owner == step.state.owner || before.epoch < step.state.epoch);
        }
        prop_assert_eq!(world.owners().len() as u64, world.state.epoch.0, "one owner in each epoch");
    }

    #[test]
    fn the_log_says_the_same_owner_as_the_state(story in any_story()) {
        let world = World::play(&story);
        let owners = world.owners();
        for Moment { step, .. } in &world.history {
            prop_assert_eq!(owners.get(&step.state.epoch), Some(&step.state.owner));
        }
    }

    #[test]
    fn closed_is_the_end(story in any_story()) {
        for Moment { before, step, .. } in World::play(&story).history {
            if before.owner == Owner::Closed {
                let expected = State { head: step.state.head, ..before };
                prop_assert_eq!(&step.state, &expected);
                prop_assert!(step.participants.is_empty());
                for entry in &step.entries {
                    prop_assert!(entry.to == Role::Nobody && matches!(entry.body, Body::Note(_)), "{:?}", entry);
                }
            }
        }
    }

    #[test]
    fn a_duplicate_input_changes_nothing(story in any_story()) {
        let mut once = story.clone();
        once.happenings.iter_mut().for_each(|happening| happening.again = None);
        let (twice, once) = (World::play(&story), World::play(&once));
        prop_assert_eq!(twice.log, once.log);
        prop_assert_eq!(twice.state, once.state);
    }

    #[test]
    fn a_repeated_delivery_result_is_harmless(story in any_story(), other in result()) {
        let world = World::play(&story);
        for Moment { app, input, now, seed, step: first, .. } in &world.history {
            let Input::Delivery { participant, seq, .. } = input else { continue };
            for repeated in [input.clone(), Input::Delivery { participant: *participant, seq: *seq, result: other.clone() }] {
                let again = step(app, &first.state, &repeated, *now, *seed);
                if repeated == *input {
                    let expected = State { head: again.state.head, ..first.state.clone() };
                    prop_assert_eq!(&again.state, &expected);
                    prop_assert!(again.participants.is_empty());
                }
                prop_assert!(again.entries.iter().all(|entry| entry.by != Speaker::Customer || entry.release_of.is_some()));
            }
        }
    }

    #[test]
    fn the_same_inputs_give_the_same_entries(story in any_story()) {
        let (one, two) = (World::play(&story), World::play(&story));
        prop_assert_eq!(one.log, two.log);
        prop_assert_eq!(one.state, two.state);
    }

    #[test]
    fn a_replay_from_what_is_stored_gives_the_same(story in any_story()) {
        let world = World::play(&story);
        for Moment { app, before, input, now, seed, step: first } in &world.history {
            let again = step(&stored(&**app), &stored(before), &stored(input), *now, *seed);
            prop_assert_eq!(&again, first);
            for entry in &first.entries {
                prop_assert_eq!(&stored(entry), entry);
            }
            for participant in &first.participants {
                prop_assert_eq!(&stored(participant), participant);
            }
        }
    }

    #[test]
    fn the_log_has_no_gaps_and_ends_at_the_head(story in any_story()) {
        let world = World::play(&story);
        for (at, entry) in world.log.iter().enumerate() {
            prop_assert_eq!(entry.seq, Seq(at as u64 + 1));
        }
        for Moment { before, step, .. } in &world.history {
            prop_assert_eq!(step.state.head.0, before.head.0 + step.entries.len() as u64);
        }
    }

    #[test]
    fn words_are_spoken_under_the_epoch_of_their_owner(story in any_story()) {
        let world = World::play(&story);
        let owners = world.owners();
        let mut newest = Epoch(1);
        for entry in &world.log {
            let owner = owners[&entry.epoch];
            match (&entry.by, entry.to) {
                (Speaker::Bot, Role::Customer) | (Speaker::Customer, Role::Bot) => prop_assert_eq!(owner, Owner::Bot),
                (Speaker::Agent { .. }, Role::Customer) | (Speaker::Customer, Role::Agent) => {
                    prop_assert_eq!(owner, Owner::Agent);
                }
                _ => {}
            }
            // Only what was held comes under an epoch that is over.
            prop_assert!(entry.epoch >= newest || entry.release_of.is_some(), "{:?}", entry);
            newest = newest.max(entry.epoch);
        }
    }

    /// `step` is total: any input in any state has an answer, also input that no engine would let through.
    #[test]
    fn nothing_panics(story in any_story(), foreign in any_story()) {
        let (world, foreign) = (World::play(&story), World::play(&foreign));
        for Moment { app, before, .. } in &world.history {
            for Moment { input, .. } in foreign.history.iter().rev().take(8) {
                for app in [app, &foreign.app] {
                    let after = step(app, before, input, world.now, 7).state;
                    prop_assert_eq!(after.owner == Owner::Agent, after.transfer.is_some());
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_state_document_is_bounded(story in wordy_story()) {
        for Moment { step, .. } in World::play(&story).history {
            let size = serde_json::to_vec(&step.state).unwrap().len();
            prop_assert!(size <= MAX_STATE, "{} bytes", size);
        }
    }
}

fn changes_owner(entry: &Entry) -> bool {
    match &entry.body {
        Body::Open | Body::Closed => true,
        // A transfer that was refused at once never took the conversation from the bot.
        Body::ReturnPackage(package) => package.from < entry.seq,
        _ => false,
    }
}

fn stored<T: serde::Serialize + serde::de::DeserializeOwned>(value: &T) -> T {
    serde_json::from_str(&serde_json::to_string(value).unwrap()).unwrap()
}

/// The worst that the limits allow: as many held lines as there can be, as many kept for the bot, the longest there are,
/// and an agent with a long name and a long tag.
#[test]
fn the_fullest_state_is_bounded() {
    for (words, fits) in [("x", 20), ("\u{1}", 1), ("\"", 1), ("日", 20)] {
        let words = Text::plain(words.repeat(4096 / words.len()));
        let mut world = World::new(simple(&[("kit", watching_kit())], &["kit"]));
        let mut largest = 0;
        let mut does = |world: &mut World, input: Input| {
            world.step(input);
            largest = largest.max(serde_json::to_vec(&world.state).unwrap().len());
        };
        for _ in 0..30 {
            does(&mut world, Input::CustomerSaid(words.clone()));
        }
        assert!((fits..=20).contains(&world.state.held.len()), "{}", world.state.held.len());
        world.deliver_all();
        let id = world.ids[0].clone();
        let start = Call::StartAgentSession;
        does(&mut world, Input::Callback { integration: "kit".into(), id, call: start });
        let long = Some(words.text.repeat(250));
        let joined = AgentEvent::Joined { name: long.clone() };
        for event in [joined, AgentEvent::Ended { tag: long }] {
            let participant = world.rung();
            does(&mut world, Input::Agent { participant, event });
        }
        for _ in 0..20 {
            does(&mut world, Input::CustomerSaid(words.clone()));
        }
        assert!(largest <= MAX_STATE, "{largest}");
        assert!(fits == 1 || world.stage() == Some(Stage::Closing));
    }
}
