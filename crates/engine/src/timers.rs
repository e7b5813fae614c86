//! Deadlines and retries.
//!
//! Memory holds only what is due soon; the database holds all of it (`wake_at`, `due_at`) and is looked through now and
//! then. So an idle conversation costs nothing here, and a lost hint costs at most one round.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use interline_core::{AppId, ConversationId, Input, ParticipantNo};
use tokio::sync::broadcast;

use crate::engine::Inner;
use crate::hints;
use crate::ingress::{Change, Trouble};
use crate::live::Key;
use crate::observe;

/// How far ahead memory looks.
const HORIZON_MS: i64 = 30_000;
/// How often the database is looked through; less than the horizon, so that nothing is late.
const ROUND: Duration = Duration::from_secs(10);
/// So many rows are taken from the database in a first look.
const BATCH: i64 = 1_000;
/// And so many at most: what stays due (duplex sessions, apps that another process serves) must not hide what is behind
/// it.
const MOST: i64 = 1_000_000;

/// What is to be done at some time: a tick, or a delivery to a participant.
type Alarm = (Key, Option<ParticipantNo>);

/// Alarms that are on their way, and when. One for each at a time: a retry that is found in every round is still one.
#[derive(Default)]
pub(crate) struct Timers(Mutex<HashMap<Alarm, i64>>);

impl Timers {
    /// False: it comes as early as that anyway.
    fn set(&self, alarm: &Alarm, at: i64) -> bool {
        let mut alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.get(alarm).is_some_and(|earlier| *earlier <= at) {
            return false;
        }
        alarms.insert(alarm.clone(), at);
        true
    }

    fn clear(&self, alarm: &Alarm, at: i64) {
        let mut alarms = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if alarms.get(alarm).is_some_and(|current| *current == at) {
            alarms.remove(alarm);
        }
    }
}

impl Inner {
    /// Makes sure the conversation gets a tick at `at`, if that is soon.
    pub(crate) fn tick_at(self: &Arc<Self>, key: &Key, at: i64) {
        self.alarm_at((key.clone(), None), at);
    }

    /// Delivers to a participant at `at`, if that is soon.
    pub(crate) fn deliver_at(self: &Arc<Self>, key: &Key, no: ParticipantNo, at: i64) {
        self.alarm_at((key.clone(), Some(no)), at);
    }

    fn alarm_at(self: &Arc<Self>, alarm: Alarm, at: i64) {
        let now = self.now().0;
        if at > now + HORIZON_MS || !self.timers.set(&alarm, at) {
            return;
        }
        let inner = self.clone();
        tokio::spawn(async move {
            let wait = Duration::from_millis(u64::try_from(at - now).unwrap_or(0));
            let slept = inner.stop.run_until_cancelled(inner.clock.sleep(wait)).await;
            inner.timers.clear(&alarm, at);
            if slept.is_some() {
                inner.tasks.track_future(inner.ring(&alarm)).await;
            }
        });
    }

    async fn ring(self: &Arc<Self>, (key, no): &Alarm) {
        match no {
            Some(no) => self.dispatch(key, *no),
            None => match self.tick(key).await {
                // It was erased: nothing is due any more.
                Ok(()) | Err(Trouble::Unknown) => {}
                Err(error) => {
                    tracing::warn!(conversation = %key.conversation, %error, "a deadline could not be worked on");
                }
            },
        }
    }

    async fn tick(self: &Arc<Self>, key: &Key) -> Result<(), Trouble> {
        let Some(runtime) = self.apps.get(&key.app) else { return Ok(()) };
        let slot = self.slots.get(key);
        let place = self.look_for(&slot).await;
        let mut guard = slot.live.lock().await;
        self.load(&slot, &mut guard).await?;
        drop(place);
        let wake_at = guard.as_ref().and_then(|live| live.state.wake_at());
        match wake_at {
            Some(at) if at <= self.now() => {
                self.change(&runtime, &slot, &mut guard, Change::inputs("timer", vec![Input::Tick], None))
                    .await?;
            }
            Some(at) => self.tick_at(key, at.0),
            None => {}
        }
        Ok(())
    }

    /// Looks through the database for what is due.
    pub(crate) async fn look_through(self: Arc<Self>) {
        loop {
            if let Err(error) = self.look_once().await {
                tracing::warn!(%error, "the database could not be looked through");
            }
            self.clock.sleep(ROUND).await;
        }
    }

    async fn look_once(self: &Arc<Self>) -> Result<(), Trouble> {
        let until = self.now().0 + HORIZON_MS;
        let key = |app: &str, conversation: &str| Key {
            app: AppId::from(app),
            conversation: ConversationId::from(conversation),
        };
        let mut limit = BATCH;
        let participants = loop {
            let found = self.store.due_participants(until, limit).await?;
            if found.len() < usize::try_from(limit).unwrap_or(usize::MAX) || limit >= MOST {
                break found;
            }
            limit *= 10;
        };
        for due in participants {
            let no = ParticipantNo(u32::try_from(due.no).unwrap_or(u32::MAX));
            self.deliver_at(&key(&due.app, &due.conversation), no, due.due_at);
        }
        let mut limit = BATCH;
        let conversations = loop {
            let found = self.store.due_conversations(until, limit).await?;
            if found.len() < usize::try_from(limit).unwrap_or(usize::MAX) || limit >= MOST {
                break found;
            }
            limit *= 10;
        };
        for (app, conversation, at) in conversations {
            self.tick_at(&key(&app, &conversation), at);
        }
        Ok(())
    }

    /// Follows the hints: dispatches, and wakes readers.
    pub(crate) async fn follow_hints(self: Arc<Self>, mut hints: broadcast::Receiver<hints::About>) {
        use tokio::sync::broadcast::error::RecvError;
        loop {
            match hints.recv().await {
                Ok(about) => {
                    let key = Key { app: about.app, conversation: about.conversation };
                    for no in about.due {
                        self.dispatch(&key, no);
                    }
                    if let Some(customer) = about.customer {
                        self.customers.wake(&key.app, &customer);
                    }
                }
                Err(RecvError::Lagged(missed)) => {
                    observe::hints_lagged(missed);
                    self.customers.wake_all();
                    if let Err(error) = self.look_once().await {
                        tracing::warn!(%error, "hints were missed and the database could not be looked through");
                    }
                }
                Err(RecvError::Closed) => return,
            }
        }
    }
}
