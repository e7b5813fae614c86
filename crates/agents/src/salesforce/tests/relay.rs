//! A hand-over that goes well: what travels along, both ways, typing, receipts, who joins.

use interline_connector::UpTo;
use interline_connector::channel::Mark;
use interline_connector::simulator::By;

use super::*;
use crate::salesforce::simulator::{BOT_FIRST, Field, SUPERVISOR};

#[tokio::test]
async fn the_agent_sees_who_it_is_and_why() {
    let world = World::new().await;
    let chat = world.chat(&world.waiting().await);
    assert_eq!(chat.title, "Ada Lovelace");
    for (name, value) in [
        ("e-mail", "ada@example.com"),
        ("language", "en-GB"),
        ("phone", "+44 20"),
        ("queue", "billing"),
        ("skills", "refunds,vip"),
        ("tier", "gold"),
        ("summary", SUMMARY),
    ] {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
    assert_eq!(chat.transcript.as_deref(), Some(TRANSCRIPT));
    assert!(chat.lines.is_empty(), "it stands in the fields: {:?}", chat.lines);
    let create = world.calls("POST /iamessage/api/v2/conversation").remove(0);
    assert_eq!(create.body["language"], "en_GB");
    let id = create.body["conversationId"].as_str().expect("an id");
    assert_eq!(uuid::Uuid::try_parse(id).expect("a UUID").get_version_num(), 4);
    assert_eq!(
        world.until_heard(|event| matches!(event, AgentEvent::Queued { position: Some(_) })).await,
        AgentEvent::Queued { position: Some(1) }
    );
}

#[tokio::test]
async fn the_stream_is_open_before_the_conversation_is_made() {
    let world = World::new().await;
    world.talking().await;
    let calls = world.desk().log().all();
    let paths: Vec<_> =
        calls.iter().take(3).map(|call| call.path.rsplit('/').next().expect("a part")).collect();
    assert_eq!(paths, ["access-token", "sse", "conversation"]);
    let header = |name: &str| {
        calls[1].headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    };
    assert_eq!((header("x-org-id"), header("last-event-id")), (Some("00DSim000000001"), Some("0")));
}

#[tokio::test]
async fn without_fields_for_them_summary_and_link_are_the_first_message() {
    // One has no field, one is too long for its own.
    for longest in [0, 10] {
        let mut org = Org::roomy();
        org.fields = vec![Field { name: "transcript", required: false, longest }];
        let world = World::with(org, json!({ "summary_field": null })).await;
        let chat = world.talking().await;
        world.say("hello?");
        let first = format!("The customer said before:\n{SUMMARY}\n\nAll that was said before: {TRANSCRIPT}");
        world.until_words(&chat, &[&first, "hello?"]).await;
        assert_eq!(world.chat(&chat).transcript, None);
    }
}

#[tokio::test]
async fn custom_data_counts_more_and_what_is_too_long_is_cut() {
    let mut org = Org::roomy();
    org.fields = vec![Field { name: "tier", required: false, longest: 3 }];
    let world = World::with(org, json!({})).await;
    let mut opening = world.opening();
    opening.context.data.insert("queue".into(), "named by the node".into());
    world.give(opening);
    let chat = eventually(|| world.desk().chats().pop()).await;
    assert_eq!((chat.told("tier"), chat.told("queue")), (Some("gol"), Some("named by the node")));
}

#[tokio::test]
async fn somebody_without_a_name_is_a_guest_and_what_nobody_knows_is_refused() {
    let org = |name| {
        let fields = vec![Field { name, required: true, longest: 40 }];
        Org { fields, ..Org::roomy() }
    };
    let world = World::with(org("_lastName"), json!({})).await;
    world.give(world.item(Speaker::System, Body::Open));
    let chat = eventually(|| world.desk().chats().pop()).await;
    assert_eq!(chat.title, "Guest");

    let world = World::with(org("_email"), json!({})).await;
    let seq = world.give(world.item(Speaker::System, Body::Open));
    let failure = world.engine.settled(seq).await.expect_err("refused");
    assert_eq!(failure.cause().reason, Reason::BadRequest);
    assert!(failure.cause().code.contains("_email"), "{}", failure.cause().code);
    assert!(world.desk().chats().is_empty());
}

#[tokio::test]
async fn a_whole_name_is_taken_apart() {
    let world = World::new().await;
    let mut opening = world.item(Speaker::System, Body::Open);
    opening.conversation.customer.profile.name = Some("Juan Carlos Ruiz".into());
    world.give(opening);
    eventually(|| world.desk().chats().pop()).await;
    let sent = &world.calls("POST /iamessage/api/v2/conversation")[0].body["routingAttributes"];
    assert_eq!((&sent["_firstName"], &sent["_lastName"]), (&json!("Juan Carlos"), &json!("Ruiz")));
}

#[tokio::test]
async fn both_ways_in_order() {
    let world = World::new().await;
    let chat = world.waiting().await;
    world.say("said in the queue");
    world.until_words(&chat, &["said in the queue"]).await;
    world.act(&chat, Act::Accept { agent: Some("Jane".into()) }).await;
    let joined = world.until_heard(|event| matches!(event, AgentEvent::Joined { .. })).await;
    assert_eq!(joined, AgentEvent::Joined { name: Some("Jane".into()) });
    let lines: Vec<String> = (0..100).map(|n| format!("line {n}")).collect();
    for line in &lines {
        world.say(line);
        world.act(&chat, Act::say(line)).await;
    }
    let mut words: Vec<&str> = lines.iter().map(String::as_str).collect();
    world.until_spoken(&words).await;
    words.insert(0, "said in the queue");
    world.until_words(&chat, &words).await;
    let said = world.until_heard(|event| matches!(event, AgentEvent::Said { .. })).await;
    assert!(matches!(said, AgentEvent::Said { name: Some(name), .. } if name == "Jane"));
}

#[tokio::test]
async fn typing_and_receipts_both_ways() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.act(&chat, Act::Type { on: true }).await;
    world.act(&chat, Act::Type { on: false }).await;
    eventually(|| (world.engine.typing() == [true, false]).then_some(())).await;
    world.aside(Aside::Typing(true));
    eventually(|| world.chat(&chat).typing.then_some(())).await;
    world.aside(Aside::Typing(false));
    eventually(|| (!world.chat(&chat).typing).then_some(())).await;

    let seq = world.say("hello");
    let done = world.engine.settled(seq).await.expect("said");
    world.act(&chat, Act::Read).await;
    let id = UpTo::Remote(done.remote_ids[0].clone());
    let marks = [(Mark::Delivered, id.clone()), (Mark::Read, id)];
    eventually(|| (world.engine.receipts() == marks).then_some(())).await;

    world.act(&chat, Act::say("hi")).await;
    world.until_spoken(&["hi"]).await;
    let remote_id = world.engine.remote_id("hi");
    let line = || world.chat(&chat).lines.into_iter().find(|line| line.by == By::Agent).expect("a line");
    for (mark, read) in [(Mark::Delivered, false), (Mark::Read, true)] {
        world.aside(Aside::Receipt { mark, seq: Seq(9), remote_id: remote_id.clone() });
        eventually(|| (line().delivered && line().read == read).then_some(())).await;
    }
    // One that names nothing is told to nobody.
    world.aside(Aside::Receipt { mark: Mark::Read, seq: Seq(9), remote_id: None });
    world.say("after it");
    world.until_words(&chat, &["hello", "after it"]).await;
    assert_eq!(world.calls("acknowledge-entries").len(), 2);
}

