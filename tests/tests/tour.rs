//! `docs/operate/tour.sh` is what it says it is: the life of an app by curl, against a server that has none.

use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, command, free_port, run, workspace};
use tokio::io::{AsyncBufReadExt as _, BufReader};
use tokio::process::{Child, Command};

const BOT_ID: &str = "st-8f4b9c1e-3a52-5f1d-9b64-0d2f6f1c7a11";

/// Starts a command that goes on, and waits for the line that says it is ready.
async fn started(mut command: Command, ready: &str) -> Result<Child> {
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = BufReader::new(child.stdout.take().context("stdout")?);
    let err = BufReader::new(child.stderr.take().context("stderr")?);
    let (mut out, mut err) = (out.lines(), err.lines());
    let found = async {
        loop {
            let line = tokio::select! {
                Ok(Some(line)) = out.next_line() => line,
                Ok(Some(line)) = err.next_line() => line,
                else => return false,
            };
            if line.contains(ready) {
                // What it says later must go somewhere, or it blocks.
                tokio::spawn(async move { while let Ok(Some(_)) = out.next_line().await {} });
                tokio::spawn(async move { while let Ok(Some(_)) = err.next_line().await {} });
                return true;
            }
        }
    };
    ensure!(tokio::time::timeout(Duration::from_secs(30), found).await?, "it ended before it was ready");
    Ok(child)
}

#[tokio::test]
async fn the_tour_by_curl_is_true() -> Result<()> {
    let scratch = Scratch::new("tour")?;
    let data = scratch.path().join("data");
    let (server_port, botkit_port) = (free_port()?, free_port()?);
    let (server, botkit) = (format!("127.0.0.1:{server_port}"), format!("127.0.0.1:{botkit_port}"));
    let credential =
        [("BOT_ID", BOT_ID), ("CLIENT_ID", "cs-tour"), ("CLIENT_SECRET", "a secret for the tour only")];

    let mut simulate = command(Profile::Debug);
    simulate.args(["simulate", "botkit", "--listen", &botkit]).envs(credential);
    let _stand_in = started(simulate, "agent page").await?;

    let mut serve = command(Profile::Debug);
    serve.arg("serve").arg("--data").arg(&data);
    serve.args(["--listen", &server, "--allow-net", &botkit]);
    let _server = started(serve, "serving").await?;

    // While the server runs: that is how the first key is made.
    let mut key = command(Profile::Debug);
    key.args(["key", "create", "--role", "admin"]).arg("--data").arg(&data).stderr(Stdio::null());
    let output = key.stdout(Stdio::piped()).output().await?;
    let key = String::from_utf8(output.stdout)?.trim().to_owned();
    ensure!(key.starts_with("ilk_"), "no key: {key}");

    let mut tour = Command::new("sh");
    tour.arg(workspace().join("docs/operate/tour.sh"))
        .envs(credential)
        .env("INTERLINE", format!("http://{server}"))
        .env("INTERLINE_KEY", key)
        .env("BOTKIT", format!("http://{botkit}"))
        .stdin(Stdio::null())
        .kill_on_drop(true);
    let (status, said) = run(tour).await?;
    ensure!(status.success(), "{status}\n{said}");
    for expected in
        ["\"stage\":\"talking\"", "It arrives tomorrow.", "Our office moves next week.", "conversation: 404"]
    {
        ensure!(said.contains(expected), "`{expected}` is missing in:\n{said}");
    }
    Ok(())
}
