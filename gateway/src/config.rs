//! Settings of the gateway.
//!
//! Owns which flags and `PARLOUR_*` variables it reads, their units and defaults, and what they may be. Promises that a
//! configuration that exists is usable. Never holds a setting that has no effect.

use std::{net::SocketAddr, time::Duration};

use http::Uri;
use parlour_chassis::{
    address::Network,
    settings::{Mistakes, Secret, Source, address, list, per_second, seconds, whole},
    telemetry::{self, LogFormat},
};
use parlour_feed::planted;

use crate::{http::origin::Origin, limits::Limits, upstream::Target};

mod table;

pub use table::{OTHERS, SETTINGS};

/// How the gateway runs.
#[derive(Clone, Debug)]
pub struct Config {
    /// Where browsers come: pages, `/chat` and `/api`.
    pub listen: SocketAddr,
    /// Where `/livez`, `/readyz` and `/metrics` are; none where another part of the process serves them.
    pub admin_listen: Option<SocketAddr>,
    /// Where the room service is.
    pub room: Target,
    /// What lets this gateway call the room service's Relay.
    pub service_token: Option<Secret>,
    /// Origins besides the gateway's own whose pages may open `/chat` and post to `/api`.
    pub allowed_origins: Vec<Origin>,
    /// Proxies that are believed about who comes through them.
    pub trusted_proxies: Vec<Network>,
    /// How long a drain may take.
    pub drain: Duration,
    /// What is logged.
    pub log: String,
    /// How log lines look.
    pub log_format: LogFormat,
    /// The bounds that settings change.
    pub limits: Limits,
}

impl Config {
    /// Reads this process' flags and variables; returns warnings beside the configuration.
    ///
    /// `--help` and a flag that nobody knows end the process here.
    ///
    /// # Errors
    /// All mistakes at once.
    pub fn of_process() -> Result<(Self, Vec<String>), Mistakes> {
        let command = clap::Command::new("parlour-gateway")
            .version(planted::version(env!("CARGO_PKG_VERSION")))
            .about("Carries browsers' WebSocket JSON and HTTP to and from Parlour's room service");
        let mut source = Source::of_process(command, &[SETTINGS], OTHERS);
        let config = Self::read(&mut source);
        let mut warnings = source.finish()?;
        warnings.extend(config.warnings());
        Ok((config, warnings))
    }

    /// Reads the gateway's part of the settings. What comes back is to be used only if `source.finish()` finds no
    /// mistake.
    pub fn read(source: &mut Source) -> Self {
        #[cfg(feature = "planted-mistakes")]
        if let Some(mistake) = source.optional("PLANTED_MISTAKE", planted::Mistake::parse) {
            planted::make(Some(mistake));
        }
        let limits = read_limits(source);
        Self {
            listen: source.required("GATEWAY_LISTEN", address),
            admin_listen: Some(source.required("ADMIN_LISTEN", address)),
            room: Target::Urls(source.required("ROOM_URL", room_urls)),
            service_token: source.optional("SERVICE_TOKEN", service_token),
            allowed_origins: source.optional("ALLOWED_ORIGINS", list(Origin::parse)).unwrap_or_default(),
            trusted_proxies: source.optional("TRUSTED_PROXIES", list(Network::parse)).unwrap_or_default(),
            drain: source.required("DRAIN_SECONDS", seconds(0.0..=3600.0)),
            log: source.required("LOG", telemetry::parse_filter),
            log_format: source.optional("LOG_FORMAT", str::parse).unwrap_or_else(LogFormat::detect),
            limits,
        }
    }

    /// What is insecure, or cannot work, though each setting is right by itself.
    pub fn warnings(&self) -> Vec<String> {
        let mut warnings: Vec<_> = planted::warning().into_iter().collect();
        let is_here = match &self.room {
            Target::Urls(urls) => urls.iter().all(is_loopback),
            Target::InProcess(_) => true,
        };
        if is_here {
            return warnings;
        }
        if self.service_token.is_none() {
            warnings.push(
                "PARLOUR_ROOM_URL leads off this machine and PARLOUR_SERVICE_TOKEN is not set: the room service will \
                 refuse this gateway"
                    .to_owned(),
            );
        }
        warnings.push(
            "PARLOUR_ROOM_URL leads off this machine over plain http: let nobody else on that network"
                .to_owned(),
        );
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

fn read_limits(source: &mut Source) -> Limits {
    let limits = Limits {
        frame_bytes: source.required("FRAME_BYTES", whole(1_024..=16 * 1024 * 1024)),
        content_chars: source.required("CONTENT_CHARS", whole(1..=100_000)),
        session_rooms: source.required("SESSION_ROOMS", whole(1..=10_000)),
        heartbeat: source.required("HEARTBEAT_SECONDS", seconds(0.05..=3600.0)),
        heartbeat_lost: source.required("HEARTBEAT_LOST_SECONDS", seconds(0.05..=7200.0)),
        stall: source.required("STALL_SECONDS", seconds(0.05..=3600.0)),
        request: source.required("REQUEST_SECONDS", seconds(0.05..=300.0)),
        grace_closed: source.required("GRACE_CLOSED_SECONDS", seconds(0.0..=600.0)),
        grace_broken: source.required("GRACE_BROKEN_SECONDS", seconds(0.0..=600.0)),
        replay_events: source.required("REPLAY_EVENTS", whole(1..=1_000_000)),
        ring_events: source.required("RING_EVENTS", whole(1..=65_536)),
        presence_names: source.required("PRESENCE_NAMES", whole(0..=100_000)),
        send_rate: source.required("SEND_RATE", per_second),
        send_burst: source.required("SEND_BURST", whole(1..=100_000)),
        ..Limits::default()
    };
    if limits.heartbeat_lost <= limits.heartbeat {
        source.refuse("PARLOUR_HEARTBEAT_LOST_SECONDS must be more than PARLOUR_HEARTBEAT_SECONDS");
    }
    limits
}

fn room_urls(text: &str) -> Result<Vec<Uri>, String> {
    let urls = list(room_url)(text)?;
    if urls.is_empty() { Err("expected at least one URL".to_owned()) } else { Ok(urls) }
}

fn room_url(text: &str) -> Result<Uri, String> {
    const EXPECTED: &str = "expected a URL of scheme, host and port, such as http://127.0.0.1:50051";
    let url: Uri = text.parse().map_err(|_| EXPECTED)?;
    if url.scheme_str() == Some("https") {
        return Err("the room service is reached over plain http so far: TLS is not built yet".to_owned());
    }
    let is_bare = url.path_and_query().is_none_or(|path| path == "/");
    if url.scheme_str() == Some("http") && url.host().is_some_and(|host| !host.is_empty()) && is_bare {
        Ok(url)
    } else {
        Err(EXPECTED.to_owned())
    }
}

fn service_token(text: &str) -> Result<Secret, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_graphic()) {
        Ok(Secret::new(text))
    } else {
        Err("expected printable ASCII characters without blanks".to_owned())
    }
}

fn is_loopback(url: &Uri) -> bool {
    let host = url.host().unwrap_or_default().trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost")
        || host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests;
