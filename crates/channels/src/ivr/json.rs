//! The answer as JSON.

use interline_connector::channel::HandedOff;
use interline_core::flow::{Asks, Takes};
use serde_json::{Map, Value, json};

use super::Settings;
use super::answer::{Answer, GivenBack, Prompt, Then};

/// The whole answer.
pub(super) fn document(answer: &Answer, settings: &Settings) -> Value {
    let mut document = json!({
        "sessionId": answer.session,
        "turn": answer.turn,
        "prompts": answer.prompts.iter().map(prompt).collect::<Vec<_>>(),
    });
    let (action, over, name, details) = match &answer.then {
        Then::Listen(asks) => ("input", false, "input", input(asks, settings)),
        Then::Wait => ("continue", false, "", Value::Null),
        Then::End(headers) if headers.is_empty() => ("end", true, "", Value::Null),
        Then::End(headers) => ("end", true, "headers", json!(headers)),
        Then::GiveBack(given) => ("transfer", true, "transfer", transfer(given)),
    };
    document["endOfConversation"] = Value::from(over);
    document["action"] = Value::from(action);
    if !details.is_null() {
        document[name] = details;
    }
    if let Then::GiveBack(given) = &answer.then {
        for (name, value) in told(given) {
            document[name] = value;
        }
    }
    document
}

fn prompt(prompt: &Prompt) -> Value {
    match prompt {
        Prompt::Words(words) => json!({ "text": words }),
        Prompt::Recording { link, words } if words.is_empty() => json!({ "audio": link }),
        Prompt::Recording { link, words } => json!({ "audio": link, "text": words }),
        Prompt::Pause(ms) => json!({ "pauseMs": ms }),
    }
}

fn input(asks: &Asks, settings: &Settings) -> Value {
    let Asks { node: _, takes, barge_in, timeout_ms, voice } = asks;
    let mut input = match takes {
        Takes::Anything => {
            json!({ "type": "anything", "grammar": voice.grammar.as_ref().unwrap_or(&settings.grammar) })
        }
        Takes::Menu { choices } => json!({ "type": "menu", "choices": choices, "grammar": voice.grammar }),
        Takes::Digits { min, max, end_key } => {
            json!({ "type": "digits", "min": min, "max": max, "endKey": end_key, "grammar": voice.grammar })
        }
    };
    input["bargeIn"] = json!(barge_in);
    input["timeoutMs"] = json!(timeout_ms);
    input["language"] = json!(voice.language.as_ref().unwrap_or(&settings.language));
    input["parameters"] = json!(voice.parameters);
    input["recording"] = json!(voice.recording);
    input["fallbackUrl"] = json!(voice.fallback_url);
    if let Some(fields) = input.as_object_mut() {
        fields.retain(|_, value| !value.is_null());
    }
    input
}

/// What else is told of a call that is given back.
pub(super) fn told(given: &GivenBack) -> Vec<(&'static str, Value)> {
    let HandedOff { summary, transcript } = &given.told;
    let summary =
        Some(summary).filter(|summary| !summary.is_empty()).map(|summary| ("summary", json!(summary)));
    summary.into_iter().chain(transcript.as_ref().map(|url| ("transcriptUrl", json!(url)))).collect()
}

/// Where a call goes that is given back.
pub(super) fn transfer(given: &GivenBack) -> Value {
    let GivenBack { call, ask, told: _ } = given;
    let mut transfer = Map::new();
    let mut put = |name: &str, value: Value| {
        let empty = value.is_null() || value.as_object().is_some_and(Map::is_empty);
        if !empty {
            transfer.insert(name.into(), value);
        }
    };
    put("type", json!(given.kind()));
    put("method", json!(call.method));
    put("target", json!(call.destination));
    put("referredBy", json!(call.referred_by));
    put("tags", json!(call.transfer_tags));
    put("headers", json!(call.headers));
    put("parameters", json!(call.properties.parameters));
    put("queue", json!(ask.queue));
    put("priority", json!(ask.priority));
    put("language", json!(ask.language));
    put("user", json!(ask.user));
    put("customTags", if ask.tags.is_empty() { Value::Null } else { json!(ask.tags) });
    Value::Object(transfer)
}
