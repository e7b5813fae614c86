//! The answer as VoiceXML 2.1: a dialog for the `<subdialog>` that called us. It says what there is to say, listens if it
//! is to, and returns.
//!
//! One document is one turn. It counts nothing: a silence or an unclear word returns too, and the flow decides what is
//! said then and how often.

use std::io;

use interline_core::flow::{Asks, Takes};
use quick_xml::Writer;
use quick_xml::events::{BytesDecl, BytesText, Event};
use serde_json::{Value, json};

use super::answer::{Answer, GivenBack, Prompt, Then};
use super::{Settings, Transfer, grammar};

type Out = Writer<Vec<u8>>;

const VXML: &str = "http://www.w3.org/2001/vxml";
/// What the dialog returns beside what it heard.
const OWN: [&str; 14] = [
    "endOfConversation",
    "sessionId",
    "turn",
    "event",
    "inputmode",
    "confidence",
    "utterance",
    "interpretation",
    "transferType",
    "transferTarget",
    "transferTags",
    "transfer",
    "summary",
    "transcriptUrl",
];
/// The field that listens, and the item that transfers.
const HEARD: &str = "heard";
const RESULT: &str = "transferResult";

/// Whether a name can be a variable of the dialog that is not one of its own.
pub(super) fn is_variable(name: &str) -> bool {
    let starts = name.chars().next().is_some_and(|c| c.is_ascii_alphabetic());
    let is_own = OWN.contains(&name) || name == HEARD || name == RESULT;
    starts && name.len() <= 64 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_') && !is_own
}

/// A text without the characters that XML 1.0 has no place for.
pub(super) fn clean(text: &str) -> String {
    let fits = |c: &char| matches!(c, '\t' | '\n' | '\r' | '\u{20}'..='\u{d7ff}' | '\u{e000}'..='\u{fffd}' | '\u{10000}'..);
    text.chars().filter(fits).collect()
}

/// The whole document. `root`: the IVR's application root document.
pub(super) fn document(answer: &Answer, settings: &Settings, root: Option<&str>) -> Vec<u8> {
    let mut out = Writer::new(Vec::new());
    // Writing into memory does not fail.
    _ = write(&mut out, answer, settings, root);
    out.into_inner()
}

fn write(out: &mut Out, answer: &Answer, settings: &Settings, root: Option<&str>) -> io::Result<()> {
    out.write_event(Event::Decl(BytesDecl::new("1.0", Some("UTF-8"), None)))?;
    if let Some(doctype) = &settings.doctype {
        out.write_event(Event::DocType(BytesText::from_escaped(doctype.declaration())))?;
    }
    let language = match &answer.then {
        Then::Listen(asks) => asks.voice.language.as_ref().unwrap_or(&settings.language),
        Then::Wait | Then::End(_) | Then::GiveBack(_) => &settings.language,
    };
    let attributes = [("version", "2.1"), ("xmlns", VXML), ("xml:lang", language)];
    let mut vxml = out.create_element("vxml").with_attributes(attributes);
    let root = root.map(clean).filter(|root| !root.is_empty());
    if let Some(root) = &root {
        vxml = vxml.with_attribute(("application", root.as_str()));
    }
    vxml.write_inner_content(|out| {
        if let Then::Listen(asks) = &answer.then {
            properties(out, asks)?;
        }
        let form = out.create_element("form").with_attribute(("id", "turn"));
        form.write_inner_content(|out| match &answer.then {
            Then::Listen(asks) => listen(out, answer, asks, settings),
            Then::Wait => say_and_return(out, answer, settings, false, &[("event", json!("continue"))]),
            Then::End(_) => say_and_return(out, answer, settings, true, &[]),
            Then::GiveBack(given) => give_back(out, answer, given, settings),
        })?;
        Ok(())
    })?;
    Ok(())
}

