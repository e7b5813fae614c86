//! Whole documents: applied, shown, exported, checked without being applied.

use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::world::{A, B, World, document_a, until};

const NEW: &str = "st-cccccccc-0000-5000-8000-00000000000c";

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

fn small(id: &str) -> Value {
    json!({
        "app": { "id": id, "name": "New" },
        "flow": { "start": "a", "otherwise": "a", "nodes": { "a": { "message": { "text": "A" } } } },
    })
}

#[tokio::test]
async fn a_new_app_is_made_by_a_server_wide_key_alone() {
    let world = World::start("new-app").await;
    let path = format!("/v1/apps/{NEW}");
    world.admin().await.put(&path, small(NEW)).await.refused(404, "not_found");
    world.key(None, KeyRole::Operate).await.put(&path, small(NEW)).await.refused(403, "role_too_weak");
    let server = world.key(None, KeyRole::Admin).await;

    let told = server.put(&format!("{path}?dry_run=true"), small(NEW)).await.is(200);
    assert_eq!((&told["version"], &told["changed"]), (&json!(0), &json!(true)));
    server.get(&path).await.refused(404, "not_found");

    let made = server.put(&path, small(NEW)).await;
    assert_eq!(made.etag(), "\"1\"");
    let made = made.is(200);
    assert_eq!((&made["version"], &made["changed"]), (&json!(1), &json!(true)));
    let again = server.put(&path, small(NEW)).await.is(200);
    assert_eq!((&again["version"], &again["changed"]), (&json!(1), &json!(false)));
    assert_eq!(again["differences"], json!([]));

    let listed = server.get("/v1/apps").await.is(200);
    let ids: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|app| &app["id"]).collect();
    assert_eq!(ids, [A, B, NEW]);
    let own = world.admin().await.get("/v1/apps").await.is(200);
    assert_eq!(own["items"], json!([{ "id": A, "name": "Anna's shop", "version": 1 }]));
}

