//! Agent systems that were deleted while somebody still talked through them: nothing new goes there, and what is there
//! goes on.
#![allow(clippy::unwrap_used)]

mod support;

use interline_core::app::{AgentSystem, HoldPolicy};
use interline_core::conversation::classify::Call;
use interline_core::conversation::entry::Note;
use interline_core::conversation::input::{AgentEvent, OperatorAct};
use interline_core::transfer::{Failure, Outcome, Reason, Stage};
use interline_core::{Body, Owner, Role};
use proptest::prelude::*;
use support::acts::{begun, say};
use support::app::{desk, flow_of, kit, says, simple, to, watching_kit};
use support::config;
use support::story::any_story;
use support::world::{Moment, World};

proptest! {
    #![proptest_config(config())]

    #[test]
    fn nothing_new_goes_to_a_retired_system(story in any_story()) {
        for Moment { app, before, step, .. } in World::play_to_the_end(&story).history {
            for entry in &step.entries {
                if let Body::Note(Note::RungOpens(target)) = &entry.body {
                    prop_assert!(app.takes_new(&target.integration), "a rung at {:?}", target);
                }
                prop_assert!(entry.to != Role::Interceptor || app.interceptor().is_some(), "held: {:?}", entry);
            }
            // A rung, an interception or a take-over: each makes a participant.
            let made = step.participants.iter().filter(|participant| participant.no.0 > before.participants_made);
            for participant in made {
                prop_assert!(app.takes_new(&participant.integration), "{:?}", participant);
            }
        }
    }

    #[test]
    fn what_is_there_does_not_end_because_the_system_is_retired(story in any_story()) {
        let mut world = World::play(&story);
        let before = world.state.clone();
        let names: Vec<String> = world.app.agents.keys().map(ToString::to_string).collect();
        for name in names {
            world.retires(&name, true);
        }
        world.step(interline_core::Input::Tick);
        if before.wake_at().is_none_or(|wake| wake > world.now) {
            prop_assert_eq!(&world.state, &before);
        }
        world.silence();
        prop_assert_eq!(&world.state.transfer, &None, "and it ends as ever");
    }
}

#[test]
fn who_talks_goes_on_talking() {
    let mut world = begun(simple(&[("desk", desk())], &["desk"]));
    world.customer("agent");
    world.deliver_all();
    world.retires("desk", true);
    world.agent(AgentEvent::Queued { position: Some(1) });
    world.joins();
    world.customer("one");
    world.agent_says("two");
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["one"]);
    world.agent(AgentEvent::Ended { tag: None });
    assert_eq!(world.customer_heard(), ["Hello", "two", "I am back"]);
    world.customer("agent");
    assert_eq!(world.outcomes().last(), Some(&Outcome::Failed(Failure::of(Reason::Unconfigured))));
    world.retires("desk", false);
    world.customer("agent");
    assert_eq!(world.stage(), Some(Stage::Opening), "set up again, it is asked again");
}

#[test]
fn the_ladder_leaves_out_what_was_retired_meanwhile() {
    let systems = [("desk", desk()), ("kit", kit()), ("spare", desk())];
    let mut world = begun(simple(&systems, &["desk", "kit", "spare"]));
    world.customer("agent");
    world.retires("kit", true);
    world.open_refused(Reason::NoAgents);
    assert_eq!(world.state.transfer.as_ref().unwrap().rung.as_ref().unwrap().target, to("spare"));
    let mut world = begun(simple(&systems, &["desk", "kit"]));
    world.customer("agent");
    world.retires("kit", true);
    world.open_refused(Reason::NoAgents);
    assert_eq!(world.outcomes(), [Outcome::Failed(Failure::of(Reason::NoAgents))]);
}

