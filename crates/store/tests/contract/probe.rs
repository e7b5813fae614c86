//! What the store relies on in the `Any` driver (docs/decisions/0003). An upgrade of sqlx must keep this green.

use sqlx::{Connection as _, Executor as _, Row as _};

use crate::bed::Bed;
use crate::contract;

async fn prepare(bed: &Bed) -> sqlx::AnyConnection {
    let mut raw = bed.raw().await;
    raw.execute("CREATE TABLE t (k TEXT NOT NULL PRIMARY KEY, n BIGINT, s TEXT, c BIGINT)").await.unwrap();
    raw.execute("CREATE UNIQUE INDEX t_open ON t (s) WHERE c IS NULL").await.unwrap();
    raw
}

contract! {
    values_and_nulls(bed) {
        let mut raw = prepare(bed).await;
        sqlx::query("INSERT INTO t (k, n, s, c) VALUES ($1, $2, $3, $2)")
            .bind("a").bind(i64::MAX).bind(None::<String>).execute(&mut raw).await.unwrap();
        sqlx::query("INSERT INTO t (k, n, s, c) VALUES ($1, $2, $3, $2)")
            .bind("b").bind(None::<i64>).bind("é\u{1F600}\"\\").execute(&mut raw).await.unwrap();
        let rows = sqlx::query("SELECT k, n, s FROM t ORDER BY k").fetch_all(&mut raw).await.unwrap();
        assert_eq!(rows[0].try_get::<Option<i64>, _>("n").unwrap(), Some(i64::MAX));
        assert_eq!(rows[0].try_get::<Option<String>, _>("s").unwrap(), None);
        assert_eq!(rows[1].try_get::<Option<i64>, _>("n").unwrap(), None);
        assert_eq!(rows[1].try_get::<String, _>("s").unwrap(), "é\u{1F600}\"\\");
        let sum = sqlx::query("SELECT CAST(sum(n) AS BIGINT) AS n, count(*) AS c FROM t WHERE n = $1 OR k = $2")
            .bind(1_i64).bind("none").fetch_one(&mut raw).await.unwrap();
        assert_eq!(sum.try_get::<Option<i64>, _>("n").unwrap(), None);
        assert_eq!(sum.try_get::<i64, _>("c").unwrap(), 0);
    }

    conflicts_and_counts(bed) {
        let mut raw = prepare(bed).await;
        let skip = "INSERT INTO t (k, n, s) VALUES ($1, $2, $3), ($4, $5, $6) ON CONFLICT DO NOTHING RETURNING k";
        let insert = |a: &'static str, b: &'static str| {
            sqlx::query(skip).bind(a).bind(1_i64).bind(a).bind(b).bind(1_i64).bind(b)
        };
        assert_eq!(insert("a", "b").fetch_all(&mut raw).await.unwrap().len(), 2);
        let new = insert("b", "c").fetch_all(&mut raw).await.unwrap();
        assert_eq!(new.len(), 1);
        assert_eq!(new[0].try_get::<String, _>("k").unwrap(), "c");
        // The same key twice in one statement; and the partial index counts as well.
        assert_eq!(insert("d", "d").fetch_all(&mut raw).await.unwrap().len(), 1);
        let partial = sqlx::query("INSERT INTO t (k, s) VALUES ('e', 'a') ON CONFLICT DO NOTHING");
        assert_eq!(partial.execute(&mut raw).await.unwrap().rows_affected(), 0);
        let upsert = "INSERT INTO t (k, n) VALUES ($1, $2) ON CONFLICT (k) DO UPDATE SET \
                      n = CASE WHEN excluded.n > t.n THEN excluded.n ELSE t.n END RETURNING n";
        for (n, expected) in [(9_i64, 9_i64), (4, 9)] {
            let row = sqlx::query(upsert).bind("a").bind(n).fetch_one(&mut raw).await.unwrap();
            assert_eq!(row.try_get::<i64, _>("n").unwrap(), expected);
        }
        let error = sqlx::query("INSERT INTO t (k) VALUES ('a')").execute(&mut raw).await.unwrap_err();
        assert!(error.as_database_error().unwrap().is_unique_violation());
    }

    update_from_values(bed) {
        let mut raw = prepare(bed).await;
        raw.execute("INSERT INTO t (k, n, c) VALUES ('a', 1, 1), ('b', 2, 1), ('c', 3, 1)").await.unwrap();
        let changed = sqlx::query(
            "WITH v (k, expected, s, c) AS (VALUES (CAST($1 AS TEXT), CAST($2 AS BIGINT), CAST($3 AS TEXT), \
             CAST($4 AS BIGINT)), ($5, $6, $7, $8)) \
             UPDATE t SET n = v.expected + 1, s = v.s, c = v.c FROM v WHERE t.k = v.k AND t.n = v.expected",
        )
        .bind("a").bind(1_i64).bind(None::<String>).bind(None::<i64>)
        .bind("b").bind(7_i64).bind("x").bind(5_i64)
        .execute(&mut raw).await.unwrap();
        assert_eq!(changed.rows_affected(), 1);
        let row = raw.fetch_one("SELECT n, c FROM t WHERE k = 'a'").await.unwrap();
        assert_eq!(row.try_get::<i64, _>("n").unwrap(), 2);
        assert_eq!(row.try_get::<Option<i64>, _>("c").unwrap(), None);
    }

    a_transaction_rolls_back(bed) {
        let mut raw = prepare(bed).await;
        let begin = if bed.file().is_some() { "BEGIN IMMEDIATE" } else { "BEGIN" };
        let mut transaction = raw.begin_with(begin).await.unwrap();
        transaction.execute("INSERT INTO t (k) VALUES ('a')").await.unwrap();
        assert!(transaction.execute("INSERT INTO t (k) VALUES ('a')").await.is_err());
        transaction.rollback().await.unwrap();
        let mut transaction = raw.begin_with(begin).await.unwrap();
        transaction.execute("INSERT INTO t (k) VALUES ('b')").await.unwrap();
        transaction.commit().await.unwrap();
        let rows = raw.fetch_all("SELECT k FROM t").await.unwrap();
        assert_eq!(rows.len(), 1);
    }
}
