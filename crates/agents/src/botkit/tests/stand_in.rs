//! The stand-in is as strict as the fact sheet says. Nothing here uses the client.

use interline_connector::simulator::{Fault, Rule};
use jsonwebtoken::{Algorithm as Jwt, EncodingKey, Header};

use super::*;
use crate::botkit::simulator::Behaviour;

pub(super) struct Desk {
    sim: Simulator,
    url: String,
    platform: Arc<Recorder>,
    base: String,
}

/// A platform that takes everything, and remembers it.
#[derive(Default)]
struct Recorder {
    seen: Mutex<Vec<Seen>>,
    status: Mutex<Option<u16>>,
}

impl Desk {
    pub(super) async fn new(prefix: &str) -> Self {
        let sim = Simulator::new(SimSettings {
            app_id: app_id(),
            client_id: CLIENT.into(),
            client_secret: SECRET.into(),
            algorithm: Algorithm::HS256,
            prefix: prefix.into(),
        });
        sim.set_behaviour(Behaviour { transcript: false, ..Behaviour::default() });
        let url = format!("http://{}", serve(sim.router()).await);
        let platform = Arc::new(Recorder::default());
        let base =
            format!("http://{}/api/botsdk/stream/{}", serve(recorder(platform.clone())).await, app_id());
        Self { sim, url, platform, base }
    }

    /// A complete event, as the sheet describes it.
    pub(super) fn event(&self) -> Value {
        let url = |call: &str| format!("{}/{call}/r-1", self.base);
        json!({
            "requestId": "r-1", "botId": app_id(), "message": "hello", "agent_transfer": false,
            "channel": { "_id": "dc-1", "from": "u-1", "type": "rtm", "channelInfos": { "from": "u-1", "type": "rtm" } },
            "context": { "session": { "UserContext": { "_id": "u-1" }, "BotUserSession": {}, "UserSession": {} } },
            "metaInfo": {}, "metaTags": { "userMetaTags": [] }, "unknownField": 1,
            "baseUrl": self.base, "sendUserMessageUrl": url("sendUserMessage"),
            "sendBotMessageUrl": url("sendBotMessage"), "skipUserMessageUrl": url("skipUserMessage"),
            "skipBotMessageUrl": url("skipBotMessage"), "resetBotUrl": url("resetBot"),
            "clearConversationSessionUrl": url("clear"), "sendFeedbackMessageUrl": url("feedback"),
            "getBotVariableUrl": url("variables"), "callbackUrl": url("serviceCallback"), "getDialogUrl": url("dialog"),
        })
    }

    async fn post(&self, path: &str, header: (&str, &str), body: String) -> reqwest::Response {
        let call = reqwest::Client::new().post(format!("{}{path}", self.url)).header(header.0, header.1);
        call.header("content-type", "application/json").body(body).send().await.expect("an answer")
    }

    pub(super) async fn send(&self, event: &str, body: &Value) -> reqwest::Response {
        let path = format!("/sdk/bots/{}/{event}", app_id());
        self.post(&path, ("token", &token(&json!({ "appId": CLIENT }))), body.to_string()).await
    }

    fn calls(&self) -> Vec<Seen> {
        self.platform.seen.lock().expect("lock").clone()
    }
}

fn recorder(platform: Arc<Recorder>) -> Router {
    Router::new().fallback(
        async move |uri: axum::http::Uri, method: Method, headers: HeaderMap, body: Bytes| {
            let status = platform.status.lock().expect("lock").unwrap_or(200);
            let (path, query) = (uri.path().to_owned(), uri.query().unwrap_or("").to_owned());
            platform.seen.lock().expect("lock").push(Seen { method, path, query, headers, body, status });
            (StatusCode::from_u16(status).expect("a status"), axum::Json(json!({ "messages": [] })))
        },
    )
}

fn token(claims: &Value) -> String {
    signed(Jwt::HS256, SECRET, claims)
}

fn signed(algorithm: Jwt, secret: &str, claims: &Value) -> String {
    let key = EncodingKey::from_secret(secret.as_bytes());
    jsonwebtoken::encode(&Header::new(algorithm), claims, &key).expect("a token")
}

fn claims_of(token: &str) -> Value {
    use jsonwebtoken::{DecodingKey, Validation};
    let mut validation = Validation::new(Jwt::HS256);
    validation.validate_exp = false;
    validation.required_spec_claims.clear();
    let key = DecodingKey::from_secret(SECRET.as_bytes());
    jsonwebtoken::decode::<Value>(token, &key, &validation).expect("signed with the secret").claims
}

