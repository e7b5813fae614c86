//! Every request that the connector sends, and every answer that the stand-in gives, against the OpenAPI file that was put
//! together from what clients do (it is not the vendor's). It lies beside the workspace, and is not a part of it.

use std::path::PathBuf;

use axum::body::{Bytes, to_bytes};
use axum::extract::Request;
use axum::middleware::{Next as Then, from_fn};
use axum::response::Response;
use interline_connector::channel::Mark;

use super::*;

/// One exchange.
#[derive(Clone)]
struct Seen {
    method: String,
    path: String,
    query: Vec<(String, String)>,
    kind: String,
    body: Bytes,
    status: u16,
    answer: Bytes,
}

fn spec() -> Option<Value> {
    let file = PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("../../../shared/specs/salesforce/miaw-openapi.reconstructed.json");
    match std::fs::read(&file) {
        Ok(bytes) => Some(serde_json::from_slice(&bytes).expect("JSON")),
        Err(_) => {
            eprintln!("skipped: {} is not there", file.display());
            None
        }
    }
}

/// Remembers what passes, all but what a stream tells.
fn recording(seen: &Arc<Mutex<Vec<Seen>>>) -> impl FnOnce(Router) -> Router {
    let seen = seen.clone();
    move |router| {
        router.layer(from_fn(move |request: Request, next: Then| {
            let seen = seen.clone();
            async move { record(&seen, request, next).await }
        }))
    }
}

async fn record(seen: &Mutex<Vec<Seen>>, request: Request, next: Then) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, usize::MAX).await.expect("a body");
    let (method, path) = (parts.method.to_string(), parts.uri.path().to_owned());
    let query =
        url::form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()).into_owned().collect();
    let kind = parts.headers.get("content-type").map(|kind| kind.to_str().expect("text").to_owned());
    let answer = next.run(Request::from_parts(parts, body.clone().into())).await;
    let (parts, answer) = answer.into_parts();
    let streams = parts.headers.get("content-type").is_some_and(|kind| kind == "text/event-stream");
    let (answer, rest) = if streams {
        (Bytes::new(), answer)
    } else {
        match to_bytes(answer, usize::MAX).await {
            Ok(bytes) => (bytes.clone(), bytes.into()),
            // A scripted break goes on.
            Err(error) => return Response::new(broken(error)),
        }
    };
    let status = parts.status.as_u16();
    let kind = kind.unwrap_or_default();
    seen.lock().expect("lock").push(Seen { method, path, query, kind, body, status, answer });
    Response::from_parts(parts, rest)
}

fn broken(error: axum::Error) -> axum::body::Body {
    axum::body::Body::from_stream(futures_util::stream::once(async { Err::<Bytes, _>(error) }))
}

/// The path's description with what it says for the method.
fn operation<'a>(spec: &'a Value, seen: &Seen) -> (&'a Value, &'a Value) {
    let fits = |pattern: &str| {
        let (pattern, path): (Vec<_>, Vec<_>) =
            (pattern.split('/').collect(), seen.path.split('/').collect());
        let same = |(known, part): (&&str, &&str)| known == part || known.starts_with('{');
        pattern.len() == path.len() && pattern.iter().zip(&path).all(same)
    };
    let paths = spec["paths"].as_object().expect("paths");
    // A name before a parameter: `/conversation/list` is not `/conversation/{conversationId}`.
    let exact = paths.get(&seen.path);
    let found = exact.or_else(|| paths.iter().find(|(pattern, _)| fits(pattern)).map(|(_, found)| found));
    let found = found.unwrap_or_else(|| panic!("no such path: {}", seen.path));
    let operation = &found[seen.method.to_lowercase()];
    assert!(operation.is_object(), "no such method: {} {}", seen.method, seen.path);
    (found, operation)
}

fn check(schema: &Value, value: &Value, what: &str) {
    if schema.is_null() {
        return;
    }
    let validator = jsonschema::draft202012::new(schema).expect("a schema");
    let found: Vec<String> = match validator.validate(value) {
        Ok(()) => Vec::new(),
        Err(errors) => errors.map(|error| error.to_string()).collect(),
    };
    assert!(found.is_empty(), "{what}: {found:?}: {value}");
}

fn check_request(path: &Value, operation: &Value, seen: &Seen) {
    let what = format!("{} {}", seen.method, seen.path);
    let parameters = [&path["parameters"], &operation["parameters"]];
    let declared: Vec<&Value> = parameters.iter().filter_map(|list| list.as_array()).flatten().collect();
    for parameter in declared.iter().filter(|parameter| parameter["in"] == "query") {
        let name = parameter["name"].as_str().expect("a name");
        let given = seen.query.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        assert!(given.is_some() || parameter["required"] != true, "{what}: without {name}");
        if let Some(given) = given {
            let number = given.parse::<i64>().map(Value::from);
            let is_number = parameter["schema"]["type"] == "integer";
            let value = if is_number { number.expect("a number") } else { given.as_str().into() };
            check(&parameter["schema"], &value, &format!("{what}: {name}"));
        }
    }
    for (name, _) in &seen.query {
        assert!(
            declared.iter().any(|parameter| parameter["name"] == name.as_str()),
            "{what}: {name} is not known"
        );
    }
    let content = &operation["requestBody"]["content"];
    if content["application/json"].is_object() {
        assert_eq!(seen.kind, "application/json", "{what}");
        let body = serde_json::from_slice(&seen.body).expect("JSON");
        check(&content["application/json"]["schema"], &body, &what);
    } else if content["multipart/form-data"].is_object() {
        assert!(seen.kind.starts_with("multipart/form-data; boundary="), "{what}: {}", seen.kind);
        let text = String::from_utf8_lossy(&seen.body).into_owned();
        let json = text.lines().find(|line| line.starts_with('{')).expect("a part of JSON");
        let schema = &content["multipart/form-data"]["schema"]["properties"]["messageEntry"];
        check(schema, &serde_json::from_str(json).expect("JSON"), &what);
    } else {
        assert!(seen.body.is_empty() && seen.kind.is_empty(), "{what}: a body that nobody asked for");
    }
}

