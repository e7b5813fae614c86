//! The transfer by INVITE: we call the agent, and join the two legs.

use interline_core::conversation::call::CallLeg;
use interline_media::{Bridge, Play, Playing, bridge, one_way};
use tokio::sync::mpsc;

use super::dial::{Early, dial};
use super::{Doing, Ended, Failed, Method, Phase, Progress, Way, Whisper, onward};
use crate::sip::leg::{Gone, Leg, Referred, Stage};
use crate::sip::text::{Fields, reason};

/// Calls, joins, and stays until one of them leaves.
pub(super) async fn run(way: &Way<'_>) -> Result<Ended, Failed> {
    match reach(way).await? {
        Reached::Agent(agent) => talk(way, agent).await,
        Reached::Nobody(ended) => Ok(ended),
    }
}

/// Who was reached.
pub(super) enum Reached {
    /// An agent, who accepted if that is asked for.
    Agent(Leg),
    /// It ended before.
    Nobody(Ended),
}

/// Calls, and lets the agent accept.
pub(super) async fn reach(way: &Way<'_>) -> Result<Reached, Failed> {
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
            () = way.stop.cancelled() => return Ok(Reached::Nobody(Ended::Stopped)),
        }
    };
    if let Some(whisper) = &way.plan.whisper
        && let Some(ended) = accepts(way, &agent, whisper).await?
    {
        return Ok(Reached::Nobody(ended));
    }
    Ok(Reached::Agent(agent))
}

/// The agent hears what it is about, and decides by a key. None: it accepted.
async fn accepts(way: &Way<'_>, agent: &Leg, whisper: &Whisper) -> Result<Option<Ended>, Failed> {
    let mut keys = agent.digits();
    let play = Play { loops: false, barge_in: true, flush: false };
    let said = agent.session().play(whisper.prompts.clone(), play).done();
    let decides = async {
        tokio::select! {
            key = keys.recv() => return key,
            _ = said => {}
        }
        tokio::time::timeout(whisper.patience, keys.recv()).await.ok().flatten()
    };
    tokio::select! {
        key = decides => if key == Some(whisper.accept) {
            return Ok(None);
        },
        _ = agent.gone() => return Err(Failed::by(Phase::Invite, 603)),
        _ = way.call.leg.gone() => {
            agent.bye(vec![reason("SIP", 487, "the caller left")]).await;
            return Err(Failed::caller_left());
        }
        () = way.stop.cancelled() => {
            agent.bye(vec![reason("Q.850", 16, "the transfer is over")]).await;
            return Ok(Some(Ended::Stopped));
        }
    }
    agent.bye(vec![reason("SIP", 603, "not accepted")]).await;
    Err(Failed::by(Phase::Invite, 603))
}

/// Joins them, until one of them leaves.
pub(super) async fn talk(way: &Way<'_>, mut agent: Leg) -> Result<Ended, Failed> {
    let caller = &way.call.leg;
    let with = agent.dialog().snapshot().remote_uri.to_string();
    let doing = Doing::new(way.call, CallLeg::Agent, Method::Bye, &with, &Fields::default());
    // Whoever is there is heard at once, and not after "I am connecting you".
    caller.session().abort();
    way.tell(Progress::Bridged).await;
    let (ended, why) = loop {
        let _joined = bridge(caller.session(), agent.session());
        // Without a listener a REFER is refused: the agent may do it only where the plan says so.
        let mut refers = way.plan.onward.then(|| agent.refers());
        tokio::select! {
            gone = caller.gone() => break match gone {
                Gone::Silent => (Ended::CallerLeft, reason("SIP", 408, "no media")),
                Gone::Left | Gone::Ended | Gone::Lost => (Ended::CallerLeft, reason("Q.850", 16, "the caller left")),
            },
            gone = agent.gone() => {
                doing.came(None, &gone.in_words("the agent"));
                return Ok(Ended::AgentLeft);
            }
            () = way.stop.cancelled() => break (Ended::Stopped, reason("Q.850", 16, "the transfer is over")),
            referred = asked(&mut refers) => {
                if let Some(next) = onward::run(way, &agent, referred).await {
                    agent = next;
                }
            }
        }
    };
    agent.bye(vec![why]).await;
    doing.came(None, Gone::Ended.in_words("the agent").as_str());
    Ok(ended)
}

async fn asked(refers: &mut Option<mpsc::Receiver<Referred>>) -> Referred {
    match refers {
        Some(refers) => match refers.recv().await {
            Some(referred) => referred,
            None => std::future::pending().await,
        },
        None => std::future::pending().await,
    }
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
