//! The classic stories, step by step.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use interline_core::app::HoldPolicy;
use interline_core::conversation::call::{CallLeg, CallRecord, SentField};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Note;
use interline_core::conversation::hold::MAX_HELD;
use interline_core::conversation::input::{AgentEvent, DeliveryResult, OperatorAct, Scope};
use interline_core::flow::{MAIN, Node};
use interline_core::transfer::{Ask, Failure, Outcome, Reason, Stage};
use interline_core::{App, Body, Input, Owner, ParticipantNo, Role, Seq};
use support::acts::{begun, say};
use support::app::{desk, flow_of, kit, says, simple, to, watching_kit};
use support::world::{World, operator};

#[test]
fn hand_over_and_back() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    world.customer("I want an agent");
    assert_eq!((world.state.owner, world.stage()), (Owner::Agent, Some(Stage::Opening)));
    world.customer("my ticket is 17");
    world.deliver_all();
    assert_eq!(world.stage(), Some(Stage::Waiting));
    world.agent(AgentEvent::Queued { position: Some(2) });
    world.joins();
    world.agent_says("Hi, I am Kim");
    world.customer("thanks");
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["my ticket is 17", "thanks"]);
    world.agent(AgentEvent::Ended { tag: Some("solved".into()) });
    assert_eq!((world.state.owner, world.state.epoch.0), (Owner::Bot, 3));
    assert_eq!(world.customer_heard(), ["Hello", "Hi, I am Kim", "I am back"]);
    let package = world.log.iter().find_map(|entry| match &entry.body {
        Body::ReturnPackage(package) => Some(package),
        _ => None,
    });
    let package = package.unwrap();
    assert_eq!(
        (&package.outcome, package.tag.as_deref(), package.talked),
        (&Outcome::AgentEnded, Some("solved"), true)
    );
    world.customer("hi");
    assert_eq!(world.customer_heard().last(), Some(&"You said hi"));
}

#[test]
fn fallback_between_two_agent_systems() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
    world.customer("agent");
    world.customer("are you there?");
    world.open_refused(Reason::NoAgents);
    assert_eq!(world.stage(), Some(Stage::Opening));
    world.deliver_all();
    assert_eq!(world.stage(), Some(Stage::Talking));
    world.customer("hello?");
    world.deliver_all();
    assert_eq!(world.heard_by(1), Vec::<&str>::new(), "the first never took it");
    assert_eq!(world.heard_by(2), ["are you there?", "hello?"], "the second hears it from the start");
    assert!(world.outcomes().is_empty());
}

#[test]
fn a_ladder_at_its_end_tells_the_customer_and_gives_back_to_the_bot() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
    world.customer("agent");
    world.passes(30_000);
    world.open_refused(Reason::OutsideHours);
    assert_eq!(world.outcomes(), [Outcome::Failed(Failure::of(Reason::OutsideHours))]);
    assert_eq!(world.customer_heard().last(), Some(&world.app.texts.transfer_failed.as_str()));
    assert_eq!(world.state.owner, Owner::Bot);
}

#[test]
fn an_agent_system_lost_in_mid_conversation_is_replaced() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
    world.customer("agent");
    world.deliver_all();
    world.joins();
    world.customer("one");
    world.deliver_all();
    let participant = world.rung();
    let result = DeliveryResult::Gone(Failure::of(Reason::VendorError));
    world.step(Input::Delivery { participant, seq: Seq(9), result });
    world.customer("two");
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["one"]);
    assert_eq!(world.heard_by(2), ["one", "two"]);
    assert_eq!(world.stage(), Some(Stage::Talking));
}

#[test]
fn an_interceptor_sees_every_line_first() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    assert_eq!(world.customer_heard(), Vec::<&str>::new(), "the greeting is held");
    world.deliver_all();
    world.calls(0, Call::SendUserMessage(say("Hello!")));
    world.calls(0, Call::SendUserMessage(say("How can I help?")));
    assert_eq!(
        world.customer_heard(),
        ["Hello!", "How can I help?"],
        "released with its words; then one more line"
    );
    world.customer("hi");
    world.deliver_all();
    world.calls(1, Call::SendBotMessage(say("hi there")));
    world.calls(1, Call::SendBotMessage(say("hi again")));
    world.deliver_all();
    world.calls(2, Call::SkipUserMessage);
    assert_eq!(world.customer_heard().len(), 2, "the answer was dropped");
    world.customer("time passes");
    world.passes(15_000);
    assert!(world.log.iter().any(|entry| entry.body == Body::Note(Note::PassedOn)));
    world.passes(15_000);
    assert_eq!(world.customer_heard().last(), Some(&"You said time passes"));
}

