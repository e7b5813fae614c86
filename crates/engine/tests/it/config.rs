//! Apps as documents: put in force, refused, changed while people talk, and found again by the next process.

use interline_connector::Http;
use interline_connector::channel::Host as _;
use interline_engine::Apps;
use interline_engine::config::{Changed, Document, Origin, Refused};
use serde_json::{Value, json};

use crate::shop::{
    Shop, asks_for_a_human, changed, edit, edit_by_api, in_force, paths, talking, they_understand_each_other,
};
use crate::world::{each_alone, until};

#[test]
fn a_document_is_served_at_once_and_by_the_next_process() {
    each_alone("config_served", async |world| {
        let shop = Shop::open(world).await;
        let node = shop.start().await;
        assert!(node.engine.apps().ids().is_empty() && node.engine.app(&node.app).is_none());
        assert_eq!(shop.apply(&node).await, Ok(Changed { version: 1, new: true }));
        assert_eq!(node.engine.apps().ids(), std::slice::from_ref(&node.app));
        assert_eq!(node.engine.app(&node.app).unwrap().name, "Shop");
        let (anna, chat) = talking(&node, &shop.desk, "anna").await;
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "one").await;
        assert_eq!(shop.apply(&node).await, Ok(Changed { version: 1, new: false }), "nothing is new in it");
        let before = in_force(&node);
        shop.kill(node).await;
        let node = shop.start().await;
        assert_eq!(in_force(&node), before);
        assert_eq!(node.engine.apps().get(&node.app).unwrap().version, 1);
        assert_eq!(shop.apply(&node).await, Ok(Changed { version: 1, new: false }));
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "two").await;
        shop.desk.end(&chat).await.unwrap();
        node.until_seen(&anna, "left").await;
        node.engine.stop().await;
    });
}

#[test]
fn the_same_content_has_the_same_version() {
    each_alone("config_version", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let rename = |name: &'static str| edit_by_api(&node, move |value| value["app"]["name"] = json!(name));
        assert_eq!(rename("Two").await, Ok(Changed { version: 2, new: true }));
        assert_eq!(rename("Three").await, Ok(Changed { version: 3, new: true }));
        assert_eq!(rename("Shop").await, Ok(Changed { version: 1, new: true }), "back to the first");
        assert_eq!(rename("Shop").await, Ok(Changed { version: 1, new: false }));
        assert_eq!(node.engine.app(&node.app).unwrap().name, "Shop");
        node.engine.stop().await;
    });
}

#[test]
fn who_was_not_looking_at_what_is_in_force_is_told_so() {
    each_alone("config_conflict", async |world| {
        let shop = Shop::open(world).await;
        let node = shop.start().await;
        let document = shop.document.clone();
        let too_soon = edit(&node, Origin::Api, Some(1), false, move |value| *value = document).await;
        assert_eq!(too_soon, Err(Refused::Conflict(0)));
        assert!(node.engine.apps().ids().is_empty());
        shop.apply(&node).await.unwrap();
        // Two who both looked at version 1: one of them is told to look again.
        let rename = |name: &'static str| {
            edit(&node, Origin::Api, Some(1), false, move |value| value["app"]["name"] = json!(name))
        };
        let (one, two) = tokio::join!(rename("One"), rename("Two"));
        let refused = [&one, &two].into_iter().filter(|result| **result == Err(Refused::Conflict(2))).count();
        let name = in_force(&node)["app"]["name"].clone();
        assert!(
            refused == 1 && one.is_ok() == (name == "One") && two.is_ok() == (name == "Two"),
            "{one:?} {two:?}"
        );
        node.engine.stop().await;
    });
}

