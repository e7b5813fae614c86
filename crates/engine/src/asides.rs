//! What is told beside the log: typing and receipts, both ways. Nothing here is an entry, nothing waits for it, and a newer
//! one makes up for a lost one. Receipts are two monotone marks per participant (delivered up to, read up to).
//!
//! ```text
//!   customer's marks rise ─► the newest line of the agent they cover ─► AgentSystem::aside, or the duplex session
//!   agent system's receipt ─► the participant's marks ─► Hint::Reached ─► the customer's channel
//! ```

use std::sync::Arc;

use interline_connector::channel::{Hint, Mark};
use interline_connector::manifest::Delivery;
use interline_connector::{AgentSystem, Aside, UpTo};
use interline_core::transfer::Stage;
use interline_core::{AppId, CustomerId, Entry, ParticipantNo, Role, Seq, Speaker};
use serde_json::Value;

use crate::dispatch::brief;
use crate::engine::Inner;
use crate::ingress::{Trouble, to_i64};
use crate::live::{Key, Live, Slot};

/// So many entries are looked through for what a receipt covers.
const LOOK_BACK: i64 = 200;

/// The agent system of the live transfer, once somebody there listens.
struct Listener {
    no: ParticipantNo,
    agent: Arc<dyn AgentSystem>,
    session: Option<Value>,
    brief: interline_connector::agent::Brief,
}

impl Inner {
    // ── towards the agent ────────────────────────────────────────────────────────────────────────────────────────

    /// The customer is typing, or stopped.
    pub(crate) async fn customer_types(&self, app: &AppId, customer: &CustomerId, on: bool) {
        let open = self.customers.get(app, customer).open.lock().await.clone();
        let Some(conversation) = open else { return };
        let Some(slot) = self.slots.peek(&Key { app: app.clone(), conversation }) else { return };
        let listener = self.listener(app, slot.live.lock().await.as_ref());
        if let Some(listener) = listener.filter(|listener| listener.agent.manifest().takes.typing) {
            self.tell_aside(&slot, listener, Aside::Typing(on)).await;
        }
    }

    /// The customer's marks rose from one place to another: (delivered, read) each. The newest agent's line that is newly
    /// covered is told, once for each mark.
    pub(crate) async fn customer_reached(
        &self,
        slot: &Slot,
        before: (i64, i64),
        after: (i64, i64),
    ) -> Result<(), Trouble> {
        let Some(listener) = self.listener(&slot.key.app, slot.live.lock().await.as_ref()) else {
            return Ok(());
        };
        if !listener.agent.manifest().takes.receipts {
            return Ok(());
        }
        let mut told = None;
        // What was read was delivered: of two marks at the same line only the stronger is told.
        for (mark, from, to) in [(Mark::Read, before.1, after.1), (Mark::Delivered, before.0, after.0)] {
            let Some(seq) = self.newest_of_agent(slot, from, to).await?.filter(|seq| Some(*seq) != told)
            else {
                continue;
            };
            told = Some(seq);
            let (app, conversation) = (slot.key.app.as_str(), slot.key.conversation.as_str());
            let no = i64::from(listener.no.0);
            let names = self.store.seq_to_remote(app, conversation, no, to_i64(seq.0)).await?;
            let remote_id = names.into_iter().next_back().map(|(_, remote_id)| remote_id);
            let again = Listener {
                session: listener.session.clone(),
                brief: listener.brief.clone(),
                agent: listener.agent.clone(),
                no: listener.no,
            };
            self.tell_aside(slot, again, Aside::Receipt { mark, seq, remote_id }).await;
        }
        Ok(())
    }

    /// The newest line of an agent in `(from, to]`.
    async fn newest_of_agent(&self, slot: &Slot, from: i64, to: i64) -> Result<Option<Seq>, Trouble> {
        if to <= from {
            return Ok(None);
        }
        let from = from.max(to - LOOK_BACK);
        let entries = self.entries_after(slot, Seq(from.unsigned_abs()), LOOK_BACK).await?;
        let until = Seq(to.unsigned_abs());
        let of_agent = |entry: &&Arc<Entry>| {
            entry.seq <= until && entry.to == Role::Customer && matches!(entry.by, Speaker::Agent { .. })
        };
        Ok(entries.iter().rev().find(of_agent).map(|entry| entry.seq))
    }

