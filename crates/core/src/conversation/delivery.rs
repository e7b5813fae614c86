//! What comes of deliveries: the few results that change a conversation. What becomes of the cursor is between store and
//! dispatcher.

use super::entry::Note;
use super::input::DeliveryResult;
use super::step::Work;
use crate::transfer::{Failure, Reason, Stage};
use crate::{ParticipantNo, Seq};

impl Work<'_> {
    /// A delivery had a result that the domain must know.
    pub(super) fn delivery(&mut self, participant: ParticipantNo, seq: Seq, result: &DeliveryResult) {
        let code = |failure: &Failure| failure.code.clone().unwrap_or_default();
        match result {
            DeliveryResult::Accepted => {
                if self.plays_the_agent(participant) && self.opens(seq) {
                    self.accepted();
                }
            }
            DeliveryResult::Refused(failure) => {
                self.note(Note::Refused { seq, participant, code: code(failure) });
                self.passed_by(participant, seq, failure.clone());
            }
            // An Open that may have arrived is accepted by any sign of life before its deadline; a held line waits for
            // its own. So nothing is decided here.
            DeliveryResult::Unconfirmed(_) => self.note(Note::Unconfirmed { seq, participant }),
            DeliveryResult::Stalled(failure) => {
                self.note(Note::Stalled { participant, code: code(failure) });
                if self.plays_the_agent(participant) {
                    self.rung_failed(failure.clone());
                } else if self.intercepts(participant) {
                    self.give_up(seq);
                }
            }
            DeliveryResult::Gone(failure) => {
                self.note(Note::Gone { participant, code: code(failure) });
                self.lost(participant, failure.code.clone());
            }
        }
    }

    /// A participant will not get an entry. An Open that was waited for fails the rung; a line for the agent is told to
    /// the customer; a held line is decided by policy.
    pub(super) fn passed_by(&mut self, participant: ParticipantNo, seq: Seq, failure: Failure) {
        if self.intercepts(participant) {
            self.give_up(seq);
        } else if self.plays_the_agent(participant) {
            if self.opens(seq) {
                self.rung_failed(failure);
            } else if !self.is_open(seq) {
                self.tell(self.app.texts.not_delivered.clone());
            }
        }
    }

    /// A participant's session is over without a word: it hears nothing more.
    pub(super) fn lost(&mut self, participant: ParticipantNo, code: Option<String>) {
        let (is_rung, intercepts) = (self.plays_the_agent(participant), self.intercepts(participant));
        if let Some(mut gone) = self.take(participant) {
            gone.gone = true;
            gone.to = Some(self.state.head);
            self.put(gone);
        }
        if is_rung {
            // An agent that never was cannot be lost.
            let opening = self.stage() == Some(Stage::Opening);
            let reason = if opening { Reason::Unreachable } else { Reason::AgentLost };
            self.rung_failed(Failure { reason, code });
        } else if intercepts {
            // Nobody else will hear what it holds.
            for seq in self.state.held.iter().map(|held| held.seq).collect::<Vec<_>>() {
                self.give_up(seq);
            }
        }
    }

    fn plays_the_agent(&self, participant: ParticipantNo) -> bool {
        self.rung().is_some_and(|rung| rung.participant == participant)
    }

    fn intercepts(&self, participant: ParticipantNo) -> bool {
        self.state.participants.iter().any(|known| known.no == participant && known.is_interceptor())
    }

    /// Whether `seq` is the live transfer's Open.
    fn is_open(&self, seq: Seq) -> bool {
        self.state.transfer.as_ref().is_some_and(|transfer| transfer.first == seq)
    }

    /// Whether `seq` is the Open that is being waited for.
    fn opens(&self, seq: Seq) -> bool {
        self.is_open(seq) && self.stage() == Some(Stage::Opening)
    }
}
