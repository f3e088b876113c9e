//! Settings of the room service.
//!
//! Owns which flags and `PARLOUR_*` variables it reads, their units and defaults, and what they may be. Promises that a
//! configuration that exists is usable. Never holds a setting that has no effect.

use std::{net::SocketAddr, time::Duration};

use parlour_chassis::{
    address::Network,
    settings::{Mistakes, Secret, Source, address, list, per_second, seconds, whole},
    telemetry::{self, LogFormat},
};
use parlour_feed::planted;

use crate::{domain::room::RoomName, rooms::Settings};

mod table;

pub use table::{OTHERS, SETTINGS};

/// The fewest characters of a configured guest key.
const GUEST_KEY_CHARS: usize = 16;

/// How the room service runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where gRPC is served.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are; none where another part of the process serves them.
    pub admin_listen: Option<SocketAddr>,
    /// Where rooms and messages are kept.
    pub store: Secret,
    /// How many connections to PostgreSQL there may be.
    pub store_connections: usize,
    /// Rooms made at the start where missing.
    pub rooms: Vec<RoomName>,
    /// Whether guests may come in.
    pub guests_allowed: bool,
    /// What signs guest tokens; the store's newest key where absent.
    pub guest_key: Option<Secret>,
    /// What lets a gateway call Relay.
    pub service_token: Option<Secret>,
    /// Proxies that are believed about who calls through them.
    pub trusted_proxies: Vec<Network>,
    /// How long a drain may take.
    pub drain: Duration,
    /// What is logged.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// What live rooms, verbs and streams are built with.
    pub settings: Settings,
}

impl Config {
    /// Reads this process' flags and variables; returns warnings beside the configuration.
    ///
    /// `--help` and a flag that nobody knows end the process here.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn of_process() -> Result<(Self, Vec<String>), Mistakes> {
        let command = clap::Command::new("parlour-room")
            .version(planted::version(env!("CARGO_PKG_VERSION")))
            .about("Owns Parlour's rooms, messages and presence, over gRPC");
        let mut source = Source::of_process(command, &[SETTINGS], OTHERS);
        let config = Self::read(&mut source);
        config.refuse_open(&mut source);
        let mut warnings = source.finish()?;
        warnings.extend(config.warnings());
        Ok((config, warnings))
    }

    /// Reads the room service's part of the settings. What comes back is to be used only if `source.finish()` finds no
    /// mistake.
    pub fn read(source: &mut Source) -> Self {
        #[cfg(feature = "planted-mistakes")]
        if let Some(mistake) = source.optional("PLANTED_MISTAKE", planted::Mistake::parse) {
            planted::make(Some(mistake));
        }
        Self {
            listen: source.required("ROOM_LISTEN", address),
            admin_listen: Some(source.required("ADMIN_LISTEN", address)),
            store: source.required("STORE", store),
            store_connections: source.required("STORE_CONNECTIONS", whole(1..=1_000)),
            rooms: source.required("ROOMS", list(room_name)),
            guests_allowed: source.required("GUESTS", guests),
            guest_key: source.optional("GUEST_KEY", guest_key),
            service_token: source.optional("SERVICE_TOKEN", service_token),
            trusted_proxies: source.optional("TRUSTED_PROXIES", list(Network::parse)).unwrap_or_default(),
            drain: source.required("DRAIN_SECONDS", seconds(0.0..=3600.0)),
            log: source.required("LOG", telemetry::parse_filter),
            log_format: source.optional("LOG_FORMAT", str::parse).unwrap_or_else(LogFormat::detect),
            settings: read_settings(source),
        }
    }

    /// Notes a mistake where Relay would be open to a network: off loopback it needs the service token.
    pub fn refuse_open(&self, source: &mut Source) {
        if !self.listen.ip().is_loopback() && self.service_token.is_none() {
            source.refuse("PARLOUR_ROOM_LISTEN is not on loopback, so PARLOUR_SERVICE_TOKEN has to be set");
        }
    }

    /// What is insecure though each setting is right by itself.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = planted::warning().into_iter().collect();
        if !self.listen.ip().is_loopback() {
            warnings.push(
                "gRPC is served off this machine over plain http: let nobody else on that network".to_owned(),
            );
            if self.guests_allowed {
                warnings.push("guests are let in: anyone who reaches the port may read and write".to_owned());
            }
        }
        warnings
    }
}

impl Default for Config {
    /// What stands where nothing is set.
    fn default() -> Self {
        let mut source = Source::read(clap::Command::new("defaults"), &[SETTINGS], OTHERS, [], [])
            .expect("no flags have no mistakes");
        Self::read(&mut source)
    }
}

fn read_settings(source: &mut Source) -> Settings {
    let settings = Settings {
        content_chars: source.required("CONTENT_CHARS", whole(1..=100_000)),
        frame_bytes: source.required("FRAME_BYTES", whole(1_024..=16 * 1024 * 1024)),
        session_rooms: source.required("SESSION_ROOMS", whole(1..=10_000)),
        send_rate: source.required("SEND_RATE", per_second),
        send_burst: source.required("SEND_BURST", whole(1..=100_000)),
        request: source.required("REQUEST_SECONDS", seconds(0.05..=300.0)),
        replay_events: source.required("REPLAY_EVENTS", whole(1..=1_000_000)),
        ring_events: source.required("RING_EVENTS", whole(1..=65_536)),
        heartbeat: source.required("HEARTBEAT_SECONDS", seconds(0.05..=3600.0)),
        heartbeat_lost: source.required("HEARTBEAT_LOST_SECONDS", seconds(0.05..=7200.0)),
        stall: source.required("STALL_SECONDS", seconds(0.05..=3600.0)),
        grace_closed: source.required("GRACE_CLOSED_SECONDS", seconds(0.0..=600.0)),
        grace_broken: source.required("GRACE_BROKEN_SECONDS", seconds(0.0..=600.0)),
        presence_names: source.required("PRESENCE_NAMES", whole(0..=100_000)),
        idle_room: source.required("IDLE_ROOM_SECONDS", seconds(0.05..=86_400.0)),
        ..Settings::default()
    };
    if settings.heartbeat_lost <= settings.heartbeat {
        source.refuse("PARLOUR_HEARTBEAT_LOST_SECONDS must be more than PARLOUR_HEARTBEAT_SECONDS");
    }
    settings
}

fn store(text: &str) -> Result<Secret, String> {
    let is_known = text.strip_prefix("sqlite:").is_some_and(|path| !path.is_empty())
        || text.starts_with("postgres://")
        || text.starts_with("postgresql://");
    // The URL may hold a password, so the sentence does not repeat it.
    if is_known { Ok(Secret::new(text)) } else { Err("expected sqlite:PATH or postgres://…".to_owned()) }
}

fn room_name(text: &str) -> Result<RoomName, String> {
    RoomName::parse(text).map_err(|invalid| invalid.message)
}

fn guests(text: &str) -> Result<bool, String> {
    match text {
        "allow" => Ok(true),
        "deny" => Ok(false),
        _ => Err("expected allow or deny".to_owned()),
    }
}

fn guest_key(text: &str) -> Result<Secret, String> {
    if text.chars().count() < GUEST_KEY_CHARS {
        return Err(format!("expected at least {GUEST_KEY_CHARS} characters"));
    }
    Ok(Secret::new(text))
}

fn service_token(text: &str) -> Result<Secret, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(text))
    } else {
        Err("expected printable ASCII characters without blanks".to_owned())
    }
}

#[cfg(test)]
mod tests;
