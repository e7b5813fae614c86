//! Conversations, transfers, customers: looked at, and acted on.

use interline_engine::{Access, KeyRole};
use serde_json::{Value, json};

use crate::world::{A, World, until};

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

fn kinds(timeline: &Value) -> Vec<&str> {
    timeline["items"].as_array().unwrap().iter().map(|entry| entry["kind"].as_str().unwrap()).collect()
}

#[tokio::test]
async fn a_hand_over_as_operators_see_it() {
    let world = World::start("hand-over").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (customer, conversation) = world.talking(&operator, "anna@example.com").await;
    let path = app(&format!("/conversations/{conversation}"));
    let state = operator.get(&path).await.is(200);
    assert_eq!(
        (&state["owner"], &state["phase"], &state["transfers"]),
        (&json!("agent"), &json!("agent"), &json!(1))
    );
    assert_eq!(state["customer"]["address"], "anna@example.com");
    assert_eq!(state["transfer"]["rung"]["integration"], "desk");
    assert_eq!(state["participants"][0]["role"], "agent");
    assert!(state.get("closed_at").is_none());

    let live = operator.get(&app("/transfers")).await.is(200);
    assert_eq!(live["items"][0]["conversation"], conversation.as_str());
    assert_eq!(live["items"][0]["transfer"]["no"], 1);
    assert_eq!(live["items"].as_array().unwrap().len(), 1);

    let chat = world.botkit.desk().chats()[0].id.clone();
    world.botkit.say(&chat, "Hello from the desk").await.unwrap();
    let transfer = format!("{path}/transfers/1");
    operator.act(&format!("{transfer}/retry")).await.refused(409, "agent_is_there");
    operator.act(&format!("{path}/transfers/2/return")).await.refused(409, "other_transfer");
    operator.act(&format!("{transfer}/return")).await.is(204);
    operator.act(&format!("{transfer}/return")).await.refused(409, "other_transfer");
    let state = operator.get(&path).await.is(200);
    assert_eq!((&state["owner"], &state["phase"]), (&json!("bot"), &json!("bot")));

    let timeline = operator.get(&format!("{path}/timeline?limit=200")).await.is(200);
    for kind in ["text", "open", "rung_opens", "operator", "transfer_ended", "return_package"] {
        assert!(kinds(&timeline).contains(&kind), "{kind}: {:?}", kinds(&timeline));
    }
    let note =
        timeline["items"].as_array().unwrap().iter().find(|entry| entry["kind"] == "operator").unwrap();
    assert_eq!((&note["key"], &note["act"]), (&json!("operate key"), &json!("end_transfer")));
    world.say(&customer, "bye").await;
    assert_eq!(operator.get(&path).await.is(200)["owner"], "closed");
}

#[tokio::test]
async fn an_operator_speaks_once_and_ends_once() {
    let world = World::start("speaks").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let customer = world.customer("anna").await;
    world.say(&customer, "hi").await;
    let conversation = world.conversation(&operator, &customer).await;
    let path = app(&format!("/conversations/{conversation}"));
    let messages = format!("{path}/messages");
    let body = json!({ "text": "We are\nback soon", "name": "Otto" });
    let once = operator.with("idempotency-key", "m1");
    for _ in 0..3 {
        once.post(&messages, body.clone()).await.is(204);
    }
    // The same word of another key is another one.
    world
        .key(Some(A), KeyRole::Operate)
        .await
        .with("idempotency-key", "m1")
        .post(&messages, body)
        .await
        .is(204);
    let timeline = operator.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let said: Vec<&Value> = timeline["items"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|entry| entry["by"]["role"] == "operator")
        .collect();
    assert_eq!(said.len(), 2);
    assert_eq!((&said[0]["by"]["name"], &said[0]["text"]), (&json!("Otto"), &json!("We are\nback soon")));

    for (field, body) in [
        ("text", json!({ "text": "" })),
        ("text", json!({ "text": "x".repeat(4097) })),
        ("text", json!({ "text": "a\u{0}" })),
        ("text", json!({ "text": 7 })),
        ("name", json!({ "text": "x", "name": "x".repeat(101) })),
    ] {
        operator.post(&messages, body).await.invalid_at(field);
    }
    operator
        .with("idempotency-key", &"x".repeat(256))
        .post(&messages, json!({ "text": "x" }))
        .await
        .invalid_at("Idempotency-Key");
    operator.post(&messages, json!({ "text": "x".repeat(4096) })).await.is(204);

    let ends = operator.with("idempotency-key", "e1");
    ends.act(&format!("{path}/end")).await.is(204);
    // What the first one did makes the second one impossible, and it is the same one.
    ends.act(&format!("{path}/end")).await.is(204);
    operator.act(&format!("{path}/end")).await.refused(409, "closed");
    operator.post(&messages, json!({ "text": "x" })).await.refused(409, "closed");
    let state = operator.get(&path).await.is(200);
    assert_eq!((&state["owner"], &state["phase"]), (&json!("closed"), &json!("closed")));
    assert!(state["closed_at"].is_string());
}

