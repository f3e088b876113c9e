//! The way of browsers' sessions to the room service and back.
//!
//! Owns the stream to the room service (one lane), what its sessions asked, which rooms are followed and what is read
//! there. Promises that each room is followed once however many sessions read it, that what a session is told is in order,
//! and that a broken stream is opened again (P3, P5, P8). Never knows JSON or a socket.

use std::{
    collections::HashMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use parlour_chassis::tasks::Tasks;
use parlour_feed::Pools;
use tokio::sync::Notify;

use crate::{limits::Limits, upstream::Upstream};

pub mod audience;
pub mod event;
mod handing;
pub mod history;
pub mod inbox;
pub mod lane;
mod link;
pub mod names;
pub mod presence;
pub mod refusal;
pub mod requests;
pub mod room;
pub mod rooms;
pub mod session;

pub use event::Id;
pub use inbox::{Joined, Told};
pub use refusal::Refusal;
pub use room::Room;
pub use session::{Join, Session};

use history::History;
use lane::Lane;
use names::Names;

/// The relay of this gateway. Clones are handles to the same.
#[derive(Clone, Debug)]
pub struct Relay(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    upstream: Upstream,
    limits: Limits,
    pools: Pools,
    tasks: Tasks,
    incarnation: Id,
    lane: Mutex<Lane>,
    /// There is something to send.
    output: Notify,
    is_ready: AtomicBool,
    /// When the last echo came; before the first, since when one is waited for.
    echoed: Mutex<Instant>,
    history: History,
    names: Names,
}

impl Relay {
    /// Makes the relay; connects when it runs. `tasks` are those of its rooms.
    pub fn build(upstream: Upstream, limits: Limits, tasks: Tasks) -> Self {
        let lane = Lane::new(&limits);
        Self(Arc::new(Shared {
            history: History::new(upstream.clone()),
            names: Names::new(upstream.clone()),
            upstream,
            pools: Pools::new(limits.bounds),
            limits,
            tasks,
            incarnation: rand::random(),
            lane: Mutex::new(lane),
            output: Notify::new(),
            is_ready: AtomicBool::new(false),
            echoed: Mutex::new(now()),
        }))
    }

    /// Whether the room service's echo came within the last 5 s.
    pub fn is_ready(&self) -> bool {
        self.0.is_ready.load(Ordering::Relaxed)
    }

    /// What all rooms and sessions of this gateway hold.
    pub fn pools(&self) -> &Pools {
        &self.0.pools
    }

    /// How long ago the room service's last echo came.
    pub fn echo_age(&self) -> Duration {
        now().saturating_duration_since(*self.0.echoed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The room service's echo came.
    fn echoed(&self) {
        *self.0.echoed.lock().unwrap_or_else(PoisonError::into_inner) = now();
        self.0.is_ready.store(true, Ordering::Relaxed);
    }

    /// A new session, not open yet.
    pub fn session(&self) -> Session {
        Session::new(self.clone())
    }

    /// What can be read of rooms beside their feeds.
    pub fn history(&self) -> &History {
        &self.0.history
    }

    /// Names of rooms by their ids.
    pub fn names(&self) -> &Names {
        &self.0.names
    }

    /// Does something with what is known of sessions and rooms, shortly.
    fn lane<T>(&self, act: impl FnOnce(&mut Lane) -> T) -> T {
        let done = act(&mut self.lock());
        self.0.output.notify_one();
        done
    }

    fn lock(&self) -> MutexGuard<'_, Lane> {
        // A panic under this lock is a fault of ours in one frame; what the lane knows stays whole enough to go on.
        self.0.lane.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Makes a room and starts its driver.
    fn make_room(&self, name: &Arc<str>) -> Arc<Room> {
        let room = Room::new(Arc::clone(name), &self.0.limits, rand::random());
        room.look(|feed| feed.share_in(&self.0.pools));
        let (driven, upstream) = (Arc::clone(&room), self.0.upstream.clone());
        let relay = Arc::downgrade(&self.0);
        let reclaim = move || relay.upgrade().into_iter().for_each(|relay| Self(relay).reclaim_rings());
        self.0.tasks.spawn(async move { driven.drive(upstream, reclaim).await });
        room
    }

    /// Where all rings together are near their bound, lets the longest unread shrink.
    fn reclaim_rings(&self) {
        if self.0.pools.rings.is_short() {
            let all = || self.lock().rooms().cloned().collect::<Vec<_>>();
            let rooms = || all().into_iter().map(|room| (room.look(|feed| feed.ring_read()), room)).collect();
            let shrink = |room: Arc<Room>, excess| room.look(|feed| feed.shrink_ring(excess));
            self.0.pools.rings.reclaim(rooms, shrink);
        }
    }
}

/// The inboxes of the sessions whose sockets are open.
type Inboxes = HashMap<Id, Arc<inbox::Inbox>>;

/// The clock, for those who may read it.
fn now() -> Instant {
    tokio::time::Instant::now().into_std()
}

#[cfg(test)]
mod tests;
