#![allow(clippy::unwrap_used)]

use interline_connector::BotConnector as _;
use interline_core::flow::work::Then;
use serde_json::{Value, json};

use super::OpenAi;
use crate::webhook::tests::{answers, asked, http};

fn completion(message: Value) -> Value {
    json!({ "id": "c", "object": "chat.completion", "choices": [{ "index": 0, "message": message, "finish_reason": "stop" }] })
}

fn calls(name: &str, arguments: &str) -> Value {
    let call = json!({ "id": "t", "type": "function", "function": { "name": name, "arguments": arguments } });
    completion(json!({ "role": "assistant", "content": null, "tool_calls": [call] }))
}

async fn turn(answer: Value) -> Result<interline_core::flow::work::Reply, interline_connector::Failure> {
    let (url, _) = answers("/v1/chat/completions", answer).await;
    let settings = json!({ "url": format!("{url}/v1"), "model": "m" });
    OpenAi.build(settings, http(&url)).unwrap().turn(&asked(json!({ "bot": "b", "text": "hi" }))).await
}

#[tokio::test]
async fn the_model_is_told_who_said_what_and_answers() {
    let (url, seen) =
        answers("/v1/chat/completions", completion(json!({ "role": "assistant", "content": " Hello " })))
            .await;
    let settings = json!({
        "url": format!("{url}/v1/"), "model": "small", "api_key": "k", "system": "You sell shoes.", "temperature": 0.5 });
    let bot = OpenAi.build(settings, http(&url)).unwrap();
    let told = json!({ "bot": "b", "instructions": "Find the order.", "text": "where is it?",
        "context": { "tier": "gold" }, "human_part_over": "agent_ended" });
    let reply = bot.turn(&asked(told)).await.unwrap();
    assert_eq!((reply.says, reply.then), (vec!["Hello".to_owned()], Then::Listens));
    let (headers, body) = seen.lock().unwrap()[0].clone();
    assert_eq!(headers["authorization"], "Bearer k");
    assert_eq!(
        (&body["model"], &body["temperature"], &body["stream"]),
        (&json!("small"), &json!(0.5), &json!(false))
    );
    let messages = body["messages"].as_array().unwrap();
    let roles: Vec<&str> = messages.iter().map(|message| message["role"].as_str().unwrap()).collect();
    assert_eq!(roles, ["system", "assistant", "assistant", "user"]);
    let system = messages[0]["content"].as_str().unwrap();
    for told in ["You sell shoes.", "Find the order.", "\"tier\":\"gold\"", "That part is over (agent_ended)"]
    {
        assert!(system.contains(told), "{told}: {system}");
    }
    assert!(!system.contains("where is it?"), "what the customer says is no instruction");
    assert_eq!(messages[2]["content"], "[human agent] I am Kim");
    let tools: Vec<&str> = body["tools"]
        .as_array()
        .unwrap()
        .iter()
        .map(|tool| tool["function"]["name"].as_str().unwrap())
        .collect();
    assert_eq!(tools, ["transfer_to_agent", "finish"]);
}

#[tokio::test]
async fn the_tools_hand_over_and_finish() {
    for (answer, then) in [
        (
            calls("transfer_to_agent", r#"{"reason":"angry"}"#),
            Then::Transfer { reason: Some("angry".into()) },
        ),
        (calls("transfer_to_agent", "{"), Then::Transfer { reason: None }),
        (calls("finish", r#"{"success":true}"#), Then::Done),
        (calls("finish", r#"{"success":false}"#), Then::GivesUp),
    ] {
        assert_eq!(turn(answer).await.unwrap().then, then);
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_failure() {
    for answer in [
        json!({ "choices": [] }),
        json!({ "error": { "message": "overloaded" } }),
        completion(json!({ "role": "assistant", "content": "" })),
        completion(json!({ "role": "assistant", "content": "x".repeat(20_000) })),
        calls("rm_rf", "{}"),
    ] {
        assert!(turn(answer.clone()).await.is_err(), "{answer}");
    }
}

#[test]
fn settings_are_checked() {
    let http = || interline_connector::Http::new(interline_connector::Guard::default()).unwrap();
    for wrong in [
        json!({}),
        json!({ "url": "x", "model": "m" }),
        json!({ "url": "https://x.test", "model": "m", "temperature": 3 }),
    ] {
        assert!(OpenAi.build(wrong.clone(), http()).is_err(), "{wrong}");
    }
}
