//! Variables, the two session stores, voice chat, and the script's log.

use interline_core::flow::script::Effect;

use super::{Function, Is};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "setCallFlowVariable",
        parameters: "name, value",
        does: "Sets a flow variable: the same as `context[name] = value`, read as `{{context.name}}`.",
        examples: &[
            (
                r#"setCallFlowVariable("user_id", context.UserContext._id)"#,
                r#"{"variables":{"user_id":{"put":"u-1"}}}"#,
            ),
            (r#"setCallFlowVariable("session", 1)"#, "{}"),
        ],
        is: Is::Prelude,
    },
    Function {
        name: "getCallFlowVariable",
        parameters: "name",
        does: "A flow variable.",
        examples: &[(r#"getCallFlowVariable("city")"#, r#"{"value":"Berlin"}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "userSessionUtils.get",
        parameters: "key",
        does: "A value of the person's session, `context.session.UserSession`.",
        examples: &[(r#"userSessionUtils.get("visits")"#, r#"{"value":3}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "userSessionUtils.put",
        parameters: "key, value",
        does: "Sets a value there.",
        examples: &[(
            r#"userSessionUtils.put("Caller", { vip: true })"#,
            r#"{"user_session":{"Caller":{"put":{"vip":true}}}}"#,
        )],
        is: Is::Prelude,
    },
    Function {
        name: "userSessionUtils.delete",
        parameters: "key",
        does: "Deletes a value there.",
        examples: &[(r#"userSessionUtils.delete("visits")"#, r#"{"user_session":{"visits":"deleted"}}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "BotUserSession.get",
        parameters: "key",
        does: "A value of the bot's session, `context.session.BotUserSession`.",
        examples: &[(r#"BotUserSession.get("cart")"#, r#"{"value":["tea"]}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "BotUserSession.put",
        parameters: "key, value",
        does: "Sets a value there. `UserSession.put` and `context.session.….put` are the same for their store.",
        examples: &[
            (r#"BotUserSession.put("order", 7)"#, r#"{"bot_user_session":{"order":{"put":7}}}"#),
            (
                r#"context.session.BotUserSession.put("order", 7); context.BotUserSession.order"#,
                r#"{"value":7,"bot_user_session":{"order":{"put":7}}}"#,
            ),
        ],
        is: Is::Prelude,
    },
    Function {
        name: "BotUserSession.delete",
        parameters: "key",
        does: "Deletes a value there.",
        examples: &[(r#"BotUserSession.delete("cart")"#, r#"{"bot_user_session":{"cart":"deleted"}}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "getChildBotContextById",
        parameters: "id",
        does: "`context.childBotsContext[id]`.",
        examples: &[(r#"getChildBotContextById("st-2").UserContext._id"#, r#"{"value":"u-2"}"#)],
        is: Is::Prelude,
    },
    Function {
        name: "userSessionUtils.setConversationType",
        parameters: "type",
        does: "`'voiceChat'`.",
        examples: &[(
            "userSessionUtils.setConversationType('voiceChat')",
            r#"{"effects":[{"set":"conversation_type","kind":"voiceChat"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::ConversationType { kind: args.text(0, "type")? }))),
    },
    Function {
        name: "userSessionUtils.setLanguageTranslationAPIKey",
        parameters: "key",
        does: "The key of a translation service. Nothing here has a use for it: it is not kept.",
        examples: &[(
            r#"userSessionUtils.setLanguageTranslationAPIKey("AIza")"#,
            r#"{"effects":[{"set":"translation_key"}]}"#,
        )],
        is: Is::Effect(|args| args.text(0, "key").map(|_| Some(Effect::TranslationKey {}))),
    },
    Function {
        name: "userSessionUtils.setVoiceChatAgentLang",
        parameters: "code",
        does: "The agent's language in a voice chat.",
        examples: &[(
            r#"userSessionUtils.setVoiceChatAgentLang("en")"#,
            r#"{"effects":[{"set":"voice_chat_agent_language","code":"en"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::VoiceChatAgentLanguage { code: args.text(0, "code")? }))),
    },
    Function {
        name: "userSessionUtils.setVoiceChatUserLang",
        parameters: "code",
        does: "The customer's language in a voice chat.",
        examples: &[(
            r#"userSessionUtils.setVoiceChatUserLang("de")"#,
            r#"{"effects":[{"set":"voice_chat_user_language","code":"de"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::VoiceChatUserLanguage { code: args.text(0, "code")? }))),
    },
    Function {
        name: "print",
        parameters: "text",
        does: "Says it to the customer. Around a `voiceUtils` call, as scripts write it, it adds nothing.",
        examples: &[
            (r#"print("Hello " + context.city)"#, r#"{"effects":[{"set":"print","text":"Hello Berlin"}]}"#),
            (
                r##"print(voiceUtils.sendDTMF("1#"))"##,
                r##"{"effects":[{"set":"voice","command":{"do":"send_dtmf","digits":"1#","duration_ms":500}}]}"##,
            ),
        ],
        is: Is::Effect(|args| Ok(args.optional_text(0, "text")?.map(|text| Effect::Print { text }))),
    },
    Function {
        name: "console.log",
        parameters: "…values",
        does: "Writes a line to the script's log, for its author. `koreDebugger.log` is the same.",
        examples: &[(r#"console.log("at", { step: 1 })"#, "{}")],
        is: Is::Log,
    },
    Function {
        name: "koreDebugger.log",
        parameters: "…values",
        does: "Writes a line to the script's log, for its author.",
        examples: &[(r#"koreDebugger.log("here")"#, "{}")],
        is: Is::Log,
    },
];
