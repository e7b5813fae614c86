//! One call, from the first word to the last.

mod command;

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use interline_connector::channel::{HeardAs, Hint, Place, Said, Unavailable, What};
use interline_core::conversation::connection::{Connection, Header};
use interline_core::conversation::entry::{Heard, Text};
use interline_core::conversation::input::Scope;
use interline_core::conversation::profile::Profile;
use interline_core::conversation::state::Customer;
use interline_core::flow::{Asks, Expects};
use interline_core::{Body, ConversationId, Seq, Speaker};
use interline_media::{Play, Played, Prompt};
use tokio::sync::{broadcast, mpsc};
use tokio::time::{Instant, sleep_until};

use super::keys::Keys;
use super::voicemail::{Asked, Taken, keep};
use super::{Line, say};
use crate::call::{Call, Speaking};
use crate::live::Live;
use crate::sip::leg::Stage;
use crate::sip::text::{Fields, reason};
use crate::transfer::Plan;
use crate::trunk::longest;

/// What is read of the log at once.
const PAGE: usize = 50;
/// So much silence ends what somebody says.
const PAUSE: Duration = Duration::from_millis(700);
/// What a transfer did is waited for so long before the end of a call is told.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// Answers a call and sees to it until it is over.
pub(super) async fn talk(line: &Line, call: Arc<Call>) {
    let live = Live::here();
    let mut kept = None;
    let mut customer = None;
    // Two calls from one number are two customers.
    for address in [call.began.from.clone(), format!("{};{}", call.began.from, call.began.call_id)] {
        let Ok(known) = line.host.customer(&line.app, &line.channel, &address).await else {
            call.leg.reject(503);
            return;
        };
        kept = live.keep(&line.app, &known.id, call.clone());
        customer = Some(known);
        if kept.is_some() {
            break;
        }
    }
    let (Some(kept), Some(customer)) = (kept, customer) else { return call.leg.reject(486) };
    let customer = with_connection(line, &call, customer);
    call.answer();
    // What an earlier call left open when it was lost.
    let _ = line.host.hear(&line.app, &customer, said(What::Ends(Scope::Conversation))).await;
    let hints = line.host.watch(&line.app, &customer);
    let place = line.host.place(&line.app, &customer, false).await.unwrap_or_default();
    call.begun();
    if tell(line, &call, &customer, Some(What::Connected)).await.is_err() {
        return;
    }
    let (digits, words) = (call.leg.digits(), call.leg.said());
    let mut talk = Talk {
        line,
        call: &call,
        customer: &customer,
        place,
        later: VecDeque::new(),
        prompts: Vec::new(),
        playing: None,
        voicemail: None,
        asks: None,
        keys: Keys::default(),
        silent_since: None,
        hangs_up: None,
        over: false,
        traced: false,
        commands: None,
    };
    talk.run(hints, digits, words).await;
    // The call is over, and with it what was still being recorded.
    if let Some(mut word) = talk.voicemail.take() {
        let taken = word.taken.as_mut().await;
        talk.keep(word.asked, taken);
    }
    // A transfer tells first what became of it.
    let _ = tokio::time::timeout(LAST_WORDS, call.told_first()).await;
    if let Stage::Gone(gone) = call.leg.stage() {
        call.over(gone);
    }
    // In a conversation that the bot closed nothing more is noted.
    if !talk.over {
        let _ = tell(line, &call, &customer, Some(What::Ends(Scope::Conversation))).await;
    }
    drop(kept);
}

/// What the legs came to, for the timeline, and what the caller did.
async fn tell(
    line: &Line,
    call: &Call,
    customer: &Customer,
    what: Option<What>,
) -> Result<HeardAs, Unavailable> {
    let _in_order = call.telling_news.lock().await;
    line.host.hear_call(&line.app, customer, call.news(), what).await
}

fn said(what: What) -> Said {
    Said { external_id: None, what }
}

fn with_connection(line: &Line, call: &Call, customer: Customer) -> Customer {
    let began = &call.began;
    let is_number = began.from.trim_start_matches('+').bytes().all(|byte| byte.is_ascii_digit());
    let numbers = &line.settings.numbers;
    let header = |(name, value): &(String, String)| Header { name: name.clone(), value: value.clone() };
    Customer {
        profile: Profile {
            name: began.name.clone(),
            phone: is_number.then(|| began.from.clone()),
            ..Profile::default()
        }
        .bounded(),
        connection: Connection {
            channel_type: Some("korevg".into()),
            flow: longest(numbers.iter().map(|(pattern, flow)| (pattern.as_str(), flow)), &began.to).cloned(),
            caller: Some(began.from.clone()),
            called: Some(began.to.clone()),
            call_id: Some(began.call_id.clone()),
            headers: began.fields.iter().map(header).collect(),
            takes_turns: true,
            times_input: true,
            is_call: true,
            ..customer.connection
        },
        ..customer
    }
}