#[test]
fn a_release_that_comes_too_late_is_not_one_more_line() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.deliver_all();
    world.passes(15_000);
    assert_eq!(world.customer_heard(), ["Hello"], "it went on without a word");
    world.calls(0, Call::SendUserMessage(say("Hello")));
    assert_eq!(world.customer_heard(), ["Hello"], "the customer has it already");
    world.calls(0, Call::SendUserMessage(say("By the way")));
    assert_eq!(world.customer_heard(), ["Hello", "By the way"], "but that is one more");
    assert!(world.state.unanswered.is_empty());
}

#[test]
fn nor_is_one_that_comes_too_late_because_too_many_were_held() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.deliver_all();
    for n in 0..MAX_HELD {
        world.customer(&format!("line {n}"));
    }
    assert_eq!(world.customer_heard(), ["Hello"], "the oldest went on");
    world.calls(0, Call::SendUserMessage(say("Hello")));
    assert_eq!(world.customer_heard(), ["Hello"]);
}

#[test]
fn a_late_skip_is_a_word_too() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.deliver_all();
    world.passes(15_000);
    world.calls(0, Call::SkipUserMessage);
    world.calls(0, Call::SendUserMessage(say("By the way")));
    assert_eq!(world.customer_heard(), ["Hello", "By the way"]);
}

#[test]
fn a_late_release_is_not_the_agents_word_either() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.deliver_all();
    world.passes(15_000);
    world.calls(0, Call::StartAgentSession);
    world.calls(0, Call::SendUserMessage(say("Hello")));
    assert_eq!(world.customer_heard(), ["Hello"]);
    world.calls(0, Call::SendUserMessage(say("I am Ann")));
    assert_eq!(world.customer_heard(), ["Hello", "I am Ann"]);
}

#[test]
fn the_first_rung_waits_for_the_interceptor() {
    let mut app = simple(&[("kit", watching_kit())], &["kit"]);
    flow_of(&mut app).nodes.insert("before".into(), says("One moment", Some("human".into())));
    flow_of(&mut app).words[0].go_to = "before".into();
    let mut world = World::new(app);
    world.customer("agent");
    world.deliver_all();
    world.calls(0, Call::SendBotMessage(say("agent")));
    assert_eq!(world.stage(), Some(Stage::Requested), "`One moment` is with the interceptor");
    world.customer("hello?");
    world.deliver_all();
    world.calls(1, Call::SendUserMessage(say("One moment, please")));
    assert_eq!(world.stage(), Some(Stage::Opening));
    let release = world.log.iter().find(|entry| entry.text() == Some(&say("One moment, please"))).unwrap();
    assert_eq!((release.epoch.0, release.to), (1, Role::Customer), "the bot said it before it let go");
    world.deliver_all();
    assert_eq!(world.heard_by(2), ["hello?"]);
}

#[test]
fn an_interceptor_that_answers_in_the_bots_place_is_not_answered_over() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.deliver_all();
    world.calls(0, Call::SkipUserMessage);
    world.customer("price?");
    world.deliver_all();
    world.calls(1, Call::SendUserMessage(say("5 euro")));
    world.passes(15_000);
    assert_eq!(
        world.customer_heard(),
        ["5 euro"],
        "the bot did not hear the line, so it does not answer too"
    );
    world.customer("and by train?");
    world.deliver_all();
    world.calls(2, Call::SendUserMessage(say("One moment")));
    world.calls(2, Call::SendBotMessage(say("by train")));
    world.deliver_all();
    world.calls(3, Call::SendUserMessage(say("You said by train")));
    assert_eq!(
        world.customer_heard(),
        ["5 euro", "One moment", "You said by train"],
        "it may still release it"
    );
}

