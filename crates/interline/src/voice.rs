//! The voice gateway of a node, as the settings want it.

use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use interline_connector::Http;
use interline_media::speech::OpenAi as Hearing;
use interline_media::studio::{Espeak, Format, OpenAi, Voice};
use interline_media::{Config as Sound, StudioConfig};
use interline_voice::live;

use crate::settings::Settings;

/// Sets the gateway up. Nothing is opened before a channel takes calls.
///
/// # Errors
/// A setting is wrong, or the system has no thread to give.
pub fn set_up(settings: &Settings, http: Http) -> Result<()> {
    let (first, last) =
        settings.voice_ports.split_once('-').context("voice_ports: say a range, such as 16384-32767")?;
    let ports: (u16, u16) = (first.trim().parse()?, last.trim().parse()?);
    anyhow::ensure!(ports.0 < ports.1, "voice_ports: the first port is above the last");
    let mut voices = Vec::new();
    if let Some(base) = &settings.speech_url {
        http.guard().allow(base);
        voices.push(Voice::OpenAi(OpenAi {
            base: base.clone(),
            key: settings.speech_key.clone(),
            model: settings.speech_model.clone(),
            voice: settings.speech_voice.clone(),
            format: Format::Wav,
        }));
    }
    voices.push(Voice::Espeak(Espeak::default()));
    let hearing = settings.hearing_url.as_ref().map(|base| {
        http.guard().allow(base);
        Hearing {
            base: base.clone(),
            key: settings.hearing_key.clone(),
            model: settings.hearing_model.clone(),
            language: None,
            http: http.clone(),
        }
    });
    let config = live::Config {
        calls: settings.voice_calls,
        sound: Sound {
            bind: settings.voice_bind,
            ports: ports.0..=ports.1,
            timeout: Duration::from_secs(settings.voice_silence_s),
            ..Sound::default()
        },
        studio: StudioConfig {
            voices,
            cache: Some(settings.data.join("speech")),
            music: settings.voice_music.clone(),
            http: Some(http),
            ..StudioConfig::default()
        },
        hearing: hearing.map(|hearing| std::sync::Arc::new(hearing) as _),
    };
    live::set_up(config).map(|_| ()).map_err(|error| anyhow!(error))
}
