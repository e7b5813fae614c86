//! A call on trial: somebody is called, and what was seen is told. For whoever sets a trunk up.

use std::fmt::Write as _;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use interline_media::{Config as Sound, Media, Options, Play, Prompt, Studio, StudioConfig};
use rsipstack::dialog::authenticate::Credential;
use rsipstack::dialog::dialog::DialogState;
use rsipstack::dialog::invitation::InviteOption;
use rsipstack::sip::{Header, Response};
use secrecy::ExposeSecret as _;
use tokio_util::sync::{CancellationToken, DropGuard};

use crate::gate::raw::Raw;
use crate::gate::{ALLOW, Door, Refusal, SUPPORTED};
use crate::sip::digest::Account;
use crate::sip::edge::{Desk, Edge, Invited, Listen};
use crate::sip::ladder::{Ladder, Party};
use crate::sip::leg::{Leg, Parts};
use crate::target::{find, read};

/// So long it may ring.
const RING: Duration = Duration::from_secs(30);
/// So long it is listened to.
const LISTEN: Duration = Duration::from_secs(2);

/// Takes no calls.
struct Nobody;

impl Door for Nobody {
    fn admit(&self, raw: &Raw<'_>, _: SocketAddr, _: Duration) -> Result<(), Refusal> {
        let within = raw.header("To").is_some_and(|to| to.to_ascii_lowercase().contains("tag="));
        if within { Ok(()) } else { Err(Refusal::of(403, "Forbidden")) }
    }
}

impl Desk for Nobody {
    fn invited(&self, invited: Invited) {
        invited.refuse(603, Vec::new());
    }
}

/// A call of ours that was answered.
pub struct Placed {
    /// It.
    pub leg: Leg,
    /// Its messages.
    pub ladder: Arc<Ladder>,
    /// The 2xx.
    pub response: Response,
    /// How often it rang.
    pub rings: usize,
    /// Its sockets live as long.
    _stops: DropGuard,
}

/// Calls `target` from a port of its own.
///
/// # Errors
/// It was not answered, or cannot be heard: why, and what was seen.
pub async fn place(target: &str, account: Option<Account>, media: &Arc<Media>) -> Result<Placed, String> {
    let uri = read(target, None).map_err(|error| format!("{target}: {error}"))?;
    let found = find(&uri, None, true).await.map_err(|error| format!("{target}: {error}"))?;
    let found = found.into_iter().next().ok_or_else(|| format!("{target}: it has no address"))?;
    let (peer, transport) = (found.at, found.transport);
    let stop = CancellationToken::new();
    let any = if peer.is_ipv4() { IpAddr::from([0; 4]) } else { IpAddr::from([0_u16; 8]) };
    let listen = Listen { udp: vec![SocketAddr::new(any, 0)], ..Listen::default() };
    let edge =
        Edge::start(listen, Arc::new(Nobody), stop.clone()).await.map_err(|error| error.to_string())?;
    let stops = stop.drop_guard();
    let contact = edge.contact(transport, peer.ip());
    let local = match contact.host_with_port.host {
        rsipstack::sip::Host::IpAddr(ip) => Some(ip),
        rsipstack::sip::Host::Domain(_) => None,
    };
    let session =
        media.session(Options { local, ..Options::default() }).map_err(|_| "no port is free".to_owned())?;
    let ladder = Arc::new(Ladder::default());
    let call_id = uuid::Uuid::new_v4().to_string();
    edge.ladders.follow(&call_id, &ladder, Party::Agent);
    let option = InviteOption {
        caller: contact.clone(),
        callee: uri,
        destination: Some(edge.destination(&found)),
        contact,
        offer: Some(session.offer().into_bytes()),
        credential: account.as_ref().map(|account| Credential {
            username: account.username.clone(),
            password: account.password.expose_secret().to_owned(),
            realm: None,
            auth_username: None,
        }),
        headers: Some(vec![Header::Allow(ALLOW.into()), Header::Supported(SUPPORTED.into())]),
        support_prack: true,
        call_id: Some(call_id.clone()),
        ..InviteOption::default()
    };
    let mut dialing = edge.invite(option).map_err(|error| error.to_string())?;
    let answer = tokio::time::timeout(RING, &mut dialing.answer).await;
    let seen = |what: String| format!("{what}\n{}", ladder.draw());
    let Ok(answer) = answer else {
        let _ = dialing.dialog.cancel().await;
        return Err(seen(format!("nobody answered in {} s", RING.as_secs())));
    };
    let response = match answer {
        Ok(Ok((_, Some(response)))) => response,
        _ => return Err(seen("no response".into())),
    };
    if response.status_code.code() / 100 != 2 {
        return Err(seen(format!("refused: {}", response.status_code)));
    }
    let rings = std::iter::from_fn(|| dialing.states.try_recv().ok());
    let rings = rings.filter(|state| matches!(state, DialogState::Early(..))).count();
    let usable = session.accept(&String::from_utf8_lossy(&response.body));
    let (dialog, states) = (dialing.dialog, dialing.states);
    let leg = Leg::new(Parts {
        edge,
        call_id,
        dialog,
        behind: Vec::new(),
        states,
        session,
        account,
        info_digits: false,
        up: true,
        refers: false,
        timer: None,
    });
    if let Err(error) = usable {
        leg.bye(Vec::new()).await;
        return Err(seen(format!("answered, but its session cannot be used: {error}")));
    }
    Ok(Placed { leg, ladder, response, rings, _stops: stops })
}

/// Calls `target`, listens for two seconds, and hangs up. What was seen, in lines for people.
///
/// # Errors
/// As [`place`].
pub async fn call(target: &str, account: Option<Account>) -> Result<String, String> {
    let media = Media::new(Sound::default(), Studio::new(StudioConfig::default()))
        .map_err(|error| error.to_string())?;
    let placed = place(target, account, &media).await?;
    let tone = Prompt::Tone { hz: vec![440.0], ms: 500 };
    let _ = placed.leg.session().play(vec![tone], Play::default());
    tokio::time::sleep(LISTEN).await;
    let stats = placed.leg.session().stats();
    placed.leg.bye(Vec::new()).await;
    Ok(format!("{}\n{}", told(&placed.response, placed.rings, &format!("{stats:?}")), placed.ladder.draw()))
}

fn told(response: &Response, rings: usize, stats: &str) -> String {
    let value = |name: &str| {
        response.headers.iter().find(|header| header.name().eq_ignore_ascii_case(name)).map(Header::value)
    };
    let mut text = format!("answered: {}", response.status_code);
    let _ = write!(text, "\nprovisional responses: {rings}");
    for name in ["User-Agent", "Server", "Allow", "Supported", "Session-Expires"] {
        if let Some(value) = value(name) {
            let _ = write!(text, "\n{name}: {value}");
        }
    }
    let _ = write!(text, "\nsound: {stats}");
    text
}
