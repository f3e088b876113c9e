//! The table of settings.
//!
//! Owns each setting's name, unit, sentence and default. Promises that all of them have an effect. Never checks a value.

use parlour_chassis::settings::Setting;

/// What the room service reads.
pub const SETTINGS: &[Setting] = &[
    #[cfg(feature = "planted-mistakes")]
    Setting::new("PLANTED_MISTAKE", "NAME", "Which mistake is made on purpose"),
    Setting::new("ROOM_LISTEN", "ADDRESS", "Where gRPC is served").or("127.0.0.1:50051"),
    Setting::new("ADMIN_LISTEN", "ADDRESS", "Where /livez, /readyz and /metrics are").or("127.0.0.1:9090"),
    Setting::new("STORE", "URL", "Where rooms and messages are kept: sqlite:PATH or postgres://…")
        .or("sqlite:parlour.db")
        .secret(),
    Setting::new("STORE_CONNECTIONS", "CONNECTIONS", "How many connections to PostgreSQL there may be")
        .or("16"),
    Setting::new("ROOMS", "NAMES", "Rooms made at the start where missing, separated by commas")
        .or("general,random,tech"),
    Setting::new("GUESTS", "allow|deny", "Whether people without an account may come in").or("allow"),
    Setting::new(
        "GUEST_KEY",
        "TEXT",
        "What signs guest tokens, at least 16 characters; made at the first start where absent",
    )
    .secret(),
    Setting::new("SERVICE_TOKEN", "TEXT", "What lets a gateway call Relay; needed off loopback").secret(),
    Setting::new(
        "TRUSTED_PROXIES",
        "NETWORKS",
        "Proxies whose X-Forwarded-For is believed, such as 10.0.0.7 or fd00::/8, separated by commas",
    ),
    Setting::new(
        "SEND_RATE",
        "MESSAGES/SECOND",
        "How many messages a second one user may send, an address 20 times as many; 0 for no limit",
    )
    .or("10"),
    Setting::new(
        "SEND_BURST",
        "MESSAGES",
        "How many messages one user may send at once, an address 20 times as many",
    )
    .or("20"),
    Setting::new("DRAIN_SECONDS", "SECONDS", "How long sessions may take to leave after SIGTERM").or("20"),
    Setting::new("LOG", "FILTER", "What is logged, such as info or info,parlour_room=debug").or("info"),
    Setting::new(
        "LOG_FORMAT",
        "FORMAT",
        "How log lines look: text, or json [default: text on a terminal, else json]",
    ),
    Setting::new("FRAME_BYTES", "BYTES", "The largest frame a browser may send, as Chat clients are told")
        .or("65536"),
    Setting::new("CONTENT_CHARS", "CHARACTERS", "The longest message").or("4000"),
    Setting::new("SESSION_ROOMS", "ROOMS", "In how many rooms one session may be").or("100"),
    Setting::new("REPLAY_EVENTS", "EVENTS", "How many missed events of a room are replayed to a session")
        .or("1000"),
    Setting::new("RING_EVENTS", "EVENTS", "How many recent events of a room are kept in memory").or("512"),
    Setting::new("PRESENCE_NAMES", "PEOPLE", "Up to how many people in a room presence names them")
        .or("1000"),
    Setting::new("HEARTBEAT_SECONDS", "SECONDS", "How often a session is sent a sign of life").or("25"),
    Setting::new("HEARTBEAT_LOST_SECONDS", "SECONDS", "After how long without one from it a session is lost")
        .or("60"),
    Setting::new("STALL_SECONDS", "SECONDS", "How long a stream may take nothing before it is ended")
        .or("20"),
    Setting::new("REQUEST_SECONDS", "SECONDS", "How long a request may take").or("5"),
    Setting::new(
        "GRACE_CLOSED_SECONDS",
        "SECONDS",
        "How long after an orderly close one still counts as present",
    )
    .or("2"),
    Setting::new(
        "GRACE_BROKEN_SECONDS",
        "SECONDS",
        "How long after a broken connection one still counts as present",
    )
    .or("10"),
    Setting::new("IDLE_ROOM_SECONDS", "SECONDS", "After how long an idle room leaves memory").or("60"),
];

/// What only the gateway reads, or comes later: it may stand in the same environment.
pub const OTHERS: &[&str] = &["GATEWAY_LISTEN", "ROOM_URL", "ALLOWED_ORIGINS"];
