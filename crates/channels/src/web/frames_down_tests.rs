use interline_core::{Entry, Epoch, Role, Seq, Time};

use super::*;

fn told(view: View<'_>, shown: &Line) -> Vec<Value> {
    line(view, shown, Vec::new())
}

const VIEW: View<'static> = View { app: "st-1", bot: "Bot", icon: "", queued: "Place {position}" };

fn entry(by: Speaker, body: Body) -> Line {
    let entry = Entry {
        seq: Seq(7),
        at: Time(1_795_329_732_228),
        by,
        to: Role::Customer,
        epoch: Epoch(1),
        transfer: None,
        release_of: None,
        body,
    };
    Line { conversation: "cnv_1".into(), entry }
}

fn agent() -> Speaker {
    Speaker::Agent { name: Some("Ann B".into()) }
}

fn kinds(body: Body) -> Vec<String> {
    let kind = |frame: &Value| {
        frame["message"]["type"].as_str().or(frame["type"].as_str()).unwrap_or_default().to_owned()
    };
    told(VIEW, &entry(Speaker::System, body)).iter().map(kind).collect()
}

#[test]
fn a_bot_line() {
    let frames = told(VIEW, &entry(Speaker::Bot, Body::Text(Text::plain("hello"))));
    assert_eq!(
        frames,
        [json!({
            "type": "bot_response", "from": "bot",
            "message": [{
                "type": "text", "cInfo": { "body": "hello" },
                "component": { "type": "text", "payload": { "text": "hello" } },
            }],
            "messageId": "ms-cnv_1-7", "key": "ms-cnv_1-7", "traceId": "ms-cnv_1-7",
            "botInfo": { "chatBot": "Bot", "taskBotId": "st-1" },
            "createdOn": "2026-11-22T06:42:12.228Z", "timestamp": 1_795_329_732_228_i64,
            "icon": "", "sessionId": "cnv_1",
        })]
    );
}

#[test]
fn an_agent_line_is_one_for_both_generations() {
    let frame = &told(VIEW, &entry(agent(), Body::Text(Text::plain("hello"))))[0];
    assert_eq!(frame["author"], json!({ "type": "AGENT", "firstName": "Ann", "lastName": "B" }));
    let payload = json!({ "template_type": "live_agent", "text": "hello" });
    assert_eq!(frame["message"][0]["component"], json!({ "type": "template", "payload": payload }));
    assert_eq!(frame["message"][0]["cInfo"]["body"], "hello");
    assert_eq!(frame["enableLiveChatMetaData"], true);
    assert_eq!(frame["agent_MessageId"], frame["messageId"]);
}

#[test]
fn a_line_from_another_tab() {
    let said = |client_id: Option<&str>| {
        let text = Text { client_id: client_id.map(Into::into), ..Text::plain("hi") };
        told(VIEW, &entry(Speaker::Customer, Body::Text(text))).remove(0)
    };
    let frame = said(Some("17~tab"));
    assert_eq!((&frame["type"], &frame["from"]), (&json!("user_message"), &json!("self")));
    assert_eq!(frame["message"], json!({ "body": "hi", "attachments": [] }));
    assert_eq!(frame["id"], 17);
    for other in [None, Some("m-1~tab"), Some("~x~tab")] {
        assert_eq!(said(other)["id"], 1_795_329_732_228_i64);
    }
}

#[test]
fn events_for_both_generations() {
    let joined = Body::AgentJoined { name: Some("Ann".into()) };
    assert_eq!(kinds(joined), ["agent_connected", "agent_session_active", "agent_session_start"]);
    assert_eq!(
        kinds(Body::AgentLeft),
        ["agent_disconnected", "agent_session_inactive", "agent_session_end", "bot_active", "Bot_Active"]
    );
    assert_eq!(kinds(Body::Opened), ["session_start", "Session_Start", "bot_active", "Bot_Active"]);
    assert_eq!(kinds(Body::Closed), ["session_end"]);
    assert_eq!(kinds(Body::Open), [""; 0]);
    let start = &told(VIEW, &entry(Speaker::System, Body::Opened))[1];
    assert_eq!(start["recentSessionInfo"], json!({ "isActive": true, "sessionId": "cnv_1" }));
}

