//! A customer in the web chat: logs in, opens a socket, talks, reads, reconnects. As the published client does it, but
//! light enough for a thousand of them.

use std::borrow::Cow;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use futures_util::stream::{SplitSink, SplitStream};
use futures_util::{SinkExt, StreamExt};
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio::sync::{mpsc, watch};
use tokio::task::JoinHandle;
use tokio_tungstenite::WebSocketStream;
use tokio_tungstenite::tungstenite::Message;

use crate::files::Attached;
use crate::http::{Answer, Http};
use crate::{App, now_ms};

/// An ack that takes longer is taken for lost.
pub const ACK: Duration = Duration::from_secs(20);
/// The history is asked for in pages of this size.
const PAGE: usize = 100;

/// A server with an app.
#[derive(Debug, Clone)]
pub struct Site {
    /// Where.
    pub address: SocketAddr,
    /// Which.
    pub app: App,
}

/// What comes down a socket.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Frame {
    /// The ack of the frame with this id.
    Ack(u64),
    /// A line of the bot or of an agent.
    Line {
        /// The same in the history.
        id: String,
        /// The words.
        text: String,
        /// Said by a human agent.
        agent: bool,
    },
    /// What happened: the type of the frame, and for `events` that of its message.
    Event(String),
}

/// Called with every frame.
pub type Hook = Arc<dyn Fn(Frame) + Send + Sync>;

/// Called with every frame, and what it was made from.
pub type RawHook = Arc<dyn Fn(Frame, &str) + Send + Sync>;

/// A line of the history.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// The same as in the frame.
    pub id: String,
    /// The words.
    pub text: String,
    /// Said by the customer.
    pub incoming: bool,
    /// When, as it is written.
    pub at: String,
    /// The files that came with the words.
    pub files: Vec<Attached>,
}

/// How a socket ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// The close code; none: without a close frame.
    pub code: Option<u16>,
}

/// An open socket.
pub struct Socket {
    sink: SplitSink<WebSocketStream<TcpStream>, Message>,
    bot: Value,
    acks: mpsc::UnboundedReceiver<u64>,
    closed: watch::Receiver<Option<Closed>>,
    reader: JoinHandle<()>,
}

impl Site {
    /// A login, signed as the customer's own service would.
    pub fn jwt(&self, identity: &str) -> String {
        let now = now_ms() / 1000;
        self.app.sign(&json!({
            "iss": self.app.client_id, "sub": identity, "aud": "https://idproxy.kore.ai/authorize",
            "iat": now, "exp": now + 3600, "isAnonymous": false,
        }))
    }

    /// `jwtgrant` with any assertion.
    ///
    /// # Errors
    /// No answer.
    pub async fn grant(&self, jwt: &str) -> Result<Answer> {
        let body = json!({ "assertion": jwt, "botInfo": self.bot_info(), "token": {} });
        Ok(Http::new(self.address).post("/api/oAuth/token/jwtgrant", &[], &body).await?)
    }

