//! The agents' side of one vendor: chats, and what is seen of them.

use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

use ::http::{HeaderMap, Method, StatusCode, header};
use axum::Router;
use axum::body::{Body, Bytes, to_bytes};
use axum::extract::{Request, State};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse as _, Response};
use tokio::sync::watch;
use url::Url;

use super::acts::{Acts, AgentFile};
use super::chat::{Chat, ChatState, Line, ShownFile};
use super::clock::Clock;
use super::faults::{self, Faults};
use super::log::{Direction, Log, Record};
use super::shelf::{self, Shelf};

/// No vendor takes more in one request.
const LARGEST: usize = 64 * 1024 * 1024;

/// The agents' side of one vendor's stand-in. Clones are the same one.
#[derive(Clone)]
pub struct Desk(Arc<Inner>);

/// Called with each line that is added to a chat.
type Hook = Box<dyn Fn(&Line) + Send + Sync>;

struct Inner {
    vendor: &'static str,
    title: &'static str,
    chats: Mutex<Vec<Chat>>,
    version: watch::Sender<u64>,
    clock: Clock,
    faults: Faults,
    errors: OnceLock<fn(StatusCode) -> Response>,
    log: Log,
    shelf: Shelf,
    /// Host and port by which the other side reaches this stand-in: from there it fetches files.
    called_at: Mutex<Option<String>>,
    client: reqwest::Client,
    hook: OnceLock<Hook>,
}

impl Desk {
    /// A desk without chats. Its page is `/_sim/{vendor}/` and shows `title`.
    pub fn new(vendor: &'static str, title: &'static str) -> Self {
        Self(Arc::new(Inner {
            vendor,
            title,
            chats: Mutex::default(),
            version: watch::Sender::new(1),
            clock: Clock::default(),
            faults: Faults::default(),
            errors: OnceLock::new(),
            log: Log::default(),
            shelf: Shelf::default(),
            called_at: Mutex::default(),
            client: reqwest::Client::new(),
            hook: OnceLock::new(),
        }))
    }

    /// How the vendor words an error: for the statuses that faults answer with. The first one said counts.
    #[must_use]
    pub fn with_errors(self, error: fn(StatusCode) -> Response) -> Self {
        let _ = self.0.errors.set(error);
        self
    }

