//! Flows and what is counted of them, by the API.

use serde_json::{Value, json};

use crate::world::{A, World, until};

fn path(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

fn says(text: &str) -> Value {
    json!({ "start": "a", "nodes": { "a": { "message": { "text": text, "next": "end" } }, "end": { "end": {} } } })
}

#[tokio::test]
async fn a_flow_is_drafted_validated_published_and_restored() {
    let world = World::start("flows").await;
    let admin = world.admin().await;
    let made = admin.post(&path("/flows"), json!({ "name": "help", "flow": says("one") })).await;
    assert_eq!(made.etag(), "\"1\"");
    assert_eq!(made.is(201), json!({ "sound": true, "findings": [] }));
    admin.post(&path("/flows"), json!({ "name": "help", "flow": says("one") })).await.refused(409, "exists");
    let listed = admin.get(&path("/flows")).await.is(200);
    let flows: Vec<(&str, bool)> = listed["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|flow| (flow["name"].as_str().unwrap(), flow["published"].as_bool().unwrap()))
        .collect();
    assert_eq!(flows, [("help", false), ("main", true), ("support", true)]);
    admin.get(&path("/flows/help")).await.refused(404, "not_found");
    admin.post(&path("/flows/help/draft/publish"), json!({})).await.is(200);
    admin.get(&path("/flows/help/draft")).await.refused(404, "not_found");
    assert_eq!(admin.get(&path("/flows/help")).await.is(200)["flow"]["nodes"]["a"]["message"]["text"], "one");

    let half = json!({ "start": "a", "nodes": { "a": { "message": { "text": "x", "next": "gone" } } } });
    let written = admin.put(&path("/flows/help/draft"), half.clone()).await.is(200);
    assert_eq!((&written["sound"], &written["findings"][0]["node"]), (&json!(false), &json!("a")));
    let place = "flows.help.nodes.a.message.next";
    assert_eq!(written["findings"][0]["path"], place);
    admin.post(&path("/flows/help/draft/publish"), json!({})).await.invalid_at(place);
    admin
        .with("if-match", "\"7\"")
        .put(&path("/flows/help/draft"), half)
        .await
        .refused(412, "version_conflict");

    admin.put(&path("/flows/help"), says("two")).await.is(200);
    let versions = admin.get(&path("/flows/help/versions")).await.is(200);
    assert_eq!(versions["items"].as_array().unwrap().len(), 2);
    assert_eq!(
        (&versions["items"][0]["version"], &versions["items"][0]["by"]),
        (&json!(2), &json!("admin key"))
    );
    let first = admin.get(&path("/flows/help/versions/1")).await.is(200);
    assert_eq!(first["flow"]["nodes"]["a"]["message"]["text"], "one");
    admin.act(&path("/flows/help/versions/1/restore")).await.is(200);
    assert_eq!(admin.get(&path("/flows/help")).await.is(200)["flow"], first["flow"]);
    admin.act(&path("/flows/help/versions/9/restore")).await.refused(404, "not_found");

    // The document is the same thing seen from the other side.
    assert_eq!(admin.get(&path("/document")).await.is(200)["flows"]["help"]["start"], "a");
    admin.delete(&path("/flows/main")).await.refused(409, "flow_in_use");
    admin.delete(&path("/flows/help")).await.is(204);
    admin.delete(&path("/flows/help")).await.refused(404, "not_found");
}

#[tokio::test]
async fn a_flow_that_another_names_stays() {
    let world = World::start("flow-named").await;
    let admin = world.admin().await;
    let go = json!({ "start": "go", "nodes": { "go": { "go_to_flow": { "flow": "support" } } } });
    admin.put(&path("/flows/main"), go).await.is(200);
    admin.delete(&path("/flows/support")).await.invalid_at("flow.nodes.go.go_to_flow.flow");
}

#[tokio::test]
async fn the_schema_describes_what_is_published() {
    let world = World::start("flow-schema").await;
    let admin = world.admin().await;
    let schema = admin.get("/v1/flow_schema").await.is(200);
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let flow = admin.get(&path("/flows/main")).await.is(200)["flow"].clone();
    assert!(validator.is_valid(&flow), "{flow:#}");
    assert!(!validator.is_valid(&json!({ "start": "a", "nodes": { "a": { "mesage": { "text": "x" } } } })));
}

#[tokio::test]
async fn what_is_counted_adds_up() {
    let world = World::start("containment").await;
    let admin = world.admin().await;
    let (_, conversation) = world.talking(&admin, "anna").await;
    let all = until(&admin, &path("/containment"), |body| body["agent"]["joined"] == 1).await;
    let labels = ["agent", "drop_off", "self_service"];
    for field in
        ["conversations", "interactive", "closed", "reached", "accepted", "joined", "failed", "recontacts"]
    {
        let sum: i64 = labels.iter().map(|label| all[*label][field].as_i64().unwrap()).sum();
        assert_eq!(all["all"][field], sum, "{field}: {all:#}");
    }
    assert_eq!((&all["agent"]["share"], &all["all"]["share"]), (&json!(100.0), &json!(100.0)));
    admin.act(&path(&format!("/conversations/{conversation}/end"))).await.is(204);
    let all = until(&admin, &path("/containment"), |body| body["all"]["closed"] == 1).await;
    assert_eq!(all["closed_by"], json!([{ "word": "operator", "conversations": 1 }]));
    let tasks = admin.get(&path("/containment/tasks?daily=true")).await.is(200);
    let task = &tasks["tasks"][0];
    assert_eq!((&task["task"], &task["done"], &task["runs"]), (&json!("human"), &json!(true), &json!(1)));
    let sum: i64 = labels.iter().map(|label| task[*label].as_i64().unwrap()).sum();
    assert_eq!(task["conversations"], sum);
    admin.get(&path("/containment/tags")).await.is(200);
    admin
        .get(&path("/containment?from=2026-01-02T00:00:00Z&before=2026-01-01T00:00:00Z"))
        .await
        .invalid_at("before");
    admin
        .get(&path("/containment?from=2020-01-01T00:00:00Z&before=2026-01-01T00:00:00Z"))
        .await
        .invalid_at("before");
}
