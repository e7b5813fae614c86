//! Conditions on variables: structured, so that they need no script.

use std::cmp::Ordering;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::scope::{Scope, plain};

/// A condition.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Condition {
    /// All of them (AND). Of none: true.
    All(Vec<Condition>),
    /// One of them (OR). Of none: false.
    Any(Vec<Condition>),
    /// Not this one.
    Not(Box<Condition>),
    /// A variable is so.
    When(Test),
}

/// A test of one variable.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Test {
    /// Its path: `context.tier`, `context.steps.menu`, `text`.
    pub variable: String,
    /// How it is compared. Numbers are compared as numbers where both sides are; else as texts, in any case.
    pub is: Compare,
    /// With what; `{{…}}` stands for a variable.
    #[serde(default, skip_serializing_if = "Value::is_null")]
    pub value: Value,
}

/// A comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Compare {
    /// The same.
    Equals,
    /// Another, or none.
    NotEquals,
    /// A text or list that has it.
    Contains,
    /// A text or list that has it not.
    NotContains,
    /// A text that begins with it.
    StartsWith,
    /// A text that ends with it.
    EndsWith,
    /// More.
    Greater,
    /// More, or the same.
    AtLeast,
    /// Less.
    Less,
    /// Less, or the same.
    AtMost,
    /// One of a list.
    In,
    /// It has a value that is not empty.
    Set,
    /// It has no value, or an empty one.
    Empty,
}

impl Condition {
    /// Whether it holds.
    pub fn holds(&self, scope: &Scope<'_>) -> bool {
        match self {
            Self::All(all) => all.iter().all(|one| one.holds(scope)),
            Self::Any(any) => any.iter().any(|one| one.holds(scope)),
            Self::Not(not) => !not.holds(scope),
            Self::When(test) => test.holds(scope),
        }
    }

    /// How many tests it has, and how deep it goes.
    pub(super) fn size(&self) -> (usize, usize) {
        let parts = match self {
            Self::All(parts) | Self::Any(parts) => parts.as_slice(),
            Self::Not(part) => std::slice::from_ref(&**part),
            Self::When(_) => return (1, 1),
        };
        let sizes = parts.iter().map(Self::size);
        let (count, depth) = sizes.fold((0, 0), |all, one| (all.0 + one.0, all.1.max(one.1)));
        (count, depth + 1)
    }
}

impl Test {
    fn holds(&self, scope: &Scope<'_>) -> bool {
        let left = scope.get(&self.variable).unwrap_or(&Value::Null);
        let value = match &self.value {
            Value::String(text) => Value::String(scope.fill(text)),
            other => other.clone(),
        };
        match self.is {
            Compare::Equals => same(left, &value),
            Compare::NotEquals => !same(left, &value),
            Compare::Contains => contains(left, &value),
            Compare::NotContains => !contains(left, &value),
            Compare::StartsWith => plain(left).to_lowercase().starts_with(&plain(&value).to_lowercase()),
            Compare::EndsWith => plain(left).to_lowercase().ends_with(&plain(&value).to_lowercase()),
            Compare::Greater => order(left, &value) == Some(Ordering::Greater),
            Compare::AtLeast => order(left, &value).is_some_and(Ordering::is_ge),
            Compare::Less => order(left, &value) == Some(Ordering::Less),
            Compare::AtMost => order(left, &value).is_some_and(Ordering::is_le),
            Compare::In => value.as_array().is_some_and(|list| list.iter().any(|one| same(left, one))),
            Compare::Set => !is_empty(left),
            Compare::Empty => is_empty(left),
        }
    }
}

fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.trim().parse().ok().filter(|number: &f64| number.is_finite()),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn same(left: &Value, right: &Value) -> bool {
    if left == right {
        return true;
    }
    if left.is_null() || right.is_null() {
        return false;
    }
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left == right,
        _ => plain(left).to_lowercase() == plain(right).to_lowercase(),
    }
}

/// None: nothing to compare.
fn order(left: &Value, right: &Value) -> Option<Ordering> {
    if is_empty(left) || is_empty(right) {
        return None;
    }
    match (number(left), number(right)) {
        (Some(left), Some(right)) => left.partial_cmp(&right),
        _ => Some(plain(left).to_lowercase().cmp(&plain(right).to_lowercase())),
    }
}

fn contains(left: &Value, right: &Value) -> bool {
    match left {
        Value::Array(list) => list.iter().any(|one| same(one, right)),
        Value::Object(map) => map.contains_key(&plain(right)),
        Value::Null => false,
        other => plain(other).to_lowercase().contains(&plain(right).to_lowercase()),
    }
}

fn is_empty(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Array(list) => list.is_empty(),
        Value::Object(map) => map.is_empty(),
        Value::Bool(_) | Value::Number(_) => false,
    }
}
