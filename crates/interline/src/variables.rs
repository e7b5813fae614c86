//! `${NAME}` in a YAML file: filled in from the environment, before the file is read, so that lines stay lines.

use anyhow::{Result, bail};

/// Fills in variables. `look_up` is the environment. `$$` stands for a dollar sign. Comment lines are left alone.
///
/// # Errors
/// A variable that is not set, with its line; a value that cannot stand where it is put.
pub fn fill_in(text: &str, look_up: impl Fn(&str) -> Option<String>) -> Result<String> {
    let mut filled = String::with_capacity(text.len());
    for (at, line) in text.split_inclusive('\n').enumerate() {
        if line.trim_start().starts_with('#') {
            filled.push_str(line);
        } else {
            fill_in_line(line, at + 1, &look_up, &mut filled)?;
        }
    }
    Ok(filled)
}

fn fill_in_line(
    line: &str,
    number: usize,
    look_up: &impl Fn(&str) -> Option<String>,
    filled: &mut String,
) -> Result<()> {
    let mut rest = line;
    while let Some(at) = rest.find('$') {
        let (before, from) = rest.split_at(at);
        filled.push_str(before);
        if let Some(after) = from.strip_prefix("$$") {
            filled.push('$');
            rest = after;
            continue;
        }
        let Some(after) = from.strip_prefix("${") else {
            filled.push('$');
            rest = from.get(1..).unwrap_or_default();
            continue;
        };
        let Some((name, after)) = after.split_once('}') else {
            bail!("line {number}: `${{` without `}}`");
        };
        let Some(value) = look_up(name) else {
            bail!("line {number}: the environment variable {name} is not set");
        };
        // A value that stands alone is quoted, so that nothing in it is read as YAML.
        let alone_before =
            before.trim_end().ends_with([':', '-', '[', ',']) && before.ends_with([' ', '[', ',']);
        let alone_after = after.trim_start().is_empty() || after.trim_start().starts_with([',', ']', '#']);
        if alone_before && alone_after {
            filled.push_str(&serde_json::Value::String(value).to_string());
        } else if value.contains(['\n', '"', '\'', '\\', '#', ':', '{', '}', '[', ']']) {
            bail!(
                "line {number}: the value of {name} holds characters that need `{name}` to stand alone after `: `"
            );
        } else {
            filled.push_str(&value);
        }
        rest = after;
    }
    filled.push_str(rest);
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn env(name: &str) -> Option<String> {
        match name {
            "SECRET" => Some("a: b#c \"d\"".into()),
            "HOST" => Some("example.com".into()),
            _ => None,
        }
    }

    #[test]
    fn a_value_alone_is_quoted_and_one_in_a_text_is_not() {
        let text =
            "secret: ${SECRET}\nurl: https://${HOST}/x # ${HOST}\nlist: [${HOST}, b]\nprice: 5 $$ or $5\n";
        let filled = fill_in(text, env).expect("filled");
        assert_eq!(
            filled,
            "secret: \"a: b#c \\\"d\\\"\"\nurl: https://example.com/x # example.com\nlist: [\"example.com\", b]\nprice: 5 $ or $5\n"
        );
    }

    #[test]
    fn a_missing_variable_is_an_error_with_its_line() {
        let error = fill_in("a: 1\n# ${NOT_SET} in a comment\nb: ${NOT_SET}\n", env).expect_err("missing");
        assert_eq!(error.to_string(), "line 3: the environment variable NOT_SET is not set");
        assert!(fill_in("b: \"x${SECRET}\"", env).is_err());
        assert!(fill_in("b: ${HOST", env).is_err());
    }
}
