//! Flows within conversations: queues, turns, silence, hand-offs, what is counted.
#![allow(clippy::unwrap_used)]

mod support;

use std::sync::Arc;

use interline_core::app::{Reminder, Sessions};
use interline_core::conversation::entry::Note;
use interline_core::conversation::facts::{ClosedBy, Label};
use interline_core::conversation::input::{AgentEvent, Scope};
use interline_core::flow::work::Outcome as Came;
use interline_core::flow::{Expects, Flow, Flows, Takes};
use interline_core::transfer::{Failure, Outcome, Reason, Stage};
use interline_core::{App, Body, Input, Owner, Role, Speaker, try_step};
use serde_json::{Value, json};
use support::app::{desk, simple, watching_kit};
use support::world::World;

fn app(flows: Value) -> App {
    let all: std::collections::BTreeMap<_, Flow> = serde_json::from_value(flows).unwrap();
    let plain = simple(&[("desk", desk())], &["desk"]);
    App { flows: Arc::new(Flows { all, ..Flows::default() }), default_agent: Some("desk".into()), ..plain }
}

/// A channel that answers requests.
fn takes_turns(app: App) -> World {
    let mut world = World::new(app);
    world.state.customer.connection.takes_turns = true;
    world
}

fn turns(world: &World) -> Vec<&Expects> {
    let bodies = world.log.iter().map(|entry| &entry.body);
    bodies.filter_map(|body| if let Body::TurnDone(expects) = body { Some(expects) } else { None }).collect()
}

fn queue() -> App {
    app(json!({
        "main": { "start": "human", "nodes": { "human": { "agent_transfer": { "in_queue": "wait" } } } },
        "wait": { "start": "hold", "nodes": {
            "hold": { "message": { "text": "Please hold", "next": "ask" } },
            "ask": { "ivr_menu": { "message": "1: music, 2: news", "choices": [
                { "key": "1", "go_to": "music" }, { "key": "2", "go_to": "news" }] } },
            "music": { "message": { "text": "la la la" } },
            "news": { "message": { "text": "no news" } } } } }))
}

#[test]
fn an_in_queue_flow_speaks_under_the_transfer_and_takes_the_next_line() {
    let mut world = World::new(queue());
    world.step(Input::Connected);
    world.deliver_all();
    assert_eq!(world.stage(), Some(Stage::Waiting));
    assert_eq!(world.customer_heard(), ["Please hold", "1: music, 2: news"]);
    let spoken = world.log.iter().rev().find(|entry| entry.by == Speaker::Bot).unwrap();
    assert_eq!((spoken.epoch, spoken.transfer), (world.state.epoch, Some(world.state.transfers)));
    world.customer("1");
    assert_eq!(world.customer_heard().last(), Some(&"la la la"));
    assert!(!world.log.iter().any(|entry| entry.by == Speaker::Customer && entry.to == Role::Agent));
    world.customer("are you there?");
    let last = world.log.last().unwrap();
    assert_eq!((last.to, last.transfer), (Role::Agent, Some(world.state.transfers)), "it asks nothing more");
}

#[test]
fn joined_ends_an_in_queue_flow() {
    let mut world = World::new(queue());
    world.step(Input::Connected);
    world.deliver_all();
    world.joins();
    assert_eq!(world.state.transfer.as_ref().unwrap().queue_run, None);
    world.customer("2");
    assert_eq!(world.log.last().unwrap().to, Role::Agent);
}

#[test]
fn a_channel_that_takes_turns_learns_what_is_expected() {
    let menu = json!({ "ivr_menu": { "message": "1?", "choices": [{ "key": "1", "go_to": "human" }] } });
    let mut world = takes_turns(app(json!({ "main": { "start": "menu", "nodes": {
        "menu": menu, "human": { "agent_transfer": { "message": "One moment", "returned": "bye" } },
        "bye": { "end": { "message": "Bye" } } } } })));
    world.step(Input::Connected);
    let Expects::Input(asks) = turns(&world)[0] else { panic!("{:?}", turns(&world)) };
    assert!(matches!(&asks.takes, Takes::Menu { choices } if choices.len() == 1));
    world.customer("1");
    assert_eq!(turns(&world)[1], &Expects::Nothing);
    world.deliver_all();
    world.joins();
    world.customer("hello");
    assert_eq!(turns(&world)[2], &Expects::Nothing, "an agent answers when it likes");
    world.agent(AgentEvent::Ended { tag: None });
    assert_eq!(turns(&world)[3], &Expects::End);
    assert_eq!(world.log.iter().filter(|entry| matches!(entry.body, Body::TurnDone(_))).count(), 4);
}