#[tokio::test]
async fn tokens_are_checked_as_botkit_checks_them() {
    let desk = Desk::new("").await;
    let good = json!({ "appId": CLIENT });
    let path = format!("/sdk/bots/{}/on_user_message", app_id());
    let now = now_ms() / 1000;
    for (header, value, status) in [
        ("token", token(&good), 200),
        ("token", token(&json!({ "appId": CLIENT, "exp": now + 60 })), 200),
        ("token", token(&json!({ "appId": CLIENT, "exp": now - 1 })), 401),
        ("token", token(&json!({ "appId": CLIENT, "nbf": now + 60 })), 401),
        ("token", token(&json!({ "appId": "cs-other" })), 401),
        ("token", token(&json!({})), 401),
        ("token", signed(Jwt::HS256, "other", &good), 401),
        ("token", signed(Jwt::HS512, SECRET, &good), 401),
        ("token", "rubbish".into(), 401),
        ("apikey", SECRET.into(), 200),
        ("apikey", "other".into(), 401),
        ("auth", token(&good), 401),
    ] {
        let answer = desk.post(&path, (header, &value), desk.event().to_string()).await;
        assert_eq!(answer.status(), status, "{header}: {value}");
        if status == 401 {
            let told = answer.headers()["response-error-description"].to_str().expect("text").to_owned();
            let body: Value = answer.json().await.expect("JSON");
            assert_eq!(body, json!({ "errors": [{ "msg": "Invalid apikey", "code": 4002 }] }));
            assert_eq!(serde_json::from_str::<Value>(&told).expect("JSON"), body);
        }
    }
}

#[tokio::test]
async fn the_bot_id_must_be_a_version_5_uuid() {
    let desk = Desk::new("").await;
    let token = token(&json!({ "appId": CLIENT }));
    for bot in [
        "app_1",
        "st-0192af00-1111-7222-8333-444444444444",
        "st-0192af00-1111-5222-7333-444444444444",
        "0192af00-1111-5222-8333-444444444444",
    ] {
        let path = format!("/sdk/bots/{bot}/on_user_message");
        let answer = desk.post(&path, ("token", &token), desk.event().to_string()).await;
        assert_eq!(answer.status(), 500, "{bot}");
    }
    // Another bot's id is signed for with BotKit's default credentials, which are not ours.
    let path = "/sdk/bots/st-0192af00-1111-5222-8333-444444444444/on_user_message";
    assert_eq!(desk.post(path, ("token", &token), desk.event().to_string()).await.status(), 401);
}

#[tokio::test]
async fn with_a_prefix_no_credentials_are_checked() {
    let desk = Desk::new("/botkit").await;
    let path = format!("/botkit/sdk/bots/{}/on_user_message", app_id());
    let answer = desk.post(&path, ("x-none", "1"), desk.event().to_string()).await;
    assert_eq!(answer.status(), 200);
}

#[tokio::test]
async fn bodies_are_checked_for_size_and_syntax() {
    let desk = Desk::new("").await;
    let path = format!("/sdk/bots/{}/on_user_message", app_id());
    let token = token(&json!({ "appId": CLIENT }));
    let mut event = desk.event();
    event["filler"] = "x".repeat(102_400 - event.to_string().len() - r#","filler":"""#.len()).into();
    assert_eq!(event.to_string().len(), 102_400);
    assert_eq!(desk.post(&path, ("token", &token), event.to_string()).await.status(), 200);
    let answer = desk.post(&path, ("token", &token), format!("{event} ")).await;
    assert_eq!(answer.status(), 500);
    let answer = desk.post(&path, ("token", &token), "{".into()).await;
    assert_eq!(answer.status(), 412);
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body["errors"][0]["code"], "VALIDATION_ERROR");
}

#[tokio::test]
async fn events_that_botkit_does_not_know_or_handle_are_refused() {
    let desk = Desk::new("").await;
    for (event, status, code) in [
        ("on_client_event", 404, "NOT_FOUND"),
        ("on_webhook", 500, "INTERNAL_SERVER_ERROR"),
        ("on_alert", 500, "INTERNAL_SERVER_ERROR"),
        ("on_variable_update", 500, "INTERNAL_SERVER_ERROR"),
    ] {
        let answer = desk.send(event, &desk.event()).await;
        assert_eq!(answer.status(), status, "{event}");
        let body: Value = answer.json().await.expect("JSON");
        assert_eq!(body["errors"][0]["code"], code, "{event}");
    }
}

