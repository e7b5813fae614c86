//! What a commit does and refuses.

use interline_store::{Error, Opening};

use crate::bed::*;
use crate::contract;

contract! {
    a_unit_is_written_whole(bed) {
        let store = bed.open().await;
        let customer = store.customer(APP, "web", "a", 1, r#"{"n":1}"#).await.unwrap().id;
        let mut first = opening(APP, "c", &customer);
        let mut row = participant(1);
        row.session = Some("secret words".into());
        row.due_at = Some(7);
        row.attempt_key = Some("1#1".into());
        row.last_error = Some("503".into());
        row.failing_since = Some(6);
        row.head = 1;
        first.participants = vec![row.clone(), participant(2)];
        first.remote_ids = vec![remote("r1", 1, 0), remote("r2", 1, 1)];
        first.state.as_mut().unwrap().wake_at = Some(9);
        assert_eq!(store.commit(first).await.unwrap(), done(1));

        let loaded = store.load(APP, "c").await.unwrap().unwrap();
        assert_eq!((loaded.version, loaded.head, loaded.opened_at, loaded.closed_at), (1, 1, 1, None));
        assert_eq!((loaded.owner.as_str(), loaded.channel.as_str()), ("bot", "web"));
        assert_eq!((loaded.customer.as_str(), loaded.doc.as_str()), (customer.as_str(), r#"{"v":1}"#));
        assert_eq!(loaded.participants, vec![row, participant(2)]);
        assert_eq!(store.entries_after(APP, "c", 0, 10).await.unwrap(), vec![entry(1)]);
        assert_eq!(store.remote_to_seq(APP, "c", 1, "r2").await.unwrap(), Some((1, 1)));
        assert_eq!(store.remote_to_seq(APP, "c", 2, "r2").await.unwrap(), None);
        let names = store.seq_to_remote(APP, "c", 1, 1).await.unwrap();
        assert_eq!(names, vec![(0, "r1".to_owned()), (1, "r2".to_owned())]);
        assert_eq!(store.next_due().await.unwrap(), Some(7));
        let due = store.due_participants(7, 10).await.unwrap();
        assert_eq!((due.len(), &*due[0].conversation, due[0].no, due[0].due_at), (1, "c", 1, 7));
        assert!(store.due_participants(6, 10).await.unwrap().is_empty());
        let due = store.due_conversations(9, 10).await.unwrap();
        assert_eq!(due, vec![(APP.into(), "c".into(), 9)]);
        assert!(store.conversation_exists(APP, "c").await.unwrap());
        assert_eq!(store.open_conversation(APP, &customer).await.unwrap(), Some("c".into()));
        let counts = store.counts(APP).await.unwrap();
        assert_eq!((counts.customers, counts.conversations, counts.open), (1, 1, 1));
        assert_eq!((counts.behind, counts.failing), (1, 1));

        // Rows without a session or a deadline again.
        let cursor = interline_store::Unit { participants: vec![participant(1)], ..unit(APP, "c") };
        assert_eq!(store.commit(cursor).await.unwrap(), done(0));
        let loaded = store.load(APP, "c").await.unwrap().unwrap();
        assert_eq!(loaded.participants[0], participant(1));
        assert_eq!(loaded.version, 1);
        store.close().await;

        // And it is still there after a restart.
        let store = bed.open().await;
        assert_eq!(store.load(APP, "c").await.unwrap().unwrap(), loaded);
        store.close().await;
    }

    a_duplicate_changes_nothing_and_says_where_the_first_went(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        opened(&store, APP, "d").await;
        assert_eq!(store.commit(line(APP, "c", 1, "x")).await.unwrap(), done(2));
        assert_eq!(store.commit(line(APP, "c", 2, "x")).await.unwrap(), duplicate("c", 2));
        assert_eq!(store.commit(line(APP, "d", 1, "x")).await.unwrap(), duplicate("c", 2));
        // A duplicate stays one even if its state is out of date.
        assert_eq!(store.commit(line(APP, "c", 1, "x")).await.unwrap(), duplicate("c", 2));
        assert_eq!(store.load(APP, "c").await.unwrap().unwrap().version, 2);
        assert_eq!(store.load(APP, "d").await.unwrap().unwrap().version, 1);
        assert_eq!(bed.count("entry").await, 3);
        // Another scope or integration is another input.
        let mut other = line(APP, "d", 1, "x");
        other.inbox.as_mut().unwrap().scope = "t".into();
        assert_eq!(store.commit(other).await.unwrap(), done(2));
        store.close().await;
    }

    the_same_key_twice_at_once_is_taken_once(bed) {
        let store = bed.open().await;
        for n in 0..32 {
            opened(&store, APP, &format!("c{n}")).await;
        }
        let mut running = Vec::new();
        for n in 0..32 {
            let store = store.clone();
            running.push(tokio::spawn(async move { store.commit(line(APP, &format!("c{n}"), 1, "same")).await }));
        }
        let mut taken = 0;
        let mut places = std::collections::HashSet::new();
        for task in running {
            match task.await.unwrap().unwrap() {
                interline_store::Committed::Done { version } => { assert_eq!(version, 2); taken += 1 }
                interline_store::Committed::Duplicate { conversation, version } => {
                    assert_eq!(version, 2);
                    places.insert(conversation);
                }
                interline_store::Committed::Conflict => panic!("conflict"),
            }
        }
        assert_eq!((taken, places.len()), (1, 1));
        store.close().await;
    }

    an_old_version_is_a_conflict(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        assert_eq!(store.commit(line(APP, "c", 1, "x")).await.unwrap(), done(2));
        assert_eq!(store.commit(line(APP, "c", 1, "y")).await.unwrap(), interline_store::Committed::Conflict);
        // Its inbox row is gone with it: the recomputed unit is no duplicate.
        assert_eq!(store.commit(line(APP, "c", 2, "y")).await.unwrap(), done(3));
        // A conversation that is not there.
        assert_eq!(store.commit(line(APP, "e", 1, "z")).await.unwrap(), interline_store::Committed::Conflict);
        let replay = store.replay(APP, "c").await.unwrap();
        let ids: Vec<&str> = replay.iter().map(|row| row.external_id.as_str()).collect();
        assert_eq!(ids, ["open-c", "x", "y"]);
        assert_eq!(replay[1], inbox("x"));
        store.close().await;
    }

    a_customer_has_one_open_conversation(bed) {
        let store = bed.open().await;
        let customer = opened(&store, APP, "c").await;
        assert_eq!(
            store.commit(opening(APP, "d", &customer)).await.unwrap(),
            interline_store::Committed::Conflict
        );
        let mut close = line(APP, "c", 1, "close");
        close.state.as_mut().unwrap().closed_at = Some(50);
        assert_eq!(store.commit(close).await.unwrap(), done(2));
        let mut next = opening(APP, "d", &customer);
        next.state.as_mut().unwrap().opening.as_mut().unwrap().opened_at = 60;
        assert_eq!(store.commit(next).await.unwrap(), done(1));
        assert_eq!(store.conversations_of(APP, &customer, 9).await.unwrap(), ["d", "c"]);
        assert_eq!(store.conversations_of(APP, &customer, 1).await.unwrap(), ["d"]);
        // Reopening the first one is refused as well.
        assert_eq!(
            store.commit(line(APP, "c", 2, "reopen")).await.unwrap(),
            interline_store::Committed::Conflict
        );
        store.close().await;
    }

    a_closed_conversation_is_written_to_but_does_not_open_again(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        opened(&store, APP, "d").await;
        let closed = |version: i64, id: &str, at: i64| {
            let mut unit = line(APP, "c", version, id);
            unit.state.as_mut().unwrap().closed_at = Some(at);
            unit.state.as_mut().unwrap().owner = "closed";
            unit
        };
        // Beside one that stays open.
        let (one, other) = tokio::join!(store.commit(closed(1, "close", 50)), store.commit(line(APP, "d", 1, "talk")));
        assert_eq!((one.unwrap(), other.unwrap()), (done(2), done(2)));
        assert_eq!(store.commit(closed(2, "late", 50)).await.unwrap(), done(3));
        assert_eq!(store.commit(closed(2, "stale", 50)).await.unwrap(), interline_store::Committed::Conflict);
        let again = store.commit(line(APP, "c", 3, "again")).await.unwrap();
        assert_eq!(again, interline_store::Committed::Conflict);
        let loaded = store.load(APP, "c").await.unwrap().unwrap();
        assert_eq!((loaded.version, loaded.closed_at, loaded.owner.as_str()), (3, Some(50), "closed"));
        assert_eq!(store.load(APP, "d").await.unwrap().unwrap().closed_at, None);
        store.close().await;
    }

    senseless_units_are_refused_alone(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        let mut no_opening = line(APP, "x", 0, "1");
        no_opening.state.as_mut().unwrap().opening = None;
        assert!(matches!(store.commit(no_opening).await, Err(Error::Broken(_))));
        let no_state = interline_store::Unit { entries: vec![entry(2)], ..unit(APP, "c") };
        assert!(matches!(store.commit(no_state).await, Err(Error::Broken(_))));
        let mut old_entry = line(APP, "c", 1, "2");
        old_entry.entries = vec![entry(1)];
        assert!(matches!(store.commit(old_entry).await, Err(Error::Broken(_))));
        let mut nobody = line(APP, "y", 0, "3");
        nobody.state.as_mut().unwrap().opening =
            Some(Opening { customer: "cus_none".into(), channel: "web".into(), opened_at: 1 });
        assert!(matches!(store.commit(nobody).await, Err(Error::Gone)));
        let cursor = interline_store::Unit { participants: vec![participant(1)], ..unit(APP, "none") };
        assert!(matches!(store.commit(cursor).await, Err(Error::Gone)));
        let note = interline_store::Unit { inbox: Some(inbox("4")), ..unit(APP, "none") };
        assert!(matches!(store.commit(note).await, Err(Error::Gone)));
        let note = interline_store::Unit { inbox: Some(inbox("4")), ..unit(APP, "c") };
        assert_eq!(store.commit(note).await.unwrap(), done(1));
        assert_eq!(bed.count("inbox").await, 2);
        store.close().await;
    }

    one_poisoned_unit_among_64_hurts_nobody_else(bed) {
        let store = bed.open().await;
        for n in 0..64 {
            opened(&store, APP, &format!("c{n}")).await;
        }
        for poison in ["version", "entry", "conversation"] {
            let before = store.load(APP, "c0").await.unwrap().unwrap().version;
            let mut running = Vec::new();
            for n in 0..64 {
                let mut unit = line(APP, &format!("c{n}"), before, &format!("{poison}-{n}"));
                unit.participants = vec![participant(1)];
                match (n, poison) {
                    (33, "version") => unit.state.as_mut().unwrap().expected_version = 77,
                    (33, "entry") => unit.entries = vec![entry(before + 1), entry(before + 1)],
                    (33, _) => unit = interline_store::Unit { participants: vec![participant(1)], ..crate::bed::unit(APP, "none") },
                    _ => {}
                }
                let store = store.clone();
                running.push(tokio::spawn(async move { store.commit(unit).await }));
            }
            for (n, task) in running.into_iter().enumerate() {
                let answer = task.await.unwrap();
                match (n, poison) {
                    (33, "version") => assert_eq!(answer.unwrap(), interline_store::Committed::Conflict),
                    (33, "entry") => assert!(matches!(answer, Err(Error::Broken(_)))),
                    (33, _) => assert!(matches!(answer, Err(Error::Gone))),
                    _ => assert_eq!(answer.unwrap(), done(before + 1)),
                }
            }
            // Bring the poisoned one up to the others.
            let repaired = store.commit(line(APP, "c33", before, &format!("{poison}-again"))).await.unwrap();
            assert_eq!(repaired, done(before + 1));
        }
        store.close().await;
    }
}
