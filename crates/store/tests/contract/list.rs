//! Lists, filters and pages.

use interline_store::{Filter, Opening, Store, Unit};
use sqlx::{Executor as _, Row as _};

use crate::bed::*;
use crate::contract;

struct Made {
    id: String,
    owner: &'static str,
    channel: &'static str,
    customer: String,
    address: String,
    opened_at: i64,
    closed_at: Option<i64>,
}

/// Conversations of every kind; some were opened in the same millisecond, and not in the order of their ids.
async fn fill(store: &Store) -> Vec<Made> {
    let mut made = Vec::new();
    for n in 0..60_i64 {
        let owner = ["bot", "closed", "agent", "closed", "closed"][usize::try_from(n % 5).unwrap()];
        let channel = ["web", "ivr", "web"][usize::try_from(n % 3).unwrap()];
        let address = format!("address {}", n % 20);
        let customer = store.customer(APP, channel, &address, 1, "{}").await.unwrap().id;
        let id = format!("c{:02}", (n * 7) % 60);
        let mut unit = opening(APP, &id, &customer);
        let opened_at = 1000 + n / 4;
        // A customer has one open conversation: of each address and channel the first ones are closed.
        let (owner, closed_at) = if n < 20 { ("closed", Some(2000)) } else { (owner, None) };
        let closed_at = if owner == "closed" { Some(2000) } else { closed_at };
        let state = unit.state.as_mut().unwrap();
        state.owner = owner;
        state.closed_at = closed_at;
        state.wake_at = Some(n);
        state.opening = Some(Opening { customer: customer.clone(), channel: channel.into(), opened_at });
        if closed_at.is_none() && store.open_conversation(APP, &customer).await.unwrap().is_some() {
            continue;
        }
        assert_eq!(store.commit(unit).await.unwrap(), done(1));
        made.push(Made { id, owner, channel, customer, address, opened_at, closed_at });
    }
    made.sort_by(|a, b| (b.opened_at, &b.id).cmp(&(a.opened_at, &a.id)));
    made
}

/// All pages of a list.
async fn pages(store: &Store, filter: &Filter<'_>, limit: i64) -> Vec<String> {
    let mut ids = Vec::new();
    let mut after: Option<(i64, String)> = None;
    loop {
        let place = after.as_ref().map(|(at, id)| (*at, id.as_str()));
        let page = store.conversations(APP, filter, place, limit).await.unwrap();
        assert!(page.len() <= usize::try_from(limit).unwrap());
        let Some(last) = page.last() else { return ids };
        after = Some((last.opened_at, last.id.clone()));
        ids.extend(page.into_iter().map(|row| row.id));
    }
}

async fn expect(store: &Store, made: &[Made], filter: Filter<'_>, holds: impl Fn(&Made) -> bool) -> usize {
    let expected: Vec<&str> = made.iter().filter(|row| holds(row)).map(|row| row.id.as_str()).collect();
    for limit in [1, 7, 1000] {
        assert_eq!(pages(store, &filter, limit).await, expected, "{filter:?} by {limit}");
    }
    expected.len()
}

fn failing(no: i64, since: i64, done: bool) -> interline_store::ParticipantRow {
    let mut row = participant(no);
    row.failing_since = Some(since);
    row.attempts = 3;
    row.last_error = Some("503".into());
    row.session = Some("secret".into());
    row.done = done;
    row
}

