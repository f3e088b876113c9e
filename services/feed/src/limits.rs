//! The bounds of one room's feed at one hop, of a session's presence, and of all of a process' service.
//!
//! Owns the numbers. Promises that each has a default (DESIGN section 11). Never reads a setting itself.

use std::time::Duration;

/// The bounds, in bytes, of what all rooms and streams of one service in a process hold together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bounds {
    /// All rings: the longest unread shrink first.
    pub rings: usize,
    /// All readers' pages: no more are asked for beyond it.
    pub pages: usize,
    /// All outboxes: beyond it nobody is told who types or who is here, and nothing is read of a peer that takes nothing.
    pub outboxes: usize,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { rings: 256 << 20, pages: 64 << 20, outboxes: 512 << 20 }
    }
}

/// What one session is told of who is here, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PresenceShare {
    /// In a second, over time.
    pub per_second: u32,
    /// At once, and so for how long it may be told nothing: 1.25 s. With the half second that a room may take to tell of
    /// a change, everybody knows the truth within two seconds.
    pub at_once: usize,
}

impl Default for PresenceShare {
    fn default() -> Self {
        Self { per_second: 4_096, at_once: 5_120 }
    }
}

/// The bounds of one room's feed at one hop. The default is for a link that may reorder (a bus).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events the ring holds.
    pub ring_events: usize,
    /// Bytes of events the ring holds.
    pub ring_bytes: usize,
    /// How far behind the Follower a reader, and behind the log's head the Follower, may be and still be given what it
    /// missed; beyond it: `resync`.
    pub replay_events: u64,
    /// Hints from beyond a gap that are kept: the lowest.
    pub pending_events: usize,
    /// How long a gap may close by itself before the log is asked: nothing where the link is ordered.
    pub gap_wait: Duration,
    /// How long a reader ahead of the Follower waits for it before the log is asked.
    pub ahead_wait: Duration,
    /// Events the Follower asks the log for at once.
    pub read_events: usize,
    /// Events in a readers' page; pages are aligned to it.
    pub page_events: usize,
    /// Readers' pages asked for at once.
    pub pages_in_flight: usize,
    /// Bytes of readers' pages kept; no more are asked for beyond it.
    pub pages_bytes: usize,
    /// What a page on its way counts for in the bound of all rooms' pages, at least.
    pub page_reserve: usize,
    /// How long a readers' page is kept for others who come to the same place.
    pub page_keep: Duration,
    /// How long it is kept at most for those who asked for it.
    pub page_hold: Duration,
    /// The least wait after a failed read.
    pub retry_min: Duration,
    /// The longest wait after a failed read.
    pub retry_max: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            ring_events: 512,
            ring_bytes: 1 << 20,
            replay_events: 1_000,
            pending_events: 64,
            gap_wait: Duration::from_millis(25),
            ahead_wait: Duration::from_millis(25),
            read_events: 200,
            page_events: 50,
            pages_in_flight: 4,
            pages_bytes: 2 << 20,
            page_reserve: 1 << 20,
            page_keep: Duration::from_secs(1),
            page_hold: Duration::from_secs(5),
            retry_min: Duration::from_millis(50),
            retry_max: Duration::from_millis(500),
        }
    }
}

impl Limits {
    /// The bounds where the link keeps its order (a Relay): a gap asks the log at once.
    pub fn ordered() -> Self {
        Self { gap_wait: Duration::ZERO, ..Self::default() }
    }
}
