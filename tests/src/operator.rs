//! The operator's program: the REST API of one app, with a key.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::http::{Answer, Http};
use crate::server::{self, Server};

/// Somebody with a key.
#[derive(Debug)]
pub struct Operator {
    http: Http,
    key: String,
    base: String,
}

impl Operator {
    /// Makes an admin key, beside the server that runs.
    ///
    /// # Errors
    /// It cannot be made.
    pub async fn new(server: &Server) -> Result<Self> {
        let setup = server.setup();
        let mut command = server::command(setup.profile);
        command.args(["key", "create", "--role", "admin", "--data"]).arg(&setup.data);
        if let Some(database) = &setup.database {
            command.arg("--database").arg(database);
        }
        let (status, said) = server::run(command).await?;
        ensure!(status.success(), "key create: {said}");
        let key = said.lines().find(|line| line.starts_with("ilk_")).context("key create: no key")?;
        let base = format!("/v1/apps/{}", setup.app.bot);
        Ok(Self { http: Http::new(server.address()), key: format!("Bearer {key}"), base })
    }

    /// Any call; `path` below the app. Whoever is told to wait, waits.
    ///
    /// # Errors
    /// No answer.
    pub async fn call(&mut self, method: &str, path: &str) -> Result<Answer> {
        let path = format!("{}{path}", self.base);
        loop {
            let answer = self.http.call(method, &path, &[("authorization", &self.key)], b"").await?;
            match answer.header("retry-after").and_then(|seconds| seconds.parse().ok()) {
                Some(seconds) if answer.status == 429 => {
                    tokio::time::sleep(Duration::from_secs(seconds)).await
                }
                _ => return Ok(answer),
            }
        }
    }

    /// All of a list, page by page.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn list(&mut self, path: &str) -> Result<Vec<Value>> {
        let mut all = Vec::new();
        let mut cursor = None::<String>;
        loop {
            let separator = if path.contains('?') { '&' } else { '?' };
            let asked =
                cursor.map_or_else(|| path.to_owned(), |next| format!("{path}{separator}cursor={next}"));
            let answer = self.call("GET", &asked).await?;
            ensure!(answer.status == 200, "{path}: {} {}", answer.status, answer.text());
            let page = answer.json();
            all.extend(page["items"].as_array().context("a page without items")?.iter().cloned());
            match page["next"].as_str() {
                Some(next) => cursor = Some(next.to_owned()),
                None => return Ok(all),
            }
        }
    }
}
