//! Integrations, channels, credentials, keys, connectors: one at a time.

use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::world::{A, World};

fn app(rest: &str) -> String {
    format!("/v1/apps/{A}{rest}")
}

#[tokio::test]
async fn an_integration_is_added_changed_and_shown() {
    let world = World::start("integration").await;
    let admin = world.admin().await;
    let listed = admin.get(&app("/integrations")).await.is(200);
    let names: Vec<&Value> = listed["items"].as_array().unwrap().iter().map(|one| &one["name"]).collect();
    assert_eq!(names, ["desk", "nowhere", "web"]);
    let agents = admin.get(&app("/integrations?kind=agent_system")).await.is(200);
    assert_eq!(agents["items"].as_array().unwrap().len(), 2);

    let new = json!({
        "name": "second", "kind": "agent_system", "type": "botkit", "default": true,
        "settings": { "url": "https://93.184.216.34/botkit", "credential": "main" },
    });
    let made = admin.post(&app("/integrations"), new.clone()).await;
    assert_eq!(made.etag(), "\"2\"");
    let made = made.is(201);
    assert_eq!(made["title"], "Custom (BotKit)");
    assert_eq!(
        (&made["is_default"], &made["live_sessions"], &made["retired"]),
        (&json!(true), &json!(0), &json!(false))
    );
    admin.post(&app("/integrations"), new).await.refused(409, "exists");

    let path = app("/integrations/second");
    let settings = json!({ "url": "https://93.184.216.34/other", "credential": "main", "opening_ms": 5000 });
    let put = admin.put(&path, json!({ "settings": settings })).await.is(200);
    assert_eq!(put["settings"], settings);
    let patched =
        admin.patch(&path, json!({ "settings": { "opening_ms": null, "end_notice": "" } })).await.is(200);
    let left = json!({ "url": "https://93.184.216.34/other", "credential": "main", "end_notice": "" });
    assert_eq!(patched["settings"], left);
    assert_eq!(admin.get(&path).await.is(200), patched);
    // The document is the same thing seen from the other side.
    assert_eq!(admin.get(&app("/document")).await.is(200)["agents"]["second"]["end_notice"], "");
}

#[tokio::test]
async fn faults_of_an_integration_are_told_where_they_were_written() {
    let world = World::start("integration-faults").await;
    let admin = world.admin().await;
    let path = app("/integrations/desk");
    let with = |url: &str| json!({ "settings": { "url": url, "credential": "main" } });
    admin.put(&path, with("https://93.184.216.34/?a=b")).await.invalid_at("settings.url");
    admin.patch(&path, json!({ "settings": { "nonsense": 1 } })).await.invalid_at("settings.nonsense");
    admin
        .patch(&path, json!({ "settings": { "credential": "other" } }))
        .await
        .invalid_at("settings.credential");
    admin.patch(&path, json!({ "settings": { "type": "x" } })).await.invalid_at("settings.type");
    admin.put(&path, json!({ "type": "nonsense", "settings": {} })).await.invalid_at("type");
    // Private addresses are for the operator's file alone. What is unchanged is not judged again.
    admin
        .patch(&path, json!({ "settings": { "url": "http://127.0.0.1:9" } }))
        .await
        .invalid_at("settings.url");
    admin.patch(&path, json!({ "settings": {} })).await.is(200);
    let new = |name: &str, kind: &str| json!({ "name": name, "kind": kind, "type": "web", "settings": {} });
    for name in ["", "a b", "a/b", &"x".repeat(65)] {
        admin.post(&app("/integrations"), new(name, "channel")).await.invalid_at("name");
    }
    admin.post(&app("/integrations"), new("x", "agent_system")).await.invalid_at("type");
    admin.post(&app("/integrations"), new("x", "nonsense")).await.invalid_at("kind");
    let mut default = new("x", "channel");
    default["default"] = json!(true);
    admin.post(&app("/integrations"), default).await.invalid_at("default");
}

