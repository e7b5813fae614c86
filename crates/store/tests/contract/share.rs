//! Shared transcripts: never one use too many.

use interline_store::{Access, AccessRow, Error, Redeemed, ShareRow};
use sqlx::Executor as _;

use crate::bed::*;
use crate::contract;

pub fn by(peer: &str) -> Access {
    Access { how: "page".into(), peer: peer.into(), agent: "a browser".into() }
}

contract! {
    a_link_is_used_as_often_as_it_may(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        assert!(store.shares_of(APP, "c").await.unwrap().is_empty());
        for used in 1..=3 {
            let answer = store.redeem(APP, "c", 1, 3, 100 + used, by(&format!("peer {used}"))).await.unwrap();
            assert_eq!(answer, Redeemed::Granted { used });
        }
        assert_eq!(store.redeem(APP, "c", 1, 3, 200, by("late")).await.unwrap(), Redeemed::UsedUp);
        // The limit is the caller's: a higher one allows more.
        assert_eq!(store.redeem(APP, "c", 1, 4, 201, by("more")).await.unwrap(), Redeemed::Granted { used: 4 });
        for (app, conversation, participant) in [("st-b", "c", 1), (APP, "d", 1), (APP, "c", 2)] {
            let answer = store.redeem(app, conversation, participant, 3, 1, by("x")).await.unwrap();
            assert_eq!(answer, Redeemed::Unknown, "{app} {conversation} {participant}");
        }
        store.close().await;

        let store = bed.open().await;
        let access = |no: i64, at: i64, peer: &str| AccessRow {
            no, at, how: "page".into(), peer: peer.into(), agent: "a browser".into(),
        };
        let accesses =
            vec![access(1, 101, "peer 1"), access(2, 102, "peer 2"), access(3, 103, "peer 3"), access(4, 201, "more")];
        let expected = vec![ShareRow { participant: 1, used: 4, revoked_at: None, accesses }];
        assert_eq!(store.shares_of(APP, "c").await.unwrap(), expected);
        assert!(store.shares_of("st-b", "c").await.unwrap().is_empty());
        assert!(!format!("{expected:?} {:?}", by("peer 1")).contains("peer"));
        store.close().await;
    }

    a_link_is_withdrawn_used_or_not(bed) {
        let store = bed.open().await;
        let customer = store.customer(APP, "web", "a", 1, "{}").await.unwrap().id;
        let mut first = opening(APP, "c", &customer);
        first.participants = vec![participant(1), participant(2)];
        store.commit(first).await.unwrap();
        assert_eq!(store.redeem(APP, "c", 2, 5, 10, by("x")).await.unwrap(), Redeemed::Granted { used: 1 });
        for participant in [1, 2] {
            assert!(store.revoke_share(APP, "c", participant, 20).await.unwrap());
            assert!(!store.revoke_share(APP, "c", participant, 30).await.unwrap());
            assert_eq!(store.redeem(APP, "c", participant, 5, 40, by("x")).await.unwrap(), Redeemed::Revoked);
        }
        assert!(!store.revoke_share(APP, "c", 3, 20).await.unwrap());
        assert!(!store.revoke_share("st-b", "c", 1, 20).await.unwrap());
        let rows = store.shares_of(APP, "c").await.unwrap();
        let seen: Vec<_> =
            rows.iter().map(|row| (row.participant, row.used, row.revoked_at, row.accesses.len())).collect();
        assert_eq!(seen, [(1, 0, Some(20), 0), (2, 1, Some(20), 1)]);
        store.close().await;
    }

    fifty_at_once_get_ten(bed) {
        let store = bed.open().await;
        opened(&store, APP, "c").await;
        // Two stores: on PostgreSQL they are two nodes. An SQLite file has one.
        let other = if bed.file().is_some() { store.clone() } else { bed.open().await };
        let mut running = tokio::task::JoinSet::new();
        for n in 0..50 {
            let store = if n % 2 == 0 { store.clone() } else { other.clone() };
            running.spawn(async move { store.redeem(APP, "c", 1, 10, n, by("x")).await.unwrap() });
        }
        let mut granted = Vec::new();
        while let Some(answer) = running.join_next().await {
            match answer.unwrap() {
                Redeemed::Granted { used } => granted.push(used),
                answer => assert_eq!(answer, Redeemed::UsedUp),
            }
        }
        granted.sort_unstable();
        assert_eq!(granted, (1..=10).collect::<Vec<_>>());
        let rows = store.shares_of(APP, "c").await.unwrap();
        assert_eq!((rows[0].used, rows[0].accesses.len()), (10, 10));
        other.close().await;
        store.close().await;
    }
}

/// Connections die all the time while fifty want ten: each grant was counted, so there are never more than ten.
#[tokio::test(flavor = "multi_thread")]
async fn a_lost_connection_grants_none_too_many() {
    let Some(bed) = Bed::postgres("a_lost_connection_grants_none_too_many").await else { return };
    let store = bed.open().await;
    opened(&store, APP, "c").await;
    let mut raw = bed.raw().await;
    let mut running = tokio::task::JoinSet::new();
    for n in 0..50 {
        let store = store.clone();
        running.spawn(async move {
            loop {
                match store.redeem(APP, "c", 1, 10, n, by("x")).await {
                    Ok(answer) => break answer,
                    Err(Error::Retry(_)) => tokio::task::yield_now().await,
                    Err(error) => panic!("{error}"),
                }
            }
        });
    }
    for _ in 0..5 {
        raw.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()",
        )
        .await
        .unwrap();
    }
    let mut granted = std::collections::BTreeSet::new();
    while let Some(answer) = running.join_next().await {
        if let Redeemed::Granted { used } = answer.unwrap() {
            assert!((1..=10).contains(&used) && granted.insert(used), "{used} of {granted:?}");
        }
    }
    assert!(granted.len() <= 10);
    let rows = store.shares_of(APP, "c").await.unwrap();
    assert_eq!((rows[0].used, rows[0].accesses.len()), (10, 10));
    store.close().await;
    bed.remove().await;
}
