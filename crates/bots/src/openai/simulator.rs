//! A stand-in for an OpenAI-compatible endpoint: strict about what it is sent, and simple in what it says. It asks for a human
//! when the customer does, finishes at "thank you", and else says back what it heard.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router};
use serde::Deserialize;
use serde_json::{Value, json};

/// Where it stands.
pub const PATH: &str = "/_sim/openai/v1";

/// The routes; with `key`, only whoever brings it is answered.
pub fn router(key: Option<&str>) -> Router {
    Router::new()
        .route(&format!("{PATH}/chat/completions"), post(complete))
        .route(&format!("{PATH}/models"), get(models))
        .with_state(key.map(|key| format!("Bearer {key}")))
}

#[derive(Deserialize)]
struct Asked {
    model: String,
    messages: Vec<Message>,
    #[serde(default)]
    tools: Vec<Value>,
    #[serde(default)]
    stream: bool,
}

#[derive(Deserialize)]
struct Message {
    role: String,
    content: String,
}

fn refused(status: StatusCode, message: &str) -> Response {
    (status, Json(json!({ "error": { "message": message, "type": "invalid_request_error" } })))
        .into_response()
}

fn is_known(key: Option<&String>, headers: &HeaderMap) -> bool {
    key.is_none_or(|key| headers.get("authorization").is_some_and(|sent| sent.as_bytes() == key.as_bytes()))
}

async fn models(State(key): State<Option<String>>, headers: HeaderMap) -> Response {
    if !is_known(key.as_ref(), &headers) {
        return refused(StatusCode::UNAUTHORIZED, "incorrect API key provided");
    }
    Json(json!({ "object": "list", "data": [{ "id": "stand-in", "object": "model" }] })).into_response()
}

async fn complete(State(key): State<Option<String>>, headers: HeaderMap, body: String) -> Response {
    if !is_known(key.as_ref(), &headers) {
        return refused(StatusCode::UNAUTHORIZED, "incorrect API key provided");
    }
    let asked: Asked = match serde_json::from_str(&body) {
        Ok(asked) => asked,
        Err(_) => {
            return refused(StatusCode::BAD_REQUEST, "we could not parse the JSON body of your request");
        }
    };
    if asked.model.is_empty() || asked.messages.is_empty() || asked.stream {
        return refused(StatusCode::BAD_REQUEST, "model and messages are needed; nothing is streamed here");
    }
    if asked.messages.iter().any(|message| !matches!(message.role.as_str(), "system" | "user" | "assistant"))
    {
        return refused(StatusCode::BAD_REQUEST, "a message has a role that there is not");
    }
    let said = asked.messages.iter().rev().find(|message| message.role == "user");
    let said = said.map(|message| message.content.as_str()).unwrap_or_default();
    let message = answer(said, !asked.tools.is_empty());
    let finish = if message["tool_calls"].is_array() { "tool_calls" } else { "stop" };
    let choice = json!({ "index": 0, "message": message, "finish_reason": finish });
    Json(json!({ "id": "chatcmpl-1", "object": "chat.completion", "created": 0, "model": asked.model, "choices": [choice] }))
        .into_response()
}

fn answer(said: &str, has_tools: bool) -> Value {
    let heard = said.to_lowercase();
    let calls = |name: &str, arguments: Value| {
        let function = json!({ "name": name, "arguments": arguments.to_string() });
        let call = json!({ "id": "call_1", "type": "function", "function": function });
        json!({ "role": "assistant", "content": null, "tool_calls": [call] })
    };
    if has_tools && ["agent", "human", "person"].iter().any(|word| heard.contains(word)) {
        return calls("transfer_to_agent", json!({ "reason": "The customer asked for a human." }));
    }
    if has_tools && heard.contains("thank") {
        return calls("finish", json!({ "success": true }));
    }
    json!({ "role": "assistant", "content": format!("You said \"{said}\". Say \"human\" and I hand you over.") })
}
