//! Each act of an operator in each place that a conversation can be in.
#![allow(clippy::unwrap_used)]

mod support;

use interline_core::app::{AgentSystem, HoldPolicy};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Note;
use interline_core::conversation::input::{AgentEvent, DeliveryResult, OperatorAct, Scope};
use interline_core::transfer::{Failure, Outcome, Reason, Stage};
use interline_core::{App, Body, Entry, Input, Owner, ParticipantNo, Role, Seq, Speaker, State};
use support::acts::{begun, only_noted, say};
use support::app::{desk, flow_of, kit, says, simple, to, watching_kit};
use support::world::World;

const STAGES: [Stage; 5] = [Stage::Requested, Stage::Opening, Stage::Waiting, Stage::Talking, Stage::Closing];

/// A desk that tells all there is to tell, `spare` behind it, and before it, where the bot is to be waited for, a BotKit
/// that intercepts.
fn cast(intercepted: bool) -> App {
    let desk = AgentSystem { drain_ms: 3_000, ..desk() };
    let kit = if intercepted { watching_kit() } else { kit() };
    let mut app =
        simple(&[("desk", desk), ("kit", kit), ("spare", support::app::desk())], &["desk", "spare"]);
    flow_of(&mut app).nodes.insert("before".into(), says("One moment", Some("human".into())));
    flow_of(&mut app).words[0].go_to = "before".into();
    app
}

/// A conversation in a stage of its transfer, and the first thing that the customer said in it.
fn at(stage: Stage) -> World {
    if stage == Stage::Requested {
        let mut world = World::new(cast(true));
        world.customer("agent");
        world.deliver_all();
        world.calls(0, Call::SendBotMessage(say("agent")));
        world.customer("my ticket is 17");
        assert_eq!(world.stage(), Some(stage), "`One moment` is with the interceptor");
        return world;
    }
    let mut world = begun(cast(false));
    world.customer("agent");
    world.customer("my ticket is 17");
    if stage != Stage::Opening {
        world.deliver_all();
        world.agent(AgentEvent::Queued { position: Some(2) });
    }
    if matches!(stage, Stage::Talking | Stage::Closing) {
        world.joins();
    }
    if stage == Stage::Closing {
        world.agent(AgentEvent::Ended { tag: Some("solved".into()) });
    }
    assert_eq!(world.stage(), Some(stage));
    world
}

fn closed() -> World {
    let mut world = begun(cast(false));
    world.step(Input::CustomerEnds(Scope::Conversation));
    world
}

/// The number of the participant that plays the agent, or would.
fn agent_no(world: &World) -> u32 {
    world
        .state
        .transfer
        .as_ref()
        .and_then(|transfer| transfer.rung.as_ref())
        .map_or(0, |rung| rung.participant.0)
}

fn words(name: Option<&str>, text: &str) -> OperatorAct {
    OperatorAct::Says { name: name.map(Into::into), text: text.into() }
}

#[test]
fn ending_the_agent_chat_gives_back_to_the_bot_in_every_stage() {
    for stage in STAGES {
        let mut world = at(stage);
        let no = agent_no(&world);
        world.does(OperatorAct::Ends(Scope::AgentChat));
        assert_eq!((world.state.owner, world.stage()), (Owner::Bot, None), "{stage:?}");
        let decided = stage == Stage::Closing;
        assert_eq!(world.outcomes(), [if decided { Outcome::AgentEnded } else { Outcome::OperatorEnded }]);
        world.silence();
        world.deliver_all();
        assert_eq!(world.customer_heard().last(), Some(&"I am back"), "{stage:?}");
        assert!(no == 0 || world.was_closed(no) != decided, "{stage:?}: told, unless it ended by itself");
        assert_eq!(world.state.transfers.0, 1, "nobody climbs");
        assert!(!world.notes().iter().any(|note| matches!(note, Note::RungFailed { .. })));
    }
}

