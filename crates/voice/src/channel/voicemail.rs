//! Voicemail: the message, the beep, and what the caller says then, until a key, silence, the longest time, or the end of the
//! call. It becomes a file of the conversation, and whom the script named is told.
//!
//! The recording is in a file without a name until it is kept: of a call that is lost, nothing is left.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use interline_connector::FileRefused;
use interline_connector::channel::Unavailable;
use interline_connector::files::Declared;
use interline_core::conversation::call::{CallLeg, CallRecord};
use interline_core::conversation::state::Customer;
use interline_core::conversation::voicemail::{EndedBy, Recorded, Voicemail};
use interline_core::flow::script::Notify;
use interline_core::{ConversationId, File as Kept, Seq, Time};
use interline_media::audio::wav;
use interline_media::speech::{Cut, Utterance};
use interline_media::{Play, Played, Prompt, Session};
use serde_json::{Map, Value};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::{Instant, sleep_until};

use super::Line;
use crate::call::Call;
use crate::live;

/// What is heard before the caller speaks.
const BEEP_HZ: f32 = 1_400.0;
const BEEP_MS: u32 = 400;
/// So much silence ends it, unless the script says otherwise.
const SILENCE: Duration = Duration::from_secs(5);
/// The longest that is taken: 3 minutes, which are 3 MB.
const LONGEST: Duration = Duration::from_secs(180);
/// Speech is noticed in pieces of this length, and shorter silence than two of them is none.
const PIECE: Duration = Duration::from_secs(1);
/// Recordings have this many samples a second.
const RATE: u32 = 8_000;
/// So many are in memory at a time, each with some 10 MB.
static AT_ONCE: Semaphore = Semaphore::const_new(8);
/// So often the store is tried, a second apart.
const TRIES: usize = 30;

/// What a script asked for.
pub struct Asked {
    /// The entry that asks.
    pub at: (ConversationId, Seq),
    /// Whether the words are wanted as text.
    pub transcription: bool,
    /// Who is told.
    pub notify: Notify,
    /// Told along.
    pub meta: Map<String, Value>,
}

/// What ends a recording.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rules {
    key: char,
    /// None: however long.
    silence: Option<Duration>,
    longest: Duration,
}

impl Rules {
    /// By call control parameters: the key is `dtmfCollectSubmitDigit` or `continuousASRDigits`, the silence
    /// `userNoInputTimeoutMS` (0: however long). What makes no sense is left out.
    pub fn of(parameters: &Map<String, Value>) -> Self {
        let said = |name: &str| {
            let scoped = |scope: &&str| parameters.get(&format!("{scope}{name}"));
            ["node.", "", "session."].iter().find_map(scoped)
        };
        let key = |name: &str| {
            let text = said(name)?.as_str()?;
            let mut keys = text.chars().filter(|key| matches!(key, '0'..='9' | '*' | '#'));
            keys.next().filter(|_| text.chars().count() == 1)
        };
        let silence = match said("userNoInputTimeoutMS").and_then(Value::as_u64) {
            Some(0) => None,
            Some(ms) => Some(Duration::from_millis(ms).clamp(2 * PIECE, LONGEST)),
            None => Some(SILENCE),
        };
        let key = key("dtmfCollectSubmitDigit").or_else(|| key("continuousASRDigits")).unwrap_or('#');
        Self { key, silence, longest: LONGEST }
    }
}

/// What was recorded.
pub struct Taken {
    began_at: Time,
    took: Duration,
    ended_by: EndedBy,
    /// A WAV file of two channels; or why there is none.
    sound: Result<File, String>,
}

/// Plays the message and the beep behind what plays already, and records until something ends it.
pub async fn take(
    line: Line,
    call: Arc<Call>,
    mut prompts: Vec<Prompt>,
    beep: bool,
    rules: Rules,
    mut keys: mpsc::Receiver<char>,
) -> Taken {
    let session = call.leg.session();
    if beep {
        prompts.push(Prompt::Tone { hz: vec![BEEP_HZ], ms: BEEP_MS });
    }
    let began_at = || Time(line.host.now_ms());
    tokio::select! {
        played = session.play(prompts, Play::default()).done() => if let Played::Failed(why) = played {
            tracing::warn!(channel = %line.channel, why, "the message before a voicemail could not be made");
        },
        _ = call.leg.gone() => {
            let (took, ended_by, sound) = (Duration::ZERO, EndedBy::HangUp, Err("nothing was said".into()));
            return Taken { began_at: began_at(), took, ended_by, sound };
        }
    }
    // What was pressed before was not meant for it.
    while keys.try_recv().is_ok() {}
    let (began, began_at) = (Instant::now(), began_at());
    let recording = nameless(&live::recordings())
        .and_then(|file| Ok((session.record_into(file.try_clone()?)?, file)))
        .map_err(|error| format!("it cannot be recorded: {error}"));
    let ended_by = tokio::select! {
        _ = call.leg.gone() => EndedBy::HangUp,
        ended_by = ends(session, rules, &mut keys, began) => ended_by,
    };
    let took = began.elapsed();
    let sound = match recording {
        Ok((recording, file)) => match recording.finish().await {
            Ok(()) => Ok(file),
            Err(error) => Err(format!("it could not be recorded: {error}")),
        },
        Err(why) => Err(why),
    };
    Taken { began_at, took, ended_by, sound }
}

