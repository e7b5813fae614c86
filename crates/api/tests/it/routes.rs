//! What holds for every route, walked by the description: a route that is added is covered by being described.

use interline_engine::KeyRole;
use serde_json::{Value, json};

use crate::client::Client;
use crate::schema::{DESCRIPTION, Operation};
use crate::world::{A, B, World};

/// Things of app A by the name that they have in paths.
struct Known(Vec<(&'static str, String)>);

impl Known {
    /// A path of `app` with these things in it.
    fn path(&self, operation: &Operation, app: &str) -> String {
        let mut path = operation.path.replace("{app}", app);
        for (name, value) in &self.0 {
            path = path.replace(&format!("{{{name}}}"), value);
        }
        assert!(!path.contains('{'), "a test has no example of a part of {path}");
        let query: Vec<String> = parameters(operation)
            .filter(|parameter| parameter["in"] == "query" && parameter["required"] == true)
            .map(|parameter| {
                let least = DESCRIPTION.least(&parameter["schema"]);
                format!("{}={least}", parameter["name"].as_str().unwrap())
            })
            .collect();
        if query.is_empty() { path } else { format!("{path}?{}", query.join("&")) }
    }
}

fn parameters(operation: &Operation) -> impl Iterator<Item = &Value> {
    operation.what["parameters"].as_array().into_iter().flatten().map(|one| DESCRIPTION.resolve(one))
}

/// The schema of the body that it takes.
fn body_schema(operation: &Operation) -> Option<&Value> {
    let schema = &operation.what["requestBody"]["content"]["application/json"]["schema"];
    (!schema.is_null()).then_some(schema)
}

fn least_body(operation: &Operation) -> Option<Value> {
    body_schema(operation).map(|schema| DESCRIPTION.least(schema))
}

async fn send(client: &Client, operation: &Operation, path: &str) -> crate::client::Answer {
    client.send(&operation.method, path, least_body(operation)).await
}

async fn known(world: &World) -> Known {
    let admin = world.admin().await;
    let (customer, conversation) = world.talking(&admin, "anna").await;
    let key = admin.post(&format!("/v1/apps/{A}/keys"), json!({ "name": "x", "role": "read" })).await.is(201);
    let flow = json!({ "start": "a", "nodes": { "a": { "message": { "text": "A" } } } });
    admin.put(&format!("/v1/apps/{A}/flows/support/draft"), flow).await.is(200);
    let (file, _) = world.file(&customer, "a.txt", b"words").await;
    Known(vec![
        ("file", file.id.to_string()),
        ("flow", "support".into()),
        ("version", "1".into()),
        ("name", "desk".into()),
        ("conversation", conversation),
        ("customer", customer.id.to_string()),
        ("transfer", "1".into()),
        ("participant", "1".into()),
        ("key", key["id"].as_str().unwrap().to_owned()),
    ])
}

#[tokio::test]
async fn nothing_is_told_to_whom_it_does_not_belong() {
    let world = World::start("routes").await;
    let known = known(&world).await;
    for operation in DESCRIPTION.operations() {
        let id = &operation.id;
        let path = known.path(&operation, A);
        let elsewhere = known.path(&operation, "st-cccccccc-0000-5000-8000-000000000003");

        // Without a key that counts, 401, whether it exists or not.
        for stranger in strangers(&world).await {
            for path in [&path, &elsewhere] {
                let answer = send(&stranger, &operation, path).await;
                assert_eq!(answer.headers["www-authenticate"], "Bearer", "{id}");
                answer.refused(401, "no_valid_key");
            }
        }

        // A role below the one that is described is too weak.
        let below = match operation.role.as_str() {
            "admin" => Some(KeyRole::Operate),
            "operate" => Some(KeyRole::Read),
            _ => None,
        };
        if let Some(below) = below {
            let weak = world.key(Some(A), below).await;
            send(&weak, &operation, &path).await.refused(403, "role_too_weak");
        }
        if !operation.path.contains("{app}") {
            continue;
        }

        // The other app's administrator finds nothing in A, nothing of A in B, and no app that is not there.
        let other = world.key(Some(B), KeyRole::Admin).await;
        for path in [&path, &elsewhere] {
            send(&other, &operation, path).await.refused(404, "not_found");
        }
        if operation.path.matches('{').count() > 1 {
            send(&other, &operation, &known.path(&operation, B)).await.refused(404, "not_found");
            let server = world.key(None, KeyRole::Admin).await;
            send(&server, &operation, &known.path(&operation, B)).await.refused(404, "not_found");
        }
    }
    // All of that changed nothing.
    let admin = world.admin().await;
    let app = admin.get(&format!("/v1/apps/{A}")).await.is(200);
    assert_eq!(app["version"], 1);
    let transfers = admin.get(&format!("/v1/apps/{A}/transfers")).await.is(200);
    assert_eq!(transfers["items"][0]["transfer"]["stage"], "talking");
}

/// Nobody, and everybody whose key does not count.
async fn strangers(world: &World) -> Vec<Client> {
    let admin = world.admin().await;
    let made =
        admin.post(&format!("/v1/apps/{A}/keys"), json!({ "name": "gone", "role": "admin" })).await.is(201);
    admin.delete(&format!("/v1/apps/{A}/keys/{}", made["id"].as_str().unwrap())).await.is(204);
    let revoked = made["token"].as_str().unwrap();
    let over = world.engine.create_key(Some(&A.into()), KeyRole::Admin, "over", Some(1)).await.unwrap();
    let mut wrong = over.token.clone();
    wrong.pop();
    vec![
        world.without_key(),
        world.without_key().with("authorization", "Basic aWxrOnNlY3JldA=="),
        world.with_token("ilk_"),
        world.with_token(&wrong),
        world.with_token(&over.token),
        world.with_token(revoked),
    ]
}

#[tokio::test]
async fn whoever_may_read_reads_everything() {
    let world = World::start("reads").await;
    let known = known(&world).await;
    for operation in DESCRIPTION.operations() {
        if operation.method != "GET" || operation.role != "read" || operation.id == "watch_events" {
            continue;
        }
        // A chat has no SIP messages: that too is "no such thing here".
        if operation.id == "draw_call" {
            continue;
        }
        let reader = world.key(Some(A), KeyRole::Read).await;
        let name = if operation.id == "get_credential" { "main" } else { "desk" };
        let path = known.path(&operation, A).replace("/desk", &format!("/{name}"));
        let answer = reader.get(&path).await;
        assert_eq!(answer.status, 200, "{path}: {:#}", answer.body);
        // A server-wide key sees it too.
        world.key(None, KeyRole::Read).await.get(&path).await.is(200);
    }
}

#[tokio::test]
async fn what_is_sent_wrongly_is_refused_with_its_place() {
    let world = World::start("wrong").await;
    let known = known(&world).await;
    for operation in DESCRIPTION.operations() {
        let id = &operation.id;
        let client = world.key(Some(A), KeyRole::Admin).await;
        let path = known.path(&operation, A);
        let and = if path.contains('?') { '&' } else { '?' };
        if parameters(&operation).any(|parameter| parameter["in"] == "query") {
            let wrong = format!("{path}{and}nonsense=1");
            client.send(&operation.method, &wrong, least_body(&operation)).await.invalid_at("nonsense");
        }
        for parameter in parameters(&operation).filter(|parameter| parameter["in"] == "query") {
            let name = parameter["name"].as_str().unwrap();
            let required = parameter["required"] == true;
            let path = if required { path.split('?').next().unwrap().to_owned() } else { path.clone() };
            let and = if path.contains('?') { '&' } else { '?' };
            let answer = client
                .send(&operation.method, &format!("{path}{and}{name}=%00"), least_body(&operation))
                .await;
            let body = answer.refused(400, "invalid");
            assert_eq!(body["errors"][0]["path"], name, "{id}: {body:#}");
        }
        let Some(least) = least_body(&operation) else { continue };
        let send_as =
            async |kind: &str, body: String| client.send_as(&operation.method, &path, kind, body).await;
        send_as("text/plain", least.to_string()).await.refused(415, "not_json");
        send_as("application/json", "{".into()).await.invalid_at("");
        send_as("application/json", format!("{least} x")).await.invalid_at("");
        let huge = format!("{{\"x\":\"{}\"}}", "x".repeat(1024 * 1024));
        send_as("application/json", huge).await.refused(413, "too_large");
        let mut unknown = least.clone();
        unknown["nonsense"] = json!(1);
        client.send(&operation.method, &path, Some(unknown)).await.invalid_at("nonsense");
        let required = DESCRIPTION.resolve(body_schema(&operation).unwrap())["required"].clone();
        for field in required.as_array().into_iter().flatten().filter_map(Value::as_str) {
            let mut without = least.clone();
            without.as_object_mut().unwrap().remove(field);
            client.send(&operation.method, &path, Some(without)).await.invalid_at(field);
        }
    }
}

#[tokio::test]
async fn paths_and_methods_that_are_not_there() {
    let world = World::start("nowhere").await;
    let known = known(&world).await;
    let admin = world.admin().await;
    for path in ["/v1/nonsense", "/v1", "/v1/", "/v1/apps/", &format!("/v1/apps/{A}/nonsense")] {
        admin.get(path).await.refused(404, "no_such_path");
    }
    for operation in DESCRIPTION.operations() {
        let path = known.path(&operation, A);
        let client = world.admin().await;
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            if DESCRIPTION.find(method, &path).is_some() {
                continue;
            }
            let answer = client.send(method, &path, None).await;
            let allow = answer.headers["allow"].to_str().unwrap();
            assert!(allow.contains(&operation.method) && !allow.contains(method), "{method} {path}: {allow}");
            answer.refused(405, "method_not_allowed");
        }
    }
    // What cannot be a name or an id is not there; it never reaches the store.
    for id in ["%00", "a%2Fb", "%C3%A9", &"x".repeat(200), "%FF", "a b".replace(' ', "%20").as_str()] {
        for path in ["conversations", "integrations", "customers"] {
            admin.get(&format!("/v1/apps/{A}/{path}/{id}")).await.refused(404, "not_found");
        }
        admin.get(&format!("/v1/apps/{id}")).await.refused(404, "not_found");
    }
    admin.act(&format!("/v1/apps/{A}/conversations/cnv_x/transfers/one/end")).await.refused(404, "not_found");
}

#[tokio::test]
async fn the_description_is_there_for_everybody() {
    let world = World::start("openapi").await;
    let response = world.without_key().open("/openapi.json").await;
    assert_eq!(response.status(), 200);
    let bytes = axum::body::to_bytes(response.into_body(), usize::MAX).await.unwrap();
    assert_eq!(serde_json::from_slice::<Value>(&bytes).unwrap(), DESCRIPTION.document);
}