#[test]
fn others_are_told_nothing_of_turns() {
    let mut world = World::new(simple(&[("desk", desk())], &["desk"]));
    world.step(Input::Connected);
    world.customer("hi");
    assert_eq!(turns(&world).len(), 0);
}

#[test]
fn a_turn_is_not_over_while_a_line_is_held() {
    let app = simple(&[("kit", watching_kit())], &["kit"]);
    let mut world = takes_turns(app);
    world.step(Input::Connected);
    assert_eq!(turns(&world).len(), 0, "the interceptor has the line");
    world.deliver_all();
    world.calls(
        0,
        interline_core::conversation::classify::Call::SendUserMessage(support::acts::say("Hello!")),
    );
    assert_eq!(turns(&world).len(), 1);
    let (said, turn) = (&world.log[world.log.len() - 2], world.log.last().unwrap());
    assert_eq!(said.text().unwrap().text, "Hello!");
    assert!(matches!(turn.body, Body::TurnDone(_)));
}

#[test]
fn a_turn_goes_on_while_an_api_is_asked() {
    let api = json!({ "api": { "request": { "url": "https://x.test/" }, "success": "said" } });
    let mut world = takes_turns(app(json!({ "main": { "start": "ask", "nodes": {
        "ask": api, "said": { "message": { "text": "done" } } } } })));
    world.step(Input::Connected);
    assert_eq!(turns(&world).len(), 0);
    let work = world.log.last().unwrap();
    let Body::Work { participant, work: piece } = &work.body else { panic!("{work:?}") };
    assert!(world.hearers[participant].participant.hears(work) && piece.no == 1);
    let outcome = Came::Answered { status: 200, body: json!({}) };
    world.step(Input::Worked { no: 1, outcome: outcome.clone() });
    assert_eq!((world.customer_heard(), turns(&world).len()), (vec!["done"], 1));
    let entries = world.log.len();
    world.step(Input::Worked { no: 1, outcome });
    assert_eq!(world.log.len(), entries + 1, "a second answer is noted, and no more");
    assert!(matches!(world.log.last().unwrap().body, Body::Note(Note::Worked { no: 1, .. })));
}

#[test]
fn an_answer_that_comes_while_an_agent_is_there_changes_nothing() {
    let api = json!({ "api": { "request": { "url": "https://x.test/" }, "success": "ask" } });
    let mut world = World::new(app(json!({ "main": { "start": "ask", "nodes": { "ask": api } } })));
    world.step(Input::Connected);
    world.deliver_all();
    world.step(Input::Operator {
        by: "ann".into(),
        act: interline_core::conversation::input::OperatorAct::Ends(Scope::Conversation),
    });
    let before = world.state.clone();
    world.step(Input::Worked { no: 1, outcome: Came::Available(None) });
    assert_eq!(world.state, before);
}

#[test]
fn a_call_that_left_our_hands_is_over_and_counts_as_a_transfer() {
    let mut world = World::new(simple(&[("desk", desk())], &["desk"]));
    world.step(Input::Connected);
    world.customer("agent");
    world.deliver_all();
    world.agent(AgentEvent::HandedOff);
    assert_eq!((world.state.owner, world.state.transfer.clone()), (Owner::Closed, None));
    let ended = world.notes().into_iter().any(|note| *note == Note::TransferEnded(Outcome::HandedOff));
    let facts = &world.state.facts;
    assert!(ended && facts.handed_off == 1 && facts.label(true) == Label::Agent);
    assert_eq!(facts.closed_by, Some(ClosedBy::HandedOff));
    assert!(!world.was_closed(1), "who took it needs no Close");
}

