//! What scripts ask for on a call.

use std::time::Duration;

use interline_core::flow::script::{Headers, Voice};
use interline_core::{ConversationId, Seq};
use interline_media::Prompt;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{LeavesWord, Talk, say};
use crate::channel::voicemail::{Asked, Rules, take};
use crate::live;
use crate::sip::text::Fields;
use crate::transfer::{Ended, Method, Permits, Plan};
use crate::trunk::Patience;

/// So many keys wait for a voicemail.
const KEYS: usize = 8;

impl Talk<'_> {
    /// Does what the entry `at` asks for.
    pub(super) fn command(&mut self, at: (ConversationId, Seq), command: Voice) {
        let voice = self.line.settings.voice.clone();
        let prompts = |message: &[String]| say::script(message, voice.as_deref());
        let session = self.call.leg.session().clone();
        match command {
            Voice::Hangup { message, headers, queue } => {
                self.at_once(!queue);
                self.prompts.extend(prompts(&message));
                self.say(false);
                let fields = headers.iter().map(|(name, value)| (name.as_str(), value.as_str()));
                self.hangs_up = Some(Fields::of(fields));
            }
            Voice::Refer { message, refer_to, headers, queue, referred_by } => {
                self.at_once(!queue);
                self.prompts.extend(prompts(&message));
                self.say(false);
                self.transfer(plan(Method::Refer, refer_to, &headers, None, referred_by));
            }
            Voice::Invite { message, caller_id, target, headers, queue } => {
                self.at_once(!queue);
                self.prompts.extend(prompts(&message));
                self.say(false);
                self.transfer(plan(Method::Invite, target, &headers, Some(caller_id), None));
            }
            Voice::Transfer { number } => {
                self.say(false);
                self.transfer(plan(Method::Invite, number, &Default::default(), None, None));
            }
            Voice::AbortPrompt { message } => {
                self.at_once(true);
                self.prompts.extend(prompts(&message));
            }
            Voice::SendDtmf { digits, duration_ms } => {
                self.say(false);
                let _ = session.send_digits(&digits, Duration::from_millis(duration_ms.into()));
            }
            Voice::PauseAndPlay { pause_ms, message } => {
                self.prompts.push(Prompt::Silence(Duration::from_millis(pause_ms.into())));
                self.prompts.extend(prompts(&message));
            }
            Voice::Play { message } => self.prompts.extend(prompts(&message)),
            Voice::Voicemail { message, beep, transcription, notify, meta, parameters } => {
                self.say(false);
                (self.asks, self.silent_since) = (None, None);
                let (keys, pressed) = mpsc::channel(KEYS);
                let (line, call, rules) = (self.line.clone(), self.call.clone(), Rules::of(&parameters));
                self.voicemail = Some(LeavesWord {
                    taken: Box::pin(take(line, call, prompts(&message), beep, rules, pressed)),
                    keys,
                    asked: Asked { at, transcription, notify, meta },
                    speaking: self.call.spoken().begin(),
                });
            }
        }
    }

    /// Drops what is said and what was to be said.
    fn at_once(&mut self, now: bool) {
        if now {
            self.prompts.clear();
            self.call.leg.session().abort();
        }
    }

    /// Transfers the call for a script, one after the other. The flow goes on by itself.
    fn transfer(&mut self, plan: Plan) {
        let call = self.call.clone();
        let commands = self.commands.get_or_insert_with(|| {
            let (sender, mut plans) = mpsc::unbounded_channel::<Plan>();
            tokio::spawn(async move {
                while let Some(plan) = plans.recv().await {
                    let (progress, _) = mpsc::channel(8);
                    let ended = call.transfer(&plan, progress, CancellationToken::new()).await;
                    if matches!(ended, Ok(Ended::HandedOff | Ended::CallerLeft)) {
                        return;
                    }
                }
            });
            sender
        });
        let _ = commands.send(plan);
    }
}

fn plan(
    method: Method,
    target: String,
    headers: &Headers,
    caller_id: Option<String>,
    referred_by: Option<String>,
) -> Plan {
    Plan {
        method,
        targets: vec![target],
        caller_id,
        referred_by,
        fields: Fields::of(headers.iter().map(|(name, value)| (name.as_str(), value.as_str()))),
        uui: None,
        patience: Patience::default(),
        no_news: crate::transfer::NoNews::default(),
        follows: false,
        music: None,
        whisper: None,
        onward: false,
        replaces: None,
        allowed: Permits::default(),
        guard: live::guard(),
    }
}
