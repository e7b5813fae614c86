//! A sample conversation, brought to a certain place by the inputs that lead there.

use crate::app::{AgentSystem, App, HoldPolicy};
use crate::conversation::classify::Call;
use crate::conversation::entry::Text;
use crate::conversation::input::{AgentEvent, DeliveryResult, OperatorAct, Scope};
use crate::conversation::request_id::{RequestId, RequestKind};
use crate::conversation::state::Customer;
use crate::flow::{AgentTransfer, Flow, Flows, Message, Node, Words};
use crate::transfer::{Stage, Target};
use crate::{Entry, Epoch, Input, IntegrationName, ParticipantNo, Seq, State, Step, Time, step};

/// The BotKit that intercepts, where one does.
pub(super) const KIT: &str = "kit";
/// Another agent system.
pub(super) const DESK: &str = "desk";

/// Where a conversation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// With the bot, no transfer.
    Bot,
    /// In a stage of a transfer.
    In(Stage),
    /// Over.
    Closed,
}

impl Place {
    pub(super) const ALL: [Place; 7] = [
        Self::Bot,
        Self::In(Stage::Requested),
        Self::In(Stage::Opening),
        Self::In(Stage::Waiting),
        Self::In(Stage::Talking),
        Self::In(Stage::Closing),
        Self::Closed,
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Bot => "Bot",
            Self::In(Stage::Requested) => "Requested",
            Self::In(Stage::Opening) => "Opening",
            Self::In(Stage::Waiting) => "Waiting",
            Self::In(Stage::Talking) => "Talking",
            Self::In(Stage::Closing) => "Closing",
            Self::Closed => "Closed",
        }
    }
}

/// What the sample app is like.
#[derive(Debug, Clone)]
pub(super) struct Cast {
    /// The agent system that the bot hands over to.
    pub(super) agent: &'static str,
    /// Whether it tells that an agent joined.
    pub(super) tells_joined: bool,
    /// How long it is listened to after its end, milliseconds.
    pub(super) drain_ms: u64,
    /// Whether there is an interceptor.
    pub(super) intercepted: bool,
    /// Whether there is another agent system to try.
    pub(super) fallback: bool,
}

/// A conversation under way.
#[derive(Debug, Clone)]
pub(super) struct Scene {
    app: App,
    pub(super) state: State,
    pub(super) log: Vec<Entry>,
    pub(super) now: Time,
}

impl Scene {
    /// A conversation of `cast` at `place`; none when it never stands there.
    pub(super) fn at(place: Place, cast: &Cast) -> Option<Self> {
        let app = app(cast);
        let customer = Customer {
            id: "cus_1".into(),
            channel: "web".into(),
            address: "ann".into(),
            profile: Default::default(),
            connection: Default::default(),
        };
        let state = State::new(app.id.clone(), "cnv_1".into(), customer);
        let mut scene = Self { app, state, log: Vec::new(), now: Time(0) };
        scene.does(&Input::Connected);
        scene.nothing_is_held();
        match place {
            Place::Bot => {}
            Place::Closed => drop(scene.does(&Input::CustomerEnds(Scope::Conversation))),
            Place::In(stage) => scene.transfer_until(stage),
        }
        (scene.place() == place).then_some(scene)
    }

    /// Two lines are held: an answer of the bot, and a line of the customer after it.
    pub(super) fn holding(cast: &Cast) -> Option<Self> {
        let mut scene = Self::at(Place::Bot, cast)?;
        scene.does(&said("hi"));
        scene.wakes();
        scene.does(&said("hello"));
        Some(scene)
    }

    /// The agent's side begins by itself.
    pub(super) fn taken_over_by(mut self, integration: &str) -> Self {
        let id = self.id(RequestKind::CustomerLine, Epoch(1), Seq(1));
        self.does(&Input::Callback { integration: integration.into(), id, call: Call::StartAgentSession });
        self
    }

    fn transfer_until(&mut self, stage: Stage) {
        self.does(&said("agent"));
        // The interceptor is silent: the customer's line passes, the bot says one thing and hands over.
        if self.state.transfer.is_none() {
            self.wakes();
        }
        if stage == Stage::Requested {
            return;
        }
        self.nothing_is_held();
        if stage == Stage::Opening {
            return;
        }
        self.does(&self.delivery(DeliveryResult::Accepted));
        if stage == Stage::Waiting {
            return;
        }
        self.does(&self.agent(AgentEvent::Joined { name: None }));
        if stage == Stage::Closing {
            self.does(&self.agent(AgentEvent::Ended { tag: None }));
        }
    }