#[tokio::test]
async fn what_a_bot_file_reaches_for_must_be_there() {
    let desk = Desk::new("").await;
    for (path, status) in [
        ("/requestId", 500),
        ("/botId", 500),
        ("/message", 500),
        ("/channel/from", 500),
        ("/channel/channelInfos", 500),
        ("/channel/channelInfos/from", 500),
        ("/context/session", 500),
        ("/context/session/UserContext/_id", 500),
        ("/context/session/BotUserSession", 500),
        ("/baseUrl", 400),
        ("/sendUserMessageUrl", 400),
        ("/sendBotMessageUrl", 400),
        ("/skipUserMessageUrl", 400),
        ("/clearConversationSessionUrl", 400),
    ] {
        let mut event = desk.event();
        let (parent, name) = path.rsplit_once('/').expect("a path");
        event.pointer_mut(parent).expect("there").as_object_mut().expect("an object").remove(name);
        let answer = desk.send("on_user_message", &event).await;
        assert_eq!(answer.status(), status, "{path}");
    }
    for name in ["callbackUrl", "getDialogUrl"] {
        let mut event = desk.event();
        event.as_object_mut().expect("an object").remove(name);
        assert_eq!(desk.send("on_agent_transfer", &event).await.status(), 400, "{name}");
    }
    assert!(desk.calls().is_empty(), "nothing had an effect");
}

#[tokio::test]
async fn calls_look_like_botkits() {
    let desk = Desk::new("").await;
    let answer = desk.send("on_user_message", &desk.event()).await;
    assert_eq!(answer.headers()["supportsmessageack"], "true");
    let echo: Value = answer.json().await.expect("JSON");
    assert_eq!(echo["__payloadClass"], "OnMessagePayload");

    let call = desk.calls().remove(0);
    assert_eq!(call.path, format!("/api/botsdk/stream/{}/sendBotMessage/r-1", app_id()));
    assert!(call.headers["user-agent"].to_str().expect("text").starts_with("axios/"));
    let body: Value = serde_json::from_slice(&call.body).expect("JSON");
    assert_eq!(body, echo);
    assert_eq!((&body["componentId"], &body["ackMessage"]), (&json!("default"), &json!(true)));
    for dropped in ["unknownField", "resetBotUrl", "clearConversationSessionUrl", "callbackUrl"] {
        assert!(body.get(dropped).is_none(), "{dropped}");
    }
    let claims = claims_of(call.headers["auth"].to_str().expect("text"));
    let exp = claims["exp"].as_f64().expect("a number");
    assert_eq!(claims, json!({ "appId": CLIENT, "exp": exp }), "nothing but these two");
    let left = exp - now_ms() as f64 / 1000.0;
    assert!((55.0..=60.0).contains(&left), "{left}");
}

#[tokio::test]
async fn a_transfer_is_answered_after_its_calls_and_its_payload_is_kept() {
    let desk = Desk::new("").await;
    desk.sim.set_behaviour(Behaviour::default());
    let answer = desk.send("on_agent_transfer", &desk.event()).await;
    let body: Value = answer.json().await.expect("JSON");
    assert_eq!(body, json!({ "headers": { "supportsMessageAck": true } }));
    let mut calls = desk.calls();
    calls.sort_by(|a, b| a.path.cmp(&b.path));
    let history = &calls[0];
    assert_eq!((history.method.as_str(), &history.body[..]), ("GET", &b"null"[..]));
    assert_eq!(history.query, "skip=0&limit=20&userId=u-1");
    assert_eq!(history.headers["content-type"], "application/json");
    let welcome: Value = serde_json::from_slice(&calls[1].body).expect("JSON");
    assert_eq!(welcome["__payloadClass"], "OnAgentTransferPayload");
    assert!(welcome.get("agent_transfer").is_none() && welcome.get("componentId").is_none());
    assert!(calls[2].path.ends_with("/startAgentSession/r-1"));

    let mut later = desk.event();
    later["requestId"] = "r-2".into();
    later["agent_transfer"] = true.into();
    assert_eq!(desk.send("on_user_message", &later).await.status(), 200);
    desk.sim.say("r-1", "hi").await.expect("said");
    desk.sim.end("r-1").await.expect("ended");
    let last: Vec<String> = desk.calls()[3..].iter().map(|call| call.path.clone()).collect();
    assert!(last[0].ends_with("/sendUserMessage/r-1") && last[1].ends_with("/clearAgentSession/r-1"));
    assert!(desk.sim.say("r-1", "more").await.is_err());

    // No agent has this user any more: the line goes to the bot.
    assert_eq!(desk.send("on_user_message", &later).await.status(), 200);
    assert!(desk.calls().last().expect("a call").path.ends_with("/sendBotMessage/r-1"));
}

