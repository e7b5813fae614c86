//! Words: long lines cut to what the vendor takes, and what stands for a message that is richer than words.

use serde_json::Value;

/// A line may have so many characters: the vendor's limit for agents' lines, kept both ways because the one inbound is not
/// documented.
pub(super) const LONGEST: usize = 2_000;

/// A line in pieces of at most [`LONGEST`] characters, cut at a line's end or between words where there is one near. Joined
/// they are the line again, but for the white space at the cuts.
pub(super) fn pieces(text: &str) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while !rest.is_empty() {
        let Some((end, _)) = rest.char_indices().nth(LONGEST) else {
            pieces.push(rest);
            break;
        };
        let (head, _) = rest.split_at(end);
        let near = head.floor_char_boundary(end / 2);
        let cut =
            head.rfind('\n').filter(|at| *at > near).or_else(|| head.rfind(' ').filter(|at| *at > near));
        let (piece, tail) = rest.split_at(cut.unwrap_or(end));
        pieces.push(piece.trim_end());
        rest = tail.trim_start();
    }
    pieces
}

/// The words of a message, or what stands for its rich content: an agent's choice must not be lost because we draw no cards.
pub(super) fn of_message(text: Option<&str>, content: &[Value]) -> String {
    let mut lines: Vec<String> =
        text.filter(|text| !text.trim().is_empty()).map(str::to_owned).into_iter().collect();
    for one in content {
        describe(one, &mut lines);
    }
    lines.dedup();
    lines.join("\n")
}

fn describe(content: &Value, lines: &mut Vec<String>) {
    let mut say = |value: &Value, before: &str| {
        if let Some(text) = value.as_str().filter(|text| !text.trim().is_empty()) {
            lines.push(format!("{before}{text}"));
        }
    };
    match content["contentType"].as_str().unwrap_or_default() {
        // Travels as a file.
        "Attachment" => say(&content["attachment"]["text"], ""),
        "Text" => say(&content["text"]["body"], ""),
        "QuickReply" => say(&content["quickReply"]["text"], "- "),
        "ButtonResponse" => say(&content["buttonResponse"]["text"], ""),
        "Location" => {
            say(&content["location"]["text"], "");
            say(&content["location"]["url"], "");
        }
        "Card" => card(&content["card"], lines),
        "Carousel" => {
            content["carousel"]["cards"].as_array().into_iter().flatten().for_each(|it| card(it, lines))
        }
        "DatePicker" => {
            say(&content["datePicker"]["title"], "");
            say(&content["datePicker"]["subtitle"], "");
            for time in content["datePicker"]["availableTimes"].as_array().into_iter().flatten() {
                say(&time["dateTime"], "- ");
            }
        }
        "ListPicker" => {
            say(&content["listPicker"]["receivedMessage"]["title"], "");
            for section in content["listPicker"]["sections"].as_array().into_iter().flatten() {
                for item in section["items"].as_array().into_iter().flatten() {
                    say(&item["title"], "- ");
                }
            }
        }
        // Unknown, or nothing that words can stand for: the message's own text does.
        _ => {}
    }
}

fn card(card: &Value, lines: &mut Vec<String>) {
    for part in ["title", "description", "image"] {
        lines.extend(card[part].as_str().filter(|text| !text.is_empty()).map(str::to_owned));
    }
    for action in card["actions"].as_array().into_iter().flatten() {
        let parts: Vec<&str> =
            [&action["text"], &action["url"]].into_iter().filter_map(Value::as_str).collect();
        if !parts.is_empty() {
            lines.push(format!("- {}", parts.join(": ")));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_long_line_is_cut_between_words_and_nothing_is_lost() {
        let text = "Größe 你好 ".repeat(700);
        let pieces = pieces(&text);
        assert!(pieces.len() > 2 && pieces.iter().all(|piece| piece.chars().count() <= LONGEST));
        assert_eq!(pieces.join(" "), text.trim());
        let solid = "x".repeat(4_500);
        assert_eq!(super::pieces(&solid).iter().map(|it| it.len()).collect::<Vec<_>>(), [2_000, 2_000, 500]);
        assert!(super::pieces("  \n ").is_empty());
    }

    #[test]
    fn what_is_rich_is_said_in_words() {
        let content = [
            json!({ "contentType": "QuickReply", "quickReply": { "text": "Yes", "payload": "y" } }),
            json!({ "contentType": "Card", "card": { "title": "A seat", "description": "12A",
                    "actions": [{ "type": "Link", "text": "Book", "url": "https://example.com/b" }] } }),
            json!({ "contentType": "Hologram", "hologram": { "deep": [[[1]]] } }),
            json!("nonsense"),
        ];
        assert_eq!(
            of_message(Some("Choose:"), &content),
            "Choose:\n- Yes\nA seat\n12A\n- Book: https://example.com/b"
        );
        assert_eq!(of_message(None, &[]), "");
    }
}
