//! Statements over many rows.
//!
//! A group of up to 64 units costs five statements, not five times 64. Their texts depend on the number of rows, and each
//! text is prepared once for each connection. So that there are few of them, rows are written in chunks whose sizes are
//! powers of two: 64 is one statement, 37 is 32 + 4 + 1, and each statement has at most seven texts.
//!
//! SQLite gets at most 16 rows at a time: for every parameter the driver asks SQLite for its name, which SQLite answers by
//! walking a list, so the time grows with the square of the number of parameters. With 64 rows that was a third of all
//! time spent. There is no round trip to save in a process anyway.

use std::sync::{Arc, OnceLock};

use sqlx::any::{AnyArguments, AnyRow};
use sqlx::{AnyConnection, Arguments as _, AssertSqlSafe};

/// The most rows in one statement.
const LARGEST: usize = 64;
/// The same on SQLite.
const LARGEST_SQLITE: usize = 8;
const SIZES: usize = LARGEST.trailing_zeros() as usize + 1;

/// The type of a value, where PostgreSQL must be told.
#[derive(Clone, Copy)]
pub(crate) enum Type {
    Text,
    Number,
}

/// A statement with a list of rows in the middle.
pub(crate) struct Statement {
    before: &'static str,
    columns: &'static [Type],
    after: &'static str,
    /// Whether the first row says its types: needed where the rows are not the direct source of an INSERT.
    typed: bool,
    texts: [OnceLock<Arc<str>>; SIZES],
}

impl Statement {
    /// `INSERT … VALUES` rows `after`.
    pub(crate) const fn insert(before: &'static str, columns: &'static [Type], after: &'static str) -> Self {
        Self { before, columns, after, typed: false, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// `WITH v (…) AS (VALUES` rows `) UPDATE … FROM v …`.
    pub(crate) const fn update(before: &'static str, columns: &'static [Type], after: &'static str) -> Self {
        Self { before, columns, after, typed: true, texts: [const { OnceLock::new() }; SIZES] }
    }

    /// The text for 2^`power` rows.
    fn text(&self, power: usize) -> Arc<str> {
        self.texts[power].get_or_init(|| self.write(1 << power).into()).clone()
    }

    fn write(&self, rows: usize) -> String {
        let width = self.columns.len();
        let mut text = String::with_capacity(rows * width * 6 + 512);
        text.push_str(self.before);
        for row in 0..rows {
            text.push_str(if row == 0 { "(" } else { ",(" });
            for (column, kind) in self.columns.iter().enumerate() {
                let comma = if column == 0 { "" } else { "," };
                let number = row * width + column + 1;
                text.push_str(&match kind {
                    Type::Text if self.typed && row == 0 => format!("{comma}CAST(${number} AS TEXT)"),
                    Type::Number if self.typed && row == 0 => format!("{comma}CAST(${number} AS BIGINT)"),
                    Type::Text | Type::Number => format!("{comma}${number}"),
                });
            }
            text.push(')');
        }
        text.push_str(self.after);
        text
    }

    /// Runs it over all rows and gives the number of rows it changed.
    pub(crate) async fn run<R>(
        &self,
        connection: &mut AnyConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sqlx::Error> {
        let mut changed = 0;
        for (chunk, power) in chunks(rows, largest(connection)) {
            let values = self.values(chunk, &bind)?;
            let query = sqlx::query_with(AssertSqlSafe(self.text(power)), values);
            changed += query.execute(&mut *connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs it over all rows and gives what it returns.
    pub(crate) async fn fetch<R>(
        &self,
        connection: &mut AnyConnection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<Vec<AnyRow>, sqlx::Error> {
        let mut found = Vec::with_capacity(rows.len());
        for (chunk, power) in chunks(rows, largest(connection)) {
            let values = self.values(chunk, &bind)?;
            let query = sqlx::query_with(AssertSqlSafe(self.text(power)), values);
            found.extend(query.fetch_all(&mut *connection).await?);
        }
        Ok(found)
    }

    fn values<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values)) -> Result<AnyArguments, sqlx::Error> {
        let mut values = Values::default();
        values.arguments.reserve(rows.len() * self.columns.len(), 0);
        for row in rows {
            bind(row, &mut values);
        }
        values.finish()
    }
}

fn largest(connection: &AnyConnection) -> usize {
    if connection.backend_name() == "SQLite" { LARGEST_SQLITE } else { LARGEST }
}

/// Splits rows into chunks of 2^n, largest first, and says n.
fn chunks<R>(mut rows: &[R], largest: usize) -> impl Iterator<Item = (&[R], usize)> {
    std::iter::from_fn(move || {
        let power = rows.len().min(largest).checked_ilog2()?;
        let (chunk, rest) = rows.split_at(1 << power);
        rows = rest;
        Some((chunk, power as usize))
    })
}

/// Takes the values of rows, in the order of the columns.
///
/// Text is always handed over as `String`: the SQLite side of the `Any` driver panics on an `Arc<str>` (sqlx 0.9.0).
#[derive(Default)]
pub(crate) struct Values {
    arguments: AnyArguments,
    failed: Option<sqlx::error::BoxDynError>,
}

impl Values {
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        let added = self.arguments.add(value);
        self.note(added)
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) -> &mut Self {
        let added = self.arguments.add(value);
        self.note(added)
    }

    pub(crate) fn number(&mut self, value: i64) -> &mut Self {
        let added = self.arguments.add(value);
        self.note(added)
    }

    pub(crate) fn number_or_null(&mut self, value: Option<i64>) -> &mut Self {
        let added = self.arguments.add(value);
        self.note(added)
    }

    /// What the statement takes.
    pub(crate) fn finish(self) -> Result<AnyArguments, sqlx::Error> {
        match self.failed {
            Some(error) => Err(sqlx::Error::Encode(error)),
            None => Ok(self.arguments),
        }
    }

    fn note(&mut self, added: Result<(), sqlx::error::BoxDynError>) -> &mut Self {
        if let Err(error) = added {
            self.failed = Some(error);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chunks_are_powers_of_two_and_lose_nothing() {
        for count in 0..200 {
            let rows: Vec<usize> = (0..count).collect();
            let mut seen = Vec::new();
            for (chunk, power) in chunks(&rows, LARGEST) {
                assert_eq!(chunk.len(), 1 << power);
                assert!(chunk.len() <= LARGEST);
                seen.extend_from_slice(chunk);
            }
            assert_eq!(seen, rows);
        }
    }

    #[test]
    fn the_first_row_of_an_update_says_its_types() {
        let statement = Statement::update("WITH v (a, b) AS (VALUES ", &[Type::Text, Type::Number], ") X");
        let expected = "WITH v (a, b) AS (VALUES (CAST($1 AS TEXT),CAST($2 AS BIGINT)),($3,$4)) X";
        assert_eq!(&*statement.text(1), expected);
    }
}
