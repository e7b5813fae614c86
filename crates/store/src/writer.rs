//! The lanes: who writes, and when a caller gets the answer.
//!
//! ```text
//!   commit ─┐                     ┌─ lane 0: channel ─► up to 64 ─► one transaction ─► answers
//!   mark   ─┼─ hash(conversation) ┤
//!   task   ─┘                     └─ lane W: …            (its own connection)
//! ```
//!
//! The number of commits decides the speed, so a lane writes whatever has gathered while the last commit was on its way
//! to the disk. Nobody is answered before the group is durable. When a group fails, its members run one by one, so that
//! each gets its own answer.
//!
//! Units of one conversation keep their order: they share a lane, and a group takes at most one of them; the next one
//! waits for the next group.

use std::collections::{HashSet, VecDeque};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::db::{Db, Dialect};
use crate::error::Error;
use crate::group::{self, Failure, Key, Mark};
use crate::sql::{self, Connection};
use crate::task::Task;
use crate::unit::{Committed, Unit};

/// The most members of one transaction.
const GROUP: usize = 64;
/// Work that waits in a lane's channel before callers have to wait for room.
const WAITING: usize = 1024;
/// Work that was taken out of the channel but must wait for a later group.
const HELD: usize = 256;
/// How long one transaction on a server may take before its connection is given up. SQLite's is done when it is answered.
const DEADLINE: Duration = Duration::from_secs(30);
/// SQLite's lane begins a transaction at most this often while work is waiting for it: a commit costs the same for one unit as
/// for ten. Who comes alone does not wait.
const GATHER: Duration = Duration::from_millis(3);
/// First and longest pause between two tries to reconnect.
const PAUSE: (Duration, Duration) = (Duration::from_millis(50), Duration::from_secs(2));

type Reply<T> = oneshot::Sender<Result<T, Error>>;

enum Work {
    Unit(Box<Unit>, Reply<Committed>),
    Mark(Mark, Reply<()>),
    /// With the conversation it concerns, if any.
    Task(Option<Key>, Box<dyn Task>),
    /// Finish what is there and end.
    Stop,
}

impl Work {
    /// Of two with the same key, the later must not be in the same group.
    fn key(&self) -> Option<Key> {
        match self {
            Self::Unit(unit, _) => Some((unit.app.clone(), unit.conversation.clone())),
            Self::Task(key, _) => key.clone(),
            Self::Mark(..) | Self::Stop => None,
        }
    }
}

/// All lanes.
pub(crate) struct Lanes {
    channels: Vec<mpsc::Sender<Work>>,
    /// Each ends when its lane does.
    running: std::sync::Mutex<Vec<oneshot::Receiver<()>>>,
}

impl Lanes {
    /// Connects `count` lanes and starts them.
    pub(crate) async fn start(db: &Db, count: usize) -> Result<Self, sql::Error> {
        let mut channels = Vec::with_capacity(count);
        let mut running = Vec::with_capacity(count);
        for _ in 0..count {
            let connection = db.writer().await?;
            let (sender, receiver) = mpsc::channel(WAITING);
            let lane = Lane {
                db: db.clone(),
                connection: Some(connection),
                pause: PAUSE.0,
                try_again: Instant::now(),
                receiver,
                held: VecDeque::new(),
            };
            channels.push(sender);
            running.push(start(lane)?);
        }
        Ok(Self { channels, running: std::sync::Mutex::new(running) })
    }

    pub(crate) fn count(&self) -> usize {
        self.channels.len()
    }

    pub(crate) async fn unit(&self, unit: Unit) -> Result<Committed, Error> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane(&unit.app, &unit.conversation);
        self.send(lane, Work::Unit(Box::new(unit), reply)).await?;
        receive(answer).await
    }

    pub(crate) async fn mark(&self, mark: Mark) -> Result<(), Error> {
        let (reply, answer) = oneshot::channel();
        let lane = self.lane(&mark.app, &mark.conversation);
        self.send(lane, Work::Mark(mark, reply)).await?;
        receive(answer).await
    }

    /// A task about one conversation: runs behind the units of it that were sent before.
    pub(crate) async fn conversation_task<T>(
        &self,
        key: Key,
        (task, answer): (Box<dyn Task>, oneshot::Receiver<Result<T, Error>>),
    ) -> Result<T, Error> {
        let lane = self.lane(&key.0, &key.1);
        self.send(lane, Work::Task(Some(key), task)).await?;
        receive(answer).await
    }

    /// Any other task; tasks of the same app and name run one after another on this node.
    pub(crate) async fn task<T>(
        &self,
        app: &str,
        name: &str,
        (task, answer): (Box<dyn Task>, oneshot::Receiver<Result<T, Error>>),
    ) -> Result<T, Error> {
        self.send(self.lane(app, name), Work::Task(None, task)).await?;
        receive(answer).await
    }

    fn lane(&self, app: &str, name: &str) -> usize {
        let mut hasher = DefaultHasher::new();
        (app, name).hash(&mut hasher);
        (hasher.finish() % self.channels.len().max(1) as u64) as usize
    }

    async fn send(&self, lane: usize, work: Work) -> Result<(), Error> {
        self.channels.get(lane).ok_or(Error::Closed)?.send(work).await.map_err(|_| Error::Closed)
    }

    /// Lets every lane finish what it has, and waits for that.
    pub(crate) async fn stop(&self) {
        for channel in &self.channels {
            let _ = channel.send(Work::Stop).await;
        }
        let running = std::mem::take(&mut *self.running.lock().unwrap_or_else(|poison| poison.into_inner()));
        for lane in running {
            let _ = lane.await;
        }
    }
}

