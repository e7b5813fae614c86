//! What goes out to the integration's webhook: signed over the exact bytes, tried again on a time-out, 429 or 5xx.

use std::time::Duration;

use axum::body::Bytes;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, header};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit as _, Mac as _};
use interline_connector::simulator::Fault;
use serde_json::{Value, json};
use sha2::Sha256;

use super::open::{Org, lock};
use super::{new_id, time};

/// The other side must answer within this.
const DEADLINE: Duration = Duration::from_secs(10);
/// A call is tried again so often.
const RETRIES: usize = 5;

/// How a call is proven.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Signed {
    Properly,
    WithAnother,
    Not,
}

/// The signature of a body, as it stands behind `sha256=`.
pub(in crate::genesys) fn signature(secret: &str, body: &[u8], hex: bool) -> String {
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(body);
    let bytes = mac.finalize().into_bytes();
    if hex { bytes.iter().map(|byte| format!("{byte:02x}")).collect() } else { STANDARD.encode(bytes) }
}

impl Org {
    /// What an agent or the flow says.
    pub async fn tell_message(
        &self,
        chat: &str,
        id: &str,
        text: &str,
        content: Vec<Value>,
    ) -> Result<(), String> {
        let mut body = self.outbound(chat, id, "Text")?;
        body["text"] = text.into();
        if !content.is_empty() {
            body["content"] = content.into();
        }
        self.tell("message", body).await
    }

    pub async fn tell_typing(&self, chat: &str) -> Result<(), String> {
        let mut body = self.outbound(chat, &new_id(), "Event")?;
        body["events"] = json!([{ "eventType": "Typing", "typing": { "type": "On", "duration": 5_000 } }]);
        self.tell("typing", body).await
    }

    /// What became of a message that came in.
    pub async fn tell_receipt(
        &self,
        chat: &str,
        id: &str,
        status: &str,
        code: Option<&str>,
    ) -> Result<(), String> {
        let mut body = self.outbound(chat, id, "Receipt")?;
        body["status"] = status.into();
        body["isFinalReceipt"] = true.into();
        if let Some(code) = code {
            body["reasons"] = json!([{ "code": code, "message": "the message could not be handled" }]);
        }
        self.tell("receipt", body).await
    }

    fn outbound(&self, chat: &str, id: &str, kind: &str) -> Result<Value, String> {
        let to =
            lock(&self.conversations).iter().find(|known| known.id == chat).map(|known| known.from.clone());
        let to = to.ok_or("there is no such conversation")?;
        let integration = &self.settings.integration_id;
        Ok(json!({
            "id": id, "type": kind, "direction": "Outbound",
            "channel": {
                "id": integration, "platform": "Open", "type": "Private", "messageId": id, "time": time(self.now()),
                "to": { "id": to },
                "from": { "nickname": "Interline", "id": integration, "idType": "Opaque" },
            },
        }))
    }

    /// Tells it under the faults that strike it. Returns when the other side took it.
    async fn tell(&self, what: &str, body: Value) -> Result<(), String> {
        let faults = self.desk.faults().told(what);
        if faults.contains(&Fault::Lose) {
            return Ok(());
        }
        for fault in &faults {
            if let Fault::Late { ms } = fault {
                // Others overtake it: the agent does not wait either.
                let (org, ms, body) = (self.caller(), *ms, body.to_string());
                tokio::spawn(async move {
                    tokio::time::sleep(Duration::from_millis(ms)).await;
                    let _ = org.call(body, Signed::Properly).await;
                });
                return Ok(());
            }
        }
        let signed = if faults.contains(&Fault::Forged) {
            Signed::WithAnother
        } else if faults.contains(&Fault::Unsigned) {
            Signed::Not
        } else {
            Signed::Properly
        };
        let caller = self.caller();
        caller.call(body.to_string(), signed).await?;
        if faults.contains(&Fault::Twice) {
            caller.call(body.to_string(), signed).await?;
        }
        Ok(())
    }

    fn caller(&self) -> Caller {
        Caller {
            desk: self.desk.clone(),
            settings: self.settings.clone(),
            webhook: lock(&self.webhook).clone(),
        }
    }
}

struct Caller {
    desk: interline_connector::simulator::Desk,
    settings: super::open::Settings,
    webhook: Option<url::Url>,
}

impl Caller {
    async fn call(&self, body: String, signed: Signed) -> Result<(), String> {
        let url = self.webhook.clone().ok_or("the integration has no webhook")?;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        let secret = match signed {
            Signed::Properly => Some(self.settings.signature_secret.clone()),
            Signed::WithAnother => Some("somebody else's secret".to_owned()),
            Signed::Not => None,
        };
        if let Some(secret) = secret {
            let value = format!("sha256={}", signature(&secret, body.as_bytes(), self.settings.hex));
            let value = HeaderValue::from_str(&value).map_err(|_| "the signature")?;
            headers.insert(HeaderName::from_static("x-hub-signature-256"), value);
        }
        let mut status = 0;
        for attempt in 0..=RETRIES {
            if attempt > 0 {
                tokio::time::sleep(self.settings.retry).await;
            }
            let call = self.desk.client().post(url.clone()).headers(headers.clone()).body(body.clone());
            let answer = call.timeout(DEADLINE).send().await;
            status = answer.map_or(0, |answer| answer.status().as_u16());
            let secret_part = url.origin().ascii_serialization();
            self.desk.made(&Method::POST, &secret_part, &headers, Bytes::from(body.clone()), status);
            match status {
                200..=299 => return Ok(()),
                0 | 429 | 500..=599 => {}
                status => return Err(format!("HTTP {status}")),
            }
        }
        Err(if status == 0 { "no answer".to_owned() } else { format!("HTTP {status}") })
    }
}
