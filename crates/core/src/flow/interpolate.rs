//! `{{…}}` in texts: paths into what scripts see, put in their place.
//!
//! `{{context.steps.Account}}`, `{{context.session.UserSession["last order"].items[0]}}`, `{{content.greeting}}`,
//! `{{env.shop}}`; a path that names none of the three begins in `context`. `{{JSON.stringify(path)}}` prints the JSON of
//! a value. Nothing is evaluated: what is no path stays as it stands, so that its author sees it. What is put in is not
//! looked at again: a customer who types `{{env.key}}` says just that.

use serde_json::Value;

use super::script::Scope;

/// The longest text, in bytes; the rest is cut. A short template may name a large value many times.
pub const MOST_TEXT: usize = 32 * 1024;
/// The longest path, in bytes.
const LONGEST_PATH: usize = 512;

/// A text with its paths replaced. Missing and null are empty; text is itself; all else is its JSON.
pub fn interpolate(text: &str, scope: &Scope) -> String {
    let mut out = String::with_capacity(text.len().min(MOST_TEXT));
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("{{") {
        out.push_str(before);
        // Not further than a path may be long: a text of nothing but `{{` is still read in one go.
        let end = after[..after.floor_char_boundary(LONGEST_PATH)].find("}}");
        let expression = end.and_then(|end| Some((Expression::read(&after[..end])?, &after[end + 2..])));
        rest = match expression {
            Some((expression, after)) => {
                expression.print(scope, &mut out);
                after
            }
            None => {
                out.push_str("{{");
                after
            }
        };
        if out.len() > MOST_TEXT {
            rest = "";
        }
    }
    out.push_str(rest);
    out.truncate(out.floor_char_boundary(MOST_TEXT));
    out
}

/// The value at a path, such as `context.steps.Account`; none if there is none, or if it is no path.
pub fn look_up<'a>(path: &str, scope: &'a Scope) -> Option<&'a Value> {
    find(&segments(path)?, scope)
}

enum Expression<'t> {
    Path(Vec<&'t str>),
    Json(Vec<&'t str>),
}

impl<'t> Expression<'t> {
    fn read(inner: &'t str) -> Option<Self> {
        let inner = inner.trim();
        let json = inner.strip_prefix("JSON.stringify(").and_then(|rest| rest.strip_suffix(')'));
        match json {
            Some(path) => Some(Self::Json(segments(path)?)),
            None => Some(Self::Path(segments(inner)?)),
        }
    }

    fn print(&self, scope: &Scope, out: &mut String) {
        match self {
            Self::Path(path) => match find(path, scope) {
                None | Some(Value::Null) => {}
                Some(Value::String(text)) => out.push_str(text),
                Some(value @ (Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_))) => {
                    out.push_str(&value.to_string());
                }
            },
            Self::Json(path) => {
                if let Some(value) = find(path, scope) {
                    out.push_str(&value.to_string());
                }
            }
        }
    }
}

/// `a.b[0]["c d"]` as `a`, `b`, `0`, `c d`; none if it is no path.
fn segments(path: &str) -> Option<Vec<&str>> {
    let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '-');
    let mut segments = Vec::new();
    let mut rest = path.trim();
    loop {
        let end = rest.find(|c| !is_name(c)).unwrap_or(rest.len());
        let (name, after) = rest.split_at(end);
        if name.is_empty() {
            return None;
        }
        segments.push(name);
        rest = after;
        while let Some(inside) = rest.strip_prefix('[') {
            let (segment, after) = bracket(inside)?;
            segments.push(segment);
            rest = after;
        }
        match rest.strip_prefix('.') {
            Some(after) => rest = after,
            None if rest.is_empty() => return Some(segments),
            None => return None,
        }
    }
}

/// What stands in brackets, and what comes after them: `0]…` or `"a name"]…`.
fn bracket(inside: &str) -> Option<(&str, &str)> {
    let quote = inside.chars().next().filter(|c| matches!(c, '"' | '\''));
    match quote {
        Some(quote) => {
            let (name, after) = inside[1..].split_once(quote)?;
            Some((name, after.strip_prefix(']')?))
        }
        None => {
            let (index, after) = inside.split_once(']')?;
            (!index.is_empty() && index.bytes().all(|b| b.is_ascii_digit())).then_some((index, after))
        }
    }
}

