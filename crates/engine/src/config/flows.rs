//! Flows: checked with everything that they name, drafted, published, restored.
//!
//! What is published stands in the app's document, so that it comes into force with it, in one commit. That commit also
//! writes the new version into the flow's history, and the set of all flows that conversations keep from their beginning
//! on (docs/decisions/0032).

use std::sync::Arc;

use interline_core::flow::node::Node;
use interline_core::flow::{Fault, Flow, FlowName, Flows, Known, MAIN, Severity, check as check_flow};
use interline_core::{AppId, IntegrationName};
use interline_store::{FlowRow, FlowVersion, Published, PutDraft};
use sha2::{Digest as _, Sha256};
use url::Url;

use super::Invalid;
use super::apps::{Apps, Changed, Draft, Origin, Refused};
use super::build::Site;
use super::document::Document;
use crate::ingress::Trouble;

/// The longest and shortest silence that may end a conversation, minutes (the field's own range).
const SILENCE: std::ops::RangeInclusive<u32> = 5..=20_160;

/// A flow in a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FlowSummary {
    /// Its name.
    pub name: FlowName,
    /// It is published.
    pub published: bool,
    /// How many nodes that has.
    pub nodes: usize,
    /// The version of its draft.
    pub draft: Option<i64>,
}

/// What the validator says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validated {
    /// All findings, errors first.
    pub faults: Vec<Fault>,
}

impl Validated {
    /// Whether it can be published.
    pub fn is_sound(&self) -> bool {
        self.faults.iter().all(|fault| fault.severity == Severity::Warning)
    }
}

