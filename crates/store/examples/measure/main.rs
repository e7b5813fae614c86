//! Measures the writers with the rows of real work and no logic.
//!
//! ```text
//! cargo run --release -p interline-store --example measure -- --url sqlite:///var/tmp/measure.db
//! cargo run --release -p interline-store --example measure -- --url postgres://postgres@localhost/measure
//! ```
//!
//! Two kinds of unit: *message* = inbox + guarded state of 1.5 kB + one entry + one participant; *cursor* = one
//! participant. Prints units per second at saturation, latency at a steady 1,000 a second, and the disk's fsync.
//! Options: `--conversations 1000 --tasks 512 --seconds 5 --lanes 0 --probe /dir/for/the/fsync/probe`.
//!
//! With `--lists 100000` it measures opening and the lists instead, on that many conversations (`lists.rs`); it fills an
//! empty database first, and uses a filled one as it is.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

mod lists;

use std::collections::HashMap;
use std::io::Write as _;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use interline_store::{
    Committed, EntryRow, Inbox, KeyRing, Opening, ParticipantRow, Settings, StateWrite, Store, Unit,
};
use tokio::sync::Mutex;

const APP: &str = "st-00000000-0000-5000-8000-000000000001";

struct Conversation {
    id: Arc<str>,
    customer: String,
    /// Held while a unit is on its way, as the engine does.
    version: Mutex<i64>,
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Message,
    Cursor,
}

