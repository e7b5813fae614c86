//! The gateway of this process: listeners, trunks and living calls. Channel and agent system share it.
//!
//! ```text
//!   INVITE ─► whose trunk? ─► who are they? ─► session ─► Call ─► its reception
//!               403, 404         401           488, 503
//! ```

use std::collections::HashMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use interline_media::{Media, Session};
use rsipstack::sip::{Header, Host, Request, Transport};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio_util::sync::CancellationToken;

use crate::call::{Began, Body, Call};
use crate::gate::check::is_sdp;
use crate::gate::raw::Raw;
use crate::gate::{Door, Refusal};
use crate::queue::Queue;
use crate::sip::digest::{Challenger, Proof};
use crate::sip::edge::{Desk, Edge, Invited, LATE, Listen};
use crate::sip::ladder::{Ladder, Party};
use crate::sip::leg::{Leg, Parts, Replaces};
use crate::sip::timer::{Asked, too_short};
use crate::trunk::{Digits, Trunk};

/// What callers that have to prove who they are see as realm.
const REALM: &str = "interline";
/// Whom we turn away for want of room may come back after so long, seconds.
const RETRY_AFTER: &str = "2";

/// Who gets the calls of a trunk.
#[async_trait]
pub trait Reception: Send + Sync + 'static {
    /// How well a dialled number fits: None: it leads nowhere; a larger number is a better fit.
    fn fits(&self, dialled: &str) -> Option<usize>;

    /// Has the call. When this returns, the call is over: whoever is still there is hung up on.
    async fn call(&self, call: Arc<Call>);
}

/// What is counted, to see that nothing is left behind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Gauges {
    /// Calls that live.
    pub calls: usize,
    /// Dialogs that are kept.
    pub dialogs: usize,
    /// Dialogs whose messages are noted.
    pub followed: usize,
    /// Media sessions.
    pub sessions: usize,
    /// RTP ports.
    pub ports: usize,
    /// Tasks of the media.
    pub tasks: usize,
    /// Whom we call, and who does not answer OPTIONS.
    pub unreachable: usize,
}

/// The gateway. One per process.
pub struct Gateway {
    media: Arc<Media>,
    room: Arc<Semaphore>,
    most: usize,
    queue: Arc<Queue>,
    challenger: Challenger,
    switches: Mutex<HashMap<Vec<SocketAddr>, Arc<Switch>>>,
    stop: CancellationToken,
}

impl Gateway {
    /// A gateway for at most `most` calls at once.
    ///
    /// # Errors
    /// The system has no randomness.
    pub fn new(media: Arc<Media>, most: usize, stop: CancellationToken) -> Result<Arc<Self>, String> {
        let challenger = Challenger::new().map_err(|error| error.to_string())?;
        let room = Arc::new(Semaphore::new(most));
        let (queue, switches) = (Arc::default(), Mutex::default());
        Ok(Arc::new(Self { media, room, most, queue, challenger, switches, stop }))
    }

    /// Its media.
    pub fn media(&self) -> &Arc<Media> {
        &self.media
    }

    /// Takes calls of a trunk, until what this returns is dropped. Trunks that listen at the same addresses share them.
    ///
    /// # Errors
    /// The addresses cannot be listened at; in words for the operator.
    pub async fn open(
        self: &Arc<Self>,
        listen: Listen,
        trunk: Arc<Trunk>,
        reception: Arc<dyn Reception>,
    ) -> Result<Open, String> {
        let at = key(&listen);
        let known = self.switches().get(&at).cloned();
        let switch = match known {
            Some(switch) => switch,
            None => self.listen(at.clone(), listen).await?,
        };
        let route = Route { trunk, reception, no: Arc::new(()) };
        let no = route.no.clone();
        switch.routes.write().unwrap_or_else(PoisonError::into_inner).push(route);
        Ok(Open { gateway: self.clone(), at, no })
    }

