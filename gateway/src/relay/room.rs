//! A room that is followed, and the task that drives it.
//!
//! Owns the lock around a room's feed, what the relay says of the room, its reads of the log and its timers. Promises that
//! every read is answered, that whoever may be handed something is, and that nobody holds the lock across an await. Never decides what a reader may take.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use futures_util::{FutureExt as _, StreamExt as _, stream::FuturesUnordered};
use metrics::Counter;
use parlour_feed::{Cursor, LogRead, Page, Read, follower::Counters};
use parlour_proto::v1 as proto;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::{
    audience::{Feed, Start},
    event::{Frames, RoomEvent, TypingNotice, entry, hints, id},
    handing::Handing,
};
use crate::{limits::Limits, metrics as names, upstream::Upstream};

/// What the relay says of one room, for every session here.
#[derive(Debug)]
pub enum RoomFrame {
    /// It is followed from here.
    Following(proto::Following),
    /// Events, each after the one before.
    Events(proto::RoomEvents),
    /// Who is here, or how that changed.
    Presence(proto::RoomPresence),
    /// Someone is typing.
    Typing(proto::RoomTyping),
    /// How far the room is.
    Head(proto::RoomHead),
}

impl RoomFrame {
    /// Which room.
    pub fn room(&self) -> &str {
        match self {
            Self::Following(frame) => &frame.room,
            Self::Events(frame) => &frame.room,
            Self::Presence(frame) => frame.presence.as_ref().map_or("", |presence| &presence.room),
            Self::Typing(frame) => frame.typing.as_ref().map_or("", |typing| &typing.room),
            Self::Head(frame) => &frame.room,
        }
    }
}

/// A room that is followed.
#[derive(Debug)]
pub struct Room {
    name: Arc<str>,
    feed: Mutex<Feed>,
    driver: Notify,
    end: CancellationToken,
}

impl Room {
    /// Nobody is in it yet. `seed` is for jitter.
    pub fn new(name: Arc<str>, limits: &Limits, seed: u64) -> Arc<Self> {
        let bounds = parlour_feed::Limits {
            ring_events: limits.ring_events,
            replay_events: limits.replay_events,
            page_events: limits.log_page,
            ..parlour_feed::Limits::ordered()
        };
        let feed = Feed::new(Arc::clone(&name), bounds, limits.presence_names, seed);
        Arc::new(Self { name, feed: Mutex::new(feed), driver: Notify::new(), end: CancellationToken::new() })
    }

    /// The room's name.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Does something with the feed, shortly, then lets the driver see what follows from it.
    pub fn with<T>(&self, act: impl FnOnce(&mut Feed) -> T) -> T {
        let done = self.look(act);
        self.driver.notify_one();
        done
    }

