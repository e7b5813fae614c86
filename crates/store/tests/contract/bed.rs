//! A fresh database for each test, and shorthand for rows.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use interline_store::{
    Committed, EntryRow, Inbox, KeyRing, Opening, ParticipantRow, RemoteId, Settings, StateWrite, Store, Unit,
};
use sqlx::{AnyConnection, Connection as _, Executor as _, Row as _};

pub const APP: &str = "st-a";
pub const KEY: &str = "k1:AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// Where a test's database lives; removes it at the end.
pub struct Bed {
    pub url: String,
    server: Option<(String, String)>,
    directory: Option<std::path::PathBuf>,
}

static NEXT: AtomicU64 = AtomicU64::new(0);

fn name() -> String {
    format!("interline_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl Bed {
    pub fn sqlite() -> Self {
        let directory = std::env::temp_dir().join(name());
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite://{}", directory.join("store.db").display());
        Self { url, server: None, directory: Some(directory) }
    }

    pub async fn postgres(test: &str) -> Option<Self> {
        let Ok(server) = std::env::var("INTERLINE_TEST_POSTGRES") else {
            eprintln!("skipped on PostgreSQL (INTERLINE_TEST_POSTGRES is not set): {test}");
            return None;
        };
        let name = name();
        admin(&server, &format!("CREATE DATABASE {name}")).await;
        Some(Self { url: with_database(&server, &name), server: Some((server, name)), directory: None })
    }

    pub fn file(&self) -> Option<std::path::PathBuf> {
        self.directory.as_ref().map(|directory| directory.join("store.db"))
    }

    pub async fn open(&self) -> Store {
        self.open_with(KEY).await
    }

    pub async fn open_with(&self, keys: &str) -> Store {
        let keys = KeyRing::parse(keys).unwrap();
        Store::open(Settings { url: self.url.clone(), lanes: 0, keys }).await.unwrap()
    }

    /// A connection beside the store, for looking and tampering.
    pub async fn raw(&self) -> AnyConnection {
        sqlx::any::install_default_drivers();
        let mode = if self.directory.is_some() { "?mode=rwc" } else { "" };
        AnyConnection::connect(&format!("{}{mode}", self.url)).await.unwrap()
    }

    pub async fn count(&self, table: &str) -> i64 {
        let sql = sqlx::AssertSqlSafe(format!("SELECT count(*) AS n FROM {table}"));
        self.raw().await.fetch_one(sql).await.unwrap().try_get("n").unwrap()
    }

    pub async fn remove(self) {
        if let Some(directory) = &self.directory {
            let _ = std::fs::remove_dir_all(directory);
        }
        if let Some((server, name)) = &self.server {
            admin(server, &format!("DROP DATABASE {name} WITH (FORCE)")).await;
        }
    }
}

async fn admin(server: &str, sql: &str) {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(server).await.unwrap();
    connection.execute(sqlx::AssertSqlSafe(sql.to_owned())).await.unwrap();
    connection.close().await.unwrap();
}

/// Puts another database name into a server's URL.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let (scheme, rest) = base.split_once("://").unwrap();
    let host = rest.split('/').next().unwrap();
    let query = query.map(|query| format!("?{query}")).unwrap_or_default();
    format!("{scheme}://{host}/{name}{query}")
}

/// Makes two tests of one body: `name::sqlite` and `name::postgres`.
#[macro_export]
macro_rules! contract {
    ($($name:ident($bed:ident) $body:block)*) => {$(
        mod $name {
            #[allow(unused_imports)]
            use super::*;

            async fn body($bed: &$crate::bed::Bed) $body

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn sqlite() {
                let bed = $crate::bed::Bed::sqlite();
                body(&bed).await;
                bed.remove().await;
            }

            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn postgres() {
                let Some(bed) = $crate::bed::Bed::postgres(stringify!($name)).await else { return };
                body(&bed).await;
                bed.remove().await;
            }
        }
    )*};
}

pub fn unit(app: &str, conversation: &str) -> Unit {
    Unit {
        app: app.into(),
        conversation: conversation.into(),
        inbox: None,
        state: None,
        entries: vec![],
        participants: vec![],
        remote_ids: vec![],
        files: Vec::new(),
        facts: None,
        tasks: Vec::new(),
        tags: Vec::new(),
    }
}

pub fn state(expected_version: i64) -> StateWrite {
    StateWrite {
        expected_version,
        doc: format!(r#"{{"v":{}}}"#, expected_version + 1),
        owner: "bot",
        epoch: 1,
        head: expected_version + 1,
        wake_at: None,
        closed_at: None,
        retain_until: None,
        opening: None,
    }
}

pub fn inbox(external_id: &str) -> Inbox {
    Inbox {
        integration: "web".into(),
        scope: "s".into(),
        external_id: external_id.into(),
        at: 5,
        doc: format!(r#"{{"input":"{external_id}"}}"#),
    }
}

pub fn entry(seq: i64) -> EntryRow {
    EntryRow { seq, at: 10 + seq, doc: format!(r#"{{"seq":{seq}}}"#) }
}

pub fn participant(no: i64) -> ParticipantRow {
    ParticipantRow {
        no,
        integration: "desk".into(),
        role: "agent".into(),
        doc: "{}".into(),
        cursor: 0,
        head: 0,
        due_at: None,
        attempts: 0,
        failing_since: None,
        attempt_key: None,
        last_error: None,
        delivered: 0,
        read: 0,
        session: None,
        done: false,
    }
}

pub fn remote(remote_id: &str, seq: i64, part: i64) -> RemoteId {
    RemoteId { participant: 1, remote_id: remote_id.into(), seq, part }
}

/// A unit that makes one more entry of version `expected`.
pub fn line(app: &str, conversation: &str, expected: i64, external_id: &str) -> Unit {
    Unit {
        inbox: Some(inbox(external_id)),
        state: Some(state(expected)),
        entries: vec![entry(expected + 1)],
        ..unit(app, conversation)
    }
}

pub fn opening(app: &str, conversation: &str, customer: &str) -> Unit {
    let mut unit = line(app, conversation, 0, &format!("open-{conversation}"));
    let opening = Opening { customer: customer.into(), channel: "web".into(), opened_at: 1 };
    unit.state.as_mut().unwrap().opening = Some(opening);
    unit.participants = vec![participant(1)];
    unit
}

/// Makes a customer and opens a conversation.
pub async fn opened(store: &Store, app: &str, conversation: &str) -> String {
    let customer =
        store.customer(app, "web", &format!("address-of-{conversation}"), 1, "{}").await.unwrap().id;
    assert_eq!(store.commit(opening(app, conversation, &customer)).await.unwrap(), done(1));
    customer
}

pub fn done(version: i64) -> Committed {
    Committed::Done { version }
}

pub fn duplicate(conversation: &str, version: i64) -> Committed {
    Committed::Duplicate { conversation: Arc::from(conversation), version }
}