    async fn listen(self: &Arc<Self>, at: Vec<SocketAddr>, listen: Listen) -> Result<Arc<Switch>, String> {
        let stop = self.stop.child_token();
        let switch = Arc::new(Switch {
            gateway: self.clone(),
            routes: RwLock::default(),
            edge: RwLock::default(),
            stop: stop.clone(),
        });
        let edge = Edge::start(listen, switch.clone(), stop)
            .await
            .map_err(|error| format!("cannot listen at {at:?}: {error}"))?;
        *switch.edge.write().unwrap_or_else(PoisonError::into_inner) = Some(edge);
        self.switches().insert(at, switch.clone());
        Ok(switch)
    }

    fn switches(&self) -> MutexGuard<'_, HashMap<Vec<SocketAddr>, Arc<Switch>>> {
        self.switches.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The SIP sides of all trunks.
    pub fn edges(&self) -> Vec<Arc<Edge>> {
        let switches: Vec<_> = self.switches().values().cloned().collect();
        switches.iter().filter_map(|switch| switch.edge()).collect()
    }

    /// What there is right now.
    pub fn gauges(&self) -> Gauges {
        let edges = self.edges();
        let media = self.media.gauges();
        Gauges {
            calls: self.most - self.room.available_permits(),
            dialogs: edges.iter().map(|edge| edge.dialogs()).sum(),
            followed: edges.iter().map(|edge| edge.ladders.followed()).sum(),
            sessions: media.sessions,
            ports: media.ports,
            tasks: media.tasks,
            unreachable: edges.iter().map(|edge| edge.health.dead()).sum(),
        }
    }
}

fn key(listen: &Listen) -> Vec<SocketAddr> {
    let tls = listen.tls.iter().flat_map(|tls| tls.listen.iter());
    listen.udp.iter().chain(&listen.tcp).chain(tls).copied().collect()
}

/// A trunk that takes calls. Dropped, it takes none any more; calls that live go on.
pub struct Open {
    gateway: Arc<Gateway>,
    at: Vec<SocketAddr>,
    no: Arc<()>,
}

impl Open {
    /// Where it listens.
    pub fn edge(&self) -> Option<Arc<Edge>> {
        self.gateway.switches().get(&self.at)?.edge()
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut switches = self.gateway.switches();
        let Some(switch) = switches.get(&self.at).cloned() else { return };
        let mut routes = switch.routes.write().unwrap_or_else(PoisonError::into_inner);
        routes.retain(|route| !Arc::ptr_eq(&route.no, &self.no));
        if routes.is_empty() {
            // The sockets close; nobody can answer a message of what still lives, and its time-outs end it.
            switch.stop.cancel();
            switches.remove(&self.at);
        }
    }
}

struct Route {
    trunk: Arc<Trunk>,
    reception: Arc<dyn Reception>,
    no: Arc<()>,
}

/// A call that is turned away.
struct Turned {
    invited: Invited,
    code: u16,
    headers: Vec<Header>,
}

impl Turned {
    fn away(invited: Invited, code: u16, headers: Vec<Header>) -> Box<Self> {
        Box::new(Self { invited, code, headers })
    }
}

/// Sorts the calls of one set of listeners.
struct Switch {
    gateway: Arc<Gateway>,
    routes: RwLock<Vec<Route>>,
    edge: RwLock<Option<Arc<Edge>>>,
    stop: CancellationToken,
}

