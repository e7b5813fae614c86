//! Agent Chat: a hand-over from its beginning to words both ways.

use interline_connector::channel::Mark;
use interline_connector::simulator::{ChatState, Fault};
use interline_connector::{Aside, Failure};
use interline_core::transfer::Reason;

use super::*;

#[tokio::test]
async fn an_agent_sees_all_that_travels_along() {
    let world = Chatting::new(json!({ "context_variables": { "b2b_category": "it" } })).await;
    let (session, chat) = world.opened().await;
    assert_eq!(session, json!({ "handle": HANDLE, "user": HANDLE, "email": "ann@example.com" }));
    let chat = world.desk().chat(&chat).expect("the chat");
    assert_eq!((chat.title.as_str(), chat.state), ("Ann Lee", ChatState::Waiting));
    assert_eq!(chat.transcript.as_deref(), Some("https://chat.example.com/t/token"));
    for (name, value) in [
        ("emailId", "ann@example.com"),
        ("language", "de"),
        ("plan", "gold"),
        ("b2b_category", "it"),
        ("LiveAgent_mandatory_skills", "german,billing"),
        ("LiveAgent_queue", crate::servicenow::simulator::QUEUE),
        ("streamId", APP),
        ("live_agent_only", "true"),
    ] {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
    let words = chat.told("message").expect("an introduction");
    assert!(
        words.starts_with("Customer: Ann Lee\n") && words.contains("Summary:\n- my laptop is broken"),
        "{words}"
    );
    let before: Vec<&str> =
        chat.lines.iter().filter(|line| line.before).map(|line| line.text.as_str()).collect();
    assert_eq!(before, ["Hello", "my laptop is broken", words]);
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn older_apps_get_the_introduction_in_the_first_words() {
    let world = Chatting::new(json!({ "virtual_agent_api": "3" })).await;
    world.sim.set(|admin| admin.version = 3);
    let (_, chat) = world.opened().await;
    let chat = world.desk().chat(&chat).expect("the chat");
    assert!(chat.lines.is_empty(), "history is dropped");
    assert!(chat.told("message").is_some_and(|words| words.contains("Transcript: https://")));
}

#[tokio::test]
async fn words_go_both_ways_in_order() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let words: Vec<String> = (0..200).map(|n| format!("line {n} – ü")).collect();
    for (n, words) in (10..).zip(&words) {
        world.tell(&line(n, words), Some(session.clone())).await;
        world.act(&chat, Act::say(words)).await;
    }
    let expected: Vec<&str> = words.iter().map(String::as_str).collect();
    world.shows(&chat, &expected).await;
    assert_eq!(world.platform.said(), words);
    let queued = AgentEvent::Queued { position: None };
    assert_eq!(world.platform.events()[..3], [queued, joined("Agent One"), says(&words[0])]);
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn lines_while_queued_and_long_ones_arrive() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.opened().await;
    let long = "long \u{1f9f3} words, ".repeat(10_000);
    world.tell(&line(5, "are you there?"), Some(session.clone())).await;
    world.tell(&line(6, &long), Some(session)).await;
    world.shows(&chat, &["are you there?", &long]).await;
}

#[tokio::test]
async fn typing_and_marks_are_told() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let brief = open().conversation;
    world.agent.aside(&brief, Some(session.clone()), &Aside::Typing(true)).await;
    let types = |desk: &Desk| desk.chat(&chat).filter(|chat| chat.typing);
    assert!(world.desk().until(SOON, types).await.is_some());
    world.agent.aside(&brief, Some(session.clone()), &Aside::Typing(false)).await;
    assert!(world.desk().until(SOON, |desk| desk.chat(&chat).filter(|chat| !chat.typing)).await.is_some());

    world.act(&chat, Act::Type { on: true }).await;
    world.act(&chat, Act::Type { on: false }).await;
    let typed: Vec<bool> = world
        .platform
        .heard
        .borrow()
        .iter()
        .filter_map(|was| match was {
            Was::Typing(on) => Some(*on),
            Was::Event(..) => None,
        })
        .collect();
    assert_eq!(typed, [true, false]);

    world.act(&chat, Act::say("hello")).await;
    let id = world
        .platform
        .until(|all| match all.last()? {
            Was::Event(id, AgentEvent::Said { .. }, _) => id.clone(),
            _ => None,
        })
        .await;
    let receipt = Aside::Receipt { mark: Mark::Delivered, seq: Seq(9), remote_id: Some(id) };
    world.agent.aside(&brief, Some(session.clone()), &receipt).await;
    let marked =
        |desk: &Desk| desk.chat(&chat)?.lines.iter().any(|line| line.delivered && !line.read).then_some(());
    assert!(world.desk().until(SOON, marked).await.is_some());
    // One that the instance gave no id to cannot be marked.
    let receipt = Aside::Receipt { mark: Mark::Read, seq: Seq(9), remote_id: None };
    world.agent.aside(&brief, Some(session), &receipt).await;
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn version_3_is_told_of_no_marks_and_typing_can_be_off() {
    let world = Chatting::new(json!({ "virtual_agent_api": "3", "typing": false })).await;
    world.sim.set(|admin| admin.version = 3);
    let (session, _) = world.talking().await;
    let before = world.sent(Chatting::PATH).len();
    let receipt = Aside::Receipt { mark: Mark::Delivered, seq: Seq(9), remote_id: Some("1".into()) };
    world.agent.aside(&open().conversation, Some(session.clone()), &receipt).await;
    world.agent.aside(&open().conversation, Some(session), &Aside::Typing(true)).await;
    assert_eq!(world.sent(Chatting::PATH).len(), before);
}

#[tokio::test]
async fn another_agent_takes_over_and_nothing_ends() {
    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.talking().await;
    world.act(&chat, Act::Transfer { to: "Robin".into() }).await;
    world.act(&chat, Act::say("I am Robin")).await;
    let events = world.platform.events();
    assert_eq!(events[1..3], [joined("Agent One"), joined("Robin")]);
    assert!(!events.iter().any(|event| matches!(event, AgentEvent::Ended { .. })));
    assert!(matches!(&events[3], AgentEvent::Said { name: Some(name), .. } if name == "Robin"));
}

#[tokio::test]
async fn a_call_is_known_by_any_of_our_names() {
    let world = Chatting::new(json!({})).await;
    world.sim.set(|admin| admin.forgets_session = true);
    let (_, chat) = world.talking().await;
    world.act(&chat, Act::say("one")).await;
    // Without any of the variables: by session, then by user.
    let flags =
        |session: &str| json!({ "agentChat": true, "clientVariables": null, "clientSessionId": session });
    let body = |id: &str| json!([{ "uiType": "OutputText", "value": id, "messageId": id, "agentInfo": { "sentFromAgent": true } }]);
    world.sim.tells(&chat, body("two"), flags(HANDLE)).await.expect("taken");
    world.sim.tells(&chat, body("three"), flags("")).await.expect("taken");
    assert_eq!(world.platform.said(), ["one", "two", "three"]);
    // Somebody else's is no error, and means nothing.
    let foreign = json!({ "clientVariables": { "tenant": "st-other", "handoff": HANDLE } });
    world.sim.tells(&chat, body("four"), foreign).await.expect("taken");
    assert_eq!(world.platform.said().len(), 3);
}

#[tokio::test]
async fn what_is_told_twice_is_heard_once_and_forgeries_are_not_heard() {
    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.talking().await;
    world.desk().faults().add("agent_text", 1, Fault::Twice);
    world.act(&chat, Act::say("once")).await;
    for fault in [Fault::Forged, Fault::Unsigned] {
        world.desk().faults().add("agent_text", 1, fault);
        assert!(world.sim.act(&chat, Act::say("not me")).await.is_err());
    }
    world.act(&chat, Act::say("after")).await;
    assert_eq!(world.platform.said(), ["once", "after"]);
}

#[tokio::test]
async fn the_access_token_is_fetched_anew_when_it_is_over() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    world.desk().clock().advance(2_000_000);
    world.tell(&line(5, "still here"), Some(session)).await;
    world.shows(&chat, &["still here"]).await;
    assert_eq!(world.sent("/oauth_token.do").len(), 2);
}

