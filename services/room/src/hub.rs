//! The live side of the rooms.
//!
//! Owns which rooms are live in this process, and the way of what was appended to those who follow. Promises that an
//! appended event reaches its live room in seq order, that those who ask for one room at once share one load, and that a
//! room nobody is in leaves memory (P8). Never decides what a room allows.

pub mod lanes;
pub mod live;
pub mod presence;
pub mod probe;
pub mod room;
pub mod signal;

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Instant,
};

use metrics::{Gauge, gauge};
use parlour_chassis::tasks::Tasks;
use parlour_feed::{Pools, cursor::Cursor};
use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;

use self::{
    lanes::Lanes,
    live::Live,
    presence::Owner,
    room::{Driver, LiveRoom},
    signal::Waker,
};
use crate::{
    domain::{
        event::Event,
        ids::{RoomId, SessionId},
        message::User,
        room::{Room, RoomName},
    },
    error::Error,
    rooms::{Place, RoomRef, Settings},
    store::{AnyStore, Store, StoreError, writer::Published},
};

/// Names remembered beside the live rooms'; beyond, they are forgotten and asked again.
const NAMES: usize = 10_000;

/// The live rooms. Clones are handles to the same ones.
#[derive(Clone)]
pub struct Hub(Arc<Inner>);

struct Inner {
    store: Arc<AnyStore>,
    settings: Settings,
    pools: Pools,
    tasks: Tasks,
    incarnation: [u8; 16],
    started: Instant,
    registry: Mutex<Registry>,
    lanes: Mutex<Lanes>,
    live_rooms: Gauge,
}

type Loaded = Result<Option<Arc<LiveRoom>>, StoreError>;

#[derive(Default)]
struct Registry {
    live: HashMap<RoomId, Arc<LiveRoom>>,
    names: HashMap<RoomName, Place>,
    loading: HashMap<RoomRef, Vec<oneshot::Sender<Loaded>>>,
}

impl Hub {
    /// No room is live. Live rooms are tasks of `tasks`.
    pub fn new(store: Arc<AnyStore>, settings: Settings, tasks: Tasks) -> Self {
        let live_rooms = gauge!("parlour_room_live_rooms");
        live_rooms.set(0.0);
        Self(Arc::new(Inner {
            store,
            pools: Pools::new(settings.bounds),
            settings,
            tasks,
            incarnation: *SessionId::generate().as_bytes(),
            started: Instant::now(),
            registry: Mutex::default(),
            lanes: Mutex::default(),
            live_rooms,
        }))
    }

    /// What all rooms and streams of this service hold.
    pub fn pools(&self) -> &Pools {
        &self.0.pools
    }

    /// This replica's incarnation.
    pub fn incarnation(&self) -> [u8; 16] {
        self.0.incarnation
    }

    /// Where a room is, if it is live or its name was seen before.
    pub fn known(&self, room: &RoomRef) -> Option<Place> {
        let registry = self.registry();
        match room {
            RoomRef::Name(name) => registry.names.get(name).cloned(),
            RoomRef::Id(id) => registry.live.get(id).map(|live| Place::clone(&live.place)),
        }
    }

    /// Remembers where a room is: neither its name nor its id ever changes.
    pub fn remember(&self, place: &Place) {
        self.registry().remember(place);
    }

    /// Forgets where a room was: the store does not have it under that id.
    pub fn forget(&self, room: &RoomId) {
        self.registry().names.retain(|_, place| place.id != *room);
    }

    /// How many people are present in a room.
    pub fn online(&self, room: &RoomId) -> usize {
        self.present(room, 0).1
    }

    /// The first `limit` people present in a room, in order of arrival, and how many there are.
    pub fn present(&self, room: &RoomId, limit: usize) -> (Vec<User>, usize) {
        let live = self.registry().live.get(room).cloned();
        live.map_or_else(Default::default, |live| live.with(|live, _| live.present(limit)))
    }

    /// The live room, if it is live.
    pub fn live(&self, room: &RoomId) -> Option<Arc<LiveRoom>> {
        self.registry().live.get(room).cloned()
    }

