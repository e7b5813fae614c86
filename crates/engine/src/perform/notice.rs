//! A voicemail is told: posted to the address that its script named, with the headers that it gave, through the address guard.
//!
//! What is told is made when it is sent: the link to the recording is a secret, and stands in no log. Who is told twice, because
//! an answer was lost, knows it by the `Idempotency-Key`, which is also the `id`.

use ::http::HeaderName;
use interline_connector::http::{Reply, Request};
use interline_connector::{Cause, Failure};
use interline_core::conversation::connection::Connection;
use interline_core::conversation::voicemail::Voicemail;
use interline_core::flow::work::{Notice, Outcome};
use interline_core::transfer::Reason;
use interline_core::{AppId, ConversationId, ParticipantNo};
use serde_json::{Map, Value, json};
use url::Url;

use crate::apps::Runtime;
use crate::engine::Inner;
use crate::ingress::Trouble;
use crate::live::{Row, Slot};

/// What is told: `HTTP 204`. Else why not.
type Told = Result<String, Failure>;

impl Inner {
    pub(super) async fn told(
        &self,
        runtime: &Runtime,
        slot: &Slot,
        row: &Row,
        notice: &Notice,
        key: String,
    ) -> Result<Told, Trouble> {
        let never = |why: &str| Ok(Err(Failure::Refused(Cause::new(Reason::Unconfigured, why))));
        let Some(http) = &runtime.http else { return never("this process makes no requests") };
        let (app, conversation) = (&slot.key.app, &slot.key.conversation);
        let headers = match self.open_private(app, conversation, &notice.notify.headers) {
            Ok(headers) => headers,
            Err(why) => return never(&why),
        };
        let connection = {
            let mut guard = slot.live.lock().await;
            self.load(slot, &mut guard).await?;
            guard.as_ref().map(|live| live.state.customer.connection.clone()).ok_or(Trouble::Unknown)?
        };
        let link = self.link_to(app, &notice.voicemail, row.about.participant.no);
        let body = body((app, conversation), &key, &connection, &notice.voicemail, link.as_ref());
        let request = match prepare(&notice.notify.url, &headers, &key) {
            Ok(request) => request.json(&body),
            Err(why) => return never(why),
        };
        Ok(match http.send(request).await {
            Ok(Reply::Answered { status, headers, .. }) if !status.is_success() => {
                Err(interline_connector::http::of_status(status, &headers))
            }
            Ok(Reply::Answered { status, .. }) => Ok(format!("HTTP {}", status.as_u16())),
            Ok(Reply::Sent) => Ok("sent".to_owned()),
            Err(failure) => Err(failure),
        })
    }

    /// The bytes of the recording, a limited number of times: what is counted are the downloads of this one who is told.
    fn link_to(&self, app: &AppId, voicemail: &Voicemail, no: ParticipantNo) -> Option<Url> {
        let mut link = self.file_page(app, &voicemail.file.as_ref()?.id, no)?;
        link.path_segments_mut().ok()?.push("download");
        Some(link)
    }
}

/// What comes of it: told, or given up. The error: it is tried again.
pub(super) fn decide(told: Told, too_late: bool) -> Result<Outcome, Failure> {
    let over = |came: String| Ok(Outcome::Told { came });
    match told {
        Ok(came) => over(came),
        Err(failure) if too_late => over(format!("given up: {}", failure.cause().code)),
        // The key tells a repeat from a second voicemail.
        Err(Failure::Uncertain(cause)) => Err(Failure::Retry { after_ms: None, cause }),
        Err(again @ Failure::Retry { .. }) => Err(again),
        Err(
            Failure::Refused(cause)
            | Failure::Gone(cause)
            | Failure::Unauthorized(cause)
            | Failure::Bug(cause),
        ) => {
            tracing::warn!(why = cause.code, "nobody could be told of a voicemail");
            over(format!("refused: {}", cause.code))
        }
    }
}

fn prepare(url: &str, headers: &Map<String, Value>, key: &str) -> Result<Request, &'static str> {
    let mut request = Request::post(Url::parse(url).map_err(|_| "the URL cannot be read")?);
    for (name, value) in headers {
        let name = HeaderName::from_bytes(name.as_bytes()).map_err(|_| "a header has no name")?;
        let own = matches!(name.as_str(), "host" | "content-length" | "content-type" | "transfer-encoding");
        if let (false, Some(value)) = (own, value.as_str()) {
            request = request.secret(name, &value.to_owned().into());
        }
    }
    Ok(request.header(HeaderName::from_static("idempotency-key"), key))
}