#[test]
fn no_change_undoes_another() {
    each_alone("config_lost_update", async |world| {
        let (shop, node) = Shop::running(world).await;
        let changes: Vec<_> = (0..16)
            .map(|at| {
                let (apps, app) = (node.engine.apps().clone(), node.app.clone());
                let change = changed(move |value| value["flow"]["nodes"][format!("n{at}")] = says("more"));
                node.handle().spawn(async move { apps.edit(&app, Origin::Api, None, false, change).await })
            })
            .collect();
        for change in changes {
            change.await.unwrap().unwrap();
        }
        // Nor one by another process on the same store.
        let (guard, public) = shop.world.site.clone().unwrap();
        let other = Apps::load(node.store.clone(), Http::new(guard).unwrap(), public, false).await.unwrap();
        let theirs = changed(|value| value["flow"]["nodes"]["theirs"] = says("theirs"));
        other.edit(&node.app, Origin::Api, None, false, theirs).await.unwrap();
        edit_by_api(&node, |value| value["flow"]["nodes"]["ours"] = says("ours")).await.unwrap();
        let nodes = in_force(&node)["flow"]["nodes"].clone();
        for name in (0..16).map(|at| format!("n{at}")).chain(["theirs".into(), "ours".into()]) {
            assert!(nodes[&name].is_object(), "{name} is lost");
        }
        node.engine.stop().await;
    });
}

fn says(text: &str) -> Value {
    json!({ "message": { "text": text } })
}

#[test]
fn every_fault_is_told_at_once_and_nothing_changes() {
    each_alone("config_faults", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let (before, version) = (in_force(&node), node.engine.apps().get(&node.app).unwrap().version);
        let refused = edit_by_api(&node, |value| {
            value["credentials"]["twin"] = value["credentials"]["main"].clone();
            value["credentials"]["main"]["client_secret"] = json!("");
            value["channels"]["fax"] = json!({ "type": "fax" });
            value["channels"]["other"] = json!({ "type": "web", "credentials": ["nobody"] });
            value["channels"]["no name"] = json!({ "type": "web", "credentials": ["main"] });
            value["channels"]["desk"] = json!({ "type": "web", "credentials": ["main"] });
            value["agents"]["odd"] = json!({ "type": "pigeons" });
            value["agents"]["spare"]["opening_ms"] = json!(5);
            value["agents"]["spare"]["credential"] = json!("main");
            value["default_agent"] = json!("nobody");
            value["channel_agents"] = json!({ "web": "nobody", "phone": "spare" });
            value["flow"]["otherwise"] = json!("nowhere");
            value["flow"]["nodes"]["human"]["agent_transfer"]["target"] = json!({ "integration": "nobody" });
        });
        let refused = refused.await.unwrap_err();
        let paths = paths(&refused);
        for path in [
            "credentials.main.client_secret",
            "credentials.twin.client_id",
            "channels.fax.type",
            "channels.other.credentials",
            "channels.no name",
            "agents.desk",
            "agents.odd.type",
            "agents.spare.opening_ms",
            "default_agent",
            "channel_agents.web",
            "channel_agents.phone",
            "flow.otherwise",
            "flow.nodes.human.agent_transfer",
        ] {
            assert!(paths.iter().any(|told| told == path), "{path} is missing in {paths:#?}");
        }
        assert_eq!(in_force(&node), before);
        assert_eq!(node.engine.apps().get(&node.app).unwrap().version, version);
        assert_eq!(node.store.current_app(node.app.as_str()).await.unwrap(), Some(version));
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        node.until_seen(&anna, "bot: echo hello").await;
        // Other shapes of wrong.
        for (path, wrong) in [
            ("app.id", json!({ "app": { "id": "st-01a204dd-17f5-54ae-b94b-cf55b9bf7754" } })),
            ("app.nmae", json!({ "app": { "nmae": "x" } })),
            ("flow.words", json!({ "flow": { "words": "human" } })),
            ("deadlines.idle_ms", json!({ "deadlines": { "idle_ms": -1 } })),
            ("agents.desk.url", json!({ "agents": { "desk": { "url": "not a url" } } })),
        ] {
            let refused = edit_by_api(&node, move |value| overlay(value, wrong)).await.unwrap_err();
            assert_eq!(self::paths(&refused), [path]);
        }
        assert_eq!(in_force(&node), before, "an id neither");
        node.engine.stop().await;
    });
}

fn overlay(value: &mut Value, over: Value) {
    match (value, over) {
        (Value::Object(value), Value::Object(over)) => {
            for (name, over) in over {
                overlay(value.entry(name).or_insert(Value::Null), over);
            }
        }
        (value, over) => *value = over,
    }
}

