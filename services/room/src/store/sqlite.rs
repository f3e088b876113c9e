//! The store in a file.
//!
//! Owns one connection that writes and a few that read, each on its own thread. Promises what `Store` says, P6 for one
//! machine. Never lets SQLite, which blocks, run on the runtime's threads.

mod append;
mod open;
mod read;
mod worker;

use std::{
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use parlour_feed::cursor::{Cursor, Seq};
use rusqlite::{Connection, ErrorCode, OptionalExtension, TransactionBehavior};

use self::worker::Worker;
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

const READERS: usize = 3;

/// A store in a file.
#[derive(Debug)]
pub struct Sqlite {
    // In this order: the last to end is the writer, which then lets go of the lock.
    readers: Arc<[Worker]>,
    writer: Arc<Worker>,
    turn: AtomicUsize,
}

impl Sqlite {
    /// Opens the file, making it where there is none, and brings its schema up to date.
    ///
    /// # Errors
    /// `Unusable` where another process has it, it is damaged, none of ours, or too new.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let path = path.to_owned();
        let opened = tokio::task::spawn_blocking(move || Self::open_now(&path)).await;
        opened.map_err(|error| StoreError::Unusable(format!("opening the database failed: {error}")))?
    }

    fn open_now(path: &Path) -> Result<Self, StoreError> {
        let lock = open::lock(path)?;
        let writer = Worker::spawn("store-writer", open::writer(path)?, lock)?;
        let readers = (0..READERS)
            .map(|_| Worker::spawn("store-reader", open::reader(path)?, ()))
            .collect::<Result<_, StoreError>>()?;
        Ok(Self { readers, writer: Arc::new(writer), turn: AtomicUsize::new(0) })
    }

    /// Finishes what was begun, closes the file and lets go of it; later calls are answered `Unavailable`.
    pub async fn close(&self) {
        let (readers, writer) = (Arc::clone(&self.readers), Arc::clone(&self.writer));
        let ended = tokio::task::spawn_blocking(move || {
            readers.iter().for_each(Worker::end);
            writer.end();
        });
        if let Err(error) = ended.await {
            tracing::error!(%error, "closing the database failed");
        }
    }

    fn reader(&self) -> &Worker {
        &self.readers[self.turn.fetch_add(1, Ordering::Relaxed) % self.readers.len()]
    }
}

impl Store for Sqlite {
    fn writers(&self) -> usize {
        1
    }

    async fn append(&self, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
        let drafts = drafts.to_vec();
        self.writer.run(move |connection| append::append(connection, &drafts)).await
    }

    async fn create_room(&self, room: &NewRoom) -> Result<(Room, bool), StoreError> {
        let room = room.clone();
        self.writer.run(move |connection| create_room(connection, &room)).await
    }

    async fn room_by_name(&self, name: &RoomName) -> Result<Option<Room>, StoreError> {
        let name = name.clone();
        self.reader().run(move |connection| read::room_by_name(connection, &name)).await
    }

    async fn room_by_id(&self, id: &RoomId) -> Result<Option<Room>, StoreError> {
        let id = id.clone();
        self.reader().run(move |connection| read::room_by_id(connection, &id)).await
    }

    async fn rooms(&self, after: Option<&RoomName>, limit: usize) -> Result<Vec<Room>, StoreError> {
        let after = after.cloned();
        self.reader().run(move |connection| read::rooms(connection, after.as_ref(), limit)).await
    }

    async fn heads(&self, rooms: &[RoomId]) -> Result<Vec<(RoomId, Cursor)>, StoreError> {
        let rooms = rooms.to_vec();
        self.reader().run(move |connection| read::heads(connection, rooms)).await
    }

    async fn events(&self, room: &RoomId, after: Seq, limit: usize) -> Result<Option<EventPage>, StoreError> {
        let id = room.clone();
        self.reader().run(move |connection| read::events(connection, &id, after, limit)).await
    }

    async fn messages(
        &self,
        room: &RoomId,
        span: Span,
        limit: usize,
    ) -> Result<(Vec<Event>, bool), StoreError> {
        let id = room.clone();
        self.reader().run(move |connection| read::messages(connection, &id, span, limit)).await
    }

    async fn event(&self, room: &RoomId, seq: Seq) -> Result<Option<Event>, StoreError> {
        let id = room.clone();
        self.reader().run(move |connection| read::event(connection, &id, seq)).await
    }

    async fn event_by_key(
        &self,
        room: &RoomId,
        user: &UserId,
        key: &RequestKey,
    ) -> Result<Option<Event>, StoreError> {
        let (id, user, key) = (room.clone(), user.clone(), key.clone());
        self.reader().run(move |connection| read::event_by_key(connection, &id, &user, &key)).await
    }

    async fn guest_keys(&self) -> Result<Vec<GuestKey>, StoreError> {
        self.writer.run(guest_keys).await
    }

    async fn prove(&self, writer: usize) -> Result<(), StoreError> {
        const PROVE: &str = "insert into tracer (writer, at) values (?1, ?2) \
            on conflict (writer) do update set at = excluded.at";
        let values = (limit_in(writer), now_us());
        let prove = move |connection: &mut Connection| {
            connection.prepare_cached(PROVE).and_then(|mut prove| prove.execute(values)).map_err(failed)
        };
        self.writer.run(prove).await.map(drop)
    }
}

