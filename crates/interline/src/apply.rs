//! `interline apply`: an app's file becomes what a running server serves.

use std::path::PathBuf;

use anyhow::{Context, Result, anyhow};
use clap::{Args, ValueEnum};
use reqwest::Method;
use serde::Deserialize;
use serde_json::Value;

use crate::app_file::AppFile;
use crate::outcome::Outcome;
use crate::remote::{self, Problem, Remote, printable};
use crate::yaml::quoted;

/// The exit code of a dry run that found differences.
const DIFFERS: u8 = 2;
/// A value that is longer is cut off.
const LONGEST: usize = 200;

/// Flags of `apply`.
#[derive(Debug, Args)]
pub struct Flags {
    /// The app as YAML; `${NAME}` comes from the environment.
    #[arg(value_name = "FILE")]
    file: PathBuf,
    #[command(flatten)]
    remote: remote::Flags,
    /// Only shows what would change. Exit code 0: nothing, 2: something.
    #[arg(long)]
    dry_run: bool,
    /// Also removes what the file does not name. Without it, that stays.
    #[arg(long)]
    prune: bool,
    /// What becomes of live transfers on an agent system that is removed.
    #[arg(long, value_name = "CHOICE")]
    live: Option<Live>,
}

/// What becomes of live transfers.
#[derive(Debug, Clone, Copy, ValueEnum)]
enum Live {
    /// They are ended, and the bot takes over.
    End,
    /// They go on until they end by themselves.
    Stay,
}

/// What the server did, or would do.
#[derive(Debug, Deserialize)]
struct Applied {
    /// The version in force.
    version: Option<i64>,
    #[serde(default)]
    differences: Vec<Difference>,
    /// Agent systems that are gone as soon as nobody talks through them any more.
    #[serde(default)]
    retired: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Difference {
    path: String,
    kind: Kind,
    before: Option<Value>,
    after: Option<Value>,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    Added,
    Changed,
    Removed,
}

/// Applies a file.
///
/// # Errors
/// Nothing was changed then, unless it says otherwise.
pub async fn run(flags: Flags) -> Result<Outcome> {
    let file = AppFile::read(&flags.file)?;
    let remote = Remote::new(&flags.remote.server, &flags.remote.key)?;
    let mut query = vec![("dry_run", text(flags.dry_run)), ("prune", text(flags.prune))];
    match flags.live {
        Some(Live::End) => query.push(("live", "end")),
        Some(Live::Stay) => query.push(("live", "stay")),
        None => {}
    }
    let path = ["apps", file.document.app.id.as_str()];
    let answer = remote.call(Method::PUT, &path, &query, Some(&file.document.to_json())).await;
    let answer = answer.map_err(|error| told(&file, error))?;
    let applied: Applied = serde_json::from_value(answer).context("the server's answer cannot be read")?;
    Ok(Outcome { note: remote.remark().unwrap_or_default(), ..report(&applied, flags.dry_run) })
}

fn text(switch: bool) -> &'static str {
    if switch { "true" } else { "false" }
}

/// The server's faults, each with its place in the file.
fn told(file: &AppFile, error: anyhow::Error) -> anyhow::Error {
    match error.downcast::<Problem>() {
        Ok(problem) if !problem.errors.is_empty() => {
            anyhow!("nothing was changed\n{}", file.told(&problem.faults()))
        }
        Ok(problem) => match problem.code.as_str() {
            "live_transfers" => anyhow!("{problem}: say --live end or --live stay; nothing was changed"),
            _ => anyhow!("{problem}; nothing was changed"),
        },
        Err(error) => error,
    }
}

fn report(applied: &Applied, dry_run: bool) -> Outcome {
    let mut lines = Vec::new();
    applied.differences.iter().for_each(|difference| tell(difference, &mut lines));
    let (count, version) = (lines.len(), applied.version.unwrap_or_default());
    lines.push(match (count, dry_run) {
        (0, _) if version == 0 => "no differences".to_owned(),
        (0, _) => format!("no differences; version {version} is in force"),
        (1, true) => "1 difference; nothing was changed".to_owned(),
        (count, true) => format!("{count} differences; nothing was changed"),
        (_, false) => format!("version {version} is in force"),
    });
    if !applied.retired.is_empty() {
        let names = printable(&applied.retired.join(", "));
        let will = if dry_run { "would be" } else { "is" };
        lines.push(format!("retired: {names} ({will} removed when its last transfer is over)"));
    }
    let code = if dry_run && count > 0 { DIFFERS } else { 0 };
    Outcome { answer: lines.join("\n") + "\n", note: String::new(), code }
}

fn tell(difference: &Difference, lines: &mut Vec<String>) {
    let path = printable(&difference.path);
    let nothing = Value::Null;
    let (before, after) =
        (difference.before.as_ref().unwrap_or(&nothing), difference.after.as_ref().unwrap_or(&nothing));
    match difference.kind {
        Kind::Added => tell_whole('+', &path, after, lines),
        Kind::Removed => tell_whole('-', &path, before, lines),
        Kind::Changed => lines.push(format!("~ {path}: {} → {}", cut(&shown(before)), cut(&shown(after)))),
    }
}

