//! Appending to SQLite.
//!
//! Owns the one transaction of a batch. Promises that each draft is judged by what the log and the drafts before it say,
//! and that a draft which fails alone leaves no gap. Never commits half a batch.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::{failed, is_draft_at_fault, read};
use crate::{
    domain::{
        event::{Body, Draft, Event},
        ids::RoomId,
        room::Room,
    },
    store::{
        Appended, StoreError,
        row::{Columns, now_us, seq_in},
    },
};

const INSERT: &str =
    "insert into event (room_id, seq, kind, at, actor_id, actor_name, actor_guest, request_key,
    key_is_clients, content, reply_to, title, topic, archived)
    values (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const MOVE: &str =
    "update room set last_seq = ?2, last_at = ?3, message_count = ?4, last_message_at = ?5, title = ?6,
    topic = ?7, archived = ?8 where id = ?1";

/// The rooms of a batch as they will be, and whether the batch moved them; `None` for a room that is not there.
type Rooms = HashMap<RoomId, Option<(Room, bool)>>;

pub(super) fn append(connection: &mut Connection, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
    let now = now_us();
    let mut rooms = Rooms::new();
    let answers = drafts
        .iter()
        .map(|draft| one(&transaction, &mut rooms, draft, now))
        .collect::<Result<Vec<_>, StoreError>>()?;
    for (room, moved) in rooms.values().flatten() {
        if *moved {
            save(&transaction, room)?;
        }
    }
    transaction.commit().map_err(failed)?;
    Ok(answers)
}

fn one(
    transaction: &Transaction<'_>,
    rooms: &mut Rooms,
    draft: &Draft,
    now: i64,
) -> Result<Appended, StoreError> {
    let known = match rooms.entry(draft.room.clone()) {
        Entry::Occupied(known) => known.into_mut(),
        Entry::Vacant(unknown) => {
            unknown.insert(read::room_by_id(transaction, &draft.room)?.map(|room| (room, false)))
        }
    };
    let Some((room, moved)) = known else { return Ok(Appended::Missing) };
    if let Some(event) = read::event_by_key(transaction, &draft.room, &draft.actor.id, &draft.key)? {
        return Ok(Appended::Repeat(Arc::new(event)));
    }
    if room.archived {
        return Ok(Appended::Archived);
    }
    let event = Event {
        seq: room.head + 1,
        created_at: now.max(room.head_at + 1),
        actor: draft.actor.clone(),
        key: draft.key.clone(),
        key_is_clients: draft.key_is_clients,
        body: draft.body.clone(),
    };
    if !insert(transaction, room, &event)? {
        return Ok(Appended::Refused);
    }
    let prev = room.cursor();
    apply(room, &event);
    *moved = true;
    Ok(Appended::New { event: Arc::new(event), prev })
}

/// Inserts the event, or returns `false` where its own values are at fault: the statement alone is undone.
fn insert(transaction: &Transaction<'_>, room: &Room, event: &Event) -> Result<bool, StoreError> {
    let columns = Columns::of(&event.body);
    let inserted = transaction.prepare_cached(INSERT).map_err(failed)?.execute((
        room.id.as_str(),
        seq_in(event.seq),
        columns.kind,
        event.created_at,
        event.actor.id.as_str(),
        event.actor.name.as_str(),
        event.actor.guest,
        event.key.as_str(),
        event.key_is_clients,
        columns.content,
        columns.reply_to,
        columns.title,
        columns.topic,
        columns.archived,
    ));
    match inserted {
        Ok(_) => Ok(true),
        Err(error) if is_draft_at_fault(&error) => {
            tracing::warn!(%error, room.id = %room.id, "the store refused an event");
            Ok(false)
        }
        Err(error) => Err(failed(error)),
    }
}

fn apply(room: &mut Room, event: &Event) {
    room.head = event.seq;
    room.head_at = event.created_at;
    match &event.body {
        Body::Message { .. } => {
            room.message_count += 1;
            room.last_message_at = Some(event.created_at);
        }
        Body::RoomChanged { title, topic, archived } => {
            room.title.clone_from(title);
            room.topic.clone_from(topic);
            room.archived = *archived;
        }
    }
}

fn save(transaction: &Transaction<'_>, room: &Room) -> Result<(), StoreError> {
    transaction
        .prepare_cached(MOVE)
        .map_err(failed)?
        .execute((
            room.id.as_str(),
            seq_in(room.head),
            room.head_at,
            seq_in(room.message_count),
            room.last_message_at,
            &room.title,
            &room.topic,
            room.archived,
        ))
        .map_err(failed)?;
    Ok(())
}
