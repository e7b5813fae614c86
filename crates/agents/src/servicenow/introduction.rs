//! What travels along with a hand-over, in words for the agent: who it is, what is known, what was said.

use interline_connector::Item;

/// Empty: nothing is known.
pub(super) fn introduction(item: &Item) -> String {
    let profile = &item.conversation.customer.profile;
    let mut lines = Vec::new();
    let mut told = |name: &str, value: Option<&str>| {
        if let Some(value) = value.filter(|value| !value.is_empty()) {
            lines.push(format!("{name}: {value}"));
        }
    };
    told("Customer", profile.full_name().as_deref());
    told("E-mail", profile.email.as_deref());
    told("Phone", profile.phone.as_deref());
    told("Language", profile.language.as_deref());
    told("Skills", Some(&item.context.skills.join(", ")));
    for (name, value) in item.context.data.iter().filter(|(name, _)| !is_for_machines(name)) {
        told(name, Some(value));
    }
    if !item.context.summary.is_empty() {
        lines.push(format!("Summary:\n{}", item.context.summary));
    }
    if let Some(transcript) = &item.transcript {
        lines.push(format!("Transcript: {transcript}"));
    }
    lines.join("\n")
}

/// The field's name for what a session brings for the instance itself.
pub(super) const METADATA: &str = "ServiceNowMetaData";

fn is_for_machines(name: &str) -> bool {
    name == METADATA
}
