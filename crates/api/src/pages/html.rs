//! Text into markup. Everything that a person wrote passes here on its way into a page.

use std::borrow::Cow;

/// What goes into a template's place.
pub(super) enum Slot<'a> {
    /// Somebody's words: shown as they are, whatever they hold.
    Text(Cow<'a, str>),
    /// Markup that [`fill`] made.
    Markup(String),
}

impl<'a> Slot<'a> {
    pub(super) fn text(text: impl Into<Cow<'a, str>>) -> Self {
        Self::Text(text.into())
    }
}

/// Fills the places `{{name}}` of a template of ours. What is filled in is not looked through again; a place without a
/// value stays empty.
pub(super) fn fill(template: &str, slots: &[(&str, Slot<'_>)]) -> String {
    let mut page = String::with_capacity(template.len() + 1024);
    let mut rest = template;
    while let Some((before, (name, after))) =
        rest.split_once("{{").and_then(|(before, after)| Some((before, after.split_once("}}")?)))
    {
        page.push_str(before);
        match slots.iter().find(|(slot, _)| *slot == name).map(|(_, slot)| slot) {
            Some(Slot::Text(text)) => escape(&mut page, text),
            Some(Slot::Markup(markup)) => page.push_str(markup),
            None => {}
        }
        rest = after;
    }
    page.push_str(rest);
    page
}

/// Adds text to markup, between tags or in a quoted attribute. Source: HTML Living Standard, 13.3 "Escaping a string";
/// control characters, which HTML forbids, become U+FFFD.
fn escape(page: &mut String, text: &str) {
    for letter in text.chars() {
        match letter {
            '&' => page.push_str("&amp;"),
            '<' => page.push_str("&lt;"),
            '>' => page.push_str("&gt;"),
            '"' => page.push_str("&quot;"),
            '\'' => page.push_str("&#39;"),
            '\n' | '\t' => page.push(letter),
            // A browser would make a line end of it; so would we, if it stood alone.
            '\r' => page.push_str("&#13;"),
            letter if letter.is_control() => page.push('\u{fffd}'),
            letter => page.push(letter),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        let mut page = String::new();
        escape(&mut page, text);
        page
    }

    #[test]
    fn no_text_opens_a_tag_ends_an_attribute_or_names_an_entity() {
        assert_eq!(escaped("<img src=x onerror=alert(1)>"), "&lt;img src=x onerror=alert(1)&gt;");
        assert_eq!(escaped(r#"" onclick='x'"#), "&quot; onclick=&#39;x&#39;");
        assert_eq!(escaped("&lt;"), "&amp;lt;");
        assert_eq!(escaped("a\nb\tc\r\n\0\u{7f}\u{85}"), "a\nb\tc&#13;\n\u{fffd}\u{fffd}\u{fffd}");
        assert_eq!(escaped("שלום 👋 {{name}}"), "שלום 👋 {{name}}");
        // Every single character: none of them leaves text.
        for letter in (0..=0x10_FFFF_u32).filter_map(char::from_u32) {
            let escaped = escaped(&letter.to_string());
            assert!(!escaped.contains(['<', '>', '"', '\'', '\0']), "{letter:?}");
        }
    }

    #[test]
    fn what_is_filled_in_is_not_a_template() {
        let slots = [("a", Slot::text("{{b}}")), ("b", Slot::Markup("<b>{{a}}</b>".into()))];
        assert_eq!(fill("<p>{{a}} {{b}}{{c}}</p>", &slots), "<p>{{b}} <b>{{a}}</b></p>");
        assert_eq!(fill("no {{end", &slots), "no {{end");
    }
}
