//! An engine that is small enough to read. What the real one does beyond that is the conformance suite's.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use async_trait::async_trait;
use interline_connector::channel::Mark;
use interline_connector::{
    AgentSystem, Done, Failure, FileRefused, Incoming, Item, Link, Next, RunEnd, UpTo,
};
use interline_core::conversation::input::AgentEvent;
use interline_core::{File, Seq};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

/// Runs one participant's session.
pub(super) struct Engine {
    pub agent: Arc<dyn AgentSystem>,
    pub seen: Arc<Seen>,
    task: Mutex<JoinHandle<()>>,
}

/// What the session was given, and what came of it.
#[derive(Default)]
pub(super) struct Seen {
    inner: Mutex<Inner>,
    news: Notify,
}

#[derive(Default)]
struct Inner {
    queue: VecDeque<Next>,
    /// The participant's part is over: nothing comes after the queue.
    over: bool,
    done: Vec<(Seq, Result<Done, Failure>)>,
    heard: Vec<(Option<String>, AgentEvent)>,
    typing: Vec<bool>,
    receipts: Vec<(Mark, UpTo)>,
    kept: Vec<Incoming>,
    refuse_files: Option<FileRefused>,
    instead: Option<Item>,
    session: Option<Value>,
    runs: Vec<RunEnd>,
}

impl Engine {
    pub fn run(agent: Arc<dyn AgentSystem>) -> Self {
        let seen = Arc::new(Seen::default());
        let task = Mutex::new(Self::task(&agent, &seen));
        Self { agent, seen, task }
    }

    fn task(agent: &Arc<dyn AgentSystem>, seen: &Arc<Seen>) -> JoinHandle<()> {
        let (agent, seen) = (agent.clone(), seen.clone());
        tokio::spawn(async move {
            loop {
                let mut link = Line { seen: seen.clone(), current: None, wait: None };
                let end = agent.run(&mut link).await;
                // What was handed out and not settled is handed out again.
                if let Some(item) = link.current.take() {
                    seen.inner().queue.push_front(Next::Item(item));
                }
                seen.inner().runs.push(end.clone());
                if end == RunEnd::Over {
                    return;
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        })
    }

    /// Killed, and started again: by another integration of the same settings, if there is one.
    pub fn restart(&self, agent: Option<Arc<dyn AgentSystem>>) {
        let mut task = self.task.lock().expect("lock");
        task.abort();
        *task = Self::task(&agent.unwrap_or_else(|| self.agent.clone()), &self.seen);
    }

    pub fn give(&self, next: Next) {
        self.seen.inner().queue.push_back(next);
        self.seen.news.notify_one();
    }

    /// What waits is given up, and this is handed out instead.
    pub fn replace_by(&self, item: Item) {
        self.seen.inner().instead = Some(item);
    }

    /// Nothing comes any more.
    pub fn over(&self) {
        self.seen.inner().over = true;
        self.seen.news.notify_one();
    }

    pub fn heard(&self) -> Vec<AgentEvent> {
        self.seen.inner().heard.iter().map(|(_, event)| event.clone()).collect()
    }

    /// What the agent's words are called at the vendor.
    pub fn remote_id(&self, words: &str) -> Option<String> {
        let inner = self.seen.inner();
        let said = |event: &AgentEvent| matches!(event, AgentEvent::Said { text, .. } if text.text == words);
        inner.heard.iter().find(|(_, event)| said(event)).and_then(|(id, _)| id.clone())
    }

    /// What came of an entry, each time that it was tried.
    pub fn results(&self, seq: Seq) -> Vec<Result<Done, Failure>> {
        let inner = self.seen.inner();
        inner.done.iter().filter(|(known, _)| *known == seq).map(|(_, result)| result.clone()).collect()
    }

    /// What came of it in the end.
    pub async fn settled(&self, seq: Seq) -> Result<Done, Failure> {
        let last = || self.results(seq).pop().filter(|result| !matches!(result, Err(Failure::Retry { .. })));
        super::eventually(last).await
    }

    pub fn typing(&self) -> Vec<bool> {
        self.seen.inner().typing.clone()
    }

    pub fn receipts(&self) -> Vec<(Mark, UpTo)> {
        self.seen.inner().receipts.clone()
    }

    pub fn kept(&self) -> Vec<Incoming> {
        self.seen.inner().kept.clone()
    }

    pub fn refuse_files(&self, why: FileRefused) {
        self.seen.inner().refuse_files = Some(why);
    }

    pub fn session(&self) -> Option<Value> {
        self.seen.inner().session.clone()
    }

    pub fn set_session(&self, session: Value) {
        self.seen.inner().session = Some(session);
    }

    pub fn runs(&self) -> Vec<RunEnd> {
        self.seen.inner().runs.clone()
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        if let Ok(task) = self.task.lock() {
            task.abort();
        }
    }
}

impl Seen {
    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().expect("lock")
    }
}

struct Line {
    seen: Arc<Seen>,
    current: Option<Box<Item>>,
    /// What was not taken is not given again before.
    wait: Option<tokio::time::Instant>,
}

impl Drop for Line {
    /// Dropped in the middle of a delivery: nobody knows what came of it.
    fn drop(&mut self) {
        if let Some(item) = self.current.take() {
            self.seen.inner().queue.push_front(Next::Item(item));
        }
    }
}

#[async_trait]
impl Link for Line {
    fn session(&self) -> Option<Value> {
        self.seen.inner().session.clone()
    }