    /// Logs in: an access token.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn log_in(&self, identity: &str) -> Result<String> {
        let answer = self.grant(&self.jwt(identity)).await?;
        ensure!(answer.status == 200, "jwtgrant: {} {}", answer.status, answer.text());
        let token = answer.json()["authorization"]["accessToken"].as_str().map(str::to_owned);
        token.context("jwtgrant: no accessToken")
    }

    /// `rtm/start`.
    ///
    /// # Errors
    /// No answer.
    pub async fn start(&self, token: &str) -> Result<Answer> {
        let body = json!({ "botInfo": self.bot_info(), "token": {} });
        let bearer = format!("bearer {token}");
        Ok(Http::new(self.address).post("/api/rtm/start", &[("authorization", &bearer)], &body).await?)
    }

    /// `rtm/start` and the socket that it names.
    ///
    /// # Errors
    /// No answer, or a refusal.
    pub async fn open(&self, token: &str, reconnect: bool, hook: Hook) -> Result<Socket> {
        self.open_raw(token, reconnect, Arc::new(move |frame, _| hook(frame))).await
    }

    /// [`Site::open`] with a hook that sees the frames as they came.
    ///
    /// # Errors
    /// As [`Site::open`].
    pub async fn open_raw(&self, token: &str, reconnect: bool, hook: RawHook) -> Result<Socket> {
        let answer = self.start(token).await?;
        ensure!(answer.status == 200, "rtm/start: {} {}", answer.status, answer.text());
        let answer = answer.json();
        let url = answer["url"].as_str().context("rtm/start: no url")?;
        ensure!(url.contains('?'), "rtm/start: the client appends to {url} blindly");
        let url = if reconnect { format!("{url}&isReconnect=true") } else { url.to_owned() };
        let stream = TcpStream::connect(self.address).await?;
        stream.set_nodelay(true)?;
        let opened = tokio::time::timeout(ACK, tokio_tungstenite::client_async(url, stream)).await;
        let (stream, _) = opened.context("the socket does not open")??;
        let (sink, source) = stream.split();
        let (to_acks, acks) = mpsc::unbounded_channel();
        let (to_closed, closed) = watch::channel(None);
        let reader = tokio::spawn(read(source, hook, to_acks, to_closed));
        Ok(Socket { sink, bot: self.bot_info(), acks, closed, reader })
    }

    /// The whole history, oldest first, page by page as the 11.x client reads it.
    ///
    /// # Errors
    /// No answer, a refusal, or something that is not a history.
    pub async fn history(&self, token: &str) -> Result<Vec<Past>> {
        let bearer = format!("bearer {token}");
        let mut http = Http::new(self.address);
        let mut all = Vec::new();
        loop {
            let offset = all.len();
            let path = format!("/api/botmessages/rtm?botId={}&limit={PAGE}&offset={offset}", self.app.bot);
            let answer = http.get(&path, &[("authorization", &bearer)]).await?;
            ensure!(answer.status == 200, "history: {} {}", answer.status, answer.text());
            let answer = answer.json();
            let page = answer["messages"].as_array().context("history: no messages")?;
            let page: Vec<Past> = page.iter().map(past).collect::<Result<_>>()?;
            let more = answer["moreAvailable"] == true;
            ensure!(!more || !page.is_empty(), "history: an empty page, and more available");
            all.splice(0..0, page);
            if !more {
                return Ok(all);
            }
        }
    }

    fn bot_info(&self) -> Value {
        json!({ "chatBot": "Bot", "taskBotId": self.app.bot })
    }
}

fn past(message: &Value) -> Result<Past> {
    let text = |at: &str| message.pointer(at).and_then(Value::as_str).map(str::to_owned);
    Ok(Past {
        id: text("/_id").context("history: a message without _id")?,
        text: text("/components/0/data/text").context("history: a message without text")?,
        incoming: text("/type").as_deref() == Some("incoming"),
        at: text("/createdOn").context("history: a message without createdOn")?,
        files: Attached::all(&message["attachments"])?,
    })
}

impl Socket {
    /// Sends a line under the client's own id of it.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn say(&mut self, id: u64, text: &str) -> Result<()> {
        self.say_with(id, text, &[]).await
    }

    /// [`Socket::say`] with files that were uploaded before.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn say_with(&mut self, id: u64, text: &str, files: &[Attached]) -> Result<()> {
        let files: Vec<Value> = files.iter().map(Attached::named).collect();
        let frame = json!({
            "clientMessageId": id, "resourceid": "/bot.message",
            "message": { "body": text, "attachments": files, "customdata": {}, "metaTags": {} },
            "botInfo": self.bot, "client": "sdk", "meta": { "timezone": "Etc/UTC", "locale": "en-US" }, "id": id,
        });
        self.send(Message::text(frame.to_string())).await
    }

    /// Sends anything.
    ///
    /// # Errors
    /// The socket is gone.
    pub async fn send(&mut self, message: Message) -> Result<()> {
        Ok(self.sink.send(message).await?)
    }

    /// Waits for the ack of `id`.
    ///
    /// # Errors
    /// The socket is gone, or it does not come in time.
    pub async fn acked(&mut self, id: u64) -> Result<()> {
        let wait = async {
            while let Some(acked) = self.acks.recv().await {
                if acked == id {
                    return true;
                }
            }
            false
        };
        match tokio::time::timeout(ACK, wait).await {
            Ok(true) => Ok(()),
            Ok(false) => bail!("the socket was lost"),
            Err(_) => bail!("no ack within {ACK:?}"),
        }
    }

    /// [`Socket::say`] and [`Socket::acked`].
    ///
    /// # Errors
    /// It is not known whether the line was taken.
    pub async fn tell(&mut self, id: u64, text: &str) -> Result<()> {
        self.say(id, text).await?;
        self.acked(id).await
    }

    /// [`Socket::say_with`] and [`Socket::acked`].
    ///
    /// # Errors
    /// It is not known whether the line was taken.
    pub async fn tell_with(&mut self, id: u64, text: &str, files: &[Attached]) -> Result<()> {
        self.say_with(id, text, files).await?;
        self.acked(id).await
    }

    /// Waits until it is closed.
    pub async fn closed(&mut self) -> Closed {
        match self.closed.wait_for(Option::is_some).await {
            Ok(closed) => closed.clone().unwrap_or(Closed { code: None }),
            Err(_) => Closed { code: None },
        }
    }

    /// Whether it is closed.
    pub fn is_closed(&self) -> bool {
        self.closed.borrow().is_some()
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        self.reader.abort();
    }
}

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow, rename = "type")]
    kind: Option<Cow<'a, str>>,
    replyto: Option<Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Line {
    message_id: String,
    message: Vec<Part>,
    author: Option<Value>,
}

