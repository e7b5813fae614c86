//! Calls of an IVR, in both forms.

use std::sync::Arc;

use interline_core::Owner;
use interline_core::conversation::input::AgentEvent;
use serde_json::{Value, json};

use crate::host::{APP, Agents, FlowHost, credential, serve};
use crate::vxml::Dialog;

/// A menu, digits, a transfer with tags, and an end.
pub fn flow() -> Value {
    json!({
        "start": "menu",
        "voice": { "parameters": { "sttProvider": "microsoft" } },
        "nodes": {
            "menu": { "ivr_menu": {
                "message": "For <billing> press 1 & for support press 2.",
                "barge_in": true,
                "choices": [
                    { "key": "1", "words": ["billing"], "label": "Billing", "go_to": "account" },
                    { "key": "2", "label": "Support", "go_to": "support" },
                    { "key": "3", "go_to": "talk" },
                    { "key": "9", "go_to": "bye" }
                ],
                "timeout": { "seconds": 6, "message": "I did not hear you.", "tries": 2, "go_to": "bye" },
                "wrong_input": { "message": "That is no choice.", "tries": 3, "go_to": "bye" }
            } },
            "account": { "digit_input": {
                "message": { "text": "Your account number.", "link": "https://example.com/account.wav" },
                "min": 4, "max": 10, "end_key": "#", "next": "human",
                "voice": { "parameters": { "interdigittimeout": "4s", "bad name": 1 }, "language": "de-DE" }
            } },
            "human": { "agent_transfer": {
                "message": "One moment.",
                "call": {
                    "destination": "+15550001111",
                    "transfer_tags": { "queue": "billing", "account": "{{context.steps.account}}", "odd": "a\"b\u{2028}</var>" },
                    "headers": { "X-Account": "{{context.steps.account}}", "User-to-User": "00FA;encoding=hex" },
                    "properties": { "parameters": { "vendorKey": "x" } }
                }
            } },
            "support": { "agent_transfer": { "call": { "method": "invite", "destination": "sip:support@example.com" } } },
            "talk": { "message": { "text": "Tell me." } },
            "bye": { "end": { "message": "Good-bye." } }
        }
    })
}

pub struct World {
    pub host: Arc<FlowHost>,
    pub base: String,
    pub http: reqwest::Client,
}

impl World {
    pub async fn new(extra: Value, agents: Agents) -> Self {
        Self::with(extra, flow(), agents).await
    }

    pub async fn with(extra: Value, flow: Value, agents: Agents) -> Self {
        let host = Arc::new(FlowHost::new("ivr", extra, flow, agents));
        let base = serve(&host, "ivr").await;
        Self { host, base, http: reqwest::Client::new() }
    }

    pub fn token(&self, name: &str) -> String {
        credential(name).sign(&json!({ "appId": format!("cs-{name}"), "sub": "ivr" })).unwrap()
    }

    pub fn post(&self, body: &Value) -> reqwest::RequestBuilder {
        let url = format!("{}/ivr/hooks/{APP}?token={}", self.base, self.token("caller"));
        self.http.post(url).json(body)
    }

    /// A turn in JSON.
    pub async fn json(&self, body: Value) -> Value {
        let answer = self.post(&body).header("accept", "application/json").send().await.unwrap();
        assert_eq!(answer.status(), 200);
        answer.json().await.unwrap()
    }

    /// A turn in VoiceXML, checked against the rules of the standard.
    pub async fn vxml(&self, body: Value) -> Dialog {
        let answer = self.post(&body).send().await.unwrap();
        assert_eq!(answer.status(), 200);
        let kind = answer.headers()["content-type"].to_str().unwrap().to_owned();
        assert_eq!(kind, "application/voicexml+xml; charset=utf-8");
        Dialog::read(&answer.text().await.unwrap())
    }
}

fn calls(message: &str) -> Value {
    json!({ "callId": "c-1", "message": message, "from": "+15550002222" })
}

