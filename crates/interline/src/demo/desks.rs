//! The agent systems of the demo: a stand-in for each vendor on a port of its own, and the choice among them. What is
//! chosen is the app's default agent system: the next hand-over goes there, those that are live stay where they are.

use std::sync::Arc;

use anyhow::{Context, Result};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use axum::routing::get;
use axum::{Form, Json, Router};
use interline_connector::simulator::Tenant;
use interline_core::{AppId, IntegrationName};
use interline_engine::Engine;
use interline_engine::config::{Apps, Draft, Origin, Refused};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use url::Url;

use crate::node::Node;
use crate::stand_ins::{self, Vendor};

/// The agent system to begin with; its stand-in is on the demo's own port.
const FIRST: &str = "desk";

/// All of them.
#[derive(Clone)]
pub struct Desks {
    list: Arc<Vec<Desk>>,
    others: Arc<Vec<(Vendor, Url)>>,
    apps: Arc<Apps>,
}

/// One, as the shop's page lists it.
#[derive(Debug, Clone, Serialize)]
pub struct Desk {
    /// Under which name it stands in the app.
    pub name: String,
    /// As people name it.
    pub title: String,
    /// Where its agents are.
    pub page: String,
}

/// Starts the stand-ins on the ports behind `port`, or on free ones where those are taken.
///
/// # Errors
/// There is no free port.
pub async fn open(node: &Node, tenant: &Tenant, port: u16) -> Result<Desks> {
    let mut list = Vec::new();
    let mut others = Vec::new();
    let mut next = port;
    for vendor in stand_ins::all(tenant) {
        if vendor.id == "botkit" {
            let (name, page) = (FIRST.to_owned(), vendor.page(&node.public_url));
            list.push(Desk { name, title: vendor.title.to_owned(), page });
            continue;
        }
        next = next.saturating_add(1);
        let listener = match TcpListener::bind(("127.0.0.1", if port == 0 { 0 } else { next })).await {
            Ok(listener) => listener,
            Err(_) => TcpListener::bind(("127.0.0.1", 0)).await.context("there is no free port")?,
        };
        let base = Url::parse(&format!("http://{}/", listener.local_addr()?))?;
        list.push(Desk {
            name: vendor.id.to_owned(),
            title: vendor.title.to_owned(),
            page: vendor.page(&base),
        });
        let router = vendor.stand_in.router();
        tokio::spawn(async move { axum::serve(listener, router).await });
        others.push((vendor, base));
    }
    Ok(Desks { list: Arc::new(list), others: Arc::new(others), apps: node.apps.clone() })
}

impl Desks {
    /// All of them, the first to begin with.
    pub fn list(&self) -> &[Desk] {
        &self.list
    }

    /// What stands under `agents:` for those beside the first, by name.
    pub fn settings(&self) -> impl Iterator<Item = (&'static str, Value)> {
        self.others.iter().map(|(vendor, base)| (vendor.id, vendor.settings(base)))
    }

    /// Plays the administrators of the vendors that call us.
    pub fn enter_webhooks(&self, engine: &Engine, app: &AppId) {
        for (vendor, _) in self.others.iter() {
            if let Some(webhook) = engine.webhook_of(app, &IntegrationName::from(vendor.id)) {
                vendor.stand_in.calls(webhook);
            }
        }
    }

    /// `/demo/desks`: the list, and the choice.
    pub fn routes(&self, app: AppId) -> Router {
        Router::new().route("/demo/desks", get(show).post(choose)).with_state((self.clone(), app))
    }

    fn chosen(&self, app: &AppId) -> Option<IntegrationName> {
        self.apps.get(app)?.app.default_agent.clone()
    }
}

async fn show(State((desks, app)): State<(Desks, AppId)>) -> Json<Value> {
    Json(json!({ "desks": desks.list(), "chosen": desks.chosen(&app) }))
}

#[derive(Deserialize)]
struct Choice {
    name: String,
}

/// Whoever uses the demo may choose. That is what makes it a demo.
async fn choose(State((desks, app)): State<(Desks, AppId)>, Form(choice): Form<Choice>) -> impl IntoResponse {
    let Some(desk) = desks.list().iter().find(|desk| desk.name == choice.name) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let name = IntegrationName::from(desk.name.as_str());
    let edit = |draft: Option<Draft>| {
        let mut draft = draft.ok_or_else(|| Refused::Unknown("app".into()))?;
        draft.document.default_agent = Some(name);
        Ok(draft)
    };
    match desks.apps.edit(&app, Origin::Operator, None, false, edit).await {
        Ok(_) => Json(json!(desk)).into_response(),
        Err(_) => StatusCode::CONFLICT.into_response(),
    }
}