    fn listener(&self, app: &AppId, live: Option<&Live>) -> Option<Listener> {
        let live = live?;
        let transfer = live.state.transfer.as_ref()?;
        let rung = transfer.rung.as_ref()?;
        match transfer.stage {
            // Before somebody accepted there is nobody to tell; while closing, nobody is left.
            Stage::Requested | Stage::Opening | Stage::Closing => return None,
            Stage::Waiting | Stage::Talking => {}
        }
        let row = live.rows.get(&rung.participant).filter(|row| !row.row.done)?;
        let agent = self.agent_of(&*self.apps.get(app)?, &live.state, &row.about.participant).ok()?;
        let session = row.row.session.as_deref().and_then(|text| serde_json::from_str(text).ok());
        Some(Listener { no: rung.participant, agent, session, brief: brief(live) })
    }

    async fn tell_aside(&self, slot: &Slot, to: Listener, aside: Aside) {
        let Listener { no, agent, session, brief } = to;
        if agent.manifest().delivery == Delivery::Pinned {
            self.pinned.tell_aside(&slot.key, no, aside);
            return;
        }
        // A panic in a connector is its own fault, and a receipt is nothing to fail for.
        let _ = crate::dispatch::call::caught(agent.aside(&brief, session, &aside)).await;
    }

    // ── from the agent ───────────────────────────────────────────────────────────────────────────────────────────

    /// The agent is typing, or stopped: told while this participant is the one that talks.
    pub(crate) async fn agent_types(&self, slot: &Slot, no: ParticipantNo, on: bool) {
        let customer = {
            let guard = slot.live.lock().await;
            guard.as_ref().and_then(|live| {
                let transfer = live.state.transfer.as_ref()?;
                let talks = transfer.rung.as_ref().is_some_and(|rung| rung.participant == no)
                    && transfer.stage == Stage::Talking;
                talks.then(|| live.state.customer.id.clone())
            })
        };
        if let Some(customer) = customer {
            self.customers.tell(&slot.key.app, &customer, Hint::AgentTyping(on));
        }
    }

    /// The agent's side has, or has read, what the customer said, up to here. A mark never falls, and what an agent system
    /// cannot have heard is not marked.
    pub(crate) async fn agent_reached(
        &self,
        slot: &Slot,
        no: ParticipantNo,
        mark: Mark,
        up_to: UpTo,
    ) -> Result<(), Trouble> {
        let (app, conversation) = (slot.key.app.as_str(), slot.key.conversation.as_str());
        let seq = match up_to {
            UpTo::Entry(seq) => to_i64(seq.0),
            UpTo::Remote(remote_id) => {
                let found = self.store.remote_to_seq(app, conversation, i64::from(no.0), &remote_id).await?;
                let Some((seq, _)) = found else { return Ok(()) };
                seq
            }
        };
        let mut guard = slot.live.lock().await;
        self.load(slot, &mut guard).await?;
        let Some(live) = guard.as_mut() else { return Err(Trouble::Unknown) };
        let customer = live.state.customer.id.clone();
        let row = live.rows.get_mut(&no).ok_or(Trouble::Unknown)?;
        let seq = seq.min(row.row.cursor);
        let before = match mark {
            Mark::Delivered => row.row.delivered,
            Mark::Read => row.row.read,
        };
        if seq <= before {
            return Ok(());
        }
        row.row.delivered = row.row.delivered.max(seq);
        if mark == Mark::Read {
            row.row.read = row.row.read.max(seq);
        }
        let (delivered, read, participant) = (row.row.delivered, row.row.read, row.about.participant.clone());
        drop(guard);
        self.store.mark(app, conversation, i64::from(no.0), delivered, read).await?;
        let entries =
            self.entries_after(slot, Seq(before.max(seq - LOOK_BACK).unsigned_abs()), LOOK_BACK).await?;
        let until = Seq(seq.unsigned_abs());
        let heard = entries
            .iter()
            .filter(|entry| entry.seq <= until && entry.by == Speaker::Customer && participant.hears(entry));
        let client_ids: Vec<String> = heard.filter_map(|entry| entry.text()?.client_id.clone()).collect();
        let hint =
            Hint::Reached { conversation: slot.key.conversation.clone(), seq: until, mark, client_ids };
        self.customers.tell(&slot.key.app, &customer, hint);
        Ok(())
    }
}
