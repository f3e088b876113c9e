//! Tasks.
//!
//! Owns the one home of `tokio::spawn`. Promises that an owner can tell its tasks to finish, wait for them until a
//! deadline, and that none outlives it. Never restarts one.

use std::{future::Future, time::Duration};

use tokio::task::JoinHandle;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// The tasks of one owner. Clones are handles to the same set.
#[derive(Clone, Debug, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    drain: CancellationToken,
    abort: CancellationToken,
}

impl Tasks {
    /// Makes an empty set.
    pub fn new() -> Self {
        Self::default()
    }

    /// Makes a set whose tasks are told to finish, and are ended, with this one's; it is waited for apart.
    pub fn child(&self) -> Self {
        Self { tracker: TaskTracker::new(), drain: self.drain.child_token(), abort: self.abort.child_token() }
    }

    /// The token that tells these tasks to finish.
    pub fn drain(&self) -> &CancellationToken {
        &self.drain
    }

    /// How many tasks there are.
    pub fn len(&self) -> usize {
        self.tracker.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.tracker.is_empty()
    }

    /// Starts a task of this owner. It ends by itself, or at the latest when `finish` reaches its deadline; the handle
    /// then answers `None`. It is boxed, because each hand that it passes through would keep its size again.
    #[expect(clippy::disallowed_methods, reason = "this is the home of tokio::spawn")]
    pub fn spawn<F>(&self, task: F) -> JoinHandle<Option<F::Output>>
    where
        F: Future + Send + 'static,
        F::Output: Send + 'static,
    {
        let task = self.abort.clone().run_until_cancelled_owned(Box::pin(task));
        tokio::spawn(self.tracker.track_future(task))
    }

    /// Starts a task that lives as long as the process and that nobody waits for.
    #[expect(clippy::disallowed_methods, reason = "this is the home of tokio::spawn")]
    pub fn spawn_detached<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        drop(tokio::spawn(self.abort.clone().run_until_cancelled_owned(task)));
    }

    /// Tells every task to finish, waits until they have or `limit` has passed, then ends those that are left at their
    /// next await. Returns whether all finished by themselves.
    pub async fn finish(&self, limit: Duration) -> bool {
        self.drain.cancel();
        self.tracker.close();
        let finished = tokio::time::timeout(limit, self.tracker.wait()).await.is_ok();
        self.abort.cancel();
        self.tracker.wait().await;
        finished
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_task_that_heeds_the_drain_finishes_by_itself() {
        let tasks = Tasks::new();
        let drain = tasks.drain().clone();
        let task = tasks.spawn(async move { drain.cancelled().await });
        assert!(tasks.finish(Duration::from_secs(1)).await);
        assert_eq!(task.await.expect("not a panic"), Some(()));
        assert!(tasks.is_empty());
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_is_ended_at_the_deadline() {
        let tasks = Tasks::new();
        let child = tasks.child();
        let task = child.spawn(std::future::pending::<()>());
        assert!(tasks.finish(Duration::from_secs(1)).await, "the parent itself has no task");
        assert_eq!(task.await.expect("not a panic"), None);
        let own = Tasks::new();
        own.spawn(std::future::pending::<()>());
        assert!(!own.finish(Duration::from_secs(1)).await);
        assert_eq!(own.len(), 0);
    }
}
