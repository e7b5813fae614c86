//! Agent Chat: how an agent is asked for, and what is noticed when none comes.

use interline_connector::simulator::{Fault, OUTSIDE_HOURS};
use interline_connector::{Failure, FileRefused};
use interline_core::transfer::{Failure as Typed, Reason};

use super::*;
use crate::servicenow::simulator::MessageAuth;

fn failed(reason: Reason, code: &str) -> AgentEvent {
    AgentEvent::Failed(Typed { reason, code: Some(code.into()) })
}

#[tokio::test]
async fn an_agent_is_asked_for_in_every_way() {
    for (start, needs_conversation, requests) in [
        ("live_agent_only", true, 1),
        ("agent_action", false, 1),
        // The first is not understood; the offered topic is taken before the second is due.
        ("agent_action", true, 2),
        ("two_step", true, 2),
        ("utterance", true, 2),
    ] {
        let world = Chatting::new(json!({ "start": start, "second_step_ms": 15_000 })).await;
        world.sim.set(|admin| admin.agent_needs_conversation = needs_conversation);
        world.talking().await;
        assert_eq!(world.sent(Chatting::PATH).len(), requests, "{start}");
        assert_eq!(world.sim.complaints(), Vec::<String>::new(), "{start}");
    }
}

#[tokio::test]
async fn two_steps_are_two_where_no_topic_is_offered_that_fits() {
    let changes = json!({ "start": "two_step", "second_step_ms": 1, "live_agent_option": "nothing like it" });
    let world = Chatting::new(changes).await;
    world.talking().await;
    let asked = world.actions("AGENT", 2).await;
    assert_eq!(asked[1]["message"]["text"], "Please connect me to an agent.");
    assert_eq!(world.sim.complaints(), Vec::<String>::new());
}

#[tokio::test]
async fn the_second_step_is_left_out_when_the_first_was_enough() {
    let world = Chatting::new(json!({ "start": "two_step", "second_step_ms": 15_000 })).await;
    world.sim.set(|admin| admin.agent_needs_conversation = false);
    let (session, chat) = world.talking().await;
    pass(Duration::from_secs(15)).await;
    // What is said behind it, by whoever says what no entry says: so its time came, and went by.
    let file = "https://files.example.com/a.zip".parse().expect("a URL");
    let file = Incoming { name: Some("a.zip".into()), url: file, headers: HeaderMap::new() };
    assert!(world.agent.refused(&open().conversation, Some(session), &[file], &FileRefused::Off).await);
    world.shows(&chat, &["a.zip was not sent to the customer. Files cannot be sent here."]).await;
    assert_eq!(world.actions("AGENT", 1).await.len(), 1);
}

#[tokio::test]
async fn an_offered_choice_is_taken_by_its_value_and_once() {
    let world = Chatting::new(json!({ "start": "utterance" })).await;
    world.talking().await;
    let sent = world.sent(Chatting::PATH);
    assert_eq!(sent[0]["message"]["text"], "agent");
    assert_eq!(sent[0]["history"].as_array().map(Vec::len), Some(3), "what is known goes by the history");
    assert_eq!(
        (&sent[1]["message"]["text"], &sent[1]["message"]["typed"]),
        (&json!("Live Agent Support."), &json!(false))
    );
}

#[tokio::test]
async fn two_hundred_without_a_call_is_no_acceptance() {
    // The token is wrong: 200, and nothing ever comes. The engine's deadline for the opening is the watchdog.
    let world = Chatting::new(json!({ "message_token": "wrong", "opening_ms": 5_000 })).await;
    let done = world.tell(&open(), None).await;
    assert!(done.events.is_empty() && !world.agent.manifest().signals.accepts);
    assert_eq!(world.agent.describe().opening_ms, Some(5_000));
    world.sim.set(|admin| admin.message_auth = MessageAuth::Hash("another".into()));
    world.tell(&line(5, "hello"), done.session).await;
    assert!(world.desk().chats().is_empty() && world.platform.events().is_empty());
}

#[tokio::test]
async fn a_line_that_is_thrown_away_in_mid_chat_shows_by_what_the_agent_says_later() {
    let world = Chatting::new(json!({})).await;
    let (session, chat) = world.talking().await;
    let noticed = async || world.agent.probe().await.is_err_and(|told| told.contains("no sign of it"));
    world.tell(&line(5, "hello"), Some(session.clone())).await;
    pass(Duration::from_secs(31)).await;
    world.act(&chat, Act::say("hello")).await;
    assert!(!noticed().await);
    // Somebody changes the token there: 200, and nothing.
    let before = world.sim.admin().message_auth;
    world.sim.set(|admin| admin.message_auth = MessageAuth::Hash("another".into()));
    world.tell(&line(6, "are you there?"), Some(session.clone())).await;
    world.act(&chat, Act::say("I may have said it before that came")).await;
    assert!(!noticed().await);
    pass(Duration::from_secs(31)).await;
    world.act(&chat, Act::say("are you there?")).await;
    assert!(noticed().await);
    // What is looked at again is noticed too.
    world.sim.set(|admin| admin.message_auth = before);
    world.tell(&line(7, "I am"), Some(session)).await;
    world.act(&chat, Act::say("good")).await;
    assert!(!noticed().await);
    world.shows(&chat, &["hello", "I am"]).await;
}

#[tokio::test]
async fn a_greeting_is_no_sign_of_an_agent() {
    let changes = json!({ "start": "agent_action", "live_agent_option": "nothing like it" });
    let world = Chatting::new(changes).await;
    world.tell(&open(), None).await;
    let mut answers = world.platform.answers.subscribe();
    let _ = tokio::time::timeout(SOON, answers.wait_for(|all| all.len() == 1)).await.expect("a call");
    assert!(world.platform.events().is_empty());
}

