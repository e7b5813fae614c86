//! What of a script's changes is kept: its objects are read back as JSON and compared with what it was given.

use interline_core::flow::script::{Change, Changes, Done, RESERVED};
use rquickjs::{Ctx, Object, Value as Js};
use serde_json::{Map, Value};

use crate::fault::brief;

/// The longest value of a script, in bytes of JSON. A script's last expression is often an assignment that nobody means
/// as its value: a longer one is left out rather than refused.
const LONGEST_VALUE: usize = 16 * 1024;

/// A JavaScript value as JSON.
pub(crate) enum Read {
    /// It is this.
    Json(Value),
    /// `undefined`: it is not there.
    Nothing,
    /// It has no JSON: a function, a cycle, a BigInt, a nesting beyond all reason.
    Never,
}

/// A JavaScript value as the text of its JSON.
enum Written {
    /// It is this.
    Text(String),
    /// `undefined`.
    Nothing,
    /// It has no JSON.
    Never,
}

/// Writes a value. This may run code of the script (`toJSON`, getters), under the same limits.
fn write<'js>(ctx: &Ctx<'js>, value: &Js<'js>) -> Written {
    if value.is_undefined() {
        return Written::Nothing;
    }
    match ctx.json_stringify(value.clone()).map(|text| text.map(|text| text.to_string())) {
        Ok(Some(Ok(text))) => Written::Text(text),
        Ok(Some(Err(_)) | None) => Written::Never,
        Err(_) => {
            // The exception is of no further interest. What stopped the script by a limit is known elsewhere.
            _ = ctx.catch();
            Written::Never
        }
    }
}

/// Reads a value, as [`write`] writes it.
pub(crate) fn read<'js>(ctx: &Ctx<'js>, value: &Js<'js>) -> Read {
    match write(ctx, value) {
        Written::Text(text) => parse(&text).map_or(Read::Never, Read::Json),
        Written::Nothing => Read::Nothing,
        Written::Never => Read::Never,
    }
}

/// JSON as QuickJS writes it: half of a surrogate pair, which JavaScript strings may hold, stands there as `\udXXX`,
/// and is no text anywhere else.
fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().or_else(|| {
        let mut clean = String::with_capacity(text.len());
        let mut rest = text;
        while let Some(at) = rest.find('\\') {
            let (before, escape) = rest.split_at(at);
            clean.push_str(before);
            let half = escape.get(2..4).is_some_and(|hex| {
                matches!(hex.as_bytes(), [b'd' | b'D', b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F'])
            });
            if escape.as_bytes().get(1) == Some(&b'u') && half {
                clean.push('\u{fffd}');
                rest = escape.get(6..)?;
            } else {
                let end = 1 + escape[1..].chars().next().map_or(0, char::len_utf8);
                clean.push_str(&escape[..end]);
                rest = &escape[end..];
            }
        }
        clean.push_str(rest);
        serde_json::from_str(&clean).ok()
    })
}

/// The value of a script, and a word for its log if it cannot be one.
pub(crate) fn value<'js>(ctx: &Ctx<'js>, value: &Js<'js>) -> (Value, Option<String>) {
    match read(ctx, value) {
        Read::Json(value) if value.to_string().len() > LONGEST_VALUE => (
            Value::Null,
            Some(format!("the script's value is longer than {LONGEST_VALUE} bytes and was left out")),
        ),
        Read::Json(value) => (value, None),
        Read::Nothing | Read::Never => (Value::Null, None),
    }
}