#[derive(Deserialize)]
struct Part {
    #[serde(rename = "cInfo")]
    info: Info,
}

#[derive(Deserialize)]
struct Info {
    body: String,
}

async fn read(
    mut source: SplitStream<WebSocketStream<TcpStream>>,
    hook: RawHook,
    acks: mpsc::UnboundedSender<u64>,
    closed: watch::Sender<Option<Closed>>,
) {
    let mut code = None;
    while let Some(Ok(message)) = source.next().await {
        match message {
            Message::Text(text) => {
                let frame = understand(&text);
                if let Frame::Ack(id) = frame {
                    let _ = acks.send(id);
                }
                hook(frame, &text);
            }
            Message::Close(frame) => {
                code = frame.map(|frame| frame.code.into());
            }
            _ => {}
        }
    }
    drop(acks);
    let _ = closed.send(Some(Closed { code }));
}

/// The client parses without a guard, so what is no JSON ends it.
fn understand(text: &str) -> Frame {
    let Ok(head) = serde_json::from_str::<Head<'_>>(text) else {
        return Frame::Event(format!("NOT JSON: {text}"));
    };
    match head.kind.as_deref() {
        Some("ack") => match head.replyto {
            Some(Value::Number(id)) => Frame::Ack(id.as_u64().unwrap_or(0)),
            _ => Frame::Event("ack".to_owned()),
        },
        Some("bot_response") => match serde_json::from_str::<Line>(text) {
            Ok(line) => Frame::Line {
                id: line.message_id,
                text: line.message.into_iter().map(|part| part.info.body).collect(),
                agent: line.author.is_some_and(|author| author["type"] == "AGENT"),
            },
            Err(error) => Frame::Event(format!("NOT A RESPONSE: {error}: {text}")),
        },
        Some("events") => {
            let frame: Value = serde_json::from_str(text).unwrap_or_default();
            Frame::Event(format!("events/{}", frame["message"]["type"].as_str().unwrap_or_default()))
        }
        kind => Frame::Event(kind.unwrap_or_default().to_owned()),
    }
}

/// A hook that keeps every frame.
pub fn keep() -> (Hook, Kept) {
    let (sender, receiver) = mpsc::unbounded_channel();
    let hook: Hook = Arc::new(move |frame| {
        let _ = sender.send(frame);
    });
    (hook, Kept { receiver })
}

/// The frames that came.
#[derive(Debug)]
pub struct Kept {
    receiver: mpsc::UnboundedReceiver<Frame>,
}

impl Kept {
    /// Waits for a frame and gives it; drops those before it.
    ///
    /// # Errors
    /// It does not come; with those that came instead.
    pub async fn wait(&mut self, patience: Duration, wanted: impl Fn(&Frame) -> bool) -> Result<Frame> {
        let mut others = Vec::new();
        let wait = async {
            while let Some(frame) = self.receiver.recv().await {
                if wanted(&frame) {
                    return Some(frame);
                }
                others.push(frame);
            }
            None
        };
        match tokio::time::timeout(patience, wait).await {
            Ok(Some(frame)) => Ok(frame),
            _ => bail!("it did not come within {patience:?}; there came {others:?}"),
        }
    }

    /// Waits for a line that holds these words.
    ///
    /// # Errors
    /// It does not come.
    pub async fn line(&mut self, patience: Duration, words: &str) -> Result<Frame> {
        let found =
            self.wait(patience, |frame| matches!(frame, Frame::Line { text, .. } if text.contains(words)));
        found.await.with_context(|| format!("waiting for `{words}`"))
    }
}
