//! A host that steps conversations with the real domain, and keeps everything in memory.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use interline_connector::channel::{
    ChannelApp, HeardAs, Hint, HistoryPage, Host, Line, Mark, Page, Phase, Place, Said, Unavailable, What,
};
use interline_connector::{Algorithm, Credential, Files};
use interline_core::conversation::input::{AgentEvent, DeliveryResult};
use interline_core::conversation::state::Customer;
use interline_core::flow::{Flow, Flows};
use interline_core::{
    App, AppId, Body, ConversationId, Input, IntegrationName, Owner, Seq, State, Time, step,
};
use serde_json::{Value, json};
use tokio::sync::broadcast;
use url::Url;

pub const APP: &str = "st-aaaaaaaa-0000-5000-8000-000000000001";

/// What the agent system does with a conversation.
#[derive(Clone, Copy, PartialEq)]
pub enum Agents {
    /// Hands it off, as one that gives calls back does.
    HandOff,
    /// Accepts, and says nothing by itself.
    Accept,
}

pub struct FlowHost {
    app: App,
    channel_app: Arc<ChannelApp>,
    agents: Agents,
    url: Url,
    /// The clock, milliseconds since 1970.
    pub clock: AtomicI64,
    people: Mutex<HashMap<String, Person>>,
    sealed: Mutex<HashMap<String, (String, String)>>,
    used: Mutex<BTreeSet<String>>,
}

struct Person {
    customer: Customer,
    state: Option<State>,
    conversations: usize,
    log: Vec<Line>,
    delivered: usize,
    heard: BTreeSet<String>,
    hints: broadcast::Sender<Hint>,
}

pub fn credential(name: &str) -> Credential {
    Credential {
        client_id: format!("cs-{name}"),
        client_secret: format!("the secret of {name}, quite long indeed").into(),
        algorithm: Algorithm::HS256,
    }
}

impl FlowHost {
    /// A bot with this flow as `main`, and one channel of type `kind` whose settings have `extra`.
    pub fn new(kind: &str, extra: Value, flow: Value, agents: Agents) -> Self {
        let flow: Flow = serde_json::from_value(flow).expect("a flow");
        let mut settings = json!({ "credentials": ["caller"] });
        settings.as_object_mut().unwrap().extend(extra.as_object().cloned().unwrap_or_default());
        let channel = interline_channels::find(kind).expect("a channel");
        assert_eq!((channel.check)(&settings), Ok(()));
        let app = App {
            id: APP.into(),
            agents: BTreeMap::from([("desk".into(), Default::default())]),
            default_agent: Some("desk".into()),
            flows: Flows::of(flow),
            ..App::default()
        };
        let credentials = ["caller", "stranger"].map(|name| (name.to_owned(), credential(name)));
        let channel_app = ChannelApp {
            id: APP.into(),
            name: "Bot".into(),
            credentials: credentials.into(),
            channels: BTreeMap::from([("line".into(), (kind.to_owned(), settings))]),
        };
        Self {
            app,
            channel_app: Arc::new(channel_app),
            agents,
            url: "http://127.0.0.1".parse().unwrap(),
            clock: AtomicI64::new(1_795_977_296_789),
            people: Mutex::default(),
            sealed: Mutex::default(),
            used: Mutex::default(),
        }
    }

    /// The agent's side does something.
    pub fn agent(&self, address: &str, event: AgentEvent) {
        let mut people = self.people.lock().unwrap();
        let person = people.get_mut(address).expect("a known customer");
        let transfer = person.state.as_ref().and_then(|state| state.transfer.as_ref()).expect("a transfer");
        let participant = transfer.rung.as_ref().expect("a rung").participant;
        self.step(person, &Input::Agent { participant, event });
    }

    /// What the customer said, in order.
    pub fn said(&self, address: &str) -> Vec<String> {
        let people = self.people.lock().unwrap();
        let own =
            people[address].log.iter().filter(|line| line.entry.by == interline_core::Speaker::Customer);
        own.map(|line| line.entry.text().unwrap().text.clone()).collect()
    }

    pub fn state(&self, address: &str) -> State {
        self.people.lock().unwrap()[address].state.clone().expect("a conversation")
    }

    fn step(&self, person: &mut Person, input: &Input) {
        let Some(state) = &person.state else { return };
        let now = Time(self.now_ms());
        let stepped = step(&self.app, state, input, now, 1);
        let conversation = stepped.state.id.clone();
        let opens = stepped.entries.iter().find(|entry| entry.body == Body::Open).map(|entry| entry.seq);
        let agent = stepped
            .participants
            .iter()
            .find(|known| known.role == interline_core::Role::Agent)
            .map(|known| known.no);
        person.state = Some(stepped.state);
        let seen = stepped.entries.into_iter().filter(interline_core::Entry::customer_sees);
        person.log.extend(seen.map(|entry| Line { conversation: conversation.clone(), entry }));
        let _ = person.hints.send(Hint::Entries);
        if let (Some(seq), Some(participant)) = (opens, agent) {
            self.step(person, &Input::Delivery { participant, seq, result: DeliveryResult::Accepted });
            if self.agents == Agents::HandOff {
                self.step(person, &Input::Agent { participant, event: AgentEvent::HandedOff });
            }
        }
    }
}

impl Person {
    fn at(&self, index: usize) -> Place {
        match index.checked_sub(1).and_then(|last| self.log.get(last)) {
            Some(line) => Place { conversation: Some(line.conversation.clone()), seq: line.entry.seq },
            None => Place::default(),
        }
    }

