//! What the instance tells → what it means.
//!
//! | told | means |
//! |---|---|
//! | `agentChat`, SubscribeToSupportQueue, SubscribeToChatPresence, a spinner of waiting | it is on its way to an agent |
//! | SwitchToLiveAgent, a System text of `joined_texts`, an agent's first words | an agent joined |
//! | what has `agentInfo.sentFromAgent` | the agent's words and files |
//! | Start/EndTypingIndicator | typing |
//! | SwitchToVirtualAgent, a System text of `ended_texts`, `completed` or `takeControl` after an agent, Virtual Agent's words without `agentChat` after an agent | the agent's part is over |
//! | words that fit `no_agents_texts`, `outside_hours_texts`, `queue_timeout_texts` before an agent came | nobody comes, and why |
//! | `completed` before an agent came | nobody comes |
//! | `takeControl` before an agent came | Virtual Agent failed |
//! | an offered choice that fits `live_agent_option`, once | it is taken |
//! | anything else of Virtual Agent, but `shown_texts` | nothing: greetings and topics are not for the customer |
//!
//! All that follows from our own end is passed over.

use std::sync::PoisonError;
use std::time::Duration;

use ::http::HeaderMap;
use interline_connector::formats;
use interline_connector::webhook::{Heard, Received, Rejected, Unverified};
use interline_connector::{Answer, Incoming};
use interline_core::conversation::entry::Text;
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure, Reason};
use serde_json::json;
use url::Url;

use super::super::address::{prove, refuse};
use super::controls::{Shown, shown};
use super::handle::{Handle, Session};
use super::memory::Known;
use super::outbound::line_of;
use super::steps::Step;
use super::wire::{Control, Told};
use super::{ENDS, Integration, THROWN_AWAY};

/// A name that the instance tells takes at most so many bytes.
const LONGEST_NAME: usize = 200;

/// A line that was answered may not have been looked at for so long, and what an agent says may be on its way.
const ON_ITS_WAY: Duration = Duration::from_secs(30);

/// What one call comes to.
struct Reading<'a> {
    of: &'a Integration,
    handle: Handle,
    known: Known,
    /// An agent is connected, says this call.
    live: bool,
    heard: Vec<Heard>,
    ended: bool,
    failed: Option<Failure>,
    /// Virtual Agent said something.
    spoke: bool,
}

impl Integration {
    pub(super) fn understand(&self, request: &Unverified) -> Result<Received, Rejected> {
        let proof = prove(self.settings.caller.as_ref(), request)?;
        let told: Told =
            serde_json::from_slice(&request.body).map_err(|_| refuse(400, "the body is not JSON"))?;
        let heard = self.heard(&told);
        Ok(Received { proof, heard, answer: Answer::ok(json!({})) })
    }

    /// The events of an answer that told what a call would have told. Files have no way in there.
    pub(super) fn events_of(&self, told: &Told) -> Vec<AgentEvent> {
        let event = |heard| match heard {
            Heard::Event { event, files, .. } if files.is_empty() => Some(event),
            _ => None,
        };
        self.heard(told).into_iter().filter_map(event).collect()
    }

    fn heard(&self, told: &Told) -> Vec<Heard> {
        let Some(handle) = self.handle_of(told) else { return Vec::new() };
        if told.request_id.as_deref().is_some_and(|id| id.ends_with(ENDS)) {
            return Vec::new();
        }
        let known = self.memory.get(&handle);
        self.look_for_loss(&known, told);
        let live = told.agent_chat == Some(true);
        let mut reading = Reading {
            of: self,
            handle,
            known,
            live,
            heard: Vec::new(),
            ended: false,
            failed: None,
            spoke: false,
        };
        if live {
            reading.alive();
        }
        // Who joined may be told behind that somebody did.
        let entered = told.body.iter().find_map(|control| reading.entered(control));
        for control in &told.body {
            reading.control(control, entered.as_ref());
        }
        reading.flags(told);
        reading.close(told)
    }

    /// What an agent says comes with the id of the newest request that the instance looked at. One that is older than a
    /// line which was answered with 200 long ago: that line was thrown away.
    fn look_for_loss(&self, known: &Known, told: &Told) {
        let of_agent = told.body.iter().any(Control::is_of_agent);
        let looked_at = told.request_id.as_deref().filter(|_| of_agent).and_then(line_of);
        let (Some(looked_at), Some((newest, at))) = (looked_at, known.newest) else { return };
        if looked_at < newest && at.elapsed() < ON_ITS_WAY {
            return;
        }
        let mut thrown_away = self.thrown_away.lock().unwrap_or_else(PoisonError::into_inner);
        if looked_at >= newest {
            // One of later arrived: that is over.
            *thrown_away = thrown_away.filter(|lost_at| *lost_at >= at);
        } else if thrown_away.replace(at).is_none() {
            tracing::warn!(app = %self.env.app, integration = %self.env.name, "{THROWN_AWAY}");
        }
    }

