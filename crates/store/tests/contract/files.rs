//! Files: who has them, who names them, who fetched them, and that one that is named is never swept.

use interline_store::{AccessRow, Committed, Error, FileRow, FileShare, Redeemed, Store, Unit};
use sqlx::{Executor as _, Row as _};
use tokio::task::JoinSet;

use crate::bed::*;
use crate::contract;
use crate::share::by;

/// Later than every file of these tests.
const LATER: i64 = 1_000;

fn stored(id: &str, customer: &str) -> FileRow {
    FileRow {
        id: id.into(),
        customer: customer.into(),
        conversation: None,
        by: "customer".into(),
        doc: format!(r#"{{"name":"{id}.pdf"}}"#),
        size: 3_000_000_000,
        created_at: 10,
        shared_at: None,
        revoked_at: None,
    }
}

async fn put(store: &Store, customer: &str, ids: &[&str]) {
    for id in ids {
        store.put_file(APP, stored(id, customer)).await.unwrap();
    }
}

/// An entry that names files: version `expected` becomes one more.
fn naming(conversation: &str, expected: i64, files: &[&str]) -> Unit {
    let files = files.iter().map(|&id| id.to_owned()).collect();
    Unit { files, ..line(APP, conversation, expected, &format!("{conversation}-{expected}")) }
}

/// On PostgreSQL another node; an SQLite file has one.
async fn second(bed: &Bed, store: &Store) -> Store {
    if bed.file().is_some() { store.clone() } else { bed.open().await }
}

async fn gone(store: &Store, before: i64) -> Vec<String> {
    let mut found: Vec<String> =
        store.sweep_files(before, LATER, 1000).await.unwrap().into_iter().map(|(_, id)| id).collect();
    found.sort();
    found
}

async fn version(store: &Store, conversation: &str) -> i64 {
    store.load(APP, conversation).await.unwrap().unwrap().version
}

contract! {
    a_file_that_its_customer_gives_up_is_gone_unless_an_entry_names_it(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        let bert = opened(&store, APP, "d").await;
        put(&store, &anna, &["f1", "f2"]).await;
        store.commit(naming("c", version(&store, "c").await, &["f2"])).await.unwrap();
        assert!(!store.drop_file(APP, &bert, "f1", LATER).await.unwrap(), "somebody else's");
        assert!(!store.drop_file(APP, &anna, "f2", LATER).await.unwrap(), "an entry names it");
        assert!(store.drop_file(APP, &anna, "f1", LATER).await.unwrap());
        assert!(!store.drop_file(APP, &anna, "f1", LATER).await.unwrap(), "it is gone already");
        assert_eq!(gone(&store, 0).await, ["f1"]);
        assert_eq!(store.unshared_count(APP, &anna).await.unwrap(), 0);
        let named = store.commit(naming("c", version(&store, "c").await, &["f1"])).await;
        assert!(matches!(named, Err(interline_store::Error::FileGone)), "{named:?}");
    }

    a_file_is_kept_once(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        let bert = opened(&store, APP, "d").await;
        put(&store, &anna, &["f1", "f2"]).await;
        put(&store, &bert, &["f3"]).await;
        let again = FileRow { doc: "other".into(), size: 1, created_at: 11, ..stored("f1", &bert) };
        store.put_file(APP, again).await.unwrap();
        assert_eq!(store.unshared_count(APP, &anna).await.unwrap(), 2);
        assert_eq!(store.unshared_count("st-b", &anna).await.unwrap(), 0);
        store.close().await;

        let store = bed.open().await;
        assert_eq!(store.file(APP, "f1").await.unwrap(), Some(stored("f1", &anna)));
        assert_eq!(store.file("st-b", "f1").await.unwrap(), None);
        assert_eq!(store.file(APP, "none").await.unwrap(), None);
        let ids = |ids: &[&str]| ids.iter().map(|&id| id.to_owned()).collect::<Vec<_>>();
        let mut found = store.files(APP, &ids(&["f3", "none", "f1"])).await.unwrap();
        found.sort_by(|a, b| a.id.cmp(&b.id));
        assert_eq!(found, [stored("f1", &anna), stored("f3", &bert)]);
        assert!(store.files(APP, &[]).await.unwrap().is_empty());
        assert!(store.files("st-b", &ids(&["f1"])).await.unwrap().is_empty());
        let many: Vec<String> = (0..300).map(|n| format!("f{n}")).collect();
        assert_eq!(store.files(APP, &many).await.unwrap().len(), 3);
        assert!(!format!("{found:?}").contains("pdf"));

        // A customer who is not there, or another app's, gets no file.
        for (app, customer) in [(APP, "cus_none"), ("st-b", anna.as_str())] {
            assert!(matches!(store.put_file(app, stored("f4", customer)).await, Err(Error::Gone)));
        }
        assert_eq!(bed.count("file").await, 3);
        store.close().await;
    }

    an_entry_takes_its_files(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        put(&store, &anna, &["f1", "f2", "f3"]).await;
        assert_eq!(store.commit(naming("c", 1, &["f1", "f2", "f1"])).await.unwrap(), done(2));
        let taken = |id: &str, at: i64| FileRow {
            conversation: Some("c".into()), shared_at: Some(at), ..stored(id, &anna)
        };
        assert_eq!(store.file(APP, "f1").await.unwrap(), Some(taken("f1", 12)));
        assert_eq!(store.unshared_count(APP, &anna).await.unwrap(), 1);
        // Named again: it was shared when it was named first.
        assert_eq!(store.commit(naming("c", 2, &["f2", "f3"])).await.unwrap(), done(3));
        let files = store.files_of(APP, "c").await.unwrap();
        assert_eq!(files, [(taken("f1", 12), vec![]), (taken("f2", 12), vec![]), (taken("f3", 13), vec![])]);
        assert!(store.files_of("st-b", "c").await.unwrap().is_empty());
        assert!(gone(&store, i64::MAX).await.is_empty());
        store.close().await;
    }

    a_unit_with_a_missing_file_writes_nothing(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        opened(&store, APP, "d").await;
        let other = store.customer("st-b", "web", "a", 1, "{}").await.unwrap().id;
        put(&store, &anna, &["swept"]).await;
        assert_eq!(gone(&store, 11).await, ["swept"]);
        store.put_file("st-b", stored("foreign", &other)).await.unwrap();
        put(&store, &anna, &["mine", "theirs"]).await;
        assert_eq!(store.commit(naming("d", 1, &["theirs"])).await.unwrap(), done(2));

        for missing in ["never", "foreign", "swept", "theirs"] {
            let answer = store.commit(naming("c", 1, &["mine", missing])).await;
            assert!(matches!(&answer, Err(Error::FileGone)), "{missing}: {answer:?}");
            assert!(!answer.unwrap_err().is_retryable());
        }
        assert_eq!(version(&store, "c").await, 1);
        assert_eq!(store.entries_after(APP, "c", 0, 9).await.unwrap().len(), 1);
        assert_eq!(store.file(APP, "mine").await.unwrap(), Some(stored("mine", &anna)));
        assert_eq!(store.file(APP, "theirs").await.unwrap().unwrap().conversation.as_deref(), Some("d"));
        // A state that is not the newest is computed again first, whatever it names.
        assert_eq!(store.commit(naming("c", 7, &["never"])).await.unwrap(), Committed::Conflict);
        let bare = Unit { files: vec!["mine".into()], ..unit(APP, "c") };
        assert!(matches!(store.commit(Unit { participants: vec![participant(1)], ..bare }).await, Err(Error::Broken(_))));
        // The same input without what is missing is new.
        assert_eq!(store.commit(naming("c", 1, &["mine"])).await.unwrap(), done(2));
        store.close().await;
    }

    one_missing_file_fails_one_unit(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c0").await;
        for n in 1..40 {
            opened(&store, APP, &format!("c{n}")).await;
        }
        put(&store, &anna, &["wanted by two"]).await;
        let mut running = JoinSet::new();
        for n in 0..40 {
            put(&store, &anna, &[&format!("f{n}")]).await;
            let (store, own) = (store.clone(), format!("f{n}"));
            running.spawn(async move {
                let extra = match n { 7 => "never", 21 | 22 => "wanted by two", _ => &own };
                (n, store.commit(naming(&format!("c{n}"), 1, &[&own, extra])).await)
            });
        }
        let mut failed = Vec::new();
        for (n, answer) in running.join_all().await {
            match answer {
                Ok(answer) => assert_eq!(answer, done(2)),
                Err(Error::FileGone) => failed.push(n),
                Err(error) => panic!("{n}: {error}"),
            }
        }
        failed.sort_unstable();
        assert!(failed == [7, 21] || failed == [7, 22], "{failed:?}");
        assert_eq!(store.unshared_count(APP, &anna).await.unwrap(), 2);
        store.close().await;
    }

    a_repeat_is_a_duplicate_though_the_file_is_gone(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        put(&store, &anna, &["f"]).await;
        assert_eq!(store.commit(naming("c", 1, &["f"])).await.unwrap(), done(2));
        let mut raw = bed.raw().await;
        raw.execute("UPDATE file SET gone_at = 1, conversation = NULL, customer = NULL").await.unwrap();
        assert_eq!(store.commit(naming("c", 1, &["f"])).await.unwrap(), duplicate("c", 2));
        let newer = Unit { inbox: Some(inbox("c-1")), ..naming("c", 2, &["f", "never"]) };
        assert_eq!(store.commit(newer).await.unwrap(), duplicate("c", 2));
        assert!(matches!(store.commit(naming("c", 2, &["f"])).await, Err(Error::FileGone)));
        store.close().await;
    }

    each_audience_has_its_uses(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        put(&store, &anna, &["f", "waiting"]).await;
        store.commit(naming("c", 1, &["f"])).await.unwrap();
        for used in 1..=2 {
            let answer = store.redeem_file(APP, "f", "0", 2, 100 + used, by("peer")).await.unwrap();
            assert_eq!(answer, Redeemed::Granted { used });
        }
        assert_eq!(store.redeem_file(APP, "f", "0", 2, 200, by("late")).await.unwrap(), Redeemed::UsedUp);
        assert_eq!(store.redeem_file(APP, "f", "1", 2, 201, by("other")).await.unwrap(), Redeemed::Granted { used: 1 });
        for (app, file) in [("st-b", "f"), (APP, "never"), (APP, "waiting")] {
            let answer = store.redeem_file(app, file, "0", 2, 1, by("x")).await.unwrap();
            assert_eq!(answer, Redeemed::Unknown, "{app} {file}");
        }
        for (audience, used) in [("0", 2), ("1", 1), ("2", 0)] {
            assert_eq!(store.file_uses(APP, "f", audience).await.unwrap(), used);
        }
        assert_eq!(store.file_uses("st-b", "f", "0").await.unwrap(), 0);
        let access = |no: i64, at: i64, peer: &str| AccessRow {
            no, at, how: "page".into(), peer: peer.into(), agent: "a browser".into(),
        };
        let share = |audience: &str, accesses: Vec<AccessRow>| FileShare {
            audience: audience.into(), used: accesses.len() as i64, accesses,
        };
        let expected =
            [share("0", vec![access(1, 101, "peer"), access(2, 102, "peer")]), share("1", vec![access(1, 201, "other")])];
        assert_eq!(store.files_of(APP, "c").await.unwrap()[0].1, expected);

        assert!(store.revoke_file(APP, "f", 300).await.unwrap());
        assert!(!store.revoke_file(APP, "f", 400).await.unwrap());
        assert!(!store.revoke_file("st-b", "waiting", 300).await.unwrap());
        assert!(!store.revoke_file(APP, "never", 300).await.unwrap());
        for audience in ["0", "1", "2"] {
            assert_eq!(store.redeem_file(APP, "f", audience, 9, 500, by("x")).await.unwrap(), Redeemed::Revoked);
        }
        assert_eq!(store.file(APP, "f").await.unwrap().unwrap().revoked_at, Some(300));
        store.close().await;
    }

    thirty_at_once_get_five(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        put(&store, &anna, &["f"]).await;
        store.commit(naming("c", 1, &["f"])).await.unwrap();
        let other = second(bed, &store).await;
        let mut running = JoinSet::new();
        for n in 0..30 {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            running.spawn(async move { store.redeem_file(APP, "f", "1", 5, n, by("x")).await.unwrap() });
        }
        let mut granted = Vec::new();
        for answer in running.join_all().await {
            match answer {
                Redeemed::Granted { used } => granted.push(used),
                answer => assert_eq!(answer, Redeemed::UsedUp),
            }
        }
        granted.sort_unstable();
        assert_eq!(granted, [1, 2, 3, 4, 5]);
        assert_eq!((store.file_uses(APP, "f", "1").await.unwrap(), bed.count("file_access").await), (5, 5));
        other.close().await;
        store.close().await;
    }

    what_waits_too_long_is_swept(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c").await;
        put(&store, &anna, &["a", "b", "named"]).await;
        store.put_file(APP, FileRow { created_at: 20, ..stored("young", &anna) }).await.unwrap();
        store.commit(naming("c", 1, &["named"])).await.unwrap();
        assert!(gone(&store, 10).await.is_empty());
        assert_eq!(gone(&store, 20).await, ["a", "b"]);
        assert_eq!(store.file(APP, "a").await.unwrap(), None);
        assert!(!store.revoke_file(APP, "a", 1).await.unwrap());
        assert_eq!(store.unshared_count(APP, &anna).await.unwrap(), 1);
        // The id does not come back: its bytes are about to be deleted.
        put(&store, &anna, &["a"]).await;
        assert_eq!(store.file(APP, "a").await.unwrap(), None);
        // Found again until the bytes are deleted; what is there is not forgotten.
        for id in ["a", "young", "named", "never"] {
            store.forget_file(APP, id).await.unwrap();
        }
        store.forget_file("st-b", "b").await.unwrap();
        assert_eq!(gone(&store, 20).await, ["b"]);
        assert_eq!(gone(&store, 21).await, ["b", "young"]);
        assert_eq!(store.sweep_files(21, LATER, 1).await.unwrap().len(), 1);
        for id in ["b", "young"] {
            store.forget_file(APP, id).await.unwrap();
        }
        assert!(gone(&store, i64::MAX).await.is_empty());
        assert_eq!(bed.count("file").await, 1);
        store.close().await;
    }

    a_file_is_named_or_swept(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "c0").await;
        for n in 0..60 {
            if n > 0 {
                opened(&store, APP, &format!("c{n}")).await;
            }
            put(&store, &anna, &[&format!("f{n}"), &format!("g{n}")]).await;
        }
        let other = second(bed, &store).await;
        let mut sweeping = JoinSet::new();
        let mut naming_them = JoinSet::new();
        for n in 0..60 {
            let (store, other) = (store.clone(), other.clone());
            naming_them.spawn(async move {
                let files = [format!("g{n}"), format!("f{n}")];
                loop {
                    match store.commit(naming(&format!("c{n}"), 1, &[&files[0], &files[1]])).await {
                        Err(Error::Retry(_)) => tokio::task::yield_now().await,
                        answer => break (n, answer),
                    }
                }
            });
            sweeping.spawn(async move {
                match other.sweep_files(LATER, LATER, 1 + n % 3).await {
                    Ok(_) | Err(Error::Retry(_)) => {}
                    Err(error) => panic!("{error}"),
                }
            });
        }
        for (n, answer) in naming_them.join_all().await {
            let (f, g) = (store.file(APP, &format!("f{n}")).await.unwrap(), store.file(APP, &format!("g{n}")).await.unwrap());
            match answer {
                Ok(answer) => {
                    assert_eq!(answer, done(2));
                    let conversation = Some(format!("c{n}"));
                    assert_eq!((f.unwrap().conversation, g.unwrap().conversation), (conversation.clone(), conversation));
                }
                Err(Error::FileGone) => {
                    assert!(f.is_none() || g.is_none());
                    assert_eq!(version(&store, &format!("c{n}")).await, 1);
                }
                Err(error) => panic!("{n}: {error}"),
            }
        }
        sweeping.join_all().await;
        other.close().await;
        store.close().await;
    }

    the_files_of_what_is_erased_go(bed) {
        let store = bed.open().await;
        let anna = opened(&store, APP, "zanzibar-1").await;
        let bert = opened(&store, APP, "d").await;
        put(&store, &anna, &["f1", "f2", "waiting"]).await;
        put(&store, &bert, &["f4", "f5"]).await;
        store.commit(naming("zanzibar-1", 1, &["f1", "f2"])).await.unwrap();
        store.commit(naming("d", 1, &["f4"])).await.unwrap();
        for (file, audience) in [("f1", "0"), ("f1", "1"), ("f4", "0")] {
            store.redeem_file(APP, file, audience, 5, 1, by("peer")).await.unwrap();
        }
        assert_eq!(store.erase_customer(APP, &anna).await.unwrap().files, 3);
        assert_eq!((bed.count("file_share").await, bed.count("file_access").await), (1, 1));
        let mut raw = bed.raw().await;
        let rows = raw.fetch_all("SELECT customer, conversation, doc FROM file WHERE gone_at IS NOT NULL").await.unwrap();
        assert_eq!(rows.len(), 3);
        for row in rows {
            let text = |column: &str| row.try_get::<Option<String>, _>(column).unwrap();
            assert_eq!((text("customer"), text("conversation"), text("doc")), (None, None, Some(String::new())));
        }
        assert_eq!(store.redeem_file(APP, "f1", "0", 5, 1, by("x")).await.unwrap(), Redeemed::Unknown);
        assert!(store.files_of(APP, "zanzibar-1").await.unwrap().is_empty());
        assert!(matches!(store.put_file(APP, stored("late", &anna)).await, Err(Error::Gone)));
        assert!(matches!(store.commit(naming("d", 2, &["waiting"])).await, Err(Error::FileGone)));
        // A crash before the bytes are deleted: they are found again.
        assert_eq!(gone(&store, 0).await, ["f1", "f2", "waiting"]);
        store.forget_file(APP, "f1").await.unwrap();
        assert_eq!(gone(&store, 0).await, ["f2", "waiting"]);
        assert_eq!(store.erase_customer(APP, &anna).await.unwrap().files, 0);

        // The retention sweep, which leaves what waits to its own.
        let mut last = line(APP, "d", 2, "last");
        let state = last.state.as_mut().unwrap();
        (state.closed_at, state.retain_until) = (Some(20), Some(100));
        store.commit(last).await.unwrap();
        assert_eq!(store.sweep(99, 10).await.unwrap().files, 0);
        assert_eq!(store.sweep(100, 10).await.unwrap().files, 1);
        assert_eq!((bed.count("file_share").await, bed.count("file_access").await), (0, 0));
        assert_eq!(gone(&store, 0).await, ["f2", "f4", "waiting"]);
        assert_eq!(store.file(APP, "f5").await.unwrap(), Some(stored("f5", &bert)));
        store.close().await;
    }

    erasing_under_fire_leaves_no_file(bed) {
        let store = bed.open().await;
        let other = second(bed, &store).await;
        let customer = opened(&store, APP, "c").await;
        let mut running = JoinSet::new();
        let (writer, id) = (other.clone(), customer.clone());
        running.spawn(async move {
            let mut version = 1;
            loop {
                let name = format!("f{version}");
                let stored = writer.put_file(APP, stored(&name, &id)).await;
                let named = writer.commit(naming("c", version, &[&name])).await;
                match (stored, named) {
                    (_, Ok(Committed::Done { .. } | Committed::Duplicate { .. })) => version += 1,
                    (_, Err(Error::Retry(_))) | (Err(Error::Retry(_)), _) => {}
                    (Err(Error::Gone), _) => break,
                    // The conversation is erased, and the customer about to be.
                    (Ok(()), Ok(Committed::Conflict) | Err(Error::FileGone)) => version += 1,
                    answers => panic!("{answers:?}"),
                }
            }
        });
        for audience in ["0", "1"] {
            let (store, other) = (store.clone(), other.clone());
            running.spawn(async move {
                for n in (1..20).cycle() {
                    match other.redeem_file(APP, &format!("f{n}"), audience, 9, 1, by("peer")).await {
                        Ok(_) | Err(Error::Retry(_)) => {}
                        Err(error) => panic!("{error}"),
                    }
                    if !store.conversation_exists(APP, "c").await.unwrap() {
                        break;
                    }
                }
            });
        }
        while store.files_of(APP, "c").await.unwrap().len() < 20 {
            assert!(running.try_join_next().is_none());
        }
        loop {
            match store.erase_customer(APP, &customer).await {
                Ok(_) => break,
                Err(Error::Retry(_)) => {}
                Err(error) => panic!("{error}"),
            }
        }
        running.join_all().await;
        for table in ["customer", "conversation", "inbox", "entry", "file_share", "file_access"] {
            assert_eq!(bed.count(table).await, 0, "{table}");
        }
        assert_eq!(gone(&store, 0).await.len() as i64, bed.count("file").await);
        other.close().await;
        store.close().await;
    }
}

