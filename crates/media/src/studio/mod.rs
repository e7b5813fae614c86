//! Where prompts are made: text is spoken, files and URLs are read, tones are put together. What was made is kept: in
//! memory as it is played, spoken text also on disk, both bounded.
//!
//! | file | concept |
//! |---|---|
//! | `voice.rs` | who speaks: a program, or a service |
//! | `espeak.rs` | espeak-ng as a process: needs no network |
//! | `openai.rs` | speech by an OpenAI-compatible service |
//! | `shelf.rs` | what was made, in memory |
//! | `disk.rs` | what was spoken, on disk |
//! | `builtin.rs` | sounds that are always there |

mod builtin;
mod disk;
mod espeak;
mod openai;
mod shelf;
mod voice;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use interline_connector::Http;
use interline_connector::files::FileStream;
use tokio::sync::Semaphore;

use crate::audio::sound::Sound;
use crate::prompt::Prompt;

pub use espeak::Espeak;
pub(crate) use openai::below;
pub use openai::{Format, OpenAi};
pub use voice::Voice;

/// Files of prompts are at most so long, in bytes.
const LARGEST: usize = 32 * 1024 * 1024;

/// A URL has to give its file within this time.
const FETCH: Duration = Duration::from_secs(15);

/// What is spoken is at most so long, in characters.
const LONGEST: usize = 20_000;

/// So much is made at the same time: more would take the processor from the calls.
const AT_ONCE: usize = 4;

/// How prompts are made.
#[derive(Clone)]
pub struct StudioConfig {
    /// Who speaks. The next one speaks where one before cannot. Empty: nobody; text becomes a signal.
    pub voices: Vec<Voice>,
    /// Where spoken text is kept. None: in memory alone.
    pub cache: Option<PathBuf>,
    /// So many bytes are kept there.
    pub cache_bytes: u64,
    /// So many bytes are kept in memory.
    pub memory_bytes: usize,
    /// Music for those who wait, WAV or MP3. None: what is built in.
    pub music: Option<PathBuf>,
    /// The way out, for URLs and services. None: there is none.
    pub http: Option<Http>,
}

impl Default for StudioConfig {
    /// espeak-ng, nothing on disk, no way out.
    fn default() -> Self {
        Self {
            voices: vec![Voice::Espeak(Espeak::default())],
            cache: None,
            cache_bytes: 256 * 1024 * 1024,
            memory_bytes: 32 * 1024 * 1024,
            music: None,
            http: None,
        }
    }
}

/// Makes prompts. One per process.
pub struct Studio {
    config: StudioConfig,
    shelf: shelf::Shelf,
    disk: Option<disk::Disk>,
    busy: Semaphore,
}

impl Studio {
    /// A studio. The directory of its cache is made when it is first needed.
    pub fn new(config: StudioConfig) -> Arc<Self> {
        let disk = config.cache.as_ref().map(|at| disk::Disk::new(at, config.cache_bytes));
        let shelf = shelf::Shelf::new(config.memory_bytes);
        Arc::new(Self { config, shelf, disk, busy: Semaphore::new(AT_ONCE) })
    }

    /// Makes a prompt, at 8 kHz.
    ///
    /// # Errors
    /// Why it cannot be made, for the operator. Text is made in any case: where no voice speaks, as a signal.
    pub async fn render(&self, prompt: &Prompt) -> Result<Arc<Sound>, String> {
        self.at_rate(prompt, 8000).await
    }

    /// Makes a prompt at a rate.
    ///
    /// # Errors
    /// As [`Studio::render`].
    pub async fn at_rate(&self, prompt: &Prompt, rate: u32) -> Result<Arc<Sound>, String> {
        match prompt {
            Prompt::Sound(sound) if sound.rate == rate => Ok(sound.clone()),
            Prompt::Sound(sound) => bend(sound.clone(), rate).await,
            Prompt::Silence(length) => Ok(Arc::new(Sound::silence(rate, *length))),
            Prompt::Tone { hz, ms } => {
                Ok(Arc::new(Sound::tone(hz, rate, Duration::from_millis((*ms).into()))))
            }
            Prompt::Ringback => Ok(Arc::new(builtin::ringback(rate))),
            Prompt::Text { .. } | Prompt::Url(_) | Prompt::File(_) | Prompt::Music => {
                self.kept(prompt, rate).await
            }
        }
    }

    /// Makes what is worth keeping; those who want the same wait for the one who makes it.
    async fn kept(&self, prompt: &Prompt, rate: u32) -> Result<Arc<Sound>, String> {
        let key = self.key(prompt, rate).await;
        let make = async {
            let _busy = self.busy.acquire().await.map_err(|_| "the studio is closed".to_owned())?;
            let sound = self.make(prompt).await?;
            bend(sound, rate).await
        };
        self.shelf.get(key, make).await
    }

