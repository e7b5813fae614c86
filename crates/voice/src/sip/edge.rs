//! Where SIP comes in and goes out: the listeners, the stack, and who gets what.
//!
//! ```text
//!   INVITE ─► gate ─► stack ─► Invited ─► refuse, or take ─► Leg
//!   in-dialog request ───────► its dialog ─► its Leg
//!   OPTIONS ─► 200      anything else ─► 481
//! ```

#![allow(clippy::result_large_err, reason = "the stack's own error; it is met once in a call at most")]

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::dialog::DialogId;
use rsipstack::dialog::dialog::{Dialog, DialogState, DialogStateReceiver};
use rsipstack::dialog::dialog_layer::DialogLayer;
use rsipstack::dialog::invitation::{InviteAsyncResult, InviteOption};
use rsipstack::dialog::invite_dialog::InviteDialog;
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{
    Auth, Header, Host, HostWithPort, Method, Param, Request, Scheme, SipMessage, StatusCode, Transport, Uri,
};
use rsipstack::transaction::endpoint::{EndpointInnerRef, EndpointOption};
use rsipstack::transaction::key::TransactionRole;
use rsipstack::transaction::{CallIdFormat, Transaction};
use rsipstack::transport::transport_layer::DomainResolver;
use rsipstack::transport::udp::UdpConnection;
use rsipstack::transport::{
    SipAddr, TcpListenerConnection, TlsConfig, TlsListenerConnection, TransportLayer,
};
use rsipstack::{EndpointBuilder, Error};
use tokio::task::JoinHandle;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

use super::health::Health;
use super::inspect::{Inspector, StreamGate};
use super::ladder::Ladders;
use super::leg::Legs;
use super::socket::Gated;
use crate::gate::{ALLOW, Door, SUPPORTED};
use crate::names;
use crate::target::Found;

/// A dialog that is about to be is looked for so often, every 10 ms.
pub(crate) const LATE: usize = 50;
/// So many names are remembered with their addresses.
const MOST_PINS: usize = 1_000;

/// Where to listen.
#[derive(Debug, Clone, Default)]
pub struct Listen {
    /// UDP: at most one address of each family.
    pub udp: Vec<SocketAddr>,
    /// TCP.
    pub tcp: Vec<SocketAddr>,
    /// TLS, with the certificate chain and the key as PEM.
    pub tls: Option<Tls>,
    /// How the outside reaches us, if that is not where we listen.
    pub external: Option<IpAddr>,
}

/// TLS: what to listen at and to show.
#[derive(Debug, Clone)]
pub struct Tls {
    /// Where.
    pub listen: Vec<SocketAddr>,
    /// The certificate chain, PEM.
    pub certificate: Vec<u8>,
    /// Its key, PEM.
    pub key: Vec<u8>,
    /// The authorities that servers are checked by, PEM. None: the system's.
    pub authorities: Option<Vec<u8>>,
}

/// Who gets the calls.
pub trait Desk: Door {
    /// Somebody calls. Not to be held up: what takes time is spawned.
    fn invited(&self, invited: Invited);
}

/// The SIP side of this process.
pub struct Edge {
    /// The messages of each call.
    pub ladders: Arc<Ladders>,
    pub(crate) layer: Arc<DialogLayer>,
    /// Whether those whom we call are there.
    pub health: Health,
    /// The legs of its dialogs.
    pub(crate) legs: Arc<Legs>,
    pins: Arc<Pins>,
    endpoint: EndpointInnerRef,
    listens: RwLock<Vec<(Transport, SocketAddr)>>,
    external: Option<IpAddr>,
    stop: CancellationToken,
}

