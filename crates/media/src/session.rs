//! One leg's media, as its owner sees it: descriptions, sound, keys, recordings. Nothing here waits.

use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::Path;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use mio::net::UdpSocket;
use tokio::sync::{mpsc, oneshot};

use crate::media::{Counted, Digits, Media, Options};
use crate::ports::NoPort;
use crate::prompt::{Play, Played, Prompt};
use crate::record::Recording;
use crate::sdp::agree::{Local, SdpError, Talks};
use crate::speech::{self, Cut, Utterance};
use crate::stats::{Counters, Stats};
use crate::worker::command::Command;
use crate::worker::key_pieces;
use crate::worker::leg::Parts;
use crate::worker::play::{Group, Piece};

/// So many events wait for the owner.
const EVENTS: usize = 64;

/// What happens to a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// A key was pressed: `0` to `9`, `*`, `#`, `A` to `D`.
    Digit(char),
    /// Nothing came for too long, though it should. Told again only after something came.
    TimedOut,
    /// The other side holds the call, or no more.
    Held(bool),
    /// The first packet has come.
    FirstPacket,
    /// Somebody said this.
    Said(String),
    /// Somebody said something that could not be understood.
    Misheard,
}

/// One leg's media. A clone is the same session; when the last one is dropped, its ports are free again.
#[derive(Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

struct Shared {
    id: u64,
    media: Arc<Media>,
    talks: Mutex<Talks>,
    digits: Digits,
    sender: mpsc::Sender<Event>,
    events: Mutex<Option<mpsc::Receiver<Event>>>,
    counters: Arc<Counters>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.media.line.send(Command::Close(self.id));
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Session({})", self.shared.id)
    }
}