    /// Enters a room, which is loaded where it is not live: does `work` with it, and returns it.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn enter<R>(
        &self,
        room: &RoomRef,
        mut work: impl FnMut(&mut Live<Waker>, Instant) -> R,
    ) -> Result<(Arc<LiveRoom>, R), Error> {
        loop {
            let live = self.load(room).await?;
            if let Some(result) = live.enter(&mut work) {
                return Ok((live, result));
            } // it left memory in between
        }
    }

    /// The live room, loaded where it is not live yet; those who ask at once share one load.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn load(&self, room: &RoomRef) -> Result<Arc<LiveRoom>, Error> {
        let loaded = {
            let mut registry = self.registry();
            if let Some(live) = registry.find(room) {
                return Ok(live);
            }
            let (loaded_tx, loaded) = oneshot::channel();
            let waiting = registry.loading.entry(room.clone()).or_default();
            waiting.push(loaded_tx);
            if waiting.len() == 1 {
                self.0.tasks.spawn(self.clone().load_for_all(room.clone()));
            }
            loaded
        };
        match tokio::time::timeout(self.0.settings.request, loaded).await {
            Ok(Ok(loaded)) => loaded?.ok_or(Error::RoomNotFound),
            Ok(Err(_)) => Err(Error::Busy), // about to stop
            Err(_) => Err(Error::TimedOut),
        }
    }

    /// A stream of a gateway attaches; the token tells it that a newer one of its lane has. `None`: one has already.
    pub fn attach(&self, owner: Owner) -> Option<CancellationToken> {
        self.lanes().attach(owner, Instant::now())
    }

    /// A stream of a gateway has ended.
    pub fn detached(&self, owner: Owner) {
        self.lanes().ended(owner, Instant::now());
    }

    /// Checks that the parts of every live room agree.
    ///
    /// # Errors
    /// A sentence that says what does not.
    pub fn check_invariants(&self) -> Result<(), String> {
        let live: Vec<_> = self.registry().live.values().cloned().collect();
        live.iter().try_for_each(|room| room.with(|live, _| live.check_invariants()))
    }

    /// Where all rings together are near their bound, lets the longest unread shrink.
    fn reclaim_rings(&self) {
        let live = || self.registry().live.values().cloned().collect::<Vec<_>>();
        let rooms = || live().into_iter().map(|room| (room.ring_read(), room)).collect();
        self.0.pools.rings.reclaim(rooms, |room: Arc<LiveRoom>, excess| room.shrink_ring(excess));
    }

    /// Lets a room leave memory if nobody has been in it for long enough, or the log has it no longer; whether it has.
    fn evict(&self, room: &Arc<LiveRoom>) -> bool {
        let mut registry = self.registry();
        if !room.retire(Instant::now()) {
            return false;
        }
        if registry.live.get(&room.place.id).is_some_and(|live| Arc::ptr_eq(live, room)) {
            registry.live.remove(&room.place.id); // else it was lost, and is back
        }
        if room.is_lost() {
            registry.names.retain(|_, place| place.id != room.place.id);
        }
        self.0.live_rooms.set(registry.live.len() as f64);
        true
    }

    async fn load_for_all(self, room: RoomRef) {
        let found = match &room {
            RoomRef::Name(name) => self.0.store.room_by_name(name).await,
            RoomRef::Id(id) => self.0.store.room_by_id(id).await,
        };
        let mut registry = self.registry();
        let loaded = found.map(|found| found.map(|found| self.open(&mut registry, found)));
        let waiting = registry.loading.remove(&room).unwrap_or_default();
        drop(registry);
        for loaded_tx in waiting {
            let _ = loaded_tx.send(loaded.clone()); // whoever asked may have gone
        }
    }

    /// Makes a room live. What was appended since it was read is found by its driver's first look at the head.
    fn open(&self, registry: &mut Registry, room: Room) -> Arc<LiveRoom> {
        if let Some(live) = registry.live.get(&room.id).filter(|live| !live.is_lost()) {
            return Arc::clone(live);
        }
        let now = Instant::now();
        let settling_until = self.0.started + self.0.settings.grace_broken;
        let live = Live::new(room, &self.0.settings, settling_until, rand::random(), now);
        let live = live.within(&self.0.pools);
        let live = Arc::new(LiveRoom::new(live, self.0.pools.rings.clone()));
        let driver = Driver::new(Arc::clone(&live), self.clone(), Arc::clone(&self.0.store));
        self.0.tasks.spawn(driver.run(self.0.tasks.drain().clone()));
        registry.remember(&live.place);
        registry.live.insert(live.place.id.clone(), Arc::clone(&live));
        self.0.live_rooms.set(registry.live.len() as f64);
        live
    }

    fn registry(&self) -> MutexGuard<'_, Registry> {
        self.0.registry.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn lanes(&self) -> MutexGuard<'_, Lanes> {
        self.0.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Registry {
    fn find(&self, room: &RoomRef) -> Option<Arc<LiveRoom>> {
        let id = match room {
            RoomRef::Name(name) => &self.names.get(name)?.id,
            RoomRef::Id(id) => id,
        };
        self.live.get(id).filter(|live| !live.is_lost()).cloned()
    }

    fn remember(&mut self, place: &Place) {
        if self.names.len() >= NAMES {
            self.names.clear();
        }
        self.names.insert(place.name.clone(), place.clone());
    }
}

impl Published for Hub {
    fn appended(&self, room: &RoomId, prev: Cursor, event: &Arc<Event>) {
        if let Some(live) = self.live(room) {
            live.with(|live, now| live.appended(prev, Arc::clone(event), now));
        }
    }

    fn reached(&self, room: &RoomId, at: Cursor) {
        if let Some(live) = self.live(room) {
            live.with(|live, now| live.head(at, now));
        }
    }
}

#[cfg(test)]
mod tests;
