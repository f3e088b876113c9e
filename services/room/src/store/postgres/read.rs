//! Reading from PostgreSQL.
//!
//! Owns the queries and how a row becomes a value. Promises that what a function returns is of one moment: each is one
//! statement. Never writes.

use parlour_feed::cursor::{Check, Cursor, Seq};
use tokio_postgres::{
    Row,
    types::{FromSql, Type},
};

use super::{failure::Failure, session::Sessions};
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

/// The columns of a room, in the order that [`to_room`] reads.
macro_rules! room_query {
    ($rest:literal) => {
        concat!(
            "select id, name, title, topic, visibility, archived, last_seq, last_at, message_count, last_message_at, \
             created_at, created_by, request_key from room ",
            $rest
        )
    };
}

/// The columns of an event, in the order that [`to_event_at`] reads.
macro_rules! event_query {
    ($rest:literal) => {
        concat!(
            "select seq, at, kind, actor_id, actor_name, actor_guest, request_key, key_is_clients, content, reply_to, \
             title, topic, archived from event ",
            $rest
        )
    };
}

pub(super) async fn room_by_name(sessions: &Sessions, name: &RoomName) -> Result<Option<Room>, StoreError> {
    let rows = sessions.query(room_query!("where name = $1"), &[(&name.as_str(), Type::TEXT)]).await?;
    rows.first().map(to_room).transpose()
}

pub(super) async fn room_by_id(sessions: &Sessions, id: &RoomId) -> Result<Option<Room>, StoreError> {
    let rows = sessions.query(room_query!("where id = $1"), &[(&id.as_str(), Type::TEXT)]).await?;
    rows.first().map(to_room).transpose()
}

pub(super) async fn rooms(
    sessions: &Sessions,
    after: Option<&RoomName>,
    limit: usize,
) -> Result<Vec<Room>, StoreError> {
    const QUERY: &str = room_query!("where name > $1 and not archived order by name limit $2");
    let after = after.map_or("", RoomName::as_str);
    let rows = sessions.query(QUERY, &[(&after, Type::TEXT), (&limit_in(limit), Type::INT8)]).await?;
    rows.iter().map(to_room).collect()
}

pub(super) async fn heads(
    sessions: &Sessions,
    rooms: &[RoomId],
) -> Result<Vec<(RoomId, Cursor)>, StoreError> {
    const QUERY: &str = "select id, last_seq, last_at from room where id = any ($1)";
    let ids: Vec<&str> = rooms.iter().map(RoomId::as_str).collect();
    let found = sessions.query(QUERY, &[(&ids, Type::TEXT_ARRAY)]).await?;
    let heads = found.iter().map(|row| {
        let id = room_id(at(row, 0)?)?;
        let head = Cursor { check: Check::of(id.as_str(), at(row, 2)?), seq: seq_out(at(row, 1)?)? };
        Ok((id, head))
    });
    heads.collect()
}

pub(super) async fn events(
    sessions: &Sessions,
    id: &RoomId,
    after: Seq,
    limit: usize,
) -> Result<Option<EventPage>, StoreError> {
    // The room's row comes even where there are no events: then `seq` is null.
    const QUERY: &str = "select e.seq, e.at, e.kind, e.actor_id, e.actor_name, e.actor_guest, e.request_key, \
            e.key_is_clients, e.content, e.reply_to, e.title, e.topic, e.archived, r.last_seq, r.last_at, \
            case $2 when 0 then r.created_at \
                else (select b.at from event b where b.room_id = r.id and b.seq = $2) end \
        from room r \
        left join lateral \
            (select * from event where room_id = r.id and seq > $2 order by seq limit $3) e on true \
        where r.id = $1 order by e.seq";
    let found = sessions
        .query(QUERY, &[(&id.as_str(), Type::TEXT), (&seq_in(after), Type::INT8), (&rows(limit), Type::INT8)])
        .await?;
    let Some(first) = found.first() else { return Ok(None) };
    let cursor = |seq, time| Cursor { check: Check::of(id.as_str(), time), seq };
    let base = at::<Option<i64>>(first, 15)?.map(|time| cursor(after, time));
    let head = cursor(seq_out(at(first, 13)?)?, at(first, 14)?);
    let is_empty = at::<Option<i64>>(first, 0)?.is_none();
    let (events, _) = page(if is_empty { &[] } else { &found }, limit)?;
    Ok(Some(EventPage { base, events, head }))
}

