//! Flows through the engine: scripts, APIs, external bots, what conversations keep, what is counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use axum::Router;
use axum::extract::State as With;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::any;
use interline_connector::bot::Asked;
use interline_connector::{Bot, Cause, Failure};
use interline_core::conversation::entry::Note;
use interline_core::conversation::facts::Facts;
use interline_core::flow::script::{Answer, Call, Fault, Why};
use interline_core::flow::work::{Reply, Then};
use interline_core::transfer::Reason;
use interline_core::{Entry, Input, State, Time, try_step};
use interline_engine::{Period, Scripts};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::fake::Fake;
use crate::shop::{Shop, edit_by_api};
use crate::world::{World, each, each_alone, until};

/// A stand-in for scripts: the source says what comes of it, as JSON.
#[derive(Default)]
struct Scripted(AtomicUsize);

#[async_trait]
impl Scripts for Scripted {
    async fn run(&self, call: Call) -> Answer {
        let no = self.0.fetch_add(1, Ordering::Relaxed);
        match serde_json::from_str::<Value>(&call.source) {
            // Never the same twice: what counts is what was stored.
            Ok(mut done) => {
                done["value"] = json!(format!("run {no}"));
                Answer::Done(serde_json::from_value(done).unwrap())
            }
            Err(_) => Answer::Failed(Fault {
                flow: call.flow,
                node: call.node,
                line: Some(2),
                why: Why::Threw,
                message: "it threw".into(),
            }),
        }
    }
}

#[derive(Deserialize)]
struct Recorded {
    now: Time,
    seed: u64,
    inputs: Vec<Input>,
    #[serde(default)]
    answers: Vec<Answer>,
}

#[test]
fn scripts_run_once_and_their_answers_are_the_replay() {
    each("flow_scripts", async |mut world| {
        let scripts = Arc::new(Scripted::default());
        world.scripts = scripts.clone();
        let set = json!({ "variables": { "tier": { "put": "gold" } }, "effects": [{ "set": "queue", "queue": "vip" }] });
        let world = world.agent("desk", Fake::by_key()).flow(json!({
            "start": "set", "otherwise": "twice",
            "nodes": {
                "set": { "script": { "source": set.to_string(), "result": "first", "next": "hello" } },
                "hello": { "message": { "text": "{{context.first}} {{context.tier}}" } },
                "twice": { "script": { "source": "{}", "result": "a", "next": "again" } },
                "again": { "script": { "source": "{}", "result": "b", "next": "said" } },
                "said": { "message": { "text": "{{context.a}} and {{context.b}}", "next": "bad" } },
                "bad": { "script": { "source": "fail", "next": "said", "on_error": { "message": "sorry", "go_to": "human" } } },
                "human": { "agent_transfer": {} } } }));
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.hear(&anna, None, interline_connector::channel::What::Connected).await;
        node.say(&anna, "hi").await;
        assert_eq!(
            node.seen(&anna).await[..5],
            ["opened", "bot: run 0 gold", "customer: hi", "bot: run 1 and run 2", "bot: sorry"]
        );
        assert_eq!(scripts.0.load(Ordering::Relaxed), 4);
        let why = node.notes(&anna).await.into_iter().find_map(|note| match note {
            Note::FlowFailed { place, why } => Some(format!("{}: {why}", place.node)),
            _ => None,
        });
        assert_eq!(why.as_deref(), Some("bad: flow main, node bad, line 2: it threw"));
        let state = node.state(&anna).await;
        let transfer = state.transfer.as_ref().unwrap();
        assert_eq!(transfer.rung.as_ref().unwrap().target.queue.as_deref(), Some("vip"));
        // Replayed from the inbox alone, once nothing comes any more.
        node.until_seen(&anna, "joined").await;
        let conversation = node.conversation(&anna).await;
        let inbox = node.store.replay(node.app.as_str(), &conversation).await.unwrap();
        let mut state = State::new(world.app.id.clone(), conversation.as_str().into(), anna.clone());
        let mut entries: Vec<Entry> = Vec::new();
        for row in inbox {
            let recorded: Recorded = serde_json::from_str(&row.doc).unwrap();
            let mut used = 0;
            for input in &recorded.inputs {
                let answers = &recorded.answers[used..];
                let stepped =
                    try_step(&world.app, &state, input, answers, recorded.now, recorded.seed).unwrap();
                used += stepped.answers;
                state = stepped.state;
                entries.extend(stepped.entries);
            }
        }
        assert_eq!(entries, node.log(&anna).await);
        assert_eq!(state, node.state(&anna).await);
        node.engine.stop().await;
    });
}