#[test]
fn a_dry_run_says_the_same_and_changes_nothing() {
    each_alone("config_check", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let before = in_force(&node);
        let apps = node.engine.apps();
        let good = changed(|value| value["app"]["name"] = json!("Other"));
        assert_eq!(apps.check(&node.app, Origin::Api, good).await.unwrap().document.app.name, "Other");
        let bad = changed(|value| value["default_agent"] = json!("nobody"));
        assert_eq!(paths(&apps.check(&node.app, Origin::Api, bad).await.unwrap_err()), ["default_agent"]);
        assert_eq!(in_force(&node), before);
        assert_eq!(node.store.current_app(node.app.as_str()).await.unwrap(), Some(1));
        node.engine.stop().await;
    });
}

#[test]
fn private_addresses_are_an_operators_to_allow() {
    each_alone("config_guard", async |world| {
        let mut shop = Shop::open(world).await;
        let node = shop.start().await;
        let document = shop.document.clone();
        let refused = edit_by_api(&node, move |value| *value = document).await.unwrap_err();
        assert_eq!(paths(&refused), ["agents.desk.url", "agents.spare.url"]);
        assert!(node.engine.apps().ids().is_empty());
        shop.apply(&node).await.unwrap();
        // The file allowed those, and no others.
        edit_by_api(&node, |value| value["agents"]["desk"]["end_notice"] = json!("bye")).await.unwrap();
        for private in
            ["http://127.0.0.1:1/", "http://10.1.2.3/", "http://[::1]:9/", "http://169.254.169.254/"]
        {
            let refused =
                edit_by_api(&node, move |value| value["agents"]["desk"]["url"] = json!(private)).await;
            assert_eq!(paths(&refused.unwrap_err()), ["agents.desk.url"], "{private}");
        }
        edit_by_api(&node, |value| {
            value["agents"]["far"] = json!({ "type": "botkit", "url": "https://botkit.example.com" });
        })
        .await
        .unwrap();
        shop.kill(node).await;
        // Another process was told nothing. What it finds is served, and may be left as it is.
        shop.forget_allowances();
        let node = shop.start().await;
        edit_by_api(&node, |value| value["app"]["name"] = json!("Other")).await.unwrap();
        let touched =
            edit_by_api(&node, |value| value["agents"]["desk"]["end_notice"] = json!("see you")).await;
        assert_eq!(paths(&touched.unwrap_err()), ["agents.desk.url"]);
        // But it is not called.
        let anna = node.customer("anna").await;
        node.say(&anna, "a human please").await;
        node.until_seen(&anna, "bot: All our agents are currently busy. Please try again later.").await;
        assert!(shop.desk.desk().chats().is_empty());
        node.engine.stop().await;
    });
}

#[test]
fn a_change_counts_from_the_next_input_on() {
    each_alone("config_next_input", async |world| {
        let (shop, node) = Shop::running(world).await;
        let anna = node.customer("anna").await;
        node.say(&anna, "one").await;
        let chat = asks_for_a_human(&node, &shop.desk, &anna).await;
        let bob = node.customer("bob").await;
        node.say(&bob, "one").await;
        edit_by_api(&node, |value| {
            value["default_agent"] = json!("spare");
            value["flow"]["nodes"]["echo"]["message"]["text"] = json!("again {{text}}");
            value["flow"]["returned"] = json!("hello");
        })
        .await
        .unwrap();
        // Bob's conversation keeps the flow that it began with; where a human is looked for is of today.
        node.say(&bob, "two").await;
        node.until_seen(&bob, "bot: echo two").await;
        assert_eq!(node.conversations(&bob).await.len(), 1);
        asks_for_a_human(&node, &shop.spare, &bob).await;
        let carl = node.customer("carl").await;
        node.say(&carl, "three").await;
        node.until_seen(&carl, "bot: again three").await;
        // Anna goes on where she is.
        they_understand_each_other(&node, &shop.desk, &anna, &chat, "still here").await;
        shop.desk.end(&chat).await.unwrap();
        node.until_seen(&anna, "left").await;
        asks_for_a_human(&node, &shop.spare, &anna).await;
        assert_eq!(shop.desk.desk().chats().len(), 1);
        node.engine.stop().await;
    });
}

