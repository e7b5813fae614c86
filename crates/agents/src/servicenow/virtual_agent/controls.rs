//! What a control shows, as words and files. Source: the table "Control types" of the vendor's page.

use serde_json::Value;

use super::super::plain;
use super::wire::Control;

/// A list of choices shows so many.
const MOST_CHOICES: usize = 50;

/// What a control shows.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Shown {
    /// The words; empty: none.
    pub words: String,
    /// Where a picture or another file is, and what it is called.
    pub file: Option<(Option<String>, String)>,
}

/// None: nothing that is for people.
pub(super) fn shown(control: &Control) -> Option<Shown> {
    let words = match control.ui_type.as_deref()? {
        "OutputText" => first([control.value.as_str(), control.label.as_deref()]),
        "OutputHtml" => html(control),
        "OutputImage" => return picture(control),
        "OutputLink" => return link(control),
        "GroupedPartsOutputControl" => grouped(control),
        "OutputCard" => card(control.data.as_deref()?),
        "Picker" | "TopicPickerControl" | "Boolean" => choices(control),
        "InputText" | "FileUpload" | "Date" | "Time" | "DateTime" => first([control.label.as_deref()]),
        "MultiPartOutput" => first([control.content.as_deref()]),
        _ => return None,
    };
    (!words.is_empty()).then_some(Shown { words, file: None })
}

fn first<'a>(texts: impl IntoIterator<Item = Option<&'a str>>) -> String {
    texts.into_iter().flatten().find(|text| !text.trim().is_empty()).unwrap_or_default().to_owned()
}

fn html(control: &Control) -> String {
    let mut lines = vec![plain::words(control.value.as_str().unwrap_or_default())];
    lines.extend(control.image_url.clone());
    lines.extend(control.links.as_array().into_iter().flatten().filter_map(labelled));
    joined(lines)
}

fn picture(control: &Control) -> Option<Shown> {
    let url = control.value.as_str().filter(|url| !url.is_empty())?;
    Some(Shown { words: String::new(), file: Some((control.alt_text.clone(), url.to_owned())) })
}

/// An agent's file comes as a link: whether it is one is for whoever knows the instance's addresses.
fn link(control: &Control) -> Option<Shown> {
    let url = control.value["action"].as_str().or(control.value.as_str()).filter(|url| !url.is_empty())?;
    let name = first([control.label.as_deref(), control.header.as_deref()]);
    let file = Some(((!name.is_empty()).then(|| name.clone()), url.to_owned()));
    let words = if name.is_empty() { url.to_owned() } else { format!("{name}: {url}") };
    Some(Shown { words, file })
}

fn grouped(control: &Control) -> String {
    let mut lines = vec![control.header.clone().unwrap_or_default()];
    lines.extend(control.values.as_array().into_iter().flatten().filter_map(labelled));
    joined(lines)
}

/// `label: address`, and what is said of it.
fn labelled(value: &Value) -> Option<String> {
    let url = value["action"].as_str().or(value["url"].as_str()).or(value.as_str())?;
    let label = value["label"].as_str().map_or_else(String::new, |label| format!("{label}: "));
    let more = value["description"].as_str().filter(|more| !more.is_empty());
    Some(format!("{label}{url}{}", more.map_or_else(String::new, |more| format!(" ({more})"))))
}

fn card(data: &str) -> String {
    let Ok(data) = serde_json::from_str::<Value>(data) else { return String::new() };
    let fields = ["title", "subtitle", "description", "url", "link"];
    joined(fields.iter().filter_map(|name| Some(data[*name].as_str()?.to_owned())).collect())
}

fn choices(control: &Control) -> String {
    let mut lines = vec![first([control.prompt_msg.as_deref(), control.label.as_deref()])];
    let labels = control.options.iter().filter_map(|choice| choice.label.clone());
    lines.extend(labels.take(MOST_CHOICES).map(|label| format!("- {label}")));
    joined(lines)
}

fn joined(lines: Vec<String>) -> String {
    lines.into_iter().filter(|line| !line.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(control: Value) -> Option<String> {
        let control: Control = serde_json::from_value(control).expect("a control");
        shown(&control).map(|shown| shown.words)
    }

    #[test]
    fn each_kind_has_its_words() {
        for (control, expected) in [
            (json!({ "uiType": "OutputText", "value": "hello" }), Some("hello")),
            (json!({ "uiType": "OutputText", "label": "File got" }), Some("File got")),
            (json!({ "uiType": "OutputText", "value": 7 }), None),
            (
                json!({ "uiType": "OutputHtml", "value": "<b>see</b>", "links": [{ "label": "a", "url": "https://a" }, 7] }),
                Some("see\na: https://a"),
            ),
            (
                json!({ "uiType": "OutputLink", "label": "Guide", "value": { "action": "https://g" } }),
                Some("Guide: https://g"),
            ),
            (
                json!({ "uiType": "GroupedPartsOutputControl", "header": "Found", "values": [{ "label": "A", "action": "https://a", "description": "d" }] }),
                Some("Found\nA: https://a (d)"),
            ),
            (
                json!({ "uiType": "OutputCard", "templateName": "x", "data": "{\"title\":\"T\",\"description\":\"D\"}" }),
                Some("T\nD"),
            ),
            (json!({ "uiType": "OutputCard", "data": "no JSON" }), None),
            (
                json!({ "uiType": "Picker", "label": "Which?", "options": [{ "label": "One", "value": "1" }, {}] }),
                Some("Which?\n- One"),
            ),
            (json!({ "uiType": "InputText", "label": "Your name" }), Some("Your name")),
            (json!({ "uiType": "MultiPartOutput", "content": "part" }), Some("part")),
            (json!({ "uiType": "StreamChunk", "value": "half" }), None),
            (json!({ "uiType": "Separator" }), None),
            (json!({ "value": "what is it" }), None),
        ] {
            assert_eq!(words(control.clone()).as_deref(), expected, "{control}");
        }
    }

    #[test]
    fn a_picture_is_a_file() {
        let control = json!({ "uiType": "OutputImage", "value": "https://i/x", "altText": "photo.png" });
        let control: Control = serde_json::from_value(control).expect("a control");
        let file = Some((Some("photo.png".to_owned()), "https://i/x".to_owned()));
        assert_eq!(shown(&control), Some(Shown { words: String::new(), file }));
    }
}