/// Starts a lane. SQLite works on the thread that calls it, and syncs the disk there: that thread is the lane's alone.
fn start(lane: Lane) -> Result<oneshot::Receiver<()>, sql::Error> {
    let (ended, ends) = oneshot::channel();
    let file = lane.db.dialect == Dialect::Sqlite;
    let run = async move {
        lane.run().await;
        drop(ended);
    };
    if file {
        let runtime = tokio::runtime::Handle::current();
        std::thread::Builder::new().name("store".to_owned()).spawn(move || runtime.block_on(run))?;
    } else {
        tokio::spawn(run);
    }
    Ok(ends)
}

/// A lane that ends without answering was stopped, or panicked: the outcome is not known.
async fn receive<T>(answer: oneshot::Receiver<Result<T, Error>>) -> Result<T, Error> {
    answer.await.unwrap_or(Err(Error::Closed))
}

/// What one transaction holds.
#[derive(Default)]
struct Group {
    units: Vec<(Box<Unit>, Reply<Committed>)>,
    marks: Vec<(Mark, Reply<()>)>,
    tasks: Vec<Box<dyn Task>>,
}

impl Group {
    fn len(&self) -> usize {
        self.units.len() + self.marks.len() + self.tasks.len()
    }

    fn answer_all(self, error: &Error) {
        for (_, reply) in self.units {
            let _ = reply.send(Err(error.clone()));
        }
        for (_, reply) in self.marks {
            let _ = reply.send(Err(error.clone()));
        }
        for task in self.tasks {
            task.finish(Err(error.clone()));
        }
    }

    /// The members as groups of one; the marks stay together, because none of them can fail alone.
    fn split(self) -> Vec<Self> {
        let units = self.units.into_iter().map(|unit| Self { units: vec![unit], ..Self::default() });
        let tasks = self.tasks.into_iter().map(|task| Self { tasks: vec![task], ..Self::default() });
        let marks = Self { marks: self.marks, ..Self::default() };
        units.chain(std::iter::once(marks)).chain(tasks).filter(|group| group.len() > 0).collect()
    }
}

struct Lane {
    db: Db,
    connection: Option<Connection>,
    pause: Duration,
    try_again: Instant,
    receiver: mpsc::Receiver<Work>,
    held: VecDeque<Work>,
}

impl Lane {
    async fn run(mut self) {
        let mut arrived = Vec::with_capacity(GROUP);
        while let Some(group) = self.next_group(&mut arrived).await {
            let began = Instant::now();
            self.write(group).await;
            self.gather(began);
        }
        if let Some(mut connection) = self.connection.take() {
            if let Some(last) = self.db.dialect.tear_down() {
                // Only tidiness: what is committed is durable without it.
                let _ = connection.all(last).await;
            }
            connection.close().await;
        }
    }

    /// Lets more come to what is waiting. Only a lane with a thread of its own may sleep on it.
    fn gather(&self, began: Instant) {
        let waiting = self.receiver.len() + self.held.len();
        if self.db.dialect == Dialect::Sqlite && (1..GROUP).contains(&waiting) {
            std::thread::sleep(GATHER.saturating_sub(began.elapsed()));
        }
    }

    /// The next group: what was held first, then what has arrived. Waits for the first member only.
    async fn next_group(&mut self, arrived: &mut Vec<Work>) -> Option<Group> {
        let mut group = Group::default();
        let mut taken = HashSet::new();
        for work in std::mem::take(&mut self.held) {
            self.place(work, &mut group, &mut taken);
        }
        while group.len() == 0 {
            if self.receiver.recv_many(arrived, GROUP).await == 0 {
                return None;
            }
            for work in arrived.drain(..) {
                self.place(work, &mut group, &mut taken);
            }
        }
        while group.len() < GROUP && self.held.len() < HELD {
            match self.receiver.try_recv() {
                Ok(work) => self.place(work, &mut group, &mut taken),
                Err(_) => break,
            }
        }
        Some(group)
    }

