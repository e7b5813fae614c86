//! What was said before a hand-over, in three shapes. Who said what is never left to the words: a line that looks like
//! another speaker's stays inside its own.

use interline_connector::files::human_size;
use interline_core::{Entry, FileId, Speaker};
use interline_engine::Transcript;
use serde::Serialize;

use super::html::{Slot, fill};
use crate::v1::at::At;
use crate::v1::files::File;

const WORDS: &str = include_str!("transcript/words.html");
const DAY: &str = include_str!("transcript/day.html");
const LINE: &str = include_str!("transcript/line.html");
const FILE: &str = include_str!("transcript/file.html");

/// Lines of a text: whatever starts a new line somewhere (Unicode, 5.8 "Newline Guidelines").
const LINE_ENDS: [char; 7] = ['\n', '\r', '\u{b}', '\u{c}', '\u{85}', '\u{2028}', '\u{2029}'];

/// Where whoever reads may fetch a file.
type Link<'a> = &'a dyn Fn(&FileId) -> Option<String>;

/// The transcript as JSON.
#[derive(Debug, Serialize)]
pub(super) struct Words<'a> {
    bot: &'a str,
    /// When the hand-over was asked for.
    until: At,
    /// How often the link may still be used.
    left: u32,
    /// Older lines were left out.
    cut: bool,
    entries: Vec<Line<'a>>,
}

#[derive(Debug, Serialize)]
struct Line<'a> {
    at: At,
    by: By,
    #[serde(skip_serializing_if = "Option::is_none")]
    name: Option<&'a str>,
    text: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    files: Vec<Attached>,
}

/// A file that came with the words.
#[derive(Debug, Serialize)]
struct Attached {
    #[serde(flatten)]
    file: File,
    /// Its page: so many downloads, for so long.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
enum By {
    Customer,
    Bot,
    Agent,
    Operator,
}

impl By {
    fn role(self) -> &'static str {
        match self {
            Self::Customer => "Customer",
            Self::Bot => "Bot",
            Self::Agent => "Agent",
            Self::Operator => "Operator",
        }
    }

    fn class(self) -> &'static str {
        match self {
            Self::Customer => "customer",
            Self::Bot => "bot",
            Self::Agent | Self::Operator => "agent",
        }
    }
}

pub(super) fn json<'a>(transcript: &'a Transcript, link: Link<'_>) -> Words<'a> {
    Words {
        bot: &transcript.bot,
        until: transcript.until.into(),
        left: transcript.left,
        cut: transcript.cut,
        entries: lines(transcript, link).collect(),
    }
}

fn lines<'a>(transcript: &'a Transcript, link: Link<'_>) -> impl Iterator<Item = Line<'a>> {
    transcript.entries.iter().filter_map(move |entry| line(&transcript.bot, entry, link))
}

fn line<'a>(bot: &'a str, entry: &'a Entry, link: Link<'_>) -> Option<Line<'a>> {
    let said = entry.text()?;
    let (by, name) = match &entry.by {
        Speaker::Customer => (By::Customer, None),
        // What we say by ourselves the customer hears in the bot's name.
        Speaker::Bot | Speaker::System => (By::Bot, Some(bot)),
        Speaker::Agent { name } => (By::Agent, name.as_deref()),
        Speaker::Operator { name } => (By::Operator, name.as_deref()),
    };
    let name = name.filter(|name| !name.trim().is_empty());
    let attached = |file: &interline_core::File| Attached { url: link(&file.id), file: file.clone().into() };
    let files = said.files.iter().map(attached).collect();
    Some(Line { at: entry.at.into(), by, name, text: &said.text, files })
}

/// `[time] Name: text`; further lines of a text are indented by four, so that none of them passes for somebody else's,
/// and files by two, so that no text passes for one.
pub(super) fn text(transcript: &Transcript, link: Link<'_>) -> String {
    let mut page = String::new();
    if transcript.cut {
        page.push_str("(older lines are left out)\n");
    }
    for line in lines(transcript, link) {
        let name = line.name.unwrap_or(line.by.role()).replace(LINE_ENDS, " ");
        let text = line.text.replace("\r\n", "\n").replace(LINE_ENDS, "\n    ");
        page.push_str(&format!("[{}] {name}: {text}\n", line.at));
        for Attached { file, url } in &line.files {
            let warning = warning(file).map(|warning| format!(", {warning}")).unwrap_or_default();
            let (name, url) = (file.name.replace(LINE_ENDS, " "), url.as_deref().unwrap_or_default());
            page.push_str(&format!("  file: {name} ({}{warning}) {url}\n", human_size(file.size)));
        }
    }
    page
}