/// What an API does with a request: by its path.
async fn api(
    With(seen): With<Arc<Mutex<Vec<String>>>>,
    headers: HeaderMap,
    uri: axum::http::Uri,
    body: String,
) -> Response {
    let auth =
        headers.get("authorization").map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default();
    seen.lock().unwrap().push(format!("{uri} {auth} {body}"));
    match uri.path() {
        "/order" => axum::Json(json!({ "order": { "state": "shipped" } })).into_response(),
        "/broken" => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
        "/redirect" => {
            (StatusCode::FOUND, [(header::LOCATION, "http://169.254.169.254/latest")]).into_response()
        }
        "/hangs" => std::future::pending().await,
        "/large" => "x".repeat(50 * 1024 * 1024).into_response(),
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn serve_api() -> (String, Arc<Mutex<Vec<String>>>) {
    let seen: Arc<Mutex<Vec<String>>> = Arc::default();
    let router = Router::new().fallback(any(api)).with_state(seen.clone());
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, router).await });
    (url, seen)
}

fn asks(world: World, url: &str) -> World {
    let mut world = world;
    world.app.env.insert("token".into(), "s3cret".into());
    world.flow(json!({
        "start": "ask", "otherwise": "ask",
        "nodes": {
            "ask": { "api": {
                "request": { "method": "POST", "url": format!("{url}/{{{{text}}}}"),
                    "headers": { "Authorization": "Bearer {{env.token}}" }, "body": { "q": "{{text}}" } },
                "sets": { "state": "/order/state" }, "success": "yes", "failure": "no" } },
            "yes": { "message": { "text": "It is {{context.state}}" } },
            "no": { "message": { "text": "It did not work" } } } }))
}

#[test]
fn an_api_is_asked_and_the_flow_goes_on() {
    each("flow_api", async |world| {
        let (url, seen) = serve_api().await;
        let world = asks(world, &url);
        world.guard.allow(&url.parse().unwrap());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "order").await;
        node.until_seen(&anna, "bot: It is shipped").await;
        assert_eq!(seen.lock().unwrap()[0], "/order Bearer s3cret {\"q\":\"order\"}");
        for path in ["broken", "redirect", "nowhere", "large"] {
            let before = node.seen(&anna).await.len();
            node.say(&anna, path).await;
            until(path, async || (node.seen(&anna).await.len() == before + 2).then_some(())).await;
            assert_eq!(node.seen(&anna).await.last().unwrap(), "bot: It did not work", "{path}");
        }
        assert!(!seen.lock().unwrap().iter().any(|seen| seen.contains("latest")), "no redirect is followed");
        let conversation = node.conversation(&anna).await;
        let inbox = node.store.replay(node.app.as_str(), &conversation).await.unwrap();
        let log = serde_json::to_string(&node.log(&anna).await).unwrap();
        assert!(!log.contains("s3cret") && inbox.iter().all(|row| !row.doc.contains("s3cret")));
        node.engine.stop().await;
    });
}

#[test]
fn a_private_address_is_not_asked() {
    each("flow_guard", async |world| {
        let (url, seen) = serve_api().await;
        let node = asks(world, &url).start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "order").await;
        node.until_seen(&anna, "bot: It did not work").await;
        assert!(seen.lock().unwrap().is_empty());
        node.engine.stop().await;
    });
}

#[test]
fn an_api_that_hangs_is_given_up() {
    each("flow_hangs", async |world| {
        let (url, _) = serve_api().await;
        let world = asks(world.faster(20), &url);
        world.guard.allow(&url.parse().unwrap());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hangs").await;
        until("it is given up", async || {
            let seen = node.seen(&anna).await;
            let last = seen.last().unwrap().clone();
            (last == "bot: It did not work" || last.contains("Something went wrong")).then_some(())
        })
        .await;
        node.say(&anna, "order").await;
        node.until_seen(&anna, "bot: It is shipped").await;
        node.engine.stop().await;
    });
}

#[test]
fn a_request_that_was_under_way_is_not_repeated_after_a_crash() {
    each("flow_crash", async |world| {
        let (url, seen) = serve_api().await;
        let world = asks(world, &url);
        world.guard.allow(&url.parse().unwrap());
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "hangs").await;
        until("it is asked", async || (!seen.lock().unwrap().is_empty()).then_some(())).await;
        node.kill().await;
        let node = world.start().await;
        node.until_seen(&anna, "bot: It did not work").await;
        assert_eq!(seen.lock().unwrap().len(), 1);
        node.engine.stop().await;
    });
}

/// A bot that hands over at "human".
struct Clever(Mutex<Vec<Asked>>);

