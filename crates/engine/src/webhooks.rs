//! Vendors' calls. Who called is proven by the connector; what it means is committed; only then it is answered.

use std::sync::Arc;

use interline_connector::webhook::{History, HistoryQuery};
use interline_connector::{AgentSystem, Answer, FileRefused, Heard, Incoming, Rejected, Unverified};
use interline_core::conversation::classify::Call;
use interline_core::conversation::input::{AgentEvent, DeliveryResult};
use interline_core::conversation::profile::Profile;
use interline_core::conversation::request_id::RequestId;
use interline_core::conversation::state::Customer;
use interline_core::transfer::{Failure, Reason};
use interline_core::{AppId, ConversationId, CustomerId, File, Input, IntegrationName, ParticipantNo, Seq};
use url::Url;

use crate::address;
use crate::apps::Runtime;
use crate::dispatch::brief;
use crate::engine::{Engine, Inner};
use crate::files::Sender;
use crate::ingress::{Change, InboxKey, Trouble};
use crate::live::{Key, Live, Slot};
use crate::observe;

/// A customer's history is counted up to this many lines.
const MOST: usize = 10_000;

type Named = (IntegrationName, Arc<dyn AgentSystem>);

impl Engine {
    /// A call to the integrations of kind `connector` in `app`, on a path that the vendor's protocol fixes.
    pub async fn receive(&self, app: &AppId, connector: &str, request: &Unverified) -> Answer {
        let answer = self.prove_and_hear(app, connector, request).await;
        observe::webhook_answered(connector, answer.status);
        answer
    }

    /// A call to the own address of one integration: `{app}/{integration}/{secret part}/…`, where `request.path` begins
    /// with the secret part. A wrong one is answered as if there was no such integration.
    pub async fn receive_at(
        &self,
        app: &AppId,
        integration: &IntegrationName,
        mut request: Unverified,
    ) -> Answer {
        let (secret, rest) = request.path.split_once('/').unwrap_or((&request.path, ""));
        let is_theirs = address::is_theirs(self.inner.store.seal(), app, integration, secret);
        request.path = rest.to_owned();
        request.secret_part = is_theirs;
        let runtime = self.inner.apps.get(app).filter(|_| is_theirs);
        let agent = runtime.as_ref().and_then(|runtime| runtime.agents.get(integration));
        let (Some(runtime), Some(agent)) = (&runtime, agent) else {
            observe::webhook_answered("unknown", 404);
            return Answer::error(404, "there is no such integration");
        };
        let answer = self.hear_proven(runtime, agent.manifest().id, [(integration, agent)], &request).await;
        observe::webhook_answered(agent.manifest().id, answer.status);
        answer
    }

    /// The own address of an agent system. None: there is no such agent system.
    pub fn webhook_of(&self, app: &AppId, integration: &IntegrationName) -> Option<Url> {
        self.inner.apps.get(app)?.agents.get(integration)?;
        address::of(self.inner.store.seal(), &self.inner.public_url, app, integration)
    }

    async fn prove_and_hear(&self, app: &AppId, connector: &str, request: &Unverified) -> Answer {
        let Some(runtime) = self.inner.apps.get(app) else {
            return Answer::error(404, "there is no such bot");
        };
        let asked = runtime.agents.iter().filter(|(_, agent)| agent.manifest().id == connector);
        self.hear_proven(&runtime, connector, asked, request).await
    }

    async fn hear_proven<'a>(
        &self,
        runtime: &Arc<Runtime>,
        connector: &str,
        asked: impl IntoIterator<Item = (&'a IntegrationName, &'a Arc<dyn AgentSystem>)>,
        request: &Unverified,
    ) -> Answer {
        let app = &runtime.app.id;
        let mut rejected: Option<Rejected> = None;
        // Several integrations may share a path; each tries its own secret.
        let mut proven: Vec<Named> = Vec::new();
        let mut received = None;
        for (name, agent) in asked {
            match agent.receive(request) {
                Ok(heard) => {
                    proven.push((name.clone(), agent.clone()));
                    received.get_or_insert(heard);
                }
                // One that knows the caller answers better than one that does not.
                Err(error) if rejected.as_ref().is_none_or(|known| known.0.status == 401) => {
                    rejected = Some(error)
                }
                Err(_) => {}
            }
        }
        let Some(received) = received else {
            return rejected
                .map_or_else(|| Answer::error(404, "there is no such integration"), |error| error.0);
        };
        tracing::debug!(%app, connector, proof = ?received.proof, events = received.heard.len(), "heard");
        let (inner, runtime, answer) = (self.inner.clone(), runtime.clone(), received.answer);
        let told =
            self.inner.surely(async move { inner.heard_all(&runtime, &proven, received.heard).await }).await;
        match told.unwrap_or_else(|| Err(Trouble::Broken("a panic".into()))) {
            Ok(other) => other.unwrap_or(answer),
            Err(Trouble::Unknown) => Answer::error(404, "this id belongs to no conversation of this bot"),
            Err(trouble) => {
                tracing::warn!(%app, connector, %trouble, "a call could not be accepted");
                Answer::error(503, "try again: the store is out of reach")
            }
        }
    }
}