#[tokio::test]
async fn a_call_goes_through_menu_and_digits_and_is_given_back_with_its_tags() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let menu = world.vxml(calls("")).await;
    assert_eq!(menu.prompts(), ["For <billing> press 1 & for support press 2."]);
    assert_eq!(menu.property("bargein"), Some("true"));
    assert_eq!(menu.property("timeout"), Some("6000ms"));
    assert_eq!(menu.property("sttProvider"), Some("microsoft"));
    assert_eq!(menu.value("endOfConversation"), "false");
    assert!(menu.takes_keys("1") && menu.takes_keys("9") && !menu.takes_keys("4"));
    assert_eq!(menu.words(), [("billing".into(), "1".into()), ("Support".into(), "2".into())]);

    let digits = world.vxml(json!({ "callId": "c-1", "message": "1", "inputmode": "dtmf" })).await;
    assert_eq!(digits.prompts(), ["Your account number."]);
    assert_eq!(digits.audio(), ["https://example.com/account.wav"]);
    assert_eq!((digits.property("termchar"), digits.property("inputmodes")), (Some("#"), Some("dtmf")));
    assert_eq!((digits.property("interdigittimeout"), digits.property("bad name")), (Some("4s"), None));
    assert_eq!(digits.language(), "de-DE");
    assert!(digits.takes_keys("1234") && digits.takes_keys("1234567890"));
    assert!(!digits.takes_keys("123") && !digits.takes_keys("12345678901"));

    let back = world.vxml(json!({ "callId": "c-1", "message": "4 2 4 2", "inputmode": "dtmf" })).await;
    assert_eq!(back.prompts(), ["One moment."]);
    assert_eq!(back.value("endOfConversation"), "true");
    assert_eq!(back.value("transferType"), r#""blind""#);
    assert_eq!(back.value("transferTarget"), r#""+15550001111""#);
    assert_eq!(
        back.value("transferTags"),
        r#"({"account":"4242","odd":"a\"b\u2028</var>","queue":"billing"})"#
    );
    assert!(
        back.value("transfer")
            .contains(r#""headers":{"User-to-User":"00FA;encoding=hex","X-Account":"4242"}"#)
    );
    assert!(back.returned().contains(&"transferTags".to_owned()));
    let state = world.host.state("c-1");
    assert_eq!((state.owner, state.facts.handed_off), (Owner::Closed, 1));
    assert_eq!(state.customer.connection.caller.as_deref(), Some("+15550002222"));
}

#[tokio::test]
async fn the_same_call_in_json() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let menu = world.json(calls("")).await;
    assert_eq!(menu["action"], "input");
    assert_eq!(menu["endOfConversation"], false);
    assert_eq!(menu["prompts"], json!([{ "text": "For <billing> press 1 & for support press 2." }]));
    assert_eq!(menu["input"]["type"], "menu");
    assert_eq!(menu["input"]["choices"][0], json!({ "key": "1", "words": ["billing"], "label": "Billing" }));
    assert_eq!(menu["input"]["timeoutMs"], 6000);
    assert_eq!(menu["input"]["parameters"], json!({ "sttProvider": "microsoft" }));
    let digits = world.json(calls("1")).await;
    assert_eq!(
        digits["prompts"],
        json!([{ "audio": "https://example.com/account.wav", "text": "Your account number." }])
    );
    assert_eq!((&digits["input"]["min"], &digits["input"]["endKey"]), (&json!(4), &json!("#")));
    let back = world.json(calls("4242")).await;
    assert_eq!((&back["action"], &back["endOfConversation"]), (&json!("transfer"), &json!(true)));
    assert_eq!(
        back["transfer"],
        json!({
            "type": "blind",
            "target": "+15550001111",
            "tags": { "queue": "billing", "account": "4242", "odd": "a\"b\u{2028}</var>" },
            "headers": { "X-Account": "4242", "User-to-User": "00FA;encoding=hex" },
            "parameters": { "vendorKey": "x" },
        })
    );
}

#[tokio::test]
async fn an_ivr_that_cannot_transfer_by_itself_is_told_to_in_the_document() {
    let world = World::new(json!({ "transfer": "execute" }), Agents::HandOff).await;
    world.vxml(calls("")).await;
    world.vxml(calls("1")).await;
    let back = world.vxml(calls("4242")).await;
    assert_eq!(back.transfer(), Some(("tel:+15550001111", "blind", Some("00FA;encoding=hex"))));
    assert!(back.returned().contains(&"transferResult".to_owned()));

    world.vxml(json!({ "callId": "c-2", "message": "" })).await;
    let bridged = world.vxml(json!({ "callId": "c-2", "message": "2" })).await;
    assert_eq!(bridged.transfer(), Some(("sip:support@example.com", "bridge", None)));
}

#[tokio::test]
async fn silence_and_unclear_words_return_and_the_flow_counts_them() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let menu = world.vxml(calls("")).await;
    assert_eq!(menu.on("noinput"), Some(r#""noinput""#.to_owned()));
    assert_eq!(menu.on("nomatch"), Some(r#""nomatch""#.to_owned()));
    let unclear = world.json(json!({ "callId": "c-1", "event": "nomatch" })).await;
    assert_eq!(unclear["prompts"][0]["text"], "That is no choice.");
    let silent = world.json(json!({ "callId": "c-1", "message": "", "event": "noinput" })).await;
    assert_eq!(silent["prompts"][0]["text"], "I did not hear you.");
    let over = world.json(json!({ "callId": "c-1", "message": "", "event": "noinput" })).await;
    assert_eq!((&over["prompts"][0]["text"], &over["action"]), (&json!("Good-bye."), &json!("end")));
    assert_eq!(over["endOfConversation"], true);
}

#[tokio::test]
async fn the_same_request_again_gets_the_same_answer_and_changes_nothing() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let menu = world.json(calls("")).await;
    assert_eq!(world.json(calls("")).await, menu, "who only asks where we are is told");
    let turn = menu["turn"].clone();
    let answers = json!({ "callId": "c-1", "message": "1", "turn": turn });
    let digits = world.json(answers.clone()).await;
    assert_eq!(world.json(answers).await, digits);
    assert_eq!(world.host.said("c-1"), ["1"]);
    let dialog = world.vxml(json!({ "callId": "c-1", "message": "1", "turn": turn })).await;
    assert_eq!(dialog.value("turn"), digits["turn"].to_string());
    let last = json!({ "callId": "c-1", "message": "4242", "turn": digits["turn"] });
    let back = world.json(last.clone()).await;
    assert_eq!(back["action"], "transfer");
    assert_eq!(world.json(last).await, back, "also the one that ended the call");
}

#[tokio::test]
async fn free_speech_has_the_grammar_of_the_settings_or_of_the_flow() {
    let world = World::new(json!({ "grammar": "builtin:grammar/text" }), Agents::HandOff).await;
    world.vxml(calls("")).await;
    let talk = world.vxml(calls("3")).await;
    assert_eq!(talk.references(), ["builtin:grammar/text"]);
    assert_eq!(talk.property("timeout"), None);

    let own = r#"<grammar xmlns="http://www.w3.org/2001/06/grammar" version="1.0" mode="voice" root="r" xml:lang="en-US"><rule id="r">colour</rule></grammar>"#;
    for (grammar, words) in [(own, 1), ("<script>alert(1)</script>", 0), ("<grammar><rule></grammar>", 0)] {
        let flow = json!({ "start": "ask", "nodes": { "ask": { "message": { "text": "Colour?" } } }, "voice": { "grammar": grammar } });
        let world = World::with(json!({}), flow, Agents::HandOff).await;
        let answer = world.post(&calls("")).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer.matches("colour").count(), words, "{answer}");
        assert!(!answer.contains("<script>"));
    }
}

#[tokio::test]
async fn while_an_agent_is_asked_for_the_ivr_calls_again() {
    let world = World::new(json!({ "wait_seconds": 1 }), Agents::Accept).await;
    world.vxml(calls("")).await;
    let waiting = world.vxml(calls("2")).await;
    assert_eq!((waiting.value("endOfConversation"), waiting.value("event")), ("false", r#""continue""#));
    world.host.agent("c-1", AgentEvent::HandedOff);
    let back = world.json(json!({ "callId": "c-1", "event": "continue" })).await;
    assert_eq!(
        (&back["action"], &back["transfer"]["target"]),
        (&json!("transfer"), &json!("sip:support@example.com"))
    );
    assert_eq!(back["transfer"]["type"], "bridge");
}

#[tokio::test]
async fn a_caller_who_hangs_up_ends_the_conversation() {
    let world = World::new(json!({}), Agents::HandOff).await;
    world.vxml(calls("")).await;
    let over = world.vxml(json!({ "callId": "c-1", "event": "hangup" })).await;
    assert_eq!(over.value("endOfConversation"), "true");
    assert_eq!(world.host.state("c-1").owner, Owner::Closed);
    let again = world.json(json!({ "callId": "c-1", "event": "hangup" })).await;
    assert_eq!(again["action"], "end");
}

#[tokio::test]
async fn a_form_of_voicexml_says_the_same_as_json() {
    let world = World::new(json!({}), Agents::HandOff).await;
    let form = |fields: &[(&str, &str)]| {
        let url = format!("{}/ivr/hooks/{APP}", world.base);
        let token = world.token("caller");
        let mut fields: Vec<(String, String)> =
            fields.iter().map(|(a, b)| ((*a).into(), (*b).into())).collect();
        fields.push(("token".into(), token));
        world.http.post(url).form(&fields).send()
    };
    let menu =
        form(&[("callId", "c 1"), ("message", ""), ("app_root", "app.vxml"), ("to", "st-1")]).await.unwrap();
    let menu = menu.text().await.unwrap();
    assert!(menu.contains(r#"application="app.vxml""#));
    let turn = Dialog::read(&menu).value("turn").to_owned();
    let fields = [
        ("callId", "c 1"),
        ("message", "billing"),
        ("confidence", "0.81"),
        ("inputmode", "voice"),
        ("utterance", "billing please"),
        ("turn", &turn),
    ];
    let digits = Dialog::read(&form(&fields).await.unwrap().text().await.unwrap());
    assert_eq!(digits.prompts(), ["Your account number."]);
    assert_eq!(world.host.state("c 1").customer.connection.call_id.as_deref(), Some("c 1"));
}

#[tokio::test]
async fn texts_with_odd_characters_are_heard_as_they_are_or_without_them() {
    let odd = "a\u{0}b\u{8}c ]]> &amp; <x/> \u{1F600} \u{ffff} \"'";
    let flow = json!({ "start": "say", "nodes": { "say": { "message": { "text": odd } } } });
    let world = World::with(json!({}), flow, Agents::HandOff).await;
    let said = world.vxml(calls("")).await;
    assert_eq!(said.prompts(), ["abc ]]> &amp; <x/> \u{1F600}  \"'"]);
    assert_eq!(world.json(json!({ "callId": "c-1", "message": "" })).await["prompts"][0]["text"], odd);
}

#[tokio::test]
async fn a_document_names_its_type_where_that_is_set() {
    let doctype = json!({ "public": "-//W3C//DTD VOICEXML 2.1//EN", "system": "http://www.w3.org/TR/voicexml21/vxml.dtd" });
    for (doctype, line) in [
        (
            doctype,
            Some(
                r#"<!DOCTYPE vxml PUBLIC "-//W3C//DTD VOICEXML 2.1//EN" "http://www.w3.org/TR/voicexml21/vxml.dtd">"#,
            ),
        ),
        (json!({ "system": "vxml.dtd" }), Some(r#"<!DOCTYPE vxml SYSTEM "vxml.dtd">"#)),
        (Value::Null, None),
    ] {
        let world = World::new(json!({ "doctype": doctype }), Agents::HandOff).await;
        let answer = world.post(&calls("")).send().await.unwrap().text().await.unwrap();
        assert_eq!(answer.contains("<!DOCTYPE"), line.is_some(), "{answer}");
        assert!(line.is_none_or(|line| answer.contains(line)), "{answer}");
        Dialog::read(&answer);
    }
}
