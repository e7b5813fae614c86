//! What a turn of the conversation means on a call.

use interline_connector::channel::HandedOff;
use interline_core::Body;
use interline_core::conversation::entry::{Recording, Text};
use interline_core::flow::script::{Headers, Voice};
use interline_core::flow::{Asks, Expects};
use interline_core::transfer::Ask;
use interline_core::transfer::ask::{Call, Method};

use crate::turns::Turn;

/// What the IVR is told.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Answer {
    /// Said, in order.
    pub prompts: Vec<Prompt>,
    /// Then.
    pub then: Then,
    /// The last entry: the turn that the next request answers.
    pub turn: u64,
    /// The conversation's id.
    pub session: String,
}

/// Something said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Prompt {
    /// Words.
    Words(String),
    /// A recording, and the words that stand for it.
    Recording { link: String, words: String },
    /// Silence, milliseconds.
    Pause(u32),
}

/// What comes after.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Then {
    /// The caller is listened to.
    Listen(Box<Asks>),
    /// The IVR asks again: the turn is not over.
    Wait,
    /// It is over.
    End(Headers),
    /// The call is given back, to be transferred.
    GiveBack(Box<GivenBack>),
}

/// How a call is given back.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct GivenBack {
    /// Where it goes, how, with which headers and tags.
    pub call: Call,
    /// What else was asked of the transfer.
    pub ask: Ask,
    /// What else is told.
    pub told: HandedOff,
}

impl GivenBack {
    /// The kind of a VoiceXML transfer: the call comes back only after an INVITE.
    pub fn kind(&self) -> &'static str {
        match self.call.method {
            Some(Method::Invite) => "bridge",
            Some(Method::Refer | Method::Bye) | None => "blind",
        }
    }
}

impl Answer {
    pub fn of(turn: Turn) -> Self {
        let last = turn.lines.last().map_or(0, |line| line.entry.seq.0);
        let session = turn.lines.last().map(|line| line.conversation.to_string()).unwrap_or_default();
        let mut prompts = Vec::new();
        let mut commanded = None;
        for line in turn.lines {
            match line.entry.body {
                Body::Text(text) => prompts.extend(said(text)),
                Body::Voice(command) => commanded = obey(command, &mut prompts).or(commanded),
                _ => {}
            }
        }
        let then = commanded.unwrap_or(match turn.expects {
            Some(Expects::Input(asks)) => Then::Listen(asks),
            Some(Expects::Nothing) | None => Then::Wait,
            Some(Expects::End) => Then::End(Headers::new()),
            Some(Expects::HandedOff(ask)) => Then::GiveBack(Box::new(GivenBack {
                call: ask.call.clone(),
                ask: *ask,
                told: HandedOff::default(),
            })),
        });
        Self { prompts, then, turn: last, session }
    }

    /// Whether a script ended the call or gave it away while the conversation is still open.
    pub fn ends_by_command(&self, expects: Option<&Expects>) -> bool {
        let over = matches!(expects, Some(Expects::End | Expects::HandedOff(_)));
        !over && matches!(self.then, Then::End(_) | Then::GiveBack(_))
    }
}

fn said(text: Text) -> Option<Prompt> {
    match text.recording {
        Some(Recording::Link(link)) => Some(Prompt::Recording { link, words: text.text }),
        // A file of the voice gateway: the IVR does not have it.
        Some(Recording::Audio(_)) | None => (!text.text.is_empty()).then_some(Prompt::Words(text.text)),
    }
}

fn spoken(message: Vec<String>) -> impl Iterator<Item = Prompt> {
    message.into_iter().map(|item| match item.starts_with("https://") || item.starts_with("http://") {
        true => Prompt::Recording { link: item, words: String::new() },
        false => Prompt::Words(item),
    })
}

/// What a script asks of the call. What an IVR cannot be asked for (keys, voice mail) is left out.
fn obey(command: Voice, prompts: &mut Vec<Prompt>) -> Option<Then> {
    let give_back = |destination: String, method, headers, referred_by| {
        let call = Call {
            destination: Some(destination),
            method: Some(method),
            headers,
            referred_by,
            ..Call::default()
        };
        Some(Then::GiveBack(Box::new(GivenBack { call, ask: Ask::default(), told: HandedOff::default() })))
    };
    match command {
        Voice::Hangup { message, headers, queue } => {
            flush(queue, prompts);
            prompts.extend(spoken(message));
            Some(Then::End(headers))
        }
        Voice::Refer { message, refer_to, headers, queue, referred_by } => {
            flush(queue, prompts);
            prompts.extend(spoken(message));
            give_back(refer_to, Method::Refer, headers, referred_by)
        }
        Voice::Invite { message, caller_id: _, target, headers, queue } => {
            flush(queue, prompts);
            prompts.extend(spoken(message));
            give_back(target, Method::Invite, headers, None)
        }
        Voice::Transfer { number } => give_back(number, Method::Refer, Headers::new(), None),
        Voice::AbortPrompt { message } => {
            prompts.clear();
            prompts.extend(spoken(message));
            None
        }
        Voice::PauseAndPlay { pause_ms, message } => {
            prompts.push(Prompt::Pause(pause_ms));
            prompts.extend(spoken(message));
            None
        }
        Voice::Play { message } => {
            prompts.extend(spoken(message));
            None
        }
        Voice::SendDtmf { .. } | Voice::Voicemail { .. } => None,
    }
}

fn flush(queue: bool, prompts: &mut Vec<Prompt>) {
    if !queue {
        prompts.clear();
    }
}
