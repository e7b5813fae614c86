//! One chat's session: what the customer says goes out, and the chat's state is asked for now and then. What agents say
//! comes by calls, and by this where a call was lost.

use std::collections::VecDeque;
use std::time::Duration;

use interline_connector::http::{Reply, Request};
use interline_connector::{Cause, Done, Failure, Item, Link, Next, RunEnd};
use interline_core::conversation::entry::{Body, Text};
use interline_core::conversation::input::AgentEvent;
use interline_core::transfer::{Failure as Typed, Outcome, Reason};
use interline_core::{ConversationId, ParticipantNo, Seq};
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Integration;
use super::chats::Entered;
use super::inbound::JOINED;
use super::wire::{Answer, QueueEntry, Row, State, User};

/// So many lines are remembered as heard; the instance lists 30 at a time.
const REMEMBERED: usize = 64;

/// What is kept of it across restarts.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Document {
    pub group: String,
    pub conversation: ConversationId,
    pub participant: ParticipantNo,
}

/// What runs.
struct Running<'a> {
    entered: Entered<'a>,
    /// The lines that were heard by asking.
    heard: VecDeque<String>,
    position: Option<u32>,
    assigned_to: Option<String>,
    /// So often the instance did not know of it.
    missing: u32,
    over: bool,
    next_look: Instant,
}

impl Integration {
    pub(super) async fn session(&self, link: &mut dyn Link) -> RunEnd {
        let document = link.session().and_then(|document| serde_json::from_value::<Document>(document).ok());
        let mut running = document.map(|document| self.enter(&document));
        loop {
            let found = tokio::select! {
                next = link.next() => Some(next),
                () = time_to_look(running.as_ref()) => None,
            };
            match (found, &mut running) {
                (Some(None), _) => return RunEnd::Over,
                (Some(Some(Next::Aside(_))), _) => {}
                (Some(Some(Next::Item(item))), known) => Box::pin(self.item(link, *item, known)).await,
                (None, Some(running)) => Box::pin(self.look(link, running)).await,
                (None, None) => {}
            }
        }
    }

