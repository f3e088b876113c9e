//! What a client and its gateway say to each other.
//!
//! Owns the shapes of both directions, as far as the simulation needs them of the browser's protocol. Promises nothing
//! else. Never goes over a real wire.

use parlour_feed::{Cursor, ResyncReason};
use parlour_gateway::ws::socket::Frame;
use serde::Deserialize;

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
    /// Who came and went, who is there, or only how many: as the browser is sent it.
    Presence(usize, Frame),
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

/// What a browser reads in a frame of presence.
#[derive(Debug, Deserialize)]
pub struct Presence {
    /// Whether `users` are all there are, as far as there was room for them.
    pub snapshot: bool,
    /// Who is there.
    pub users: Vec<Who>,
    /// Who came.
    pub joined: Vec<Who>,
    /// Who went.
    pub left: Vec<Who>,
    /// How many are there.
    pub count: u32,
}

/// Somebody.
#[derive(Debug, Deserialize)]
pub struct Who {
    /// Who.
    pub id: String,
}

impl Presence {
    /// Reads a frame, as a browser does.
    pub fn read(frame: &Frame) -> Self {
        serde_json::from_slice(&frame.body()).expect("frames of presence are JSON of this shape")
    }
}