#[test]
fn silence_is_reminded_of_and_then_ends_a_conversation_with_the_bot() {
    let sessions = Sessions {
        inactivity_minutes: Some(15),
        message: Some("Good-bye".into()),
        reminder: Some(Reminder { minutes: 10, message: "Are you there?".into() }),
    };
    let app = App { sessions, ..simple(&[("desk", desk())], &["desk"]) };
    let mut world = World::new(app);
    world.step(Input::Connected);
    world.passes(5 * 60_000);
    world.customer("hi");
    world.passes(5 * 60_000);
    assert_eq!(world.customer_heard(), ["Hello", "You said hi"], "the customer spoke meanwhile");
    world.passes(5 * 60_000);
    assert_eq!(world.customer_heard().last(), Some(&"Are you there?"));
    world.passes(5 * 60_000 - 1);
    assert_eq!(world.state.owner, Owner::Bot);
    world.passes(1);
    assert_eq!((world.state.owner, world.customer_heard().last()), (Owner::Closed, Some(&"Good-bye")));
    assert_eq!(world.state.facts.closed_by, Some(ClosedBy::Silence));
}

#[test]
fn silence_of_an_agent_is_none_of_the_bots() {
    let sessions = Sessions { inactivity_minutes: Some(5), ..Sessions::default() };
    let mut world = World::new(App { sessions, ..simple(&[("desk", desk())], &["desk"]) });
    world.step(Input::Connected);
    world.customer("agent");
    world.deliver_all();
    world.joins();
    world.passes(6 * 60_000);
    assert_eq!(world.stage(), Some(Stage::Talking));
    world.agent(AgentEvent::Ended { tag: None });
    world.passes(4 * 60_000);
    assert_eq!(world.state.owner, Owner::Bot, "the clock begins anew when the bot is back");
    world.passes(60_000);
    assert_eq!(world.state.owner, Owner::Closed);
}

#[test]
fn facts_are_noted_as_they_come() {
    let mut world = World::new(simple(&[("desk", desk()), ("kit", desk())], &["desk", "kit"]));
    world.step(Input::Connected);
    assert_eq!(world.state.facts.label(true), Label::SelfService);
    world.customer("agent");
    world.deliver_all();
    world.agent(AgentEvent::Failed(Failure::of(Reason::NoAgents)));
    world.deliver_all();
    world.joins();
    let facts = world.state.facts.clone();
    assert_eq!((facts.reached, facts.accepted, facts.joined, facts.failed), (1, 2, 1, 0));
    world.agent(AgentEvent::Failed(Failure::of(Reason::AgentLost)));
    let facts = world.state.facts.clone();
    assert_eq!((facts.failed, facts.failed_why), (1, Some(Reason::AgentLost)));
    let before = facts.clone();
    world.customer("agent");
    world.deliver_all();
    world.joins();
    let talking = world.state.facts.clone();
    world.customer("a line");
    world.agent_says("another");
    assert_eq!(world.state.facts, talking, "what is relayed changes no fact");
    assert_ne!(talking, before);
}

#[test]
fn a_conversation_notes_the_flows_that_it_began_with() {
    let mut app = simple(&[("desk", desk())], &["desk"]);
    Arc::make_mut(&mut app.flows).id = "one".into();
    let mut world = World::new(app);
    world.step(Input::Connected);
    assert_eq!(world.state.flows.as_deref(), Some("one"));
    Arc::make_mut(&mut Arc::make_mut(&mut world.app).flows).id = "two".into();
    world.customer("hi");
    assert_eq!(world.state.flows.as_deref(), Some("one"));
}

#[test]
fn a_step_with_a_script_is_the_same_whenever_it_is_done_again() {
    use interline_core::flow::NeedScript;
    use interline_core::flow::script::{Answer, Done};
    let script = |next: &str| json!({ "script": { "source": "x", "result": next, "next": next } });
    let app = app(json!({ "main": { "start": "a", "nodes": {
        "a": script("b"), "b": script("c"), "c": { "message": { "text": "{{b}} {{c}}" } } } } }));
    let world = World::new(app);
    let mut answers = Vec::new();
    let first = loop {
        match try_step(&world.app, &world.state, &Input::Connected, &answers, world.now, 7) {
            Ok(step) => break step,
            Err(NeedScript(call)) => {
                let value = json!(call.seed);
                answers.push(Answer::Done(Done { value, ..Done::default() }));
            }
        }
    };
    assert_eq!((answers.len(), first.answers), (2, 2));
    let again = try_step(&world.app, &world.state, &Input::Connected, &answers, world.now, 7).unwrap();
    assert_eq!(again, first);
}