/// Compares the context with what it was, and puts what changed into `done`. `untouched`: a variable that the script did
/// not even look at.
pub(crate) fn changes<'js>(
    ctx: &Ctx<'js>,
    before: &Map<String, Value>,
    context: &Object<'js>,
    untouched: &dyn Fn(&str) -> bool,
    done: &mut Done,
) {
    let nothing = Map::new();
    let session = before.get("session").and_then(Value::as_object);
    let store = |name: &str| session.and_then(|session| session.get(name)).and_then(Value::as_object);
    let is_variable = |name: &str| !RESERVED.contains(&name);
    done.variables = compare(ctx, before, context, &is_variable, untouched, &mut done.log);
    let stores = [("BotUserSession", &mut done.bot_user_session), ("UserSession", &mut done.user_session)];
    for (name, changes) in stores {
        let now =
            context.get::<_, Object<'js>>("session").and_then(|session| session.get::<_, Object<'js>>(name));
        match now {
            Ok(now) => {
                let before = store(name).unwrap_or(&nothing);
                *changes = compare(ctx, before, &now, &|_| true, &|_| false, &mut done.log);
            }
            Err(_) => _ = ctx.catch(),
        }
    }
}

fn compare<'js>(
    ctx: &Ctx<'js>,
    before: &Map<String, Value>,
    now: &Object<'js>,
    is_kept: &dyn Fn(&str) -> bool,
    untouched: &dyn Fn(&str) -> bool,
    log: &mut Vec<String>,
) -> Changes {
    let mut changes = Changes::new();
    let mut seen = Vec::new();
    // A name that is no text (half of a surrogate pair) is no name of a variable. (Asked for as values: rquickjs does not
    // look at the bytes when it makes a `String` of a name.)
    let names = now.keys::<Js<'js>>().flatten().filter_map(|name| name.get::<String>().ok());
    for name in names.filter(|name| is_kept(name)) {
        if untouched(&name) {
            seen.push(name);
            continue;
        }
        let written = now.get::<_, Js<'js>>(name.as_str()).map(|value| write(ctx, &value));
        let known = before.get(&name);
        let as_given = known.map(Value::to_string);
        let read = match written {
            // Most of what a script looks at it leaves as it was: then there is nothing to read.
            Ok(Written::Text(text)) if as_given.as_ref() == Some(&text) => {
                seen.push(name);
                continue;
            }
            Ok(Written::Text(text)) => parse(&text),
            Ok(Written::Nothing) => continue,
            Ok(Written::Never) | Err(_) => None,
        };
        match read {
            Some(value) if known.is_some_and(|known| same(known, &value)) => {}
            Some(value) => _ = changes.insert(name.clone(), Change::Put(value)),
            None => {
                _ = ctx.catch();
                log.push(brief(&format!("`{name}` has no JSON and was not kept")));
            }
        }
        seen.push(name);
    }
    let gone = before.keys().filter(|name| is_kept(name) && !seen.contains(name));
    changes.extend(gone.map(|name| (name.clone(), Change::Deleted)));
    changes
}

/// Whether a script left a value as it was. It saw every number as a 64-bit float: one beyond that, which it did not
/// touch, is not to come back rounded.
fn same(before: &Value, now: &Value) -> bool {
    match (before, now) {
        (Value::Number(before), Value::Number(now)) => before.as_f64() == now.as_f64(),
        (Value::Array(before), Value::Array(now)) => {
            before.len() == now.len() && before.iter().zip(now).all(|(before, now)| same(before, now))
        }
        (Value::Object(before), Value::Object(now)) => {
            let found =
                |(name, before): (&String, &Value)| now.get(name).is_some_and(|now| same(before, now));
            before.len() == now.len() && before.iter().all(found)
        }
        _ => before == now,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn half_a_surrogate_pair_becomes_the_replacement_character() {
        assert_eq!(
            parse(r#"["\ud83d", "a\\ud83d", "\uDE00é", "ok"]"#),
            Some(json!(["\u{fffd}", "a\\ud83d", "\u{fffd}é", "ok"]))
        );
        assert_eq!(parse("[\"\\u"), None);
        assert_eq!(parse("\\"), None);
    }

    #[test]
    fn a_number_is_compared_as_scripts_see_it() {
        let big: Value = serde_json::from_str("[12345678901234567890, 1.0]").expect("JSON");
        assert!(same(&big, &json!([12_345_678_901_234_567_000_u64, 1])));
        assert!(!same(&big, &json!([12_345_678_901_234_567_000_u64, 2])));
        assert!(!same(&json!({ "a": 1 }), &json!({ "b": 1 })));
    }
}
