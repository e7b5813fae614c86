//! Small writes that are not units (once, customers, apps, nodes, erasure).
//!
//! They go through the lanes like everything else: SQLite has one writing connection, and a second one would have to
//! fight the lane for the file's lock. A task runs inside the group's transaction; when the group is given up it runs
//! again, so it must compute everything anew each time.

use std::pin::Pin;

use tokio::sync::oneshot;

use crate::error::Error;
use crate::group::Failure;
use crate::sql::Connection;

/// A future in a box.
pub(crate) type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// What a lane does with a task.
pub(crate) trait Task: Send {
    /// Does the work inside the current transaction. May be called more than once.
    fn run<'a>(&'a mut self, connection: &'a mut Connection) -> Boxed<'a, Result<(), Failure>>;
    /// Tells the caller, once, after the transaction.
    fn finish(self: Box<Self>, outcome: Result<(), Error>);
}

/// A task made from a closure.
struct Call<T, F> {
    work: F,
    result: Option<T>,
    reply: oneshot::Sender<Result<T, Error>>,
}

impl<T, F> Task for Call<T, F>
where
    T: Send,
    F: for<'c> Fn(&'c mut Connection) -> Boxed<'c, Result<T, Failure>> + Send,
{
    fn run<'a>(&'a mut self, connection: &'a mut Connection) -> Boxed<'a, Result<(), Failure>> {
        let work = (self.work)(connection);
        let result = &mut self.result;
        Box::pin(async move {
            *result = Some(work.await?);
            Ok(())
        })
    }

    fn finish(self: Box<Self>, outcome: Result<(), Error>) {
        let Self { result, reply, .. } = *self;
        let missing = || Error::Broken("the task did not run".to_owned());
        // The caller may have gone; what was written stays written.
        let _ = reply.send(outcome.and_then(|()| result.ok_or_else(missing)));
    }
}

/// Wraps a closure, and gives the place where its result will appear.
pub(crate) fn call<T, F>(work: F) -> (Box<dyn Task>, oneshot::Receiver<Result<T, Error>>)
where
    T: Send + 'static,
    F: for<'c> Fn(&'c mut Connection) -> Boxed<'c, Result<T, Failure>> + Send + 'static,
{
    let (reply, receiver) = oneshot::channel();
    (Box::new(Call { work, result: None, reply }), receiver)
}