#[tokio::test]
async fn every_fault_of_a_document_is_told_with_its_place() {
    let world = World::start("faults").await;
    let admin = world.admin().await;
    let mut wrong = document_a(&world.botkit_url, &world.nowhere);
    wrong["agents"]["desk"]["url"] = json!("ftp://x");
    wrong["default_agent"] = json!("nobody");
    wrong["channels"]["web"]["credentials"] = json!(["none"]);
    for path in [app(""), app("?dry_run=true")] {
        let body = admin.put(&path, wrong.clone()).await.refused(400, "invalid");
        let paths: Vec<&str> =
            body["errors"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect();
        for place in ["agents.desk.url", "default_agent", "channels.web.credentials"] {
            assert!(paths.contains(&place), "{paths:?}");
        }
    }
    let mut other = document_a(&world.botkit_url, &world.nowhere);
    other["app"]["id"] = json!(B);
    admin.put(&app("?dry_run=true"), other.clone()).await.invalid_at("app.id");
    admin.put(&app(""), other).await.invalid_at("app.id");
    // A secret on the wrong line is not shown back.
    let mut slipped = document_a(&world.botkit_url, &world.nowhere);
    slipped["credentials"]["main"]["scopes"] = json!("hunter2");
    let body = admin.put(&app(""), slipped).await.refused(400, "invalid");
    assert!(!body.to_string().contains("hunter2"), "{body}");
    // What comes by the API may not reach into the private network.
    let mut inside = document_a(&world.botkit_url, &world.nowhere);
    inside["agents"]["more"] = json!({ "type": "botkit", "url": "http://127.0.0.1:1", "credential": "main" });
    admin.put(&app(""), inside).await.invalid_at("agents.more.url");
    assert_eq!(admin.get(&app("")).await.is(200)["version"], 1);
}

#[tokio::test]
async fn an_export_can_be_applied_and_secrets_stay() {
    let world = World::start("export").await;
    let admin = world.admin().await;
    let masked = admin.get(&app("/document")).await.is(200);
    assert_eq!(masked["credentials"]["main"]["client_secret"], "(secret)");
    assert_eq!(admin.get(&app("/document?secrets=masked")).await.is(200), masked);
    assert_eq!(admin.get(&app("")).await.is(200)["document"], masked);
    let clear = admin.get(&app("/document?secrets=clear")).await.is(200);
    assert!(clear["credentials"]["main"]["client_secret"].as_str().unwrap().contains("quite long"));
    let operator = world.key(Some(A), KeyRole::Operate).await;
    operator.get(&app("/document?secrets=clear")).await.refused(403, "role_too_weak");

    for export in [masked.clone(), clear.clone()] {
        let told = admin.put(&app("?prune=true"), export).await.is(200);
        assert_eq!((&told["changed"], &told["version"]), (&json!(false), &json!(1)));
    }
    let mut changed = masked;
    changed["app"]["name"] = json!("Other");
    changed["credentials"]["main"]["client_secret"] = json!("another secret, also long");
    let dry = admin.put(&app("?dry_run=true"), changed.clone()).await.is(200);
    assert_eq!(admin.get(&app("/document?secrets=clear")).await.is(200), clear);
    let told = admin.put(&app(""), changed).await.is(200);
    assert_eq!(told["differences"], dry["differences"]);
    let expected = json!([
        { "path": "app.name", "kind": "changed", "before": "Anna's shop", "after": "Other" },
        { "path": "credentials.main.client_secret", "kind": "changed", "before": "(secret)", "after": "(secret)" },
    ]);
    assert_eq!(told["differences"], expected);
}

#[tokio::test]
async fn a_version_that_was_not_looked_at_is_not_changed() {
    let world = World::start("etag").await;
    let admin = world.admin().await;
    let first = admin.get(&app("")).await.etag();
    assert_eq!(first, "\"1\"");
    let mut document = document_a(&world.botkit_url, &world.nowhere);
    document["app"]["name"] = json!("Two");
    assert_eq!(admin.with("if-match", &first).put(&app(""), document.clone()).await.etag(), "\"2\"");
    document["app"]["name"] = json!("Three");
    for late in [first.as_str(), "\"nonsense\""] {
        let late = admin.with("if-match", late);
        for path in [app(""), app("?dry_run=true")] {
            let body = late.put(&path, document.clone()).await.refused(412, "version_conflict");
            assert_eq!(body["version"], 2);
        }
        let integration = app("/integrations/desk");
        late.put(&integration, json!({ "settings": {} })).await.refused(412, "version_conflict");
        late.patch(&integration, json!({ "settings": {} })).await.refused(412, "version_conflict");
        late.delete(&integration).await.refused(412, "version_conflict");
        late.act(&app("/integrations/desk/default")).await.refused(412, "version_conflict");
        late.delete(&app("/integrations/desk/default")).await.refused(412, "version_conflict");
        let new = json!({ "name": "n", "kind": "channel", "type": "web", "settings": {} });
        late.post(&app("/integrations"), new).await.refused(412, "version_conflict");
        let path = app("/channels/web/agent_system");
        late.put(&path, json!({ "agent_system": null })).await.refused(412, "version_conflict");
        late.post(&app("/credentials"), json!({ "name": "n", "scopes": [] }))
            .await
            .refused(412, "version_conflict");
        late.patch(&app("/credentials/main"), json!({ "scopes": [] })).await.refused(412, "version_conflict");
        late.act(&app("/credentials/main/rotate")).await.refused(412, "version_conflict");
        late.delete(&app("/credentials/main")).await.refused(412, "version_conflict");
    }
    admin.with("if-match", "2").put(&app(""), document.clone()).await.invalid_at("If-Match");
    assert_eq!(admin.with("if-match", "*").put(&app(""), document).await.is(200)["version"], 3);
}

#[tokio::test]
async fn an_agent_system_with_somebody_on_it_is_not_pruned_without_a_choice() {
    let world = World::start("prune").await;
    let admin = world.admin().await;
    let (_, conversation) = world.talking(&admin, "anna").await;
    let mut without = document_a(&world.botkit_url, &world.nowhere);
    without["agents"].as_object_mut().unwrap().remove("desk");
    without.as_object_mut().unwrap().remove("default_agent");

    // Left out is not taken away.
    let told = admin.put(&app(""), without.clone()).await.is(200);
    assert_eq!((&told["changed"], &told["retired"]), (&json!(false), &json!([])));
    for path in [app("?prune=true"), app("?prune=true&dry_run=true")] {
        admin.put(&path, without.clone()).await.refused(409, "live_transfers");
    }
    let dry = admin.put(&app("?prune=true&dry_run=true&live=stay"), without.clone()).await.is(200);
    assert_eq!((&dry["retired"], &dry["version"]), (&json!(["desk"]), &json!(1)));
    let told = admin.put(&app("?prune=true&live=stay"), without).await.is(200);
    assert_eq!((&told["retired"], &told["version"]), (&json!(["desk"]), &json!(2)));

    let desk = admin.get(&app("/integrations/desk")).await.is(200);
    assert_eq!((&desk["retired"], &desk["live_sessions"]), (&json!(true), &json!(1)));
    let path = app(&format!("/conversations/{conversation}"));
    assert_eq!(admin.get(&path).await.is(200)["transfer"]["stage"], "talking");
    admin.act(&format!("{path}/transfers/1/return")).await.is(204);
    until(&admin, &app("/integrations?kind=agent_system"), |found| {
        found["items"].as_array().unwrap().iter().all(|one| one["name"] != "desk")
    })
    .await;
}
