//! Recordings: WAV files of two channels, what was heard and what was sent. One thread writes them all, so that no disk
//! holds up a call.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::oneshot;

use crate::audio::wav;

/// Recordings have this many samples a second.
pub const RATE: u32 = 8000;

/// So many pieces wait for the disk at most; each is half a second of a call. What is more is lost, and told in the log.
const WAITING: usize = 4096;

enum Job {
    Open(u64, File),
    Samples(u64, Vec<i16>),
    Finish(u64, Option<oneshot::Sender<io::Result<()>>>),
}

/// Writes recordings. Its thread is started with the first of them.
#[derive(Default)]
pub struct Recorder {
    next: AtomicU64,
    thread: Mutex<Option<SyncSender<Job>>>,
}

/// One recording's way to its file. Dropped: the file is finished.
pub struct Tape {
    end: End,
    lost: bool,
}

/// Finishes a file.
#[derive(Clone)]
pub struct End {
    id: u64,
    jobs: SyncSender<Job>,
}

impl Recorder {
    /// Begins a file, which is empty.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn begin(&self, file: File) -> io::Result<Tape> {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        let jobs = self.jobs()?;
        let stopped = || io::Error::other("the recorder has stopped");
        jobs.try_send(Job::Open(id, file)).map_err(|_| stopped())?;
        Ok(Tape { end: End { id, jobs }, lost: false })
    }

    fn jobs(&self) -> io::Result<SyncSender<Job>> {
        let mut thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(jobs) = &*thread {
            return Ok(jobs.clone());
        }
        let (jobs, todo) = sync_channel(WAITING);
        std::thread::Builder::new().name("recorder".to_owned()).spawn(move || write(&todo))?;
        *thread = Some(jobs.clone());
        Ok(jobs)
    }
}

impl Tape {
    /// Adds samples of both channels in turn: heard, sent. Never waits.
    pub fn add(&mut self, samples: Vec<i16>) {
        match self.end.jobs.try_send(Job::Samples(self.end.id, samples)) {
            Ok(()) => {}
            Err(TrySendError::Full(_)) if !self.lost => {
                self.lost = true;
                tracing::warn!("the disk is too slow for the recordings: parts of them are missing");
            }
            Err(_) => {}
        }
    }

    /// What finishes the file.
    pub fn end(&self) -> &End {
        &self.end
    }
}

impl Drop for Tape {
    fn drop(&mut self) {
        self.end.finish(None);
    }
}

impl End {
    /// Finishes the file; then `done` is told. One that was finished before is whole.
    pub fn finish(&self, done: Option<oneshot::Sender<io::Result<()>>>) {
        let job = Job::Finish(self.id, done);
        if let Err(TrySendError::Full(job)) = self.jobs.try_send(job) {
            // The file would stay without its length: this one waits, away from the calls.
            let jobs = self.jobs.clone();
            let waiting = std::thread::Builder::new().name("recording end".to_owned());
            let _ = waiting.spawn(move || jobs.send(job));
        }
    }
}

struct Written {
    file: io::BufWriter<File>,
    bytes: usize,
    failed: Option<io::Error>,
}

fn write(todo: &Receiver<Job>) {
    let mut files: HashMap<u64, Written> = HashMap::new();
    while let Ok(job) = todo.recv() {
        match job {
            Job::Open(id, file) => {
                let mut new = Written { file: io::BufWriter::new(file), bytes: 0, failed: None };
                new.failed = new.file.write_all(&wav::header(RATE, 2, 0)).err();
                files.insert(id, new);
            }
            Job::Samples(id, samples) => {
                if let Some(written) = files.get_mut(&id) {
                    written.add(&samples);
                }
            }
            Job::Finish(id, done) => {
                // Finished before: what failed then is in the log.
                let result = files.remove(&id).map_or(Ok(()), Written::finish);
                if let Err(error) = &result {
                    tracing::warn!(%error, "a recording could not be written whole");
                }
                if let Some(done) = done {
                    // Whoever waited may have gone.
                    let _ = done.send(result);
                }
            }
        }
    }
}

impl Written {
    fn add(&mut self, samples: &[i16]) {
        if self.failed.is_some() {
            return;
        }
        let bytes: Vec<u8> = samples.iter().flat_map(|sample| sample.to_le_bytes()).collect();
        match self.file.write_all(&bytes) {
            Ok(()) => self.bytes += bytes.len(),
            Err(error) => self.failed = Some(error),
        }
    }

    fn finish(mut self) -> io::Result<()> {
        if let Some(error) = self.failed {
            return Err(error);
        }
        self.file.seek(SeekFrom::Start(0))?;
        self.file.write_all(&wav::header(RATE, 2, self.bytes))?;
        self.file.flush()
    }
}

/// Stops a recording; then tells, if somebody wants to know.
pub(crate) type Stop = dyn Fn(u64, Option<oneshot::Sender<io::Result<()>>>) + Send + Sync;

/// A recording that runs. Dropped: it is finished.
pub struct Recording {
    pub(crate) id: u64,
    pub(crate) stop: Arc<Stop>,
    pub(crate) end: End,
}

impl std::fmt::Debug for Recording {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "Recording({})", self.id)
    }
}

impl Recording {
    /// Finishes it, and waits until the file is whole.
    ///
    /// # Errors
    /// It could not be written.
    pub async fn finish(self) -> io::Result<()> {
        let (done, finished) = oneshot::channel();
        (self.stop)(self.id, Some(done));
        if let Ok(result) = finished.await {
            return result;
        }
        // The call had ended, and the recording with it: the file is whole when the recorder comes to this.
        let (done, finished) = oneshot::channel();
        self.end.finish(Some(done));
        finished.await.unwrap_or_else(|_| Err(io::Error::other("the recorder has stopped")))
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        (self.stop)(self.id, None);
    }
}
