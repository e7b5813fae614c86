//! Grammars: what a caller may press or say, as SRGS 1.0 XML.

use std::io;

use interline_core::flow::{MenuChoice, Takes};
use quick_xml::Writer;
use quick_xml::events::{BytesText, Event};

use super::vxml::clean;

type Out = Writer<Vec<u8>>;

const SRGS: &str = "http://www.w3.org/2001/06/grammar";

/// Whether a grammar is one to be referred to: a `builtin:` name or an address.
pub(super) fn is_reference(grammar: &str) -> bool {
    let rest = ["builtin:", "https://", "http://"].iter().find_map(|start| grammar.strip_prefix(start));
    rest.is_some_and(|rest| !rest.is_empty() && !rest.contains(|c: char| c.is_whitespace() || c.is_control()))
}

/// The grammars of an input. `own`: the one that the flow's author gave for speech.
pub(super) fn write(
    out: &mut Out,
    takes: &Takes,
    own: Option<&str>,
    free: &str,
    language: &str,
) -> io::Result<()> {
    match takes {
        Takes::Anything => {
            speech(out, own.unwrap_or(free), language)?;
        }
        Takes::Menu { choices } => {
            keys(out, |out| menu_keys(out, choices))?;
            match own {
                Some(own) => speech(out, own, language)?,
                None => menu_words(out, choices, language)?,
            }
        }
        Takes::Digits { min, max, end_key: _ } => {
            keys(out, |out| digits(out, *min, *max))?;
            if let Some(own) = own {
                speech(out, own, language)?;
            }
        }
    }
    Ok(())
}

/// A grammar of the author: by reference, or in its own XML, which is taken as it stands if it is a grammar.
fn speech(out: &mut Out, grammar: &str, language: &str) -> io::Result<()> {
    if is_reference(grammar) {
        let grammar = out.create_element("grammar").with_attribute(("src", clean(grammar).as_str()));
        grammar.with_attribute(("xml:lang", language)).write_empty()?;
    } else if let Some(events) = own_grammar(grammar) {
        for event in events {
            out.write_event(event)?;
        }
    }
    Ok(())
}

/// The events of a well-formed `<grammar>`; none: it is something else.
fn own_grammar(text: &str) -> Option<Vec<Event<'_>>> {
    let mut reader = quick_xml::Reader::from_str(text);
    reader.config_mut().check_end_names = true;
    let (mut events, mut depth) = (Vec::new(), 0_usize);
    loop {
        let event = reader.read_event().ok()?;
        match &event {
            Event::Eof => return (depth == 0 && !events.is_empty()).then_some(events),
            Event::Decl(_) | Event::Comment(_) | Event::PI(_) | Event::DocType(_) => continue,
            Event::Text(text) if depth == 0 && text.iter().all(u8::is_ascii_whitespace) => continue,
            Event::Start(start) | Event::Empty(start) => {
                let root = depth == 0;
                if root && (!events.is_empty() || start.name().as_ref() != b"grammar") {
                    return None;
                }
                if start.attributes().any(|attribute| attribute.is_err()) {
                    return None;
                }
                depth += usize::from(matches!(event, Event::Start(_)));
            }
            Event::End(_) => depth = depth.checked_sub(1)?,
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) if depth > 0 => {}
            Event::Text(_) | Event::CData(_) | Event::GeneralRef(_) => return None,
        }
        events.push(event);
    }
}

fn keys(out: &mut Out, rules: impl Fn(&mut Out) -> io::Result<()>) -> io::Result<()> {
    let attributes = [("xmlns", SRGS), ("version", "1.0"), ("mode", "dtmf"), ("root", "keys")];
    let grammar = out.create_element("grammar").with_attributes(attributes);
    grammar.write_inner_content(rules).map(drop)
}

/// Without a meaning of its own a key means itself.
fn menu_keys(out: &mut Out, choices: &[MenuChoice]) -> io::Result<()> {
    let key = |out: &mut Out, key: &str| -> io::Result<()> {
        out.create_element("item").write_text_content(BytesText::new(key)).map(drop)
    };
    rule(out, "keys", |out| one_of(out, |out| choices.iter().try_for_each(|choice| key(out, &choice.key))))
}

/// Words that mean a key. A menu without any is for keys alone.
fn menu_words(out: &mut Out, choices: &[MenuChoice], language: &str) -> io::Result<()> {
    let words = || {
        choices.iter().flat_map(|choice| {
            let label = choice.words.is_empty().then_some(&choice.label).and_then(Option::as_ref);
            choice.words.iter().chain(label).map(move |word| (choice, word))
        })
    };
    if words().all(|(_, word)| word.trim().is_empty()) {
        return Ok(());
    }
    let grammar = out.create_element("grammar").with_attributes([
        ("xmlns", SRGS),
        ("version", "1.0"),
        ("mode", "voice"),
        ("root", "words"),
        ("xml:lang", language),
        ("tag-format", "semantics/1.0"),
    ]);
    let rules = |out: &mut Out| {
        rule(out, "words", |out| {
            one_of(out, |out| {
                for (choice, word) in words().filter(|(_, word)| !word.trim().is_empty()) {
                    item(out, word, &choice.key)?;
                }
                Ok(())
            })
        })
    };
    grammar.write_inner_content(rules).map(drop)
}

fn digits(out: &mut Out, min: usize, max: usize) -> io::Result<()> {
    let repeat = format!("{}-{}", min.max(1), max.max(min).max(1));
    rule(out, "keys", |out| {
        let item = out.create_element("item").with_attribute(("repeat", repeat.as_str()));
        item.write_inner_content(|out| {
            out.create_element("ruleref").with_attribute(("uri", "#digit")).write_empty()?;
            Ok(())
        })?;
        Ok(())
    })?;
    rule(out, "digit", |out| {
        one_of(out, |out| {
            for digit in 0..10 {
                let digit = digit.to_string();
                out.create_element("item").write_text_content(BytesText::new(&digit))?;
            }
            Ok(())
        })
    })
}

fn rule(out: &mut Out, id: &str, content: impl Fn(&mut Out) -> io::Result<()>) -> io::Result<()> {
    let rule = out.create_element("rule").with_attributes([("id", id), ("scope", "public")]);
    rule.write_inner_content(content).map(drop)
}

fn one_of(out: &mut Out, items: impl Fn(&mut Out) -> io::Result<()>) -> io::Result<()> {
    out.create_element("one-of").write_inner_content(items).map(drop)
}

/// Something pressed or said, and the key that it means.
fn item(out: &mut Out, text: &str, key: &str) -> io::Result<()> {
    out.create_element("item").write_inner_content(|out| {
        out.write_event(Event::Text(BytesText::new(&clean(text))))?;
        let means = format!("out = \"{key}\";");
        out.create_element("tag").write_text_content(BytesText::new(&means))?;
        Ok(())
    })?;
    Ok(())
}
