//! The Agent Transfer node, and what comes after a human part.

use super::{Act, Go, Machine, NeedScript};
use crate::flow::document::{Goto, NodeId};
use crate::flow::flows::Place;
use crate::flow::node::AgentTransfer;
use crate::transfer::{Outcome, Reason};

impl Machine<'_, '_, '_> {
    pub(super) fn agent_transfer(&mut self, id: &NodeId, node: &AgentTransfer) -> Result<Go, NeedScript> {
        if let Some(place) = self.then.take() {
            return Ok(self.hand_over(place));
        }
        // Whatever becomes of an in-queue flow, the transfer goes on.
        if self.around.in_queue {
            return Ok(Go::Stop);
        }
        if let Some(message) = &node.message
            && let Err(why) = self.say_one(id, message)?
        {
            self.note_failure(id, &why);
        }
        if self.ended() {
            return Ok(Go::Stop);
        }
        let place = self.place(id);
        Ok(match &node.before {
            Some(flow) => {
                self.then = Some(place);
                Go::Flow(flow.clone())
            }
            None => self.hand_over(place),
        })
    }

    pub(super) fn hand_over(&mut self, place: Place) -> Go {
        self.flow = Some(place.flow.clone());
        if let Some(node) = self.flows().get(&place.flow).and_then(|flow| flow.transfer(&place.node)) {
            let node = node.clone();
            self.tags(&node);
            self.facts.reach(place.clone(), node.containment, self.around.now);
        }
        self.acts.push(Act::Transfer(place));
        Go::Stop
    }

    /// A human part is over. Design.md §3: the node's message and go-to, else the Start node's flow for the reason, else the
    /// app's text; after a success the node's own way, else the flow's.
    pub(super) fn returned(&mut self, place: Option<&Place>, outcome: &Outcome) -> Go {
        if let Some(place) = place {
            self.flow = Some(place.flow.clone());
        }
        self.memory.last_transfer = Some(word(outcome).to_owned());
        let Some(flow) = self.current() else { return self.path_ends() };
        let node = place.and_then(|place| flow.transfer(&place.node));
        let Outcome::Failed(failure) = outcome else {
            let next = node.and_then(|node| node.returned.as_ref()).or(flow.returned.as_ref());
            return Go::Node(next.cloned());
        };
        let on_failure = node.map(|node| &node.on_failure);
        if let Some(said) = on_failure.and_then(|path| path.message.as_ref()) {
            self.say_plainly(said);
            return Go::Node(on_failure.and_then(|path| path.go_to.clone()));
        }
        if let Some(node) = on_failure.and_then(|path| path.go_to.clone()) {
            return Go::Node(Some(node));
        }
        let by_reason = match failure.reason {
            Reason::OutsideHours => flow.out_of_hours.as_ref(),
            Reason::NoAgents | Reason::QueueFull | Reason::QueueTimeout | Reason::Busy | Reason::NoAnswer => {
                flow.no_agents.as_ref()
            }
            Reason::Declined
            | Reason::Unreachable
            | Reason::Unauthorized
            | Reason::RateLimited
            | Reason::BadRequest
            | Reason::VendorError
            | Reason::CallerLeft
            | Reason::AgentLost
            | Reason::Unconfigured
            | Reason::Loop => None,
        };
        match by_reason {
            Some(goto) => Go::goto(goto),
            None => {
                let text = self.around.app.texts.transfer_failed.clone();
                self.acts.push(Act::Say(crate::conversation::entry::Text::plain(text)));
                self.path_ends()
            }
        }
    }
}

impl Go {
    pub(super) fn goto(goto: &Goto) -> Self {
        match goto {
            Goto::Node(node) => Self::to(node),
            Goto::Flow(other) => Self::Flow(other.flow.clone()),
        }
    }
}

/// An outcome in a word, for conditions.
fn word(outcome: &Outcome) -> &'static str {
    match outcome {
        Outcome::AgentEnded => "agent_ended",
        Outcome::CustomerEnded => "customer_ended",
        Outcome::OperatorEnded => "operator_ended",
        Outcome::Idle => "idle",
        Outcome::HandedOff => "handed_off",
        Outcome::Failed(_) => "failed",
    }
}
