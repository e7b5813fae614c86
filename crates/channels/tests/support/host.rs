//! The host over plain vectors.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use async_trait::async_trait;
use interline_connector::channel::{
    ChannelApp, HeardAs, Hint, HistoryPage, Host, Line, Mark, Page, Phase, Place, Said, Unavailable, What,
};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::Scope;
use interline_core::conversation::state::Customer;
use interline_core::{AppId, Body, ConversationId, Entry, Epoch, IntegrationName, Role, Seq, Speaker, Time};
use serde_json::{Value, json};
use tokio::sync::{Notify, broadcast};
use url::Url;

use super::{APP_A, APP_B, credential};

pub struct FakeHost {
    pub files: super::files::MemoryFiles,
    pub apps: BTreeMap<AppId, Arc<ChannelApp>>,
    pub url: Url,
    /// Added to the clock, milliseconds.
    pub later: AtomicI64,
    /// The store is out of reach.
    pub down: AtomicBool,
    pub stop: Notify,
    world: Mutex<Inner>,
}

#[derive(Default)]
pub struct Inner {
    sealed: HashMap<String, (String, String)>,
    used: HashMap<String, i64>,
    people: HashMap<String, Person>,
    conversations: u32,
    pub marks: Vec<(String, u64, Mark)>,
    pub typing: Vec<bool>,
    pub ends: Vec<Scope>,
    pub said: Vec<String>,
    /// Whom the customers talk to. None: the bot, in an open conversation.
    pub phase: Option<Phase>,
}

struct Person {
    log: Vec<Line>,
    open: Option<ConversationId>,
    delivered: usize,
    heard: BTreeSet<String>,
    hints: broadcast::Sender<Hint>,
}

impl Default for Person {
    fn default() -> Self {
        let (hints, _) = broadcast::channel(16);
        Self { log: Vec::new(), open: None, delivered: 0, heard: BTreeSet::new(), hints }
    }
}

impl Person {
    fn push(&mut self, by: Speaker, body: Body, now: i64) {
        let conversation = self.open.clone().expect("an open conversation");
        let seq = self
            .log
            .iter()
            .rev()
            .find(|line| line.conversation == conversation)
            .map_or(1, |line| line.entry.seq.0 + 1);
        let entry = Entry {
            seq: Seq(seq),
            at: Time(now),
            by,
            to: Role::Customer,
            epoch: Epoch(1),
            transfer: None,
            release_of: None,
            body,
        };
        self.log.push(Line { conversation, entry });
        let _ = self.hints.send(Hint::Entries);
    }

    fn index(&self, conversation: &ConversationId, seq: Seq) -> Option<usize> {
        self.log.iter().position(|line| line.conversation == *conversation && line.entry.seq == seq)
    }

    fn place(&self, index: usize) -> Place {
        match index.checked_sub(1).and_then(|last| self.log.get(last)) {
            Some(line) => Place { conversation: Some(line.conversation.clone()), seq: line.entry.seq },
            None => Place::default(),
        }
    }
}

impl FakeHost {
    pub fn new(base: &str, extra: Value) -> Self {
        let app = |id: &str, client_id: &str, extra: Value| {
            let mut settings = json!({ "credentials": ["web"] });
            if let Value::Object(extra) = extra {
                settings.as_object_mut().expect("settings").extend(extra);
            }
            assert_eq!(interline_channels::web::check(&settings), Ok(()));
            let credentials = BTreeMap::from([
                ("web".to_owned(), credential(client_id)),
                ("botkit".to_owned(), credential("cs-botkit-only")),
            ]);
            let channels = BTreeMap::from([("site".into(), ("web".to_owned(), settings))]);
            let app = ChannelApp { id: id.into(), name: "Bot".into(), credentials, channels };
            (AppId::from(id), Arc::new(app))
        };
        Self {
            files: super::files::MemoryFiles::default(),
            apps: BTreeMap::from([app(APP_A, "cs-a", extra), app(APP_B, "cs-b", json!({}))]),
            url: base.parse().expect("a url"),
            later: AtomicI64::new(0),
            down: AtomicBool::new(false),
            stop: Notify::new(),
            world: Mutex::default(),
        }
    }

