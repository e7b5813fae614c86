//! How far each login (hence each tab) is known to have got.
//!
//! The customer's delivered mark says what arrived *somewhere*. A tab that was cut off must go on where it was itself, also
//! when another tab got further meanwhile. This is kept in memory only, and not for long: after a restart, or an hour in
//! somebody's pocket, a reconnect goes on at the customer's mark.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use interline_connector::channel::Place;

/// So long it is remembered, milliseconds.
const KEPT_MS: i64 = 10 * 60_000;
/// From so many on, what is too old is looked for and dropped.
const MANY: usize = 1_024;

/// By login.
#[derive(Debug, Default)]
pub(super) struct Progress(Mutex<HashMap<String, (Place, i64)>>);

impl Progress {
    fn map(&self) -> MutexGuard<'_, HashMap<String, (Place, i64)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A login has everything up to `place`.
    pub fn reached(&self, login: &str, place: Place, now_ms: i64) {
        let mut map = self.map();
        if map.len() >= MANY && !map.contains_key(login) {
            map.retain(|_, (_, at)| now_ms - *at < KEPT_MS);
        }
        map.insert(login.to_owned(), (place, now_ms));
    }

    /// Where a login was.
    pub fn of(&self, login: &str, now_ms: i64) -> Option<Place> {
        self.map().get(login).filter(|(_, at)| now_ms - *at < KEPT_MS).map(|(place, _)| place.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use interline_core::Seq;

    #[test]
    fn it_is_remembered_for_a_while() {
        let progress = Progress::default();
        let place = Place { conversation: Some("cnv_1".into()), seq: Seq(7) };
        progress.reached("tab", place.clone(), 1_000);
        assert_eq!(progress.of("tab", 2_000), Some(place));
        assert_eq!(progress.of("tab", 1_000 + KEPT_MS), None);
        assert_eq!(progress.of("other", 2_000), None);
        for number in 0..2 * MANY {
            progress.reached(&number.to_string(), Place::default(), 1_000 + KEPT_MS + number as i64);
        }
        assert!(!progress.map().contains_key("tab"), "what is too old is dropped");
    }
}
