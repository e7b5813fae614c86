//! Settings: what is taken, and how what is not is told.

use super::*;

fn good() -> Value {
    json!({
        "instance_url": "https://example.service-now.com",
        "login": { "type": "basic", "user_name": "u", "password": "p" },
    })
}

fn refused(connector: &dyn Connector, changes: Value) -> String {
    let settings = changed(good(), &changes);
    let public = "https://chat.example.com/".parse().expect("a URL");
    build(connector, settings, &public, &[]).err().unwrap_or_default()
}

#[test]
fn bad_settings_name_the_field_and_the_remedy() {
    assert_eq!(refused(&ServiceNow, json!({})), "");
    assert_eq!(refused(&ServiceNowTokyo, json!({ "queue_id": "q" })), "");
    let oauth = json!({ "type": "oauth", "client_id": "c", "client_secret": "s", "refresh_token": "r" });
    for (changes, field) in [
        (json!({ "instance_url": "https://e.service-now.com/nav" }), "instance_url: "),
        (json!({ "instance_url": "example" }), "instance_url"),
        (json!({ "login": { "type": "basic", "user_name": "a:b", "password": "p" } }), "login.user_name: "),
        (json!({ "login": { "type": "basic", "user_name": "u", "password": "" } }), "login.password: "),
        (json!({ "login": { "type": "basic", "user_name": "u" } }), "password"),
        (
            json!({ "login": changed(oauth.clone(), &json!({ "refresh_token": "" })) }),
            "login.refresh_token: ",
        ),
        (
            json!({ "login": changed(oauth.clone(), &json!({ "refresh_token_made": "soon" })) }),
            "refresh_token_made: ",
        ),
        (
            json!({ "caller": { "type": "header", "name": "not a header", "value": "12345678" } }),
            "caller.name: ",
        ),
        (json!({ "caller": { "type": "header", "name": "X-Key", "value": "short" } }), "caller.value: "),
        (
            json!({ "caller": { "type": "basic", "user_name": "u", "password": "short" } }),
            "caller.password: ",
        ),
        (json!({ "message_token": "a", "message_hash_secret": "b" }), "message_hash_secret: "),
        (json!({ "account_linking": true }), "account_linking: "),
        (json!({ "start": "utterance", "utterance": " " }), "utterance: "),
        (json!({ "opening_ms": 1 }), "opening_ms: "),
        (json!({ "second_step_ms": 60_000 }), "second_step_ms: "),
        (json!({ "no_agents_texts": ["("] }), "no_agents_texts: "),
        (json!({ "joined_texts": ["["] }), "joined_texts: "),
        (json!({ "queue": "q" }), "queue"),
        (json!({ "start": "somehow" }), "start: "),
        (json!({ "typing": "often" }), "typing: "),
        (json!({ "message_token": "two words" }), "message_token: "),
    ] {
        let told = refused(&ServiceNow, changes.clone());
        assert!(told.contains(field), "{changes}: {told}");
    }
    for (changes, field) in [
        (json!({}), "queue_id"),
        (json!({ "queue_id": " " }), "queue_id: "),
        (json!({ "queue_id": "q", "poll_ms": 1 }), "poll_ms: "),
        (json!({ "queue_id": "q", "login": oauth }), "integration_user: "),
        (json!({ "queue_id": "q", "outside_hours_texts": [""] }), "outside_hours_texts: "),
    ] {
        let told = refused(&ServiceNowTokyo, changes.clone());
        assert!(told.contains(field), "{changes}: {told}");
    }
}

#[test]
fn every_field_says_what_it_is() {
    for connector in [&ServiceNow as &dyn Connector, &ServiceNowTokyo] {
        let schema = connector.settings_schema();
        for (name, field) in schema["properties"].as_object().expect("fields") {
            let told = field["description"].as_str().or(field["allOf"][0]["description"].as_str());
            assert!(told.is_some_and(|told| told.len() > 20), "{name}: {field}");
        }
    }
}

#[test]
fn a_stand_in_gives_settings_that_fit_the_schema() {
    let base = "http://127.0.0.1:1/".parse().expect("a URL");
    let stand_ins: [(&dyn Connector, Value); 2] = [
        (&ServiceNow, AgentChat::default().settings(&base)),
        (&ServiceNowTokyo, crate::servicenow::simulator::Connect::default().settings(&base)),
    ];
    for (connector, settings) in stand_ins {
        let schema = connector.settings_schema();
        let schema = jsonschema::validator_for(&schema).expect("a schema");
        assert!(schema.is_valid(&settings), "{settings}");
        assert!(!schema.is_valid(&json!({ "instance_url": "x" })));
    }
}

#[test]
fn each_deviation_is_a_scenario() {
    let sims: [&dyn StandIn; 2] = [&AgentChat::default(), &crate::servicenow::simulator::Connect::default()];
    for sim in sims {
        for deviation in sim.deviations() {
            let known =
                interline_connector::simulator::SCENARIOS.iter().any(|(name, _)| *name == deviation.scenario);
            assert!(known, "{}", deviation.scenario);
        }
    }
}