impl Session {
    pub(crate) fn open(media: Arc<Media>, options: Options) -> Result<Self, NoPort> {
        let told = options.local.or(media.config.advertise);
        let opened = media.ports.open(told)?;
        let six = opened.rtp.local_addr().is_ok_and(|at| at.is_ipv6());
        let mut random = [0; 20];
        getrandom::fill(&mut random).map_err(|_| NoPort)?;
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, ..] = random;
        let told = told.unwrap_or(media.ports.address());
        let local = Local {
            // Nobody can send to an address that means all of ours.
            address: if told.is_unspecified() { loopback(told) } else { told },
            port: opened.lease.port(),
            codecs: options.codecs,
            events: options.digits == Digits::Rfc4733,
            srtp: options.srtp,
            ptime: options.ptime,
        };
        let talks = Talks::new(local, u64::from(u32::from_be_bytes([k, l, m, n])));
        let (sender, events) = mpsc::channel(EVENTS);
        let counters = Arc::new(Counters::default());
        let id = media.number();
        let parts = Parts {
            rtp: UdpSocket::from_std(opened.rtp),
            control: UdpSocket::from_std(opened.control),
            lease: opened.lease,
            events: sender.clone(),
            counters: counters.clone(),
            timeout: media.config.timeout,
            jitter: media.config.jitter.clone(),
            inband: options.digits == Digits::Inband,
            six,
            random: (
                u32::from_be_bytes([a, b, c, d]),
                u16::from_be_bytes([e, f]),
                u32::from_be_bytes([g, h, i, j]),
            ),
        };
        media.line.send(Command::Open(id, Box::new(parts)));
        let (talks, events) = (Mutex::new(talks), Mutex::new(Some(events)));
        Ok(Self {
            shared: Arc::new(Shared { id, media, talks, digits: options.digits, sender, events, counters }),
        })
    }

    fn talks(&self) -> MutexGuard<'_, Talks> {
        self.shared.talks.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn want(&self, command: Command) {
        self.shared.media.line.send(command);
    }

    /// A new offer: for a call of ours, in answer to an INVITE without a description, to change what is agreed.
    pub fn offer(&self) -> String {
        self.talks().offer()
    }

    /// Answers an offer, first or again. What is agreed is in force at once.
    ///
    /// # Errors
    /// Nothing can be agreed; what was in force stays.
    pub fn answer(&self, offer: &str) -> Result<String, SdpError> {
        self.agree(|talks| talks.answer(offer))
    }

    /// Takes the answer to our last offer. It may come again, the same or another: with 183, then with 200.
    ///
    /// # Errors
    /// It agrees to nothing that was offered; what was in force stays.
    pub fn accept(&self, answer: &str) -> Result<(), SdpError> {
        self.agree(|talks| talks.accept(answer))
    }

    fn agree<T>(&self, how: impl FnOnce(&mut Talks) -> Result<T, SdpError>) -> Result<T, SdpError> {
        let mut talks = self.talks();
        let held = |talks: &Talks| talks.terms().is_some_and(|terms| terms.held);
        let was = held(&talks);
        let result = how(&mut talks)?;
        if let Some(terms) = talks.terms() {
            // Still under the lock: terms come to the worker in the order in which they were agreed.
            self.want(Command::Agree(self.shared.id, Box::new(terms.clone())));
        }
        if held(&talks) != was {
            // The owner has not even fetched what was told before: then it does not listen.
            let _ = self.shared.sender.try_send(Event::Held(!was));
        }
        Ok(result)
    }

    /// Our last offer was refused: what was in force stays.
    pub fn reject(&self) {
        self.talks().reject();
    }

    /// Our description in force, under its old number: to refresh a session. None: nothing is agreed.
    pub fn current(&self) -> Option<String> {
        self.talks().current().map(str::to_owned)
    }

    /// Whether our next offer holds the call.
    pub fn hold(&self, on: bool) {
        self.talks().hold = on;
    }

    /// Plays, behind what plays already. Prompts that have to be made are made meanwhile, which needs a tokio runtime.
    pub fn play(&self, what: Vec<Prompt>, how: Play) -> Playing {
        let (media, leg) = (self.shared.media.clone(), self.shared.id);
        let group = media.number();
        let (done, played) = oneshot::channel();
        let rate =
            self.talks().terms().and_then(|terms| terms.send.first()).map_or(8000, |(_, codec)| codec.rate());
        let playing = Playing { group, leg, media: media.clone(), played };
        let pieces = at_once(&what, rate);
        let (maker, begins) = match (&pieces, tokio::runtime::Handle::try_current()) {
            (Some(_), _) => (None, None),
            (None, Ok(runtime)) => {
                // It may be ready before it is queued; it waits for that.
                let (begins, queued) = oneshot::channel::<()>();
                let task = make(media.clone(), leg, group, what, rate);
                let task = runtime.spawn(async move {
                    if queued.await.is_ok() {
                        task.await;
                    }
                });
                (Some(task.abort_handle()), Some(begins))
            }
            (None, Err(_)) => {
                let _ = done.send(Played::Failed("there is no runtime to make it".to_owned()));
                return playing;
            }
        };
        self.want(Command::Play(leg, Group { id: group, how, pieces, done: Some(done), maker }));
        if let Some(begins) = begins {
            let _ = begins.send(());
        }
        playing
    }

    /// Ends all that plays and waits.
    pub fn abort(&self) {
        self.want(Command::Abort(self.shared.id));
    }

    /// A key came by SIP INFO: it is told as all others are, also to a bridged session.
    pub fn heard_digit(&self, digit: char) {
        let digit = digit.to_ascii_uppercase();
        if matches!(digit, '0'..='9' | '*' | '#' | 'A'..='D') {
            self.want(Command::Key(self.shared.id, digit));
        }
    }

    /// Presses keys, each for so long (40 ms to 8 s), behind what plays. What is no key is left out.
    pub fn send_digits(&self, digits: &str, each: Duration) -> Playing {
        let events = self.shared.digits == Digits::Rfc4733
            && self.talks().terms().is_some_and(|terms| terms.events.is_some());
        let ms = u32::try_from(each.as_millis()).unwrap_or(u32::MAX);
        // More than anybody dials is a fault of a script.
        let pieces: Vec<Piece> =
            digits.chars().take(128).flat_map(|digit| key_pieces(events, digit, ms)).collect();
        let group = self.shared.media.number();
        let (done, played) = oneshot::channel();
        let queued =
            Group { id: group, how: Play::default(), pieces: Some(pieces), done: Some(done), maker: None };
        self.want(Command::Play(self.shared.id, queued));
        Playing { group, leg: self.shared.id, media: self.shared.media.clone(), played }
    }

    /// Records into a WAV file of two channels: what was heard, what was sent.
    ///
    /// # Errors
    /// The file cannot be created.
    pub fn record(&self, to: &Path) -> io::Result<Recording> {
        self.record_into(File::create(to)?)
    }

    /// The same into a file that is there and empty: one without a name leaves nothing behind, whatever happens.
    ///
    /// # Errors
    /// The system has no thread to give.
    pub fn record_into(&self, file: File) -> io::Result<Recording> {
        let media = &self.shared.media;
        let (id, leg) = (media.number(), self.shared.id);
        let tape = media.recorder.begin(file)?;
        let end = tape.end().clone();
        self.want(Command::Record(leg, id, tape));
        // Weak: a recording that is forgotten does not keep a call's ports.
        let weak = Arc::downgrade(media);
        let stop = Arc::new(move |id, done| {
            if let Some(media) = weak.upgrade() {
                media.line.send(Command::StopRecord(leg, id, done));
            }
        });
        Ok(Recording { id, stop, end })
    }

    /// Listens for speech: what is said comes as [`Event::Said`]. An utterance ends with a pause of `pause`. False: nobody
    /// here understands speech.
    pub fn listen(&self, pause: Duration) -> bool {
        let Some(hearing) = self.shared.media.hearing.clone() else { return false };
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return false };
        let said = self.utterances(pause, speech::LONGEST);
        let counted = Counted::new(&self.shared.media.tasks);
        runtime.spawn(speech::understand(hearing, said, self.shared.sender.clone(), counted));
        true
    }

    /// What is said, piece by piece: each ends with a pause of `pause`, and at `longest` in any case. It ends with the session,
    /// and when somebody else listens.
    pub fn utterances(&self, pause: Duration, longest: Duration) -> mpsc::Receiver<Utterance> {
        let (utterances, said) = mpsc::channel(4);
        self.want(Command::Speech(self.shared.id, Some((Cut::new(pause, longest), utterances))));
        said
    }

    /// Listens for speech no more.
    pub fn stop_listening(&self) {
        self.want(Command::Speech(self.shared.id, None));
    }

    /// What was counted until now.
    pub fn stats(&self) -> Stats {
        let talks = self.talks();
        let terms = talks.terms();
        let codec = terms.and_then(|terms| terms.send.first()).map(|(_, codec)| *codec);
        self.shared.counters.read(codec, terms.is_some_and(|terms| terms.keys.is_some()))
    }

    /// What happens to it. The second time: None.
    pub fn events(&self) -> Option<mpsc::Receiver<Event>> {
        self.shared.events.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    /// Ends it, whoever still has a clone.
    pub fn close(&self) {
        self.want(Command::Close(self.shared.id));
    }

    pub(crate) fn id(&self) -> u64 {
        self.shared.id
    }

    pub(crate) fn media(&self) -> &Arc<Media> {
        &self.shared.media
    }
}

