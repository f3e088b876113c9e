//! Appending to PostgreSQL.
//!
//! Owns the transaction of a batch: one call of a function of ours, which locks the rooms and appends. Promises P2 and P5
//! whatever other replicas do meanwhile, that a draft at fault is refused alone, and that a batch whose outcome is not
//! known is given again until it is. Never leaves a transaction half done.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
    time::Duration,
};

use parlour_chassis::backoff::Backoff;
use parlour_feed::cursor::{Check, Cursor};
use tokio::time::{Instant, timeout_at};
use tokio_postgres::{
    Client, Row,
    types::{ToSql, Type},
};

use super::{
    failure::Failure,
    read::{self, at, to_event_at},
    session::{CALL_WITHIN, Sessions},
};
use crate::{
    domain::event::{Draft, Event},
    store::{
        Appended, StoreError,
        batch::Plan,
        row::{Columns, seq_out},
    },
};

/// Made by the schema, see there. One statement, and a transaction of its own where none is open.
const APPEND: &str =
    "select * from append_events($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";
/// What a session may be set to is set anew, for this transaction alone.
const BEGIN: &str = "begin isolation level read committed; \
    set local statement_timeout = '4s'; set local idle_in_transaction_session_timeout = '5s'";

/// How often a batch is given again within the time of a call.
const TRIES: u32 = 8;

/// What to do about a room that another replica holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Held {
    /// Wait for it, briefly.
    Wait,
    /// Go on without it.
    Skip,
}

pub(super) async fn append(sessions: &Sessions, drafts: &[Draft]) -> Result<Vec<Appended>, StoreError> {
    let deadline = Instant::now() + CALL_WITHIN;
    let mut answers = Vec::with_capacity(drafts.len());
    // What is still to be appended, the next on top. A part with a draft at fault is halved until that one is alone.
    let mut parts = vec![drafts];
    while let Some(part) = parts.pop() {
        match insist(sessions, part, deadline).await {
            Ok(of_part) => answers.extend(of_part),
            Err(Failure::Values) if part.len() > 1 => {
                let (left, right) = part.split_at(part.len() / 2);
                parts.extend([right, left]);
            }
            Err(Failure::Values) => answers.push(at_fault(sessions, &part[0]).await?),
            Err(failure) => return Err(failure.into()),
        }
    }
    Ok(answers)
}

/// Answers a draft whose values the log does not take: it may still be a repeat, or have no place to go.
async fn at_fault(sessions: &Sessions, draft: &Draft) -> Result<Appended, StoreError> {
    match read::event_by_key(sessions, &draft.room, &draft.actor.id, &draft.key).await {
        Ok(Some(event)) => return Ok(Appended::Repeat(Arc::new(event))),
        Ok(None) | Err(Failure::Values) => {} // its key may be what is at fault
        Err(failure) => return Err(failure.into()),
    }
    match read::room_by_id(sessions, &draft.room).await? {
        None => Ok(Appended::Missing),
        Some(room) if room.archived => Ok(Appended::Archived),
        Some(room) => {
            tracing::warn!(room.id = %room.id, "the store refused an event");
            Ok(Appended::Refused)
        }
    }
}

/// Gives a batch until its outcome is known, or the time is up.
async fn insist(sessions: &Sessions, drafts: &[Draft], deadline: Instant) -> Result<Vec<Appended>, Failure> {
    let mut held = Held::Wait;
    let mut pause = Backoff::new(Duration::from_millis(10), Duration::from_millis(300));
    let mut failure = Failure::Store(StoreError::Unavailable("PostgreSQL does not answer in time".into()));
    for _ in 0..TRIES {
        match timeout_at(deadline, attempt(sessions, drafts, held)).await {
            Ok(Err(Failure::Locked)) if held == Held::Wait => held = Held::Skip,
            Ok(Err(again @ (Failure::Lost(_) | Failure::Again(_) | Failure::Locked))) => {
                tracing::debug!(?again, drafts = drafts.len(), "a batch is given again");
                failure = again;
                if timeout_at(deadline, tokio::time::sleep(pause.next_delay())).await.is_err() {
                    break;
                }
            }
            Ok(known) => return known,
            Err(_) => break,
        }
    }
    Err(failure)
}

/// Gives a batch once.
async fn attempt(sessions: &Sessions, drafts: &[Draft], held: Held) -> Result<Vec<Appended>, Failure> {
    let plan = Plan::of(drafts);
    let session = sessions.session().await?;
    let rows = if let [wave] = &plan.waves[..] {
        let rows = Params::of(drafts, wave, held).append(&session).await;
        session.whole(); // whatever came of it, it is answered to its end
        wave.iter().copied().zip(rows?).collect()
    } else {
        let rows = in_turn(&session, drafts, &plan.waves, held).await?; // on an error the connection is closed
        session.whole();
        rows
    };
    let mut answers = HashMap::with_capacity(rows.len());
    for (index, row) in rows {
        answers.insert(index, answer(&drafts[index], &row)?);
    }
    plan.answers(answers)
        .ok_or_else(|| Failure::Store(StoreError::Unusable("PostgreSQL did not answer every draft".into())))
}