impl Switch {
    fn edge(&self) -> Option<Arc<Edge>> {
        self.edge.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Who gets a call. None: the number leads nowhere.
    fn route(&self, from: SocketAddr, dialled: &str) -> Option<(Arc<Trunk>, Arc<dyn Reception>)> {
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        let ours = routes.iter().filter(|route| route.trunk.is_from(from.ip()));
        let fitting = ours.filter_map(|route| {
            let number = if route.trunk.e164 { e164(dialled) } else { dialled.to_owned() };
            Some((route.reception.fits(&number)?, route))
        });
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, route)| (route.trunk.clone(), route.reception.clone()))
    }

    fn take(&self, invited: Invited) -> Result<(), Box<Turned>> {
        let no_room = || vec![Header::RetryAfter(RETRY_AFTER.into())];
        let Some((from, transport)) = invited.from() else {
            return Err(Turned::away(invited, 400, Vec::new()));
        };
        let Some(mut began) = Began::of(invited.request(), from, transport) else {
            return Err(Turned::away(invited, 400, Vec::new()));
        };
        if let Some(replaces) = Replaces::of(invited.request()) {
            return self.replace(invited, from, transport, replaces);
        }
        let Some((trunk, reception)) = self.route(from, &began.to) else {
            return Err(Turned::away(invited, 404, Vec::new()));
        };
        if trunk.e164 {
            began.to = e164(&began.to);
        }
        if let Some(headers) = self.challenge(&trunk, invited.request()) {
            return Err(Turned::away(invited, 401, headers));
        }
        let asked = Asked::of(invited.request().headers.iter());
        if asked.is_too_short() {
            return Err(Turned::away(invited, 422, vec![too_short()]));
        }
        // RFC 3261 §8.2.2.2: the same request by another way.
        if invited.edge().ladders.knows(&began.call_id) {
            return Err(Turned::away(invited, 482, Vec::new()));
        }
        let Ok(room) = self.gateway.room.clone().try_acquire_owned() else {
            return Err(Turned::away(invited, 503, no_room()));
        };
        let edge = invited.edge().clone();
        let contact = edge.contact(transport, from.ip());
        let local = match contact.host_with_port.host {
            Host::IpAddr(ip) => Some(ip),
            Host::Domain(_) => None,
        };
        let Ok(session) = self.gateway.media.session(trunk.media(local)) else {
            return Err(Turned::away(invited, 503, no_room()));
        };
        let body = match body(invited.request(), &session) {
            Ok(body) => body,
            Err(code) => return Err(Turned::away(invited, code, Vec::new())),
        };
        let ladder = Arc::new(Ladder::default());
        edge.ladders.follow(&began.call_id, &ladder, Party::Caller);
        edge.ladders.saw(&began.call_id, true, || "INVITE".into());
        let call_id = began.call_id.clone();
        let Ok((dialog, states)) = invited.take(contact) else {
            edge.ladders.forget(&call_id);
            return Ok(());
        };
        let (account, info_digits) = (trunk.account.clone(), trunk.digits == Digits::Info);
        let leg = Leg::new(Parts {
            edge: edge.clone(),
            call_id,
            dialog,
            behind: Vec::new(),
            states,
            session,
            account,
            info_digits,
            up: false,
            refers: false,
            timer: asked.as_called(),
        });
        let call = Arc::new(Call::new(leg, edge, self.gateway.media.clone(), trunk, ladder, began, body));
        call.waits(self.gateway.queue.wait());
        tokio::spawn(attend(call, reception, room));
        Ok(())
    }

    /// An INVITE that is to take the place of a dialog (RFC 3891). It proves who it is like a call, and dials nothing.
    fn replace(
        &self,
        invited: Invited,
        from: SocketAddr,
        transport: Transport,
        replaces: Option<Replaces>,
    ) -> Result<(), Box<Turned>> {
        let Some(replaces) = replaces else { return Err(Turned::away(invited, 400, Vec::new())) };
        let trunk = {
            let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
            routes.iter().find(|route| route.trunk.is_from(from.ip())).map(|route| route.trunk.clone())
        };
        let Some(trunk) = trunk else { return Err(Turned::away(invited, 403, Vec::new())) };
        if let Some(headers) = self.challenge(&trunk, invited.request()) {
            return Err(Turned::away(invited, 401, headers));
        }
        let edge = invited.edge().clone();
        let contact = edge.contact(transport, from.ip());
        tokio::spawn(async move {
            // Its 2xx may have been acknowledged just now.
            let known = edge.ladders.knows(&replaces.call_id);
            let mut leg = edge.legs.find(&replaces);
            for _ in 0..if known { LATE } else { 0 } {
                if leg.is_some() {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
                leg = edge.legs.find(&replaces);
            }
            let refused = match leg {
                Some(leg) => leg.give_way(invited, contact, replaces.early_only).err(),
                None => Some(Box::new((invited, 481))),
            };
            if let Some(refused) = refused {
                refused.0.refuse(refused.1, Vec::new());
            }
        });
        Ok(())
    }

    /// The challenge for a caller that has not proven who it is.
    fn challenge(&self, trunk: &Trunk, request: &Request) -> Option<Vec<Header>> {
        let account = trunk.callers.as_ref()?;
        let now = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .map_or(0, |now| i64::try_from(now.as_millis()).unwrap_or(0));
        let shown = request
            .headers
            .iter()
            .find(|header| matches!(header, Header::Authorization(_)))
            .map(Header::value);
        let challenger = &self.gateway.challenger;
        let proof = shown.map(|shown| challenger.check(shown, account, REALM, "INVITE", now));
        if proof == Some(Proof::Proven) {
            return None;
        }
        let challenges = challenger.challenges(REALM, now, proof == Some(Proof::Stale));
        // SHA-256 comes first.
        let shown = challenges.into_iter().skip(usize::from(trunk.md5_only));
        Some(shown.map(|challenge| Header::WwwAuthenticate(challenge.into())).collect())
    }
}