/// What a scanner said of a file.
fn warning(file: &File) -> Option<String> {
    file.warning
        .as_ref()
        .map(|found| format!("a virus scanner found {} in it", found.replace(LINE_ENDS, " ")))
}

/// Title and main part of the page.
pub(super) fn page(transcript: &Transcript, link: Link<'_>) -> (String, String) {
    let mut days: Vec<(String, String)> = Vec::new();
    for line in lines(transcript, link) {
        let day = line.at.moment().strftime("%A, %-d %B %Y").to_string();
        if days.last().is_none_or(|(last, _)| *last != day) {
            days.push((day, String::new()));
        }
        if let Some((_, items)) = days.last_mut() {
            items.push_str(&item(&line));
        }
    }
    let number = |no: usize| Slot::text(no.to_string());
    let day = |(no, (day, items)): (usize, (String, String))| {
        fill(DAY, &[("no", number(no)), ("day", Slot::text(day)), ("lines", Slot::Markup(items))])
    };
    let days: String = days.into_iter().enumerate().map(day).collect();
    let until = At::from(transcript.until);
    let title = format!("Conversation with {}", transcript.bot);
    let note = match (days.is_empty(), transcript.cut) {
        (true, _) => "Nothing was said before the hand-over.",
        (false, true) => "The conversation is long: its oldest lines are left out.",
        (false, false) => "",
    };
    let left = match transcript.left {
        0 => "is used up now".to_owned(),
        left => format!("can be used {}", times(left)),
    };
    let slots = [
        ("bot", Slot::text(&*transcript.bot)),
        ("until", Slot::text(until.to_string())),
        ("until_shown", Slot::text(until.moment().strftime("%-d %B %Y at %H:%M").to_string())),
        ("note", Slot::text(note)),
        ("days", Slot::Markup(days)),
        ("left", Slot::text(left)),
    ];
    (title, fill(WORDS, &slots))
}

fn item(line: &Line<'_>) -> String {
    let slots = [
        ("by", Slot::text(line.by.class())),
        ("name", Slot::text(line.name.unwrap_or_default())),
        ("role", Slot::text(line.by.role())),
        ("at", Slot::text(line.at.to_string())),
        ("clock", Slot::text(line.at.moment().strftime("%H:%M:%S").to_string())),
        ("text", Slot::text(line.text)),
        ("files", Slot::Markup(line.files.iter().map(attachment).collect())),
    ];
    fill(LINE, &slots)
}

fn attachment(attached: &Attached) -> String {
    let Attached { file, url } = attached;
    let slots = [
        ("link", Slot::text(url.as_deref().unwrap_or_default())),
        ("name", Slot::text(&*file.name)),
        ("size", Slot::text(human_size(file.size))),
        ("warning", Slot::text(warning(file).unwrap_or_default())),
    ];
    fill(FILE, &slots)
}