#[test]
fn an_interceptor_that_is_silent_holds_nothing_up_for_long() {
    let mut app = simple(&[("kit", watching_kit())], &["kit"]);
    flow_of(&mut app).nodes.insert("before".into(), says("One moment", Some("human".into())));
    flow_of(&mut app).words[0].go_to = "before".into();
    let mut world = World::new(app);
    world.customer("agent");
    world.passes(15_000);
    assert_eq!(world.stage(), Some(Stage::Requested));
    world.passes(10_000);
    assert_eq!(world.stage(), Some(Stage::Opening));
    assert_eq!(world.customer_heard(), ["One moment"]);
}

#[test]
fn a_bots_last_words_are_not_lost_when_it_ends_the_conversation() {
    let mut world = World::new(simple(&[("kit", watching_kit())], &["kit"]));
    world.customer("bye");
    world.deliver_all();
    world.calls(0, Call::SendBotMessage(say("bye")));
    assert_eq!(world.state.owner, Owner::Closed);
    assert_eq!(world.customer_heard(), ["Goodbye"]);
    assert_eq!(world.log.last().unwrap().body, Body::Closed);
}

#[test]
fn a_policy_of_dropping_tells_the_customer() {
    let dropping = interline_core::app::AgentSystem { intercepts: Some(HoldPolicy::Drop), ..kit() };
    let mut world = World::new(simple(&[("kit", dropping)], &["kit"]));
    world.customer("hi");
    world.passes(15_000);
    assert_eq!(world.customer_heard(), [world.app.texts.dropped.as_str()]);
}

#[test]
fn the_twenty_first_held_line_lets_the_oldest_pass_and_hands_over_once() {
    let mut app = simple(&[("kit", watching_kit())], &["kit"]);
    flow_of(&mut app).nodes.insert("before".into(), says("One moment", Some("then".into())));
    flow_of(&mut app).nodes.insert("then".into(), says("Looking for somebody", Some("human".into())));
    flow_of(&mut app).words[0].go_to = "before".into();
    let mut world = World::new(app);
    for _ in 0..20 {
        world.customer("agent");
    }
    assert_eq!(world.state.held.len(), 20);
    world.deliver_all();
    // The last line is released: the bot says two things and hands over, and one of them is a held line too many. So the
    // oldest passes, which would make the bot hand over as well.
    let newest = world.ids.len() - 1;
    world.calls(newest, Call::SendBotMessage(say("agent")));
    assert_eq!(world.state.transfers.0, 1);
    assert_eq!(world.log.iter().filter(|entry| entry.body == Body::Open).count(), 1);
}

#[test]
fn a_botkit_that_never_answers_but_speaks() {
    let mut world = begun(simple(&[("kit", kit())], &["kit"]));
    world.customer("agent");
    let open = world.state.transfer.as_ref().unwrap().first;
    let (participant, result) = (world.rung(), DeliveryResult::Unconfirmed(Failure::of(Reason::Unreachable)));
    world.step(Input::Delivery { participant, seq: open, result });
    assert_eq!(world.stage(), Some(Stage::Opening));
    world.agent_says("Hi");
    assert_eq!(world.stage(), Some(Stage::Talking));
    // Its answer comes at last, and is an error.
    world.open_refused(Reason::VendorError);
    assert_eq!(world.stage(), Some(Stage::Talking));
    world.customer("hello");
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["hello"]);
}

#[test]
fn clear_twice_and_start_twice() {
    let mut world = begun(simple(&[("kit", kit())], &["kit"]));
    world.customer("agent");
    world.deliver_all();
    world.calls(0, Call::StartAgentSession);
    assert_eq!((world.stage(), world.state.transfers.0), (Some(Stage::Talking), 1), "it talks already");
    world.calls(0, Call::ClearAgentSession);
    assert_eq!(world.stage(), Some(Stage::Closing));
    world.calls(0, Call::SendUserMessage(say("last words")));
    world.customer("one more thing");
    world.calls(0, Call::ClearAgentSession);
    world.passes(3_000);
    assert_eq!(world.state.owner, Owner::Bot);
    world.calls(0, Call::ClearAgentSession);
    assert_eq!(world.outcomes(), [Outcome::AgentEnded]);
    assert_eq!(world.customer_heard(), ["Hello", "last words", "I am back", "You said one more thing"]);
    // Later it starts by itself, with the id it has from the first time, and again at once.
    world.calls(0, Call::StartAgentSession);
    world.calls(0, Call::StartAgentSession);
    assert_eq!((world.stage(), world.state.transfers.0, world.state.epoch.0), (Some(Stage::Talking), 2, 4));
    world.calls(0, Call::SendUserMessage(say("me again")));
    assert_eq!(world.customer_heard().last(), Some(&"me again"));
    world.customer("hello");
    world.deliver_all();
    assert_eq!(world.heard_by(2), ["hello"], "it began this itself and is not asked to");
}