/// How it listens. A call control parameter of the flow counts more than what the node says in other words.
fn properties(out: &mut Out, asks: &Asks) -> io::Result<()> {
    let mut properties = vec![("bargein".to_owned(), asks.barge_in.to_string())];
    if let Some(ms) = asks.timeout_ms {
        properties.push(("timeout".into(), format!("{ms}ms")));
    }
    if let Takes::Digits { end_key, .. } = &asks.takes {
        properties.push(("termchar".into(), end_key.map(String::from).unwrap_or_default()));
        if asks.voice.grammar.is_none() {
            properties.push(("inputmodes".into(), "dtmf".into()));
        }
    }
    for (name, value) in &asks.voice.parameters {
        let value = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        properties.retain(|(known, _)| known != name);
        properties.push((name.clone(), value));
    }
    for (name, value) in properties.iter().filter(|(name, _)| is_name(name)) {
        let property = out.create_element("property").with_attribute(("name", name.as_str()));
        property.with_attribute(("value", clean(value).as_str())).write_empty()?;
    }
    if let Some(url) = asks.voice.fallback_url.as_ref().filter(|url| grammar::is_reference(url)) {
        let hangup = out.create_element("catch").with_attribute(("event", "connection.disconnect.hangup"));
        hangup.write_inner_content(|out| {
            out.create_element("submit").with_attribute(("next", clean(url).as_str())).write_empty().map(drop)
        })?;
    }
    Ok(())
}

/// A name token (XML 1.0), in the characters that properties of the field have.
fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"._-:".contains(&b))
}

fn listen(out: &mut Out, answer: &Answer, asks: &Asks, settings: &Settings) -> io::Result<()> {
    let key = settings.input_key.as_str();
    let mut names = common(out, answer, false)?;
    for name in [key, "event", "inputmode", "confidence", "utterance", "interpretation"] {
        variable(out, name, &json!(""))?;
        names.push(name);
    }
    let language = asks.voice.language.as_ref().unwrap_or(&settings.language);
    let field = out.create_element("field").with_attribute(("name", HEARD));
    field.write_inner_content(|out| {
        prompts(out, &answer.prompts, asks.barge_in)?;
        grammar::write(out, &asks.takes, asks.voice.grammar.as_deref(), &settings.grammar, language)?;
        for event in ["noinput", "nomatch"] {
            out.create_element(event).write_inner_content(|out| {
                assign(out, "event", &literal(&json!(event)))?;
                returns(out, &names)
            })?;
        }
        out.create_element("filled").write_inner_content(|out| {
            assign(out, key, HEARD)?;
            for shadow in ["inputmode", "confidence", "utterance", "interpretation"] {
                assign(out, shadow, &format!("{HEARD}$.{shadow}"))?;
            }
            returns(out, &names)
        })?;
        Ok(())
    })?;
    Ok(())
}

