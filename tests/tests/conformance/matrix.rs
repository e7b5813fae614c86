//! What each agent system can do, as a table for the docs: printed from manifests and deviations, checked in, and a test
//! that fails when it is stale.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Result, ensure};
use interline_connector::manifest::{Dedupe, Delivery, Manifest};
use interline_connector::simulator::SCENARIOS;
use interline_tests::server::workspace;

use interline_tests::office::Kind;

const ANEW: &str = "INTERLINE_BLESS=1 cargo test -p interline-tests --test conformance matrix";
const BEGIN: &str = "<!-- Deviations: printed from the code, not written by hand. -->";
const END: &str = "<!-- End of the deviations. -->";

/// The table, and the part of each vendor's README, are what the code says.
pub fn is_up_to_date() -> Result<()> {
    let bless = std::env::var_os("INTERLINE_BLESS").is_some();
    let mut files = vec![(workspace().join("docs/connectors/README.md"), page())];
    for (folder, kinds) in folders() {
        let path = workspace().join("crates/agents/src").join(&folder).join("README.md");
        let text = std::fs::read_to_string(&path)?;
        files.push((path, with_deviations(&text, &kinds)));
    }
    let mut stale = Vec::new();
    for (path, printed) in files {
        if bless {
            std::fs::write(&path, &printed)?;
        }
        if std::fs::read_to_string(&path).unwrap_or_default() != printed {
            stale.push(path.display().to_string());
        }
    }
    ensure!(stale.is_empty(), "stale: {stale:?}. Look at what changed, then write them anew: {ANEW}");
    Ok(())
}

/// The vendors' folders: one may hold more than one connector.
fn folders() -> BTreeMap<String, Vec<Kind>> {
    let mut folders: BTreeMap<String, Vec<Kind>> = BTreeMap::new();
    for kind in Kind::all() {
        folders.entry(folder(kind)).or_default().push(kind);
    }
    folders
}

/// `genesys_open` lives in `genesys`.
fn folder(kind: Kind) -> String {
    let src: PathBuf = workspace().join("crates/agents/src");
    let mut name = kind.id;
    while !src.join(name).is_dir() {
        let Some((shorter, _)) = name.rsplit_once('_') else { break };
        name = shorter;
    }
    name.to_owned()
}

fn page() -> String {
    let kinds = Kind::all();
    let mut page = format!(
        "<!-- Printed from the code (manifests and deviations), not written by hand. To print it anew:\n     {ANEW} -->\n\
         # Agent systems\n\n\
         What each can do, and how it is shown: every scenario below is run against the vendor's stand-in, through the built\n\
         server, over real sockets (`tests/tests/conformance/`, `make test`). Set-up guides stand in the READMEs.\n\n"
    );
    page += &capabilities(&kinds);
    page += "\n## Scenarios\n\n✓: run, and passed by every version that is built. A number: the connector does otherwise, see below.\n\n";
    page += &scenarios(&kinds);
    page += "\n## Deviations\n\n";
    for (number, kind, deviation) in numbered(&kinds) {
        let title = kind.connector.manifest().title;
        page += &format!("{number}. **{title}**, `{}`: {}\n", deviation.scenario, sentence(deviation.reason));
    }
    page
}

fn capabilities(kinds: &[Kind]) -> String {
    let mut rows: Vec<(&str, Vec<String>)> = Vec::new();
    let mut row = |name, tell: fn(&Manifest) -> String| {
        rows.push((name, kinds.iter().map(|kind| tell(kind.connector.manifest())).collect()));
    };
    row("`type`", |it| format!("`{}`", it.id));
    row("reached by", |it| match it.delivery {
        Delivery::Push => "calls".into(),
        Delivery::Pinned if it.resumes => "a session that is taken up again".into(),
        Delivery::Pinned => "a session".into(),
    });
    row("tells who joined", |it| yes(it.signals.joined));
    row("tells the place in the queue", |it| yes(it.signals.queued));
    row("is told of typing", |it| yes(it.takes.typing));
    row("is told of receipts", |it| yes(it.takes.receipts));
    row("takes files", |it| match it.takes.files {
        Some(files) => format!("{} MB, {} formats", files.max_bytes / (1024 * 1024), files.formats.len()),
        None => "as links".into(),
    });
    row("drops a repeated line", |it| yes(it.dedupe == Dedupe::ByKey));
    let head: Vec<String> = kinds
        .iter()
        .map(|kind| {
            let title = kind.connector.manifest().title;
            format!("[{title}](../../crates/agents/src/{}/README.md)", folder(*kind))
        })
        .collect();
    table("", &head, rows.into_iter().map(|(name, cells)| (name.to_owned(), cells)))
}

fn scenarios(kinds: &[Kind]) -> String {
    let numbered = numbered(kinds);
    let cell = |kind: &Kind, scenario: &str| {
        let found = numbered
            .iter()
            .find(|(_, known, deviation)| known.id == kind.id && deviation.scenario == scenario);
        found.map_or_else(|| "✓".to_owned(), |(number, ..)| number.to_string())
    };
    let head: Vec<String> = kinds.iter().map(|kind| format!("`{}`", kind.id)).collect();
    let rows = SCENARIOS.iter().map(|(name, seen)| {
        (format!("`{name}`: {seen}"), kinds.iter().map(|kind| cell(kind, name)).collect())
    });
    table("scenario", &head, rows)
}

fn table(corner: &str, head: &[String], rows: impl Iterator<Item = (String, Vec<String>)>) -> String {
    let mut table = format!("| {corner} | {} |\n|---|{}\n", head.join(" | "), "---|".repeat(head.len()));
    for (name, cells) in rows {
        table += &format!("| {name} | {} |\n", cells.join(" | "));
    }
    table
}

fn numbered(kinds: &[Kind]) -> Vec<(usize, Kind, &'static interline_connector::simulator::Deviation)> {
    let all = kinds.iter().flat_map(|kind| kind.deviations().iter().map(|deviation| (*kind, deviation)));
    all.enumerate().map(|(at, (kind, deviation))| (at + 1, kind, deviation)).collect()
}

fn sentence(reason: &str) -> String {
    format!("{}.", reason.trim_end_matches('.'))
}

fn yes(it: bool) -> String {
    if it { "yes" } else { "no" }.to_owned()
}

/// A README with its part about deviations as the code says; at its end where it has none.
fn with_deviations(text: &str, kinds: &[Kind]) -> String {
    let mut part = format!("{BEGIN}\n## Scenarios in which it does otherwise\n\n");
    part += "All others of the conformance suite ([table](../../../../docs/connectors/README.md)) are passed.\n\n";
    let none = kinds.iter().all(|kind| kind.deviations().is_empty());
    part += if none { "There are none.\n" } else { "| `type` | scenario | why |\n|---|---|---|\n" };
    for kind in kinds {
        for deviation in kind.deviations() {
            let reason = sentence(deviation.reason);
            part += &format!("| `{}` | `{}` | {reason} |\n", kind.id, deviation.scenario);
        }
    }
    part += END;
    match (text.find(BEGIN), text.find(END)) {
        (Some(begin), Some(end)) if begin < end => {
            format!("{}{part}{}", &text[..begin], &text[end + END.len()..])
        }
        _ => format!("{}\n\n{part}\n", text.trim_end()),
    }
}