#[tokio::test]
async fn nobody_there_is_told_in_words_and_understood_in_any_language() {
    for (changes, text, reason) in [
        (json!({}), "There are no agents available. Please try again later.", Reason::NoAgents),
        (
            json!({ "no_agents_texts": ["kein mitarbeiter"] }),
            "Derzeit ist KEIN Mitarbeiter frei.",
            Reason::NoAgents,
        ),
        (json!({}), "It is after hours. Please come back tomorrow.", Reason::OutsideHours),
        (json!({ "outside_hours_texts": ["営業時間外"] }), "ただいま営業時間外です", Reason::OutsideHours),
    ] {
        let world = Chatting::new(changes).await;
        world.sim.set(|admin| admin.no_agents_text = text.to_owned());
        world.desk().faults().add("", 1, Fault::Special { name: "no_agents".into() });
        world.tell(&open(), None).await;
        world.platform.event(&failed(reason, "told in words")).await;
    }
}

#[tokio::test]
async fn outside_hours_and_declined_while_waiting() {
    let world = Chatting::new(json!({})).await;
    world.desk().faults().add("", 1, Fault::Special { name: OUTSIDE_HOURS.into() });
    world.tell(&open(), None).await;
    world.platform.event(&failed(Reason::OutsideHours, "told in words")).await;

    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.opened().await;
    world.act(&chat, Act::Decline).await;
    world.platform.event(&failed(Reason::NoAgents, "told in words")).await;
}

#[tokio::test]
async fn who_waits_too_long_or_is_given_up_fails_typed() {
    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.opened().await;
    world.sim.waits_too_long(&chat);
    world.platform.event(&failed(Reason::QueueTimeout, "told in words")).await;

    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.opened().await;
    world.sim.gives_up(&chat);
    world.platform.event(&failed(Reason::VendorError, "takeControl: Virtual Agent gave up")).await;

    let world = Chatting::new(json!({})).await;
    let (_, chat) = world.opened().await;
    world.sim.tells(&chat, json!([]), json!({ "completed": true })).await.expect("taken");
    world.platform.event(&failed(Reason::NoAgents, "completed before an agent came")).await;
}

#[tokio::test]
async fn a_synchronous_channel_is_understood_from_its_answer() {
    let world = Chatting::new(json!({})).await;
    world.sim.set(|admin| admin.synchronous = true);
    let done = world.tell(&open(), None).await;
    assert_eq!(done.events, [failed(Reason::NoAgents, "told in words")]);
}

#[tokio::test]
async fn an_open_that_is_refused_fails_at_once() {
    let cases = [
        (Fault::ErrorBefore { status: 403, retry_after: None }, Reason::Unauthorized),
        (Fault::ErrorBefore { status: 404, retry_after: None }, Reason::Unconfigured),
    ];
    for (fault, reason) in cases {
        let world = Chatting::new(json!({})).await;
        world.desk().faults().add("bot/integration", 2, fault);
        let failure = world.agent.deliver(&open(), None).await.expect_err("refused");
        assert!(matches!(&failure, Failure::Refused(cause) if cause.reason == reason), "{failure:?}");
    }
    let world = Chatting::new(json!({})).await;
    world.desk().faults().add("oauth_token", 2, Fault::ErrorBefore { status: 401, retry_after: None });
    let failure = world.agent.deliver(&open(), None).await.expect_err("refused");
    assert!(
        matches!(&failure, Failure::Refused(cause) if cause.code.contains("refresh token")),
        "{failure:?}"
    );
    // Nothing was said: it can be tried again.
    world.desk().faults().set(Vec::new());
    world.desk().faults().add("oauth_token", 1, Fault::ErrorBefore { status: 500, retry_after: None });
    let failure = world.agent.deliver(&open(), None).await.expect_err("not yet");
    assert!(matches!(failure, Failure::Retry { .. }), "{failure:?}");
}

#[tokio::test]
async fn a_session_may_bring_whom_it_speaks_for_where_that_is_allowed() {
    let metadata = json!({ "payloadFields": { "userId": "emp-7", "emailId": "emp7@example.com" }, "headerFields": { "token": "message-token-1" } });
    let mut open = open();
    open.context.data.insert("ServiceNowMetaData".into(), metadata.to_string());
    let changes = json!({ "session_metadata": true, "message_token": null });
    let world = Chatting::new(changes).await;
    let done = world.tell(&open, None).await;
    let chat = world.chat().await;
    assert_eq!(world.desk().chat(&chat).expect("the chat").visitor, "emp-7");
    assert!(world.desk().chat(&chat).expect("the chat").told("ServiceNowMetaData").is_none());
    let mut line = line(5, "hello");
    line.conversation.customer.profile = Profile::default();
    world.tell(&line, done.session).await;
    world.shows(&chat, &["hello"]).await;
    assert_eq!(world.sent(Chatting::PATH)[1]["emailId"], "emp7@example.com");

    // Not allowed: it changes nothing.
    let world = Chatting::new(json!({})).await;
    world.tell(&open, None).await;
    let chat = world.chat().await;
    assert_eq!(world.desk().chat(&chat).expect("the chat").visitor, HANDLE);
}

#[tokio::test]
async fn linked_people_are_the_same_user_every_time() {
    let world = Chatting::new(json!({ "account_linking": true, "app_inbound_id": "own-app" })).await;
    let (session, chat) = world.talking().await;
    world.tell(&line(5, "hello"), Some(session)).await;
    world.shows(&chat, &["hello"]).await;
    for request in world.sent(Chatting::PATH) {
        assert_eq!(request["userId"], "u-01a204dd-17f5-74ae-b94b-cf55b9bf7754");
        assert_eq!(request["appInboundId"], "own-app");
    }
}