fn say_and_return(
    out: &mut Out,
    answer: &Answer,
    settings: &Settings,
    over: bool,
    told: &[(&'static str, Value)],
) -> io::Result<()> {
    let mut names = common(out, answer, over)?;
    variable(out, &settings.input_key, &json!(""))?;
    names.push(&settings.input_key);
    for (name, value) in told {
        variable(out, name, value)?;
        names.push(name);
    }
    out.create_element("block").write_inner_content(|out| {
        prompts(out, &answer.prompts, false)?;
        returns(out, &names)
    })?;
    Ok(())
}

/// The call is given back: with what is needed to transfer it, or with the transfer itself.
fn give_back(out: &mut Out, answer: &Answer, given: &GivenBack, settings: &Settings) -> io::Result<()> {
    let details = super::json::transfer(given);
    let mut told = vec![
        ("transferType", json!(given.kind())),
        ("transferTarget", json!(given.call.destination.as_deref().unwrap_or_default())),
        ("transferTags", json!(given.call.transfer_tags)),
        ("transfer", details),
    ];
    told.extend(super::json::told(given));
    let destination = given.call.destination.as_deref().and_then(address);
    let (Transfer::Execute, Some(destination)) = (settings.transfer, destination) else {
        return say_and_return(out, answer, settings, true, &told);
    };
    let mut names = common(out, answer, true)?;
    told.push((RESULT, json!("unknown")));
    for (name, value) in &told {
        variable(out, name, value)?;
        names.push(name);
    }
    // The transfer has a variable of its own: one that is set already would be an item that is done.
    let aai = user_to_user(given);
    out.create_element("block").write_inner_content(|out| prompts(out, &answer.prompts, false))?;
    let mut transfer = out.create_element("transfer").with_attributes([
        ("name", HEARD),
        ("dest", destination.as_str()),
        ("type", given.kind()),
        ("connecttimeout", "30s"),
    ]);
    if let Some(aai) = &aai {
        transfer = transfer.with_attribute(("aai", aai.as_str()));
    }
    transfer.write_inner_content(|out| {
        // The caller went to the agent, or nowhere: the IVR's application learns which.
        let events = "connection.disconnect.transfer error.connection error.unsupported";
        let gone = out.create_element("catch").with_attribute(("event", events));
        gone.write_inner_content(|out| {
            assign(out, RESULT, "_event")?;
            returns(out, &names)
        })?;
        out.create_element("filled").write_inner_content(|out| {
            assign(out, RESULT, HEARD)?;
            returns(out, &names)
        })?;
        Ok(())
    })?;
    Ok(())
}

/// A destination as an address: a telephone number by `tel:`.
fn address(destination: &str) -> Option<String> {
    let text = clean(destination);
    let is_uri = ["sip:", "sips:", "tel:"].iter().any(|scheme| text.starts_with(scheme));
    let is_number = text.trim_start_matches('+').bytes().all(|b| b.is_ascii_digit()) && text.len() > 1;
    let fits = !text.is_empty() && !text.contains(char::is_whitespace);
    (fits && (is_uri || is_number)).then(|| if is_uri { text } else { format!("tel:{text}") })
}

/// What travels with the transfer as application-to-application information.
fn user_to_user(given: &GivenBack) -> Option<String> {
    let named = given.call.headers.iter().find(|(name, _)| name.eq_ignore_ascii_case("User-to-User"));
    named.map(|(_, value)| clean(value))
}

/// The variables that every dialog returns.
fn common(out: &mut Out, answer: &Answer, over: bool) -> io::Result<Vec<&'static str>> {
    variable(out, "endOfConversation", &json!(over))?;
    variable(out, "sessionId", &json!(answer.session))?;
    variable(out, "turn", &json!(answer.turn))?;
    Ok(vec!["endOfConversation", "sessionId", "turn"])
}

fn variable(out: &mut Out, name: &str, value: &Value) -> io::Result<()> {
    let variable = out.create_element("var").with_attribute(("name", name));
    variable.with_attribute(("expr", literal(value).as_str())).write_empty().map(drop)
}

/// A value as ECMAScript 3 writes it, in which two line ends may not stand in a text, and an object needs brackets.
fn literal(value: &Value) -> String {
    let text = clean(&value.to_string()).replace('\u{2028}', "\\u2028").replace('\u{2029}', "\\u2029");
    if value.is_object() { format!("({text})") } else { text }
}

fn assign(out: &mut Out, name: &str, expression: &str) -> io::Result<()> {
    let assign = out.create_element("assign").with_attribute(("name", name));
    assign.with_attribute(("expr", expression)).write_empty().map(drop)
}

fn returns(out: &mut Out, names: &[&str]) -> io::Result<()> {
    out.create_element("return")
        .with_attribute(("namelist", names.join(" ").as_str()))
        .write_empty()
        .map(drop)
}

fn prompts(out: &mut Out, prompts: &[Prompt], barge_in: bool) -> io::Result<()> {
    for prompt in prompts {
        let element =
            out.create_element("prompt").with_attribute(("bargein", if barge_in { "true" } else { "false" }));
        element.write_inner_content(|out| match prompt {
            Prompt::Words(words) => out.write_event(Event::Text(BytesText::new(&clean(words)))),
            Prompt::Recording { link, words } => {
                let audio = out.create_element("audio").with_attribute(("src", clean(link).as_str()));
                audio.write_text_content(BytesText::new(&clean(words))).map(drop)
            }
            Prompt::Pause(ms) => {
                let time = format!("{ms}ms");
                out.create_element("break").with_attribute(("time", time.as_str())).write_empty().map(drop)
            }
        })?;
    }
    Ok(())
}