impl Inner {
    /// All of it, in order. Some things have an answer of their own.
    async fn heard_all(
        self: &Arc<Self>,
        runtime: &Runtime,
        proven: &[Named],
        all: Vec<Heard>,
    ) -> Result<Option<Answer>, Trouble> {
        for heard in all {
            if let Some(answer) = self.heard(runtime, proven, heard).await? {
                return Ok(Some(answer));
            }
        }
        Ok(None)
    }

    async fn heard(
        self: &Arc<Self>,
        runtime: &Runtime,
        proven: &[Named],
        heard: Heard,
    ) -> Result<Option<Answer>, Trouble> {
        let app = &runtime.app.id;
        match heard {
            Heard::Callback { id, mut call, files } => {
                if !files.is_empty() {
                    let slot = self.theirs(app, &id.conversation, id.participant, proven).await?;
                    let taken = match self.taken(&slot, files).await? {
                        Ok(taken) => taken,
                        Err(refused) => return Ok(Some(answer(&refused))),
                    };
                    if let Call::SendUserMessage(text) | Call::SendBotMessage(text) = &mut call {
                        text.files.extend(taken);
                    }
                }
                let slot = self.slots.get(&Key { app: app.clone(), conversation: id.conversation.clone() });
                let mut guard = slot.live.lock().await;
                self.load(&slot, &mut guard).await?;
                let integration = belongs_to(&id, guard.as_ref(), proven)?;
                let by = integration.as_str().to_owned();
                let input = Input::Callback { integration, id, call };
                self.change(runtime, &slot, &mut guard, Change::inputs(&by, vec![input], None)).await?;
                Ok(None)
            }
            Heard::Named(id) => {
                let slot = self.slots.get(&Key { app: app.clone(), conversation: id.conversation.clone() });
                let mut guard = slot.live.lock().await;
                self.load(&slot, &mut guard).await?;
                belongs_to(&id, guard.as_ref(), proven).map(|_| None)
            }
            Heard::Event { conversation, participant, external_id, mut event, files } => {
                if !files.is_empty() {
                    let slot = self.theirs(app, &conversation, participant, proven).await?;
                    let taken = self.taken(&slot, files.clone()).await?;
                    if let Err(refused) = &taken
                        && !self.agent_learns(&slot, participant, proven, &files, refused).await
                    {
                        return Ok(Some(answer(refused)));
                    }
                    if let AgentEvent::Said { text, .. } = &mut event {
                        text.files.extend(taken.unwrap_or_default());
                        if text.is_empty() {
                            return Ok(None);
                        }
                    }
                }
                let slot = self.slots.get(&Key { app: app.clone(), conversation });
                let mut guard = slot.live.lock().await;
                self.load(&slot, &mut guard).await?;
                let live = guard.as_ref().ok_or(Trouble::Unknown)?;
                let row = live.rows.get(&participant).ok_or(Trouble::Unknown)?;
                let integration = row.about.participant.integration.clone();
                if !proven.iter().any(|(name, _)| *name == integration) {
                    return Err(Trouble::Unknown);
                }
                let by = integration.as_str().to_owned();
                let key = external_id.map(|external_id| InboxKey {
                    integration: by.clone(),
                    scope: format!("{}/{participant}", slot.key.conversation),
                    external_id,
                });
                let says_as = key.as_ref().map(|key| (participant, key.external_id.clone()));
                let input = Input::Agent { participant, event };
                let change = Change { says_as, ..Change::inputs(&by, vec![input], key) };
                self.change(runtime, &slot, &mut guard, change).await?;
                Ok(None)
            }
            Heard::Receipt { conversation, participant, mark, up_to } => {
                let slot = self.theirs(app, &conversation, participant, proven).await?;
                self.agent_reached(&slot, participant, mark, up_to).await.map(|()| None)
            }
            Heard::Refused { conversation, participant, remote_id, code } => {
                let slot = self.theirs(app, &conversation, participant, proven).await?;
                self.refused_late(runtime, &slot, participant, &remote_id, code).await
            }
            Heard::Typing { conversation, participant, on } => {
                let slot = self.theirs(app, &conversation, participant, proven).await?;
                self.agent_types(&slot, participant, on).await;
                Ok(None)
            }
            Heard::History(query) => {
                let history = self.history_for_agent(app, &query).await?;
                Ok(proven.first().map(|(_, agent)| agent.history(&history)))
            }
        }
    }

    /// Files that came with a call, stored: no conversation is locked meanwhile. Else why not, for the agent.
    async fn taken(
        &self,
        slot: &Slot,
        files: Vec<Incoming>,
    ) -> Result<Result<Vec<File>, FileRefused>, Trouble> {
        let customer = self.customer_of(slot).await?;
        Ok(self.take_in(&Sender::agent(&slot.key.app, &customer), files).await)
    }

