//! Secrets in documents: kept when masked, asked for when missing, and in no error, no debug output, no file.

use interline_engine::config::{Document, KEPT, Refused, differences, masked, merge};
use serde_json::{Value, json};

use crate::shop::{CLIENT, SECRET, Shop, changed, edit_by_api, in_force, paths};
use crate::world::{each_alone, until};

fn hides(text: &str, secret: &str) {
    assert!(!text.contains(secret), "it shows the secret: {text}");
}

#[test]
fn a_masked_secret_is_kept_and_a_new_one_counts() {
    each_alone("secrets_kept", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let document = || node.engine.apps().draft(&node.app).unwrap().document;
        let shown = masked(&document());
        assert_eq!(shown["credentials"]["main"]["client_secret"], KEPT);
        hides(&shown.to_string(), SECRET);
        // As the API does it: what was shown comes back, with another name for the shop.
        let sent_back = |change: fn(&mut Value)| {
            let mut next = shown.clone();
            change(&mut next);
            let next = merge(Some(&document()), Document::from_json(next).unwrap(), true).unwrap();
            edit_by_api(&node, move |value| *value = next.to_json())
        };
        sent_back(|value| value["app"]["name"] = json!("Other")).await.unwrap();
        assert_eq!(in_force(&node)["credentials"]["main"]["client_secret"], SECRET);
        sent_back(|value| value["credentials"]["main"]["client_secret"] = json!("a new one")).await.unwrap();
        assert_eq!(in_force(&node)["credentials"]["main"]["client_secret"], "a new one");
        // Under another name there is none to keep.
        let mut next = shown.clone();
        next["credentials"]["more"] = next["credentials"]["main"].clone();
        let missing = merge(Some(&document()), Document::from_json(next).unwrap(), true).unwrap_err();
        assert_eq!(paths(&Refused::Invalid(missing)), ["credentials.more.client_secret"]);
        let told = serde_json::to_string(&differences(None, &document())).unwrap();
        hides(&told, "a new one");
        node.engine.stop().await;
    });
}

#[test]
fn no_error_and_no_debug_output_shows_one() {
    each_alone("secrets_shown", async |world| {
        let (_shop, node) = Shop::running(world).await;
        let draft = node.engine.apps().draft(&node.app).unwrap();
        hides(&format!("{draft:?}"), SECRET);
        hides(&format!("{:?}", node.engine.apps().get(&node.app).unwrap().channel_app), SECRET);
        // It stands on the wrong line.
        let wrong: [fn(&mut Value); 14] = [
            |value| value["credentials"]["main"]["client_secret"] = json!({ SECRET: SECRET }),
            |value| value["credentials"]["main"]["client_secret"] = json!([SECRET]),
            |value| value["credentials"]["main"]["algorithm"] = json!(SECRET),
            |value| value["credentials"]["main"]["scopes"] = json!(SECRET),
            |value| value["credentials"]["main"]["scopes"] = json!([SECRET]),
            |value| value["credentials"]["main"] = json!(SECRET),
            |value| value["app"]["retention_days"] = json!(SECRET),
            |value| value["deadlines"]["idle_ms"] = json!(SECRET),
            |value| value["agents"]["desk"]["send_apikey"] = json!(SECRET),
            |value| value["agents"]["desk"]["opening_ms"] = json!(SECRET),
            |value| value["agents"]["desk"]["hold_policy"] = json!(SECRET),
            |value| value["agents"]["desk"]["url"] = json!(SECRET),
            |value| value["agents"]["desk"]["subscribe"] = json!([SECRET]),
            |value| value["channels"]["web"]["anonymous"] = json!(SECRET),
        ];
        for (at, change) in wrong.into_iter().enumerate() {
            let refused = edit_by_api(&node, change).await.unwrap_err();
            hides(&format!("{at}: {refused} {refused:?}"), SECRET);
        }
        // One that YAML takes for a number or a truth.
        for number in [json!(8_675_309_000_i64), json!(8_675_309.5), json!(true)] {
            let text = number.to_string();
            let change = move |value: &mut Value| value["credentials"]["main"]["client_secret"] = number;
            let refused = edit_by_api(&node, change).await.unwrap_err();
            assert_eq!(paths(&refused), ["credentials.main.client_secret"]);
            hides(&format!("{refused} {refused:?}"), &text);
        }
        assert_eq!(in_force(&node)["credentials"]["main"]["client_secret"], SECRET, "nothing changed");
        let twice = changed(|value| {
            value["credentials"]["more"] =
                json!({ "client_id": CLIENT, "client_secret": "another one", "scopes": ["web"] });
        });
        let refused = node
            .engine
            .apps()
            .check(&node.app, interline_engine::config::Origin::Api, twice)
            .await
            .unwrap_err();
        hides(&format!("{refused} {refused:?}"), "another one");
        node.engine.stop().await;
    });
}

#[test]
fn no_file_holds_one() {
    each_alone("secrets_at_rest", async |world| {
        let Some(path) = world.url().strip_prefix("sqlite://").map(str::to_owned) else { return };
        let (shop, node) = Shop::running(world).await;
        edit_by_api(&node, |value| value["app"]["name"] = json!("Unmistakable")).await.unwrap();
        node.engine.clone().stop().await;
        shop.kill(node).await;
        let files: Vec<Vec<u8>> = until("its files", async || {
            let all = ["", "-wal"].iter().filter_map(|end| std::fs::read(format!("{path}{end}")).ok());
            Some(all.collect::<Vec<_>>()).filter(|files| !files.is_empty())
        })
        .await;
        for secret in [SECRET, CLIENT, "Unmistakable"] {
            let found =
                files.iter().any(|file| file.windows(secret.len()).any(|part| part == secret.as_bytes()));
            assert!(!found, "{secret} stands in a file");
        }
    });
}
