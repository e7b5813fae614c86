//! The same load through rtpengine (Debian `rtpengine-daemon`), where it is installed: without its kernel module, on one
//! thread and the gateway's core. It is told of calls by its `ng` protocol: a cookie, and a dictionary in bencode.

use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use interline_tests::server::{free_port, memory_of, pinned};

use super::GATEWAY;
use super::relay::{How, Loaded, Ran};

const PATIENCE: Duration = Duration::from_secs(5);

/// Ended when it is dropped.
struct Engine {
    child: Child,
    socket: UdpSocket,
    cookie: u32,
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Relays so many calls for so long.
///
/// # Errors
/// It is not installed, or does not do as it is told.
pub fn run(calls: usize, seconds: u64) -> Result<Ran> {
    let mut engine = Engine::start()?;
    let (pid, before) = (engine.child.id(), memory_of(engine.child.id()));
    let ran =
        Loaded::start(calls, seconds, How::Same)?.run(pid, before, |no, theirs| engine.call(no, theirs))?;
    // A relay that does not keep up is no measure.
    ensure!(
        ran.seen.received * 100 >= ran.seen.sent * 99,
        "{} of {} packets came",
        ran.seen.received,
        ran.seen.sent
    );
    Ok(ran)
}

impl Engine {
    fn start() -> Result<Self> {
        ensure!(Command::new("rtpengine").arg("--version").output().is_ok(), "it is not installed");
        let ng = free_port()?;
        let mut command = pinned(GATEWAY, "rtpengine").into_std();
        command.args(["--foreground", "--interface=127.0.0.1", "--table=-1", "--num-threads=1"]);
        command.args(["--log-level=2", "--log-stderr", "--port-min=20000", "--port-max=60000"]);
        command.arg(format!("--listen-ng=127.0.0.1:{ng}")).args(["--config-file=none", "--timeout=3600"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()?;
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.connect(("127.0.0.1", ng))?;
        socket.set_read_timeout(Some(Duration::from_millis(100)))?;
        let mut engine = Self { child, socket, cookie: 0 };
        let began = Instant::now();
        while engine.ask(&[("command", "ping")]).is_err() {
            ensure!(began.elapsed() < PATIENCE, "it does not start");
        }
        engine.socket.set_read_timeout(Some(PATIENCE))?;
        Ok(engine)
    }

    /// Makes a call between two ports, and gives those that it has for them.
    fn call(&mut self, no: usize, theirs: [u16; 2]) -> Result<[u16; 2]> {
        let id = format!("call-{no}");
        let sdp = |port: u16| {
            format!(
                "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {port} RTP/AVP 8\r\n"
            )
        };
        let (a, b) = (sdp(theirs[0]), sdp(theirs[1]));
        let towards_b =
            self.ask(&[("call-id", &id), ("command", "offer"), ("from-tag", "a"), ("sdp", &a)])?;
        let towards_a = self.ask(&[
            ("call-id", &id),
            ("command", "answer"),
            ("from-tag", "a"),
            ("sdp", &b),
            ("to-tag", "b"),
        ])?;
        Ok([port(&towards_a)?, port(&towards_b)?])
    }

    /// The keys stand in their order, as bencode wants it.
    fn ask(&mut self, what: &[(&str, &str)]) -> Result<String> {
        self.cookie += 1;
        let text = |text: &str| format!("{}:{text}", text.len());
        let all: String = what.iter().map(|(key, value)| text(key) + &text(value)).collect();
        self.socket.send(format!("{} d{all}e", self.cookie).as_bytes())?;
        let mut room = [0; 8192];
        loop {
            let length = self.socket.recv(&mut room)?;
            let answer = String::from_utf8_lossy(&room[..length]);
            let Some(answer) = answer.strip_prefix(&format!("{} ", self.cookie)) else { continue };
            if !answer.contains("6:result2:ok") && !answer.contains("6:result4:pong") {
                bail!("it says {answer}");
            }
            return Ok(answer.to_owned());
        }
    }
}

fn port(answer: &str) -> Result<u16> {
    let (_, rest) = answer.split_once("m=audio ").context("no audio")?;
    Ok(rest.split(' ').next().context("no port")?.parse()?)
}