/// Why a flow was not published.
#[derive(Debug, thiserror::Error)]
pub enum FlowRefused {
    /// It has errors; the warnings are told with them.
    #[error("the flow has errors")]
    Faults(Vec<Fault>),
    /// The draft is another by now.
    #[error("the draft was changed meanwhile; its version is {0}")]
    DraftChanged(i64),
    /// The app could not be changed.
    #[error(transparent)]
    Refused(#[from] Refused),
}

impl From<Trouble> for FlowRefused {
    fn from(trouble: Trouble) -> Self {
        Self::Refused(trouble.into())
    }
}

/// The published flows as a set, with its id.
pub(super) fn set_of(document: &Document) -> Arc<Flows> {
    let all = document.all_flows().map(|(name, _, flow)| (name, flow.clone())).collect();
    let mut flows = Flows { id: "".into(), all, entries: document.channel_flows.clone() };
    // It was read from JSON, so it can be written.
    let content = serde_json::to_vec(&flows).unwrap_or_default();
    let hash = Sha256::digest(&content);
    flows.id = hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect::<String>().into();
    Arc::new(flows)
}

/// What the store keeps of a change: the set, and the flows that are others than before.
pub(super) fn published(
    before: Option<&Document>,
    after: &Document,
    set: &Flows,
    by: &str,
) -> Result<Published, Trouble> {
    let mut flows = Vec::new();
    for (name, _, flow) in after.all_flows() {
        if before.and_then(|before| before.published(&name)) != Some(flow) {
            flows.push((name.to_string(), crate::ingress::json(flow)?));
        }
    }
    let set = Some((set.id.to_string(), crate::ingress::json(set)?));
    Ok(Published { set, flows, by: by.to_owned(), at: crate::Clock::system().now().0 })
}

/// Everything that is wrong with the flows of a document, and with what they name.
pub(super) fn check(document: &Document, site: &Site<'_>, faults: &mut Vec<Invalid>) {
    check_names(document, faults);
    check_hours(document, faults);
    // What is in the store was judged before; should we judge otherwise today, a flow fails where it runs.
    if site.origin == Origin::Store {
        return;
    }
    for (_, at, flow) in document.all_flows() {
        let unchanged = site
            .current
            .is_some_and(|current| current.all_flows().any(|(_, there, known)| there == at && known == flow));
        judge_addresses(&at, flow, document, site, unchanged, faults);
        let found = findings(&at, flow, document);
        let errors = found.into_iter().filter(|fault| fault.severity == Severity::Error);
        faults.extend(errors.map(|fault| Invalid::at(fault.path, fault.message)));
    }
}

/// What the validator says about a flow as part of this document.
fn findings(at: &str, flow: &Flow, document: &Document) -> Vec<Fault> {
    let known = Known {
        is_agent: &|name: &IntegrationName| document.agents.contains_key(name),
        is_bot: &|name: &IntegrationName| document.bots.contains_key(name),
        has_hours: &|name: &str| document.hours.contains_key(name),
        flow: &|name: &FlowName| document.published(name),
    };
    check_flow(at, flow, &known)
}

fn check_names(document: &Document, faults: &mut Vec<Invalid>) {
    if document.flows.contains_key(&FlowName::from(MAIN)) {
        let message = format!("`{MAIN}` is the name of the flow under `flow`");
        faults.push(Invalid::at(format!("flows.{MAIN}"), message));
    }
    for (channel, flow) in &document.channel_flows {
        let at = format!("channel_flows.{channel}");
        if !document.channels.contains_key(channel) {
            faults.push(Invalid::at(&at, format!("there is no channel `{channel}` under `channels`")));
        }
        if document.published(flow).is_none() {
            faults.push(Invalid::at(at, format!("there is no flow `{flow}` under `flows`")));
        }
    }
    for name in document.bots.keys() {
        if document.channels.contains_key(name) || document.agents.contains_key(name) {
            let message = "another integration has this name already";
            faults.push(Invalid::at(format!("bots.{name}"), message));
        }
    }
    let sessions = &document.sessions;
    let minutes = sessions.inactivity_minutes;
    if minutes.is_some_and(|minutes| !SILENCE.contains(&minutes)) {
        faults.push(Invalid::at("sessions.inactivity_minutes", "is from 5 to 20160"));
    }
    if let Some(reminder) = &sessions.reminder
        && minutes.is_none_or(|minutes| reminder.minutes == 0 || reminder.minutes >= minutes)
    {
        let message = "is at least 1 minute, and less than `inactivity_minutes`";
        faults.push(Invalid::at("sessions.reminder.minutes", message));
    }
}

fn check_hours(document: &Document, faults: &mut Vec<Invalid>) {
    for (name, hours) in &document.hours {
        for unclear in hours.faults() {
            faults.push(Invalid::at(format!("hours.{name}"), unclear.to_string()));
        }
    }
}

/// The hosts that requests name. As for integrations: what a file of the operator names may be reached; what comes by the
/// API may not be private.
fn judge_addresses(
    at: &str,
    flow: &Flow,
    document: &Document,
    site: &Site<'_>,
    unchanged: bool,
    faults: &mut Vec<Invalid>,
) {
    let requests = flow.nodes.iter().filter_map(|(id, node)| match node {
        Node::Api(api) => Some((id, "api.request", &api.request)),
        Node::Deflection(deflection) => Some((id, "deflection.send", &deflection.send)),
        _ => None,
    });
    for (id, field, request) in requests {
        let Some(url) = host_of(&request.url, document) else { continue };
        match site.origin {
            Origin::Operator => site.http.guard().allow(&url),
            Origin::Api if unchanged => {}
            Origin::Api => {
                if let Err(forbidden) = site.http.guard().check(&url) {
                    faults.push(Invalid::at(format!("{at}.nodes.{id}.{field}.url"), forbidden.to_string()));
                }
            }
            Origin::Store => {}
        }
    }
}

/// The URL, as far as its host goes: only settings may stand there.
fn host_of(template: &str, document: &Document) -> Option<Url> {
    let mut url = template.to_owned();
    for (name, value) in &document.env {
        for gap in [format!("{{{{env.{name}}}}}"), format!("{{{{ env.{name} }}}}")] {
            url = url.replace(&gap, value.expose());
        }
    }
    let end = url.find("{{").unwrap_or(url.len());
    Url::parse(&url[..end]).ok()
}

// ── drafts, publishing, history ──────────────────────────────────────────────────────────────────────────────────

impl Apps {
    /// All flows of an app, published or drafted, by name.
    ///
    /// # Errors
    /// There is no such app, or the store is out of reach.
    pub async fn flows(&self, app: &AppId) -> Result<Vec<FlowSummary>, Refused> {
        let document = self.document_of(app)?;
        let drafts = self.store().flow_drafts(app.as_str()).await.map_err(Trouble::from)?;
        let draft = |name: &FlowName| {
            drafts.iter().find(|(draft, _)| draft == name.as_str()).map(|(_, row)| row.version)
        };
        let mut all: Vec<FlowSummary> = document
            .all_flows()
            .map(|(name, _, flow)| {
                let draft = draft(&name);
                FlowSummary { name, published: true, nodes: flow.nodes.len(), draft }
            })
            .collect();
        for (name, row) in &drafts {
            let name = FlowName::from(name.as_str());
            if document.published(&name).is_none() {
                all.push(FlowSummary { name, published: false, nodes: 0, draft: Some(row.version) });
            }
        }
        all.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(all)
    }

