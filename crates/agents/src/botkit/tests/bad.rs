//! Servers that are no BotKit at all.

use interline_connector::Failure;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::*;

/// Reads a request, then does `then` with the connection.
async fn raw(then: &'static [u8]) -> String {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let Ok((mut socket, _)) = listener.accept().await else { return };
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let _ = socket.read(&mut buffer).await;
                let _ = socket.write_all(then).await;
                let _ = socket.shutdown().await;
            });
        }
    });
    url
}

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
        let url = raw(then).await;
        let agent = agent(&url, "http://127.0.0.1:1/", Algorithm::HS256, json!({})).expect("an agent");
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