    /// The vendor, as its page's path names it.
    pub fn vendor(&self) -> &'static str {
        self.0.vendor
    }

    /// The vendor, as people name it.
    pub fn title(&self) -> &'static str {
        self.0.title
    }

    /// Its clock.
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// What goes wrong on purpose.
    pub fn faults(&self) -> &Faults {
        &self.0.faults
    }

    /// What went over the wire.
    pub fn log(&self) -> &Log {
        &self.0.log
    }

    /// For what the stand-in calls.
    pub fn client(&self) -> &reqwest::Client {
        &self.0.client
    }

    // ── what the wire side tells ─────────────────────────────────────────────────────────────────────────────────

    /// A hand-over came.
    pub fn open(&self, mut chat: Chat) {
        chat.since_ms = self.clock().now_ms();
        self.chats_mut().push(chat);
        self.changed();
    }

    /// A line is added. Returns its place in the chat; none: there is no such chat.
    pub fn line(&self, chat: &str, mut line: Line) -> Option<usize> {
        line.at_ms = self.clock().now_ms();
        if let Some(hook) = self.0.hook.get() {
            hook(&line);
        }
        self.change(chat, |chat| {
            chat.lines.push(line);
            chat.lines.len() - 1
        })
    }

    /// Changes a chat; none: there is no such chat.
    pub fn change<T>(&self, chat: &str, change: impl FnOnce(&mut Chat) -> T) -> Option<T> {
        let changed = self.chats_mut().iter_mut().find(|known| known.id == chat).map(change);
        self.changed();
        changed
    }

    /// Where a chat stands from now on.
    pub fn state(&self, chat: &str, state: ChatState) {
        self.change(chat, |chat| chat.state = state);
    }

    /// An agent's line was not taken by the other side.
    pub fn failed(&self, chat: &str, place: usize, why: &str) {
        self.change(chat, |chat| {
            if let Some(line) = chat.lines.get_mut(place) {
                line.failed = Some(why.to_owned());
            }
        });
    }

    /// The customer has, or has read, the agent's line with this id, and all before it.
    pub fn mark(&self, chat: &str, id: &str, read: bool) {
        self.change(chat, |chat| {
            let Some(last) = chat.lines.iter().position(|line| line.id.as_deref() == Some(id)) else {
                return;
            };
            for line in chat.lines.iter_mut().take(last + 1) {
                line.delivered = true;
                line.read |= read;
            }
        });
    }

    /// Fetches a file of a line of the customer's, and shows what came. `headers`: what the wire said to send.
    pub async fn fetch(
        &self,
        chat: &str,
        place: usize,
        url: &str,
        headers: HeaderMap,
    ) -> Result<String, String> {
        self.fetch_from(url, chat, place, url, headers).await
    }

    /// [`Desk::fetch`] where the bytes lie elsewhere than where a person finds them (`shown`).
    pub async fn fetch_from(
        &self,
        from: &str,
        chat: &str,
        place: usize,
        shown: &str,
        headers: HeaderMap,
    ) -> Result<String, String> {
        let fetched = shelf::measure(self.client(), from, headers).await;
        let settled = self.change(chat, |chat| {
            let files = chat.lines.get_mut(place).map(|line| line.files.iter_mut());
            let mine = files.into_iter().flatten().filter(|file| file.url == shown);
            mine.map(|file| file.settle(&fetched)).last()
        });
        settled.flatten().unwrap_or_else(|| fetched.map(|(_, sha256)| sha256))
    }

    /// A file that came as bytes, as it is shown.
    pub fn received(&self, name: &str, bytes: &[u8]) -> ShownFile {
        let sha256 = Some(shelf::sha256(bytes));
        ShownFile { bytes: Some(bytes.len() as u64), sha256, ..ShownFile::at(name, "") }
    }

    /// Something is to be shown.
    pub fn changed(&self) {
        self.0.version.send_modify(|version| *version += 1);
    }

    /// From now on this is called with each line that is added: for whoever counts them by the thousand. The first one said
    /// counts.
    pub fn on_line(&self, hook: impl Fn(&Line) + Send + Sync + 'static) {
        let _ = self.0.hook.set(Box::new(hook));
    }

    // ── what is seen ─────────────────────────────────────────────────────────────────────────────────────────────

    /// All chats, oldest first.
    pub fn chats(&self) -> Vec<Chat> {
        self.chats_mut().clone()
    }

    /// A chat.
    pub fn chat(&self, id: &str) -> Option<Chat> {
        self.chats_mut().iter().find(|chat| chat.id == id).cloned()
    }

    /// Waits until something is so, looking whenever something changed. None: it was not within `time`.
    pub async fn until<T>(&self, time: Duration, mut so: impl FnMut(&Self) -> Option<T>) -> Option<T> {
        let mut versions = self.0.version.subscribe();
        let looking = async {
            loop {
                versions.mark_unchanged();
                if let Some(found) = so(self) {
                    return found;
                }
                if versions.changed().await.is_err() {
                    std::future::pending::<()>().await;
                }
            }
        };
        tokio::time::timeout(time, looking).await.ok()
    }

    pub(super) fn version(&self) -> watch::Receiver<u64> {
        self.0.version.subscribe()
    }

    // ── files ────────────────────────────────────────────────────────────────────────────────────────────────────

    /// Puts a file of the agent's on the shelf. None: there is no room.
    pub fn shelve(&self, name: &str, bytes: Bytes) -> Option<String> {
        self.0.shelf.put(name, bytes)
    }

    /// A file from the shelf, where the other side finds it. None: it does not lie there, or nobody ever called.
    pub fn on_shelf(&self, id: &str) -> Option<AgentFile> {
        let (name, bytes) = self.0.shelf.get(id)?;
        let host = self.0.called_at.lock().unwrap_or_else(PoisonError::into_inner).clone()?;
        let mut url = Url::parse(&format!("http://{host}/_sim/{}/files/", self.vendor())).ok()?;
        url.path_segments_mut().ok()?.pop_if_empty().push(id).push(&name);
        Some(AgentFile { name, url, bytes: bytes.len() as u64 })
    }

    pub(super) fn shelved(&self, id: &str) -> Option<Bytes> {
        self.0.shelf.get(id).map(|(_, bytes)| bytes)
    }

    pub(super) fn is_called_at(&self, headers: &HeaderMap) {
        if let Some(host) = headers.get(header::HOST).and_then(|host| host.to_str().ok()) {
            *self.0.called_at.lock().unwrap_or_else(PoisonError::into_inner) = Some(host.to_owned());
        }
    }

    // ── the wire ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// Puts the vendor's routes under log and faults, and adds the agent page.
    pub fn watch(&self, vendor: Router, acts: Arc<dyn Acts>) -> Router {
        vendor.layer(from_fn_with_state(self.clone(), watched)).merge(super::page::routes(self.clone(), acts))
    }

    /// A call that the stand-in made is remembered. Status 0: there was no answer.
    pub fn made(&self, method: &Method, url: &str, headers: &HeaderMap, body: Bytes, status: u16) {
        self.record(Direction::Out, method, url.to_owned(), headers.clone(), body, status);
    }

    async fn strike(&self, call: &str, handle: impl Future<Output = Response>) -> Option<Response> {
        let error = self.0.errors.get().copied().unwrap_or(faults::plain);
        self.faults().strike(call, error, handle).await
    }

    fn record(
        &self,
        direction: Direction,
        method: &Method,
        path: String,
        headers: HeaderMap,
        body: Bytes,
        status: u16,
    ) {
        let at_ms = self.clock().now_ms();
        let method = method.to_string();
        self.log().push(Record { at_ms, direction, method, path, status, headers, body });
        // Whoever waits may wait for that.
        self.changed();
    }

    fn chats_mut(&self) -> MutexGuard<'_, Vec<Chat>> {
        self.0.chats.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Every call of the vendor's wire passes here.
