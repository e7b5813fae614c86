//! `agentUtils`: what the next transfer is told.

use interline_core::flow::script::{Effect, PRIORITY, Recording};
use serde_json::{Map, Value};

use super::args::{self, Args};
use super::{Function, Is};

pub(super) const FUNCTIONS: &[Function] = &[
    Function {
        name: "agentUtils.setTransferSipURI",
        parameters: "uri",
        does: "The SIP target of the transfer.",
        examples: &[(
            r#"agentUtils.setTransferSipURI("sip:+123344234000@2.3.4.5:5060")"#,
            r#"{"effects":[{"set":"transfer_sip_uri","uri":"sip:+123344234000@2.3.4.5:5060"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::TransferSipUri { uri: args.text(0, "uri")? }))),
    },
    Function {
        name: "agentUtils.setTransferPhoneNumber",
        parameters: "number",
        does: "The telephone number of the transfer.",
        examples: &[(
            r#"agentUtils.setTransferPhoneNumber("+12345434000")"#,
            r#"{"effects":[{"set":"transfer_phone_number","number":"+12345434000"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::TransferPhoneNumber { number: args.text(0, "number")? }))),
    },
    Function {
        name: "agentUtils.setReferredBy",
        parameters: "number",
        does: "Referred-By of the transfer.",
        examples: &[(
            r#"agentUtils.setReferredBy("+1902323242424")"#,
            r#"{"effects":[{"set":"referred_by","number":"+1902323242424"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::ReferredBy { number: args.text(0, "number")? }))),
    },
    Function {
        name: "agentUtils.setUserInfo",
        parameters: "info",
        does: "Customer data for the agent. Free names; usual are `firstName`, `lastName`, `email`, `phoneNumber`, \
               `country`, `city`, `Unit Address`.",
        examples: &[(
            r#"agentUtils.setUserInfo({ firstName: "John", "Unit Address": "Unit 12" })"#,
            r#"{"effects":[{"set":"user_info","info":{"Unit Address":"Unit 12","firstName":"John"}}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::UserInfo { info: args.object(0, "info")?.clone() }))),
    },
    Function {
        name: "agentUtils.setBotLanguage",
        parameters: "code",
        does: "The language for the agent's desktop.",
        examples: &[(
            r#"agentUtils.setBotLanguage("de")"#,
            r#"{"effects":[{"set":"bot_language","code":"de"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::BotLanguage { code: args.text(0, "code")? }))),
    },
    Function {
        name: "agentUtils.getBotLanguage",
        parameters: "",
        does: "That language: what this script set, else the conversation's.",
        examples: &[
            ("agentUtils.getBotLanguage()", r#"{"value":"en"}"#),
            (
                r#"agentUtils.setBotLanguage("fr"); agentUtils.getBotLanguage()"#,
                r#"{"value":"fr","effects":[{"set":"bot_language","code":"fr"}]}"#,
            ),
        ],
        is: Is::Language,
    },
    Function {
        name: "agentUtils.setUserPreferredLanguage",
        parameters: "code",
        does: "The customer's language, for translation.",
        examples: &[(
            r#"agentUtils.setUserPreferredLanguage("fr")"#,
            r#"{"effects":[{"set":"user_language","code":"fr"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::UserLanguage { code: args.text(0, "code")? }))),
    },
    Function {
        name: "agentUtils.setQueue",
        parameters: "queue",
        does: "The queue, by id or name.",
        examples: &[(
            r#"agentUtils.setQueue("Billing")"#,
            r#"{"effects":[{"set":"queue","queue":"Billing"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::Queue { queue: args.text(0, "queue")? }))),
    },
    Function {
        name: "agentUtils.setPriority",
        parameters: "priority = 5",
        does: "The priority in the queue, a whole number from 0 (first) to 10. An invalid one is ignored, and 5 is set.",
        examples: &[
            ("agentUtils.setPriority(0)", r#"{"effects":[{"set":"priority","priority":0}]}"#),
            ("agentUtils.setPriority(10)", r#"{"effects":[{"set":"priority","priority":10}]}"#),
            ("agentUtils.setPriority(11)", r#"{"effects":[{"set":"priority","priority":5}]}"#),
            ("agentUtils.setPriority(-1)", r#"{"effects":[{"set":"priority","priority":5}]}"#),
            ("agentUtils.setPriority(2.5)", r#"{"effects":[{"set":"priority","priority":5}]}"#),
            (r#"agentUtils.setPriority("high")"#, r#"{"effects":[{"set":"priority","priority":5}]}"#),
            ("agentUtils.setPriority()", r#"{"effects":[{"set":"priority","priority":5}]}"#),
        ],
        is: Is::Effect(priority),
    },
    Function {
        name: "agentUtils.setLiveChatAgentOutGoingSetup",
        parameters: "{ name, config }",
        does: "The agent system of the next transfer, by its name or type, in place of the configured one, and settings of \
               it for that transfer alone.",
        examples: &[
            (
                r#"agentUtils.setLiveChatAgentOutGoingSetup({ name: "salesforce", config: { organizationId: "00D5" } })"#,
                r#"{"effects":[{"set":"agent_system","name":"salesforce","config":"(secret)"}]}"#,
            ),
            (
                r#"agentUtils.setLiveChatAgentOutGoingSetup({ name: "desk" })"#,
                r#"{"effects":[{"set":"agent_system","name":"desk"}]}"#,
            ),
            ("agentUtils.setLiveChatAgentOutGoingSetup({ config: {} })", "{}"),
        ],
        is: Is::Effect(agent_system),
    },
    Function {
        name: "agentUtils.setNamedAgents",
        parameters: "ids, { waitForAgent = false, waitDurationSeconds = 30 }?",
        does: "Only these agents. With `waitForAgent` the conversation waits so many seconds (at most 3600, else 30) for \
               one of them.",
        examples: &[
            (
                r#"agentUtils.setNamedAgents(["a-1", "a-2"])"#,
                r#"{"effects":[{"set":"named_agents","ids":["a-1","a-2"]}]}"#,
            ),
            (
                r#"agentUtils.setNamedAgents(["a-1"], { waitForAgent: true, waitDurationSeconds: 90 })"#,
                r#"{"effects":[{"set":"named_agents","ids":["a-1"],"wait_seconds":90}]}"#,
            ),
            (
                r#"agentUtils.setNamedAgents(["a-1"], { waitForAgent: true, waitDurationSeconds: 3601 })"#,
                r#"{"effects":[{"set":"named_agents","ids":["a-1"],"wait_seconds":30}]}"#,
            ),
        ],
        is: Is::Effect(named_agents),
    },
    Function {
        name: "agentUtils.setAgentMatchingConditions",
        parameters: "{ skills?, agentGroups?, skillGroups? }",
        does: "What an agent must match, each a list of ids.",
        examples: &[(
            r#"agentUtils.setAgentMatchingConditions({ skills: ["s-1"], agentGroups: ["ag-1"] })"#,
            r#"{"effects":[{"set":"agent_matching","skills":["s-1"],"agent_groups":["ag-1"],"skill_groups":[]}]}"#,
        )],
        is: Is::Effect(matching),
    },
    Function {
        name: "agentUtils.setWaitingExperience",
        parameters: "id",
        does: "What the customer hears while waiting, unless the Agent Transfer node names another.",
        examples: &[(
            r#"agentUtils.setWaitingExperience("premium")"#,
            r#"{"effects":[{"set":"waiting_experience","id":"premium"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::WaitingExperience { id: args.text(0, "id")? }))),
    },
    Function {
        name: "agentUtils.setExternalAgentRecordingControl",
        parameters: "{ record }",
        does: "`\"start\"`, `\"stop\"`, `\"pause\"` or `\"resume\"`: recording of the leg with an external agent.",
        examples: &[
            (
                r#"agentUtils.setExternalAgentRecordingControl({ record: "pause" })"#,
                r#"{"effects":[{"set":"external_agent_recording","record":"pause"}]}"#,
            ),
            (r#"agentUtils.setExternalAgentRecordingControl({ record: "rewind" })"#, "{}"),
        ],
        is: Is::Effect(|args| Ok(Some(Effect::ExternalAgentRecording { record: recording(args)? }))),
    },
    Function {
        name: "agentUtils.setAgentRecordingControl",
        parameters: "{ record }",
        does: "`\"stop\"`, before the transfer: no recording with an agent of the platform.",
        examples: &[(
            r#"agentUtils.setAgentRecordingControl({ record: "stop" })"#,
            r#"{"effects":[{"set":"agent_recording","record":"stop"}]}"#,
        )],
        is: Is::Effect(|args| Ok(Some(Effect::AgentRecording { record: recording(args)? }))),
    },
    Function {
        name: "agentUtils.setAgentTranscribe",
        parameters: "{ transcribe }",
        does: "`false`, before the transfer: no transcript for the agent, who sees a note in its place.",
        examples: &[(
            "agentUtils.setAgentTranscribe({ transcribe: false })",
            r#"{"effects":[{"set":"agent_transcribe","transcribe":false}]}"#,
        )],
        is: Is::Effect(transcribe),
    },
];

fn priority(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    let given = args.raw(0);
    // A JavaScript number has no kinds: 7 and 7.0 are the same.
    let whole = given.as_f64().filter(|number| number.fract() == 0.0 && (0.0..=10.0).contains(number));
    if whole.is_none() {
        args.ignored.push("the priority: it is no whole number from 0 to 10".into());
    }
    let priority = (0..=10_u8).find(|priority| whole == Some(f64::from(*priority))).unwrap_or(PRIORITY);
    Ok(Some(Effect::Priority { priority }))
}

fn agent_system(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    let setup = args.object(0, "setup")?;
    let name = args::text(setup.get("name").unwrap_or(&Value::Null), "name")?;
    let config = setup.get("config").and_then(Value::as_object).cloned().unwrap_or_default();
    Ok(Some(Effect::AgentSystem { name, config: args::private(config, "config")? }))
}

fn named_agents(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    /// Seconds, where the script gives none that count.
    const WAIT: u32 = 30;
    let ids = args.texts(0, "ids")?;
    let options = args.optional_object(1);
    let waits = options.get("waitForAgent").and_then(Value::as_bool).unwrap_or(false);
    // Both spellings are in use.
    let given = options.get("waitDurationSeconds").or_else(|| options.get("waitDurationInSeconds"));
    let seconds = given.and_then(Value::as_u64).filter(|seconds| (1..=3_600).contains(seconds));
    let seconds = seconds.and_then(|seconds| u32::try_from(seconds).ok()).unwrap_or(WAIT);
    Ok(Some(Effect::NamedAgents { ids, wait_seconds: waits.then_some(seconds) }))
}

fn matching(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    let conditions = args.object(0, "conditions")?;
    Ok(Some(Effect::AgentMatching {
        skills: list(conditions, "skills")?,
        agent_groups: list(conditions, "agentGroups")?,
        skill_groups: list(conditions, "skillGroups")?,
    }))
}

fn list(fields: &Map<String, Value>, name: &str) -> Result<Vec<String>, String> {
    fields
        .get(name)
        .filter(|value| !value.is_null())
        .map_or_else(|| Ok(Vec::new()), |value| args::texts(value, name))
}

fn recording(args: &mut Args<'_>) -> Result<Recording, String> {
    match args.object(0, "control")?.get("record").and_then(Value::as_str) {
        Some("start") => Ok(Recording::Start),
        Some("stop") => Ok(Recording::Stop),
        Some("pause") => Ok(Recording::Pause),
        Some("resume") => Ok(Recording::Resume),
        _ => Err("`record` is none of start, stop, pause, resume".into()),
    }
}

fn transcribe(args: &mut Args<'_>) -> Result<Option<Effect>, String> {
    let transcribe = args.object(0, "control")?.get("transcribe").and_then(Value::as_bool);
    let transcribe = transcribe.ok_or("`transcribe` is neither true nor false")?;
    Ok(Some(Effect::AgentTranscribe { transcribe }))
}
