//! The one function that changes a conversation.
//!
//! [`step`] is total: every input has an answer in every state, if only a note for the timeline. It is pure: the same
//! arguments give the same result. Each kind of input is a method beside its concept: what people say in `talk.rs`,
//! the transfer machine in `handover.rs`, what comes of deliveries in `delivery.rs`, what operators do in `operator.rs`.

use super::entry::{Body, Entry, Note, Role, Speaker};
use super::facts::ClosedBy;
use super::facts::{Tag, TaskRun};
use super::input::Input;
use super::participant::Participant;
use super::state::{Owner, State};
use crate::flow::script::{Answer, Fault, Why};
use crate::flow::work;
use crate::flow::{Answers, NeedScript};
use crate::transfer::Outcome;
use crate::{App, IntegrationName, ParticipantNo, Seq, Time, TransferNo};

/// What one input did.
#[derive(Debug, Clone, PartialEq)]
pub struct Step {
    /// The next state.
    pub state: State,
    /// What was written to the log, in order.
    pub entries: Vec<Entry>,
    /// Participants that joined, or whose range changed.
    pub participants: Vec<Participant>,
    /// Tasks that came to their end, for the counts.
    pub tasks: Vec<TaskRun>,
    /// Tags that were set.
    pub tags: Vec<Tag>,
    /// So many of the scripts' answers were used.
    pub answers: usize,
}

/// Steps a conversation: `input` happened at `now`. `seed` is the only randomness there is.
/// For flows without scripts: one that is needed counts as failed.
pub fn step(app: &App, state: &State, input: &Input, now: Time, seed: u64) -> Step {
    let mut answers = Vec::new();
    loop {
        match try_step(app, state, input, &answers, now, seed) {
            Ok(step) => return step,
            Err(NeedScript(call)) => answers.push(Answer::Failed(Fault {
                flow: call.flow,
                node: call.node,
                line: None,
                why: Why::Internal,
                message: "nobody runs scripts here".to_owned(),
            })),
        }
    }
}

/// Steps a conversation whose flow may have scripts. `answers` are theirs, as far as they ran for this input; some may be
/// left over.
///
/// # Errors
/// A script has to run first. Then the same again, with its answer added.
pub fn try_step(
    app: &App,
    state: &State,
    input: &Input,
    answers: &[Answer],
    now: Time,
    seed: u64,
) -> Result<Step, NeedScript> {
    let mut work = Work {
        app,
        state: state.clone(),
        entries: Vec::new(),
        changed: Vec::new(),
        tasks: Vec::new(),
        tags: Vec::new(),
        answers: Answers::new(answers),
        needs: None,
        now,
        seed,
    };
    work.apply(input);
    if let Some(needs) = work.needs {
        return Err(needs);
    }
    let Work { state, entries, changed: participants, tasks, tags, answers, .. } = work;
    Ok(Step { state, entries, participants, tasks, tags, answers: answers.used() })
}

/// A step under way.
pub(super) struct Work<'a> {
    pub(super) app: &'a App,
    pub(super) state: State,
    pub(super) entries: Vec<Entry>,
    changed: Vec<Participant>,
    pub(super) tasks: Vec<TaskRun>,
    pub(super) tags: Vec<Tag>,
    /// The answers of scripts.
    pub(super) answers: Answers<'a>,
    /// A script has to run first: what is done from here on is of no use.
    pub(super) needs: Option<NeedScript>,
    pub(super) now: Time,
    pub(super) seed: u64,
}

