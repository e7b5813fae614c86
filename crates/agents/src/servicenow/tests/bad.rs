//! Hostile input, both ways: calls that are no ServiceNow's, and instances that are none.

use interline_connector::{Failure, Rejected};
use proptest::prelude::*;

use super::link::Session;
use super::*;
use crate::hostile::{self, BEGUN};

fn agents() -> Vec<(Arc<dyn AgentSystem>, &'static str)> {
    let public = "https://chat.example.com/".parse().expect("a URL");
    let settings = json!({
        "instance_url": "https://example.service-now.com",
        "login": { "type": "basic", "user_name": "u", "password": "p" },
    });
    let tokyo = changed(settings.clone(), &json!({ "queue_id": "q" }));
    vec![
        (build(&ServiceNow, settings, &public, &[]).expect("settings"), "utah"),
        (build(&ServiceNowTokyo, tokyo, &public, &[]).expect("settings"), "tokyo"),
    ]
}

fn receive(agent: &dyn AgentSystem, body: &[u8]) -> Result<usize, u16> {
    let request = unverified(Method::POST, HeaderMap::new(), Bytes::copy_from_slice(body), true);
    agent.receive(&request).map(|it| it.heard.len()).map_err(|Rejected(answer)| answer.status)
}

#[test]
fn without_proof_nothing_is_heard() {
    for (agent, name) in agents() {
        let body = Bytes::from_static(b"{}");
        let get = unverified(Method::GET, HeaderMap::new(), body.clone(), true);
        assert_eq!(agent.receive(&get).expect_err(name).0.status, 405);
        let nobody = unverified(Method::POST, HeaderMap::new(), body, false);
        assert_eq!(agent.receive(&nobody).expect_err(name).0.status, 404);
    }
}

#[test]
fn garbage_is_turned_away_and_what_we_do_not_know_means_nothing() {
    let deep = format!("{{\"body\":{}{}}}", "[".repeat(5_000), "]".repeat(5_000));
    let huge = json!({ "clientSessionId": "c".repeat(900_000), "body": [{ "uiType": "x".repeat(1000) }] })
        .to_string();
    for (agent, name) in agents() {
        for bad in
            [&b""[..], b"\xff\xfe", b"null", b"[]", b"7", b"\"text\"", b"{", b"<xml/>", deep.as_bytes()]
        {
            let heard = receive(agent.as_ref(), bad);
            assert!(
                matches!(heard, Err(400) | Ok(0)),
                "{name} {:?}: {heard:?}",
                String::from_utf8_lossy(bad).get(..20)
            );
        }
        for nothing in [
            b"{}".to_vec(),
            huge.clone().into_bytes(),
            json!({ "body": 7, "agentChat": "yes", "requestId": 9_007_199_254_740_993_i64 }).to_string().into_bytes(),
            json!({ "clientVariables": { "tenant": APP, "handoff": "cnv_1.999999999999" }, "agentChat": true }).to_string().into_bytes(),
            json!({ "group": "not ours", "formatted_message": "x", "sys_created_by": "a", "sys_id": "1" }).to_string().into_bytes(),
        ] {
            assert_eq!(receive(agent.as_ref(), &nothing), Ok(0), "{name}");
        }
    }
}

#[test]
fn fields_of_another_shape_count_as_missing() {
    let (utah, _) = agents().remove(0);
    let ours = json!({ "tenant": APP, "handoff": HANDLE });
    let body = json!({ "clientVariables": ours, "agentChat": true, "score": "1", "completed": "no", "body": [
        null, 7, "x", [], {},
        { "uiType": 7, "actionType": {} },
        { "uiType": "ActionMsg" },
        { "uiType": "ActionMsg", "actionType": "System", "message": { "a": 1 } },
        { "uiType": "OutputText", "value": "who am I", "agentInfo": "x" },
        { "uiType": "OutputText", "value": "no name", "messageId": 7, "agentInfo": { "sentFromAgent": true, "agentName": null } },
        { "uiType": "OutputImage", "value": 7, "agentInfo": { "sentFromAgent": true } },
        { "uiType": "Picker", "options": [7, { "label": "Live Agent Support.", "value": 7 }] },
        { "uiType": "OutputText", "value": "nul \u{0} byte", "agentInfo": { "sentFromAgent": true, "agentName": "x".repeat(10_000) } },
    ] });
    let request = unverified(Method::POST, HeaderMap::new(), body.to_string().into(), true);
    let heard = utah.receive(&request).expect("proven").heard;
    let said: Vec<(String, usize)> = heard
        .iter()
        .filter_map(|heard| match heard {
            Heard::Event { event: AgentEvent::Said { text, name }, .. } => {
                Some((text.text.clone(), name.as_ref().map_or(0, String::len)))
            }
            _ => None,
        })
        .collect();
    assert_eq!(said, [("no name".to_owned(), 0), ("nul  byte".to_owned(), 200)]);
}

