//! Login, start, theme, history, origins: the HTTP side of the web channel.

mod support;

use std::sync::atomic::Ordering;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use interline_connector::{Algorithm, Credential};
use interline_core::{Body, Speaker};
use serde_json::{Value, json};
use support::{APP_A, APP_B, World, credential, jwt, until};

fn unsigned(claims: &Value) -> String {
    let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
    format!("{}.{}.", part(&json!({ "alg": "none", "typ": "JWT" })), part(claims))
}

/// The signed part of a token, with a header that names another algorithm.
fn renamed(token: &str, algorithm: &str) -> String {
    let rest = token.split_once('.').expect("a JWT").1;
    format!("{}.{rest}", URL_SAFE_NO_PAD.encode(json!({ "alg": algorithm, "typ": "JWT" }).to_string()))
}

fn with(mut claims: Value, changes: Value) -> Value {
    claims.as_object_mut().expect("claims").extend(changes.as_object().expect("changes").clone());
    claims
}

#[tokio::test]
async fn a_signed_login_gets_what_the_client_needs() {
    let world = World::start().await;
    let (status, answer) = world.grant(APP_A, &jwt("cs-a", &world.claims("ann"))).await;
    assert_eq!(status, 200, "{answer}");
    assert_eq!(answer["authorization"]["token_type"], "bearer");
    for date in ["expiresDate", "issuedDate"] {
        assert!(answer["authorization"][date].as_str().is_some_and(|date| date.ends_with('Z')), "{answer}");
    }
    let user = answer["userInfo"]["userId"].as_str().expect("an id");
    assert!(user.starts_with("u-") && answer["userInfo"]["accountId"].is_string());
    assert_eq!(answer["userInfo"]["identity"], "cs-a/ann");
    let (_, again) = world.grant(APP_A, &jwt("cs-a", &world.claims("ann"))).await;
    assert_eq!(again["userInfo"]["userId"], user, "the same user has the same id");
    // The other prefix.
    let body = json!({ "assertion": jwt("cs-a", &world.claims("ann")), "botInfo": { "taskBotId": APP_A } });
    assert_eq!(world.post("/api/1.1/oAuth/token/jwtgrant", None, &body).await.0, 200);
}

#[tokio::test]
async fn good_tokens_of_the_field() {
    let world = World::start().await;
    let now = world.host.seconds();
    let good = [
        world.claims("ann"),
        with(world.claims("ann"), json!({ "exp": (now + 60.0).floor() as i64 })),
        with(world.claims("ann"), json!({ "exp": now - 10.0 })),
        with(world.claims("ann"), json!({ "jti": "one", "exp": now + 3600.0 })),
        with(world.claims("ann"), json!({ "jti": 17 })),
        with(world.claims("ann"), json!({ "isAnonymous": "false", "exp": now + 90_000.0 })),
        json!({ "iss": "https://idp.example", "kore_iss": "cs-a", "sub": "x", "kore_sub": "ann", "exp": now + 60.0 }),
    ];
    for claims in good {
        let (status, answer) = world.grant(APP_A, &jwt("cs-a", &claims)).await;
        assert_eq!((status, &answer["userInfo"]["identity"]), (200, &json!("cs-a/ann")), "{claims} {answer}");
    }
}

