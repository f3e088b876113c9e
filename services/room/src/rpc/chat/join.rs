//! Joining a room.
//!
//! Owns a join from its frame to its `joined`: the pace, the cursor's verdict, the past it brings. Promises that the
//! events that follow a `joined` are exactly those after its cursor (P3), and that a cursor that is of no use is answered
//! with `joined` at the head and then `resync` (P4). Never steps a reader before its `joined` is in the outbox.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_chassis::rates::Rate;
use parlour_feed::{Cursor, ReaderId, ReaderKind, ResyncReason, Verdict};
use parlour_proto::v1::{self, chat_response::Frame as Down};

use super::{
    super::convert,
    frames,
    session::{Done, In, Session, Slot, Stand},
};
use crate::{
    domain::message::Message,
    error::Error,
    hub::{
        presence::What,
        room::LiveRoom,
        signal::{Key, Waker},
    },
    rooms::{
        RoomRef,
        settings::{PAGE_DEFAULT, PAGE_LIMIT, SHOWN_NAMES},
    },
    store::Span,
};

/// Joins of one session.
pub(super) const JOINS: Rate = Rate::every(Duration::from_millis(50), 100);

/// A join under way.
#[derive(Clone, Debug)]
pub(super) struct Joining {
    /// The request's.
    pub(super) id: String,
    /// The room, as it was asked for.
    pub(super) asked: String,
    /// Whether it is one of hello's rooms.
    pub(super) is_hellos: bool,
    cursor: Option<Cursor>,
    history: usize,
    monitor: bool,
}

/// A join whose past is being read.
pub(super) struct Past {
    joining: Joining,
    room: Arc<LiveRoom>,
    /// Where its events will begin.
    at: Cursor,
    /// Why its own cursor was of no use.
    resync: Option<ResyncReason>,
}

impl Session {
    /// Reads a join.
    pub(super) fn joining(&mut self, id: String, join: v1::Join) -> Result<Joining, Error> {
        self.joins.take(Instant::now()).map_err(|retry_after| Error::RateLimited { retry_after })?;
        let history = join.history.map_or(PAGE_DEFAULT, |history| (history as usize).min(PAGE_LIMIT));
        Ok(Joining {
            id,
            asked: join.room,
            is_hellos: false,
            cursor: read_cursor(join.cursor.as_deref().unwrap_or_default())?,
            history,
            monitor: join.monitor,
        })
    }

    /// Joins the rooms of a hello.
    pub(super) fn hello_rooms(&mut self, hello: &v1::Hello) {
        for (asked, cursor) in &hello.rooms {
            let joining = Joining {
                id: String::new(),
                asked: asked.clone(),
                is_hellos: true,
                cursor: None,
                history: 0,
                monitor: false,
            };
            let read = RoomRef::parse(asked).and_then(|room| Ok((room, read_cursor(cursor)?)));
            let (room, cursor) = match read {
                Ok(read) if self.resolving < self.rooms.settings().session_rooms => read,
                Ok(_) => {
                    let most = self.rooms.settings().session_rooms;
                    self.refuse_join(&joining, &Error::TooManyRooms(most));
                    continue;
                }
                Err(refused) => {
                    self.refuse_join(&joining, &refused);
                    continue;
                }
            };
            let (rooms, joining) = (self.rooms.clone(), Joining { cursor, ..joining });
            self.resolving += 1;
            self.work.push(Box::pin(async move { Done::HelloPlace(joining, rooms.place(&room).await) }));
        }
    }

    /// Begins a join, or answers the join of a room one is in.
    pub(super) fn begin_join(&mut self, key: Key, joining: Joining) {
        let most = self.rooms.settings().session_rooms;
        let has_room = self.slots.values().filter(|slot| !matches!(slot.stand, Stand::Out)).count() < most;
        let Some(slot) = self.slots.get_mut(&key) else { return };
        if matches!(slot.stand, Stand::In(_)) {
            return self.join_again(key, &joining);
        }
        if !has_room {
            return self.refuse_join(&joining, &Error::TooManyRooms(most));
        }
        slot.is_busy = true;
        self.load(key, joining);
    }

    fn load(&mut self, key: Key, joining: Joining) {
        let Some(slot) = self.slots.get(&key) else { return };
        let (hub, room) = (self.rooms.hub().clone(), RoomRef::Id(slot.place.id.clone()));
        self.work.push(Box::pin(async move { Done::Loaded(key, joining, hub.load(&room).await) }));
    }

    /// The room was loaded, or not.
    pub(super) fn loaded(&mut self, key: Key, joining: Joining, loaded: Result<Arc<LiveRoom>, Error>) {
        let room = match loaded {
            Ok(room) => room,
            Err(refused) => return self.join_failed(key, &joining, &refused),
        };
        let waker = Waker::new(&self.signal, key);
        let begun = room.enter(|live, now| {
            if live.room().archived {
                return Err(Error::RoomArchived);
            }
            Ok(joining.cursor.map(|cursor| {
                let reader = live.join(ReaderKind::Log, Some(cursor), waker);
                (reader, live.verify(reader, now))
            }))
        });
        match begun {
            None => self.load(key, joining), // it left memory in between
            Some(Err(refused)) => self.join_failed(key, &joining, &refused),
            Some(Ok(Some((reader, verdict)))) => self.verdict(key, joining, room, reader, verdict),
            Some(Ok(None)) => {
                let at = room.with(|live, _| live.position());
                self.read_past(key, Past { joining, room, at, resync: None });
            }
        }
    }