#[test]
fn a_channel_has_its_own_agent_system() {
    each_alone("config_channel", async |world| {
        let (shop, node) = Shop::running(world).await;
        edit_by_api(&node, |value| value["channel_agents"] = json!({ "web": "spare" })).await.unwrap();
        let (anna, _) = talking(&node, &shop.spare, "anna").await;
        // Another channel: the default's.
        edit_by_api(&node, |value| {
            value["channels"]["shop"] = value["channels"]["web"].clone();
        })
        .await
        .unwrap();
        let (engine, app) = (node.engine.clone(), node.app.clone());
        let other =
            node.on(async move { engine.customer(&app, &"shop".into(), "anna").await.unwrap() }).await;
        assert_ne!(other.id, anna.id);
        asks_for_a_human(&node, &shop.desk, &other).await;
        // What a node names comes before both.
        edit_by_api(&node, |value| {
            value["flow"]["nodes"]["human"]["agent_transfer"]["target"] = json!({ "integration": "desk" });
        })
        .await
        .unwrap();
        talking(&node, &shop.desk, "bob").await;
        node.engine.stop().await;
    });
}

#[test]
fn changes_under_load_lose_no_line() {
    each_alone("config_load", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let talkers: Vec<_> = (0..4)
            .map(|who| {
                let (engine, app) = (node.engine.clone(), node.app.clone());
                node.handle().spawn(async move {
                    use interline_connector::channel::{Said, What};
                    let customer = engine.customer(&app, &"web".into(), &format!("c{who}")).await.unwrap();
                    for at in 0..50 {
                        let what = What::Text(interline_core::conversation::entry::Text::plain(format!(
                            "line {at}"
                        )));
                        engine.hear(&app, &customer, Said { external_id: None, what }).await.unwrap();
                    }
                    customer
                })
            })
            .collect();
        for at in 0..20 {
            edit_by_api(&node, move |value| {
                value["flow"]["nodes"]["echo"]["message"]["text"] = json!(format!("{at} {{{{text}}}}"));
            })
            .await
            .unwrap();
        }
        for talker in talkers {
            let customer = talker.await.unwrap();
            let seen = node.seen(&customer).await;
            for at in 0..50 {
                let answers = seen
                    .iter()
                    .filter(|line| line.starts_with("bot: ") && line.ends_with(&format!(" line {at}")));
                assert_eq!(answers.count(), 1, "line {at}");
            }
        }
        node.engine.stop().await;
    });
}

#[test]
fn what_cannot_be_served_keeps_nobody_else_from_it() {
    each_alone("config_broken", async |world| {
        let (shop, node) = Shop::running(world).await;
        let theirs = |name: &[u8]| format!("st-{}", uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, name));
        let (odd, garbage, old) = (theirs(b"odd"), theirs(b"garbage"), theirs(b"old"));
        let mut document = shop.document.clone();
        document["app"]["id"] = json!(odd);
        document["agents"]["pigeons"] = json!({ "type": "pigeons", "loft": 3 });
        let core = serde_json::to_value(&*node.engine.apps().get(&node.app).unwrap().app).unwrap();
        let stored = json!({ "document": document, "retired": {}, "core": core });
        node.store.put_app(&odd, &stored.to_string()).await.unwrap();
        node.store.put_app(&garbage, "{").await.unwrap();
        node.store.put_app(&old, &core.to_string()).await.unwrap();
        shop.kill(node).await;
        let node = shop.start().await;
        assert_eq!(node.engine.apps().ids(), std::slice::from_ref(&node.app));
        let anna = node.customer("anna").await;
        node.say(&anna, "hello").await;
        node.until_seen(&anna, "bot: echo hello").await;
        // They come back with a document that is right; secrets that were stored can be kept.
        let (apps, id) = (node.engine.apps().clone(), odd.as_str().into());
        let repaired = apps.edit(&id, Origin::Operator, Some(1), false, |draft| {
            let mut value = interline_engine::config::masked(&draft.as_ref().unwrap().document);
            value["agents"].as_object_mut().unwrap().remove("pigeons");
            let next = Document::from_json(value).unwrap();
            let mut draft = draft.unwrap();
            draft.document = interline_engine::config::merge(Some(&draft.document), next, true)
                .map_err(Refused::Invalid)?;
            Ok(draft)
        });
        assert_eq!(repaired.await, Ok(Changed { version: 2, new: true }));
        let secret = apps.draft(&id).unwrap().document.credentials["main"].client_secret.clone();
        assert_eq!(secret.expose(), crate::shop::SECRET);
        for broken in [garbage, old] {
            let mut whole = shop.document.clone();
            whole["app"]["id"] = json!(broken);
            let id = broken.as_str().into();
            apps.edit(&id, Origin::Operator, None, false, changed(|value| *value = whole)).await.unwrap();
            assert!(node.engine.app(&id).is_some());
        }
        node.engine.stop().await;
    });
}

