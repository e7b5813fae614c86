//! The attended transfer (RFC 5589 §7): the agent is called first, and accepts; then the caller's side is asked by REFER to
//! take our place in the agent's call (Replaces). Where it cannot or will not, the two legs are joined here.

use super::invite::{Reached, reach, talk};
use super::refer::refer;
use super::{Ended, Failed, Way};
use crate::sip::leg::{Leg, Replaces, Stage};
use crate::sip::text::{escaped, reason};

pub(super) async fn run(way: &Way<'_>) -> Result<Ended, Failed> {
    let agent = match reach(way).await? {
        Reached::Agent(agent) => agent,
        Reached::Nobody(ended) => return Ok(ended),
    };
    let caller = &way.call.leg;
    let result = refer(way, refer_to(&agent)).await;
    match result {
        Ok(ended) => {
            let why = || vec![reason("Q.850", 16, "transferred")];
            // Whoever hangs up first: the agent's side hangs up on the dialog that was replaced.
            tokio::join!(caller.bye(why()), agent.bye(why()));
            Ok(ended)
        }
        Err(failed) => {
            let both_there = [caller, &agent].iter().all(|leg| leg.stage() == Stage::Up);
            if both_there {
                return talk(way, agent).await;
            }
            agent.bye(vec![reason("SIP", 487, "the transfer failed")]).await;
            Err(failed)
        }
    }
}

/// `<sip:agent@host?Replaces=…>`: the agent's own address, and our dialog there as the agent sees it.
fn refer_to(agent: &Leg) -> String {
    let dialog = agent.dialog();
    let uri = dialog.snapshot().remote_uri;
    let replaces = Replaces::of_peer(&dialog.id()).value();
    format!("<{uri}?Replaces={}&Require=replaces>", escaped(&replaces))
}
