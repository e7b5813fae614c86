//! The engine, as far as `step` can tell: an inbox that knows its keys, participants with cursors, a clock.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use interline_core::conversation::input::{DeliveryResult, OperatorAct};
use interline_core::conversation::request_id::{RequestId, RequestKind};
use interline_core::conversation::state::Customer;
use interline_core::transfer::{Outcome, Stage};
use interline_core::{
    App, Body, Entry, Epoch, Input, Owner, Participant, ParticipantNo, Role, Seq, Speaker, State, Step, Time,
    TransferNo, step,
};

use super::app::CHANNEL;
use super::story::{Does, How, Story, Twist, What};

/// One step, with all that went into it.
#[derive(Debug, Clone)]
pub struct Moment {
    /// As it was in force then.
    pub app: Arc<App>,
    pub before: State,
    pub input: Input,
    pub now: Time,
    pub seed: u64,
    pub step: Step,
}

/// A participant and how far it was heard.
#[derive(Debug, Clone)]
pub struct Hearer {
    pub participant: Participant,
    pub cursor: Seq,
    pub heard: Vec<Entry>,
    /// What it was told and refused.
    pub refused: Vec<Seq>,
    /// Its session is gone, or a delivery stalled for good.
    pub dead: bool,
}

#[derive(Debug, Clone)]
pub struct World {
    pub app: Arc<App>,
    pub state: State,
    pub log: Vec<Entry>,
    pub hearers: BTreeMap<ParticipantNo, Hearer>,
    pub history: Vec<Moment>,
    pub now: Time,
    pub ids: Vec<RequestId>,
    inbox: BTreeSet<String>,
    pending: Vec<(usize, String, Input)>,
    keys: u64,
}

pub fn new_state(app: &App) -> State {
    let customer = Customer {
        id: "cus_1".into(),
        channel: CHANNEL.into(),
        address: "ann".into(),
        profile: Default::default(),
        connection: Default::default(),
    };
    State::new(app.id.clone(), "cnv_1".into(), customer)
}

impl World {
    pub fn new(app: impl Into<Arc<App>>) -> Self {
        let app = app.into();
        let state = new_state(&app);
        Self {
            app,
            state,
            log: Vec::new(),
            hearers: BTreeMap::new(),
            history: Vec::new(),
            now: Time(1_000_000),
            ids: Vec::new(),
            inbox: BTreeSet::new(),
            pending: Vec::new(),
            keys: 0,
        }
    }

    /// The whole story, up to its last happening and the last late news of it.
    pub fn play(story: &Story) -> Self {
        let mut world = Self::new(story.app.clone());
        let mut at = 0;
        for happening in &story.happenings {
            at += 1;
            world.learn_until(at);
            if let Some((key, input)) = world.happen(&happening.what) {
                let due = at + happening.delay;
                world.pending.push((due, key.clone(), input.clone()));
                if let Some(again) = happening.again {
                    world.pending.push((due + again, key, input));
                }
            }
            world.learn_until(at);
        }
        world.learn_until(usize::MAX);
        world
    }

    /// The story, then silence until nothing waits for time any more, then everything that is left is delivered.
    pub fn play_to_the_end(story: &Story) -> Self {
        let mut world = Self::play(story);
        world.silence();
        world.deliver_all();
        world.learn_until(usize::MAX);
        world.silence();
        world.deliver_all();
        world
    }

    fn learn_until(&mut self, at: usize) {
        loop {
            let next = self.pending.iter().enumerate().filter(|(_, (due, ..))| *due <= at);
            let Some(next) = next.min_by_key(|(order, (due, ..))| (*due, *order)).map(|(order, _)| order)
            else {
                return;
            };
            let (_, key, input) = self.pending.remove(next);
            self.receive(&key, input);
        }
    }

    /// An input arrives. One whose key is known changes nothing.
    pub fn receive(&mut self, key: &str, input: Input) {
        if self.inbox.insert(key.to_owned()) {
            self.step(input);
        }
    }

    pub fn step(&mut self, input: Input) -> &Moment {
        let seed = self.history.len() as u64;
        let before = self.state.clone();
        let step = step(&self.app, &before, &input, self.now, seed);
        self.state = step.state.clone();
        self.log.extend(step.entries.iter().cloned());
        for participant in &step.participants {
            let hearer = self.hearers.entry(participant.no).or_insert_with(|| Hearer {
                participant: participant.clone(),
                cursor: Seq(participant.from.0.saturating_sub(1)),
                heard: Vec::new(),
                refused: Vec::new(),
                dead: false,
            });
            hearer.participant = participant.clone();
        }
        self.history.push(Moment { app: self.app.clone(), before, input, now: self.now, seed, step });
        &self.history[self.history.len() - 1]
    }

    /// Nobody says or does anything any more; only time passes. Returns how many ticks it took.
    pub fn silence(&mut self) -> usize {
        for ticks in 0..2_000 {
            let Some(wake) = self.state.wake_at() else { return ticks };
            self.now = self.now.max(wake);
            self.step(Input::Tick);
        }
        panic!("silence does not end this transfer: {:?}", self.state);
    }

