//! `voiceUtils`: commands on a call. Parameters are positional; one is skipped with `null`, `{}` or `""`.

use interline_core::flow::script::{Effect, Notify, Voice};
use serde_json::Value;

use super::args::{self, Args};
use super::{Function, Is};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "voiceUtils.hangup",
        parameters: "message?, headers?, queueCommand = true",
        does: "Plays the message, then ends the call with a BYE that carries the headers.",
        examples: &[
            (
                r#"voiceUtils.hangup("Bye", { "X-Reason": "done" }, false)"#,
                r#"{"effects":[{"set":"voice","command":{"do":"hangup","message":["Bye"],"headers":{"X-Reason":"done"},"queue":false}}]}"#,
            ),
            (
                "voiceUtils.hangup()",
                r#"{"effects":[{"set":"voice","command":{"do":"hangup","message":[],"headers":{},"queue":true}}]}"#,
            ),
            (
                r#"voiceUtils.hangup("", { "X-A": 1, "X B": "no", "X-C": "a\r\nX-D: b" })"#,
                r#"{"effects":[{"set":"voice","command":{"do":"hangup","message":[],"headers":{"X-A":"1"},"queue":true}}]}"#,
            ),
        ],
        is: Is::Effect(|args| {
            let (message, headers) = (args.spoken(0)?, args.headers(1));
            voice(Voice::Hangup { message, headers, queue: args.flag(2, true) })
        }),
    },
    Function {
        name: "voiceUtils.refer",
        parameters: "message?, referTo, headers?, queueCommand = true, referredBy?",
        does: "Plays the message, then sends a REFER; our leg ends after it. `referredBy`: else the party that is being \
               transferred.",
        examples: &[
            (
                r#"voiceUtils.refer("One moment", "+15550001", { "X-A": "b" }, false, "+1411111")"#,
                r#"{"effects":[{"set":"voice","command":{"do":"refer","message":["One moment"],"refer_to":"+15550001","headers":{"X-A":"b"},"queue":false,"referred_by":"+1411111"}}]}"#,
            ),
            (
                r#"voiceUtils.refer("", "sip:test@example.com", null, null, null)"#,
                r#"{"effects":[{"set":"voice","command":{"do":"refer","message":[],"refer_to":"sip:test@example.com","headers":{},"queue":true}}]}"#,
            ),
            (r#"voiceUtils.refer("One moment")"#, "{}"),
        ],
        is: Is::Effect(|args| {
            let (message, refer_to) = (args.spoken(0)?, args.text(1, "referTo")?);
            let (headers, queue) = (args.headers(2), args.flag(3, true));
            let referred_by = args.optional_text(4, "referredBy")?;
            voice(Voice::Refer { message, refer_to, headers, queue, referred_by })
        }),
    },
    Function {
        name: "voiceUtils.invite",
        parameters: "message?, callerId, target, headers?, queueCommand = true",
        does: "Dials a third party and bridges; the call goes on when it left. `callerId` is the bot's number, E.164.",
        examples: &[
            (
                r#"voiceUtils.invite(null, "+19015550100", "sip:desk@example.com")"#,
                r#"{"effects":[{"set":"voice","command":{"do":"invite","message":[],"caller_id":"+19015550100","target":"sip:desk@example.com","headers":{},"queue":true}}]}"#,
            ),
            (r#"voiceUtils.invite("Hello", "19015550100", "sip:desk@example.com")"#, "{}"),
        ],
        is: Is::Effect(|args| {
            let (message, caller_id) = (args.spoken(0)?, e164(args.text(1, "callerId")?, "callerId")?);
            let (target, headers) = (args.text(2, "target")?, args.headers(3));
            voice(Voice::Invite { message, caller_id, target, headers, queue: args.flag(4, true) })
        }),
    },
    Function {
        name: "voiceUtils.transfer",
        parameters: "{ number }",
        does: "Transfers the call to a number, E.164.",
        examples: &[(
            r#"voiceUtils.transfer({ number: "+1234567890" })"#,
            r#"{"effects":[{"set":"voice","command":{"do":"transfer","number":"+1234567890"}}]}"#,
        )],
        is: Is::Effect(|args| {
            let number = args.object(0, "transfer")?.get("number").unwrap_or(&Value::Null);
            voice(Voice::Transfer { number: e164(args::text(number, "number")?, "number")? })
        }),
    },
    Function {
        name: "voiceUtils.abortPrompt",
        parameters: "message?",
        does: "Cancels running and queued prompts, then plays the message: a text, or an array of texts and addresses of \
               audio files.",
        examples: &[
            (
                "voiceUtils.abortPrompt()",
                r#"{"effects":[{"set":"voice","command":{"do":"abort_prompt","message":[]}}]}"#,
            ),
            (
                r#"voiceUtils.abortPrompt(["https://example.com/a.wav", "Welcome"])"#,
                r#"{"effects":[{"set":"voice","command":{"do":"abort_prompt","message":["https://example.com/a.wav","Welcome"]}}]}"#,
            ),
        ],
        is: Is::Effect(|args| voice(Voice::AbortPrompt { message: args.spoken(0)? })),
    },
    Function {
        name: "voiceUtils.sendDTMF",
        parameters: "dtmf, duration = 500",
        does: "Sends digits (0-9, `*`, `#`), each of so many milliseconds.",
        examples: &[
            (
                r#"voiceUtils.sendDTMF("99865", 600)"#,
                r#"{"effects":[{"set":"voice","command":{"do":"send_dtmf","digits":"99865","duration_ms":600}}]}"#,
            ),
            (
                "voiceUtils.sendDTMF(42, -1)",
                r#"{"effects":[{"set":"voice","command":{"do":"send_dtmf","digits":"42","duration_ms":500}}]}"#,
            ),
            (r#"voiceUtils.sendDTMF("call me")"#, "{}"),
        ],
        is: Is::Effect(|args| {
            let digits = args.text(0, "dtmf")?;
            if !digits.bytes().all(|b| b.is_ascii_digit() || b"*#".contains(&b)) {
                return Err("`dtmf` has other signs than 0-9, * and #".into());
            }
            voice(Voice::SendDtmf { digits, duration_ms: milliseconds(args.number(1), 1.0, 10_000, 500) })
        }),
    },
    Function {
        name: "voiceUtils.pauseAndPlay",
        parameters: "length = 3, message?",
        does: "So many seconds of silence (at most 300), then the message.",
        examples: &[
            (
                r#"voiceUtils.pauseAndPlay(4.5, "Still there?")"#,
                r#"{"effects":[{"set":"voice","command":{"do":"pause_and_play","pause_ms":4500,"message":["Still there?"]}}]}"#,
            ),
            (
                "voiceUtils.pauseAndPlay()",
                r#"{"effects":[{"set":"voice","command":{"do":"pause_and_play","pause_ms":3000,"message":[]}}]}"#,
            ),
        ],
        is: Is::Effect(|args| {
            let pause_ms = milliseconds(args.number(0), 1_000.0, 300_000, 3_000);
            voice(Voice::PauseAndPlay { pause_ms, message: args.spoken(1)? })
        }),
    },
    Function {
        name: "voiceUtils.play",
        parameters: "message",
        does: "Plays a text, or an array of texts and addresses of audio files, in order.",
        examples: &[
            (
                r#"voiceUtils.play(["One", "https://example.com/a.wav", "Two"])"#,
                r#"{"effects":[{"set":"voice","command":{"do":"play","message":["One","https://example.com/a.wav","Two"]}}]}"#,
            ),
            ("voiceUtils.play()", "{}"),
        ],
        is: Is::Effect(|args| {
            let message = args.spoken(0)?;
            if message.is_empty() {
                return Err("`message` is missing".into());
            }
            voice(Voice::Play { message })
        }),
    },
    Function {
        name: "voiceUtils.voicemail",
        parameters: "message, beepRequired = false, transcriptionRequired = false, notifyUrl, metaInfo?, callControlParams?",
        does: "Plays the message, beeps if wanted, records what the caller says then, and tells `notifyUrl`: `{ url, headers? }`, \
               or the address alone. What comes after waits for it.",
        examples: &[
            (
                r#"voiceUtils.voicemail("Speak", true, false, { url: "https://example.com/v", headers: { auth: "t" } }, { id: 1 })"#,
                r#"{"effects":[{"set":"voice","command":{"do":"voicemail","message":["Speak"],"beep":true,"transcription":false,"notify":{"url":"https://example.com/v","headers":"(secret)"},"meta":{"id":1},"parameters":{}}}]}"#,
            ),
            (
                r#"voiceUtils.voicemail("Speak", null, null, "https://example.com/v", null, { language: "es-US" })"#,
                r#"{"effects":[{"set":"voice","command":{"do":"voicemail","message":["Speak"],"beep":false,"transcription":false,"notify":{"url":"https://example.com/v"},"meta":{},"parameters":{"language":"es-US"}}}]}"#,
            ),
            (r#"voiceUtils.voicemail("Speak", true, true, { url: "file:///etc/passwd" })"#, "{}"),
        ],
        is: Is::Effect(voicemail),
    },
];

fn voice(command: Voice) -> Result<Option<Effect>, String> {
    Ok(Some(Effect::Voice { command }))
}

fn e164(number: String, name: &str) -> Result<String, String> {
    let digits = number.strip_prefix('+').unwrap_or_default();
    let valid = (2..=15).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit());
    valid.then_some(number).ok_or_else(|| format!("`{name}` is no number with a + and a country code"))
}

/// A time in units of `unit` milliseconds; what is missing, negative or more than `most` milliseconds is `otherwise`.
fn milliseconds(given: Option<f64>, unit: f64, most: u32, otherwise: u32) -> u32 {
    let given = given.map(|given| (given * unit).round()).filter(|ms| (1.0..=f64::from(most)).contains(ms));
    given.map_or(otherwise, |ms| ms as u32)
}

fn voicemail(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    let message = args.spoken(0)?;
    if message.is_empty() {
        return Err("`message` is missing".into());
    }
    let notify = args.raw(3);
    let url = args::text(notify.get("url").unwrap_or(notify), "notifyUrl")?;
    if !(url.starts_with("https://") || url.starts_with("http://")) {
        return Err("`notifyUrl` is no web address".into());
    }
    let headers = notify.get("headers").cloned().unwrap_or_default();
    let mut inner = Args::new(std::slice::from_ref(&headers));
    let headers = inner.headers(0).into_iter().map(|(name, value)| (name, value.into())).collect();
    args.ignored.append(&mut inner.ignored);
    let headers = args::private(headers, "headers")?;
    let (beep, transcription) = (args.flag(1, false), args.flag(2, false));
    let (meta, parameters) = (args.optional_object(4), args.optional_object(5));
    voice(Voice::Voicemail {
        message,
        beep,
        transcription,
        notify: Notify { url, headers },
        meta,
        parameters,
    })
}