#[test]
fn every_events_frame_has_a_message() {
    let bodies = [Body::AgentJoined { name: None }, Body::AgentLeft, Body::Opened, Body::Closed];
    let mut frames: Vec<Value> =
        bodies.into_iter().flat_map(|body| told(VIEW, &entry(Speaker::System, body))).collect();
    frames.extend([
        agent_typing(VIEW, true),
        agent_typing(VIEW, false),
        receipt(VIEW, &json!(1), Mark::Read),
    ]);
    assert!(frames.iter().all(|frame| frame["type"] != "events" || frame["message"]["type"].is_string()));
}

#[test]
fn the_place_in_the_queue() {
    let queued = entry(Speaker::System, Body::Queued { position: 3 });
    assert_eq!(told(VIEW, &queued)[0]["message"][0]["cInfo"]["body"], "Place 3");
    assert!(told(View { queued: "", ..VIEW }, &queued).is_empty());
}

#[test]
fn typing_and_receipts() {
    assert_eq!(
        agent_typing(VIEW, true)["message"],
        json!({ "type": "typing", "author": { "type": "AGENT" } })
    );
    assert_eq!(agent_typing(VIEW, false)["message"]["type"], "stoptyping");
    let read = receipt(VIEW, &json!(17), Mark::Read);
    assert_eq!(read["message"], json!({ "type": "message_read", "clientMessageId": 17 }));
    assert_eq!(receipt(VIEW, &json!("a"), Mark::Delivered)["message"]["type"], "message_delivered");
}

#[test]
fn a_template_survives_the_clients_unwrapping() {
    // What the client does: a payload without `text` is parsed and becomes the component; failing that, it replaces it.
    let unwrapped = |component: &Value| match &component["payload"] {
        payload if payload["text"].as_str().is_some_and(|text| !text.is_empty()) => component.clone(),
        Value::String(payload) => serde_json::from_str(payload).expect("JSON"),
        payload => payload.clone(),
    };
    let payloads = [
        json!({ "template_type": "button", "text": "Which?", "buttons": [] }),
        json!({ "template_type": "carousel", "elements": [] }),
    ];
    for payload in payloads {
        let whole = json!({ "type": "template", "payload": payload });
        for rich in [whole.clone(), payload.clone()] {
            let text = Text { rich: Some(rich), ..Text::plain("fallback") };
            for by in [Speaker::Bot, agent()] {
                let frame = &told(VIEW, &entry(by, Body::Text(text.clone())))[0];
                assert_eq!(unwrapped(&frame["message"][0]["component"]), whole);
            }
        }
    }
    let text = Text { rich: Some(json!({ "no": "template" })), ..Text::plain("fallback") };
    let frame = &told(VIEW, &entry(Speaker::Bot, Body::Text(text)))[0];
    assert_eq!(frame["message"][0]["component"]["payload"]["text"], "fallback");
}

#[test]
fn only_what_looks_like_markup_is_escaped() {
    for same in ["a < b & c > d", "x<3", "AT & T", "1 && 2", "*bold*", "{\"a\":1}", "a &", "<"] {
        assert_eq!(shown(same), same);
    }
    assert_eq!(shown("<b>now</b> & \"once\" &lt;"), "&lt;b>now&lt;/b> & \"once\" &amp;lt;");
    assert_eq!(shown("<img src=x onerror=alert(1)>"), "&lt;img src=x onerror=alert(1)>");
    assert_eq!(shown("<!-- --><?x?>&#60;&copy"), "&lt;!-- -->&lt;?x?>&amp;#60;&amp;copy");
}