#[test]
fn a_system_that_is_retired_before_its_rung_opens_is_not_asked() {
    for (ladder, opens) in [(&["desk", "spare"][..], true), (&["desk"], false)] {
        let mut app = simple(&[("desk", desk()), ("kit", watching_kit()), ("spare", desk())], ladder);
        flow_of(&mut app).nodes.insert("before".into(), says("One moment", Some("human".into())));
        flow_of(&mut app).words[0].go_to = "before".into();
        let mut world = World::new(app);
        world.customer("agent");
        world.deliver_all();
        world.calls(0, Call::SendBotMessage(say("agent")));
        assert_eq!(world.stage(), Some(Stage::Requested));
        world.retires("desk", true);
        world.does(OperatorAct::Retries);
        if opens {
            assert_eq!(world.state.transfer.as_ref().unwrap().rung.as_ref().unwrap().target, to("spare"));
        } else {
            assert_eq!(world.outcomes(), [Outcome::Failed(Failure::of(Reason::Unconfigured))]);
            assert_eq!(world.state.owner, Owner::Bot);
        }
    }
}

/// A retry would cost the place in the queue, and could not take it anew.
#[test]
fn who_waits_at_a_retired_system_is_not_retried() {
    let mut world = begun(simple(&[("desk", desk()), ("spare", desk())], &["desk", "spare"]));
    world.customer("agent");
    world.deliver_all();
    world.agent(AgentEvent::Queued { position: Some(1) });
    world.retires("desk", true);
    let before = world.state.transfer.clone();
    world.does(OperatorAct::Retries);
    assert_eq!(world.state.transfer, before);
}

#[test]
fn a_retired_botkit_may_not_take_over() {
    let mut world = begun(simple(&[("kit", kit())], &["kit"]));
    world.customer("agent");
    world.deliver_all();
    world.calls(0, Call::ClearAgentSession);
    world.passes(3_000);
    world.retires("kit", true);
    let before = world.state.clone();
    world.calls(0, Call::StartAgentSession);
    assert_eq!(world.state.owner, Owner::Bot);
    assert_eq!(
        (world.state.transfers, world.state.participants_made),
        (before.transfers, before.participants_made)
    );
    let late = Note::Late { what: "startAgentSession".into(), text: String::new() };
    assert_eq!(world.log.last().unwrap().body, Body::Note(late));
}

#[test]
fn a_retired_botkit_that_was_asked_may_still_say_that_it_takes_over() {
    let mut world = begun(simple(&[("kit", AgentSystem { tells_joined: true, ..kit() })], &["kit"]));
    world.customer("agent");
    world.deliver_all();
    world.retires("kit", true);
    assert_eq!(world.stage(), Some(Stage::Waiting));
    world.calls(0, Call::StartAgentSession);
    assert_eq!(world.stage(), Some(Stage::Talking));
}

#[test]
fn a_retired_interceptor_decides_what_it_holds_and_gets_nothing_else() {
    let mut world = World::new(simple(&[("kit", watching_kit())], &["kit"]));
    world.customer("one");
    world.deliver_all();
    world.retires("kit", true);
    world.customer("two");
    assert_eq!(world.customer_heard(), ["You said two"], "the bot is asked directly");
    world.calls(0, Call::SendBotMessage(say("one, please")));
    assert_eq!(world.customer_heard(), ["You said two", "You said one, please"]);
    world.deliver_all();
    assert_eq!(world.heard_by(1), ["one"]);
    assert!(world.state.held.is_empty());
}

#[test]
fn a_line_that_a_retired_interceptor_never_decides_is_decided_by_its_own_policy() {
    for policy in [HoldPolicy::Pass, HoldPolicy::Drop] {
        let watching = AgentSystem { intercepts: Some(policy), ..kit() };
        let mut world = World::new(simple(&[("kit", watching)], &["kit"]));
        world.customer("one");
        world.retires("kit", true);
        world.passes(15_000);
        let dropped = world.app.texts.dropped.clone();
        let heard = if policy == HoldPolicy::Pass { "You said one" } else { &dropped };
        assert_eq!(world.customer_heard(), [heard]);
    }
}
