//! What must be said to the instance although no entry says it: the second request of `two_step`, a choice that is taken,
//! an agent's file that the app does not take, the end after the agent's end. The integration's listener says it. What a
//! restart forgets is made up for: a start that does not get on by its deadline, an end by the instance's own idle job.

use std::time::Duration;

use tokio::sync::Mutex;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio::time::Instant;

use super::Integration;
use super::handle::{Handle, Session};

/// So many wait to be said; of more, what comes is forgotten.
const MOST: usize = 4_096;
/// The access token is looked after this often while something goes on.
const LOOK: Duration = Duration::from_secs(60);

/// What is to be said.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// `AGENT` again, if nothing shows that the first was understood.
    AskAgain(Handle),
    /// This choice.
    Choose(Session, String),
    /// These words, for the agent alone.
    Tell(Session, String),
    /// That we know of the end.
    End(Session),
}

/// What waits to be said.
pub(super) struct Steps {
    sender: Sender<(Instant, Step)>,
    receiver: Mutex<Receiver<(Instant, Step)>>,
}

impl Default for Steps {
    fn default() -> Self {
        let (sender, receiver) = channel(MOST);
        Self { sender, receiver: Mutex::new(receiver) }
    }
}

impl Steps {
    pub fn now(&self, step: Step) {
        self.later(step, 0);
    }

    pub fn later(&self, step: Step, ms: u64) {
        if self.sender.try_send((Instant::now() + Duration::from_millis(ms), step)).is_err() {
            tracing::warn!("too much is to be said to ServiceNow; some of it is left out");
        }
    }
}

impl Integration {
    /// Says what is to be said, when it is time. Never ends.
    pub(super) async fn take_steps(&self) {
        let mut receiver = self.steps.receiver.lock().await;
        let mut waiting: Vec<(Instant, Step)> = Vec::new();
        loop {
            let next = waiting.iter().map(|(at, _)| *at).min();
            let until = next.unwrap_or_else(|| Instant::now() + LOOK);
            tokio::select! {
                came = receiver.recv() => match came {
                    Some(step) => waiting.push(step),
                    None => return,
                },
                () = tokio::time::sleep_until(until) => {
                    if next.is_none() && !self.memory.is_empty() {
                        // An agent's file may have to be fetched although the customer said nothing for long.
                        self.account.stay_logged_in().await;
                    }
                }
            }
            let now = Instant::now();
            let (due, later) = waiting.into_iter().partition(|(at, _)| *at <= now);
            waiting = later;
            for (_, step) in due {
                self.take_step(step).await;
            }
        }
    }

    async fn take_step(&self, step: Step) {
        let (session, request) = match step {
            Step::AskAgain(handle) => {
                let known = self.memory.get(&handle);
                let Some(session) = known.session.filter(|_| !known.alive && !known.chosen) else { return };
                let request = self.asks_again(&session);
                (session, request)
            }
            Step::Choose(session, value) => {
                let request = self.chooses(&session, value);
                (session, request)
            }
            Step::Tell(session, words) => {
                let request = self.tells(&session, words);
                (session, request)
            }
            Step::End(session) => {
                let request = self.ends(&session, jiff::Timestamp::now().as_millisecond());
                (session, request)
            }
        };
        if let Err(failure) = self.send(&session, &request).await {
            tracing::info!(code = failure.cause().code, action = ?request.action, "ServiceNow did not take a step");
        }
    }
}
