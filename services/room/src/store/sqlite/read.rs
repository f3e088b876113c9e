//! Reading from SQLite.
//!
//! Owns the queries and how a row becomes a value. Promises that what a function returns is of one moment. Never
//! writes.

use parlour_feed::cursor::{Check, Cursor, Seq};
use rusqlite::{Connection, OptionalExtension, Params, Row};

use super::failed;
use crate::{
    domain::{
        event::Event,
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{Room, RoomName},
    },
    store::{
        EventPage, GuestKey, Span, StoreError,
        page::{Filling, rows},
        row::{Columns, limit_in, seq_in, seq_out, visibility_out},
    },
};

/// The columns of a room, in the order that [`room`] reads.
macro_rules! room_query {
    ($rest:literal) => {
        concat!(
            "select id, name, title, topic, visibility, archived, last_seq, last_at, message_count, last_message_at, \
             created_at, created_by, request_key from room ",
            $rest
        )
    };
}

/// The columns of an event, in the order that [`event`] reads.
macro_rules! event_query {
    ($rest:literal) => {
        concat!(
            "select seq, at, kind, actor_id, actor_name, actor_guest, request_key, key_is_clients, content, reply_to, \
             title, topic, archived from event ",
            $rest
        )
    };
}

pub(super) fn room_by_name(connection: &Connection, name: &RoomName) -> Result<Option<Room>, StoreError> {
    one(connection, room_query!("where name = ?1"), [name.as_str()], to_room)
}

pub(super) fn room_by_id(connection: &Connection, id: &RoomId) -> Result<Option<Room>, StoreError> {
    one(connection, room_query!("where id = ?1"), [id.as_str()], to_room)
}

pub(super) fn rooms(
    connection: &Connection,
    after: Option<&RoomName>,
    limit: usize,
) -> Result<Vec<Room>, StoreError> {
    const QUERY: &str = room_query!("where name > ?1 and archived = 0 order by name limit ?2");
    let mut statement = connection.prepare_cached(QUERY).map_err(failed)?;
    let mut found = statement.query((after.map_or("", RoomName::as_str), limit_in(limit))).map_err(failed)?;
    let mut rooms = Vec::new();
    while let Some(row) = found.next().map_err(failed)? {
        rooms.push(to_room(row)?);
    }
    Ok(rooms)
}

pub(super) fn heads(
    connection: &mut Connection,
    rooms: Vec<RoomId>,
) -> Result<Vec<(RoomId, Cursor)>, StoreError> {
    const QUERY: &str = "select last_seq, last_at from room where id = ?1";
    let moment = connection.transaction().map_err(failed)?;
    let mut statement = moment.prepare_cached(QUERY).map_err(failed)?;
    let mut heads = Vec::with_capacity(rooms.len());
    for id in rooms {
        let head = statement.query_row([id.as_str()], |row| Ok((row.get(0)?, row.get(1)?))).optional();
        if let Some((seq, time)) = head.map_err(failed)? {
            let head = Cursor { check: Check::of(id.as_str(), time), seq: seq_out(seq)? };
            heads.push((id, head));
        }
    }
    Ok(heads)
}

