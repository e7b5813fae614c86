//! Random apps, and the few fixed ones that the example stories use.

use std::collections::BTreeMap;
use std::sync::Arc;

use interline_core::app::{AgentSystem, App, HoldPolicy};
use interline_core::flow::{
    AgentTransfer, End, Flow, Flows, Goto, MAIN, Message, Node, NodeId, OnFailure, Words,
};
use interline_core::transfer::Target;
use interline_core::transfer::deadline::Deadlines;
use proptest::prelude::*;

/// The channel of the simulated customer.
pub const CHANNEL: &str = "web";
const AGENTS: [&str; 3] = ["desk", "kit", "spare"];
const NODES: [&str; 4] = ["hello", "human", "other", "echo"];

/// Any app that an operator could have written, loops included.
pub fn any_app() -> impl Strategy<Value = App> {
    (
        prop_oneof![1 => 0..2_usize, 9 => 2..4_usize]
            .prop_flat_map(|count| prop::collection::vec(agent_system(), count)),
        prop::option::weighted(0.9, 0..AGENTS.len()),
        prop::option::weighted(0.3, 0..AGENTS.len()),
        flow(),
        deadlines(),
    )
        .prop_map(|(systems, default, mapped, flow, deadlines)| {
            let name = |at: usize| AGENTS[at].into();
            App {
                id: "st-test".into(),
                agents: AGENTS.into_iter().map(Into::into).zip(systems).collect(),
                default_agent: default.map(name),
                channel_agents: mapped.map(|at| (CHANNEL.into(), name(at))).into_iter().collect(),
                flows: Flows::of(flow),
                deadlines,
                ..App::default()
            }
        })
}

fn agent_system() -> impl Strategy<Value = AgentSystem> {
    let policy = prop_oneof![Just(HoldPolicy::Pass), Just(HoldPolicy::Drop)];
    let opening_ms = prop::option::of(1_000..40_000_u64);
    let (intercepts, retired) = (prop::option::weighted(0.3, policy), prop::bool::weighted(0.1));
    (any::<bool>(), any::<bool>(), opening_ms, intercepts, retired).prop_map(
        |(tells_joined, drains, opening_ms, intercepts, retired)| AgentSystem {
            tells_joined,
            drain_ms: if drains { 3_000 } else { 0 },
            opening_ms,
            intercepts,
            retired,
        },
    )
}

fn deadlines() -> impl Strategy<Value = Deadlines> {
    prop_oneof![
        3 => Just(Deadlines::default()),
        1 => (1..20_000_u64, 1..60_000_u64, 1..60_000_u64, 1..60_000_u64, 1..20_000_u64, 1..30_000_u64).prop_map(
            |(requested_ms, opening_ms, waiting_ms, idle_ms, closing_ms, hold_ms)| Deadlines {
                requested_ms, opening_ms, waiting_ms, idle_ms, closing_ms, hold_ms,
            }
        ),
    ]
}

fn target() -> impl Strategy<Value = Target> {
    (prop::sample::select(AGENTS.to_vec()), prop::option::of(prop::sample::select(vec!["vip", "night"])))
        .prop_map(|(integration, queue)| Target {
            integration: integration.into(),
            queue: queue.map(Into::into),
        })
}

fn node_id() -> impl Strategy<Value = NodeId> {
    prop_oneof![12 => prop::sample::select(NODES.to_vec()), 1 => Just("end")].prop_map(NodeId::from)
}

fn transfer() -> impl Strategy<Value = Node> {
    (
        prop::option::of(Just("One moment".to_owned())),
        prop::option::weighted(0.3, target()),
        prop::collection::vec(target(), 0..8),
        prop::option::of(Just("Nobody there".to_owned())),
        prop::option::of(node_id()),
        prop::option::weighted(0.3, node_id()),
    )
        .prop_map(|(message, target, fallback, said, go_to, returned)| {
            let on_failure = OnFailure { message: said.map(Into::into), go_to };
            Node::AgentTransfer(Box::new(AgentTransfer {
                message: message.map(Into::into),
                target,
                fallback,
                on_failure,
                returned,
                ..AgentTransfer::default()
            }))
        })
}