fn participant(seq: i64) -> ParticipantRow {
    ParticipantRow {
        no: 1,
        integration: "desk".into(),
        role: "agent".into(),
        doc: r#"{"from":1,"to":null}"#.into(),
        cursor: seq - 1,
        head: seq,
        due_at: Some(1_800_000_000_000 + seq),
        attempts: 0,
        failing_since: None,
        attempt_key: None,
        last_error: None,
        delivered: seq - 1,
        read: 0,
        session: Some(format!(r#"{{"token":"{}","last":{seq}}}"#, "t".repeat(120))),
        done: false,
    }
}

fn unit(conversation: &Conversation, version: i64, kind: Kind) -> Unit {
    let seq = version + 1;
    let (app, id): (Arc<str>, _) = (APP.into(), conversation.id.clone());
    if kind == Kind::Cursor {
        let participants = vec![participant(seq)];
        return Unit {
            app,
            conversation: id,
            inbox: None,
            state: None,
            entries: vec![],
            participants,
            remote_ids: vec![],
            files: Vec::new(),
            facts: None,
            tasks: Vec::new(),
            tags: Vec::new(),
        };
    }
    let text = "The customer says something of ordinary length, about a hundred characters or so, once.";
    Unit {
        app,
        inbox: Some(Inbox {
            integration: "web".into(),
            scope: conversation.customer.clone(),
            external_id: uuid::Uuid::now_v7().to_string(),
            at: seq,
            doc: format!(r#"{{"kind":"customer","text":"{text}","now":{seq},"seed":123456789,"app":1}}"#),
        }),
        state: Some(StateWrite {
            expected_version: version,
            doc: format!(r#"{{"v":{seq},"state":"{}"}}"#, "s".repeat(1480)),
            owner: "bot",
            epoch: 1,
            head: seq,
            wake_at: Some(1_800_000_900_000 + seq),
            closed_at: None,
            retain_until: None,
            opening: (version == 0).then(|| Opening {
                customer: conversation.customer.clone(),
                channel: "web".into(),
                opened_at: 1,
            }),
        }),
        entries: vec![EntryRow { seq, at: seq, doc: format!(r#"{{"role":"agent","text":"{text}"}}"#) }],
        participants: vec![participant(seq)],
        remote_ids: vec![],
        files: Vec::new(),
        facts: None,
        tasks: Vec::new(),
        tags: Vec::new(),
        conversation: id,
    }
}

async fn one(store: &Store, conversation: &Conversation, kind: Kind) {
    let mut version = conversation.version.lock().await;
    match store.commit(unit(conversation, *version, kind)).await.unwrap() {
        Committed::Done { version: new } if kind == Kind::Message => *version = new,
        Committed::Done { .. } => {}
        other => panic!("{other:?}"),
    }
}

async fn saturate(
    store: &Store,
    all: &Arc<Vec<Conversation>>,
    kind: Kind,
    tasks: usize,
    time: Duration,
) -> f64 {
    let done = Arc::new(AtomicU64::new(0));
    let begin = Instant::now();
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let (store, all, done) = (store.clone(), all.clone(), done.clone());
            tokio::spawn(async move {
                let mut turn = task;
                while begin.elapsed() < time {
                    one(&store, &all[turn % all.len()], kind).await;
                    done.fetch_add(1, Ordering::Relaxed);
                    turn += tasks;
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    done.load(Ordering::Relaxed) as f64 / begin.elapsed().as_secs_f64()
}

async fn steady(store: &Store, all: &Arc<Vec<Conversation>>, kind: Kind, time: Duration) -> Vec<Duration> {
    let mut clock = tokio::time::interval(Duration::from_millis(1));
    let begin = Instant::now();
    let mut running = Vec::new();
    let mut turn = 0;
    while begin.elapsed() < time {
        let due = clock.tick().await;
        let (store, all) = (store.clone(), all.clone());
        let mine = turn % all.len();
        turn += 1;
        running.push(tokio::spawn(async move {
            one(&store, &all[mine], kind).await;
            due.elapsed()
        }));
    }
    let mut taken = Vec::new();
    for task in running {
        taken.push(task.await.unwrap());
    }
    taken
}

fn show(mut taken: Vec<Duration>) -> String {
    taken.sort();
    let at = |share: f64| taken[((taken.len() - 1) as f64 * share) as usize].as_secs_f64() * 1e3;
    format!("p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms ({} samples)", at(0.5), at(0.99), at(1.0), taken.len())
}

/// Processor time of this process so far, all threads (Linux: fields 14 and 15 of `/proc/self/stat`, 10 ms each). On a
/// shared machine it says more than the rate. The PostgreSQL server's own time is not in it.
fn processor() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit(") ").next().unwrap_or_default().split(' ').skip(11).take(2);
    Duration::from_millis(fields.map(|ticks| ticks.parse::<u64>().unwrap_or(0) * 10).sum())
}

fn fsync(directory: &str) -> Vec<Duration> {
    let path = format!("{directory}/fsync-probe");
    let mut file = std::fs::File::create(&path).unwrap();
    let taken = (0..1000)
        .map(|_| {
            let begin = Instant::now();
            file.write_all(&[7; 8192]).unwrap();
            file.sync_data().unwrap();
            begin.elapsed()
        })
        .collect();
    std::fs::remove_file(path).unwrap();
    taken
}

#[tokio::main]
async fn main() {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let options: HashMap<&str, &str> =
        words.chunks(2).map(|pair| (pair[0].trim_start_matches("--"), pair[1].as_str())).collect();
    let number = |name: &str, default: usize| options.get(name).map_or(default, |text| text.parse().unwrap());
    let url = options.get("url").expect("--url").to_string();
    let time = Duration::from_secs(number("seconds", 5) as u64);
    let (count, tasks) = (number("conversations", 1000), number("tasks", 512));
    if let Some(directory) = options.get("probe") {
        println!("fsync of 8 kB appended: {}", show(fsync(directory)));
    }
    let keys = KeyRing::parse("measure:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=").unwrap();
    let conversations = number("lists", 0);
    if conversations > 0 {
        return lists::measure(&url, &keys, conversations as i64).await;
    }
    let store = Store::open(Settings { url, lanes: number("lanes", 0), keys }).await.unwrap();
    let mut all = Vec::new();
    for _ in 0..count {
        let id = uuid::Uuid::now_v7().simple();
        let customer = store.customer(APP, "web", &id.to_string(), 1, "{}").await.unwrap().id;
        all.push(Conversation { id: format!("cnv_{id}").into(), customer, version: Mutex::new(0) });
    }
    let all = Arc::new(all);
    saturate(&store, &all, Kind::Message, tasks.min(count), Duration::from_secs(1)).await;
    for (kind, name) in [(Kind::Message, "message"), (Kind::Cursor, "cursor")] {
        let before = processor();
        let rate = saturate(&store, &all, kind, tasks, time).await;
        let cost = (processor() - before).as_secs_f64() * 1e6 / (rate * time.as_secs_f64());
        println!(
            "{:?} {name} units at saturation: {rate:.0}/s, {cost:.0} µs of processor each",
            store.dialect()
        );
        let taken = steady(&store, &all, kind, time).await;
        println!("{:?} {name} units at 1,000/s: {}", store.dialect(), show(taken));
    }
    store.close().await;
}