#[test]
fn clear_during_opening() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["kit", "desk"]));
    world.customer("agent");
    world.deliver_all();
    let mut opening = World::new(world.app.clone());
    opening.customer("agent");
    opening.ids = world.ids.clone();
    assert_eq!(opening.stage(), Some(Stage::Opening));
    opening.calls(0, Call::ClearAgentSession);
    assert_eq!(opening.stage(), Some(Stage::Closing));
    opening.passes(3_000);
    assert_eq!(opening.outcomes(), [Outcome::AgentEnded], "an end is no failure: nobody climbs");
    assert_eq!(opening.state.owner, Owner::Bot);
}

#[test]
fn somebody_elses_transfer_is_not_taken_over() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", watching_kit())], &["desk"]));
    world.deliver_all();
    world.calls(0, Call::SendUserMessage(say("Hello")));
    world.customer("agent");
    world.deliver_all();
    world.calls(1, Call::SendBotMessage(say("agent")));
    let before = world.state.clone();
    for call in [Call::StartAgentSession, Call::ClearAgentSession, Call::CloseConversation] {
        world.calls(1, call);
    }
    world.calls(1, Call::SendUserMessage(say("psst")));
    assert_eq!(world.state.transfer, before.transfer);
    assert_eq!(world.customer_heard(), ["Hello"]);
}

#[test]
fn queued_that_overtakes_accepted_does_not_lose_a_botkit() {
    let mut world = begun(simple(&[("kit", kit())], &["kit"]));
    world.customer("agent");
    world.agent(AgentEvent::Queued { position: Some(3) });
    world.deliver_all();
    assert_eq!(world.stage(), Some(Stage::Talking), "without `joined` it talks once it gave a sign of life");
    assert!(!world.log.iter().any(|entry| matches!(entry.body, Body::Queued { .. })));
}

#[test]
fn a_flow_that_always_hands_over_again_is_stopped() {
    let mut app = simple(&[("desk", desk())], &["desk"]);
    if let Some(Node::AgentTransfer(node)) = flow_of(&mut app).nodes.get_mut(&"human".into()) {
        node.on_failure.go_to = Some("human".into());
    }
    let mut world = begun(app);
    world.customer("agent");
    world.silence();
    assert_eq!(world.state.transfers.0, 3);
    assert_eq!(world.outcomes().last(), Some(&Outcome::Failed(Failure::of(Reason::Loop))));
    assert_eq!(world.customer_heard().last(), Some(&world.app.texts.transfer_failed.as_str()));
    world.customer("agent");
    assert_eq!(world.state.transfers.0, 4, "a customer who asks again is heard");
}

#[test]
fn no_agent_system_is_unconfigured_and_the_bot_stays() {
    let mut world = begun(simple(&[], &["desk"]));
    world.customer("agent");
    assert_eq!(world.outcomes(), [Outcome::Failed(Failure::of(Reason::Unconfigured))]);
    assert_eq!((world.state.owner, world.state.epoch.0), (Owner::Bot, 1));
}

#[test]
fn the_agent_system_is_chosen_by_node_then_channel_then_app() {
    let mut app = simple(&[("desk", desk()), ("kit", kit()), ("spare", desk())], &["desk"]);
    let chosen = |app: &App| {
        let node = app.flows.get(&MAIN.into()).and_then(|flow| flow.transfer(&"human".into()))?;
        app.ladder(&"web".into(), node, &Ask::default()).first().cloned()
    };
    app.default_agent = Some("spare".into());
    app.channel_agents.insert("web".into(), "kit".into());
    assert_eq!(chosen(&app), Some(to("desk")));
    if let Some(Node::AgentTransfer(node)) = flow_of(&mut app).nodes.get_mut(&"human".into()) {
        node.target = None;
    }
    assert_eq!(chosen(&app), Some(to("kit")));
    app.channel_agents.clear();
    assert_eq!(chosen(&app), Some(to("spare")));
    app.default_agent = None;
    assert_eq!(chosen(&app), None);
}