/// A whole group of the document, and what is too long for a line, is told part by part.
fn tell_whole(sign: char, path: &str, value: &Value, lines: &mut Vec<String>) {
    let text = shown(value);
    match value {
        Value::Object(parts)
            if !parts.is_empty() && (!path.contains('.') || text.chars().count() > LONGEST) =>
        {
            for (name, part) in parts {
                tell_whole(sign, &format!("{path}.{}", printable(name)), part, lines);
            }
        }
        _ => lines.push(format!("{sign} {path}: {}", cut(&text))),
    }
}

fn cut(text: &str) -> String {
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// A value on one line; a secret comes masked from the server.
fn shown(value: &Value) -> String {
    let mut text = String::new();
    write(value, &mut text);
    text
}

fn write(value: &Value, text: &mut String) {
    match value {
        Value::String(content) if content == interline_engine::config::KEPT => text.push_str(content),
        Value::String(content) => text.push_str(&quoted(content)),
        Value::Array(items) => {
            text.push('[');
            for (at, item) in items.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                write(item, text);
            }
            text.push(']');
        }
        Value::Object(entries) if entries.is_empty() => text.push_str("{}"),
        Value::Object(entries) => {
            text.push_str("{ ");
            for (at, (name, value)) in entries.iter().enumerate() {
                text.push_str(if at > 0 { ", " } else { "" });
                text.push_str(&printable(name));
                text.push_str(": ");
                write(value, text);
            }
            text.push_str(" }");
        }
        other => text.push_str(&other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn applied(value: Value) -> Applied {
        serde_json::from_value(value).expect("an answer")
    }

    #[test]
    fn differences_are_told_and_a_dry_run_says_so_with_its_code() {
        let answer = json!({
            "version": 3,
            "differences": [
                { "path": "agents.desk", "kind": "added", "after": { "type": "botkit", "url": "http://x", "on": [1, true] } },
                { "path": "app.name", "kind": "changed", "before": "A", "after": "B \u{1b}[2J\n" },
                { "path": "credentials.main.client_secret", "kind": "changed", "before": "(secret)", "after": "(secret)" },
                { "path": "texts", "kind": "added", "after": { "a": "A", "b": { "long": "x".repeat(150), "longer": "y".repeat(300) } } },
                { "path": "channels.old", "kind": "removed", "before": {} },
            ],
            "retired": ["old-desk"],
        });
        let dry = report(&applied(answer.clone()), true);
        let (long, longer) = ("x".repeat(150), "y".repeat(LONGEST - 1));
        assert_eq!(
            dry.answer,
            format!(
                "+ agents.desk: {{ on: [1, true], type: \"botkit\", url: \"http://x\" }}\n\
             ~ app.name: \"A\" → \"B \\u001b[2J\\n\"\n\
             ~ credentials.main.client_secret: (secret) → (secret)\n\
             + texts.a: \"A\"\n\
             + texts.b.long: \"{long}\"\n\
             + texts.b.longer: \"{longer}…\n\
             - channels.old: {{}}\n\
             7 differences; nothing was changed\n\
             retired: old-desk (would be removed when its last transfer is over)\n"
            )
        );
        assert_eq!(dry.code, DIFFERS);
        let done = report(&applied(answer), false);
        assert!(done.answer.contains("version 3 is in force\n") && done.code == 0, "{done:?}");
    }

    #[test]
    fn nothing_to_do_is_0_either_way() {
        for dry_run in [true, false] {
            let outcome = report(&applied(json!({ "version": 7 })), dry_run);
            assert_eq!(outcome, Outcome::answer("no differences; version 7 is in force\n"));
        }
    }

    #[test]
    fn a_long_value_is_cut_off_between_characters() {
        let text = cut(&shown(&json!("ü".repeat(1000))));
        assert_eq!(text.chars().count(), LONGEST + 1);
        assert!(text.ends_with("ü…"));
    }

    #[test]
    fn the_servers_faults_get_the_files_places() {
        let file = AppFile::parse(
            "app.yaml",
            "app: { id: st-x, name: Test }\nagents:\n  desk:\n    type: botkit\n    url: http://x\nflow: { start: a, otherwise: a, nodes: { a: { end: {} } } }\n",
            |_| None,
        )
        .expect("a file");
        let problem: Problem = serde_json::from_value(json!({
            "detail": "1 fault", "code": "invalid", "errors": [{ "path": "agents.desk.url", "message": "is private" }],
        }))
        .expect("a problem");
        let said = told(&file, anyhow::Error::new(problem)).to_string();
        assert_eq!(said, "nothing was changed\napp.yaml:5:10: agents.desk.url: is private");
    }
}
