//! Who speaks.

use bytes::Bytes;
use interline_connector::Http;

use super::{Espeak, OpenAi};

/// Somebody who speaks.
#[derive(Debug, Clone)]
pub enum Voice {
    /// espeak-ng on this machine.
    Espeak(Espeak),
    /// A service.
    OpenAi(OpenAi),
}

impl Voice {
    /// What the log calls it.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Espeak(_) => "espeak",
            Self::OpenAi(_) => "openai",
        }
    }

    /// What is different, sounds different.
    pub(super) fn id(&self, name: Option<&str>) -> String {
        match self {
            Self::Espeak(espeak) => espeak.id(name),
            Self::OpenAi(service) => service.id(name),
        }
    }

    /// A file in which it says `text`, with the voice `name`.
    pub(super) async fn speak(
        &self,
        http: Option<&Http>,
        text: &str,
        name: Option<&str>,
    ) -> Result<Bytes, String> {
        match self {
            Self::Espeak(espeak) => espeak.speak(text, name).await,
            Self::OpenAi(service) => service.speak(http.ok_or("there is no way out")?, text, name).await,
        }
    }
}

/// Whether this is markup (SSML).
pub(super) fn is_markup(text: &str) -> bool {
    text.trim_start().starts_with("<speak")
}

/// The text of markup.
pub(super) fn without_markup(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut inside = false;
    for letter in text.chars() {
        match letter {
            '<' => {
                inside = true;
                plain.push(' ');
            }
            '>' if inside => inside = false,
            _ if !inside => plain.push(letter),
            _ => {}
        }
    }
    let words: Vec<&str> = plain.split_whitespace().collect();
    words
        .join(" ")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&quot;", "\"")
        .replace("&apos;", "'")
        .replace("&amp;", "&")
}
