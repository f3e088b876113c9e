//! Limits.
//!
//! Owns every bound of the gateway: those that settings change, and the constants. Promises that nothing the gateway
//! holds or accepts is without one (P8). Never enforces any.

use std::time::Duration;

use parlour_feed::{Bounds, PresenceShare};

/// How many events or messages a page holds where nobody says.
pub const PAGE_DEFAULT: u32 = 50;
/// How many events or messages a page holds at most.
pub const PAGE_MAX: u32 = 200;
/// How many characters names, keys and request ids may have.
pub const NAME_CHARS: usize = 64;
/// How many people a presence snapshot names.
pub const USERS_SHOWN: usize = 100;

/// How long a connection to the room service may take to stand.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a connection to the room service is asked for a sign of life, also while idle.
pub const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
/// How long it may take to give one: a dead connection is given up after 5 s, as a relay is.
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(3);
/// What one stream of the room service may have under way. h2 ends a connection by the small frames left unread in
/// half the connection's window, so both are large.
pub const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
/// What all streams of a connection to the room service may have under way.
pub const CONNECTION_WINDOW_BYTES: u32 = 64 * 1024 * 1024;
/// The largest message to or from the room service, which has the same bound.
pub const RPC_MESSAGE_BYTES: usize = 4 * 1024 * 1024;
/// The shortest bound of the delay before a request to the room service is tried again.
pub const BACKOFF_LEAST: Duration = Duration::from_millis(50);
/// The longest delay before a request to the room service is tried again.
pub const BACKOFF_GREATEST: Duration = Duration::from_millis(500);

/// How long the head of an HTTP request may take to arrive, and a connection may idle before it, so that connections
/// cannot be held by dribbling.
pub const HEAD_TIMEOUT: Duration = Duration::from_secs(20);
/// How large the buffer of an HTTP connection grows, and so a request's head.
pub const HEAD_BYTES: usize = 16 * 1024;
/// What the body of a request to `/api` may have beside its longest text.
pub const BODY_BYTES: usize = 16 * 1024;
/// How many bytes JSON needs for one character: an escaped pair of surrogates.
pub const CHARACTER_BYTES: usize = 12;
/// How long a body may take to arrive, besides what the room service takes to answer.
pub const BODY_TIMEOUT: Duration = Duration::from_secs(10);
/// How many browsers' connections are open at once; more wait to be accepted.
pub const CONNECTIONS: usize = 100_000;
/// How long to wait before accepting again when the system refuses another connection.
pub const ACCEPT_PAUSE: Duration = Duration::from_millis(500);
/// How long a gateway that is to stop says so before it takes nothing more, at most; a tenth of the drain.
pub const UNREADY: Duration = Duration::from_secs(2);
/// How often the age of the relay's last echo is told.
pub const TELL_EVERY: Duration = Duration::from_millis(500);
/// How long what stands behind the sessions may take to end once they have.
pub const BEHIND_END: Duration = Duration::from_secs(2);

/// How many bytes of answers wait for a session before its socket is read no more.
pub const ANSWER_BYTES: usize = 1024 * 1024;

/// The bounds that settings change, and those of the whole gateway.
#[derive(Clone, Debug, PartialEq)]
pub struct Limits {
    /// The largest frame a browser may send, in bytes; itself legal.
    pub frame_bytes: usize,
    /// How many characters a message has at most: the room service judges, clients are told.
    pub content_chars: usize,
    /// In how many rooms a session may be.
    pub session_rooms: usize,
    /// How often a session is sent a heartbeat, or a ping.
    pub heartbeat: Duration,
    /// After how long without a sign of life a session is lost.
    pub heartbeat_lost: Duration,
    /// How long a socket may take nothing before it is closed.
    pub stall: Duration,
    /// How long a request may wait for the room service.
    pub request: Duration,
    /// How long the room service holds a session that closed in order: a new stream names those.
    pub grace_closed: Duration,
    /// How long it holds one whose connection broke.
    pub grace_broken: Duration,
    /// How many events of a room are replayed before a reader is told to reload.
    pub replay_events: u64,
    /// How many recent events of a room are kept in memory.
    pub ring_events: usize,
    /// How many events of a room's log are read at once for those who return. Twice a client's page: wherever in a page
    /// somebody begins, what was missed is read in no more pages than a client would need.
    pub log_page: usize,
    /// Up to how many people in a room presence names them.
    pub presence_names: usize,
    /// What a session is told of presence.
    pub presence: PresenceShare,
    /// What all rooms, and all sessions, hold together.
    pub bounds: Bounds,
    /// How many messages a second one user may send, as the room service judges it; an address may send many times
    /// that. 0 turns both off.
    pub send_rate: f64,
    /// How many messages one user may send at once; an address, many times that.
    pub send_burst: u32,
}

impl Limits {
    /// The largest body of a request to `/api`, in bytes: the longest message fits, however it is escaped.
    pub fn body_bytes(&self) -> usize {
        BODY_BYTES + CHARACTER_BYTES * self.content_chars
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            frame_bytes: 65_536,
            content_chars: 4_000,
            session_rooms: 100,
            heartbeat: Duration::from_secs(25),
            heartbeat_lost: Duration::from_secs(60),
            stall: Duration::from_secs(20),
            request: Duration::from_secs(5),
            grace_closed: Duration::from_secs(2),
            grace_broken: Duration::from_secs(10),
            replay_events: 1_000,
            ring_events: 512,
            log_page: 100,
            presence_names: 1_000,
            presence: PresenceShare::default(),
            bounds: Bounds::default(),
            send_rate: 10.0,
            send_burst: 20,
        }
    }
}
