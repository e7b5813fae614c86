//! Understanding by a service that speaks OpenAI's protocol: `POST {base}/v1/audio/transcriptions`.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use interline_connector::Http;
use interline_connector::http::{Part, Payload, Request};
use secrecy::SecretString;
use serde::Deserialize;
use url::Url;

use super::{Hearing, Utterance};
use crate::audio::wav;

const DEADLINE: Duration = Duration::from_secs(20);

/// The service.
pub struct OpenAi {
    /// Its address; `/v1/audio/transcriptions` is added.
    pub base: Url,
    /// Its key. None: it wants none.
    pub key: Option<SecretString>,
    /// The model.
    pub model: String,
    /// The language, as ISO 639-1 has it. None: it finds out.
    pub language: Option<String>,
    /// The way out.
    pub http: Http,
}

#[derive(Deserialize)]
struct Answer {
    text: String,
}

#[async_trait]
impl Hearing for OpenAi {
    async fn understand(&self, said: &Utterance) -> Result<String, String> {
        let mut file = wav::header(8000, 1, said.samples.len() * 2).to_vec();
        file.extend(said.samples.iter().flat_map(|sample| sample.to_le_bytes()));
        let word =
            |name, value: &str| Part::bytes(name, "text/plain", Bytes::copy_from_slice(value.as_bytes()));
        let mut parts = vec![word("model", &self.model), word("response_format", "json")];
        parts.extend(self.language.iter().map(|language| word("language", language)));
        parts.push(Part {
            file: Some("said.wav".to_owned()),
            ..Part::bytes("file", "audio/wav", file.into())
        });
        let url = crate::studio::below(&self.base, "v1/audio/transcriptions");
        let mut request = Request::post(url).body(Payload::Multipart(parts)).deadline(DEADLINE);
        if let Some(key) = &self.key {
            request = request.bearer(key);
        }
        let reply = self.http.send(request).await.map_err(|failure| failure.cause().code.clone())?;
        let answer: Answer = reply.json().map_err(|failure| failure.cause().code.clone())?;
        Ok(answer.text)
    }
}
