//! BotKit takes 100 kB. What is more is left out: what was said, oldest first, then copies, then the message's end.

use proptest::prelude::*;

use super::*;

/// What the stand-in got last.
fn got(world: &World) -> (Value, usize) {
    let log = world.sim.desk().log().all().into_iter().rev().find(|logged| logged.path.starts_with("/sdk/"));
    let body = log.expect("an event").body;
    let size = body.to_string().len();
    (body, size)
}

#[tokio::test]
async fn a_long_history_loses_its_beginning() {
    let world = World::new().await;
    let mut item = world.item(Speaker::System, Role::Agent, Body::Open);
    item.before = (1..=2_000)
        .map(|n| {
            let by = if n % 2 == 0 { Speaker::Bot } else { Speaker::Customer };
            said(n, by, Role::Customer, &format!("line {n} \u{1f9f3}\u{fc} \" \\ \n"))
        })
        .collect();
    world.agent.deliver(&item, None).await.expect("accepted");
    let (body, size) = got(&world);
    assert!((90_000..=100_000).contains(&size), "{size}");
    let history = body["context"]["history"].as_array().expect("a list");
    let newest = &history[history.len() - 3];
    assert_eq!(
        (&newest["type"], newest["message"].as_str().map(|m| m.starts_with("line 2000"))),
        (&json!("botMessage"), Some(true))
    );
    assert_eq!(history[history.len() - 2]["type"], "agentTransfer");
    assert_eq!(history[history.len() - 1]["dialogState"], "transferredToAgent");
    assert!(body["message"].as_str().is_some_and(|message| message.starts_with("line 1999")));
}

#[tokio::test]
async fn held_lines_are_in_the_history_once() {
    let world = World::new().await;
    let mut item = world.item(Speaker::System, Role::Agent, Body::Open);
    item.before = vec![
        said(1, Speaker::Customer, Role::Interceptor, "hello"),
        Entry { release_of: Some(Seq(1)), ..said(2, Speaker::Customer, Role::Bot, "hello") },
        said(3, Speaker::Bot, Role::Interceptor, "hi"),
        Entry { release_of: Some(Seq(3)), ..said(4, Speaker::Bot, Role::Customer, "hi!") },
    ];
    world.agent.deliver(&item, None).await.expect("accepted");
    let history = got(&world).0["context"]["history"].clone();
    let said: Vec<&str> =
        history.as_array().expect("a list").iter().filter_map(|e| e["message"].as_str()).collect();
    assert_eq!(said, ["hello", "hi!"]);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    /// Whatever is said, the body fits, is JSON, and its message is a beginning of what was said.
    #[test]
    fn every_body_fits(
        text in proptest::collection::vec(prop_oneof!["[a-z ]{0,400}", "\\PC{0,200}", "[\u{1}-\u{1f}]{0,100}", "\u{1f9f3}{0,50}"], 0..400),
        lines in 0usize..30,
    ) {
        let text = text.concat();
        let mut item = item(9, Speaker::System, Role::Agent, Body::Open);
        item.before = (0..lines).map(|n| said(n as u64 + 1, Speaker::Customer, Role::Bot, &text)).collect();
        let world = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (agent, got) = world.block_on(capturing());
        world.block_on(agent.deliver(&item, None)).expect("accepted");
        let body = got.lock().expect("lock").clone();
        prop_assert!(body.len() <= 100_000);
        let body: Value = serde_json::from_slice(&body).expect("JSON");
        let message = body["message"].as_str().expect("text");
        let expected = if lines == 0 { "" } else { text.as_str() };
        prop_assert!(message == expected || expected.starts_with(message.trim_end_matches('…')));
        prop_assert!(message == expected || body["context"]["history"].as_array().is_some_and(|h| h.len() == 2));
    }
}

/// An integration whose BotKit accepts everything and keeps the last body.
pub(super) async fn capturing() -> (Arc<dyn AgentSystem>, Arc<Mutex<Bytes>>) {
    let got = Arc::new(Mutex::new(Bytes::new()));
    let keep = got.clone();
    let router = Router::new()
        .fallback(async move |body: Bytes| *keep.lock().expect("lock") = body)
        .layer(axum::extract::DefaultBodyLimit::disable());
    let url = format!("http://{}", serve(router).await);
    let agent = agent(&url, "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
    (agent, got)
}