    pub fn inner(&self) -> MutexGuard<'_, Inner> {
        self.world.lock().expect("not poisoned")
    }

    pub fn seconds(&self) -> f64 {
        self.now_ms() as f64 / 1000.0
    }

    /// Something is said to, or happens for, a user.
    pub fn push(&self, user: &str, by: Speaker, body: Body) {
        let now = self.now_ms();
        self.inner().people.get_mut(user).expect("a known user").push(by, body, now);
    }

    /// A conversation is open, and nothing was said in it.
    pub fn open_in_silence(&self, user: &str) {
        let now = self.now_ms();
        let mut inner = self.inner();
        let person = inner.people.get_mut(user).expect("a known user");
        person.open = Some("cnv_silent".into());
        person.push(Speaker::System, Body::Opened, now);
    }

    pub fn bot(&self, user: &str, text: &str) {
        self.push(user, Speaker::Bot, Body::Text(Text::plain(text)));
    }

    pub fn agent(&self, user: &str, text: &str) {
        self.push(user, Speaker::Agent { name: Some("Ann B".into()) }, Body::Text(Text::plain(text)));
    }

    /// The customers talk to somebody else now.
    pub fn enter(&self, user: &str, phase: Phase) {
        self.inner().phase = Some(phase);
        self.hint(user, Hint::Entries);
    }

    pub fn hint(&self, user: &str, hint: Hint) {
        let _ = self.inner().people[user].hints.send(hint);
    }

    pub fn log(&self, user: &str) -> Vec<Line> {
        self.inner().people.get(user).map(|person| person.log.clone()).unwrap_or_default()
    }

    pub fn watchers(&self, user: &str) -> usize {
        self.inner().people.get(user).map_or(0, |person| person.hints.receiver_count())
    }

    /// What the customer said, in the order of the log.
    pub fn said(&self, user: &str) -> Vec<String> {
        let log = self.log(user);
        let own = log.iter().filter(|line| line.entry.by == Speaker::Customer);
        own.filter_map(|line| Some(line.entry.text()?.text.clone())).collect()
    }

    /// How far the user's delivered mark is, in lines.
    pub fn delivered(&self, user: &str) -> usize {
        self.inner().people[user].delivered
    }

    fn reachable(&self) -> Result<(), Unavailable> {
        if self.down.load(Ordering::Relaxed) {
            Err(Unavailable("the store is out of reach".into()))
        } else {
            Ok(())
        }
    }
}

#[async_trait]
impl Host for FakeHost {
    fn app(&self, app: &AppId) -> Option<Arc<ChannelApp>> {
        self.apps.get(app).cloned()
    }

    fn files(&self) -> &dyn interline_connector::Files {
        &self.files
    }

    fn public_url(&self) -> &Url {
        &self.url
    }

