//! The transfer machine: rungs, deadlines, and that every transfer ends.
#![allow(clippy::unwrap_used)]

mod support;

use std::collections::BTreeSet;

use interline_core::conversation::entry::{Note, ReturnPackage};
use interline_core::conversation::input::{AgentEvent, DeliveryResult, OperatorAct};
use interline_core::transfer::{MAX_RUNGS, Outcome, Reason, Stage, Target};
use interline_core::{Body, Entry, Input, Owner, Role, TransferNo};
use proptest::prelude::*;
use support::config;
use support::story::any_story;
use support::world::{Moment, World};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn silence_ends_every_transfer(story in any_story()) {
        let mut world = World::play(&story);
        let ticks = world.silence();
        prop_assert_eq!(&world.state.transfer, &None);
        prop_assert!(world.state.held.is_empty());
        // 3 transfers in silence and the one before, 5 rungs of 4 stages each, and what was held.
        prop_assert!(ticks <= 4 * (2 + MAX_RUNGS * 4) + 40, "{} ticks", ticks);
    }

    #[test]
    fn every_transfer_ends_once(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for no in world.transfers() {
            let ended = notes(&world.log, no).filter(|note| matches!(note, Note::TransferEnded(_))).count();
            prop_assert_eq!(ended, 1);
        }
    }

    #[test]
    fn each_target_is_tried_once_and_at_most_five(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for no in world.transfers() {
            let mut tried: Vec<&Target> = rungs(&world.log, no).collect();
            // But an operator may say so: that is one more try of the same.
            for retried in world.history.iter().filter_map(retried).filter(|(of, _)| *of == no) {
                let at = tried.iter().position(|target| *target == retried.1).expect("it was tried");
                tried.remove(at);
            }
            let different: BTreeSet<String> = tried.iter().map(|target| format!("{target:?}")).collect();
            prop_assert_eq!(tried.len(), different.len(), "{:?}", tried);
            prop_assert!(tried.len() <= MAX_RUNGS);
        }
    }

    #[test]
    fn a_failed_transfer_tried_its_whole_ladder(story in any_story()) {
        let world = World::play(&story);
        for Moment { app, before, step, .. } in &world.history {
            let Some(transfer) = &before.transfer else { continue };
            let failed = step.entries.iter().find_map(|entry| match &entry.body {
                Body::Note(Note::TransferEnded(Outcome::Failed(failure))) if entry.transfer == Some(transfer.no) => Some(failure),
                _ => None,
            });
            if let Some(failure) = failed && failure.reason != Reason::CallerLeft {
                let left_out = transfer.ladder.iter().all(|target| !app.takes_new(&target.integration));
                prop_assert!(left_out || transfer.tried == MAX_RUNGS);
            }
        }
    }

    #[test]
    fn who_left_is_not_helped_by_another_agent_system(story in any_story()) {
        let world = World::play(&story);
        for Moment { before, input, now, step, .. } in &world.history {
            let Some(transfer) = &before.transfer else { continue };
            let left = match input {
                Input::Operator { act: OperatorAct::Ends(_), .. } | Input::CustomerEnds(_) => true,
                Input::Agent { participant, event: AgentEvent::Failed(failure) } => {
                    failure.reason == Reason::CallerLeft
                        && transfer.rung.as_ref().is_some_and(|rung| rung.participant == *participant)
                }
                Input::Tick => {
                    let quiet_until = transfer.last_line.plus(world.app.deadlines.idle_ms);
                    transfer.stage == Stage::Talking && quiet_until <= *now && transfer.deadline <= *now
                }
                _ => false,
            };
            if left {
                prop_assert!(step.state.transfer.as_ref().is_none_or(|next| next.no != transfer.no));
                prop_assert_eq!(rungs(&step.entries, transfer.no).count(), 0);
            }
        }
    }

    #[test]
    fn the_first_rung_waits_for_everything_said_before(story in any_story()) {
        for Moment { step, .. } in World::play(&story).history {
            let Some(transfer) = &step.state.transfer else { continue };
            let took_over = transfer.node.is_none();
            if transfer.rung.is_some() && !took_over {
                prop_assert!(step.state.held.iter().all(|held| held.seq > transfer.first));
            }
            prop_assert_eq!(transfer.rung.is_none(), transfer.stage == Stage::Requested);
        }
    }

    #[test]
    fn every_stage_has_its_deadline(story in any_story()) {
        let world = World::play(&story);
        for Moment { step, .. } in &world.history {
            let Some(transfer) = &step.state.transfer else { continue };
            let agent = transfer.rung.as_ref().and_then(|rung| world.app.agents.get(&rung.target.integration));
            let deadlines = &world.app.deadlines;
            let took = u64::try_from(transfer.deadline.0 - transfer.since.0).unwrap();
            if transfer.stage == Stage::Talking {
                // The deadline follows the last line, but only moves when it comes.
                let quiet_until = transfer.last_line.plus(deadlines.idle_ms);
                prop_assert!(transfer.deadline <= quiet_until && took >= deadlines.idle_ms);
                continue;
            }
            prop_assert_eq!(took, match transfer.stage {
                Stage::Requested => deadlines.requested_ms,
                Stage::Opening => agent.unwrap().opening_ms.unwrap_or(deadlines.opening_ms),
                Stage::Waiting => deadlines.waiting_ms,
                Stage::Talking => deadlines.idle_ms,
                Stage::Closing => agent.unwrap().drain_ms.min(deadlines.closing_ms),
            });
        }
    }

    #[test]
    fn a_tick_after_the_deadline_moves_on(story in any_story()) {
        let mut world = World::play(&story);
        if let Some(wake) = world.state.wake_at() {
            let before = world.state.clone();
            world.now = wake.max(world.now);
            let after = world.step(Input::Tick).step.state.clone();
            // Somebody spoke while Talking: the deadline moves. Else something happens.
            let moved = after.wake_at() > Some(wake);
            prop_assert!(after.head > before.head || moved, "the tick at {:?} did nothing: {:?}", wake, before);
        }
    }

    #[test]
    fn a_tick_before_the_deadline_does_nothing(story in any_story()) {
        let world = World::play(&story);
        for Moment { before, input, now, step, .. } in &world.history {
            if *input == Input::Tick && before.wake_at().is_none_or(|wake| wake > *now) {
                prop_assert_eq!(&step.state, before);
            }
        }
    }

    #[test]
    fn a_failing_answer_fails_the_rung_only_while_it_opens(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let (Input::Delivery { participant, seq, result: DeliveryResult::Refused(_) }
            | Input::Operator { act: OperatorAct::Skips { participant, seq }, .. }) = &input
            else {
                continue;
            };
            let Some(transfer) = &before.transfer else { continue };
            let is_open = transfer.first == *seq
                && transfer.rung.as_ref().is_some_and(|rung| rung.participant == *participant);
            if is_open && transfer.stage == Stage::Opening {
                prop_assert!(step.state.transfer.as_ref().is_none_or(|next| next.rung != transfer.rung));
            } else if transfer.stage == Stage::Requested {
                // A refused line of the interceptor was decided, so the first rung may open.
            } else if step.state.owner == Owner::Agent {
                let next = step.state.transfer.as_ref().unwrap();
                prop_assert_eq!((next.no, &next.rung, next.stage), (transfer.no, &transfer.rung, transfer.stage));
            } else {
                prop_assert!(false, "a refused line ended a transfer");
            }
        }
    }

    #[test]
    fn stages_only_go_forward_within_a_rung(story in any_story()) {
        for Moment { before, step, .. } in World::play(&story).history {
            if let (Some(from), Some(to)) = (&before.transfer, &step.state.transfer)
                && from.no == to.no
                && from.rung == to.rung
            {
                prop_assert!(rank(from.stage) <= rank(to.stage), "{:?} to {:?}", from.stage, to.stage);
            }
        }
    }

    #[test]
    fn a_place_is_known_in_the_queue_and_a_name_while_an_agent_is_there(story in any_story()) {
        for Moment { before, input, step, .. } in World::play(&story).history {
            let Some(transfer) = &step.state.transfer else { continue };
            prop_assert!(transfer.position.is_none() || transfer.stage == Stage::Waiting);
            prop_assert!(transfer.agent.is_none() || matches!(transfer.stage, Stage::Talking | Stage::Closing));
            let Some(earlier) = before.transfer.filter(|earlier| earlier.rung == transfer.rung) else { continue };
            let told = match input {
                Input::Agent { participant, event } if transfer.rung.as_ref().is_some_and(|rung| rung.participant == participant) => event,
                _ => continue,
            };
            match told {
                AgentEvent::Queued { position: Some(position) } if transfer.stage == Stage::Waiting => {
                    prop_assert_eq!(transfer.position, Some(position));
                }
                AgentEvent::Joined { name: Some(name) } | AgentEvent::Said { name: Some(name), .. } if transfer.stage == Stage::Talking => {
                    prop_assert_eq!(transfer.agent.as_ref(), Some(&name));
                }
                _ => {
                    let same_stage = earlier.stage == transfer.stage;
                    prop_assert!(!same_stage || (&earlier.agent, earlier.position) == (&transfer.agent, transfer.position));
                }
            }
        }
    }

    #[test]
    fn a_system_that_does_not_tell_joined_never_queues(story in any_story()) {
        let world = World::play(&story);
        for Moment { step, .. } in &world.history {
            let Some(transfer) = &step.state.transfer else { continue };
            let Some(rung) = &transfer.rung else { continue };
            if transfer.stage == Stage::Waiting {
                prop_assert!(world.app.agents[&rung.target.integration].tells_joined);
            }
        }
    }

    /// All customer lines of a transfer lie in what the bot is told: from its first entry to the package.
    #[test]
    fn the_return_package_holds_every_customer_line(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for no in world.transfers() {
            let first = world.log.iter().find(|entry| entry.transfer == Some(no) && entry.body == Body::Open).unwrap();
            let package = world.log.iter().find_map(|entry| match &entry.body {
                Body::ReturnPackage(ReturnPackage { from, .. }) if *from == first.seq => Some(entry.seq),
                _ => None,
            });
            let closed = world.log.iter().find(|entry| entry.body == Body::Closed).map(|entry| entry.seq);
            let end = package.or(closed).expect("a transfer that returns or a conversation that closed");
            for line in world.customer_lines(no) {
                prop_assert!(first.seq < line.seq && line.seq < end, "{:?} outside {}..{}", line, first.seq, end);
            }
        }
    }

    #[test]
    fn participants_have_sane_ranges(story in any_story()) {
        let world = World::play_to_the_end(&story);
        for Moment { step, .. } in &world.history {
            let agents = step.state.participants.iter().filter(|participant| participant.role == Role::Agent);
            prop_assert!(agents.count() <= 1);
            prop_assert!(step.state.participants.iter().filter(|participant| participant.is_interceptor()).count() <= 1);
            prop_assert!(step.state.participants.iter().all(|participant| participant.to.is_none()));
            let rung = step.state.transfer.as_ref().and_then(|transfer| transfer.rung.as_ref());
            if let Some(rung) = rung {
                prop_assert!(step.state.participants.iter().any(|participant| participant.no == rung.participant));
            }
        }
        for hearer in world.hearers.values() {
            let participant = &hearer.participant;
            prop_assert!(participant.from.0 >= 1);
            prop_assert!(participant.to.is_none_or(|to| to <= world.state.head && participant.from.0 <= to.0 + 1));
            if let Some(no) = participant.transfer {
                let first = world.log.iter().find(|entry| entry.transfer == Some(no)).unwrap();
                prop_assert_eq!(participant.from, first.seq, "each rung starts where the transfer began");
                prop_assert!(participant.to.is_some());
            }
        }
        prop_assert_eq!(world.hearers.len(), world.state.participants_made as usize);
    }

    #[test]
    fn a_range_that_was_closed_stays(story in any_story()) {
        let world = World::play_to_the_end(&story);
        let mut closed = std::collections::BTreeMap::new();
        for Moment { step, .. } in &world.history {
            for participant in &step.participants {
                if let Some(before) = closed.get(&participant.no) {
                    prop_assert_eq!(before, participant);
                }
                if participant.to.is_some() {
                    closed.insert(participant.no, participant.clone());
                }
            }
        }
    }
}

fn rank(stage: Stage) -> u8 {
    match stage {
        Stage::Requested => 0,
        Stage::Opening => 1,
        Stage::Waiting => 2,
        Stage::Talking => 3,
        Stage::Closing => 4,
    }
}

fn notes(log: &[Entry], no: TransferNo) -> impl Iterator<Item = &Note> {
    log.iter().filter(move |entry| entry.transfer == Some(no)).filter_map(|entry| match &entry.body {
        Body::Note(note) => Some(note),
        _ => None,
    })
}

/// The target that an operator tried anew, and in which transfer.
fn retried(moment: &Moment) -> Option<(TransferNo, &Target)> {
    let Input::Operator { act: OperatorAct::Retries, .. } = &moment.input else { return None };
    let (before, after) = (moment.before.transfer.as_ref()?, moment.step.state.transfer.as_ref()?);
    let (from, to) = (before.rung.as_ref()?, after.rung.as_ref()?);
    (from.participant != to.participant).then_some((before.no, &from.target))
}

fn rungs(log: &[Entry], no: TransferNo) -> impl Iterator<Item = &Target> {
    notes(log, no).filter_map(|note| match note {
        Note::RungOpens(target) => Some(target),
        _ => None,
    })
}
