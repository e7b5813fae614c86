//! Erasure and retention.

use interline_store::{Access, Erased, Error, Redeemed, Unit};
use sqlx::{Column as _, Executor as _, Row as _};

use crate::bed::*;
use crate::contract;

const TABLES: [&str; 16] = [
    "app",
    "app_version",
    "customer",
    "conversation",
    "inbox",
    "entry",
    "participant",
    "remote_id",
    "once",
    "node",
    "api_key",
    "share",
    "share_access",
    "file",
    "file_share",
    "file_access",
];

/// Every text in every table that contains `needle`.
async fn traces(bed: &Bed, needle: &str) -> Vec<String> {
    let mut found = Vec::new();
    let mut raw = bed.raw().await;
    for table in TABLES {
        for row in raw.fetch_all(sqlx::AssertSqlSafe(format!("SELECT * FROM {table}"))).await.unwrap() {
            for column in row.columns() {
                if let Ok(Some(text)) = row.try_get::<Option<String>, _>(column.ordinal())
                    && text.contains(needle)
                {
                    found.push(format!("{table}.{}", column.name()));
                }
            }
        }
    }
    found
}

async fn say(store: &interline_store::Store, conversation: &str, word: &str) {
    let mut unit = line(APP, conversation, 1, &format!("{word}-id"));
    unit.inbox.as_mut().unwrap().doc = format!("input of {word}");
    unit.inbox.as_mut().unwrap().scope = format!("{word}-scope");
    unit.state.as_mut().unwrap().doc = format!("state of {word}");
    unit.entries[0].doc = format!("{word} speaks");
    unit.participants = vec![participant(1)];
    unit.participants[0].doc = format!("{word} here");
    unit.participants[0].last_error = Some(format!("{word} failed"));
    unit.participants[0].session = Some(format!("{word} session"));
    unit.remote_ids = vec![remote(&format!("{word}-remote"), 2, 0)];
    assert_eq!(store.commit(unit).await.unwrap(), done(2));
    let by = Access { how: "page".into(), peer: format!("{word} peer"), agent: format!("{word} browser") };
    assert_eq!(store.redeem(APP, conversation, 1, 9, 1, by).await.unwrap(), Redeemed::Granted { used: 1 });
}