impl Edge {
    /// Listens, and gives calls to `desk`, until `stop`.
    ///
    /// # Errors
    /// An address cannot be bound, or a certificate cannot be read.
    pub async fn start<D: Desk>(
        listen: Listen,
        desk: Arc<D>,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, Error> {
        let pins = Arc::new(Pins::default());
        let transports =
            TransportLayer::new_with_domain_resolver(stop.child_token(), Box::new(Pinned(pins.clone())));
        let mut listens = Vec::new();
        if !listen.udp.is_empty() {
            let socket = Gated::bind(&listen.udp, desk.clone())?;
            listens.extend(socket.addresses().into_iter().map(|address| (Transport::Udp, address)));
            let external =
                listens.first().and_then(|(_, bound)| Some(SocketAddr::new(listen.external?, bound.port())));
            let udp =
                UdpConnection::from_socket(Arc::new(socket), external, Some(stop.child_token())).await?;
            transports.add_transport(udp.into());
        }
        for address in listen.tcp {
            let external = listen.external.map(|ip| SocketAddr::new(ip, address.port()));
            transports.add_transport(TcpListenerConnection::new(address, external).await?.into());
            listens.push((Transport::Tcp, address));
        }
        if let Some(tls) = listen.tls {
            let config = TlsConfig {
                cert: Some(tls.certificate),
                key: Some(tls.key),
                ca_certs: tls.authorities,
                ..TlsConfig::default()
            };
            transports.set_tls_config(config.clone());
            for address in tls.listen {
                let external = listen.external.map(|ip| SocketAddr::new(ip, address.port()));
                transports.add_transport(
                    TlsListenerConnection::new(address, external, config.clone()).await?.into(),
                );
                listens.push((Transport::Tls, address));
            }
        }
        let (ladders, legs) = (Arc::new(Ladders::default()), Arc::new(Legs::default()));
        let option = EndpointOption { callid_format: CallIdFormat::Uuid, ..EndpointOption::default() };
        let endpoint = EndpointBuilder::new()
            .with_user_agent("Interline")
            .with_option(option)
            .with_cancel_token(stop.child_token())
            .with_transport_layer(transports)
            .with_inspector(Box::new(Inspector { ladders: ladders.clone(), legs: legs.clone() }))
            .with_transport_inspector(Box::new(StreamGate { door: desk.clone() }))
            .build();
        let inner = endpoint.inner.clone();
        let mut incoming = endpoint.incoming_transactions()?;
        let edge = Arc::new(Self {
            ladders,
            layer: Arc::new(DialogLayer::new(inner.clone())),
            health: Health::default(),
            legs,
            pins,
            endpoint: inner.clone(),
            listens: RwLock::new(listens),
            external: listen.external,
            stop: stop.clone(),
        });
        tokio::spawn(async move { inner.serve().await });
        let serving = edge.clone();
        tokio::spawn(async move {
            let serve = async {
                while let Some(transaction) = incoming.recv().await {
                    serving.sort(transaction, desk.as_ref());
                }
            };
            stop.run_until_cancelled(serve).await;
        });
        Ok(edge)
    }

    /// A dialog is over: nothing of it is kept.
    pub(crate) fn forget(&self, id: &DialogId) {
        self.layer.remove_dialog(id);
        self.ladders.forget(&id.call_id);
        self.legs.forget(&id.call_id);
    }

    /// Where it listens.
    pub fn listens(&self) -> Vec<(Transport, SocketAddr)> {
        self.listens.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Dialogs that are kept.
    pub fn dialogs(&self) -> usize {
        self.layer.len()
    }

    /// Transactions that run, and that are kept for repeats of their last message.
    pub fn transactions(&self) -> (usize, usize) {
        let stats = self.endpoint.get_stats();
        (stats.running_transactions, stats.finished_transactions)
    }

    pub(super) fn endpoint(&self) -> &EndpointInnerRef {
        &self.endpoint
    }

    /// Cancelled when the process stops.
    pub fn stopping(&self) -> &CancellationToken {
        &self.stop
    }

    fn sort<D: Desk>(self: &Arc<Self>, transaction: Transaction, desk: &D) {
        let request = &transaction.original;
        let within = request.to_header().ok().and_then(|to| to.tag().ok().flatten()).is_some();
        if request.method == Method::Invite && !within {
            desk.invited(Invited { transaction, edge: self.clone() });
            return;
        }
        // RFC 3262 §3: no provisional response of ours is reliable, so that none is to be acknowledged.
        if request.method == Method::PRack {
            return answer(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
        }
        if let Some(dialog) = self.layer.match_dialog(&transaction) {
            // RFC 3261 §12.2.2. The stack is silent about it where we were called.
            if is_older(&dialog, request) {
                return answer(transaction, StatusCode::ServerInternalError, Vec::new());
            }
            tokio::spawn(handle(dialog, transaction));
            return;
        }
        // The other side is quick: its 2xx was acknowledged, and the stack does not know the dialog by its full name yet.
        if within && request.method != Method::Ack && self.ladders.knows(&call_id(request)) {
            let edge = self.clone();
            tokio::spawn(async move { edge.sort_late(transaction).await });
            return;
        }
        match request.method {
            Method::Ack => {}
            Method::Options if !within => answer(transaction, StatusCode::OK, abilities()),
            _ => answer(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new()),
        }
    }

    async fn sort_late(&self, transaction: Transaction) {
        for _ in 0..LATE {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if let Some(dialog) = self.layer.match_dialog(&transaction) {
                return handle(dialog, transaction).await;
            }
        }
        answer(transaction, StatusCode::CallTransactionDoesNotExist, Vec::new());
    }

    /// How `peer` reaches us by this transport, as a Contact.
    pub fn contact(&self, transport: Transport, peer: IpAddr) -> Uri {
        let listens = self.listens();
        let fits = |(kind, address): &&(Transport, SocketAddr)| {
            *kind == transport && address.is_ipv4() == peer.is_ipv4()
        };
        let any = |(kind, _): &&(Transport, SocketAddr)| *kind == transport;
        let found =
            listens.iter().find(fits).or_else(|| listens.iter().find(any)).or_else(|| listens.first());
        let bound = found.map_or(SocketAddr::from(([127, 0, 0, 1], 5060)), |(_, address)| *address);
        let ip = self.external.unwrap_or_else(|| local_ip(bound.ip(), peer));
        let params = if transport == Transport::Udp { Vec::new() } else { vec![Param::Transport(transport)] };
        Uri {
            scheme: Some(Scheme::Sip),
            auth: Some(Auth { user: "interline".into(), password: None }),
            host_with_port: SocketAddr::new(ip, bound.port()).into(),
            params,
            headers: Vec::new(),
        }
    }

    /// Whether anything can go there: a datagram needs a socket of the same address family.
    pub fn reaches(&self, found: &Found) -> bool {
        let fits = |(kind, address): &(Transport, SocketAddr)| {
            *kind == Transport::Udp && address.is_ipv4() == found.at.is_ipv4()
        };
        found.transport != Transport::Udp || self.listens().iter().any(fits)
    }

    /// Somebody's address, for the stack.
    pub fn destination(&self, found: &Found) -> SipAddr {
        let mut address = sip_addr(found.transport, found.at);
        if let Some(name) = found.name.as_ref().filter(|_| found.transport == Transport::Tls) {
            // The certificate is checked against the name, so the stack has to know it.
            address.addr.host = Host::Domain(name.clone());
            self.pins.pin(&address.addr, found.at);
        }
        address
    }

    /// Calls somebody.
    ///
    /// # Errors
    /// The INVITE cannot be made.
    pub fn invite(&self, option: InviteOption) -> Result<Dialing, Error> {
        let (sender, states) = self.layer.new_dialog_state_channel();
        let (dialog, answer) = self.layer.do_invite_async(option, sender)?;
        Ok(Dialing { dialog, states, answer })
    }
}

/// Whether a request is older than what its dialog has seen.
fn is_older(dialog: &Dialog, request: &Request) -> bool {
    let Dialog::Invite(dialog) = dialog else { return false };
    if dialog.role() != TransactionRole::Server || matches!(request.method, Method::Ack | Method::Cancel) {
        return false;
    }
    let seen = dialog.snapshot().remote_cseq;
    request.cseq_header().ok().and_then(|cseq| cseq.seq().ok()).is_some_and(|told| told < seen)
}

/// Our own address towards `peer`, where the one that we listen at is none.
fn local_ip(bound: IpAddr, peer: IpAddr) -> IpAddr {
    if !bound.is_unspecified() {
        return bound;
    }
    let towards = || {
        let socket = UdpSocket::bind((bound, 0))?;
        // Nothing is sent: it only asks which way a datagram would go.
        socket.connect((peer, 5060))?;
        socket.local_addr()
    };
    towards().map_or(bound, |address| address.ip())
}

/// Names that were looked up before the stack got them: it goes where we found them, and nowhere else.
#[derive(Debug, Default)]
struct Pins(RwLock<HashMap<String, SocketAddr>>);

impl Pins {
    fn pin(&self, name: &HostWithPort, at: SocketAddr) {
        let mut pins = self.0.write().unwrap_or_else(PoisonError::into_inner);
        if pins.len() >= MOST_PINS {
            pins.clear();
        }
        pins.insert(name.to_string(), at);
    }
}

/// Reads [`Pins`].
struct Pinned(Arc<Pins>);

#[async_trait]
impl DomainResolver for Pinned {
    async fn resolve(&self, target: &SipAddr) -> Result<SipAddr, Error> {
        let pinned =
            self.0.0.read().unwrap_or_else(PoisonError::into_inner).get(&target.addr.to_string()).copied();
        if let (Some(at), Some(transport)) = (pinned, target.r#type) {
            return Ok(sip_addr(transport, at));
        }
        // A Contact or a route by name.
        let (name, port) = (target.addr.host.to_string(), target.addr.port.map(|port| port.value()));
        let found = names::look_up(names::here(), &name, port, target.r#type).await;
        let (transport, at) =
            *found.first().ok_or_else(|| Error::DnsResolutionError(target.addr.to_string()))?;
        Ok(sip_addr(transport, at))
    }
}

/// A call of ours that has no answer yet.
pub struct Dialing {
    /// The dialog to be.
    pub dialog: InviteDialog,
    /// What happens to it.
    pub states: DialogStateReceiver,
    /// The final response.
    pub answer: JoinHandle<InviteAsyncResult>,
}

/// An INVITE that waits for somebody to decide.
pub struct Invited {
    transaction: Transaction,
    edge: Arc<Edge>,
}

impl Invited {
    /// The INVITE.
    pub fn request(&self) -> &Request {
        &self.transaction.original
    }

    /// Where it came in.
    pub fn edge(&self) -> &Arc<Edge> {
        &self.edge
    }

    /// Where it came from, and how.
    pub fn from(&self) -> Option<(SocketAddr, Transport)> {
        let remote = self.transaction.connection.as_ref()?.get_remote_addr()?;
        Some((remote.get_socketaddr().ok()?, remote.r#type.unwrap_or(Transport::Udp)))
    }

    /// Turns it away.
    pub fn refuse(self, code: u16, headers: Vec<Header>) {
        answer(self.transaction, code.into(), headers);
    }

    /// Takes it: a 100 is sent, and a dialog kept until it is removed.
    ///
    /// # Errors
    /// It has no dialog in it. It was answered.
    pub fn take(self, contact: Uri) -> Result<(InviteDialog, DialogStateReceiver), Error> {
        let (sender, states) = self.edge.layer.new_dialog_state_channel();
        let mut transaction = self.transaction;
        match self.edge.layer.get_or_create_server_invite(&transaction, sender, None, Some(contact)) {
            Ok(dialog) => {
                let mut handling = dialog.clone();
                tokio::spawn(async move {
                    let _ = handling.handle(&mut transaction).await;
                });
                Ok((dialog, states))
            }
            Err(error) => {
                answer(transaction, StatusCode::BadRequest, Vec::new());
                Err(error)
            }
        }
    }
}

/// Gives a request to its dialog, once that can take it.
async fn handle(mut dialog: Dialog, mut transaction: Transaction) {
    acknowledged(&dialog, transaction.original.method).await;
    settled(|| dialog.state()).await;
    // An error is a request out of turn; it was answered, or is to be ignored.
    let _ = dialog.handle(&mut transaction).await;
}

/// Waits for the ACK of our 2xx, which came before this request and may be taken after it: before that the stack takes a second
/// INVITE for the first, and says nothing to most else. If it was lost, it comes again when our 2xx does.
async fn acknowledged(dialog: &Dialog, method: Method) {
    if matches!(method, Method::Ack | Method::Bye | Method::Cancel | Method::PRack) {
        return;
    }
    let until = Instant::now() + Duration::from_secs(2);
    while matches!(dialog.state(), DialogState::WaitAck(..)) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Waits while another request of the dialog is being answered: the stack takes a request that comes meanwhile for one of a
/// dialog that is not up, and a second re-INVITE would never be answered; a request of ours it would not send at all.
pub(crate) async fn settled(state: impl Fn() -> DialogState) {
    let until = Instant::now() + Duration::from_secs(2);
    let busy = |state: &DialogState| {
        matches!(
            state,
            DialogState::Updated(..)
                | DialogState::Publish(..)
                | DialogState::Notify(..)
                | DialogState::Refer(..)
                | DialogState::Message(..)
                | DialogState::Info(..)
                | DialogState::Options(..)
        )
    };
    while busy(&state()) && Instant::now() < until {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// What an OPTIONS is told, and a 200 to an INVITE tells.
pub fn abilities() -> Vec<Header> {
    vec![
        Header::Allow(ALLOW.into()),
        Header::Accept("application/sdp".into()),
        Header::Supported(SUPPORTED.into()),
    ]
}

/// Answers a request outside of a dialog, and stays until the transaction is over.
fn answer(mut transaction: Transaction, code: StatusCode, headers: Vec<Header>) {
    tokio::spawn(async move {
        if transaction.reply_with(code, headers, None).await.is_err() {
            return;
        }
        while let Some(message) = transaction.receive().await {
            if matches!(&message, SipMessage::Request(request) if request.method == Method::Ack) {
                break;
            }
        }
    });
}

/// A checked address, for the stack.
pub fn sip_addr(transport: Transport, address: SocketAddr) -> SipAddr {
    SipAddr { r#type: Some(transport), addr: address.into() }
}

/// The Call-ID of a request.
pub fn call_id(request: &Request) -> String {
    request.call_id_header().map(|id| id.value().to_owned()).unwrap_or_default()
}
