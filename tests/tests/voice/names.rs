//! Agents by name (RFC 3263): a name server of the test's own says how, where, and in which order.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use anyhow::Result;
use interline_tests::server::free_port;
use interline_tests::sipp::Sipp;
use tokio::net::UdpSocket;
use tokio::task::JoinHandle;

use super::{Gateway, failures, kinds};

const A: u16 = 1;
const SRV: u16 = 33;

/// A name server that knows what it was told, by UDP on loopback.
struct Dns {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
    serves: JoinHandle<()>,
}

/// `(name, kind, data)`.
type Record = (&'static str, u16, Vec<u8>);

impl Dns {
    async fn start(records: Vec<Record>) -> Result<Self> {
        let socket = UdpSocket::bind("127.0.0.1:0").await?;
        let (at, asked) = (socket.local_addr()?, Arc::<Mutex<Vec<String>>>::default());
        let noted = asked.clone();
        let serves = tokio::spawn(async move {
            let mut buffer = [0; 1_500];
            while let Ok((length, from)) = socket.recv_from(&mut buffer).await {
                let Some((answer, name)) = answer(&buffer[..length], &records) else { continue };
                noted.lock().unwrap().push(name);
                let _ = socket.send_to(&answer, from).await;
            }
        });
        Ok(Self { at, asked, serves })
    }

    fn was_asked(&self, name: &str) -> bool {
        self.asked.lock().unwrap().iter().any(|asked| asked == name)
    }
}

impl Drop for Dns {
    fn drop(&mut self) {
        self.serves.abort();
    }
}

fn labels(name: &str) -> Vec<u8> {
    let labels = name.split('.').flat_map(|label| [&[label.len() as u8], label.as_bytes()].concat());
    labels.chain([0]).collect()
}

fn srv(priority: u16, port: u16, host: &str) -> Vec<u8> {
    [&priority.to_be_bytes()[..], &[0, 0], &port.to_be_bytes(), &labels(host)].concat()
}

/// The answer to a question (RFC 1035 §4), and the name that was asked for.
fn answer(query: &[u8], records: &[Record]) -> Option<(Vec<u8>, String)> {
    let (mut at, mut name) = (12, Vec::new());
    while let Some(length) = query.get(at).copied().filter(|length| *length > 0) {
        name.push(
            String::from_utf8_lossy(query.get(at + 1..=at + usize::from(length))?).to_ascii_lowercase(),
        );
        at += usize::from(length) + 1;
    }
    let (name, question) = (name.join("."), query.get(12..at + 5)?);
    let kind = u16::from_be_bytes([question[question.len() - 4], question[question.len() - 3]]);
    let known = records.iter().any(|(of, ..)| *of == name);
    let found: Vec<_> = records.iter().filter(|(of, is, _)| *of == name && *is == kind).collect();
    let mut answer = query[..2].to_vec();
    answer.extend([0x85, if known { 0x80 } else { 0x83 }, 0, 1, 0, found.len() as u8, 0, 0, 0, 0]);
    answer.extend(question);
    for (_, _, data) in found {
        // The name of the question, Internet, one minute.
        answer.extend([0xC0, 12]);
        answer.extend(kind.to_be_bytes());
        answer.extend([0, 1, 0, 0, 0, 60]);
        answer.extend((data.len() as u16).to_be_bytes());
        answer.extend(data);
    }
    Some((answer, name))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_agent_by_name_is_where_the_name_server_says() {
    let (first, second) = (free_port().unwrap(), free_port().unwrap());
    let dns = Dns::start(vec![
        // Not in their order.
        ("_sip._udp.desk.example", SRV, srv(20, second, "two.desk.example")),
        ("_sip._udp.desk.example", SRV, srv(10, first, "one.desk.example")),
        ("_sip._tcp.desk.example", SRV, srv(10, second, "two.desk.example")),
        ("one.desk.example", A, vec![127, 0, 0, 1]),
        ("two.desk.example", A, vec![127, 0, 0, 1]),
    ]);
    let dns = dns.await.unwrap();
    let servers = format!("[\"{}\"]", dns.at);
    let settings = [
        ("AGENT_URI", "sip:agent@desk.example"),
        ("PROBE_URI", "sip:probe@desk.example;transport=tcp"),
        ("INTERLINE_VOICE_NAME_SERVERS", servers.as_str()),
    ];
    let mut gateway = Gateway::start_with("voice-names", &[], &settings).await.unwrap();
    let busy = || {
        let agent = Sipp::agent("agent_refuses", first).with("status", "503 Service Unavailable");
        agent.with("extra", "Retry-After: 1")
    };
    let answers = |transport: &str| Sipp::agent("agent_leaves", second).flags(&["-t", transport]);
    // The first is overloaded; nobody is where the first should be; by TCP there is one alone.
    for (user, first, second) in [
        ("agent", Some(busy()), answers("u1")),
        ("agent", None, answers("u1")),
        ("probe", None, answers("t1")),
    ] {
        let first = first.map(|first| first.start().unwrap());
        let second = second.start().unwrap();
        gateway.caller("caller_stays", user).unwrap().run().await.unwrap();
        if let Some(first) = first {
            first.end().await.unwrap();
        }
        second.end().await.unwrap();
        let log = gateway.log().await.unwrap();
        assert!(
            kinds(&log).contains(&"agent_joined".to_owned()) && failures(&log).is_empty(),
            "{user}: {log:?}"
        );
    }
    assert!(dns.was_asked("_sip._udp.desk.example") && dns.was_asked("_sip._tcp.desk.example"));
    gateway.is_empty().await.unwrap();
}