/// A `+` in front of a number.
fn e164(dialled: &str) -> String {
    let is_number = dialled.len() > 3 && dialled.bytes().all(|byte| byte.is_ascii_digit());
    if is_number { format!("+{dialled}") } else { dialled.to_owned() }
}

/// What we will say about the session.
fn body(request: &Request, session: &Session) -> Result<Body, u16> {
    match offer(request) {
        None => Ok(Body::Offer(session.offer())),
        Some(offer) => session.answer(&offer).map(Body::Answer).map_err(|error| error.status()),
    }
}

/// The SDP of an INVITE, which may be a part of its body (RFC 5621).
pub(crate) fn offer(request: &Request) -> Option<String> {
    if request.body.is_empty() {
        return None;
    }
    let kind =
        request.headers.iter().find(|header| matches!(header, Header::ContentType(_))).map(Header::value);
    let (kind, text) = (kind.unwrap_or_default(), String::from_utf8_lossy(&request.body));
    if kind.is_empty() || is_sdp(kind) {
        return Some(text.into_owned());
    }
    let boundary =
        kind.split(';').find_map(|part| part.trim().strip_prefix("boundary="))?.trim_matches('"').to_owned();
    let part = text.split(&format!("--{boundary}")).find_map(|part| {
        let (head, body) = part.split_once("\r\n\r\n")?;
        let of = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-type:").map(str::to_owned))?;
        is_sdp(of.trim()).then(|| body.to_owned())
    });
    // A body without an offer is one that cannot be read.
    Some(part.unwrap_or_default())
}

/// Gives a call to its reception, and sees to it that it ends.
async fn attend(call: Arc<Call>, reception: Arc<dyn Reception>, room: OwnedSemaphorePermit) {
    reception.call(call.clone()).await;
    call.leg.bye(Vec::new()).await;
    call.leg.gone().await;
    drop(room);
}

impl Door for Switch {
    fn admit(&self, raw: &Raw<'_>, from: SocketAddr, waited: Duration) -> Result<(), Refusal> {
        let within = raw.header("To").is_some_and(|to| to.to_ascii_lowercase().contains("tag="));
        if within || matches!(raw.method(), Some("CANCEL" | "ACK")) {
            return Ok(());
        }
        let routes = self.routes.read().unwrap_or_else(PoisonError::into_inner);
        if !routes.iter().any(|route| route.trunk.is_from(from.ip())) {
            return Err(Refusal::of(403, "Forbidden"));
        }
        drop(routes);
        let gateway = &self.gateway;
        let is_full = raw.method() == Some("INVITE")
            && (gateway.room.available_permits() == 0 || gateway.queue.is_late(waited));
        let is_known = || {
            let edge = self.edge();
            edge.is_some_and(|edge| raw.header("Call-ID").is_some_and(|id| edge.ladders.knows(id)))
        };
        if is_full && !is_known() {
            let headers = vec![("Retry-After", RETRY_AFTER.to_owned())];
            return Err(Refusal { code: 503, phrase: "Service Unavailable", headers });
        }
        Ok(())
    }
}

impl Desk for Switch {
    fn invited(&self, invited: Invited) {
        if let Err(turned) = self.take(invited) {
            let Turned { invited, code, headers } = *turned;
            invited.refuse(code, headers);
        }
    }
}
