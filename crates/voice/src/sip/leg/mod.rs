//! One side of a call: a dialog that is up, with its media.
//!
//! A leg sees to everything that is the same for callers and agents: offers within the dialog and hold, digits by INFO,
//! liveness, challenges, who hung up. What a call is for is decided in `call` and `transfer`.

mod ask;
mod replace;
mod within;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use interline_media::{Event, Session};
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver, TerminatedReason, TransactionHandle};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Header, Method, Request, Response, StatusCode};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use crate::sip::digest::Account;
use crate::sip::edge::{Edge, abilities};
use crate::sip::frag::News;
use crate::sip::text::reason;
use crate::sip::timer::Timer;
use replace::Replacement;
pub use replace::{Legs, Replaces};

/// Where a leg stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stage {
    /// Not answered, or answered and not acknowledged.
    Early,
    /// Up.
    Up,
    /// Over.
    Gone(Gone),
}

/// Why a leg is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gone {
    /// The other side hung up, or gave up before it was answered.
    Left,
    /// We ended it.
    Ended,
    /// No sound, and no sign of life with it, for too long.
    Silent,
    /// The other side does not answer any more.
    Lost,
}

impl Gone {
    /// For people; `who` is on the other side.
    pub fn in_words(self, who: &str) -> String {
        match self {
            Self::Left => format!("{who} left"),
            Self::Ended => "ended by us".into(),
            Self::Silent => "no sound any more".into(),
            Self::Lost => "lost".into(),
        }
    }
}

/// The other side wants us to refer it, or rather: to call somebody else for it.
pub struct Referred {
    /// The REFER.
    pub request: Request,
    /// To answer it by.
    pub answer: TransactionHandle,
}

/// One side of a call. Clones are the same leg.
#[derive(Clone)]
pub struct Leg(Arc<Inner>);

pub(crate) struct Inner {
    edge: Arc<Edge>,
    /// Another may come in its place (RFC 3891).
    dialog: Mutex<InviteDialog>,
    replaced: mpsc::Sender<Replacement>,
    session: Session,
    account: Option<Account>,
    stage: watch::Sender<Stage>,
    /// Requests within the dialog that were answered.
    answered: watch::Sender<u64>,
    /// Ours was the offer, so that the answer comes with the ACK.
    offered: AtomicBool,
    /// We asked the other side for something about the session, and have no answer yet.
    asking: AtomicBool,
    /// Digits come by INFO alone.
    info_digits: bool,
    /// Whether the other side is still there: what was agreed, and when it was last confirmed.
    timer: watch::Sender<Option<(Timer, Instant)>>,
    listeners: Mutex<Listeners>,
}

/// Who wants to know what. The newest listener gets it.
#[derive(Default)]
struct Listeners {
    digits: Option<mpsc::Sender<char>>,
    said: Option<mpsc::Sender<String>>,
    news: Option<mpsc::Sender<News>>,
    /// News that came, of NOTIFYs that are not answered yet.
    told: Vec<News>,
    refers: Option<mpsc::Sender<Referred>>,
    /// Where REFERs wait that come before they are listened for.
    early: Option<mpsc::Receiver<Referred>>,
}

/// What a leg is made of.
pub struct Parts {
    /// Where its messages go in and out.
    pub edge: Arc<Edge>,
    /// Its Call-ID.
    pub call_id: String,
    /// The dialog.
    pub dialog: InviteDialog,
    /// What happened to the dialog before anybody took care of it.
    pub behind: Vec<DialogState>,
    /// What happens to the dialog.
    pub states: DialogStateReceiver,
    /// Its media.
    pub session: Session,
    /// Who we are to the other side.
    pub account: Option<Account>,
    /// Digits come by INFO alone.
    pub info_digits: bool,
    /// It is up already.
    pub up: bool,
    /// Its REFERs will be honoured: one that comes right behind the ACK waits for that.
    pub refers: bool,
    /// What was agreed about liveness.
    pub timer: Option<Timer>,
}

impl Leg {
    /// Takes care of a dialog from now on, until it is gone.
    pub fn new(parts: Parts) -> Self {
        let Parts { edge, call_id, dialog, behind, states, session, account, info_digits, up, refers, timer } =
            parts;
        let (stage, _) = watch::channel(if up { Stage::Up } else { Stage::Early });
        let events = session.events();
        let (replaced, replacements) = mpsc::channel(1);
        let (refers, early) = refers.then(|| mpsc::channel(1)).unzip();
        let leg = Self(Arc::new(Inner {
            edge,
            dialog: Mutex::new(dialog),
            replaced,
            session,
            account,
            stage,
            answered: watch::channel(0).0,
            offered: AtomicBool::new(false),
            asking: AtomicBool::new(false),
            info_digits,
            timer: watch::channel(timer.map(|timer| (timer, Instant::now()))).0,
            listeners: Mutex::new(Listeners { refers, early, ..Listeners::default() }),
        }));
        leg.0.edge.legs.keep(&call_id, &leg.0);
        let served = leg.clone();
        tokio::spawn(async move {
            let gone = match served.catch_up(behind).await {
                Some(gone) => gone,
                None => served.serve(states, events, replacements).await,
            };
            served.over(gone);
        });
        leg
    }

