//! What is said to a caller, as prompts.

use std::path::Path;

use interline_core::conversation::entry::{Recording, Text};
use interline_media::Prompt;

/// How a line is heard.
pub fn line(text: &Text, audio: Option<&Path>, voice: Option<&str>) -> Vec<Prompt> {
    let words = || (!text.text.trim().is_empty()).then(|| spoken(&text.text, voice));
    let recorded = match &text.recording {
        Some(Recording::Link(link)) => link.parse().ok().map(Prompt::Url),
        Some(Recording::Audio(name)) => audio.and_then(|folder| file(folder, name)),
        None => None,
    };
    recorded.or_else(words).into_iter().collect()
}

/// What a script says: texts and addresses of audio files.
pub fn script(parts: &[String], voice: Option<&str>) -> Vec<Prompt> {
    let one = |part: &String| match part.parse() {
        Ok(url) if part.starts_with("http://") || part.starts_with("https://") => Prompt::Url(url),
        Ok(_) | Err(_) => spoken(part, voice),
    };
    parts.iter().filter(|part| !part.trim().is_empty()).map(one).collect()
}

fn spoken(text: &str, voice: Option<&str>) -> Prompt {
    Prompt::Text { text: text.to_owned(), voice: voice.map(str::to_owned) }
}

/// A file of the folder. A name leads nowhere else.
fn file(folder: &Path, name: &str) -> Option<Prompt> {
    let plain = !name.is_empty() && !name.starts_with('.') && !name.contains(['/', '\\', '\0']);
    plain.then(|| Prompt::File(folder.join(name)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_recording_stands_for_words_and_stays_in_its_folder() {
        let text = |recording| Text { recording, ..Text::plain("Hello.") };
        let folder = Path::new("/srv/audio");
        let heard = |recording| format!("{:?}", line(&text(recording), Some(folder), None));
        assert!(heard(None).contains("Hello."));
        assert!(heard(Some(Recording::Audio("hi.wav".into()))).contains("/srv/audio/hi.wav"));
        for bad in ["../etc/passwd", "/etc/passwd", "", ".", "a/b.wav"] {
            assert!(heard(Some(Recording::Audio(bad.into()))).contains("Hello."), "{bad}");
        }
        let link = line(&text(Some(Recording::Link("https://a.example/hi.mp3".into()))), None, None);
        assert!(
            matches!(&link[..], [Prompt::Url(url)] if url.as_str() == "https://a.example/hi.mp3"),
            "{link:?}"
        );
        assert_eq!(line(&Text::plain(" "), None, None).len(), 0);
        assert_eq!(script(&["Hi".into(), "https://a.example/b.wav".into(), String::new()], None).len(), 2);
    }
}
