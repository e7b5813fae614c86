//! A caller and an agent who follow a script, and whose sound is recorded: for the demo, and for tests that listen.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use interline_media::{Media, Play, Prompt};
use tokio_util::sync::CancellationToken;

use crate::call::Call;
use crate::gateway::{Gateway, Open, Reception};
use crate::sip::edge::Listen;
use crate::sip::text::Fields;
use crate::target::Allowed;
use crate::trial::place;
use crate::trunk::{Digits, Network, Srtp, Trunk};

/// One thing that somebody on the telephone does.
#[derive(Debug, Clone)]
pub enum Does {
    /// As an agent, and first of all: rings for so long before it answers.
    Rings(Duration),
    /// Nothing, for so long.
    Waits(Duration),
    /// Nothing, until so much more was heard, in packets of 20 ms; 30 s at most.
    Listens(u64),
    /// Presses keys.
    Presses(String),
    /// Says or plays something, to its end.
    Says(Vec<Prompt>),
}

/// An agent at an address. Dropped, it takes no calls any more.
pub struct Agent {
    _open: Open,
}

struct Desk {
    script: Vec<Does>,
    record: Option<PathBuf>,
}

impl Agent {
    /// An agent who takes calls from this machine, does what the script says, and hangs up. The last call is recorded as WAV:
    /// what is heard on the left, what is said on the right.
    ///
    /// # Errors
    /// The address cannot be listened at.
    pub async fn start(
        at: SocketAddr,
        media: Arc<Media>,
        script: Vec<Does>,
        record: Option<PathBuf>,
    ) -> Result<Self, String> {
        let gateway = Gateway::new(media, 100, CancellationToken::new())?;
        let trunk = Trunk {
            name: "agent".into(),
            sources: vec![Network::read("127.0.0.0/8")?, Network::read("::1")?],
            callers: None,
            md5_only: false,
            account: None,
            home: None,
            transport: None,
            allowed: Allowed::default(),
            fields: Fields::default(),
            uui: crate::sip::text::UuiPlace::Header,
            e164: false,
            digits: Digits::Rfc4733,
            codecs: vec![interline_media::Codec::Pcmu, interline_media::Codec::Pcma],
            srtp: Srtp::Off,
        };
        let listen = Listen { udp: vec![at], tcp: vec![at], ..Listen::default() };
        let open = gateway.open(listen, Arc::new(trunk), Arc::new(Desk { script, record })).await?;
        Ok(Self { _open: open })
    }
}

#[async_trait]
impl Reception for Desk {
    fn fits(&self, _: &str) -> Option<usize> {
        Some(0)
    }

    async fn call(&self, call: Arc<Call>) {
        call.ringing();
        if let Some(Does::Rings(time)) = self.script.first() {
            let _ = tokio::time::timeout(*time, call.leg.gone()).await;
        }
        call.answer();
        if !call.leg.up().await {
            return;
        }
        let recording = self.record.as_ref().and_then(|path| call.leg.session().record(path).ok());
        tokio::select! {
            () = acts(call.leg.session(), &self.script) => {}
            _ = call.leg.gone() => {}
        }
        if let Some(recording) = recording {
            let _ = recording.finish().await;
        }
    }
}

/// A caller who calls `target`, does what the script says, and hangs up, or is hung up on. Recorded as [`Agent`] is. The drawing
/// of its messages.
///
/// # Errors
/// It was not answered: why, and what was seen.
pub async fn caller(
    target: &str,
    media: &Arc<Media>,
    script: &[Does],
    record: Option<PathBuf>,
) -> Result<String, String> {
    let placed = place(target, None, media).await?;
    let recording = record.and_then(|path| placed.leg.session().record(&path).ok());
    tokio::select! {
        () = acts(placed.leg.session(), script) => placed.leg.bye(Vec::new()).await,
        _ = placed.leg.gone() => {}
    }
    if let Some(recording) = recording {
        let _ = recording.finish().await;
    }
    Ok(placed.ladder.draw())
}

async fn acts(session: &interline_media::Session, script: &[Does]) {
    for what in script {
        match what {
            Does::Rings(_) => {}
            Does::Waits(time) => tokio::time::sleep(*time).await,
            Does::Listens(packets) => {
                let wanted = session.stats().packets_received + packets;
                let until = tokio::time::Instant::now() + Duration::from_secs(30);
                while session.stats().packets_received < wanted && tokio::time::Instant::now() < until {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                }
            }
            Does::Presses(keys) => _ = session.send_digits(keys, Duration::from_millis(150)).done().await,
            Does::Says(prompts) => _ = session.play(prompts.clone(), Play::default()).done().await,
        }
    }
}
