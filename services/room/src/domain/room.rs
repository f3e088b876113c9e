//! A room.
//!
//! Owns a room's shape and what makes its name, title and topic valid. Promises that a `RoomName` is a slug. Never
//! holds who is in it.

use std::{borrow::Borrow, fmt, sync::Arc};

use parlour_feed::cursor::{Check, Cursor, Seq};

use super::{
    Invalid,
    ids::{RoomId, UserId},
};

/// The longest title, in characters.
pub const TITLE_CHARS: usize = 64;
/// The longest topic, in characters.
pub const TOPIC_CHARS: usize = 250;
/// The longest room name, in characters.
pub const ROOM_NAME_CHARS: usize = 64;

/// A room's unique name: 1 to 64 of `a-z 0-9 - _`; never changes.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RoomName(Arc<str>);

impl RoomName {
    /// Reads a name.
    ///
    /// # Errors
    /// `INVALID_FIELD` on `name` where it is not a slug.
    pub fn parse(text: &str) -> Result<Self, Invalid> {
        let is_slug = !text.is_empty()
            && text.len() <= ROOM_NAME_CHARS
            && text.bytes().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_'));
        if is_slug {
            Ok(Self(text.into()))
        } else {
            Err(Invalid::field("name", "a room's name is 1 to 64 of a-z, 0-9, '-' and '_'"))
        }
    }

    /// Its text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Borrow<str> for RoomName {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for RoomName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who may find and read a room.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Anyone.
    Public,
}

/// A room as the store has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Room {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
    /// The title people read.
    pub title: String,
    /// What it is about.
    pub topic: String,
    /// Who may find and read it.
    pub visibility: Visibility,
    /// Whether it is archived.
    pub archived: bool,
    /// The last seq; 0 while nothing has happened.
    pub head: Seq,
    /// When the newest event was committed, or the room made, in microseconds since 1970.
    pub head_at: i64,
    /// How many messages it holds.
    pub message_count: u64,
    /// When the newest message was posted, in microseconds since 1970.
    pub last_message_at: Option<i64>,
    /// When it was made, in microseconds since 1970.
    pub created_at: i64,
    /// Who made it, and with which request key: a repeat returns the room.
    pub created_by: UserId,
    /// The key it was made with; empty for none.
    pub request_key: String,
}

impl Room {
    /// The cursor of its newest event, or of the room itself.
    pub fn cursor(&self) -> Cursor {
        Cursor { check: Check::of(self.id.as_str(), self.head_at), seq: self.head }
    }
}

/// A room to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewRoom {
    /// Its name.
    pub name: RoomName,
    /// The title people read.
    pub title: String,
    /// What it is about.
    pub topic: String,
    /// Who may find and read it.
    pub visibility: Visibility,
    /// Who makes it.
    pub created_by: UserId,
    /// Makes a repeat harmless; empty for none.
    pub request_key: String,
}

/// Checks a title.
///
/// # Errors
/// `INVALID_FIELD` on `title` where it is blank, too long or holds control characters.
pub fn check_title(title: &str) -> Result<(), Invalid> {
    let is_valid = !title.trim().is_empty()
        && title.chars().count() <= TITLE_CHARS
        && !title.chars().any(char::is_control);
    is_valid
        .then_some(())
        .ok_or_else(|| Invalid::field("title", "a title is 1 to 64 characters without control characters"))
}

/// Checks a topic.
///
/// # Errors
/// `INVALID_FIELD` on `topic` where it is too long or holds control characters.
pub fn check_topic(topic: &str) -> Result<(), Invalid> {
    let is_valid = topic.chars().count() <= TOPIC_CHARS && !topic.chars().any(char::is_control);
    is_valid.then_some(()).ok_or_else(|| {
        Invalid::field("topic", "a topic is at most 250 characters without control characters")
    })
}
