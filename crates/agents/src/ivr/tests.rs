use std::collections::BTreeMap;

use interline_connector::agent::Brief;
use interline_connector::{Guard, Http};
use interline_core::conversation::entry::Text;
use interline_core::{Entry, Epoch, Owner, Participant, ParticipantNo, Role, Seq, Speaker, Time, TransferNo};
use serde_json::json;

use super::*;

fn build(settings: Value) -> Result<Arc<dyn AgentSystem>, String> {
    let env = Env {
        app: "st-1".into(),
        name: "callers".into(),
        public_url: "https://bots.example.com".parse().expect("a URL"),
        http: Http::new(Guard::default()).expect("a client"),
        webhook: "https://bots.example.com/in".parse().expect("a URL"),
        credentials: Arc::new(BTreeMap::new()),
    };
    Ivr.build(settings, env)
}

fn item(channel: Option<&str>, body: Body) -> Item {
    let mut customer: interline_core::conversation::state::Customer =
        serde_json::from_value(json!({ "id": "cus_1", "channel": "line", "address": "c-1" }))
            .expect("a customer");
    customer.connection.channel_type = channel.map(str::to_owned);
    let transfer = Some(TransferNo(1));
    let (seq, at, by, to, epoch) = (Seq(5), Time(0), Speaker::System, Role::Agent, Epoch(2));
    Item {
        entry: Entry { seq, at, by, to, epoch, transfer, release_of: None, body },
        participant: Participant {
            no: ParticipantNo(1),
            integration: "callers".into(),
            role: to,
            transfer,
            queue: None,
            from: seq,
            to: None,
            took_over: false,
            only_close: false,
            gone: false,
        },
        conversation: Brief { app: "st-1".into(), id: "cnv_1".into(), customer, owner: Owner::Agent },
        before: Vec::new(),
        files: Vec::new(),
        transcript: None,
        context: Default::default(),
    }
}

#[tokio::test]
async fn a_call_of_an_ivr_is_handed_off_at_once() {
    let agent = build(json!({})).expect("no settings are needed");
    let done = agent.deliver(&item(Some("ivr"), Body::Open), None).await.expect("handed off");
    assert_eq!(done.events, [AgentEvent::HandedOff]);
    let text = item(Some("ivr"), Body::Text(Text::plain("hello")));
    assert!(agent.deliver(&text, None).await.expect("nothing to do").events.is_empty());
}

#[tokio::test]
async fn somebody_who_did_not_call_by_an_ivr_is_for_the_next_rung() {
    let agent = build(json!({})).expect("no settings are needed");
    for channel in [None, Some("rtm"), Some("korevg")] {
        let refused = agent.deliver(&item(channel, Body::Open), None).await;
        assert!(matches!(refused, Err(Failure::Refused(cause)) if cause.reason == Reason::BadRequest));
    }
}

#[test]
fn there_is_nothing_to_set() {
    assert!(build(json!({ "url": "https://example.com" })).is_err());
}