    /// The log may have said whether a joiner's cursor is usable.
    pub(super) fn verify(&mut self, key: Key) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let Stand::Verifying(joining, room, reader) = std::mem::replace(&mut slot.stand, Stand::Out) else {
            return;
        };
        if room.is_lost() {
            room.with(|live, now| live.part(reader, now));
            return self.join_failed(key, &joining, &Error::RoomNotFound);
        }
        let verdict = room.with(|live, now| live.verify(reader, now));
        self.verdict(key, joining, room, reader, verdict);
    }

    fn verdict(
        &mut self,
        key: Key,
        joining: Joining,
        room: Arc<LiveRoom>,
        reader: ReaderId,
        verdict: Verdict,
    ) {
        match verdict {
            Verdict::Usable => {
                let at = joining.cursor.unwrap_or_else(|| room.with(|live, _| live.position()));
                self.admit(key, &joining, room, reader, at, (Vec::new(), false));
            }
            Verdict::Resync { cursor, reason } => {
                room.with(|live, now| live.part(reader, now)); // it comes back with its `joined`
                self.read_past(key, Past { joining, room, at: cursor, resync: Some(reason) });
            }
            Verdict::Unknown => {
                if let Some(slot) = self.slots.get_mut(&key) {
                    slot.stand = Stand::Verifying(joining, room, reader);
                }
            }
        }
    }

    /// Reads the newest messages that are not above where the events will begin.
    fn read_past(&mut self, key: Key, past: Past) {
        let (rooms, id) = (self.rooms.clone(), past.room.place.id.clone());
        let (span, limit) = (Span::Before(past.at.seq.saturating_add(1)), past.joining.history);
        let page = async move { rooms.messages_of(&id, span, limit).await };
        self.read(page, move |read, turn| Done::Past(key, past, read, turn));
    }

    /// The past was read, or not.
    pub(super) fn past_read(&mut self, key: Key, past: Past, read: Result<(Vec<Message>, bool), Error>) {
        let Past { joining, room, at, resync } = past;
        let messages = match read {
            Ok(messages) => messages,
            Err(refused) => return self.join_failed(key, &joining, &refused),
        };
        let waker = Waker::new(&self.signal, key);
        let reader = room.enter(|live, _| live.join(ReaderKind::Log, Some(at), waker));
        let Some(reader) = reader else { return self.load(key, joining) }; // it left memory in between
        self.admit(key, &joining, Arc::clone(&room), reader, at, messages);
        if let Some(reason) = resync {
            self.say("", frames::resync(&room.place.name, at, reason));
        }
    }

    /// The session is in the room: its presence, its `joined`, and from then on its reader.
    fn admit(
        &mut self,
        key: Key,
        joining: &Joining,
        room: Arc<LiveRoom>,
        reader: ReaderId,
        at: Cursor,
        (messages, more): (Vec<Message>, bool),
    ) {
        let Some(user) = self.user.clone() else { return };
        let (id, owner, monitor, has_past) = (self.id, self.owner, joining.monitor, self.has_past);
        let (info, update) = room.with(|live, now| {
            if has_past {
                live.returns(&user.id);
            }
            if !monitor {
                live.enter(id, user, owner, now);
            }
            (convert::room_info(live.room()), live.presence(reader, None, SHOWN_NAMES, now))
        });
        let users = if let What::Whole(users) = &update.what {
            users.iter().map(convert::user).collect()
        } else {
            vec![]
        };
        let joined = v1::Joined {
            room: room.place.name.to_string(),
            info: Some(info),
            cursor: at.to_string(),
            messages: messages.into_iter().map(convert::message).collect(),
            more,
            users,
            count: u32::try_from(update.count).unwrap_or(u32::MAX),
        };
        let (told, is_whole) = (update.version, update.is_whole_after(false));
        let inside = In { room, reader, monitor, told, is_whole, presence_owed: None, head: at, typed: None };
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.stand = Stand::In(inside);
        }
        self.say(&joining.id, Down::Joined(joined));
        self.dirty.push_back(key); // what its reader was woken for meanwhile
        self.finished(key);
    }

    fn join_again(&mut self, key: Key, joining: &Joining) {
        let Some(user) = self.user.clone() else { return };
        let Some(Slot { place, stand: Stand::In(inside), .. }) = self.slots.get_mut(&key) else { return };
        inside.monitor = joining.monitor;
        let (id, owner, monitor, reader) = (self.id, self.owner, joining.monitor, inside.reader);
        let (info, at, update) = inside.room.with(|live, now| {
            if monitor {
                live.monitor(id, owner, now);
            } else {
                live.enter(id, user, owner, now);
            }
            let at = live.reader_position(reader).unwrap_or_else(|| live.position());
            (convert::room_info(live.room()), at, live.presence(reader, None, SHOWN_NAMES, now))
        });
        (inside.told, inside.is_whole) = (update.version, update.is_whole_after(false));
        let users = if let What::Whole(users) = &update.what {
            users.iter().map(convert::user).collect()
        } else {
            vec![]
        };
        let joined = v1::Joined {
            room: place.name.to_string(),
            info: Some(info),
            cursor: at.to_string(),
            users,
            count: u32::try_from(update.count).unwrap_or(u32::MAX),
            ..v1::Joined::default()
        };
        self.say(&joining.id, Down::Joined(joined));
    }

    fn join_failed(&mut self, key: Key, joining: &Joining, refused: &Error) {
        self.refuse_join(joining, refused);
        self.finished(key);
    }
}

/// Reads a cursor; an empty one is none.
fn read_cursor(text: &str) -> Result<Option<Cursor>, Error> {
    if text.is_empty() {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| Error::InvalidCursor("cursor"))
}