#[tokio::test]
async fn wrong_tokens_let_nobody_in() {
    let world = World::start().await;
    let now = world.host.seconds();
    let good = world.claims("ann");
    let other = |algorithm| Credential { algorithm, ..credential("cs-a") };
    let forged = Credential { client_secret: "another secret altogether".into(), ..credential("cs-a") };
    let signed = |claims: &Value| jwt("cs-a", claims);
    let token = signed(&good);
    let wrong = [
        ("no token", String::new()),
        ("garbage", "a.b.c".into()),
        ("alg none", unsigned(&good)),
        ("another algorithm", other(Algorithm::HS512).sign(&good).expect("a JWT")),
        ("a header that names none", renamed(&token, "none")),
        ("a header that names HS512", renamed(&token, "HS512")),
        ("a header that names RS256", renamed(&token, "RS256")),
        ("a cut signature", token[..token.len() - 4].into()),
        ("a foreign secret", forged.sign(&good).expect("a JWT")),
        (
            "a credential without the scope",
            jwt("cs-botkit-only", &with(good.clone(), json!({ "iss": "cs-botkit-only" }))),
        ),
        ("another app's credential", jwt("cs-b", &with(good.clone(), json!({ "iss": "cs-b" })))),
        ("another app's client id", signed(&with(good.clone(), json!({ "iss": "cs-b" })))),
        ("no issuer", signed(&with(good.clone(), json!({ "iss": null })))),
        ("no user", signed(&with(good.clone(), json!({ "sub": null })))),
        ("an empty user", signed(&with(good.clone(), json!({ "sub": " " })))),
        ("a user with a control character", signed(&with(good.clone(), json!({ "sub": "a\nb" })))),
        (
            "a user out of the anonymous space",
            signed(&with(good.clone(), json!({ "sub": "anonymous:1234567890123456" }))),
        ),
        ("expired", signed(&with(good.clone(), json!({ "exp": now - 60.0 })))),
        ("no exp", signed(&with(good.clone(), json!({ "exp": null })))),
        ("a text for exp", signed(&with(good.clone(), json!({ "exp": "never" })))),
        ("not yet", signed(&with(good.clone(), json!({ "nbf": now + 600.0 })))),
        (
            "jti for more than an hour",
            signed(&with(good.clone(), json!({ "jti": "x", "exp": now + 3700.0 }))),
        ),
        ("an empty jti", signed(&with(good.clone(), json!({ "jti": "" })))),
        ("an object for jti", signed(&with(good.clone(), json!({ "jti": {} })))),
    ];
    for (what, token) in wrong {
        let (status, answer) = world.grant(APP_A, &token).await;
        assert_eq!(status, 401, "{what}: {answer}");
        assert_eq!(answer["errors"][0]["code"], 401, "{what}");
        assert!(answer["errors"][0]["msg"].as_str().is_some_and(|msg| !msg.is_empty()), "{what}");
    }
    for app in ["st-unknown", ""] {
        let (status, answer) = world.grant(app, &token).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (404, &json!(404)));
    }
    assert_eq!(world.grant(APP_B, &token).await.0, 401);
    let (status, answer) = world.post("/api/oAuth/token/jwtgrant", None, &json!({ "assertion": 1 })).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (400, &json!(400)));
}

#[tokio::test]
async fn the_same_jti_is_one_login_for_half_a_minute() {
    let world = World::start().await;
    let token = jwt("cs-a", &with(world.claims("ann"), json!({ "jti": "once" })));
    // The client with the agent plug-in sends it twice in parallel.
    let (one, two) = tokio::join!(world.grant(APP_A, &token), world.grant(APP_A, &token));
    assert_eq!((one.0, two.0), (200, 200));
    for (_, answer) in [one, two] {
        let access = answer["authorization"]["accessToken"].as_str().expect("a token").to_owned();
        assert_eq!(world.post("/api/rtm/start", Some(&access), &json!({})).await.0, 200);
    }
    world.host.later.fetch_add(29_000, Ordering::Relaxed);
    assert_eq!(world.grant(APP_A, &token).await.0, 200);
    world.host.later.fetch_add(2_000, Ordering::Relaxed);
    let (status, answer) = world.grant(APP_A, &token).await;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({ "errors": [{ "msg": "error verifying the jwt: possibly a replay", "code": 401, "httpStatus": "401" }] })
    );
}

#[tokio::test]
async fn anonymous_login_is_a_switch() {
    let ask = |issuer: &str, subject: &str| json!({ "assertion": { "issuer": issuer, "subject": subject }, "botInfo": { "taskBotId": APP_A } });
    const PATH: &str = "/api/oAuth/token/jwtgrant/anonymous";
    let uuid = "6f1d7c2e-0000-4000-8000-000000000001";
    let closed = World::start().await;
    assert_eq!(closed.post(PATH, None, &ask("cs-a", uuid)).await.0, 401);
    let open = World::with(json!({ "anonymous": true }), Default::default()).await;
    let (status, answer) = open.post(PATH, None, &ask("cs-a", uuid)).await;
    assert_eq!(status, 200);
    let token = answer["authorization"]["accessToken"].as_str().expect("a token");
    assert_eq!(open.post("/api/rtm/start", Some(token), &json!({})).await.0, 200);
    for (issuer, subject) in [("cs-b", uuid), ("cs-botkit-only", uuid), ("cs-a", "ann"), ("cs-a", "")] {
        assert_eq!(open.post(PATH, None, &ask(issuer, subject)).await.0, 401, "{issuer} {subject}");
    }
}

