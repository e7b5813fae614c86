//! The apps in force, and how one changes: a draft is edited, built, committed, and served from the next input on.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, PoisonError, RwLock};

use interline_connector::Http;
use interline_core::{AppId, IntegrationName};
use interline_store::{PutApp, Store};
use serde::{Deserialize, Serialize};
use tokio::sync::watch;
use url::Url;

use super::build::{Site, build};
use super::document::Document;
use super::{Invalid, Retired};
use crate::apps::Runtime;
use crate::ingress::Trouble;

/// What is changed: the document, and what was deleted from it and is still in use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Draft {
    /// The app as people write it.
    pub document: Document,
    /// Deleted agent systems with live transfers.
    #[serde(default)]
    pub retired: BTreeMap<IntegrationName, Retired>,
}

/// Where a document comes from. It decides which addresses may be reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Origin {
    /// A file that the operator passed to this process: the hosts it names are allowed.
    Operator,
    /// The API: private addresses are refused, unless the process allows them.
    Api,
    /// The store: it was judged before. What it may reach is decided when it is called.
    Store,
}

impl Origin {
    /// Who did it, where nobody says more.
    fn word(self) -> &'static str {
        match self {
            Self::Operator => "a file",
            Self::Api => "the API",
            Self::Store => "the server",
        }
    }
}

/// Why a change was not made. Nothing changed then.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// The document has faults.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Invalid(Vec<Invalid>),
    /// There is no such app, or no such part of it.
    #[error("there is no {0}")]
    Unknown(String),
    /// Somebody else changed it meanwhile.
    #[error("the app was changed meanwhile; its version is {0}")]
    Conflict(i64),
    /// It is there already.
    #[error("there is {0} already")]
    Exists(String),
    /// A choice is missing, or somebody still uses it.
    #[error("{message}")]
    InUse {
        /// A stable word for the case: `replacement_needed`, `live_transfers`, `type_in_use`.
        code: &'static str,
        /// What stands in the way, and what to do.
        message: String,
    },
    /// The store could not be used.
    #[error(transparent)]
    Trouble(#[from] Trouble),
}

/// What a change came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Changed {
    /// The version in force.
    pub version: i64,
    /// False: it was the one in force already.
    pub new: bool,
}

/// All apps that this process serves.
pub struct Apps {
    store: Store,
    /// None: a test's apps, which no document describes.
    site: Option<(Http, Url)>,
    /// This process has a virus scanner: apps may ask for it.
    has_scanner: bool,
    served: RwLock<HashMap<AppId, Arc<Runtime>>>,
    /// Raised with every change of `served`.
    changes: watch::Sender<u64>,
    /// One change at a time.
    changing: tokio::sync::Mutex<()>,
}

/// What the store keeps of a version.
#[derive(Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    draft: Draft,
    /// What `step` knew: a replay meets the same, whatever became of the connectors.
    core: interline_core::App,
}

