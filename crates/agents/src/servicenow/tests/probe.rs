//! "Test connection": what it says, and that it begins nothing.

use interline_connector::simulator::{Fault, OUTSIDE_HOURS};
use interline_core::flow::work::Availability;

use super::*;
use crate::servicenow::simulator::Connect;

fn basic(password: &str) -> Value {
    json!({ "type": "basic", "user_name": "interline.user", "password": password })
}

fn oauth(secret: &str, made: Value) -> Value {
    json!({
        "type": "oauth", "client_id": "0cc0d1a5e1f24f5fa9f1b2a3c4d5e6f7", "client_secret": secret,
        "refresh_token": "oauth-refresh-token-1", "refresh_token_made": made,
    })
}

fn status(status: u16) -> Option<Fault> {
    Some(Fault::ErrorBefore { status, retry_after: None })
}

#[tokio::test]
async fn agent_chat_says_what_is_wrong() {
    let good = || basic("basic-password-1");
    for (login, on, fault, expected) in [
        (good(), "", None, ""),
        (oauth("oauth-client-secret-1", Value::Null), "", None, ""),
        (basic("wrong"), "", None, "refuses this user name and password"),
        (oauth("wrong", Value::Null), "", None, "client id, client secret or refresh token is refused"),
        (oauth("oauth-client-secret-1", json!("2020-01-01")), "", None, "the refresh token ended"),
        (good(), "sys_user", Some(Fault::Special { name: "mfa".into() }), "multi-factor"),
        (good(), "sys_user", Some(Fault::Garbage), "not as a ServiceNow instance does"),
        (good(), "sys_user", status(302), "points elsewhere"),
        (good(), "sys_user", status(403), ""),
        (good(), "bot/integration", status(404), "Virtual Agent API is not installed"),
        (good(), "bot/integration", status(405), "switched off"),
        (good(), "bot/integration", status(403), "may not call the Virtual Agent API"),
        (good(), "bot/integration", status(429), "limits our requests"),
        (good(), "bot/integration", status(500), "HTTP 500"),
    ] {
        let world = Chatting::new(json!({ "login": login })).await;
        if let Some(fault) = fault {
            world.desk().faults().add(on, 1, fault);
        }
        let told = world.agent.probe().await;
        match expected {
            "" => assert_eq!(told, Ok(())),
            part => assert!(told.as_ref().is_err_and(|told| told.contains(part)), "{part}: {told:?}"),
        }
        assert!(world.desk().chats().is_empty() && world.sim.complaints().is_empty(), "nothing was begun");
    }
}

#[tokio::test]
async fn connect_support_says_what_is_wrong() {
    for (changes, on, fault, expected) in [
        (json!({}), "", None, ""),
        (json!({ "queue_id": "0000" }), "", None, "queue_id: there is no such queue"),
        (json!({ "login": basic("wrong") }), "", None, "refuses this user name and password"),
        (json!({}), "", Some(Fault::Special { name: "no_role".into() }), "agent_admin"),
        (json!({}), "support/queues", status(500), "HTTP 500"),
    ] {
        let world = World::with(Connect::default(), &ServiceNowTokyo, changes).await;
        if let Some(fault) = fault {
            world.desk().faults().add(on, 1, fault);
        }
        let told = world.agent.probe().await;
        match expected {
            "" => assert_eq!(told, Ok(())),
            part => assert!(told.as_ref().is_err_and(|told| told.contains(part)), "{part}: {told:?}"),
        }
        assert!(world.desk().chats().is_empty(), "nothing was begun");
    }
}

fn asks(queue: Option<&str>) -> Availability {
    Availability { integration: "sn".into(), queue: queue.map(str::to_owned), skills: vec![], agents: vec![] }
}

#[tokio::test]
async fn a_connect_queue_tells_whether_it_is_open() {
    let special = |name: &str| Some(("", Fault::Special { name: name.into() }));
    for (queue, fault, expected) in [
        (None, None, Ok(Some(true))),
        (None, special(OUTSIDE_HOURS), Ok(Some(false))),
        (None, special("no_agents"), Ok(Some(false))),
        (Some("0000"), None, Err("HTTP 404")),
        (None, Some(("support/queues", status(500).expect("a fault"))), Err("HTTP 500")),
        (None, Some(("support/queues", Fault::Garbage)), Err("unreadable answer")),
    ] {
        let world = World::with(Connect::default(), &ServiceNowTokyo, json!({})).await;
        if let Some((on, fault)) = fault {
            world.desk().faults().add(on, 1, fault);
        }
        let told = world.agent.availability(&asks(queue)).await;
        let told = told.map_err(|failure| failure.cause().code.clone());
        assert_eq!(told.as_ref().map_err(String::as_str).copied(), expected, "{queue:?}");
        assert!(world.desk().chats().is_empty(), "nothing was begun");
    }
}

#[tokio::test]
async fn agent_chat_cannot_tell_who_is_there() {
    let world = Chatting::new(json!({})).await;
    assert_eq!(world.agent.availability(&asks(None)).await.ok(), Some(None));
    assert!(world.sent(Chatting::PATH).is_empty());
}

#[tokio::test]
async fn a_host_that_is_not_there_or_not_allowed_is_named() {
    let settings = |url: &str| json!({ "instance_url": url, "login": basic("p"), "queue_id": "q" });
    let public = "https://chat.example.com/".parse().expect("a URL");
    let gone = Served::start(Router::new()).await.expect("a port").url.clone();
    for (url, allowed, expected) in
        [(gone.as_str(), vec![&gone], "cannot connect"), ("http://127.0.0.2:9", vec![], "private")]
    {
        let mut chat = settings(url);
        chat.as_object_mut().expect("settings").remove("queue_id");
        for (connector, settings) in
            [(&ServiceNow as &dyn Connector, chat), (&ServiceNowTokyo, settings(url))]
        {
            let told = build(connector, settings, &public, &allowed).expect("settings").probe().await;
            assert!(told.as_ref().is_err_and(|told| told.contains(expected)), "{told:?}");
        }
    }
}