fn body(
    (app, conversation): (&AppId, &ConversationId),
    id: &str,
    connection: &Connection,
    voicemail: &Voicemail,
    link: Option<&Url>,
) -> Value {
    let Voicemail { began_at, took_ms, ended_by, file, no_file, words, no_words, meta } = voicemail;
    let recording = file.as_ref().zip(link).map(|(file, link)| {
        json!({ "url": link, "name": file.name, "mime": file.mime, "size": file.size, "sha256": file.sha256 })
    });
    json!({
        "event": "voicemail",
        "id": id,
        "app": app,
        "conversation_id": conversation,
        "call_id": connection.call_id,
        "caller": connection.caller,
        "called": connection.called,
        "began_at": began_at.iso(),
        "seconds": *took_ms as f64 / 1_000.0,
        "ended_by": ended_by,
        "recording": recording,
        "no_recording": no_file,
        "transcription": words,
        "no_transcription": no_words,
        "meta": meta,
    })
}

#[cfg(test)]
mod tests {
    use interline_core::conversation::voicemail::EndedBy;
    use interline_core::{File, Time};

    use super::*;

    fn voicemail() -> Voicemail {
        Voicemail {
            began_at: Time(1_700_000_000_000),
            took_ms: 2_500,
            ended_by: EndedBy::Key,
            file: None,
            no_file: Some("nothing was said".into()),
            words: None,
            no_words: Some("it was not asked for".into()),
            meta: Map::new(),
        }
    }

    #[test]
    fn what_is_told() {
        let connection = Connection { caller: Some("+1555".into()), ..Connection::default() };
        let ids = (AppId::from("st-1"), ConversationId::from("cnv_1"));
        let empty = body((&ids.0, &ids.1), "cnv_1/3", &connection, &voicemail(), None);
        assert_eq!(empty["began_at"], "2023-11-14T22:13:20.000Z");
        assert_eq!((&empty["seconds"], &empty["ended_by"]), (&json!(2.5), &json!("key")));
        assert_eq!((&empty["recording"], &empty["no_recording"]), (&Value::Null, &json!("nothing was said")));
        assert_eq!((&empty["caller"], &empty["id"]), (&json!("+1555"), &json!("cnv_1/3")));
        let file = File {
            id: "fil_1".into(),
            name: "voicemail.wav".into(),
            mime: "audio/wav".into(),
            size: 44,
            sha256: "00".into(),
            warning: None,
        };
        let whole = Voicemail { file: Some(file), no_file: None, ..voicemail() };
        let link: Url = "https://x.test/f/t/download".parse().expect("a URL");
        let told = body((&ids.0, &ids.1), "cnv_1/3", &connection, &whole, Some(&link));
        assert_eq!(told["recording"]["url"], "https://x.test/f/t/download");
        assert_eq!((&told["recording"]["size"], &told["no_recording"]), (&json!(44), &Value::Null));
    }

    #[test]
    fn what_may_help_is_tried_again_and_not_for_ever() {
        let cause = || Cause::new(Reason::VendorError, "HTTP 500");
        let retry = || Failure::Retry { after_ms: Some(5), cause: cause() };
        let told = |came: &str| Ok(Outcome::Told { came: came.into() });
        assert_eq!(decide(Ok("HTTP 204".into()), true), told("HTTP 204"));
        assert_eq!(decide(Err(retry()), false), Err(retry()));
        let again = Failure::Retry { after_ms: None, cause: cause() };
        assert_eq!(decide(Err(Failure::Uncertain(cause())), false), Err(again));
        assert_eq!(decide(Err(retry()), true), told("given up: HTTP 500"));
        for failure in [Failure::Refused(cause()), Failure::Gone(cause()), Failure::Unauthorized(cause())] {
            assert_eq!(decide(Err(failure), false), told("refused: HTTP 500"));
        }
    }

    #[test]
    fn headers_are_the_scripts_and_nobody_sees_them() {
        let headers = json!({ "Authorization": "Bearer hunter2", "Content-Length": "3" });
        let headers = headers.as_object().expect("fields");
        assert!(prepare("https://x.test/v", headers, "k").is_ok());
        assert!(prepare("no address", headers, "k").is_err());
        let odd = json!({ "a b": "c" });
        assert!(prepare("https://x.test/v", odd.as_object().expect("fields"), "k").is_err());
    }
}
