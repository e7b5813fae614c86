//! Statements over many rows.
//!
//! A group of up to 64 units costs five statements, not five times 64. Their texts depend on the number of rows, and each
//! text is prepared once for each connection. So that there are few of them, rows are written in chunks whose sizes are
//! powers of two: 64 is one statement, 37 is 32 + 4 + 1, and each statement has at most seven texts.
//!
//! SQLite gets one row at a time: there is no way to go in a process, and its planner is quickest with the shortest text.

use std::sync::OnceLock;

use crate::sql::{self, Connection, Query, Readers, Row, Value};

/// The most rows in one statement.
const LARGEST: usize = 64;
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
    texts: [OnceLock<String>; SIZES],
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
    fn text(&'static self, power: usize) -> &'static str {
        let one = || self.one().filter(|_| power == 0);
        self.texts[power].get_or_init(|| one().unwrap_or_else(|| self.write(1 << power)))
    }

    /// An update of one row, its values in the places of `v`'s columns: SQLite makes a table of its own for a `v`.
    fn one(&self) -> Option<String> {
        let (names, _) = self.before.strip_prefix("WITH v (")?.split_once(')')?;
        let update = self.after.strip_prefix(") ").filter(|text| text.starts_with("UPDATE "))?;
        let mut text = update.replacen(" FROM v ", " ", 1);
        // The longest first: a name may begin with another.
        let mut columns: Vec<(usize, &str)> = names.split(", ").enumerate().collect();
        columns.sort_by_key(|(_, name)| std::cmp::Reverse(name.len()));
        for (place, name) in columns {
            text = text.replace(&format!("v.{name}"), &format!("${}", place + 1));
        }
        Some(text)
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
        &'static self,
        connection: &mut Connection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<u64, sql::Error> {
        let mut changed = 0;
        for query in self.queries(rows, largest(connection), bind) {
            changed += query.execute(&mut *connection).await?.rows_affected();
        }
        Ok(changed)
    }

    /// Runs it over all rows and gives what it returns.
    pub(crate) async fn fetch<R>(
        &'static self,
        connection: &mut Connection,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<Vec<Row>, sql::Error> {
        let mut found = Vec::with_capacity(rows.len());
        for query in self.queries(rows, largest(connection), bind) {
            found.extend(query.fetch_all(&mut *connection).await?);
        }
        Ok(found)
    }

    /// The same on any reader.
    pub(crate) async fn read<R>(
        &'static self,
        readers: &Readers,
        rows: &[R],
        bind: impl Fn(&R, &mut Values),
    ) -> Result<Vec<Row>, sql::Error> {
        let mut found = Vec::with_capacity(rows.len());
        for query in self.queries(rows, LARGEST, bind) {
            found.extend(query.fetch_all(readers).await?);
        }
        Ok(found)
    }

    fn queries<R>(
        &'static self,
        rows: &[R],
        largest: usize,
        bind: impl Fn(&R, &mut Values),
    ) -> impl Iterator<Item = Query> {
        chunks(rows, largest)
            .map(move |(chunk, power)| Query::with(self.text(power), self.values(chunk, &bind)))
    }

    fn values<R>(&self, rows: &[R], bind: impl Fn(&R, &mut Values)) -> Vec<Value> {
        let mut values = Values(Vec::with_capacity(rows.len() * self.columns.len()));
        for row in rows {
            bind(row, &mut values);
        }
        values.0
    }
}

fn largest(connection: &Connection) -> usize {
    match connection {
        Connection::Sqlite(_) => 1,
        Connection::Postgres(_) => LARGEST,
    }
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
#[derive(Default)]
pub(crate) struct Values(pub(crate) Vec<Value>);

impl Values {
    pub(crate) fn text(&mut self, value: &str) -> &mut Self {
        self.add(value)
    }

    pub(crate) fn text_or_null(&mut self, value: Option<&str>) -> &mut Self {
        self.add(value)
    }

    pub(crate) fn number(&mut self, value: i64) -> &mut Self {
        self.add(value)
    }

    pub(crate) fn number_or_null(&mut self, value: Option<i64>) -> &mut Self {
        self.add(value)
    }

    fn add(&mut self, value: impl Into<Value>) -> &mut Self {
        self.0.push(value.into());
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
        static STATEMENT: Statement =
            Statement::update("WITH v (a, b) AS (VALUES ", &[Type::Text, Type::Number], ") X");
        let expected = "WITH v (a, b) AS (VALUES (CAST($1 AS TEXT),CAST($2 AS BIGINT)),($3,$4)) X";
        assert_eq!(STATEMENT.text(1), expected);
    }

    #[test]
    fn an_update_of_one_row_needs_no_list() {
        static STATEMENT: Statement = Statement::update(
            "WITH v (a, at, b) AS (VALUES ",
            &[Type::Text, Type::Number, Type::Number],
            ") UPDATE t SET b = v.b + 1, at = v.at FROM v WHERE t.a = v.a",
        );
        assert_eq!(STATEMENT.text(0), "UPDATE t SET b = $3 + 1, at = $2 WHERE t.a = $1");
    }
}
