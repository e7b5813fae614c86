//! A server with customers, agents, and what came to them.

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use interline_tests::botkit::{BotKit, Session, Sighting, Voice};
use interline_tests::dice::Dice;
use interline_tests::files::{self, Attached, Facts, Tus};
use interline_tests::http::{Answer, Http};
use interline_tests::scratch::Scratch;
use interline_tests::server::{Server, Setup};
use interline_tests::shelf::Brought;
use interline_tests::web::{Frame, RawHook, Site, Socket};
use interline_tests::{App, now_ms};

pub const SOON: Duration = Duration::from_secs(15);

pub struct World {
    pub server: Server,
    pub site: Site,
    pub botkit: BotKit,
    pub events: Events,
    _scratch: Scratch,
}

/// What came to the BotKit: the words of each event and its files.
pub type Events = Arc<Mutex<Vec<(String, Vec<Brought>)>>>;

/// What came down the socket: each line's words and its files.
pub type Lines = Arc<Mutex<Vec<(String, Vec<Attached>)>>>;

/// A customer in the web chat.
pub struct Customer {
    pub token: String,
    pub socket: Socket,
    pub lines: Lines,
    pub tus: Tus,
}

impl World {
    pub async fn new(name: &str) -> Self {
        Self::with(name, |setup| setup).await
    }

    pub async fn with(name: &str, change: impl FnOnce(Setup) -> Setup) -> Self {
        let scratch = Scratch::new(name).unwrap();
        let app = App::fresh();
        let events = Events::default();
        let seen = events.clone();
        let hook = move |sighting: Sighting| {
            seen.lock().unwrap().push((sighting.text, sighting.files));
        };
        let botkit = BotKit::start(&app, Arc::new(hook)).await.unwrap();
        let setup = change(Setup::new(&scratch.path().join("data"), &app, &botkit.url));
        let server = setup.start().await.unwrap();
        let site = Site { address: server.address(), app };
        Self { server, site, botkit, events, _scratch: scratch }
    }

    pub async fn customer(&self, identity: &str) -> Customer {
        let token = self.site.log_in(identity).await.unwrap();
        let lines = Lines::default();
        let drawn = lines.clone();
        let hook: RawHook = Arc::new(move |frame, raw| {
            if let Frame::Line { text, .. } = frame {
                drawn.lock().unwrap().push((text, Attached::of_frame(raw).unwrap()));
            }
        });
        let socket = self.site.open_raw(&token, false, hook).await.unwrap();
        let tus = Tus::new(self.site.address, &token);
        let customer = Customer { token, socket, lines, tus };
        customer.line("Hello").await;
        customer
    }

    pub async fn handed_over(&self, identity: &str) -> (Customer, Session) {
        let mut customer = self.customer(identity).await;
        let before = self.botkit.sessions().len();
        customer.socket.tell(1, "agent").await.unwrap();
        self.botkit.wait_for_sessions(before + 1, SOON).await.unwrap();
        (customer, self.botkit.sessions()[before].clone())
    }

    pub async fn with_agent(&self, identity: &str) -> (Customer, Voice) {
        let (customer, session) = self.handed_over(identity).await;
        let voice = self.botkit.voice(&session).unwrap();
        (customer, voice)
    }

    /// The files of the event with these words.
    pub async fn event(&self, words: &str) -> Vec<Brought> {
        let found = || self.events.lock().unwrap().iter().find(|(text, _)| text.starts_with(words)).cloned();
        until(words, || found().is_some()).await;
        found().unwrap().1
    }

    /// What a machine gets by a link of an event.
    pub async fn fetched(&self, file: &Brought) -> Facts {
        let answer = self.get(files::path_of(&file.download_url)).await;
        assert_eq!(answer.status, 200, "{}", answer.text());
        Facts::of(&file.file_name, &answer.body)
    }

    pub async fn get(&self, path: &str) -> Answer {
        Http::new(self.site.address).get(path, &[]).await.unwrap()
    }

    pub async fn download(&self, page: &str) -> Answer {
        files::download(self.site.address, page).await.unwrap()
    }

    pub fn data(&self, place: &str) -> Vec<PathBuf> {
        below(&self.server.setup().data.join(place))
    }

    /// Somebody can still send a file, and nothing has panicked.
    pub async fn lives(&self) {
        let mut customer = self.customer(&format!("somebody-{}", now_ms())).await;
        let file = customer.tus.send("small.txt", b"still there").await.unwrap();
        customer.socket.tell_with(1, "still there?", &[file]).await.unwrap();
        customer.line("You said: still there?").await;
        assert_eq!(self.server.logged("panicked"), 0, "{}", self.server.log_end());
        assert_eq!(self.botkit.faults(), Vec::<String>::new());
    }
}

impl Customer {
    /// The files of the line with these words.
    pub async fn line(&self, words: &str) -> Vec<Attached> {
        let found = || self.lines.lock().unwrap().iter().find(|(text, _)| text.contains(words)).cloned();
        until(words, || found().is_some()).await;
        found().unwrap().1
    }

    pub async fn begin(&mut self, name: &str, size: usize) -> String {
        let begun = self.tus.create(name, size).await.unwrap();
        assert_eq!(begun.status, 201, "{}", begun.text());
        begun.header("location").unwrap().to_owned()
    }
}

pub async fn until(what: &str, done: impl Fn() -> bool) {
    let begin = Instant::now();
    while !done() {
        assert!(begin.elapsed() < SOON, "waiting for `{what}`");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// All files below a directory.
pub fn below(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten().map(|entry| entry.path());
    entries.flat_map(|path| if path.is_dir() { below(&path) } else { vec![path] }).collect()
}

/// The code and the words of a refusal.
pub fn why(answer: &Answer) -> (u16, String, String) {
    let body = answer.json();
    let text = |name: &str| body["errors"][0][name].as_str().unwrap_or_default().to_owned();
    (answer.status, text("code"), text("msg"))
}

pub fn random(size: usize) -> Vec<u8> {
    files::text(&mut Dice::new(Dice::seed()), size)
}
