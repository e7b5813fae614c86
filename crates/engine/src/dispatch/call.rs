//! The call itself: what is handed to a connector, and what may come of it.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::time::Duration;

use interline_connector::channel::HandedOff;
use interline_connector::digest::digest;
use interline_connector::manifest::TakesFiles;
use interline_connector::{AgentSystem, Carried, Cause, Context, Done, Failure, Item};
use interline_core::transfer::{Ask, Reason};
use interline_core::{AppId, Body, ConversationId, Entry, ParticipantNo, Role, Seq, State};

use super::{brief, once};
use crate::engine::Inner;
use crate::ingress::Trouble;
use crate::live::{Key, Live, Row, Slot};

/// So many entries before a transfer travel along as its context.
const CONTEXT: usize = 400;
/// Connectors have deadlines of their own, which are shorter. This one keeps a fault in one of them from holding a
/// participant for ever.
const LONGEST: Duration = Duration::from_secs(120);

impl Inner {
    pub(crate) async fn item(
        &self,
        slot: &Slot,
        row: &Row,
        entry: Arc<Entry>,
        live: &Live,
        takes: Option<TakesFiles>,
    ) -> Result<Item, Trouble> {
        let conversation = brief(live);
        let no = row.about.participant.no;
        let opens = matches!(entry.body, Body::Open);
        let before = if opens { self.said_before(slot, entry.seq).await? } else { Vec::new() };
        let transcript =
            if opens { self.transcript_url(&slot.key.app, &slot.key.conversation, no) } else { None };
        let context = if opens { context(&live.state, &before) } else { Context::default() };
        let participant = row.about.participant.clone();
        let files = self.carried(&slot.key.app, &entry, no, takes);
        Ok(Item { entry: (*entry).clone(), participant, conversation, before, files, transcript, context })
    }

    /// What the customer saw before an entry, oldest first.
    async fn said_before(&self, slot: &Slot, seq: Seq) -> Result<Vec<Entry>, Trouble> {
        let before = self.entries_before(slot, seq, CONTEXT).await?;
        Ok(before.iter().filter(|entry| entry.customer_sees()).map(|entry| Entry::clone(entry)).collect())
    }

    /// What the agent side of the last transfer would have been told beside what the node asked.
    pub(crate) async fn handed_off(
        &self,
        app: &AppId,
        conversation: &ConversationId,
        summary: bool,
    ) -> Result<HandedOff, Trouble> {
        let key = Key { app: app.clone(), conversation: conversation.clone() };
        let slot = self.slots.get(&key);
        let agent = {
            let mut guard = slot.live.lock().await;
            self.load(&slot, &mut guard).await?;
            let live = guard.as_ref().ok_or(Trouble::Unknown)?;
            let mut seats = live.rows.values().map(|row| &row.about.participant);
            seats.rfind(|seat| seat.role == Role::Agent).map(|agent| (agent.no, agent.from))
        };
        let Some((no, from)) = agent else { return Ok(HandedOff::default()) };
        let summary = if summary { digest(&self.said_before(&slot, from).await?) } else { String::new() };
        Ok(HandedOff { summary, transcript: self.transcript_url(app, conversation, no) })
    }

    /// The files of an entry, with links for this participant.
    fn carried(
        &self,
        app: &AppId,
        entry: &Entry,
        no: ParticipantNo,
        takes: Option<TakesFiles>,
    ) -> Vec<Carried> {
        let named = entry.text().map(|text| text.files.as_slice()).unwrap_or_default();
        let carried = named.iter().filter_map(|file| {
            let (page, fetch) = (self.file_page(app, &file.id, no)?, self.file_fetch(app, &file.id)?);
            let fits = takes.is_some_and(|takes| takes.takes(file));
            let source = self.files.source.clone();
            Some(Carried { file: file.clone(), page, fetch, fits, source })
        });
        carried.collect()
    }

    pub(crate) async fn call(
        &self,
        agent: &dyn AgentSystem,
        item: &Item,
        row: &Row,
    ) -> Result<Done, Failure> {
        let session = match row.row.session.as_deref().map(serde_json::from_str).transpose() {
            Ok(session) => session,
            Err(error) => {
                return Err(Failure::Bug(Cause::new(
                    Reason::VendorError,
                    format!("session document: {error}"),
                )));
            }
        };
        let _place = self.deliveries.acquire().await;
        let result = match self.clock.within(LONGEST, caught(agent.deliver(item, session))).await {
            Some(Some(result)) => result,
            // Like a crash of ours: an attempt to open or close has no result, a text goes out again with its key.
            Some(None) if once(agent, &item.entry) => Err(Failure::Uncertain(panicked())),
            Some(None) => Err(Failure::Bug(panicked())),
            None => {
                Err(Failure::Uncertain(Cause::new(Reason::Unreachable, "the connector did not come back")))
            }
        };
        match &result {
            Ok(_) => tracing::debug!(key = item.key(), "delivered"),
            Err(failure) => {
                let Cause { reason, code } = failure.cause();
                tracing::info!(key = item.key(), integration = %item.participant.integration, ?reason, code, "not delivered");
            }
        }
        result
    }
}

/// What travels along with an Open. What the flow's node says overrides what the channel knows.
fn context(state: &State, before: &[Entry]) -> Context {
    let mut data = state.customer.profile.data.clone();
    let mut skills = Vec::new();
    let mut ask = Ask::default();
    if let Some(transfer) = &state.transfer {
        data.extend(transfer.data.clone());
        skills.clone_from(&transfer.skills);
        ask.clone_from(&transfer.ask);
    }
    let summary = if ask.summary { digest(before) } else { String::new() };
    Context { skills, data, summary, ask }
}

fn panicked() -> Cause {
    Cause::new(Reason::VendorError, "the connector panicked")
}

/// Runs a connector's work. None: it panicked, which is its fault and must not be the end of our task.
pub(crate) async fn caught<T>(work: impl Future<Output = T>) -> Option<T> {
    let mut work = std::pin::pin!(work);
    std::future::poll_fn(move |cx| match catch_unwind(AssertUnwindSafe(|| work.as_mut().poll(cx))) {
        Ok(poll) => poll.map(Some),
        Err(_) => std::task::Poll::Ready(None),
    })
    .await
}