    fn now_ms(&self) -> i64 {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).expect("after 1970");
        now.as_millis() as i64 + self.later.load(Ordering::Relaxed)
    }

    fn seal(&self, purpose: &str, plain: &str) -> String {
        let mut inner = self.inner();
        let token = format!("sealed-{}", inner.sealed.len());
        inner.sealed.insert(token.clone(), (purpose.to_owned(), plain.to_owned()));
        token
    }

    fn unseal(&self, purpose: &str, token: &str) -> Option<String> {
        let inner = self.inner();
        let (sealed_for, plain) = inner.sealed.get(token)?;
        (sealed_for == purpose).then(|| plain.clone())
    }

    async fn first_use(
        &self,
        app: &AppId,
        purpose: &str,
        key: &str,
        ttl_ms: i64,
    ) -> Result<Option<i64>, Unavailable> {
        self.reachable()?;
        assert!(ttl_ms > 0);
        let now = self.now_ms();
        let mut inner = self.inner();
        let key = format!("{app}/{purpose}/{key}");
        let first = inner.used.get(&key).copied();
        inner.used.entry(key).or_insert(now);
        Ok(first)
    }

    async fn customer(
        &self,
        _: &AppId,
        channel: &IntegrationName,
        address: &str,
    ) -> Result<Customer, Unavailable> {
        self.reachable()?;
        self.inner().people.entry(address.to_owned()).or_default();
        Ok(Customer {
            id: format!("cus_{address}").as_str().into(),
            channel: channel.clone(),
            address: address.to_owned(),
            profile: Default::default(),
            connection: Default::default(),
        })
    }

    async fn hear(&self, _: &AppId, customer: &Customer, said: Said) -> Result<HeardAs, Unavailable> {
        self.reachable()?;
        let now = self.now_ms();
        let mut guard = self.inner();
        let inner = &mut *guard;
        let person = inner.people.get_mut(&customer.address).expect("a known user");
        if said.external_id.is_some_and(|id| !person.heard.insert(id)) {
            return Ok(HeardAs::Again);
        }
        let fresh = person.open.is_none() && !matches!(said.what, What::Ends(_));
        if fresh {
            inner.conversations += 1;
            person.open = Some(format!("cnv_{}", inner.conversations).as_str().into());
            person.push(Speaker::System, Body::Opened, now);
        }
        match said.what {
            What::Connected if fresh => {
                person.push(Speaker::Bot, Body::Text(Text::plain("welcome")), now);
            }
            What::Connected | What::NoInput => return Ok(HeardAs::Nothing),
            What::Text(text) => {
                inner.said.push(text.text.clone());
                person.push(Speaker::Customer, Body::Text(text), now);
            }
            What::Ends(scope) => {
                inner.ends.push(scope);
                if person.open.is_none() {
                    return Ok(HeardAs::Nothing);
                }
                match scope {
                    Scope::AgentChat => person.push(Speaker::System, Body::AgentLeft, now),
                    Scope::Conversation => {
                        person.push(Speaker::System, Body::Closed, now);
                        person.open = None;
                    }
                }
            }
        }
        Ok(HeardAs::New)
    }

    async fn read(
        &self,
        _: &AppId,
        customer: &Customer,
        place: &mut Place,
        limit: usize,
    ) -> Result<Vec<Line>, Unavailable> {
        self.reachable()?;
        let inner = self.inner();
        let person = &inner.people[&customer.address];
        let from = match &place.conversation {
            None => 0,
            Some(conversation) => match person.index(conversation, place.seq) {
                Some(index) => index + 1,
                None => return Ok(Vec::new()),
            },
        };
        let lines: Vec<Line> = person.log.iter().skip(from).take(limit).cloned().collect();
        *place = person.place(from + lines.len());
        Ok(lines)
    }

    async fn place(&self, _: &AppId, customer: &Customer, undelivered: bool) -> Result<Place, Unavailable> {
        self.reachable()?;
        let inner = self.inner();
        let person = &inner.people[&customer.address];
        Ok(person.place(if undelivered { person.delivered } else { person.log.len() }))
    }

    async fn history(&self, _: &AppId, customer: &Customer, page: Page) -> Result<HistoryPage, Unavailable> {
        self.reachable()?;
        let inner = self.inner();
        let person = &inner.people[&customer.address];
        let end = match &page.before {
            None => person.log.len(),
            Some((conversation, seq)) => match person.index(conversation, *seq) {
                Some(index) => index,
                None => return Ok(HistoryPage { lines: Vec::new(), total: 0, more: false }),
            },
        };
        let texts: Vec<Line> =
            person.log[..end].iter().filter(|line| line.entry.text().is_some()).cloned().collect();
        let end = texts.len().saturating_sub(page.skip);
        let start = end.saturating_sub(page.limit);
        Ok(HistoryPage { lines: texts[start..end].to_vec(), total: texts.len(), more: start > 0 })
    }

    fn watch(&self, _: &AppId, customer: &Customer) -> broadcast::Receiver<Hint> {
        self.inner().people[&customer.address].hints.subscribe()
    }

    fn mark(&self, _: &AppId, customer: &Customer, conversation: &ConversationId, seq: Seq, mark: Mark) {
        let mut inner = self.inner();
        inner.marks.push((conversation.to_string(), seq.0, mark));
        let person = inner.people.get_mut(&customer.address).expect("a known user");
        if let Some(index) = person.index(conversation, seq) {
            person.delivered = person.delivered.max(index + 1);
        }
    }

    fn typing(&self, _: &AppId, _: &Customer, on: bool) {
        self.inner().typing.push(on);
    }

    async fn phase(&self, _: &AppId, customer: &Customer) -> Result<Phase, Unavailable> {
        self.reachable()?;
        let inner = self.inner();
        let open = inner.people.get(&customer.address).is_some_and(|person| person.open.is_some());
        Ok(match &inner.phase {
            _ if !open => Phase::Closed,
            Some(phase) => phase.clone(),
            None => Phase::Bot,
        })
    }

    async fn stopping(&self) {
        self.stop.notified().await;
    }
}
