//! Session timers (RFC 4028): whether the other side is still there.

use std::time::Duration;

use rsipstack::sip::Header;

/// The shortest interval that is taken, seconds.
pub const SHORTEST: u32 = 90;
/// The interval that we propose, seconds.
pub const USUAL: u32 = 1_800;

/// Who refreshes, and how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Timer {
    /// Without a refresh in this time the session is over, seconds.
    pub seconds: u32,
    /// The refreshes are ours.
    pub ours: bool,
}

/// What a message says of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asked {
    /// Nothing.
    Nothing,
    /// This. Who refreshes may be left open.
    Interval {
        /// Seconds.
        seconds: u32,
        /// The one who called, or the one who was called.
        caller_refreshes: Option<bool>,
    },
}

impl Asked {
    /// Reads header fields.
    pub fn of<'a>(headers: impl Iterator<Item = &'a Header>) -> Self {
        let mut value = headers.filter_map(|header| match header {
            Header::SessionExpires(value) => Some(value.value()),
            _ => None,
        });
        let Some(value) = value.next() else { return Self::Nothing };
        let mut parts = value.split(';');
        let Some(seconds) = parts.next().and_then(|seconds| seconds.trim().parse().ok()) else {
            return Self::Nothing;
        };
        let refresher =
            parts.find_map(|part| part.trim().strip_prefix("refresher=").map(str::to_ascii_lowercase));
        let caller_refreshes = refresher.map(|who| who == "uac");
        Self::Interval { seconds, caller_refreshes }
    }

    /// What holds when we are the one who was called.
    pub fn as_called(self) -> Option<Timer> {
        match self {
            Self::Nothing => None,
            Self::Interval { seconds, caller_refreshes } => {
                Some(Timer { seconds: seconds.max(SHORTEST), ours: caller_refreshes == Some(false) })
            }
        }
    }

    /// What holds when we called, by the 2xx.
    pub fn as_caller(self) -> Option<Timer> {
        match self {
            Self::Nothing => None,
            Self::Interval { seconds, caller_refreshes } => {
                Some(Timer { seconds: seconds.max(SHORTEST), ours: caller_refreshes != Some(false) })
            }
        }
    }

    /// It is shorter than we take.
    pub fn is_too_short(self) -> bool {
        matches!(self, Self::Interval { seconds, .. } if seconds < SHORTEST)
    }
}

impl Timer {
    /// After so long something is due: a refresh of ours, or the end.
    pub fn due(self) -> Duration {
        let seconds = if self.ours { self.seconds / 2 } else { self.seconds - (self.seconds / 3).min(32) };
        Duration::from_secs(seconds.into())
    }

    /// For a 2xx to whoever called us.
    pub fn answer(self) -> Vec<Header> {
        let refresher = if self.ours { "uas" } else { "uac" };
        let mut headers =
            vec![Header::SessionExpires(format!("{};refresher={refresher}", self.seconds).into())];
        if !self.ours {
            headers.push(Header::Require("timer".into()));
        }
        headers
    }

    /// For a refresh of ours within the dialog, of which we are the caller whoever made the call.
    pub fn refresh(self) -> Vec<Header> {
        vec![
            Header::SessionExpires(format!("{};refresher=uac", self.seconds).into()),
            Header::Supported("timer".into()),
        ]
    }
}

/// `Min-SE`, seconds.
pub fn least<'a>(mut headers: impl Iterator<Item = &'a Header>) -> Option<u32> {
    headers.find_map(|header| match header {
        Header::MinSE(value) => value.value().split(';').next()?.trim().parse().ok(),
        _ => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked(value: &str) -> Asked {
        Asked::of([Header::SessionExpires(value.into())].iter())
    }

    #[test]
    fn who_refreshes_and_when() {
        assert_eq!(asked("1800").as_called(), Some(Timer { seconds: 1800, ours: false }));
        assert_eq!(asked("1800;refresher=uas").as_called(), Some(Timer { seconds: 1800, ours: true }));
        assert_eq!(asked("1800; refresher=UAC").as_caller(), Some(Timer { seconds: 1800, ours: true }));
        assert_eq!(asked("1800;refresher=uas").as_caller(), Some(Timer { seconds: 1800, ours: false }));
        assert_eq!(asked("x"), Asked::Nothing);
        assert!(asked("60").is_too_short() && !asked("90").is_too_short());
        let timer = |ours| Timer { seconds: 90, ours };
        assert_eq!((timer(true).due().as_secs(), timer(false).due().as_secs()), (45, 60));
        assert_eq!(Timer { seconds: 1800, ours: false }.due().as_secs(), 1768);
    }
}
