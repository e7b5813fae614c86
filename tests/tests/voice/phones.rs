//! People with a softphone (baresip): what is heard at both ends, by UDP and RTP, by TLS and SRTP.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use interline_tests::baresip::{Line, Phone};
use interline_tests::ears;
use interline_tests::scratch::Scratch;
use interline_tests::server::free_port;

use super::{Gateway, failures, kinds};

/// A tone of two minutes.
pub fn tone(folder: &Path, hz: f32) -> Result<PathBuf> {
    let path = folder.join(format!("{hz}.wav"));
    let wave = |no: u32| (f64::from(no) * f64::from(hz) * std::f64::consts::TAU / 8_000.0).sin() * 8_000.0;
    let samples: Vec<u8> = (0..8_000 * 120).flat_map(|no| (wave(no) as i16).to_le_bytes()).collect();
    let length = u32::try_from(samples.len())?;
    let mut bytes = Vec::from(*b"RIFF");
    bytes.extend((length + 36).to_le_bytes());
    bytes.extend(b"WAVEfmt \x10\0\0\0\x01\0\x01\0\x40\x1f\0\0\x80\x3e\0\0\x02\0\x10\0data");
    bytes.extend(length.to_le_bytes());
    bytes.extend(samples);
    std::fs::write(&path, bytes)?;
    Ok(path)
}

/// Whether a tone is in it, for half a second at least: speech has shorter ones.
fn has(heard: &[u8], hz: f32) -> bool {
    !ears::tones(&ears::left(heard).unwrap(), hz).is_empty()
}

