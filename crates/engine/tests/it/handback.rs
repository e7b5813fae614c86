//! A call that goes back to its IVR: with what an agent would have got.

use std::sync::Arc;

use interline_connector::http::{Reply, Request};
use interline_connector::{Algorithm, Credential, Guard, Http};
use serde_json::{Value, json};

use crate::shop::Shop;
use crate::world::{Node, each_alone};

async fn turn(node: &Node, http: &Http, at: std::net::SocketAddr, accept: &str, message: &str) -> String {
    let credential = Credential {
        client_id: "cs-line".into(),
        client_secret: "line-secret-0123456789".to_owned().into(),
        algorithm: Algorithm::HS256,
    };
    let token = credential.sign(&json!({ "appId": "cs-line", "sub": "ivr" })).unwrap();
    let url = format!("http://{at}/ivr/hooks/{}?token={token}", node.app).parse().unwrap();
    let body = json!({ "callId": format!("call {accept}"), "message": message, "from": "+15550002222" });
    let request = Request::post(url).header(http::header::ACCEPT, accept).json(&body);
    let Reply::Answered { status, body, .. } = http.send(request).await.unwrap() else { panic!("no answer") };
    let answer = String::from_utf8(body.to_vec()).unwrap();
    assert_eq!(status, 200, "{answer}");
    answer
}

#[test]
fn a_call_goes_back_with_summary_and_transcript() {
    each_alone("handback", async |world| {
        let mut shop = Shop::open(world).await;
        shop.document["credentials"]["line"] =
            json!({ "client_id": "cs-line", "client_secret": "line-secret-0123456789", "scopes": ["ivr"] });
        shop.document["channels"]["line"] = json!({ "type": "ivr", "credentials": ["line"] });
        shop.document["agents"]["callers"] = json!({ "type": "ivr" });
        shop.document["channel_agents"] = json!({ "line": "callers" });
        shop.document["flow"]["words"] = json!([
            { "any": ["human"], "go_to": "human" }, { "any": ["quick"], "go_to": "quick" }]);
        shop.document["flow"]["nodes"]["human"] = json!({ "agent_transfer": {
            "conversation_summary": true, "call": { "transfer_tags": { "topic": "billing" } } } });
        shop.document["flow"]["nodes"]["quick"] = json!({ "agent_transfer": {} });
        let node = shop.start().await;
        shop.apply(&node).await.unwrap();
        let engine = Arc::new(node.engine.clone());
        let at = node
            .on(async move {
                let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
                let at = listener.local_addr().unwrap();
                tokio::spawn(
                    async move { axum::serve(listener, interline_channels::ivr::router(engine)).await },
                );
                at
            })
            .await;
        let guard = Guard::default();
        guard.allow(&format!("http://{at}/").parse().unwrap());
        let http = Http::new(guard).unwrap();
        let json_form = "application/json";
        turn(&node, &http, at, json_form, "").await;
        turn(&node, &http, at, json_form, "my bill is wrong").await;
        let back: Value =
            serde_json::from_str(&turn(&node, &http, at, json_form, "a human please").await).unwrap();
        assert_eq!(
            (&back["action"], &back["endOfConversation"]),
            (&json!("transfer"), &json!(true)),
            "{back}"
        );
        assert_eq!(back["transfer"]["tags"], json!({ "topic": "billing" }));
        assert_eq!(back["summary"], "- my bill is wrong\n- a human please");
        assert!(back["transcriptUrl"].as_str().unwrap().contains("/t/"), "{back}");
        // The same in VoiceXML; what is not switched on does not travel.
        let xml = "application/voicexml+xml";
        turn(&node, &http, at, xml, "").await;
        let back = turn(&node, &http, at, xml, "quick").await;
        assert!(back.contains("transcriptUrl") && back.contains("/t/"), "{back}");
        assert!(!back.contains(r#"name="summary""#), "{back}");
        node.engine.stop().await;
    });
}
