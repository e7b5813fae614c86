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

#[cfg(test)]
mod tests {
    use axum::body::Bytes;
    use axum::http::{HeaderMap, StatusCode};
    use axum::routing::post;
    use interline_connector::Guard;

    use super::*;

    /// Understands what is asked with the right key and fields, and nothing else.
    async fn answer(headers: HeaderMap, body: Bytes) -> (StatusCode, &'static str) {
        let has = |part: &[u8]| body.windows(part.len()).any(|here| here == part);
        let fields =
            [&b"name=\"model\""[..], b"whisper-1", b"name=\"language\"", b"filename=\"said.wav\"", b"RIFF"];
        if headers["authorization"] != "Bearer sk-test" {
            return (StatusCode::UNAUTHORIZED, "");
        }
        if !fields.iter().all(|field| has(field)) {
            return (StatusCode::BAD_REQUEST, "");
        }
        (StatusCode::OK, r#"{"text":" An agent, please. "}"#)
    }

    async fn asking(key: &str) -> OpenAi {
        let app = axum::Router::new().route("/v1/audio/transcriptions", post(answer));
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let base: Url = format!("http://{}/", listener.local_addr().expect("bound")).parse().expect("a URL");
        tokio::spawn(async move { axum::serve(listener, app).await });
        let guard = Guard::default();
        guard.allow(&base);
        let http = Http::new(guard).expect("TLS");
        let key = Some(key.to_owned().into());
        OpenAi { base, key, model: "whisper-1".to_owned(), language: Some("en".to_owned()), http }
    }

    #[tokio::test]
    async fn a_service_understands() {
        let said = Utterance { samples: vec![5; 8000] };
        assert_eq!(asking("sk-test").await.understand(&said).await, Ok(" An agent, please. ".to_owned()));
        assert!(asking("sk-other").await.understand(&said).await.is_err());
    }
}