fn check_answer(operation: &Value, seen: &Seen) {
    let what = format!("{} {} answers {}", seen.method, seen.path, seen.status);
    let answers = &operation["responses"];
    let known = [seen.status.to_string(), format!("{}XX", seen.status / 100)];
    let found = known.iter().find_map(|status| answers.get(status));
    // That an id is there already, the sheet has, and the file has not.
    let found = found.unwrap_or_else(|| panic!("{what}: not in the file"));
    let schema = &found["content"]["application/json"]["schema"];
    if schema.is_object() {
        check(schema, &serde_json::from_slice(&seen.answer).expect("JSON"), &what);
    }
}

/// A day in the life of a hand-over, with what goes wrong in it.
async fn a_day(world: &World) {
    let chat = world.talking().await;
    let long = "word ".repeat(2_000);
    world.say(&long);
    world.aside(Aside::Typing(true));
    world.aside(Aside::Typing(false));
    files::send_one(world, "a.pdf");
    files::send_one(world, "a.zip");
    world.act(&chat, Act::say("hi")).await;
    world.until_spoken(&["hi"]).await;
    world.aside(Aside::Receipt { mark: Mark::Read, seq: Seq(9), remote_id: world.engine.remote_id("hi") });
    world.aside(Aside::Receipt {
        mark: Mark::Delivered,
        seq: Seq(9),
        remote_id: world.engine.remote_id("hi"),
    });
    world.fault(world.points().say, 1, Fault::DropAfter);
    world.say("looked up");
    world.fault(world.points().say, 1, Fault::ErrorBefore { status: 403, retry_after: None });
    world.sim.cut_streams();
    let last = world.say("continued");
    world.engine.settled(last).await.expect("said");
    world.act(&chat, Act::Transfer { to: "Omar".into() }).await;
    world.until_heard(|event| *event == AgentEvent::Joined { name: Some("Omar".into()) }).await;
}

#[tokio::test]
async fn requests_and_answers_are_as_the_file_has_them() {
    let Some(spec) = spec() else { return };
    let seen = Arc::new(Mutex::new(Vec::new()));
    let world = World::behind(Org::roomy(), json!({}), recording(&seen)).await;
    a_day(&world).await;
    // It ends twice: by the agent, and by a token that is refused.
    let chat = world.desk().chats().remove(0).id;
    world.act(&chat, Act::End).await;
    eventually(|| (world.calls("DELETE ").len() == 1).then_some(())).await;
    world.desk().clock().advance(7 * 3_600_000);
    world.sim.cut_streams();
    world.until_heard(|event| matches!(event, AgentEvent::Failed(_))).await;
    assert!(world.engine.agent.probe().await.is_ok());

    let seen = seen.lock().expect("lock").clone();
    let mut used = std::collections::BTreeSet::new();
    for one in &seen {
        let (path, operation) = operation(&spec, one);
        check_request(path, operation, one);
        check_answer(operation, one);
        used.insert(format!("{} {}", one.method, operation["summary"].as_str().unwrap_or_default()));
    }
    let used: Vec<&str> = used.iter().map(String::as_str).collect();
    assert_eq!(used.len(), 11, "all that the connector has a use for: {used:#?}");
}

/// What the fixtures tell, word for word, is understood.
#[tokio::test]
async fn the_fixtures_are_understood() {
    let file =
        PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/salesforce/fixtures.json");
    let Ok(bytes) = std::fs::read(&file) else {
        eprintln!("skipped: {} is not there", file.display());
        return;
    };
    let fixtures: Value = serde_json::from_slice(&bytes).expect("JSON");
    let world = World::new().await;
    let chat = world.waiting().await;
    for event in fixtures["miaw_sse_sequence"].as_array().expect("a list") {
        let mut data: Value = serde_json::from_str(event["data"].as_str().expect("a text")).expect("JSON");
        data["conversationId"] = chat.as_str().into();
        world.sim.tell_raw(&chat, event["event"].as_str().expect("a name"), &data.to_string());
        if event["id"] == "10" {
            // Jane left for Omar: at the org it stands so.
            world
                .until_heard(|event| matches!(event, AgentEvent::Said { text, .. } if !text.files.is_empty()))
                .await;
        }
    }
    world.until_heard(|event| *event == AgentEvent::Ended { tag: None }).await;
    let joined = |name: &str| AgentEvent::Joined { name: Some(name.into()) };
    let heard = world.engine.heard();
    for expected in [joined("Jane A."), joined("Omar B.")] {
        assert!(heard.contains(&expected), "{heard:?}");
    }
    assert_eq!(world.spoken(), ["Hi, I am Jane", ""]);
    assert_eq!(world.engine.typing(), [true, false]);
    let read = interline_connector::UpTo::Remote("e-2".into());
    assert_eq!(world.engine.receipts(), [(Mark::Read, read)]);
    assert_eq!(world.engine.kept()[0].name.as_deref(), Some("form.pdf"));
}
