//! Who hears what, once and in order; and what becomes of words while the agent's side closes.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use interline_core::conversation::entry::Note;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::Stage;
use interline_core::{Body, Entry, Input, Owner, Role, Seq, Speaker};
use proptest::prelude::*;
use support::config;
use support::story::any_story;
use support::world::{Moment, World};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn who_finally_talks_hears_every_customer_line(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for no in world.transfers() {
            let Some(last) = world.rungs(no).last() else { continue };
            let participant = &last.participant;
            let lost = last.dead || participant.gone || participant.only_close;
            if lost || !world.talked(participant.no) {
                continue;
            }
            let heard: BTreeSet<Seq> = last.heard.iter().map(|entry| entry.seq).collect();
            for line in world.customer_lines(no).filter(|line| line.to == Role::Agent) {
                prop_assert!(participant.to.is_none_or(|to| line.seq <= to));
                prop_assert!(heard.contains(&line.seq) || last.refused.contains(&line.seq), "not heard: {:?}", line);
            }
        }
    }

    #[test]
    fn everybody_hears_in_order_and_each_line_once(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for hearer in world.hearers.values() {
            let mut words = BTreeSet::new();
            for pair in hearer.heard.windows(2) {
                prop_assert!(pair[0].seq < pair[1].seq);
            }
            for entry in &hearer.heard {
                // A line that is said again in other entries counts as the same line.
                prop_assert!(words.insert(entry.release_of.unwrap_or(entry.seq)), "heard twice: {:?}", entry);
            }
        }
    }

    #[test]
    fn an_agent_hears_its_own_transfer_and_nothing_else(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for hearer in world.hearers.values().filter(|hearer| hearer.participant.role == Role::Agent) {
            for entry in &hearer.heard {
                prop_assert_eq!(entry.transfer, hearer.participant.transfer);
                prop_assert_eq!(entry.to, Role::Agent);
                if let Body::Close { participant, .. } = &entry.body {
                    prop_assert_eq!(*participant, hearer.participant.no);
                }
                prop_assert!(!(hearer.participant.took_over && entry.body == Body::Open));
            }
            let closes = hearer.heard.iter().filter(|entry| matches!(entry.body, Body::Close { .. })).count();
            prop_assert!(closes <= 1);
        }
    }

    #[test]
    fn late_words_of_former_owners_are_noted_not_spoken(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let current = before.transfer.as_ref().and_then(|transfer| transfer.rung.as_ref());
            let Input::Agent { participant, event } = &input else { continue };
            if current.is_none_or(|rung| rung.participant != *participant) {
                prop_assert!(step.entries.iter().all(|entry| entry.to == Role::Nobody));
                let noted = step.entries.iter().any(|entry| matches!(entry.body, Body::Note(Note::Late { .. })));
                let said = matches!(event, AgentEvent::Said { .. });
                prop_assert!(noted || !said);
                let expected = interline_core::State { head: step.state.head, ..before };
                prop_assert_eq!(step.state, expected);
            }
        }
    }

    #[test]
    fn what_the_agent_says_is_spoken_also_while_closing(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let Some(transfer) = &before.transfer else { continue };
            let Input::Agent { participant, event: AgentEvent::Said { text, .. } } = &input else { continue };
            if transfer.rung.as_ref().is_some_and(|rung| rung.participant == *participant) {
                let spoken = step.entries.iter().filter(|entry| {
                    matches!(entry.by, Speaker::Agent { .. }) && entry.to == Role::Customer && entry.text() == Some(text)
                });
                prop_assert_eq!(spoken.count(), 1);
                prop_assert!(transfer.stage != Stage::Closing || step.state.transfer == before.transfer);
            }
        }
    }

    #[test]
    fn what_the_customer_says_while_closing_goes_on_exactly_once(story in any_story()) {
        let world = World::play_to_the_end(&story);
        let lines = world.log.iter().filter(|entry| entry.by == Speaker::Customer && entry.to == Role::Nobody);
        for line in lines {
            let on: Vec<&Entry> = world
                .log
                .iter()
                .filter(|entry| entry.release_of == Some(line.seq) && entry.text().is_some())
                .collect();
            prop_assert!(on.len() == 1 || (on.is_empty() && world.state.owner == Owner::Closed), "{:?}: {:?}", line, on);
            for entry in on {
                prop_assert!(matches!(entry.to, Role::Bot | Role::Interceptor | Role::Agent), "{:?}", entry);
                prop_assert_eq!(&entry.text().unwrap().text, &line.text().unwrap().text);
            }
        }
    }

    #[test]
    fn every_customer_line_is_in_the_log_once(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let Input::CustomerSaid(text) = &input else { continue };
            let seen = step.entries.iter().filter(|entry| entry.by == Speaker::Customer && entry.customer_sees());
            let seen: Vec<_> = seen.map(|entry| entry.text()).collect();
            if before.owner == Owner::Closed {
                prop_assert!(seen.is_empty());
            } else {
                prop_assert_eq!(seen, vec![Some(text)]);
            }
        }
    }

    #[test]
    fn every_customer_line_is_for_the_owner(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            if !matches!(input, Input::CustomerSaid(_)) {
                continue;
            }
            let first = step.entries.iter().find(|entry| entry.body != Body::Opened).unwrap();
            let closing = before.transfer.as_ref().is_some_and(|transfer| transfer.stage == Stage::Closing);
            match (before.owner, first.to) {
                (Owner::Bot, Role::Bot | Role::Interceptor) | (Owner::Closed, Role::Nobody) => {}
                (Owner::Agent, Role::Agent) => prop_assert!(!closing),
                (Owner::Agent, Role::Nobody) => prop_assert!(closing),
                other => prop_assert!(false, "{:?}", other),
            }
        }
    }

    #[test]
    fn the_customer_is_told_that_a_human_came_and_went(story in any_story()) {
        let world = World::play_to_the_end(&story);
        let mut human = false;
        for entry in world.log.iter().filter(|entry| entry.to == Role::Customer) {
            match entry.body {
                Body::AgentJoined { .. } => human = true,
                Body::AgentLeft => {
                    prop_assert!(human);
                    human = false;
                }
                _ => {}
            }
        }
        prop_assert!(!human);
    }
}
