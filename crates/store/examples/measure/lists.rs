//! Fills a database with conversations, and measures opening it and paging through its lists.
//!
//! 100,000 conversations of 10 entries and 1 or 2 participants, of 50,000 customers. The newest 2 % are open, and so are
//! the oldest 100: what is rare and old is the hard case of a list in the order of time. 1 in 1,000 is of the channel
//! `fax`, 1 in 500 has a participant that fails.

use std::time::{Duration, Instant};

use interline_store::{
    Committed, EntryRow, Filter, Inbox, KeyRing, Opening, ParticipantRow, Settings, StateWrite, Store, Unit,
};

use crate::{APP, participant, show};

/// Rows of a page.
const PAGE: i64 = 50;

/// How the conversations are made.
#[derive(Clone, Copy)]
struct Plan {
    count: i64,
}

impl Plan {
    fn owner(self, n: i64) -> &'static str {
        match n {
            n if n >= 100 && n < self.count - self.count / 50 => "closed",
            n if n % 3 == 0 => "agent",
            _ => "bot",
        }
    }

    fn channel(n: i64) -> &'static str {
        match n {
            n if n % 1000 == 7 => "fax",
            n if n % 10 == 3 => "ivr",
            _ => "web",
        }
    }

    /// A customer's two conversations are of the same channel.
    fn customer(self, n: i64) -> i64 {
        n % (self.count / 2)
    }

    fn opened_at(n: i64) -> i64 {
        1_800_000_000_000 + n * 1000
    }

    fn participants(self, n: i64) -> Vec<ParticipantRow> {
        let done = self.owner(n) == "closed";
        let mut rows = vec![ParticipantRow { role: "bot".into(), done, due_at: None, ..participant(10) }];
        if n % 2 == 0 {
            let failing_since = (n % 500 == 0).then_some(Self::opened_at(n));
            let done = done && failing_since.is_none();
            rows.push(ParticipantRow { no: 2, done, due_at: None, failing_since, ..participant(10) });
        }
        rows
    }

    fn unit(self, n: i64, customer: String) -> Unit {
        let owner = self.owner(n);
        let at = Self::opened_at(n);
        let text = "The customer says something of ordinary length, about a hundred characters or so, once.";
        let entry =
            |seq: i64| EntryRow { seq, at: at + seq, doc: format!(r#"{{"seq":{seq},"text":"{text}"}}"#) };
        let id = format!("cnv_{n:032x}");
        Unit {
            app: APP.into(),
            inbox: Some(Inbox {
                integration: Self::channel(n).into(),
                scope: customer.clone(),
                external_id: id.clone(),
                at,
                doc: format!(r#"{{"kind":"customer","text":"{text}","now":{at}}}"#),
            }),
            state: Some(StateWrite {
                expected_version: 0,
                doc: format!(r#"{{"n":{n},"state":"{}"}}"#, "s".repeat(1480)),
                owner,
                epoch: 1,
                head: 10,
                wake_at: (owner != "closed").then_some(at + 900_000),
                closed_at: (owner == "closed").then_some(at + 600_000),
                retain_until: (owner == "closed").then_some(at + 86_400_000_000),
                opening: Some(Opening { customer, channel: Self::channel(n).into(), opened_at: at }),
            }),
            entries: (1..=10).map(entry).collect(),
            participants: self.participants(n),
            remote_ids: vec![],
            files: Vec::new(),
            facts: None,
            tasks: Vec::new(),
            tags: Vec::new(),
            conversation: id.into(),
        }
    }
}

async fn fill(store: &Store, plan: Plan) {
    let begin = Instant::now();
    let tasks = 256;
    let running: Vec<_> = (0..tasks)
        .map(|task| {
            let store = store.clone();
            tokio::spawn(async move {
                for n in (task..plan.count).step_by(tasks as usize) {
                    let address = format!("person-{}@example.org", plan.customer(n));
                    let made =
                        store.customer(APP, Plan::channel(n), &address, Plan::opened_at(n), "{}").await;
                    let committed = store.commit(plan.unit(n, made.unwrap().id)).await.unwrap();
                    assert!(matches!(committed, Committed::Done { version: 1 }), "{n}: {committed:?}");
                }
            })
        })
        .collect();
    for task in running {
        task.await.unwrap();
    }
    println!("filled with {} conversations in {:.0?}", plan.count, begin.elapsed());
}

/// Opens `url`, filled with `count` conversations, and prints how long opening and each page of each list took.
pub async fn measure(url: &str, keys: &KeyRing, count: i64) {
    let open = || Store::open(Settings { url: url.to_owned(), lanes: 0, keys: keys.clone() });
    let begin = Instant::now();
    let store = open().await.unwrap();
    println!("{:?} opened as it was found: {:.1?}", store.dialect(), begin.elapsed());
    if store.counts(APP).await.unwrap().conversations == 0 {
        fill(&store, Plan { count }).await;
    }
    store.close().await;
    for _ in 0..5 {
        let begin = Instant::now();
        let store = open().await.unwrap();
        let opened = begin.elapsed();
        let page = store.conversations(APP, &Filter::default(), None, PAGE).await.unwrap();
        println!("opened: {opened:.1?}; with the first page of {}: {:.1?}", page.len(), begin.elapsed());
        store.close().await;
    }
    let store = open().await.unwrap();
    lists(&store, Plan { count }).await;
    others(&store).await;
    store.close().await;
}

async fn lists(store: &Store, plan: Plan) {
    let all = Filter::default();
    let hour = |n: i64| (Some(Plan::opened_at(n)), Some(Plan::opened_at(n) + 3_600_000));
    let (opened_from, opened_before) = hour(plan.count / 2);
    let (address, customer) =
        ("person-77@example.org", store.customer(APP, "web", "person-77@example.org", 1, ""));
    let customer = customer.await.unwrap().id;
    for (name, filter) in [
        ("all", all),
        ("open", Filter { open: Some(true), ..all }),
        ("closed", Filter { open: Some(false), ..all }),
        ("with the bot", Filter { owner: Some("bot"), ..all }),
        ("with an agent", Filter { owner: Some("agent"), ..all }),
        ("channel web", Filter { channel: Some("web"), ..all }),
        ("channel fax", Filter { channel: Some("fax"), ..all }),
        ("channel fax, open", Filter { channel: Some("fax"), open: Some(true), ..all }),
        ("channel web, with the bot", Filter { channel: Some("web"), owner: Some("bot"), ..all }),
        ("an hour", Filter { opened_from, opened_before, ..all }),
        ("an hour of fax", Filter { channel: Some("fax"), opened_from, opened_before, ..all }),
        ("an hour, open", Filter { open: Some(true), opened_from, opened_before, ..all }),
        ("an address", Filter { address: Some(address), ..all }),
        ("an unknown address", Filter { address: Some("nobody"), ..all }),
        ("a customer", Filter { customer: Some(&customer), ..all }),
    ] {
        let (mut taken, mut rows, mut after) = (Vec::new(), 0, None::<(i64, String)>);
        loop {
            let begin = Instant::now();
            let place = after.as_ref().map(|(at, id)| (*at, id.as_str()));
            let page = store.conversations(APP, &filter, place, PAGE).await.unwrap();
            taken.push(begin.elapsed());
            rows += page.len();
            match page.last() {
                Some(last) => after = Some((last.opened_at, last.id.clone())),
                None => break,
            }
        }
        line(&format!("conversations, {name}"), rows, taken);
    }
}

async fn others(store: &Store) {
    let (mut taken, mut rows, mut after) = (Vec::new(), 0, None::<(i64, String, i64)>);
    loop {
        let begin = Instant::now();
        let place = after.as_ref().map(|(since, id, no)| (*since, id.as_str(), *no));
        let page = store.failing(APP, place, PAGE).await.unwrap();
        taken.push(begin.elapsed());
        rows += page.len();
        let Some(last) = page.last() else { break };
        after = Some((last.row.failing_since.unwrap(), last.conversation.clone(), last.row.no));
    }
    line("failing", rows, taken);
    for (name, channel, address) in [
        ("all", None, None),
        ("channel fax", Some("fax"), None),
        ("an address", None, Some("person-77@example.org")),
    ] {
        let (mut taken, mut rows, mut after) = (Vec::new(), 0, None::<String>);
        loop {
            let begin = Instant::now();
            let page = store.customers(APP, channel, address, after.as_deref(), PAGE).await.unwrap();
            taken.push(begin.elapsed());
            rows += page.len();
            let Some(last) = page.last() else { break };
            after = Some(last.id.clone());
        }
        line(&format!("customers, {name}"), rows, taken);
    }
    let begin = Instant::now();
    let rows = store.engaged(APP, "desk", 100_000).await.unwrap().len();
    line("engaged, all at once", rows, vec![begin.elapsed()]);
    let begin = Instant::now();
    let rows = store.engaged_count(APP, "desk").await.unwrap();
    line("engaged, counted", usize::try_from(rows).unwrap(), vec![begin.elapsed()]);
}

fn line(name: &str, rows: usize, taken: Vec<Duration>) {
    println!("{name:<40} {rows:>6} rows: {}", show(taken));
}
