//! Keys of the API, and the keys that seal.

use interline_tests::scratch::Scratch;
use serde_json::Value;

use crate::node::{Node, id, interline, small};

const OLD: &str = "old:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=";
const NEW: &str = "new:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";

#[tokio::test]
async fn keys_are_made_listed_and_withdrawn_beside_a_running_server() {
    let scratch = Scratch::new("keys").unwrap();
    let document = small();
    let (app, mut node) = (id(&document), Node::start(&scratch, "data", None).await);
    node.put(&document).await;
    let made =
        node.command(&["key", "create", "--role", "read", "--app", &app, "--name", "night shift"]).await;
    assert!(made.err.contains("this one time"), "{made:?}");
    let token = made.well();
    assert_eq!(token.lines().count(), 1, "more than the token on standard output: {token}");
    let token = token.trim();
    assert!(node.remote_as(token, &["export", "--app", &app], &[]).await.code == 0);

    let listed = node.command(&["key", "list", "--app", &app]).await.well();
    assert!(
        listed.contains("night shift") && listed.contains("read") && listed.lines().count() == 1,
        "{listed}"
    );
    let secret = token.rsplit('_').next().unwrap();
    assert!(!listed.contains(secret), "a token is listed: {listed}");
    let all = node.command(&["key", "list"]).await.well();
    assert!(all.contains("admin") && all.contains("command line"), "{all}");

    // Whoever pastes the whole token means its id, and does not see it again.
    let revoked = node.command(&["key", "revoke", token]).await.well();
    assert!(revoked.contains("night shift") && !revoked.contains(secret), "{revoked}");
    let said = node.remote_as(token, &["export", "--app", &app], &[]).await.badly();
    assert!(said.contains("no_valid_key"), "{said}");
    assert!(node.command(&["key", "revoke", token]).await.well().contains("before"));
    assert!(node.command(&["key", "revoke", "nobody"]).await.badly().contains("no key nobody"));
    for wrong in [
        &["key", "create", "--role", "read", "--app", "st-nobody"][..],
        &["key", "create", "--role", "read", "--name", " "],
    ] {
        let said = node.command(wrong).await.badly();
        assert!(said.contains("st-nobody") || said.contains("--name"), "{said}");
    }
    node.stop().await;
}

#[tokio::test]
async fn rekey_lets_an_old_key_go() {
    let scratch = Scratch::new("rekey").unwrap();
    let document = small();
    let app = id(&document);
    let mut node = Node::start_with(&scratch, "data", None, Some(OLD)).await;
    assert!(!node.data.join("keys").exists(), "a key file was made though the keys were given");
    node.put(&document).await;
    let before = node.document(&app).await;
    let refused = node.command(&["rekey"]).await.badly();
    assert!(refused.contains("in use") && refused.contains("stop it"), "{refused}");
    node.stop().await;

    // The new key first, the old one behind it.
    node.keys = Some(format!("{NEW},{OLD}"));
    let done = node.command(&["rekey"]).await.well();
    assert!(
        done.contains("the key new: 0 sessions, 1 versions of apps") && done.contains("removed now: old"),
        "{done}"
    );
    let again = node.command(&["rekey"]).await.well();
    assert!(again.contains("0 sessions, 0 versions"), "{again}");
    node.keys = Some(NEW.to_owned());
    node.spawn().await;
    assert_eq!(node.document(&app).await, before);
    assert_eq!(node.version(&app).await, 1);
    node.stop().await;

    // Without the keys nothing is touched, and no new ones are made.
    node.keys = None;
    let refused = node.command(&["rekey"]).await.badly();
    assert!(refused.contains("INTERLINE_KEYS") && !node.data.join("keys").exists(), "{refused}");
    node.keys = Some(OLD.to_owned());
    let refused = node.command(&["rekey"]).await.badly();
    assert!(refused.contains("keep the old keys") && refused.contains("new"), "{refused}");
    let nothing = scratch.path().join("nothing").display().to_string();
    let refused = interline(&["rekey", "--data", &nothing], &[]).await.badly();
    assert!(refused.contains("no database yet"), "{refused}");
}

#[tokio::test]
async fn a_key_of_the_api_is_no_setting_and_another_text_there_is_refused() {
    let scratch = Scratch::new("variable").unwrap();
    let data = scratch.path().join("data").display().to_string();
    let migrate = ["migrate", "--data", &data];
    assert_eq!(interline(&migrate, &[("INTERLINE_KEY", "ilk_a_b")]).await.code, 0);
    // A database that nothing was ever sealed in: the first key is made, and the keys that seal with it.
    let made = interline(&["key", "create", "--role", "admin", "--data", &data], &[]).await.well();
    assert!(made.starts_with("ilk_") && scratch.path().join("data/keys").is_file(), "{made}");
    let said = interline(&migrate, &[("INTERLINE_KEY", NEW)]).await.badly();
    assert!(said.contains("`key`") && !said.contains("AQEB"), "{said}");
}

/// The server is asked with the token: it is the one that counts.
#[tokio::test]
async fn an_expiry_is_kept() {
    let scratch = Scratch::new("expiry").unwrap();
    let mut node = Node::start(&scratch, "data", None).await;
    let made = node.command(&["key", "create", "--role", "operate", "--expires-days", "2"]).await;
    assert!(made.err.contains("(operate) for all apps, until 20"), "{made:?}");
    node.key = made.well().trim().to_owned();
    assert!(node.call("GET", "/v1/apps", &Value::Null).await.ok());
    let listed = node.command(&["key", "list"]).await.well();
    assert!(listed.lines().any(|line| line.contains("operate") && line.contains("  until 20")), "{listed}");
    node.stop().await;
}
