#![allow(clippy::unwrap_used)]

use super::*;
use crate::transfer::Failure;

fn says(text: &str, next: Option<&str>) -> Node {
    Node::Message(Message { text: Variants::One(text.into()), next: next.map(Into::into) })
}

fn flow(nodes: impl IntoIterator<Item = (&'static str, Node)>) -> Flow {
    let words = |word: &str, to: &str| Words { any: vec![word.into()], go_to: to.into() };
    Flow {
        start: "hello".into(),
        words: vec![words("agent", "human"), words("real person", "human"), words("bye", "end")],
        otherwise: "echo".into(),
        returned: None,
        no_agents: None,
        out_of_hours: None,
        nodes: [
            ("hello", says("Hello", None)),
            ("echo", says("You said {{text}}", None)),
            ("sorry", says("Sorry", None)),
            ("closed", says("We open at nine", None)),
            ("human", Node::AgentTransfer(AgentTransfer::default())),
            ("end", Node::End {}),
        ]
        .into_iter()
        .chain(nodes)
        .map(|(id, node)| (id.into(), node))
        .collect(),
    }
}

fn acts(flow: &Flow, event: &Event<'_>) -> Vec<Act> {
    run(flow, "nobody there", event, 0)
}

fn say(text: &str) -> Act {
    Act::Say(text.into())
}

fn failed(flow: &Flow, reason: Reason) -> Vec<Act> {
    let outcome = Outcome::Failed(Failure::of(reason));
    acts(flow, &Event::Returned { node: Some(&"human".into()), outcome: &outcome })
}

fn human(node: AgentTransfer) -> Flow {
    flow([("human", Node::AgentTransfer(node))])
}

#[test]
fn starts_at_the_start_node() {
    assert_eq!(acts(&flow([]), &Event::Started), [say("Hello")]);
}

#[test]
fn nodes_follow_each_other_until_the_bot_waits_hands_over_or_ends() {
    let flow = flow([("hello", says("Hello", Some("there"))), ("there", says("there", Some("human")))]);
    assert_eq!(acts(&flow, &Event::Started), [say("Hello"), say("there"), Act::Transfer("human".into())]);
    assert_eq!(acts(&flow, &Event::Said("bye")), [Act::End]);
}

#[test]
fn words_are_whole_and_in_any_case() {
    let flow = flow([]);
    let hands_over = [Act::Transfer("human".into())];
    for text in ["agent", "AGENT!", "an agent, please", "a Real  Person", "real-person"] {
        assert_eq!(acts(&flow, &Event::Said(text)), hands_over, "{text}");
    }
    for text in ["agents", "reagent", "person real", ""] {
        assert_eq!(acts(&flow, &Event::Said(text)), [say(&format!("You said {text}"))], "{text}");
    }
}

#[test]
fn the_first_match_wins_and_an_empty_phrase_matches_nothing() {
    let mut flow = flow([]);
    flow.words.insert(0, Words { any: vec!["  ".into()], go_to: "sorry".into() });
    assert_eq!(acts(&flow, &Event::Said("agent bye")), [Act::Transfer("human".into())]);
}

#[test]
fn one_of_several_texts_is_picked_by_the_seed() {
    let any = |texts: &[&str]| {
        let texts = texts.iter().map(|text| (*text).to_owned()).collect();
        flow([("hello", Node::Message(Message { text: Variants::Any(texts), next: None }))])
    };
    let two = any(&["Hello", "Hi"]);
    assert_eq!(run(&two, "", &Event::Started, 0), [say("Hello")]);
    assert_eq!(run(&two, "", &Event::Started, 3), [say("Hi")]);
    assert_eq!(run(&two, "", &Event::Started, u64::MAX), [say("Hi")]);
    assert_eq!(run(&any(&[]), "", &Event::Started, 7), [say("")]);
}

#[test]
fn what_the_customer_said_is_data_and_not_a_template() {
    assert_eq!(acts(&flow([]), &Event::Said("{{text}}")), [say("You said {{text}}")]);
}

#[test]
fn a_circle_is_cut() {
    let flow = flow([("hello", says("again", Some("hello")))]);
    assert_eq!(acts(&flow, &Event::Started).len(), MAX_NODES_PER_EVENT);
}

#[test]
fn a_node_that_does_not_exist_ends_the_run() {
    let flow = flow([("hello", says("Hello", Some("nowhere")))]);
    assert_eq!(acts(&flow, &Event::Started), [say("Hello")]);
}

#[test]
fn a_transfer_node_speaks_before_it_hands_over() {
    let flow = human(AgentTransfer { message: Some("One moment".into()), ..AgentTransfer::default() });
    assert_eq!(acts(&flow, &Event::Said("agent")), [say("One moment"), Act::Transfer("human".into())]);
}

#[test]
fn after_the_human_part_the_nodes_own_path_comes_first() {
    let mut own = human(AgentTransfer { returned: Some("sorry".into()), ..AgentTransfer::default() });
    own.returned = Some("hello".into());
    let node = NodeId::from("human");
    let ended = |node| Event::Returned { node, outcome: &Outcome::AgentEnded };
    assert_eq!(acts(&own, &ended(Some(&node))), [say("Sorry")]);
    assert_eq!(acts(&own, &ended(None)), [say("Hello")], "the agent's side had begun by itself");
    own.returned = None;
    assert_eq!(acts(&own, &ended(None)), []);
}

#[test]
fn on_failure_the_node_comes_first() {
    let on_failure = OnFailure { message: Some("Later".into()), go_to: Some("end".into()) };
    let mut flow = human(AgentTransfer { on_failure, ..AgentTransfer::default() });
    flow.no_agents = Some("sorry".into());
    assert_eq!(failed(&flow, Reason::NoAgents), [say("Later"), Act::End]);
    let on_failure = OnFailure { message: None, go_to: Some("closed".into()) };
    flow.nodes.insert(
        "human".into(),
        Node::AgentTransfer(AgentTransfer { on_failure, ..AgentTransfer::default() }),
    );
    assert_eq!(failed(&flow, Reason::NoAgents), [say("We open at nine")]);
}

#[test]
fn on_failure_the_start_nodes_flow_for_the_reason_comes_next_and_the_apps_text_last() {
    let mut flow = human(AgentTransfer::default());
    flow.no_agents = Some("sorry".into());
    flow.out_of_hours = Some("closed".into());
    for reason in [Reason::NoAgents, Reason::QueueFull, Reason::QueueTimeout, Reason::Busy, Reason::NoAnswer]
    {
        assert_eq!(failed(&flow, reason), [say("Sorry")], "{reason:?}");
    }
    assert_eq!(failed(&flow, Reason::OutsideHours), [say("We open at nine")]);
    for reason in [Reason::Unreachable, Reason::Unconfigured, Reason::AgentLost, Reason::Loop] {
        assert_eq!(failed(&flow, reason), [say("nobody there")], "{reason:?}");
    }
}

#[test]
fn check_finds_nothing_in_a_sound_flow() {
    assert_eq!(flow([]).check(|_| true), []);
}

#[test]
fn check_names_every_target_that_does_not_exist() {
    let transfer = AgentTransfer {
        target: Some(Target { integration: "desk".into(), queue: None }),
        fallback: vec![Target { integration: "ghost".into(), queue: None }],
        on_failure: OnFailure { message: None, go_to: Some("x6".into()) },
        returned: Some("x5".into()),
        ..AgentTransfer::default()
    };
    let mut flow = flow([("human", Node::AgentTransfer(transfer)), ("hello", says("Hello", Some("x4")))]);
    flow.start = "x1".into();
    flow.otherwise = "x2".into();
    flow.no_agents = Some("x3".into());
    flow.words[0].go_to = "x7".into();
    let faults: Vec<String> =
        flow.check(|name| name.as_str() == "desk").iter().map(ToString::to_string).collect();
    for missing in [
        "flow.start names the node `x1`",
        "flow.otherwise names the node `x2`",
        "flow.no_agents names the node `x3`",
        "flow.nodes.hello.next names the node `x4`",
        "flow.nodes.human.agent_transfer.returned names the node `x5`",
        "flow.nodes.human.agent_transfer.on_failure.go_to names the node `x6`",
        "flow.words[0].go_to names the node `x7`",
        "flow.nodes.human.agent_transfer names the agent system `ghost`",
    ] {
        assert!(faults.iter().any(|fault| fault.starts_with(missing)), "{missing}: {faults:#?}");
    }
    assert_eq!(faults.len(), 8, "{faults:#?}");
}
