//! A thousand hand-overs mostly wait: what waits is small. For every connector whose sessions run.

use std::sync::Arc;

use async_trait::async_trait;
use interline_connector::agent::Env;
use interline_connector::channel::Mark;
use interline_connector::manifest::Delivery;
use interline_connector::{Done, Failure, FileRefused, Guard, Http, Incoming, Link, Next, UpTo};
use interline_core::conversation::input::AgentEvent;
use interline_core::{File, Seq};
use serde_json::{Value, json};
use url::Url;

/// The most that the state of a session's task may weigh, in bytes, whatever it waits for.
const MOST: usize = 4 * 1024;

/// Nothing is ever to be told.
struct Idle;

#[async_trait]
impl Link for Idle {
    fn session(&self) -> Option<Value> {
        None
    }

    async fn next(&mut self) -> Option<Next> {
        std::future::pending().await
    }

    async fn done(&mut self, _: Seq, _: Result<Done, Failure>) {}

    async fn heard(&mut self, _: Option<String>, _: AgentEvent) {}

    fn typing(&mut self, _: bool) {}

    async fn receipt(&mut self, _: Mark, _: UpTo) {}

    async fn keep(&mut self, _: Incoming) -> Result<File, FileRefused> {
        Err(FileRefused::Off)
    }

    async fn save(&mut self, _: Value) {}
}

fn settings(connector: &str) -> Value {
    let id = "0c6f7e30-0000-4000-8000-00000000de91";
    match connector {
        "salesforce" => json!({
            "organization_id": "00DSim000000001", "url": "https://a.my.salesforce-scrt.com", "developer_name": "X",
        }),
        "genesys_open" => json!({
            "region": "mypurecloud.com", "client_id": id, "client_secret": "s", "integration_id": id,
            "signature_secret": "1234567890123456",
        }),
        "genesys_guest" => json!({ "region": "mypurecloud.com", "deployment_id": id }),
        "servicenow_tokyo" => json!({
            "instance_url": "https://a.service-now.com", "queue_id": "q",
            "login": { "type": "basic", "user_name": "u", "password": "p" },
        }),
        other => panic!("{other}: give its settings here"),
    }
}

#[tokio::test]
async fn a_hand_over_that_waits_weighs_little() {
    let url: Url = "https://chat.example.com/".parse().expect("a URL");
    let elsewhere = ["ivr", "voice"];
    let run = super::all().iter().filter(|connector| {
        let manifest = connector.manifest();
        manifest.delivery == Delivery::Pinned && !elsewhere.contains(&manifest.id)
    });
    for connector in run {
        let env = Env {
            app: "st-1".into(),
            name: "desk".into(),
            public_url: url.clone(),
            http: Http::new(Guard::default()).expect("a client"),
            webhook: url.clone(),
            credentials: Arc::default(),
        };
        let id = connector.manifest().id;
        let agent = connector.build(settings(id), env).expect("an agent");
        let weight = std::mem::size_of_val(&*agent.run(&mut Idle));
        assert!(weight <= MOST, "{id}: {weight} bytes");
    }
}
