//! Participants that something is held for: shown, tried again, passed by, given up.

use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::world::{A, World, until};

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

#[tokio::test]
async fn what_is_held_is_listed_and_tried_again() {
    let world = World::start("held").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (_, conversation, no) = world.failing(&operator, "anna").await;
    let held = operator.get(&app("/participants?held=true")).await.is(200);
    assert_eq!(held["items"].as_array().unwrap().len(), 1);
    assert_eq!(held["items"][0]["conversation"], conversation.as_str());
    let participant = &held["items"][0]["participant"];
    assert_eq!((&participant["no"], &participant["integration"]), (&json!(no), &json!("nowhere")));
    assert!(participant["last_error"].is_string() && participant["failing_since"].is_string());
    operator.get(&app("/participants?held=false")).await.invalid_at("held");
    operator.get(&app("/participants")).await.invalid_at("held");

    let path = app(&format!("/conversations/{conversation}/participants/{no}"));
    operator.act(&format!("{path}/retry")).await.is(204);
    until(&operator, &app("/participants?held=true"), |held| {
        held["items"][0]["participant"]["attempts"].as_i64().is_some_and(|attempts| attempts >= 1)
    })
    .await;
    operator
        .act(&app(&format!("/conversations/{conversation}/participants/9/retry")))
        .await
        .refused(404, "not_found");
}

#[tokio::test]
async fn an_entry_is_passed_by_only_where_it_is_stuck() {
    let world = World::start("skip").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (customer, conversation, no) = world.failing(&operator, "anna").await;
    world.say(&customer, "is anybody there?").await;
    let path = app(&format!("/conversations/{conversation}"));
    let state = operator.get(&path).await.is(200);
    let next = state["participants"][0]["next"].as_u64().unwrap();
    let timeline = operator.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let entry = &timeline["items"][usize::try_from(next).unwrap() - 1];
    assert_eq!((&entry["seq"], &entry["kind"]), (&json!(next), &json!("open")));

    let skip = format!("{path}/participants/{no}/skip");
    for other in [next - 1, next + 1, next + 1000] {
        operator.post(&skip, json!({ "seq": other })).await.refused(409, "other_entry");
    }
    operator.post(&skip, json!({ "seq": 0 })).await.invalid_at("seq");
    let once = operator.with("idempotency-key", "s1");
    once.post(&skip, json!({ "seq": next })).await.is(204);
    once.post(&skip, json!({ "seq": next })).await.is(204);
    let timeline = operator.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let acts: Vec<&Value> =
        timeline["items"].as_array().unwrap().iter().filter(|entry| entry["act"] == "skip").collect();
    assert_eq!(acts.len(), 1);
    assert_eq!((&acts[0]["participant"], &acts[0]["entry"]), (&json!(no), &json!(next)));
}

#[tokio::test]
async fn without_a_seq_it_is_the_one_that_is_next() {
    let world = World::start("skip-next").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (_, conversation, no) = world.failing(&operator, "anna").await;
    let path = app(&format!("/conversations/{conversation}"));
    operator.post(&format!("{path}/participants/{no}/skip"), json!({})).await.is(204);
    let timeline = operator.get(&format!("{path}/timeline?limit=200")).await.is(200);
    let entries = timeline["items"].as_array().unwrap();
    let act = entries.iter().find(|entry| entry["act"] == "skip").unwrap();
    let open = entries.iter().find(|entry| entry["kind"] == "open").unwrap();
    assert_eq!(act["entry"], open["seq"]);
}

#[tokio::test]
async fn a_participant_is_given_up() {
    let world = World::start("drop").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let (_, conversation, no) = world.failing(&operator, "anna").await;
    let path = app(&format!("/conversations/{conversation}"));
    let end = format!("{path}/participants/{no}/end");
    operator.act(&end).await.is(204);
    let state = operator.get(&path).await.is(200);
    assert_eq!(state["owner"], "bot");
    let participant = &state["participants"][0];
    assert_eq!((&participant["gone"], &participant["done"]), (&json!(true), &json!(true)));
    for act in ["end", "retry"] {
        operator.act(&format!("{path}/participants/{no}/{act}")).await.refused(409, "nothing_held");
    }
    operator.post(&format!("{path}/participants/{no}/skip"), json!({})).await.refused(409, "nothing_held");
    assert_eq!(operator.get(&app("/participants?held=true")).await.is(200)["items"], json!([]));
}