#[test]
fn ending_the_conversation_closes_it_in_every_stage() {
    for stage in STAGES {
        let mut world = at(stage);
        let no = agent_no(&world);
        let moment = world.does(OperatorAct::Ends(Scope::Conversation)).clone();
        assert_eq!((world.state.owner, world.stage()), (Owner::Closed, None), "{stage:?}");
        let decided = stage == Stage::Closing;
        let outcome = if decided { Outcome::AgentEnded } else { Outcome::OperatorEnded };
        assert!(world.notes().contains(&&Note::TransferEnded(outcome)));
        assert_eq!(moment.step.entries.last().unwrap().body, Body::Closed, "the customer is told");
        world.deliver_all();
        assert!(no == 0 || world.was_closed(no) != decided, "{stage:?}");
        assert!(world.outcomes().is_empty(), "nothing goes back to a bot");
        assert!(world.state.held.is_empty() && world.state.participants.is_empty());
    }
}

#[test]
fn ending_while_the_bot_talks() {
    let mut world = begun(cast(false));
    assert!(only_noted(world.does(OperatorAct::Ends(Scope::AgentChat))), "there is no agent chat to end");
    world.does(OperatorAct::Ends(Scope::Conversation));
    assert_eq!((world.state.owner, world.state.epoch.0), (Owner::Closed, 2));
    assert_eq!(world.log.last().unwrap().body, Body::Closed);
}

#[test]
fn a_retry_in_requested_opens_the_first_rung_at_once() {
    let mut world = at(Stage::Requested);
    world.does(OperatorAct::Retries);
    assert_eq!(world.stage(), Some(Stage::Opening));
    assert_eq!(world.customer_heard(), ["One moment"], "the interceptor is waited for no longer");
    assert!(world.notes().contains(&&Note::PassedOn));
    let no = agent_no(&world);
    world.deliver_all();
    assert_eq!(world.heard_by(no), ["my ticket is 17"]);
    assert_eq!(world.state.transfer.as_ref().unwrap().tried, 1);
}

#[test]
fn a_retry_opens_the_same_agent_system_anew_and_costs_no_rung() {
    for stage in [Stage::Opening, Stage::Waiting] {
        let mut world = at(stage);
        // More often than a ladder has rungs.
        for times in 1..=8 {
            world.now = world.now.plus(20_000);
            let former = agent_no(&world);
            world.does(OperatorAct::Retries);
            let transfer = world.state.transfer.as_ref().unwrap();
            assert_eq!((transfer.stage, transfer.position), (Stage::Opening, None));
            assert_eq!((transfer.tried, transfer.ladder.len()), (1, 1));
            assert_eq!(transfer.deadline, world.now.plus(30_000), "the clock starts anew");
            assert_eq!(agent_no(&world), former + 1);
            if stage == Stage::Waiting {
                world.deliver_all();
                assert_eq!(world.heard_by(times), ["my ticket is 17"], "it had heard that before");
                assert_eq!(world.stage(), Some(Stage::Waiting));
            }
        }
        world.deliver_all();
        for former in 1..=8 {
            assert!(world.was_closed(former), "{stage:?} {former}");
            let only_close = world.hearers[&ParticipantNo(former)].heard.len() == 1;
            assert_eq!(only_close, stage == Stage::Opening, "whoever heard no Open hears its Close alone");
        }
        assert_eq!(world.heard_by(9), ["my ticket is 17"], "the new one hears it from the start");
        assert!(!world.was_closed(9));
        // The ladder is as long as it was.
        world.agent(AgentEvent::Failed(Failure::of(Reason::Declined)));
        assert_eq!(world.stage(), Some(Stage::Opening));
        assert_eq!(world.state.transfer.as_ref().unwrap().rung.as_ref().unwrap().target, to("spare"));
    }
}