contract! {
    each_filter_gives_its_conversations_newest_first(bed) {
        let store = bed.open().await;
        let made = fill(&store).await;
        opened(&store, "st-b", "foreign").await;
        let all = Filter::default();
        assert_eq!(expect(&store, &made, all, |_| true).await, made.len());
        for owner in ["bot", "agent", "closed"] {
            let filter = Filter { owner: Some(owner), ..all };
            assert!(expect(&store, &made, filter, |row| row.owner == owner).await > 3, "{owner}");
        }
        for open in [true, false] {
            let filter = Filter { open: Some(open), ..all };
            assert!(expect(&store, &made, filter, |row| row.closed_at.is_none() == open).await > 3);
        }
        let (customer, address) = (made[9].customer.as_str(), made[9].address.as_str());
        let filter = Filter { customer: Some(customer), ..all };
        assert!(expect(&store, &made, filter, |row| row.customer == customer).await >= 1);
        let filter = Filter { address: Some(address), ..all };
        assert!(expect(&store, &made, filter, |row| row.address == address).await > 1);
        let filter = Filter { address: Some("address"), ..all };
        assert_eq!(expect(&store, &made, filter, |_| false).await, 0);
        let filter = Filter { channel: Some("ivr"), ..all };
        assert!(expect(&store, &made, filter, |row| row.channel == "ivr").await > 3);
        let filter = Filter { opened_from: Some(1003), opened_before: Some(1010), ..all };
        assert!(expect(&store, &made, filter, |row| (1003..1010).contains(&row.opened_at)).await > 3);
        let filter = Filter { channel: Some("web"), opened_from: Some(1003), opened_before: Some(1010), ..all };
        let holds = |row: &Made| row.channel == "web" && (1003..1010).contains(&row.opened_at);
        assert!(expect(&store, &made, filter, holds).await > 3);
        let filter = Filter {
            owner: Some("closed"), open: Some(false), channel: Some("web"), address: Some(address),
            opened_from: Some(1000), opened_before: Some(1012), customer: None,
        };
        let holds = |row: &Made| {
            row.owner == "closed" && row.channel == "web" && row.address == address && row.opened_at < 1012
        };
        expect(&store, &made, filter, holds).await;
        // A page that goes on from before the time that is asked for begins there.
        let filter = Filter { opened_before: Some(1005), ..all };
        let page = store.conversations(APP, &filter, Some((1009, "c99")), 1).await.unwrap();
        assert_eq!(page[0].opened_at, 1004);

        let row = &store.conversations(APP, &all, None, 1).await.unwrap()[0];
        let first = &made[0];
        assert_eq!((&row.id, &row.customer, &row.address), (&first.id, &first.customer, &first.address));
        assert_eq!((row.owner.as_str(), row.channel.as_str()), (first.owner, first.channel));
        assert_eq!((row.opened_at, row.closed_at, row.head), (first.opened_at, first.closed_at, 1));
        assert_eq!(row.doc, r#"{"v":1}"#);
        assert!(row.wake_at.is_some());
        assert!(!format!("{row:?}").contains("address"));
        store.close().await;
    }

    live_conversations_come_and_go(bed) {
        let store = bed.open().await;
        for name in ["a", "b", "c"] {
            opened(&store, APP, name).await;
            let mut unit = line(APP, name, 1, name);
            unit.state.as_mut().unwrap().owner = "agent";
            store.commit(unit).await.unwrap();
        }
        opened(&store, APP, "d").await;
        let ids = async |after: Option<(i64, &str)>, limit: i64| -> Vec<String> {
            store.live(APP, after, limit).await.unwrap().into_iter().map(|row| row.id).collect()
        };
        assert_eq!(ids(None, 9).await, ["c", "b", "a"]);
        assert_eq!(ids(None, 2).await, ["c", "b"]);
        assert_eq!(ids(Some((1, "b")), 2).await, ["a"]);
        let mut unit = line(APP, "b", 2, "back");
        unit.state.as_mut().unwrap().owner = "bot";
        store.commit(unit).await.unwrap();
        assert_eq!(ids(None, 9).await, ["c", "a"]);
        assert!(store.live("st-b", None, 9).await.unwrap().is_empty());
        store.close().await;
    }

    agents_are_engaged_until_done(bed) {
        let store = bed.open().await;
        let bot = interline_store::ParticipantRow { role: "bot".into(), ..participant(2) };
        let elsewhere = interline_store::ParticipantRow { integration: "other".into(), ..participant(3) };
        for name in ["b", "a", "c"] {
            opened(&store, APP, name).await;
            let participants = vec![participant(1), bot.clone(), elsewhere.clone(), participant(4)];
            store.commit(Unit { participants, ..unit(APP, name) }).await.unwrap();
        }
        opened(&store, "st-b", "a").await;
        let over = interline_store::ParticipantRow { done: true, ..participant(1) };
        store.commit(Unit { participants: vec![over], ..unit(APP, "b") }).await.unwrap();
        let at = |conversation: &str, no: i64| (conversation.to_owned(), no);
        let desk = vec![at("a", 1), at("a", 4), at("b", 4), at("c", 1), at("c", 4)];
        assert_eq!(store.engaged(APP, "desk", 9).await.unwrap(), desk);
        assert_eq!(store.engaged(APP, "desk", 2).await.unwrap(), desk[..2]);
        assert_eq!(store.engaged(APP, "other", 9).await.unwrap(), [at("a", 3), at("b", 3), at("c", 3)]);
        assert_eq!(store.engaged_count(APP, "desk").await.unwrap(), 5);
        assert_eq!(store.engaged_count(APP, "other").await.unwrap(), 3);
        assert_eq!(store.engaged_count(APP, "none").await.unwrap(), 0);
        assert_eq!(store.engaged_count("st-b", "desk").await.unwrap(), 1);
        store.close().await;
    }

    the_longest_failing_comes_first(bed) {
        let store = bed.open().await;
        for (name, rows) in [
            ("a", vec![failing(1, 50, false), failing(2, 40, false)]),
            ("b", vec![failing(1, 40, false), failing(2, 10, true), failing(3, 40, false)]),
            ("c", vec![participant(1)]),
        ] {
            opened(&store, APP, name).await;
            store.commit(Unit { participants: rows, ..unit(APP, name) }).await.unwrap();
        }
        let expected = [(40, "a", 2), (40, "b", 1), (40, "b", 3), (50, "a", 1)];
        for limit in [1, 3, 9] {
            let mut seen = Vec::new();
            let mut after: Option<(i64, String, i64)> = None;
            loop {
                let place = after.as_ref().map(|(since, name, no)| (*since, name.as_str(), *no));
                let page = store.failing(APP, place, limit).await.unwrap();
                let Some(last) = page.last() else { break };
                after = Some((last.row.failing_since.unwrap(), last.conversation.clone(), last.row.no));
                seen.extend(page);
            }
            let places: Vec<_> =
                seen.iter().map(|row| (row.row.failing_since.unwrap(), row.conversation.as_str(), row.row.no)).collect();
            assert_eq!(places, expected);
            // The session stays shut.
            let whole = interline_store::ParticipantRow { session: None, ..failing(2, 40, false) };
            assert_eq!(seen[0].row, whole);
        }
        assert!(store.failing("st-b", None, 9).await.unwrap().is_empty());
        // It recovers.
        store.commit(Unit { participants: vec![participant(1)], ..unit(APP, "b") }).await.unwrap();
        assert_eq!(store.failing(APP, None, 9).await.unwrap().len(), 3);
        store.close().await;
    }

    customers_are_found_by_channel_and_address(bed) {
        let store = bed.open().await;
        let mut made = Vec::new();
        for n in 0..12_i64 {
            let channel = if n % 3 == 0 { "ivr" } else { "web" };
            // The last two share the addresses of the first, on the other channel.
            let address = if n < 10 { format!("person {n}") } else { format!("person {}", n - 10) };
            let channel = if n == 10 { "web" } else if n == 11 { "ivr" } else { channel };
            let id = store.customer(APP, channel, &address, n, "{}").await.unwrap().id;
            made.push((id, channel, address, n));
        }
        store.customer("st-b", "web", "person 0", 1, "{}").await.unwrap();
        made.sort_by(|a, b| b.0.cmp(&a.0));
        for channel in [None, Some("web"), Some("ivr"), Some("none")] {
            for address in [None, Some("person 0"), Some("person 1"), Some("person 7"), Some("Person 7"), Some("person")] {
                let holds = |row: &&(String, &str, String, i64)| {
                    channel.is_none_or(|channel| row.1 == channel) && address.is_none_or(|address| row.2 == address)
                };
                let expected: Vec<_> = made.iter().filter(holds).cloned().collect();
                let (mut seen, mut after) = (Vec::new(), None);
                loop {
                    let page = store.customers(APP, channel, address, after.as_deref(), 5).await.unwrap();
                    let Some(last) = page.last() else { break };
                    after = Some(last.id.clone());
                    seen.extend(page);
                }
                let seen: Vec<_> = seen
                    .iter()
                    .map(|row| (row.id.clone(), row.channel.as_str(), row.address.clone(), row.created_at))
                    .collect();
                assert_eq!(seen, expected, "{channel:?} {address:?}");
            }
        }
        let first = &store.customers(APP, None, None, None, 1).await.unwrap()[0];
        assert!(first.address.starts_with("person") && !format!("{first:?}").contains("person"));
        store.close().await;
    }
}

/// PostgreSQL plans a lane's statements while the tables are empty, and keeps the plans. An index that begins with the app
/// and has a condition is then as good a guess as the key, and reads all of the app's conversations for each commit.
#[tokio::test(flavor = "multi_thread")]
async fn commits_find_rows_by_their_key_alone() {
    let Some(bed) = Bed::postgres("commits_find_rows_by_their_key_alone").await else { return };
    let store = bed.open().await;
    for n in 0..20 {
        opened(&store, APP, &format!("c{n}")).await;
    }
    for version in 1..40 {
        let mut unit = line(APP, "c0", version, &version.to_string());
        unit.participants = vec![participant(1)];
        assert_eq!(store.commit(unit).await.unwrap(), done(version + 1));
        store.mark(APP, "c0", 1, version, version).await.unwrap();
        store.load(APP, "c0").await.unwrap();
    }
    store.close().await;
    // A server process reports what it read when it ends.
    let mut raw = bed.raw().await;
    let others = "SELECT count(*) AS n FROM pg_stat_activity WHERE datname = current_database() \
                  AND backend_type = 'client backend' AND pid <> pg_backend_pid()";
    while raw.fetch_one(others).await.unwrap().get::<i64, _>("n") > 0 {
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    // But for the index that finds a customer's conversations: it cannot be partial, foreign keys read it.
    let rows = raw
        .fetch_all(
            "SELECT CAST(indexrelname AS TEXT) AS name, idx_tup_read AS n FROM pg_stat_user_indexes \
             WHERE relname IN ('conversation', 'participant') AND indexrelname NOT LIKE '%_pkey' \
             AND indexrelname <> 'conversation_by_customer' ORDER BY indexrelname",
        )
        .await
        .unwrap();
    assert!(rows.len() >= 8);
    for row in rows {
        assert_eq!(row.get::<i64, _>("n"), 0, "{}", row.get::<String, _>("name"));
    }
    bed.remove().await;
}
