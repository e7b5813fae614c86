//! The example flows (`examples/flows/`), as the demo offers them: a word of the customer leads into each.

use anyhow::{Context, Result};
use axum::Router;
use interline_bots::openai::simulator;
use interline_core::flow::hours::{Day, Hours, Span};
use interline_core::flow::node::GoToFlow;
use interline_core::flow::{Flow, Node, NodeId, Words};
use interline_engine::config::{Document, Integration};
use serde_json::json;

/// Each with the word that leads into it.
const EXAMPLES: [(&str, &str, &str); 4] = [
    ("billing", "billing", include_str!("../../../../examples/flows/billing.yaml")),
    ("menu", "ivr_menu", include_str!("../../../../examples/flows/ivr_menu.yaml")),
    ("hours", "business_hours", include_str!("../../../../examples/flows/business_hours.yaml")),
    ("assistant", "llm_agent", include_str!("../../../../examples/flows/llm_agent.yaml")),
];

/// Adds the examples to the demo's app, which listens at `base`.
///
/// # Errors
/// An example is no flow.
pub fn add(document: &mut Document, base: &str) -> Result<()> {
    for (word, name, text) in EXAMPLES {
        let flow: Flow =
            serde_saphyr::from_str(text).with_context(|| format!("examples/flows/{name}.yaml"))?;
        document.flows.insert(name.into(), flow);
        let node = NodeId::from(format!("example_{name}").as_str());
        let words = Words { any: vec![word.to_owned()], go_to: node.clone() };
        document.flow.words.push(words);
        document.flow.nodes.insert(node, Node::GoToFlow(GoToFlow { name: None, flow: name.into() }));
    }
    let assistant =
        json!({ "type": "openai", "url": format!("{base}{}", simulator::PATH), "model": "stand-in" });
    let assistant: Integration = serde_json::from_value(assistant)?;
    document.bots.insert("assistant".into(), assistant);
    document.hours.insert("default".to_owned(), office_hours());
    Ok(())
}

/// What a customer says to get into one.
pub fn words() -> String {
    EXAMPLES.map(|(word, ..)| word).join(", ")
}

/// The stand-in for the LLM.
pub fn router() -> Router {
    simulator::router(None)
}

fn office_hours() -> Hours {
    let days = [Day::Monday, Day::Tuesday, Day::Wednesday, Day::Thursday, Day::Friday];
    let span = || Span { from: "09:00".to_owned(), to: "17:00".to_owned() };
    let week = days.into_iter().map(|day| (day, vec![span()])).collect();
    Hours { zone: "Europe/Berlin".to_owned(), week, ..Hours::default() }
}