pub(super) fn events(
    connection: &mut Connection,
    id: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<Option<EventPage>, StoreError> {
    const QUERY: &str = event_query!("where room_id = ?1 and seq > ?2 order by seq limit ?3");
    let moment = connection.transaction().map_err(failed)?;
    let Some(room) = room_by_id(&moment, id)? else { return Ok(None) };
    let base_at = match after {
        0 => Some(room.created_at),
        _ => time_of(&moment, id, after)?,
    };
    let base = base_at.map(|at| Cursor { check: Check::of(id.as_str(), at), seq: after });
    let (events, _) = page(&moment, QUERY, (id.as_str(), seq_in(after), rows(limit)), limit)?;
    Ok(Some(EventPage { base, events, head: room.cursor() }))
}

pub(super) fn messages(
    connection: &Connection,
    id: &RoomId,
    span: Span,
    limit: usize,
) -> Result<(Vec<Event>, bool), StoreError> {
    const BEFORE: &str =
        event_query!("where room_id = ?1 and seq < ?2 and kind = 'message' order by seq desc limit ?3");
    const AFTER: &str =
        event_query!("where room_id = ?1 and seq > ?2 and kind = 'message' order by seq limit ?3");
    match span {
        Span::Before(seq) => {
            let (mut events, more) =
                page(connection, BEFORE, (id.as_str(), seq_in(seq), rows(limit)), limit)?;
            events.reverse();
            Ok((events, more))
        }
        Span::After(seq) => page(connection, AFTER, (id.as_str(), seq_in(seq), rows(limit)), limit),
    }
}

pub(super) fn event(connection: &Connection, id: &RoomId, seq: Seq) -> Result<Option<Event>, StoreError> {
    one(connection, event_query!("where room_id = ?1 and seq = ?2"), (id.as_str(), seq_in(seq)), to_event)
}

pub(super) fn event_by_key(
    connection: &Connection,
    id: &RoomId,
    user: &UserId,
    key: &RequestKey,
) -> Result<Option<Event>, StoreError> {
    const QUERY: &str = event_query!("where room_id = ?1 and actor_id = ?2 and request_key = ?3");
    one(connection, QUERY, (id.as_str(), user.as_str(), key.as_str()), to_event)
}

pub(super) fn guest_keys(connection: &Connection) -> Result<Vec<GuestKey>, StoreError> {
    const QUERY: &str = "select id, secret from guest_key order by id limit 1000";
    let mut statement = connection.prepare_cached(QUERY).map_err(failed)?;
    let keys = statement
        .query_map([], |row| Ok(GuestKey { id: row.get(0)?, secret: row.get(1)? }))
        .map_err(failed)?;
    keys.collect::<Result<_, _>>().map_err(failed)
}

fn time_of(connection: &Connection, id: &RoomId, seq: Seq) -> Result<Option<i64>, StoreError> {
    const QUERY: &str = "select at from event where room_id = ?1 and seq = ?2";
    one(connection, QUERY, (id.as_str(), seq_in(seq)), |row| row.get(0).map_err(failed))
}

fn one<T>(
    connection: &Connection,
    query: &str,
    params: impl Params,
    read: fn(&Row<'_>) -> Result<T, StoreError>,
) -> Result<Option<T>, StoreError> {
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let found = statement.query_row(params, |row| Ok(read(row))).optional().map_err(failed)?;
    found.transpose()
}

fn page(
    connection: &Connection,
    query: &str,
    params: impl Params,
    limit: usize,
) -> Result<(Vec<Event>, bool), StoreError> {
    let mut statement = connection.prepare_cached(query).map_err(failed)?;
    let mut found = statement.query(params).map_err(failed)?;
    let mut page = Filling::new(limit);
    while let Some(row) = found.next().map_err(failed)? {
        if !page.take(to_event(row)?) {
            break;
        }
    }
    Ok(page.done())
}

fn to_room(row: &Row<'_>) -> Result<Room, StoreError> {
    let id: String = row.get(0).map_err(failed)?;
    let name: String = row.get(1).map_err(failed)?;
    let visibility: String = row.get(4).map_err(failed)?;
    Ok(Room {
        id: RoomId::parse(&id).ok_or_else(|| StoreError::Unusable(format!("\"{id}\" is no room's id")))?,
        name: RoomName::parse(&name)
            .map_err(|_| StoreError::Unusable(format!("\"{name}\" is no room's name")))?,
        title: row.get(2).map_err(failed)?,
        topic: row.get(3).map_err(failed)?,
        visibility: visibility_out(&visibility)?,
        archived: row.get(5).map_err(failed)?,
        head: seq_out(row.get(6).map_err(failed)?)?,
        head_at: row.get(7).map_err(failed)?,
        message_count: seq_out(row.get(8).map_err(failed)?)?,
        last_message_at: row.get(9).map_err(failed)?,
        created_at: row.get(10).map_err(failed)?,
        created_by: UserId::new(row.get::<_, String>(11).map_err(failed)?),
        request_key: row.get(12).map_err(failed)?,
    })
}

fn to_event(row: &Row<'_>) -> Result<Event, StoreError> {
    let text = |index: usize| row.get_ref(index).map_err(failed)?.as_str_or_null().map_err(broken);
    let needed = |index: usize| row.get_ref(index).map_err(failed)?.as_str().map_err(broken);
    let columns = Columns {
        kind: needed(2)?,
        content: text(8)?,
        reply_to: row.get(9).map_err(failed)?,
        title: text(10)?,
        topic: text(11)?,
        archived: row.get(12).map_err(failed)?,
    };
    Ok(Event {
        seq: seq_out(row.get(0).map_err(failed)?)?,
        created_at: row.get(1).map_err(failed)?,
        actor: User {
            id: UserId::new(needed(3)?),
            name: DisplayName::stored(needed(4)?),
            guest: row.get(5).map_err(failed)?,
        },
        key: RequestKey::stored(needed(6)?),
        key_is_clients: row.get(7).map_err(failed)?,
        body: columns.body()?,
    })
}

fn broken(error: rusqlite::types::FromSqlError) -> StoreError {
    StoreError::Unusable(format!("the log holds a value that cannot be read: {error}"))
}