fn flow() -> impl Strategy<Value = Flow> {
    (
        prop_oneof![4 => Just(NodeId::from("hello")), 1 => node_id()],
        prop::option::of(node_id()),
        prop::option::weighted(0.3, node_id()),
        prop::option::weighted(0.3, node_id()),
        (transfer(), transfer()),
        (prop::option::weighted(0.1, node_id()), prop::option::weighted(0.15, node_id())),
    )
        .prop_map(
            |(start, returned, no_agents, out_of_hours, (human, other), (hello_next, echo_next))| Flow {
                start,
                words: vec![leads("agent", "human"), leads("other", "other"), leads("bye", "end")],
                otherwise: Some("echo".into()),
                returned,
                no_agents: no_agents.map(Goto::Node),
                out_of_hours: out_of_hours.map(Goto::Node),
                nodes: BTreeMap::from([
                    ("hello".into(), says("Hello", hello_next)),
                    ("echo".into(), says("You said {{text}}", echo_next)),
                    ("human".into(), human),
                    ("other".into(), other),
                    ("end".into(), Node::End(End::default())),
                ]),
                ..Flow::default()
            },
        )
}

pub fn leads(word: &str, to: &str) -> Words {
    Words { any: vec![word.into()], go_to: to.into() }
}

pub fn says(text: &str, next: Option<NodeId>) -> Node {
    Node::Message(Message::new(text, next))
}

pub fn to(integration: &str) -> Target {
    Target { integration: integration.into(), queue: None }
}

/// A bot that greets, echoes, hands over at "agent" to `ladder`, and ends at "bye".
pub fn simple(systems: &[(&str, AgentSystem)], ladder: &[&str]) -> App {
    let mut fallback: Vec<Target> = ladder.iter().map(|name| to(name)).collect();
    let first = (!fallback.is_empty()).then(|| fallback.remove(0));
    let human = AgentTransfer { target: first, fallback, ..AgentTransfer::default() };
    App {
        id: "st-test".into(),
        agents: systems.iter().map(|(name, system)| ((*name).into(), system.clone())).collect(),
        flows: Flows::of(Flow {
            start: "hello".into(),
            words: vec![leads("agent", "human"), leads("bye", "goodbye")],
            otherwise: Some("echo".into()),
            returned: Some("again".into()),
            nodes: BTreeMap::from([
                ("hello".into(), says("Hello", None)),
                ("again".into(), says("I am back", None)),
                ("echo".into(), says("You said {{text}}", None)),
                ("human".into(), Node::AgentTransfer(Box::new(human))),
                ("goodbye".into(), says("Goodbye", Some("end".into()))),
                ("end".into(), Node::End(End::default())),
            ]),
            ..Flow::default()
        }),
        ..App::default()
    }
}

/// The flow of an app, to be changed.
pub fn flow_of(app: &mut App) -> &mut Flow {
    Arc::make_mut(&mut app.flows).all.get_mut(&MAIN.into()).unwrap()
}

/// A system that tells when an agent joined.
pub fn desk() -> AgentSystem {
    AgentSystem { tells_joined: true, ..AgentSystem::default() }
}

/// A BotKit: no "joined", a short drain, a short Opening.
pub fn kit() -> AgentSystem {
    AgentSystem {
        tells_joined: false,
        drain_ms: 3_000,
        opening_ms: Some(15_000),
        intercepts: None,
        retired: false,
    }
}

/// A BotKit that is subscribed to messages.
pub fn watching_kit() -> AgentSystem {
    AgentSystem { intercepts: Some(HoldPolicy::Pass), ..kit() }
}
