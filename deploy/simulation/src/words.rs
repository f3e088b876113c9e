//! What a client and its gateway say to each other.
//!
//! Owns the shapes of both directions, as far as the simulation needs them of the browser's protocol. Promises nothing
//! else. Never goes over a real wire.

use std::sync::Arc;

use parlour_feed::{Cursor, ResyncReason};
use parlour_gateway::relay::presence::Change;

use crate::store::Name;

/// What a client asks.
#[derive(Clone, Debug)]
pub enum Ask {
    /// First: who it was, and the rooms it was in with the cursors it holds.
    Hello(Option<String>, Vec<(usize, Option<Cursor>)>),
    /// To join a room.
    Join {
        /// Which.
        room: usize,
        /// From there.
        at: Option<Cursor>,
        /// Without being present.
        is_monitor: bool,
    },
    /// To leave a room.
    Leave(usize),
    /// To append a message with that key and text.
    Post(usize, String, String),
    /// To be shown as typing.
    Typing(usize),
    /// The socket closes in order.
    Close,
}

/// What a client is told.
#[derive(Debug)]
pub enum Say {
    /// Who it is, and the token to be it again.
    Welcome(String, String),
    /// It is in a room.
    Joined {
        /// Which.
        room: usize,
        /// Where the events that follow begin.
        cursor: Cursor,
        /// Who is there.
        users: Vec<String>,
        /// How many.
        count: u32,
        /// Whether it follows without being present.
        is_monitor: bool,
    },
    /// An event.
    Event(usize, Cursor, Name),
    /// Who came and went.
    Presence(usize, Arc<Change>),
    /// Who is there.
    Whole(usize, Vec<String>, u32),
    /// Only how many.
    Count(usize, u32),
    /// It goes on from there.
    Resync(usize, Cursor, ResyncReason),
    /// It is in a room no longer; or may not be.
    Gone(usize, String),
    /// The message of that key stands at that seq since that time.
    Ack(usize, String, u64, Name),
    /// The message of that key is refused.
    Refused(usize, String, String),
    /// It has left.
    Left(usize),
    /// Someone is typing.
    Typing(usize, String),
    /// The room's head, of which it has everything.
    Head(usize, Cursor),
    /// The session is over.
    Over,
}
