//! What a failure does to a participant's cursor: the one table.
//!
//! | failure | cursor | who learns it |
//! |---|---|---|
//! | Retry: nothing was done | stays | stalled after 60 s: the transfer and the operator |
//! | Uncertain, dedupe by key | stays, same key | stalled after 60 s |
//! | Uncertain, dedupe none | passes, marked unconfirmed | the operator |
//! | Refused | passes | the speaker; on Open the rung fails |
//! | Unauthorized, Bug | stays | stalled after 60 s |
//! | Gone | the participant is closed | AgentLost → ladder |

use interline_connector::Failure;
use interline_connector::manifest::Dedupe;
use interline_core::conversation::input::DeliveryResult;

/// A participant that fails for so long is reported as stalled, milliseconds.
pub const STALLED_AFTER_MS: i64 = 60_000;
/// The first retry comes within this, milliseconds; each further one within twice as much.
const FIRST_RETRY_MS: u64 = 1_000;
/// No two retries lie further apart than this, milliseconds.
const LAST_RETRY_MS: u64 = 300_000;

/// What happens to the cursor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cursor {
    /// Not before so many milliseconds the same entry is tried again.
    Stays {
        /// From now.
        retry_in_ms: u64,
    },
    /// The next entry's turn.
    Passes,
    /// Nothing goes there any more.
    Closes,
}

/// What follows from a failure.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// What happens to the cursor.
    pub cursor: Cursor,
    /// What the domain is told.
    pub tell: Option<DeliveryResult>,
}

/// Decides. `attempts` failed before this one; `failing_for_ms` since the first of them; `reported`: stalled was told.
/// `random` is the only randomness (full jitter).
pub fn verdict(
    failure: &Failure,
    dedupe: Dedupe,
    attempts: i64,
    failing_for_ms: i64,
    reported: bool,
    random: u64,
) -> Verdict {
    let typed = failure.cause().typed();
    let stays = |after_ms: Option<u64>| {
        let ceiling = u32::try_from(attempts)
            .ok()
            .and_then(|attempts| FIRST_RETRY_MS.checked_shl(attempts.min(20)))
            .unwrap_or(LAST_RETRY_MS)
            .clamp(FIRST_RETRY_MS, LAST_RETRY_MS);
        // Not all at once after an outage: anywhere up to the ceiling, but never at once, and not before the vendor said.
        let jittered = (random % ceiling).max(50);
        let retry_in_ms = after_ms.map_or(jittered, |after| after + jittered.min(FIRST_RETRY_MS));
        let stalled = failing_for_ms >= STALLED_AFTER_MS && !reported;
        Verdict {
            cursor: Cursor::Stays { retry_in_ms },
            tell: stalled.then(|| DeliveryResult::Stalled(typed.clone())),
        }
    };
    match failure {
        Failure::Retry { after_ms, .. } => stays(*after_ms),
        Failure::Unauthorized(_) | Failure::Bug(_) => stays(None),
        Failure::Uncertain(_) => match dedupe {
            Dedupe::ByKey => stays(None),
            Dedupe::None => {
                Verdict { cursor: Cursor::Passes, tell: Some(DeliveryResult::Unconfirmed(typed)) }
            }
        },
        Failure::Refused(_) => Verdict { cursor: Cursor::Passes, tell: Some(DeliveryResult::Refused(typed)) },
        Failure::Gone(_) => Verdict { cursor: Cursor::Closes, tell: Some(DeliveryResult::Gone(typed)) },
    }
}

#[cfg(test)]
mod tests {
    use interline_connector::Cause;
    use interline_core::transfer::Reason;

    use super::*;

    fn cause() -> Cause {
        Cause::new(Reason::Unreachable, "x")
    }

    #[test]
    fn the_table() {
        let decide = |failure: &Failure, dedupe| verdict(failure, dedupe, 0, 0, false, 7);
        let stays =
            |verdict: Verdict| matches!(verdict.cursor, Cursor::Stays { .. }) && verdict.tell.is_none();
        let retry = Failure::Retry { after_ms: None, cause: cause() };
        assert!(stays(decide(&retry, Dedupe::None)));
        assert!(stays(decide(&Failure::Unauthorized(cause()), Dedupe::None)));
        assert!(stays(decide(&Failure::Bug(cause()), Dedupe::ByKey)));
        assert!(stays(decide(&Failure::Uncertain(cause()), Dedupe::ByKey)));
        let passes = decide(&Failure::Uncertain(cause()), Dedupe::None);
        assert_eq!(passes.cursor, Cursor::Passes);
        assert!(matches!(passes.tell, Some(DeliveryResult::Unconfirmed(_))));
        let refused = decide(&Failure::Refused(cause()), Dedupe::ByKey);
        assert!(refused.cursor == Cursor::Passes && matches!(refused.tell, Some(DeliveryResult::Refused(_))));
        let gone = decide(&Failure::Gone(cause()), Dedupe::ByKey);
        assert!(gone.cursor == Cursor::Closes && matches!(gone.tell, Some(DeliveryResult::Gone(_))));
    }

    #[test]
    fn stalled_is_told_once_after_a_minute() {
        let retry = Failure::Retry { after_ms: None, cause: cause() };
        assert_eq!(verdict(&retry, Dedupe::None, 9, STALLED_AFTER_MS - 1, false, 7).tell, None);
        assert!(verdict(&retry, Dedupe::None, 9, STALLED_AFTER_MS, false, 7).tell.is_some());
        assert_eq!(verdict(&retry, Dedupe::None, 9, STALLED_AFTER_MS, true, 7).tell, None);
    }

    #[test]
    fn retries_spread_out_and_respect_the_vendor() {
        for attempts in 0..100 {
            for random in [0, 1, u64::MAX, 299_999] {
                let retry = Failure::Retry { after_ms: None, cause: cause() };
                let Cursor::Stays { retry_in_ms } =
                    verdict(&retry, Dedupe::None, attempts, 0, false, random).cursor
                else {
                    panic!("a retry moved the cursor");
                };
                assert!((50..=LAST_RETRY_MS).contains(&retry_in_ms), "{retry_in_ms}");
            }
        }
        let told = Failure::Retry { after_ms: Some(20_000), cause: cause() };
        let Cursor::Stays { retry_in_ms } = verdict(&told, Dedupe::None, 0, 0, false, 0).cursor else {
            panic!("a retry moved the cursor");
        };
        assert!(retry_in_ms >= 20_000);
    }
}