    /// A published flow.
    ///
    /// # Errors
    /// There is no such app or flow.
    pub fn flow(&self, app: &AppId, name: &FlowName) -> Result<Flow, Refused> {
        let document = self.document_of(app)?;
        document.published(name).cloned().ok_or_else(|| Refused::Unknown(format!("flow `{name}`")))
    }

    /// A flow's draft.
    ///
    /// # Errors
    /// There is no such app, or the store is out of reach.
    pub async fn flow_draft(&self, app: &AppId, name: &FlowName) -> Result<Option<FlowRow>, Refused> {
        self.document_of(app)?;
        Ok(self.store().flow_draft(app.as_str(), name.as_str()).await.map_err(Trouble::from)?)
    }

    /// Whether there is such a flow, published or drafted.
    ///
    /// # Errors
    /// There is no such app or flow, or the store is out of reach.
    pub async fn knows_flow(&self, app: &AppId, name: &FlowName) -> Result<(), Refused> {
        let published = self.document_of(app)?.published(name).is_some();
        if published || self.flow_draft(app, name).await?.is_some() {
            return Ok(());
        }
        Err(Refused::Unknown(format!("flow `{name}`")))
    }

    /// Begins a flow: a draft under a new name.
    ///
    /// # Errors
    /// The name is taken, or is none.
    pub async fn begin_flow(
        &self,
        app: &AppId,
        name: &FlowName,
        flow: &Flow,
        by: &str,
    ) -> Result<i64, FlowRefused> {
        if self.knows_flow(app, name).await.is_ok() {
            return Err(Refused::Exists(format!("a flow `{name}`")).into());
        }
        self.put_flow_draft(app, name, flow, by, Some(0)).await
    }

    /// Writes a draft, whatever the validator says of it. With `expected`, only over that version (0: there is none).
    ///
    /// # Errors
    /// There is no such app, or another version of the draft is there.
    pub async fn put_flow_draft(
        &self,
        app: &AppId,
        name: &FlowName,
        flow: &Flow,
        by: &str,
        expected: Option<i64>,
    ) -> Result<i64, FlowRefused> {
        self.document_of(app)?;
        let (doc, at) = (crate::ingress::json(flow)?, crate::Clock::system().now().0);
        let put = self.store().put_flow_draft(app.as_str(), name.as_str(), &doc, (by, at), expected).await;
        match put.map_err(Trouble::from)? {
            PutDraft::Done(version) => Ok(version),
            PutDraft::Conflict(version) => Err(FlowRefused::DraftChanged(version.unwrap_or(0))),
        }
    }

    /// Throws a draft away. False: there was none.
    ///
    /// # Errors
    /// There is no such app, or the store is out of reach.
    pub async fn delete_flow_draft(&self, app: &AppId, name: &FlowName) -> Result<bool, Refused> {
        self.document_of(app)?;
        Ok(self.store().delete_flow_draft(app.as_str(), name.as_str()).await.map_err(Trouble::from)?)
    }

    /// What the validator says of a flow, were it published under this name.
    ///
    /// # Errors
    /// There is no such app.
    pub fn validate_flow(&self, app: &AppId, name: &FlowName, flow: &Flow) -> Result<Validated, Refused> {
        let mut document = self.document_of(app)?;
        put(&mut document, name, flow);
        let at = if name.as_str() == MAIN { "flow".to_owned() } else { format!("flows.{name}") };
        Ok(Validated { faults: findings(&at, flow, &document) })
    }

    /// Puts a flow in force: for conversations that begin from now on. A draft that was published is thrown away.
    ///
    /// # Errors
    /// It has errors, or the app could not be changed. Nothing was changed then.
    pub async fn publish_flow(
        &self,
        app: &AppId,
        name: &FlowName,
        flow: &Flow,
        by: &str,
    ) -> Result<(Changed, Validated), FlowRefused> {
        let validated = self.validate_flow(app, name, flow)?;
        if !validated.is_sound() {
            return Err(FlowRefused::Faults(validated.faults));
        }
        let edit = |draft: Option<Draft>| {
            let mut draft = draft.ok_or_else(|| Refused::Unknown("such app".into()))?;
            put(&mut draft.document, name, flow);
            Ok(draft)
        };
        let changed = self.edit_by(app, (Origin::Api, by), None, false, edit).await?;
        if let Some(draft) = self.flow_draft(app, name).await?
            && serde_json::from_str::<Flow>(&draft.doc).is_ok_and(|draft| draft == *flow)
        {
            self.delete_flow_draft(app, name).await?;
        }
        Ok((changed, validated))
    }