impl Apps {
    /// Takes up all apps that the store has; `has_scanner`: they may ask for scanned files. One that cannot be read or built is left out, and said so: the others go on.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn load(
        store: Store,
        http: Http,
        public_url: Url,
        has_scanner: bool,
    ) -> Result<Arc<Self>, Trouble> {
        let site = Some((http, public_url));
        let apps = Self { has_scanner, ..Self::new(store, site, HashMap::new()) };
        for (app, version) in apps.store.apps().await? {
            let doc = match apps.store.get_app(&app, version).await {
                Ok(Some(doc)) => doc,
                Ok(None) => continue,
                Err(error) if error.is_retryable() => return Err(error.into()),
                Err(error) => {
                    tracing::error!(app, %error, "this app is not served: what the store has cannot be read");
                    continue;
                }
            };
            match serde_json::from_str::<Stored>(&doc) {
                Ok(stored) => match apps.build(&stored.draft, Origin::Store, None, version) {
                    Ok(runtime) => apps.serve(runtime),
                    Err(faults) => {
                        let faults = Refused::Invalid(faults);
                        tracing::error!(app, %faults, "this app is not served: apply a document that is right");
                    }
                },
                // Written before documents were kept: it came from a file, and comes again from one.
                Err(_) => {
                    tracing::warn!(app, "this app is not served: give its file with --app, or apply it")
                }
            }
        }
        Ok(Arc::new(apps))
    }

    /// Apps that no document describes: for tests with connectors of their own.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn of(store: Store, runtimes: Vec<Runtime>) -> Result<Arc<Self>, Trouble> {
        let mut served = HashMap::new();
        for mut runtime in runtimes {
            let doc = crate::ingress::json(&*runtime.app)?;
            runtime.version = store.put_app(runtime.app.id.as_str(), &doc).await?;
            served.insert(runtime.app.id.clone(), Arc::new(runtime));
        }
        Ok(Arc::new(Self::new(store, None, served)))
    }

    fn new(store: Store, site: Option<(Http, Url)>, served: HashMap<AppId, Arc<Runtime>>) -> Self {
        let changing = tokio::sync::Mutex::default();
        let changes = watch::Sender::new(0);
        Self { store, site, has_scanner: false, served: RwLock::new(served), changes, changing }
    }

    pub(super) fn site(&self) -> Option<&(Http, Url)> {
        self.site.as_ref()
    }

    pub(super) fn store(&self) -> &Store {
        &self.store
    }

    /// An app as it is in force.
    pub fn get(&self, app: &AppId) -> Option<Arc<Runtime>> {
        self.served.read().unwrap_or_else(PoisonError::into_inner).get(app).cloned()
    }

    /// All of them, in order.
    pub fn ids(&self) -> Vec<AppId> {
        let mut ids: Vec<AppId> =
            self.served.read().unwrap_or_else(PoisonError::into_inner).keys().cloned().collect();
        ids.sort();
        ids
    }

    /// As long as this is held, no app changes.
    pub(crate) async fn hold_changes(&self) -> tokio::sync::MutexGuard<'_, ()> {
        self.changing.lock().await
    }

    fn serve(&self, runtime: Runtime) {
        let id = runtime.app.id.clone();
        self.served.write().unwrap_or_else(PoisonError::into_inner).insert(id, Arc::new(runtime));
        self.changes.send_modify(|count| *count += 1);
    }

    /// Tells when an app was changed, or came.
    pub(crate) fn changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    fn build(
        &self,
        draft: &Draft,
        origin: Origin,
        current: Option<&Document>,
        version: i64,
    ) -> Result<Runtime, Vec<Invalid>> {
        let Some((http, public_url)) = &self.site else {
            return Err(vec![Invalid::at("", "this process serves no documents")]);
        };
        let running = self.get(&AppId::from(draft.document.app.id.as_str()));
        let (seal, has_scanner, running) = (self.store.seal(), self.has_scanner, running.as_deref());
        build(draft, &Site { http, public_url, seal, origin, has_scanner, current, running }, version)
    }

    /// Checks what `edit` makes of the app's draft, without putting it in force.
    ///
    /// # Errors
    /// As [`Apps::edit`].
    pub async fn check(
        &self,
        app: &AppId,
        origin: Origin,
        edit: impl FnOnce(Option<Draft>) -> Result<Draft, Refused>,
    ) -> Result<Draft, Refused> {
        let current = self.draft(app);
        let mut draft = edit(current.clone())?;
        self.retire_the_missing(app, current.as_ref(), &mut draft, false).await?;
        let known = current.as_ref().map(|current| &current.document);
        self.build(&draft, origin, known, 0).map_err(Refused::Invalid)?;
        Ok(draft)
    }

    /// Changes an app, or makes it: `edit` gets the draft in force. With `expected`, only if that is the version in
    /// force. Agent systems that `edit` leaves out are retired; with `end`, their live transfers are ended.
    ///
    /// # Errors
    /// Nothing was changed then.
    pub async fn edit(
        &self,
        app: &AppId,
        origin: Origin,
        expected: Option<i64>,
        end: bool,
        edit: impl FnOnce(Option<Draft>) -> Result<Draft, Refused>,
    ) -> Result<Changed, Refused> {
        self.edit_by(app, (origin, origin.word()), expected, end, edit).await
    }

    /// [`Apps::edit`], and who did it, for the history of flows.
    pub(super) async fn edit_by(
        &self,
        app: &AppId,
        (origin, by): (Origin, &str),
        expected: Option<i64>,
        end: bool,
        edit: impl FnOnce(Option<Draft>) -> Result<Draft, Refused>,
    ) -> Result<Changed, Refused> {
        let _one_at_a_time = self.changing.lock().await;
        let in_force = self.store.current_app(app.as_str()).await.map_err(Trouble::from)?;
        if let Some(expected) = expected.filter(|expected| Some(*expected) != in_force) {
            tracing::debug!(%app, expected, ?in_force, "a change came too late");
            return Err(Refused::Conflict(in_force.unwrap_or(0)));
        }
        let current = self.draft_in_force(app, in_force).await?;
        let mut draft = edit(current.clone())?;
        if draft.document.app.id != app.as_str() {
            let message = format!("is `{}`, but this is {app}; an app keeps its id", draft.document.app.id);
            return Err(Refused::Invalid(vec![Invalid::at("app.id", message)]));
        }
        self.retire_the_missing(app, current.as_ref(), &mut draft, end).await?;
        let known = current.as_ref().map(|current| &current.document);
        let mut runtime = self.build(&draft, origin, known, 0).map_err(Refused::Invalid)?;
        let published = super::flows::published(known, &draft.document, &runtime.app.flows, by)?;
        let stored = Stored { draft, core: (*runtime.app).clone() };
        let doc = crate::ingress::json(&stored)?;
        match self.store.put_app_if(app.as_str(), in_force, &doc, &published).await.map_err(Trouble::from)? {
            PutApp::Done(version) => {
                runtime.version = version;
                self.serve(runtime);
                Ok(Changed { version, new: in_force != Some(version) })
            }
            PutApp::Conflict(current) => Err(Refused::Conflict(current.unwrap_or(0))),
        }
    }

    /// The draft of the version in force. It is the store's word that counts: another process may have changed the app, a
    /// commit of ours may have gone through that was answered with an error, or the app no longer builds and is not served.
    async fn draft_in_force(&self, app: &AppId, in_force: Option<i64>) -> Result<Option<Draft>, Trouble> {
        let Some(version) = in_force else { return Ok(None) };
        if let Some(served) = self.get(app).filter(|served| served.version == version) {
            return Ok(served.configured.as_deref().cloned());
        }
        let doc = self.store.get_app(app.as_str(), version).await?;
        Ok(doc.and_then(|doc| serde_json::from_str::<Stored>(&doc).ok()).map(|stored| stored.draft))
    }

    /// The draft in force.
    pub fn draft(&self, app: &AppId) -> Option<Draft> {
        self.get(app)?.configured.as_deref().cloned()
    }

    /// What somebody talks through is not taken away under them: it is retired. What comes back is taken out of
    /// retirement, if it is of the same kind.
    async fn retire_the_missing(
        &self,
        app: &AppId,
        current: Option<&Draft>,
        draft: &mut Draft,
        end: bool,
    ) -> Result<(), Refused> {
        let Some(current) = current else { return Ok(()) };
        for (name, integration) in &current.document.agents {
            match draft.document.agents.get(name) {
                None => {
                    let credentials = current.document.credentials.keys().cloned().collect();
                    let retired = Retired { integration: integration.clone(), credentials, end };
                    draft.retired.insert(name.clone(), retired);
                }
                Some(next) if next.kind != integration.kind => {
                    self.check_unused(app, name, &integration.kind).await?;
                }
                Some(_) => {}
            }
        }
        let back: Vec<IntegrationName> =
            draft.retired.keys().filter(|name| draft.document.agents.contains_key(*name)).cloned().collect();
        for name in back {
            let was = draft.retired.remove(&name).map(|retired| retired.integration.kind);
            let now = draft.document.agents.get(&name).map(|next| next.kind.clone());
            if let (Some(was), true) = (&was, was != now) {
                self.check_unused(app, &name, was).await?;
            }
        }
        Ok(())
    }

    async fn check_unused(&self, app: &AppId, name: &IntegrationName, kind: &str) -> Result<(), Refused> {
        let live = self.store.engaged_count(app.as_str(), name.as_str()).await.map_err(Trouble::from)?;
        if live == 0 {
            return Ok(());
        }
        Err(Refused::InUse {
            code: "type_in_use",
            message: format!(
                "`{name}` is of type `{kind}` and has {live} sessions that are not over: end them, or take another name"
            ),
        })
    }

    /// Nobody uses it any more.
    pub(super) async fn forget_retired(&self, app: &AppId, name: &IntegrationName) -> Result<(), Refused> {
        let forget = |draft: Option<Draft>| {
            let mut draft = draft.ok_or_else(|| Refused::Unknown("such app".into()))?;
            draft.retired.remove(name);
            Ok(draft)
        };
        self.edit(app, Origin::Store, None, false, forget).await.map(|_| ())
    }
}
