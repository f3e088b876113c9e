//! What the live side is built with.
//!
//! Owns the settings that live rooms, verbs and streams need, with the defaults of the documents. Promises nothing else.
//! Never reads the environment: the configuration fills it in.

use std::time::Duration;

use parlour_feed::Bounds;

/// The settings of live rooms, verbs and streams.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The longest message, in characters.
    pub content_chars: usize,
    /// The largest frame of a `Chat` stream, in bytes: what `welcome` tells.
    pub frame_bytes: usize,
    /// Rooms a session may be in.
    pub session_rooms: usize,
    /// Sends a second of one user; 0 turns the limit off.
    pub send_rate: f64,
    /// Sends that one user may make at once.
    pub send_burst: u32,
    /// A request's deadline.
    pub request: Duration,
    /// Events that are replayed at most to one who returns.
    pub replay_events: u64,
    /// Events a room keeps in memory.
    pub ring_events: usize,
    /// How often heartbeats go to a session.
    pub heartbeat: Duration,
    /// After how long without a sign of life a session is over.
    pub heartbeat_lost: Duration,
    /// After how long a stream that takes nothing is over.
    pub stall: Duration,
    /// The grace of a session that closed in order.
    pub grace_closed: Duration,
    /// The grace of a session whose connection broke.
    pub grace_broken: Duration,
    /// People in a room up to whom presence is told by name.
    pub presence_names: usize,
    /// How often the log is asked how far the live rooms are.
    pub probe: Duration,
    /// After how long an idle room leaves memory.
    pub idle_room: Duration,
    /// What clients of a stream that the drain ends are asked to wait at most.
    pub drain_retry: Duration,
    /// What all rooms, and all streams, hold together.
    pub bounds: Bounds,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            content_chars: 4_000,
            frame_bytes: 65_536,
            session_rooms: 100,
            send_rate: 10.0,
            send_burst: 20,
            request: Duration::from_secs(5),
            replay_events: 1_000,
            ring_events: 512,
            heartbeat: Duration::from_secs(25),
            heartbeat_lost: Duration::from_secs(60),
            stall: Duration::from_secs(20),
            grace_closed: Duration::from_secs(2),
            grace_broken: Duration::from_secs(10),
            presence_names: 1_000,
            probe: Duration::from_secs(10),
            idle_room: Duration::from_secs(60),
            drain_retry: Duration::from_secs(1),
            bounds: Bounds::default(),
        }
    }
}

/// Names shown to one session.
pub const SHOWN_NAMES: usize = 100;
/// Entries of a page where none is asked for.
pub const PAGE_DEFAULT: usize = 50;
/// Entries of a page at most.
pub const PAGE_LIMIT: usize = 200;

/// How many entries a page has: 0 is the default, too many is the most.
pub fn page_size(asked: usize) -> usize {
    if asked == 0 { PAGE_DEFAULT } else { asked.min(PAGE_LIMIT) }
}