    /// Whether the agent system tells its agent in the chat that these files are not taken. Not where the chat is over.
    async fn agent_learns(
        &self,
        slot: &Slot,
        participant: ParticipantNo,
        proven: &[Named],
        files: &[Incoming],
        why: &FileRefused,
    ) -> bool {
        let (brief, integration, session) = {
            let guard = slot.live.lock().await;
            let Some(live) = guard.as_ref() else { return false };
            let Some(row) = live.rows.get(&participant).filter(|row| !row.row.done) else { return false };
            let session = row.row.session.as_deref().and_then(|text| serde_json::from_str(text).ok());
            (brief(live), row.about.participant.integration.clone(), session)
        };
        match proven.iter().find(|(name, _)| *name == integration) {
            Some((_, agent)) => agent.refused(&brief, session, files, why).await,
            None => false,
        }
    }

    /// An entry was taken, and is refused now: as if it had been at once, and once for all of its parts.
    async fn refused_late(
        self: &Arc<Self>,
        runtime: &Runtime,
        slot: &Arc<Slot>,
        participant: ParticipantNo,
        remote_id: &str,
        code: String,
    ) -> Result<Option<Answer>, Trouble> {
        let (app, conversation) = (slot.key.app.as_str(), slot.key.conversation.as_str());
        let mut guard = slot.live.lock().await;
        self.load(slot, &mut guard).await?;
        let row = guard.as_ref().and_then(|live| live.rows.get(&participant)).ok_or(Trouble::Unknown)?;
        let found = self.store.remote_to_seq(app, conversation, i64::from(participant.0), remote_id).await?;
        let Some((seq, _)) = found else {
            // It may be quicker than the answer to the delivery, which names it.
            let under_way = !row.row.done && row.row.cursor < row.row.head;
            return Ok(under_way.then(|| Answer::error(503, "try again: this is not known yet")));
        };
        let by = row.integration();
        let key = InboxKey {
            integration: by.clone(),
            scope: format!("{conversation}/{participant}"),
            external_id: format!("refused/{seq}"),
        };
        let failure = Failure { reason: Reason::BadRequest, code: Some(code) };
        let result = DeliveryResult::Refused(failure);
        let input = Input::Delivery { participant, seq: Seq(seq.unsigned_abs()), result };
        self.change(runtime, slot, &mut guard, Change::inputs(&by, vec![input], Some(key))).await?;
        Ok(None)
    }

    /// Whose conversation it is.
    pub(crate) async fn customer_of(&self, slot: &Slot) -> Result<CustomerId, Trouble> {
        let mut guard = slot.live.lock().await;
        self.load(slot, &mut guard).await?;
        guard.as_ref().map(|live| live.state.customer.id.clone()).ok_or(Trouble::Unknown)
    }

    /// The conversation, if this participant of it is one of those who proved who they are.
    async fn theirs(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        participant: ParticipantNo,
        proven: &[Named],
    ) -> Result<Arc<Slot>, Trouble> {
        let slot = self.slots.get(&Key { app: app.clone(), conversation: conversation.clone() });
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        let row = guard.as_ref().and_then(|live| live.rows.get(&participant)).ok_or(Trouble::Unknown)?;
        let integration = &row.about.participant.integration;
        let known = proven.iter().any(|(name, _)| name == integration);
        drop(guard);
        if known { Ok(slot) } else { Err(Trouble::Unknown) }
    }

    async fn history_for_agent(&self, app: &AppId, query: &HistoryQuery) -> Result<History, Trouble> {
        let none = History { lines: Vec::new(), total: 0, more: false };
        let Some(id) = CustomerId::from_user_id(&query.customer) else { return Ok(none) };
        if self.store.customer_by_id(app.as_str(), id.as_str()).await?.is_none() {
            return Ok(none);
        }
        let customer = Customer {
            id,
            channel: IntegrationName::from(""),
            address: String::new(),
            profile: Profile::default(),
            connection: Default::default(),
        };
        let page = self.page(app, &customer, query.skip, None, query.limit, MOST).await?;
        let lines = page.lines.into_iter().map(|line| (line.conversation, line.entry)).collect();
        Ok(History { lines, total: page.total, more: page.more })
    }
}

/// A refusal as the answer to a call.
fn answer(refused: &FileRefused) -> Answer {
    Answer::error(refused.status(), &refused.to_string())
}

/// The integration that `id` was given to. The path's app, the conversation's app and the credential's app are one here,
/// and the integration takes part.
fn belongs_to(id: &RequestId, live: Option<&Live>, proven: &[Named]) -> Result<IntegrationName, Trouble> {
    let live = live.ok_or(Trouble::Unknown)?;
    let row = live.rows.get(&id.participant).ok_or(Trouble::Unknown)?;
    let integration = &row.about.participant.integration;
    let theirs = proven.iter().any(|(name, _)| name == integration) && id.seq <= live.state.head;
    if theirs { Ok(integration.clone()) } else { Err(Trouble::Unknown) }
}