fn loopback(like: IpAddr) -> IpAddr {
    if like.is_ipv4() { IpAddr::from([127, 0, 0, 1]) } else { IpAddr::V6(std::net::Ipv6Addr::LOCALHOST) }
}

/// What needs no making. None: something does.
fn at_once(what: &[Prompt], rate: u32) -> Option<Vec<Piece>> {
    what.iter()
        .map(|prompt| match prompt {
            Prompt::Sound(sound) if matches!(sound.rate, 8000 | 16_000) => Some(Piece::Sound(sound.clone())),
            Prompt::Silence(length) => {
                Some(Piece::Sound(Arc::new(crate::audio::sound::Sound::silence(rate, *length))))
            }
            _ => None,
        })
        .collect()
}

/// Makes prompts, and hands them to the worker.
fn make(
    media: Arc<Media>,
    leg: u64,
    group: u64,
    what: Vec<Prompt>,
    rate: u32,
) -> impl Future<Output = ()> + Send + 'static {
    let counted = Counted::new(&media.tasks);
    async move {
        let _counted = counted;
        let mut pieces = Vec::with_capacity(what.len());
        let mut failed = None;
        for prompt in &what {
            match media.studio.at_rate(prompt, rate).await {
                Ok(sound) => pieces.push(Piece::Sound(sound)),
                Err(why) => {
                    failed = Some(why);
                    break;
                }
            }
        }
        media.line.send(Command::Made(leg, group, failed.map_or(Ok(pieces), Err)));
    }
}

/// Prompts that play or wait. Dropping it does not end them, and keeping it keeps no session.
pub struct Playing {
    group: u64,
    leg: u64,
    media: Arc<Media>,
    played: oneshot::Receiver<Played>,
}

impl std::fmt::Debug for Playing {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Playing({} of {})", self.group, self.leg)
    }
}

impl Playing {
    /// Waits until they end.
    pub async fn done(self) -> Played {
        self.played.await.unwrap_or(Played::Aborted)
    }

    /// Ends them.
    pub fn abort(&self) {
        self.media.line.send(Command::AbortGroup(self.leg, self.group));
    }
}

#[cfg(test)]
#[path = "session_tests.rs"]
mod tests;
