//! Hosts that no vendor is, for the tests of all of them.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::sync::mpsc;
use url::Url;

/// The head of an answer whose body does not end soon.
pub const BEGUN: &[u8] = b"HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\n";
/// A head that does not end itself.
pub const HALF_A_HEAD: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nX-Slow: ";

/// Reads a request, then says `then` and hangs up.
pub async fn raw(then: &'static [u8]) -> Url {
    serve(then, false).await.0
}

/// Reads a request, answers with `begun` and from then on with a byte a second, without an end. Tells of each request.
pub async fn dripping(begun: &'static [u8]) -> (Url, mpsc::UnboundedReceiver<()>) {
    serve(begun, true).await
}

/// Time passes at once, a second at a time: who waits for something else than time meanwhile gets to it.
pub async fn pass(time: Duration) {
    for _ in 0..time.as_secs() {
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(1)).await;
        tokio::time::resume();
    }
}

async fn serve(then: &'static [u8], drips: bool) -> (Url, mpsc::UnboundedReceiver<()>) {
    let (asked, was_asked) = mpsc::unbounded_channel();
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let url = format!("http://{}", listener.local_addr().expect("an address"));
    tokio::spawn(async move {
        loop {
            let Ok((mut socket, _)) = listener.accept().await else { return };
            let asked = asked.clone();
            tokio::spawn(async move {
                let mut buffer = vec![0; 64 * 1024];
                let _ = socket.read(&mut buffer).await;
                let _ = asked.send(());
                let mut written = socket.write_all(then).await;
                while drips && written.is_ok() {
                    tokio::time::sleep(Duration::from_secs(1)).await;
                    written = socket.write_all(b" ").await;
                }
                let _ = socket.shutdown().await;
            });
        }
    });
    (url.parse().expect("a URL"), was_asked)
}