    fn behind(&self, place: &Place) -> usize {
        let Some(conversation) = &place.conversation else { return 0 };
        let known = |line: &Line| line.conversation == *conversation;
        let Some(first) = self.log.iter().position(known) else { return self.log.len() };
        first + self.log.iter().filter(|line| known(line) && line.entry.seq <= place.seq).count()
    }
}

#[async_trait]
impl Host for FlowHost {
    fn app(&self, app: &AppId) -> Option<Arc<ChannelApp>> {
        (*app == self.channel_app.id).then(|| self.channel_app.clone())
    }

    fn public_url(&self) -> &Url {
        &self.url
    }

    fn now_ms(&self) -> i64 {
        self.clock.load(Ordering::Relaxed)
    }

    fn seal(&self, purpose: &str, plain: &str) -> String {
        let mut sealed = self.sealed.lock().unwrap();
        let token = format!("sealed-{}", sealed.len());
        sealed.insert(token.clone(), (purpose.into(), plain.into()));
        token
    }

    fn unseal(&self, purpose: &str, token: &str) -> Option<String> {
        let sealed = self.sealed.lock().unwrap();
        let (sealed_for, plain) = sealed.get(token)?;
        (sealed_for == purpose).then(|| plain.clone())
    }

    async fn first_use(
        &self,
        app: &AppId,
        purpose: &str,
        key: &str,
        _: i64,
    ) -> Result<Option<i64>, Unavailable> {
        let fresh = self.used.lock().unwrap().insert(format!("{app}/{purpose}/{key}"));
        Ok((!fresh).then_some(0))
    }

    async fn customer(
        &self,
        _: &AppId,
        channel: &IntegrationName,
        address: &str,
    ) -> Result<Customer, Unavailable> {
        let customer = Customer {
            id: format!("cus_{address}").as_str().into(),
            channel: channel.clone(),
            address: address.to_owned(),
            profile: Default::default(),
            connection: Default::default(),
        };
        let mut people = self.people.lock().unwrap();
        people.entry(address.to_owned()).or_insert_with(|| Person {
            customer: customer.clone(),
            state: None,
            conversations: 0,
            log: Vec::new(),
            delivered: 0,
            heard: BTreeSet::new(),
            hints: broadcast::channel(16).0,
        });
        Ok(customer)
    }

    async fn hear(&self, app: &AppId, customer: &Customer, said: Said) -> Result<HeardAs, Unavailable> {
        let mut people = self.people.lock().unwrap();
        let person = people.get_mut(&customer.address).expect("a known customer");
        if said.external_id.is_some_and(|id| !person.heard.insert(id)) {
            return Ok(HeardAs::Again);
        }
        let open = person.state.as_ref().is_some_and(|state| state.owner != Owner::Closed);
        let input = match said.what {
            What::Connected if open => return Ok(HeardAs::Nothing),
            What::Ends(_) if !open => return Ok(HeardAs::Nothing),
            What::Connected => Input::Connected,
            What::Text(text) => Input::CustomerSaid(text),
            What::NoInput => Input::NoInput,
            What::Ends(scope) => Input::CustomerEnds(scope),
        };
        if !open {
            person.conversations += 1;
            person.customer = customer.clone();
            let id: ConversationId =
                format!("cnv_{}_{}", customer.address, person.conversations).as_str().into();
            person.state = Some(State::new(app.clone(), id, customer.clone()));
        }
        self.step(person, &input);
        Ok(HeardAs::New)
    }

    async fn read(
        &self,
        _: &AppId,
        customer: &Customer,
        place: &mut Place,
        limit: usize,
    ) -> Result<Vec<Line>, Unavailable> {
        let people = self.people.lock().unwrap();
        let person = &people[&customer.address];
        let from = person.behind(place);
        let lines: Vec<Line> = person.log.iter().skip(from).take(limit).cloned().collect();
        if !lines.is_empty() {
            *place = person.at(from + lines.len());
        }
        Ok(lines)
    }

    async fn place(&self, _: &AppId, customer: &Customer, undelivered: bool) -> Result<Place, Unavailable> {
        let people = self.people.lock().unwrap();
        let person = &people[&customer.address];
        Ok(person.at(if undelivered { person.delivered } else { person.log.len() }))
    }

    async fn phase(&self, _: &AppId, _: &Customer) -> Result<Phase, Unavailable> {
        Ok(Phase::Bot)
    }

    async fn history(&self, _: &AppId, _: &Customer, _: Page) -> Result<HistoryPage, Unavailable> {
        Ok(HistoryPage { lines: Vec::new(), total: 0, more: false })
    }

    fn watch(&self, _: &AppId, customer: &Customer) -> broadcast::Receiver<Hint> {
        self.people.lock().unwrap()[&customer.address].hints.subscribe()
    }

    fn mark(&self, _: &AppId, customer: &Customer, conversation: &ConversationId, seq: Seq, _: Mark) {
        let mut people = self.people.lock().unwrap();
        let person = people.get_mut(&customer.address).expect("a known customer");
        let place = Place { conversation: Some(conversation.clone()), seq };
        person.delivered = person.delivered.max(person.behind(&place));
    }

    fn typing(&self, _: &AppId, _: &Customer, _: bool) {}

    fn files(&self) -> &dyn Files {
        unreachable!("these channels take no files")
    }

    async fn stopping(&self) {
        std::future::pending().await
    }
}

/// Serves one channel of the host on a loopback port. Returns where.
pub async fn serve(host: &Arc<FlowHost>, kind: &str) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let base = format!("http://{}", listener.local_addr().unwrap());
    let router = (interline_channels::find(kind).unwrap().router)(Arc::clone(host) as _);
    tokio::spawn(async move { axum::serve(listener, router).await });
    base
}