/// How what plays will have ended.
type Ends = Pin<Box<dyn Future<Output = Played> + Send>>;

/// A voicemail that is being left.
struct LeavesWord<'a> {
    taken: Pin<Box<dyn Future<Output = Taken> + Send>>,
    /// Keys that are pressed meanwhile.
    keys: mpsc::Sender<char>,
    asked: Asked,
    /// A transfer waits for it.
    speaking: Speaking<'a>,
}

struct Talk<'a> {
    line: &'a Line,
    call: &'a Arc<Call>,
    customer: &'a Customer,
    place: Place,
    /// What was read, and waits until a voicemail is left.
    later: VecDeque<(ConversationId, Seq, Body)>,
    /// What is to be said once the turn is known.
    prompts: Vec<Prompt>,
    playing: Option<(Ends, Speaking<'a>)>,
    voicemail: Option<LeavesWord<'a>>,
    asks: Option<Box<Asks>>,
    keys: Keys,
    /// Since when an input is waited for.
    silent_since: Option<Instant>,
    /// Hang up once all was said, with these.
    hangs_up: Option<Fields>,
    /// The conversation is closed: nothing more is to be read or told.
    over: bool,
    /// What can be told of it is told under its conversation.
    traced: bool,
    /// What scripts ask for is done one after the other.
    commands: Option<mpsc::UnboundedSender<Plan>>,
}

