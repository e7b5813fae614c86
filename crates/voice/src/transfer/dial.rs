//! Calls somebody, until somebody answers.
//!
//! ```text
//!   next target ─► INVITE ─┬─ 2xx ──────────► a leg that is up
//!       ▲                  ├─ 3xx ──────────► its contacts come next, if the plan follows
//!       │                  ├─ 422 ──────────► once more, with a longer session interval
//!       │                  ├─ 488, 415 ─────► once more, with all we can
//!       └──────────────────┼─ 503 ──────────► the next target
//!                          └─ else, time-out ► failed
//! ```

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use interline_core::conversation::call::CallLeg;
use interline_media::{Codec, Session, Srtp};
use rsipstack::dialog::DialogId;
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::DialogState;
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::sip::{Auth, Header, Param, Response, Transport, Uri};
use secrecy::ExposeSecret as _;
use tokio::time::{Instant, sleep_until};

use super::{Doing, Failed, Method, Phase, Plan, Progress};
use crate::call::Call;
use crate::gate::check::split;
use crate::gate::{ALLOW, SUPPORTED};
use crate::sip::edge::{Dialing, Edge};
use crate::sip::ladder::{Ladders, Party};
use crate::sip::leg::{Leg, Parts};
use crate::sip::long::{is_long, takes_tcp};
use crate::sip::text::{UuiPlace, reason};
use crate::sip::timer::{Asked, Timer, least};
use crate::target::{Found, find, is_trusted};
use crate::trunk::Digits;

/// So many targets are tried, those of redirections among them.
const MOST_TARGETS: usize = 6;
/// So long the first word of one address is waited for, where there is another: four datagrams.
const SIGN_OF_LIFE: Duration = Duration::from_secs(4);
/// A cancelled INVITE is waited for so long, so that an answer that crosses is met.
const CROSSING: Duration = Duration::from_secs(40);

/// What is heard while it rings.
pub(super) enum Early<'a> {
    /// Something.
    Progress(Progress),
    /// The agent's side lets something be heard.
    Media(&'a Session),
}