    /// Its media.
    pub fn session(&self) -> &Session {
        &self.0.session
    }

    /// Its dialog, as of now.
    pub fn dialog(&self) -> InviteDialog {
        self.0.dialog.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Where it stands now.
    pub fn stage(&self) -> Stage {
        self.0.stage.borrow().clone()
    }

    /// Why it is over, once it is.
    pub async fn gone(&self) -> Gone {
        let mut stage = self.0.stage.subscribe();
        loop {
            if let Stage::Gone(gone) = *stage.borrow_and_update() {
                return gone;
            }
            if stage.changed().await.is_err() {
                return Gone::Lost;
            }
        }
    }

    /// Resolves when it is up (true), or over before it was (false).
    pub async fn up(&self) -> bool {
        let mut stage = self.0.stage.subscribe();
        loop {
            match *stage.borrow_and_update() {
                Stage::Up => return true,
                Stage::Gone(_) => return false,
                Stage::Early => {}
            }
            if stage.changed().await.is_err() {
                return false;
            }
        }
    }

    /// Hears digits from now on.
    pub fn digits(&self) -> mpsc::Receiver<char> {
        let (sender, receiver) = mpsc::channel(64);
        self.listeners().digits = Some(sender);
        receiver
    }

    /// Hears what is said, as text, from now on.
    pub fn said(&self) -> mpsc::Receiver<String> {
        let (sender, receiver) = mpsc::channel(16);
        self.listeners().said = Some(sender);
        receiver
    }

    /// Honours REFERs from now on: each is to be answered. Without it they are refused.
    pub fn refers(&self) -> mpsc::Receiver<Referred> {
        let mut listeners = self.listeners();
        if let Some(early) = listeners.early.take() {
            return early;
        }
        let (sender, receiver) = mpsc::channel(1);
        listeners.refers = Some(sender);
        receiver
    }

    /// Answers a REFER. Returns when the answer was sent: what is told of it then must not overtake it.
    pub async fn answer(&self, referred: Referred, code: StatusCode) {
        let mut answered = self.0.answered.subscribe();
        let _ = referred.answer.respond(code, None, None).await;
        let _ = tokio::time::timeout(Duration::from_secs(2), answered.changed()).await;
    }

    fn listeners(&self) -> MutexGuard<'_, Listeners> {
        self.0.listeners.lock().unwrap_or_else(PoisonError::into_inner)
    }

    // ── as the one who was called ────────────────────────────────────────────────────────────────────────────────

    /// Says that it rings.
    pub fn ringing(&self) {
        let _ = self.dialog().ringing(None, None);
    }

    /// Answers. `offered`: the body is an offer, because the caller made none.
    pub fn accept(&self, body: String, offered: bool, mut headers: Vec<Header>) {
        self.0.offered.store(offered, Ordering::Relaxed);
        headers.extend(abilities());
        headers.extend(self.timer().map(|(timer, _)| timer.answer()).unwrap_or_default());
        headers.push(sdp());
        let _ = self.dialog().accept(Some(headers), Some(body.into_bytes()));
    }

    /// Turns the call away.
    pub fn reject(&self, code: u16) {
        let _ = self.dialog().reject(Some(code.into()), None);
    }

    // ── within the dialog ────────────────────────────────────────────────────────────────────────────────────────

    /// Hangs up, once it is up; turns it away if it never was. Returns when the other side knows, or does not answer.
    pub async fn bye(&self, headers: Vec<Header>) {
        if self.stage() == Stage::Early && !self.answered() {
            self.reject(480);
            return;
        }
        // RFC 3261 §15: not before the ACK.
        if self.up().await {
            let _ = self.request(Method::Bye, headers, None).await;
            self.over(Gone::Ended);
        }
    }

    /// A 2xx was sent.
    fn answered(&self) -> bool {
        matches!(self.dialog().state(), DialogState::WaitAck(..) | DialogState::Confirmed(..))
    }

