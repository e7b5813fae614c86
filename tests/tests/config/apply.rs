//! What `apply` changes, and what it does not.

use interline_tests::scratch::Scratch;
use interline_tests::server;
use serde_json::Value;

use crate::node::{Node, Said, file, id, interline, small};

/// A server with a small app, and the app's file.
struct Applied {
    scratch: Scratch,
    node: Node,
    app: String,
    file: String,
}

impl Applied {
    async fn new() -> Self {
        let scratch = Scratch::new("apply").unwrap();
        let document = small();
        let node = Node::start(&scratch, "data", None).await;
        node.put(&document).await;
        let app = id(&document);
        let file = node.remote(&["export", "--app", &app]).await.well();
        Self { scratch, node, app, file }
    }

    /// The file with words changed; each must be in it.
    #[track_caller]
    fn changed(&self, changes: &[(&str, &str)]) -> String {
        let mut text = self.file.clone();
        for (from, to) in changes {
            assert!(text.contains(from), "the file has no `{from}`:\n{text}");
            text = text.replacen(from, to, 1);
        }
        file(&self.scratch, "app.yaml", &text)
    }

    async fn apply(&self, path: &str, more: &[&str]) -> Said {
        self.node.remote(&[&["apply", path], more].concat()).await
    }

    async fn end(mut self) {
        self.node.stop().await;
    }
}

#[tokio::test]
async fn differences_are_shown_and_a_dry_run_changes_nothing() {
    let it = Applied::new().await;
    let path = it
        .changed(&[("name: Support", "name: Help"), ("client_secret: (secret)", "client_secret: other-one")]);
    let dry = it.apply(&path, &["--dry-run"]).await;
    let differences =
        "~ app.name: \"Support\" → \"Help\"\n~ credentials.main.client_secret: (secret) → (secret)\n";
    assert_eq!(
        (dry.code, dry.out),
        (2, format!("{differences}2 differences; nothing was changed\n")),
        "{}",
        dry.err
    );
    assert_eq!(it.node.version(&it.app).await, 1);
    let done = it.apply(&path, &[]).await.well();
    assert_eq!(done, format!("{differences}version 2 is in force\n"));
    assert_eq!(it.node.document(&it.app).await["credentials"]["main"]["client_secret"], "other-one");
    let again = it.apply(&path, &["--dry-run"]).await.well();
    assert_eq!(again, "no differences; version 2 is in force\n");
    it.end().await;
}

#[tokio::test]
async fn what_the_file_leaves_out_stays_unless_it_is_pruned() {
    let it = Applied::new().await;
    let night = it.file.find("  night:\n").unwrap();
    let night = &it.file[night..it.file.find("\ndefault_agent").unwrap()];
    let path = it.changed(&[
        (night, ""),
        ("agent_transfer:\n        fallback:\n          - integration: night\n", "agent_transfer: {}\n"),
    ]);
    let kept = it.apply(&path, &[]).await.well();
    assert!(kept.contains("flow.nodes.handover") && !kept.contains("agents.night"), "{kept}");
    assert!(it.node.document(&it.app).await["agents"]["night"].is_object(), "a removal without --prune");
    let dry = it.apply(&path, &["--prune", "--dry-run"]).await;
    assert_eq!(dry.code, 2, "{dry:?}");
    assert!(dry.out.contains("- agents.night: {") && dry.out.contains("retired: night (would be"), "{dry:?}");
    assert!(it.node.document(&it.app).await["agents"]["night"].is_object(), "a dry run removed it");
    let gone = it.apply(&path, &["--prune", "--live", "stay"]).await.well();
    assert!(gone.contains("- agents.night: {") && gone.contains("retired: night (is removed"), "{gone}");
    assert_eq!(it.node.document(&it.app).await["agents"]["night"], Value::Null);
    it.end().await;
}

