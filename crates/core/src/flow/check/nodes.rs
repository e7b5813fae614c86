//! What makes no sense within a node.

use super::Findings;
use crate::flow::condition::Condition;
use crate::flow::document::NodeId;
use crate::flow::node::{
    AgentTransfer, Api, Branch, Digits, MOST_BRANCHES, Menu, Node, Patience, Request, SetQueue, Tries,
};
use crate::flow::prompt::{Spoken, Variants};
use crate::flow::scope::{Part, is_env, parts};
use crate::flow::script;

/// The most tests of one condition, and how deep they may stand in each other.
const MOST_TESTS: usize = 50;
const DEEPEST: usize = 8;

struct At<'a, 'b> {
    id: &'a NodeId,
    kind: &'static str,
    findings: &'a mut Findings<'b>,
}

impl At<'_, '_> {
    fn error(&mut self, field: &str, message: impl Into<String>) {
        self.findings.error(format!("nodes.{}.{}.{field}", self.id, self.kind), Some(self.id), message);
    }

    fn warning(&mut self, field: &str, message: impl Into<String>) {
        self.findings.warning(format!("nodes.{}.{}.{field}", self.id, self.kind), Some(self.id), message);
    }

    fn text(&mut self, field: &str, variants: &Variants) {
        if variants.all().is_empty() {
            self.error(field, "has no text");
        }
        for spoken in variants.all() {
            match spoken {
                Spoken::Text(text) => self.template(field, text),
                Spoken::Media(media) => {
                    self.template(field, &media.text);
                    if let Some(source) = &media.script {
                        self.script(field, source);
                    }
                    let is_link = |link: &String| link.starts_with("https://") || link.starts_with("http://");
                    if media.link.as_ref().is_some_and(|link| !is_link(link) && !link.starts_with("{{")) {
                        self.error(field, "has a link that is no http or https URL");
                    }
                }
            }
        }
    }

    fn template(&mut self, field: &str, text: &str) {
        let names_env = parts(text).any(|part| matches!(part, Part::Gap(path) if is_env(path)));
        if names_env {
            let message = "names a setting (`env`), which may be a secret and stands in no text; `content` is for texts";
            self.warning(field, message);
        }
    }

    fn script(&mut self, field: &str, source: &str) {
        if source.len() > script::MOST_SOURCE {
            self.error(field, format!("is longer than {} bytes", script::MOST_SOURCE));
        }
    }

    fn branches(&mut self, branches: &[Branch]) {
        if branches.len() > MOST_BRANCHES {
            self.error("branches", format!("has {} branches; {MOST_BRANCHES} is the most", branches.len()));
        }
        for (at, branch) in branches.iter().enumerate() {
            self.condition(&format!("branches[{at}].if"), &branch.when);
        }
    }

    fn condition(&mut self, field: &str, condition: &Condition) {
        let (tests, depth) = condition.size();
        if tests > MOST_TESTS || depth > DEEPEST {
            self.error(
                field,
                format!("has more than {MOST_TESTS} tests, or more than {DEEPEST} within each other"),
            );
        }
    }

    fn tries(&mut self, field: &str, tries: Option<&Tries>, has_error_exit: bool) {
        let Some(tries) = tries else { return };
        if !(1..=10).contains(&tries.tries) {
            self.error(&format!("{field}.tries"), "is from 1 to 10");
        }
        if !(1..=60).contains(&tries.seconds) {
            self.error(&format!("{field}.seconds"), "is from 1 to 60");
        }
        if tries.go_to.is_none() && !has_error_exit {
            self.warning(field, "has no exit for too many tries (`go_to`), and the node no `on_error`");
        }
    }

    /// Where a request goes is the author's word: a variable in the host could lead anywhere.
    fn request(&mut self, field: &str, request: &Request) {
        let url = &request.url;
        let rest = url.strip_prefix("https://").or_else(|| url.strip_prefix("http://"));
        let starts_with_setting =
            parts(url).next().is_some_and(|part| matches!(part, Part::Gap(path) if is_env(path)));
        let Some(rest) = rest else {
            if !starts_with_setting {
                self.error(field, "begins neither with http:// or https:// nor with a setting (`{{env.…}}`)");
            }
            return;
        };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let varies = parts(host).any(|part| matches!(part, Part::Gap(path) if !is_env(path)));
        if varies {
            self.error(field, "has a variable in its host; only a setting (`{{env.…}}`) may stand there");
        }
    }
}

