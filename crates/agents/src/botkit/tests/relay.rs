//! Every event, delivered to the stand-in, and what comes back.

use interline_core::Profile;

use super::*;

/// The events that the stand-in got, as (name, body).
fn events(world: &World) -> Vec<(String, Value)> {
    let log = world.sim.desk().log().all().into_iter().filter(|logged| logged.path.starts_with("/sdk/"));
    log.map(|logged| (logged.path.rsplit('/').next().expect("a name").to_owned(), logged.body)).collect()
}

#[tokio::test]
async fn a_customer_line_passes_botkit_on_its_way_to_the_bot() {
    let world = World::new().await;
    let item = world.line(Speaker::Customer, Role::Interceptor, "hello");
    let done = world.agent.deliver(&item, None).await.expect("delivered");
    assert_eq!(done.session, None);
    let id = id_of(&item, RequestKind::CustomerLine);
    assert_eq!(world.platform.heard(), [(id, Call::SendBotMessage(Text::plain("hello")))]);
    let (name, body) = events(&world).remove(0);
    assert_eq!((name.as_str(), &body["agent_transfer"]), ("on_user_message", &json!(false)));
    assert_eq!(body["context"]["session"]["UserContext"]["emailId"], "ann+tickets@example.com");
    assert_eq!(body["channel"]["channelInfos"]["from"], USER);
}

#[tokio::test]
async fn a_bot_line_passes_botkit_on_its_way_to_the_customer() {
    let world = World::new().await;
    let item = world.line(Speaker::Bot, Role::Interceptor, "how can I help?");
    world.agent.deliver(&item, None).await.expect("delivered");
    let id = id_of(&item, RequestKind::BotLine);
    assert_eq!(world.platform.heard(), [(id, Call::SendUserMessage(Text::plain("how can I help?")))]);
    assert_eq!(events(&world)[0].0, "on_bot_message");
}

#[tokio::test]
async fn a_rich_bot_line_comes_back_rich_from_a_bot_file_that_knows_words_only() {
    let world = World::new().await;
    let rich =
        json!({ "type": "template", "payload": { "template_type": "quick_replies", "text": "Pick one" } });
    let text = Text { rich: Some(rich), ..Text::plain("Pick one") };
    let item = world.item(Speaker::Bot, Role::Interceptor, Body::Text(text.clone()));
    world.agent.deliver(&item, None).await.expect("delivered");
    assert_eq!(events(&world)[0].1["message"], "Pick one");
    assert_eq!(world.platform.calls(), [Call::SendUserMessage(text)]);
}

#[tokio::test]
async fn a_whole_human_part() {
    let world = World::new().await;
    *world.platform.history.lock().expect("lock") = vec![
        said(1, Speaker::Customer, Role::Interceptor, "a human please"),
        said(2, Speaker::Bot, Role::Interceptor, "sure"),
        Entry { release_of: Some(Seq(2)), ..said(3, Speaker::Bot, Role::Customer, "sure") },
    ];
    let (session, chat) = world.transfer().await;
    // BotKit answered the event after we answered its three calls.
    let mut calls = world.platform.calls();
    calls.sort_by_key(|call| matches!(call, Call::StartAgentSession));
    let welcome = Call::SendUserMessage(Text::plain("An agent will be with you shortly"));
    assert_eq!(calls, [welcome, Call::StartAgentSession]);
    let asked = world.platform.asked.lock().expect("lock").clone();
    assert_eq!(asked, [HistoryQuery { customer: USER.into(), skip: 0, limit: 20 }]);
    let transcript: Vec<String> = lines(&world.sim, &chat).into_iter().map(|line| line.text).collect();
    assert_eq!(transcript, ["a human please", "sure"]);

    let line = world.line(Speaker::Customer, Role::Agent, "my suitcase is lost");
    world.agent.deliver(&line, Some(session.clone())).await.expect("relayed");
    assert_eq!(lines(&world.sim, &chat).pop().map(|line| line.text).as_deref(), Some("my suitcase is lost"));
    assert_eq!(events(&world).pop().map(|(_, body)| body["agent_transfer"].clone()), Some(json!(true)));

    world.sim.say(&chat, "let me look").await.expect("said");
    world.sim.end(&chat).await.expect("ended");
    let transfer: RequestId = chat.parse().expect("the transfer's id");
    let said = (transfer.clone(), Call::SendUserMessage(Text::plain("let me look")));
    assert_eq!(world.platform.heard()[2..], [said, (transfer, Call::ClearAgentSession)]);

    // The agent ended it, so BotKit needs no notice.
    let before = events(&world).len();
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::AgentEnded));
    world.agent.deliver(&item, Some(session)).await.expect("nothing to tell");
    assert_eq!(events(&world).len(), before);
}