    pub(super) fn does(&mut self, input: &Input) -> Step {
        let step = step(&self.app, &self.state, input, self.now, 0);
        self.state = step.state.clone();
        self.log.extend(step.entries.iter().cloned());
        step
    }

    /// Time passes until the next deadline.
    pub(super) fn wakes(&mut self) -> Step {
        self.now = self.state.wake_at().unwrap_or(self.now);
        self.does(&Input::Tick)
    }

    fn nothing_is_held(&mut self) {
        // Bounded: each deadline that passes decides a line.
        for _ in 0..8 {
            if !self.state.held.is_empty() {
                self.wakes();
            }
        }
    }

    fn place(&self) -> Place {
        match (self.state.owner, &self.state.transfer) {
            (crate::Owner::Closed, _) => Place::Closed,
            (crate::Owner::Bot, _) | (crate::Owner::Agent, None) => Place::Bot,
            (crate::Owner::Agent, Some(transfer)) => Place::In(transfer.stage),
        }
    }

    // ── inputs that name somebody ────────────────────────────────────────────────────────────────────────────────

    /// The participant that plays the agent now; a number that nobody has when there is none.
    pub(super) fn agent_no(&self) -> ParticipantNo {
        let rung = self.state.transfer.as_ref().and_then(|transfer| transfer.rung.as_ref());
        rung.map_or(ParticipantNo(99), |rung| rung.participant)
    }

    pub(super) fn agent(&self, event: AgentEvent) -> Input {
        Input::Agent { participant: self.agent_no(), event }
    }

    /// The live transfer's Open.
    pub(super) fn open(&self) -> Seq {
        self.state.transfer.as_ref().map_or(Seq(0), |transfer| transfer.first)
    }

    /// A result of the live transfer's Open.
    pub(super) fn delivery(&self, result: DeliveryResult) -> Input {
        Input::Delivery { participant: self.agent_no(), seq: self.open(), result }
    }

    /// A request id that this conversation gave out.
    pub(super) fn id(&self, kind: RequestKind, epoch: Epoch, seq: Seq) -> RequestId {
        let interceptor = self.state.participants.iter().find(|participant| participant.is_interceptor());
        let participant = match kind {
            RequestKind::CustomerLine | RequestKind::BotLine => interceptor.map(|participant| participant.no),
            RequestKind::Transfer | RequestKind::AgentMode => Some(self.agent_no()),
        };
        let participant = participant.unwrap_or(ParticipantNo(99));
        RequestId { conversation: self.state.id.clone(), participant, epoch, seq, kind }
    }
}

/// The customer says something.
pub(super) fn said(text: &str) -> Input {
    Input::CustomerSaid(Text::plain(text))
}

/// An operator does something.
pub(super) fn operator(act: OperatorAct) -> Input {
    Input::Operator { by: "ann".into(), act }
}

fn app(cast: &Cast) -> App {
    let to = |name: &str| Target { integration: name.into(), queue: None };
    let own =
        AgentSystem { tells_joined: cast.tells_joined, drain_ms: cast.drain_ms, ..AgentSystem::default() };
    let plain = AgentSystem { tells_joined: true, ..AgentSystem::default() };
    let (kit, desk) = if cast.agent == KIT { (own, plain.clone()) } else { (plain.clone(), own) };
    let intercepts = cast.intercepted.then_some(HoldPolicy::Pass);
    let systems = [(KIT, AgentSystem { intercepts, ..kit }), (DESK, desk), ("spare", plain)];
    let human = AgentTransfer {
        message: Some("One moment".into()),
        target: Some(to(cast.agent)),
        fallback: if cast.fallback { vec![to("spare")] } else { Vec::new() },
        ..AgentTransfer::default()
    };
    let says = |text: &str| Node::Message(Message::new(text, None));
    App {
        id: "st-sample".into(),
        agents: systems.into_iter().map(|(name, system)| (IntegrationName::from(name), system)).collect(),
        flows: Flows::of(Flow {
            start: "hello".into(),
            words: vec![Words { any: vec!["agent".into()], go_to: "human".into() }],
            otherwise: Some("echo".into()),
            nodes: [
                ("hello".into(), says("Hello")),
                ("echo".into(), says("You said {{text}}")),
                ("human".into(), Node::AgentTransfer(Box::new(human))),
            ]
            .into(),
            ..Flow::default()
        }),
        ..App::default()
    }
}
