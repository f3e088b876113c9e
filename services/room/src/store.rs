//! The store: rooms and their logs.
//!
//! Owns the contract that every store keeps. Promises P1, P2, P5(a) and P6: what `append` answers is committed, in one
//! gapless order a room, and a repeat is answered with the first. Never knows who listens.

pub mod any;
mod batch;
mod migrate;
mod page;
pub mod postgres;
mod row;
pub mod sqlite;
pub mod writer;

use std::{fmt, future::Future, sync::Arc};

pub use any::{AnyStore, Options};
use parlour_feed::cursor::{Cursor, Seq};

use crate::domain::{
    event::{Draft, Event},
    ids::{RoomId, UserId},
    message::RequestKey,
    room::{NewRoom, Room, RoomName},
};

/// How one draft of a batch fared.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Appended {
    /// It is the event; `prev` is the cursor of the event before it (of the room, where it is the first).
    New {
        /// The event.
        event: Arc<Event>,
        /// The cursor of the event before it.
        prev: Cursor,
    },
    /// Its key was known: the event it became the first time.
    Repeat(Arc<Event>),
    /// The room is archived.
    Archived,
    /// There is no such room.
    Missing,
    /// The store refused this draft alone; the rest of its batch is not touched.
    Refused,
    /// Its room is held by another replica for longer than the batch waits; nothing was done, and it may be given again.
    Held,
}

/// The most bytes of events (by [`Event::weight`]) in one page; one event more than that is a page of its own.
pub const PAGE_BYTES: usize = 512 * 1024;

/// A page of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventPage {
    /// The cursor of the event after which the page stands (of the room, for seq 0); `None` where the log ends before.
    pub base: Option<Cursor>,
    /// The events after it, in order, without a gap.
    pub events: Vec<Event>,
    /// The cursor of the newest event, as the log had it when the page was read.
    pub head: Cursor,
}

/// Which messages of a room to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Span {
    /// The newest below this seq; `Seq::MAX` for the newest of all.
    Before(Seq),
    /// The oldest above this seq.
    After(Seq),
}

/// What a store keeps. Every method is one round of reading or one transaction; dropping its future never leaves half a
/// transaction behind.
pub trait Store: Send + Sync + 'static {
    /// How many writers may append at a time; a room belongs to one of them.
    fn writers(&self) -> usize;

    /// Appends drafts, over many rooms, in one transaction; the answers are in the drafts' order.
    ///
    /// Drafts of one room get the seqs that follow its head, in the batch's order, without a gap. A draft whose
    /// `(room, actor id, key)` is in the log, or earlier in the batch, is a repeat, in an archived room too. Times rise
    /// with every event of a room. A `room_changed` draft also changes the room's row; what follows one that archives
    /// the room is answered `Archived`, and so is everything new in an archived room.
    ///
    /// # Errors
    /// `Unavailable`: nothing is known of the outcome, and the same batch may be given again.
    fn append(&self, drafts: &[Draft]) -> impl Future<Output = Result<Vec<Appended>, StoreError>> + Send;

    /// Makes a room; where one of that name stands, returns it, and `false`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn create_room(&self, room: &NewRoom) -> impl Future<Output = Result<(Room, bool), StoreError>> + Send;

    /// Returns a room by name.
    ///
    /// # Errors
    /// `Unavailable`.
    fn room_by_name(&self, name: &RoomName) -> impl Future<Output = Result<Option<Room>, StoreError>> + Send;

    /// Returns a room by id.
    ///
    /// # Errors
    /// `Unavailable`.
    fn room_by_id(&self, id: &RoomId) -> impl Future<Output = Result<Option<Room>, StoreError>> + Send;

    /// Returns rooms that are not archived, by name, after `after`.
    ///
    /// # Errors
    /// `Unavailable`.
    fn rooms(
        &self,
        after: Option<&RoomName>,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<Room>, StoreError>> + Send;

    /// Returns the heads of those of `rooms` that there are, archived ones too, in any order and all of one moment.
    ///
    /// # Errors
    /// `Unavailable`.
    fn heads(
        &self,
        rooms: &[RoomId],
    ) -> impl Future<Output = Result<Vec<(RoomId, Cursor)>, StoreError>> + Send;

    /// Returns the events after seq `after`, at most `limit` and [`PAGE_BYTES`], with the cursors of the base and the head
    /// of that same moment; `None` where there is no such room.
    ///
    /// # Errors
    /// `Unavailable`.
    fn events(
        &self,
        room: &RoomId,
        after: Seq,
        limit: usize,
    ) -> impl Future<Output = Result<Option<EventPage>, StoreError>> + Send;

    /// Returns events that posted messages, oldest first, at most `limit` and [`PAGE_BYTES`], and whether there are more in
    /// the direction asked.
    ///
    /// # Errors
    /// `Unavailable`.
    fn messages(
        &self,
        room: &RoomId,
        span: Span,
        limit: usize,
    ) -> impl Future<Output = Result<(Vec<Event>, bool), StoreError>> + Send;

    /// Returns one event.
    ///
    /// # Errors
    /// `Unavailable`.
    fn event(
        &self,
        room: &RoomId,
        seq: Seq,
    ) -> impl Future<Output = Result<Option<Event>, StoreError>> + Send;

    /// Returns the event that `(room, user, key)` names.
    ///
    /// # Errors
    /// `Unavailable`.
    fn event_by_key(
        &self,
        room: &RoomId,
        user: &UserId,
        key: &RequestKey,
    ) -> impl Future<Output = Result<Option<Event>, StoreError>> + Send;

    /// Returns the keys that sign guest tokens, newest last; makes one where there is none.
    ///
    /// # Errors
    /// `Unavailable`.
    fn guest_keys(&self) -> impl Future<Output = Result<Vec<GuestKey>, StoreError>> + Send;

    /// Proves that what that writer writes is committed: updates a row of its own, which is in no room and has no seq.
    ///
    /// # Errors
    /// `Unavailable`.
    fn prove(&self, writer: usize) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// A key that signs guest tokens.
#[derive(Clone, PartialEq, Eq)]
pub struct GuestKey {
    /// What tokens call it by.
    pub id: u32,
    /// Its 32 bytes.
    pub secret: [u8; 32],
}

impl GuestKey {
    /// Draws 32 random bytes.
    pub(crate) fn secret() -> [u8; 32] {
        rand::random()
    }
}

impl fmt::Debug for GuestKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "GuestKey({})", self.id) // secrets stay out of logs
    }
}

/// Why a store did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// It cannot be reached, does not answer in time or is full; trying again may help.
    #[error("the store is unavailable: {0}")]
    Unavailable(String),
    /// It cannot be used as it is, and trying again will not help; the sentence says what to do.
    #[error("{0}")]
    Unusable(String),
}
