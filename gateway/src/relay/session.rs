//! A session, as its socket's task holds it.
//!
//! Owns a session's identity and inbox. Promises that a session is closed at the room service whatever becomes of the
//! task. Never waits.

use std::sync::Arc;

use parlour_feed::Cursor;
use parlour_proto::v1 as proto;

use super::{
    Relay,
    event::{Id, id_bytes},
    inbox::Inbox,
    now,
    refusal::Refusal,
};

/// A wish to be in a room.
#[derive(Clone, Debug)]
pub struct Join {
    /// The room's name.
    pub room: Arc<str>,
    /// The display name there, for plain sessions; else empty.
    pub name: String,
    /// Whether to follow without being present.
    pub is_monitor: bool,
    /// The cursor to resume from.
    pub at: Option<Cursor>,
    /// Whether it is one of the rooms that the session came with.
    pub is_first: bool,
}

/// A session. Dropped without [`close`](Self::close), it counts as broken.
#[derive(Debug)]
pub struct Session {
    relay: Relay,
    id: Id,
    inbox: Arc<Inbox>,
    is_open: bool,
}

impl Session {
    pub(super) fn new(relay: Relay) -> Self {
        Self { relay, id: rand::random(), inbox: Arc::default(), is_open: false }
    }

    /// The session's identity.
    pub fn id(&self) -> Id {
        self.id
    }

    /// Where it is told things.
    pub fn inbox(&self) -> &Arc<Inbox> {
        &self.inbox
    }

    /// The relay.
    pub fn relay(&self) -> &Relay {
        &self.relay
    }

    /// Opens the session. Answered by `Told::Opened`.
    pub fn open(&mut self, mut open: proto::OpenSession) {
        open.session = id_bytes(&self.id);
        self.is_open = true;
        let inbox = Arc::clone(&self.inbox);
        self.relay.lane(|lane| lane.open(self.id, open, inbox));
    }

    /// Asks to join a room. Answered by `Told::Joined` with the number returned.
    ///
    /// # Errors
    /// Too much of this session waits already.
    pub fn join(&self, join: Join) -> Result<u64, Refusal> {
        let name = Arc::clone(&join.room);
        self.relay.lane(|lane| lane.join(self.id, join, || self.relay.make_room(&name), now()))
    }

    /// Leaves a room; its reader has ended when this returns.
    pub fn leave(&self, room: &str) {
        self.relay.lane(|lane| lane.leave(self.id, room, now()));
    }

    /// Asks to append a message; the session and the request's number are filled in. Answered by `Told::Posted` with
    /// the number returned.
    ///
    /// # Errors
    /// Too much of this session waits already.
    pub fn post(&self, post: proto::SessionPost) -> Result<u64, Refusal> {
        self.relay.lane(|lane| lane.post(self.id, post, now()))
    }

    /// Says that the session is typing, or has stopped.
    pub fn typing(&self, room: &str, name: String, typing: bool) {
        let (session, room) = (id_bytes(&self.id), room.to_owned());
        let typing = proto::SessionTyping { session, room, name, typing };
        self.relay.lane(|lane| lane.typing(typing));
    }

    /// How many of its requests have no answer.
    pub fn pending(&self) -> usize {
        self.relay.lock().pending(&self.id)
    }

    /// Closes the session. `retry_after_ms` is what the browser was told to wait, 0 where it was told nothing.
    pub fn close(mut self, reason: proto::CloseReason, retry_after_ms: u32) {
        self.end(reason, retry_after_ms);
    }

    fn end(&mut self, reason: proto::CloseReason, retry_after_ms: u32) {
        if std::mem::take(&mut self.is_open) {
            let close =
                proto::CloseSession { session: id_bytes(&self.id), reason: reason.into(), retry_after_ms };
            self.relay.lane(|lane| lane.close(self.id, close, now()));
        }
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.end(proto::CloseReason::Broken, 0);
    }
}
