//! The choice between the stores.
//!
//! Owns the URL that names a store and the enum that stands for either. Promises that whoever holds it need not know
//! which it is. Never holds a rule or a query.

use parlour_feed::cursor::Seq;

use super::{Appended, EventPage, GuestKey, Span, Store, StoreError};
use crate::domain::{
    event::{Draft, Event},
    ids::{RoomId, UserId},
    message::RequestKey,
    room::{NewRoom, Room, RoomName},
};

/// How to open a store.
#[derive(Clone, Debug)]
pub struct Options {
    /// How many connections to PostgreSQL at most.
    pub connections: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self { connections: 16 }
    }
}

/// Either store.
pub enum AnyStore {}

impl AnyStore {
    /// Opens the store that `url` names, `sqlite:PATH` or `postgres://…`, and brings its schema up to date.
    ///
    /// # Errors
    /// `Unusable`, with a sentence that says what to do, or `Unavailable`.
    #[expect(clippy::unused_async, reason = "the stores come with the next commit")]
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        let Options { connections: _ } = options;
        Err(StoreError::Unusable(format!("no store can open {url} yet")))
    }

    /// Finishes what was begun and lets go of the store; later calls are answered `Unavailable`.
    pub async fn close(&self) {
        match *self {}
    }
}

impl Store for AnyStore {
    fn writers(&self) -> usize {
        match *self {}
    }

    async fn append(&self, _drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
        match *self {}
    }

    async fn create_room(&self, _room: &NewRoom) -> Result<(Room, bool), StoreError> {
        match *self {}
    }

    async fn room_by_name(&self, _name: &RoomName) -> Result<Option<Room>, StoreError> {
        match *self {}
    }

    async fn room_by_id(&self, _id: &RoomId) -> Result<Option<Room>, StoreError> {
        match *self {}
    }

    async fn rooms(&self, _after: Option<&RoomName>, _limit: usize) -> Result<Vec<Room>, StoreError> {
        match *self {}
    }

    async fn events(
        &self,
        _room: &RoomId,
        _after: Seq,
        _limit: usize,
    ) -> Result<Option<EventPage>, StoreError> {
        match *self {}
    }

    async fn messages(
        &self,
        _room: &RoomId,
        _span: Span,
        _limit: usize,
    ) -> Result<(Vec<Event>, bool), StoreError> {
        match *self {}
    }

    async fn event(&self, _room: &RoomId, _seq: Seq) -> Result<Option<Event>, StoreError> {
        match *self {}
    }

    async fn event_by_key(
        &self,
        _room: &RoomId,
        _user: &UserId,
        _key: &RequestKey,
    ) -> Result<Option<Event>, StoreError> {
        match *self {}
    }

    async fn guest_keys(&self) -> Result<Vec<GuestKey>, StoreError> {
        match *self {}
    }

    async fn ping(&self) -> Result<(), StoreError> {
        match *self {}
    }
}