    /// Does something with the feed that asks nothing of the driver.
    pub fn look<T>(&self, act: impl FnOnce(&mut Feed) -> T) -> T {
        // The feed's inputs are whole even if one of them panicked: it asks the log again.
        act(&mut self.feed.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Takes what the relay says of the room.
    pub fn take(&self, frame: RoomFrame, now: Instant) {
        match frame {
            RoomFrame::Following(following) => self.following(following, now),
            RoomFrame::Events(events) => match hints(events) {
                Ok(hints) => self.with(|feed| feed.hints(hints, now)),
                // What is lost here, the next head or event tells.
                Err(error) => tracing::error!(%error, "the room service sent events that cannot be read"),
            },
            RoomFrame::Presence(frame) => {
                let Some(presence) = frame.presence else { return };
                self.with(|feed| feed.presence(presence, frame.settling, now));
            }
            RoomFrame::Typing(frame) => {
                let Some(typing) = frame.typing else { return };
                let notice = Arc::new(TypingNotice { typing, frames: Frames::default() });
                self.look(|feed| feed.typing(id(&frame.session), &notice));
            }
            RoomFrame::Head(frame) => {
                let Ok(head) = frame.head.parse() else { return };
                self.with(|feed| feed.head(head, now));
            }
        }
    }

    fn following(&self, following: proto::Following, now: Instant) {
        let (Ok(position), Some(presence)) = (following.position.parse(), following.presence) else {
            tracing::error!("the room service said `following` without a usable position or presence");
            return;
        };
        let start = Start {
            info: following.info.unwrap_or_default(),
            position,
            presence: presence.presence.unwrap_or_default(),
            settling: presence.settling,
        };
        self.with(|feed| feed.start(start, now));
    }

    /// Lets the driver look whether something must be read.
    pub fn nudge(&self) {
        self.driver.notify_one();
    }

    /// The room is followed no longer: its driver ends.
    pub fn end(&self) {
        self.end.cancel();
    }

    /// Hands out what there is, reads the log for the feed and keeps its times, until the room ends. `reclaim` is called after whatever may have
    /// made the ring grow.
    pub async fn drive(self: Arc<Self>, upstream: Upstream, reclaim: impl Fn()) {
        let mut reads = FuturesUnordered::new();
        let mut gaps = Gaps::new();
        let mut handing = Handing::new();
        loop {
            let (wanted, deadline, waiting) = self.look(|feed| {
                let now = super::now();
                feed.tick(now);
                let wanted: Vec<_> = std::iter::from_fn(|| feed.poll_read(now)).collect();
                gaps.count(feed.counters());
                (wanted, feed.deadline(), feed.take_waiting())
            });
            reclaim();
            // Boxed: the set keeps the room that its last one took.
            reads.extend(wanted.into_iter().map(|read| self.read(upstream.clone(), read).boxed()));
            handing.hand(&self, waiting).await;
            tokio::select! {
                () = self.end.cancelled() => return,
                () = self.driver.notified() => {}
                () = at(deadline) => {}
                Some((read, answer)) = reads.next() => {
                    self.look(|feed| feed.read_done(read, answer, super::now()));
                }
            }
        }
    }

    async fn read(&self, upstream: Upstream, read: Read) -> (Read, LogRead<Arc<RoomEvent>>) {
        let request = proto::ListEventsRequest {
            room: self.name.to_string(),
            after: String::new(),
            page_size: i32::try_from(read.limit).unwrap_or(i32::MAX),
            after_seq: Some(read.after),
        };
        let answer = match upstream.client().list_events(request).await {
            Ok(response) => page(response.into_inner()).unwrap_or_else(|| {
                tracing::error!(room.name = %self.name, "the room service gave a page that cannot be read");
                LogRead::Failed
            }),
            Err(status) => {
                tracing::debug!(room.name = %self.name, error = %status, "a page of the log could not be read");
                LogRead::Failed
            }
        };
        (read, answer)
    }
}

/// Takes a page of the log from the wire.
fn page(response: proto::ListEventsResponse) -> Option<LogRead<Arc<RoomEvent>>> {
    let head: Cursor = response.head.parse().ok()?;
    if response.after.is_empty() {
        return Some(LogRead::Ahead { head });
    }
    let entries = response.events.into_iter().map(|event| entry(event).ok());
    Some(LogRead::Page(Page {
        base: response.after.parse().ok()?,
        entries: entries.collect::<Option<_>>()?,
        head,
    }))
}

async fn at(deadline: Option<Instant>) {
    match deadline {
        Some(deadline) => tokio::time::sleep_until(deadline.into()).await,
        None => std::future::pending().await,
    }
}

/// Counts how gaps ended.
struct Gaps {
    by_link: Counter,
    by_log: Counter,
    dissolved: Counter,
    counted: Counters,
}

impl Gaps {
    fn new() -> Self {
        let counter = |outcome| metrics::counter!(names::GAPS, "outcome" => outcome);
        Self {
            by_link: counter("healed_by_link"),
            by_log: counter("healed_by_log"),
            dissolved: counter("dissolved"),
            counted: Counters::default(),
        }
    }

    fn count(&mut self, counters: Counters) {
        self.by_link.increment(counters.gaps_healed_by_link.saturating_sub(self.counted.gaps_healed_by_link));
        self.by_log.increment(counters.gaps_healed_by_log.saturating_sub(self.counted.gaps_healed_by_log));
        self.dissolved.increment(counters.gaps_dissolved.saturating_sub(self.counted.gaps_dissolved));
        self.counted = counters;
    }
}
