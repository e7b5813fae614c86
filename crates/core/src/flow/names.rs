//! What nodes name outside of their flow, and their error exits.

use super::document::OnFailure;
use super::node::Node;
use crate::IntegrationName;

impl Node {
    /// Takes an agent system out. Whether it was named.
    pub(super) fn unname_agent(&mut self, agent: &IntegrationName) -> bool {
        match self {
            Self::AgentTransfer(transfer) => {
                let before = (transfer.target.is_some(), transfer.fallback.len());
                transfer.target.take_if(|target| target.integration == *agent);
                transfer.fallback.retain(|target| target.integration != *agent);
                before != (transfer.target.is_some(), transfer.fallback.len())
            }
            Self::AgentAvailability(check) => {
                check.target.take_if(|target| target.integration == *agent).is_some()
            }
            Self::Message(_)
            | Self::IvrMenu(_)
            | Self::DigitInput(_)
            | Self::Split(_)
            | Self::BusinessHours(_)
            | Self::SetQueue(_)
            | Self::Deflection(_)
            | Self::Automation(_)
            | Self::Api(_)
            | Self::GoToFlow(_)
            | Self::Script(_)
            | Self::End(_) => false,
        }
    }

    /// What happens when it fails; none: it cannot.
    pub(super) fn on_error(&self) -> Option<&OnFailure> {
        match self {
            Self::Message(node) => Some(&node.on_error),
            Self::IvrMenu(node) => Some(&node.on_error),
            Self::DigitInput(node) => Some(&node.on_error),
            Self::BusinessHours(node) => Some(&node.on_error),
            Self::AgentAvailability(node) => Some(&node.on_error),
            Self::SetQueue(node) => Some(&node.on_error),
            Self::Deflection(node) => Some(&node.on_error),
            Self::Automation(node) => Some(&node.on_error),
            Self::Api(node) => Some(&node.on_error),
            Self::Script(node) => Some(&node.on_error),
            Self::AgentTransfer(node) => Some(&node.on_failure),
            Self::Split(_) | Self::GoToFlow(_) | Self::End(_) => None,
        }
    }

    /// The agent systems that it names.
    pub fn agents(&self) -> Vec<&IntegrationName> {
        match self {
            Self::AgentTransfer(transfer) => {
                transfer.target.iter().chain(&transfer.fallback).map(|target| &target.integration).collect()
            }
            Self::AgentAvailability(check) => check.target.iter().map(|target| &target.integration).collect(),
            Self::Message(_)
            | Self::IvrMenu(_)
            | Self::DigitInput(_)
            | Self::Split(_)
            | Self::BusinessHours(_)
            | Self::SetQueue(_)
            | Self::Deflection(_)
            | Self::Automation(_)
            | Self::Api(_)
            | Self::GoToFlow(_)
            | Self::Script(_)
            | Self::End(_) => Vec::new(),
        }
    }
}
