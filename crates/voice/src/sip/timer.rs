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
    /// Nobody on the way takes a shorter one, as far as a 422 told, seconds.
    pub least: u32,
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
        self.timer(|caller| caller == Some(false))
    }

    /// What holds when we called, by the 2xx.
    pub fn as_caller(self) -> Option<Timer> {
        self.timer(|caller| caller != Some(false))
    }

    fn timer(self, ours: impl FnOnce(Option<bool>) -> bool) -> Option<Timer> {
        let Self::Interval { seconds, caller_refreshes } = self else { return None };
        Some(Timer { seconds: seconds.max(SHORTEST), ours: ours(caller_refreshes), least: SHORTEST })
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

    /// What we propose when we call.
    pub fn proposed() -> Self {
        Self { seconds: USUAL, ours: true, least: SHORTEST }
    }

    /// For an INVITE of ours. Who refreshes is for the other side to say.
    pub fn propose(self) -> Vec<Header> {
        self.asks("")
    }

    /// For a refresh of ours within the dialog, of which we are the caller whoever made the call.
    pub fn refresh(self) -> Vec<Header> {
        let mut headers = self.asks(";refresher=uac");
        headers.push(Header::Supported("timer".into()));
        headers
    }

    fn asks(self, refresher: &str) -> Vec<Header> {
        let mut headers = vec![Header::SessionExpires(format!("{}{refresher}", self.seconds).into())];
        // RFC 4028 §7.3: who told it on the way is to see that it was heard.
        if self.least > SHORTEST {
            headers.push(Header::MinSE(self.least.to_string().into()));
        }
        headers
    }

    /// Somebody on the way takes no shorter one. False: this one is not shorter, so that a 422 makes no sense.
    pub fn raise(&mut self, least: u32) -> bool {
        let raised = least > self.seconds;
        if raised {
            (self.seconds, self.least) = (least, least);
        }
        raised
    }

    /// What a 2xx to what we proposed says.
    pub fn agreed(self, asked: Asked) -> Option<Self> {
        Some(Self { least: self.least, ..asked.as_caller()? })
    }
}

/// For a 422 of ours: `Min-SE`.
pub fn too_short() -> Header {
    Header::MinSE(SHORTEST.to_string().into())
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
        let timer = |seconds, ours| Timer { seconds, ours, least: SHORTEST };
        assert_eq!(asked("1800").as_called(), Some(timer(1800, false)));
        assert_eq!(asked("1800;refresher=uas").as_called(), Some(timer(1800, true)));
        assert_eq!(asked("1800; refresher=UAC").as_caller(), Some(timer(1800, true)));
        assert_eq!(asked("1800;refresher=uas").as_caller(), Some(timer(1800, false)));
        assert_eq!(asked("x"), Asked::Nothing);
        assert!(asked("60").is_too_short() && !asked("90").is_too_short());
        assert_eq!((timer(90, true).due().as_secs(), timer(90, false).due().as_secs()), (45, 60));
        assert_eq!(timer(1800, false).due().as_secs(), 1768);
    }

    #[test]
    fn a_422_raises_it_and_a_2xx_decides() {
        let said = |timer: Timer| timer.propose().iter().map(|header| header.to_string()).collect::<Vec<_>>();
        let mut timer = Timer::proposed();
        assert_eq!(said(timer), ["Session-Expires: 1800"]);
        assert!(!timer.raise(1_800) && timer == Timer::proposed(), "nothing is raised");
        assert!(timer.raise(3_600) && !timer.raise(3_600));
        assert_eq!(said(timer), ["Session-Expires: 3600", "Min-SE: 3600"]);
        let refresh: Vec<_> = timer.refresh().iter().map(|header| header.to_string()).collect();
        assert_eq!(refresh, ["Session-Expires: 3600;refresher=uac", "Min-SE: 3600", "Supported: timer"]);
        assert_eq!(timer.agreed(Asked::Nothing), None);
        let theirs = timer.agreed(asked("7200;refresher=uas"));
        assert_eq!(theirs, Some(Timer { seconds: 7_200, ours: false, least: 3_600 }));
    }
}
