//! What goes over the wire against the vendor's own examples. There is no schema: the examples and the fixtures beside the
//! fact sheet are what the vendor's pages show, so every field that goes over the wire must stand in one of them, as the
//! same kind of JSON.

use std::collections::BTreeMap;

use interline_connector::simulator::Direction;

use super::link::Session;
use super::*;
use crate::servicenow::simulator::Connect;

/// The examples; none: they are not there, which is said.
fn spec(file: &str) -> Option<Value> {
    let path =
        std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/specs/servicenow").join(file);
    let text = std::fs::read_to_string(&path);
    let Ok(text) = text else {
        eprintln!("skipped: {} is not there", path.display());
        return None;
    };
    Some(serde_json::from_str(&text).expect("JSON"))
}

/// Where a value stands and of what kind it is: `message.text string`. Places of lists are all the same; what is ours to fill
/// in has no names.
type Kinds = BTreeMap<String, Vec<&'static str>>;

fn kinds(value: &Value, at: &str, all: &mut Kinds) {
    let kind = match value {
        Value::Null => return,
        Value::Bool(_) => "bool",
        Value::Number(_) => "number",
        Value::String(_) => "string",
        Value::Array(_) => "array",
        Value::Object(_) => "object",
    };
    let known = all.entry(at.to_owned()).or_default();
    if !known.contains(&kind) {
        known.push(kind);
    }
    match value {
        Value::Array(list) => list.iter().for_each(|one| kinds(one, &format!("{at}[]"), all)),
        Value::Object(_) if ["clientVariables", "contextVariables"].iter().any(|free| at.ends_with(free)) => {
        }
        Value::Object(map) => {
            for (name, one) in map {
                let at = if at.is_empty() { name.clone() } else { format!("{at}.{name}") };
                kinds(one, &at, all);
            }
        }
        _ => {}
    }
}

fn kinds_of<'a>(values: impl IntoIterator<Item = &'a Value>) -> Kinds {
    let mut all = Kinds::new();
    values.into_iter().for_each(|value| kinds(value, "", &mut all));
    all
}

fn assert_within(seen: &Kinds, known: &Kinds, more: &[(&str, &str)]) {
    for (at, kinds) in seen {
        for kind in kinds {
            let documented = known.get(at).is_some_and(|known| known.contains(kind));
            assert!(documented || more.contains(&(at, kind)), "`{at}` as a {kind} stands in no example");
        }
    }
}

#[tokio::test]
async fn agent_chat_is_as_the_vendors_examples_are() {
    let (Some(examples), Some(fixtures)) = (spec("va-bot-examples.json"), spec("fixtures.json")) else {
        return;
    };
    let examples = examples["examples"].as_array().expect("examples").clone();
    let requests = fixtures["variant_U"]["requests"].as_object().expect("requests");
    let known =
        kinds_of(examples.iter().map(|it| &it["request"]).chain(requests.values().map(|it| &it["body"])));
    let webhooks = fixtures["variant_U"]["webhooks"].as_object().expect("webhooks");
    let answers = examples.iter().map(|it| &it["webhook_or_answer"]);
    let told = kinds_of(answers.chain(webhooks.values().map(|it| &it["body"])));

    let mut seen = Vec::new();
    for start in ["live_agent_only", "two_step", "utterance"] {
        let world = Chatting::new(json!({ "start": start, "app_inbound_id": "a" })).await;
        let (session, chat) = world.talking().await;
        world.tell(&line(5, "hello"), Some(session.clone())).await;
        world
            .agent
            .aside(&open().conversation, Some(session.clone()), &interline_connector::Aside::Typing(true))
            .await;
        let receipt = interline_connector::Aside::Receipt {
            mark: interline_connector::channel::Mark::Delivered,
            seq: Seq(1),
            remote_id: Some("54620000000000000000000000000077".into()),
        };
        world.agent.aside(&open().conversation, Some(session.clone()), &receipt).await;
        world.act(&chat, Act::say("hi")).await;
        world.act(&chat, Act::Type { on: true }).await;
        world.act(&chat, Act::Transfer { to: "Robin".into() }).await;
        world.tell(&close(9, Outcome::CustomerEnded), Some(session)).await;
        assert_eq!(world.sim.complaints(), Vec::<String>::new());
        seen.extend(world.desk().log().all());
    }
    let bodies = |direction: Direction| {
        let of = seen.iter().filter(move |it| it.direction == direction);
        of.filter(|it| it.direction == Direction::Out || it.path.starts_with(Chatting::PATH))
            .map(|it| &it.body)
    };
    // Documented in the field table and in no example.
    assert_within(
        &kinds_of(bodies(Direction::In)),
        &known,
        &[("appInboundId", "string"), ("message.attachment", "object")],
    );
    // What it repeats of a request is ours.
    let repeated = kinds_of(bodies(Direction::In));
    let mut told = told;
    told.extend(repeated.into_iter().filter(|(at, _)| at.starts_with("message")));
    assert_within(&kinds_of(bodies(Direction::Out)), &told, &[]);
}

