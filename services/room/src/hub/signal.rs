//! What wakes a reader's task.
//!
//! Owns the list of rooms that have something for one task, and the typing meant for it. Promises that a wake is never
//! lost, and memory only for the rooms it reads and a bounded lot of typing. Never holds an event.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::Notify;

use super::live::Typing;

/// Typing that waits for one task; beyond, it is dropped (P9).
const TYPING: usize = 1_024;

/// Names a room within one task.
pub type Key = u32;

/// One task's signal.
#[derive(Debug, Default)]
pub struct Signal {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    dirty: Vec<Key>,
    typing: VecDeque<(Key, Arc<Typing>)>,
}

impl Signal {
    /// Waits until something was marked since it was last taken. Cancel-safe.
    pub async fn marked(&self) {
        self.notify.notified().await;
    }

    /// The rooms that have something, each once, in the order marked.
    pub fn take_dirty(&self) -> Vec<Key> {
        let mut dirty = std::mem::take(&mut self.lock().dirty);
        let mut seen = std::collections::HashSet::with_capacity(dirty.len());
        dirty.retain(|key| seen.insert(*key));
        dirty
    }

    /// The typing that came in, oldest first.
    pub fn take_typing(&self) -> VecDeque<(Key, Arc<Typing>)> {
        std::mem::take(&mut self.lock().typing)
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Wakes a task for one room.
#[derive(Clone, Debug)]
pub struct Waker {
    signal: Arc<Signal>,
    key: Key,
}

impl Waker {
    /// Wakes `signal`'s task for the room it calls `key`.
    pub fn new(signal: &Arc<Signal>, key: Key) -> Self {
        Self { signal: Arc::clone(signal), key }
    }

    /// The room has something for the task.
    pub fn wake(&self) {
        self.signal.lock().dirty.push(self.key);
        self.signal.notify.notify_one();
    }

    /// Someone in the room is typing.
    pub fn typing(&self, typing: Arc<Typing>) {
        let mut waiting = self.signal.lock();
        if waiting.typing.len() < TYPING {
            waiting.typing.push_back((self.key, typing));
            drop(waiting);
            self.signal.notify.notify_one();
        }
    }
}
