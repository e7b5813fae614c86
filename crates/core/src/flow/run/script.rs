//! Scripts: one is needed, or its answer is there; what it set takes effect here and nowhere else.

use super::{Act, Go, MOST_SCRIPTS, Machine, NeedScript};
use crate::conversation::entry::{Note, Recording, Text};
use crate::flow::document::NodeId;
use crate::flow::node::Script;
use crate::flow::script::{self, Answer, Call, Done, Effect, Voice};

impl Machine<'_, '_, '_> {
    pub(super) fn script_task(&mut self, id: &NodeId, task: &Script) -> Result<Go, NeedScript> {
        let done = match self.script(id, &task.source)? {
            Ok(done) => done,
            Err(why) => return Ok(Go::Fail(id.clone(), why)),
        };
        if let Some(name) = &task.result
            && self.memory.set(name, done.value).is_err()
        {
            return Ok(Go::Fail(id.clone(), TOO_LARGE.to_owned()));
        }
        if self.ended() {
            return Ok(Go::Stop);
        }
        let scope = self.scope();
        let taken = task.branches.iter().find(|branch| branch.when.holds(&scope));
        Ok(Go::Node(taken.map(|branch| branch.go_to.clone()).or_else(|| task.next.clone())))
    }

    /// Runs a script: its answer, with all that it set in effect. The inner error says why it failed.
    pub(super) fn script(&mut self, id: &NodeId, source: &str) -> Result<Result<Done, String>, NeedScript> {
        if self.scripts >= MOST_SCRIPTS {
            return Ok(Err(format!("more than {MOST_SCRIPTS} scripts without a pause")));
        }
        let Some(answer) = self.answers.next() else {
            let flow = self.place(id).flow.to_string();
            let seed = self.around.seed.wrapping_add(self.scripts.wrapping_mul(0x9e37_79b9_7f4a_7c15));
            let (scope, now) = (self.scope().for_script(), self.around.now);
            let call = Call { flow, node: id.clone(), source: source.into(), scope, now, seed };
            return Err(NeedScript(Box::new(call)));
        };
        self.scripts += 1;
        let done = match answer {
            Answer::Done(done) => done.clone(),
            Answer::Failed(fault) => return Ok(Err(fault.to_string())),
        };
        if !done.log.is_empty() {
            let place = self.place(id);
            self.acts.push(Act::Note(Note::ScriptLog { place, lines: done.log.clone() }));
        }
        let before = self.memory.clone();
        script::apply(&done.variables, &mut self.memory.variables);
        script::apply(&done.bot_user_session, &mut self.memory.bot_session);
        script::apply(&done.user_session, &mut self.memory.user_session);
        for effect in &done.effects {
            self.effect(id, effect);
        }
        if !self.memory.fits() {
            *self.memory = before;
            return Ok(Err(TOO_LARGE.to_owned()));
        }
        Ok(Ok(done))
    }

    /// Whether a script ended the conversation.
    pub(super) fn ended(&self) -> bool {
        self.acts.last() == Some(&Act::End)
    }

    fn tell_author(&mut self, id: &NodeId, line: &str) {
        let place = self.place(id);
        self.acts.push(Act::Note(Note::ScriptLog { place, lines: vec![line.to_owned()] }));
    }

    fn effect(&mut self, id: &NodeId, effect: &Effect) {
        let ask = &mut self.memory.ask;
        match effect {
            Effect::TransferSipUri { uri } => ask.call.destination = Some(uri.clone()),
            Effect::TransferPhoneNumber { number } => ask.call.destination = Some(number.clone()),
            Effect::ReferredBy { number } => ask.call.referred_by = Some(number.clone()),
            Effect::UserInfo { info } => ask.user.extend(info.clone()),
            Effect::BotLanguage { code } => ask.language = Some(code.clone()),
            Effect::UserLanguage { code } => ask.user_language = Some(code.clone()),
            Effect::Queue { queue } => ask.queue = Some(queue.clone()),
            Effect::Priority { priority } => ask.priority = Some(*priority),
            Effect::AgentSystem { name, config } => {
                (ask.system, ask.setup) = (Some(name.clone()), config.clone());
                if self.around.app.called(name).is_none() {
                    let line = format!(
                        "the app has no agent system `{}`: the node's own is asked",
                        super::brief(name)
                    );
                    self.tell_author(id, &line);
                }
            }
            Effect::NamedAgents { ids, wait_seconds } => {
                ask.agents.clone_from(ids);
                ask.wait_for_agents_s = *wait_seconds;
            }
            Effect::AgentMatching { skills, agent_groups, skill_groups } => {
                ask.skills.clone_from(skills);
                ask.agent_groups.clone_from(agent_groups);
                ask.skill_groups.clone_from(skill_groups);
            }
            Effect::WaitingExperience { id: waiting } => ask.waiting = Some(waiting.clone()),
            Effect::ExternalAgentRecording { record } => ask.external_recording = Some(*record),
            Effect::AgentRecording { record } => ask.recording = Some(*record),
            Effect::AgentTranscribe { transcribe } => ask.transcribe = Some(*transcribe),
            Effect::ConversationType { kind } => {
                self.memory.user_session.insert("conversationType".into(), kind.as_str().into());
            }
            Effect::TranslationKey {} => {}
            Effect::VoiceChatAgentLanguage { code } => {
                self.memory.user_session.insert("voiceChatAgentLang".into(), code.as_str().into());
            }
            Effect::VoiceChatUserLanguage { code } => ask.user_language = Some(code.clone()),
            Effect::Print { text } => self.say(Text::plain(text.clone())),
            Effect::Voice { command } => self.voice(command),
        }
    }

    /// On a call the gateway does it. Elsewhere what can be said is said, and a hang-up is an end.
    fn voice(&mut self, command: &Voice) {
        if self.around.customer.connection.is_call {
            self.acts.push(Act::Voice(command.clone()));
            return;
        }
        let (message, ends) = match command {
            Voice::Hangup { message, .. } => (message, true),
            Voice::AbortPrompt { message }
            | Voice::PauseAndPlay { message, .. }
            | Voice::Play { message }
            | Voice::Refer { message, .. }
            | Voice::Invite { message, .. }
            | Voice::Voicemail { message, .. } => (message, false),
            Voice::Transfer { .. } | Voice::SendDtmf { .. } => return,
        };
        for part in message {
            let is_link = part.starts_with("https://") || part.starts_with("http://");
            let recording = is_link.then(|| Recording::Link(part.clone()));
            let text = if is_link { String::new() } else { part.clone() };
            self.say(Text { recording, ..Text::plain(text) });
        }
        if ends && !self.around.in_queue {
            self.acts.push(Act::End);
        }
    }
}

const TOO_LARGE: &str = "the variables are too large";
