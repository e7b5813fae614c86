//! Servers that are no BotKit at all.

use interline_connector::Failure;

use super::*;
use crate::hostile::{self, BEGUN};

#[tokio::test]
async fn whatever_answers_nothing_panics() {
    for (then, expected) in [
        (&b""[..], "uncertain"),
        (b"SSH-2.0-OpenSSH_9.6\r\n", "uncertain"),
        (b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{\"half", "done"),
        (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "done"),
        (b"HTTP/1.1 299 Whatever\r\nContent-Length: 2\r\n\r\n\xff\xfe", "done"),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 33\r\n\r\n{\"customCode\":\"ASYNC_RESPONSE\"}   ", "done"),
        (b"HTTP/1.1 500 No\r\nContent-Length: 4\r\n\r\nnull", "uncertain"),
        (b"HTTP/1.1 999 No\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 307 Go\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n", "refused"),
        (b"HTTP/1.1 400 No\r\nContent-Length: 56\r\n\r\n{\"errors\":[{\"msg\":\"call me\",\"code\":\"<script>alert()\"}]}  ", "refused"),
    ] {
        let url = hostile::raw(then).await;
        let agent = agent(url.as_str(), "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
        let item = item(1, Speaker::Customer, Role::Agent, Body::Text(Text::plain("hello")));
        let result = agent.deliver(&item, None).await.map(|_| ());
        let shown = String::from_utf8_lossy(then).into_owned();
        match (&result, expected) {
            (Ok(()), "done") => {}
            (Err(Failure::Uncertain(_)), "uncertain") => {}
            (Err(Failure::Refused(cause)), "refused") => assert!(!cause.code.contains('<'), "{shown}"),
            _ => panic!("{shown}: {result:?}"),
        }
        assert!(agent.probe().await.is_err(), "{shown}");
    }
}

/// The status says that it was taken; a body that never comes to its end is given up.
#[tokio::test]
async fn an_answer_that_drips_is_not_waited_for() {
    for (begun, taken) in [(BEGUN, true), (&b"HTTP/1.1 200 OK\r\nX-Slow: "[..], false)] {
        let (url, mut was_asked) = hostile::dripping(begun).await;
        let settings = json!({ "answer_timeout_ms": 2_000 });
        let agent = agent(url.as_str(), "http://127.0.0.1:1/", Algorithm::HS256, settings).expect("an agent");
        let item = item(1, Speaker::System, Role::Agent, Body::Open);
        let opened = tokio::spawn(async move { agent.deliver(&item, None).await.map(|_| ()) });
        was_asked.recv().await.expect("a request");
        hostile::pass(Duration::from_secs(16)).await;
        let opened = opened.await.expect("a task");
        assert_eq!(matches!(opened, Ok(())), taken, "{opened:?}");
        assert!(taken || matches!(opened, Err(Failure::Uncertain(_))), "{opened:?}");
    }
}

#[tokio::test]
async fn an_address_that_the_operator_did_not_name_is_not_called() {
    let world = World::new().await;
    let settings = json!({ "url": "http://127.0.0.2:9/" });
    let agent =
        agent("http://127.0.0.1:9", "http://127.0.0.1:1/", Algorithm::HS256, settings).expect("an agent");
    let item = world.item(Speaker::System, Role::Agent, Body::Open);
    let result = agent.deliver(&item, None).await.map(|_| ());
    assert!(
        matches!(&result, Err(Failure::Refused(cause)) if cause.reason == Reason::Unconfigured),
        "{result:?}"
    );
}