#[async_trait]
impl Bot for Clever {
    async fn turn(&self, asked: &Asked) -> Result<Reply, Failure> {
        self.0.lock().unwrap().push(asked.clone());
        let text = asked.turn.text.clone().unwrap_or_default();
        match text.as_str() {
            "human" => {
                Ok(Reply { then: Then::Transfer { reason: Some("asked for".into()) }, ..Reply::default() })
            }
            "break" => Err(Failure::Bug(Cause::new(Reason::VendorError, "broken"))),
            text => Ok(Reply { says: vec![format!("clever {text}")], ..Reply::default() }),
        }
    }

    async fn probe(&self) -> Result<(), String> {
        Ok(())
    }
}

#[test]
fn an_external_bot_talks_hands_over_and_talks_again() {
    each("flow_bot", async |world| {
        let (desk, clever) = (Fake::by_key(), Arc::new(Clever(Mutex::default())));
        let world = world.agent("desk", desk.clone()).bot("clever", clever.clone()).flow(json!({
            "start": "bot",
            "nodes": {
                "bot": { "automation": { "bot": "clever", "message": "Hello", "on_agent_transfer": "human",
                    "on_error": { "message": "I am broken", "go_to": "human" } } },
                "human": { "agent_transfer": { "data": { "why": "{{context.transferReason}}" }, "returned": "bot" } } } }));
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.hear(&anna, None, interline_connector::channel::What::Connected).await;
        node.say(&anna, "hi").await;
        node.until_seen(&anna, "bot: clever hi").await;
        node.say(&anna, "human").await;
        desk.until_got("open").await;
        let state = node.state(&anna).await;
        assert_eq!(state.transfer.unwrap().data["why"], "asked for");
        let conversation = node.conversation(&anna).await;
        let ended = interline_core::conversation::input::AgentEvent::Ended { tag: None };
        let no = node.state(&anna).await.transfer.unwrap().rung.unwrap().participant.0;
        node.webhook("fake", crate::fake::event(&conversation, no, None, &ended)).await;
        node.say(&anna, "back").await;
        node.until_seen(&anna, "bot: clever back").await;
        let asked = clever.0.lock().unwrap().last().cloned().unwrap();
        assert_eq!(asked.turn.human_part_over.as_deref(), Some("agent_ended"));
        assert!(asked.before.iter().any(|entry| entry.text().is_some_and(|text| text.text == "clever hi")));
        node.say(&anna, "break").await;
        node.until_seen(&anna, "bot: I am broken").await;
        node.engine.stop().await;
    });
}

#[test]
fn what_is_counted_stands_in_the_commit_that_makes_it() {
    each("flow_facts", async |world| {
        let desk = Fake::by_key();
        let node = world.agent("desk", desk.clone()).start().await;
        let period = Period { from: 0, before: i64::MAX, channel: None };
        let facts = async |who| -> Facts {
            let doc = node.store.facts_of(node.app.as_str(), &node.conversation(who).await).await.unwrap();
            serde_json::from_str(&doc.unwrap()).unwrap()
        };
        let (anna, berta) = (node.customer("anna").await, node.customer("berta").await);
        node.say(&anna, "hello").await;
        node.say(&berta, "hello").await;
        node.say(&anna, "human").await;
        desk.until_got("open").await;
        until("it is accepted", async || (facts(&anna).await.accepted == 1).then_some(())).await;
        let found = facts(&anna).await;
        assert_eq!((found.reached, found.interactive, found.failed), (1, true, 0));
        node.say(&berta, "bye").await;
        let sums = node.engine.containment(&node.app, &period).await.unwrap();
        let by = |label: &str| {
            sums.labels.iter().find(|sum| sum.label == label).map_or(0, |sum| sum.conversations)
        };
        assert_eq!((by("agent"), by("selfService"), by("dropOff")), (1, 1, 0));
        assert_eq!(sums.closed_by.len(), 1);
        assert_eq!((sums.closed_by[0].word.as_str(), sums.closed_by[0].conversations), ("bot", 1));
        let tasks = node.engine.task_report(&node.app, &period, false).await.unwrap();
        assert!(tasks.iter().any(|task| task.task == "end" && task.done), "{tasks:?}");
        // Berta comes back within a day.
        node.say(&berta, "hello").await;
        assert!(node.state(&berta).await.customer.connection.returns);
        let sums = node.engine.containment(&node.app, &period).await.unwrap();
        assert_eq!(sums.labels.iter().map(|sum| sum.recontacts).sum::<i64>(), 1);
        assert_eq!(sums.labels.iter().map(|sum| sum.conversations).sum::<i64>(), 3);
        node.engine.stop().await;
    });
}