#[tokio::test]
async fn what_is_known_of_the_customer_travels_along() {
    let world = World::new().await;
    let mut item = world.item(Speaker::System, Role::Agent, Body::Open);
    let text = |text: &str| Some(text.to_owned());
    item.conversation.customer.profile = Profile {
        first_name: text("Ann"),
        last_name: text("Example"),
        language: text("de-AT"),
        ..Profile::default()
    };
    item.participant.queue = text("billing");
    item.transcript = Some("https://chat.example.com/t/1".parse().expect("a URL"));
    item.context.skills = vec!["refunds".into()];
    item.context.data = [("tier".to_owned(), "gold".to_owned())].into();
    item.context.summary = "wants her money back".into();
    world.agent.deliver(&item, None).await.expect("accepted");
    let chat = world.sim.desk().chats().remove(0);
    assert_eq!(chat.title, "Ann Example");
    assert_eq!(chat.transcript.as_deref(), Some("https://chat.example.com/t/1"));
    for (name, value) in [
        ("identity", "ann+tickets@example.com"),
        ("e-mail", "ann+tickets@example.com"),
        ("language", "de-AT"),
        ("queue", "billing"),
        ("skills", "[\"refunds\"]"),
        ("summary", "wants her money back"),
        ("tier", "gold"),
    ] {
        assert_eq!(chat.told(name), Some(value), "{name}");
    }
}

#[tokio::test]
async fn an_agent_uses_one_url_a_hundred_times() {
    let world = World::new().await;
    let (_, chat) = world.transfer().await;
    for n in 0..100 {
        world.sim.say(&chat, &format!("line {n}")).await.expect("said");
    }
    let lines = world.platform.calls().into_iter().filter(|call| matches!(call, Call::SendUserMessage(_)));
    assert_eq!(lines.count(), 101);
}

#[tokio::test]
async fn the_end_by_somebody_else_is_told_as_a_line() {
    let world = World::new().await;
    let (session, chat) = world.transfer().await;
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::CustomerEnded));
    world.agent.deliver(&item, Some(session)).await.expect("told");
    let last = lines(&world.sim, &chat).pop().map(|line| line.text);
    assert_eq!(last.as_deref(), Some("The customer has ended the chat."));
}

#[tokio::test]
async fn the_end_is_told_as_an_event_to_a_botkit_that_subscribed_to_events() {
    let settings = json!({ "subscribe": ["transfers", "events"] });
    let world = World::with(Algorithm::HS256, "", settings).await;
    assert_eq!(world.agent.describe().intercepts, None);
    let (session, chat) = world.transfer().await;
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::OperatorEnded));
    world.agent.deliver(&item, Some(session)).await.expect("told");
    let (name, body) = events(&world).pop().expect("an event");
    assert_eq!(name, "on_event");
    assert_eq!(body["event"]["eventType"], "conversation_terminated");
    assert_eq!(body["CCAIMetaInfo"]["conversationId"], CONVERSATION);
    let last = lines(&world.sim, &chat).pop().map(|line| line.text);
    assert_eq!(last.as_deref(), Some("Event: conversation_terminated"));
}

#[tokio::test]
async fn the_end_is_not_told_where_nothing_began_or_nothing_is_to_be_told() {
    let world = World::new().await;
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::CustomerEnded));
    world.agent.deliver(&item, None).await.expect("nothing to tell");
    assert!(events(&world).is_empty(), "it was never opened");

    let world = World::with(Algorithm::HS256, "", json!({ "end_notice": "" })).await;
    let (session, _) = world.transfer().await;
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::CustomerEnded));
    world.agent.deliver(&item, Some(session)).await.expect("nothing to tell");
    assert_eq!(events(&world).len(), 1, "the Open alone");
}

#[tokio::test]
async fn the_end_is_told_where_the_open_got_no_answer_but_lines_arrived() {
    let world = World::new().await;
    let line = world.line(Speaker::Customer, Role::Agent, "hello?");
    let done = world.agent.deliver(&line, None).await.expect("delivered");
    let item = world.item(Speaker::System, Role::Agent, close(Outcome::CustomerEnded));
    world.agent.deliver(&item, done.session).await.expect("told");
    assert_eq!(events(&world)[1].1["message"], "The customer has ended the chat.");
}

#[tokio::test]
async fn a_session_that_botkit_began_is_told_its_end_too() {
    let world = World::new().await;
    world.sim.set_behaviour(crate::botkit::simulator::Behaviour {
        take_over_word: Some("ANGRY".into()),
        ..Default::default()
    });
    let item = world.line(Speaker::Customer, Role::Interceptor, "angry");
    world.agent.deliver(&item, None).await.expect("delivered");
    assert_eq!(world.platform.calls(), [Call::StartAgentSession]);
    let chat = world.sim.desk().chats().remove(0).id;

    let mut item = world.item(Speaker::System, Role::Agent, close(Outcome::CustomerEnded));
    item.participant.took_over = true;
    world.agent.deliver(&item, None).await.expect("told");
    let last = lines(&world.sim, &chat).pop().map(|line| line.text);
    assert_eq!(last.as_deref(), Some("The customer has ended the chat."));
}