#[test]
fn idle_and_operator_and_customer_end_a_talk() {
    for (end, outcome) in [
        (Input::Tick, Outcome::Idle),
        (operator(OperatorAct::Ends(Scope::AgentChat)), Outcome::OperatorEnded),
        (Input::CustomerEnds(Scope::AgentChat), Outcome::CustomerEnded),
    ] {
        let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
        world.customer("agent");
        world.deliver_all();
        world.joins();
        world.now = world.now.plus(900_000);
        world.step(end);
        world.deliver_all();
        assert_eq!(world.outcomes(), [outcome]);
        assert!(
            world.hearers[&ParticipantNo(1)]
                .heard
                .iter()
                .any(|entry| matches!(entry.body, Body::Close { .. }))
        );
    }
}

/// Decision 47: nobody's words pass through the log on a call.
#[test]
fn a_call_has_no_idle_deadline() {
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
    world.state.customer.connection.is_call = true;
    world.customer("agent");
    world.deliver_all();
    world.joins();
    for _ in 0..10 {
        world.now = world.now.plus(900_000);
        world.step(Input::Tick);
        assert_eq!(world.outcomes(), []);
        let transfer = world.state.transfer.as_ref().expect("a live transfer");
        assert!(transfer.stage == Stage::Talking && transfer.deadline > world.now, "{transfer:?}");
    }
    // In a chat the same silence is the end.
    world.state.customer.connection.is_call = false;
    world.now = world.now.plus(900_000);
    world.step(Input::Tick);
    assert_eq!(world.outcomes(), [Outcome::Idle]);
}

/// What a leg of a call came to is told also after the end, and changes nothing.
#[test]
fn what_a_call_came_to_is_a_note() {
    let record = CallRecord {
        leg: CallLeg::Agent,
        method: "INVITE".into(),
        target: "sip:agent@desk.example".into(),
        sent: vec![SentField { name: "X-Caller".into(), value: None }],
        code: Some(486),
        reason: None,
        result: "refused".into(),
        took_ms: 20,
    };
    let mut world = begun(simple(&[("desk", desk()), ("kit", kit())], &["desk", "kit"]));
    for ends in [false, true] {
        if ends {
            world.step(Input::CustomerEnds(Scope::Conversation));
        }
        let before = world.state.clone();
        world.step(Input::Called(record.clone()));
        assert_eq!(world.log.last().expect("an entry").body, Body::Note(Note::Called(record.clone())));
        assert_eq!((before.owner, before.transfer), (world.state.owner, world.state.transfer.clone()));
    }
}

#[test]
fn an_end_while_closing_keeps_what_the_agent_decided() {
    for end in [
        operator(OperatorAct::Ends(Scope::AgentChat)),
        Input::CustomerEnds(Scope::AgentChat),
        Input::CustomerEnds(Scope::Conversation),
    ] {
        let mut world = begun(simple(&[("kit", kit())], &["kit"]));
        world.customer("agent");
        world.deliver_all();
        world.agent(AgentEvent::Ended { tag: Some("solved".into()) });
        world.step(end);
        let ended = |note: &Body| *note == Body::Note(Note::TransferEnded(Outcome::AgentEnded));
        assert!(world.log.iter().any(|entry| ended(&entry.body)));
        assert!(
            !world.log.iter().any(|entry| matches!(entry.body, Body::Close { .. })),
            "it ended by itself"
        );
    }
}

#[test]
fn another_interceptor_hears_only_what_is_held_for_it() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    Arc::make_mut(&mut world.app).agents.insert("aaa".into(), watching_kit());
    world.customer("hi");
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["Hello"]);
    assert_eq!(world.heard_by(2), ["hi"]);
}

#[test]
fn an_interceptor_whose_session_is_gone_holds_nothing_up() {
    let mut world = begun(simple(&[("kit", watching_kit())], &["kit"]));
    world.customer("hi");
    let held: Vec<Seq> = world.state.held.iter().map(|held| held.seq).collect();
    let result = DeliveryResult::Gone(Failure::of(Reason::VendorError));
    world.step(Input::Delivery { participant: ParticipantNo(1), seq: held[0], result });
    assert!(world.state.held.iter().all(|line| !held.contains(&line.seq)));
    assert_eq!(world.customer_heard(), ["Hello"]);
}
