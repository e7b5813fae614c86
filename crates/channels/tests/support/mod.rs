//! A host that keeps everything in memory, a server on a loopback port, and a client that speaks frames.
#![allow(dead_code, missing_docs)]

pub mod client;
pub mod files;
pub mod host;

use std::sync::Arc;

use interline_channels::web::{Timing, router_with};
use interline_connector::{Algorithm, Credential};
use serde_json::{Value, json};

pub use client::Client;
pub use host::FakeHost;

pub const APP_A: &str = "st-aaaaaaaa-0000-5000-8000-000000000001";
pub const APP_B: &str = "st-bbbbbbbb-0000-5000-8000-000000000002";

pub struct World {
    pub host: Arc<FakeHost>,
    pub base: String,
    pub http: reqwest::Client,
}

/// The credential that signs for app A (`cs-a`) or B (`cs-b`).
pub fn credential(client_id: &str) -> Credential {
    Credential {
        client_id: client_id.into(),
        client_secret: format!("the secret of {client_id}, quite long indeed").into(),
        algorithm: Algorithm::HS256,
    }
}

pub fn jwt(client_id: &str, claims: &Value) -> String {
    credential(client_id).sign(claims).expect("a JWT")
}

impl World {
    pub async fn start() -> Self {
        Self::with(json!({}), Timing::default()).await
    }

    /// `extra` is merged into the settings of app A's web channel.
    pub async fn with(extra: Value, timing: Timing) -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base = format!("http://{}", listener.local_addr().expect("an address"));
        let host = Arc::new(FakeHost::new(&base, extra));
        let router = router_with(Arc::clone(&host) as _, timing);
        tokio::spawn(async move { axum::serve(listener, router).await });
        Self { host, base, http: reqwest::Client::new() }
    }

    pub fn claims(&self, user: &str) -> Value {
        let now = self.host.seconds();
        json!({ "iss": "cs-a", "sub": user, "iat": now, "exp": now + 600.0, "aud": "https://idproxy.kore.ai/authorize" })
    }

    pub async fn grant(&self, app: &str, jwt: &str) -> (u16, Value) {
        let body =
            json!({ "assertion": jwt, "botInfo": { "chatBot": "Bot", "taskBotId": app }, "token": {} });
        self.post("/api/oAuth/token/jwtgrant", None, &body).await
    }

    pub async fn post(&self, path: &str, token: Option<&str>, body: &Value) -> (u16, Value) {
        let mut request = self.http.post(format!("{}{path}", self.base)).json(body);
        if let Some(token) = token {
            request = request.header("authorization", format!("bearer {token}"));
        }
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    pub async fn get(&self, path: &str, token: &str) -> (u16, Value) {
        let request =
            self.http.get(format!("{}{path}", self.base)).header("authorization", format!("bearer {token}"));
        let response = request.send().await.expect("an answer");
        (response.status().as_u16(), response.json().await.unwrap_or_default())
    }

    /// Logs a user in: the access token.
    pub async fn login(&self, user: &str) -> String {
        let (status, answer) = self.grant(APP_A, &jwt("cs-a", &self.claims(user))).await;
        assert_eq!(status, 200, "{answer}");
        answer["authorization"]["accessToken"].as_str().expect("a token").to_owned()
    }

    pub async fn socket_url(&self, token: &str) -> String {
        let (status, answer) =
            self.post("/api/rtm/start", Some(token), &json!({ "botInfo": { "taskBotId": APP_A } })).await;
        assert_eq!(status, 200, "{answer}");
        answer["url"].as_str().expect("a url").to_owned()
    }

    /// A socket address for our own widget.
    pub async fn widget_url(&self, token: &str) -> String {
        let body = json!({ "botInfo": { "taskBotId": APP_A }, "client": "interline" });
        let (status, answer) = self.post("/api/rtm/start", Some(token), &body).await;
        assert_eq!(status, 200, "{answer}");
        answer["url"].as_str().expect("a url").to_owned()
    }

    pub async fn connect(&self, token: &str) -> Client {
        Client::open(&self.socket_url(token).await).await
    }

    pub async fn reconnect(&self, token: &str) -> Client {
        Client::open(&format!("{}&isReconnect=true", self.socket_url(token).await)).await
    }

    /// A user who has seen the welcome.
    pub async fn welcomed(&self, user: &str) -> (String, Client) {
        let token = self.login(user).await;
        let mut client = self.connect(&token).await;
        assert_eq!(client.line().await, "< welcome");
        (token, client)
    }
}

/// Waits until something is so.
pub async fn until(what: &str, mut so: impl FnMut() -> bool) {
    for _ in 0..300 {
        if so() {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    panic!("never: {what}");
}