    fn key(&mut self) -> String {
        self.keys += 1;
        format!("in {}", self.keys)
    }

    fn back(&self, who: u32) -> ParticipantNo {
        ParticipantNo(self.state.participants_made.saturating_sub(who))
    }

    /// Something happens outside. What we learn of it, if we do, is an input with its key.
    fn happen(&mut self, what: &What) -> Option<(String, Input)> {
        let input = match what {
            What::DeliverAll => {
                self.deliver_all();
                return None;
            }
            What::SayOften(times, text) => {
                for _ in 0..*times {
                    self.step(Input::CustomerSaid(text.clone()));
                }
                return None;
            }
            What::Wake => {
                self.now = self.state.wake_at().map_or(self.now, |wake| wake.max(self.now));
                self.step(Input::Tick);
                return None;
            }
            What::Wait(ms) => {
                self.now = self.now.plus(*ms);
                return None;
            }
            What::Connect => Input::Connected,
            What::Say(text) => Input::CustomerSaid(text.clone()),
            What::Agent { who, event } => Input::Agent { participant: self.back(*who), event: event.clone() },
            What::Call { id, twist, call } => {
                let given = self.ids.len().checked_sub(1 + id).and_then(|at| self.ids.get(at))?;
                let id = twisted(given, twist);
                // The engine let the id pass because the participant is this integration's.
                let integration = self.hearers.get(&id.participant)?.participant.integration.clone();
                Input::Callback { integration, id, call: call.clone() }
            }
            What::Deliver { who, how } => return self.deliver(self.back(*who), how),
            What::Result { who, seq, result } => {
                Input::Delivery { participant: self.back(*who), seq: Seq(*seq), result: result.clone() }
            }
            What::Tick => Input::Tick,
            What::CustomerEnds(scope) => Input::CustomerEnds(*scope),
            What::Operator(does) => operator(self.operator(does)?),
            What::Retire(at) => {
                self.retire(*at);
                return None;
            }
        };
        Some((self.key(), input))
    }

    /// What an operator decides of a delivery moves the cursor in the same commit: there is nothing to learn later.
    fn operator(&mut self, does: &Does) -> Option<OperatorAct> {
        let act = match does {
            Does::Ends(scope) => return Some(OperatorAct::Ends(*scope)),
            Does::Retries => return Some(OperatorAct::Retries),
            Does::Says(text) => return Some(OperatorAct::Says { name: None, text: text.text.clone() }),
            Does::Skips(who, seq) => {
                return Some(OperatorAct::Skips { participant: self.back(*who), seq: Seq(*seq) });
            }
            Does::SkipsNext(who) => {
                let participant = self.back(*who);
                let seq = self.next_for(participant)?.seq;
                self.skip(participant, seq)
            }
            Does::Drops(who) => self.drop(self.back(*who))?,
        };
        let key = self.key();
        self.receive(&key, operator(act));
        None
    }

    /// An operator passes by the entry that a participant is at.
    pub fn skip(&mut self, participant: ParticipantNo, seq: Seq) -> OperatorAct {
        let hearer = self.hearers.get_mut(&participant).unwrap();
        hearer.cursor = seq;
        hearer.refused.push(seq);
        OperatorAct::Skips { participant, seq }
    }

    /// An operator gives a participant up.
    pub fn drop(&mut self, participant: ParticipantNo) -> Option<OperatorAct> {
        self.hearers.get_mut(&participant)?.dead = true;
        Some(OperatorAct::Drops { participant })
    }

    /// The agent system at this place is retired, or set up again.
    fn retire(&mut self, at: usize) {
        if let Some(system) = Arc::make_mut(&mut self.app).agents.values_mut().nth(at) {
            system.retired = !system.retired;
        }
    }

    /// Everybody hears all there is, and every agent system accepts.
    pub fn deliver_all(&mut self) {
        loop {
            let numbers: Vec<ParticipantNo> = self.hearers.keys().copied().collect();
            let mut quiet = true;
            for no in numbers {
                while self.next_for(no).is_some() {
                    quiet = false;
                    if let Some((key, input)) = self.deliver(no, &How::Fine) {
                        self.receive(&key, input);
                    }
                }
            }
            if quiet {
                return;
            }
        }
    }

    /// The next entry of a participant's cursor.
    fn next_for(&self, no: ParticipantNo) -> Option<Entry> {
        let hearer = self.hearers.get(&no).filter(|hearer| !hearer.dead)?;
        let after = usize::try_from(hearer.cursor.0).unwrap();
        let next = self.log[after.min(self.log.len())..]
            .iter()
            .find(|entry| hearer.participant.hears(entry) && self.state.still_wanted(entry))?;
        self.state.ready_for(&hearer.participant, next).then(|| next.clone())
    }

