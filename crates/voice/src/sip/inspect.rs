//! What is looked at on the way in and out of the stack: the ladder, and some repairs.
//!
//! - A CANCEL says why (RFC 3326).
//! - A request without a tag got one at the gate; answers go out without it.
//! - The stack ends a dialog when a request within it is challenged and it cannot answer. So a challenge to anything but the
//!   INVITE that makes a call reaches it under a code of our own, and [`super::leg`] answers it.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rsipstack::sip::prelude::HeadersExt as _;
use rsipstack::sip::{Header, Method, Response, SipMessage, StatusCode};
use rsipstack::transaction::endpoint::{MessageInspector, TransportEventInspector};
use rsipstack::transport::{SipAddr, SipConnection, TransportEvent};

use super::ladder::Ladders;
use super::leg::Legs;
use super::text::reason;
use crate::gate::{Door, NO_TAG, Passed, pass};

/// 401 and 407, and what stands for each on the way to the stack.
pub const CHALLENGED: [(u16, u16); 2] = [(401, 498), (407, 497)];

/// See the module.
pub struct Inspector {
    /// Where calls are drawn.
    pub ladders: Arc<Ladders>,
    /// The calls that are made.
    pub legs: Arc<Legs>,
}

impl Inspector {
    /// Whether it answers the INVITE that makes a call. A call that is made has a leg.
    fn makes_a_call(&self, response: &Response) -> bool {
        let method = response.cseq_header().ok().and_then(|cseq| cseq.method().ok());
        let is_made = || response.call_id_header().is_ok_and(|id| self.legs.has(id.value()));
        method == Some(Method::Invite) && !is_made()
    }

    fn draw(&self, message: &SipMessage, inbound: bool) {
        let call_id = match message.call_id_header() {
            Ok(id) => id.value().to_owned(),
            Err(_) => return,
        };
        let headers = match message {
            SipMessage::Request(request) => &request.headers,
            SipMessage::Response(response) => &response.headers,
        };
        let why = headers.iter().find(|header| matches!(header, Header::Reason(_)));
        if let Some(why) = why.filter(|_| inbound) {
            self.ladders.gave(&call_id, why.value());
        }
        self.ladders.saw(&call_id, inbound, || match message {
            SipMessage::Request(request) => request.method.to_string(),
            SipMessage::Response(response) => {
                let code = CHALLENGED.iter().find(|(_, ours)| *ours == response.status_code.code());
                let code = code.map_or(response.status_code.code(), |(real, _)| *real);
                let method = response.cseq_header().ok().and_then(|cseq| cseq.method().ok());
                let method = method.map(|method| method.to_string()).unwrap_or_default();
                format!("{code} {} ({method})", StatusCode::from(code).text())
            }
        });
    }
}

impl MessageInspector for Inspector {
    fn before_send(&self, mut message: SipMessage, _to: Option<&SipAddr>) -> SipMessage {
        self.draw(&message, false);
        if let SipMessage::Request(request) = &mut message
            && request.method == Method::Cancel
        {
            // RFC 3326: it is nobody else who answered.
            request.headers.unique_push(reason("SIP", 487, "cancelled"));
        }
        if let SipMessage::Response(response) = &mut message {
            let added = format!(";tag={NO_TAG}");
            for header in response.headers.iter_mut() {
                if let Header::From(from) = header
                    && let Some(bare) = from.value().strip_suffix(&added)
                {
                    *from = bare.to_owned().into();
                }
            }
        }
        message
    }

    fn after_received(&self, mut message: SipMessage, _from: Option<&SipAddr>) -> SipMessage {
        self.draw(&message, true);
        if let SipMessage::Response(response) = &mut message {
            let code = response.status_code.code();
            let challenged = CHALLENGED.iter().find(|(real, _)| *real == code);
            if let Some((_, ours)) = challenged.filter(|_| !self.makes_a_call(response)) {
                response.status_code = StatusCode::Other(*ours, "Challenged".into());
            }
        }
        message
    }
}

/// The gate for what came by TCP and TLS. There the stack has cut the message out of the stream and read it.
pub struct StreamGate {
    /// Who may come in.
    pub door: Arc<dyn Door>,
}

#[async_trait]
impl TransportEventInspector for StreamGate {
    async fn handle(&self, event: TransportEvent) -> Option<TransportEvent> {
        let TransportEvent::Incoming(message, connection, from) = event else { return Some(event) };
        if matches!(connection, SipConnection::Udp(_)) {
            return Some(TransportEvent::Incoming(message, connection, from));
        }
        let address: SocketAddr = from.get_socketaddr().ok()?;
        let bytes = message.to_bytes();
        // It is being given to the stack.
        match pass(&bytes, address, self.door.as_ref(), Duration::ZERO) {
            Passed::On(plain) => {
                let message = SipMessage::try_from(&plain[..]).ok()?;
                Some(TransportEvent::Incoming(message, connection, from))
            }
            Passed::Answer(answer, _) => {
                if let Ok(answer) = SipMessage::try_from(&answer[..]) {
                    let _ = connection.send(answer, None).await;
                }
                None
            }
            Passed::Dropped => None,
        }
    }
}