    /// Takes a flow out of force. Its history stays.
    ///
    /// # Errors
    /// It is `main`, or something still names it.
    pub async fn unpublish_flow(&self, app: &AppId, name: &FlowName, by: &str) -> Result<Changed, Refused> {
        if name.as_str() == MAIN {
            let message = "`main` is what conversations begin with where nothing else is said".to_owned();
            return Err(Refused::InUse { code: "flow_in_use", message });
        }
        let edit = |draft: Option<Draft>| {
            let mut draft = draft.ok_or_else(|| Refused::Unknown("such app".into()))?;
            if draft.document.flows.remove(name).is_none() {
                return Err(Refused::Unknown(format!("flow `{name}`")));
            }
            Ok(draft)
        };
        self.edit_by(app, (Origin::Api, by), None, false, edit).await
    }

    /// The history of a flow, newest first.
    ///
    /// # Errors
    /// There is no such app, or the store is out of reach.
    pub async fn flow_versions(
        &self,
        app: &AppId,
        name: &FlowName,
        before: i64,
        limit: i64,
    ) -> Result<Vec<FlowVersion>, Refused> {
        self.document_of(app)?;
        let versions = self.store().flow_versions(app.as_str(), name.as_str(), before, limit).await;
        Ok(versions.map_err(Trouble::from)?)
    }

    /// One version of a flow.
    ///
    /// # Errors
    /// There is no such version, or the store is out of reach.
    pub async fn flow_version(&self, app: &AppId, name: &FlowName, version: i64) -> Result<FlowRow, Refused> {
        self.document_of(app)?;
        let found = self.store().flow_version(app.as_str(), name.as_str(), version).await;
        let found = found.map_err(Trouble::from)?;
        found.ok_or_else(|| Refused::Unknown(format!("version {version} of the flow `{name}`")))
    }

    /// Puts an older version in force again, if it still makes sense: what it names may be gone.
    ///
    /// # Errors
    /// As [`Apps::publish_flow`].
    pub async fn restore_flow(
        &self,
        app: &AppId,
        name: &FlowName,
        version: i64,
        by: &str,
    ) -> Result<(Changed, Validated), FlowRefused> {
        let row = self.flow_version(app, name, version).await?;
        let flow: Flow = serde_json::from_str(&row.doc)
            .map_err(|error| Trouble::Broken(format!("version {version} of a flow: {error}")))?;
        self.publish_flow(app, name, &flow, by).await
    }

    /// Takes a deleted agent system out of all drafts. Returns where it was named.
    pub(super) async fn unname_in_drafts(
        &self,
        app: &AppId,
        agent: &IntegrationName,
    ) -> Result<Vec<String>, Refused> {
        let mut places = Vec::new();
        for (name, row) in self.store().flow_drafts(app.as_str()).await.map_err(Trouble::from)? {
            let Ok(mut flow) = serde_json::from_str::<Flow>(&row.doc) else { continue };
            let nodes = flow.unname_agent(agent);
            if nodes.is_empty() {
                continue;
            }
            let name = FlowName::from(name.as_str());
            match self.put_flow_draft(app, &name, &flow, &row.by, Some(row.version)).await {
                Ok(_) => places.extend(nodes.iter().map(|node| format!("drafts.{name}.nodes.{node}"))),
                // Somebody changed it just now: the validator tells them.
                Err(FlowRefused::DraftChanged(_) | FlowRefused::Faults(_)) => {}
                Err(FlowRefused::Refused(refused)) => return Err(refused),
            }
        }
        Ok(places)
    }

    fn document_of(&self, app: &AppId) -> Result<Document, Refused> {
        let draft = self.draft(app).ok_or_else(|| Refused::Unknown("such app".into()))?;
        Ok(draft.document)
    }
}

fn put(document: &mut Document, name: &FlowName, flow: &Flow) {
    if name.as_str() == MAIN {
        document.flow = flow.clone();
    } else {
        document.flows.insert(name.clone(), flow.clone());
    }
}
