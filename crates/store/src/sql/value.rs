//! What is bound and what comes back: texts and numbers, or nothing.

use std::sync::Arc;

use super::Error;

/// One value. What is absent still has a type: PostgreSQL asks for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Value {
    Text(Option<String>),
    Number(Option<i64>),
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(Some(text.to_owned()))
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::Text(Some(text))
    }
}

impl From<&String> for Value {
    fn from(text: &String) -> Self {
        Self::Text(Some(text.clone()))
    }
}

impl From<Option<&str>> for Value {
    fn from(text: Option<&str>) -> Self {
        Self::Text(text.map(str::to_owned))
    }
}

impl From<Option<String>> for Value {
    fn from(text: Option<String>) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Number(Some(number))
    }
}

impl From<Option<i64>> for Value {
    fn from(number: Option<i64>) -> Self {
        Self::Number(number)
    }
}

/// A row that came back.
#[derive(Debug, Clone)]
pub(crate) struct Row {
    /// One list for all rows of an answer.
    columns: Arc<[String]>,
    values: Vec<Value>,
}

impl Row {
    pub(crate) fn new(columns: Arc<[String]>, values: Vec<Value>) -> Self {
        Self { columns, values }
    }

    /// The value of a column.
    ///
    /// # Errors
    /// There is no such column, or it holds something else.
    pub(crate) fn try_get<T: FromValue>(&self, column: &'static str) -> Result<T, Error> {
        let place = self.columns.iter().position(|name| name == column);
        let value = place.and_then(|place| self.values.get(place));
        value.and_then(T::from_value).ok_or(Error::Column(column))
    }
}

/// What a column can be read as.
pub(crate) trait FromValue: Sized {
    /// None: it is something else.
    fn from_value(value: &Value) -> Option<Self>;
}

impl FromValue for String {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(text) => text.clone(),
            Value::Number(_) => None,
        }
    }
}

impl FromValue for i64 {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => *number,
            Value::Text(_) => None,
        }
    }
}

impl<T: FromValue> FromValue for Option<T> {
    fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Text(None) | Value::Number(None) => Some(None),
            value => T::from_value(value).map(Some),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_column_is_read_as_what_it_is_or_refused() {
        let row = Row::new(
            ["name".to_owned(), "age".to_owned(), "nothing".to_owned()].into(),
            vec!["ann".into(), 7.into(), Value::Text(None)],
        );
        assert_eq!(row.try_get::<String>("name").ok().as_deref(), Some("ann"));
        assert_eq!(row.try_get::<Option<i64>>("age").ok(), Some(Some(7)));
        assert_eq!(row.try_get::<Option<String>>("nothing").ok(), Some(None));
        // PostgreSQL says of a NULL what type it would have, SQLite does not.
        assert_eq!(row.try_get::<Option<i64>>("nothing").ok(), Some(None));
        for wrong in ["name", "nothing", "other"] {
            assert!(matches!(row.try_get::<i64>(wrong), Err(Error::Column(column)) if column == wrong));
        }
    }
}
