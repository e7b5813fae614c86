//! A caller of the API. It believes nothing: every answer is checked against the description.

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use serde_json::Value;
use tower::Service as _;

use crate::schema::DESCRIPTION;

#[derive(Clone)]
pub struct Client {
    router: Router,
    token: Option<String>,
    headers: Vec<(String, String)>,
}

#[derive(Debug, Clone)]
pub struct Answer {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Client {
    pub fn new(router: Router, token: Option<&str>) -> Self {
        Self { router, token: token.map(str::to_owned), headers: Vec::new() }
    }

    pub fn with(&self, name: &str, value: &str) -> Self {
        let mut client = self.clone();
        client.headers.push((name.to_owned(), value.to_owned()));
        client
    }

    pub async fn get(&self, path: &str) -> Answer {
        self.send("GET", path, None).await
    }

    pub async fn post(&self, path: &str, body: Value) -> Answer {
        self.send("POST", path, Some(body)).await
    }

    /// Without a body.
    pub async fn act(&self, path: &str) -> Answer {
        self.send("POST", path, None).await
    }

    pub async fn put(&self, path: &str, body: Value) -> Answer {
        self.send("PUT", path, Some(body)).await
    }

    pub async fn patch(&self, path: &str, body: Value) -> Answer {
        self.send("PATCH", path, Some(body)).await
    }

    pub async fn delete(&self, path: &str) -> Answer {
        self.send("DELETE", path, None).await
    }

    pub async fn send(&self, method: &str, path: &str, body: Option<Value>) -> Answer {
        match body {
            Some(body) => self.send_as(method, path, "application/json", body.to_string()).await,
            None => self.request(method, path, None, Body::empty()).await,
        }
    }

    pub async fn send_as(&self, method: &str, path: &str, kind: &str, body: String) -> Answer {
        self.request(method, path, Some(kind), Body::from(body)).await
    }

    pub async fn open(&self, path: &str) -> axum::response::Response {
        self.open_as("GET", path).await
    }

    /// Unread, and not judged by the description.
    pub async fn open_as(&self, method: &str, path: &str) -> axum::response::Response {
        let request = self.build(method, path, None, Body::empty());
        self.router.clone().call(request).await.unwrap()
    }

    fn build(&self, method: &str, path: &str, kind: Option<&str>, body: Body) -> Request<Body> {
        let mut request = Request::builder().method(method).uri(path);
        if let Some(token) = &self.token {
            request = request.header("authorization", format!("Bearer {token}"));
        }
        if let Some(kind) = kind {
            request = request.header("content-type", kind);
        }
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        request.body(body).unwrap()
    }

    async fn request(&self, method: &str, path: &str, kind: Option<&str>, body: Body) -> Answer {
        let request = self.build(method, path, kind, body);
        let response = self.router.clone().call(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = to_bytes(body, usize::MAX).await.unwrap();
        let kind = parts.headers.get("content-type").map(|kind| kind.to_str().unwrap());
        let body = if bytes.is_empty() {
            Value::Null
        } else if kind == Some("application/octet-stream") {
            Value::from(String::from_utf8(bytes.to_vec()).unwrap())
        } else {
            serde_json::from_slice(&bytes).unwrap_or_else(|_| panic!("{method} {path}: not JSON: {bytes:?}"))
        };
        let status = parts.status.as_u16();
        DESCRIPTION.check(&format!("{method} {path}"), status, kind, &body);
        assert_eq!(parts.headers["cache-control"], "no-store");
        Answer { status, headers: parts.headers, body }
    }
}

impl Answer {
    /// The body, if the status is as expected.
    #[track_caller]
    pub fn is(self, status: u16) -> Value {
        assert_eq!(self.status, status, "{:#}", self.body);
        self.body
    }

    /// A problem of this status and code.
    #[track_caller]
    pub fn refused(self, status: u16, code: &str) -> Value {
        let body = self.is(status);
        assert_eq!(body["code"], code, "{body:#}");
        body
    }

    /// 400 with a fault at exactly this place.
    #[track_caller]
    pub fn invalid_at(self, path: &str) {
        let body = self.refused(400, "invalid");
        let paths: Vec<&str> =
            body["errors"].as_array().unwrap().iter().map(|fault| fault["path"].as_str().unwrap()).collect();
        assert_eq!(paths, [path], "{body:#}");
    }

    pub fn etag(&self) -> String {
        self.headers["etag"].to_str().unwrap().to_owned()
    }
}
