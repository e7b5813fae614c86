//! Lines between customer and bot that pass an interceptor first.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeMap;

use interline_core::app::HoldPolicy;
use interline_core::conversation::entry::Note;
use interline_core::conversation::hold::{MAX_HELD, MAX_UNANSWERED};
use interline_core::{Body, Entry, Input, Owner, Role, Seq, Speaker};
use proptest::prelude::*;
use support::app::any_app;
use support::config;
use support::story::{Story, any_story, wordy_story};
use support::world::{Moment, World};

/// Stories over apps that surely have an interceptor.
fn watched_story() -> impl Strategy<Value = Story> {
    let policy = prop_oneof![Just(HoldPolicy::Pass), Just(HoldPolicy::Drop)];
    let app = (any_app(), policy).prop_map(|(mut app, policy)| {
        let system = app.agents.entry("kit".into()).or_default();
        system.intercepts = system.intercepts.or(Some(policy));
        app
    });
    (any_story(), app).prop_map(|(story, app)| Story { app, ..story })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn a_held_line_is_for_the_interceptor_only(story in watched_story()) {
        let world = World::play_to_the_end(&story);
        for hearer in world.hearers.values() {
            let held = hearer.heard.iter().filter(|entry| entry.to == Role::Interceptor).count();
            prop_assert!(held == 0 || hearer.participant.is_interceptor());
            prop_assert!(held == hearer.heard.len() || !hearer.participant.is_interceptor());
        }
    }

    #[test]
    fn between_customer_and_bot_nothing_passes_the_interceptor_by(story in watched_story()) {
        let world = World::play_to_the_end(&story);
        // What the flow says is held; what comes by callback is the interceptor's own.
        for Moment { app, input, step, .. } in &world.history {
            if app.interceptor().is_none() {
                continue;
            }
            let mut to_bot = step.entries.iter().filter(|entry| entry.by == Speaker::Customer && entry.to == Role::Bot);
            prop_assert!(to_bot.all(|entry| held_entry(&world, entry.release_of).is_some()));
            let unheld = step.entries.iter().filter(|entry| {
                entry.by == Speaker::Bot && entry.to == Role::Customer && entry.release_of.is_none()
            });
            let callback = matches!(input, Input::Callback { .. });
            prop_assert!(unheld.count() <= usize::from(callback));
        }
    }

    #[test]
    fn every_held_line_is_decided_exactly_once(story in watched_story()) {
        let world = World::play_to_the_end(&story);
        for held in world.log.iter().filter(|entry| entry.to == Role::Interceptor) {
            let of = |entry: &&Entry| entry.release_of == Some(held.seq);
            let decided = world.log.iter().filter(of).filter(|entry| decides(entry)).count();
            prop_assert_eq!(decided, 1, "{:?}", held);
        }
        prop_assert!(world.state.held.is_empty());
    }

    #[test]
    fn a_release_speaks_under_the_epoch_of_its_line(story in watched_story()) {
        let world = World::play_to_the_end(&story);
        for release in world.log.iter().filter(|entry| entry.text().is_some()) {
            let Some(held) = held_entry(&world, release.release_of) else { continue };
            prop_assert_eq!(release.epoch, held.epoch);
            prop_assert_eq!(&release.by, &held.by);
            prop_assert_eq!(release.to, if held.by == Speaker::Bot { Role::Customer } else { Role::Bot });
        }
    }

    #[test]
    fn the_policy_decides_when_the_time_is_up(story in watched_story()) {
        let world = World::play(&story);
        let mut policies = BTreeMap::new();
        for Moment { app, before, input, now, step, .. } in &world.history {
            for held in &step.state.held {
                let entry = &world.log[usize::try_from(held.seq.0).unwrap() - 1];
                prop_assert_eq!(held.until, entry.at.plus(app.deadlines.hold_ms));
                prop_assert!(*input != Input::Tick || held.until > *now);
                // As it was when the line was held, whatever becomes of the interceptor.
                if !before.held.iter().any(|known| known.seq == held.seq) {
                    prop_assert_eq!(Some(held.policy), app.interceptor().map(|(_, policy)| policy));
                }
                policies.insert(held.seq, held.policy);
            }
        }
        for dropped in world.log.iter().filter(|entry| entry.body == Body::Note(Note::Dropped)) {
            // One that was held and decided in the same step is not seen here.
            let policy = policies.get(&dropped.release_of.unwrap());
            prop_assert!(policy.is_none_or(|policy| *policy == HoldPolicy::Drop));
        }
    }

    #[test]
    fn held_lines_keep_their_order_and_stay_few(story in watched_story()) {
        for Moment { step, .. } in World::play(&story).history {
            let held = &step.state.held;
            prop_assert!(held.len() <= MAX_HELD);
            prop_assert!(held.windows(2).all(|pair| pair[0].seq < pair[1].seq));
            prop_assert!(step.state.owner != Owner::Closed || held.is_empty());
            prop_assert!(step.state.unanswered.len() <= MAX_UNANSWERED);
        }
    }

    #[test]
    fn many_held_words_stay_few(story in wordy_story()) {
        for Moment { step, .. } in World::play(&story).history {
            prop_assert!(step.state.held.len() <= MAX_HELD);
        }
    }
}

fn held_entry(world: &World, seq: Option<Seq>) -> Option<&Entry> {
    let entry = world.log.get(usize::try_from(seq?.0).unwrap() - 1)?;
    (entry.to == Role::Interceptor).then_some(entry)
}

/// A held line is decided by the entry that says it again, or by a note that it does not go on.
fn decides(entry: &Entry) -> bool {
    match &entry.body {
        Body::Text(_) => true,
        Body::Note(note) => matches!(note, Note::Skipped | Note::Dropped | Note::Late { .. }),
        _ => false,
    }
}
