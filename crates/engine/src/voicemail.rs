//! A voicemail comes in: one change of its conversation, which writes what is to be told of it.

use std::sync::Arc;

use interline_core::conversation::voicemail::Recorded;
use interline_core::{CustomerId, Input, IntegrationName, Seq};

use crate::engine::Inner;
use crate::ingress::{Change, InboxKey, Trouble};
use crate::live::Key;

impl Inner {
    /// A voicemail, once for each command that asked for one; also when its conversation is closed.
    pub(crate) async fn take_voicemail(
        self: &Arc<Self>,
        key: Key,
        customer: &CustomerId,
        by: &IntegrationName,
        seq: Seq,
        recorded: Recorded,
    ) -> Result<(), Trouble> {
        let runtime = self.apps.get(&key.app).ok_or(Trouble::Unknown)?;
        let once = InboxKey {
            integration: by.as_str().to_owned(),
            scope: "voicemail".to_owned(),
            external_id: format!("{}/{seq}", key.conversation),
        };
        let slot = self.slots.get(&key);
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        if guard.as_ref().is_none_or(|live| live.state.customer.id != *customer) {
            return Err(Trouble::Unknown);
        }
        let inputs = vec![Input::Voicemail(Box::new(recorded))];
        let change = Change::inputs(by.as_str(), inputs, Some(once));
        self.change(&runtime, &slot, &mut guard, change).await.map(|_| ())
    }
}
