//! A live room's task.
//!
//! Owns the lock around a live room, its timers and its reads of the log. Promises short critical sections, effects
//! outside of them, and that every read is answered. Never decides anything: the live room does.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use futures_util::{StreamExt, future::BoxFuture, stream::FuturesUnordered};
use metrics::{Counter, counter};
use parlour_feed::{Counters, LogRead, Page, Pool, Read};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    Hub,
    live::{Effects, Fact, Live},
    signal::Waker,
};
use crate::{
    domain::room::Room,
    rooms::Place,
    store::{AnyStore, Store, StoreError},
};

/// How long to wait before a room that could not be read is read again.
const RETRY: Duration = Duration::from_millis(500);

/// A live room: what everybody in the process shares of it.
#[derive(Debug)]
pub struct LiveRoom {
    /// Where it stands for good.
    pub place: Arc<Place>,
    state: Mutex<State>,
    driver: Notify,
    /// What all rings hold.
    rings: Pool,
}

/// What a live room's driver is to do.
#[derive(Debug)]
pub struct Due {
    /// What must be read from the log.
    pub reads: Vec<Read>,
    /// Whether the room itself must be read again.
    pub room_is_stale: bool,
    /// When to look again, though nothing came in.
    pub alarm: Option<Instant>,
    counters: Counters,
}

#[derive(Debug)]
struct State {
    live: Live<Waker>,
    reads: Vec<Read>,
    room_is_stale: bool,
    /// What the driver sleeps until.
    alarm: Option<Instant>,
    /// It has left memory: nobody may enter it.
    is_gone: bool,
    /// The service drains: the driver ends with the last reader.
    is_stopping: bool,
}

impl LiveRoom {
    /// Shares a room; its first business is to be read again, since its head may have moved before it was heard of.
    /// `rings` is what all rings hold.
    pub fn new(live: Live<Waker>, rings: Pool) -> Self {
        let place = Arc::clone(live.place());
        let state = State {
            live,
            reads: Vec::new(),
            room_is_stale: true,
            alarm: None,
            is_gone: false,
            is_stopping: false,
        };
        Self { place, state: Mutex::new(state), driver: Notify::new(), rings }
    }

    /// Does something with the room, then what follows from it. `work` must be quick and call nobody.
    pub fn with<R>(&self, work: impl FnOnce(&mut Live<Waker>, Instant) -> R) -> R {
        let now = Instant::now();
        self.with_at(now, |live| work(live, now))
    }

    /// The same at a time that is handed in.
    pub fn with_at<R>(&self, now: Instant, work: impl FnOnce(&mut Live<Waker>) -> R) -> R {
        let mut state = self.lock();
        let result = work(&mut state.live);
        self.settle(state, now);
        result
    }

    /// Looks at the room.
    pub fn look<R>(&self, look: impl FnOnce(&Live<Waker>) -> R) -> R {
        look(&self.lock().live)
    }

    /// Whether the log has this room no longer.
    pub fn is_lost(&self) -> bool {
        self.look(Live::is_lost)
    }

    /// Does something with the room like `with`, unless it has left memory: then it is to be asked for anew.
    pub fn enter<R>(&self, work: impl FnOnce(&mut Live<Waker>, Instant) -> R) -> Option<R> {
        let now = Instant::now();
        self.enter_at(now, |live| work(live, now))
    }

    /// The same at a time that is handed in.
    pub fn enter_at<R>(&self, now: Instant, work: impl FnOnce(&mut Live<Waker>) -> R) -> Option<R> {
        let mut state = self.lock();
        if state.is_gone || state.live.is_lost() {
            return None;
        }
        let result = work(&mut state.live);
        self.settle(state, now);
        Some(result)
    }

    /// What its driver is to do now, once; whoever calls it drives the room until `alarm`.
    pub fn take_due(&self) -> Due {
        let mut state = self.lock();
        state.alarm = state.live.deadline();
        Due {
            reads: std::mem::take(&mut state.reads),
            room_is_stale: std::mem::take(&mut state.room_is_stale),
            alarm: state.alarm,
            counters: state.live.counters(),
        }
    }

    /// Marks the room as gone if nobody is in it, or the log has it no longer; whether it did.
    pub fn retire(&self, now: Instant) -> bool {
        let mut state = self.lock();
        state.is_gone = state.is_gone || state.live.is_lost() || state.live.is_idle(now);
        state.is_gone
    }

    /// When a reader last took from its ring.
    pub fn ring_read(&self) -> Option<Instant> {
        self.lock().live.ring_read()
    }

    /// Lets that many bytes of its ring go, or what there is: readers find them in the log.
    pub fn shrink_ring(&self, bytes: usize) {
        self.lock().live.shrink_ring(bytes);
    }

    /// The service drains; whether nobody reads here any more.
    fn stop(&self) -> bool {
        let mut state = self.lock();
        state.is_stopping = true;
        state.live.readers() == 0
    }