    fn deliver(&mut self, no: ParticipantNo, how: &How) -> Option<(String, Input)> {
        let entry = self.next_for(no)?;
        let hearer = self.hearers.get_mut(&no)?;
        let stays = matches!(how, How::Stalled(_));
        let arrives = matches!(how, How::Fine | How::Silent | How::Unconfirmed(_));
        if !stays {
            hearer.cursor = entry.seq;
        }
        if arrives {
            hearer.heard.push(entry.clone());
            self.ids.extend(request_id(&self.state, &hearer.participant, &entry));
        }
        if matches!(how, How::Refused(_)) {
            hearer.refused.push(entry.seq);
        }
        hearer.dead |= matches!(how, How::Gone(_));
        let result = match how {
            How::Fine if entry.body == Body::Open => DeliveryResult::Accepted,
            How::Fine | How::Silent => return None,
            How::Refused(failure) => DeliveryResult::Refused(failure.clone()),
            How::Unconfirmed(failure) => DeliveryResult::Unconfirmed(failure.clone()),
            How::Stalled(failure) => DeliveryResult::Stalled(failure.clone()),
            How::Gone(failure) => DeliveryResult::Gone(failure.clone()),
        };
        let key = if stays { format!("{no}#{} stalled", entry.seq) } else { format!("{no}#{}", entry.seq) };
        Some((key, Input::Delivery { participant: no, seq: entry.seq, result }))
    }

    // ── looking back ─────────────────────────────────────────────────────────────────────────────────────────────

    /// Who owned the conversation in each epoch, read from the log alone.
    pub fn owners(&self) -> BTreeMap<Epoch, Owner> {
        let mut owners = BTreeMap::from([(Epoch(1), Owner::Bot)]);
        for entry in &self.log {
            match &entry.body {
                Body::Open => drop(owners.insert(entry.epoch, Owner::Agent)),
                Body::ReturnPackage(_) => drop(owners.insert(entry.epoch, Owner::Bot)),
                Body::Closed => drop(owners.insert(entry.epoch, Owner::Closed)),
                _ => {}
            }
        }
        owners
    }

    /// The participants that played the agent of a transfer, first rung first.
    pub fn rungs(&self, transfer: TransferNo) -> impl Iterator<Item = &Hearer> {
        self.hearers.values().filter(move |hearer| hearer.participant.transfer == Some(transfer))
    }

    /// Whether this participant ever was the rung of a transfer in Talking.
    pub fn talked(&self, no: ParticipantNo) -> bool {
        self.history.iter().any(|moment| {
            moment.step.state.transfer.as_ref().is_some_and(|transfer| {
                matches!(transfer.stage, Stage::Talking | Stage::Closing)
                    && transfer.rung.as_ref().is_some_and(|rung| rung.participant == no)
            })
        })
    }

    pub fn transfers(&self) -> impl Iterator<Item = TransferNo> + use<> {
        (1..=self.state.transfers.0).map(TransferNo)
    }

    /// What the customer says in a transfer, for its agent.
    pub fn customer_lines(&self, transfer: TransferNo) -> impl Iterator<Item = &Entry> {
        self.log.iter().filter(move |entry| entry.transfer == Some(transfer) && entry.by == Speaker::Customer)
    }

    /// The texts that reached the customer, in order.
    pub fn customer_heard(&self) -> Vec<&str> {
        let heard = self.log.iter().filter(|entry| entry.to == Role::Customer);
        heard.filter_map(|entry| entry.text()).map(|text| text.text.as_str()).collect()
    }

    /// How the transfers ended.
    pub fn outcomes(&self) -> Vec<Outcome> {
        let outcome = |entry: &Entry| match &entry.body {
            Body::ReturnPackage(package) => Some(package.outcome.clone()),
            _ => None,
        };
        self.log.iter().filter_map(outcome).collect()
    }

    pub fn stage(&self) -> Option<Stage> {
        self.state.transfer.as_ref().map(|transfer| transfer.stage)
    }
}

/// An operator does something.
pub fn operator(act: OperatorAct) -> Input {
    Input::Operator { by: "ann".into(), act }
}

/// The id under which a BotKit is told of an entry.
pub fn request_id(state: &State, participant: &Participant, entry: &Entry) -> Option<RequestId> {
    let kind = match (&entry.body, entry.to, &entry.by) {
        (Body::Open, ..) => RequestKind::Transfer,
        (Body::Text(_), Role::Agent, _) => RequestKind::AgentMode,
        (Body::Text(_), Role::Interceptor, Speaker::Customer) => RequestKind::CustomerLine,
        (Body::Text(_), Role::Interceptor, Speaker::Bot) => RequestKind::BotLine,
        _ => return None,
    };
    let conversation = state.id.clone();
    Some(RequestId { conversation, participant: participant.no, epoch: entry.epoch, seq: entry.seq, kind })
}

fn twisted(id: &RequestId, twist: &Twist) -> RequestId {
    let mut id = id.clone();
    match twist {
        Twist::None => {}
        Twist::Epoch(epoch) => id.epoch = Epoch(*epoch),
        Twist::Seq(seq) => id.seq = Seq(*seq),
        Twist::Kind(kind) => id.kind = *kind,
        Twist::Participant(no) => id.participant = ParticipantNo(*no),
    }
    id
}
