//! The machine: its disk, and a Node sink that only counts.

use std::fmt;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_tests::http::Http;
use interline_tests::server::cpu_of;
use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;
use tokio::task::JoinSet;

use crate::phase::at;

/// What the machine is.
pub fn describe(directory: &Path) -> String {
    let info = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = info.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let load: Vec<&str> = load.split(' ').take(3).collect();
    format!(
        "Machine: {cores} cores,{}; load before the run {}; disk of {}. Customers, BotKit and agents run on the same cores as the server.",
        model.trim_start_matches([' ', '\t', ':']).replace("  ", " "),
        load.join(" "),
        directory.display(),
    )
}

/// How long the disk takes to make something durable.
#[derive(Debug, Clone, Copy)]
pub struct Fsync {
    p50: Duration,
    /// Three times this and 10 ms are the aim.
    pub p99: Duration,
}

/// Appends 8 kB a thousand times, as a WAL grows.
pub fn fsync(directory: &Path) -> Result<Fsync> {
    let path = directory.join("fsync-probe");
    let mut file = std::fs::File::create(&path)?;
    let mut us = Vec::new();
    for _ in 0..1_000 {
        let begin = Instant::now();
        file.write_all(&[7; 8_192])?;
        file.sync_data()?;
        us.push(u32::try_from(begin.elapsed().as_micros())?);
    }
    std::fs::remove_file(path)?;
    Ok(Fsync { p50: at(&mut us, 50), p99: at(&mut us, 99) })
}

impl fmt::Display for Fsync {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ms = |time: Duration| time.as_secs_f64() * 1e3;
        write!(
            f,
            "fsync of 8 kB appended: p50 {:.2} ms, p99 {:.2} ms (1,000 times)",
            ms(self.p50),
            ms(self.p99)
        )
    }
}

const SINK: &str = r#"
let count = 0;
const server = require("http").createServer((request, response) => {
  const parts = [];
  request.on("data", part => parts.push(part));
  request.on("end", () => {
    JSON.parse(Buffer.concat(parts)); count += 1;
    response.setHeader("content-type", "application/json"); response.end("{}");
  });
});
server.keepAliveTimeout = 60000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
"#;

/// A Node server that parses events and counts them in memory, durable nowhere.
pub async fn node_sink() -> Result<String> {
    let mut node =
        Command::new("node").args(["-e", SINK]).stdout(Stdio::piped()).kill_on_drop(true).spawn()?;
    let mut lines = BufReader::new(node.stdout.take().context("no output")?).lines();
    let port: u16 = lines.next_line().await?.context("it does not start")?.parse()?;
    let (pid, address) = (node.id().context("it ended")?, ([127, 0, 0, 1], port).into());
    // As large as an event of ours.
    let body = serde_json::json!({ "message": "m 1 2 3", "context": "x".repeat(2_300) });
    let (sent, end) = (Arc::new(AtomicU64::new(0)), Instant::now() + Duration::from_secs(3));
    let begin = Instant::now();
    let mut tasks = JoinSet::new();
    for _ in 0..64 {
        let (sent, body) = (sent.clone(), body.clone());
        tasks.spawn(async move {
            let mut http = Http::new(address);
            while Instant::now() < end {
                let answer = http.post("/sdk/bots/x/on_user_message", &[], &body).await?;
                ensure!(answer.ok(), "status {}", answer.status);
                sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(())
        });
    }
    tasks.join_all().await.into_iter().collect::<Result<Vec<()>>>()?;
    let (sent, took, cpu) = (sent.load(Ordering::Relaxed) as f64, begin.elapsed(), cpu_of(pid));
    node.kill().await?;
    Ok(format!(
        "Node sink (accepts events in memory, durable nowhere): {:.0}/s at {:.2} cores of its own = {:.0}/s per core, {:.3} CPU s per 1,000",
        sent / took.as_secs_f64(),
        cpu.as_secs_f64() / took.as_secs_f64(),
        sent / cpu.as_secs_f64(),
        cpu.as_secs_f64() / sent * 1_000.0,
    ))
}