/// A caller presses a key in the menu, is joined with the agent, and each hears the other. The agent leaves, and the caller is
/// with the bot again.
async fn talk(gateway: &mut Gateway, caller: &Line, agent: Phone, uri: &str) -> Result<()> {
    let (mut caller, mut agent) = (Phone::start(caller).await?, agent);
    caller.dial(uri).await?;
    caller.tells("CALL_ESTABLISHED").await?;
    // The menu is heard, and a key is listened to as soon as it is.
    caller.tells("CALL_RTPESTAB").await?;
    caller.listens(500).await?;
    caller.press('1').await?;
    agent.tells("CALL_ESTABLISHED").await?;
    agent.tells("CALL_RTPESTAB").await?;
    let (a, b) = tokio::join!(agent.listens(2_000), caller.listens(2_000));
    a.context("the agent")?;
    b.context("the caller")?;
    agent.hang_up().await?;
    agent.tells("CALL_CLOSED").await?;
    // Words of the bot.
    caller.listens(500).await.context("the caller, with the bot again")?;
    caller.hang_up().await?;
    caller.tells("CALL_CLOSED").await?;
    let (caller, agent) = (caller.heard().await?, agent.heard().await?);
    ensure!(has(&caller, 1_000.0), "the caller does not hear the agent");
    ensure!(has(&agent, 700.0), "the agent does not hear the caller");
    ensure!(!has(&caller, 700.0) && !has(&agent, 1_000.0), "somebody hears themselves");
    let log = gateway.log().await?;
    ensure!(kinds(&log).contains(&"agent_left".to_owned()), "{log:?}");
    ensure!(failures(&log).is_empty(), "{log:?}");
    gateway.is_empty().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_softphone_calls_presses_a_key_and_talks_to_another() {
    let folder = Scratch::new("phones").unwrap();
    let line = |user: &str, hz, answers| Line {
        user: user.into(),
        plays: tone(folder.path(), hz).unwrap(),
        answers,
        ..Line::default()
    };
    let agent = Phone::start(&line("agent", 1_000.0, true)).await.unwrap();
    let uri = format!("sip:agent@127.0.0.1:{}", agent.port);
    let mut gateway = Gateway::start_with("voice-phones", &[], &[("AGENT_URI", &uri)]).await.unwrap();
    let menu = format!("sip:menu@127.0.0.1:{}", gateway.sip);
    talk(&mut gateway, &line("ann", 700.0, false), agent, &menu).await.unwrap();
}

/// An authority, and a certificate of it for `localhost` that no address stands in.
struct Papers {
    authority: PathBuf,
    certificate: PathBuf,
    key: PathBuf,
    both: PathBuf,
}

fn papers(folder: &Path) -> Result<Papers> {
    let at = |name: &str| folder.join(name);
    let script = "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout ca.key -out ca.pem \
                  -days 2 -subj /CN=authority &&
                  openssl req -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout key.pem -out request.pem \
                  -subj /CN=localhost &&
                  echo subjectAltName=DNS:localhost > names &&
                  openssl x509 -req -in request.pem -CA ca.pem -CAkey ca.key -CAcreateserial -days 2 -extfile names \
                  -out cert.pem &&
                  cat key.pem cert.pem > both.pem";
    let made = Command::new("sh").args(["-c", script]).current_dir(folder).output()?;
    ensure!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
    Ok(Papers {
        authority: at("ca.pem"),
        certificate: at("cert.pem"),
        key: at("key.pem"),
        both: at("both.pem"),
    })
}

/// The example, listening by TLS too.
fn secure(port: u16, papers: &Papers, srtp: &str) -> String {
    let Papers { authority, certificate, key, .. } = papers;
    format!(
        "listen: ${{SIP_LISTEN}}\n    tls: {{ listen: \"127.0.0.1:{port}\", certificate: {}, key: {}, authorities: {} }}\n    \
         srtp: \"{srtp}\" #",
        certificate.display(),
        key.display(),
        authority.display()
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nobody_listens_in_by_tls_and_srtp() {
    let folder = Scratch::new("papers").unwrap();
    let papers = papers(folder.path()).unwrap();
    let line = |user: &str, hz, answers| Line {
        user: user.into(),
        plays: tone(folder.path(), hz).unwrap(),
        answers,
        srtp: true,
        tls: Some((papers.both.clone(), papers.authority.clone())),
    };
    let agent = Phone::start(&line("agent", 1_000.0, true)).await.unwrap();
    // By name: the agent's certificate bears no address.
    let uri = format!("sip:agent@localhost:{};transport=tls", agent.port);
    let port = free_port().unwrap();
    let change = secure(port, &papers, "required");
    let mut gateway =
        Gateway::start_with("voice-secure", &[("listen: ${SIP_LISTEN}", &change)], &[("AGENT_URI", &uri)])
            .await
            .unwrap();
    let menu = format!("sip:menu@127.0.0.1:{port};transport=tls");
    talk(&mut gateway, &line("ann", 700.0, false), agent, &menu).await.unwrap();
}

/// An agent whose certificate is for another name is not called: by address, since it bears none.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_certificate_for_another_name_is_no_agent() {
    let folder = Scratch::new("papers").unwrap();
    let papers = papers(folder.path()).unwrap();
    let line = Line {
        user: "agent".into(),
        plays: tone(folder.path(), 1_000.0).unwrap(),
        answers: true,
        srtp: false,
        tls: Some((papers.both.clone(), papers.authority.clone())),
    };
    let agent = Phone::start(&line).await.unwrap();
    let uri = format!("sip:agent@127.0.0.1:{};transport=tls", agent.port);
    let change = secure(free_port().unwrap(), &papers, "off");
    // The stack tries again and again, up to the ring time-out.
    let changes = [("listen: ${SIP_LISTEN}", change.as_str()), super::SHORT_RING[0]];
    let mut gateway =
        Gateway::start_with("voice-other-name", &changes, &[("AGENT_URI", &uri)]).await.unwrap();
    gateway.caller("caller_stays", "agent").unwrap().run().await.unwrap();
    let log = gateway.log().await.unwrap();
    assert_eq!(failures(&log), ["agent: no_answer (408 by timer)"]);
    gateway.is_empty().await.unwrap();
}
