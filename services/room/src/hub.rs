//! The live side of the rooms.
//!
//! Owns which rooms are live in this process, and the way of what was appended to those who follow. Promises that an
//! appended event reaches its live room in seq order, and that a room's name, once seen, is found without the store.
//! Never decides what a room allows.

pub mod presence;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use parlour_chassis::tasks::Tasks;
use parlour_feed::cursor::Cursor;

use crate::{
    domain::{event::Event, ids::RoomId, message::User, room::RoomName},
    rooms::{Place, RoomRef, Settings},
    store::{AnyStore, writer::Published},
};

/// Names remembered beside the live rooms'; beyond, they are forgotten and asked again.
const NAMES: usize = 10_000;

/// The live rooms. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    names: Mutex<HashMap<RoomName, RoomId>>,
}

impl Hub {
    /// No room is live.
    pub fn new(_store: Arc<AnyStore>, _settings: Settings, _tasks: Tasks) -> Self {
        Self(Arc::new(Inner { names: Mutex::default() }))
    }

    /// Where a room is, if its name was seen before. An id says nothing of a name, so ids are asked of the store.
    pub fn known(&self, room: &RoomRef) -> Option<Place> {
        let RoomRef::Name(name) = room else { return None };
        let id = self.names().get(name).cloned()?;
        Some(Place { id, name: name.clone() })
    }

    /// Remembers where a room is: neither its name nor its id ever changes.
    pub fn remember(&self, place: &Place) {
        let mut names = self.names();
        if names.len() >= NAMES {
            names.clear();
        }
        names.insert(place.name.clone(), place.id.clone());
    }

    /// How many people are present in a room.
    pub fn online(&self, room: &RoomId) -> usize {
        self.present(room, 0).1
    }

    /// The first `limit` people present in a room, in order of arrival, and how many there are.
    pub fn present(&self, _room: &RoomId, _limit: usize) -> (Vec<User>, usize) {
        (Vec::new(), 0)
    }

    fn names(&self) -> MutexGuard<'_, HashMap<RoomName, RoomId>> {
        self.0.names.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Published for Hub {
    fn appended(&self, _room: &RoomId, _prev: Cursor, _event: &Arc<Event>) {}

    fn reached(&self, _room: &RoomId, _at: Cursor) {}
}
