//! The store in PostgreSQL.
//!
//! Owns the pool and the statements. Promises what `Store` says, whatever other replicas do to the same database, and
//! that it works behind a transaction pooler. Never relies on the state of a session, and prepares no named statement.

mod append;
mod failure;
mod open;
mod read;
mod session;

use parlour_feed::cursor::{Cursor, Seq};
use tokio_postgres::types::Type;

use self::session::Sessions;
use super::{
    Appended, EventPage, GuestKey, Span, Store, StoreError,
    row::{limit_in, now_us, visibility_in},
};
use crate::domain::{
    event::{Draft, Event},
    ids::{RoomId, UserId},
    message::RequestKey,
    room::{NewRoom, Room, RoomName},
};

const WRITERS: usize = 4;

/// A store in PostgreSQL.
#[derive(Clone, Debug)]
pub struct Postgres {
    sessions: Sessions,
}

impl Postgres {
    /// Connects, and brings the schema up to date.
    ///
    /// # Errors
    /// `Unusable` where the URL, the user's rights, the encoding or the schema will not do; `Unavailable` where nobody
    /// answers.
    pub async fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        let sessions = Sessions::open(url, connections).await?;
        open::check(&sessions).await?;
        open::migrate(&sessions).await?;
        Ok(Self { sessions })
    }

    /// Closes the connections that nobody uses and gives out no more; later calls are answered `Unavailable`.
    pub fn close(&self) {
        self.sessions.close();
    }
}

impl Store for Postgres {
    fn writers(&self) -> usize {
        WRITERS
    }

    async fn append(&self, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
        append::append(&self.sessions, drafts).await
    }

    async fn create_room(&self, new: &NewRoom) -> Result<(Room, bool), StoreError> {
        const INSERT: &str = "insert into room (id, name, title, topic, visibility, last_at, created_at, created_by, \
            request_key) values ($1, $2, $3, $4, $5, $6, $6, $7, $8) on conflict (name) do nothing \
            returning id, name, title, topic, visibility, archived, last_seq, last_at, message_count, \
            last_message_at, created_at, created_by, request_key";
        let id = RoomId::generate();
        let made = self
            .sessions
            .query(
                INSERT,
                &[
                    (&id.as_str(), Type::TEXT),
                    (&new.name.as_str(), Type::TEXT),
                    (&new.title, Type::TEXT),
                    (&new.topic, Type::TEXT),
                    (&visibility_in(new.visibility), Type::TEXT),
                    (&now_us(), Type::INT8),
                    (&new.created_by.as_str(), Type::TEXT),
                    (&new.request_key, Type::TEXT),
                ],
            )
            .await?;
        if let Some(row) = made.first() {
            return Ok((read::to_room(row)?, true));
        }
        // A statement of its own, whose snapshot sees the room that was in the way.
        let room = self.room_by_name(&new.name).await?;
        room.map(|room| (room, false)).ok_or_else(|| StoreError::Unavailable("a room vanished".into()))
    }

    async fn room_by_name(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        read::room_by_name(&self.sessions, name).await
    }

    async fn room_by_id(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        read::room_by_id(&self.sessions, id).await
    }

    async fn rooms(&self, after: Option<&RoomName>, limit: usize) -> Result<Vec<Room>, StoreError> {
        read::rooms(&self.sessions, after, limit).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Cursor)>, StoreError> {
        read::heads(&self.sessions, rooms).await
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Option<EventPage>, StoreError> {
        read::events(&self.sessions, room, after, limit).await
    }

    async fn messages(
        &self,
        room: &RoomId,
        span: Span,
        limit: usize,
    ) -> Result<(Vec<Event>, bool), StoreError> {
        read::messages(&self.sessions, room, span, limit).await
    }

    async fn event(&self, room: &RoomId, seq: Seq) -> Result<Option<Event>, StoreError> {
        read::event(&self.sessions, room, seq).await
    }

    async fn event_by_key(
        &self,
        room: &RoomId,
        user: &UserId,
        key: &RequestKey,
    ) -> Result<Option<Event>, StoreError> {
        Ok(read::event_by_key(&self.sessions, room, user, key).await?)
    }

    async fn guest_keys(&self) -> Result<Vec<GuestKey>, StoreError> {
        const INSERT: &str = "insert into guest_key (id, secret, created_at) \
            select 1, $1, $2 where not exists (select from guest_key) on conflict (id) do nothing";
        let secret = GuestKey::secret();
        self.sessions.query(INSERT, &[(&secret.as_slice(), Type::BYTEA), (&now_us(), Type::INT8)]).await?;
        read::guest_keys(&self.sessions).await
    }

    async fn prove(&self, writer: usize) -> Result<(), StoreError> {
        // One statement, committed by the server alone: a replica that hangs holds no other's proof up.
        const PROVE: &str = "insert into tracer (writer, at) values ($1, $2) \
            on conflict (writer) do update set at = excluded.at";
        self.sessions.query(PROVE, &[(&limit_in(writer), Type::INT8), (&now_us(), Type::INT8)]).await?;
        Ok(())
    }
}