/// A batch that changes a room before its end: its waves one after the other, in one transaction.
async fn in_turn(
    client: &Client,
    drafts: &[Draft],
    waves: &[Vec<usize>],
    held: Held,
) -> Result<Vec<(usize, Row)>, Failure> {
    client.batch_execute(BEGIN).await?;
    let mut rows = Vec::with_capacity(drafts.len());
    for wave in waves {
        rows.extend(wave.iter().copied().zip(Params::of(drafts, wave, held).append(client).await?));
    }
    client.batch_execute("commit").await?;
    Ok(rows)
}

/// What the function is given: the rooms of the batch and what to do about those held, then the drafts of a wave, a list a
/// column.
#[derive(Default)]
struct Params<'a> {
    of_rooms: Vec<&'a str>,
    free_only: bool,
    rooms: Vec<&'a str>,
    actor_ids: Vec<&'a str>,
    actor_names: Vec<&'a str>,
    actor_guests: Vec<bool>,
    keys: Vec<&'a str>,
    keys_are_clients: Vec<bool>,
    kinds: Vec<&'a str>,
    contents: Vec<Option<&'a str>>,
    reply_tos: Vec<Option<i64>>,
    titles: Vec<Option<&'a str>>,
    topics: Vec<Option<&'a str>>,
    archiveds: Vec<Option<bool>>,
}

impl<'a> Params<'a> {
    fn of(drafts: &'a [Draft], wave: &[usize], held: Held) -> Self {
        let of_rooms = drafts.iter().map(|draft| draft.room.as_str()).collect::<BTreeSet<_>>();
        let mut params = Self {
            of_rooms: of_rooms.into_iter().collect(),
            free_only: held == Held::Skip,
            ..Self::default()
        };
        for draft in wave.iter().map(|index| &drafts[*index]) {
            let columns = Columns::of(&draft.body);
            params.rooms.push(draft.room.as_str());
            params.actor_ids.push(draft.actor.id.as_str());
            params.actor_names.push(draft.actor.name.as_str());
            params.actor_guests.push(draft.actor.guest);
            params.keys.push(draft.key.as_str());
            params.keys_are_clients.push(draft.key_is_clients);
            params.kinds.push(columns.kind);
            params.contents.push(columns.content);
            params.reply_tos.push(columns.reply_to);
            params.titles.push(columns.title);
            params.topics.push(columns.topic);
            params.archiveds.push(columns.archived);
        }
        params
    }

    async fn append(&self, client: &Client) -> Result<Vec<Row>, tokio_postgres::Error> {
        let params: [(&(dyn ToSql + Sync), Type); 14] = [
            (&self.of_rooms, Type::TEXT_ARRAY),
            (&self.free_only, Type::BOOL),
            (&self.rooms, Type::TEXT_ARRAY),
            (&self.actor_ids, Type::TEXT_ARRAY),
            (&self.actor_names, Type::TEXT_ARRAY),
            (&self.actor_guests, Type::BOOL_ARRAY),
            (&self.keys, Type::TEXT_ARRAY),
            (&self.keys_are_clients, Type::BOOL_ARRAY),
            (&self.kinds, Type::TEXT_ARRAY),
            (&self.contents, Type::TEXT_ARRAY),
            (&self.reply_tos, Type::INT8_ARRAY),
            (&self.titles, Type::TEXT_ARRAY),
            (&self.topics, Type::TEXT_ARRAY),
            (&self.archiveds, Type::BOOL_ARRAY),
        ];
        client.query_typed(APPEND, &params).await
    }
}

fn answer(draft: &Draft, row: &Row) -> Result<Appended, Failure> {
    read_answer(draft, row).map_err(Failure::Store)
}

fn read_answer(draft: &Draft, row: &Row) -> Result<Appended, StoreError> {
    Ok(match at::<&str>(row, 1)? {
        "new" => {
            let event = Event {
                seq: seq_out(at(row, 3)?)?,
                created_at: at(row, 4)?,
                actor: draft.actor.clone(),
                key: draft.key.clone(),
                key_is_clients: draft.key_is_clients,
                body: draft.body.clone(),
            };
            let check = Check::of(draft.room.as_str(), at(row, 2)?);
            Appended::New { prev: Cursor { check, seq: event.seq - 1 }, event: Arc::new(event) }
        }
        "repeat" => Appended::Repeat(Arc::new(to_event_at(row, 3)?)),
        "archived" => Appended::Archived,
        "held" => Appended::Held,
        _ => Appended::Missing,
    })
}
