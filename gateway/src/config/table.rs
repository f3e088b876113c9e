//! The table of settings.
//!
//! Owns each setting's name, unit, sentence and default. Promises that all of them have an effect. Never checks a value.

use parlour_chassis::settings::Setting;

/// What the gateway reads.
pub const SETTINGS: &[Setting] = &[
    #[cfg(feature = "planted-mistakes")]
    Setting::new("PLANTED_MISTAKE", "NAME", "Which mistake is made on purpose"),
    Setting::new("GATEWAY_LISTEN", "ADDRESS", "Where browsers come: pages, /chat and /api")
        .or("127.0.0.1:9292"),
    Setting::new("ADMIN_LISTEN", "ADDRESS", "Where /livez, /readyz and /metrics are").or("127.0.0.1:9091"),
    Setting::new("ROOM_URL", "URLS", "Where the room service is: one URL or several, separated by commas")
        .or("http://127.0.0.1:50051"),
    Setting::new(
        "SERVICE_TOKEN",
        "TEXT",
        "What lets this gateway call the room service; needed off loopback",
    )
    .secret(),
    Setting::new(
        "ALLOWED_ORIGINS",
        "ORIGINS",
        "More origins whose pages may open /chat, such as https://example.org, separated by commas",
    ),
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
    Setting::new("DRAIN_SECONDS", "SECONDS", "How long browsers may take to leave after SIGTERM").or("20"),
    Setting::new("LOG", "FILTER", "What is logged, such as info or info,parlour_gateway=debug").or("info"),
    Setting::new(
        "LOG_FORMAT",
        "FORMAT",
        "How log lines look: text, or json [default: text on a terminal, else json]",
    ),
    Setting::new("FRAME_BYTES", "BYTES", "The largest frame a browser may send").or("65536"),
    Setting::new("CONTENT_CHARS", "CHARACTERS", "The longest message, as clients are told").or("4000"),
    Setting::new("SESSION_ROOMS", "ROOMS", "In how many rooms one session may be").or("100"),
    Setting::new("REPLAY_EVENTS", "EVENTS", "How many missed events of a room are replayed to a session")
        .or("1000"),
    Setting::new("RING_EVENTS", "EVENTS", "How many recent events of a room are kept in memory").or("512"),
    Setting::new("PRESENCE_NAMES", "PEOPLE", "Up to how many people in a room presence names them")
        .or("1000"),
    Setting::new("HEARTBEAT_SECONDS", "SECONDS", "How often a session is sent a sign of life").or("25"),
    Setting::new("HEARTBEAT_LOST_SECONDS", "SECONDS", "After how long without one from it a session is lost")
        .or("60"),
    Setting::new("STALL_SECONDS", "SECONDS", "How long a socket may take nothing before it is closed")
        .or("20"),
    Setting::new("REQUEST_SECONDS", "SECONDS", "How long a request may wait for the room service").or("5"),
    Setting::new(
        "GRACE_CLOSED_SECONDS",
        "SECONDS",
        "How long one who closed in order still counts as present; the room service's should be the same",
    )
    .or("2"),
    Setting::new(
        "GRACE_BROKEN_SECONDS",
        "SECONDS",
        "How long one whose connection broke still counts as present; the room service's should be the same",
    )
    .or("10"),
];

/// What only the room service reads: it may stand in the same environment.
pub const OTHERS: &[&str] = &[
    "ROOM_LISTEN",
    "STORE",
    "STORE_CONNECTIONS",
    "BUS",
    "ROOMS",
    "GUESTS",
    "GUEST_KEY",
    "JWT_SECRET",
    "JWKS",
    "IDLE_ROOM_SECONDS",
];
