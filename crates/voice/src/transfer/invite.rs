//! The transfer by INVITE: we call the agent, and join the two legs.

use interline_media::{Bridge, Play, Playing, bridge, one_way};

use super::dial::{Early, dial};
use super::{Ended, Failed, Progress, Way};
use crate::sip::leg::{Gone, Leg, Stage};
use crate::sip::text::reason;

/// Calls, joins, and stays until one of them leaves.
pub(super) async fn run(way: &Way<'_>) -> Result<Ended, Failed> {
    let caller = &way.call.leg;
    if caller.stage() == Stage::Early {
        way.call.answer();
    }
    if !caller.up().await {
        return Err(Failed::caller_left());
    }
    let mut heard = Heard::new(way);
    let agent = {
        let progress = way.progress.clone();
        let calling = dial(way.call, way.plan, |early| match early {
            Early::Progress(step) => {
                let _ = progress.try_send(step);
            }
            Early::Media(session) => heard.early(session),
        });
        // Whoever leaves drops the INVITE, which cancels it.
        tokio::select! {
            agent = calling => agent?,
            _ = caller.gone() => return Err(Failed::caller_left()),
            () = way.stop.cancelled() => return Ok(Ended::Stopped),
        }
    };
    drop(heard);
    talk(way, &agent).await
}

async fn talk(way: &Way<'_>, agent: &Leg) -> Result<Ended, Failed> {
    let caller = &way.call.leg;
    let joined = bridge(caller.session(), agent.session());
    way.tell(Progress::Bridged).await;
    let (ended, why) = tokio::select! {
        gone = caller.gone() => match gone {
            Gone::Silent => (Ended::CallerLeft, reason("SIP", 408, "no media")),
            Gone::Left | Gone::Ended | Gone::Lost => (Ended::CallerLeft, reason("Q.850", 16, "the caller left")),
        },
        _ = agent.gone() => return Ok(Ended::AgentLeft),
        () = way.stop.cancelled() => (Ended::Stopped, reason("Q.850", 16, "the transfer is over")),
    };
    drop(joined);
    agent.bye(vec![why]).await;
    Ok(ended)
}

/// What the caller hears while it rings.
struct Heard<'a> {
    way: &'a Way<'a>,
    music: Option<Playing>,
    early: Option<Bridge>,
}

impl<'a> Heard<'a> {
    fn new(way: &'a Way<'a>) -> Self {
        let play = Play { loops: true, barge_in: false, flush: false };
        let music = way.plan.music.clone().map(|music| way.call.leg.session().play(vec![music], play));
        Self { way, music, early: None }
    }

    /// Music that somebody chose is not interrupted by the agent's ring back.
    fn early(&mut self, from: &interline_media::Session) {
        if self.music.is_none() {
            self.early = Some(one_way(from, self.way.call.leg.session()));
        }
    }
}

impl Drop for Heard<'_> {
    fn drop(&mut self) {
        if let Some(music) = &self.music {
            music.abort();
        }
    }
}
