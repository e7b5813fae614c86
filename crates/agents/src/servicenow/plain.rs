//! HTML as plain words: tags go, entities become what they stand for. What is left is text and is never shown as HTML.

/// An entity is at most so long; what looks like a longer one is words.
const LONGEST_ENTITY: usize = 10;

/// Words without tags. A tag at which a block begins or ends ends a line.
pub(super) fn words(html: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(html.len()), html);
    while let Some(at) = rest.find('<') {
        out.push_str(&rest[..at]);
        let tag = &rest[at + 1..];
        let is_tag = tag.starts_with(|c: char| c.is_ascii_alphabetic() || matches!(c, '/' | '!'));
        match tag.find('>').filter(|_| is_tag) {
            Some(end) => {
                if ends_line(&tag[..end]) && !out.ends_with('\n') && !out.is_empty() {
                    out.push('\n');
                }
                rest = &tag[end + 1..];
            }
            None => {
                out.push('<');
                rest = tag;
            }
        }
    }
    out.push_str(rest);
    unescaped(&out).trim().to_owned()
}

fn ends_line(tag: &str) -> bool {
    let name: String = tag.trim_start_matches('/').chars().take_while(char::is_ascii_alphanumeric).collect();
    let blocks = ["br", "p", "div", "li", "tr", "h1", "h2", "h3", "ul", "ol"];
    blocks.contains(&name.to_ascii_lowercase().as_str())
}

/// Entities become what they stand for. One that is not known stays as it is.
pub(super) fn unescaped(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('&') {
        out.push_str(&rest[..at]);
        rest = &rest[at..];
        let end = rest.char_indices().take(LONGEST_ENTITY).find(|(_, c)| *c == ';').map(|(end, _)| end);
        match end.and_then(|end| Some((end, entity(rest.get(1..end)?)?))) {
            Some((end, c)) => {
                out.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                out.push('&');
                rest = &rest[1..];
            }
        }
    }
    out.push_str(rest);
    out
}

fn entity(name: &str) -> Option<char> {
    Some(match name {
        "amp" => '&',
        "lt" => '<',
        "gt" => '>',
        "quot" => '"',
        "apos" => '\'',
        "nbsp" => ' ',
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16).ok()?,
                None => number.parse().ok()?,
            };
            char::from_u32(code).filter(|c| *c != '\0')?
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tags_go_and_words_stay() {
        assert_eq!(
            words("<p>Hello &amp; <b>welcome</b></p><p>1 &lt; 2<br/>bye</p>"),
            "Hello & welcome\n1 < 2\nbye"
        );
        assert_eq!(words("<b>Which?</b><ul><li>Red</li><li>Blue</li></ul>now"), "Which?\nRed\nBlue\nnow");
        assert_eq!(words("1 < 2 and 3 > 2"), "1 < 2 and 3 > 2");
        assert_eq!(words("<script>x"), "x");
        assert_eq!(words("a <b"), "a <b");
    }

    #[test]
    fn entities_are_undone_once() {
        assert_eq!(
            unescaped("&amp;lt; &#39;x&#x1F600; &unknown; & &#0; &"),
            "&lt; 'x\u{1f600} &unknown; & &#0; &"
        );
        assert_eq!(unescaped("ä&ä;&amp"), "ä&ä;&amp");
    }
}
