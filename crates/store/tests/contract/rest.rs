//! Entries, marks, once, customers, apps, nodes, and the walls between apps.

use interline_store::{Error, Once, Published, PutApp, Unit};

use crate::bed::*;
use crate::contract;

contract! {
    entries_are_read_in_order_from_both_ends(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        let mut many = line(APP, "c", 1, "x");
        many.entries = (2..=200).map(entry).collect();
        store.commit(many).await.unwrap();
        let seqs = |rows: Vec<interline_store::EntryRow>| rows.iter().map(|row| row.seq).collect::<Vec<_>>();
        assert_eq!(seqs(store.entries_after(APP, "c", 5, 3).await.unwrap()), [6, 7, 8]);
        assert_eq!(seqs(store.entries_before(APP, "c", 5, 3).await.unwrap()), [2, 3, 4]);
        assert_eq!(seqs(store.entries_before(APP, "c", 2, 3).await.unwrap()), [1]);
        assert_eq!(store.entries_after(APP, "c", 0, 1000).await.unwrap().len(), 200);
        assert!(store.entries_after(APP, "c", 200, 9).await.unwrap().is_empty());
        store.close().await;
    }

    marks_only_rise(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        let receipts = || async {
            let row = store.load(APP, "c").await.unwrap().unwrap().participants[0].clone();
            (row.delivered, row.read)
        };
        store.mark(APP, "c", 1, 5, 3).await.unwrap();
        assert_eq!(receipts().await, (5, 3));
        store.mark(APP, "c", 1, 4, 4).await.unwrap();
        assert_eq!(receipts().await, (5, 4));
        store.mark(APP, "c", 1, 0, 0).await.unwrap();
        store.mark(APP, "c", 9, 1, 1).await.unwrap();
        store.mark(APP, "none", 1, 1, 1).await.unwrap();
        // A row that was read before the mark must not take it back.
        let stale = Unit { participants: vec![participant(1)], ..unit(APP, "c") };
        store.commit(stale).await.unwrap();
        assert_eq!(receipts().await, (5, 4));
        let mut ahead = participant(1);
        (ahead.delivered, ahead.read) = (8, 2);
        store.commit(Unit { participants: vec![ahead], ..unit(APP, "c") }).await.unwrap();
        assert_eq!(receipts().await, (8, 4));
        let mut running = tokio::task::JoinSet::new();
        for n in 1..=200 {
            let store = store.clone();
            running.spawn(async move { store.mark(APP, "c", 1, n, 200 - n).await });
        }
        while let Some(answer) = running.join_next().await {
            answer.unwrap().unwrap();
        }
        assert_eq!(receipts().await, (200, 199));
        store.close().await;
    }

    once_is_once(bed) {
        let store = bed.open().await;
        assert_eq!(store.once(APP, "jti", "a", 10, 100).await.unwrap(), Once::First);
        assert_eq!(store.once(APP, "jti", "a", 20, 100).await.unwrap(), Once::Seen { first_at: 10 });
        assert_eq!(store.once(APP, "other", "a", 20, 100).await.unwrap(), Once::First);
        assert_eq!(store.once("st-b", "jti", "a", 20, 100).await.unwrap(), Once::First);
        store.close().await;
        let store = bed.open().await;
        assert_eq!(store.once(APP, "jti", "a", 99, 200).await.unwrap(), Once::Seen { first_at: 10 });
        assert_eq!(store.once(APP, "jti", "a", 100, 200).await.unwrap(), Once::First);
        let mut running = tokio::task::JoinSet::new();
        for n in 0..50 {
            let store = store.clone();
            running.spawn(async move { store.once(APP, "jti", "b", n, 1000).await });
        }
        let mut firsts = 0;
        while let Some(answer) = running.join_next().await {
            firsts += usize::from(answer.unwrap().unwrap() == Once::First);
        }
        assert_eq!(firsts, 1);
        store.close().await;
    }

    a_customer_is_made_once(bed) {
        let store = bed.open().await;
        let mut running = tokio::task::JoinSet::new();
        for n in 0..40 {
            let store = store.clone();
            running.spawn(async move { store.customer(APP, "web", "anna", n, &n.to_string()).await.unwrap() });
        }
        let mut rows = Vec::new();
        while let Some(row) = running.join_next().await {
            rows.push(row.unwrap());
        }
        assert!(rows.iter().all(|row| (&row.id, &row.doc) == (&rows[0].id, &rows[0].doc)));
        assert_eq!(rows.iter().filter(|row| row.new).count(), 1, "one of them is told that it made it");
        assert!(rows[0].id.starts_with("cus_") && rows[0].id.len() == 36);
        let known = rows.iter().find(|row| !row.new);
        assert_eq!(store.customer_by_id(APP, &rows[0].id).await.unwrap().as_ref(), known);
        assert_ne!(store.customer(APP, "ivr", "anna", 1, "{}").await.unwrap().id, rows[0].id);
        assert_ne!(store.customer("st-b", "web", "anna", 1, "{}").await.unwrap().id, rows[0].id);
        store.close().await;
    }

    an_app_has_versions(bed) {
        let store = bed.open().await;
        assert_eq!(store.put_app(APP, "one").await.unwrap(), 1);
        assert_eq!(store.put_app(APP, "one").await.unwrap(), 1);
        assert_eq!(store.put_app(APP, "two").await.unwrap(), 2);
        assert_eq!(store.put_app("st-b", "two").await.unwrap(), 1);
        assert_eq!(store.current_app(APP).await.unwrap(), Some(2));
        assert_eq!(store.put_app(APP, "one").await.unwrap(), 1);
        assert_eq!(store.current_app(APP).await.unwrap(), Some(1));
        assert_eq!(store.get_app(APP, 2).await.unwrap().as_deref(), Some("two"));
        assert_eq!(store.get_app(APP, 3).await.unwrap(), None);
        assert_eq!(store.apps().await.unwrap(), vec![(APP.to_owned(), 1), ("st-b".to_owned(), 1)]);
        store.close().await;
        // A new key does not make a new version of old content.
        let keys = format!("k2:{},{KEY}", "ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=");
        let store = bed.open_with(&keys).await;
        assert_eq!(store.put_app(APP, "two").await.unwrap(), 2);
        store.close().await;
    }

    an_app_is_put_over_the_expected_version_only(bed) {
        let store = bed.open().await;
        assert_eq!(store.put_app_if(APP, Some(1), "one", &Published::default()).await.unwrap(), PutApp::Conflict(None));
        assert_eq!(bed.count("app").await + bed.count("app_version").await, 0);
        assert_eq!(store.put_app_if(APP, None, "one", &Published::default()).await.unwrap(), PutApp::Done(1));
        assert_eq!(store.put_app_if(APP, None, "two", &Published::default()).await.unwrap(), PutApp::Conflict(Some(1)));
        assert_eq!(store.put_app_if(APP, Some(2), "two", &Published::default()).await.unwrap(), PutApp::Conflict(Some(1)));
        assert_eq!(bed.count("app_version").await, 1);
        assert_eq!(store.put_app_if(APP, Some(1), "two", &Published::default()).await.unwrap(), PutApp::Done(2));
        assert_eq!(store.put_app_if(APP, Some(2), "two", &Published::default()).await.unwrap(), PutApp::Done(2));
        assert_eq!(store.put_app_if(APP, Some(2), "one", &Published::default()).await.unwrap(), PutApp::Done(1));
        assert_eq!(store.put_app("st-b", "one").await.unwrap(), 1);
        assert_eq!(store.put_app_if("st-b", Some(1), "two", &Published::default()).await.unwrap(), PutApp::Done(2));
        assert_eq!(store.get_app(APP, 2).await.unwrap().as_deref(), Some("two"));

        // Of many who saw the same version one wins; on PostgreSQL they are on two nodes.
        let other = if bed.file().is_some() { store.clone() } else { bed.open().await };
        for (app, expected) in [(APP, Some(1)), ("st-new", None)] {
            let mut running = tokio::task::JoinSet::new();
            for n in 0..20 {
                let store = if n % 2 == 0 { store.clone() } else { other.clone() };
                running.spawn(async move { store.put_app_if(app, expected, &format!("by {n}"), &Published::default()).await.unwrap() });
            }
            let (mut won, mut lost) = (Vec::new(), Vec::new());
            while let Some(answer) = running.join_next().await {
                match answer.unwrap() {
                    PutApp::Done(version) => won.push(version),
                    PutApp::Conflict(version) => lost.push(version.unwrap()),
                }
            }
            let current = store.current_app(app).await.unwrap().unwrap();
            assert_eq!(won, [current]);
            assert_eq!(lost, [current; 19]);
        }
        other.close().await;
        store.close().await;
    }

    a_newer_process_fences_the_older(bed) {
        let store = bed.open().await;
        let old = store.register_node("n1", 1).await.unwrap();
        store.beat("n1", old, 2).await.unwrap();
        let new = store.register_node("n1", 3).await.unwrap();
        assert!(new > old);
        assert!(matches!(store.beat("n1", old, 4).await, Err(Error::Fenced)));
        store.beat("n1", new, 4).await.unwrap();
        assert_eq!(store.register_node("n2", 3).await.unwrap(), 1);
        store.close().await;
    }

    apps_do_not_see_each_other(bed) {
        let store = bed.open().await;
        let customer = opened(&store, APP, "c").await;
        let other = opened(&store, "st-b", "c").await;
        let mut unit = line(APP, "c", 1, "x");
        unit.remote_ids = vec![remote("r", 2, 0)];
        assert_eq!(store.commit(unit).await.unwrap(), done(2));
        assert_eq!(store.commit(line("st-b", "c", 1, "x")).await.unwrap(), done(2));
        assert_eq!(store.load("st-b", "c").await.unwrap().unwrap().customer, other);
        assert!(store.load("st-c", "c").await.unwrap().is_none());
        assert!(!store.conversation_exists("st-c", "c").await.unwrap());
        assert!(store.entries_after("st-c", "c", 0, 9).await.unwrap().is_empty());
        assert!(store.entries_before("st-c", "c", 9, 9).await.unwrap().is_empty());
        assert!(store.replay("st-c", "c").await.unwrap().is_empty());
        assert!(store.remote_to_seq("st-b", "c", 1, "r").await.unwrap().is_none());
        assert!(store.seq_to_remote("st-b", "c", 1, 2).await.unwrap().is_empty());
        assert!(store.customer_by_id("st-b", &customer).await.unwrap().is_none());
        assert!(store.open_conversation("st-b", &customer).await.unwrap().is_none());
        assert!(store.conversations_of("st-b", &customer, 9).await.unwrap().is_empty());
        assert_eq!(store.counts("st-c").await.unwrap(), interline_store::Counts::default());
        // Another app's customer cannot be given a conversation.
        assert!(matches!(store.commit(opening("st-b", "d", &customer)).await, Err(Error::Gone)));
        // A foreign cursor, mark or erasure touches nothing.
        let foreign = Unit { participants: vec![participant(1)], ..crate::bed::unit("st-c", "c") };
        assert!(matches!(store.commit(foreign).await, Err(Error::Gone)));
        store.mark("st-c", "c", 1, 9, 9).await.unwrap();
        assert_eq!(store.erase_customer("st-b", &customer).await.unwrap().conversations, 0);
        assert_eq!(store.load(APP, "c").await.unwrap().unwrap().participants[0].delivered, 0);
        store.close().await;
    }
}