/// Until somebody waits for a lock.
async fn somebody_waits(raw: &mut sqlx::AnyConnection) {
    let sql = "SELECT count(*) AS n FROM pg_locks l JOIN pg_stat_activity a ON a.pid = l.pid \
               WHERE NOT l.granted AND a.datname = current_database()";
    while raw.fetch_one(sql).await.unwrap().try_get::<i64, _>("n").unwrap() == 0 {
        tokio::task::yield_now().await;
    }
}

/// The other one has written and not committed when this one gets there: it waits, looks again, and loses.
#[tokio::test(flavor = "multi_thread")]
async fn the_second_one_looks_again() {
    let Some(bed) = Bed::postgres("the_second_one_looks_again").await else { return };
    let store = bed.open().await;
    let anna = opened(&store, APP, "c").await;
    put(&store, &anna, &["f1", "f2", "f3"]).await;
    let (mut raw, mut watch) = (bed.raw().await, bed.raw().await);

    let swept = "BEGIN; UPDATE file SET gone_at = 1 WHERE id = 'f1'";
    raw.execute(sqlx::raw_sql(swept)).await.unwrap();
    let unit = tokio::spawn({
        let store = store.clone();
        async move { store.commit(naming("c", 1, &["f1"])).await }
    });
    somebody_waits(&mut watch).await;
    raw.execute("COMMIT").await.unwrap();
    assert!(matches!(unit.await.unwrap(), Err(Error::FileGone)));
    assert_eq!(version(&store, "c").await, 1);

    let named = "BEGIN; UPDATE file SET conversation = 'c', shared_at = 5 WHERE id = 'f2'";
    raw.execute(sqlx::raw_sql(named)).await.unwrap();
    let sweep = tokio::spawn({
        let store = store.clone();
        async move { gone(&store, LATER).await }
    });
    somebody_waits(&mut watch).await;
    raw.execute("COMMIT").await.unwrap();
    assert_eq!(sweep.await.unwrap(), ["f1", "f3"]);
    assert_eq!(store.file(APP, "f2").await.unwrap().unwrap().conversation.as_deref(), Some("c"));

    let withdrawn = "BEGIN; UPDATE file SET revoked_at = 5 WHERE id = 'f2'";
    raw.execute(sqlx::raw_sql(withdrawn)).await.unwrap();
    let redeemed = tokio::spawn({
        let store = store.clone();
        async move { store.redeem_file(APP, "f2", "0", 5, 1, by("x")).await }
    });
    somebody_waits(&mut watch).await;
    raw.execute("COMMIT").await.unwrap();
    assert_eq!(redeemed.await.unwrap().unwrap(), Redeemed::Revoked);
    store.close().await;
    bed.remove().await;
}

