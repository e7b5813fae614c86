//! One socket: a task that waits for the client, for hints, and for the clock.
//!
//! ```text
//!   frame ─► frames_up ─► Host::hear / mark / typing ─► ack
//!   hint ──► Host::read from this socket's place ─► frames_down ─► client, then a ping with a number
//!   pong ──► Host::mark(delivered): what was sent before that ping has arrived
//! ```
//!
//! The log is the buffer: a socket that cannot keep up is closed, and the client's reconnect goes on where it was
//! (`begins.rs`). Nothing is said to be accepted (acked) before it is durable.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::ws::{CloseFrame, Message, WebSocket, WebSocketUpgrade};
use axum::extract::{Query, State};
use axum::response::Response;
use http::HeaderMap;
use interline_connector::channel::{HeardAs, Hint, Mark, Phase, Place, Said, What};
use interline_core::conversation::entry::Text;
use interline_core::conversation::state::Customer;
use interline_core::{ConversationId, FileId, Seq};
use serde_json::Value;
use tokio::sync::broadcast::error::{RecvError, TryRecvError};
use tokio::time::{Instant, MissedTickBehavior, interval_at, sleep_until, timeout};
use tokio_tungstenite::tungstenite;

use super::frames_down::{self, View};
use super::frames_up::{self, Ack, Up};
use super::pace::Pace;
use super::pass::{Client, Guest};
use super::refused::Refused;
use super::sent::Sent;
use super::{Web, begins, files, ids, pass};

/// Lines read at once.
const BATCH: usize = 50;
/// Pings whose pong is still awaited.
const PINGS: usize = 64;
/// Unreadable frames until the socket is closed.
const GARBAGE: u32 = 20;
/// Frames of any kind per second, and at once: receipts for a page of history come in one go.
const FRAMES: (f64, u32) = (5_000.0, 10_000);
const BUFFER: usize = 4 * 1024;
const READ_AGAIN: Duration = Duration::from_secs(1);

/// `GET rtm/bot?sid=…[&isReconnect=true][&after=ms-…]`
pub(super) async fn open(
    State(web): State<Arc<Web>>,
    Query(query): Query<Vec<(String, String)>>,
    headers: HeaderMap,
    upgrade: WebSocketUpgrade,
) -> Result<Response, Refused> {
    let given = |key: &str| query.iter().find(|(name, _)| name == key).map(|(_, value)| value.as_str());
    let (guest, client) = web.redeem(given("sid").unwrap_or_default(), &headers).await?;
    let reconnect = given("isReconnect") == Some("true") || given("ConnectionMode") == Some("Reconnect");
    let after = given("after").filter(|_| client == Client::Interline).and_then(ids::parse);
    // Also remembered across a restart, after which every tab that was open reconnects.
    let login = guest.pass.session.as_str();
    let first = web.host.first_use(&guest.app.id, "web login", login, pass::ACCESS_MS).await?.is_none();
    let anew = first && reconnect && client == Client::Published;
    let open = web.logins.open(&guest.pass, anew, web.host.now_ms());
    let customer = web.customer(&guest).await?;
    // A frame somewhat too large is read, so that its sender learns why it is turned away.
    let largest = guest.settings.limits.frame_bytes.saturating_mul(4);
    Ok(upgrade
        .max_message_size(largest)
        .max_frame_size(largest)
        .read_buffer_size(BUFFER)
        .write_buffer_size(0)
        .on_upgrade(async move |socket| {
            Session::new(web, guest, client, customer, socket).run(reconnect, after).await;
            drop(open);
        }))
}

