//! The choice between the stores.
//!
//! Owns the URL that names a store and the enum that stands for either. Promises that whoever holds it need not know
//! which it is. Never holds a rule or a query.

use std::path::Path;

use metrics::counter;
use parlour_feed::cursor::{Cursor, Seq};

use super::{Appended, EventPage, GuestKey, Span, Store, StoreError, postgres::Postgres, sqlite::Sqlite};
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
#[derive(Debug)]
pub enum AnyStore {
    /// One file, one process.
    Sqlite(Sqlite),
    /// One database, as many processes as need be.
    Postgres(Postgres),
}

macro_rules! either {
    ($self:ident, $store:ident => $call:expr) => {
        match $self {
            Self::Sqlite($store) => $call,
            Self::Postgres($store) => $call,
        }
    };
}

impl AnyStore {
    /// Opens the store that `url` names, `sqlite:PATH` or `postgres://…`, and brings its schema up to date.
    ///
    /// # Errors
    /// `Unusable`, with a sentence that says what to do, or `Unavailable`.
    pub async fn open(url: &str, options: Options) -> Result<Self, StoreError> {
        match url.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Ok(Self::Sqlite(Sqlite::open(Path::new(path)).await?))
            }
            Some(("postgres" | "postgresql", _)) => {
                Ok(Self::Postgres(Postgres::open(url, options.connections).await?))
            }
            // What follows the scheme may hold a password.
            _ => Err(StoreError::Unusable(
                "the store's URL is to be sqlite:PATH or postgres://USER:PASSWORD@HOST/DATABASE".into(),
            )),
        }
    }

    /// Finishes what was begun and lets go of the store; later calls are answered `Unavailable`.
    pub async fn close(&self) {
        match self {
            Self::Sqlite(store) => store.close().await,
            Self::Postgres(store) => store.close(),
        }
    }
}

impl Store for AnyStore {
    fn writers(&self) -> usize {
        either!(self, store => store.writers())
    }

    async fn append(&self, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
        either!(self, store => store.append(drafts).await)
    }

    async fn create_room(&self, room: &NewRoom) -> Result<(Room, bool), StoreError> {
        either!(self, store => store.create_room(room).await)
    }

    async fn room_by_name(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        either!(self, store => store.room_by_name(name).await)
    }

    async fn room_by_id(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        either!(self, store => store.room_by_id(id).await)
    }

    async fn rooms(&self, after: Option<&RoomName>, limit: usize) -> Result<Vec<Room>, StoreError> {
        either!(self, store => store.rooms(after, limit).await)
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Cursor)>, StoreError> {
        either!(self, store => store.heads(rooms).await)
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Option<EventPage>, StoreError> {
        let page = either!(self, store => store.events(room, after, limit).await);
        counter!("parlour_room_store_pages_read_total").increment(u64::from(page.is_ok()));
        page
    }

    async fn messages(
        &self,
        room: &RoomId,
        span: Span,
        limit: usize,
    ) -> Result<(Vec<Event>, bool), StoreError> {
        either!(self, store => store.messages(room, span, limit).await)
    }

    async fn event(&self, room: &RoomId, seq: Seq) -> Result<Option<Event>, StoreError> {
        either!(self, store => store.event(room, seq).await)
    }

    async fn event_by_key(
        &self,
        room: &RoomId,
        user: &UserId,
        key: &RequestKey,
    ) -> Result<Option<Event>, StoreError> {
        either!(self, store => store.event_by_key(room, user, key).await)
    }

    async fn guest_keys(&self) -> Result<Vec<GuestKey>, StoreError> {
        either!(self, store => store.guest_keys().await)
    }

    async fn prove(&self, writer: usize) -> Result<(), StoreError> {
        either!(self, store => store.prove(writer).await)
    }
}
