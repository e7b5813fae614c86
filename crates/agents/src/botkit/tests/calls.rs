//! `receive`, request by request: what is proven, what it means, what is turned away.

use interline_connector::webhook::Proof;
use interline_connector::{Received, Rejected};
use jsonwebtoken::{Algorithm as Jwt, EncodingKey, Header};

use super::*;

const ID: &str = "cnv_0192af00-2-3-17-t";
const NOW: i64 = 1_795_329_324_502;

fn desk(settings: Value) -> Arc<dyn AgentSystem> {
    agent("https://botkit.example.com", "https://chat.example.com/", Algorithm::HS256, settings)
        .expect("an agent")
}

fn token(claims: &Value) -> String {
    signed(Header::new(Jwt::HS256), SECRET, claims)
}

fn signed(header: Header, secret: &str, claims: &Value) -> String {
    jsonwebtoken::encode(&header, claims, &EncodingKey::from_secret(secret.as_bytes())).expect("a token")
}

fn good_token() -> String {
    token(&json!({ "appId": CLIENT, "exp": 1_795_329_384.502 }))
}

fn request(method: Method, path: &str, body: impl Into<Bytes>) -> Unverified {
    let (path, query) = path.split_once('?').unwrap_or((path, ""));
    let mut headers = HeaderMap::new();
    headers.insert("auth", good_token().parse().expect("a header"));
    Unverified {
        method,
        path: path.into(),
        query: query.into(),
        headers,
        body: body.into(),
        now_ms: NOW,
        secret_part: false,
    }
}

pub(super) fn post(call: &str, body: &Value) -> Result<Received, Rejected> {
    desk(json!({})).receive(&request(Method::POST, &format!("{call}/{ID}"), body.to_string()))
}

fn meant(call: &str, body: &Value) -> Call {
    match post(call, body).expect("proven").heard.remove(0) {
        Heard::Callback { id, call, .. } => {
            assert_eq!(id.to_string(), ID);
            call
        }
        other => panic!("{other:?}"),
    }
}

fn status(result: Result<Received, Rejected>) -> u16 {
    let answer = match result {
        Ok(received) => received.answer,
        Err(Rejected(answer)) => {
            let body = answer.body.clone().expect("a body");
            assert!(body["errors"][0]["msg"].is_string(), "{body}");
            assert_eq!(body["errors"][0]["code"], answer.status);
            answer
        }
    };
    answer.status
}

#[test]
fn every_call_has_its_meaning() {
    let body = json!({ "message": "hello", "__payloadClass": "OnAgentTransferPayload", "more": [1] });
    assert_eq!(meant("sendUserMessage", &body), Call::SendUserMessage(Text::plain("hello")));
    assert_eq!(meant("sendBotMessage", &body), Call::SendBotMessage(Text::plain("hello")));
    assert_eq!(meant("skipUserMessage", &body), Call::SkipUserMessage);
    assert_eq!(meant("skipBotMessage", &body), Call::SkipBotMessage);
    assert_eq!(meant("startAgentSession", &body), Call::StartAgentSession);
    assert_eq!(meant("clearAgentSession", &json!({ "message": "end_chat" })), Call::ClearAgentSession);
    assert_eq!(meant("clearConversationSession", &json!({})), Call::CloseConversation);
    for silent in ["extendcallid", "resetBot", "sendFeedbackMessage", "sendAlertMessage", "serviceCallback"] {
        let received = post(silent, &body).expect("proven");
        assert_eq!((received.proof, received.answer.status), (Proof::Token, 200), "{silent}");
        // It changes nothing, but is answered only to whom the id belongs.
        assert!(matches!(received.heard.as_slice(), [Heard::Named(id)] if id.to_string() == ID), "{silent}");
        assert!(received.answer.body.is_some_and(|body| body.is_object()));
    }
}

#[test]
fn gets_carry_null() {
    let agent = desk(json!({}));
    let variables = agent.receive(&request(Method::GET, "getBotVariable", "null")).expect("proven");
    assert_eq!(variables.answer.body, Some(json!({ "count": 0, "variables": [] })));
    let dialog = agent.receive(&request(Method::GET, &format!("dialog/{ID}"), "null")).expect("proven");
    assert_eq!(dialog.answer.status, 200);
    let history = agent.receive(&request(Method::GET, "getMessages?userId=u-1", "null")).expect("proven");
    assert!(
        matches!(&history.heard[0], Heard::History(query) if query.customer == "u-1" && query.limit == 20)
    );
}