#[tokio::test]
async fn another_agent_takes_over_and_it_goes_on() {
    let world = World::new().await;
    let chat = world.talking().await;
    world.act(&chat, Act::Transfer { to: "Omar".into() }).await;
    world.until_heard(|event| *event == AgentEvent::Joined { name: Some("Omar".into()) }).await;
    world.act(&chat, Act::say("Omar here")).await;
    world.until_spoken(&["Omar here"]).await;
    world.say("hello Omar");
    world.until_words(&chat, &["hello Omar"]).await;
    assert!(!world.engine.heard().contains(&AgentEvent::Ended { tag: None }));
}

#[tokio::test]
async fn a_bot_of_the_org_is_no_agent_and_a_supervisor_is_nobody() {
    for shown in [true, false] {
        let world = World::with(Org::roomy(), json!({ "show_org_bot": shown })).await;
        for name in [BOT_FIRST, SUPERVISOR] {
            world.fault(Some(name), 1, Fault::Special { name: name.into() });
        }
        let chat = world.talking().await;
        world.act(&chat, Act::say("hi")).await;
        let expected = ["Hello, I am the bot of the org.", "hi"];
        world.until_spoken(if shown { &expected } else { &expected[1..] }).await;
        let joined: Vec<_> = world
            .engine
            .heard()
            .into_iter()
            .filter(|event| matches!(event, AgentEvent::Joined { .. }))
            .collect();
        assert_eq!(joined, [AgentEvent::Joined { name: Some("Jane".into()) }]);
    }
}

#[tokio::test]
async fn a_rich_message_is_told_in_words() {
    let world = World::new().await;
    let chat = world.talking().await;
    let tell = |identifier: &str, message: Value| {
        let payload = json!({ "entryType": "Message", "id": identifier, "abstractMessage": message });
        let data = json!({ "conversationId": chat, "conversationEntry": {
            "identifier": identifier, "entryType": "Message", "sender": { "role": "Agent" },
            "senderDisplayName": "Jane", "entryPayload": payload.to_string(), "transcriptedTimestamp": now_ms(),
        }});
        world.sim.tell_raw(&chat, "CONVERSATION_MESSAGE", &data.to_string());
    };
    tell(
        "r1",
        json!({ "messageType": "StaticContentMessage", "staticContent": { "formatType": "RichLink",
        "linkItem": { "titleItem": { "title": "Our terms" }, "url": "https://example.com/terms" } } }),
    );
    tell(
        "r2",
        json!({ "messageType": "ChoicesMessage", "choices": { "formatType": "Buttons", "text": "Which one?",
        "optionItems": [{ "titleItem": { "title": "Red" } }, { "titleItem": { "title": "Blue" } }] } }),
    );
    tell("r3", json!({ "messageType": "FormMessage" }));
    tell("r4", json!({ "staticContent": { "formatType": "Text", "text": "plain" } }));
    let spoken = eventually(|| Some(world.spoken()).filter(|spoken| spoken.len() == 3)).await;
    assert_eq!(spoken, ["https://example.com/terms\nOur terms", "Which one?\nRed\nBlue", "plain"]);
}