#[test]
fn no_bytes_make_it_panic() {
    let agents = agents();
    proptest!(|(body in proptest::collection::vec(any::<u8>(), 0..400), text in "\\PC{0,200}")| {
        for (agent, _) in &agents {
            let _ = receive(agent.as_ref(), &body);
            let _ = receive(agent.as_ref(), text.as_bytes());
            let broken = format!("{{\"group\":\"{text}\",\"formatted_message\":\"{text}\",\"sys_created_by\":\"{text}\",\"last_message\":\"\",\"sys_id\":\"{text}\"}}");
            let _ = receive(agent.as_ref(), broken.as_bytes());
        }
        let _ = super::super::plain::words(&text);
    });
}

#[tokio::test]
async fn whatever_answers_nothing_panics() {
    for (then, expected) in [
        (&b""[..], "uncertain"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "uncertain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half", "uncertain"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "uncertain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n\xff\xfe", "uncertain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 12\r\n\r\n<html></html", "uncertain"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nnull", "uncertain"),
        (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 40\r\n\r\n{\"error\":{\"message\":\"<b>call me</b>\"}}   ", "refused"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 62\r\n\r\n{\"status\":\"failure\",\"error\":{\"message\":\"<script>\"}}            ", "refused"),
    ] {
        let url = hostile::raw(then).await;
        let login = json!({ "type": "basic", "user_name": "u", "password": "p" });
        let settings = json!({ "instance_url": url, "login": login });
        let tokyo = changed(settings.clone(), &json!({ "queue_id": "q" }));
        let public = "https://chat.example.com/".parse().expect("a URL");
        let shown = String::from_utf8_lossy(then).into_owned();
        let utah = build(&ServiceNow, settings, &public, &[&url]).expect("settings");
        let result = utah.deliver(&line(5, "hello"), None).await.map(|_| ());
        match (&result, expected) {
            (Err(Failure::Uncertain(_)), "uncertain") => {}
            (Err(Failure::Refused(cause)), "refused") => assert!(!cause.code.contains('<'), "{shown}"),
            _ => panic!("{shown}: {result:?}"),
        }
        assert!(utah.probe().await.is_err(), "{shown}");
        let tokyo = build(&ServiceNowTokyo, tokyo, &public, &[&url]).expect("settings");
        assert!(tokyo.probe().await.is_err(), "{shown}");
        let platform = Arc::new(Platform::default());
        let opened = Session::start(tokyo, platform, None).tell(open()).await;
        assert!(matches!(opened, Err(Failure::Uncertain(_) | Failure::Refused(_))), "{shown}: {opened:?}");
    }
}

#[tokio::test]
async fn an_answer_that_drips_is_not_waited_for() {
    let (url, mut was_asked) = hostile::dripping(BEGUN).await;
    let login = json!({ "type": "basic", "user_name": "u", "password": "p" });
    let settings = json!({ "instance_url": url, "login": login });
    let public = "https://chat.example.com/".parse().expect("a URL");
    let utah = build(&ServiceNow, settings.clone(), &public, &[&url]).expect("settings");
    let tokyo = changed(settings, &json!({ "queue_id": "q" }));
    let tokyo = build(&ServiceNowTokyo, tokyo, &public, &[&url]).expect("settings");
    let mut session = Session::start(tokyo, Arc::new(Platform::default()), None);
    session.give(open());
    let said = tokio::spawn(async move { utah.deliver(&line(5, "hello"), None).await });
    for _ in 0..2 {
        was_asked.recv().await.expect("a request");
    }
    hostile::pass(Duration::from_secs(16)).await;
    let said = said.await.expect("a task");
    assert!(matches!(said, Err(Failure::Uncertain(_))), "{said:?}");
    let opened = session.result().await;
    assert!(matches!(opened, Err(Failure::Uncertain(_))), "{opened:?}");
}

#[tokio::test]
async fn an_address_that_the_operator_did_not_name_is_not_called() {
    let settings = json!({
        "instance_url": "http://127.0.0.2:9", "login": { "type": "basic", "user_name": "u", "password": "p" },
    });
    let public = "https://chat.example.com/".parse().expect("a URL");
    let agent = build(&ServiceNow, settings, &public, &[]).expect("settings");
    let failure = agent.deliver(&open(), None).await.expect_err("refused");
    assert!(matches!(failure, Failure::Refused(_)), "{failure:?}");
}
