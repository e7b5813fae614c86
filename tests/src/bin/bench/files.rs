//! Files of 25 MB, up and down, beside a bare axum handler that writes what comes into a file and syncs it, and reads it
//! back; and the memory of a hundred uploads at once.
//!
//! The bare handler is a child of this process (`bench bare DIR`), as the server is: both have a client on the same cores.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::extract::{DefaultBodyLimit, Path as Segment, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use futures_util::{StreamExt as _, stream};
use interline_tests::App;
use interline_tests::botkit::{BotKit, Sighting};
use interline_tests::dice::Dice;
use interline_tests::files::{self, Attached, MOST, Published, Tus};
use interline_tests::http::Http;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Profile, Server, Setup, cpu_of, memory_of, most_memory_of};
use interline_tests::web::Site;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::relay::app_file;
use crate::table::met;

/// Of each, after one that does not count.
const ROUNDS: usize = 15;
/// What one customer may have unsent is less than what is uploaded here.
const PER_CUSTOMER: usize = 8;
const AT_ONCE: usize = 100;
const PATIENCE: Duration = Duration::from_secs(300);
/// What the bare handler reads at once; as tower-http's does.
const BLOCK: usize = 64 * 1024;

/// All tables.
pub async fn measure() -> Result<String> {
    let scratch = Scratch::new("bench-files")?;
    // A PDF by its beginning, for which no more of it is looked at; of a text, everything is.
    let mut bytes = files::text(&mut Dice::new(1), MOST);
    bytes[..9].copy_from_slice(b"%PDF-1.7\n");
    let bytes: Arc<[u8]> = bytes.into();
    let mut text = parts(scratch.path(), &bytes)?;
    text += &ratios(scratch.path(), &bytes).await?;
    text += &at_once(scratch.path(), &bytes).await?;
    Ok(text)
}

/// What 25 MB cost by themselves on this machine.
fn parts(directory: &Path, bytes: &[u8]) -> Result<String> {
    let path = directory.join("probe");
    let (mut hash, mut write, mut sync) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..5 {
        let begin = Instant::now();
        std::hint::black_box(files::sha256(bytes));
        hash.push(begin.elapsed());
        let begin = Instant::now();
        std::fs::write(&path, bytes)?;
        write.push(begin.elapsed());
        let begin = Instant::now();
        std::fs::File::open(&path)?.sync_all()?;
        sync.push(begin.elapsed());
        std::fs::remove_file(&path)?;
    }
    Ok(format!(
        "25 MB on this machine: SHA-256 {:.0} ms, written {:.0} ms, synced {:.0} ms (medians of 5)\n",
        ms(middle(&mut hash)),
        ms(middle(&mut write)),
        ms(middle(&mut sync)),
    ))
}

/// What is measured, bare or ours.
#[derive(Default)]
struct Took {
    name: &'static str,
    bare: Vec<Duration>,
    ours: Vec<Duration>,
    bare_cpu: Duration,
    our_cpu: Duration,
    has_aim: bool,
}