#[test]
fn what_a_retried_session_says_late_moves_nothing() {
    let mut world = at(Stage::Opening);
    let (former, open) = (world.rung(), world.state.transfer.as_ref().unwrap().first);
    world.does(OperatorAct::Retries);
    let before = world.state.clone();
    // Its Open was on the way when the operator retried: it is accepted, queued, answered, and ended.
    world.step(Input::Delivery { participant: former, seq: open, result: DeliveryResult::Accepted });
    for event in [
        AgentEvent::Queued { position: Some(1) },
        AgentEvent::Joined { name: None },
        AgentEvent::Said { text: say("hello?"), name: None },
        AgentEvent::Ended { tag: None },
        AgentEvent::Failed(Failure::of(Reason::Declined)),
    ] {
        world.step(Input::Agent { participant: former, event });
    }
    let gone = DeliveryResult::Gone(Failure::of(Reason::AgentLost));
    world.step(Input::Delivery { participant: former, seq: open, result: gone });
    assert_eq!(world.state, State { head: world.state.head, ..before });
    assert_eq!(world.customer_heard(), ["Hello", "One moment"]);
}

#[test]
fn whom_an_agent_talks_to_is_not_retried() {
    for stage in [Stage::Talking, Stage::Closing] {
        assert!(only_noted(at(stage).does(OperatorAct::Retries)), "{stage:?}");
    }
    assert!(only_noted(begun(cast(false)).does(OperatorAct::Retries)), "nor who talks to the bot");
}

#[test]
fn skipping_the_open_fails_the_rung() {
    let mut world = at(Stage::Opening);
    for (next, reached) in [(2, Some(Stage::Opening)), (3, None)] {
        let (participant, open) = (world.rung(), world.state.transfer.as_ref().unwrap().first);
        let act = world.skip(participant, open);
        world.does(act);
        assert_eq!(world.stage(), reached);
        assert!(next == 3 || agent_no(&world) == next, "the next rung of the ladder");
    }
    let code = Some("skipped by an operator".to_owned());
    let failure = Failure { reason: Reason::Unreachable, code };
    assert_eq!(world.outcomes(), [Outcome::Failed(failure)]);
    assert_eq!(world.customer_heard().last(), Some(&world.app.texts.transfer_failed.as_str()));
    assert!(
        !world.notes().iter().any(|note| matches!(note, Note::Refused { .. })),
        "no vendor refused anything"
    );
}

#[test]
fn skipping_an_open_that_was_taken_already_changes_nothing() {
    let mut world = at(Stage::Opening);
    let (participant, open) = (world.rung(), world.state.transfer.as_ref().unwrap().first);
    // A sign of life overtook the answer, which never comes.
    world.agent(AgentEvent::Queued { position: Some(1) });
    assert_eq!(world.stage(), Some(Stage::Waiting));
    let act = world.skip(participant, open);
    assert!(only_noted(world.does(act)));
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["my ticket is 17"], "what comes after it is delivered");
}

#[test]
fn skipping_a_line_tells_the_customer() {
    for stage in [Stage::Waiting, Stage::Talking, Stage::Closing] {
        let mut world = at(stage);
        if stage != Stage::Closing {
            world.customer("one");
        }
        let participant = world.rung();
        let seq = world.log.iter().rev().find(|entry| entry.to == Role::Agent).unwrap().seq;
        let before = world.state.clone();
        let act = world.skip(participant, seq);
        world.does(act);
        assert_eq!(world.customer_heard().last(), Some(&world.app.texts.not_delivered.as_str()), "{stage:?}");
        assert_eq!(world.state, State { head: world.state.head, ..before }, "{stage:?}");
        if stage != Stage::Closing {
            world.customer("two");
            world.deliver_all();
            assert_eq!(
                world.heard_by(participant.0),
                ["my ticket is 17", "two"],
                "the next one is delivered"
            );
        }
    }
}

#[test]
fn skipping_a_held_line_leaves_it_to_the_policy() {
    for policy in [HoldPolicy::Pass, HoldPolicy::Drop] {
        let mut app = cast(true);
        app.agents.get_mut(&"kit".into()).unwrap().intercepts = Some(policy);
        let mut world = World::new(app);
        world.customer("hi");
        let held = world.state.held[0].seq;
        let act = world.skip(ParticipantNo(1), held);
        world.does(act.clone());
        assert!(!world.state.held.iter().any(|line| line.seq == held));
        let passed = policy == HoldPolicy::Pass;
        assert_eq!(world.notes().contains(&&Note::PassedOn), passed);
        assert_eq!(world.notes().contains(&&Note::Dropped), !passed);
        let heard = if passed { Vec::new() } else { vec![world.app.texts.dropped.as_str()] };
        assert_eq!(world.customer_heard(), heard, "if it passed, the bot's answer is held in its turn");
        assert_eq!(world.state.held.len(), usize::from(passed));
        assert!(only_noted(world.does(act)), "twice is once");
    }
}

