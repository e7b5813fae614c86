//! The transfer machine: how a conversation moves from the bot to an agent and back.
//!
//! Each move is a method; each writes what the customer, the agent system and the timeline are to know of it. How
//! long a stage may last is decided in `transfer/deadline.rs`.

use std::collections::BTreeMap;

use super::classify::{Call, Meaning, classify};
use super::entry::{Body, Note, ReturnPackage, Role, Speaker, Text};
use super::facts::ClosedBy;
use super::input::{AgentEvent, Scope};
use super::request_id::{RequestId, RequestKind};
use super::state::{Owner, brief};
use super::step::Work;
use crate::app::AgentSystem;
use crate::flow::{Expects, Place};
use crate::transfer::deadline::{Overdue, deadline, overdue};
use crate::transfer::{Ask, Ending, Failure, MAX_RUNGS, Outcome, Reason, Rung, Stage, Target, Transfer};
use crate::{IntegrationName, ParticipantNo, Seq};

/// So many transfers may begin without the customer saying anything in between; the next one fails as a loop.
const MAX_TRANSFERS_IN_SILENCE: u32 = 3;

impl Work<'_> {
    // ── beginning ────────────────────────────────────────────────────────────────────────────────────────────────

    /// The flow reached a transfer node.
    pub(super) fn request_transfer(&mut self, place: &Place) {
        let Some(settings) = self.app.flows.get(&place.flow).and_then(|flow| flow.transfer(&place.node))
        else {
            return;
        };
        let (ask, data) = (self.ask(settings), self.data(settings));
        let mut ladder = self.app.ladder(&self.state.customer.channel, settings, &ask);
        ladder.truncate(MAX_RUNGS);
        let refused = if self.state.transfers_in_silence >= MAX_TRANSFERS_IN_SILENCE {
            Some(Reason::Loop)
        } else {
            ladder.is_empty().then_some(Reason::Unconfigured)
        };
        if let Some(reason) = refused {
            self.state.transfers_in_silence += 1;
            let outcome = Outcome::Failed(Failure::of(reason));
            self.note(Note::TransferEnded(outcome.clone()));
            // It was the failure path that led into the loop, so it is not taken again.
            let place = (reason != Reason::Loop).then_some(place);
            self.count_failure(reason);
            let from = self.state.head.next();
            self.return_to_bot(place, outcome, None, from, false, Vec::new());
            return;
        }
        let skills = if ask.skills.is_empty() { settings.skills.clone() } else { ask.skills.clone() };
        self.begin_transfer(Some(place.clone()), ladder);
        if let Some(transfer) = self.state.transfer.as_mut() {
            (transfer.skills, transfer.data, transfer.ask) = (skills, data, ask);
        }
        self.earlier_lines_decided();
    }

    /// The agent's side begins by itself: a transfer born in Talking.
    fn took_over(&mut self, integration: &IntegrationName) {
        self.state.facts.took_over += 1;
        self.begin_transfer(None, Vec::new());
        let Some(transfer) = &self.state.transfer else { return };
        let (no, first) = (transfer.no, transfer.first);
        let mut participant = self.join(integration, Role::Agent, Some(no), first);
        participant.took_over = true;
        let target = Target { integration: integration.clone(), queue: None };
        if let Some(transfer) = self.state.transfer.as_mut() {
            transfer.rung = Some(Rung { target, participant: participant.no });
            transfer.tried = 1;
        }
        self.put(participant);
        self.joined(None);
    }

    fn begin_transfer(&mut self, place: Option<Place>, ladder: Vec<Target>) {
        // What the bot waited for is over with its turn.
        self.state.bot.at = None;
        self.state.bot.turn = None;
        let (flow, node) = place.map(|place| (place.flow, place.node)).unzip();
        self.state.transfers_in_silence += 1;
        self.state.transfers = self.state.transfers.next();
        self.state.owner = Owner::Agent;
        self.state.epoch = self.state.epoch.next();
        self.state.transfer = Some(Transfer {
            no: self.state.transfers,
            stage: Stage::Requested,
            first: self.state.head.next(),
            since: self.now,
            last_line: self.now,
            deadline: self.now,
            node,
            flow,
            ladder,
            tried: 0,
            rung: None,
            talked: false,
            agent: None,
            position: None,
            closing: None,
            for_bot: Vec::new(),
            skills: Vec::new(),
            data: BTreeMap::new(),
            ask: Ask::default(),
            queue_run: None,
        });
        self.write(Speaker::System, Role::Agent, Body::Open);
        self.enter(Stage::Requested);
    }

    /// A held line was decided. The first rung opens once none from before the transfer is left: what the agent system
    /// is told as context must be complete.
    pub(super) fn earlier_lines_decided(&mut self) {
        let Some(transfer) = &self.state.transfer else { return };
        let first = transfer.first;
        let ready =
            transfer.stage == Stage::Requested && !self.state.held.iter().any(|held| held.seq < first);
        if ready && !self.open_next_rung() {
            let outcome = Outcome::Failed(Failure::of(Reason::Unconfigured));
            self.end_transfer(Ending { outcome, tag: None }, Owner::Bot);
        }
    }

    /// Opens the next rung. False when there is none.
    fn open_next_rung(&mut self) -> bool {
        let Some(transfer) = self.state.transfer.as_mut() else { return false };
        // What was deleted since the ladder was made is left out.
        transfer.ladder.retain(|target| self.app.takes_new(&target.integration));
        if transfer.ladder.is_empty() || transfer.tried >= MAX_RUNGS {
            return false;
        }
        let target = transfer.ladder.remove(0);
        transfer.tried += 1;
        self.open_rung(target);
        true
    }

    /// Opens a rung at `target`.
    pub(super) fn open_rung(&mut self, target: Target) {
        let Some(transfer) = &self.state.transfer else { return };
        let (no, first) = (transfer.no, transfer.first);
        self.note(Note::RungOpens(target.clone()));
        let mut participant = self.join(&target.integration, Role::Agent, Some(no), first);
        participant.queue.clone_from(&target.queue);
        if let Some(transfer) = self.state.transfer.as_mut() {
            transfer.rung = Some(Rung { target, participant: participant.no });
        }
        self.put(participant);
        self.enter(Stage::Opening);
    }

    // ── what agent systems tell ──────────────────────────────────────────────────────────────────────────────────

    /// An event of an agent system's session.
    pub(super) fn agent_event(&mut self, participant: ParticipantNo, event: &AgentEvent) {
        if let AgentEvent::Called(record) = event {
            return self.note(Note::Called(record.clone()));
        }
        let current = self.rung().is_some_and(|rung| rung.participant == participant);
        if !current {
            match event {
                AgentEvent::Said { text, .. } => self.note_late("agent line", &text.text),
                AgentEvent::Ended { .. } => self.note_late("agent ended", ""),
                AgentEvent::Failed(_)
                | AgentEvent::Called(_)
                | AgentEvent::HandedOff
                | AgentEvent::Queued { .. }
                | AgentEvent::Joined { .. } => {}
            }
            return;
        }
        match event {
            AgentEvent::Queued { position } => self.queued(*position),
            AgentEvent::Joined { name } => self.joined(name.clone()),
            AgentEvent::Said { text, name } => self.agent_said(text, name.clone()),
            AgentEvent::Ended { tag } => self.agent_ended(tag.clone()),
            AgentEvent::HandedOff => self.handed_off(),
            AgentEvent::Called(_) => {}
            AgentEvent::Failed(failure) => self.rung_failed(failure.clone()),
        }
    }

    fn queued(&mut self, position: Option<u32>) {
        match self.stage() {
            // A sign of life, which may overtake the answer to the Open.
            Some(Stage::Opening) => self.accepted(),
            Some(Stage::Waiting) => {}
            Some(Stage::Requested | Stage::Talking | Stage::Closing) | None => return,
        }
        if let (Some(Stage::Waiting), Some(position)) = (self.stage(), position) {
            if let Some(transfer) = self.state.transfer.as_mut() {
                transfer.position = Some(position);
            }
            self.write(Speaker::System, Role::Customer, Body::Queued { position });
        }
    }

    fn joined(&mut self, name: Option<String>) {
        match self.stage() {
            Some(Stage::Requested | Stage::Opening | Stage::Waiting) => {
                self.count_accepted();
                self.enter(Stage::Talking);
                if let Some(transfer) = self.state.transfer.as_mut() {
                    transfer.talked = true;
                    transfer.queue_run = None;
                }
                self.count_joined();
                self.agent_is_called(name.as_deref());
                self.write(Speaker::System, Role::Customer, Body::AgentJoined { name });
            }
            // Another agent joins the same conversation.
            Some(Stage::Talking) if name.is_some() => {
                self.agent_is_called(name.as_deref());
                self.write(Speaker::System, Role::Customer, Body::AgentJoined { name });
            }
            Some(Stage::Talking | Stage::Closing) | None => {}
        }
    }

    /// Remembers the name of the agent who talks, if it was told.
    fn agent_is_called(&mut self, name: Option<&str>) {
        if let (Some(transfer), Some(name)) = (self.state.transfer.as_mut(), name) {
            transfer.agent = Some(brief(name));
        }
    }

    fn agent_said(&mut self, text: &Text, name: Option<String>) {
        // A line is a sign of life: who speaks has accepted. Where "joined" is told, a line may be the queue's voice.
        if self.stage() == Some(Stage::Opening) {
            self.accepted();
        }
        if self.stage() == Some(Stage::Talking) {
            self.agent_is_called(name.as_deref());
        }
        self.write(Speaker::Agent { name }, Role::Customer, Body::Text(text.clone()));
        self.somebody_spoke();
    }

    /// The agent system took the conversation.
    pub(super) fn accepted(&mut self) {
        if self.agent_system().is_some_and(|agent| agent.tells_joined) {
            self.count_accepted();
            self.enter(Stage::Waiting);
            self.queue_flow_begins();
        } else {
            self.joined(None);
        }
    }

    fn agent_ended(&mut self, tag: Option<String>) {
        let Some(stage) = self.stage() else { return };
        if stage == Stage::Closing {
            return;
        }
        let ending = Ending { outcome: Outcome::AgentEnded, tag: tag.as_deref().map(brief) };
        if self.agent_system().is_some_and(|agent| agent.drain_ms > 0) {
            if let Some(transfer) = self.state.transfer.as_mut() {
                transfer.closing = Some(ending);
            }
            self.enter(Stage::Closing);
        } else {
            self.end_transfer(ending, Owner::Bot);
        }
    }

    /// A BotKit called back.
    pub(super) fn callback(&mut self, integration: &IntegrationName, id: &RequestId, call: &Call) {
        let words = match call {
            Call::SendUserMessage(text) | Call::SendBotMessage(text) => text.clone(),
            Call::SkipUserMessage
            | Call::SkipBotMessage
            | Call::StartAgentSession
            | Call::ClearAgentSession
            | Call::CloseConversation => Text::default(),
        };
        let meaning = classify(&self.state, integration, id, call);
        let is_word = matches!(call, Call::SendUserMessage(_) | Call::SkipUserMessage);
        if is_word && id.kind == RequestKind::BotLine {
            self.state.unanswered.retain(|seq| *seq != id.seq);
        }
        match meaning {
            // Saying nothing is how a bot file drops a line. Of a line that is files alone there are no words to say.
            Meaning::Release(seq) if words.is_empty() && !self.holds_files_alone(seq) => self.skip(seq),
            Meaning::Release(seq) => self.release(seq, words),
            Meaning::Skip(seq) => self.skip(seq),
            Meaning::AgentLine | Meaning::BotLine if words.is_empty() => {
                self.note_late_call(call);
            }
            Meaning::AgentLine => self.agent_said(&words, None),
            Meaning::BotLine => self.bot_line(id.seq, words),
            Meaning::TookOver if self.state.owner != Owner::Bot => self.joined(None),
            Meaning::TookOver if self.app.takes_new(integration) => self.took_over(integration),
            Meaning::TookOver => self.note_late_call(call),
            Meaning::Clear => self.agent_ended(None),
            Meaning::Close => self.close_conversation(Outcome::AgentEnded, ClosedBy::Agent),
            Meaning::Note => self.note_late_call(call),
        }
    }

    /// The conversation left our hands at the moment of success: there is nothing to relay, and nothing returns.
    fn handed_off(&mut self) {
        self.count_accepted();
        self.state.facts.handed_off += 1;
        if self.state.customer.connection.takes_turns {
            let ask = self.state.transfer.as_ref().map(|transfer| Box::new(transfer.ask.clone()));
            self.state.bot.turn = ask.map(Expects::HandedOff);
        }
        self.close_conversation(Outcome::HandedOff, ClosedBy::HandedOff);
    }

    /// The rung failed: the next one, or the end.
    pub(super) fn rung_failed(&mut self, failure: Failure) {
        let Some(transfer) = &self.state.transfer else { return };
        if transfer.stage == Stage::Closing {
            self.finish_closing();
            return;
        }
        let Some(rung) = transfer.rung.clone() else { return };
        self.note(Note::RungFailed { target: rung.target, failure: failure.clone() });
        // Nobody is left to be helped by another agent system.
        let climbs = failure.reason != Reason::CallerLeft;
        let outcome = Outcome::Failed(failure);
        self.leave(rung.participant, &outcome, true);
        if climbs && self.open_next_rung() {
            return;
        }
        self.end_transfer(Ending { outcome, tag: None }, Owner::Bot);
    }

    // ── ending ───────────────────────────────────────────────────────────────────────────────────────────────────

    /// The customer or an operator ends the agent chat or everything. How a transfer in Closing ends was decided when the
    /// agent left.
    pub(super) fn ends(&mut self, scope: Scope, outcome: Outcome, by: ClosedBy) {
        match (scope, self.stage()) {
            (Scope::Conversation, _) => {
                self.run_exit_flow();
                self.close_conversation(outcome, by);
            }
            (Scope::AgentChat, Some(Stage::Closing)) => self.finish_closing(),
            (Scope::AgentChat, Some(Stage::Requested | Stage::Opening | Stage::Waiting | Stage::Talking)) => {
                self.end_transfer(Ending { outcome, tag: None }, Owner::Bot);
            }
            (Scope::AgentChat, None) => {}
        }
    }

    /// The drain is over, or not worth going on with.
    pub(super) fn finish_closing(&mut self) {
        let ending = self.state.transfer.as_mut().and_then(|transfer| transfer.closing.take());
        if let Some(ending) = ending {
            self.end_transfer(ending, Owner::Bot);
        }
    }

    /// The conversation is over; a live transfer ends with `outcome`, unless it was Closing already. What is still held
    /// is decided now: the bot's last words may be among it.
    pub(super) fn close_conversation(&mut self, outcome: Outcome, by: ClosedBy) {
        self.state.facts.closed_by = Some(by);
        self.state.quiet = None;
        if let Some(transfer) = self.state.transfer.as_mut() {
            let ending = transfer.closing.take().unwrap_or(Ending { outcome, tag: None });
            self.end_transfer(ending, Owner::Closed);
        } else {
            self.state.owner = Owner::Closed;
            self.state.epoch = self.state.epoch.next();
        }
        for seq in self.state.held.iter().map(|held| held.seq).collect::<Vec<_>>() {
            self.give_up(seq);
        }
        self.write(Speaker::System, Role::Customer, Body::Closed);
        for no in self.state.participants.iter().map(|participant| participant.no).collect::<Vec<_>>() {
            if let Some(mut participant) = self.take(no) {
                participant.to = Some(self.state.head);
                self.put(participant);
            }
        }
    }

    /// The transfer is over; `next` owns the conversation from here.
    fn end_transfer(&mut self, ending: Ending, next: Owner) {
        let Ending { outcome, tag } = ending;
        self.note(Note::TransferEnded(outcome.clone()));
        if let Outcome::Failed(failure) = &outcome {
            self.count_failure(failure.reason);
        }
        if let Some(rung) = self.rung().cloned() {
            self.leave(rung.participant, &outcome, matches!(outcome, Outcome::Failed(_)));
        }
        let Some(transfer) = self.state.transfer.take() else { return };
        self.state.owner = next;
        self.state.epoch = self.state.epoch.next();
        if transfer.talked {
            self.write(Speaker::System, Role::Customer, Body::AgentLeft);
        }
        if next == Owner::Bot {
            let place = transfer.place();
            self.return_to_bot(
                place.as_ref(),
                outcome,
                tag,
                transfer.first,
                transfer.talked,
                transfer.for_bot,
            );
        }
    }

    fn return_to_bot(
        &mut self,
        place: Option<&Place>,
        outcome: Outcome,
        tag: Option<String>,
        from: Seq,
        talked: bool,
        said_meanwhile: Vec<crate::transfer::ForBot>,
    ) {
        let package = ReturnPackage { outcome: outcome.clone(), tag, from, talked };
        self.write(Speaker::System, Role::Bot, Body::ReturnPackage(package));
        self.bot_is_back(place, &outcome, said_meanwhile);
    }

    /// A participant's part is over. It is told by a Close, unless it was the one that ended it. With `only_close` it hears
    /// nothing else of what still waits for it: the next rung does.
    pub(super) fn leave(&mut self, no: ParticipantNo, outcome: &Outcome, only_close: bool) {
        let Some(mut participant) = self.take(no) else { return };
        participant.to = Some(if matches!(outcome, Outcome::AgentEnded | Outcome::HandedOff) {
            self.state.head
        } else {
            let close = Body::Close { participant: no, outcome: outcome.clone() };
            self.write(Speaker::System, Role::Agent, close)
        });
        participant.only_close = only_close;
        self.put(participant);
    }

    // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A deadline may have passed.
    pub(super) fn tick(&mut self) {
        let due: Vec<Seq> =
            self.state.held.iter().filter(|held| held.until <= self.now).map(|held| held.seq).collect();
        for seq in due {
            self.give_up(seq);
        }
        self.flows_tick();
        self.silence();
        let Some(transfer) = &self.state.transfer else { return };
        if transfer.deadline > self.now {
            return;
        }
        let failed = |reason| Failure { reason, code: Some("deadline".into()) };
        match overdue(transfer.stage) {
            Overdue::OpenFirstRung => self.open_first_rung(),
            Overdue::Unreachable => self.rung_failed(failed(Reason::Unreachable)),
            Overdue::QueueTimeout => self.rung_failed(failed(Reason::QueueTimeout)),
            Overdue::Idle => self.idle_or_not(),
            Overdue::Drained => self.finish_closing(),
        }
    }

    /// What is still held from before the transfer is waited for no longer.
    pub(super) fn open_first_rung(&mut self) {
        let Some(first) = self.state.transfer.as_ref().map(|transfer| transfer.first) else { return };
        let earlier: Vec<Seq> =
            self.state.held.iter().map(|held| held.seq).filter(|seq| *seq < first).collect();
        for seq in earlier {
            self.give_up(seq);
        }
        self.earlier_lines_decided();
    }

    /// Somebody spoke: a talking transfer is not idle. The deadline itself moves only when it comes (it stands in an
    /// index of the database, and lines are many).
    pub(super) fn somebody_spoke(&mut self) {
        if let Some(transfer) = self.state.transfer.as_mut().filter(|live| live.stage == Stage::Talking) {
            transfer.last_line = self.now;
        }
    }

    fn idle_or_not(&mut self) {
        let agent = self.agent_system();
        let last_line = self.state.transfer.as_ref().map(|transfer| transfer.last_line);
        let Some(last_line) = last_line else { return };
        let until = deadline(&self.app.deadlines, agent, Stage::Talking, last_line);
        if until <= self.now && self.state.customer.connection.is_call {
            // What is said on a call passes elsewhere: who hangs up, or is not heard any more, the gateway tells.
            let again = deadline(&self.app.deadlines, agent, Stage::Talking, self.now);
            if let Some(transfer) = self.state.transfer.as_mut() {
                transfer.deadline = again;
            }
        } else if until <= self.now {
            self.end_transfer(Ending { outcome: Outcome::Idle, tag: None }, Owner::Bot);
        } else if let Some(transfer) = self.state.transfer.as_mut() {
            transfer.deadline = until;
        }
    }

    fn enter(&mut self, stage: Stage) {
        let agent = self.agent_system().cloned();
        let (deadlines, now) = (&self.app.deadlines, self.now);
        if let Some(transfer) = self.state.transfer.as_mut() {
            transfer.enter(stage, deadlines, agent.as_ref(), now);
        }
    }

    // ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    pub(super) fn stage(&self) -> Option<Stage> {
        self.state.transfer.as_ref().map(|transfer| transfer.stage)
    }

    pub(super) fn rung(&self) -> Option<&Rung> {
        self.state.transfer.as_ref()?.rung.as_ref()
    }

    fn agent_system(&self) -> Option<&AgentSystem> {
        self.app.agents.get(&self.rung()?.target.integration)
    }
}