async fn ends(session: &Session, rules: Rules, keys: &mut mpsc::Receiver<char>, began: Instant) -> EndedBy {
    let mut said = session.utterances(PIECE / 5, PIECE);
    let mut heard = began;
    let ended_by = loop {
        let silent = async {
            match rules.silence {
                Some(silence) => sleep_until(heard + silence).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            Some(key) = keys.recv() => if key == rules.key {
                break EndedBy::Key;
            },
            Some(_) = said.recv() => heard = Instant::now(),
            () = silent => break EndedBy::Silence,
            () = sleep_until(began + rules.longest) => break EndedBy::Length,
        }
    };
    session.stop_listening();
    ended_by
}

/// An empty file that nobody can find.
fn nameless(folder: &Path) -> io::Result<File> {
    std::fs::create_dir_all(folder)?;
    let path = folder.join(uuid::Uuid::new_v4().simple().to_string());
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    std::fs::remove_file(&path)?;
    Ok(file)
}

/// Stores what was recorded, has it understood, and tells it.
pub async fn keep(line: Line, call: Arc<Call>, customer: Customer, asked: Asked, taken: Taken) {
    let _place = AT_ONCE.acquire().await;
    let Taken { began_at, took, ended_by, sound } = taken;
    let said = match sound {
        Ok(file) => tokio::task::spawn_blocking(|| heard(file)).await.unwrap_or_else(|_| Err(BROKEN.into())),
        Err(why) => Err(why),
    };
    let words = match &said {
        Ok(_) if !asked.transcription => Err("it was not asked for".into()),
        Ok(said) => understood(&line, &call, said).await,
        Err(why) => Err(why.clone()),
    };
    let file = match said {
        Ok(said) => store(&line, &customer, &said).await.map_err(|refused| format!("not kept: {refused}")),
        Err(why) => Err(why),
    };
    if let Err(why) = &file {
        tracing::info!(channel = %line.channel, why, "a voicemail leaves no recording");
    }
    let result = match &file {
        Ok(_) => format!("recorded, ended by {}", ended_by.in_words()),
        Err(why) => why.clone(),
    };
    let took_ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX);
    let record = CallRecord {
        leg: CallLeg::Caller,
        method: "VOICEMAIL".into(),
        target: call.began.to.clone(),
        sent: Vec::new(),
        code: None,
        reason: None,
        result,
        took_ms,
    };
    let (file, no_file) = both(file);
    let (words, no_words) = both(words);
    let Asked { at, notify, meta, .. } = asked;
    let voicemail = Voicemail { began_at, took_ms, ended_by, file, no_file, words, no_words, meta };
    tell(&line, &customer, at, Recorded { voicemail, notify, record }).await;
}

const BROKEN: &str = "it cannot be read";

fn both<T>(result: Result<T, String>) -> (Option<T>, Option<String>) {
    match result {
        Ok(there) => (Some(there), None),
        Err(why) => (None, Some(why)),
    }
}

/// The caller's side of a recording, if anything was said.
fn heard(mut file: File) -> Result<Utterance, String> {
    let mut bytes = Vec::new();
    let read = file.rewind().and_then(|()| file.read_to_end(&mut bytes));
    read.map_err(|error| format!("{BROKEN}: {error}"))?;
    let mut channels = wav::channels(&bytes).map_err(|_| BROKEN.to_owned())?;
    drop(bytes);
    let samples = channels.swap_remove(0).samples;
    if speech(&samples) { Ok(Utterance { samples }) } else { Err("nothing was said".into()) }
}

/// Whether somebody speaks in it.
fn speech(samples: &[i16]) -> bool {
    let mut cut = Cut::new(PIECE / 5, PIECE);
    // What is said at its very end ends, too.
    cut.hear(samples).is_some() || cut.hear(&vec![0; RATE as usize]).is_some()
}