#[test]
fn skipping_a_held_line_that_was_answered_drops_it() {
    let mut world = World::new(cast(true));
    world.customer("price?");
    world.deliver_all();
    world.calls(0, Call::SendUserMessage(say("5 euro")));
    let held = world.state.held[0].seq;
    world.does(OperatorAct::Skips { participant: ParticipantNo(1), seq: held });
    assert!(world.state.held.is_empty());
    assert_eq!(world.customer_heard(), ["5 euro"]);
    assert!(world.notes().contains(&&Note::Skipped));
}

#[test]
fn skipping_at_somebody_elses_entry_changes_nothing() {
    let mut world = at(Stage::Requested);
    let held = world.state.held[0].seq;
    let nobody = OperatorAct::Skips { participant: ParticipantNo(7), seq: held };
    assert!(only_noted(world.does(nobody)), "who does not take part holds nothing");
    world.does(OperatorAct::Retries);
    // The interceptor is not the agent, and the agent holds nothing.
    let open = world.state.transfer.as_ref().unwrap().first;
    let interceptor = OperatorAct::Skips { participant: ParticipantNo(1), seq: open };
    assert!(only_noted(world.does(interceptor)));
    // A former rung that is stuck at its Close: the cursor is the dispatcher's, the conversation is not concerned.
    let former = world.rung();
    world.does(OperatorAct::Retries);
    let close = world.hearers[&former].participant.to.unwrap();
    let act = world.skip(former, close);
    assert!(only_noted(world.does(act)));
    world.deliver_all();
    assert!(!world.was_closed(former.0));
}

#[test]
fn dropping_the_agent_climbs_the_ladder() {
    for (stage, reason) in [
        (Stage::Opening, Reason::Unreachable),
        (Stage::Waiting, Reason::AgentLost),
        (Stage::Talking, Reason::AgentLost),
    ] {
        let mut world = at(stage);
        let participant = world.rung();
        world.customer("one");
        let act = world.drop(participant).unwrap();
        world.does(act);
        let code = Some("given up by an operator".to_owned());
        let failed = Note::RungFailed { target: to("desk"), failure: Failure { reason, code } };
        assert!(world.notes().contains(&&failed), "{stage:?}: {:?}", world.notes());
        assert!(!world.notes().iter().any(|note| matches!(note, Note::Gone { .. })), "no vendor said so");
        assert_eq!((world.stage(), agent_no(&world)), (Some(Stage::Opening), 2), "{stage:?}");
        assert_eq!(world.state.transfer.as_ref().unwrap().agent, None, "whoever talked does so no more");
        world.deliver_all();
        assert_eq!(world.heard_by(2), ["my ticket is 17", "one"], "the next one hears it from the start");
        assert!(!world.was_closed(1), "who is given up hears nothing more");
    }
}

#[test]
fn dropping_the_agent_while_closing_ends_as_it_was_decided() {
    let mut world = at(Stage::Closing);
    world.customer("one more thing");
    let participant = world.rung();
    world.does(OperatorAct::Drops { participant });
    assert_eq!(world.outcomes(), [Outcome::AgentEnded]);
    assert_eq!(world.customer_heard().last(), Some(&"You said one more thing"));
}

#[test]
fn dropping_an_interceptor_decides_all_that_it_holds() {
    for policy in [HoldPolicy::Pass, HoldPolicy::Drop] {
        let mut app = cast(true);
        app.agents.get_mut(&"kit".into()).unwrap().intercepts = Some(policy);
        let mut world = World::new(app);
        world.customer("one");
        world.customer("two");
        let act = world.drop(ParticipantNo(1)).unwrap();
        world.does(act);
        let decided = |note: &Note| matches!(note, Note::PassedOn | Note::Dropped);
        assert_eq!(world.notes().into_iter().filter(|note| decided(note)).count(), 2);
        let dropped = world.customer_heard().iter().filter(|said| **said == world.app.texts.dropped).count();
        assert_eq!(dropped, if policy == HoldPolicy::Drop { 2 } else { 0 });
        // What is said from now on is a new session's.
        world.customer("three");
        world.deliver_all();
        assert_eq!(world.heard_by(1), Vec::<&str>::new());
        assert_eq!(world.heard_by(2).last(), Some(&"three"));
    }
}