#[tokio::test]
async fn a_call_that_we_refuse_comes_back_as_a_500_of_the_event() {
    let desk = Desk::new("").await;
    *desk.platform.status.lock().expect("lock") = Some(404);
    assert_eq!(desk.send("on_bot_message", &desk.event()).await.status(), 500);
}

#[tokio::test]
async fn urls_must_have_the_bot_id_as_their_segment_6() {
    let desk = Desk::new("").await;
    let mut event = desk.event();
    let deep = desk.base.replace("/api/", "/x/api/");
    event["sendBotMessageUrl"] = format!("{deep}/sendBotMessage/r-1").into();
    assert_eq!(desk.send("on_user_message", &event).await.status(), 400);
}

#[tokio::test]
async fn the_agent_page_has_what_a_person_needs() {
    let desk = Desk::new("").await;
    assert_eq!(desk.send("on_agent_transfer", &desk.event()).await.status(), 200);
    let http = reqwest::Client::new();
    let url = |path: &str| format!("{}/_sim/botkit{path}", desk.url);
    let page = http.get(url("/")).send().await.expect("a page");
    let csp = page.headers()["content-security-policy"].to_str().expect("text").to_owned();
    assert!(csp.starts_with("default-src 'none'") && !csp.contains("unsafe"));
    let html = page.text().await.expect("text");
    for id in ["say", "send", "end", "files"] {
        assert!(html.contains(&format!("data-testid=\"{id}\"")), "{id}");
    }
    let script = http.get(url("/page.js")).send().await.expect("a script").text().await.expect("text");
    assert!(!script.contains("innerHTML") && script.contains("createTextNode"));

    let state = |version: u64| {
        let call = http.get(url(&format!("/api/state?version={version}&conversation=r-1"))).send();
        async { call.await.expect("an answer").json::<Value>().await.expect("JSON") }
    };
    let shown = state(0).await;
    assert_eq!(shown["conversations"][0]["id"], "r-1");
    let version = shown["version"].as_u64().expect("a number");
    let answer = http.post(url("/api/conversations/r-1/say")).json(&json!({ "text": "hi <b>" })).send().await;
    assert_eq!(answer.expect("an answer").status(), 200);
    assert_eq!(state(version).await["lines"][0]["text"], "hi <b>");
    let answer =
        http.post(url("/api/conversations/r-1/end")).json(&json!({})).send().await.expect("an answer");
    assert_eq!(answer.status(), 200);
    let answer =
        http.post(url("/api/conversations/r-1/end")).json(&json!({})).send().await.expect("an answer");
    assert_eq!(answer.status(), 409);
    let log: Value = http.get(url("/log")).send().await.expect("a log").json().await.expect("JSON");
    assert!(log.as_array().is_some_and(|log| log.len() == 5), "{log}");
}

#[tokio::test]
async fn faults_are_scripted_over_http_and_used_up() {
    let desk = Desk::new("").await;
    let http = reqwest::Client::new();
    let url = format!("{}/_sim/botkit/faults", desk.url);
    let fault = Fault::ErrorBefore { status: 503, retry_after: Some(7) };
    let rules = vec![Rule { on: Some("on_user_message".into()), times: Some(1), fault }];
    let body = json!([{ "on": "on_user_message", "times": 1,
                        "fault": { "kind": "error_before", "status": 503, "retry_after": 7 } }]);
    assert_eq!(http.put(&url).json(&body).send().await.expect("an answer").status(), 200);
    assert_eq!(desk.sim.desk().faults().all(), rules);
    assert_eq!(desk.send("on_bot_message", &desk.event()).await.status(), 200);
    let answer = desk.send("on_user_message", &desk.event()).await;
    assert_eq!((answer.status().as_u16(), answer.headers()["retry-after"].as_bytes()), (503, &b"7"[..]));
    assert_eq!(desk.send("on_user_message", &desk.event()).await.status(), 200);
    let unknown = json!([{ "fault": { "kind": "meteor" } }]);
    assert_eq!(http.put(&url).json(&unknown).send().await.expect("an answer").status(), 422);
}
