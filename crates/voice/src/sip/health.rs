//! Whether those whom we call are there. They are asked by OPTIONS (RFC 3261 §11) from the first call on; one that does not
//! answer is not called until it does.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rsipstack::sip::{Request, SipMessage, Uri};
use rsipstack::transaction::Transaction;
use rsipstack::transaction::key::{TransactionKey, TransactionRole};
use tokio::task::JoinSet;

use super::edge::Edge;
use crate::target::Found;

/// So long an answer is waited for.
const PATIENCE: Duration = Duration::from_secs(4);
/// So many are asked.
const MOST: usize = 200;

/// What is known of whom we call.
#[derive(Debug, Default)]
pub struct Health(Mutex<HashMap<String, State>>);

#[derive(Debug, Clone)]
struct State {
    uri: Uri,
    found: Found,
    dead: bool,
}

impl Health {
    /// Somebody is called: whether they are there is asked from now on.
    pub fn know(&self, uri: &Uri, found: &Found) {
        let mut map = self.map();
        if map.len() < MOST {
            map.entry(key(found)).or_insert_with(|| State {
                uri: uri.clone(),
                found: found.clone(),
                dead: false,
            });
        }
    }

    /// They did not answer when they were asked last.
    pub fn is_dead(&self, found: &Found) -> bool {
        self.map().get(&key(found)).is_some_and(|state| state.dead)
    }

    /// So many do not answer.
    pub fn dead(&self) -> usize {
        self.map().values().filter(|state| state.dead).count()
    }

    fn is(&self, found: &Found, alive: bool) {
        if let Some(state) = self.map().get_mut(&key(found)) {
            if state.dead == alive {
                tracing::warn!(peer = %found.at, alive, "a SIP peer answers OPTIONS, or does not any more");
            }
            state.dead = !alive;
        }
    }

    fn map(&self) -> MutexGuard<'_, HashMap<String, State>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn key(found: &Found) -> String {
    format!("{} {}", found.transport, found.at)
}

impl Edge {
    /// Asks all that are known, every so often. It does not return.
    pub async fn ask_around(self: &Arc<Self>, every: Duration) {
        loop {
            tokio::time::sleep(every).await;
            let known: Vec<State> = self.health.map().values().cloned().collect();
            let mut asked = JoinSet::new();
            for State { uri, found, .. } in known {
                let edge = self.clone();
                asked.spawn(async move {
                    let alive = edge.ask(&uri, &found).await;
                    edge.health.is(&found, alive);
                });
            }
            while asked.join_next().await.is_some() {}
        }
    }

    /// Whether somebody answers an OPTIONS: whatever they say, they are there.
    pub async fn ask(&self, uri: &Uri, found: &Found) -> bool {
        let asked = async {
            let contact = self.contact(found.transport, found.at.ip());
            let (via, id) = (&contact.host_with_port, uuid::Uuid::new_v4().simple().to_string());
            let text = format!(
                "OPTIONS {uri} SIP/2.0\r\nVia: SIP/2.0/{} {via};branch=z9hG4bK{id};rport\r\nMax-Forwards: 70\r\n\
                 From: <{contact}>;tag={}\r\nTo: <{uri}>\r\nCall-ID: {id}\r\nCSeq: 1 OPTIONS\r\nContact: <{contact}>\r\n\
                 Accept: application/sdp\r\nContent-Length: 0\r\n\r\n",
                found.transport,
                &id[..8],
            );
            let request = Request::try_from(text.as_bytes()).ok()?;
            let key = TransactionKey::from_request(&request, TransactionRole::Client).ok()?;
            let mut transaction = Transaction::new_client(key, request, self.endpoint().clone(), None);
            transaction.destination = Some(self.destination(found));
            transaction.send().await.ok()?;
            while let Some(message) = transaction.receive().await {
                // A 408 without having come from anywhere is the stack's own.
                if let SipMessage::Response(response) = message
                    && response.status_code.code() >= 200
                {
                    return Some(response.status_code.code() != 408);
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, asked).await.ok().flatten().unwrap_or(false)
    }
}

#[cfg(test)]
mod tests {
    use rsipstack::sip::Transport;

    use super::*;

    #[test]
    fn who_does_not_answer_is_dead_until_it_does() {
        let (health, uri) = (Health::default(), Uri::try_from("sip:a@192.0.2.1").expect("a URI"));
        let at = "192.0.2.1:5060".parse().expect("an address");
        let found = Found { transport: Transport::Udp, at, name: None, fixed: false };
        health.is(&found, false);
        assert!(!health.is_dead(&found), "nobody called it");
        health.know(&uri, &found);
        for (alive, dead) in [(true, false), (false, true), (true, false)] {
            health.is(&found, alive);
            assert_eq!((health.is_dead(&found), health.dead()), (dead, usize::from(dead)));
        }
    }
}