#[tokio::test]
async fn access_tokens() {
    let world = World::start().await;
    let token = world.login("ann").await;
    let url = world.socket_url(&token).await;
    let ws = world.base.replace("http", "ws");
    assert!(url.starts_with(&format!("{ws}/rtm/bot?sid=")), "{url}");
    assert_eq!(world.post("/api/1.1/rtm/start", Some(&token), &json!({})).await.0, 200);
    assert_eq!(
        world.get(&format!("/api/websdkthemes/{APP_A}/activetheme"), &token).await,
        (200, json!({ "activeTheme": true }))
    );
    // For another app, or none.
    let (status, answer) =
        world.post("/api/rtm/start", Some(&token), &json!({ "botInfo": { "taskBotId": APP_B } })).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (401, &json!(401)));
    assert_eq!(world.get(&format!("/api/websdkthemes/{APP_B}/activetheme"), &token).await.0, 401);
    assert_eq!(world.get(&format!("/api/botmessages/rtm?botId={APP_B}"), &token).await.0, 401);
    for bad in [None, Some("rubbish"), url.split_once("sid=").map(|(_, sid)| sid)] {
        let (status, answer) = world.post("/api/rtm/start", bad, &json!({})).await;
        assert_eq!((status, &answer["errors"][0]["code"]), (401, &json!(401)), "{bad:?}");
    }
    world.host.later.fetch_add(24 * 3600 * 1000 + 1, Ordering::Relaxed);
    let (status, answer) = world.post("/api/rtm/start", Some(&token), &json!({})).await;
    assert_eq!(status, 401);
    assert_eq!(
        answer,
        json!({ "errors": [{ "msg": "token expired", "code": "TOKEN_EXPIRED", "httpStatus": "401" }] })
    );
}

#[tokio::test]
async fn a_store_out_of_reach_is_503() {
    let world = World::start().await;
    world.host.down.store(true, Ordering::Relaxed);
    let token = jwt("cs-a", &with(world.claims("ann"), json!({ "jti": "j" })));
    let (status, answer) = world.grant(APP_A, &token).await;
    assert_eq!((status, &answer["errors"][0]["code"]), (503, &json!(503)));
}

#[tokio::test]
async fn a_history_without_words_waits_for_the_welcome() {
    let world = World::start().await;
    let token = world.login("bob").await;
    let path = format!("/api/botmessages/rtm?botId={APP_A}");
    // Nothing is open: there is nothing to wait for.
    let begin = std::time::Instant::now();
    assert_eq!(world.get(&path, &token).await.1["messages"], json!([]));
    assert!(begin.elapsed() < std::time::Duration::from_secs(1));
    world.host.open_in_silence("bob");
    let late = async {
        tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        world.host.bot("bob", "a welcome that was held");
    };
    let ((status, answer), ()) = tokio::join!(world.get(&path, &token), late);
    assert_eq!((status, answer["messages"].as_array().map(Vec::len)), (200, Some(1)), "{answer}");
}

