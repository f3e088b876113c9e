//! A thread that owns one connection.
//!
//! Owns the thread, its bounded queue and its end. Promises that SQLite, which blocks, never runs on the runtime's
//! threads, and that a job nobody waits for any more is not begun. Never knows what a job does.

use std::{
    sync::{Mutex, PoisonError},
    thread::JoinHandle,
    time::Duration,
};

use rusqlite::Connection;
use tokio::sync::{mpsc, oneshot};

use crate::store::StoreError;

/// How many jobs wait for one connection; the next is refused.
const QUEUE_JOBS: usize = 256;
/// How long whoever asked waits for an answer: a disk that hangs is a store that is unavailable.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce(&mut Connection) + Send>;

/// A handle to the thread.
#[derive(Debug)]
pub(super) struct Worker {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Worker {
    /// Starts the thread. `kept` is let go of after the connection is closed.
    pub(super) fn spawn<K: Send + 'static>(
        name: &str,
        mut connection: Connection,
        kept: K,
    ) -> Result<Self, StoreError> {
        let (jobs_tx, mut jobs) = mpsc::channel::<Job>(QUEUE_JOBS);
        let run = move || {
            while let Some(job) = jobs.blocking_recv() {
                job(&mut connection);
            }
            drop(connection);
            drop(kept);
        };
        let thread = std::thread::Builder::new()
            .name(name.into())
            .spawn(run)
            .map_err(|error| StoreError::Unavailable(format!("no thread for the store: {error}")))?;
        Ok(Self { jobs: Mutex::new(Some(jobs_tx)), thread: Mutex::new(Some(thread)) })
    }

    /// Runs `job` on the thread and returns its answer. A job that has begun ends, whether or not anyone waits.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce(&mut Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer_tx, answer) = oneshot::channel();
        let job: Job = Box::new(move |connection| {
            if answer_tx.is_closed() {
                return; // nobody waits: whoever asked was told that it is not known
            }
            let _ = answer_tx.send(job(connection));
        });
        self.send(job)?;
        match tokio::time::timeout(ANSWER_WITHIN, answer).await {
            Ok(Ok(answer)) => answer,
            Ok(Err(_)) => Err(StoreError::Unavailable("the store's thread has ended".into())),
            Err(_) => Err(StoreError::Unavailable("the disk does not answer in time".into())),
        }
    }

    fn send(&self, job: Job) -> Result<(), StoreError> {
        let jobs = self.jobs.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(jobs) = &*jobs else { return Err(StoreError::Unavailable("the store is closed".into())) };
        jobs.try_send(job).map_err(|refused| {
            StoreError::Unavailable(match refused {
                mpsc::error::TrySendError::Full(_) => "too much waits for the disk".into(),
                mpsc::error::TrySendError::Closed(_) => "the store's thread has ended".into(),
            })
        })
    }

    /// Lets the thread finish what waits, and waits for its end. Blocks.
    pub(super) fn end(&self) {
        drop(self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take());
        let thread = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = thread
            && thread.join().is_err()
        {
            tracing::error!("a thread of the store panicked");
        }
    }
}

impl Drop for Worker {
    fn drop(&mut self) {
        self.end();
    }
}
