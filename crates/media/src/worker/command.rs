//! What others want of the worker.

use std::io;
use std::time::Instant;

use tokio::sync::{mpsc, oneshot};

use super::leg::{Leg, Parts, Sink};
use super::play::{Group, Piece};
use crate::record::Tape;
use crate::sdp::agree::Terms;
use crate::speech::{Cut, Utterance};

/// What is wanted. The first number is that of the leg.
pub enum Command {
    /// A new leg.
    Open(u64, Box<Parts>),
    /// Its end.
    Close(u64),
    /// New terms.
    Agree(u64, Box<Terms>),
    /// Prompts.
    Play(u64, Group),
    /// Prompts that are made.
    Made(u64, u64, Result<Vec<Piece>, String>),
    /// All prompts end.
    Abort(u64),
    /// One group of prompts ends.
    AbortGroup(u64, u64),
    /// A key that came by SIP INFO.
    Key(u64, char),
    /// A recording begins.
    Record(u64, u64, Tape),
    /// It ends; then this is told.
    StopRecord(u64, u64, Option<oneshot::Sender<io::Result<()>>>),
    /// Utterances are wanted, or no more.
    Speech(u64, Option<(Cut, mpsc::Sender<Utterance>)>),
    /// The sound of one leg goes to another.
    Bridge {
        /// Whose sound.
        from: u64,
        /// Where to.
        sink: Sink,
    },
    /// It goes there no more.
    Unbridge {
        /// Whose sound.
        from: u64,
        /// Where to.
        sink: Sink,
    },
    /// The worker ends.
    End,
    /// The leg panics from now on, whatever is done for it.
    #[cfg(test)]
    Break(u64),
}

impl Command {
    /// Whether it is soon enough within a packet's time: nothing is heard of it sooner, because a packet of the leg, and a
    /// frame of what it plays, wake the worker.
    pub fn can_wait(&self) -> bool {
        self.begins()
            || matches!(self, Self::Close(_) | Self::Abort(_) | Self::AbortGroup(..) | Self::Unbridge { .. })
    }

    /// Whether packets that came at the same time are for what it begins.
    pub fn begins(&self) -> bool {
        matches!(self, Self::Open(..) | Self::Agree(..) | Self::Bridge { .. })
    }

    /// The leg that it is for.
    pub fn leg(&self) -> u64 {
        match self {
            Self::Open(id, _)
            | Self::Close(id)
            | Self::Agree(id, _)
            | Self::Play(id, _)
            | Self::Made(id, ..)
            | Self::Abort(id)
            | Self::AbortGroup(id, _)
            | Self::Key(id, _)
            | Self::Record(id, ..)
            | Self::StopRecord(id, ..)
            | Self::Speech(id, _)
            | Self::Bridge { from: id, .. }
            | Self::Unbridge { from: id, .. } => *id,
            Self::End => u64::MAX,
            #[cfg(test)]
            Self::Break(id) => *id,
        }
    }

    /// Does it, where it concerns one leg alone.
    pub fn apply(self, leg: &mut Leg, now: Instant) {
        match self {
            Self::Agree(_, terms) => leg.agree(*terms, now),
            Self::Play(_, group) => {
                leg.player.push(group);
            }
            Self::Made(_, group, pieces) => leg.player.made(group, pieces),
            Self::Abort(_) => leg.player.abort(),
            Self::AbortGroup(_, group) => leg.player.abort_group(group),
            Self::Record(_, id, tape) => leg.ears().record(id, tape),
            Self::StopRecord(_, id, done) => {
                let tape = leg.ears.as_mut().and_then(|ears| ears.stop(id));
                if let (Some(tape), done) = (tape, done) {
                    tape.end().finish(done);
                }
            }
            Self::Speech(_, to) => leg.ears().speech(to),
            // Those that concern more than one leg are the worker's.
            Self::Open(..)
            | Self::Close(_)
            | Self::Key(..)
            | Self::Bridge { .. }
            | Self::Unbridge { .. }
            | Self::End => {}
            #[cfg(test)]
            Self::Break(_) => {}
        }
    }
}