    async fn make(&self, prompt: &Prompt) -> Result<Arc<Sound>, String> {
        match prompt {
            Prompt::Text { text, voice } => Ok(self.speak(text, voice.as_deref()).await),
            Prompt::File(path) => self.read(path).await,
            Prompt::Url(url) => {
                let http = self.config.http.as_ref().ok_or("there is no way out to fetch it")?;
                let stream = http.fetch(url.clone(), Default::default(), FETCH).await?;
                decode(collect(stream).await?).await
            }
            Prompt::Music => match &self.config.music {
                Some(path) => self.read(path).await,
                None => Ok(Arc::new(builtin::music())),
            },
            Prompt::Sound(sound) => Ok(sound.clone()),
            Prompt::Silence(_) | Prompt::Tone { .. } | Prompt::Ringback => {
                Err("it needs no making".to_owned())
            }
        }
    }

    async fn read(&self, path: &Path) -> Result<Arc<Sound>, String> {
        let unreadable = |error: std::io::Error| format!("the file cannot be read: {}", error.kind());
        let length = tokio::fs::metadata(path).await.map_err(unreadable)?.len();
        if length > LARGEST as u64 {
            return Err("the file is too large for a prompt".to_owned());
        }
        decode(tokio::fs::read(path).await.map_err(unreadable)?.into()).await
    }

    /// Speaks, with the first voice that can. Nobody waits in silence: where none can, a signal is heard.
    async fn speak(&self, text: &str, name: Option<&str>) -> Arc<Sound> {
        let text: String = text.chars().filter(|letter| *letter != '\0').take(LONGEST).collect();
        for voice in &self.config.voices {
            let key = shelf::key(&[b"spoken", voice.id(name).as_bytes(), text.as_bytes()]);
            if let Some(disk) = &self.disk
                && let Some(bytes) = disk.read(&key).await
                && let Ok(sound) = decode(bytes.into()).await
            {
                return sound;
            }
            match voice.speak(self.config.http.as_ref(), &text, name).await {
                Ok(bytes) => match decode(bytes.clone()).await {
                    Ok(sound) => {
                        if let Some(disk) = &self.disk {
                            disk.write(&key, &bytes).await;
                        }
                        return sound;
                    }
                    Err(why) => tracing::warn!(voice = voice.kind(), %why, "what a voice said is no sound"),
                },
                Err(why) => tracing::warn!(voice = voice.kind(), %why, "a voice cannot speak"),
            }
        }
        Arc::new(builtin::signal())
    }

    /// What tells one prompt from another: by content, and for a file by its state.
    async fn key(&self, prompt: &Prompt, rate: u32) -> shelf::Key {
        let rate = rate.to_be_bytes();
        match prompt {
            Prompt::Text { text, voice } => shelf::key(&[
                b"text",
                &rate,
                voice.as_deref().unwrap_or_default().as_bytes(),
                text.as_bytes(),
            ]),
            Prompt::Url(url) => {
                // Others may change what is there: it is asked for anew every five minutes.
                let since =
                    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
                shelf::key(&[b"url", &rate, &(since.as_secs() / 300).to_be_bytes(), url.as_str().as_bytes()])
            }
            Prompt::File(path) => file_key(path, &rate).await,
            Prompt::Music => match &self.config.music {
                Some(path) => file_key(path, &rate).await,
                None => shelf::key(&[b"music", &rate]),
            },
            Prompt::Sound(_) | Prompt::Silence(_) | Prompt::Tone { .. } | Prompt::Ringback => {
                shelf::key(&[&rate])
            }
        }
    }
}

async fn file_key(path: &Path, rate: &[u8]) -> shelf::Key {
    let state = tokio::fs::metadata(path).await.ok();
    let length = state.as_ref().map_or(0, |state| state.len()).to_be_bytes();
    let changed = state.and_then(|state| state.modified().ok()).unwrap_or(std::time::UNIX_EPOCH);
    let changed = changed.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_nanos().to_be_bytes();
    shelf::key(&[b"file", rate, &length, &changed, path.as_os_str().as_encoded_bytes()])
}

/// All of a stream, if it is not too long.
pub(crate) async fn collect(mut stream: FileStream) -> Result<Bytes, String> {
    let mut all = Vec::new();
    while let Some(piece) = stream.next().await {
        all.extend_from_slice(&piece.map_err(|error| error.to_string())?);
        if all.len() > LARGEST {
            return Err("it is too large for a prompt".to_owned());
        }
    }
    Ok(all.into())
}

async fn decode(bytes: Bytes) -> Result<Arc<Sound>, String> {
    let decoded = tokio::task::spawn_blocking(move || Sound::from_bytes(&bytes)).await;
    decoded
        .map_err(|_| "the file could not be decoded".to_owned())?
        .map(Arc::new)
        .map_err(|why| why.to_string())
}

async fn bend(sound: Arc<Sound>, rate: u32) -> Result<Arc<Sound>, String> {
    if sound.rate == rate {
        return Ok(sound);
    }
    let bent = tokio::task::spawn_blocking(move || Arc::new(sound.at_rate(rate))).await;
    bent.map_err(|_| "the sound could not be brought to another rate".to_owned())
}

#[cfg(test)]
mod tests;
