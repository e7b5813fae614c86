//! Where a socket begins in the log.
//!
//! | the client says | it goes on |
//! |---|---|
//! | `after=ms-…` (the widget) | right behind that line, if it is the customer's |
//! | `isReconnect=true` | where this login is proven to have got, else at the customer's delivered mark |
//! | nothing | at the end |

use interline_connector::channel::{Place, Unavailable};
use interline_core::conversation::state::Customer;
use interline_core::{ConversationId, Seq};

use super::Web;
use super::pass::Guest;

/// Where a socket begins.
///
/// # Errors
/// The store is out of reach.
pub(super) async fn place(
    web: &Web,
    guest: &Guest,
    customer: &Customer,
    reconnect: bool,
    after: Option<(ConversationId, Seq)>,
) -> Result<Place, Unavailable> {
    if let Some((conversation, seq)) = after {
        let place = Place { conversation: Some(conversation), seq };
        if is_theirs(web, guest, customer, &place).await? {
            return Ok(place);
        }
    }
    if reconnect && let Some(place) = web.progress.of(&guest.pass.session, web.host.now_ms()) {
        return Ok(place);
    }
    web.host.place(&guest.app.id, customer, reconnect).await
}

/// Whether a place that a client named is in its customer's log: nothing could be read from anywhere else.
async fn is_theirs(
    web: &Web,
    guest: &Guest,
    customer: &Customer,
    place: &Place,
) -> Result<bool, Unavailable> {
    let end = web.host.place(&guest.app.id, customer, false).await?;
    if end.conversation == place.conversation {
        return Ok(place.seq <= end.seq);
    }
    // In an earlier conversation: something follows.
    let mut ahead = place.clone();
    Ok(!web.host.read(&guest.app.id, customer, &mut ahead, 1).await?.is_empty())
}
