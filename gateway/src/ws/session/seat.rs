//! A session's places in rooms.
//!
//! Owns which reader it has in each, whether its `joined` has been said, and what it was told of presence and head.
//! Promises that nothing of a room is taken before its `joined` is said (P3). Never holds an event.

use std::sync::Arc;

use parlour_feed::{Cursor, ReaderId};
use parlour_proto::v1 as proto;
use tokio::time::{Duration, Instant};

use crate::relay::{Room, inbox::Wake, presence::Mark};

/// How often somebody may be said to type.
const TYPING: Duration = Duration::from_secs(1);

/// How far a session has come in a room.
#[derive(Debug)]
pub(super) enum State {
    /// Its `joined` waits for the newest messages.
    Starting(Box<Start>),
    /// Its `joined` waits for the log to say whether its cursor is usable.
    Verifying(Box<Start>),
    /// It takes what follows.
    Live,
}

/// A `joined` that is not said yet, and the request it answers.
#[derive(Debug)]
pub(super) struct Start {
    pub(super) id: String,
    pub(super) joined: proto::Joined,
}

/// A session's place in a room.
#[derive(Debug)]
pub(super) struct Seat {
    pub(super) room: Arc<Room>,
    pub(super) reader: ReaderId,
    pub(super) wake: Option<Arc<Wake>>,
    pub(super) state: State,
    /// The display name there, in the plain dialect.
    pub(super) name: String,
    pub(super) is_monitor: bool,
    /// What it was told of presence.
    pub(super) mark: Mark,
    /// Since when presence is owed.
    pub(super) presence_owed: Option<std::time::Instant>,
    /// The cursor that it knows to be the head.
    pub(super) head: Cursor,
    /// When it was last said to type.
    pub(super) typed: Option<Instant>,
}

impl Seat {
    /// Whether its `joined` has been said.
    pub(super) fn is_live(&self) -> bool {
        matches!(self.state, State::Live)
    }

    /// The head, where it has moved since it was last told and everything up to it has been taken.
    pub(super) fn moved_head(&mut self) -> Option<Cursor> {
        if !self.is_live() {
            return None;
        }
        let head = self.room.look(|feed| feed.is_live(self.reader).then(|| feed.position()).flatten())?;
        (std::mem::replace(&mut self.head, head) != head).then_some(head)
    }

    /// Whether typing may be said now: that one types, once in a while; that one stopped, once after that.
    pub(super) fn may_type(&mut self, typing: bool) -> bool {
        let now = Instant::now();
        if !typing {
            return self.typed.take().is_some();
        }
        let is_due = self.typed.is_none_or(|typed| now - typed >= TYPING);
        if is_due {
            self.typed = Some(now);
        }
        is_due
    }
}

/// A session's seats in the order of their rooms' names. Most sessions have one, so nothing is kept for more.
#[derive(Debug, Default)]
pub(super) struct Seats(Vec<Seat>);

impl Seats {
    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn get(&self, room: &str) -> Option<&Seat> {
        self.place(room).ok().map(|at| &self.0[at])
    }

    pub(super) fn get_mut(&mut self, room: &str) -> Option<&mut Seat> {
        self.place(room).ok().map(|at| &mut self.0[at])
    }

    /// Takes a seat in, in place of one in the same room.
    pub(super) fn insert(&mut self, seat: Seat) {
        match self.place(seat.room.name()) {
            Ok(at) => self.0[at] = seat,
            Err(at) => {
                self.0.reserve_exact(1);
                self.0.insert(at, seat);
            }
        }
    }

    pub(super) fn remove(&mut self, room: &str) -> Option<Seat> {
        let seat = self.0.remove(self.place(room).ok()?);
        self.0.shrink_to_fit();
        Some(seat)
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &Seat> {
        self.0.iter()
    }

    pub(super) fn iter_mut(&mut self) -> impl Iterator<Item = &mut Seat> {
        self.0.iter_mut()
    }

    /// Where a room's seat is, or is to be.
    fn place(&self, room: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|seat| (**seat.room.name()).cmp(room))
    }
}
