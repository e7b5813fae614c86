//! Where an event goes on: the customer said something, or nothing; work came to its end, or took too long.

use serde_json::{Value, json};

use super::{Act, Event, Go, Machine, NeedScript};
use crate::conversation::entry::{Note, Text};
use crate::conversation::facts::Standing;
use crate::flow::document::{GiveUp, NodeId};
use crate::flow::memory::{At, MOST_OF_PENDING, MOST_PENDING, MOST_SAID, Wait};
use crate::flow::node::{AgentAvailability, Api, Automation, Deflection, Digits, Menu, Node, Tries};
use crate::flow::script;
use crate::flow::work::{Outcome, Reply, Then};

impl Machine<'_, '_, '_> {
    pub(super) fn begin(&mut self, waiting: Option<At>, event: &Event<'_>) -> Result<Go, NeedScript> {
        Ok(match event {
            Event::Started => self.entry(),
            Event::Queued(flow) => Go::Flow((*flow).clone()),
            Event::HungUp => {
                self.then = None;
                match self.current().and_then(|flow| flow.exit.as_ref()) {
                    Some(exit) => Go::goto(exit),
                    None => Go::Stop,
                }
            }
            Event::Returned { place, outcome } => self.returned(*place, outcome),
            Event::Said(text) => self.said(waiting, text)?,
            Event::NoInput => match waiting {
                Some(at) => self.no_input(at)?,
                None => self.path_ends(),
            },
            Event::Tick => match waiting {
                Some(at) => self.tick(at)?,
                None => Go::Stop,
            },
            Event::Worked { no, outcome } => self.worked(waiting, *no, outcome)?,
        })
    }

    fn entry(&mut self) -> Go {
        match self.flow.clone() {
            Some(flow) => Go::Flow(flow),
            None => Go::Stop,
        }
    }

    // ── the customer ─────────────────────────────────────────────────────────────────────────────────────────────

    fn said(&mut self, waiting: Option<At>, text: &Text) -> Result<Go, NeedScript> {
        self.facts.interactive = true;
        let words = &text.text;
        let kept = &words[..words.floor_char_boundary(MOST_SAID)];
        match waiting {
            // The bot is at work: it hears this when it listens again.
            Some(mut at) if matches!(at.wait, Wait::Work { .. }) => {
                if at.pending.len() < MOST_PENDING {
                    at.pending.push(words[..words.floor_char_boundary(MOST_OF_PENDING)].to_owned());
                }
                self.at = Some(at);
                Ok(Go::Stop)
            }
            Some(at) => {
                self.memory.text = kept.to_owned();
                self.answered(at, words)
            }
            None => {
                self.memory.text = kept.to_owned();
                Ok(self.listen(words))
            }
        }
    }

    /// The flow listens: its words, else its `otherwise`, else its beginning.
    fn listen(&mut self, text: &str) -> Go {
        if self.around.in_queue {
            return Go::Stop;
        }
        let Some(flow) = self.current() else { return self.entry() };
        match (flow.understood(text), &flow.otherwise) {
            (Some(node), _) => {
                self.task(node.to_string(), true);
                Go::to(node)
            }
            (None, Some(otherwise)) => {
                self.facts.standing = Standing::NotUnderstood;
                Go::to(otherwise)
            }
            (None, None) => Go::to(&flow.start),
        }
    }

    /// What the customer said while the bot was at work, if the bot can take it now.
    pub(super) fn next_pending(&mut self) -> Option<Go> {
        let at = self.at.as_mut()?;
        if !matches!(at.wait, Wait::Input { .. }) || at.pending.is_empty() {
            return None;
        }
        let id = at.place.node.clone();
        let automation = match self.current()?.nodes.get(&id) {
            Some(Node::Automation(automation)) => automation,
            // What was said before a question was asked is no answer to it.
            Some(_) | None => {
                self.at.as_mut()?.pending.clear();
                return None;
            }
        };
        let mut at = self.at.take()?;
        let text = at.pending.drain(..).collect::<Vec<_>>().join("\n");
        self.memory.text.clone_from(&text);
        self.memory.turn = None;
        Some(self.turn(&id, automation, Some(text)))
    }

    fn answered(&mut self, at: At, text: &str) -> Result<Go, NeedScript> {
        let id = at.place.node.clone();
        let Wait::Input { timeouts, wrong } = at.wait else { return Ok(Go::Stop) };
        match self.current().and_then(|flow| flow.nodes.get(&id)) {
            Some(Node::IvrMenu(menu)) => self.chosen(&id, menu, text, (timeouts, wrong)),
            Some(Node::DigitInput(digits)) => self.pressed(&id, digits, text, (timeouts, wrong)),
            Some(Node::Automation(automation)) => Ok(self.turn(&id, automation, Some(text.to_owned()))),
            Some(_) | None => Ok(Go::Fail(id, "it waits for nothing".to_owned())),
        }
    }

    fn chosen(&mut self, id: &NodeId, menu: &Menu, text: &str, tried: (u8, u8)) -> Result<Go, NeedScript> {
        let Some(choice) = menu.choice(text) else {
            return self.wrong(
                id,
                &menu.wrong_input,
                &menu.message,
                tried,
                |machine, id, (timeouts, wrong)| machine.wait_for_choice(id, menu, timeouts, wrong),
            );
        };
        self.memory.steps.insert(id.to_string(), Value::from(choice.key.as_str()));
        Ok(Go::to(&choice.go_to))
    }

    fn pressed(
        &mut self,
        id: &NodeId,
        digits: &Digits,
        text: &str,
        tried: (u8, u8),
    ) -> Result<Go, NeedScript> {
        let Some(pressed) = digits.read(text) else {
            return self.wrong(
                id,
                &digits.wrong_input,
                &digits.message,
                tried,
                |machine, id, (timeouts, wrong)| machine.wait_for_digits(id, digits, timeouts, wrong),
            );
        };
        self.memory.steps.insert(id.to_string(), Value::from(pressed));
        Ok(Go::to(&digits.next))
    }

    fn wrong(
        &mut self,
        id: &NodeId,
        tries: &Tries,
        again: &crate::flow::Variants,
        (timeouts, wrong): (u8, u8),
        wait: impl Fn(&mut Self, &NodeId, (u8, u8)) -> Go,
    ) -> Result<Go, NeedScript> {
        let wrong = wrong.saturating_add(1);
        if wrong >= tries.tries {
            self.facts.standing = Standing::NotUnderstood;
            return Ok(too_often(id, tries, "too many wrong inputs"));
        }
        if let Err(why) = self.say_one(id, tries.message.as_ref().unwrap_or(again))? {
            return Ok(Go::Fail(id.clone(), why));
        }
        Ok(wait(self, id, (timeouts, wrong)))
    }

    fn no_input(&mut self, at: At) -> Result<Go, NeedScript> {
        let id = at.place.node.clone();
        let Wait::Input { timeouts, wrong } = at.wait else {
            self.at = Some(at);
            return Ok(Go::Stop);
        };
        let count = timeouts.saturating_add(1);
        let node = self.current().and_then(|flow| flow.nodes.get(&id));
        let (timeout, message) = match node {
            Some(Node::IvrMenu(menu)) => (menu.timeout.clone(), Some(&menu.message)),
            Some(Node::DigitInput(digits)) => (digits.timeout.clone(), Some(&digits.message)),
            Some(Node::Automation(automation)) => (automation.timeout.clone(), None),
            Some(_) | None => return Ok(Go::Fail(id, "it waits for nothing".to_owned())),
        };
        let tries = timeout.unwrap_or_default();
        if count >= tries.tries {
            return Ok(too_often(&id, &tries, "no input came"));
        }
        if let Some(message) = tries.message.as_ref().or(message)
            && let Err(why) = self.say_one(&id, message)?
        {
            return Ok(Go::Fail(id, why));
        }
        Ok(match node {
            Some(Node::IvrMenu(menu)) => self.wait_for_choice(&id, menu, count, wrong),
            Some(Node::DigitInput(digits)) => self.wait_for_digits(&id, digits, count, wrong),
            Some(Node::Automation(automation)) => self.wait_for_words(&id, automation, count),
            Some(_) | None => Go::Stop,
        })
    }

    // ── time ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn tick(&mut self, at: At) -> Result<Go, NeedScript> {
        if at.until.is_none_or(|until| until > self.around.now) {
            self.at = Some(at);
            return Ok(Go::Stop);
        }
        match at.wait.clone() {
            Wait::Input { .. } => self.no_input(at),
            Wait::Work { since, deadline, excused, .. } => Ok(self.takes_long(at, since, deadline, excused)),
        }
    }

    /// What the bot waits for does not come: the customer is told so, and in the end it is given up.
    fn takes_long(&mut self, mut at: At, since: crate::Time, deadline: crate::Time, excused: u8) -> Go {
        let now = self.around.now;
        let id = at.place.node.clone();
        let rule = self.current().and_then(|flow| flow.no_input.clone());
        let given_up = rule.as_ref().map(|rule| since.plus(u64::from(rule.give_up_seconds) * 1_000));
        if let (Some(rule), Some(given_up)) = (&rule, given_up)
            && given_up <= now
        {
            self.note_failure(&id, "the bot was silent for too long");
            return match &rule.then {
                GiveUp::End { message } => {
                    if let Some(message) = message {
                        self.say_plainly(message);
                    }
                    self.acts.push(Act::End);
                    Go::Stop
                }
                GiveUp::Transfer { node } => Go::to(node),
            };
        }
        if deadline <= now {
            return Go::Fail(id, "no answer came in time".to_owned());
        }
        let Some(rule) = rule else {
            at.until = Some(deadline);
            self.at = Some(at);
            return Go::Stop;
        };
        let excused = if excused < rule.retries {
            if let Some(message) = &rule.message {
                self.say_plainly(message);
            }
            excused + 1
        } else {
            excused
        };
        let next =
            if excused < rule.retries { now.plus(u64::from(rule.seconds.max(1)) * 1_000) } else { deadline };
        at.until = Some(next.min(deadline).min(given_up.unwrap_or(deadline)));
        if let Wait::Work { no, .. } = at.wait {
            at.wait = Wait::Work { no, since, deadline, excused };
        }
        self.at = Some(at);
        Go::Stop
    }

    // ── work ─────────────────────────────────────────────────────────────────────────────────────────────────────

    fn worked(&mut self, waiting: Option<At>, no: u64, outcome: &Outcome) -> Result<Go, NeedScript> {
        let came = match outcome {
            Outcome::Answered { status, .. } => status.to_string(),
            Outcome::Available(Some(true)) => "available".to_owned(),
            Outcome::Available(Some(false)) => "not available".to_owned(),
            Outcome::Available(None) => "not known".to_owned(),
            Outcome::Turned(_) => "a bot answered".to_owned(),
            Outcome::Told { came } => came.clone(),
            Outcome::Failed { code } => super::brief(code),
        };
        self.acts.push(Act::Note(Note::Worked { no, came }));
        let at = match waiting {
            Some(at) if matches!(at.wait, Wait::Work { no: mine, .. } if mine == no) => at,
            // Nobody waits for it any more.
            other => {
                self.at = other;
                return Ok(Go::Stop);
            }
        };
        self.pending = at.pending;
        let id = at.place.node;
        match (self.current().and_then(|flow| flow.nodes.get(&id)), outcome) {
            (Some(Node::AgentAvailability(check)), Outcome::Available(there)) => Ok(available(check, *there)),
            (Some(Node::Api(api)), Outcome::Answered { status, body }) => {
                Ok(self.api_answered(&id, api, *status, body))
            }
            (Some(Node::Api(Api { failure: Some(failure), .. })), Outcome::Failed { .. }) => {
                Ok(Go::to(failure))
            }
            (Some(Node::Deflection(deflection)), Outcome::Answered { status, .. }) => {
                Ok(self.deflected(&id, deflection, *status))
            }
            (Some(Node::Automation(automation)), Outcome::Turned(reply)) => {
                Ok(self.bot_said(&id, automation, reply))
            }
            (_, Outcome::Failed { code }) => Ok(Go::Fail(id, format!("it did not work: {code}"))),
            (
                _,
                Outcome::Answered { .. } | Outcome::Available(_) | Outcome::Turned(_) | Outcome::Told { .. },
            ) => Ok(Go::Fail(id, "it waits for nothing of the kind".to_owned())),
        }
    }

    fn api_answered(&mut self, id: &NodeId, api: &Api, status: u16, body: &Value) -> Go {
        let failed = api.errors_fail && status >= 400 || (300..400).contains(&status);
        for (name, pointer) in &api.sets {
            let value = match pointer.as_str() {
                "status" => json!(status),
                pointer => body.pointer(pointer).cloned().unwrap_or(Value::Null),
            };
            if script::RESERVED.contains(&name.as_str()) || self.memory.set(name, value).is_err() {
                return Go::Fail(id.clone(), format!("the variable `{name}` cannot be set: it is too large"));
            }
        }
        match (failed, &api.failure) {
            (false, _) => Go::to(&api.success),
            (true, Some(failure)) => Go::to(failure),
            (true, None) => Go::Fail(id.clone(), format!("the API answered {status}")),
        }
    }

    fn deflected(&mut self, id: &NodeId, deflection: &Deflection, status: u16) -> Go {
        if !(200..300).contains(&status) {
            return Go::Fail(id.clone(), format!("the link could not be sent: {status}"));
        }
        if let Some(message) = &deflection.message {
            self.say_plainly(message);
        }
        Go::Node(deflection.next.clone())
    }

    fn bot_said(&mut self, id: &NodeId, automation: &Automation, reply: &Reply) -> Go {
        // It was told once that a human part is over.
        self.memory.last_transfer = None;
        for text in &reply.says {
            self.say(Text::plain(text.clone()));
        }
        for (name, value) in &reply.context {
            if script::RESERVED.contains(&name.as_str()) || self.memory.set(name, value.clone()).is_err() {
                return Go::Fail(id.clone(), format!("the variable `{name}` cannot be set: it is too large"));
            }
        }
        let (done, next) = match &reply.then {
            Then::Listens => return self.wait_for_words(id, automation, 0),
            Then::Done => (true, &automation.success),
            Then::GivesUp => (false, &automation.failure),
            Then::Transfer { reason } => {
                if let Some(reason) = reason {
                    // Its absence is no reason to keep anybody from a human.
                    let _ = self.memory.set("transferReason", Value::from(reason.as_str()));
                }
                return Go::to(&automation.on_agent_transfer);
            }
        };
        self.task(format!("{}.{id}", self.place(id).flow), done);
        match next {
            Some(node) => Go::to(node),
            None => self.wait_for_words(id, automation, 0),
        }
    }
}

fn available(check: &AgentAvailability, there: Option<bool>) -> Go {
    // What is not known is tried: the transfer finds out.
    if there == Some(false) { Go::to(&check.not_available) } else { Go::to(&check.available) }
}

fn too_often(id: &NodeId, tries: &Tries, why: &str) -> Go {
    match &tries.go_to {
        Some(node) => Go::to(node),
        None => Go::Fail(id.clone(), why.to_owned()),
    }
}
