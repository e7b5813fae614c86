//! Another dialog in the place of a leg's (RFC 3891): whoever talks on goes on by it, and the old one is hung up.
//!
//! The sound is the same session: the new dialog's offer is answered by it like one within the old dialog.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::{DialogState, DialogStateReceiver};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::{Request, Uri};

use super::{Inner, Leg, Stage, sdp};
use crate::sip::edge::{Invited, abilities, call_id};
use crate::sip::text::reason;
use crate::sip::timer::{Asked, Timer};

/// A 2xx without an ACK is over by then (RFC 3261 §13.3.1.4).
const ACK: Duration = Duration::from_secs(40);

/// Legs by their Call-ID, for who wants to replace one.
#[derive(Default)]
pub struct Legs(Mutex<HashMap<String, Weak<Inner>>>);

impl Legs {
    pub(super) fn keep(&self, call_id: &str, leg: &Arc<Inner>) {
        self.map().insert(call_id.to_owned(), Arc::downgrade(leg));
    }

    pub(crate) fn forget(&self, call_id: &str) {
        self.map().remove(call_id);
    }

    /// Whether a dialog with this Call-ID is a leg's.
    pub(crate) fn has(&self, call_id: &str) -> bool {
        self.map().contains_key(call_id)
    }

    /// The leg of a dialog.
    pub fn find(&self, replaces: &Replaces) -> Option<Leg> {
        let leg = Leg(self.map().get(&replaces.call_id)?.upgrade()?);
        let id = leg.dialog().id();
        let same = id.local_tag == replaces.to_tag && id.remote_tag == replaces.from_tag;
        (same && !matches!(leg.stage(), Stage::Gone(_))).then_some(leg)
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, Weak<Inner>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The dialog that an INVITE is to replace, as the one who gets it sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: String,
    /// The tag of the one who gets the INVITE.
    pub to_tag: String,
    /// The other.
    pub from_tag: String,
    /// Only if it was not answered yet.
    pub early_only: bool,
}

impl Replaces {
    /// What an INVITE says of it. None: nothing. Some(None): it cannot be read, or stands there twice.
    pub fn of(request: &Request) -> Option<Option<Self>> {
        let mut lines =
            request.headers.iter().filter(|header| header.name().eq_ignore_ascii_case("Replaces"));
        let first = lines.next()?;
        Some(if lines.next().is_some() { None } else { Self::read(first.value()) })
    }

    /// Reads a value.
    pub fn read(value: &str) -> Option<Self> {
        let mut parts = value.split(';').map(str::trim);
        let call_id = parts.next().filter(|id| !id.is_empty())?.to_owned();
        let (mut to_tag, mut from_tag, mut early_only) = (None, None, false);
        for part in parts {
            match part.split_once('=') {
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("to-tag") => to_tag = Some(tag.trim()),
                Some((name, tag)) if name.trim().eq_ignore_ascii_case("from-tag") => {
                    from_tag = Some(tag.trim())
                }
                None if part.eq_ignore_ascii_case("early-only") => early_only = true,
                Some(_) | None => {}
            }
        }
        Some(Self { call_id, to_tag: to_tag?.to_owned(), from_tag: from_tag?.to_owned(), early_only })
    }

    /// For the other side of a dialog of ours, which sees the tags the other way round.
    pub fn of_peer(id: &DialogId) -> Self {
        Self {
            call_id: id.call_id.clone(),
            to_tag: id.remote_tag.clone(),
            from_tag: id.local_tag.clone(),
            early_only: false,
        }
    }

