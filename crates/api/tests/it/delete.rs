//! An integration is deleted: what named it, who still talks through it, and configured again afterwards.

use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{A, World, until};

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

async fn until_gone(admin: &Client, name: &str) {
    until(admin, &app("/integrations"), |found| {
        found["items"].as_array().unwrap().iter().all(|one| one["name"] != name)
    })
    .await;
}

/// Under the name that was deleted, as something else.
async fn configured_again(admin: &Client, name: &str) {
    let new = json!({
        "name": name, "kind": "agent_system", "type": "botkit", "default": true,
        "settings": { "url": "https://93.184.216.34/again", "credential": "main" },
    });
    let made = admin.post(&app("/integrations"), new).await.is(201);
    assert_eq!((&made["retired"], &made["is_default"]), (&json!(false), &json!(true)));
}

#[tokio::test]
async fn deleting_asks_for_every_choice() {
    let world = World::start("delete-choices").await;
    let admin = world.admin().await;
    world.talking(&admin, "anna").await;
    let path = app("/integrations/desk");
    admin.delete(&path).await.refused(409, "live_transfers");
    admin.delete(&format!("{path}?live=end")).await.refused(409, "replacement_needed");
    admin.delete(&format!("{path}?live=end&replacement=nobody")).await.refused(404, "not_found");
    assert_eq!(admin.get(&app("")).await.is(200)["version"], 1);

    let deleted = admin.delete(&format!("{path}?live=stay&replacement=nowhere")).await;
    assert_eq!(deleted.etag(), "\"2\"");
    let expected = json!({ "version": 2, "named_in": ["default_agent"], "live": 1 });
    assert_eq!(deleted.is(200), expected);
    assert_eq!(admin.get(&app("/integrations/nowhere")).await.is(200)["is_default"], true);
    admin.delete(&path).await.refused(404, "not_found");
}

#[tokio::test]
async fn live_transfers_are_ended_and_the_bot_takes_over() {
    let world = World::start("delete-end").await;
    let admin = world.admin().await;
    let (customer, conversation) = world.talking(&admin, "anna").await;
    admin.delete(&app("/integrations/desk?live=end&replacement=none")).await.is(200);
    let path = app(&format!("/conversations/{conversation}"));
    let state = until(&admin, &path, |state| state["owner"] == "bot").await;
    assert!(state.get("transfer").is_none());
    until_gone(&admin, "desk").await;
    assert!(admin.get(&app("/document")).await.is(200).get("default_agent").is_none());

    configured_again(&admin, "desk").await;
    world.say(&customer, "Are you there?").await;
    let timeline = admin.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let words: Vec<&Value> =
        timeline["items"].as_array().unwrap().iter().map(|entry| &entry["text"]).collect();
    assert!(words.contains(&&json!("I am the bot again")), "{words:?}");
    assert!(words.contains(&&json!("echo Are you there?")), "{words:?}");
}

#[tokio::test]
async fn or_they_go_on_until_they_end_by_themselves() {
    let world = World::start("delete-stay").await;
    let admin = world.admin().await;
    let (customer, conversation) = world.talking(&admin, "anna").await;
    admin.delete(&app("/integrations/desk?live=stay&replacement=none")).await.is(200);
    let desk = admin.get(&app("/integrations/desk")).await.is(200);
    let facts = (&desk["retired"], &desk["live_sessions"], &desk["is_default"]);
    assert_eq!(facts, (&json!(true), &json!(1), &json!(false)));

    // Both sides still hear each other.
    world.say(&customer, "still there?").await;
    let path = app(&format!("/conversations/{conversation}"));
    let chat = world.botkit.desk().chats()[0].id.clone();
    let heard = || {
        let chat = world.botkit.desk().chat(&chat).unwrap();
        chat.lines.iter().any(|line| line.text == "still there?")
    };
    until(&admin, &path, |_| heard()).await;
    world.botkit.say(&chat, "yes").await.unwrap();
    let timeline = admin.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let said = timeline["items"].as_array().unwrap().iter().find(|entry| entry["text"] == "yes").unwrap();
    assert_eq!((&said["by"]["role"], &said["to"]), (&json!("agent"), &json!("customer")));
    assert_eq!(admin.get(&path).await.is(200)["transfer"]["stage"], "talking");

    // Somebody new finds nobody.
    let berta = world.customer("berta").await;
    world.say(&berta, "human").await;
    let other = world.conversation(&admin, &berta).await;
    let state = admin.get(&app(&format!("/conversations/{other}"))).await.is(200);
    assert_eq!(state["owner"], "bot");

    world.botkit.end(&chat).await.unwrap();
    until_gone(&admin, "desk").await;
    configured_again(&admin, "desk").await;
}

#[tokio::test]
async fn a_channel_is_deleted_with_its_mapping() {
    let world = World::start("delete-channel").await;
    let admin = world.admin().await;
    admin.put(&app("/channels/web/agent_system"), json!({ "agent_system": "desk" })).await.is(200);
    let deleted = admin.delete(&app("/integrations/web")).await.is(200);
    assert_eq!(deleted["named_in"], json!(["channel_agents.web"]));
    assert_eq!(admin.get(&app("/channels")).await.is(200)["items"], json!([]));
}
