//! What travels along with a hand-over. It is told twice: as attributes, which an Architect flow routes by, and as the
//! first words, which every agent sees.

use std::collections::BTreeMap;

use interline_connector::{Carried, Item};
use interline_core::conversation::entry::Text;

/// The attributes of one hand-over may take so many bytes, names and values: both modes take about 2 kB.
const MOST: usize = 2_000;

/// How the attributes are called that every hand-over may have.
pub(super) const LANGUAGE: &str = "language";
pub(super) const SKILLS: &str = "skills";
pub(super) const TRANSCRIPT: &str = "transcriptUrl";
pub(super) const SUMMARY: &str = "conversationSummary";
const NAME: &str = "customerName";
const EMAIL: &str = "customerEmail";

/// What an operator has set for every hand-over.
pub(super) struct Routing<'a> {
    /// What the attribute is called that names the queue.
    pub queue_attribute: &'a str,
    /// The queue where the flow's node names none.
    pub queue: Option<&'a str>,
    /// Attributes. Custom data of the same name overrides them.
    pub fixed: &'a BTreeMap<String, String>,
}

/// The attributes: what routes first, then the link, then custom data as far as there is room, then what is left of the
/// summary.
pub(super) fn attributes(item: &Item, routing: &Routing<'_>) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut left = MOST;
    let mut add = |name: &str, value: &str| {
        let takes = name.len() + value.len();
        if !value.is_empty() && takes <= left && !all.contains_key(name) {
            left -= takes;
            all.insert(name.to_owned(), value.to_owned());
        }
        left
    };
    let profile = &item.conversation.customer.profile;
    let queue = item.participant.queue.as_deref().or(routing.queue);
    add(routing.queue_attribute, queue.unwrap_or_default());
    add(SKILLS, &item.context.skills.join(","));
    add(LANGUAGE, profile.language.as_deref().unwrap_or_default());
    add(TRANSCRIPT, item.transcript.as_ref().map(|url| url.as_str()).unwrap_or_default());
    add(NAME, &self::name(item));
    add(EMAIL, profile.email.as_deref().unwrap_or_default());
    for (name, value) in item.context.data.iter().chain(routing.fixed) {
        add(name, value);
    }
    let left = add("", "").saturating_sub(SUMMARY.len());
    let summary = &item.context.summary;
    add(SUMMARY, summary.get(..summary.floor_char_boundary(left)).unwrap_or_default());
    all
}

/// The first words, for whoever takes the chat.
pub(super) fn first_words(item: &Item) -> String {
    let customer = &item.conversation.customer;
    let profile = &customer.profile;
    let mut lines = vec!["The bot hands this chat over.".to_owned()];
    let mut told = |what: &str, value: &str| {
        if !value.is_empty() {
            lines.push(format!("{what}: {value}"));
        }
    };
    told("Customer", &name(item));
    told("Language", profile.language.as_deref().unwrap_or_default());
    told("Skills", &item.context.skills.join(", "));
    if let Some(transcript) = &item.transcript {
        told("What was said before", transcript.as_str());
    }
    if !item.context.summary.is_empty() {
        lines.push(format!("In short:\n{}", item.context.summary));
    }
    lines.join("\n")
}

/// The words of a line: its own, and a line for each file that does not go as one.
pub(super) fn line<'a>(text: &Text, links: impl Iterator<Item = &'a Carried>) -> String {
    let parts = std::iter::once(text.text.clone()).chain(links.map(Carried::in_words));
    parts.filter(|part| !part.trim().is_empty()).collect::<Vec<_>>().join("\n")
}

/// Now, as the vendor writes times.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S.%3fZ").to_string()
}

/// The customer as people call them; their address where no name is known.
pub(super) fn name(item: &Item) -> String {
    let customer = &item.conversation.customer;
    customer.profile.full_name().filter(|name| !name.is_empty()).unwrap_or_else(|| customer.address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::genesys::tests::items::open_item;

    #[test]
    fn attributes_stay_within_their_room_and_routing_comes_first() {
        let mut item = open_item(1);
        item.context.summary = "ä".repeat(4_000);
        item.context.data.insert("zz".into(), "x".repeat(3_000));
        let fixed =
            BTreeMap::from([("tier".to_owned(), "low".to_owned()), ("site".to_owned(), "a".to_owned())]);
        item.context.data.insert("tier".into(), "gold".into());
        let routing = Routing { queue_attribute: "QueueName", queue: Some("Support"), fixed: &fixed };
        let all = attributes(&item, &routing);
        let bytes: usize = all.iter().map(|(name, value)| name.len() + value.len()).sum();
        assert!((1_900..=MOST).contains(&bytes), "{bytes}");
        assert_eq!(all["QueueName"], "Billing");
        assert_eq!((all["tier"].as_str(), all["site"].as_str()), ("gold", "a"));
        assert!(!all.contains_key("zz") && all.contains_key(SUMMARY));
    }

    #[test]
    fn a_customer_without_a_name_is_called_by_the_address() {
        let mut item = open_item(1);
        item.conversation.customer.profile = Default::default();
        assert_eq!(name(&item), item.conversation.customer.address);
        assert!(first_words(&item).contains(&item.conversation.customer.address));
    }
}
