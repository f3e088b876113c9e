//! What many sessions are told, made into bytes once.
//!
//! Owns an event and a typing notice as the room service sent them, beside the frames that were made of them. Promises
//! that each frame is made once for each dialect, by whoever needs it first, and shared from then on. Never knows what
//! a frame looks like.

use std::sync::{Arc, OnceLock};

use bytes::Bytes;
use parlour_feed::{Check, Cursor, Entry, Hint, Weigh};
use parlour_proto::v1 as proto;
use prost::Message as _;

/// Which of the forms that a frame has for browsers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Form {
    /// The full dialect.
    Full,
    /// The plain dialect.
    Plain,
}

/// Ready bytes for each form: made by whoever needs them first. `None` is a form in which nothing is said.
#[derive(Debug)]
pub struct Frames<T> {
    full: OnceLock<Option<T>>,
    plain: OnceLock<Option<T>>,
}

impl<T> Default for Frames<T> {
    fn default() -> Self {
        Self { full: OnceLock::new(), plain: OnceLock::new() }
    }
}

impl<T: Clone> Frames<T> {
    /// The frame in that form, made now if nobody has needed it before.
    pub fn get(&self, form: Form, make: impl FnOnce() -> Option<T>) -> Option<T> {
        match form {
            Form::Full => self.full.get_or_init(make).clone(),
            Form::Plain => self.plain.get_or_init(make).clone(),
        }
    }
}

/// An event of a room's log.
#[derive(Debug)]
pub struct RoomEvent {
    /// The event as the room service sent it.
    pub event: proto::Event,
    /// What browsers are sent.
    pub frames: Frames<Bytes>,
    bytes: usize,
}

impl Weigh for RoomEvent {
    fn bytes(&self) -> usize {
        self.bytes
    }
}

/// An event whose cursor cannot be read, or is not of its seq: the sender is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("an event without a usable cursor")]
pub struct BadEvent;

/// Takes an event from the wire.
///
/// # Errors
/// Its cursor is unusable.
pub fn entry(event: proto::Event) -> Result<Entry<Arc<RoomEvent>>, BadEvent> {
    let cursor: Cursor = event.cursor.parse().map_err(|_| BadEvent)?;
    if cursor.seq != event.seq || cursor.seq == 0 {
        return Err(BadEvent);
    }
    // What it costs: its parts, and a text of about its size for each form.
    let bytes = 2 * event.encoded_len() + size_of::<RoomEvent>();
    Ok(Entry { cursor, event: Arc::new(RoomEvent { event, frames: Frames::default(), bytes }) })
}

/// Takes the events of one frame of the relay as hints: each follows the one before it.
///
/// # Errors
/// A cursor among them is unusable.
pub fn hints(frame: proto::RoomEvents) -> Result<Vec<Hint<Arc<RoomEvent>>>, BadEvent> {
    let mut prev = Check(frame.prev);
    let mut hints = Vec::with_capacity(frame.events.len());
    for event in frame.events {
        let entry = entry(event)?;
        let check = entry.cursor.check;
        hints.push(Hint { prev, entry, own: false });
        prev = check;
    }
    Ok(hints)
}

/// Someone is typing.
#[derive(Debug)]
pub struct TypingNotice {
    /// Who, where, and whether.
    pub typing: proto::Typing,
    /// What browsers are sent.
    pub frames: Frames<Bytes>,
}

/// An identity of 128 random bits, as the wire carries it.
pub type Id = [u8; 16];

/// Reads an identity from the wire.
pub fn id(bytes: &[u8]) -> Option<Id> {
    bytes.try_into().ok()
}

/// Writes an identity to the wire.
pub fn id_bytes(id: &Id) -> Bytes {
    Bytes::copy_from_slice(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn event(seq: u64, cursor: &str) -> proto::Event {
        proto::Event { room: "general".into(), seq, cursor: cursor.into(), kind: None }
    }

    #[test]
    fn events_of_a_frame_chain_by_their_checks() {
        let events = vec![event(4, "0000000a:4"), event(5, "0000000b:5")];
        let hints = hints(proto::RoomEvents { room: "general".into(), prev: 9, events }).unwrap();
        let prevs: Vec<_> = hints.iter().map(|hint| hint.prev).collect();
        assert_eq!(prevs, [Check(9), Check(10)]);
    }

    #[test]
    fn an_event_must_carry_its_own_cursor() {
        assert!(entry(event(4, "0000000a:5")).is_err());
        assert!(entry(event(4, "nonsense")).is_err());
        assert!(entry(event(0, "0000000a:0")).is_err());
    }

    #[test]
    fn a_frame_is_made_once_for_each_form() {
        let frames = Frames::<u8>::default();
        assert_eq!(frames.get(Form::Full, || Some(1)), Some(1));
        assert_eq!(frames.get(Form::Full, || Some(2)), Some(1));
        assert_eq!(frames.get(Form::Plain, || None), None);
        assert_eq!(frames.get(Form::Plain, || Some(2)), None);
    }
}