    /// As it stands in the field.
    pub fn value(&self) -> String {
        let Self { call_id, to_tag, from_tag, early_only } = self;
        let early = if *early_only { ";early-only" } else { "" };
        format!("{call_id};to-tag={to_tag};from-tag={from_tag}{early}")
    }
}

/// A dialog that is up, and takes the place of another.
pub(super) struct Replacement {
    dialog: InviteDialog,
    states: DialogStateReceiver,
    timer: Option<Timer>,
}

impl Leg {
    /// Answers an INVITE that replaces our dialog. It does when its ACK is there.
    ///
    /// # Errors
    /// It cannot: the code to answer it with.
    pub fn give_way(
        &self,
        invited: Invited,
        contact: Uri,
        early_only: bool,
    ) -> Result<(), Box<(Invited, u16)>> {
        // RFC 3891 §3: what was answered is not early; what was not, only the one who calls may replace.
        match (self.stage(), early_only) {
            (Stage::Up, false) => {}
            (Stage::Up, true) => return Err(Box::new((invited, 486))),
            (Stage::Early | Stage::Gone(_), _) => return Err(Box::new((invited, 481))),
        }
        let offer = String::from_utf8_lossy(&invited.request().body).into_owned();
        let body = if offer.is_empty() {
            Ok(self.0.session.offer())
        } else {
            self.0.session.answer(&offer).map_err(|error| error.status())
        };
        let body = match body {
            Ok(body) => body,
            Err(code) => return Err(Box::new((invited, code))),
        };
        let timer = Asked::of(invited.request().headers.iter()).as_called();
        let new = call_id(invited.request());
        self.0.edge.ladders.also(&new, &self.dialog().id().call_id);
        self.0.edge.ladders.saw(&new, true, || "INVITE (Replaces)".into());
        let Ok((dialog, states)) = invited.take(contact) else {
            // It was answered.
            self.0.edge.ladders.forget(&new);
            return Ok(());
        };
        let mut headers = abilities();
        headers.extend(timer.map(Timer::answer).unwrap_or_default());
        headers.push(sdp());
        let _ = dialog.accept(Some(headers), Some(body.into_bytes()));
        tokio::spawn(self.clone().goes_on(Replacement { dialog, states, timer }, offer.is_empty()));
        Ok(())
    }

    /// Waits for the ACK. `offered`: the answer to our offer comes with it.
    async fn goes_on(self, mut next: Replacement, offered: bool) {
        let up = async {
            while let Some(state) = next.states.recv().await {
                match state {
                    DialogState::Confirmed(..) => return true,
                    DialogState::Terminated(..) => return false,
                    _ => {}
                }
            }
            false
        };
        let up = tokio::time::timeout(ACK, up).await == Ok(true);
        let dialog = next.dialog.clone();
        let usable = || {
            let body = dialog.last_remote_ack().map(|ack| ack.body).unwrap_or_default();
            !offered || self.0.session.accept(&String::from_utf8_lossy(&body)).is_ok()
        };
        if up && usable() && self.0.replaced.send(next).await.is_ok() {
            return;
        }
        let _ = dialog.bye_with_headers(Some(vec![reason("SIP", 488, "nothing is replaced")])).await;
        self.0.edge.forget(&dialog.id());
    }

    /// Goes on with another dialog; the old one is hung up on.
    pub(super) fn replaced(&self, next: Replacement, old_states: DialogStateReceiver) -> DialogStateReceiver {
        let Replacement { dialog, states, timer } = next;
        self.0.edge.legs.keep(&dialog.id().call_id, &self.0);
        self.keep_time(timer);
        let old = {
            let mut current = self.0.dialog.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut *current, dialog)
        };
        let edge = self.0.edge.clone();
        tokio::spawn(async move {
            let _ = old.bye_with_headers(Some(vec![reason("SIP", 200, "Call completed elsewhere")])).await;
            drop(old_states);
            edge.forget(&old.id());
        });
        states
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dialog_is_named_from_the_other_side() {
        let id = DialogId { call_id: "c@h".into(), local_tag: "ours".into(), remote_tag: "theirs".into() };
        let value = Replaces::of_peer(&id).value();
        assert_eq!(value, "c@h;to-tag=theirs;from-tag=ours");
        assert_eq!(Replaces::read(&value), Some(Replaces::of_peer(&id)));
        let early = Replaces::read("c ; from-tag=a ;early-only; to-tag=b").expect("readable");
        assert_eq!((early.early_only, early.to_tag.as_str(), early.from_tag.as_str()), (true, "b", "a"));
        for bad in ["", "c", "c;to-tag=a", ";to-tag=a;from-tag=b"] {
            assert_eq!(Replaces::read(bad), None, "{bad}");
        }
    }
}