fn create_room(connection: &mut Connection, new: &NewRoom) -> Result<(Room, bool), StoreError> {
    const INSERT: &str = "insert into room (id, name, title, topic, visibility, last_at, created_at, created_by, \
        request_key) values (?1, ?2, ?3, ?4, ?5, ?6, ?6, ?7, ?8) on conflict (name) do nothing";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let id = RoomId::generate();
    let visibility = visibility_in(new.visibility);
    let by = new.created_by.as_str();
    let values =
        (id.as_str(), new.name.as_str(), &new.title, &new.topic, visibility, now_us(), by, &new.request_key);
    let made = transaction.execute(INSERT, values).map_err(failed)? == 1;
    let room = read::room_by_name(&transaction, &new.name)?;
    transaction.commit().map_err(failed)?;
    room.map(|room| (room, made)).ok_or_else(|| StoreError::Unavailable("a room vanished".into()))
}

fn guest_keys(connection: &mut Connection) -> Result<Vec<GuestKey>, StoreError> {
    const ANY: &str = "select 1 from guest_key limit 1";
    const INSERT: &str =
        "insert into guest_key (id, secret, created_at) values (1, ?1, ?2) on conflict (id) do nothing";
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let any: Option<i64> = transaction.query_row(ANY, [], |row| row.get(0)).optional().map_err(failed)?;
    if any.is_none() {
        transaction.execute(INSERT, (GuestKey::secret(), now_us())).map_err(failed)?;
    }
    let keys = read::guest_keys(&transaction)?;
    transaction.commit().map_err(failed)?;
    Ok(keys)
}

/// Whether a statement failed for the values it was given, and for nothing else.
fn is_draft_at_fault(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(ErrorCode::ConstraintViolation | ErrorCode::TooBig | ErrorCode::TypeMismatch)
    )
}

/// What a failure means for whoever uses the store.
fn failed(error: rusqlite::Error) -> StoreError {
    let why = match error.sqlite_error_code() {
        Some(ErrorCode::DatabaseCorrupt) => "it is damaged: put a backup in its place",
        Some(ErrorCode::NotADatabase) => {
            "it is not a SQLite database: name another file, or put a backup in its place"
        }
        Some(ErrorCode::CannotOpen) => {
            "it cannot be opened: is the folder there, and may this user write in it?"
        }
        Some(ErrorCode::ReadOnly | ErrorCode::PermissionDenied) => "this user may not write it",
        Some(ErrorCode::DiskFull) => return StoreError::Unavailable("the disk is full".into()),
        Some(_) => return StoreError::Unavailable(error.to_string()),
        None => return StoreError::Unusable(format!("a value in it cannot be read: {error}")),
    };
    StoreError::Unusable(why.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::{
        event::Body,
        message::{DisplayName, User},
        room::Visibility,
    };

    fn draft(room: &RoomId, key: &str, content: String) -> Draft {
        let actor = User { id: UserId::new("ada"), name: DisplayName::guest(), guest: true };
        let body = Body::Message { content, reply_to: None };
        Draft { room: room.clone(), actor, key: RequestKey::stored(key), key_is_clients: true, body }
    }

    #[tokio::test]
    async fn p2_a_full_disk_refuses_whole_batches_leaves_no_gap_and_passes() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = Sqlite::open(&folder.path().join("parlour.db")).await.expect("opens");
        let new = NewRoom {
            name: RoomName::parse("lobby").expect("a name"),
            title: "Lobby".into(),
            topic: String::new(),
            visibility: Visibility::Public,
            created_by: UserId::new("ada"),
            request_key: String::new(),
        };
        let lobby = store.create_room(&new).await.expect("made").0.id;
        let limit = |pages: u32| {
            store.writer.run(move |connection| {
                connection.pragma_update(None, "max_page_count", pages).map_err(failed)
            })
        };
        let pages = std::fs::metadata(folder.path().join("parlour.db")).expect("read").len() / 4096 + 20;
        limit(pages as u32).await.expect("limited");
        let batch = |turn: usize| {
            (0..10).map(|n| draft(&lobby, &format!("{turn}-{n}"), "long ".repeat(200))).collect::<Vec<_>>()
        };
        let mut kept = 0;
        let refused = loop {
            match store.append(&batch(kept)).await {
                Ok(_) => kept += 1,
                Err(refused) => break refused,
            }
            assert!(kept < 1_000, "the disk fills up");
        };
        assert_eq!(refused, StoreError::Unavailable("the disk is full".into()));
        let head = store.room_by_id(&lobby).await.expect("read").expect("there").head;
        assert_eq!(head, kept as u64 * 10, "nothing of the refused batch is there");
        limit(1_000_000).await.expect("there is room again");
        let answers = store.append(&batch(kept)).await.expect("appended");
        assert!(matches!(&answers[0], Appended::New { event, .. } if event.seq == head + 1));
        store.close().await;
    }
}