    /// Does what is due and carries the effects out, with the lock released.
    fn settle(&self, mut state: MutexGuard<'_, State>, now: Instant) {
        let Effects { woken, typing, reads, room_is_stale } = state.live.advance(now);
        state.room_is_stale |= room_is_stale;
        state.reads.extend(reads);
        let is_sooner = match (state.live.deadline(), state.alarm) {
            (Some(due), Some(alarm)) => due < alarm,
            (due, None) => due.is_some(),
            (None, Some(_)) => false,
        };
        let is_over = state.live.is_lost() || state.is_stopping && state.live.readers() == 0;
        let is_short = self.rings.is_short();
        let is_wanted = is_sooner || is_over || is_short || state.room_is_stale || !state.reads.is_empty();
        drop(state);
        for waker in woken {
            waker.wake();
        }
        for (waker, typing) in typing {
            waker.typing(typing);
        }
        if is_wanted {
            self.driver.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What the driver waits for.
enum Done {
    Read(Read, LogRead<Fact>),
    Room(Result<Option<Room>, StoreError>),
}

/// The task of one live room.
pub(super) struct Driver {
    room: Arc<LiveRoom>,
    hub: Hub,
    store: Arc<AnyStore>,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    /// The room is to be asked for once it is not being asked for.
    is_stale: bool,
    is_asking: bool,
    gaps: Gaps,
}

impl Driver {
    pub(super) fn new(room: Arc<LiveRoom>, hub: Hub, store: Arc<AnyStore>) -> Self {
        Self {
            room,
            hub,
            store,
            work: FuturesUnordered::new(),
            is_stale: false,
            is_asking: false,
            gaps: Gaps::default(),
        }
    }

    /// Drives the room until it leaves memory, or `stop` and its last reader has gone.
    pub(super) async fn run(mut self, stop: CancellationToken) {
        loop {
            let alarm = self.begin();
            if stop.is_cancelled() && self.room.stop() {
                break;
            }
            tokio::select! {
                () = stop.cancelled(), if !stop.is_cancelled() => {}
                Some(done) = self.work.next(), if !self.work.is_empty() => self.finish(done),
                () = self.room.driver.notified() => {
                    if self.room.is_lost() && self.hub.evict(&self.room) {
                        tracing::warn!(room.id = %self.room.place.id, "a live room is not in the store any more");
                        break;
                    }
                }
                () = sleep_until(alarm) => {
                    self.room.with(|_, _| ());
                    if self.hub.evict(&self.room) {
                        break;
                    }
                }
            }
        }
        self.gaps.count(self.room.lock().live.counters());
    }

    /// Begins what is to be read; returns when to wake by oneself.
    fn begin(&mut self) -> Option<Instant> {
        let due = self.room.take_due();
        self.gaps.count(due.counters);
        self.is_stale |= due.room_is_stale;
        if self.room.rings.is_short() {
            self.hub.reclaim_rings();
        }
        for read in due.reads {
            self.work.push(Box::pin(read_log(Arc::clone(&self.store), Arc::clone(&self.room.place), read)));
        }
        if self.is_stale && !self.is_asking {
            self.is_stale = false;
            self.ask(Duration::ZERO);
        }
        due.alarm
    }

    /// Asks the store for the room: its head may have moved before anyone told this live room.
    fn ask(&mut self, wait: Duration) {
        self.is_asking = true;
        let (store, place) = (Arc::clone(&self.store), Arc::clone(&self.room.place));
        self.work.push(Box::pin(async move {
            tokio::time::sleep(wait).await;
            Done::Room(store.room_by_id(&place.id).await)
        }));
    }

    fn finish(&mut self, done: Done) {
        match done {
            Done::Read(read, answer) => self.room.with(|live, now| live.read_done(read, answer, now)),
            Done::Room(Ok(Some(room))) => {
                self.is_asking = false;
                self.room.with(|live, now| live.refresh(room, now));
            }
            Done::Room(Ok(None)) => {
                self.is_asking = false;
                tracing::debug!(room.id = %self.room.place.id, "a live room is not in the store"); // the probe judges
            }
            Done::Room(Err(error)) => {
                tracing::debug!(%error, room.id = %self.room.place.id, "a live room could not be read");
                self.ask(RETRY);
            }
        }
    }
}

async fn read_log(store: Arc<AnyStore>, place: Arc<Place>, read: Read) -> Done {
    let answer = match store.events(&place.id, read.after, read.limit).await {
        Ok(Some(page)) => match page.base {
            Some(base) => {
                let events = page.events.into_iter();
                let entries = events.map(|event| Fact::entry(&place.id, Arc::new(event), None)).collect();
                LogRead::Page(Page { base, entries, head: page.head })
            }
            None => LogRead::Ahead { head: page.head },
        },
        Ok(None) => LogRead::Failed,
        Err(error) => {
            tracing::debug!(%error, room.id = %place.id, "a read of the log failed");
            LogRead::Failed
        }
    };
    Done::Read(read, answer)
}

async fn sleep_until(alarm: Option<Instant>) {
    match alarm {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}

/// The gaps counted so far, as a metric.
struct Gaps {
    last: Counters,
    by_link: Counter,
    by_log: Counter,
    dissolved: Counter,
    jumped: Counter,
}

impl Default for Gaps {
    fn default() -> Self {
        let gaps = |outcome: &'static str| counter!("parlour_room_gaps_total", "outcome" => outcome);
        Self {
            last: Counters::default(),
            by_link: gaps("healed_by_link"),
            by_log: gaps("healed_by_log"),
            dissolved: gaps("dissolved"),
            jumped: gaps("jumped"),
        }
    }
}

impl Gaps {
    fn count(&mut self, now: Counters) {
        let last = std::mem::replace(&mut self.last, now);
        self.by_link.increment(now.gaps_healed_by_link - last.gaps_healed_by_link);
        self.by_log.increment(now.gaps_healed_by_log - last.gaps_healed_by_log);
        self.dissolved.increment(now.gaps_dissolved - last.gaps_dissolved);
        let jumps = |counters: &Counters| counters.jumps_too_far + counters.jumps_other_log;
        self.jumped.increment(jumps(&now) - jumps(&last));
    }
}