    async fn next(&mut self) -> Option<Next> {
        loop {
            if let Some(wait) = self.wait {
                tokio::time::sleep_until(wait).await;
                self.wait = None;
            }
            {
                let mut inner = self.seen.inner();
                if let Some(instead) = inner.instead.take() {
                    inner.queue = VecDeque::from([Next::Item(Box::new(instead))]);
                }
                match inner.queue.pop_front() {
                    Some(Next::Item(item)) => {
                        self.current = Some(item.clone());
                        return Some(Next::Item(item));
                    }
                    Some(aside) => return Some(aside),
                    None if inner.over => return None,
                    None => {}
                }
            }
            self.seen.news.notified().await;
        }
    }

    async fn done(&mut self, seq: Seq, result: Result<Done, Failure>) {
        let item = self.current.take().expect("it was given");
        assert_eq!(item.entry.seq, seq);
        let mut inner = self.seen.inner();
        if let Some(session) = result.as_ref().ok().and_then(|done| done.session.clone()) {
            inner.session = Some(session);
        }
        inner.done.push((seq, result.clone()));
        match result {
            Err(Failure::Retry { after_ms, .. }) => {
                inner.queue.push_front(Next::Item(item));
                let wait = Duration::from_millis(after_ms.unwrap_or(50));
                self.wait = Some(tokio::time::Instant::now() + wait);
            }
            Err(Failure::Gone(_)) => {
                inner.queue.clear();
                inner.over = true;
            }
            Err(Failure::Unauthorized(_) | Failure::Bug(_) | Failure::Uncertain(_)) => {
                inner.queue.push_front(Next::Item(item));
                self.wait = Some(tokio::time::Instant::now() + Duration::from_millis(50));
            }
            Ok(_) | Err(Failure::Refused(_)) => {}
        }
    }

    async fn heard(&mut self, external_id: Option<String>, event: AgentEvent) {
        let mut inner = self.seen.inner();
        let known = external_id.is_some() && inner.heard.iter().any(|(id, _)| *id == external_id);
        if !known {
            inner.heard.push((external_id, event));
        }
    }

    fn typing(&mut self, on: bool) {
        self.seen.inner().typing.push(on);
    }

    async fn receipt(&mut self, mark: Mark, up_to: UpTo) {
        self.seen.inner().receipts.push((mark, up_to));
    }

    async fn keep(&mut self, file: Incoming) -> Result<File, FileRefused> {
        let mut inner = self.seen.inner();
        if let Some(why) = inner.refuse_files.clone() {
            return Err(why);
        }
        let name = file.name.clone().unwrap_or_default();
        inner.kept.push(file);
        let id = format!("fil_{}", inner.kept.len());
        Ok(File {
            id: id.as_str().into(),
            name,
            mime: "application/pdf".into(),
            size: 5,
            sha256: String::new(),
            warning: None,
        })
    }

    async fn save(&mut self, session: Value) {
        self.seen.inner().session = Some(session);
    }
}