    /// Puts one piece of work into the group, or holds it for a later one. What is held blocks what comes later for the
    /// same conversation, because its key is taken: the order stays.
    fn place(&mut self, work: Work, group: &mut Group, taken: &mut HashSet<Key>) {
        let key = work.key();
        let full = group.len() >= GROUP && !matches!(work, Work::Stop);
        if full || key.as_ref().is_some_and(|key| taken.contains(key)) {
            self.held.push_back(work);
            return;
        }
        taken.extend(key);
        match work {
            Work::Unit(unit, reply) => group.units.push((unit, reply)),
            Work::Mark(mark, reply) => group.marks.push((mark, reply)),
            Work::Task(_, task) => group.tasks.push(task),
            Work::Stop => self.receiver.close(),
        }
    }

    /// Writes the group, or its members one by one, and answers everyone.
    async fn write(&mut self, group: Group) {
        match self.attempt(group).await {
            Ok(()) => {}
            Err(group) => {
                for single in group.split() {
                    // A group of one always has its answer.
                    let _ = self.attempt(single).await;
                }
            }
        }
    }

    /// One transaction. Gives the group back when its members should be tried one by one.
    async fn attempt(&mut self, mut group: Group) -> Result<(), Group> {
        let connection = match self.connect().await {
            Ok(connection) => connection,
            Err(error) => {
                group.answer_all(&error);
                return Ok(());
            }
        };
        let units: Vec<&Unit> = group.units.iter().map(|(unit, _)| &**unit).collect();
        let marks: Vec<&Mark> = group.marks.iter().map(|(mark, _)| mark).collect();
        let mut tasks: Vec<&mut Box<dyn Task>> = group.tasks.iter_mut().collect();
        let written =
            tokio::time::timeout(DEADLINE, group::write(connection, &units, &marks, &mut tasks)).await;
        match written {
            Ok(Ok(answers)) => {
                for ((_, reply), answer) in group.units.into_iter().zip(answers) {
                    let _ = reply.send(Ok(answer));
                }
                for (_, reply) in group.marks {
                    let _ = reply.send(Ok(()));
                }
                for task in group.tasks {
                    task.finish(Ok(()));
                }
                Ok(())
            }
            Ok(Err(Failure::Sql(error))) if error.lost_connection() => {
                tracing::warn!(%error, "a lane lost its database connection");
                self.give_up_connection();
                group.answer_all(&Error::from(error));
                Ok(())
            }
            Ok(Err(failure)) if group.len() == 1 || group.units.is_empty() && group.tasks.is_empty() => {
                answer_single(group, failure);
                Ok(())
            }
            Ok(Err(_)) => Err(group),
            Err(_) => {
                tracing::warn!("a transaction took longer than {DEADLINE:?}: its connection is given up");
                self.give_up_connection();
                group.answer_all(&Error::Retry("the transaction took too long".to_owned()));
                Ok(())
            }
        }
    }

    /// The connection, or at once an error: callers must not hang while the database is away.
    async fn connect(&mut self) -> Result<&mut Connection, Error> {
        let away = |error: String| Error::Retry(format!("no connection: {error}"));
        if self.connection.is_none() {
            if Instant::now() < self.try_again {
                return Err(away("waiting before the next try".to_owned()));
            }
            match self.db.writer().await {
                Ok(connection) => {
                    self.pause = PAUSE.0;
                    self.connection = Some(connection);
                }
                Err(error) => {
                    self.try_again = Instant::now() + self.pause;
                    self.pause = (self.pause * 2).min(PAUSE.1);
                    return Err(away(error.to_string()));
                }
            }
        }
        self.connection.as_mut().ok_or_else(|| away("none".to_owned()))
    }

    fn give_up_connection(&mut self) {
        // Not closed politely: that would wait for a server that is gone.
        self.connection = None;
        self.try_again = Instant::now();
    }
}

fn answer_single(mut group: Group, failure: Failure) {
    let error = match failure {
        Failure::Guard => match group.units.pop() {
            Some((_, reply)) => {
                let _ = reply.send(Ok(Committed::Conflict));
                return;
            }
            None => Error::Broken("a guard failed without a unit".to_owned()),
        },
        Failure::Sql(error) => Error::from(error),
        Failure::Other(error) => error,
    };
    group.answer_all(&error);
}