pub(super) fn check(id: &NodeId, node: &Node, findings: &mut Findings<'_>) {
    let has_error_exit = node.on_error().is_some_and(|path| !path.is_empty());
    let mut at = At { id, kind: node.kind(), findings };
    match node {
        Node::Message(message) => at.text("text", &message.text),
        Node::IvrMenu(menu) => check_menu(&mut at, menu, has_error_exit),
        Node::DigitInput(digits) => check_digits(&mut at, digits, has_error_exit),
        Node::Split(split) => at.branches(&split.branches),
        Node::AgentAvailability(check) => {
            if !check.skills.is_empty() && !check.agents.is_empty() {
                at.error("agents", "stands beside `skills`: it is one or the other");
            }
        }
        Node::SetQueue(queue) => check_queue(&mut at, queue),
        Node::Deflection(deflection) => at.request("send.url", &deflection.send),
        Node::Automation(automation) => {
            at.tries("timeout", automation.timeout.as_ref(), has_error_exit);
            if let Some(message) = &automation.message {
                at.text("message", message);
            }
        }
        Node::Api(api) => check_api(&mut at, api, has_error_exit),
        Node::Script(task) => {
            at.script("source", &task.source);
            at.branches(&task.branches);
            if task.result.as_deref().is_some_and(|name| script::RESERVED.contains(&name)) {
                at.error("result", "is a name that the platform uses");
            }
        }
        Node::AgentTransfer(transfer) => check_transfer(&mut at, transfer),
        Node::End(end) => {
            if let Some(message) = &end.message {
                at.text("message", message);
            }
        }
        Node::BusinessHours(_) | Node::GoToFlow(_) => {}
    }
}

fn check_menu(at: &mut At<'_, '_>, menu: &Menu, has_error_exit: bool) {
    at.text("message", &menu.message);
    if menu.choices.is_empty() {
        at.error("choices", "is empty");
    }
    let mut keys = std::collections::BTreeSet::new();
    for (no, choice) in menu.choices.iter().enumerate() {
        let field = format!("choices[{no}].key");
        let mut chars = choice.key.chars();
        let is_key = chars.next().is_some_and(|c| c.is_ascii_digit() || matches!(c, '*' | '#'))
            && chars.next().is_none();
        if !is_key {
            at.error(&field, format!("is `{}`; a key is one of 0-9, * and #", choice.key));
        } else if !keys.insert(choice.key.as_str()) {
            at.error(&field, format!("is `{}`, as another choice has it", choice.key));
        }
    }
    at.tries("timeout", menu.timeout.as_ref(), has_error_exit);
    at.tries("wrong_input", Some(&menu.wrong_input), has_error_exit);
}

fn check_digits(at: &mut At<'_, '_>, digits: &Digits, has_error_exit: bool) {
    at.text("message", &digits.message);
    if digits.min == 0 || digits.max < digits.min || digits.max > 64 {
        at.error("max", "min is at least 1, and max from min to 64");
    }
    if digits.end_key.is_some_and(|key| !key.is_ascii_digit() && !matches!(key, '*' | '#')) {
        at.error("end_key", "is one of 0-9, * and #");
    }
    at.tries("timeout", digits.timeout.as_ref(), has_error_exit);
    at.tries("wrong_input", Some(&digits.wrong_input), has_error_exit);
}

fn check_queue(at: &mut At<'_, '_>, queue: &SetQueue) {
    if queue.priority.is_some_and(|priority| !(1..=10).contains(&priority)) {
        at.error("priority", "is from 1 to 10");
    }
    if let Some(source) = &queue.script {
        at.script("script", source);
    }
    if queue.queue.is_none() && queue.script.is_none() {
        at.warning("queue", "is not set, and there is no script either: nothing is chosen");
    }
}

fn check_api(at: &mut At<'_, '_>, api: &Api, has_error_exit: bool) {
    at.request("request.url", &api.request);
    if let Patience::Async { seconds } = api.wait
        && !(8..=20).contains(&seconds)
    {
        at.error("wait.async.seconds", "is from 8 to 20");
    }
    for (name, pointer) in &api.sets {
        if script::RESERVED.contains(&name.as_str()) {
            at.error("sets", format!("sets `{name}`, a name that the platform uses"));
        }
        if !(pointer.is_empty() || pointer.starts_with('/') || pointer == "status") {
            at.error("sets", format!("`{name}` is neither a JSON pointer (`/order/state`) nor `status`"));
        }
    }
    if api.failure.is_none() && !has_error_exit {
        at.warning("failure", "is not set, and the node has no `on_error`: a failure ends the path");
    }
}

fn check_transfer(at: &mut At<'_, '_>, transfer: &AgentTransfer) {
    if let Some(message) = &transfer.message {
        at.text("message", message);
    }
    if transfer.message.is_some() && transfer.before.is_some() {
        at.warning("before", "stands beside `message`: the message is said, then the flow runs");
    }
    if transfer.fallback.is_empty() && transfer.on_failure.is_empty() {
        at.warning(
            "on_failure",
            "is not set, and there is no fallback: a transfer that fails ends in the app's text",
        );
    }
    for name in transfer.call.headers.keys().filter(|name| !is_token(name)) {
        at.error("call.headers", format!("`{name}` is no name of a header"));
    }
}

/// RFC 3261 §25.1.
fn is_token(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-.!%*_+`'~".contains(c);
    !name.is_empty() && name.chars().all(allowed)
}
