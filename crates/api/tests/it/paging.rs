//! Every list over more than one page: everything once, in one order.

use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::client::Client;
use crate::world::{A, World};

/// All items by pages of `limit`, and how many pages there were.
async fn all(client: &Client, path: &str, limit: usize) -> (Vec<Value>, usize) {
    let and = if path.contains('?') { '&' } else { '?' };
    let (mut items, mut pages, mut cursor) = (Vec::new(), 0, String::new());
    loop {
        let page = client.get(&format!("{path}{and}limit={limit}{cursor}")).await.is(200);
        let found = page["items"].as_array().unwrap();
        assert!(found.len() <= limit && (!found.is_empty() || pages == 0), "{path}");
        items.extend(found.iter().cloned());
        pages += 1;
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (items, pages),
        }
    }
}

#[tokio::test]
async fn every_list_is_whole_by_pages() {
    let world = World::start("pages").await;
    let admin = world.key(None, KeyRole::Admin).await;
    for name in ["c1", "c2", "c3", "c4"] {
        let body = json!({ "name": name, "scopes": ["web"] });
        admin.post(&format!("/v1/apps/{A}/credentials"), body).await.is(201);
        let settings = json!({ "credentials": [name] });
        let body =
            json!({ "name": format!("web-{name}"), "kind": "channel", "type": "web", "settings": settings });
        admin.post(&format!("/v1/apps/{A}/integrations"), body).await.is(201);
        admin.post(&format!("/v1/apps/{A}/keys"), json!({ "name": name, "role": "read" })).await.is(201);
    }
    for address in ["one", "two", "three", "four", "five"] {
        world.failing(&admin, address).await;
    }
    let reader = world.key(None, KeyRole::Read).await;
    let conversation = reader.get(&format!("/v1/apps/{A}/conversations?limit=1")).await.is(200);
    let id = conversation["items"][0]["id"].as_str().unwrap();
    for (list, count) in [
        ("/v1/apps".to_owned(), 2),
        (format!("/v1/apps/{A}/integrations"), 7),
        (format!("/v1/apps/{A}/integrations?kind=channel"), 5),
        (format!("/v1/apps/{A}/channels"), 5),
        (format!("/v1/apps/{A}/credentials"), 5),
        (format!("/v1/apps/{A}/keys"), 4),
        (format!("/v1/apps/{A}/conversations"), 5),
        (format!("/v1/apps/{A}/conversations?owner=agent"), 5),
        (format!("/v1/apps/{A}/customers"), 5),
        (format!("/v1/apps/{A}/transfers"), 5),
        (format!("/v1/apps/{A}/participants?held=true"), 5),
        (format!("/v1/apps/{A}/conversations/{id}/timeline"), 0),
    ] {
        let (whole, pages) = all(&reader, &list, 200).await;
        assert_eq!(pages, 1);
        let known = if count > 0 { count } else { whole.len() };
        assert_eq!(whole.len(), known, "{list}");
        for limit in [1, 2] {
            let (by_pages, pages) = all(&world.key(None, KeyRole::Read).await, &list, limit).await;
            assert_eq!(names(&by_pages), names(&whole), "{list} by {limit}");
            assert_eq!(pages, known.div_ceil(limit), "{list} by {limit}");
        }
    }
    // A cursor of one list is none of another.
    let page = reader.get(&format!("/v1/apps/{A}/customers?limit=1")).await.is(200);
    let cursor = page["next"].as_str().unwrap();
    for list in ["conversations", "keys", "credentials", "transfers"] {
        reader.get(&format!("/v1/apps/{A}/{list}?cursor={cursor}")).await.invalid_at("cursor");
    }
}

/// What tells items apart; how often something failed may change from page to page.
fn names(items: &[Value]) -> Vec<String> {
    let name = |item: &Value| {
        ["id", "seq", "name", "conversation"].iter().find_map(|key| item.get(*key)).unwrap().to_string()
    };
    items.iter().map(name).collect()
}

#[tokio::test]
async fn a_timeline_goes_on_behind_an_entry() {
    let world = World::start("after").await;
    let reader = world.key(Some(A), KeyRole::Read).await;
    let anna = world.customer("anna").await;
    for text in ["one", "two", "three"] {
        world.say(&anna, text).await;
    }
    let id = world.conversation(&reader, &anna).await;
    let path = format!("/v1/apps/{A}/conversations/{id}/timeline");
    let whole = reader.get(&path).await.is(200);
    let behind = reader.get(&format!("{path}?after=3")).await.is(200);
    assert_eq!(behind["items"].as_array().unwrap(), &whole["items"].as_array().unwrap()[3..]);
    let head = whole["items"].as_array().unwrap().len();
    assert_eq!(reader.get(&format!("{path}?after={head}")).await.is(200)["items"], json!([]));
    reader.get(&format!("{path}?after={}", u64::MAX)).await.is(200);
    reader.get(&format!("{path}?after=-1")).await.invalid_at("after");
}
