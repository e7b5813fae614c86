//! Requests that an IVR should not send.

use serde_json::{Value, json};

use crate::host::{APP, Agents, FlowHost, credential};
use crate::ivr::World;

async fn status(world: &World, url: String, body: String) -> (u16, String) {
    let request = world.http.post(url).header("content-type", "application/json").body(body);
    let answer = request.send().await.unwrap();
    (answer.status().as_u16(), answer.text().await.unwrap())
}

#[tokio::test]
async fn a_bad_token_is_401_whatever_else_is_wrong() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let now = 1_795_977_296;
    let signed = |name: &str, claims: Value| credential(name).sign(&claims).unwrap();
    let other_algorithm = {
        let key = jsonwebtoken::EncodingKey::from_secret(b"the secret of caller, quite long indeed");
        let header = jsonwebtoken::Header::new(jsonwebtoken::Algorithm::HS512);
        jsonwebtoken::encode(&header, &json!({ "appId": "cs-caller" }), &key).unwrap()
    };
    let tokens = [
        String::new(),
        "nonsense".into(),
        "a.b.c".into(),
        signed("stranger", json!({ "appId": "cs-stranger" })),
        signed("stranger", json!({ "appId": "cs-caller" })),
        signed("caller", json!({ "appId": "cs-stranger" })),
        signed("caller", json!({ "sub": "nobody" })),
        signed("caller", json!({ "appId": "cs-caller", "exp": now - 60 })),
        signed("caller", json!({ "appId": "cs-caller", "nbf": now + 60 })),
        other_algorithm,
        "eyJhbGciOiJub25lIn0.eyJhcHBJZCI6ImNzLWNhbGxlciJ9.".into(),
        "x".repeat(10_000),
    ];
    for token in tokens {
        for body in [r#"{"callId":"c-1","message":""}"#, "{", ""] {
            let url = format!("{}/ivr/hooks/{APP}?token={token}", world.base);
            let (code, text) = status(&world, url, body.into()).await;
            assert_eq!(code, 401, "{token}: {text}");
            assert!(!text.contains(&token) || token.len() < 2, "a token is not told again");
        }
    }
    let good = signed("caller", json!({ "iss": "cs-caller", "exp": now + 60 }));
    let url = format!("{}/ivr/hooks/st-other?token={good}", world.base);
    assert_eq!(status(&world, url, "{}".into()).await.0, 404, "the bot of somebody else");
}

#[tokio::test]
async fn what_is_wrong_in_a_request_is_named() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let url = format!("{}/ivr/hooks/{APP}?token={}", world.base, world.token("caller"));
    let cases = [
        (json!({ "message": "" }).to_string(), 400, "callId"),
        (json!({ "callId": "", "message": "" }).to_string(), 400, "callId"),
        (json!({ "callId": "x".repeat(300), "message": "" }).to_string(), 400, "callId"),
        (json!({ "callId": "a\nb", "message": "" }).to_string(), 400, "callId"),
        (json!({ "callId": 7, "message": "" }).to_string(), 400, "JSON"),
        (json!({ "callId": "c", "message": { "a": 1 } }).to_string(), 400, "JSON"),
        (json!({ "callId": "c", "message": "x".repeat(5_000) }).to_string(), 400, "4 kB"),
        (json!(["callId"]).to_string(), 400, "JSON"),
        ("{\"callId\":".into(), 400, "JSON"),
        (String::new(), 400, "JSON"),
        ("[".repeat(10_000), 400, "JSON"),
        (json!({ "callId": "c", "message": "x".repeat(1_000_000) }).to_string(), 413, ""),
    ];
    for (body, expected, named) in cases {
        let (code, text) = status(&world, url.clone(), body.clone()).await;
        assert_eq!(code, expected, "{}: {text}", &body[..body.len().min(80)]);
        assert!(text.contains(named), "{text}");
    }
    let get = world.http.get(&url).send().await.unwrap();
    assert_eq!(get.status(), 405);
}

#[tokio::test]
async fn what_an_ivr_tells_beside_does_no_harm() {
    let world = World::new(json!({}), Agents::HandOff).await;
    world.json(json!({ "callId": "c-1", "message": "" })).await;
    let odd = json!({
        "callId": "c-1", "message": " 1 ", "event": "dance", "turn": { "a": 1 }, "from": "x".repeat(1_000),
        "confidence": { "deep": [1, 2] }, "utterance": "u".repeat(5_000), "inputmode": 5, "extra": null,
        "app_root": "a\"><script>\u{0}",
    });
    let digits = world.json(odd.clone()).await;
    assert_eq!(digits["input"]["type"], "digits");
    let document = world.vxml(odd).await;
    assert_eq!(document.value("endOfConversation"), "false");
    let state = world.host.state("c-1");
    assert_eq!(state.customer.connection.caller, None, "no number is that long");
}

#[tokio::test]
async fn calls_do_not_meet() {
    let world = World::new(json!({}), Agents::HandOff).await;
    for call in ["a", "b"] {
        world.json(json!({ "callId": call, "message": "" })).await;
    }
    let a = world.json(json!({ "callId": "a", "message": "1", "turn": 1 })).await;
    let b = world.json(json!({ "callId": "b", "message": "2", "turn": 1 })).await;
    assert_eq!((&a["input"]["type"], &b["action"]), (&json!("digits"), &json!("transfer")));
    let _: &FlowHost = &world.host;
}