contract! {
    an_erased_customer_leaves_no_trace(bed) {
        let store = bed.open().await;
        let anna = store.customer(APP, "web", "zanzibar@example.org", 1, "zanzibar doc").await.unwrap().id;
        store.commit(opening(APP, "zanzibar-1", &anna)).await.unwrap();
        say(&store, "zanzibar-1", "zanzibar").await;
        opened(&store, APP, "other").await;
        say(&store, "other", "bert").await;
        store.once(APP, "link", "zanzibar", 1, 1000).await.unwrap();
        store.mark(APP, "zanzibar-1", 1, 2, 2).await.unwrap();
        assert!(traces(bed, "zanzibar").await.len() >= 11);
        let others = traces(bed, "bert").await;

        let erased = store.erase_customer(APP, &anna).await.unwrap();
        let expected = Erased {
            customers: 1, conversations: 1, entries: 2, inputs: 2, participants: 1, remote_ids: 1, shares: 1,
            share_accesses: 1, files: 0, once: 0,
        };
        assert_eq!(erased, expected);
        assert_eq!(traces(bed, "zanzibar").await, Vec::<String>::new());
        assert_eq!(traces(bed, &anna).await, Vec::<String>::new());
        assert_eq!(traces(bed, "bert").await, others);
        assert_eq!(store.erase_customer(APP, &anna).await.unwrap(), Erased::default());

        // Nothing that comes late brings it back.
        let cursor = Unit { participants: vec![participant(1)], ..unit(APP, "zanzibar-1") };
        assert!(matches!(store.commit(cursor).await, Err(Error::Gone)));
        let late = store.commit(line(APP, "zanzibar-1", 2, "late")).await.unwrap();
        assert_eq!(late, interline_store::Committed::Conflict);
        assert!(matches!(store.commit(opening(APP, "zanzibar-2", &anna)).await, Err(Error::Gone)));
        let by = Access { how: "page".into(), peer: "zanzibar".into(), agent: "zanzibar".into() };
        assert_eq!(store.redeem(APP, "zanzibar-1", 1, 9, 1, by).await.unwrap(), Redeemed::Unknown);
        assert!(!store.revoke_share(APP, "zanzibar-1", 1, 1).await.unwrap());
        assert!(store.shares_of(APP, "zanzibar-1").await.unwrap().is_empty());
        assert_eq!(traces(bed, "zanzibar").await, Vec::<String>::new());
        store.close().await;

        // On SQLite the bytes themselves are gone from the file.
        if let Some(file) = bed.file() {
            let bytes = std::fs::read(&file).unwrap();
            let found = |word: &[u8]| bytes.windows(word.len()).any(|window| window == word);
            assert!(!found(b"zanzibar"));
            assert!(found(b"bert"));
            let log = file.with_extension("db-wal");
            assert!(!log.exists() || std::fs::metadata(log).unwrap().len() == 0);
        }
    }

    the_sweep_keeps_what_is_not_due(bed) {
        let store = bed.open().await;
        for (name, closed_at, retain_until) in [
            ("due", Some(10), Some(100)),
            ("later", Some(10), Some(101)),
            ("open", None, Some(50)),
            ("forever", Some(10), None),
        ] {
            opened(&store, APP, name).await;
            store.redeem(APP, name, 1, 9, 1, crate::share::by("peer")).await.unwrap();
            let mut unit = line(APP, name, 1, name);
            let state = unit.state.as_mut().unwrap();
            (state.closed_at, state.retain_until) = (closed_at, retain_until);
            assert_eq!(store.commit(unit).await.unwrap(), done(2));
        }
        store.once(APP, "k", "a", 1, 100).await.unwrap();
        store.once(APP, "k", "b", 1, 101).await.unwrap();
        let swept = store.sweep(100, 10).await.unwrap();
        assert_eq!((swept.conversations, swept.entries, swept.inputs, swept.once), (1, 2, 2, 1));
        assert_eq!((swept.shares, swept.share_accesses), (1, 1));
        assert_eq!((bed.count("share").await, bed.count("share_access").await), (3, 3));
        assert!(!store.conversation_exists(APP, "due").await.unwrap());
        for name in ["later", "open", "forever"] {
            assert!(store.conversation_exists(APP, name).await.unwrap(), "{name}");
        }
        assert_eq!(store.sweep(100, 10).await.unwrap(), Erased::default());
        assert_eq!(bed.count("once").await, 1);
        store.close().await;
    }

    erasing_under_fire_leaves_nothing(bed) {
        let store = bed.open().await;
        let customer = opened(&store, APP, "c").await;
        let writer = {
            let store = store.clone();
            tokio::spawn(async move {
                for version in 1..2000 {
                    let mut unit = line(APP, "c", version, &version.to_string());
                    unit.participants = vec![participant(1)];
                    match store.commit(unit).await {
                        Ok(interline_store::Committed::Done { .. }) => {}
                        _ => break,
                    }
                    let cursor = Unit { participants: vec![participant(1)], ..crate::bed::unit(APP, "c") };
                    let _ = store.commit(cursor).await;
                    let _ = store.redeem(APP, "c", 1, 5000, 1, crate::share::by("peer")).await;
                }
            })
        };
        tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        assert_eq!(store.erase_customer(APP, &customer).await.unwrap().conversations, 1);
        writer.await.unwrap();
        for table in ["customer", "conversation", "inbox", "entry", "participant", "share", "share_access"] {
            assert_eq!(bed.count(table).await, 0, "{table}");
        }
        store.close().await;
    }
}
