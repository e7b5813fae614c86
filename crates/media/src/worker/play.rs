//! What a leg plays: groups of prompts, one after another, cut into frames. It knows no clock and no socket; whoever asks
//! for the next frame keeps the time.

use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::audio::resample::Resampler;
use crate::audio::sound::Sound;
use crate::prompt::{Play, Played};
use crate::rtp::event;

/// A piece of a group.
#[derive(Debug, Clone)]
pub enum Piece {
    /// Sound, at 8 or 16 kHz.
    Sound(Arc<Sound>),
    /// A key as an event, so many milliseconds long.
    Key(u8, u32),
}

/// Prompts that were queued together.
pub struct Group {
    /// Its number.
    pub id: u64,
    /// How it is played.
    pub how: Play,
    /// None: it is still being made.
    pub pieces: Option<Vec<Piece>>,
    /// Told when it ends.
    pub done: Option<oneshot::Sender<Played>>,
    /// The task that makes it.
    pub maker: Option<AbortHandle>,
}

impl Group {
    fn end(mut self, how: Played) {
        if let Some(maker) = self.maker.take() {
            maker.abort();
        }
        if let Some(done) = self.done.take() {
            // Nobody may be waiting.
            let _ = done.send(how);
        }
    }

    /// Whether there is anything to hear in it: a loop over nothing would not end.
    fn is_empty(&self) -> bool {
        let empty = |piece: &Piece| match piece {
            Piece::Sound(sound) => sound.samples.is_empty(),
            Piece::Key(_, length) => *length == 0,
        };
        self.pieces.as_ref().is_some_and(|pieces| pieces.iter().all(empty))
    }
}

/// At most so many groups wait; what is more is refused.
const MOST: usize = 256;

/// A key is followed by a pause, so that two of the same are two (RFC 4733, 2.5.2.2).
const BETWEEN: u32 = 60;

/// What is to be sent now.
#[derive(Debug, PartialEq, Eq)]
pub enum Frame {
    /// This sound; it is in the room that was given.
    Sound,
    /// A packet of a key: which, whether it is the first, its event.
    Key {
        /// The first packet of the press.
        first: bool,
        /// What it says. At its end it is sent three times.
        event: event::Event,
    },
    /// Nothing, for the time of a frame.
    Nothing,
    /// Nothing, and nothing is queued that could be played.
    Idle,
}

/// The queue of one leg.
#[derive(Default)]
pub struct Player {
    groups: VecDeque<Group>,
    /// In the first group: which piece, and how far in it (samples, or milliseconds).
    piece: usize,
    at: usize,
    bend: Option<Bend>,
    /// Made sound that did not fit into the last frame.
    over: Vec<i16>,
}

/// From the rate of a sound to that of the codec.
struct Bend {
    from: u32,
    to: u32,
    by: Resampler,
}

impl Player {
    /// Queues a group. False: there are too many; it was ended.
    pub fn push(&mut self, group: Group) -> bool {
        if group.how.flush {
            self.abort();
        }
        if self.groups.len() >= MOST {
            group.end(Played::Failed("too much is queued".to_owned()));
            return false;
        }
        self.groups.push_back(group);
        true
    }

    /// A group that was being made is there, or could not be made.
    pub fn made(&mut self, id: u64, pieces: Result<Vec<Piece>, String>) {
        let Some(at) = self.groups.iter().position(|group| group.id == id) else { return };
        match (pieces, self.groups.get_mut(at)) {
            (Ok(pieces), Some(group)) => {
                group.pieces = Some(pieces);
                group.maker = None;
            }
            (Err(why), _) => self.end(at, Played::Failed(why)),
            (Ok(_), None) => {}
        }
    }

    /// Whether it has something to send now.
    pub fn plays(&self) -> bool {
        self.groups.front().is_some_and(|group| group.pieces.is_some())
    }

    /// Whether what is queued now would be heard while it still means something.
    pub fn ends_soon(&self) -> bool {
        self.groups.len() < 32 && !self.groups.iter().any(|group| group.how.loops)
    }

    /// Ends all groups.
    pub fn abort(&mut self) {
        while !self.groups.is_empty() {
            self.end(0, Played::Aborted);
        }
    }