#[tokio::test]
async fn entries_that_are_not_botkits_business_are_passed_over() {
    let world = World::new().await;
    let joined = Body::AgentJoined { name: None };
    let item = world.item(Speaker::System, Role::Agent, joined);
    let done = world.agent.deliver(&item, None).await.expect("passed over");
    assert_eq!((done.session, events(&world).len()), (None, 0));
}

#[tokio::test]
async fn both_ways_with_hs512() {
    let world = World::with(Algorithm::HS512, "", json!({})).await;
    let (_, chat) = world.transfer().await;
    world.sim.say(&chat, "hello").await.expect("said");
    assert!(world.platform.seen().iter().all(|seen| seen.status == 200));
}

#[tokio::test]
async fn a_prefix_and_a_trailing_slash_are_joined_without_doubling() {
    let world = World::with(Algorithm::HS256, "/botkit/", json!({})).await;
    let (_, chat) = world.transfer().await;
    world.sim.say(&chat, "hello").await.expect("said");
}

#[tokio::test]
async fn the_apikey_of_old_is_sent_only_when_asked_for() {
    for (settings, status) in [(json!({ "send_apikey": true }), true), (json!({}), false)] {
        let seen = Arc::new(Mutex::new(None));
        let keep = seen.clone();
        let router = Router::new().fallback(async move |headers: HeaderMap| {
            *keep.lock().expect("lock") =
                headers.get("apikey").map(|key| key.to_str().expect("text").to_owned());
        });
        let url = format!("http://{}", serve(router).await);
        let agent = agent(&url, "http://127.0.0.1:1/", Algorithm::HS256, settings).expect("an agent");
        let item = item(1, Speaker::System, Role::Agent, Body::Open);
        agent.deliver(&item, None).await.expect("accepted");
        assert_eq!(seen.lock().expect("lock").as_deref(), status.then_some(SECRET));
    }
}

#[tokio::test]
async fn a_test_connection_says_what_is_wrong() {
    let world = World::new().await;
    assert_eq!(world.agent.probe().await, Ok(()));

    let other = World::with(Algorithm::HS512, "", json!({})).await;
    let url = format!("http://{}", serve(other.sim.router()).await);
    let wrong = agent(&url, "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
    assert!(wrong.probe().await.is_err_and(|error| error.contains("algorithm")));

    let nothing =
        agent("http://127.0.0.1:9", "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
    assert!(nothing.probe().await.is_err_and(|error| error.contains("cannot connect")));

    let web = format!("http://{}", serve(Router::new()).await);
    let not_botkit = agent(&web, "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
    assert!(not_botkit.probe().await.is_err_and(|error| error.contains("not a BotKit")));
}

#[test]
fn settings_name_the_field_and_the_remedy() {
    let build = |settings: Value| {
        agent("https://botkit.example.com", "https://chat.example.com/", Algorithm::HS256, settings)
            .map(|_| ())
    };
    assert_eq!(build(json!({ "subscribe": ["messages", "transfers", "events"] })), Ok(()));
    for (settings, words) in [
        (json!({ "subscribe": ["messages"] }), "subscribe: add `transfers`"),
        (json!({ "subscribe": ["transfers", "hooks"] }), "subscribe: unknown variant `hooks`"),
        (json!({ "opening_ms": "soon" }), "opening_ms: invalid type"),
        (json!({ "opening_ms": 5 }), "opening_ms: give"),
        (json!({ "url": "ftp://x" }), "url: give an http"),
        (json!({ "url": "nonsense" }), "url: "),
        (json!({ "url": "https://a:b@x" }), "url: leave user name"),
        (json!({ "url": "https://x?y" }), "url: leave out"),
        (json!({ "url": "https://x/sdk/bots/st-1" }), "url: end it before"),
        (json!({ "credential": "other" }), "credential: the app has none named `other`; it has: main"),
        (json!({ "hold_policy": "maybe" }), "hold_policy: unknown variant"),
        (json!({ "colour": "red" }), "unknown field `colour`"),
    ] {
        let error = build(settings.clone()).expect_err(&settings.to_string());
        assert!(error.contains(words), "{settings}: {error}");
    }
    let path = agent("https://x", "https://chat.example.com/base/", Algorithm::HS256, json!({})).map(|_| ());
    assert!(path.is_err_and(|error| error.starts_with("public_url")));
}

#[test]
fn the_settings_schema_documents_every_field() {
    let schema = BotKit.settings_schema();
    let fields = schema["properties"].as_object().expect("fields");
    assert_eq!(fields.len(), 9);
    for (name, field) in fields {
        let described = field["description"].as_str().is_some();
        assert!(described, "{name} has no description: {field}");
    }
    assert_eq!(schema["required"], json!(["url"]));
}