/// A unit of another node has written and not committed: the erasure waits for it, and takes what it wrote.
#[tokio::test(flavor = "multi_thread")]
async fn an_erasure_takes_what_was_under_way() {
    let Some(bed) = Bed::postgres("an_erasure_takes_what_was_under_way").await else { return };
    let store = bed.open().await;
    let anna = opened(&store, APP, "c").await;
    put(&store, &anna, &["f"]).await;
    let (mut raw, mut watch) = (bed.raw().await, bed.raw().await);
    let unit = "BEGIN; INSERT INTO inbox SELECT app, integration, scope, 'late', conversation, 2, at, doc FROM inbox; \
                UPDATE conversation SET version = 2; \
                INSERT INTO entry SELECT app, conversation, 2, at, doc FROM entry; \
                UPDATE file SET conversation = 'c', shared_at = 5";
    raw.execute(sqlx::raw_sql(unit)).await.unwrap();
    let erasing = tokio::spawn({
        let store = store.clone();
        async move { store.erase_customer(APP, &anna).await }
    });
    somebody_waits(&mut watch).await;
    raw.execute("COMMIT").await.unwrap();
    let erased = erasing.await.unwrap().unwrap();
    assert_eq!((erased.inputs, erased.entries, erased.files), (2, 2, 1));
    for table in ["inbox", "entry", "conversation", "customer"] {
        assert_eq!(bed.count(table).await, 0, "{table}");
    }
    store.close().await;
    bed.remove().await;
}
