//! Deleting an integration: what named it names another, or nothing, by choice; who still talks through it stays or is
//! ended, by choice. One commit does it all; `retire.rs` does what comes after, also after a crash.

use interline_core::{AppId, IntegrationName};
use serde::Serialize;

use super::apps::{Apps, Draft, Origin, Refused};
use super::merge::unname;
use crate::ingress::Trouble;

/// What takes the place of a deleted agent system where it was the default or mapped to a channel.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replacement {
    /// This one.
    With(IntegrationName),
    /// None: transfers there find no agent system.
    Nothing,
}

/// What becomes of transfers that are live on a deleted agent system.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveTransfers {
    /// They are ended, and the bot takes over.
    End,
    /// They go on until they end by themselves.
    Stay,
}

/// What was deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Deleted {
    /// The version in force.
    pub version: i64,
    /// Where it was named before: `default_agent`, `channel_agents.web`, `flow.nodes.handover`.
    pub named_in: Vec<String>,
    /// How many sessions were not over. They end, or go on, as was chosen.
    pub live: i64,
}

impl Apps {
    /// Deletes a channel or an agent system; with `expected`, only if that is the version in force.
    ///
    /// # Errors
    /// A choice is missing ([`Refused::InUse`]), or there is no such integration. Nothing was changed then.
    pub async fn delete_integration(
        &self,
        app: &AppId,
        name: &IntegrationName,
        replacement: Option<Replacement>,
        live: Option<LiveTransfers>,
        expected: Option<i64>,
    ) -> Result<Deleted, Refused> {
        let draft = self.draft(app).ok_or_else(|| Refused::Unknown("such app".into()))?;
        let sessions =
            if draft.document.agents.contains_key(name) { self.sessions(app, name).await? } else { 0 };
        if sessions > 0 && live.is_none() {
            return Err(Refused::InUse {
                code: "live_transfers",
                message: format!(
                    "{sessions} transfers on `{name}` are not over: say live=end to end them, or live=stay to let them go on"
                ),
            });
        }
        let mut named_in = Vec::new();
        let end = live == Some(LiveTransfers::End);
        let delete = |draft: Option<Draft>| {
            let draft = draft.ok_or_else(|| Refused::Unknown("such app".into()))?;
            delete(draft, name, replacement.as_ref(), &mut named_in)
        };
        let changed = self.edit(app, Origin::Api, expected, end, delete).await?;
        named_in.extend(self.unname_in_drafts(app, name).await?);
        Ok(Deleted { version: changed.version, named_in, live: sessions })
    }

    /// How many sessions of an agent system are not over.
    ///
    /// # Errors
    /// The store is out of reach.
    pub async fn sessions(&self, app: &AppId, name: &IntegrationName) -> Result<i64, Trouble> {
        Ok(self.store().engaged_count(app.as_str(), name.as_str()).await?)
    }
}

fn delete(
    mut draft: Draft,
    name: &IntegrationName,
    replacement: Option<&Replacement>,
    named_in: &mut Vec<String>,
) -> Result<Draft, Refused> {
    let document = &mut draft.document;
    if document.bots.remove(name).is_some() {
        let uses = document
            .all_flows()
            .find_map(|(_, at, flow)| Some(format!("{at}.nodes.{}", flow.uses_bot(name)?)));
        return match uses {
            Some(place) => Err(Refused::InUse {
                code: "bot_in_use",
                message: format!("{place} lets the bot `{name}` talk: take it out there first"),
            }),
            None => Ok(draft),
        };
    }
    if document.channels.remove(name).is_some() {
        document.channel_flows.remove(name);
        if document.channel_agents.remove(name).is_some() {
            named_in.push(format!("channel_agents.{name}"));
        }
        return Ok(draft);
    }
    if document.agents.remove(name).is_none() {
        return Err(Refused::Unknown(format!("integration `{name}`")));
    }
    let instead = match replacement {
        Some(Replacement::With(other)) if other == name || !document.agents.contains_key(other) => {
            return Err(Refused::Unknown(format!("agent system `{other}` that could take its place")));
        }
        Some(Replacement::With(other)) => Some(other),
        Some(Replacement::Nothing) | None => None,
    };
    let is_default = document.default_agent.as_ref() == Some(name);
    let is_mapped = document.channel_agents.values().any(|agent| agent == name);
    if replacement.is_none() && (is_default || is_mapped) {
        let what = if is_default { "the default agent system" } else { "the agent system of a channel" };
        return Err(Refused::InUse {
            code: "replacement_needed",
            message: format!(
                "`{name}` is {what}: name another with replacement=NAME, or say replacement=none"
            ),
        });
    }
    *named_in = unname(document, name, instead);
    Ok(draft)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use std::collections::BTreeMap;

    use serde_json::json;

    use super::*;
    use crate::config::Document;

    fn draft() -> Draft {
        let document = Document::from_json(json!({
            "app": { "id": "st-x", "name": "Test" },
            "channels": { "web": { "type": "web", "credentials": [] } },
            "agents": { "a": { "type": "botkit" }, "b": { "type": "botkit" } },
            "default_agent": "a",
            "channel_agents": { "web": "a" },
            "flow": { "start": "t", "otherwise": "t", "nodes": { "t": { "agent_transfer": {
                "target": { "integration": "a" }, "fallback": [{ "integration": "a" }, { "integration": "b" }] } } } },
        }));
        Draft { document: document.unwrap(), retired: BTreeMap::new() }
    }

    fn deleted(name: &str, replacement: Option<Replacement>) -> (Result<Draft, Refused>, Vec<String>) {
        let mut named_in = Vec::new();
        (delete(draft(), &name.into(), replacement.as_ref(), &mut named_in), named_in)
    }

    #[test]
    fn the_default_is_not_deleted_without_a_choice() {
        let (refused, _) = deleted("a", None);
        assert!(matches!(refused, Err(Refused::InUse { code: "replacement_needed", .. })), "{refused:?}");
        for nobody in ["a", "c", "web"] {
            let (refused, _) = deleted("a", Some(Replacement::With(nobody.into())));
            assert!(matches!(refused, Err(Refused::Unknown(_))), "{refused:?}");
        }
    }

    #[test]
    fn what_named_it_names_the_replacement() {
        let (draft, named_in) = deleted("a", Some(Replacement::With("b".into())));
        let document = draft.unwrap().document;
        assert_eq!(named_in, ["default_agent", "channel_agents.web", "flow.nodes.t"]);
        assert_eq!(document.default_agent, Some("b".into()));
        assert_eq!(document.channel_agents[&"web".into()], "b".into());
        let node = document.flow.transfer(&"t".into()).unwrap();
        assert_eq!((node.target.is_none(), node.fallback.len()), (true, 1));
    }

    #[test]
    fn or_nothing_by_explicit_choice_and_others_need_none() {
        let (draft, _) = deleted("a", Some(Replacement::Nothing));
        let document = draft.unwrap().document;
        assert!(document.default_agent.is_none() && document.channel_agents.is_empty());
        let (draft, named_in) = deleted("b", None);
        assert!(draft.is_ok());
        assert_eq!(named_in, ["flow.nodes.t"]);
        let (draft, named_in) = deleted("web", None);
        assert!(draft.unwrap().document.channels.is_empty());
        assert_eq!(named_in, ["channel_agents.web"]);
        assert!(matches!(deleted("c", None).0, Err(Refused::Unknown(_))));
    }
}