async fn understood(line: &Line, call: &Call, said: &Utterance) -> Result<String, String> {
    let hearing = call.media.hearing().ok_or("nobody here understands speech")?;
    tokio::select! {
        words = hearing.understand(said) => match words {
            Ok(words) if words.trim().is_empty() => Err("no words were understood".into()),
            Ok(words) => Ok(words.trim().to_owned()),
            Err(why) => Err(format!("it could not be understood: {why}")),
        },
        () = line.host.stopping() => Err("the server stopped meanwhile".into()),
    }
}

async fn store(line: &Line, customer: &Customer, said: &Utterance) -> Result<Kept, FileRefused> {
    let size = said.samples.len() * 2;
    let mut bytes = Vec::with_capacity(size + 44);
    bytes.extend_from_slice(&wav::header(RATE, 1, size));
    bytes.extend(said.samples.iter().flat_map(|sample| sample.to_le_bytes()));
    let (files, app) = (line.host.files(), &line.app);
    let declared = Declared { name: Some("voicemail.wav".into()), size: Some(bytes.len() as u64) };
    let upload = files.begin(app, customer, declared).await?;
    let bytes = Bytes::from(bytes);
    let stream = Box::pin(futures_util::stream::once(async move { Ok(bytes) }));
    let progress = files.append(app, customer, &upload, 0, stream).await?;
    progress.file.ok_or(FileRefused::Interrupted)
}

/// Until it is durable.
async fn tell(line: &Line, customer: &Customer, (conversation, seq): (ConversationId, Seq), what: Recorded) {
    let Line { host, app, channel, .. } = line;
    for _ in 0..TRIES {
        match host.voicemail(app, customer, &conversation, seq, what.clone()).await {
            Ok(()) => return,
            Err(Unavailable(why)) => {
                tracing::warn!(%channel, %conversation, why, "a voicemail is not told yet")
            }
        }
        tokio::select! {
            () = tokio::time::sleep(Duration::from_secs(1)) => {}
            () = host.stopping() => break,
        }
    }
    tracing::error!(%channel, %conversation, "a voicemail is lost: nobody is told of it");
}

#[cfg(test)]
mod tests {
    use interline_media::tones::tone;
    use serde_json::json;

    use super::*;

    fn rules(parameters: Value) -> Rules {
        Rules::of(parameters.as_object().expect("fields"))
    }

    #[test]
    fn parameters_say_what_ends_it() {
        let usual = Rules { key: '#', silence: Some(SILENCE), longest: LONGEST };
        for odd in [
            json!({}),
            json!({ "dtmfCollectSubmitDigit": "12", "userNoInputTimeoutMS": "soon" }),
            json!({ "dtmfCollectSubmitDigit": "x", "continuousASRDigits": 7 }),
        ] {
            assert_eq!(rules(odd.clone()), usual, "{odd}");
        }
        let given = json!({ "session.dtmfCollectSubmitDigit": "*", "node.userNoInputTimeoutMS": 9_000, "userNoInputTimeoutMS": 1 });
        assert_eq!(rules(given), Rules { key: '*', silence: Some(Duration::from_secs(9)), ..usual });
        assert_eq!(rules(json!({ "continuousASRDigits": "0" })).key, '0');
        assert_eq!(rules(json!({ "userNoInputTimeoutMS": 0 })).silence, None);
        assert_eq!(rules(json!({ "userNoInputTimeoutMS": 5 })).silence, Some(2 * PIECE));
    }

    #[test]
    fn one_word_is_something_and_a_hum_is_nothing() {
        let hum: Vec<i16> = (0..8_000).map(|no| [4, -3][no % 2]).collect();
        assert!(!speech(&hum) && !speech(&[]));
        assert!(speech(&[hum.clone(), tone(&[300.0], 8_000, 2_000)].concat()), "up to the end");
        assert!(speech(&[tone(&[300.0], 8_000, 2_000), hum].concat()));
    }

    #[test]
    fn a_file_without_a_name_leaves_nothing_and_gives_the_callers_side() {
        let folder = std::env::temp_dir().join(uuid::Uuid::new_v4().simple().to_string());
        let mut file = nameless(&folder).expect("a file");
        assert_eq!(std::fs::read_dir(&folder).expect("a folder").count(), 0);
        let said = tone(&[300.0], 8_000, 8_000);
        let both: Vec<u8> = said.iter().flat_map(|sample| [sample.to_le_bytes(), [9, 9]].concat()).collect();
        io::Write::write_all(&mut file, &wav::header(RATE, 2, both.len())).expect("written");
        io::Write::write_all(&mut file, &both).expect("written");
        assert_eq!(heard(file).expect("something was said").samples, said);
        let empty = nameless(&folder).expect("a file");
        assert!(heard(empty).is_err());
        std::fs::remove_dir(&folder).expect("it is empty");
    }
}