#[tokio::test]
async fn the_default_and_the_channels_agent_system() {
    let world = World::start("default").await;
    let admin = world.admin().await;
    let made = admin.act(&app("/integrations/nowhere/default")).await.is(200);
    assert_eq!(made["is_default"], true);
    assert_eq!(admin.get(&app("/integrations/desk")).await.is(200)["is_default"], false);
    admin.act(&app("/integrations/web/default")).await.refused(409, "not_an_agent_system");
    admin.delete(&app("/integrations/desk/default")).await.refused(409, "not_the_default");
    assert_eq!(admin.delete(&app("/integrations/nowhere/default")).await.is(200)["is_default"], false);
    assert!(admin.get(&app("/document")).await.is(200).get("default_agent").is_none());

    let path = app("/channels/web/agent_system");
    let mapped = admin.put(&path, json!({ "agent_system": "desk" })).await.is(200);
    assert_eq!(mapped["agent_system"], "desk");
    assert_eq!(admin.get(&app("/channels")).await.is(200)["items"][0], mapped);
    assert_eq!(admin.get(&app("/integrations/desk")).await.is(200)["channels"], json!(["web"]));
    admin.put(&path, json!({ "agent_system": "nobody" })).await.invalid_at("agent_system");
    admin
        .put(&app("/channels/desk/agent_system"), json!({ "agent_system": null }))
        .await
        .refused(404, "not_found");
    let unmapped = admin.put(&path, json!({ "agent_system": null })).await.is(200);
    assert!(unmapped.get("agent_system").is_none());
}

#[tokio::test]
async fn a_connection_test_says_what_is_wrong() {
    let world = World::start("probe").await;
    let operator = world.key(Some(A), KeyRole::Operate).await;
    let good = operator.act(&app("/integrations/desk/test")).await.is(200);
    assert_eq!(good["ok"], true, "{good}");
    let bad = operator.act(&app("/integrations/nowhere/test")).await.is(200);
    assert_eq!(bad["ok"], false);
    assert!(bad["message"].as_str().unwrap().len() > 5, "{bad}");
    assert_eq!(operator.act(&app("/integrations/web/test")).await.is(200)["ok"], true);
}

#[tokio::test]
async fn an_agent_system_has_an_address_of_its_own() {
    let world = World::start("webhook").await;
    let admin = world.admin().await;
    let told = admin.get(&app("/integrations/desk/webhook")).await.is(200);
    let path = told["url"].as_str().unwrap().split_once("/in/").unwrap().1;
    let (before, secret) = path.rsplit_once('/').unwrap();
    assert_eq!(before, format!("{A}/desk"));
    assert!(secret.len() > 20, "{secret}");
    // Whoever does not know the secret part finds nothing there; whoever does is heard by the connector.
    let outside = world.without_key();
    let found = async |path: String| {
        let answer = outside.open_as("POST", &format!("/in/{path}")).await;
        let body = axum::body::to_bytes(answer.into_body(), usize::MAX).await.unwrap();
        !String::from_utf8_lossy(&body).contains("no such integration")
    };
    let mut wrong = secret.to_owned();
    wrong.replace_range(0..1, if secret.starts_with('A') { "B" } else { "A" });
    for path in [format!("{before}/{wrong}"), format!("{A}/nowhere/{secret}"), format!("{before}/x")] {
        assert!(!found(path.clone()).await, "{path}");
    }
    assert!(found(path.to_owned()).await);
    admin.get(&app("/integrations/web/webhook")).await.refused(404, "not_found");
    world
        .key(Some(A), KeyRole::Operate)
        .await
        .get(&app("/integrations/desk/webhook"))
        .await
        .refused(403, "role_too_weak");
}

#[tokio::test]
async fn credentials_show_their_secret_once() {
    let world = World::start("credentials").await;
    let admin = world.admin().await;
    let made = admin.post(&app("/credentials"), json!({ "name": "more", "scopes": ["web"] })).await.is(201);
    let secret = made["client_secret"].as_str().unwrap().to_owned();
    assert!(secret.len() >= 60);
    assert!(made["client_id"].as_str().unwrap().starts_with("cs-"));
    assert_eq!(made["algorithm"], "HS256");
    let shown = admin.get(&app("/credentials/more")).await.is(200);
    assert!(shown.get("client_secret").is_none());
    assert_eq!(admin.get(&app("/credentials")).await.is(200)["items"][1], shown);

    let rotated = admin.act(&app("/credentials/more/rotate")).await.is(200);
    assert_ne!(rotated["client_secret"], secret.as_str());
    let clear = admin.get(&app("/document?secrets=clear")).await.is(200);
    assert_eq!(clear["credentials"]["more"]["client_secret"], rotated["client_secret"]);
    let scopes = admin.patch(&app("/credentials/more"), json!({ "scopes": ["web", "botkit"] })).await.is(200);
    assert_eq!(scopes["scopes"], json!(["web", "botkit"]));

    let own = json!({ "name": "own", "client_id": "cs-own", "client_secret": "my own", "algorithm": "HS512",
        "scopes": [] });
    let made = admin.post(&app("/credentials"), own.clone()).await.is(201);
    assert!(made.get("client_secret").is_none());
    admin.post(&app("/credentials"), own.clone()).await.refused(409, "exists");
    let mut same = own.clone();
    same["name"] = json!("same");
    admin.post(&app("/credentials"), same).await.invalid_at("client_id");
    for (field, wrong) in [
        ("name", json!("a b")),
        ("client_id", json!("x".repeat(129))),
        ("client_secret", json!("")),
        ("client_secret", json!("(secret)")),
        ("algorithm", json!("none")),
    ] {
        let mut body = own.clone();
        body["name"] = json!("wrong");
        body[field] = wrong;
        admin.post(&app("/credentials"), body).await.invalid_at(field);
    }
    let body = json!({ "name": "x", "scopes": ["all"] });
    admin.post(&app("/credentials"), body).await.invalid_at("scopes[0]");
}