#[test]
fn dropping_who_does_not_take_part_changes_nothing() {
    let mut world = at(Stage::Talking);
    assert!(only_noted(world.does(OperatorAct::Drops { participant: ParticipantNo(7) })));
    let former = world.rung();
    world.does(OperatorAct::Ends(Scope::AgentChat));
    assert!(only_noted(world.does(OperatorAct::Drops { participant: former })), "its part is over already");
}

#[test]
fn an_operator_speaks_to_the_customer_alone() {
    for stage in STAGES {
        let mut world = at(stage);
        let (before, heard) = (world.state.clone(), world.customer_heard().len());
        world.does(words(Some("Ann"), "Somebody will be with you soon"));
        assert_eq!(world.customer_heard()[heard..], ["Somebody will be with you soon"], "{stage:?}");
        assert_eq!(world.state, State { head: world.state.head, ..before });
        assert_eq!(world.log.last().unwrap().by, Speaker::Operator { name: Some("Ann".into()) });
        world.deliver_all();
        let told = |entry: &Entry| matches!(entry.by, Speaker::Operator { .. });
        assert!(!world.hearers.values().any(|hearer| hearer.heard.iter().any(told)), "{stage:?}");
    }
    let mut world = World::new(cast(true));
    world.customer("hi");
    world.does(words(None, "Good morning"));
    assert_eq!(world.customer_heard(), ["Good morning"], "no interceptor holds it");
    assert_eq!(world.state.held.len(), 1);
}

#[test]
fn what_an_operator_says_does_not_keep_a_talk_from_going_idle() {
    let mut world = at(Stage::Talking);
    world.now = world.now.plus(800_000);
    world.does(words(None, "Are you still there?"));
    world.passes(100_000);
    assert_eq!(world.outcomes(), [Outcome::Idle]);
}

#[test]
fn an_act_on_a_closed_conversation_is_only_noted() {
    for act in [
        OperatorAct::Ends(Scope::AgentChat),
        OperatorAct::Ends(Scope::Conversation),
        OperatorAct::Retries,
        words(Some("Ann"), "Sorry"),
        OperatorAct::Skips { participant: ParticipantNo(1), seq: Seq(3) },
        OperatorAct::Drops { participant: ParticipantNo(1) },
    ] {
        let mut world = closed();
        assert!(only_noted(world.does(act.clone())), "{act:?}");
        assert_eq!(world.notes(), [&Note::Operator { by: "ann".into(), act }]);
    }
}

#[test]
fn the_name_that_was_told_last_is_known_while_an_agent_is_there() {
    let name = |world: &World| world.state.transfer.as_ref().unwrap().agent.clone();
    let said = |name: &str| AgentEvent::Said { text: say("hi"), name: Some(name.into()) };
    let mut world = at(Stage::Waiting);
    world.agent(said("The queue"));
    assert_eq!(name(&world), None, "a line in the queue may be the queue's voice");
    world.agent(AgentEvent::Joined { name: None });
    assert_eq!(name(&world), None);
    world.agent(said("Kim"));
    assert_eq!(name(&world).as_deref(), Some("Kim"), "a line tells it too");
    world.agent(AgentEvent::Said { text: say("hi"), name: None });
    world.agent(AgentEvent::Ended { tag: None });
    assert_eq!(name(&world).as_deref(), Some("Kim"), "her last words may still be on the way");
    // What comes in a vendor's payload is not bounded; the state is, at a whole character.
    let mut world = at(Stage::Waiting);
    world.agent(AgentEvent::Joined { name: Some(format!("xx{}", "日".repeat(100_000))) });
    assert_eq!(name(&world).unwrap().len(), 4_094);
}