async fn ratios(scratch: &Path, bytes: &Arc<[u8]>) -> Result<String> {
    let place = Place::start(&scratch.join("ratios")).await?;
    let (child, bare) = Bare::start(&scratch.join("bare")).await?;
    let mut rows = [
        Took { name: "upload of a PDF, one PATCH (tus)", has_aim: true, ..Took::default() },
        Took { name: "upload of a text, one PATCH (tus)", has_aim: true, ..Took::default() },
        Took { name: "upload, the published client's 25 chunks in base64", ..Took::default() },
        Took { name: "download", has_aim: true, ..Took::default() },
    ];
    let text: Vec<u8> = [b"text     ", &bytes[9..]].concat();
    let (link, token) = place.shared(bytes).await?;
    let mut token = token;
    for round in 0..=ROUNDS {
        if round % PER_CUSTOMER == 0 {
            token = place.site.log_in(&format!("uploader-{round}")).await?;
        }
        let name = format!("{round}.pdf");
        // The first is sometimes the luckier.
        for ours in if round % 2 == 0 { [true, false] } else { [false, true] } {
            let pid = if ours { place.server.pid() } else { bare.pid };
            for (what, row) in rows.iter_mut().enumerate() {
                let cpu = cpu_of(pid);
                let begin = Instant::now();
                match (what, ours) {
                    (0, true) => drop(Tus::new(place.site.address, &token).send(&name, bytes).await?),
                    (1, true) => drop(Tus::new(place.site.address, &token).send("a.txt", &text).await?),
                    (2, true) => {
                        let answer = Published::new(place.site.address, &token).chunked(&name, bytes).await?;
                        ensure!(Attached::read(&answer.json())?.bytes == bytes.len() as u64);
                    }
                    (3, true) => fetch(place.site.address, &link, bytes).await?,
                    (3, _) => fetch(bare.address, "/0.pdf", bytes).await?,
                    (_, _) => bare.put(&name, bytes).await?,
                }
                let (took, cpu) = (begin.elapsed(), cpu_of(pid).saturating_sub(cpu));
                if round > 0 {
                    let (all, all_cpu) = if ours {
                        (&mut row.ours, &mut row.our_cpu)
                    } else {
                        (&mut row.bare, &mut row.bare_cpu)
                    };
                    all.push(took);
                    *all_cpu += cpu;
                }
            }
        }
    }
    drop(child);
    place.stop().await?;
    Ok(table(&mut rows)?)
}

fn table(rows: &mut [Took]) -> Result<String, std::fmt::Error> {
    let mut text = format!(
        "\nFiles of 25 MB beside a bare axum handler, {ROUNDS} rounds in turn, medians (release, SQLite; aim ≥ 0.7)\n\n\
         | what | bare | ours | ratio | aim | CPU each: bare | ours |\n|---|--:|--:|--:|---|--:|--:|\n"
    );
    for row in rows {
        let (bare, ours) = (middle(&mut row.bare), middle(&mut row.ours));
        let ratio = bare.as_secs_f64() / ours.as_secs_f64();
        let rate = |took: Duration| MOST as f64 / 1024.0 / 1024.0 / took.as_secs_f64();
        writeln!(
            text,
            "| {} | {:.0} ms, {:.0} MB/s | {:.0} ms, {:.0} MB/s | {ratio:.2} | {} | {:.0} ms | {:.0} ms |",
            row.name,
            ms(bare),
            rate(bare),
            ms(ours),
            rate(ours),
            if row.has_aim { met(ratio >= 0.7) } else { "–" },
            ms(row.bare_cpu) / ROUNDS as f64,
            ms(row.our_cpu) / ROUNDS as f64,
        )?;
    }
    Ok(text)
}

async fn fetch(from: std::net::SocketAddr, path: &str, bytes: &[u8]) -> Result<()> {
    let answer = Http::new(from).get(path, &[]).await?;
    ensure!(answer.status == 200 && answer.body.len() == bytes.len(), "{path}: {}", answer.status);
    Ok(())
}

/// A hundred uploads at the same moment.
struct Crowd {
    before: u64,
    peak: u64,
    after: u64,
    took: Duration,
    each: Vec<Duration>,
    failed: Vec<String>,
}

impl Crowd {
    /// Runs them; `pid` is who takes them.
    async fn run<F>(pid: u32, uploads: Vec<F>) -> Self
    where
        F: Future<Output = Result<()>> + Send + 'static,
    {
        let (before, barrier) = (memory_of(pid), Arc::new(Barrier::new(uploads.len())));
        let (begin, mut tasks) = (Instant::now(), JoinSet::new());
        for upload in uploads {
            let barrier = barrier.clone();
            tasks.spawn(async move {
                barrier.wait().await;
                let begin = Instant::now();
                upload.await.map(|()| begin.elapsed())
            });
        }
        let done = tasks.join_all().await;
        let (took, after, peak) = (begin.elapsed(), memory_of(pid), most_memory_of(pid));
        let failed =
            done.iter().filter_map(|one| one.as_ref().err().map(|error| format!("{error:#}"))).collect();
        Self { before, peak, after, took, each: done.into_iter().filter_map(Result::ok).collect(), failed }
    }

