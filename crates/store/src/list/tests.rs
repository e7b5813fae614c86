//! Which index serves a list, and that nothing is sorted or walked through. SQLite's plan can be read in a test, because
//! it does not depend on the rows there are.
#![allow(clippy::unwrap_used)]

use sqlx::{AnyConnection, Connection as _};

use super::*;
use crate::db::{self, Dialect};

/// An SQLite file with the schema in it, gone at the end.
struct Bed(std::path::PathBuf);

impl Bed {
    async fn connect(name: &str) -> (Self, AnyConnection) {
        let directory = std::env::temp_dir().join(format!("interline_{name}_{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite://{}", directory.join("store.db").display());
        crate::schema::migrate(&url).await.unwrap();
        let options = db::options(&url, Dialect::Sqlite).unwrap();
        (Self(directory), AnyConnection::connect_with(&options).await.unwrap())
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn plan(connection: &mut AnyConnection, sql: &str, values: AnyArguments) -> Vec<String> {
    let sql = AssertSqlSafe(format!("EXPLAIN QUERY PLAN {sql}"));
    let rows = sqlx::query_with(sql, values).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get("detail").unwrap()).collect()
}

const CONVERSATION: &str = "SEARCH c USING INDEX ";
const CUSTOMER: &str = "SEARCH k USING INDEX sqlite_autoindex_customer_1 (app=? AND id=?)";

#[tokio::test]
async fn each_list_of_conversations_is_read_from_an_index() {
    let (_bed, mut connection) = Bed::connect("plans_of_conversations").await;
    let all = Filter::default();
    let filters = [
        (all, "conversation_by_opened (app=?"),
        (Filter { open: Some(true), ..all }, "conversation_by_opened (app=?"),
        (Filter { open: Some(false), ..all }, "conversation_by_opened (app=?"),
        (Filter { owner: Some("bot"), ..all }, "conversation_by_opened (app=?"),
        (Filter { owner: Some("closed"), ..all }, "conversation_by_opened (app=?"),
        (Filter { owner: Some("agent"), ..all }, "conversation_live (app=?"),
        (Filter { owner: Some("agent"), open: Some(true), ..all }, "conversation_live (app=?"),
        (Filter { channel: Some("web"), ..all }, "conversation_by_channel (app=? AND channel=?"),
        (
            Filter { channel: Some("web"), open: Some(true), ..all },
            "conversation_by_channel (app=? AND channel=?",
        ),
    ];
    for (filter, index) in filters {
        for (opened_from, opened_before) in
            [(None, None), (Some(5), None), (None, Some(9)), (Some(5), Some(9))]
        {
            for after in [None, Some((7, "c"))] {
                let filter = Filter { opened_from, opened_before, ..filter };
                let (sql, values) = conversations("a", &filter, after, 50).finish().unwrap();
                let found = plan(&mut connection, &sql, values).await;
                assert!(
                    found[0].starts_with(&format!("{CONVERSATION}{index}")),
                    "{filter:?} {after:?}: {found:?}"
                );
                assert_eq!(found[1..], [CUSTOMER], "{filter:?} {after:?}");
                // The page before and the times are a place in the index, not a condition on each row.
                let ranged = opened_from.is_some() || opened_before.is_some() || after.is_some();
                assert_eq!(ranged, found[0].contains("opened_at"), "{filter:?} {after:?}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_customer_or_address_picks_its_few_conversations() {
    let (_bed, mut connection) = Bed::connect("plans_of_customers").await;
    let all = Filter::default();
    for open in [None, Some(true), Some(false)] {
        for channel in [None, Some("web")] {
            let (customer, address) =
                (Filter { customer: Some("k"), ..all }, Filter { address: Some("x"), ..all });
            for filter in [customer, address] {
                let filter = Filter { open, channel, ..filter };
                let (sql, values) = conversations("a", &filter, Some((7, "c")), 50).finish().unwrap();
                let found = plan(&mut connection, &sql, values).await;
                let by_address =
                    "SEARCH k USING COVERING INDEX customer_by_bare_address (app=? AND address=?)";
                assert_eq!(
                    filter.address.is_some(),
                    found.iter().any(|line| line == by_address),
                    "{found:?}"
                );
                let of_one = [
                    "conversation_by_customer (app=? AND customer=?",
                    "conversation_open (app=? AND customer=?",
                ];
                let of_one = |line: &String| {
                    of_one.iter().any(|index| line.starts_with(&format!("{CONVERSATION}{index}")))
                };
                assert!(found.iter().any(of_one), "{filter:?}: {found:?}");
                assert!(!found.iter().any(|line| line.starts_with("SCAN")), "{filter:?}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn the_other_lists_are_read_from_indexes_too() {
    let (_bed, mut connection) = Bed::connect("plans_of_others").await;
    let mut bind = Values::default();
    bind.text("a").text("desk").number(9);
    assert_eq!(
        plan(&mut connection, ENGAGED, bind.finish().unwrap()).await,
        ["SEARCH participant USING COVERING INDEX participant_engaged (app=? AND integration=?)"]
    );
    let mut bind = Values::default();
    bind.text("a").text("desk");
    assert_eq!(
        plan(&mut connection, ENGAGED_COUNT, bind.finish().unwrap()).await,
        ["SEARCH participant USING COVERING INDEX participant_engaged (app=? AND integration=?)"]
    );
    let mut bind = Values::default();
    bind.text("a").number(1).text("c").number(1).number(9);
    assert_eq!(
        plan(&mut connection, FAILING, bind.finish().unwrap()).await,
        ["SEARCH participant USING INDEX participant_failing \
          (app=? AND (failing_since,conversation,no)>(?,?,?))"]
    );
    for (channel, address, after, expected) in [
        (None, None, None, "sqlite_autoindex_customer_1 (app=?)"),
        (None, None, Some("x"), "sqlite_autoindex_customer_1 (app=? AND id<?)"),
        (Some("web"), None, None, "customer_by_channel (app=? AND channel=?)"),
        (Some("web"), None, Some("x"), "customer_by_channel (app=? AND channel=? AND id<?)"),
        (Some("web"), Some("y"), Some("x"), "customer_by_address (app=? AND channel=? AND address=?)"),
    ] {
        let (sql, values) = customers("a", channel, address, after, 9).finish().unwrap();
        let found = plan(&mut connection, &sql, values).await;
        assert_eq!(found[0], format!("SEARCH customer USING INDEX {expected}"));
    }
    let (sql, values) = customers("a", None, Some("y"), Some("x"), 9).finish().unwrap();
    let found = plan(&mut connection, &sql, values).await;
    assert_eq!(
        found[0],
        "SEARCH customer USING INDEX customer_by_bare_address (app=? AND address=? AND id<?)"
    );
}
