//! An old key leaves the ring.

use interline_store::{Error, Published, Rekeyed, SealError, Store};
use sqlx::Executor as _;

use crate::bed::*;
use crate::contract;

const NEW: &str = "k2:ICEiIyQlJicoKSorLC0uLzAxMjM0NTY3ODk6Ozw9Pj8=";

fn both() -> String {
    format!("{NEW},{KEY}")
}

async fn with_session(store: &Store, app: &str, conversation: &str) {
    let customer = store.customer(app, "web", conversation, 1, "{}").await.unwrap().id;
    let mut first = opening(app, conversation, &customer);
    first.participants = vec![participant(1), participant(2), participant(3)];
    first.participants[0].session = Some(format!("session of {conversation}"));
    first.participants[2].session = Some(format!("other session of {conversation}"));
    store.commit(first).await.unwrap();
}

async fn check(store: &Store, app: &str, conversation: &str) {
    let rows = store.load(app, conversation).await.unwrap().unwrap().participants;
    assert_eq!(rows[0].session.as_deref(), Some(format!("session of {conversation}").as_str()));
    assert_eq!(rows[1].session, None);
    assert_eq!(rows[2].session.as_deref(), Some(format!("other session of {conversation}").as_str()));
}

contract! {
    after_a_rekey_the_new_key_opens_everything(bed) {
        let store = bed.open().await;
        for n in 0..7 {
            with_session(&store, APP, &format!("c{n}")).await;
        }
        with_session(&store, "st-b", "c0").await;
        store.put_app(APP, "one").await.unwrap();
        store.put_app(APP, "two").await.unwrap();
        store.put_app("st-b", "one").await.unwrap();
        let published = Published {
            set: Some(("0123".into(), "the set".into())),
            flows: vec![("main".into(), "the flow".into()), ("other".into(), "another".into())],
            by: "ann".into(),
            at: 1,
        };
        store.put_app_if("st-c", None, "flows", &published).await.unwrap();
        store.put_flow_draft("st-c", "main", "the draft", ("ann", 2), None).await.unwrap();
        store.close().await;

        let store = bed.open_with(&both()).await;
        with_session(&store, APP, "new").await;
        store.put_app(APP, "three").await.unwrap();
        // A batch that does not divide the number of rows.
        assert_eq!(store.rekey(3).await.unwrap(), Rekeyed { sessions: 16, apps: 4, flows: 4 });
        assert_eq!(store.rekey(3).await.unwrap(), Rekeyed::default());
        store.close().await;

        let store = bed.open_with(NEW).await;
        for n in 0..7 {
            check(&store, APP, &format!("c{n}")).await;
        }
        check(&store, "st-b", "c0").await;
        check(&store, APP, "new").await;
        // The fingerprints went along: old content is still recognised.
        assert_eq!(store.put_app(APP, "one").await.unwrap(), 1);
        assert_eq!(store.put_app(APP, "two").await.unwrap(), 2);
        assert_eq!(store.put_app("st-b", "one").await.unwrap(), 1);
        assert_eq!(store.get_app(APP, 3).await.unwrap().as_deref(), Some("three"));
        assert_eq!(store.flow_set("st-c", "0123").await.unwrap().as_deref(), Some("the set"));
        for (flow, doc) in [("main", "the flow"), ("other", "another")] {
            assert_eq!(store.flow_version("st-c", flow, 1).await.unwrap().unwrap().doc, doc);
        }
        assert_eq!(store.flow_draft("st-c", "main").await.unwrap().unwrap().doc, "the draft");
        assert_eq!(store.rekey(100).await.unwrap(), Rekeyed::default());
        store.close().await;
    }

    a_rekey_loses_nothing_that_is_written_meanwhile(bed) {
        let store = bed.open().await;
        for n in 0..20 {
            with_session(&store, APP, &format!("c{n}")).await;
        }
        store.close().await;
        let store = bed.open_with(&both()).await;
        let (go, stop) = (store.clone(), std::sync::Arc::new(std::sync::atomic::AtomicBool::new(false)));
        let stopped = stop.clone();
        let writer = tokio::spawn(async move {
            let mut round = 0;
            while !stopped.load(std::sync::atomic::Ordering::Relaxed) {
                round += 1;
                for n in 0..20 {
                    let mut row = participant(1);
                    row.session = Some(format!("round {round}"));
                    let unit = interline_store::Unit { participants: vec![row], ..unit(APP, &format!("c{n}")) };
                    go.commit(unit).await.unwrap();
                }
            }
            round
        });
        let mut rekeyed = 0;
        for batch in [1, 7, 100] {
            rekeyed += store.rekey(batch).await.unwrap().sessions;
        }
        stop.store(true, std::sync::atomic::Ordering::Relaxed);
        let last = writer.await.unwrap();
        // The third participants at least; the first ones may have been written over before.
        assert!((20..=40).contains(&rekeyed), "{rekeyed}");
        store.close().await;
        let store = bed.open_with(NEW).await;
        for n in 0..20 {
            let rows = store.load(APP, &format!("c{n}")).await.unwrap().unwrap().participants;
            let expected = if last == 0 { format!("session of c{n}") } else { format!("round {last}") };
            assert_eq!(rows[0].session.as_deref(), Some(expected.as_str()));
        }
        store.close().await;
    }

    a_value_that_does_not_open_does_not_hold_up_the_others(bed) {
        let store = bed.open().await;
        with_session(&store, APP, "c").await;
        with_session(&store, APP, "d").await;
        store.put_app(APP, "one").await.unwrap();
        store.close().await;
        bed.raw()
            .await
            .execute(
                "UPDATE participant SET session = (SELECT session FROM participant WHERE conversation = 'd' AND no = 1) \
                 WHERE conversation = 'c' AND no = 1",
            )
            .await
            .unwrap();
        let store = bed.open_with(&both()).await;
        let error = store.rekey(2).await.unwrap_err();
        assert!(matches!(&error, Error::Sealed(SealError::Forged(id)) if id == "k1"), "{error}");
        store.close().await;
        let store = bed.open_with(NEW).await;
        check(&store, APP, "d").await;
        assert_eq!(store.get_app(APP, 1).await.unwrap().as_deref(), Some("one"));
        assert!(matches!(store.rekey(2).await, Err(Error::Sealed(SealError::MissingKey(id))) if id == "k1"));
        store.close().await;
    }
}
