//! Settings and "Test connection": what is wrong is said so that an operator can mend it.

use interline_connector::agent::Connector as _;
use interline_connector::simulator::StandIn as _;
use interline_core::flow::work::Availability;
use serde_json::json;

use super::open_relay::{fast, usual, world};
use crate::genesys::GenesysOpen;
use crate::genesys::open::Settings as Ours;
use crate::genesys::simulator::open::Settings;

#[tokio::test]
async fn the_probe_says_which_value_is_wrong() {
    let (good, _sim) = usual().await;
    good.agent.probe().await.expect("all is well");
    for (settings, more, told) in [
        (fast(), json!({ "client_secret": "wrong" }), "client_id, client_secret: "),
        (fast(), json!({ "base_url": "http://127.0.0.1:9/" }), "region: "),
        (fast(), json!({ "integration_id": "0b5e6d2f-0000-4000-8000-000000000000" }), "integration_id: "),
        (fast(), json!({ "queue": "no such queue" }), "queue: "),
        (Settings { bound: false, ..fast() }, json!({}), "nobody answers the integration: "),
        (
            Settings {
                forbidden: Some(("GET /api/v2/conversations/messaging", "messaging:integration:view")),
                ..fast()
            },
            json!({}),
            "messaging:integration:view",
        ),
    ] {
        let (world, _sim) = world(settings, more).await;
        let wrong = world.agent.probe().await.expect_err(told);
        assert!(wrong.contains(told), "{wrong}");
        assert!(!wrong.contains("wrong\""), "no value of a secret: {wrong}");
    }
    let (world, sim) = usual().await;
    sim.calls("https://somebody.else/".parse().expect("a URL"));
    assert!(world.agent.probe().await.expect_err("another webhook").contains("webhook URL"));
}

#[tokio::test]
async fn a_queue_to_which_nobody_belongs_has_nobody() {
    let asks = |queue: Option<&str>| Availability {
        integration: "genesys".into(),
        queue: queue.map(str::to_owned),
        skills: Vec::new(),
        agents: Vec::new(),
    };
    let (good, _sim) = world(fast(), json!({ "queue": "empty nights" })).await;
    for (queue, expected) in [
        (Some("Billing"), None),
        (Some("empty nights"), Some(false)),
        (Some("no such queue"), None),
        (None, Some(false)),
    ] {
        assert_eq!(good.agent.availability(&asks(queue)).await.ok(), Some(expected), "{queue:?}");
    }
    let forbidden = Some(("GET /api/v2/routing/queues", "routing:queue:view"));
    let (world, _sim) = world(Settings { forbidden, ..fast() }, json!({})).await;
    let failure = world.agent.availability(&asks(Some("Billing"))).await.expect_err("forbidden");
    assert!(failure.cause().code.contains("routing:queue:view"), "{failure:?}");
}

#[test]
fn settings_that_are_wrong_name_the_field_and_the_remedy() {
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    let good = sim.settings(&"http://127.0.0.1:4000/".parse().expect("a URL"));
    Ours::read_for_tests(good.clone()).expect("good settings");
    for (field, value, told) in [
        ("region", json!("example.com"), "region: "),
        ("client_id", json!("a/../b"), "client_id: "),
        ("client_secret", json!(""), "client_secret: "),
        ("integration_id", json!("x?y"), "integration_id: "),
        ("signature_secret", json!("123456789012345"), "signature_secret: "),
        ("queue_attribute", json!(""), "queue_attribute: "),
        ("trigger_secret", json!("short"), "trigger_secret: "),
        ("requests_per_minute", json!(1), "requests_per_minute: "),
        ("poll_ms", json!(1), "poll_ms: "),
        ("base_url", json!("ftp://x"), "base_url: "),
        ("colour", json!("red"), "colour"),
    ] {
        let mut bad = good.clone();
        bad[field] = value;
        let wrong = Ours::read_for_tests(bad).expect_err(field);
        assert!(wrong.contains(told), "{field}: {wrong}");
    }
}

#[test]
fn the_schema_helps_and_hides_secrets() {
    let schema = GenesysOpen.settings_schema();
    let fields = schema["properties"].as_object().expect("fields");
    for (name, field) in fields {
        assert!(field["description"].as_str().is_some_and(|text| text.len() > 20), "{name} has no help");
    }
    for secret in ["client_secret", "signature_secret"] {
        assert_eq!(fields[secret]["writeOnly"], true, "{secret}");
    }
    // What the stand-in says is what the schema takes.
    let sim = crate::genesys::simulator::open::Open::new(Settings::default());
    let settings = sim.settings(&"http://127.0.0.1:4000/".parse().expect("a URL"));
    let validator = jsonschema::validator_for(&schema).expect("a schema");
    assert!(validator.is_valid(&settings));
}
