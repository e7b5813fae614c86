//! Reading what a script passed. Undefined is null here; null, `{}` and `""` all mean "left out".

use std::collections::BTreeMap;

use interline_core::flow::script::{Headers, Spoken};
use interline_core::flow::{MOST_PRIVATE, Private};
use serde_json::{Map, Value};

/// The longest single text, in bytes.
const LONGEST: usize = 4 * 1024;
/// The longest list.
const MOST: usize = 100;

/// The arguments of one call.
pub(crate) struct Args<'a> {
    values: &'a [Value],
    /// What was left out of them, and why.
    pub(crate) ignored: Vec<String>,
}

impl<'a> Args<'a> {
    pub(crate) fn new(values: &'a [Value]) -> Self {
        Self { values, ignored: Vec::new() }
    }

    /// The argument at a place, unless it was left out.
    fn get(&self, at: usize) -> Option<&'a Value> {
        self.values.get(at).filter(|value| !left_out(value))
    }

    /// A text, or a number as a text.
    pub(crate) fn text(&self, at: usize, name: &str) -> Result<String, String> {
        self.optional_text(at, name)?.ok_or_else(|| format!("`{name}` is missing"))
    }

    pub(crate) fn optional_text(&self, at: usize, name: &str) -> Result<Option<String>, String> {
        self.get(at).map(|value| text(value, name)).transpose()
    }

    /// A yes or no; what is neither is `otherwise`.
    pub(crate) fn flag(&self, at: usize, otherwise: bool) -> bool {
        self.get(at).and_then(Value::as_bool).unwrap_or(otherwise)
    }

    /// A number; a text that is one counts.
    pub(crate) fn number(&self, at: usize) -> Option<f64> {
        match self.get(at)? {
            Value::Number(number) => number.as_f64(),
            Value::String(text) => text.trim().parse().ok(),
            Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// The argument as it is.
    pub(crate) fn raw(&self, at: usize) -> &'a Value {
        self.values.get(at).unwrap_or(&Value::Null)
    }

    pub(crate) fn object(&self, at: usize, name: &str) -> Result<&'a Map<String, Value>, String> {
        self.get(at).and_then(Value::as_object).ok_or_else(|| format!("`{name}` is no object"))
    }

    pub(crate) fn optional_object(&self, at: usize) -> Map<String, Value> {
        self.get(at).and_then(Value::as_object).cloned().unwrap_or_default()
    }

    /// Texts: an array of them, or one.
    pub(crate) fn texts(&self, at: usize, name: &str) -> Result<Vec<String>, String> {
        self.get(at).map_or_else(|| Ok(Vec::new()), |value| texts(value, name))
    }

    /// A message: a text, or an array of texts and addresses of audio files.
    pub(crate) fn spoken(&self, at: usize) -> Result<Spoken, String> {
        self.texts(at, "message")
    }

    /// SIP headers. One that could not stand in a message is left out: a name with a space, a value with a line end.
    pub(crate) fn headers(&mut self, at: usize) -> Headers {
        let given = self.get(at).and_then(Value::as_object);
        let mut headers = BTreeMap::new();
        for (name, value) in given.into_iter().flatten().take(MOST) {
            let value = text(value, name);
            match value {
                Ok(value) if is_token(name) && !value.contains(['\r', '\n', '\0']) => {
                    headers.insert(name.clone(), value);
                }
                Ok(_) | Err(_) => self.ignored.push(format!("the header `{name}`")),
            }
        }
        headers
    }
}

fn left_out(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.is_empty(),
        Value::Object(fields) => fields.is_empty(),
        Value::Bool(_) | Value::Number(_) | Value::Array(_) => false,
    }
}

/// Fields that may hold secrets.
pub(super) fn private(fields: Map<String, Value>, name: &str) -> Result<Private, String> {
    let fits = serde_json::to_vec(&fields).is_ok_and(|json| json.len() <= MOST_PRIVATE);
    fits.then(|| Private::clear(fields))
        .ok_or_else(|| format!("`{name}` takes more than {MOST_PRIVATE} bytes"))
}

/// A text or a number, as a text.
pub(super) fn text(value: &Value, name: &str) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(number) => number.to_string(),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => {
            return Err(format!("`{name}` is no text"));
        }
    };
    if text.len() > LONGEST {
        return Err(format!("`{name}` is longer than {LONGEST} bytes"));
    }
    Ok(text)
}

/// An array of texts, or one text.
pub(super) fn texts(value: &Value, name: &str) -> Result<Vec<String>, String> {
    match value {
        Value::Array(items) if items.len() > MOST => Err(format!("`{name}` has more than {MOST} items")),
        Value::Array(items) => items.iter().map(|item| text(item, name)).collect(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Object(_) => {
            Ok(vec![text(value, name)?])
        }
    }
}

/// A header's name (RFC 3261, `token`).
fn is_token(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-.!%*_+`'~".contains(&b))
}