/// Calls the targets one after the other.
///
/// # Errors
/// Nobody answered. The failure is the last one that was met.
pub(super) async fn dial(call: &Call, plan: &Plan, mut early: impl FnMut(Early<'_>)) -> Result<Leg, Failed> {
    let until = Instant::now() + plan.patience.ring;
    let mut targets: VecDeque<Uri> = VecDeque::new();
    let mut refused = Failed::by(Phase::Target, 403);
    for text in &plan.targets {
        targets.extend(plan.target(call, text).ok());
    }
    let mut tried: Vec<Uri> = Vec::new();
    let mut terms = Terms {
        codecs: call.trunk.codecs.clone(),
        srtp: call.trunk.media(None).srtp,
        softened: false,
        timer: Timer::proposed(),
    };
    while let Some(uri) = targets.pop_front() {
        tried.push(uri.clone());
        match once(call, plan, &uri, &terms, until, &mut early).await {
            Ok(leg) => return Ok(leg),
            Err(Unanswered::Failed(failed)) => return Err(failed),
            // Somebody else may be there.
            Err(Unanswered::Lost(failed)) => refused = failed,
            Err(Unanswered::TooLong) => {}
            Err(Unanswered::Response(response)) => {
                let code = response.status_code.code();
                refused = Failed::by(Phase::Invite, code);
                match code {
                    300..=399 if plan.follows && tried.len() < MOST_TARGETS => {
                        let next = contacts(call, plan, &response, &tried);
                        for uri in next.into_iter().rev() {
                            targets.push_front(uri);
                        }
                    }
                    415 | 488 if !terms.softened && terms.soften() => targets.push_front(uri),
                    422 if tried.len() < MOST_TARGETS && terms.lengthen(&response) => targets.push_front(uri),
                    503 => {}
                    _ => return Err(refused),
                }
            }
        }
    }
    Err(refused)
}

/// What an offer says.
struct Terms {
    codecs: Vec<Codec>,
    srtp: Srtp,
    softened: bool,
    /// The session interval that is proposed.
    timer: Timer,
}

impl Terms {
    /// Proposes the session interval that a 422 asks for. False: it asks for none that is longer.
    fn lengthen(&mut self, refusal: &Response) -> bool {
        least(refusal.headers.iter()).is_some_and(|least| self.timer.raise(least))
    }

    /// Offers all that is allowed. False: it was offered already.
    fn soften(&mut self) -> bool {
        self.softened = true;
        let all = vec![Codec::Pcma, Codec::Pcmu];
        let plain = self.srtp == Srtp::Optional;
        let changes = plain || all.iter().any(|codec| !self.codecs.contains(codec));
        if plain {
            self.srtp = Srtp::Off;
        }
        self.codecs = all;
        changes
    }
}

/// What is waited for.
#[derive(Clone, Copy)]
struct Waits {
    /// An answer, until then.
    until: Instant,
    /// Any response, so long. None: as long as for an answer.
    sign: Option<Duration>,
}

enum Unanswered {
    Failed(Failed),
    /// Nothing was heard of it.
    Lost(Failed),
    /// It was not sent: it is too long for a datagram.
    TooLong,
    Response(Box<Response>),
}

async fn once(
    call: &Call,
    plan: &Plan,
    uri: &Uri,
    terms: &Terms,
    until: Instant,
    early: &mut impl FnMut(Early<'_>),
) -> Result<Leg, Unanswered> {
    let found = find(uri, call.trunk.transport, is_trusted(uri, &plan.guard)).await;
    let mut failed = Unanswered::Failed(Failed::by(Phase::Target, 502));
    let mut next: VecDeque<Found> = found.unwrap_or_default().into();
    while let Some(found) = next.pop_front() {
        let sign = (!next.is_empty()).then_some(SIGN_OF_LIFE);
        failed = match at(call, plan, uri, terms, &found, Waits { until, sign }, early).await {
            Ok(leg) => return Ok(leg),
            // RFC 3261 §18.1.1: by TCP, and if nobody is there, by UDP nevertheless.
            Err(Unanswered::TooLong) => {
                let transport = if takes_tcp(found.at).await { Transport::Tcp } else { Transport::Udp };
                next.push_front(Found { fixed: true, transport, ..found });
                continue;
            }
            // RFC 3263 §4.3: the next address, where this one does not answer or does not want.
            Err(Unanswered::Lost(failed)) => Unanswered::Lost(failed),
            Err(Unanswered::Response(response)) if response.status_code.code() == 503 => {
                Unanswered::Response(response)
            }
            Err(other) => return Err(other),
        };
    }
    Err(failed)
}

/// Calls a target at one of its addresses.
async fn at(
    call: &Call,
    plan: &Plan,
    uri: &Uri,
    terms: &Terms,
    found: &Found,
    waits: Waits,
    early: &mut impl FnMut(Early<'_>),
) -> Result<Leg, Unanswered> {
    let fail = |failed| Err(Unanswered::Failed(failed));
    call.edge.health.know(uri, found);
    if call.edge.health.is_dead(found) {
        return Err(Unanswered::Lost(Failed::by(Phase::Target, 408)));
    }
    if !call.edge.reaches(found) {
        return Err(Unanswered::Lost(Failed::by(Phase::Target, 502)));
    }
    let transport = found.transport;
    let contact = call.edge.contact(transport, found.at.ip());
    let local = match contact.host_with_port.host {
        rsipstack::sip::Host::IpAddr(ip) => Some(ip),
        rsipstack::sip::Host::Domain(_) => None,
    };
    let mut options = call.trunk.media(local);
    (options.codecs, options.srtp) = (terms.codecs.clone(), terms.srtp);
    let Ok(session) = call.media.session(options) else { return fail(Failed::by(Phase::Target, 503)) };
    let Some(headers) = headers(call, plan, terms.timer) else {
        return fail(Failed::by(Phase::Target, 483));
    };
    let offer = session.offer().into_bytes();
    let is_long = is_long(2 * uri.to_string().len(), &headers, offer.len());
    if is_long && transport == Transport::Udp && !found.fixed {
        return Err(Unanswered::TooLong);
    }
    let call_id = uuid::Uuid::new_v4().to_string();
    call.edge.ladders.follow(&call_id, &call.ladder, Party::Agent);
    let destination = call.edge.destination(found);
    let option = InviteOption {
        caller_display_name: plan.caller_id.is_none().then(|| call.began.name.clone()).flatten(),
        caller: caller(call, plan, &contact),
        callee: uri.clone(),
        destination: Some(destination),
        offer: Some(offer),
        contact,
        credential: call.trunk.account.as_ref().map(|account| Credential {
            username: account.username.clone(),
            password: account.password.expose_secret().to_owned(),
            realm: None,
            auth_username: None,
        }),
        headers: Some(headers),
        support_prack: true,
        call_id: Some(call_id.clone()),
        ..InviteOption::default()
    };
    let Ok(dialing) = call.edge.invite(option) else {
        call.edge.ladders.forget(&call_id);
        return fail(Failed::by(Phase::Target, 400));
    };
    let ringing = Ringing::new(dialing, call_id, call.edge.clone());
    let fields = plan.fields.clone().and(&call.trunk.fields);
    let doing = Doing::new(call, CallLeg::Agent, Method::Invite, &uri.to_string(), &fields);
    let result = answered(ringing, session, waits, terms.timer, (call, plan), early).await;
    match &result {
        Ok(_) => doing.came(Some(200), "answered"),
        Err(Unanswered::Response(response)) => doing.came(Some(response.status_code.code()), "refused"),
        Err(Unanswered::Failed(failed)) => doing.came(Some(failed.code), "not answered"),
        Err(Unanswered::Lost(_) | Unanswered::TooLong) => doing.came(None, "not reached"),
    }
    result
}

/// An INVITE without a final response. Dropped, it is cancelled, and cleaned up after.
struct Ringing {
    dialing: Option<Dialing>,
    call_id: String,
    edge: Arc<Edge>,
}

impl Ringing {
    fn new(dialing: Dialing, call_id: String, edge: Arc<Edge>) -> Self {
        Self { dialing: Some(dialing), call_id, edge }
    }
}

impl Drop for Ringing {
    fn drop(&mut self) {
        let Some(Dialing { dialog, mut states, answer }) = self.dialing.take() else { return };
        let (edge, call_id) = (self.edge.clone(), std::mem::take(&mut self.call_id));
        tokio::spawn(async move {
            let stop = answer.abort_handle();
            let over = async {
                let cancelled = dialog.cancel();
                // An answer that crosses is acknowledged and ended by the stack.
                let (_, _) = tokio::join!(cancelled, answer);
                states.close();
            };
            if tokio::time::timeout(CROSSING, over).await.is_err() {
                stop.abort();
            }
            edge.layer.remove_dialog(&dialog.id());
            Ladders::forget(&edge.ladders, &call_id);
        });
    }
}

async fn answered(
    mut ringing: Ringing,
    session: Session,
    waits: Waits,
    proposed: Timer,
    (call, plan): (&Call, &Plan),
    early: &mut impl FnMut(Early<'_>),
) -> Result<Leg, Unanswered> {
    let lost = || Unanswered::Lost(Failed::by(Phase::Invite, 502));
    let (mut rings, mut heard, mut behind) = (false, false, Vec::new());
    let mut silent_until = waits.sign.map(|sign| Instant::now() + sign);
    let outcome = loop {
        let Some(Dialing { states, answer, .. }) = &mut ringing.dialing else { return Err(lost()) };
        tokio::select! {
            outcome = answer => break outcome,
            Some(state) = states.recv() => {
                if matches!(state, DialogState::Trying(_) | DialogState::Early(..)) {
                    silent_until = None;
                }
                let DialogState::Early(_, response) = state else {
                    behind.push(state);
                    continue;
                };
                if !std::mem::replace(&mut rings, true) {
                    early(Early::Progress(Progress::Ringing));
                }
                let body = String::from_utf8_lossy(&response.body);
                if !body.is_empty() && session.accept(&body).is_ok() && !std::mem::replace(&mut heard, true) {
                    early(Early::Media(&session));
                }
            }
            () = sleep_until(silent_until.unwrap_or(waits.until).min(waits.until)) => {
                return Err(match silent_until.filter(|silent| *silent < waits.until) {
                    Some(_) => Unanswered::Lost(Failed::by(Phase::Invite, 408)),
                    None => Unanswered::Failed(Failed::no_answer()),
                });
            }
        }
    };
    let Some(Dialing { dialog, states, .. }) = ringing.dialing.take() else { return Err(lost()) };
    let (edge, call_id) = (ringing.edge.clone(), std::mem::take(&mut ringing.call_id));
    let response = match outcome {
        Ok(Ok((_, Some(response)))) => response,
        Ok(Ok((_, None)) | Err(_)) | Err(_) => {
            over(&edge, &dialog.id(), &call_id);
            return Err(lost());
        }
    };
    if response.status_code.code() / 100 != 2 {
        over(&edge, &dialog.id(), &call_id);
        return Err(Unanswered::Response(Box::new(response)));
    }
    let body = String::from_utf8_lossy(&response.body).into_owned();
    // What was agreed with early media may stand in the 2xx again, or not at all.
    let usable = if body.is_empty() { heard } else { session.accept(&body).is_ok() };
    let timer = proposed.agreed(Asked::of(response.headers.iter()));
    let leg = Leg::new(Parts {
        edge,
        call_id,
        dialog,
        behind,
        states,
        session,
        account: call.trunk.account.clone(),
        info_digits: call.trunk.digits == Digits::Info,
        up: true,
        // Who hears a briefing first has nobody to transfer yet.
        refers: plan.onward && plan.whisper.is_none(),
        timer,
    });
    if !usable {
        leg.bye(vec![reason("SIP", 488, "no usable answer")]).await;
        return Err(Unanswered::Failed(Failed::by(Phase::Invite, 488)));
    }
    Ok(leg)
}

fn over(edge: &Edge, id: &DialogId, call_id: &str) {
    edge.layer.remove_dialog(id);
    edge.ladders.forget(call_id);
}

/// The targets that a 3xx names, the best first: those that the trunk allows, and that were not tried.
fn contacts(call: &Call, plan: &Plan, response: &Response, tried: &[Uri]) -> Vec<Uri> {
    let lines =
        response.headers.iter().filter(|header| matches!(header, Header::Contact(_))).map(Header::value);
    let mut found: Vec<(f32, Uri)> = Vec::new();
    for contact in lines.flat_map(|line| split(line, ',')) {
        let (uri, rest) = match contact.split_once('<').and_then(|(_, rest)| rest.split_once('>')) {
            Some((uri, rest)) => (uri, rest),
            None => contact.split_once(';').unwrap_or((contact, "")),
        };
        let weight =
            rest.split(';').find_map(|part| part.trim().strip_prefix("q=")?.parse().ok()).unwrap_or(1.0);
        if let Ok(uri) = plan.target(call, uri)
            && !tried.iter().any(|known| is_same(known, &uri))
        {
            found.push((weight, uri));
        }
    }
    found.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    found.truncate(MOST_TARGETS);
    found.into_iter().map(|(_, uri)| uri).collect()
}

/// Whether two name the same: parameters, as of transport, lead to no other.
fn is_same(one: &Uri, other: &Uri) -> bool {
    one.user() == other.user() && one.host_with_port == other.host_with_port
}

/// Who seems to call: the plan's caller id, or the caller; at our own address.
fn caller(call: &Call, plan: &Plan, contact: &Uri) -> Uri {
    let user = plan.caller_id.as_deref().unwrap_or(&call.began.from);
    let user = user.strip_prefix("sip:").and_then(|rest| rest.split('@').next()).unwrap_or(user);
    let user: String =
        crate::sip::text::clean(user).chars().filter(|letter| !letter.is_whitespace()).collect();
    let params: Vec<Param> = Vec::new();
    let auth = Some(Auth { user, password: None });
    Uri { auth, params, headers: Vec::new(), ..contact.clone() }
}

/// None: it was forwarded too often.
fn headers(call: &Call, plan: &Plan, timer: Timer) -> Option<Vec<Header>> {
    let forwards = call.began.forwards.checked_sub(1).filter(|left| *left > 0)?;
    let mut headers = vec![
        Header::MaxForwards(forwards.min(70).into()),
        Header::Allow(ALLOW.into()),
        Header::Supported(SUPPORTED.into()),
    ];
    headers.extend(timer.propose());
    if let Some(uui) = plan.uui(call.trunk.uui).filter(|uui| uui.place != UuiPlace::Off) {
        headers.push(Header::Other("User-to-User".into(), uui.value));
    }
    if let Some(replaces) = &plan.replaces {
        headers.push(Header::Replaces(replaces.value().into()));
        headers.push(Header::Require("replaces".into()));
    }
    headers.extend(plan.fields.clone().and(&call.trunk.fields).headers());
    Some(headers)
}