#[test]
fn a_failed_transfer_is_visible_whatever_the_label() {
    each("flow_failed", async |world| {
        let node = world.start().await;
        let anna = node.customer("anna").await;
        node.say(&anna, "human").await;
        let period = Period { from: 0, before: i64::MAX, channel: None };
        let sums = node.engine.containment(&node.app, &period).await.unwrap();
        assert_eq!((sums.labels[0].label.as_str(), sums.labels[0].failed), ("agent", 1));
        assert_eq!((sums.failures[0].word.as_str(), sums.failures[0].conversations), ("unconfigured", 1));
        node.engine.stop().await;
    });
}

#[test]
fn a_conversation_keeps_the_flows_that_it_began_with() {
    each_alone("flow_kept", async |world| {
        let (shop, node) = Shop::running(world).await;
        let anna = node.customer("anna").await;
        node.say(&anna, "one").await;
        edit_by_api(&node, |value| value["flow"]["nodes"]["echo"]["message"]["text"] = json!("new {{text}}"))
            .await
            .unwrap();
        node.say(&anna, "two").await;
        let berta = node.customer("berta").await;
        node.say(&berta, "three").await;
        node.until_seen(&anna, "bot: echo two").await;
        node.until_seen(&berta, "bot: new three").await;
        shop.kill(node).await;
        let node = shop.start().await;
        node.say(&anna, "four").await;
        node.until_seen(&anna, "bot: echo four").await;
        let flow = "main".into();
        let versions = node.engine.apps().flow_versions(&node.app, &flow, i64::MAX, 10).await.unwrap();
        assert_eq!(versions.iter().map(|version| version.version).collect::<Vec<_>>(), [2, 1]);
        node.engine.apps().restore_flow(&node.app, &flow, 1, "ann").await.unwrap();
        let carla = node.customer("carla").await;
        node.say(&carla, "five").await;
        node.until_seen(&carla, "bot: echo five").await;
        node.engine.stop().await;
    });
}

#[test]
fn flows_that_no_conversation_keeps_are_deleted() {
    each_alone("flow_sets", async |world| {
        // Looked at twice a second.
        let (_shop, node) = Shop::running(world.faster(1_200)).await;
        let (anna, berta) = (node.customer("anna").await, node.customer("berta").await);
        node.say(&anna, "one").await;
        let sets = async || node.store.flow_sets(node.app.as_str()).await.unwrap();
        let edit = |text: &'static str| {
            edit_by_api(&node, move |value| value["flow"]["nodes"]["echo"]["message"]["text"] = json!(text))
        };
        let first = sets().await;
        edit("second {{text}}").await.unwrap();
        let both = sets().await;
        edit("third {{text}}").await.unwrap();
        node.say(&berta, "two").await;
        assert_eq!((first.len(), both.len(), sets().await.len()), (1, 2, 3));
        // Nobody began with the second; Anna keeps the first.
        until("the second is deleted", async || (sets().await.len() == 2).then_some(())).await;
        assert!(sets().await.contains(&first[0]));
        node.say(&anna, "three").await;
        node.until_seen(&anna, "bot: echo three").await;
        node.say(&anna, "bye").await;
        until("the first is deleted", async || (sets().await.len() == 1).then_some(())).await;
        node.say(&berta, "four").await;
        node.until_seen(&berta, "bot: third four").await;
        node.engine.stop().await;
    });
}

#[test]
fn a_deleted_agent_system_is_taken_out_of_drafts_and_a_restored_version_is_judged_anew() {
    each_alone("flow_deleted", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let named = json!({ "start": "t", "nodes": { "t": { "agent_transfer": { "target": { "integration": "spare" } } } } });
        let named: interline_core::flow::Flow = serde_json::from_value(named).unwrap();
        let (apps, flow) = (node.engine.apps(), "support".into());
        apps.publish_flow(&node.app, &flow, &named, "ann").await.unwrap();
        apps.put_flow_draft(&node.app, &flow, &named, "ann", None).await.unwrap();
        let deleted = apps.delete_integration(&node.app, &"spare".into(), None, None, None).await.unwrap();
        assert_eq!(deleted.named_in, ["flows.support.nodes.t", "drafts.support.nodes.t"]);
        let draft = apps.flow_draft(&node.app, &flow).await.unwrap().unwrap();
        assert!(!draft.doc.contains("spare"));
        let restored = apps.restore_flow(&node.app, &flow, 1, "ann").await;
        assert!(matches!(restored, Err(interline_engine::config::FlowRefused::Faults(_))), "{restored:?}");
        node.engine.stop().await;
    });
}
