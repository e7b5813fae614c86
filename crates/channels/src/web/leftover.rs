//! Connections that a page has left behind.
//!
//! When a line is typed while the socket is down, the published client logs in anew, but forgets to stop its former
//! connection: a few seconds later that one asks for a socket too, with the older access token. It would look like a
//! second tab, and the user's own lines would come back to the screen through it. So: when the *first* socket of a fresh
//! login says that it is a reconnect, older logins of that customer that have no socket are told for a minute that their
//! token expired. A real second tab logs in again by itself; the page that left a connection behind settles on one.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use interline_core::IntegrationName;

use super::pass::Pass;

/// The client's forgotten timers fire within this.
const MEANWHILE_MS: i64 = 60_000;

type Who = (String, IntegrationName, String);

/// Who has a socket, and who logged in anew.
#[derive(Debug, Default)]
pub(super) struct Logins(Mutex<HashMap<Who, Customer>>);

#[derive(Debug, Default)]
struct Customer {
    /// Sockets by login.
    open: HashMap<String, usize>,
    /// When the login that took over was made.
    anew: Option<i64>,
}

/// A socket that is open, until it is dropped.
pub(super) struct Open {
    logins: Arc<Logins>,
    pass: Pass,
}

impl Logins {
    fn map(&self) -> MutexGuard<'_, HashMap<Who, Customer>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A socket opens. `anew`: it is its login's first, and a reconnect.
    pub fn open(self: &Arc<Self>, pass: &Pass, anew: bool, now_ms: i64) -> Open {
        let mut map = self.map();
        map.retain(|_, customer| !customer.is_idle(now_ms));
        let customer = map.entry(who(pass)).or_default();
        *customer.open.entry(pass.session.clone()).or_default() += 1;
        if anew {
            customer.anew = Some(pass.since());
        }
        Open { logins: Arc::clone(self), pass: pass.clone() }
    }

    /// Whether this login was left behind by a newer one.
    pub fn is_left_over(&self, pass: &Pass, now_ms: i64) -> bool {
        self.map().get(&who(pass)).is_some_and(|customer| {
            let newer = customer.anew.is_some_and(|anew| pass.since() < anew && now_ms - anew < MEANWHILE_MS);
            newer && !customer.open.contains_key(&pass.session)
        })
    }
}

impl Customer {
    fn is_idle(&self, now_ms: i64) -> bool {
        self.open.is_empty() && self.anew.is_none_or(|anew| now_ms - anew >= MEANWHILE_MS)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let who = who(&self.pass);
        let mut map = self.logins.map();
        let Some(customer) = map.get_mut(&who) else { return };
        if let Some(count) = customer.open.get_mut(&self.pass.session) {
            *count -= 1;
            if *count == 0 {
                customer.open.remove(&self.pass.session);
            }
        }
        if customer.open.is_empty() && customer.anew.is_none() {
            map.remove(&who);
        }
    }
}

fn who(pass: &Pass) -> Who {
    (pass.app.clone(), pass.channel.clone(), pass.address.clone())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pass(session: &str, since: i64) -> Pass {
        Pass {
            app: "st-1".into(),
            channel: "web".into(),
            address: "ann".into(),
            client_id: None,
            session: session.into(),
            until: Pass::until(since),
            profile: Default::default(),
        }
    }

    #[test]
    fn an_older_login_without_a_socket_is_left_over_for_a_minute() {
        let logins = Arc::new(Logins::default());
        let (old, tab, new) = (pass("old", 1_000), pass("tab", 2_000), pass("new", 50_000));
        let _tab = logins.open(&tab, false, 2_000);
        drop(logins.open(&old, false, 1_000));
        assert!(!logins.is_left_over(&old, 50_000), "nobody logged in anew");
        let _new = logins.open(&new, true, 50_100);
        assert!(logins.is_left_over(&old, 53_000));
        assert!(!logins.is_left_over(&tab, 53_000), "a tab that is connected is no left-over");
        assert!(!logins.is_left_over(&new, 53_000));
        assert!(!logins.is_left_over(&pass("later", 51_000), 53_000));
        assert!(!logins.is_left_over(&old, 50_000 + MEANWHILE_MS), "its time is over");
    }

    #[test]
    fn nothing_is_kept_of_who_is_gone() {
        let logins = Arc::new(Logins::default());
        drop(logins.open(&pass("a", 1_000), false, 1_000));
        assert!(logins.map().is_empty());
        drop(logins.open(&pass("b", 1_000), true, 1_000));
        drop(logins.open(&Pass { address: "bob".into(), ..pass("c", 90_000) }, false, 90_000));
        assert!(logins.map().is_empty());
    }
}