#[tokio::test]
async fn a_credential_that_is_needed_stays() {
    let world = World::start("credential-in-use").await;
    let admin = world.admin().await;
    let body = admin.delete(&app("/credentials/main")).await.refused(409, "credential_in_use");
    let places: Vec<&str> =
        body["errors"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect();
    assert!(places.contains(&"channels.web.credentials"), "{places:?}");
    assert!(places.contains(&"agents.desk.credential"), "{places:?}");
    let fewer = json!({ "scopes": ["botkit"] });
    admin.patch(&app("/credentials/main"), fewer).await.refused(409, "credential_in_use");
    admin.post(&app("/credentials"), json!({ "name": "free", "scopes": [] })).await.is(201);
    admin.delete(&app("/credentials/free")).await.is(204);
    admin.get(&app("/credentials/free")).await.refused(404, "not_found");
}

#[tokio::test]
async fn keys_are_made_used_and_revoked() {
    let world = World::start("keys").await;
    let admin = world.admin().await;
    let body = json!({ "name": "Otto", "role": "operate", "expires_at": "2999-01-01T00:00:00Z" });
    let made = admin.post(&app("/keys"), body).await.is(201);
    assert_eq!(made["expires_at"], "2999-01-01T00:00:00.000Z");
    let otto = world.with_token(made["token"].as_str().unwrap());
    otto.get(&app("")).await.is(200);
    otto.post(&app("/keys"), json!({ "name": "x", "role": "read" })).await.refused(403, "role_too_weak");
    let listed = admin.get(&app("/keys")).await.is(200);
    let found = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap();
    assert!(found.get("token").is_none() && found.get("revoked_at").is_none());

    let path = app(&format!("/keys/{}", made["id"].as_str().unwrap()));
    admin.delete(&path).await.is(204);
    otto.get(&app("")).await.refused(401, "no_valid_key");
    admin.delete(&path).await.refused(404, "not_found");
    let listed = admin.get(&app("/keys")).await.is(200);
    let found = listed["items"].as_array().unwrap().iter().find(|key| key["id"] == made["id"]).unwrap();
    assert!(found["revoked_at"].is_string());

    for (field, wrong) in [
        ("name", json!("")),
        ("name", json!("x".repeat(101))),
        ("name", json!("a\u{0}b")),
        ("role", json!("root")),
        ("expires_at", json!("tomorrow")),
        ("expires_at", json!("2001-01-01T00:00:00Z")),
    ] {
        let mut body = json!({ "name": "x", "role": "read" });
        body[field] = wrong;
        admin.post(&app("/keys"), body).await.invalid_at(field);
    }
}

#[tokio::test]
async fn connectors_say_what_a_form_must_ask_for() {
    let world = World::start("connectors").await;
    let found = world.key(Some(A), KeyRole::Read).await.get("/v1/connectors").await.is(200);
    let items = found["items"].as_array().unwrap();
    for (kind, connector) in [("channel", "web"), ("agent_system", "botkit")] {
        let one = items.iter().find(|one| one["type"] == connector).unwrap();
        assert_eq!(one["kind"], kind);
        assert_eq!(one["settings_schema"]["type"], "object");
        assert_eq!(one.get("manifest").is_some(), kind == "agent_system");
        jsonschema::draft202012::new(&one["settings_schema"]).unwrap();
    }
}
