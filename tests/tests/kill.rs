//! 200 conversations talk both ways through Custom (BotKit) while the server gets SIGKILL at 20 random moments.
//!
//! Afterwards everything that each side said and saw is compared; `src/checker.rs` is the judge and says what counts.
//! The seed is printed; `INTERLINE_TEST_SEED` sets it (the network's timing stays its own).
#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a test: a wrong assumption ends it; the summary is its output"
)]

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use interline_tests::botkit::{BotKit, Said, Sighting, Voice};
use interline_tests::checker::{Drawn, Outcome, Seen, Spoken, Story, Verdict, judge};
use interline_tests::dice::Dice;
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup};
use interline_tests::web::{Frame, Hook, Site, Socket};
use interline_tests::{App, now_ms, postgres};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

const CONVERSATIONS: usize = 200;
const KILLS: usize = 20;
/// A speaker rests so long between two lines, milliseconds.
const PAUSE: (u64, u64) = (250, 1_200);
/// Every fifth user gives up a line whose answer was lost; the others send it again under its id, as the client does.
const GIVES_UP: usize = 5;
/// What was accepted must have arrived so long after the last kill.
const QUIET: Duration = Duration::from_secs(30);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_to_sigkill_on_sqlite() {
    talk_through_kills("SQLite", None).await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_line_is_lost_to_sigkill_on_postgresql() {
    let Some(database) = postgres::database("kill").await.unwrap() else { return };
    talk_through_kills("PostgreSQL", Some(database.url.clone())).await.unwrap();
    database.remove().await.unwrap();
}

async fn talk_through_kills(name: &str, database: Option<String>) -> Result<()> {
    let (seed, begin) = (Dice::seed(), Instant::now());
    println!("{name}: seed {seed}");
    let mut dice = Dice::new(seed);
    let scratch = Scratch::new("kill")?;
    let app = App::fresh();
    let (botkit, seen) = BotKit::keeping(&app).await?;
    let setup = Setup { database, ..Setup::new(&scratch.path().join("data"), &app, &botkit.url) };
    let mut server = setup.start().await?;
    let site = Site { address: server.address(), app };
    let (stop, stopped) = watch::channel(false);

    let users = hand_over(&site, &botkit, &stopped, &mut dice).await?;
    println!("{name}: {CONVERSATIONS} conversations are with an agent after {:.1?}", begin.elapsed());
    let voices = voices(&botkit)?;
    let talking = Instant::now();
    let mut tasks = JoinSet::new();
    let mut agents = JoinSet::new();
    for (user, (no, voice)) in users.into_iter().zip(voices) {
        assert_eq!(user.no, no);
        tasks.spawn(user.talk());
        agents.spawn(Agent { no, voice, dice: dice.split(), lines: Vec::new() }.talk(stopped.clone()));
    }
    let kills = kill_and_restart(&mut server, &mut dice, begin).await?;
    // Everybody finds the server again and says a last word.
    tokio::time::sleep(Duration::from_millis(1_500)).await;
    stop.send(true)?;
    let agents: BTreeMap<usize, Vec<Spoken>> = tokio::time::timeout(QUIET, agents.join_all())
        .await
        .context("the agents do not stop")?
        .into_iter()
        .collect();
    let users = tokio::time::timeout(QUIET, tasks.join_all()).await.context("the users do not stop")?;
    let users = users.into_iter().collect::<Result<Vec<User>>>()?;
    let talked = talking.elapsed();
    until_quiet(&users, &agents, &seen).await;

    let stories = stories(users, agents, &seen, begin).await?;
    let verdict = judge(&stories, &kills);
    println!("{}", table(name, seed, &verdict, kills.len(), talked, begin.elapsed()));
    ensure!(botkit.faults().is_empty(), "the protocol was broken: {:#?}", botkit.faults());
    ensure!(server.logged("panicked") == 0, "the server panicked:\n{}", server.log_end());
    for fault in verdict.faults.iter().take(50) {
        println!("FAULT {fault}");
    }
    assert!(verdict.faults.is_empty(), "{} faults with seed {seed}", verdict.faults.len());
    // A run in which nothing happened proves nothing.
    assert!(
        verdict.user_acked > 5 * CONVERSATIONS && verdict.agent_taken > 5 * CONVERSATIONS,
        "too little was said"
    );
    server.terminate(Duration::from_secs(20)).await?;
    Ok(())
}

/// Everybody logs in, says "agent" through the interception, and is handed over.
async fn hand_over(
    site: &Site,
    botkit: &BotKit,
    stop: &watch::Receiver<bool>,
    dice: &mut Dice,
) -> Result<Vec<User>> {
    let gate = Arc::new(Semaphore::new(16));
    let mut tasks = JoinSet::new();
    for no in 0..CONVERSATIONS {
        let (gate, mut user) = (gate.clone(), User::new(no, site, stop, dice.split()));
        tasks.spawn(async move {
            let _turn = gate.acquire().await?;
            user.token = user.site.log_in(&format!("user-{no}")).await?;
            user.open(false).await?;
            let id = user.fresh_id();
            let socket = user.socket.as_mut().context("no socket")?;
            socket.tell(id, &format!("an agent for user {no}")).await?;
            anyhow::Ok(user)
        });
    }
    let users = tasks.join_all().await.into_iter().collect::<Result<Vec<User>>>();
    let mut users = users?;
    users.sort_by_key(|user| user.no);
    let arrived = botkit.wait_for_sessions(CONVERSATIONS, Duration::from_secs(60)).await;
    arrived.with_context(|| format!("BotKit complains: {:?}", botkit.faults()))?;
    Ok(users)
}

/// The agents' voices, by the number of the user.
fn voices(botkit: &BotKit) -> Result<BTreeMap<usize, Voice>> {
    let mut voices = BTreeMap::new();
    for session in botkit.sessions() {
        let no = session.last_words.rsplit(' ').next().and_then(|no| no.parse().ok());
        voices.insert(no.context("a transfer of nobody")?, botkit.voice(&session)?);
    }
    ensure!(
        voices.len() == CONVERSATIONS,
        "{} of {CONVERSATIONS} conversations were handed over",
        voices.len()
    );
    Ok(voices)
}

/// Twenty times. Mostly some time after it is ready again; every fourth time while it starts.
async fn kill_and_restart(server: &mut Server, dice: &mut Dice, begin: Instant) -> Result<Vec<(u64, u64)>> {
    let mut kills = Vec::new();
    for kill in 0..KILLS {
        if kill % 4 == 3 {
            tokio::time::sleep(Duration::from_millis(dice.between(0, 400))).await;
        } else {
            server.ready().await?;
            tokio::time::sleep(Duration::from_millis(dice.between(100, 2_000))).await;
        }
        let at = ms(begin.elapsed());
        server.kill().await?;
        kills.push((at, ms(begin.elapsed())));
        server.spawn()?;
    }
    server.ready().await?;
    Ok(kills)
}

struct User {
    no: usize,
    site: Site,
    dice: Dice,
    token: String,
    socket: Option<Socket>,
    sockets: usize,
    last_id: u64,
    drawn: Arc<Mutex<Vec<Drawn>>>,
    lines: Vec<Spoken>,
    stop: watch::Receiver<bool>,
}

impl User {
    fn new(no: usize, site: &Site, stop: &watch::Receiver<bool>, dice: Dice) -> Self {
        Self {
            no,
            site: site.clone(),
            dice,
            token: String::new(),
            socket: None,
            sockets: 0,
            last_id: 0,
            drawn: Arc::default(),
            lines: Vec::new(),
            stop: stop.clone(),
        }
    }

    /// A millisecond clock, as the client has it.
    fn fresh_id(&mut self) -> u64 {
        self.last_id = now_ms().max(self.last_id + 1);
        self.last_id
    }

    async fn talk(mut self) -> Result<Self> {
        while !*self.stop.borrow() {
            let pause = Duration::from_millis(self.dice.between(PAUSE.0, PAUSE.1));
            self.rest(pause).await?;
            let text =
                format!("u{}-{} and some words of ordinary length to go with it", self.no, self.lines.len());
            let outcome = self.say(&text).await?;
            self.lines.push(Spoken { text, outcome });
        }
        self.connect().await?;
        Ok(self)
    }

    /// Listens; a lost socket is opened again at once.
    async fn rest(&mut self, pause: Duration) -> Result<()> {
        let until = tokio::time::Instant::now() + pause;
        loop {
            self.connect().await?;
            let Some(socket) = self.socket.as_mut() else { continue };
            if tokio::time::timeout_at(until, socket.closed()).await.is_err() {
                return Ok(());
            }
        }
    }

    async fn say(&mut self, text: &str) -> Result<Outcome> {
        let id = self.fresh_id();
        loop {
            self.connect().await?;
            let Some(socket) = self.socket.as_mut() else { continue };
            if socket.tell(id, text).await.is_ok() {
                return Ok(Outcome::Taken);
            }
            self.socket = None;
            if self.no.is_multiple_of(GIVES_UP) {
                return Ok(Outcome::Unknown);
            }
        }
    }

    /// As the client does it: the same token, a new address, `isReconnect=true`.
    async fn connect(&mut self) -> Result<()> {
        let begin = Instant::now();
        loop {
            if self.socket.as_ref().is_some_and(|socket| !socket.is_closed()) {
                return Ok(());
            }
            self.socket = None;
            match self.open(true).await {
                Ok(()) => {}
                Err(error) if begin.elapsed() > QUIET => {
                    return Err(error.context(format!("user {} does not come back in", self.no)));
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(self.dice.between(50, 250))).await,
            }
        }
    }

    async fn open(&mut self, reconnect: bool) -> Result<()> {
        let (socket, drawn) = (self.sockets, self.drawn.clone());
        let hook: Hook = Arc::new(move |frame| match frame {
            Frame::Line { id, text, agent: true } => drawn.lock().unwrap().push(Drawn { socket, id, text }),
            Frame::Event(kind) if kind.starts_with("NOT ") => {
                drawn.lock().unwrap().push(Drawn { socket, id: String::new(), text: kind });
            }
            Frame::Line { .. } | Frame::Ack(_) | Frame::Event(_) => {}
        });
        self.sockets += 1;
        self.socket = Some(self.site.open(&self.token, reconnect, hook).await?);
        Ok(())
    }
}

struct Agent {
    no: usize,
    voice: Voice,
    dice: Dice,
    lines: Vec<Spoken>,
}

impl Agent {
    /// One line at a time; a BotKit does not repeat a call.
    async fn talk(mut self, stop: watch::Receiver<bool>) -> (usize, Vec<Spoken>) {
        while !*stop.borrow() {
            tokio::time::sleep(Duration::from_millis(self.dice.between(PAUSE.0, PAUSE.1))).await;
            let text = format!("a{}-{} and what an agent says on top of that", self.no, self.lines.len());
            let outcome = match self.voice.say(&text).await {
                Said::Good => Outcome::Taken,
                Said::Refused(500..) | Said::Unanswered => Outcome::Unknown,
                Said::Refused(_) => Outcome::Refused,
            };
            self.lines.push(Spoken { text, outcome });
        }
        (self.no, self.lines)
    }
}

/// Waits until all that was taken has arrived, or until it will not; and a little, for what should not arrive.
async fn until_quiet(users: &[User], agents: &BTreeMap<usize, Vec<Spoken>>, seen: &Mutex<Vec<Sighting>>) {
    let begin = Instant::now();
    while begin.elapsed() < QUIET {
        let at_botkit = seen
            .lock()
            .unwrap()
            .iter()
            .map(|seen| seen.text.clone())
            .collect::<std::collections::HashSet<_>>();
        let missing = users.iter().any(|user| {
            let drawn = user.drawn.lock().unwrap();
            let drawn =
                drawn.iter().map(|drawn| drawn.text.as_str()).collect::<std::collections::HashSet<_>>();
            let taken = |line: &&Spoken| line.outcome == Outcome::Taken;
            user.lines.iter().filter(taken).any(|line| !at_botkit.contains(&line.text))
                || agents[&user.no]
                    .iter()
                    .rfind(taken)
                    .is_some_and(|line| !drawn.contains(line.text.as_str()))
        });
        if !missing {
            break;
        }
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
}

async fn stories(
    users: Vec<User>,
    mut agents: BTreeMap<usize, Vec<Spoken>>,
    seen: &Mutex<Vec<Sighting>>,
    begin: Instant,
) -> Result<Vec<Story>> {
    let mut at_botkit: BTreeMap<usize, Vec<Seen>> = BTreeMap::new();
    for seen in seen.lock().unwrap().iter().filter(|seen| seen.agent_mode) {
        let no = seen.text.strip_prefix('u').and_then(|rest| rest.split('-').next()?.parse().ok());
        let no = no.with_context(|| format!("BotKit saw `{}`, which nobody said", seen.text))?;
        let at = ms(seen.at.duration_since(begin));
        let seen = Seen { at, request_id: seen.request_id.clone(), text: seen.text.clone() };
        at_botkit.entry(no).or_default().push(seen);
    }
    let mut stories = Vec::new();
    for user in users {
        let history = user.site.history(&user.token).await?;
        let drawn = user.drawn.lock().unwrap().clone();
        stories.push(Story {
            name: format!("conversation {}", user.no),
            agent: agents.remove(&user.no).unwrap_or_default(),
            seen: at_botkit.remove(&user.no).unwrap_or_default(),
            user: user.lines,
            drawn,
            history,
        });
    }
    Ok(stories)
}

fn table(
    name: &str,
    seed: u64,
    verdict: &Verdict,
    kills: usize,
    talked: Duration,
    total: Duration,
) -> String {
    let Verdict { faults, user_lines, user_acked, agent_lines, agent_taken, .. } = verdict;
    let Verdict { agent_refused, unknown_but_there, repeats, sent_again, only_in_history, .. } = verdict;
    let rows = [
        ("SIGKILLs", kills),
        ("conversations", CONVERSATIONS),
        ("user lines", *user_lines),
        ("… acked", *user_acked),
        ("… repeated to BotKit under the same id", *repeats),
        ("agent lines", *agent_lines),
        ("… answered 2xx", *agent_taken),
        ("… refused", *agent_refused),
        ("… sent again to a socket under the same id", *sent_again),
        ("… only in the history", *only_in_history),
        ("lines without an answer that arrived", *unknown_but_there),
        ("FAULTS", faults.len()),
    ];
    let mut text = format!("| {name}, seed {seed} | |\n|---|--:|\n");
    for (what, count) in rows {
        text += &format!("| {what} | {count} |\n");
    }
    text + &format!("| talked for, in all | {talked:.1?}, {total:.1?} |")
}

fn ms(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}
