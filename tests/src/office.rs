//! A vendor's stand-in, and the people there: agents, who act by its page as a person does, and an administrator.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use interline_connector::agent::Connector;
use interline_connector::simulator::{ChatState, Desk, Deviation, Served, StandIn, Tenant};
use interline_connector::{Algorithm, Credential};
use serde_json::{Value, json};

use crate::App;
use crate::http::{Answer, Http};
use crate::operator::Operator;

/// A connector that has a stand-in.
#[derive(Clone, Copy)]
pub struct Kind {
    /// As the app's file names it.
    pub id: &'static str,
    /// The connector itself: for its manifest and its stand-in.
    pub connector: &'static dyn Connector,
}

impl Kind {
    /// Every one there is.
    pub fn all() -> Vec<Self> {
        let kind = |connector: &&'static dyn Connector| {
            let connector = *connector;
            Self { id: connector.manifest().id, connector }
        };
        interline_agents::all().iter().map(kind).filter(|kind| kind.stand_in(&App::fresh()).is_ok()).collect()
    }

    /// A stand-in in which nothing happened yet.
    ///
    /// # Errors
    /// There is none.
    pub fn stand_in(self, app: &App) -> Result<Arc<dyn StandIn>> {
        let credential = Credential {
            client_id: app.client_id.clone(),
            client_secret: app.secret.clone().into(),
            algorithm: Algorithm::HS256,
        };
        let tenant = Tenant { app: app.bot.as_str().into(), credential };
        self.connector.stand_in(&tenant).with_context(|| format!("{} has no stand-in", self.id))
    }

    /// Where it does otherwise than the others.
    pub fn deviations(self) -> &'static [Deviation] {
        self.stand_in(&App::fresh()).map(|stand_in| stand_in.deviations()).unwrap_or_default()
    }
}

/// A stand-in on a port of its own, and its agents.
pub struct Office {
    /// The connector.
    pub kind: Kind,
    /// Under which name it stands in the app.
    pub name: String,
    /// The stand-in.
    pub stand_in: Arc<dyn StandIn>,
    served: Served,
    at: SocketAddr,
    can: Vec<String>,
}

impl Office {
    /// Opens it.
    ///
    /// # Errors
    /// There is no stand-in, or no port.
    pub async fn open(kind: Kind, app: &App, name: &str) -> Result<Self> {
        let stand_in = kind.stand_in(app)?;
        let served = Served::start(stand_in.router()).await?;
        let at = SocketAddr::from(([127, 0, 0, 1], served.url.port().context("a port")?));
        let mut office = Self { kind, name: name.to_owned(), stand_in, served, at, can: Vec::new() };
        let about = Http::new(at).get(&office.page("about"), &[]).await?.json();
        office.can = serde_json::from_value(about["can"].clone())?;
        Ok(office)
    }

    /// The agents' side.
    pub fn desk(&self) -> &Desk {
        self.stand_in.desk()
    }

    /// What stands under `agents:` of the app.
    pub fn settings(&self) -> (String, Value) {
        let mut settings = self.stand_in.settings(&self.served.url);
        settings["type"] = self.kind.id.into();
        (self.name.clone(), settings)
    }

    /// The administrator enters our address.
    ///
    /// # Errors
    /// The server does not tell it.
    pub async fn enter_webhook(&self, operator: &mut Operator) -> Result<()> {
        let answer = operator.call("GET", &format!("/integrations/{}/webhook", self.name)).await?;
        let url = answer.json()["url"].as_str().context("no webhook address")?.parse()?;
        self.stand_in.calls(url);
        Ok(())
    }

    /// Whether its agents can do that.
    pub fn can(&self, act: &str) -> bool {
        self.can.iter().any(|known| known == act)
    }

    /// A connection to the agents' page.
    pub fn connect(&self) -> Http {
        Http::new(self.at)
    }

    /// What the page sends for an act.
    ///
    /// # Errors
    /// No answer.
    pub async fn act(&self, http: &mut Http, chat: &str, act: &str, what: &Value) -> Result<Answer> {
        let chat: String = url::form_urlencoded::byte_serialize(chat.as_bytes()).collect();
        let path = self.page(&format!("conversations/{}/{act}", chat.replace('+', "%20")));
        Ok(http.post(&path, &[], what).await?)
    }

    /// Puts a file on the shelf; its id.
    ///
    /// # Errors
    /// There is no room.
    pub async fn shelve(&self, name: &str, bytes: &[u8]) -> Result<String> {
        let path = self.page(&format!("files?name={name}"));
        let answer = self.connect().call("PUT", &path, &[], bytes).await?;
        answer.json()["id"].as_str().map(str::to_owned).context("the shelf has no room")
    }

    /// Takes every chat that waits, where agents do that. Returns how many talk.
    ///
    /// # Errors
    /// No answer.
    pub async fn accept_all(&self, http: &mut Http) -> Result<usize> {
        let chats = self.desk().chats();
        for chat in chats.iter().filter(|chat| chat.state == ChatState::Waiting && self.can("accept")) {
            self.act(http, &chat.id, "accept", &json!({})).await?;
        }
        Ok(chats.iter().filter(|chat| chat.state == ChatState::Talking).count())
    }

    fn page(&self, what: &str) -> String {
        format!("/_sim/{}/api/{what}", self.desk().vendor())
    }
}
