//! What the relay tells one session.
//!
//! Owns a session's inbox: answers, rooms that have something for it, typing. Promises that each part has a bound (an
//! answer for each request that waits, a mark for each room, a few typing notices) and that whoever waits is woken.
//! Never holds an event: those stay in the room.

use std::{
    collections::VecDeque,
    fmt::Debug,
    sync::{
        Arc, Mutex, MutexGuard, OnceLock, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use parlour_feed::{Cursor, ReaderId};
use parlour_proto::v1 as proto;

use super::{
    event::{Form, Id, TypingNotice},
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
    /// What wakes the session there; where it was in the room before, it has it.
    pub wake: Option<Arc<Wake>>,
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

/// A session's connection, as a room's driver writes it while the session itself has nothing to say.
pub trait Outlet: Debug + Send + Sync {
    /// Writes what `take` gives, if the session rests; keeps, in order, what the connection does not take now. `take` is
    /// called once at most, and nothing else is written between that and the writing. False: it is for the session to go
    /// on, because it does not rest, `take` gave nothing or something is left.
    fn hand(&self, take: &mut dyn FnMut() -> Option<Bytes>) -> bool;
}

/// How a session is given events without being woken.
#[derive(Debug)]
pub struct Direct {
    /// Its connection.
    pub outlet: Arc<dyn Outlet>,
    /// In which form.
    pub form: Form,
    /// What makes an event's frame of that form; `None` for one of which nothing is said.
    pub make: fn(&proto::Event) -> Option<Bytes>,
}

/// A session's inbox.
#[derive(Debug, Default)]
pub struct Inbox {
    waiting: Mutex<Waiting>,
    waker: AtomicWaker,
}

impl Inbox {
    /// Tells the session something. Bounded by what it asked.
    pub fn tell(&self, told: Told) {
        self.lock().told.push_back(told);
        self.waker.wake();
    }

    /// Tells it that someone is typing, unless too much of that waits already.
    pub fn typing(&self, notice: &Arc<TypingNotice>) {
        let mut waiting = self.lock();
        if waiting.typing.len() < TYPING_WAITING {
            waiting.typing.push_back(Arc::clone(notice));
            drop(waiting);
            self.waker.wake();
        }
    }

    /// What it was told first.
    pub fn next_told(&self) -> Option<Told> {
        take(&mut self.lock().told)
    }

    /// Whether it was told something that it has not taken yet.
    pub fn has_told(&self) -> bool {
        !self.lock().told.is_empty()
    }

    /// The next room that has something for it; the rooms of one session take turns.
    pub fn next_room(&self) -> Option<Arc<Wake>> {
        let wake = take(&mut self.lock().rooms)?;
        // Cleared before the room is looked at, so that what comes meanwhile marks it again.
        wake.is_marked.store(false, Ordering::Release);
        Some(wake)
    }

    /// The next typing notice.
    pub fn next_typing(&self) -> Option<Arc<TypingNotice>> {
        take(&mut self.lock().typing)
    }

    /// Whom to wake when there is something more; to be said before it is looked.
    pub fn register(&self, waker: &Waker) {
        self.waker.register(waker);
    }

    fn lock(&self) -> MutexGuard<'_, Waiting> {
        // Nothing under this lock can leave it half done.
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Takes the first; a queue that is empty then holds no memory.
pub fn take<T>(queue: &mut VecDeque<T>) -> Option<T> {
    let first = queue.pop_front();
    if queue.is_empty() {
        *queue = VecDeque::new();
    }
    first
}

/// What wakes a session for one room: the Audience's waker.
#[derive(Debug)]
pub struct Wake {
    inbox: Arc<Inbox>,
    room: Arc<str>,
    session: Id,
    reader: OnceLock<ReaderId>,
    direct: OnceLock<Direct>,
    is_marked: AtomicBool,
}

impl Wake {
    /// Makes one.
    pub fn new(inbox: Arc<Inbox>, room: Arc<str>, session: Id) -> Arc<Self> {
        let (reader, direct, is_marked) = Default::default();
        Arc::new(Self { inbox, room, session, reader, direct, is_marked })
    }

    /// It is that reader's. (Known only once the waker has been given away.)
    pub fn belong(&self, reader: ReaderId) {
        let _ = self.reader.set(reader);
    }

    /// From now on the room's events may be written without waking the session: its `joined` is written, or will be before
    /// the session rests.
    pub fn be_direct(&self, direct: Direct) {
        let _ = self.direct.set(direct); // what was said first is as good
    }

    /// The reader, and how it is given events without being woken, if it may be.
    pub fn direct(&self) -> Option<(ReaderId, &Direct)> {
        Some((*self.reader.get()?, self.direct.get()?))
    }

    /// Marks the room as having something for the session.
    pub fn wake(self: &Arc<Self>) {
        if !self.is_marked.swap(true, Ordering::AcqRel) {
            self.inbox.lock().rooms.push_back(Arc::clone(self));
            self.inbox.waker.wake();
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