#[test]
fn user_ids_arrive_as_they_are() {
    let agent = desk(json!({}));
    for (raw, customer) in [
        ("ann+tickets@example.com", "ann+tickets@example.com"),
        ("ann%2Btickets%40example.com", "ann+tickets@example.com"),
        ("cus_1", "cus_1"),
        ("%E4%BD%A0", "你"),
        ("100%", "100%"),
    ] {
        let path = format!("getMessages?skip=40&limit=5000&userId={raw}&channelType=rtm");
        let received = agent.receive(&request(Method::GET, &path, "null")).expect("proven");
        let expected = HistoryQuery { customer: customer.into(), skip: 40, limit: 100 };
        assert!(matches!(&received.heard[0], Heard::History(query) if *query == expected), "{raw}");
    }
    for bad in
        ["getMessages", "getMessages?userId=", "getMessages?userId=u&skip=-1", "getMessages?userId=u&limit=x"]
    {
        assert_eq!(status(agent.receive(&request(Method::GET, bad, "null"))), 400, "{bad}");
    }
}

#[test]
fn only_good_tokens_prove_anything() {
    let none = String::new();
    let now = NOW as f64 / 1000.0;
    let unsigned =
        format!("eyJ0eXAiOiJKV1QiLCJhbGciOiJub25lIn0.{}.", good_token().split('.').nth(1).expect("claims"));
    for (token, status_expected) in [
        (good_token(), 200),
        (token(&json!({ "appId": CLIENT, "exp": now as i64 + 60 })), 200),
        (token(&json!({ "appId": CLIENT, "exp": now - 20.5 })), 200), // clocks differ
        (token(&json!({ "appId": CLIENT, "exp": now - 61.5 })), 401),
        (token(&json!({ "appId": CLIENT, "exp": null })), 401),
        (token(&json!({ "appId": CLIENT, "exp": "1795329384" })), 401),
        (token(&json!({ "appId": CLIENT })), 401),
        (token(&json!({ "appId": CLIENT, "exp": now + 60.0, "nbf": now + 600.0 })), 401),
        (token(&json!({ "appId": "cs-other", "exp": now + 60.0 })), 401),
        (token(&json!({ "exp": now + 60.0 })), 401),
        (signed(Header::new(Jwt::HS512), SECRET, &json!({ "appId": CLIENT, "exp": now + 60.0 })), 401),
        (signed(Header::new(Jwt::HS256), "other", &json!({ "appId": CLIENT, "exp": now + 60.0 })), 401),
        (unsigned, 401),
        (none, 401),
        ("a.b.c".into(), 401),
    ] {
        let mut request = request(Method::POST, &format!("extendcallid/{ID}"), "{}");
        request.headers.insert("auth", token.parse().expect("a header"));
        assert_eq!(status(desk(json!({})).receive(&request)), status_expected, "{token}");
    }
    let mut bare = request(Method::POST, &format!("extendcallid/{ID}"), "{}");
    bare.headers.clear();
    assert_eq!(status(desk(json!({})).receive(&bare)), 401);
    bare.path = "nothing/at/all".into();
    assert_eq!(status(desk(json!({})).receive(&bare)), 401, "the proof comes first");
    bare.headers.insert("authorization", good_token().parse().expect("a header"));
    bare.headers.insert("token", good_token().parse().expect("a header"));
    assert_eq!(status(desk(json!({})).receive(&bare)), 401, "another header proves nothing");
}

#[test]
fn what_is_not_a_call_is_turned_away() {
    let agent = desk(json!({}));
    let status_of = |method: Method, path: &str, body: &str| {
        status(agent.receive(&request(method, path, body.to_owned())))
    };
    assert_eq!(status_of(Method::POST, "", "{}"), 404);
    assert_eq!(status_of(Method::POST, "sendusermessage/x", "{}"), 404);
    assert_eq!(status_of(Method::POST, "sendUserMessage", "{}"), 404);
    for id in
        ["", "1", "cnv_a-1-1-1-x", "cnv_a-1-1-01-t", "../x", "cnv_a-1-1-1-t/more", "%63nv_a-1-1-1-t", "a\0b"]
    {
        assert_eq!(status_of(Method::POST, &format!("sendUserMessage/{id}"), "{}"), 404, "{id}");
        assert_eq!(status_of(Method::POST, &format!("extendcallid/{id}"), "{}"), 404, "{id}");
    }
    assert_eq!(status_of(Method::GET, &format!("sendUserMessage/{ID}"), "null"), 405);
    assert_eq!(status_of(Method::DELETE, &format!("getMessages?userId=u{ID}"), "null"), 405);
    for body in [
        "",
        "{",
        "[]",
        "1",
        "\"x\"",
        "{\"message\":1}",
        "{\"message\":{\"a\":1}}",
        "{\"overrideMessagePayload\":1}",
    ] {
        assert_eq!(status_of(Method::POST, &format!("sendUserMessage/{ID}"), body), 400, "{body}");
    }
    let deep = "[".repeat(200_000);
    assert_eq!(status_of(Method::POST, &format!("sendUserMessage/{ID}"), &deep), 400);
    let large = json!({ "message": "hi", "filler": "x".repeat(256 * 1024) }).to_string();
    assert_eq!(status_of(Method::POST, &format!("sendUserMessage/{ID}"), &large), 400);
    let bytes = request(
        Method::POST,
        &format!("sendUserMessage/{ID}"),
        Bytes::from_static(b"{\"message\":\"\xff\"}"),
    );
    assert_eq!(status(agent.receive(&bytes)), 400);
}