async fn watched(State(desk): State<Desk>, request: Request, next: Next) -> Response {
    desk.is_called_at(request.headers());
    let (parts, body) = request.into_parts();
    let (method, headers) = (parts.method.clone(), parts.headers.clone());
    let path = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let Ok(body) = to_bytes(body, LARGEST).await else {
        return StatusCode::PAYLOAD_TOO_LARGE.into_response();
    };
    let request = Request::from_parts(parts, Body::from(body.clone()));
    let call = format!("{method} {path}");
    // What the vendor does goes on when whoever asked hangs up.
    let inner = desk.clone();
    let task = tokio::spawn(async move { inner.strike(&call, next.run(request)).await });
    let response = match task.await {
        Ok(response) => response,
        Err(_) => Some(StatusCode::INTERNAL_SERVER_ERROR.into_response()),
    };
    let status = response.as_ref().map_or(0, |response| response.status().as_u16());
    desk.record(Direction::In, &method, path, headers, body, status);
    match response {
        Some(response) => response,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulator::By;

    #[tokio::test]
    async fn what_changes_is_seen() {
        let desk = Desk::new("test", "Test");
        let watching = {
            let desk = desk.clone();
            tokio::spawn(async move {
                let said = |desk: &Desk| desk.chat("1").filter(|chat| chat.customer_words() == ["hello"]);
                desk.until(Duration::from_secs(5), said).await
            })
        };
        desk.open(Chat::waiting("1", "Ann"));
        desk.line("1", Line::new(By::Customer, "hello"));
        let chat = watching.await.expect("a task").expect("in time");
        assert_eq!((chat.state, chat.title.as_str()), (ChatState::Waiting, "Ann"));
        assert_eq!(desk.line("2", Line::new(By::Customer, "x")), None);
    }

    #[test]
    fn a_mark_covers_what_is_before_it() {
        let desk = Desk::new("test", "Test");
        desk.open(Chat::waiting("1", "Ann"));
        for id in ["a", "b", "c"] {
            desk.line("1", Line::new(By::Agent, id).with_id(id));
        }
        desk.mark("1", "b", false);
        desk.mark("1", "a", true);
        let marks: Vec<_> =
            desk.chat("1").expect("a chat").lines.iter().map(|line| (line.delivered, line.read)).collect();
        assert_eq!(marks, [(true, true), (true, false), (false, false)]);
    }
}
