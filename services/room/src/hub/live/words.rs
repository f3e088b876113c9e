//! What goes into a live room and comes out of it.
//!
//! Owns the shapes: an event as it is fanned out, typing, what a roster names, what a step brings, what is to be done
//! outside. Promises nothing else. Never decides anything.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    Entry, Read, ResyncReason, Weigh,
    cursor::{Cursor, Seq},
};

use super::super::presence::Update;
use crate::domain::{
    event::Event,
    ids::{RoomId, SessionId},
    message::User,
};

/// An event as it is fanned out.
#[derive(Clone, Debug)]
pub struct Fact {
    /// The event.
    pub event: Arc<Event>,
    /// When it was heard of just after its commit; `None` where it was read from the log.
    pub heard: Option<Instant>,
}

impl Weigh for Fact {
    fn bytes(&self) -> usize {
        self.event.weight()
    }
}

impl Fact {
    /// The event with its place in that room's log.
    pub fn entry(room: &RoomId, event: Arc<Event>, heard: Option<Instant>) -> Entry<Self> {
        Entry { cursor: event.cursor(room), event: Self { event, heard } }
    }
}

/// Someone is typing, or has stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Typing {
    /// The session that is: it is not told.
    pub session: SessionId,
    /// Who it is in this room.
    pub user: User,
    /// Whether they are typing.
    pub typing: bool,
}

/// A session was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Admission {
    /// The seq as of which its rights were read.
    pub as_of: Seq,
    /// The version of presence that tells of it: whoever was told that, or a later one, knows that it is here.
    pub presence: u64,
}

/// What a reader's step brought.
#[derive(Debug)]
pub enum Taken {
    /// Nothing now.
    Nothing,
    /// Events, appended to what was handed in.
    Events,
    /// How presence moved on.
    Presence(Update),
    /// It was left behind: the room's head.
    Head(Cursor),
    /// What follows its position cannot be given; it stands at the cursor now.
    Resync(Cursor, ResyncReason),
    /// The log has this room no longer: the reader is to end, and its session to be told.
    Gone,
}

/// One session of a roster.
#[derive(Clone, Debug)]
pub enum Named {
    /// It was admitted as present, as this user.
    Present(SessionId, User),
    /// It closed, and has that much of its grace left; who it was, where that is known.
    Closing(SessionId, Option<User>, Duration),
    /// Its join is unanswered.
    Joining(SessionId),
}

impl Named {
    pub(super) fn session(&self) -> SessionId {
        match self {
            Self::Present(session, _) | Self::Closing(session, ..) | Self::Joining(session) => *session,
        }
    }
}

/// What is to be done outside after an input.
#[derive(Debug)]
pub struct Effects<W> {
    /// Readers that have something to take.
    pub woken: Vec<W>,
    /// Typing, and the readers it is for.
    pub typing: Vec<(W, Arc<Typing>)>,
    /// What must be read from the log.
    pub reads: Vec<Read>,
    /// Whether the room itself must be read again: the log turned out to be another.
    pub room_is_stale: bool,
}
