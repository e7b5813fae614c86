//! With `--server`: a running server tests each integration of each app that the key opens.

use anyhow::{Context, Result};
use reqwest::Method;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::Report;
use super::apps::with_remedy;
use crate::remote::{Remote, printable};

#[derive(Deserialize)]
struct Page<T> {
    items: Vec<T>,
    next: Option<String>,
}

#[derive(Deserialize)]
struct App {
    id: String,
    name: String,
}

#[derive(Deserialize)]
struct Integration {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    #[serde(default)]
    retired: bool,
}

#[derive(Deserialize)]
struct Tested {
    ok: bool,
    message: String,
    took_ms: u64,
}

/// Asks the server.
///
/// # Errors
/// When it cannot be asked.
pub async fn check(server: &Remote, report: &mut Report) -> Result<()> {
    let apps: Vec<App> = all(server, &["apps"]).await?;
    if apps.is_empty() {
        report.remark("the server has no app that this key opens");
    }
    for app in apps {
        let shown = format!("{} ({})", printable(&app.name), printable(&app.id));
        let integrations: Vec<Integration> = all(server, &["apps", &app.id, "integrations"]).await?;
        if integrations.is_empty() {
            report.remark(format!("{shown}: it has no integrations"));
        }
        for integration in integrations.iter().filter(|integration| !integration.retired) {
            let path = ["apps", app.id.as_str(), "integrations", &integration.name, "test"];
            let answer = server.call(Method::POST, &path, &[], None).await?;
            let tested: Tested =
                serde_json::from_value(answer).context("the server's answer cannot be read")?;
            let what = format!("{shown} {} [{}]", printable(&integration.name), printable(&integration.kind));
            if tested.ok {
                report.ok(format!("{what}: {} ({} ms)", printable(&tested.message), tested.took_ms));
            } else {
                report.failed(format!("{what}: {}", with_remedy(&tested.message)));
            }
        }
    }
    Ok(())
}

/// A list, page after page.
async fn all<T: DeserializeOwned>(server: &Remote, path: &[&str]) -> Result<Vec<T>> {
    let (mut found, mut cursor) = (Vec::new(), None::<String>);
    loop {
        let mut query = vec![("limit", "200")];
        query.extend(cursor.as_deref().map(|cursor| ("cursor", cursor)));
        let answer = server.call(Method::GET, path, &query, None).await?;
        let page: Page<T> = serde_json::from_value(answer).context("the server's answer cannot be read")?;
        found.extend(page.items);
        let Some(next) = page.next else { return Ok(found) };
        cursor = Some(next);
    }
}
