//! What each type of node does when it is reached.

use serde_json::{Value, json};
use url_encode::component;

use super::{Act, Go, Machine, NeedScript};
use crate::conversation::facts::{Tag, TagLevel};
use crate::flow::document::NodeId;
use crate::flow::expects::{MenuChoice, Takes};
use crate::flow::memory::Wait;
use crate::flow::node::{
    AgentAvailability, AgentTransfer, Api, Automation, Branch, BusinessHours, Deflection, Digits, End, Menu,
    Message, Node, Request, SetQueue, Tries,
};
use crate::flow::work::{self, Availability, Task, Turn, Work};

impl Machine<'_, '_, '_> {
    pub(super) fn node(&mut self, id: &NodeId) -> Result<Go, NeedScript> {
        let Some(node) = self.current().and_then(|flow| flow.nodes.get(id)) else {
            return Ok(Go::Fail(id.clone(), format!("there is no node `{id}`")));
        };
        match node {
            Node::Message(message) => self.message(id, message),
            Node::IvrMenu(menu) => self.menu(id, menu),
            Node::DigitInput(digits) => self.digits(id, digits),
            Node::Split(split) => Ok(Go::Node(Some(self.branch(&split.branches, Some(&split.otherwise))))),
            Node::BusinessHours(hours) => Ok(self.business_hours(id, hours)),
            Node::AgentAvailability(check) => Ok(self.availability(id, check)),
            Node::SetQueue(queue) => self.set_queue(id, queue),
            Node::Deflection(deflection) => Ok(self.deflection(id, deflection)),
            Node::Automation(automation) => self.automation(id, automation),
            Node::Api(api) => Ok(self.api(id, api)),
            Node::GoToFlow(go) => Ok(Go::Flow(go.flow.clone())),
            Node::Script(script) => self.script_task(id, script),
            Node::AgentTransfer(transfer) => self.agent_transfer(id, transfer),
            Node::End(end) => self.end(id, end),
        }
    }

    fn message(&mut self, id: &NodeId, message: &Message) -> Result<Go, NeedScript> {
        let said = self.say_one(id, &message.text)?;
        Ok(self.after(id, said, Go::Node(message.next.clone())))
    }

    /// Where it goes after something that may have failed. What a script of the node asked for may have ended the run.
    fn after(&self, id: &NodeId, done: Result<(), String>, go: Go) -> Go {
        match done {
            Err(why) => Go::Fail(id.clone(), why),
            Ok(()) if self.ended() => Go::Stop,
            Ok(()) => go,
        }
    }

    fn menu(&mut self, id: &NodeId, menu: &Menu) -> Result<Go, NeedScript> {
        if let Some(go) = self.must_not_ask(id) {
            return Ok(go);
        }
        let said = self.say_one(id, &menu.message)?;
        let go = self.wait_for_choice(id, menu, 0, 0);
        Ok(self.after(id, said, go))
    }

    pub(super) fn wait_for_choice(&mut self, id: &NodeId, menu: &Menu, timeouts: u8, wrong: u8) -> Go {
        let choice = |choice: &crate::flow::node::Choice| MenuChoice {
            key: choice.key.clone(),
            words: choice.words.clone(),
            label: choice.label.clone(),
        };
        let takes = Takes::Menu { choices: menu.choices.iter().map(choice).collect() };
        let until = self.time_for(menu.timeout.as_ref());
        self.expect(Some(id), takes, menu.barge_in, self.told_time(menu.timeout.as_ref()), &menu.voice);
        self.wait(id, Wait::Input { timeouts, wrong }, until)
    }

    fn digits(&mut self, id: &NodeId, digits: &Digits) -> Result<Go, NeedScript> {
        if let Some(go) = self.must_not_ask(id) {
            return Ok(go);
        }
        let said = self.say_one(id, &digits.message)?;
        let go = self.wait_for_digits(id, digits, 0, 0);
        Ok(self.after(id, said, go))
    }

    pub(super) fn wait_for_digits(&mut self, id: &NodeId, digits: &Digits, timeouts: u8, wrong: u8) -> Go {
        let takes = Takes::Digits { min: digits.min, max: digits.max, end_key: digits.end_key };
        let until = self.time_for(digits.timeout.as_ref());
        self.expect(Some(id), takes, digits.barge_in, self.told_time(digits.timeout.as_ref()), &digits.voice);
        self.wait(id, Wait::Input { timeouts, wrong }, until)
    }

    /// A flow before a transfer asks nothing: a question prevents the transfer.
    fn must_not_ask(&mut self, id: &NodeId) -> Option<Go> {
        let place = self.then.take()?;
        self.note_failure(id, "a flow that runs before a transfer must not ask anything");
        self.flow = Some(place.flow);
        Some(Go::Fail(place.node, "the flow before it asked something".to_owned()))
    }

    /// When an input is given up, where the channel does not measure it. A chat waits for ever unless it is told otherwise.
    pub(super) fn time_for(&self, tries: Option<&Tries>) -> Option<crate::Time> {
        let connection = &self.around.customer.connection;
        if connection.times_input {
            return None;
        }
        let default = connection.is_call.then(Tries::default);
        let tries = tries.or(default.as_ref())?;
        Some(self.around.now.plus(u64::from(tries.seconds) * 1_000))
    }

    /// What a channel that measures it is told.
    pub(super) fn told_time(&self, tries: Option<&Tries>) -> Option<u64> {
        let seconds = tries.map_or(Tries::default().seconds, |tries| tries.seconds);
        self.around.customer.connection.times_input.then_some(u64::from(seconds) * 1_000)
    }

    pub(super) fn branch(&self, branches: &[Branch], otherwise: Option<&NodeId>) -> NodeId {
        let scope = self.scope();
        let taken = branches.iter().find(|branch| branch.when.holds(&scope)).map(|branch| &branch.go_to);
        // `otherwise` is there wherever the answer is used as it stands.
        taken.or(otherwise).cloned().unwrap_or_else(|| NodeId::from(""))
    }

    fn is_open(&self, hours: &str) -> Result<bool, String> {
        let known = self.around.app.hours.get(hours);
        let hours = known.ok_or_else(|| format!("the app has no business hours `{hours}`"))?;
        hours.open(self.around.now).map_err(|unclear| unclear.to_string())
    }

    fn business_hours(&self, id: &NodeId, check: &BusinessHours) -> Go {
        match self.is_open(&check.hours) {
            Ok(true) => Go::to(&check.inside),
            Ok(false) => Go::to(&check.outside),
            Err(why) => Go::Fail(id.clone(), why),
        }
    }

    fn set_queue(&mut self, id: &NodeId, queue: &SetQueue) -> Result<Go, NeedScript> {
        if let Some(name) = &queue.queue {
            self.memory.ask.queue = Some(self.scope().fill(name));
        }
        if queue.priority.is_some() {
            self.memory.ask.priority = queue.priority;
        }
        if let Some(source) = &queue.script
            && let Err(why) = self.script(id, source)?
        {
            return Ok(Go::Fail(id.clone(), why));
        }
        let open = match &queue.hours {
            Some(hours) => self.is_open(hours),
            None => Ok(true),
        };
        Ok(match open {
            Ok(true) => Go::to(&queue.inside),
            Ok(false) => Go::to(queue.outside.as_ref().unwrap_or(&queue.inside)),
            Err(why) => Go::Fail(id.clone(), why),
        })
    }

    fn end(&mut self, id: &NodeId, end: &End) -> Result<Go, NeedScript> {
        if let Some(message) = &end.message
            && let Err(why) = self.say_one(id, message)?
        {
            self.note_failure(id, &why);
        }
        if let Some(place) = self.then.take() {
            return Ok(self.hand_over(place));
        }
        if !self.around.in_queue {
            self.task_ends(true);
            self.acts.push(Act::End);
        }
        Ok(Go::Stop)
    }

    // ── work for others ──────────────────────────────────────────────────────────────────────────────────────────

    /// Gives out a piece of work and waits for what comes of it.
    pub(super) fn give_out(&mut self, id: &NodeId, deadline_ms: u64, task: Task) -> Go {
        self.memory.works += 1;
        let no = self.memory.works;
        self.acts.push(Act::Work(Work { no, deadline_ms, task }));
        let now = self.around.now;
        let deadline = now.plus(deadline_ms);
        let excuse = self.current().and_then(|flow| flow.no_input.as_ref());
        let until =
            excuse.map_or(deadline, |excuse| deadline.min(now.plus(u64::from(excuse.seconds) * 1_000)));
        self.wait(id, Wait::Work { no, since: now, deadline, excused: 0 }, Some(until))
    }

    fn availability(&mut self, id: &NodeId, check: &AgentAvailability) -> Go {
        let app = self.around.app;
        let target = check.target.clone().or_else(|| app.first_agent(&self.around.customer.channel));
        let Some(target) = target.filter(|target| app.takes_new(&target.integration)) else {
            return Go::to(&check.not_available);
        };
        let asked = Availability {
            integration: target.integration,
            queue: target.queue.or_else(|| self.memory.ask.queue.clone()),
            skills: check.skills.clone(),
            agents: check.agents.clone(),
        };
        self.give_out(id, 10_000, Task::Availability(asked))
    }

    pub(super) fn request(&self, request: &Request) -> work::Request {
        let scope = self.scope();
        let plainly = |text: &str| scope.pieces(text, str::to_owned);
        let body = match &request.body {
            Value::Null => None,
            Value::String(text) => Some(plainly(text)),
            body => Some(scope.json_pieces(body)),
        };
        let mut headers: std::collections::BTreeMap<_, _> =
            request.headers.iter().map(|(name, value)| (name.clone(), plainly(value))).collect();
        if body.is_some() && !headers.keys().any(|name| name.eq_ignore_ascii_case("content-type")) {
            let kind =
                if request.body.is_string() { "text/plain; charset=utf-8" } else { "application/json" };
            headers.insert("Content-Type".into(), work::Pieces(vec![work::Piece::Text(kind.into())]));
        }
        work::Request { method: request.method, url: scope.pieces(&request.url, component), headers, body }
    }

    fn api(&mut self, id: &NodeId, api: &Api) -> Go {
        let request = Box::new(self.request(&api.request));
        self.give_out(id, api.wait.ms(), Task::Request(request))
    }

    fn deflection(&mut self, id: &NodeId, deflection: &Deflection) -> Go {
        let link = self.scope().fill(&deflection.link);
        if self.memory.set("deflection", json!({ "link": link })).is_err() {
            return Go::Fail(id.clone(), "the variables are too large".to_owned());
        }
        let request = Box::new(self.request(&deflection.send));
        self.give_out(id, 10_000, Task::Request(request))
    }

    fn automation(&mut self, id: &NodeId, automation: &Automation) -> Result<Go, NeedScript> {
        if let Some(go) = self.must_not_ask(id) {
            return Ok(go);
        }
        let Some(message) = &automation.message else {
            return Ok(self.turn(id, automation, None));
        };
        let said = self.say_one(id, message)?;
        let go = self.wait_for_words(id, automation, 0);
        Ok(self.after(id, said, go))
    }

    pub(super) fn wait_for_words(&mut self, id: &NodeId, automation: &Automation, timeouts: u8) -> Go {
        let timeout = automation.timeout.as_ref();
        let until = timeout.and_then(|timeout| self.time_for(Some(timeout)));
        self.expect(Some(id), Takes::Anything, true, self.told_time(timeout), &automation.voice);
        self.wait(id, Wait::Input { timeouts, wrong: 0 }, until)
    }

    pub(super) fn turn(&mut self, id: &NodeId, automation: &Automation, text: Option<String>) -> Go {
        if !self.around.app.bots.contains(&automation.bot) {
            return Go::Fail(id.clone(), format!("the app has no bot `{}`", automation.bot));
        }
        let scope = self.scope();
        let told = automation.tells.iter().filter_map(|name| Some((name.clone(), scope.get(name)?.clone())));
        let context = told.collect();
        let instructions = scope.fill(&automation.instructions);
        let turn = Turn {
            bot: automation.bot.clone(),
            instructions,
            text,
            context,
            human_part_over: self.memory.last_transfer.clone(),
        };
        let seconds = automation.seconds.clamp(1, 60);
        self.give_out(id, u64::from(seconds) * 1_000, Task::Turn(Box::new(turn)))
    }

    // ── counting ─────────────────────────────────────────────────────────────────────────────────────────────────

    /// The flow came to its end.
    pub(super) fn task_ends(&mut self, done: bool) {
        let Some(task) = self.flow.as_ref().map(|flow| flow.as_str().to_owned()) else { return };
        self.task(task, done);
    }

    pub(super) fn task(&mut self, task: String, done: bool) {
        use crate::conversation::facts::{Standing, TaskRun};
        if done {
            self.facts.tasks_done += 1;
            self.facts.standing = Standing::Fine;
        } else {
            self.facts.tasks_failed += 1;
            self.facts.standing = Standing::Failed;
        }
        self.acts.push(Act::Task(TaskRun { task, done }));
    }

    pub(super) fn tags(&mut self, node: &AgentTransfer) {
        let levels = [
            (TagLevel::Message, &node.tags.message),
            (TagLevel::User, &node.tags.user),
            (TagLevel::Session, &node.tags.session),
        ];
        let mut tags = Vec::new();
        for (level, given) in levels {
            for (name, value) in given {
                let value = super::brief(&self.scope().fill(value));
                tags.push(Tag { level, name: name.clone(), value });
            }
        }
        for tag in tags {
            let kept = match tag.level {
                TagLevel::Message => &mut self.memory.tags.message,
                TagLevel::User => &mut self.memory.tags.user,
                TagLevel::Session => &mut self.memory.tags.session,
            };
            kept.insert(tag.name.clone(), tag.value.clone());
            self.acts.push(Act::Tag(tag));
        }
    }
}

/// Percent-encoding.
mod url_encode {
    use std::fmt::Write as _;

    /// A text as a part of a path or query.
    pub fn component(text: &str) -> String {
        let mut encoded = String::with_capacity(text.len());
        for byte in text.bytes() {
            if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
                encoded.push(char::from(byte));
            } else {
                // Writing to a text does not fail.
                let _ = write!(encoded, "%{byte:02X}");
            }
        }
        encoded
    }
}