#[tokio::test]
async fn basic_and_every_message_authentication_work() {
    let basic = json!({ "type": "basic", "user_name": "interline.user", "password": "basic-password-1" });
    for (auth, token, hash) in [
        (crate::servicenow::simulator::MessageAuth::Off, Value::Null, Value::Null),
        (crate::servicenow::simulator::MessageAuth::Token("t-1".into()), json!("t-1"), Value::Null),
        (crate::servicenow::simulator::MessageAuth::Hash("h".into()), Value::Null, json!("h")),
    ] {
        let changes = json!({ "login": basic, "message_token": token, "message_hash_secret": hash });
        let world = Chatting::new(changes).await;
        world.sim.set(|admin| admin.message_auth = auth);
        world.talking().await;
        assert_eq!(world.sim.complaints(), Vec::<String>::new());
    }
}

#[tokio::test]
async fn an_instance_that_asks_for_a_pause_gets_one_from_everybody() {
    let world = Chatting::new(json!({})).await;
    let (session, _) = world.talking().await;
    let limited = Fault::ErrorBefore { status: 429, retry_after: Some(120) };
    world.desk().faults().add("bot/integration", 1, limited);
    let calls = || world.sent(Chatting::PATH).len();
    for _ in 0..2 {
        let failure =
            world.agent.deliver(&line(5, "hello"), Some(session.clone())).await.expect_err("limited");
        let Failure::Retry { after_ms: Some(after), cause } = failure else { panic!("{failure:?}") };
        assert!((100_000..=120_000).contains(&after), "{after}");
        assert_eq!(cause.reason, Reason::RateLimited);
    }
    let before = calls();
    world.agent.aside(&open().conversation, Some(session), &Aside::Typing(true)).await;
    assert_eq!(calls(), before, "nobody asks before it is time");
}