    /// Asks the other side to go elsewhere. The first news may come before the response, so both are returned at once.
    pub async fn refer(&self, to: String, headers: Vec<Header>) -> (mpsc::Receiver<News>, Option<Response>) {
        let (sender, news) = mpsc::channel(16);
        self.listeners().news = Some(sender);
        let mut all = vec![Header::ReferTo(to.into())];
        all.extend(headers);
        let response = self.request(Method::Refer, all, None).await;
        (news, response)
    }

    /// News of a REFER are no longer expected.
    pub fn no_more_news(&self) {
        self.listeners().news = None;
    }

    // ── what happens to it ───────────────────────────────────────────────────────────────────────────────────────

    /// What came before the leg was there: a quick other side asks, or hangs up, right behind its answer.
    async fn catch_up(&self, behind: Vec<DialogState>) -> Option<Gone> {
        for state in behind {
            match state {
                DialogState::Terminated(_, why) => return Some(self.why(&why)),
                state => self.state(state).await,
            }
        }
        None
    }

    async fn serve(
        &self,
        mut states: DialogStateReceiver,
        events: Option<mpsc::Receiver<Event>>,
        mut replacements: mpsc::Receiver<Replacement>,
    ) -> Gone {
        let mut events = events.unwrap_or_else(|| mpsc::channel(1).1);
        loop {
            tokio::select! {
                state = states.recv() => match state {
                    Some(DialogState::Terminated(_, why)) => return self.why(&why),
                    Some(state) => self.state(state).await,
                    None => return Gone::Lost,
                },
                Some(event) = events.recv() => match event {
                    Event::TimedOut => {
                        self.request(Method::Bye, vec![reason("SIP", 408, "no media")], None).await;
                        return Gone::Silent;
                    }
                    Event::Digit(digit) => self.digit(digit),
                    Event::Said(text) => {
                        if let Some(said) = &self.listeners().said {
                            let _ = said.try_send(text);
                        }
                    }
                    Event::Held(_) | Event::FirstPacket | Event::Misheard => {}
                },
                Some(next) = replacements.recv() => states = self.replaced(next, states),
                gone = self.gone() => return gone,
                () = self.due() => if let Some(gone) = self.is_due().await {
                    return gone;
                },
            }
        }
    }

    // ── liveness ─────────────────────────────────────────────────────────────────────────────────────────────────

    fn timer(&self) -> Option<(Timer, Instant)> {
        *self.0.timer.borrow()
    }

    /// The other side was heard of.
    fn refreshed(&self) {
        self.0.timer.send_modify(|kept| {
            if let Some((_, since)) = kept {
                *since = Instant::now();
            }
        });
    }

    /// What was agreed about liveness is this from now on.
    fn keep_time(&self, timer: impl Into<Option<Timer>>) {
        self.0.timer.send_replace(timer.into().map(|timer| (timer, Instant::now())));
    }

    /// Resolves when something is due by what is agreed then.
    async fn due(&self) {
        let mut kept = self.0.timer.subscribe();
        loop {
            let at = kept.borrow_and_update().map(|(timer, since)| since + timer.due());
            let due = async {
                match at {
                    Some(at) => sleep_until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                () = due => return,
                _ = kept.changed() => {}
            }
        }
    }

    /// A refresh of ours is due, or one of the other side did not come.
    async fn is_due(&self) -> Option<Gone> {
        let (timer, _) = self.timer()?;
        if !timer.ours {
            self.request(Method::Bye, vec![reason("SIP", 408, "session expired")], None).await;
            return Some(Gone::Lost);
        }
        self.refreshed();
        let leg = self.clone();
        // Not waited for here: what the other side asks meanwhile has to be answered.
        tokio::spawn(async move {
            if !leg.refreshes(timer).await {
                leg.over(Gone::Lost);
            }
        });
        None
    }

    fn why(&self, why: &TerminatedReason) -> Gone {
        let is_caller = self.dialog().role() == rsipstack::transaction::key::TransactionRole::Server;
        match why {
            TerminatedReason::UacBye | TerminatedReason::UacCancel if is_caller => Gone::Left,
            TerminatedReason::UasBye if !is_caller => Gone::Left,
            TerminatedReason::Timeout => Gone::Lost,
            _ => Gone::Ended,
        }
    }

    fn over(&self, gone: Gone) {
        let first = self.0.stage.send_if_modified(|stage| {
            let first = !matches!(stage, Stage::Gone(_));
            if first {
                *stage = Stage::Gone(gone);
            }
            first
        });
        if !first {
            return;
        }
        self.0.session.close();
        *self.listeners() = Listeners::default();
        self.0.edge.forget(&self.dialog().id());
    }
}

fn sdp() -> Header {
    Header::ContentType("application/sdp".into())
}