impl Talk<'_> {
    async fn run(
        &mut self,
        mut hints: broadcast::Receiver<Hint>,
        mut digits: mpsc::Receiver<char>,
        mut words: mpsc::Receiver<String>,
    ) {
        let leg = self.call.leg.clone();
        let host = self.line.host.clone();
        self.read().await;
        loop {
            if self.playing.is_none() && self.voicemail.is_none() && self.hangs_up.is_some() {
                let fields = self.hangs_up.take().unwrap_or_default();
                leg.bye(fields.headers()).await;
                return;
            }
            let due = self.due();
            tokio::select! {
                _ = leg.gone() => return,
                played = played(&mut self.playing) => self.played(played),
                taken = taken(&mut self.voicemail) => self.taken(taken),
                Some(digit) = digits.recv() => self.pressed(digit).await,
                Some(words) = words.recv() => self.spoke(words).await,
                hint = hints.recv() => match hint {
                    Ok(Hint::Entries) | Err(broadcast::error::RecvError::Lagged(_)) if self.over => {}
                    Ok(Hint::Entries) | Err(broadcast::error::RecvError::Lagged(_)) => self.read().await,
                    Ok(Hint::Erased) | Err(broadcast::error::RecvError::Closed) => {
                        leg.bye(Vec::new()).await;
                        return;
                    }
                    Ok(Hint::AgentTyping(_) | Hint::Reached { .. }) => {}
                },
                () = until(due) => self.silence().await,
                // While a transfer tells of itself it tells of its legs too, in the same breath.
                () = self.call.recorded() => if !self.call.is_told_of() {
                    let _ = tell(self.line, self.call, self.customer, None).await;
                },
                () = host.stopping() => {
                    leg.bye(vec![reason("SIP", 503, "the server stops")]).await;
                    return;
                }
            }
        }
    }

    // ── what the bot says ────────────────────────────────────────────────────────────────────────────────────────

    async fn read(&mut self) {
        loop {
            let host = &self.line.host;
            let Ok(lines) = host.read(&self.line.app, self.customer, &mut self.place, PAGE).await else {
                return;
            };
            let all = lines.len() < PAGE;
            for line in lines {
                if line.entry.by != Speaker::Customer {
                    self.over |= line.entry.body == Body::Closed;
                    self.later.push_back((line.conversation, line.entry.seq, line.entry.body));
                }
            }
            if all {
                break;
            }
        }
        self.go_on();
        self.call.spoken().reached(self.place.seq.0);
        if let Some(conversation) = self.place.conversation.clone()
            && !std::mem::replace(&mut self.traced, true)
        {
            Live::here().remember(&self.line.app, &conversation, self.call.trace());
        }
    }

    /// What was read is done, up to a voicemail: all else waits for that.
    fn go_on(&mut self) {
        while self.voicemail.is_none()
            && let Some((conversation, seq, body)) = self.later.pop_front()
        {
            self.entry((conversation, seq), body);
        }
        // What is said without a turn, as by a human who writes, is said at once.
        self.say(false);
    }

    fn entry(&mut self, at: (ConversationId, Seq), body: Body) {
        match body {
            Body::Text(text) => {
                let settings = &self.line.settings;
                self.prompts.extend(say::line(&text, settings.audio.as_deref(), settings.voice.as_deref()));
            }
            Body::TurnDone(Expects::Input(asks)) => {
                let barge_in = asks.barge_in;
                self.keys.clear();
                self.asks = Some(asks);
                self.say(barge_in);
                self.waits();
            }
            Body::TurnDone(Expects::Nothing) => self.asks = None,
            Body::TurnDone(Expects::End | Expects::HandedOff(_)) | Body::Closed => {
                self.asks = None;
                self.say(false);
                self.hangs_up.get_or_insert_with(Fields::default);
            }
            Body::Voice(command) => self.command(at, command),
            Body::Open
            | Body::Close { .. }
            | Body::ReturnPackage(_)
            | Body::Opened
            | Body::Queued { .. }
            | Body::AgentJoined { .. }
            | Body::AgentLeft
            | Body::Work { .. }
            | Body::Note(_) => {}
        }
    }

    fn say(&mut self, barge_in: bool) {
        if self.prompts.is_empty() {
            return;
        }
        let prompts = std::mem::take(&mut self.prompts);
        let speaking = self.call.spoken().begin();
        let play = Play { loops: false, barge_in, flush: false };
        // What plays already plays on; the newest is the last to end.
        let ends = self.call.leg.session().play(prompts, play).done();
        self.playing = Some((Box::pin(ends), speaking));
    }

    fn played(&mut self, played: Played) {
        if let Played::Failed(why) = played {
            tracing::warn!(channel = %self.line.channel, why, "a prompt could not be made");
        }
        self.waits();
    }

    /// An input is waited for from now on, if one is asked for and all was said.
    fn waits(&mut self) {
        self.silent_since = (self.playing.is_none() && self.asks.is_some()).then(Instant::now);
        let speaks = self.asks.as_ref().is_some_and(|asks| {
            asks.voice.parameters.get("enableSpeechInput") != Some(&serde_json::Value::Bool(false))
        });
        if speaks && self.silent_since.is_some() {
            // Without anybody who understands speech nothing is listened to.
            self.call.leg.session().listen(PAUSE);
        }
    }

    // ── what the caller does ─────────────────────────────────────────────────────────────────────────────────────

    /// A voicemail is left, and the flow goes on.
    fn taken(&mut self, taken: Taken) {
        let Some(LeavesWord { asked, speaking, .. }) = self.voicemail.take() else { return };
        self.keep(asked, taken);
        self.go_on();
        // A transfer waits for what is said then, too.
        drop(speaking);
    }

    /// Not waited for: nobody is held up by what is stored and told.
    fn keep(&self, asked: Asked, taken: Taken) {
        let (line, call, customer) = (self.line.clone(), self.call.clone(), self.customer.clone());
        tokio::spawn(keep(line, call, customer, asked, taken));
    }

    async fn pressed(&mut self, digit: char) {
        if let Some(word) = &self.voicemail {
            // Who presses more than there is room for waits for the first to count.
            let _ = word.keys.try_send(digit);
            return;
        }
        let Some(asks) = &self.asks else { return };
        if self.playing.is_some() && !asks.barge_in {
            return;
        }
        let input = self.keys.press(digit, asks);
        self.silent_since = Some(Instant::now());
        if let Some(input) = input {
            self.input(input).await;
        }
    }

    /// What was said counts while it is asked for.
    async fn spoke(&mut self, words: String) {
        if self.asks.is_some() {
            self.given(words, false).await;
        }
    }

    async fn input(&mut self, keys: String) {
        self.given(keys, true).await;
    }

    async fn given(&mut self, input: String, keys: bool) {
        (self.asks, self.silent_since) = (None, None);
        self.keys.clear();
        self.call.leg.session().stop_listening();
        let heard = Some(Heard { keys, ..Heard::default() });
        let text = Text { heard, ..Text::plain(input) };
        self.hear(What::Text(text)).await;
    }

    /// When silence means something.
    fn due(&self) -> Option<Instant> {
        let (asks, since) = (self.asks.as_ref()?, self.silent_since?);
        let patience = self.keys.patience(asks).or_else(|| asks.timeout_ms.map(Duration::from_millis))?;
        Some(since + patience)
    }

    async fn silence(&mut self) {
        if let Some(input) = self.keys.pause() {
            return self.input(input).await;
        }
        (self.asks, self.silent_since) = (None, None);
        self.hear(What::NoInput).await;
    }

    async fn hear(&mut self, what: What) {
        let heard = self.line.host.hear(&self.line.app, self.customer, said(what)).await;
        if heard.is_err() {
            // Nothing was accepted, and nobody can say it again.
            self.hangs_up = Some(Fields::default());
        }
    }
}

async fn played(playing: &mut Option<(Ends, Speaking<'_>)>) -> Played {
    match playing {
        Some((ends, _)) => {
            let played = ends.await;
            *playing = None;
            played
        }
        None => std::future::pending().await,
    }
}

async fn taken(voicemail: &mut Option<LeavesWord<'_>>) -> Taken {
    match voicemail {
        Some(word) => word.taken.as_mut().await,
        None => std::future::pending().await,
    }
}

async fn until(due: Option<Instant>) {
    match due {
        Some(due) => sleep_until(due).await,
        None => std::future::pending().await,
    }
}
