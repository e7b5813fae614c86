//! A client on a socket. It reads all the time, so that pings are answered as a browser answers them.

use std::time::Duration;

use futures_util::stream::SplitSink;
use futures_util::{SinkExt, StreamExt};
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::{Error, Message};
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream, connect_async};

const PATIENCE: Duration = Duration::from_secs(5);

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

pub struct Client {
    up: SplitSink<Stream, Message>,
    down: mpsc::UnboundedReceiver<Result<Value, u16>>,
    pump: JoinHandle<()>,
}

/// Opens a socket without reading from it.
pub async fn dial(url: &str, origin: Option<&str>) -> Result<Stream, u16> {
    let mut request = url.into_client_request().expect("a request");
    if let Some(origin) = origin {
        request.headers_mut().insert("origin", origin.parse().expect("an origin"));
    }
    match connect_async(request).await {
        Ok((stream, _)) => Ok(stream),
        Err(Error::Http(response)) => Err(response.status().as_u16()),
        Err(error) => panic!("{error}"),
    }
}

impl Client {
    pub async fn open(url: &str) -> Self {
        Self::of(dial(url, None).await.expect("a socket"))
    }

    pub fn of(stream: Stream) -> Self {
        let (up, mut frames) = stream.split();
        let (send, down) = mpsc::unbounded_channel();
        let pump = tokio::spawn(async move {
            while let Some(frame) = frames.next().await {
                let told = match frame {
                    Ok(Message::Text(text)) => Ok(serde_json::from_str(&text).expect("every frame is JSON")),
                    Ok(Message::Close(close)) => Err(close.map_or(1005, |close| close.code.into())),
                    Ok(_) => continue,
                    Err(_) => Err(1006),
                };
                if send.send(told).is_err() {
                    return;
                }
            }
        });
        Self { up, down, pump }
    }

    pub async fn send(&mut self, frame: Value) {
        self.raw(Message::text(frame.to_string())).await;
    }

    pub async fn raw(&mut self, message: Message) {
        self.up.send(message).await.expect("sent");
    }

    pub async fn say(&mut self, id: u64, text: &str) {
        let frame = json!({ "clientMessageId": id, "resourceid": "/bot.message", "message": { "body": text }, "id": id, "client": "sdk" });
        self.send(frame).await;
    }

    /// The next frame.
    pub async fn frame(&mut self) -> Value {
        match timeout(PATIENCE, self.down.recv()).await {
            Ok(Some(Ok(frame))) => frame,
            other => panic!("no frame: {other:?}"),
        }
    }

    /// The next frame of a type, whatever comes before it.
    pub async fn frame_of(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.frame().await;
            if frame["type"] == kind || (frame["type"] == "events" && frame["message"]["type"] == kind) {
                return frame;
            }
        }
    }

    /// The next line that a user would see: `< ` the other side's, `> ` the user's own from elsewhere.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(line) = seen(&self.frame().await) {
                return line;
            }
        }
    }

    /// The lines that come until nothing comes any more.
    pub async fn lines(&mut self) -> Vec<String> {
        let mut lines = Vec::new();
        while let Ok(Some(Ok(frame))) = timeout(Duration::from_millis(300), self.down.recv()).await {
            lines.extend(seen(&frame));
        }
        lines
    }

    /// The close code, whatever comes before it.
    pub async fn closed(&mut self) -> u16 {
        loop {
            match timeout(PATIENCE, self.down.recv()).await {
                Ok(Some(Ok(_))) => {}
                Ok(Some(Err(code))) => return code,
                Ok(None) => return 1006,
                Err(_) => panic!("still open"),
            }
        }
    }

    /// Falls off the network.
    pub fn cut(self) {
        self.pump.abort();
    }
}

fn seen(frame: &Value) -> Option<String> {
    match frame["type"].as_str()? {
        "bot_response" => Some(format!("< {}", frame["message"][0]["cInfo"]["body"].as_str()?)),
        "user_message" => Some(format!("> {}", frame["message"]["body"].as_str()?)),
        _ => None,
    }
}
