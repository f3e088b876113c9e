//! Which rooms this gateway follows, and for whom.
//!
//! Owns the sessions of each room (admitted, joining, closed within their grace) and when a room is no longer worth
//! following. Promises that a room is followed once, from its first session to shortly after its last, and that a
//! re-attached room names everybody whose lease must live. Never waits, reads a clock or names a runtime.

use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_feed::{
    ReaderId,
    planted::{self, Mistake},
};
use parlour_proto::v1 as proto;

use super::event::{Id, id_bytes};

/// How long a room is followed after its last session.
pub const IDLE: Duration = Duration::from_secs(10);

/// A session in a room.
#[derive(Debug, Default)]
struct Seat {
    reader: Option<ReaderId>,
    joins: u32,
    name: String,
    is_monitor: bool,
    as_of: u64,
}

#[derive(Debug)]
struct Closing {
    session: Id,
    name: String,
    until: Instant,
    /// Its join had no answer: it may have been admitted, and others told of it.
    is_joining: bool,
}

/// A room and who is in it. `R` is the room itself.
#[derive(Debug)]
struct Followed<R> {
    room: R,
    seats: HashMap<Id, Seat>,
    closing: Vec<Closing>,
    idle_since: Option<Instant>,
}

/// The rooms of one lane.
#[derive(Debug)]
pub struct Rooms<R> {
    rooms: HashMap<Arc<str>, Followed<R>>,
    /// The rooms of each session, which are few.
    of: HashMap<Id, Vec<Arc<str>>>,
}

impl<R: Clone> Default for Rooms<R> {
    fn default() -> Self {
        Self { rooms: HashMap::new(), of: HashMap::new() }
    }
}

impl<R: Clone> Rooms<R> {
    /// How many rooms are followed.
    pub fn len(&self) -> usize {
        self.rooms.len()
    }

    /// Whether none is.
    pub fn is_empty(&self) -> bool {
        self.rooms.is_empty()
    }

    /// A room that is followed.
    pub fn get(&self, room: &str) -> Option<&R> {
        self.rooms.get(room).map(|followed| &followed.room)
    }

    /// All rooms that are followed.
    pub fn all(&self) -> impl Iterator<Item = &R> {
        self.rooms.values().map(|followed| &followed.room)
    }

    /// A session asks to join a room; a room that nobody was in is made, and returned: it is to be followed.
    pub fn enter(&mut self, id: Id, room: &Arc<str>, make: impl FnOnce() -> R) -> Option<R> {
        // One name for all who are here; and most sessions are in one room.
        let room = &self.rooms.get_key_value(room).map_or(room, |(name, _)| name).clone();
        let rooms = self.of.entry(id).or_insert_with(|| Vec::with_capacity(1));
        if !rooms.contains(room) {
            rooms.push(Arc::clone(room));
        }
        let mut made = None;
        let followed = self.rooms.entry(Arc::clone(room)).or_insert_with(|| {
            let room = make();
            made = Some(room.clone());
            Followed { room, seats: HashMap::new(), closing: Vec::new(), idle_since: None }
        });
        followed.seats.entry(id).or_default().joins += 1;
        followed.idle_since = None;
        made
    }

    /// The room service admitted a session. Returns the reader it has already, when it was in the room before; `None`
    /// when it asked no longer.
    pub fn admit(
        &mut self,
        id: Id,
        room: &str,
        as_of: u64,
        name: String,
        is_monitor: bool,
    ) -> Option<Option<ReaderId>> {
        let seat = self.rooms.get_mut(room)?.seats.get_mut(&id)?;
        seat.joins = seat.joins.saturating_sub(1);
        (seat.as_of, seat.name, seat.is_monitor) = (as_of, name, is_monitor);
        Some(seat.reader)
    }

    /// The session reads the room with that reader.
    pub fn seat(&mut self, id: Id, room: &str, reader: ReaderId) {
        if let Some(seat) = self.rooms.get_mut(room).and_then(|followed| followed.seats.get_mut(&id)) {
            seat.reader = Some(reader);
        }
    }

    /// A join was refused: a session that was not in the room before is not now.
    pub fn refuse(&mut self, id: Id, room: &str, now: Instant) {
        let Some(seat) = self.rooms.get_mut(room).and_then(|followed| followed.seats.get_mut(&id)) else {
            return;
        };
        seat.joins = seat.joins.saturating_sub(1);
        if seat.joins == 0 && seat.reader.is_none() {
            self.leave(id, room, now);
        }
    }

