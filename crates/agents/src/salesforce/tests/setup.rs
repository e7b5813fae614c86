//! Settings, and "Test connection": what is wrong, named, with what to do about it.

use super::*;

fn settings(changes: Value) -> Value {
    let mut all = json!({
        "organization_id": "00Dxx0000000001AAA", "url": "https://acme.my.salesforce-scrt.com",
        "developer_name": "My_Custom_Client",
    });
    all.as_object_mut().expect("an object").extend(changes.as_object().expect("an object").clone());
    all
}

#[test]
fn bad_settings_name_the_field_and_the_remedy() {
    let url = "https://acme.my.salesforce-scrt.com".parse().expect("a URL");
    for (changes, field, remedy) in [
        (json!({ "organization_id": "001" }), "organization_id", "Code Snippet"),
        (json!({ "organization_id": "00Dxx00000000_1" }), "organization_id", "Code Snippet"),
        (json!({ "organization_id": 7 }), "organization_id", "string"),
        (json!({ "url": "ftp://x" }), "url", "https"),
        (json!({ "url": "no url" }), "url", "relative URL"),
        (json!({ "url": "https://me:pw@acme.my.salesforce-scrt.com" }), "url", "leave out"),
        (json!({ "url": "https://acme.my.salesforce-scrt.com/?x=1" }), "url", "leave out"),
        (json!({ "url": "https://acme.my.salesforce-srct.com" }), "url", "misspelling"),
        (json!({ "url": "https://acme.lightning.force.com" }), "url", "Code Snippet"),
        (json!({ "developer_name": "My client" }), "developer_name", "API name"),
        (json!({ "summary_field": "" }), "summary_field", "leave it out"),
        (json!({ "transcript_field": "a b" }), "transcript_field", "leave it out"),
        (json!({ "outside_hours_words": [""] }), "outside_hours_words", "leave out"),
        (json!({ "no_agents_words": "x" }), "no_agents_words", "sequence"),
        (json!({ "opening_ms": 10 }), "opening_ms", "between"),
        (json!({ "opening_ms": "soon" }), "opening_ms", "u64"),
        (json!({ "starts_per_30_s": 0 }), "starts_per_30_s", "between"),
        (json!({ "messages_per_minute": -1 }), "messages_per_minute", "usize"),
        (json!({ "secret": "x" }), "secret", "unknown field"),
    ] {
        let told = Salesforce.build(settings(changes.clone()), env(&url)).err().expect("refused");
        assert!(told.starts_with(field) || told.contains(&format!("`{field}`")), "{changes}: {told}");
        assert!(told.contains(remedy), "{changes}: {told}");
    }
    let told = Salesforce.build(json!({}), env(&url)).err().expect("refused");
    assert!(told.contains("organization_id"), "{told}");
}

#[test]
fn the_orgs_own_address_is_rewritten() {
    for (given, called) in [
        ("https://acme.my.salesforce.com/home", "https://acme.my.salesforce-scrt.com/"),
        ("https://acme--dev.sandbox.my.salesforce.com", "https://acme--dev.sandbox.my.salesforce-scrt.com/"),
        ("https://acme.my.salesforce-scrt.com", "https://acme.my.salesforce-scrt.com/"),
    ] {
        let read =
            crate::salesforce::settings::Settings::read(settings(json!({ "url": given }))).expect("settings");
        assert_eq!(read.url.as_str(), called);
    }
}

#[tokio::test]
async fn the_stand_ins_settings_pass_the_schema_and_the_probe() {
    let world = World::new().await;
    let schema = Salesforce.settings_schema();
    let validator = jsonschema::draft202012::new(&schema).expect("a schema");
    let given = StandIn::settings(&world.sim, &world.served.url);
    assert!(validator.is_valid(&given), "{given}");
    assert_eq!(world.engine.agent.probe().await, Ok(()));
    assert!(world.desk().chats().is_empty(), "nothing is made at the org");
}

#[tokio::test]
async fn the_probe_says_what_is_wrong() {
    for (org, changes, expected) in [
        (Org::roomy(), json!({ "organization_id": "00DSim000000002" }), "organization_id: "),
        (Org::roomy(), json!({ "developer_name": "Other" }), "developer_name: "),
        (
            Org::roomy(),
            json!({ "summary_field": "reason" }),
            "summary_field: the deployment has no pre-chat field reason",
        ),
        (
            Org { auth_mode: "Auth", ..Org::roomy() },
            json!({}),
            "developer_name: this deployment lets verified",
        ),
        (Org { tokens_per_minute: 0, ..Org::roomy() }, json!({}), "gives no more access tokens"),
    ] {
        let world = World::with(org, changes.clone()).await;
        let told = world.engine.agent.probe().await.expect_err("refused");
        assert!(told.contains(expected), "{changes}: {told}");
    }
}

#[tokio::test]
async fn the_probe_knows_a_wrong_host() {
    use axum::response::IntoResponse as _;
    let html = || async { axum::response::Html("<title>Login | Salesforce</title>").into_response() };
    let missing = || async { ::http::StatusCode::NOT_FOUND.into_response() };
    for router in [Router::new().fallback(html), Router::new().fallback(missing)] {
        let served = Served::start(router).await.expect("a port");
        let agent =
            Salesforce.build(settings(json!({ "url": served.url })), env(&served.url)).expect("settings");
        let told = agent.probe().await.expect_err("refused");
        assert!(told.starts_with("url: ") && told.contains("salesforce-scrt.com"), "{told}");
    }
    let nobody: url::Url = "http://127.0.0.1:9/".parse().expect("a URL");
    let agent = Salesforce.build(settings(json!({ "url": nobody })), env(&nobody)).expect("settings");
    let told = agent.probe().await.expect_err("refused");
    assert!(told.contains("cannot be reached"), "{told}");
}