fn find<'a>(path: &[&str], scope: &'a Scope) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    match *first {
        "context" => in_context(rest, scope),
        "content" => walk(scope.content.get(*rest.first()?)?, &rest[1..]),
        "env" => walk(scope.env.get(*rest.first()?)?, &rest[1..]),
        _ => in_context(path, scope),
    }
}

/// The two stores stand under `session`, and in flows directly under `context` too.
fn in_context<'a>(path: &[&str], scope: &'a Scope) -> Option<&'a Value> {
    let (first, rest) = path.split_first()?;
    if let Some(value) = scope.context.get(*first) {
        return walk(value, rest);
    }
    match *first {
        "BotUserSession" | "UserSession" => walk(scope.context.get("session")?.get(*first)?, rest),
        _ => None,
    }
}

fn walk<'a>(value: &'a Value, path: &[&str]) -> Option<&'a Value> {
    path.iter().try_fold(value, |value, segment| match value {
        Value::Object(fields) => fields.get(*segment),
        Value::Array(items) => items.get(segment.parse::<usize>().ok()?),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn scope() -> Scope {
        let object = |value: Value| value.as_object().cloned().expect("an object");
        Scope {
            context: object(json!({
                "text": "hello",
                "user_id": 7,
                "vip": true,
                "nothing": null,
                "über": "ü",
                "steps": { "Account": "42" },
                "session": {
                    "BotUserSession": { "channels": [{ "handle": { "sipHeaders": [{ "name": "X-A", "value": "b" }] } }] },
                    "UserSession": { "last order": { "id": "o-1" }, "isRepeatedVoiceUser": false },
                },
            })),
            content: object(json!({ "greeting": "Hi" })),
            env: object(json!({ "botId": "st-1" })),
            language: None,
        }
    }

    #[test]
    fn paths_are_put_in_their_place() {
        let cases = [
            ("{{context.user_id}} and {{ context.steps.Account }}", "7 and 42"),
            ("{{text}}!", "hello!"),
            ("{{content.greeting}} {{env.botId}}", "Hi st-1"),
            ("{{context.vip}}{{context.nothing}}{{context.missing.deep}}", "true"),
            ("{{context.BotUserSession.channels[0].handle.sipHeaders[0].value}}", "b"),
            ("{{context.session.UserSession[\"last order\"].id}}", "o-1"),
            ("{{UserSession['last order'].id}}", "o-1"),
            ("{{context.steps}}", r#"{"Account":"42"}"#),
            ("{{JSON.stringify(context.session.UserSession.isRepeatedVoiceUser)}}", "false"),
            ("{{JSON.stringify(text)}}", "\"hello\""),
            ("{{context.über}}", "ü"),
            ("{{context}}{{content}}", ""),
        ];
        for (text, said) in cases {
            assert_eq!(interpolate(text, &scope()), said, "{text}");
        }
    }

    #[test]
    fn what_is_no_path_stays_as_it_stands() {
        for text in [
            "{{",
            "{{}}",
            "}} {{ a",
            "{{1 + 1}}",
            "{{a..b}}",
            "{{a[b]}}",
            "{{a[]}}",
            "{{a.}}",
            "{{process.exit()}}",
            "{ {x} }",
        ] {
            assert_eq!(interpolate(text, &scope()), text);
        }
        assert_eq!(interpolate("{{ {{text}}", &scope()), "{{ hello");
        assert_eq!(interpolate("{{context.list[99999999999999999999999]}}", &scope()), "");
    }

    #[test]
    fn what_is_put_in_is_not_looked_at_again() {
        let mut scope = scope();
        scope.context.insert("text".into(), json!("{{env.botId}}"));
        assert_eq!(interpolate("You said {{text}}.", &scope), "You said {{env.botId}}.");
    }

    #[test]
    fn a_short_template_cannot_make_a_huge_text() {
        let mut scope = scope();
        scope.context.insert("big".into(), json!("ä".repeat(50_000)));
        let said = interpolate(&"x{{big}}".repeat(10_000), &scope);
        assert!(said.len() <= MOST_TEXT && said.starts_with("xä"));
    }

    #[test]
    fn a_value_is_found_by_its_path() {
        assert_eq!(look_up("context.steps.Account", &scope()), Some(&json!("42")));
        assert_eq!(look_up("steps.Account", &scope()), Some(&json!("42")));
        assert_eq!(look_up("context.steps.Account.deep", &scope()), None);
        assert_eq!(look_up("", &scope()), None);
    }
}