pub(super) async fn messages(
    sessions: &Sessions,
    id: &RoomId,
    span: Span,
    limit: usize,
) -> Result<(Vec<Event>, bool), StoreError> {
    const BEFORE: &str =
        event_query!("where room_id = $1 and seq < $2 and kind = 'message' order by seq desc limit $3");
    const AFTER: &str =
        event_query!("where room_id = $1 and seq > $2 and kind = 'message' order by seq limit $3");
    let (query, seq) = match span {
        Span::Before(seq) => (BEFORE, seq_in(seq)),
        Span::After(seq) => (AFTER, seq_in(seq)),
    };
    let found = sessions
        .query(query, &[(&id.as_str(), Type::TEXT), (&seq, Type::INT8), (&rows(limit), Type::INT8)])
        .await?;
    let (mut events, more) = page(&found, limit)?;
    if matches!(span, Span::Before(_)) {
        events.reverse();
    }
    Ok((events, more))
}

pub(super) async fn event(sessions: &Sessions, id: &RoomId, seq: Seq) -> Result<Option<Event>, StoreError> {
    const QUERY: &str = event_query!("where room_id = $1 and seq = $2");
    let rows = sessions.query(QUERY, &[(&id.as_str(), Type::TEXT), (&seq_in(seq), Type::INT8)]).await?;
    rows.first().map(|row| to_event_at(row, 0)).transpose()
}

pub(super) async fn event_by_key(
    sessions: &Sessions,
    id: &RoomId,
    user: &UserId,
    key: &RequestKey,
) -> Result<Option<Event>, Failure> {
    const QUERY: &str = event_query!("where room_id = $1 and actor_id = $2 and request_key = $3");
    let params: [(&(dyn tokio_postgres::types::ToSql + Sync), Type); 3] =
        [(&id.as_str(), Type::TEXT), (&user.as_str(), Type::TEXT), (&key.as_str(), Type::TEXT)];
    let rows = sessions.query(QUERY, &params).await?;
    rows.first().map(|row| to_event_at(row, 0)).transpose().map_err(Failure::Store)
}

pub(super) async fn guest_keys(sessions: &Sessions) -> Result<Vec<GuestKey>, StoreError> {
    const QUERY: &str = "select id, secret from guest_key order by id limit 1000";
    let broken = || StoreError::Unusable("a key of guest tokens in the store is none".into());
    let rows = sessions.query(QUERY, &[]).await?;
    let keys = rows.iter().map(|row| {
        let id = u32::try_from(at::<i64>(row, 0)?).map_err(|_| broken())?;
        let secret = at::<&[u8]>(row, 1)?.try_into().map_err(|_| broken())?;
        Ok(GuestKey { id, secret })
    });
    keys.collect()
}

fn page(found: &[Row], limit: usize) -> Result<(Vec<Event>, bool), StoreError> {
    let mut page = Filling::new(limit);
    for row in found {
        if !page.take(to_event_at(row, 0)?) {
            break;
        }
    }
    Ok(page.done())
}

pub(super) fn to_room(row: &Row) -> Result<Room, StoreError> {
    let name: &str = at(row, 1)?;
    Ok(Room {
        id: room_id(at(row, 0)?)?,
        name: RoomName::parse(name)
            .map_err(|_| StoreError::Unusable(format!("\"{name}\" is no room's name")))?,
        title: at(row, 2)?,
        topic: at(row, 3)?,
        visibility: visibility_out(at(row, 4)?)?,
        archived: at(row, 5)?,
        head: seq_out(at(row, 6)?)?,
        head_at: at(row, 7)?,
        message_count: seq_out(at(row, 8)?)?,
        last_message_at: at(row, 9)?,
        created_at: at(row, 10)?,
        created_by: UserId::new(at::<&str>(row, 11)?),
        request_key: at(row, 12)?,
    })
}

fn room_id(id: &str) -> Result<RoomId, StoreError> {
    RoomId::parse(id).ok_or_else(|| StoreError::Unusable(format!("\"{id}\" is no room's id")))
}

/// Reads an event whose columns begin at `from`.
pub(super) fn to_event_at(row: &Row, from: usize) -> Result<Event, StoreError> {
    let columns = Columns {
        kind: at(row, from + 2)?,
        content: at(row, from + 8)?,
        reply_to: at(row, from + 9)?,
        title: at(row, from + 10)?,
        topic: at(row, from + 11)?,
        archived: at(row, from + 12)?,
    };
    Ok(Event {
        seq: seq_out(at(row, from)?)?,
        created_at: at(row, from + 1)?,
        actor: User {
            id: UserId::new(at::<&str>(row, from + 3)?),
            name: DisplayName::stored(at(row, from + 4)?),
            guest: at(row, from + 5)?,
        },
        key: RequestKey::stored(at(row, from + 6)?),
        key_is_clients: at(row, from + 7)?,
        body: columns.body()?,
    })
}

/// Reads one column.
pub(super) fn at<'a, T: FromSql<'a>>(row: &'a Row, index: usize) -> Result<T, StoreError> {
    row.try_get(index)
        .map_err(|error| StoreError::Unusable(format!("a value in the store cannot be read: {error}")))
}
