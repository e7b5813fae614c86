//! Whether a message arrived of which nobody knows. The vendor does not say that it drops a repeat, so it is looked up: the
//! conversation names the messages of the customer, and each of them the id that we gave it.

use std::collections::BTreeMap;

use interline_connector::Failure;
use interline_connector::http::Request;

use super::wire::{Conversation, MessageData};
use super::{Integration, api, seats};

/// So many of the newest messages are looked at: more were never in doubt at a time.
const MOST: usize = 20;

impl Integration {
    /// What arrived behind the vendor's message `last`: our id → the vendor's.
    ///
    /// # Errors
    /// It cannot be found out now.
    pub(super) async fn arrived(
        &self,
        conversation: &str,
        last: Option<&str>,
    ) -> Result<BTreeMap<String, String>, Failure> {
        let url = self.api.at(&format!("api/v2/conversations/messages/{conversation}"))?;
        let told: Conversation = self.api.json(|| Request::get(url.clone())).await.map_err(later)?;
        let customers = told.participants.into_iter().filter(|party| party.purpose == "customer");
        let ids: Vec<String> =
            customers.flat_map(|party| party.messages).filter_map(|message| message.message_id).collect();
        let known = last.and_then(|last| ids.iter().position(|id| id == last)).map_or(0, |at| at + 1);
        let unknown = ids.into_iter().skip(known).rev().take(MOST).filter(|id| seats::is_id(id));
        let mut arrived = BTreeMap::new();
        for id in unknown {
            let url = self.api.at(&format!("api/v2/conversations/messages/{id}/details"))?;
            let data: MessageData =
                api::read(&self.api.ask(|| Request::get(url.clone())).await.map_err(later)?)?;
            if let Some(ours) = data.provider_message_id {
                arrived.insert(ours, id);
            }
        }
        Ok(arrived)
    }
}

/// A look that failed did nothing.
fn later(failure: Failure) -> Failure {
    match failure {
        Failure::Uncertain(cause) => Failure::Retry { after_ms: None, cause },
        other => other,
    }
}