impl Work<'_> {
    fn apply(&mut self, input: &Input) {
        if self.state.owner == Owner::Closed {
            self.late(input);
            return;
        }
        let before = self.state.owner;
        match input {
            Input::Connected => self.connected(),
            Input::CustomerSaid(text) => self.customer_said(text),
            Input::NoInput => self.no_input(),
            Input::CustomerEnds(scope) => self.ends(*scope, Outcome::CustomerEnded, ClosedBy::Customer),
            Input::Agent { participant, event } => self.agent_event(*participant, event),
            Input::Callback { integration, id, call } => self.callback(integration, id, call),
            Input::Delivery { participant, seq, result } => self.delivery(*participant, *seq, result),
            Input::Worked { no, outcome } => self.worked(*no, outcome),
            Input::Operator { by, act } => self.operator(by, act),
            Input::Called(record) => self.note(Note::Called(record.clone())),
            Input::Voicemail(recorded) => self.voicemail(recorded),
            Input::Tick => self.tick(),
        }
        self.let_the_oldest_pass();
        self.tell_turn(input, before);
    }

    /// What comes after a conversation closed changes nothing but the timeline; what people neither said nor decided
    /// leaves no trace.
    fn late(&mut self, input: &Input) {
        match input {
            Input::CustomerSaid(text) => self.note_late("customer line", &text.text),
            Input::Agent { event: super::input::AgentEvent::Said { text, .. }, .. } => {
                self.note_late("agent line", &text.text);
            }
            Input::Callback { call, .. } => self.note_late_call(call),
            Input::Operator { by, act } => self.note_operator(by, act),
            Input::Called(record) | Input::Agent { event: super::input::AgentEvent::Called(record), .. } => {
                self.note(Note::Called(record.clone()));
            }
            Input::Voicemail(recorded) => self.voicemail(recorded),
            Input::Worked { no, outcome: told @ work::Outcome::Told { .. } } => self.worked(*no, told),
            Input::Connected
            | Input::NoInput
            | Input::CustomerEnds(_)
            | Input::Worked { .. }
            | Input::Agent { .. }
            | Input::Delivery { .. }
            | Input::Tick => {}
        }
    }

    /// Writes an entry under the current epoch. The transfer is the live one, if any.
    pub(super) fn write(&mut self, by: Speaker, to: Role, body: Body) -> Seq {
        let epoch = self.state.epoch;
        self.write_entry(Entry {
            seq: Seq(0),
            at: self.now,
            by,
            to,
            epoch,
            transfer: self.live(),
            release_of: None,
            body,
        })
    }

    /// Writes an entry at the next position.
    pub(super) fn write_entry(&mut self, mut entry: Entry) -> Seq {
        entry.seq = self.state.head.next();
        self.state.head = entry.seq;
        let seq = entry.seq;
        self.entries.push(entry);
        seq
    }

    /// Writes a note for the timeline.
    pub(super) fn note(&mut self, note: Note) {
        self.write(Speaker::System, Role::Nobody, Body::Note(note));
    }

    pub(super) fn note_late(&mut self, what: &str, text: &str) {
        self.note(Note::Late { what: what.to_owned(), text: text.to_owned() });
    }

    fn live(&self) -> Option<TransferNo> {
        self.state.transfer.as_ref().map(|transfer| transfer.no)
    }

    /// A new participant whose range begins at `from`.
    pub(super) fn join(
        &mut self,
        integration: &IntegrationName,
        role: Role,
        transfer: Option<TransferNo>,
        from: Seq,
    ) -> Participant {
        self.state.participants_made += 1;
        Participant {
            no: ParticipantNo(self.state.participants_made),
            integration: integration.clone(),
            role,
            transfer,
            queue: None,
            from,
            to: None,
            took_over: false,
            only_close: false,
            gone: false,
        }
    }

    /// Puts a participant, new or changed, into the state and into the result.
    pub(super) fn put(&mut self, participant: Participant) {
        self.changed.retain(|changed| changed.no != participant.no);
        self.changed.push(participant.clone());
        self.state.participants.retain(|known| known.no != participant.no);
        // One whose range is closed needs no remembering: what it still has to hear is between store and dispatcher.
        if participant.to.is_none() {
            self.state.participants.push(participant);
        }
    }

    /// Takes a participant out of the state, to be changed and [`put`](Self::put) back.
    pub(super) fn take(&mut self, no: ParticipantNo) -> Option<Participant> {
        let at = self.state.participants.iter().position(|participant| participant.no == no)?;
        Some(self.state.participants.remove(at))
    }
}