    /// Whose it is: by what comes back with everything; by the session; by the user. None: somebody else's.
    fn handle_of(&self, told: &Told) -> Option<Handle> {
        if let Some(ours) = &told.client_variables {
            return (ours.tenant == self.env.app.as_str()).then(|| ours.handoff.parse().ok()).flatten();
        }
        let named = [&told.client_session_id, &told.user_id];
        named.into_iter().flatten().find_map(|text| text.parse().ok())
    }
}

impl Reading<'_> {
    fn event(&mut self, external_id: Option<String>, event: AgentEvent, files: Vec<Incoming>) {
        let Handle { conversation, participant } = self.handle.clone();
        self.heard.push(Heard::Event { conversation, participant, external_id, event, files });
    }

    fn alive(&mut self) {
        if !self.known.alive {
            self.known.alive = true;
            self.event(Some("queued".into()), AgentEvent::Queued { position: None }, Vec::new());
        }
    }

    fn joined(&mut self, name: Option<&str>) {
        self.alive();
        let name = name.map(|name| name[..name.floor_char_boundary(LONGEST_NAME)].to_owned());
        let is_news = !self.known.joined || (name.is_some() && name != self.known.agent);
        if is_news {
            self.known.joined = true;
            self.known.agent = name.clone().or(self.known.agent.take());
            let id = name.as_ref().map_or_else(|| "joined".to_owned(), |name| format!("joined/{name}"));
            self.event(Some(id), AgentEvent::Joined { name }, Vec::new());
        }
    }

    fn typing(&mut self, on: bool) {
        let Handle { conversation, participant } = self.handle.clone();
        self.heard.push(Heard::Typing { conversation, participant, on });
    }

    /// The name in a System text that says that somebody entered; none in it, nobody named.
    fn entered(&self, control: &Control) -> Option<Option<String>> {
        let is_system = control.action_type.as_deref() == Some("System");
        self.of.matchers.joined.find(control.message.as_deref().filter(|_| is_system)?)
    }

    fn control(&mut self, control: &Control, entered: Option<&Option<String>>) {
        if control.is_of_agent() {
            self.agent_said(control);
            return;
        }
        match (control.ui_type.as_deref(), control.action_type.as_deref().map(without_suffix)) {
            (Some("ActionMsg"), Some("SubscribeToSupportQueue" | "SubscribeToChatPresence")) => self.alive(),
            (Some("ActionMsg"), Some("StartSpinner")) => {
                if control.spinner_type.as_deref() == Some("wait_time") {
                    self.alive();
                }
            }
            (Some("ActionMsg"), Some("SwitchToLiveAgent")) => {
                let name = entered.cloned().flatten();
                self.joined(name.as_deref());
            }
            (Some("ActionMsg"), Some("SwitchToVirtualAgent")) => self.ended = true,
            (Some("ActionMsg"), Some("StartTypingIndicator")) => self.typing(true),
            (Some("ActionMsg"), Some("EndTypingIndicator")) => self.typing(false),
            (Some("ActionMsg"), Some("System")) => self.system(control),
            (Some("ActionMsg"), _) => {}
            _ => self.virtual_agent_said(control),
        }
    }

    fn agent_said(&mut self, control: &Control) {
        let name = control.agent_info.as_ref().and_then(|info| info.agent_name.clone());
        self.joined(name.as_deref().filter(|name| !name.is_empty()));
        let Some(Shown { words, file }) = shown(control) else { return };
        let file = file.and_then(|(name, url)| self.incoming(control, name, &url).ok_or(url).ok());
        let (words, files) = match file {
            Some(file) => (String::new(), vec![file]),
            // A picture that we cannot name, or that is somewhere else: whoever may see it finds it there.
            None if words.is_empty() => (control.value.as_str().unwrap_or_default().to_owned(), Vec::new()),
            None => (words, Vec::new()),
        };
        let event =
            AgentEvent::Said { text: Text::plain(words.replace('\0', "")), name: self.known.agent.clone() };
        self.event(control.message_id.clone(), event, files);
    }

    /// A file that can be fetched and has a name that says what it is. A link is a file only at the instance.
    fn incoming(&self, control: &Control, name: Option<String>, url: &str) -> Option<Incoming> {
        let url: Url = url.parse().ok().filter(|url: &Url| matches!(url.scheme(), "http" | "https"))?;
        let is_own = self.of.account.is_own(&url);
        let is_picture = control.ui_type.as_deref() == Some("OutputImage");
        let is_media =
            is_own && ["/cs/media/", "/sys_attachment"].iter().any(|part| url.path().contains(part));
        if !is_picture && !is_media {
            return None;
        }
        let last = url.path_segments().and_then(|mut parts| parts.next_back()).map(str::to_owned);
        let known = |name: &String| {
            formats::extension(name).is_some_and(|extension| formats::find(&extension).is_some())
        };
        let name = name.filter(known).or(last.filter(known))?;
        // Our credentials go to the instance alone.
        let headers = if is_own { self.of.account.headers() } else { HeaderMap::new() };
        Some(Incoming { name: Some(name), url, headers })
    }

    fn system(&mut self, control: &Control) {
        let Some(text) = control.message.as_deref() else { return };
        if let Some(name) = self.of.matchers.joined.find(text) {
            self.joined(name.as_deref());
        } else if self.of.matchers.ended.fits(text) {
            self.ended = true;
        } else {
            self.nobody_comes(text);
        }
        self.show(text);
    }

    fn virtual_agent_said(&mut self, control: &Control) {
        if !self.known.alive && !self.known.chosen && self.choose(control) {
            return;
        }
        let Some(Shown { words, .. }) = shown(control) else { return };
        self.spoke = true;
        self.nobody_comes(&words);
        self.show(&words);
    }

    fn show(&mut self, text: &str) {
        if self.failed.is_none() && self.of.matchers.shown.fits(text) {
            let said = AgentEvent::Said { text: Text::plain(text.replace('\0', "")), name: None };
            self.event(None, said, Vec::new());
        }
    }

    /// Takes the way to an agent that is offered. True: there was one.
    fn choose(&mut self, control: &Control) -> bool {
        let fits = |label: &Option<String>| {
            label.as_deref().is_some_and(|label| self.of.matchers.live_agent.fits(label))
        };
        let choice = control.options.iter().find(|choice| fits(&choice.label));
        let Some(value) = choice.and_then(|choice| choice.value.clone().or(choice.label.clone())) else {
            return false;
        };
        let Some(session) = self.known.session.clone() else { return false };
        self.known.chosen = true;
        self.of.steps.now(Step::Choose(session, value));
        true
    }

    fn nobody_comes(&mut self, text: &str) {
        if self.known.joined || self.failed.is_some() {
            return;
        }
        let matchers = &self.of.matchers;
        let reason = if matchers.outside_hours.fits(text) {
            Reason::OutsideHours
        } else if matchers.no_agents.fits(text) {
            Reason::NoAgents
        } else if matchers.queue_timeout.fits(text) {
            Reason::QueueTimeout
        } else {
            return;
        };
        self.failed = Some(Failure { reason, code: Some("told in words".into()) });
    }

    fn flags(&mut self, told: &Told) {
        // What this process did not see from its beginning may have had an agent.
        let talked = self.known.joined || !self.known.whole;
        let failed = |reason, code: &str| Some(Failure { reason, code: Some(code.into()) });
        if told.take_control == Some(true) {
            if talked {
                self.ended = true;
            } else {
                self.failed =
                    self.failed.take().or(failed(Reason::VendorError, "takeControl: Virtual Agent gave up"));
            }
        }
        if told.completed == Some(true) {
            if talked {
                self.ended = true;
            } else {
                self.failed =
                    self.failed.take().or(failed(Reason::NoAgents, "completed before an agent came"));
            }
        }
        if self.known.joined && self.spoke && !self.live {
            self.ended = true;
        }
    }

    fn close(mut self, told: &Told) -> Vec<Heard> {
        if let Some(failure) = self.failed.take() {
            // The Close that follows from it tells the instance.
            self.event(Some("failed".into()), AgentEvent::Failed(failure), Vec::new());
        } else if self.ended {
            self.event(Some("ended".into()), AgentEvent::Ended { tag: None }, Vec::new());
            let is_closed = told.completed == Some(true) || told.take_control == Some(true);
            if let Some(session) = self.session(told).filter(|_| !is_closed) {
                self.of.steps.now(Step::End(session));
            }
            self.of.memory.forget(&self.handle);
            return self.heard;
        }
        let known = self.known;
        self.of.memory.note(&self.handle, |now| {
            now.alive |= known.alive;
            now.joined |= known.joined;
            now.chosen |= known.chosen;
            now.agent = known.agent;
        });
        self.heard
    }

    /// As whom we speak; after a restart, as far as the call tells.
    fn session(&self, told: &Told) -> Option<Session> {
        self.known.session.clone().or_else(|| {
            let user = told.user_id.clone()?;
            Some(Session { handle: self.handle.to_string(), user, email: None, token: None })
        })
    }
}

/// The vendor's page names some of them with and without it.
fn without_suffix(name: &str) -> &str {
    name.strip_suffix("ActionMsg").unwrap_or(name)
}