    fn row(&mut self, name: &str, has_aim: bool) -> String {
        let mb = |bytes: u64| bytes as f64 / 1024.0 / 1024.0;
        let growth = mb(self.peak.saturating_sub(self.before));
        let aim = if has_aim { met(growth < 100.0 && self.failed.is_empty()) } else { "–" };
        let mut row = format!(
            "| {name} | {:.0} MB | {:.0} MB | {:.0} MB | {growth:.0} MB | {aim} | {} | {:.1} s | {:.1} s | {:.0} |\n",
            mb(self.before),
            mb(self.peak),
            mb(self.after),
            self.failed.len(),
            self.took.as_secs_f64(),
            middle(&mut self.each).as_secs_f64(),
            mb((AT_ONCE * MOST) as u64) / self.took.as_secs_f64(),
        );
        if let Some(why) = self.failed.first() {
            row += &format!("\nFirst failure: {why}\n");
        }
        row
    }
}

async fn at_once(scratch: &Path, bytes: &Arc<[u8]>) -> Result<String> {
    let place = Place::start(&scratch.join("at-once")).await?;
    let address = place.site.address;
    let mut uploads = Vec::new();
    for no in 0..AT_ONCE {
        let token = place.site.log_in(&format!("uploader-{no}")).await?;
        // Connections, pools, caches.
        Tus::new(address, &token).send("warm.txt", b"words").await?;
        let bytes = bytes.clone();
        uploads.push(async move {
            Tus::new(address, &token).patient(PATIENCE).send("large.pdf", &bytes).await.map(drop)
        });
    }
    let mut ours = Crowd::run(place.server.pid(), uploads).await;
    place.stop().await?;
    let (child, bare) = Bare::start(&scratch.join("bare-at-once")).await?;
    let uploads = (0..AT_ONCE).map(|no| (format!("/{no}.pdf"), bytes.clone(), bare.address));
    let uploads = uploads.map(async |(path, bytes, address)| {
        let answer = Http::new(address).patient(PATIENCE).call("PUT", &path, &[], &bytes).await?;
        ensure!(answer.ok(), "{}", answer.status);
        Ok(())
    });
    let mut theirs = Crowd::run(bare.pid, uploads.collect()).await;
    drop(child);
    Ok(format!(
        "\n{AT_ONCE} uploads of 25 MB at once (release, SQLite; aim: less than 100 MB more memory, none fails)\n\n\
         | who | RSS before | peak | after | growth | aim | failed | in all | median of one | MB/s |\n\
         |---|--:|--:|--:|--:|---|--:|--:|--:|--:|\n{}{}",
        ours.row("ours", true),
        theirs.row("bare", false),
    ))
}

/// Our server, with a BotKit that keeps what it is sent.
struct Place {
    server: Server,
    site: Site,
    botkit: BotKit,
    seen: Arc<Mutex<Vec<Sighting>>>,
}

