//! Which index serves a list, and that nothing is sorted or walked through. SQLite's plan can be read in a test, because
//! it does not depend on the rows there are.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::rows::Values;
use crate::sql::Connection;

/// An SQLite file with the schema in it, gone at the end.
struct Bed(std::path::PathBuf);

impl Bed {
    async fn connect(name: &str) -> (Self, Connection) {
        let directory = std::env::temp_dir().join(format!("interline_{name}_{}", std::process::id()));
        std::fs::create_dir_all(&directory).unwrap();
        let url = format!("sqlite://{}", directory.join("store.db").display());
        crate::schema::migrate(&url).await.unwrap();
        let connection = crate::db::Db::open(&url).await.unwrap().writer().await.unwrap();
        (Self(directory), connection)
    }
}

impl Drop for Bed {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

async fn plan(connection: &mut Connection, sql: &str, values: Vec<Value>) -> Vec<String> {
    let sql = format!("EXPLAIN QUERY PLAN {sql}");
    let rows = Query::with(sql, values).fetch_all(connection).await.unwrap();
    rows.iter().map(|row| row.try_get("detail").unwrap()).collect()
}

const CONVERSATION: &str = "SEARCH c USING INDEX ";
/// The address of each row that is listed.
const ADDRESS: [&str; 2] =
    ["CORRELATED SCALAR SUBQUERY 1", "SEARCH k USING INDEX sqlite_autoindex_customer_1 (app=? AND id=?)"];

#[tokio::test]
async fn each_list_of_conversations_is_read_from_an_index() {
    let (_bed, mut connection) = Bed::connect("plans_of_conversations").await;
    let all = Filter::default();
    let filters = [
        (all, "conversation_by_opened (app=?"),
        (Filter { open: Some(false), ..all }, "conversation_by_opened (app=?"),
        (Filter { owner: Some("closed"), ..all }, "conversation_by_opened (app=?"),
        (Filter { open: Some(true), ..all }, "conversation_unclosed (app=?"),
        (Filter { owner: Some("bot"), ..all }, "conversation_unclosed (app=?"),
        (Filter { owner: Some("bot"), channel: Some("web"), ..all }, "conversation_unclosed (app=?"),
        (Filter { channel: Some("web"), open: Some(true), ..all }, "conversation_unclosed (app=?"),
        (Filter { owner: Some("agent"), ..all }, "conversation_live (app=?"),
        (Filter { owner: Some("agent"), open: Some(true), ..all }, "conversation_live (app=?"),
        (Filter { owner: Some("agent"), channel: Some("web"), ..all }, "conversation_live (app=?"),
        (Filter { channel: Some("web"), ..all }, "conversation_by_channel (app=? AND channel=?"),
        (
            Filter { channel: Some("web"), open: Some(false), ..all },
            "conversation_by_channel (app=? AND channel=?",
        ),
        (
            Filter { channel: Some("web"), owner: Some("closed"), ..all },
            "conversation_by_channel (app=? AND channel=?",
        ),
        (Filter { customer: Some("k"), ..all }, "conversation_by_customer (app=? AND customer=?"),
        (
            Filter { customer: Some("k"), channel: Some("web"), ..all },
            "conversation_by_customer (app=? AND customer=?",
        ),
        (
            Filter { customer: Some("k"), open: Some(false), ..all },
            "conversation_by_customer (app=? AND customer=?",
        ),
    ];
    for (filter, index) in filters {
        for (opened_from, opened_before) in
            [(None, None), (Some(5), None), (None, Some(9)), (Some(5), Some(9))]
        {
            for after in [None, Some((7, "c"))] {
                let filter = Filter { opened_from, opened_before, ..filter };
                let (sql, values) = conversations("a", &filter, after, 50).finish();
                let found = plan(&mut connection, &sql, values).await;
                assert!(
                    found[0].starts_with(&format!("{CONVERSATION}{index}")),
                    "{filter:?} {after:?}: {found:?}"
                );
                assert_eq!(found[1..3], ADDRESS, "{filter:?} {after:?}");
                // The index of a customer does not hold the id: what opened in the same millisecond is sorted.
                let ties: &[&str] = if filter.customer.is_some() {
                    &["USE TEMP B-TREE FOR LAST TERM OF ORDER BY"]
                } else {
                    &[]
                };
                assert_eq!(&found[3..], ties, "{filter:?} {after:?}");
                // The page before and the times are a place in the index, not a condition on each row.
                let ranged = opened_from.is_some() || opened_before.is_some() || after.is_some();
                assert_eq!(ranged, found[0].contains("opened_at"), "{filter:?} {after:?}: {found:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_address_picks_its_few_conversations() {
    let (_bed, mut connection) = Bed::connect("plans_of_addresses").await;
    for (open, channel) in [(None, None), (Some(true), Some("web")), (Some(false), None), (None, Some("web"))]
    {
        let filter = Filter { address: Some("x"), open, channel, ..Filter::default() };
        let (sql, values) = conversations("a", &filter, Some((7, "c")), 50).finish();
        let found = plan(&mut connection, &sql, values).await;
        let of_one =
            ["conversation_by_customer (app=? AND customer=?", "conversation_open (app=? AND customer=?"];
        let of_one = of_one.map(|index| format!("{CONVERSATION}{index}"));
        assert!(of_one.iter().any(|index| found[0].starts_with(index)), "{filter:?}: {found:?}");
        let by_address = "SEARCH k USING COVERING INDEX customer_by_bare_address (app=? AND address=?)";
        assert!(found.iter().any(|line| line == by_address), "{filter:?}: {found:?}");
        assert!(!found.iter().any(|line| line.starts_with("SCAN")), "{filter:?}: {found:?}");
    }
}

#[tokio::test]
async fn the_other_lists_are_read_from_indexes_too() {
    let (_bed, mut connection) = Bed::connect("plans_of_others").await;
    let mut bind = Values::default();
    bind.text("a").text("desk").number(9);
    assert_eq!(
        plan(&mut connection, ENGAGED, bind.0).await,
        ["SEARCH participant USING COVERING INDEX participant_engaged (app=? AND integration=?)"]
    );
    let mut bind = Values::default();
    bind.text("a").text("desk");
    assert_eq!(
        plan(&mut connection, ENGAGED_COUNT, bind.0).await,
        ["SEARCH participant USING COVERING INDEX participant_engaged (app=? AND integration=?)"]
    );
    let mut bind = Values::default();
    bind.text("a").number(1).text("c").number(1).number(9);
    assert_eq!(
        plan(&mut connection, FAILING, bind.0).await,
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
        let (sql, values) = customers("a", channel, address, after, 9).finish();
        let found = plan(&mut connection, &sql, values).await;
        assert_eq!(found[0], format!("SEARCH customer USING INDEX {expected}"));
    }
    let (sql, values) = customers("a", None, Some("y"), Some("x"), 9).finish();
    let found = plan(&mut connection, &sql, values).await;
    assert_eq!(
        found[0],
        "SEARCH customer USING INDEX customer_by_bare_address (app=? AND address=? AND id<?)"
    );
}