#[tokio::test]
async fn history_is_oldest_first_and_pages_back_and_forth() {
    let world = World::start().await;
    let (token, mut client) = world.welcomed("ann").await;
    client.say(1001, "hello").await;
    client.frame_of("ack").await;
    world.host.push("ann", Speaker::System, Body::AgentJoined { name: None });
    for number in 0..14 {
        world.host.agent("ann", &number.to_string());
    }
    let page = async |query: &str| {
        let (status, answer) = world.get(&format!("/api/botmessages/rtm?botId={APP_A}{query}"), &token).await;
        assert_eq!(status, 200, "{answer}");
        let messages = answer["messages"].as_array().expect("messages").clone();
        let text = |message: &Value| {
            message["components"][0]["data"]["text"]
                .as_str()
                .expect("a text")
                .replace("{\"text\":\"", "")
                .replace("\"}", "")
        };
        let texts: Vec<String> = messages.iter().map(text).collect();
        (texts, answer)
    };
    let (texts, answer) = page("").await;
    assert_eq!(texts, ["4", "5", "6", "7", "8", "9", "10", "11", "12", "13"]);
    assert_eq!((&answer["total"], &answer["moreAvailable"]), (&json!(16), &json!(true)));
    let (texts, answer) = page("&limit=100&offset=10").await;
    assert_eq!(texts, ["welcome", "hello", "0", "1", "2", "3"]);
    assert_eq!(answer["moreAvailable"], false);
    assert_eq!(
        (&answer["messages"][1]["type"], &answer["messages"][1]["userMsgId"]),
        (&json!("incoming"), &json!("1001"))
    );
    let third = answer["messages"][2]["_id"].as_str().expect("an id").to_owned();
    assert_eq!(page(&format!("&msgId={third}&offset=20")).await.0, ["welcome", "hello"]);
    assert_eq!(page(&format!("&msgId={third}&forward=true&limit=3")).await.0, ["1", "2", "3"]);
    assert_eq!(page("&msgId=ms-cnv_999-1").await.0, [""; 0], "somebody else's line");
    // The same id as on the socket.
    let frame = client.frame_of("bot_response").await;
    assert_eq!(frame["messageId"], third);
}

#[tokio::test]
async fn origins_are_checked() {
    let world = World::with(json!({ "origins": ["https://shop.example"] }), Default::default()).await;
    let token = world.login("ann").await;
    let ask = async |origin: &str| {
        let request = world.http.post(format!("{}/api/rtm/start", world.base)).body("{}");
        let request = request.header("authorization", format!("bearer {token}")).header("origin", origin);
        let response = request.send().await.expect("an answer");
        let allowed = response
            .headers()
            .get("access-control-allow-origin")
            .map(|origin| origin.to_str().expect("text").to_owned());
        (response.status().as_u16(), allowed)
    };
    assert_eq!(ask("https://shop.example").await, (200, Some("https://shop.example".into())));
    assert_eq!(ask(&world.base).await, (200, Some(world.base.clone())));
    for foreign in ["https://evil.example", "null"] {
        assert_eq!(ask(foreign).await, (403, None));
    }
    let preflight =
        world.http.request("OPTIONS".parse().expect("a method"), format!("{}/api/rtm/start", world.base));
    let answer = preflight.header("origin", "https://shop.example").send().await.expect("an answer");
    assert_eq!(answer.status().as_u16(), 204);
    let header = |name: &str| {
        answer.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default().to_owned()
    };
    assert_eq!(header("access-control-allow-origin"), "https://shop.example");
    assert!(header("access-control-allow-methods").contains("PUT"));
    for name in ["authorization", "content-type", "x-rtm-v"] {
        assert!(header("access-control-allow-headers").contains(name));
    }
    // The same on the socket.
    for (origin, refused) in [("https://evil.example", Some(403)), ("https://shop.example", None)] {
        let url = world.socket_url(&token).await;
        assert_eq!(support::client::dial(&url, Some(origin)).await.err(), refused, "{origin}");
    }
}

#[tokio::test]
async fn a_socket_address_is_good_once_and_for_half_a_minute() {
    let world = World::start().await;
    let token = world.login("ann").await;
    let dial = async |url: &str| support::client::dial(url, None).await.err();
    let url = world.socket_url(&token).await;
    let first = support::client::dial(&url, None).await;
    assert!(first.is_ok());
    assert_eq!(dial(&url).await, Some(401), "used");
    let url = world.socket_url(&token).await;
    world.host.later.fetch_add(30_001, Ordering::Relaxed);
    assert_eq!(dial(&url).await, Some(401), "too late");
    let bare = format!("{}/rtm/bot", world.base.replace("http", "ws"));
    for url in [bare.clone(), format!("{bare}?sid={token}"), format!("{bare}?sid=x")] {
        assert_eq!(dial(&url).await, Some(401), "{url}");
    }
    until("one watcher", || world.host.watchers("ann") == 1).await;
}