impl Place {
    async fn start(directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory)?;
        let app = App::fresh();
        let (botkit, seen) = BotKit::keeping(&app).await?;
        let setup = Setup {
            profile: Profile::Release,
            app_file: app_file(directory)?,
            flags: vec!["--log".into(), "warn".into()],
            ..Setup::new(&directory.join("data"), &app, &botkit.url)
        };
        let server = setup.start().await?;
        let site = Site { address: server.address(), app };
        Ok(Self { server, site, botkit, seen })
    }

    /// A file that an agent was sent: the path of the machine's link. And who sent it.
    async fn shared(&self, bytes: &[u8]) -> Result<(String, String)> {
        let token = self.site.log_in("sender").await?;
        let mut socket = self.site.open(&token, false, Arc::new(|_| {})).await?;
        socket.tell(1, "agent").await?;
        self.botkit.wait_for_sessions(1, PATIENCE).await?;
        let file = Tus::new(self.site.address, &token).send("shared.pdf", bytes).await?;
        socket.tell_with(2, "take it", &[file]).await?;
        let begin = Instant::now();
        loop {
            let seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone();
            if let Some(file) = seen.iter().flat_map(|seen| &seen.files).next() {
                return Ok((files::path_of(&file.download_url).to_owned(), token));
            }
            ensure!(begin.elapsed() < PATIENCE, "the file does not come to the BotKit");
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    async fn stop(mut self) -> Result<()> {
        ensure!(self.botkit.faults().is_empty(), "the protocol was broken: {:?}", self.botkit.faults());
        ensure!(self.server.logged("panicked") == 0, "the server panicked: {}", self.server.log_end());
        self.server.terminate(Duration::from_secs(30)).await?;
        Ok(())
    }
}

/// The bare handler, in a process of its own.
struct Bare {
    address: std::net::SocketAddr,
    pid: u32,
}

impl Bare {
    async fn start(directory: &Path) -> Result<(Child, Self)> {
        std::fs::create_dir_all(directory)?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("bare").arg(directory).stdout(Stdio::piped()).kill_on_drop(true);
        let mut child = command.spawn()?;
        let mut lines = BufReader::new(child.stdout.take().context("no output")?).lines();
        let port: u16 = lines.next_line().await?.context("it does not start")?.parse()?;
        let pid = child.id().context("it ended")?;
        Ok((child, Self { address: ([127, 0, 0, 1], port).into(), pid }))
    }

    async fn put(&self, name: &str, bytes: &[u8]) -> Result<()> {
        let answer = Http::new(self.address).call("PUT", &format!("/{name}"), &[], bytes).await?;
        ensure!(answer.status == 200, "bare: {} {}", answer.status, answer.text());
        Ok(())
    }
}

/// `bench bare DIR`: serves until it is killed.
pub async fn bare(directory: PathBuf) -> Result<()> {
    let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0)).await?;
    println!("{}", listener.local_addr()?.port());
    let routes = Router::new()
        .route("/{name}", get(read).put(write))
        .layer(DefaultBodyLimit::disable())
        .with_state(Arc::new(directory));
    axum::serve(listener, routes).await?;
    Ok(())
}

async fn write(State(to): State<Arc<PathBuf>>, Segment(name): Segment<String>, body: Body) -> Response {
    let written = async {
        let mut file = tokio::fs::File::create(to.join(name)).await?;
        let mut body = body.into_data_stream();
        while let Some(piece) = body.next().await {
            file.write_all(&piece.map_err(std::io::Error::other)?).await?;
        }
        file.sync_all().await
    };
    let written: std::io::Result<()> = written.await;
    written.map_or(StatusCode::INTERNAL_SERVER_ERROR, |()| StatusCode::OK).into_response()
}

async fn read(State(from): State<Arc<PathBuf>>, Segment(name): Segment<String>) -> Response {
    let opened = async {
        let file = tokio::fs::File::open(from.join(name)).await?;
        let size = file.metadata().await?.len();
        std::io::Result::Ok((file, size))
    };
    let Ok((file, size)) = opened.await else { return StatusCode::NOT_FOUND.into_response() };
    let blocks = stream::unfold(file, |mut file| async {
        let mut block = vec![0; BLOCK];
        match file.read(&mut block).await {
            Ok(0) => None,
            Ok(read) => {
                block.truncate(read);
                Some((Ok(Bytes::from(block)), file))
            }
            Err(error) => Some((Err(error), file)),
        }
    });
    ([("content-length", size.to_string())], Body::from_stream(blocks)).into_response()
}

fn ms(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn middle(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times.get(times.len() / 2).copied().unwrap_or_default()
}
