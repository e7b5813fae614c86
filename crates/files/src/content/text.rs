//! Text: plain, XML, HTML. A browser that guesses must not find in one what its name hides.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom};

/// What a browser takes for a page, by the first thing that is not space (WHATWG, MIME Sniffing, 7.1).
const HTML: [&str; 17] = [
    "<!doctype html",
    "<html",
    "<head",
    "<script",
    "<iframe",
    "<h1",
    "<div",
    "<font",
    "<table",
    "<a",
    "<style",
    "<title",
    "<b",
    "<body",
    "<br",
    "<p",
    "<!--",
];

/// What begins another format.
const BINARY: [&[u8]; 10] = [
    b"%PDF-",
    b"PK\x03\x04",
    b"Rar!",
    b"GIF8",
    b"\x89PNG",
    b"MZ",
    b"\x7fELF",
    b"#!",
    b"{\\rtf",
    b"\xca\xfe\xba\xbe",
];

/// The beginning as text: UTF-8, UTF-16 with its mark, or an 8-bit alphabet. None: it has what text has not.
fn letters(head: &[u8]) -> Option<String> {
    let wide = |big: bool| {
        let units = head.get(2..)?.chunks_exact(2).map(|pair| match pair {
            [a, b] if big => u16::from_be_bytes([*a, *b]),
            [a, b] => u16::from_le_bytes([*a, *b]),
            _ => 0,
        });
        Some(char::decode_utf16(units).map(|letter| letter.unwrap_or('\u{fffd}')).collect::<String>())
    };
    let text = match head {
        [0xfe, 0xff, ..] => wide(true)?,
        [0xff, 0xfe, ..] => wide(false)?,
        _ => String::from_utf8_lossy(head).into_owned(),
    };
    let odd = |letter: char| {
        letter.is_control()
            && !matches!(letter, '\t' | '\n' | '\r' | '\u{c}' | '\u{1b}' | '\u{80}'..='\u{9f}')
    };
    (!text.chars().any(odd)).then_some(text)
}

fn is_wide(head: &[u8]) -> bool {
    head.starts_with(&[0xfe, 0xff]) || head.starts_with(&[0xff, 0xfe])
}

/// The beginning, lower case, from the first thing that is not space.
fn opening(head: &[u8]) -> Option<String> {
    let text = letters(head)?;
    Some(
        text.trim_start_matches('\u{feff}')
            .trim_start()
            .chars()
            .take(2048)
            .collect::<String>()
            .to_lowercase(),
    )
}

fn opens_html(opening: &str) -> bool {
    HTML.iter().any(|tag| {
        let rest = opening.strip_prefix(tag);
        rest.is_some_and(|rest| {
            *tag == "<!--"
                || rest.is_empty()
                || rest.starts_with(|c: char| c.is_whitespace() || c == '>' || c == '/')
        })
    })
}

/// The name of the first element.
fn root(opening: &str) -> Option<&str> {
    let mut rest = opening;
    loop {
        rest = rest.trim_start();
        if let Some(after) = rest.strip_prefix("<?") {
            rest = after.split_once("?>")?.1;
        } else if let Some(after) = rest.strip_prefix("<!--") {
            rest = after.split_once("-->")?.1;
        } else if let Some(after) = rest.strip_prefix("<!") {
            rest = after.split_once('>')?.1;
        } else {
            let name = rest.strip_prefix('<')?;
            let end = name.find(|c: char| c.is_whitespace() || c == '>' || c == '/').unwrap_or(name.len());
            let name = name.get(..end)?;
            return Some(name.rsplit(':').next().unwrap_or(name)).filter(|name| !name.is_empty());
        }
    }
}

/// Text, and nothing that a browser or a shell would take for more.
pub(super) fn is_plain(head: &[u8]) -> bool {
    let Some(opening) = opening(head) else { return false };
    !BINARY.iter().any(|magic| head.starts_with(magic))
        && !opens_html(&opening)
        && !opening.starts_with("<?xml")
        && !opening.starts_with("<svg")
}

/// XML whose first element is no page and no drawing: those can hold scripts.
pub(super) fn is_xml(head: &[u8]) -> bool {
    let Some(opening) = opening(head) else { return false };
    !opening.starts_with("<!doctype html")
        && root(&opening).is_some_and(|root| !matches!(root, "html" | "svg" | "script"))
}

/// A page: it looks like one somewhere at its beginning.
pub(super) fn is_html(head: &[u8]) -> bool {
    let Some(opening) = opening(head) else { return false };
    !opening.starts_with("<svg")
        && opening.starts_with('<')
        && (opens_html(&opening)
            || ["<html", "<body", "<head", "<div", "<p"].iter().any(|tag| opening.contains(tag)))
}

/// Text has no NUL, to its end; UTF-16 has.
pub(super) fn has_no_nul(file: &mut File, head: &[u8]) -> std::io::Result<bool> {
    if is_wide(head) {
        return Ok(true);
    }
    file.seek(SeekFrom::Start(0))?;
    let mut block = vec![0; 64 * 1024];
    loop {
        let read = file.read(&mut block)?;
        let bytes = block.get(..read).unwrap_or_default();
        if bytes.is_empty() {
            return Ok(true);
        }
        if bytes.contains(&0) {
            return Ok(false);
        }
    }
}
