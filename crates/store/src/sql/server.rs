//! PostgreSQL, through sqlx. Its `Any` driver knows texts and numbers, which is all that we have.

use std::sync::Arc;

use sqlx::any::{AnyArguments, AnyRow, AnyTypeInfoKind};
use sqlx::{
    Any, AnyConnection, Arguments as _, AssertSqlSafe, Column as _, Connection as _, Executor, Row as _,
    ValueRef as _,
};

use super::{Answer, Error, Query, Row, Value, Wants};

/// A connection to a server.
pub(crate) struct Server(AnyConnection);

impl Server {
    pub(crate) fn new(connection: AnyConnection) -> Self {
        Self(connection)
    }

    pub(super) async fn all(&mut self, statements: &'static str) -> Result<(), Error> {
        sqlx::raw_sql(statements).execute(&mut self.0).await?;
        Ok(())
    }

    pub(super) async fn run(&mut self, query: Query) -> Result<Answer, Error> {
        run(&mut self.0, query).await
    }

    pub(super) async fn close(self) {
        let _ = self.0.close().await;
    }
}

/// Runs it on a connection, or on one of a pool.
pub(super) async fn run<'c>(
    place: impl Executor<'c, Database = Any>,
    Query { text, values, wants }: Query,
) -> Result<Answer, Error> {
    let mut arguments = AnyArguments::default();
    arguments.reserve(values.len(), 0);
    for value in values {
        match value {
            Value::Text(text) => arguments.add(text),
            Value::Number(number) => arguments.add(number),
        }
        .map_err(sqlx::Error::Encode)?;
    }
    let query = sqlx::query_with(AssertSqlSafe(text.into_owned()), arguments);
    if wants == Wants::Changes {
        return Ok(Answer { changed: query.execute(place).await?.rows_affected(), rows: Vec::new() });
    }
    let found = query.fetch_all(place).await?;
    let Some(columns) = found.first().map(names) else { return Ok(Answer::default()) };
    let row = |row| Ok(Row::new(columns.clone(), values_of(row)?));
    Ok(Answer { changed: 0, rows: found.iter().map(row).collect::<Result<_, sqlx::Error>>()? })
}

fn names(row: &AnyRow) -> Arc<[String]> {
    row.columns().iter().map(|column| column.name().to_owned()).collect()
}

fn values_of(row: &AnyRow) -> Result<Vec<Value>, sqlx::Error> {
    let value = |place| {
        let raw = row.try_get_raw(place)?;
        Ok(match (raw.is_null(), raw.type_info().kind()) {
            (true, AnyTypeInfoKind::Text) => Value::Text(None),
            (true, _) => Value::Number(None),
            (false, AnyTypeInfoKind::Text) => Value::Text(Some(row.try_get(place)?)),
            (false, _) => Value::Number(Some(row.try_get(place)?)),
        })
    };
    (0..row.len()).map(value).collect()
}
