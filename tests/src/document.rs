//! The app's file: one flow for all scenarios, the agent systems under test, and what a scenario wants otherwise.

use serde_json::{Value, json};

use crate::App;

/// What the bot says. No two of them hold each other, nor any word of a scenario.
pub const WELCOME: &str = "Welcome at the bot.";
/// Before the hand-over.
pub const MOMENT: &str = "One moment, a human is on the way.";
/// The human part is over.
pub const BACK: &str = "The bot is back.";
/// Nobody took it.
pub const NOBODY: &str = "Nobody is there right now.";
/// It is too late in the day.
pub const CLOSED: &str = "It is closed for today.";
/// It failed otherwise.
pub const FAILED: &str = "It did not work out.";
/// A line was not taken.
pub const NOT_DELIVERED: &str = "That line did not get through.";

/// What the flow's node adds to what is known of the customer.
pub const ORDER: &str = "order-0815";
/// Where it sends them; each vendor has one of its own (`StandIn::queue`).
pub const QUEUE: &str = "billing";
/// What the agent should be good at.
pub const SKILL: &str = "refunds";

/// An app with these agent systems by name, the first of which is the default, and the others its ladder.
pub fn document(app: &App, agents: &[(String, Value)]) -> Value {
    let named = |(name, settings): &(String, Value)| (name.clone(), settings.clone());
    let ladder: Vec<Value> = agents.iter().skip(1).map(|(name, _)| json!({ "integration": name })).collect();
    let first = agents.first().map(|(name, _)| name.clone());
    json!({
        "app": { "id": app.bot, "name": "Conformance" },
        "credentials": { "main": {
            "client_id": app.client_id, "client_secret": app.secret, "algorithm": "HS256",
            "scopes": ["web", "botkit"],
        } },
        "channels": { "web": { "type": "web", "credentials": ["main"], "origins": ["*"],
            "limits": { "text_bytes": 32768 } } },
        "agents": agents.iter().map(named).collect::<serde_json::Map<String, Value>>(),
        "default_agent": first,
        // A busy machine is not an agent system that does not answer.
        "deadlines": { "opening_ms": 60_000 },
        "texts": { "transfer_failed": FAILED, "not_delivered": NOT_DELIVERED },
        "flow": {
            "start": "welcome",
            "words": [
                { "any": ["human"], "go_to": "handover" },
                { "any": ["billing"], "go_to": "to_queue" },
            ],
            "otherwise": "echo", "returned": "back", "no_agents": "nobody", "out_of_hours": "closed",
            "nodes": {
                "welcome": { "message": { "text": WELCOME } },
                "echo": { "message": { "text": "The bot heard: {{text}}" } },
                "handover": { "agent_transfer": {
                    "message": MOMENT, "skills": [SKILL], "data": { "order": ORDER }, "fallback": ladder,
                } },
                "to_queue": { "agent_transfer": {
                    "message": MOMENT, "target": { "integration": first, "queue": QUEUE },
                    "skills": [SKILL], "data": { "order": ORDER }, "conversation_summary": true,
                } },
                "back": { "message": { "text": BACK } },
                "nobody": { "message": { "text": NOBODY } },
                "closed": { "message": { "text": CLOSED } },
            },
        },
    })
}
