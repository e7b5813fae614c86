//! What people and bots say, and interception.

use super::classify::Call;
use super::entry::{Body, Entry, Note, Role, Speaker, Text};
use super::facts::Standing;
use super::hold::{Held, MAX_HELD, MAX_HELD_BYTES, MAX_UNANSWERED, Way, weight};
use super::participant::Participant;
use super::state::Owner;
use super::step::Work;
use crate::app::HoldPolicy;
use crate::flow::{Event, Place};
use crate::transfer::{ForBot, Outcome, Stage};
use crate::{Seq, TransferNo};

impl Work<'_> {
    pub(super) fn connected(&mut self) {
        if self.state.head == Seq(0) {
            self.opened();
            self.run_flow(&Event::Started);
        }
    }

    fn opened(&mut self) {
        // What is published later is for conversations that begin later.
        let flows = &self.app.flows.id;
        self.state.flows = (!flows.is_empty()).then(|| flows.clone());
        self.not_silent();
        if self.state.customer.connection.pushed {
            let channel = self.state.customer.channel.clone();
            let participant = self.join(&channel, Role::Customer, None, self.state.head.next());
            self.put(participant);
        }
        self.write(Speaker::System, Role::Customer, Body::Opened);
    }

    pub(super) fn customer_said(&mut self, text: &Text) {
        self.state.transfers_in_silence = 0;
        // A line after the last conversation closed opens the next; who speaks first needs no welcome.
        if self.state.head == Seq(0) {
            self.opened();
        }
        self.state.facts.interactive = true;
        self.not_silent();
        match self.state.owner {
            Owner::Bot => self.customer_to_bot(text, None),
            Owner::Agent => self.customer_to_agent(text),
            Owner::Closed => {}
        }
    }

    fn customer_to_agent(&mut self, text: &Text) {
        if self.queue_waits_for_words() {
            self.write(Speaker::Customer, Role::Bot, Body::Text(text.clone()));
            self.run_queue_flow(&Event::Said(text));
            return;
        }
        let body = Body::Text(text.clone());
        let closing = self.state.transfer.as_ref().is_some_and(|transfer| transfer.stage == Stage::Closing);
        if !closing {
            self.write(Speaker::Customer, Role::Agent, body);
            self.somebody_spoke();
            return;
        }
        // The agent left: these words are for the bot, which is not back yet.
        let seq = self.write(Speaker::Customer, Role::Nobody, body);
        let Some(transfer) = self.state.transfer.as_mut() else { return };
        transfer.for_bot.push(ForBot { seq, text: text.text.clone(), files: text.files.clone() });
        let bytes = transfer.for_bot.iter().map(weight).fold(0, usize::saturating_add);
        if transfer.for_bot.len() > MAX_HELD || bytes > MAX_HELD_BYTES {
            self.finish_closing();
        }
    }

    /// A customer's line goes to the bot, by way of the interceptor if there is one. `release_of` names the entry that
    /// already holds the words.
    pub(super) fn customer_to_bot(&mut self, text: &Text, release_of: Option<Seq>) {
        if self.intercept(Speaker::Customer, Way::ToBot, text, release_of) {
            return;
        }
        self.say(Speaker::Customer, Role::Bot, text.clone(), self.state.epoch, None, release_of);
        self.run_flow(&Event::Said(text));
    }

    pub(super) fn bot_says(&mut self, text: Text) {
        if !self.intercept(Speaker::Bot, Way::ToCustomer, &text, None) {
            self.write(Speaker::Bot, Role::Customer, Body::Text(text));
        }
    }

    /// Holds a line for the interceptor. False when there is none.
    fn intercept(&mut self, by: Speaker, way: Way, text: &Text, release_of: Option<Seq>) -> bool {
        let Some((integration, policy)) = self.app.interceptor() else { return false };
        let integration = integration.clone();
        let epoch = self.state.epoch;
        let seq = self.say(by, Role::Interceptor, text.clone(), epoch, None, release_of);
        let known = |known: &Participant| known.is_interceptor() && known.integration == integration;
        if !self.state.participants.iter().any(known) {
            self.retire_interceptors(seq);
            let participant = self.join(&integration, Role::Interceptor, None, seq);
            self.put(participant);
        }
        let until = self.now.plus(self.app.deadlines.hold_ms);
        self.state.held.push(Held { seq, epoch, way, text: text.clone(), until, policy, answered: false });
        true
    }

    /// The app has another interceptor now: one that holds lines from before hears nothing from `seq` on.
    fn retire_interceptors(&mut self, seq: Seq) {
        let earlier = |known: &&Participant| known.is_interceptor();
        let earlier: Vec<_> = self.state.participants.iter().filter(earlier).cloned().collect();
        for mut participant in earlier {
            participant.to = Some(Seq(seq.0.saturating_sub(1)));
            self.put(participant);
        }
    }

    /// Too many lines are held: the oldest go on. Only at the end of a step, because a customer's line that goes on
    /// runs the flow, and one run of the flow must not start within another.
    pub(super) fn let_the_oldest_pass(&mut self) {
        while self.state.held.len() > MAX_HELD || self.held_bytes() > MAX_HELD_BYTES {
            let oldest = self.state.held.remove(0);
            self.decided_without_a_word(&oldest);
            self.note_about(oldest.seq, Note::PassedOn);
            self.go_on(oldest, None);
            self.earlier_lines_decided();
        }
    }

    fn held_bytes(&self) -> usize {
        self.state.held.iter().map(|held| weight(&held.text)).fold(0, usize::saturating_add)
    }

    fn say(
        &mut self,
        by: Speaker,
        to: Role,
        text: Text,
        epoch: crate::Epoch,
        transfer: Option<TransferNo>,
        release_of: Option<Seq>,
    ) -> Seq {
        let body = Body::Text(text);
        self.write_entry(Entry { seq: Seq(0), at: self.now, by, to, epoch, transfer, release_of, body })
    }

    fn note_about(&mut self, held: Seq, note: Note) {
        self.write(Speaker::System, Role::Nobody, Body::Note(note));
        if let Some(entry) = self.entries.last_mut() {
            entry.release_of = Some(held);
        }
    }

    /// The interceptor releases a held line, with its own words.
    pub(super) fn release(&mut self, seq: Seq, words: Text) {
        if let Some(held) = self.unhold(seq) {
            self.go_on(held, Some(words));
            self.earlier_lines_decided();
        }
    }

    /// Whether a held line has files and no words.
    pub(super) fn holds_files_alone(&self, seq: Seq) -> bool {
        let held = self.state.held.iter().find(|held| held.seq == seq);
        held.is_some_and(|held| held.text.text.is_empty() && !held.text.files.is_empty())
    }

    /// The interceptor drops a held line.
    pub(super) fn skip(&mut self, seq: Seq) {
        if self.unhold(seq).is_some() {
            self.note_about(seq, Note::Skipped);
            self.earlier_lines_decided();
        }
    }

    /// A held line got no word in time, or cannot get one: the policy decides.
    pub(super) fn give_up(&mut self, seq: Seq) {
        let Some(held) = self.unhold(seq) else { return };
        if held.answered {
            self.note_about(seq, Note::Skipped);
            self.earlier_lines_decided();
            return;
        }
        self.decided_without_a_word(&held);
        match held.policy {
            HoldPolicy::Pass => {
                self.note_about(seq, Note::PassedOn);
                self.go_on(held, None);
            }
            HoldPolicy::Drop => {
                self.note_about(seq, Note::Dropped);
                if held.way == Way::ToBot && self.is_current(&held) {
                    self.tell(self.app.texts.dropped.clone());
                }
            }
        }
        self.earlier_lines_decided();
    }

    /// The interceptor may still release a bot line that went on without it: that is the same line, not one more.
    fn decided_without_a_word(&mut self, held: &Held) {
        if held.way == Way::ToCustomer {
            self.state.unanswered.push(held.seq);
            if self.state.unanswered.len() > MAX_UNANSWERED {
                self.state.unanswered.remove(0);
            }
        }
    }

    /// Says something to the customer on our own behalf, past any interceptor.
    pub(super) fn tell(&mut self, text: String) {
        self.write(Speaker::System, Role::Customer, Body::Text(Text::plain(text)));
    }

    fn unhold(&mut self, seq: Seq) -> Option<Held> {
        let at = self.state.held.iter().position(|held| held.seq == seq)?;
        Some(self.state.held.remove(at))
    }

    fn is_current(&self, held: &Held) -> bool {
        self.state.owner == Owner::Bot && self.state.epoch == held.epoch
    }

    /// A line that was held goes where it was going, in the released words or its own.
    fn go_on(&mut self, held: Held, words: Option<Text>) {
        let text = match words {
            // The interceptor decides about the words; the files of the line go with them.
            Some(words) => Text { files: [held.text.files.clone(), words.files].concat(), ..words },
            None => Text { client_id: None, ..held.text.clone() },
        };
        match held.way {
            // Spoken under its own epoch: the bot said it while it was the owner.
            Way::ToCustomer => {
                self.say(Speaker::Bot, Role::Customer, text, held.epoch, None, Some(held.seq));
            }
            Way::ToBot if self.is_current(&held) => {
                self.say(Speaker::Customer, Role::Bot, text.clone(), held.epoch, None, Some(held.seq));
                self.run_flow(&Event::Said(&text));
            }
            // The bot let go meanwhile. The agent has the line as context; the timeline shows what became of it.
            Way::ToBot => {
                let what = "released to the bot".to_owned();
                self.note_about(held.seq, Note::Late { what, text: text.text });
            }
        }
    }

    /// The bot speaks once more, by an id it got earlier: of one of its own lines, or of the customer's line `about`.
    pub(super) fn bot_line(&mut self, about: Seq, text: Text) {
        let asked = self.state.held.iter_mut().find(|held| held.seq == about && held.way == Way::ToBot);
        if let Some(held) = asked {
            held.answered = true;
        }
        self.write(Speaker::Bot, Role::Customer, Body::Text(text));
    }

    pub(super) fn note_late_call(&mut self, call: &Call) {
        let (what, text) = match call {
            Call::SendUserMessage(text) => ("sendUserMessage", text.text.as_str()),
            Call::SendBotMessage(text) => ("sendBotMessage", text.text.as_str()),
            Call::SkipUserMessage => ("skipUserMessage", ""),
            Call::SkipBotMessage => ("skipBotMessage", ""),
            Call::StartAgentSession => ("startAgentSession", ""),
            Call::ClearAgentSession => ("clearAgentSession", ""),
            Call::CloseConversation => ("clearConversationSession", ""),
        };
        self.note_late(what, text);
    }

    /// The bot gets the conversation back: it is told how the human part ended, then what the customer said meanwhile.
    pub(super) fn bot_is_back(
        &mut self,
        place: Option<&Place>,
        outcome: &Outcome,
        said_meanwhile: Vec<ForBot>,
    ) {
        self.quiet_from_now();
        self.state.facts.standing = Standing::Fine;
        self.run_flow(&Event::Returned { place, outcome });
        for line in said_meanwhile {
            if self.state.owner == Owner::Bot {
                let text = Text { files: line.files, ..Text::plain(line.text) };
                self.customer_to_bot(&text, Some(line.seq));
            } else {
                // The bot handed over again at once: the new agent system hears these words in its transfer.
                self.say_again_to_agent(line);
            }
        }
    }

    fn say_again_to_agent(&mut self, line: ForBot) {
        if let (Owner::Agent, Some(transfer)) = (self.state.owner, &self.state.transfer) {
            let (no, epoch) = (transfer.no, self.state.epoch);
            let text = Text { files: line.files, ..Text::plain(line.text) };
            self.say(Speaker::Customer, Role::Agent, text, epoch, Some(no), Some(line.seq));
        }
    }
}
