//! Where a conversation stands, of who takes part in it. The API's answer and a queue topic's event have the same shape, so
//! both are read here, and it does not matter which came, in which order, or how often.

use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure, Reason};
use serde_json::Value;

use super::wire::{Conversation, Participant};

/// The attribute by which the Architect flow says why it ends a chat without an agent (README.md, "Set it up").
const RESULT: &str = "InterlineResult";

/// What a conversation's participants tell.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Standing {
    /// The agent who talks: the participant's id, and the name.
    pub agent: Option<(String, Option<String>)>,
    /// It waits in a queue.
    pub queued: bool,
    /// It is over: the event that says so.
    pub over: Option<AgentEvent>,
}

impl Standing {
    /// Reads it. `talked`: an agent was known to be there.
    pub fn of(conversation: &Conversation, talked: bool) -> Self {
        let parties = &conversation.participants;
        let agent = parties.iter().rev().find(|party| is_agent(party) && is(party, "connected"));
        let queued = parties.iter().any(|party| party.purpose == "acd" && is_live(party));
        let talked = talked || parties.iter().any(|party| is_agent(party) && was_connected(party));
        let over =
            is_over(parties).then(|| if talked { AgentEvent::Ended { tag: None } } else { failed(parties) });
        Self { agent: agent.map(|party| (party.id.clone(), party.name.clone())), queued, over }
    }
}

/// The customer is out, or nobody who could answer is left after an agent who did not hand it on.
fn is_over(parties: &[Participant]) -> bool {
    let customer = parties.iter().find(|party| party.purpose == "customer");
    if parties.is_empty() {
        // An event that tells nothing.
        return false;
    }
    let others = || parties.iter().filter(|party| party.purpose != "customer" && party.purpose != "external");
    if customer.is_some_and(|party| !is_live(party)) || parties.iter().all(|party| !is_live(party)) {
        return true;
    }
    let last = others().rfind(|party| is_agent(party));
    let handed_on =
        |party: &Participant| party.disconnect_type.as_deref().is_some_and(|how| how.starts_with("transfer"));
    others().all(|party| !is_live(party)) && last.is_some_and(|party| !handed_on(party))
}

/// It ended and no agent was there.
fn failed(parties: &[Participant]) -> AgentEvent {
    let customer = parties.iter().find(|party| party.purpose == "customer");
    let attributes = customer.and_then(|party| party.attributes.as_ref());
    let told = attributes.and_then(|all| all.get(RESULT)).and_then(Value::as_str).unwrap_or_default();
    let reason = match told.to_ascii_lowercase().as_str() {
        "outsidehours" => Reason::OutsideHours,
        "queuefull" => Reason::QueueFull,
        "queuetimeout" => Reason::QueueTimeout,
        _ => Reason::NoAgents,
    };
    let how = customer.and_then(|party| party.disconnect_type.clone());
    AgentEvent::Failed(Failure { reason, code: how.filter(|how| how.len() <= 40) })
}

fn is_agent(party: &Participant) -> bool {
    matches!(party.purpose.as_str(), "agent" | "user")
}

fn is(party: &Participant, state: &str) -> bool {
    party.state.as_deref() == Some(state) && party.end_time.is_none()
}

/// An offer that nobody took was not talking: such a participant ends without ever having been connected.
fn was_connected(party: &Participant) -> bool {
    is(party, "connected") || party.connected_time.is_some()
}

fn is_live(party: &Participant) -> bool {
    party.end_time.is_none() && !matches!(party.state.as_deref(), Some("disconnected" | "terminated"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn standing(parties: Value) -> Standing {
        let conversation =
            serde_json::from_value(json!({ "id": "c", "participants": parties })).expect("a conversation");
        Standing::of(&conversation, false)
    }

    fn party(purpose: &str, state: &str) -> Value {
        json!({ "id": purpose, "purpose": purpose, "state": state, "name": "Kim" })
    }

    #[test]
    fn it_waits_then_talks_then_is_over() {
        let waits = standing(json!([
            party("customer", "connected"),
            party("acd", "connected"),
            party("agent", "alerting")
        ]));
        assert_eq!(waits, Standing { agent: None, queued: true, over: None });
        let talks = standing(json!([
            party("customer", "connected"),
            party("acd", "disconnected"),
            party("agent", "connected")
        ]));
        assert_eq!(talks.agent, Some(("agent".into(), Some("Kim".into()))));
        assert_eq!(talks.over, None);
        let over = standing(json!([party("customer", "disconnected"), party("agent", "disconnected")]));
        assert!(matches!(over.over, Some(AgentEvent::Failed(_))), "nobody is known to have talked");
        let mut left = party("agent", "disconnected");
        left["connectedTime"] = "2026-11-22T06:30:00.000Z".into();
        let over = standing(json!([party("customer", "disconnected"), left]));
        assert_eq!(over.over, Some(AgentEvent::Ended { tag: None }));
    }

    #[test]
    fn a_transfer_is_not_the_end() {
        let mut gone = party("agent", "disconnected");
        gone["disconnectType"] = "transfer".into();
        assert_eq!(
            standing(json!([party("customer", "connected"), gone.clone(), party("acd", "connected")])).over,
            None
        );
        // Between two events nobody may be there.
        assert_eq!(standing(json!([party("customer", "connected"), gone])).over, None);
        let mut left = party("agent", "disconnected");
        left["disconnectType"] = "client".into();
        assert!(standing(json!([party("customer", "connected"), left])).over.is_some());
    }

    #[test]
    fn the_flow_says_why_nobody_came() {
        for (told, reason) in [
            ("OutsideHours", Reason::OutsideHours),
            ("queuefull", Reason::QueueFull),
            ("x", Reason::NoAgents),
        ] {
            let mut customer = party("customer", "disconnected");
            customer["attributes"] = json!({ "InterlineResult": told });
            let over = standing(json!([customer])).over;
            assert!(matches!(over, Some(AgentEvent::Failed(failure)) if failure.reason == reason), "{told}");
        }
        // Unknown purposes and states are neither success nor failure.
        assert_eq!(standing(json!([party("robot", "dreaming"), party("customer", "contacting")])).over, None);
        assert_eq!(standing(json!([])).over, None);
    }
}
