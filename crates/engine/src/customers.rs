//! Customers in memory: which conversation is open, and who watches.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use interline_connector::channel::Hint;
use interline_core::{AppId, ConversationId, CustomerId};
use tokio::sync::broadcast;

/// A reader that is so many hints behind misses some; it reads the log anyway.
const HINTS: usize = 32;

/// All customers in memory.
#[derive(Default)]
pub(crate) struct Customers(Mutex<HashMap<(AppId, CustomerId), Arc<Person>>>);

/// One customer.
pub(crate) struct Person {
    /// The open conversation, once looked up. Held while a conversation is opened, so that only one is.
    pub open: tokio::sync::Mutex<Option<ConversationId>>,
    /// This node has just made the customer, and nothing happened since: there is nothing to look up. Only of callers is
    /// this relied on: their call is here.
    pub fresh: AtomicBool,
    watchers: Mutex<Option<broadcast::Sender<Hint>>>,
    used: AtomicBool,
}

impl Customers {
    fn map(&self) -> std::sync::MutexGuard<'_, HashMap<(AppId, CustomerId), Arc<Person>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn get(&self, app: &AppId, customer: &CustomerId) -> Arc<Person> {
        let mut map = self.map();
        let person = map.entry((app.clone(), customer.clone())).or_insert_with(|| {
            Arc::new(Person {
                open: tokio::sync::Mutex::default(),
                fresh: AtomicBool::new(false),
                watchers: Mutex::default(),
                used: AtomicBool::new(true),
            })
        });
        person.used.store(true, Ordering::Relaxed);
        person.clone()
    }

    pub fn watch(&self, app: &AppId, customer: &CustomerId) -> broadcast::Receiver<Hint> {
        let person = self.get(app, customer);
        let mut watchers = person.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.get_or_insert_with(|| broadcast::channel(HINTS).0).subscribe()
    }

    /// There is something new to see.
    pub fn wake(&self, app: &AppId, customer: &CustomerId) {
        self.tell(app, customer, Hint::Entries);
    }

    pub fn tell(&self, app: &AppId, customer: &CustomerId, hint: Hint) {
        let person = self.map().get(&(app.clone(), customer.clone())).cloned();
        if let Some(person) = person {
            person.tell(hint);
        }
    }

    pub fn wake_all(&self) {
        let everybody: Vec<Arc<Person>> = self.map().values().cloned().collect();
        for person in everybody {
            person.tell(Hint::Entries);
        }
    }

    /// The customer was erased: nothing of theirs is open, and who watches them is told.
    pub async fn forget(&self, app: &AppId, customer: &CustomerId) {
        let known = self.map().remove(&(app.clone(), customer.clone()));
        if let Some(person) = known {
            *person.open.lock().await = None;
            person.tell(Hint::Erased);
        }
    }

    /// How many readers wait for something to see.
    pub fn readers(&self) -> usize {
        self.map().values().map(|person| person.readers()).sum()
    }

    pub fn sweep(&self) {
        self.map().retain(|_, person| {
            Arc::strong_count(person) > 1 || person.watched() || person.used.swap(false, Ordering::Relaxed)
        });
    }
}

impl Person {
    fn tell(&self, hint: Hint) {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(watchers) = watchers.as_ref() {
            let _ = watchers.send(hint);
        }
    }

    fn watched(&self) -> bool {
        self.readers() > 0
    }

    fn readers(&self) -> usize {
        let watchers = self.watchers.lock().unwrap_or_else(PoisonError::into_inner);
        watchers.as_ref().map_or(0, broadcast::Sender::receiver_count)
    }
}
