//! What operators do to a conversation: they end, retry, speak, and decide about a delivery that is stuck.
//!
//! Every act is noted with who did it, also when nothing comes of it and when the conversation is over: an operator who
//! pressed a button finds it in the timeline.

use super::entry::{Body, Note, Role, Speaker, Text};
use super::facts::ClosedBy;
use super::input::OperatorAct;
use super::step::Work;
use crate::transfer::{Failure, Outcome, Reason, Stage};

impl Work<'_> {
    pub(super) fn operator(&mut self, by: &str, act: &OperatorAct) {
        self.note_operator(by, act);
        match act {
            OperatorAct::Ends(scope) => self.ends(*scope, Outcome::OperatorEnded, ClosedBy::Operator),
            OperatorAct::Retries => self.retry(),
            // Past any interceptor, as all that is said on our behalf.
            OperatorAct::Says { name, text } => {
                let speaker = Speaker::Operator { name: name.clone() };
                self.write(speaker, Role::Customer, Body::Text(Text::plain(text.clone())));
            }
            OperatorAct::Skips { participant, seq } => {
                let code = Some("skipped by an operator".to_owned());
                self.passed_by(*participant, *seq, Failure { reason: Reason::Unreachable, code });
            }
            OperatorAct::Drops { participant } => {
                self.lost(*participant, Some("given up by an operator".to_owned()));
            }
        }
    }

    pub(super) fn note_operator(&mut self, by: &str, act: &OperatorAct) {
        self.note(Note::Operator { by: by.to_owned(), act: act.clone() });
    }

    /// The try that is under way is given up, and its target is tried anew: it costs no rung. Whom an agent talks to is
    /// left alone, and so is who waits at an agent system that takes nothing new.
    fn retry(&mut self) {
        match self.stage() {
            Some(Stage::Requested) => self.open_first_rung(),
            Some(Stage::Opening | Stage::Waiting) => {
                let Some(rung) = self.rung().cloned() else { return };
                if self.app.takes_new(&rung.target.integration) {
                    let setup = self.state.setups.get(&rung.participant).cloned().unwrap_or_default();
                    self.leave(rung.participant, &Outcome::OperatorEnded, true);
                    self.open_rung(rung.target, setup);
                }
            }
            Some(Stage::Talking | Stage::Closing) | None => {}
        }
    }
}
