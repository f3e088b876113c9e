//! A session's place in a room.
//!
//! Owns which reader it has there, whether its `joined` has been said, and what it was told of presence and head.
//! Promises that nothing of the room is taken before its `joined` is said (P3). Never holds an event.

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
