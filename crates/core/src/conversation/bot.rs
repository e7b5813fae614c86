//! The bot's turn: the flow runs, and what it does is written. Also the silence that ends a conversation with the bot.

use super::entry::{Body, Note, Role, Speaker};
use super::facts::ClosedBy;
use super::hold::Way;
use super::input::Input;
use super::state::{Owner, Quiet, State, brief};
use super::step::Work;
use crate::Time;
use crate::flow::memory::Wait;
use crate::flow::work::{self, Work as Piece};
use crate::flow::{self, Act, Around, Event, Expects, Scope};
use crate::transfer::{Ask, Outcome, Stage};

impl Work<'_> {
    /// The flow hears of something, and acts.
    pub(super) fn run_flow(&mut self, event: &Event<'_>) {
        let mut at = self.state.bot.at.take();
        let acts = self.run(event, &mut at, false);
        self.state.bot.at = at;
        for act in acts {
            // A bot that let go says nothing and hands nothing over.
            if self.state.owner != Owner::Bot {
                return;
            }
            match act {
                Act::Say(text) => self.bot_says(text),
                Act::Voice(command) => _ = self.write(Speaker::Bot, Role::Customer, Body::Voice(command)),
                Act::Transfer(place) => self.request_transfer(&place),
                Act::End => self.close_conversation(Outcome::AgentEnded, ClosedBy::Bot),
                Act::Work(_) | Act::Note(_) | Act::Task(_) | Act::Tag(_) => self.act_quietly(act),
            }
        }
    }

    /// The caller hung up: what the Exit flow does without words is done.
    pub(super) fn run_exit_flow(&mut self) {
        if !self.state.customer.connection.is_call {
            return;
        }
        let mut at = self.state.bot.at.take();
        let acts = self.run(&Event::HungUp, &mut at, false);
        acts.into_iter().for_each(|act| self.act_quietly(act));
    }

    /// The customer is in a queue: the transfer's own flow runs meanwhile, and speaks under the transfer's epoch.
    pub(super) fn run_queue_flow(&mut self, event: &Event<'_>) {
        let Some(transfer) = self.state.transfer.as_mut() else { return };
        let mut at = transfer.queue_run.take();
        let acts = self.run(event, &mut at, true);
        if let Some(transfer) = self.state.transfer.as_mut() {
            transfer.queue_run = at;
        }
        for act in acts {
            match act {
                Act::Say(text) => _ = self.write(Speaker::Bot, Role::Customer, Body::Text(text)),
                Act::Voice(command) => _ = self.write(Speaker::Bot, Role::Customer, Body::Voice(command)),
                Act::Work(_) | Act::Note(_) | Act::Task(_) | Act::Tag(_) => self.act_quietly(act),
                // An in-queue flow hands nothing over and ends nothing.
                Act::Transfer(_) | Act::End => {}
            }
        }
    }

    fn run(&mut self, event: &Event<'_>, at: &mut Option<flow::memory::At>, in_queue: bool) -> Vec<Act> {
        if self.needs.is_some() {
            return Vec::new();
        }
        let State { id, customer, bot, facts, .. } = &mut self.state;
        let around =
            Around { app: self.app, conversation: id, customer, now: self.now, seed: self.seed, in_queue };
        match flow::run(around, bot, at, facts, &mut self.answers, event) {
            Ok(acts) => acts,
            Err(needs) => {
                self.needs = Some(needs);
                Vec::new()
            }
        }
    }

    /// What the flow does without a word.
    fn act_quietly(&mut self, act: Act) {
        match act {
            Act::Work(piece) => self.give_out(piece),
            Act::Note(note) => self.note(note),
            Act::Task(task) => self.tasks.push(task),
            Act::Tag(tag) => self.tags.push(tag),
            Act::Say(_) | Act::Voice(_) | Act::Transfer(_) | Act::End => {}
        }
    }

    fn give_out(&mut self, piece: Piece) {
        let performer = crate::IntegrationName::from(piece.task.performer());
        let known = |known: &&super::participant::Participant| {
            known.role == Role::Bot && known.integration == performer
        };
        let participant = match self.state.participants.iter().find(known).map(|known| known.no) {
            Some(no) => no,
            None => {
                let participant = self.join(&performer, Role::Bot, None, self.state.head.next());
                let no = participant.no;
                self.put(participant);
                no
            }
        };
        self.write(Speaker::Bot, Role::Bot, Body::Work { participant, work: Box::new(piece) });
    }

    /// What came of a piece of work.
    pub(super) fn worked(&mut self, no: u64, outcome: &work::Outcome) {
        if let work::Outcome::Told { came } = outcome {
            return self.note(Note::Worked { no, came: came.clone() });
        }
        let event = Event::Worked { no, outcome };
        match self.state.owner {
            Owner::Bot => self.run_flow(&event),
            Owner::Agent if self.queue_waits_for_work() => self.run_queue_flow(&event),
            Owner::Agent | Owner::Closed => {
                self.note(Note::Worked { no, came: "nobody waits for it any more".to_owned() });
            }
        }
    }

    /// Nothing was said for as long as the channel waited.
    pub(super) fn no_input(&mut self) {
        match self.state.owner {
            Owner::Bot => self.run_flow(&Event::NoInput),
            Owner::Agent if self.queue_waits_for_words() => self.run_queue_flow(&Event::NoInput),
            Owner::Agent | Owner::Closed => {}
        }
    }

    fn queue_waits_for_work(&self) -> bool {
        self.queue_wait().is_some_and(|wait| matches!(wait, Wait::Work { .. }))
    }

    /// Whether the customer's next line is the in-queue flow's.
    pub(super) fn queue_waits_for_words(&self) -> bool {
        self.queue_wait().is_some_and(|wait| matches!(wait, Wait::Input { .. }))
    }

    fn queue_wait(&self) -> Option<&Wait> {
        self.state.transfer.as_ref()?.queue_run.as_ref().map(|at| &at.wait)
    }

    /// The customer came into a queue: the node's in-queue flow begins, if it does not run already.
    pub(super) fn queue_flow_begins(&mut self) {
        let Some(transfer) = &self.state.transfer else { return };
        if transfer.queue_run.is_some() || transfer.stage != Stage::Waiting {
            return;
        }
        let flows = &self.app.flows;
        let node = transfer.place().and_then(|place| flows.get(&place.flow)?.transfer(&place.node));
        if let Some(flow) = node.and_then(|node| node.in_queue.clone()) {
            self.run_queue_flow(&Event::Queued(&flow));
        }
    }

    /// The deadlines of the flows.
    pub(super) fn flows_tick(&mut self) {
        let due = |until: Option<Time>, now: Time| until.is_some_and(|until| until <= now);
        let at = self.state.bot.at.as_ref().and_then(|at| at.until);
        if self.state.owner == Owner::Bot && due(at, self.now) {
            self.run_flow(&Event::Tick);
        }
        let queued = self.state.transfer.as_ref().and_then(|transfer| transfer.queue_run.as_ref()?.until);
        if due(queued, self.now) {
            self.run_queue_flow(&Event::Tick);
        }
    }

    // ── what a transfer is asked for ─────────────────────────────────────────────────────────────────────────────

    /// What the node asks, and what scripts asked before it: theirs comes first. It counts once.
    pub(super) fn ask(&mut self, node: &flow::AgentTransfer) -> Ask {
        let State { id, customer, bot, .. } = &mut self.state;
        // What is known of the person and the language hold for the next transfer, too.
        let kept = Ask { user: bot.ask.user.clone(), language: bot.ask.language.clone(), ..Ask::default() };
        let mut ask = std::mem::replace(&mut bot.ask, kept);
        let scope = Scope::new(self.app, id, customer, bot, None);
        let filled = |texts: &std::collections::BTreeMap<String, String>| {
            texts.iter().map(|(name, text)| (name.clone(), brief(&scope.fill(text)))).collect()
        };
        let call = &node.call;
        ask.call.party = call.party;
        ask.call.method = call.method;
        let destination = || call.destination.as_ref().map(|to| scope.fill(to));
        ask.call.destination = ask.call.destination.take().or_else(destination);
        let referred_by = || call.referred_by.as_ref().map(|by| scope.fill(by));
        ask.call.referred_by = ask.call.referred_by.take().or_else(referred_by);
        ask.call.headers = filled(&call.headers);
        ask.call.transfer_tags = filled(&call.transfer_tags);
        ask.call.properties.clone_from(&call.properties);
        if ask.agents.is_empty() {
            ask.agents.clone_from(&node.agents);
        }
        ask.waiting = ask.waiting.take().or_else(|| node.waiting_experience.clone());
        ask.summary = node.conversation_summary;
        ask.tags = bot.tags.clone();
        ask
    }

    /// The node's custom data, with its variables.
    pub(super) fn data(&self, node: &flow::AgentTransfer) -> std::collections::BTreeMap<String, String> {
        let State { id, customer, bot, .. } = &self.state;
        let scope = Scope::new(self.app, id, customer, bot, None);
        node.data.iter().map(|(name, text)| (name.clone(), brief(&scope.fill(text)))).collect()
    }

    // ── silence ──────────────────────────────────────────────────────────────────────────────────────────────────

    /// The clock of silence starts anew. Its deadline moves only when it comes, or when it is none yet.
    pub(super) fn not_silent(&mut self) {
        if self.app.sessions.inactivity_minutes.is_none() {
            return;
        }
        match self.state.quiet.as_mut() {
            Some(quiet) => (quiet.since, quiet.reminded) = (self.now, false),
            None => self.quiet_from_now(),
        }
    }

    /// The bot is back: a deadline from before the human part is not the one that counts.
    pub(super) fn quiet_from_now(&mut self) {
        let Some(minutes) = self.app.sessions.inactivity_minutes else { return };
        let first =
            self.app.sessions.reminder.as_ref().map_or(minutes, |reminder| reminder.minutes.min(minutes));
        let deadline = self.now.plus(minutes_ms(first));
        self.state.quiet = Some(Quiet { since: self.now, deadline, reminded: false });
    }

    /// The silence may have lasted long enough: the customer is reminded, or the conversation is closed.
    pub(super) fn silence(&mut self) {
        if self.state.owner != Owner::Bot {
            return;
        }
        let now = self.now;
        let Some(quiet) = self.state.quiet.clone().filter(|quiet| quiet.deadline <= now) else { return };
        let Some(minutes) = self.app.sessions.inactivity_minutes else {
            self.state.quiet = None;
            return;
        };
        let ends = quiet.since.plus(minutes_ms(minutes));
        if ends <= now {
            if let Some(message) = self.app.sessions.message.clone() {
                self.tell(message);
            }
            self.close_conversation(Outcome::Idle, ClosedBy::Silence);
            return;
        }
        let reminder = self.app.sessions.reminder.clone().filter(|_| !quiet.reminded);
        let reminds = reminder.as_ref().map(|reminder| quiet.since.plus(minutes_ms(reminder.minutes)));
        let (deadline, reminded) = match (reminder, reminds) {
            (Some(reminder), Some(at)) if at <= now => {
                self.tell(reminder.message);
                (ends, true)
            }
            (_, Some(at)) => (at.min(ends), quiet.reminded),
            (_, None) => (ends, quiet.reminded),
        };
        self.state.quiet = Some(Quiet { since: quiet.since, deadline, reminded });
    }

    // ── turns ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// A channel that takes turns learns that this one is over, and what is expected. Not while a line is held: what comes
    /// of it belongs to the turn.
    pub(super) fn tell_turn(&mut self, input: &Input, before: Owner) {
        if !self.state.customer.connection.takes_turns || self.needs.is_some() {
            return;
        }
        let spoke = matches!(input, Input::Connected | Input::CustomerSaid(_) | Input::NoInput);
        let expects = match self.state.owner {
            Owner::Closed => {
                let handed_off =
                    self.state.bot.turn.take().filter(|turn| matches!(turn, Expects::HandedOff(_)));
                (before != Owner::Closed).then(|| handed_off.unwrap_or(Expects::End))
            }
            Owner::Agent => {
                let asked = self.state.bot.turn.take();
                asked.or_else(|| (spoke || before == Owner::Bot).then_some(Expects::Nothing))
            }
            Owner::Bot if self.state.held.iter().any(|held| held.way == Way::ToCustomer) => None,
            Owner::Bot => self.state.bot.turn.take(),
        };
        if let Some(expects) = expects {
            self.write(Speaker::System, Role::Customer, Body::TurnDone(expects));
        }
    }
}

fn minutes_ms(minutes: u32) -> u64 {
    u64::from(minutes) * 60_000
}