    fn enter(&self, document: &Document) -> Running<'_> {
        let Document { group, conversation, participant } = document;
        Running {
            entered: self.chats.enter(group, conversation.clone(), *participant),
            heard: VecDeque::new(),
            position: None,
            assigned_to: None,
            missing: 0,
            over: false,
            next_look: Instant::now(),
        }
    }

    // ── out ──────────────────────────────────────────────────────────────────────────────────────────────────────

    async fn item<'a>(&'a self, link: &mut dyn Link, item: Item, running: &mut Option<Running<'a>>) {
        let seq = item.entry.seq;
        match (&item.entry.body, running.as_ref()) {
            (Body::Open, _) => self.open(link, &item, running).await,
            (Body::Text(text), Some(known)) => {
                let result = self.say(&item, text, known.entered.group()).await;
                link.done(seq, result.map(said)).await;
            }
            (Body::Close { outcome, .. }, Some(known)) => {
                let result = match outcome {
                    Outcome::AgentEnded => Ok(()),
                    _ => self.leave(known.entered.group()).await,
                };
                link.done(seq, result.map(|()| Done::default())).await;
            }
            // The Open was cut off: nobody knows the chat's name, so nothing can ever be said in it.
            (Body::Text(_), None) => {
                let unknown = || Cause::new(Reason::Unreachable, "the chat was lost while it was opened");
                link.done(seq, Err(Failure::Retry { after_ms: None, cause: unknown() })).await;
                link.heard(Some("failed".into()), AgentEvent::Failed(unknown().typed())).await;
            }
            _ => link.done(seq, Ok(Done::default())).await,
        }
    }

    async fn open<'a>(&'a self, link: &mut dyn Link, item: &Item, running: &mut Option<Running<'a>>) {
        let seq = item.entry.seq;
        let entry = match self.queue(item).await {
            Ok(entry) => entry,
            Err(failure) => return not_opened(link, seq, failure).await,
        };
        let Some(group) = entry.group.clone().or(entry.sys_id.clone()) else {
            let cause = Cause::new(Reason::VendorError, "a chat without a group");
            return not_opened(link, seq, Failure::Uncertain(cause)).await;
        };
        let document =
            Document { group, conversation: item.conversation.id.clone(), participant: item.participant.no };
        let known = running.insert(self.enter(&document));
        // Its state was just told.
        known.next_look = Instant::now() + self.pause();
        known.position = entry.position;
        known.entered.chat.catches_up(0);
        let queued = AgentEvent::Queued { position: entry.position };
        let session = serde_json::to_value(document).ok();
        link.done(seq, Ok(Done { session, events: vec![queued], ..Done::default() })).await;
    }

    // ── looking ──────────────────────────────────────────────────────────────────────────────────────────────────

    fn pause(&self) -> Duration {
        Duration::from_millis(self.settings.poll_ms)
    }

    async fn look(&self, link: &mut dyn Link, running: &mut Running<'_>) {
        running.next_look = Instant::now() + self.pause();
        if running.over {
            return;
        }
        let group = running.entered.group().to_owned();
        let entry = match self.state_of(&group).await {
            Ok(Some(entry)) => entry,
            Ok(None) => {
                running.missing += 1;
                if running.missing >= 2 {
                    running.over = true;
                    failed(link, Reason::AgentLost, "the instance no longer knows the chat").await;
                }
                return;
            }
            Err(failure) => {
                tracing::info!(code = failure.cause().code, "the state of a chat at ServiceNow was not told");
                return;
            }
        };
        running.missing = 0;
        let stands = entry.stands();
        if stands == State::Waiting && entry.position.is_some() && entry.position != running.position {
            running.position = entry.position;
            link.heard(None, AgentEvent::Queued { position: entry.position }).await;
        }
        if stands == State::Talking {
            self.assigned(link, running, entry.assigned_to.filter(|id| !id.is_empty())).await;
        }
        // The last words before the end.
        self.catch_up(link, running, &group).await;
        match stands {
            State::Closed => {
                running.over = true;
                link.heard(Some("ended".into()), AgentEvent::Ended { tag: None }).await;
            }
            State::Abandoned if running.entered.chat.has_joined() => {
                running.over = true;
                link.heard(Some("ended".into()), AgentEvent::Ended { tag: None }).await;
            }
            State::Abandoned => {
                running.over = true;
                failed(link, Reason::NoAgents, "state 8: closed abandoned").await;
            }
            State::Waiting | State::Talking | State::Unknown => {}
        }
    }

    /// Who talks. The first one joins; another one joins too.
    async fn assigned(&self, link: &mut dyn Link, running: &mut Running<'_>, to: Option<String>) {
        let chat = running.entered.chat.clone();
        let is_news = to.is_some() && to != running.assigned_to;
        if is_news {
            let name = match &to {
                Some(id) => self.name_of(id).await,
                None => None,
            };
            chat.is_called(name.clone());
            let another = running.assigned_to.is_some();
            running.assigned_to.clone_from(&to);
            if another && let (Some(name), Some(id)) = (name, &to) {
                link.heard(Some(format!("{JOINED}/{id}")), AgentEvent::Joined { name: Some(name) }).await;
            }
        }
        if chat.joins() {
            link.heard(Some(JOINED.into()), AgentEvent::Joined { name: chat.agent() }).await;
        }
    }

    /// What a lost call did not tell. A line that was heard before changes nothing.
    async fn catch_up(&self, link: &mut dyn Link, running: &mut Running<'_>, group: &str) {
        let left = running.entered.chat.left();
        let rows = match self.lines_of(group).await {
            Ok(rows) => rows,
            Err(failure) => {
                tracing::debug!(
                    code = failure.cause().code,
                    "the lines of a chat at ServiceNow were not told"
                );
                return;
            }
        };
        for row in rows {
            let Some(id) = row.sys_id.clone() else { continue };
            let Some(words) = self.words_of_agent(&row) else { continue };
            if running.heard.contains(&id) {
                continue;
            }
            if running.heard.len() == REMEMBERED {
                running.heard.pop_front();
            }
            running.heard.push_back(id.clone());
            let chat = running.entered.chat.clone();
            if chat.joins() {
                link.heard(Some(JOINED.into()), AgentEvent::Joined { name: chat.agent() }).await;
            }
            link.heard(Some(id), AgentEvent::Said { text: Text::plain(words), name: chat.agent() }).await;
        }
        // Calls that came meanwhile are asked for once more; each asked for a look.
        running.entered.chat.catches_up(left);
    }

    async fn state_of(&self, group: &str) -> Result<Option<QueueEntry>, Failure> {
        let mut url = self.account.at("/api/now/connect/support/sessions")?;
        url.query_pairs_mut().append_pair("group_id", group);
        let reply = self.account.ask(|| Request::get(url.clone())).await?;
        match reply.json::<Answer<Vec<QueueEntry>>>() {
            Ok(answer) => Ok(answer.result.into_iter().next()),
            Err(Failure::Gone(_)) => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    async fn lines_of(&self, group: &str) -> Result<Vec<Row>, Failure> {
        let url = self.account.at_part("/api/now/connect/conversations", group, "messages")?;
        let reply = self.account.ask(|| Request::get(url.clone())).await?;
        let rows: Answer<Vec<serde_json::Value>> = reply.json()?;
        let mut rows: Vec<Row> =
            rows.result.into_iter().filter_map(|row| serde_json::from_value(row).ok()).collect();
        // Which way the list goes is not known, and its times are of whole seconds; they sort as texts. Where they do not
        // tell, it begins with the newest, as a page of a list does.
        let goes_on = rows.first().zip(rows.last()).is_some_and(|(a, b)| a.sys_created_on < b.sys_created_on);
        if !goes_on {
            rows.reverse();
        }
        rows.sort_by(|a, b| a.sys_created_on.cmp(&b.sys_created_on));
        Ok(rows)
    }

    /// The name behind a user's sys_id, if we may read it.
    async fn name_of(&self, id: &str) -> Option<String> {
        let is_id = id.len() == 32 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
        if !is_id {
            return Some(id.to_owned());
        }
        let mut url = self.account.at_part("/api/now/table/sys_user", id, "").ok()?;
        url.query_pairs_mut().append_pair("sysparm_fields", "name");
        let reply =
            self.account.ask(|| Request::get(url.clone())).await.and_then(Reply::json::<Answer<User>>);
        reply.ok()?.result.name.filter(|name| !name.is_empty())
    }
}

async fn time_to_look(running: Option<&Running<'_>>) {
    match running.filter(|running| !running.over) {
        Some(running) => tokio::select! {
            () = running.entered.chat.news.notified() => {}
            () = tokio::time::sleep_until(running.next_look) => {}
        },
        None => std::future::pending().await,
    }
}

/// Nothing can be said in a chat whose name is not known, also where it may exist.
async fn not_opened(link: &mut dyn Link, seq: Seq, failure: Failure) {
    let typed = matches!(failure, Failure::Uncertain(_)).then(|| failure.cause().typed());
    link.done(seq, Err(failure)).await;
    if let Some(typed) = typed {
        link.heard(Some("failed".into()), AgentEvent::Failed(typed)).await;
    }
}

async fn failed(link: &mut dyn Link, reason: Reason, code: &str) {
    let failure = Typed { reason, code: Some(code.into()) };
    link.heard(Some("failed".into()), AgentEvent::Failed(failure)).await;
}

/// The instance's id of a line, if it told one.
fn said(id: Option<String>) -> Done {
    Done { remote_ids: id.into_iter().collect(), ..Done::default() }
}