#[tokio::test]
async fn a_broken_file_names_each_fault_with_its_place_and_changes_nothing() {
    let it = Applied::new().await;
    let line = |text: &str, words: &str| text.lines().position(|line| line.contains(words)).unwrap() + 1;
    // Found before anything is sent, and found by the server.
    for (from, to, wanted) in [
        ("default_agent: desk", "default_agnt: desk", "default_agnt: unknown field"),
        ("  name: Support\n", "", "app: missing field `name`"),
        ("  name: Support", "  name: [Support]", "app.name: "),
        ("default_agent: desk", "default_agent: [desk", ""),
        ("client_id: ", "client_id: ${NOT_SET} ", "NOT_SET"),
        ("default_agent: desk", "default_agent: dsk", "default_agent: there is no agent system `dsk`"),
        ("type: web", "type: wb", "channels.web.type: "),
        (
            "url: http://127.0.0.1:9\n",
            "url: http://10.1.2.3:4/\n",
            "agents.desk.url: the address 10.1.2.3 is private",
        ),
        ("start: hello", "start: helo", "flow.start: names the node `helo`"),
        ("client_secret: (secret)", "client_secret: ''", "credentials.main.client_secret: is empty"),
    ] {
        let path = it.changed(&[(from, to)]);
        let said = it.apply(&path, &[]).await.badly();
        let text = std::fs::read_to_string(&path).unwrap();
        let at = text.lines().zip(it.file.lines()).position(|(new, old)| new != old).unwrap() + 1;
        // What is missing is told where it should be.
        let at = if to.is_empty() { line(&text, "app:") } else { at };
        let by_line = said.contains(&format!("app.yaml:{at}:")) || said.contains(&format!("line {at}:"));
        assert!(said.contains(wanted) && by_line, "`{wanted}` at {at} is missing: {said}");
        let dry = it.apply(&path, &["--dry-run"]).await;
        assert_eq!(dry.code, 1, "{dry:?}");
        assert_eq!(it.node.version(&it.app).await, 1, "{from} → {to}");
    }
    let two = it.changed(&[("start: hello", "start: helo"), ("default_agent: desk", "default_agent: dsk")]);
    let said = it.apply(&two, &[]).await.badly();
    assert!(
        said.contains("default_agent: ") && said.contains("flow.start: "),
        "not every fault is told: {said}"
    );
    assert_eq!(it.node.version(&it.app).await, 1);
    it.end().await;
}

#[tokio::test]
async fn who_may_not_is_told_why() {
    let it = Applied::new().await;
    let path = it.changed(&[("name: Support", "name: Help")]);
    let data = it.node.data.display().to_string();
    let key = async |role: &str| {
        let made =
            interline(&["key", "create", "--role", role, "--app", &it.app, "--data", &data], &[]).await;
        made.well().trim().to_owned()
    };
    let (read, admin) = (key("read").await, key("admin").await);
    let said = it.node.remote_as(&read, &["apply", &path], &[]).await.badly();
    assert!(said.contains("role_too_weak") && said.contains("nothing was changed"), "{said}");
    let shown = it.node.remote_as(&read, &["export", "--app", &it.app], &[]).await.well();
    assert_eq!(shown, it.file);
    let said = it.node.remote_as(&read, &["export", "--app", &it.app, "--secrets"], &[]).await.badly();
    assert!(said.contains("role_too_weak"), "{said}");
    let said = it.node.remote_as("ilk_nobody_nothing", &["apply", &path], &[]).await.badly();
    assert!(said.contains("no_valid_key") && !said.contains("nothing_"), "{said}");
    let said = it.node.remote_as("", &["apply", &path], &[]).await.badly();
    assert!(said.contains("INTERLINE_KEY") || said.contains("ilk_"), "{said}");
    // A key of the app is enough, from a file.
    let key_file = file(&it.scratch, "key", &format!("{admin}\n"));
    let done = it.node.remote_as("", &["apply", &path, "--key-file", &key_file], &[]).await.well();
    assert!(done.ends_with("version 2 is in force\n"), "{done}");
    it.end().await;
}

#[tokio::test]
async fn nobody_there_is_told_with_what_to_do() {
    let scratch = Scratch::new("nobody").unwrap();
    let path = file(
        &scratch,
        "app.yaml",
        "app: { id: st-x, name: X }\nflow: { start: a, otherwise: a, nodes: { a: { end: {} } } }\n",
    );
    let server = format!("http://127.0.0.1:{}", server::free_port().unwrap());
    let said = interline(&["apply", &path, "--server", &server, "--key", "ilk_a_b"], &[]).await.badly();
    assert!(said.contains(&format!("no interline server at {server}: start one or pass --server")), "{said}");
    let said = interline(&["apply", "/nowhere/app.yaml", "--key", "ilk_a_b"], &[]).await.badly();
    assert!(said.contains("/nowhere/app.yaml"), "{said}");
}

#[tokio::test]
async fn faults_of_a_served_file_have_their_place() {
    let scratch = Scratch::new("served").unwrap();
    let path = file(
        &scratch,
        "app.yaml",
        "app:\n  id: st-1\n  name: X\ndefault_agent: nobody\nflow: { start: a, otherwise: b, nodes: { a: { end: {} } } }\n",
    );
    let data = scratch.path().join("data").display().to_string();
    let said =
        interline(&["serve", "--listen", "127.0.0.1:0", "--data", &data, "--app", &path], &[]).await.badly();
    for wanted in
        ["app.yaml:2:7: app.id: ", "app.yaml:4:16: default_agent: ", "app.yaml:5:30: flow.otherwise: "]
    {
        assert!(said.contains(wanted), "`{wanted}` is missing: {said}");
    }
}
