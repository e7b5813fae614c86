//! `check`, and the demo's key.

use std::net::Ipv4Addr;
use std::process::Stdio;
use std::time::Duration;

use interline_tests::scratch::Scratch;
use interline_tests::server::{self, Profile};
use serde_json::Value;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Child;

use crate::node::{Node, Said, file, id, interline, private, small};

async fn check(scratch: &Scratch, args: &[&str], more: &[(&str, &str)]) -> Said {
    let data = scratch.path().join("data").display().to_string();
    let listen = format!("127.0.0.1:{}", server::free_port().unwrap());
    let said = interline(&[&["check", "--data", &data, "--listen", &listen], args].concat(), more).await;
    assert!(!said.err.contains("panicked"), "{said:?}");
    said
}

fn example() -> [(&'static str, &'static str); 4] {
    [
        ("BOT_ID", "st-5f0a9c5e-3c8b-5e1a-9d2e-0a1b2c3d4e5f"),
        ("CLIENT_ID", "cs-1"),
        ("CLIENT_SECRET", "s3cr3t-of-the-app"),
        ("BOTKIT_URL", "http://127.0.0.1:9"),
    ]
}

#[tokio::test]
async fn it_shows_the_settings_without_secrets_and_makes_nothing() {
    let scratch = Scratch::new("check").unwrap();
    let config = file(&scratch, "interline.toml", "node = \"node-7\"\nlog = \"debug\"\n");
    let key = "k9:AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE=";
    let more = [("INTERLINE_KEYS", key), ("INTERLINE_LOG", "warn"), ("INTERLINE_KEY", "ilk_a_pa55")];
    let database = "postgres://me:pa55w0rd@127.0.0.1:9/x";
    let said = check(&scratch, &["--config", &config, "--database", database], &more).await;
    assert_eq!(said.code, 1, "a database that is away is no failure: {said:?}");
    for wanted in [
        "node = \"node-7\"",
        "# INTERLINE_LOG\n",
        "interline.toml\n",
        "\"postgres://me:(secret)@127.0.0.1:9/x\"",
        "k9:(secret)",
        "# --listen\n",
        "FAILED  database: ",
        "1 check failed",
    ] {
        assert!(said.out.contains(wanted), "`{wanted}` is missing: {said:?}");
    }
    for secret in ["pa55", "AQEB"] {
        assert!(!said.out.contains(secret) && !said.err.contains(secret), "a secret is told: {said:?}");
    }
    let said = check(&scratch, &[], &[]).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(
        said.out.contains("will be made at the first start") && said.out.contains("nothing failed"),
        "{said:?}"
    );
    assert!(!scratch.path().join("data").exists(), "a check made the data directory");
}

#[tokio::test]
async fn each_app_file_and_agent_system_is_tried() {
    let scratch = Scratch::new("check-apps").unwrap();
    let example_file = server::example().display().to_string();
    let said = check(&scratch, &["--app", &example_file], &example()).await;
    assert_eq!(said.code, 1);
    let line =
        std::fs::read_to_string(&example_file).unwrap().lines().position(|line| line == "  desk:").unwrap()
            + 1;
    assert!(
        said.out.contains(&format!("FAILED  agents.desk ({example_file}:{line}:3): cannot connect")),
        "{said:?}"
    );
    assert!(said.out.contains("does it run") && said.out.contains("1 check failed"), "{said:?}");

    let text = std::fs::read_to_string(&example_file).unwrap();
    let broken = text.replace("go_to: handover", "go_to: hndover").replace("type: web", "type: wb");
    let broken = file(&scratch, "broken.yaml", &broken);
    let said = check(&scratch, &["--app", &broken, "--app", "/nowhere.yaml"], &example()).await;
    assert_eq!(said.code, 1);
    for wanted in [
        "FAILED  ",
        "broken.yaml:",
        "flow.words[0].go_to: ",
        "channels.web.type: ",
        "/nowhere.yaml",
        "2 checks failed",
    ] {
        assert!(said.out.contains(wanted), "`{wanted}` is missing: {said:?}");
    }
    assert!(!said.out.contains("s3cr3t"), "{said:?}");

    let public = ["--app", &example_file, "--public-url", "http://chat.example.com"];
    let said = check(&scratch, &public, &example()).await;
    assert!(said.out.contains("remark  public_url http://chat.example.com: plain http"), "{said:?}");
    let elsewhere = [&example()[..3], &[("BOTKIT_URL", "http://192.0.2.1:1")]].concat();
    let said = check(&scratch, &["--app", &example_file], &elsewhere).await;
    assert!(said.out.contains("agents.desk: 192.0.2.1 is told to call back http://127.0.0.1"), "{said:?}");
}