#[tokio::test]
async fn every_example_of_a_call_is_understood() {
    let Some(fixtures) = spec("fixtures.json") else { return };
    let ours = json!({ "tenant": APP, "handoff": HANDLE });
    let world = Chatting::new(json!({})).await;
    for (name, expected) in [
        ("connecting", "queued"),
        ("queued", "queued"),
        ("accepted", "queued joined/Agent One"),
        ("agent_text", "queued joined/Agent One 54620000000000000000000000000077"),
        ("typing_start", "queued typing"),
        ("typing_stop", "queued typing"),
        ("ended_by_agent", "ended"),
        ("ended_by_user", "ended"),
        ("no_agents", "failed"),
        ("take_control", "ended"),
    ] {
        let Some(mut body) = fixtures["variant_U"]["webhooks"].get(name).map(|it| it["body"].clone()) else {
            panic!("there is no fixture {name}");
        };
        body["clientVariables"] = ours.clone();
        // Each as the first that a new process sees.
        let agent = build(&ServiceNow, world.settings.clone(), &world.public.url, &[]).expect("settings");
        let mut headers = HeaderMap::new();
        headers.insert("x-interline-key", "caller-secret-0123456789".parse().expect("a header"));
        let request = unverified(Method::POST, headers, body.to_string().into(), true);
        let heard = agent.receive(&request).expect("proven").heard;
        let ids: Vec<String> = heard
            .into_iter()
            .map(|heard| match heard {
                Heard::Event { external_id, .. } => external_id.unwrap_or_default(),
                Heard::Typing { .. } => "typing".to_owned(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(ids.join(" "), expected, "{name}");
    }
}

#[tokio::test]
async fn connect_support_is_as_the_fixtures_are() {
    let Some(fixtures) = spec("fixtures.json") else { return };
    let known = &fixtures["variant_T"];
    let world = World::with(Connect::default(), &ServiceNowTokyo, json!({ "poll_ms": 60_000 })).await;
    let mut session = Session::start(world.agent.clone(), world.platform.clone(), None);
    session.tell(open()).await.expect("opened");
    let chat = world.chat().await;
    world.act(&chat, Act::Accept { agent: None }).await;
    world.act(&chat, Act::say("Hello & welcome")).await;
    let log = world.desk().log().all();
    let opened = log.iter().find(|it| it.path.ends_with("/sessions")).expect("the Open");
    assert_within(&kinds_of([&opened.body]), &kinds_of([&known["create_session"]["request"]]), &[]);
    let told = log.iter().filter(|it| it.direction == Direction::Out).map(|it| &it.body);
    assert_within(&kinds_of(told), &kinds_of([&known["webhook"]["body"]]), &[]);
    // What the stand-in answers is what the fixture shows.
    let url = world.served.at(&format!("/api/now/connect/support/sessions?group_id={chat}"));
    let call = reqwest::Client::new().get(url).basic_auth("interline.user", Some("basic-password-1"));
    let entry: Value = call.send().await.expect("an answer").json().await.expect("JSON");
    let fixture = kinds_of([&known["create_session"]["response"]["result"]]);
    assert_within(&kinds_of([&entry["result"][0]]), &fixture, &[]);
}