/// Why a socket is over.
enum Over {
    /// We say good-bye.
    Close(u16, &'static str),
    /// There is nobody to say it to.
    Gone(&'static str),
}

const RESTART: Over = Over::Close(1012, "the server restarts");
const BUSY: Over = Over::Close(1011, "not available now");

type Sofar<T> = Result<T, Over>;

struct Session {
    web: Arc<Web>,
    guest: Guest,
    client: Client,
    customer: Customer,
    socket: WebSocket,
    /// How far the client was told.
    place: Place,
    /// What is read was in the log before this socket.
    backlog: bool,
    sent: Sent,
    /// Whom the widget was told that the customer talks to.
    phase: Option<Phase>,
    /// The newest line that was sent.
    newest: Option<(ConversationId, Seq)>,
    /// Pings not answered yet, and what each one's pong proves.
    pings: VecDeque<(u64, Vec<(ConversationId, Seq)>)>,
    pinged: u64,
    heard_at: Instant,
    read_at: Option<Instant>,
    lines_pace: Pace,
    frames_pace: Pace,
    garbage: u32,
}

impl Session {
    fn new(web: Arc<Web>, guest: Guest, client: Client, customer: Customer, socket: WebSocket) -> Self {
        let now = Instant::now();
        let limits = guest.settings.limits;
        Self {
            sent: Sent::new(guest.pass.session.clone()),
            lines_pace: Pace::new(limits.messages_per_second, limits.messages_burst, now),
            frames_pace: Pace::new(FRAMES.0, FRAMES.1, now),
            web,
            guest,
            client,
            customer,
            socket,
            phase: None,
            place: Place::default(),
            backlog: true,
            newest: None,
            pings: VecDeque::new(),
            pinged: 0,
            heard_at: now,
            read_at: None,
            garbage: 0,
        }
    }

    async fn run(mut self, reconnect: bool, after: Option<(ConversationId, Seq)>) {
        let (app, customer) = (self.guest.app.id.clone(), self.customer.id.clone());
        tracing::debug!(%app, %customer, reconnect, "socket open");
        let over = match self.talk(reconnect, after).await {
            Ok(()) => Over::Gone("closed by the client"),
            Err(over) => over,
        };
        let why = match over {
            Over::Gone(why) => why,
            Over::Close(code, why) => {
                self.say_goodbye(code, why).await;
                why
            }
        };
        tracing::debug!(%app, %customer, why, garbage = self.garbage, "socket closed");
    }

    /// Runs until the socket is over.
    async fn talk(&mut self, reconnect: bool, after: Option<(ConversationId, Seq)>) -> Sofar<()> {
        let host = Arc::clone(&self.web.host);
        let app = self.guest.app.id.clone();
        // Watched first: nothing falls between the place and the first hint.
        let mut hints = host.watch(&app, &self.customer);
        let login = self.guest.pass.session.as_str();
        self.place = begins::place(&self.web, &self.guest, &self.customer, reconnect, after)
            .await
            .map_err(|_| BUSY)?;
        if !reconnect {
            // What comes from here on, this tab must get, also if it is cut off before the first line.
            self.web.progress.reached(login, self.place.clone(), host.now_ms());
            let connected = Said { external_id: None, what: What::Connected };
            host.hear(&app, &self.customer, connected).await.map_err(|_| BUSY)?;
            let phase = host.phase(&app, &self.customer).await.map_err(|_| BUSY)?;
            if self.client == Client::Published && matches!(phase, Phase::Agent { .. }) {
                for frame in frames_down::agent_is_here(self.view()) {
                    self.send(&frame).await?;
                }
            }
        }
        self.tell_news().await?;

        let stopping = host.stopping();
        tokio::pin!(stopping);
        let every = self.web.timing.ping_every;
        let mut beat = interval_at(Instant::now() + every, every);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let read_at = self.read_at;
            tokio::select! {
                () = &mut stopping => return Err(RESTART),
                frame = self.socket.recv() => match frame {
                    None => return Ok(()),
                    Some(Ok(frame)) => self.hear(frame).await?,
                    Some(Err(error)) => return Err(broken(error)),
                },
                hint = hints.recv() => {
                    let mut news = self.notice(hint).await?;
                    // One look at the log answers any number of hints.
                    loop {
                        match hints.try_recv() {
                            Ok(hint) => news |= self.notice(Ok(hint)).await?,
                            Err(TryRecvError::Lagged(_)) => news = true,
                            Err(TryRecvError::Empty | TryRecvError::Closed) => break,
                        }
                    }
                    if news {
                        self.tell_news().await?;
                    }
                },
                _ = beat.tick() => {
                    if self.heard_at.elapsed() > self.web.timing.dead_after {
                        return Err(Over::Gone("no sign of life"));
                    }
                    self.ping(Vec::new()).await?;
                    // Should a hint have been lost: what is in the log is told now.
                    self.tell_news().await?;
                },
                () = sleep_until(read_at.unwrap_or_else(Instant::now)), if read_at.is_some() => {
                    self.tell_news().await?;
                },
            }
        }
    }

    /// Handles a hint. True: there is something to read.
    async fn notice(&mut self, hint: Result<Hint, RecvError>) -> Sofar<bool> {
        match hint {
            Ok(Hint::Entries) | Err(RecvError::Lagged(_)) => Ok(true),
            Ok(Hint::AgentTyping(on)) => {
                let frame = frames_down::agent_typing(self.view(), on);
                self.send(&frame).await?;
                Ok(false)
            }
            Ok(Hint::Reached { mark, client_ids, .. }) => {
                for stored in &client_ids {
                    let (id, _) = ids::untagged(stored);
                    if ids::is_named(id) {
                        let id = ids::to_client(id, self.sent.is_quoted(id));
                        let frame = frames_down::receipt(self.view(), &id, mark);
                        self.send(&frame).await?;
                    }
                }
                Ok(false)
            }
            Ok(Hint::Erased) => Err(Over::Close(1008, "this login is over")),
            Err(RecvError::Closed) => Err(RESTART),
        }
    }

    /// Tells what is new: the lines, and then, to the widget, whom the customer talks to.
    async fn tell_news(&mut self) -> Sofar<()> {
        self.read_at = None;
        if self.client == Client::Published {
            return self.tell_lines().await;
        }
        // Asked before the lines are read: what led to it is among them, so it never comes too early.
        let phase = self.web.host.phase(&self.guest.app.id, &self.customer).await;
        self.tell_lines().await?;
        match phase {
            Err(_) => self.read_at = Some(Instant::now() + READ_AGAIN),
            Ok(phase) if self.read_at.is_none() && self.phase.as_ref() != Some(&phase) => {
                self.send(&frames_down::phase(self.view(), &phase)).await?;
                self.phase = Some(phase);
            }
            Ok(_) => {}
        }
        Ok(())
    }

    /// Sends what the log has behind this socket's place.
    async fn tell_lines(&mut self) -> Sofar<()> {
        let host = Arc::clone(&self.web.host);
        loop {
            let Ok(lines) = host.read(&self.guest.app.id, &self.customer, &mut self.place, BATCH).await
            else {
                self.read_at = Some(Instant::now() + READ_AGAIN);
                return Ok(());
            };
            let mut reached: Vec<(ConversationId, Seq)> = Vec::new();
            let mut told = false;
            for line in &lines {
                let own = line.entry.text().is_some_and(|text| {
                    line.entry.by == interline_core::Speaker::Customer && self.sent.is_own(text, self.backlog)
                });
                // The widget learns from its own lines where they are in the log.
                if !own || self.client == Client::Interline {
                    let app = &self.guest.app.id;
                    let (line, attachments) = files::told(host.as_ref(), app, self.client, line);
                    for frame in frames_down::line(self.view(), &line, attachments) {
                        self.send(&frame).await?;
                        told = true;
                    }
                }
                reached.retain(|(conversation, _)| *conversation != line.conversation);
                reached.push((line.conversation.clone(), line.entry.seq));
            }
            if let Some(newest) = reached.last() {
                self.newest = Some(newest.clone());
                if told || !self.pings.is_empty() {
                    self.ping(reached).await?;
                } else {
                    // Only what this client said itself, and all before is proven: there is nothing to prove.
                    self.reached(reached);
                }
            }
            if lines.len() < BATCH {
                self.backlog = false;
                return Ok(());
            }
        }
    }

    /// Handles what the client sent.
    async fn hear(&mut self, frame: Message) -> Sofar<()> {
        self.heard_at = Instant::now();
        if !self.frames_pace.take(self.heard_at) {
            return Err(Over::Close(1008, "too many frames"));
        }
        match frame {
            Message::Text(text) if text.len() > self.guest.settings.limits.frame_bytes => {
                Err(Over::Close(1009, "the frame is too large"))
            }
            Message::Text(text) => match frames_up::parse(&text) {
                Ok(up) => self.act(up).await,
                Err(frames_up::Garbage) => {
                    self.garbage += 1;
                    if self.garbage < GARBAGE { Ok(()) } else { Err(Over::Close(1002, "not this protocol")) }
                }
            },
            Message::Binary(_) => Err(Over::Close(1003, "only text frames")),
            Message::Pong(payload) => {
                self.arrived(&payload);
                Ok(())
            }
            // Answered, and the closing handshake is finished, by the library.
            Message::Ping(_) | Message::Close(_) => Ok(()),
        }
    }

    async fn act(&mut self, up: Up) -> Sofar<()> {
        match up {
            Up::Say { id, quoted, reply_to, text, files } => {
                self.say(id, quoted, &reply_to, text, files).await
            }
            Up::Ends { scope, id, reply_to } => {
                self.spend()?;
                // Ids are clocks: a line of the same millisecond is another thing.
                let external_id = id.map(|id| format!("end:{id}"));
                let said = Said { external_id, what: What::Ends(scope) };
                if self.tell_host(said, &reply_to).await?.is_some() {
                    self.ack(Some(reply_to)).await?;
                }
                Ok(())
            }
            Up::Typing(on, ack) => {
                self.web.host.typing(&self.guest.app.id, &self.customer, on);
                self.ack(ack).await
            }
            Up::Reached(line, mark, ack) => {
                let place = match line {
                    Some(line) => ids::parse(&line),
                    None => self.newest.clone(),
                };
                if let Some((conversation, seq)) = place {
                    self.web.host.mark(&self.guest.app.id, &self.customer, &conversation, seq, mark);
                }
                self.ack(ack).await
            }
            Up::Nothing(ack) => self.ack(ack).await,
        }
    }

    /// The customer says a line. It is acked when it is durable.
    async fn say(
        &mut self,
        id: Option<String>,
        quoted: bool,
        reply_to: &Value,
        text: String,
        files: Vec<FileId>,
    ) -> Sofar<()> {
        self.spend()?;
        let most = self.guest.settings.limits.text_bytes;
        if text.len() > most {
            let told = self.guest.settings.texts.too_long.replace("{bytes}", &most.to_string());
            return self.refuse(reply_to, &told, false).await;
        }
        let host = Arc::clone(&self.web.host);
        let files = match host.files().own(&self.guest.app.id, &self.customer, &files).await {
            Ok(files) => files,
            Err(refused) => {
                return self.refuse(reply_to, &refused.to_string(), refused.is_passing()).await;
            }
        };
        let name = id.clone().unwrap_or_else(ids::nameless);
        let client_id = Some(self.sent.add(&name, quoted));
        let said =
            Said { external_id: id, what: What::Text(Text { text, files, client_id, ..Text::default() }) };
        match self.tell_host(said, reply_to).await? {
            Some(_) => self.ack(Some(reply_to.clone())).await,
            None => {
                self.sent.forget(&name);
                Ok(())
            }
        }
    }

    /// Passes something on. None: it was not accepted, and the user was told.
    async fn tell_host(&mut self, said: Said, reply_to: &Value) -> Sofar<Option<HeardAs>> {
        match self.web.host.hear(&self.guest.app.id, &self.customer, said).await {
            Ok(heard) => Ok(Some(heard)),
            Err(reason) => {
                let told = self.guest.settings.texts.not_accepted.replace("{reason}", &reason.0);
                self.refuse(reply_to, &told, true).await?;
                Ok(None)
            }
        }
    }

    /// Something was not accepted. The published client knows no frame for it: the bot says so.
    async fn refuse(&mut self, reply_to: &Value, text: &str, again: bool) -> Sofar<()> {
        let frame = match self.client {
            Client::Published => frames_down::aside(self.view(), text, self.web.host.now_ms()),
            Client::Interline => frames_down::refused(reply_to, text, again),
        };
        self.send(&frame).await
    }

    async fn ack(&mut self, reply_to: Ack) -> Sofar<()> {
        match reply_to {
            Some(reply_to) => self.send(&frames_down::ack(&reply_to)).await,
            None => Ok(()),
        }
    }

    fn spend(&mut self) -> Sofar<()> {
        if self.lines_pace.take(Instant::now()) {
            Ok(())
        } else {
            Err(Over::Close(1008, "too many messages"))
        }
    }

    /// A pong: everything before its ping has arrived.
    fn arrived(&mut self, payload: &[u8]) {
        let Ok(number) = <[u8; 8]>::try_from(payload).map(u64::from_be_bytes) else { return };
        while self.pings.front().is_some_and(|(ping, _)| *ping <= number) {
            let (_, reached) = self.pings.pop_front().unwrap_or_default();
            self.reached(reached);
        }
    }

    /// The client has everything up to here.
    fn reached(&self, reached: Vec<(ConversationId, Seq)>) {
        for (conversation, seq) in reached {
            let host = &self.web.host;
            host.mark(&self.guest.app.id, &self.customer, &conversation, seq, Mark::Delivered);
            let place = Place { conversation: Some(conversation), seq };
            self.web.progress.reached(&self.guest.pass.session, place, host.now_ms());
        }
    }

    async fn ping(&mut self, reached: Vec<(ConversationId, Seq)>) -> Sofar<()> {
        if !reached.is_empty() {
            if self.pings.len() >= PINGS
                && let Some((_, mut earlier)) = self.pings.pop_front()
                && let Some((_, next)) = self.pings.front_mut()
            {
                earlier.append(next);
                *next = earlier;
            }
            self.pings.push_back((self.pinged + 1, reached));
        }
        self.pinged += 1;
        self.put(Message::Ping(self.pinged.to_be_bytes().to_vec().into())).await
    }

    async fn send(&mut self, frame: &Value) -> Sofar<()> {
        self.put(Message::Text(frame.to_string().into())).await
    }

    async fn put(&mut self, message: Message) -> Sofar<()> {
        match timeout(self.web.timing.stuck_after, self.socket.send(message)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(Over::Gone("broken")),
            Err(_) => Err(Over::Gone("takes no frames")),
        }
    }

    /// Closes properly: a close frame, then a moment for the client's own.
    async fn say_goodbye(&mut self, code: u16, reason: &'static str) {
        let close = Message::Close(Some(CloseFrame { code, reason: reason.into() }));
        let goodbye = async {
            self.socket.send(close).await?;
            while self.socket.recv().await.is_some_and(|frame| frame.is_ok()) {}
            Ok::<_, axum::Error>(())
        };
        // Whatever comes of it, the socket is over.
        let _ = timeout(Duration::from_secs(2), goodbye).await;
    }

    fn view(&self) -> View<'_> {
        View {
            app: self.guest.app.id.as_str(),
            bot: &self.guest.app.name,
            icon: self.guest.settings.icon.as_ref().map_or("", url::Url::as_str),
            queued: match self.client {
                Client::Published => &self.guest.settings.texts.queued,
                Client::Interline => "",
            },
        }
    }
}

/// What a failed read means, in close codes.
fn broken(error: axum::Error) -> Over {
    let error = error.into_inner();
    match error.downcast_ref::<tungstenite::Error>() {
        Some(tungstenite::Error::Utf8(_)) => Over::Close(1007, "not UTF-8"),
        Some(tungstenite::Error::Capacity(_)) => Over::Close(1009, "the frame is too large"),
        Some(tungstenite::Error::Protocol(_)) => Over::Close(1002, "not this protocol"),
        _ => Over::Gone("broken"),
    }
}