#[tokio::test]
async fn a_transfer_is_tried_anew_or_ended_with_its_conversation() {
    let world = World::start("retry").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (_, conversation, no) = world.failing(&operator, "anna").await;
    let path = app(&format!("/conversations/{conversation}"));
    operator.with("idempotency-key", "r1").act(&format!("{path}/transfers/1/retry")).await.is(204);
    let state = operator.get(&path).await.is(200);
    assert_eq!(state["transfer"]["stage"], "opening");
    assert_ne!(state["transfer"]["rung"]["participant"], no);
    operator.act(&format!("{path}/transfers/1/end")).await.is(204);
    assert_eq!(operator.get(&path).await.is(200)["owner"], "closed");
    assert_eq!(operator.get(&app("/transfers")).await.is(200)["items"], json!([]));
}

#[tokio::test]
async fn conversations_are_found_by_what_is_known_of_them() {
    let world = World::start("find").await;
    let reader = world.key(Some(A), KeyRole::Read).await;
    let anna = world.customer("anna").await;
    world.say(&anna, "hi").await;
    world.say(&anna, "bye").await;
    world.say(&anna, "hi again").await;
    let berta = world.customer("berta & co+1@example.com").await;
    world.say(&berta, "hi").await;
    let ids = async |query: &str| -> Vec<String> {
        let found = reader.get(&app(&format!("/conversations?{query}"))).await.is(200);
        let items = found["items"].as_array().unwrap();
        items.iter().map(|one| one["id"].as_str().unwrap().to_owned()).collect()
    };
    let all = ids("").await;
    let [b1, a2, a1] = all.as_slice() else { panic!("{all:?}") };
    assert_eq!(ids("open=false").await, std::slice::from_ref(a1));
    assert_eq!(ids("owner=closed").await, std::slice::from_ref(a1));
    assert_eq!(ids("open=true&owner=bot").await, [b1.clone(), a2.clone()]);
    assert_eq!(ids(&format!("customer={}", anna.id)).await, [a2.clone(), a1.clone()]);
    assert_eq!(ids(&format!("customer={}", anna.id.user_id())).await, [a2.clone(), a1.clone()]);
    assert_eq!(ids("address=anna&open=true").await, std::slice::from_ref(a2));
    assert_eq!(ids("channel=web").await.len(), 3);
    assert_eq!(ids("channel=other").await.len(), 0);
    assert_eq!(ids("opened_from=2020-01-01T00:00:00Z").await.len(), 3);
    assert_eq!(ids("opened_before=2020-01-01T00:00:00%2B02:00").await.len(), 0);
    assert_eq!(ids(&format!("q={a1}")).await, std::slice::from_ref(a1));
    assert_eq!(ids(&format!("q={}", anna.id)).await, [a2.clone(), a1.clone()]);
    assert_eq!(ids("q=anna&open=true").await, std::slice::from_ref(a2));
    assert_eq!(ids("q=berta%20%26%20co%2B1%40example.com").await, std::slice::from_ref(b1));
    assert_eq!(ids("q=cnv_nobody").await.len(), 0);
    assert_eq!(ids("q=ann").await.len(), 0);
    reader.get(&app("/conversations?q=x&address=y")).await.invalid_at("q");
    reader.get(&app("/conversations?customer=x")).await.invalid_at("customer");
    for wrong in
        ["owner=nobody", "open=maybe", "opened_from=now", "limit=0", "limit=201", "limit=x", "cursor=x"]
    {
        let name = wrong.split('=').next().unwrap();
        reader.get(&app(&format!("/conversations?{wrong}"))).await.invalid_at(name);
    }
}

