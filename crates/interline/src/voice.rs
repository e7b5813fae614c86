//! The voice gateway of a node, as the settings want it.

use std::net::{IpAddr, SocketAddr};
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
    let guard = http.guard().clone();
    let name_servers =
        settings.voice_name_servers.iter().map(|text| name_server(text)).collect::<Result<_>>()?;
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
        name_servers,
        guard,
        recordings: Some(settings.data.join("voicemail")),
    };
    live::set_up(config).map(|_| ()).map_err(|error| anyhow!(error))
}

fn name_server(text: &str) -> Result<SocketAddr> {
    let known = text.parse().or_else(|_| text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53)));
    known.with_context(|| format!("voice_name_servers: `{text}` is no address, such as 192.0.2.53"))
}

#[cfg(test)]
mod tests {
    use super::name_server;

    #[test]
    fn a_name_server_listens_at_53_unless_it_says_so() {
        for (text, at) in [
            ("192.0.2.53", "192.0.2.53:53"),
            ("192.0.2.53:5353", "192.0.2.53:5353"),
            ("2001:db8::1", "[2001:db8::1]:53"),
        ] {
            assert_eq!(name_server(text).expect(text).to_string(), at);
        }
        for bad in ["", "ns.example.com", "192.0.2.53:x"] {
            assert!(name_server(bad).expect_err(bad).to_string().contains("voice_name_servers"));
        }
    }
}
