//! A running node: store, engine, listener, and how it stops.

use std::fs::File;
use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::serve::ListenerExt;
use interline_connector::{Guard, Http};
use interline_core::AppId;
use interline_core::flow::script::{Answer, Call};
use interline_engine::config::{self, Apps, Document, Draft, Origin, Refused};
use interline_engine::files::Storage;
use interline_engine::{Engine, InProcess};
use interline_store::Store;
use tokio::net::TcpListener;
use url::Url;

use crate::app_file::AppFile;
use crate::data;
use crate::files;
use crate::logs;
use crate::open_files;
use crate::settings::Settings;
use crate::voice;

/// `interline serve`.
///
/// # Errors
/// When it cannot start; a running node ends by a signal, without an error.
pub async fn serve(settings: Settings) -> Result<()> {
    // Until the very end: it sends the last spans when it goes.
    let _traces = logs::start_with_traces(&settings)?;
    let files = open_files::raise()?;
    tracing::debug!(files, "so many files may be open");
    let node = Node::open(&settings).await?;
    let mut seen = Vec::new();
    for path in &settings.app {
        let file = AppFile::read(path)?;
        let id = file.document.app.id.clone();
        if seen.contains(&id) {
            bail!("{}: another --app file has the id {id} already", path.display());
        }
        seen.push(id);
        node.apply(file.document.clone()).await.map_err(|refused| file.refused(refused))?;
    }
    if node.apps.ids().is_empty() {
        tracing::warn!("there is no app yet: give one with --app FILE, or apply one (docs/operate)");
    }
    node.run(|routes| routes, |_| {}).await
}

/// `interline migrate`.
///
/// # Errors
/// When the database is out of reach, or newer than this binary.
#[allow(clippy::print_stdout, reason = "the command's answer")]
pub async fn migrate(settings: Settings) -> Result<()> {
    let _lock = data::lock(&settings.data)?;
    let version = Store::migrate_only(&settings.database_url()?).await?;
    println!("the database has schema version {version}");
    Ok(())
}

/// What a node holds before it serves.
pub struct Node {
    /// Where the outside reaches us.
    pub public_url: Url,
    /// What it serves.
    pub apps: Arc<Apps>,
    /// The system of record.
    pub store: Store,
    files: Storage,
    listener: TcpListener,
    name: String,
    /// Held while the process lives.
    _lock: File,
}

impl Node {
    /// Locks the data directory, opens the store, and takes the port.
    ///
    /// # Errors
    /// Each says what stands in the way.
    pub async fn open(settings: &Settings) -> Result<Self> {
        let lock = data::lock(&settings.data)?;
        let keys = data::keys(settings)?;
        let url = settings.database_url()?;
        let store = Store::open(interline_store::Settings { url, lanes: 0, keys }).await?;
        let listener = TcpListener::bind(settings.listen)
            .await
            .with_context(|| format!("cannot listen on {}", settings.listen))?;
        let address = listener.local_addr()?;
        let public_url = match &settings.public_url {
            Some(url) => url.clone(),
            None => Url::parse(&format!("http://{address}"))?,
        };
        let http = http(settings)?;
        let files = files::open(settings, http.clone())?;
        voice::set_up(settings, http.clone())?;
        let has_scanner = files.scanner.is_some();
        let apps = Apps::load(store.clone(), http, public_url.clone(), has_scanner).await?;
        Ok(Self { public_url, apps, store, files, listener, name: settings.node.clone(), _lock: lock })
    }

    /// Puts a document of the operator in force. It replaces what is there as a whole: the file is what is meant.
    ///
    /// # Errors
    /// Every fault of it.
    pub async fn apply(&self, document: Document) -> Result<(), Refused> {
        let app = AppId::from(document.app.id.as_str());
        let edit = |draft: Option<Draft>| {
            let retired = draft.as_ref().map(|draft| draft.retired.clone()).unwrap_or_default();
            let current = draft.map(|draft| draft.document);
            let document = config::merge(current.as_ref(), document, true).map_err(Refused::Invalid)?;
            Ok(Draft { document, retired })
        };
        let changed = self.apps.edit(&app, Origin::Operator, None, false, edit).await?;
        if changed.new {
            tracing::info!(%app, version = changed.version, "the file is in force now");
        }
        Ok(())
    }

    /// Serves until SIGTERM or SIGINT, then finishes what is in hand. `more` adds routes; `ready` is called once.
    ///
    /// # Errors
    /// When an app cannot be recorded or the listener fails.
    pub async fn run(self, more: impl FnOnce(Router) -> Router, ready: impl FnOnce(&Engine)) -> Result<()> {
        let scripts = interline_scripts::Scripts::new().context("cannot start the script threads")?;
        let engine = Engine::start(interline_engine::Settings {
            store: self.store,
            apps: self.apps,
            public_url: self.public_url.clone(),
            node: self.name,
            hints: Arc::new(InProcess::default()),
            files: self.files,
            scripts: Arc::new(QuickJs(scripts)),
        })
        .await?;
        let routes = more(interline_api::router(&engine));
        let address = self.listener.local_addr()?;
        tracing::info!(%address, public_url = %self.public_url, "serving");
        ready(&engine);
        let stopped = engine.clone();
        // A line and its ping are two small writes: without this the second waits for the client's delayed ACK (40 ms).
        let listener = self.listener.tap_io(|tcp| {
            if let Err(error) = tcp.set_nodelay(true) {
                tracing::debug!(%error, "a connection keeps its delay");
            }
        });
        let ended = axum::serve(listener, routes.into_make_service_with_connect_info::<SocketAddr>())
            .with_graceful_shutdown(async move {
                stop_signal().await;
                tracing::info!("stopping: finishing what is in hand");
                // Sockets are told to reconnect; the listener takes no more.
                stopped.stop_taking();
            })
            .await;
        engine.stop().await;
        tracing::info!("stopped");
        ended.context("the listener failed")
    }
}

/// Scripts run in QuickJS, on threads of their own.
struct QuickJs(interline_scripts::Scripts);

#[async_trait::async_trait]
impl interline_engine::Scripts for QuickJs {
    async fn run(&self, call: Call) -> Answer {
        self.0.run(call).await
    }
}

/// The way out, with what the settings allow.
///
/// # Errors
/// When an allowance is not host:port, or TLS cannot be set up.
pub fn http(settings: &Settings) -> Result<Http> {
    let guard = Guard::default();
    for allowed in &settings.allow_net {
        let url = Url::parse(&format!("http://{allowed}")).ok().filter(|url| url.path() == "/");
        guard.allow(&url.with_context(|| format!("allow_net: `{allowed}` is not host:port"))?);
    }
    Http::new(guard).context("cannot set up TLS")
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let interrupt = tokio::signal::ctrl_c();
    match signal(SignalKind::terminate()) {
        Ok(mut terminate) => {
            tokio::select! { _ = terminate.recv() => {}, _ = interrupt => {} }
        }
        Err(_) => {
            let _ = interrupt.await;
        }
    }
}
