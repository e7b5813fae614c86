//! A name that is safe to show and to save. What a sender calls a file may hold parts of a path, control characters, or
//! letters that turn what follows around (`\u{202e}gpj.exe` reads `exe.jpg`).

/// The longest name, in bytes: what file systems take.
const LONGEST: usize = 255;

/// The name without what is dangerous or invisible. None: nothing is left.
pub fn clean(name: &str) -> Option<String> {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let mut clean: String = last.chars().filter(|letter| !is_hidden(*letter)).map(printable).collect();
    loop {
        let trimmed = clean.trim_matches(|letter: char| letter.is_whitespace()).trim_end_matches('.');
        let trimmed = trimmed.trim_start_matches("..");
        if trimmed.len() == clean.len() {
            break;
        }
        clean = trimmed.to_owned();
    }
    if clean.chars().all(|letter| letter == '.') {
        return None;
    }
    if is_device(&clean) {
        clean.insert(0, '_');
    }
    Some(shorten(clean))
}

/// Control characters, and those that show nothing or turn the text around.
fn is_hidden(letter: char) -> bool {
    letter.is_control()
        || matches!(letter,
            '\u{00ad}' | '\u{061c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}')
}

/// What some systems do not take in names.
fn printable(letter: char) -> char {
    if matches!(letter, '<' | '>' | ':' | '"' | '|' | '?' | '*') { '_' } else { letter }
}

/// Windows opens a device instead.
fn is_device(name: &str) -> bool {
    let stem = name.split('.').next().unwrap_or_default().trim_end().to_ascii_lowercase();
    let numbered =
        |prefix: &str| stem.strip_prefix(prefix).is_some_and(|rest| matches!(rest.as_bytes(), [b'0'..=b'9']));
    matches!(stem.as_str(), "con" | "prn" | "aux" | "nul") || numbered("com") || numbered("lpt")
}

/// The extension says what it is, so it stays.
fn shorten(name: String) -> String {
    if name.len() <= LONGEST {
        return name;
    }
    let (stem, extension) = match name.rsplit_once('.') {
        Some((stem, extension)) if !stem.is_empty() && extension.len() <= 16 => {
            (stem, format!(".{extension}"))
        }
        _ => (name.as_str(), String::new()),
    };
    let room = LONGEST - extension.len();
    let end = (0..=room).rev().find(|at| stem.is_char_boundary(*at)).unwrap_or(0);
    let stem = stem.get(..end).unwrap_or_default().trim_end_matches(|letter: char| letter.is_whitespace());
    format!("{}{extension}", stem.trim_end_matches('.'))
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_last_part_of_a_path_is_a_name() {
        assert_eq!(clean("../../etc/passwd").as_deref(), Some("passwd"));
        assert_eq!(clean(r"C:\Users\ann\my cat.png").as_deref(), Some("my cat.png"));
        assert_eq!(clean("a/b/").as_deref(), None);
        assert_eq!(clean("..").as_deref(), None);
        assert_eq!(clean(" ... ").as_deref(), None);
    }

    #[test]
    fn what_turns_or_hides_letters_goes() {
        assert_eq!(clean("photo\u{202e}gpj.exe").as_deref(), Some("photogpj.exe"));
        assert_eq!(clean("a\u{200b}\r\nb\0.pdf").as_deref(), Some("ab.pdf"));
        assert_eq!(clean("bill?.pdf. ").as_deref(), Some("bill_.pdf"));
        assert_eq!(clean("NUL.txt").as_deref(), Some("_NUL.txt"));
        assert_eq!(clean("名前.pdf").as_deref(), Some("名前.pdf"));
    }

    #[test]
    fn a_long_name_keeps_its_extension() {
        let long = clean(&format!("{}.docx", "ä".repeat(4_000))).unwrap();
        assert!(long.len() <= 255 && long.ends_with("ä.docx"), "{long}");
    }

    proptest! {
        #[test]
        fn cleaning_again_changes_nothing(name in any::<String>()) {
            if let Some(once) = clean(&name) {
                prop_assert!(!once.is_empty() && once.len() <= LONGEST);
                prop_assert!(!once.contains(['/', '\\', '\0', '\n']));
                prop_assert_eq!(clean(&once), Some(once.clone()));
            }
        }

        #[test]
        fn cleaning_dots_and_spaces_again_changes_nothing(name in "[. \u{202e}a:]{0,12}") {
            if let Some(once) = clean(&name) {
                prop_assert_eq!(clean(&once), Some(once.clone()));
            }
        }
    }
}
