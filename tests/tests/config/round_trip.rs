//! `export` gives what `apply` took, on both databases.

use interline_tests::postgres;
use interline_tests::scratch::Scratch;
use serde_json::{Value, json};

use crate::node::{Node, file, id, private, small};

/// Texts that a file could change on the way.
const TEXTS: &[&str] = &[
    "007",
    "1e3",
    "yes",
    "null",
    "~",
    "2026-11-22",
    "a: b",
    "a #b",
    "# only a comment?",
    "- item",
    "  leading",
    "trailing  ",
    "it's \"quoted\" \\ back",
    "{{text}}, you said",
    "[list]",
    "{map}",
    "*alias",
    "&anchor",
    "!tag",
    "|",
    ">",
    "@at",
    "%d",
    "${BOT_ID} and $HOME for $5 or $$",
    "two\nlines",
    "two\nlines\n",
    "ends\n\n",
    "\nbegins",
    "a\n  indented\nb",
    "a\n# $5 off\nb",
    "tab\there",
    "\u{7}bell",
    "Grüße an alle 👋🇩🇪",
    "こんにちは、お元気ですか",
    "\u{202e}turned\u{202c}",
    "\u{2028}",
];

/// An app with many nodes: every text, and enough of them that the file is large.
fn large() -> Value {
    let mut document = small();
    document["app"]["name"] = json!("Überall: \"24/7\" #1 👋");
    document["app"]["retention_days"] = json!(30);
    document["credentials"]["main"]["client_secret"] = json!("s3cr3t: #$HOME ${X} 'q' \"d\"");
    document["deadlines"] = json!({ "idle_ms": 60_000 });
    let nodes = document["flow"]["nodes"].as_object_mut().unwrap();
    for (round, said) in TEXTS.iter().enumerate().take(20) {
        for (at, text) in TEXTS.iter().enumerate() {
            let text =
                if round == 0 { json!(text) } else { json!([format!("{round} {text}"), text, "more"]) };
            nodes.insert(format!("n{round}.{at}"), json!({ "message": { "text": text, "next": "hello" } }));
        }
        nodes.insert(
            format!("away{round}"),
            json!({ "agent_transfer": {
                "message": said, "target": { "integration": "desk", "queue": "0012" },
                "fallback": [{ "integration": "night" }], "on_failure": { "go_to": "hello" } } }),
        );
    }
    nodes.insert("end".into(), json!({ "end": {} }));
    let words: Vec<Value> =
        TEXTS.iter().map(|text| json!({ "any": [text, "human"], "go_to": "away1" })).collect();
    document["flow"]["words"] = json!(words);
    document
}

#[tokio::test]
async fn a_large_document_comes_back_byte_for_byte_on_sqlite() {
    comes_back(None).await;
}

#[tokio::test]
async fn a_large_document_comes_back_byte_for_byte_on_postgresql() {
    let Some(database) = postgres::database("config").await.unwrap() else { return };
    comes_back(Some(&database.url)).await;
    database.remove().await.unwrap();
}

async fn comes_back(database: Option<&str>) {
    let scratch = Scratch::new("round-trip").unwrap();
    let document = large();
    let app = id(&document);
    // The first server is told by the API: what its file says was not read from a file.
    let mut first = Node::start(&scratch, "first", None).await;
    first.put(&document).await;
    let told = first.document(&app).await;
    for text in ["/app", "/deadlines/idle_ms", "/credentials", "/flow/nodes/n0.27"] {
        assert_eq!(told.pointer(text), document.pointer(text), "{text}");
    }
    let canonical = first.remote(&["export", "--app", &app, "--secrets"]).await.well();
    assert!(canonical.len() > 50_000, "it is not large: {}", canonical.len());
    let path = file(&scratch, "canonical.yaml", &canonical);
    let masked = first.remote(&["export", "--app", &app]).await.well();
    assert!(masked.contains("client_secret: (secret)\n") && !masked.contains("s3cr3t"), "a secret is shown");
    first.stop().await;

    // The second is told by the file.
    let mut second = Node::start(&scratch, "second", database).await;
    let dry = second.remote(&["apply", &path, "--dry-run"]).await;
    assert_eq!(dry.code, 2, "{dry:?}");
    assert!(dry.out.contains("nothing was changed") && !dry.out.contains("s3cr3t"), "{dry:?}");
    let done = second.remote(&["apply", &path]).await.well();
    assert!(done.contains("+ app.name: ") && done.ends_with("version 1 is in force\n"), "{done}");
    assert!(!done.contains("s3cr3t"), "{done}");
    assert_eq!(second.document(&app).await, told);
    assert_eq!(second.remote(&["export", "--app", &app, "--secrets"]).await.well(), canonical);
    // The masked file means the same there, and keeps the secrets.
    let masked = file(&scratch, "masked.yaml", &masked);
    for args in [&["apply", &masked, "--dry-run"][..], &["apply", &masked], &["apply", &path, "--prune"]] {
        let same = second.remote(args).await.well();
        assert_eq!(same, "no differences; version 1 is in force\n");
    }
    assert_eq!(second.document(&app).await, told);
    second.stop().await;
}

#[tokio::test]
async fn what_is_exported_to_a_file_is_for_its_owner_alone() {
    let scratch = Scratch::new("export-file").unwrap();
    let document = small();
    let (app, mut node) = (id(&document), Node::start(&scratch, "data", None).await);
    node.put(&document).await;
    let path = file(&scratch, "app.yaml", "was readable by all");
    assert!(!private(path.as_ref()));
    let said = node.remote(&["export", "--app", &app, "--secrets", "-o", &path]).await;
    assert!(said.well().is_empty());
    assert!(private(path.as_ref()), "others may read the secrets");
    assert_eq!(node.remote(&["apply", &path]).await.well(), "no differences; version 1 is in force\n");
    let unknown = node.remote(&["export", "--app", "st-nobody"]).await.badly();
    assert!(unknown.contains("not_found"), "{unknown}");
    node.stop().await;
}

#[tokio::test]
async fn a_masked_file_alone_makes_no_app() {
    let scratch = Scratch::new("masked").unwrap();
    let document = small();
    let (app, mut node) = (id(&document), Node::start(&scratch, "data", None).await);
    node.put(&document).await;
    let masked = node.remote(&["export", "--app", &app]).await.well();
    let other = interline_tests::App::fresh().bot;
    let path = file(&scratch, "other.yaml", &masked.replace(&app, &other));
    let said = node.remote(&["apply", &path]).await.badly();
    assert!(said.contains("other.yaml:8:20: credentials.main.client_secret: "), "{said}");
    // With its secret from a variable it does.
    let path = file(&scratch, "other.yaml", &masked.replace(&app, &other).replace("(secret)", "${SECRET}"));
    let key = node.key.clone();
    let done = node.remote_as(&key, &["apply", &path], &[("SECRET", "a: \"$b\" #c")]).await;
    assert!(done.well().ends_with("version 1 is in force\n"));
    assert_eq!(node.document(&other).await["credentials"]["main"]["client_secret"], "a: \"$b\" #c");
    node.stop().await;
}
