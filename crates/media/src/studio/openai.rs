//! Speech by a service that speaks OpenAI's protocol: `POST {base}/v1/audio/speech`.

use std::time::Duration;

use bytes::Bytes;
use interline_connector::Http;
use interline_connector::http::Request;
use secrecy::SecretString;
use serde::Serialize;
use url::Url;

use super::voice::{is_markup, without_markup};
use crate::audio::wav;

/// The service takes so many characters at once.
const AT_ONCE: usize = 4096;

/// The answer has to begin within this time.
const DEADLINE: Duration = Duration::from_secs(20);

/// Samples a second of `pcm`.
const PCM: u32 = 24_000;

/// What the service sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// WAV.
    #[default]
    Wav,
    /// MP3: a tenth of the bytes.
    Mp3,
    /// Samples without a header, 24 kHz.
    Pcm,
}

/// The service.
#[derive(Debug, Clone)]
pub struct OpenAi {
    /// Its address; `/v1/audio/speech` is added.
    pub base: Url,
    /// Its key. None: it wants none.
    pub key: Option<SecretString>,
    /// The model.
    pub model: String,
    /// The usual voice.
    pub voice: String,
    /// What it sends.
    pub format: Format,
}

#[derive(Serialize)]
struct Wanted<'a> {
    model: &'a str,
    input: &'a str,
    voice: &'a str,
    response_format: &'static str,
}

impl OpenAi {
    pub(super) fn id(&self, name: Option<&str>) -> String {
        format!("openai {} {} {}", self.base, self.model, name.unwrap_or(&self.voice))
    }

    pub(super) async fn speak(&self, http: &Http, text: &str, name: Option<&str>) -> Result<Bytes, String> {
        let plain = if is_markup(text) { without_markup(text) } else { text.to_owned() };
        let mut parts = Vec::new();
        for part in pieces(&plain, AT_ONCE) {
            parts.push(self.part(http, part, name.unwrap_or(&self.voice)).await?);
        }
        join(parts, self.format)
    }

    async fn part(&self, http: &Http, input: &str, voice: &str) -> Result<Bytes, String> {
        let response_format = match self.format {
            Format::Wav => "wav",
            Format::Mp3 => "mp3",
            Format::Pcm => "pcm",
        };
        let wanted = Wanted { model: &self.model, input, voice, response_format };
        let mut request =
            Request::post(below(&self.base, "v1/audio/speech")).json(&wanted).deadline(DEADLINE);
        if let Some(key) = &self.key {
            request = request.bearer(key);
        }
        let stream = http.open(request).await.map_err(|failure| failure.cause().code.clone())?;
        let all = tokio::time::timeout(DEADLINE * 3, super::collect(stream));
        all.await.map_err(|_| "the service takes too long".to_owned())?
    }
}

/// A path below an address, whether that ends in a slash or not.
pub(crate) fn below(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    url.set_path(&format!("{}/{path}", base.path().trim_end_matches('/')));
    url
}

/// A text in pieces of at most so many characters, cut at the end of a sentence if there is one, else of a word.
fn pieces(text: &str, most: usize) -> Vec<&str> {
    let mut pieces = Vec::new();
    let mut rest = text.trim();
    while let Some((end, _)) = rest.char_indices().nth(most) {
        let (head, _) = rest.split_at(end);
        let sentence = head.rfind(['.', '!', '?', '\n']).map(|at| at + 1);
        let cut = sentence.or_else(|| head.rfind(' ')).filter(|at| *at > 0).unwrap_or(end);
        let (piece, after) = rest.split_at(cut);
        pieces.push(piece.trim());
        rest = after.trim_start();
    }
    pieces.push(rest);
    pieces
}

/// One file of several.
fn join(mut parts: Vec<Bytes>, format: Format) -> Result<Bytes, String> {
    match format {
        // MP3 files follow each other without more ado.
        Format::Mp3 => Ok(parts.concat().into()),
        Format::Pcm => {
            let samples = parts.concat();
            let mut file = wav::header(PCM, 1, samples.len()).to_vec();
            file.extend(samples);
            Ok(file.into())
        }
        Format::Wav if parts.len() == 1 => Ok(parts.remove(0)),
        Format::Wav => {
            let (mut rate, mut samples) = (PCM, Vec::new());
            for part in parts {
                let sound = wav::read(&part).map_err(|why| why.to_string())?;
                rate = sound.rate;
                samples.extend(sound.samples.iter().flat_map(|sample| sample.to_le_bytes()));
            }
            let mut file = wav::header(rate, 1, samples.len()).to_vec();
            file.extend(samples);
            Ok(file.into())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_texts_are_cut_where_nobody_hears_it() {
        assert_eq!(pieces("One. Two. Three", 10), ["One. Two.", "Three"]);
        assert_eq!(pieces("one two three", 8), ["one two", "three"]);
        assert_eq!(pieces("äöüäöüäöü", 4), ["äöüä", "öüäö", "ü"]);
        assert_eq!(pieces("short", 10), ["short"]);
    }

    #[test]
    fn addresses_with_and_without_a_slash() {
        let below = |base: &str| below(&base.parse().expect("a URL"), "v1/x").to_string();
        assert_eq!(below("http://h:1"), "http://h:1/v1/x");
        assert_eq!(below("http://h:1/a/"), "http://h:1/a/v1/x");
    }
}
