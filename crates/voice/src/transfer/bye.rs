//! The hand-back: we hang up, and say in the BYE what whoever called us needs to go on.

use super::{Doing, Ended, Failed, Method, Way};
use crate::sip::leg::Stage;
use crate::sip::text::{UuiPlace, reason};
use interline_core::conversation::call::CallLeg;
use rsipstack::sip::Header;

/// Hangs up once everything was said. What is answered to the BYE does not matter.
pub(super) async fn run(way: &Way<'_>) -> Result<Ended, Failed> {
    let leg = &way.call.leg;
    tokio::select! {
        () = way.call.spoken.quiet() => {}
        _ = leg.gone() => return Err(Failed::caller_left()),
        () = way.stop.cancelled() => return Ok(Ended::Stopped),
    }
    if leg.stage() == Stage::Early {
        way.call.answer();
    }
    if !leg.up().await {
        return Err(Failed::caller_left());
    }
    let fields = way.plan.fields.clone().and(&way.call.trunk.fields);
    let mut headers = fields.headers();
    if !fields.iter().any(|(name, _)| name.eq_ignore_ascii_case("Reason")) {
        headers.push(reason("Q.850", 16, "agent transfer"));
    }
    if let Some(uui) = way.plan.uui(way.call.trunk.uui).filter(|uui| uui.place == UuiPlace::Header) {
        headers.push(Header::Other("User-to-User".into(), uui.value));
    }
    let doing = Doing::new(way.call, CallLeg::Caller, Method::Bye, &way.call.began.from, &fields);
    leg.bye(headers).await;
    doing.came(None, "handed back");
    Ok(Ended::HandedOff)
}
