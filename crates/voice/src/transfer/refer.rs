//! The transfer by REFER: the caller's side is asked to call the agent (RFC 3515, RFC 5589).
//!
//! A 2xx only says that it will be tried. How it went, the final NOTIFY tells; or the caller's side hangs up, which after a
//! 2xx means that it is busy elsewhere. Silence is decided by the plan.

use interline_core::conversation::call::CallLeg;
use rsipstack::sip::{Header, Response};
use tokio::sync::mpsc;
use tokio::time::{Instant, sleep_until};

use super::{Doing, Ended, Failed, Method, NoNews, Phase, Progress, Way};
use crate::sip::frag::News;
use crate::sip::leg::{Gone, Stage};
use crate::sip::text::{UuiPlace, clean, escaped, reason};
use crate::target::read;

/// Asks, and waits for what comes of it.
pub(super) async fn run(way: &Way<'_>) -> Result<Ended, Failed> {
    let (call, leg) = (way.call, &way.call.leg);
    let to = refer_to(way)?;
    if leg.stage() == Stage::Early {
        call.answer();
    }
    if !leg.up().await {
        return Err(Failed::caller_left());
    }
    tokio::select! {
        () = call.spoken.quiet() => {}
        _ = leg.gone() => return Err(Failed::caller_left()),
        () = way.stop.cancelled() => return Ok(Ended::Stopped),
    }
    let result = refer(way, to).await;
    if result == Ok(Ended::HandedOff) {
        // Whoever hangs up first.
        leg.bye(vec![reason("Q.850", 16, "transferred")]).await;
    }
    result
}

/// Asks the caller's side to call somebody, and waits for what comes of it.
pub(super) async fn refer(way: &Way<'_>, to: String) -> Result<Ended, Failed> {
    let leg = &way.call.leg;
    let fields = way.plan.fields.clone().and(&way.call.trunk.fields);
    let doing = Doing::new(way.call, CallLeg::Caller, Method::Refer, &to, &fields);
    let result = tokio::select! {
        asked = leg.refer(to, headers(way)) => came_of_it(way, asked).await,
        _ = leg.gone() => Err(Failed::caller_left()),
    };
    leg.no_more_news();
    match &result {
        Ok(ended) => doing.came(None, if *ended == Ended::HandedOff { "handed off" } else { "ended" }),
        Err(failed) => doing.came(Some(failed.code), &failed.typed().code.unwrap_or_default()),
    }
    result
}

async fn came_of_it(way: &Way<'_>, asked: (mpsc::Receiver<News>, Option<Response>)) -> Result<Ended, Failed> {
    let (mut news, response) = asked;
    let code = response.as_ref().map_or(408, |response| response.status_code.code());
    match code {
        200..=299 => {}
        // The other side knows nothing of this call any more.
        408 | 481 => {
            way.call.leg.bye(vec![reason("SIP", code, "no answer to REFER")]).await;
            return Err(Failed::by(Phase::Refer, code));
        }
        code => return Err(Failed::by(Phase::Refer, code)),
    }
    way.tell(Progress::Ringing).await;
    let silent =
        |header: &Header| header.name().eq_ignore_ascii_case("Refer-Sub") && header.value().trim() == "false";
    if response.is_some_and(|response| response.headers.iter().any(silent)) {
        return Ok(Ended::HandedOff);
    }
    let began = Instant::now();
    let mut until = began + way.plan.patience.first_news;
    loop {
        tokio::select! {
            biased;
            told = news.recv() => match told {
                Some(told) if told.is_final() => return decided(told),
                Some(_) => until = began + way.plan.patience.last_news,
                // Nobody listens any more: the leg is gone.
                None => return left(way.call.leg.gone().await),
            },
            gone = way.call.leg.gone() => return left(gone),
            () = sleep_until(until) => return after_silence(way.plan.no_news),
            () = way.stop.cancelled() => return Ok(Ended::Stopped),
        }
    }
}

/// After a 2xx, whoever hangs up is busy elsewhere.
fn left(gone: Gone) -> Result<Ended, Failed> {
    match gone {
        Gone::Left => Ok(Ended::HandedOff),
        Gone::Ended | Gone::Silent | Gone::Lost => Err(Failed::caller_left()),
    }
}

fn decided(news: News) -> Result<Ended, Failed> {
    match news.code {
        Some(200..=299) => Ok(Ended::HandedOff),
        Some(code @ 300..) => Err(Failed::by(Phase::Notify, code)),
        // It ended before it was decided.
        Some(_) | None => Err(Failed::silence()),
    }
}

fn after_silence(policy: NoNews) -> Result<Ended, Failed> {
    match policy {
        NoNews::Done => Ok(Ended::HandedOff),
        NoNews::Failed => Err(Failed::silence()),
    }
}

/// `<sip:agent@host?User-to-User=…>`.
fn refer_to(way: &Way<'_>) -> Result<String, Failed> {
    let (call, refused) = (way.call, Failed::by(Phase::Target, 403));
    let target = way.plan.targets.first().ok_or_else(|| refused.clone())?;
    // A `tel:` is for the caller's side to read.
    let uri = if target.starts_with("tel:") {
        clean(target)
    } else {
        way.plan.target(call, target).map_err(|_| refused)?.to_string()
    };
    Ok(match way.plan.uui(call.trunk.uui) {
        Some(uui) if uui.place == UuiPlace::ReferTo => {
            let joint = if uri.contains('?') { '&' } else { '?' };
            format!("<{uri}{joint}User-to-User={}>", escaped(&uui.value))
        }
        _ => format!("<{uri}>"),
    })
}

/// What a REFER says beside whom to call.
fn headers(way: &Way<'_>) -> Vec<Header> {
    let call = way.call;
    let by = way.plan.referred_by.as_deref().and_then(|by| read(by, Some(&call.home())).ok());
    let by = by.map_or_else(|| call.began.called.to_string(), |by| by.to_string());
    let mut headers =
        vec![Header::ReferredBy(format!("<{by}>").into()), Header::Supported("norefersub".into())];
    if let Some(uui) = way.plan.uui(call.trunk.uui).filter(|uui| uui.place == UuiPlace::Header) {
        headers.push(Header::Other("User-to-User".into(), uui.value));
    }
    headers.extend(way.plan.fields.clone().and(&call.trunk.fields).headers());
    headers
}