#[tokio::test]
async fn a_customer_is_shown_and_erased() {
    let world = World::start("erase").await;
    let admin = world.admin().await;
    let anna = world.customer("anna").await;
    world.say(&anna, "hi").await;
    let conversation = world.conversation(&admin, &anna).await;
    let path = app(&format!("/customers/{}", anna.id));
    let shown = admin.get(&path).await.is(200);
    assert_eq!((&shown["address"], &shown["channel"]), (&json!("anna"), &json!("web")));
    assert_eq!(admin.get(&app(&format!("/customers/{}", anna.id.user_id()))).await.is(200), shown);
    assert_eq!(admin.get(&app("/customers?address=anna&channel=web")).await.is(200)["items"], json!([shown]));
    assert_eq!(admin.get(&app("/customers?address=nobody")).await.is(200)["items"], json!([]));

    let erased = admin.delete(&path).await.is(200);
    assert_eq!(erased["conversations"], 1);
    assert!(erased["entries"].as_u64().unwrap() >= 3, "{erased}");
    for gone in [
        path,
        app(&format!("/conversations/{conversation}")),
        app(&format!("/conversations/{conversation}/timeline")),
    ] {
        admin.get(&gone).await.refused(404, "not_found");
    }
    admin.delete(&app(&format!("/customers/{}", anna.id))).await.refused(404, "not_found");
}

#[tokio::test]
async fn transcript_links_are_audited_and_withdrawn() {
    let world = World::start("transcripts").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (_, conversation) = world.talking(&operator, "anna").await;
    let path = app(&format!("/conversations/{conversation}/transcripts"));
    assert_eq!(operator.get(&path).await.is(200)["items"], json!([]));
    let by = Access { how: "page".into(), peer: "192.0.2.1".into(), agent: "A browser".into() };
    let link = transcript_link(&world);
    world.engine.redeem_transcript(&link, by).await.unwrap();
    let used = operator.get(&path).await.is(200);
    assert_eq!((&used["items"][0]["participant"], &used["items"][0]["used"]), (&json!(1), &json!(1)));
    assert_eq!(used["items"][0]["accesses"][0]["peer"], "192.0.2.1");
    operator.delete(&format!("{path}/1")).await.is(204);
    operator.delete(&format!("{path}/1")).await.is(204);
    operator.delete(&format!("{path}/9")).await.refused(404, "not_found");
    assert!(operator.get(&path).await.is(200)["items"][0]["revoked_at"].is_string());
}

/// The token of the link that the BotKit was sent.
fn transcript_link(world: &World) -> String {
    let log =
        world.botkit.desk().log().all().iter().map(|logged| logged.body.to_string()).collect::<String>();
    let (_, after) = log.split_once("/t/").expect("a link in what the BotKit got");
    after.chars().take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '-' | '_')).collect()
}

#[tokio::test]
async fn counts_follow_what_happens() {
    let world = World::start("counts").await;
    let admin = world.admin().await;
    world.talking(&admin, "anna").await;
    let counts = until(&admin, &app(""), |app| app["counts"]["behind"] == 0).await["counts"].clone();
    let expected = json!({ "customers": 1, "conversations": 1, "open": 1, "behind": 0, "failing": 0 });
    assert_eq!(counts, expected);
}

#[tokio::test]
async fn what_a_customer_said_may_be_told_by_an_admin() {
    let world = World::start("told").await;
    let admin = world.admin().await;
    let path = app("/conversations");
    let body = |text: &str| json!({ "channel": "web", "address": "told@example.com", "text": text });
    let once = admin.with("idempotency-key", "t1");
    let first = once.post(&path, body("hello")).await.is(201);
    assert_eq!(once.post(&path, body("hello")).await.is(201), first);
    let second = admin.post(&path, body("a human please")).await.is(201);
    assert_eq!(second["conversation"], first["conversation"]);
    let conversation = first["conversation"].as_str().unwrap();
    let timeline =
        admin.get(&app(&format!("/conversations/{conversation}/timeline?limit=200"))).await.is(200);
    let said = |words: &str| {
        let entries = timeline["items"].as_array().unwrap();
        entries.iter().filter(|entry| entry["text"] == words && entry["by"]["role"] == "customer").count()
    };
    assert_eq!((said("hello"), said("a human please")), (1, 1));
    let nowhere = json!({ "channel": "fax", "address": "x", "text": "y" });
    admin.post(&path, nowhere).await.invalid_at("channel");
    world.key(Some(A), KeyRole::Operate).await.post(&path, body("no")).await.is(403);
}