#[test]
fn texts_have_limits_and_no_nul() {
    let text = |n: usize| json!({ "message": "ü".repeat(n) });
    assert!(post("sendUserMessage", &text(16 * 1024)).is_ok());
    assert_eq!(status(post("sendUserMessage", &text(16 * 1024 + 1))), 400);
    assert!(post("sendBotMessage", &text(3_000)).is_ok());
    assert_eq!(status(post("sendBotMessage", &text(3_001))), 400);
    let nul = json!({ "message": "a\0b" });
    assert_eq!(meant("sendUserMessage", &nul), Call::SendUserMessage(Text::plain("ab")));
    for empty in [json!({}), json!({ "message": null }), json!({ "message": "" })] {
        assert_eq!(meant("sendUserMessage", &empty), Call::SendUserMessage(Text::default()));
    }
}

#[test]
fn an_override_speaks_instead_of_the_message() {
    let over = |body: Value, is_template: bool| {
        json!({ "message": "the customer's words", "messageObject": { "text": "the customer's words", "rich": { "a": 1 } },
                "overrideMessagePayload": { "body": body, "isTemplate": is_template } })
    };
    let said = |body: &Value| match meant("sendUserMessage", body) {
        Call::SendUserMessage(text) => text,
        other => panic!("{other:?}"),
    };
    assert_eq!(said(&over("plain words".into(), false)), Text::plain("plain words"));
    let template =
        json!({ "type": "template", "payload": { "template_type": "button", "text": "Pick\0 one" } });
    let clean = json!({ "type": "template", "payload": { "template_type": "button", "text": "Pick one" } });
    let rich = Text { rich: Some(clean), ..Text::plain("Pick one") };
    assert_eq!(said(&over(template.to_string().into(), true)), rich);
    assert_eq!(said(&over(template, true)), rich);
    let buttons = json!([{ "title": "Red" }, 7, { "payload": "no title" }, { "title": "Blue" }]);
    let choices = json!({ "payload": { "template_type": "button", "text": "Pick one", "buttons": buttons } });
    assert_eq!(said(&over(choices, true)).text, "Pick one\n- Red\n- Blue");
    let wordless = json!({ "type": "template", "payload": { "template_type": "carousel" } });
    assert_eq!(said(&over(wordless, true)).text, "[carousel]");
    for bad in [
        over("not JSON".into(), true),
        over("[1]".into(), true),
        over(7.into(), false),
        over(Value::Null, true),
    ] {
        assert_eq!(status(post("sendUserMessage", &bad)), 400, "{bad}");
    }
    let changed =
        json!({ "message": "other words", "messageObject": { "text": "words", "rich": { "a": 1 } } });
    assert_eq!(said(&changed).rich, None, "a changed message is what BotKit wants said");
    let foreign = json!({ "message": "words", "messageObject": ["anything"] });
    assert_eq!(said(&foreign), Text::plain("words"));
}

#[test]
fn history_is_told_newest_first_and_each_line_once() {
    let lines = [
        said(1, Speaker::Customer, Role::Interceptor, "hello"),
        Entry { release_of: Some(Seq(1)), ..said(2, Speaker::Customer, Role::Bot, "hello") },
        said(3, Speaker::Bot, Role::Interceptor, "hi"),
        Entry { release_of: Some(Seq(3)), ..said(4, Speaker::Bot, Role::Customer, "hi!") },
        entry(5, Speaker::System, Role::Customer, Body::AgentJoined { name: None }),
        said(6, Speaker::Agent { name: Some("Eve".into()) }, Role::Customer, "I am Eve"),
    ];
    let lines = lines.into_iter().map(|entry| (ConversationId::from(CONVERSATION), entry)).collect();
    let answer = desk(json!({})).history(&History { lines, total: 33, more: true });
    let body = answer.body.expect("a body");
    assert_eq!((&body["total"], &body["moreAvailable"]), (&json!(33), &json!(true)));
    let messages = body["messages"].as_array().expect("a list");
    let told: Vec<_> = messages
        .iter()
        .map(|m| {
            (m["type"].as_str().unwrap_or(""), m["components"][0]["data"]["text"].as_str().unwrap_or(""))
        })
        .collect();
    assert_eq!(told, [("outgoing", "I am Eve"), ("outgoing", "hi!"), ("incoming", "hello")]);
    let first = &messages[2];
    assert_eq!(first["createdOn"], "2026-11-22T06:35:24.503Z");
    assert_eq!(first["timestampValue"], 1_795_329_324_503_i64);
    assert_eq!(first["_id"], "ms-cnv_0192af00-1");
    assert_eq!((&first["chnl"], &first["channels"][0]["type"]), (&json!("rtm"), &json!("rtm")));
}