#[test]
fn an_app_keeps_its_id_and_has_the_shape_of_one() {
    each_alone("config_id", async |world| {
        let shop = Shop::open(world).await;
        let node = shop.start().await;
        for id in
            ["st-x", "st-01A204DD-17F5-54AE-B94B-CF55B9BF7754", "st-01a204dd-17f5-74ae-b94b-cf55b9bf7754"]
        {
            let mut document = shop.document.clone();
            document["app"]["id"] = json!(id);
            let apps = node.engine.apps();
            let (name, change) = (id.into(), changed(|value| *value = document));
            let refused = apps.edit(&name, Origin::Operator, None, false, change).await.unwrap_err();
            assert!(paths(&refused).contains(&"app.id".to_owned()), "{id}");
        }
        assert!(node.engine.apps().ids().is_empty());
        assert!(node.store.apps().await.unwrap().is_empty(), "nothing was stored");
        node.engine.stop().await;
    });
}

#[test]
fn a_probe_tells_whether_it_would_work() {
    each_alone("config_probe", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let probe = async |name: &'static str| {
            let (engine, app) = (node.engine.clone(), node.app.clone());
            node.on(async move { engine.probe(&app, name).await }).await
        };
        assert_eq!(probe("desk").await, Some(Ok(())));
        assert_eq!(probe("nobody").await, None);
        edit_by_api(&node, |value| {
            value["credentials"]["main"]["client_secret"] = json!("another secret, long enough to be one");
        })
        .await
        .unwrap();
        let refused = until("an answer", async || probe("desk").await).await.unwrap_err();
        assert!(!refused.contains("another secret"), "{refused}");
        node.engine.stop().await;
    });
}

#[test]
fn a_channel_takes_credentials_of_its_own_scope() {
    each_alone("config_scopes", async |world| {
        let (_shop, node) = Shop::running(world).await;
        for (kind, scopes, taken) in [
            ("ivr", json!(["ivr"]), true),
            ("ivr", json!(["web"]), true),
            ("ivr", json!(["webhook"]), false),
            ("ivr", json!(["botkit"]), false),
            ("webhook", json!(["webhook", "ivr"]), true),
            ("webhook", json!(["web"]), true),
            ("webhook", json!(["ivr"]), false),
            ("web", json!(["web"]), true),
            ("web", json!(["ivr", "webhook", "botkit"]), false),
            ("web", json!([]), false),
        ] {
            let of_it = scopes.clone();
            let done = edit_by_api(&node, move |value| {
                value["credentials"]["line"] = json!({
                    "client_id": "cs-line", "client_secret": "0123456789abcdef", "scopes": of_it });
                value["channels"]["line"] = json!({ "type": kind, "credentials": ["line"] });
            });
            match done.await {
                Ok(_) => {
                    assert!(taken, "{kind} {scopes}");
                    let runtime = node.engine.apps().get(&node.app).unwrap();
                    assert!(runtime.channel_app.credentials.contains_key("line"), "{kind} {scopes}");
                }
                Err(refused) => {
                    assert!(!taken, "{kind} {scopes}: {refused}");
                    // A second one for BotKits makes it unclear which theirs is, and is told of, too.
                    assert_eq!(paths(&refused)[0], "channels.line.credentials");
                    let told = refused.to_string();
                    assert!(told.contains(&format!("`line` has not the scope `{kind}`")), "{told}");
                    assert!(!told.contains("0123456789abcdef"));
                }
            }
        }
        node.engine.stop().await;
    });
}
