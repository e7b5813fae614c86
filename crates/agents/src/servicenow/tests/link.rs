//! A line to a session of Connect Support, as the engine's: entries one at a time, and what comes of them.

use interline_connector::channel::Mark;
use interline_connector::{Done, Failure, FileRefused, Link, Next, RunEnd, UpTo};
use interline_core::File;
use tokio::sync::mpsc;

use super::*;

/// The engine's end.
pub(super) struct Session {
    next: mpsc::UnboundedSender<Option<Next>>,
    results: mpsc::UnboundedReceiver<Result<Done, Failure>>,
    running: JoinSet<RunEnd>,
}

struct Line {
    document: Option<Value>,
    platform: Arc<Platform>,
    next: mpsc::UnboundedReceiver<Option<Next>>,
    results: mpsc::UnboundedSender<Result<Done, Failure>>,
}

impl Session {
    pub fn start(agent: Arc<dyn AgentSystem>, platform: Arc<Platform>, document: Option<Value>) -> Self {
        let (next, taken) = mpsc::unbounded_channel();
        let (told, results) = mpsc::unbounded_channel();
        let mut line = Line { document, platform, next: taken, results: told };
        let mut running = JoinSet::new();
        running.spawn(async move { agent.run(&mut line).await });
        Self { next, results, running }
    }

    pub async fn tell(&mut self, item: Item) -> Result<Done, Failure> {
        self.give(item);
        self.result().await
    }

    pub fn give(&self, item: Item) {
        self.next.send(Some(Next::Item(Box::new(item)))).expect("it runs");
    }

    pub async fn result(&mut self) -> Result<Done, Failure> {
        tokio::time::timeout(SOON, self.results.recv()).await.expect("in time").expect("it runs")
    }

    /// The participant's part is over.
    pub async fn over(mut self) -> RunEnd {
        self.next.send(None).expect("it runs");
        let end = tokio::time::timeout(SOON, self.running.join_next()).await.expect("in time");
        end.expect("a task").expect("no panic")
    }
}

#[async_trait::async_trait]
impl Link for Line {
    fn session(&self) -> Option<Value> {
        self.document.clone()
    }

    async fn next(&mut self) -> Option<Next> {
        self.next.recv().await.flatten()
    }

    async fn done(&mut self, _: Seq, result: Result<Done, Failure>) {
        for event in result.iter().flat_map(|done| done.events.clone()) {
            self.platform.hear(None, event, Vec::new());
        }
        let _ = self.results.send(result);
    }

    async fn heard(&mut self, external_id: Option<String>, event: AgentEvent) {
        self.platform.hear(external_id, event, Vec::new());
    }

    fn typing(&mut self, _: bool) {}

    async fn receipt(&mut self, _: Mark, _: UpTo) {}

    async fn keep(&mut self, _: Incoming) -> Result<File, FileRefused> {
        Err(FileRefused::Off)
    }

    async fn save(&mut self, session: Value) {
        self.document = Some(session);
    }
}