#[tokio::test]
async fn what_an_answer_means() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let try_with = async |fault: Fault| {
        world.desk().faults().add("bot/integration", 2, fault);
        let result = world.agent.deliver(&line(5, "hello"), Some(session.clone())).await;
        world.desk().faults().set(Vec::new());
        result.map(|_| ()).expect_err("a fault")
    };
    let before = |status| Fault::ErrorBefore { status, retry_after: None };
    assert!(matches!(try_with(before(429)).await, Failure::Retry { after_ms: None, .. }));
    assert!(matches!(try_with(before(500)).await, Failure::Uncertain(_)));
    assert!(matches!(try_with(before(401)).await, Failure::Unauthorized(_)));
    assert!(matches!(try_with(before(403)).await, Failure::Unauthorized(_)));
    assert!(matches!(try_with(before(400)).await, Failure::Refused(_)));
    assert!(
        matches!(try_with(before(302)).await, Failure::Refused(cause) if cause.reason == Reason::Unconfigured)
    );
    assert!(
        matches!(try_with(before(404)).await, Failure::Refused(cause) if cause.reason == Reason::Unconfigured)
    );
    assert!(
        matches!(try_with(before(405)).await, Failure::Refused(cause) if cause.reason == Reason::Unconfigured)
    );
    assert!(matches!(try_with(Fault::ErrorAfter { status: 500 }).await, Failure::Uncertain(_)));
    assert!(matches!(try_with(Fault::DropAfter).await, Failure::Uncertain(_)));
    assert!(matches!(try_with(Fault::Garbage).await, Failure::Uncertain(_)));
    // It arrived three times all the same, and the chat goes on.
    world.shows(&chat, &["hello"; 3]).await;
}