#[tokio::test]
async fn a_taken_port_and_a_running_server_are_told_apart() {
    let scratch = Scratch::new("check-port").unwrap();
    let taken = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let listen = taken.local_addr().unwrap().to_string();
    let data = scratch.path().join("data").display().to_string();
    let said = interline(&["check", "--data", &data, "--listen", &listen], &[]).await;
    assert_eq!(said.code, 1);
    assert!(said.out.contains(&format!("FAILED  port {listen}: another program listens there")), "{said:?}");

    let document = small();
    let mut node = Node::start(&scratch, "running", None).await;
    node.put(&document).await;
    let listen = node.address.to_string();
    let said = node.command(&["check", "--listen", &listen]).await;
    assert_eq!(said.code, 0, "{said:?}");
    for wanted in [
        "a running server uses it",
        "it was not opened",
        &format!("port {listen}: the running server answers"),
    ] {
        assert!(said.out.contains(wanted), "`{wanted}` is missing: {said:?}");
    }
    let other = interline(&["check", "--data", &data, "--listen", &listen], &[]).await;
    assert_eq!(other.code, 1);
    assert!(other.out.contains("another interline listens there"), "{other:?}");
    // The running server tries them itself.
    let said = node.remote(&["check"]).await;
    assert_eq!(said.code, 1, "{said:?}");
    assert!(
        said.out.contains(&format!("FAILED  Support ({}) desk [botkit]: cannot connect", id(&document))),
        "{said:?}"
    );
    assert!(said.out.contains("web [web]: ") && said.out.contains("2 checks failed"), "{said:?}");
    node.stop().await;
    let said = node.command(&["check", "--listen", &listen]).await;
    assert!(said.code == 0 && said.out.contains("schema version"), "{said:?}");
}

/// Starts a demo, and gives what it says about itself.
async fn demo(data: &str) -> (Child, Value) {
    let mut command = server::command(Profile::Debug);
    let port = server::free_port().unwrap().to_string();
    let mut child =
        command.args(["demo", "--port", &port, "--data", data]).stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    let facts = async {
        while let Some(line) = lines.next_line().await.unwrap() {
            if let Some(facts) = line.strip_prefix("demo ") {
                return serde_json::from_str(facts).unwrap();
            }
        }
        panic!("the demo ended");
    };
    let facts = tokio::time::timeout(Duration::from_secs(30), facts).await.expect("the demo does not start");
    (child, facts)
}

#[tokio::test]
async fn the_demos_key_opens_its_api_and_its_agent_system_works() {
    let scratch = Scratch::new("demo-key").unwrap();
    let data = scratch.path().join("demo").display().to_string();
    let (mut child, facts) = demo(&data).await;
    let text = |name: &str| facts[name].as_str().unwrap().to_owned();
    assert!(
        private(&scratch.path().join("demo/demo-key")) && private(&scratch.path().join("demo/demo-secret"))
    );
    assert_eq!(text("status_page"), format!("{}/status", text("base")));
    let with_key = [("INTERLINE_KEY", facts["key"].as_str().unwrap())];
    let said = interline(&["check", "--server", &text("base")], &with_key).await;
    assert_eq!(said.code, 0, "{said:?}");
    assert!(said.out.contains("desk [botkit]: It works.") && said.out.contains("nothing failed"), "{said:?}");
    // Its file is one that `check` and `apply` take.
    let exported =
        interline(&["export", "--app", &text("app"), "--server", &text("base"), "--secrets"], &with_key)
            .await;
    let path = file(&scratch, "demo.yaml", &exported.well());
    let said = check(&scratch, &["--app", &path], &[]).await;
    assert!(said.out.contains("ok      agents.desk: works ("), "{said:?}");
    // Another server has another webhook address: the one vendor that can be asked for the entered one says so.
    let failed: Vec<&str> = said.out.lines().filter(|line| line.starts_with("FAILED")).collect();
    assert!(
        matches!(failed[..], [line] if line.contains("agents.genesys_open") && line.contains("webhook URL")),
        "{said:?}"
    );
    child.kill().await.unwrap();
    // The key stays, unless somebody revoked it.
    let (mut child, again) = demo(&data).await;
    assert_eq!(again["key"], facts["key"]);
    let revoked = interline(&["key", "revoke", &text("key"), "--data", &data], &[]).await;
    assert!(revoked.well().contains("(demo) is revoked"));
    child.kill().await.unwrap();
    let (mut child, anew) = demo(&data).await;
    assert_ne!(anew["key"], facts["key"]);
    child.kill().await.unwrap();
}