    /// A session is in a room no longer. Returns its reader, which ends.
    pub fn leave(&mut self, id: Id, room: &str, now: Instant) -> Option<(R, ReaderId)> {
        if let Some(rooms) = self.of.get_mut(&id) {
            rooms.retain(|other| **other != *room);
            if rooms.is_empty() {
                self.of.remove(&id);
            }
        }
        let followed = self.rooms.get_mut(room)?;
        let seat = followed.seats.remove(&id)?;
        if followed.seats.is_empty() {
            followed.idle_since = Some(now);
        }
        seat.reader.map(|reader| (followed.room.clone(), reader))
    }

    /// Whether a session is in a room, or has asked to be.
    pub fn is_in(&self, id: &Id, room: &str) -> bool {
        self.rooms.get(room).is_some_and(|followed| followed.seats.contains_key(id))
    }

    /// Every room that is followed.
    pub fn iter(&self) -> impl Iterator<Item = &R> {
        self.rooms.values().map(|followed| &followed.room)
    }

    /// A session has closed; its leases live for `grace`. Returns its readers, which end.
    pub fn close(&mut self, id: Id, grace: Duration, now: Instant) -> Vec<(R, ReaderId)> {
        let rooms = self.of.remove(&id).unwrap_or_default();
        let mut ended = Vec::new();
        for room in rooms {
            let Some(followed) = self.rooms.get_mut(&room) else { continue };
            let Some(seat) = followed.seats.remove(&id) else { continue };
            if followed.seats.is_empty() {
                followed.idle_since = Some(now);
            }
            let is_joining = seat.reader.is_none();
            ended.extend(seat.reader.map(|reader| (followed.room.clone(), reader)));
            if is_joining || !seat.is_monitor {
                followed.closing.retain(|closing| closing.until > now);
                let until = now + grace;
                followed.closing.push(Closing { session: id, name: seat.name, until, is_joining });
            }
        }
        ended
    }

    /// When the next room has been idle for long enough.
    pub fn deadline(&self) -> Option<Instant> {
        self.rooms.values().filter_map(|followed| followed.idle_since).min().map(|since| since + IDLE)
    }

    /// Forgets the rooms that nobody has been in for a while, and returns them: they are followed no longer.
    pub fn expire(&mut self, now: Instant) -> Vec<(Arc<str>, R)> {
        let idle = |followed: &mut Followed<R>| followed.idle_since.is_some_and(|since| since + IDLE <= now);
        self.rooms
            .extract_if(|_, followed| idle(followed))
            .map(|(name, followed)| (name, followed.room))
            .collect()
    }

    /// What a new stream says of every room: the position, for the caller to fill in, and who must be kept.
    pub fn roster(&mut self, now: Instant) -> Vec<(R, proto::Follow)> {
        let mut follows: Vec<_> =
            self.rooms.iter_mut().map(|(name, followed)| followed.follow(name, now)).collect();
        follows.sort_unstable_by(|(_, one), (_, other)| one.room.cmp(&other.room)); // the same from the same past
        follows
    }
}

impl<R: Clone> Followed<R> {
    fn follow(&mut self, name: &str, now: Instant) -> (R, proto::Follow) {
        self.closing.retain(|closing| closing.until > now);
        let mut seats: Vec<_> = self.seats.iter().collect();
        seats.sort_unstable_by_key(|(id, _)| *id);
        let joining = seats.iter().filter(|(_, seat)| seat.reader.is_none()).map(|(id, _)| *id);
        let left = self.closing.iter().filter(|closing| closing.is_joining).map(|closing| &closing.session);
        let follow = proto::Follow {
            room: name.to_owned(),
            position: String::new(),
            admitted: seats.iter().filter_map(|(id, seat)| admitted(id, seat)).collect(),
            closing: self.closing_entries(now),
            joining: joining.chain(left).map(id_bytes).collect(),
        };
        (self.room.clone(), follow)
    }

    fn closing_entries(&self, now: Instant) -> Vec<proto::ClosingEntry> {
        if planted::makes(Mistake::RosterWithoutTheClosing) {
            return Vec::new();
        }
        self.closing.iter().map(|closing| closing_entry(closing, now)).collect()
    }
}

fn admitted(id: &Id, seat: &Seat) -> Option<proto::RosterEntry> {
    seat.reader?;
    Some(proto::RosterEntry {
        session: id_bytes(id),
        name: seat.name.clone(),
        monitor: seat.is_monitor,
        as_of: seat.as_of,
    })
}

fn closing_entry(closing: &Closing, now: Instant) -> proto::ClosingEntry {
    let left = closing.until.saturating_duration_since(now).as_millis();
    proto::ClosingEntry {
        session: id_bytes(&closing.session),
        name: closing.name.clone(),
        grace_ms: u32::try_from(left).unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests;
