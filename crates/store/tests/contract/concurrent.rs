//! Many at once: nothing is lost, nothing changes places.

use crate::bed::*;
use crate::contract;

contract! {
    eight_tasks_lose_nothing(bed) {
        let store = bed.open().await;
        let mut running = Vec::new();
        for task in 0..8 {
            let store = store.clone();
            running.push(tokio::spawn(async move {
                let conversation = format!("c{task}");
                opened(&store, APP, &conversation).await;
                for version in 1..=500 {
                    let mut unit = line(APP, &conversation, version, &format!("{task}-{version}"));
                    unit.participants = vec![participant(1)];
                    unit.participants[0].head = version + 1;
                    assert_eq!(store.commit(unit).await.unwrap(), done(version + 1));
                }
            }));
        }
        for task in running {
            task.await.unwrap();
        }
        for task in 0..8 {
            let conversation = format!("c{task}");
            let entries = store.entries_after(APP, &conversation, 0, 1000).await.unwrap();
            assert_eq!(entries.iter().map(|row| row.seq).collect::<Vec<_>>(), (1..=501).collect::<Vec<_>>());
            let replay = store.replay(APP, &conversation).await.unwrap();
            let ids: Vec<String> = replay.into_iter().skip(1).map(|row| row.external_id).collect();
            assert_eq!(ids, (1..=500).map(|version| format!("{task}-{version}")).collect::<Vec<_>>());
            assert_eq!(store.load(APP, &conversation).await.unwrap().unwrap().participants[0].head, 501);
        }
        store.close().await;
    }

    units_of_one_conversation_keep_their_order(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        // All are sent, in this order, before the first answer; each is computed on the one before.
        let mut waiting: Vec<std::pin::Pin<Box<dyn Future<Output = _> + Send>>> = Vec::new();
        for version in 1..=300 {
            let store = store.clone();
            waiting.push(Box::pin(async move { store.commit(line(APP, "c", version, &version.to_string())).await }));
        }
        let send = std::future::poll_fn(|context| {
            for unit in &mut waiting {
                assert!(unit.as_mut().poll(context).is_pending());
            }
            std::task::Poll::Ready(())
        });
        tokio::task::unconstrained(send).await;
        for (version, answer) in (2..).zip(waiting) {
            assert_eq!(answer.await.unwrap(), done(version));
        }
        assert_eq!(store.load(APP, "c").await.unwrap().unwrap().version, 301);
        store.close().await;
    }

    close_writes_what_is_waiting(bed) {
        let store = bed.open().await;
        for n in 0..100 {
            opened(&store, APP, &format!("c{n}")).await;
        }
        let mut running = Vec::new();
        for n in 0..100 {
            let store = store.clone();
            running.push(tokio::spawn(async move { store.commit(line(APP, &format!("c{n}"), 1, &n.to_string())).await }));
        }
        tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        let other = store.clone();
        store.close().await;
        let mut written = 0;
        for task in running {
            match task.await.unwrap() {
                Ok(answer) => { assert_eq!(answer, done(2)); written += 1 }
                Err(error) => assert!(matches!(error, interline_store::Error::Closed)),
            }
        }
        assert_eq!(bed.count("entry").await, 100 + written);
        let late = other.commit(line(APP, "c1", 2, "late")).await;
        assert!(matches!(late, Err(interline_store::Error::Closed)));
    }
}
