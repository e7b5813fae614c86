//! The app files: read, built, and each agent system tried. They are put in force in a store that is thrown away: what
//! `serve` would refuse is refused here, by the same code.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use interline_core::AppId;
use interline_engine::Runtime;
use interline_engine::config::{self, Apps, Draft, Origin, Refused};
use interline_store::{KeyRing, Store};
use url::Url;
use uuid::Uuid;

use super::Report;
use super::place::leads_outside;
use crate::app_file::AppFile;
use crate::node;
use crate::remote::is_loopback;
use crate::settings::Settings;

/// A test of an agent system takes so long at most.
const PROBE: Duration = Duration::from_secs(20);

/// Checks each file.
pub async fn check(settings: &Settings, report: &mut Report) {
    if settings.app.is_empty() {
        report.remark(
            "apps: no --app file is given, so only the settings were checked; --server asks a running server",
        );
        return;
    }
    let scratch = match Scratch::new(settings).await {
        Ok(scratch) => scratch,
        Err(error) => {
            report.failed(format!("apps: {error:#}"));
            return;
        }
    };
    let mut seen = Vec::new();
    for path in &settings.app {
        let shown = path.display();
        let file = match AppFile::read(path) {
            Ok(file) => file,
            Err(error) => {
                report.failed(format!("{error:#}"));
                continue;
            }
        };
        let id = file.document.app.id.clone();
        if seen.contains(&id) {
            report.failed(format!("{shown}: another file has the id {id} already: give each app its own"));
            continue;
        }
        seen.push(id);
        match scratch.put(&file).await {
            Ok(runtime) => {
                report.ok(format!("{shown}: {} ({})", file.document.app.name, file.document.app.id));
                try_agents(&file, &runtime, &scratch.public_url, report).await;
            }
            Err(Refused::Invalid(faults)) => report.failed(file.told(&faults)),
            Err(other) => report.failed(format!("{shown}: {other}")),
        }
    }
    scratch.store.close().await;
}

/// A store that is gone afterwards.
struct Scratch {
    store: Store,
    apps: Arc<Apps>,
    public_url: Url,
    _directory: Directory,
}

struct Directory(PathBuf);

impl Drop for Directory {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

impl Scratch {
    async fn new(settings: &Settings) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("interline-check-{}", Uuid::now_v7().simple()));
        let mut directory = std::fs::DirBuilder::new();
        #[cfg(unix)]
        std::os::unix::fs::DirBuilderExt::mode(&mut directory, 0o700);
        directory.create(&path).with_context(|| format!("cannot make {}", path.display()))?;
        let directory = Directory(path);
        let keys = KeyRing::load_or_create(&directory.0.join("keys"))?;
        let url = format!("sqlite://{}", directory.0.join("check.db").display());
        let store = Store::open(interline_store::Settings { url, lanes: 1, keys }).await?;
        let listen = SocketAddr::new([127, 0, 0, 1].into(), settings.listen.port());
        let public_url = match &settings.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{listen}"))?,
        };
        let apps =
            Apps::load(store.clone(), node::http(settings)?, public_url.clone(), settings.clamd.is_some())
                .await?;
        Ok(Self { store, apps, public_url, _directory: directory })
    }

    async fn put(&self, file: &AppFile) -> Result<Arc<Runtime>, Refused> {
        let app = AppId::from(file.document.app.id.as_str());
        let document = file.document.clone();
        let edit = |_: Option<Draft>| {
            let document = config::merge(None, document, true).map_err(Refused::Invalid)?;
            Ok(Draft { document, retired: Default::default() })
        };
        self.apps.edit(&app, Origin::Operator, None, false, edit).await?;
        self.apps.get(&app).ok_or_else(|| Refused::Unknown("such app".into()))
    }
}

async fn try_agents(file: &AppFile, runtime: &Runtime, public_url: &Url, report: &mut Report) {
    for (name, agent) in &runtime.agents {
        let path = format!("agents.{name}");
        let begin = Instant::now();
        let probed = tokio::time::timeout(PROBE, agent.probe()).await;
        let took = begin.elapsed().as_millis();
        match probed.unwrap_or_else(|_| Err("no answer within 20 seconds".into())) {
            Ok(()) => report.ok(format!("{path}: works ({took} ms)")),
            Err(message) => {
                let at = file.place(&path).map(|place| format!(" ({place})")).unwrap_or_default();
                report.failed(format!("{path}{at}: {}", with_remedy(&message)));
            }
        }
        let settings = file.document.agents.get(name).map(|integration| &integration.settings);
        let url = settings.and_then(|settings| Url::parse(settings.get("url")?.as_str()?).ok());
        if let Some(url) = url {
            remark_on(&path, &url, public_url, report);
        }
    }
}

fn remark_on(path: &str, url: &Url, public_url: &Url, report: &mut Report) {
    if !is_loopback(url) && is_loopback(public_url) {
        report.remark(format!(
            "{path}: {} is told to call back {public_url}, which leads to itself: set --public-url to what it can reach",
            url.host_str().unwrap_or_default()
        ));
    }
    if url.scheme() == "http" && leads_outside(url) {
        report.remark(format!("{path}: it is called over plain http on the internet: use https"));
    }
}

/// A connector says what is wrong; of a connection that does not come about the remedy is always the same.
pub fn with_remedy(message: &str) -> String {
    let message = crate::remote::printable(message);
    if message.starts_with("cannot connect") || message.starts_with("connection lost") {
        return format!("{message}: does it run, and are host and port of its URL right?");
    }
    if message.starts_with("no answer") {
        return format!("{message}: is it overloaded, or does a firewall drop what we send?");
    }
    message
}
