//! What the relay tells one session.
//!
//! Owns a session's inbox: answers, rooms that have something for it, typing. Promises that each part has a bound (an
//! answer for each request that waits, a mark for each room, a few typing notices) and that whoever waits is woken.
//! Never holds an event: those stay in the room.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use parlour_feed::{Cursor, ReaderId};
use parlour_proto::v1 as proto;
use tokio::sync::Notify;

use super::{
    event::{Id, TypingNotice},
    presence::Shown,
    refusal::Refusal,
    room::Room,
};

/// How many typing notices wait for a session; more are dropped (P9).
const TYPING_WAITING: usize = 32;

/// A session was admitted to a room.
#[derive(Debug)]
pub struct Joined {
    /// The room.
    pub room: Arc<Room>,
    /// The session's reader there.
    pub reader: ReaderId,
    /// Whether the session was in the room before.
    pub again: bool,
    /// Where the room's Follower stood.
    pub head: Cursor,
    /// The room itself.
    pub info: proto::RoomInfo,
    /// Who is here.
    pub shown: Shown,
    /// Who the session is there.
    pub user: proto::User,
}

/// What a session is told.
#[derive(Debug)]
pub enum Told {
    /// It is open, or may not be.
    Opened(Result<proto::SessionOpened, Refusal>),
    /// The answer to a join.
    Joined(u64, Result<Box<Joined>, Refusal>),
    /// The answer to a send.
    Posted(u64, Result<proto::Ack, Refusal>),
    /// It is in that room no longer.
    Gone {
        /// The room's name.
        room: Arc<str>,
        /// Why.
        reason: String,
    },
}

#[derive(Debug, Default)]
struct Waiting {
    told: VecDeque<Told>,
    rooms: VecDeque<Arc<Wake>>,
    typing: VecDeque<Arc<TypingNotice>>,
}

/// A session's inbox.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    notify: Notify,
}

impl Inbox {
    /// Tells the session something. Bounded by what it asked.
    pub fn tell(&self, told: Told) {
        self.lock().told.push_back(told);
        self.notify.notify_one();
    }

    /// Tells it that someone is typing, unless too much of that waits already.
    pub fn typing(&self, notice: &Arc<TypingNotice>) {
        let mut waiting = self.lock();
        if waiting.typing.len() < TYPING_WAITING {
            waiting.typing.push_back(Arc::clone(notice));
            self.notify.notify_one();
        }
    }

    /// What it was told first.
    pub fn next_told(&self) -> Option<Told> {
        self.lock().told.pop_front()
    }

    /// The next room that has something for it; the rooms of one session take turns.
    pub fn next_room(&self) -> Option<Arc<Wake>> {
        let wake = self.lock().rooms.pop_front()?;
        // Cleared before the room is looked at, so that what comes meanwhile marks it again.
        wake.is_marked.store(false, Ordering::Release);
        Some(wake)
    }

    /// The next typing notice.
    pub fn next_typing(&self) -> Option<Arc<TypingNotice>> {
        self.lock().typing.pop_front()
    }

    /// Waits until there may be something. Cancel-safe.
    pub async fn notified(&self) {
        self.notify.notified().await;
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock can leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What wakes a session for one room: the Audience's waker.
#[derive(Debug)]
pub struct Wake {
    inbox: Arc<Inbox>,
    room: Arc<str>,
    session: Id,
    is_marked: AtomicBool,
}

impl Wake {
    /// Makes one.
    pub fn new(inbox: Arc<Inbox>, room: Arc<str>, session: Id) -> Arc<Self> {
        Arc::new(Self { inbox, room, session, is_marked: AtomicBool::new(false) })
    }

    /// Marks the room as having something for the session.
    pub fn wake(self: &Arc<Self>) {
        if !self.is_marked.swap(true, Ordering::AcqRel) {
            self.inbox.lock().rooms.push_back(Arc::clone(self));
            self.inbox.notify.notify_one();
        }
    }

    /// Which room.
    pub fn room(&self) -> &Arc<str> {
        &self.room
    }

    /// Whose.
    pub fn session(&self) -> Id {
        self.session
    }

    /// The session's inbox.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }
}