    /// Ends one group.
    pub fn abort_group(&mut self, id: u64) {
        if let Some(at) = self.groups.iter().position(|group| group.id == id) {
            self.end(at, Played::Aborted);
        }
    }

    /// A key was pressed: groups that give way to it end.
    pub fn barge_in(&mut self) {
        while let Some(at) = self.groups.iter().position(|group| group.how.barge_in) {
            self.end(at, Played::Aborted);
        }
    }

    fn end(&mut self, at: usize, how: Played) {
        if at == 0 {
            (self.piece, self.at) = (0, 0);
            self.bend = None;
            self.over.clear();
        }
        if let Some(group) = self.groups.remove(at) {
            group.end(how);
        }
    }

    /// The next frame: `room` is to be filled, at `rate` samples a second.
    pub fn next(&mut self, room: &mut [i16], rate: u32) -> Frame {
        let ms = (room.len() as u32).saturating_mul(1000) / rate.max(1);
        let mut filled = 0;
        while let Some(group) = self.groups.front()
            && let Some(pieces) = &group.pieces
        {
            match pieces.get(self.piece) {
                Some(Piece::Sound(sound)) => {
                    let sound = sound.clone();
                    filled += self.fill(&sound, room.get_mut(filled..).unwrap_or_default(), rate);
                    if filled == room.len() {
                        return Frame::Sound;
                    }
                    self.step();
                }
                // A key begins with a frame of its own.
                Some(Piece::Key(..)) if filled > 0 => break,
                Some(Piece::Key(code, length)) => return self.key(*code, *length, ms),
                None if group.how.loops && !group.is_empty() => (self.piece, self.at) = (0, 0),
                // It ends when it was heard: with the frame after its last.
                None if filled > 0 => break,
                None => self.end(0, Played::Whole),
            }
        }
        if filled == 0 {
            return Frame::Idle;
        }
        room.get_mut(filled..).unwrap_or_default().fill(0);
        Frame::Sound
    }

    fn step(&mut self) {
        self.piece += 1;
        self.at = 0;
    }

    /// One packet of a key press.
    fn key(&mut self, code: u8, length: u32, ms: u32) -> Frame {
        let length = length.clamp(40, 8000);
        let first = self.at == 0;
        self.at += ms.max(1) as usize;
        let down = (self.at as u32).min(length);
        if self.at as u32 > length {
            // Up: the rest is the pause after it.
            if self.at as u32 >= length + BETWEEN {
                self.step();
            }
            return Frame::Nothing;
        }
        let end = self.at as u32 + ms > length;
        let duration = u16::try_from(if end { length } else { down } * 8).unwrap_or(u16::MAX);
        Frame::Key { first, event: event::Event { code, end, duration } }
    }

    /// Copies what is next of a sound, and gives how much.
    fn fill(&mut self, sound: &Sound, room: &mut [i16], rate: u32) -> usize {
        if sound.rate == rate && self.over.is_empty() {
            let rest = sound.samples.get(self.at..).unwrap_or_default();
            let length = rest.len().min(room.len());
            for (to, from) in room.iter_mut().zip(rest) {
                *to = *from;
            }
            self.at += length;
            return length;
        }
        self.bent(sound, room, rate)
    }

    /// The same at another rate: the codec changed, or a sound is for another one.
    fn bent(&mut self, sound: &Sound, room: &mut [i16], rate: u32) -> usize {
        if self.bend.as_ref().is_none_or(|bend| (bend.from, bend.to) != (sound.rate, rate)) {
            let by = Resampler::new(sound.rate, rate);
            self.bend = by.map(|by| Bend { from: sound.rate, to: rate, by });
        }
        if let Some(bend) = &mut self.bend {
            while self.over.len() < room.len() && self.at < sound.samples.len() {
                let rest = sound.samples.get(self.at..).unwrap_or_default();
                let taken = rest.get(..rest.len().min(320)).unwrap_or_default();
                self.at += taken.len();
                bend.by.push(taken, &mut self.over);
            }
        } else {
            self.at = sound.samples.len();
        }
        let length = self.over.len().min(room.len());
        for (to, from) in room.iter_mut().zip(self.over.drain(..length)) {
            *to = from;
        }
        length
    }
}

impl Drop for Player {
    fn drop(&mut self) {
        self.abort();
    }
}

#[cfg(test)]
#[path = "play_tests.rs"]
mod tests;