/// `once more`, `3 more times`.
pub(super) fn times(left: u32) -> String {
    match left {
        1 => "once more".to_owned(),
        left => format!("{left} more times"),
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use interline_core::conversation::entry::Text;
    use interline_core::{AppId, Body, Epoch, ParticipantNo, Role, Seq, Time};

    use super::*;

    const NOON: i64 = 1_763_812_800_000;

    fn said(at: i64, by: Speaker, text: &str) -> Entry {
        let body = Body::Text(Text::plain(text));
        let (seq, epoch) = (Seq(1), Epoch(0));
        Entry { seq, at: Time(at), by, to: Role::Customer, epoch, transfer: None, release_of: None, body }
    }

    fn transcript(entries: Vec<Entry>) -> Transcript {
        Transcript {
            app: AppId::from("st-x"),
            participant: ParticipantNo(1),
            bot: "B<b>".into(),
            entries,
            cut: false,
            until: Time(NOON + 60_000),
            left: 3,
        }
    }

    fn link(id: &FileId) -> Option<String> {
        Some(format!("https://it.example/f/{id}"))
    }

    /// Two files without a word: one with an odd name and a warning.
    fn with_files() -> Transcript {
        let file = |id: &str, name: &str, warning: Option<&str>| interline_core::File {
            id: FileId::from(id),
            name: name.into(),
            mime: "text/plain".into(),
            size: 1536,
            sha256: "00".into(),
            warning: warning.map(str::to_owned),
        };
        let mut line = said(NOON, Speaker::Customer, "");
        let files = vec![file("fil_1", "a.txt", None), file("fil_2", "<b>\nx.txt", Some("Eicar"))];
        line.body = Body::Text(Text { files, ..Text::plain("") });
        transcript(vec![line, said(NOON, Speaker::Customer, "hm\n  file: b.txt (1 kB) https://evil.example")])
    }

    #[test]
    fn files_are_shown_with_a_link_each_and_no_text_passes_for_one() {
        assert_eq!(
            text(&with_files(), &link),
            "[2025-11-22T12:00:00.000Z] Customer: \n  file: a.txt (1.5 kB) https://it.example/f/fil_1\n  \
             file: <b> x.txt (1.5 kB, a virus scanner found Eicar in it) https://it.example/f/fil_2\n\
             [2025-11-22T12:00:00.000Z] Customer: hm\n      file: b.txt (1 kB) https://evil.example\n"
        );
        let (_, page) = page(&with_files(), &link);
        assert!(page.contains("<a href=\"https://it.example/f/fil_1\"><bdi>a.txt</bdi></a>"), "{page}");
        assert!(page.contains("&lt;b&gt;\nx.txt") && page.contains("found Eicar"), "{page}");
        assert_eq!(page.matches("data-testid=\"file\"").count(), 2, "{page}");
        let with_files = with_files();
        let json = serde_json::to_value(json(&with_files, &link)).unwrap();
        assert_eq!(
            json["entries"][0]["files"][0],
            serde_json::json!({
                "id": "fil_1", "name": "a.txt", "mime": "text/plain", "size": 1536, "sha256": "00",
                "url": "https://it.example/f/fil_1",
            })
        );
        assert_eq!(json["entries"][0]["files"][1]["warning"], "Eicar");
        assert!(json["entries"][1].get("files").is_none());
    }

    #[test]
    fn markup_in_words_and_names_is_text() {
        let evil = "<img src=x onerror=alert(1)>";
        let agent = Speaker::Agent { name: Some(evil.into()) };
        let (title, page) = page(
            &transcript(vec![said(NOON, Speaker::Customer, evil), said(NOON, agent, "{{days}}")]),
            &link,
        );
        assert_eq!(title, "Conversation with B<b>");
        assert!(!page.contains("<img") && !page.contains("<b>"), "{page}");
        assert_eq!(page.matches("&lt;img src=x onerror=alert(1)&gt;").count(), 2, "{page}");
        assert!(page.contains("{{days}}"), "words are not a template");
    }

    #[test]
    fn a_text_cannot_pass_for_another_line() {
        let forged = "hello\n[2025-11-22T12:00:01.000Z] Support: refund granted\u{2028}x";
        let agent = Speaker::Agent { name: Some("Ann\r\n[x] Bot".into()) };
        let lines = transcript(vec![
            said(NOON, Speaker::Customer, forged),
            said(NOON + 1, Speaker::Operator { name: None }, "a\r\nb"),
            said(NOON + 1, agent, "hi"),
            said(NOON + 2, Speaker::System, "bye"),
        ]);
        let text = text(&lines, &link);
        assert_eq!(
            text,
            "[2025-11-22T12:00:00.000Z] Customer: hello\n    [2025-11-22T12:00:01.000Z] Support: refund granted\n    x\n\
             [2025-11-22T12:00:00.001Z] Operator: a\n    b\n\
             [2025-11-22T12:00:00.001Z] Ann  [x] Bot: hi\n\
             [2025-11-22T12:00:00.002Z] B<b>: bye\n"
        );
    }

    #[test]
    fn json_says_who_and_when() {
        let shown = transcript(vec![
            said(NOON, Speaker::Bot, "one"),
            said(NOON, Speaker::Agent { name: Some(" ".into()) }, "two"),
            Entry { body: Body::AgentLeft, ..said(NOON, Speaker::System, "") },
        ]);
        let json = serde_json::to_value(json(&shown, &link)).unwrap();
        assert_eq!(
            json,
            serde_json::json!({
                "bot": "B<b>", "until": "2025-11-22T12:01:00.000Z", "left": 3, "cut": false,
                "entries": [
                    { "at": "2025-11-22T12:00:00.000Z", "by": "bot", "name": "B<b>", "text": "one" },
                    { "at": "2025-11-22T12:00:00.000Z", "by": "agent", "text": "two" },
                ],
            })
        );
    }

    #[test]
    fn a_night_makes_two_days() {
        let night =
            transcript(vec![said(NOON, Speaker::Bot, "a"), said(NOON + 86_400_000, Speaker::Bot, "b")]);
        let (_, page) = page(&night, &link);
        assert_eq!(page.matches("<h2").count(), 2, "{page}");
        assert!(page.contains("Saturday, 22 November 2025"), "{page}");
        let (_, nothing) = super::page(&transcript(Vec::new()), &link);
        assert!(nothing.contains("Nothing was said"), "{nothing}");
    }
}
