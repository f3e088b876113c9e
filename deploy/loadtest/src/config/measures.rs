//! What is measured.
//!
//! Owns the arguments of each measurement. Promises what the module above promises. Never connects.

use std::time::Duration;

use clap::Args;

use super::{Address, MANY, content, per_minute, rate, seconds};
use crate::bench::{Dialect, Load};

/// What members do.
#[derive(Clone, Debug, Args)]
pub(crate) struct Bench {
    /// Where members connect.
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) url: Address,
    /// What the server there speaks.
    #[arg(long, value_enum, default_value_t = Dialect::Parlour)]
    pub(crate) dialect: Dialect,
    /// How many rooms there are.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) rooms: u64,
    /// How many members each has.
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) members: u64,
    /// What is said: `idle`; `window:N`, that N members of each room say the next when they hear their last; or `rate:N`
    /// messages a second, in all rooms together. (Its own limit, PARLOUR_SEND_RATE, would hide how fast it is.)
    #[arg(long, value_name = "LOAD", default_value = "window:64")]
    pub(crate) load: Load,
    /// How many members of each room speak under `rate`.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub(crate) speakers: u64,
    /// How long a message is, in characters.
    #[arg(long, value_name = "N", default_value = "100", value_parser = content)]
    pub(crate) content: usize,
    /// So many more join the first room, and then take nothing: what do the others notice?
    #[arg(long, value_name = "N", default_value_t = 0, value_parser = clap::value_parser!(u64).range(0..=MANY))]
    pub(crate) stalled: u64,
    /// Where those connect, if not where the others do.
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) stalled_url: Option<Address>,
    /// They are streams of `Chat` instead, of this room service.
    #[arg(long, value_name = "http://HOST:PORT", conflicts_with = "stalled_url")]
    pub(crate) stalled_grpc: Option<Address>,
    /// Two more are in a room of their own, in which so many messages a second are said: how long do they wait beside the
    /// others?
    #[arg(long, value_name = "N", value_parser = rate)]
    pub(crate) beside: Option<f64>,
    /// How long everybody is there before anything is said, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "3")]
    pub(crate) settle: Duration,
    /// How long they talk before it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "2")]
    pub(crate) warmup: Duration,
    /// How long it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "10")]
    pub(crate) seconds: Duration,
    /// A process whose time and memory are measured, with all below it; may be given again.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
}

/// What storm there is.
#[derive(Clone, Debug, Args)]
pub(crate) struct Storm {
    /// A gateway.
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) url: Address,
    /// How many rooms there are.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) rooms: u64,
    /// How many sessions of each return.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) sessions: u64,
    /// Nobody of them was there before: each comes with no cursor.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// How many messages each has missed. (More than PARLOUR_REPLAY_EVENTS are not replayed.)
    #[arg(long, value_name = "N", default_value_t = 20, value_parser = clap::value_parser!(u64).range(0..=100_000))]
    pub(crate) missed: u64,
    /// How many messages a second are said meanwhile, in all rooms together, by one in each who stays.
    #[arg(long, value_name = "N", default_value_t = 50.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// How many connect at once.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) connecting: u64,
    /// How long everybody is there before, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "3")]
    pub(crate) settle: Duration,
    /// A process whose time and memory are measured, with all below it; may be given again.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
}

/// What is appended.
#[derive(Clone, Debug, Args)]
pub(crate) struct Appends {
    /// A room service, which is sent to as by a gateway. (Its PARLOUR_SEND_RATE would hide how fast it is.)
    #[arg(long, value_name = "http://HOST:PORT", required_unless_present = "store")]
    pub(crate) grpc: Option<Address>,
    /// What a gateway proves itself by.
    #[arg(long, value_name = "TOKEN", env = "PARLOUR_SERVICE_TOKEN", hide_env_values = true)]
    pub(crate) service_token: Option<String>,
    /// A store that no room service uses: `sqlite:FILE` or `postgres://…`.
    #[arg(long, value_name = "URL", conflicts_with = "grpc")]
    pub(crate) store: Option<String>,
    /// How many connections to PostgreSQL.
    #[arg(long, value_name = "N", default_value_t = 16)]
    pub(crate) connections: usize,
    /// How many rooms are sent to.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..=MANY))]
    pub(crate) rooms: u64,
    /// How many sends are under way, at a room service.
    #[arg(long, value_name = "N", default_value_t = 256, value_parser = clap::value_parser!(u64).range(1..=4_096))]
    pub(crate) senders: u64,
    /// How many are one transaction, at a store.
    #[arg(long, value_name = "N", default_value_t = 256)]
    pub(crate) batch: usize,
    /// How long a message is, in characters.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) content: usize,
    /// How long it goes before it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "2")]
    pub(crate) warmup: Duration,
    /// How long it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "5")]
    pub(crate) seconds: Duration,
    /// A process whose time is measured, with all below it; may be given again.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
}

/// Who comes and goes.
#[derive(Clone, Debug, Args)]
pub(crate) struct Churn {
    /// A gateway.
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) url: Address,
    /// How many members the room has when all are there. (Beyond PARLOUR_PRESENCE_NAMES nobody is told by name.)
    #[arg(long, value_name = "N", default_value_t = 1_000, value_parser = clap::value_parser!(u64).range(3..=MANY))]
    pub(crate) members: u64,
    /// How many of them move.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = clap::value_parser!(u64).range(2..MANY))]
    pub(crate) moving: u64,
    /// How many joins and leaves a minute there are.
    #[arg(long, value_name = "N", default_value_t = 5_000.0, value_parser = per_minute)]
    pub(crate) rate: f64,
    /// How long everybody is there before, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "3")]
    pub(crate) settle: Duration,
    /// How long they move before it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "3")]
    pub(crate) warmup: Duration,
    /// How long it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "10")]
    pub(crate) seconds: Duration,
    /// A process whose time is measured, with all below it; may be given again.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
}

/// What is read.
#[derive(Clone, Debug, Args)]
pub(crate) struct History {
    /// A gateway. (Its own limit, PARLOUR_SEND_RATE, would keep the room from being filled.)
    #[arg(long, value_name = "ws://HOST:PORT")]
    pub(crate) url: Address,
    /// How many messages the room has.
    #[arg(long, value_name = "N", default_value_t = 10_000, value_parser = clap::value_parser!(u64).range(1..=10_000_000))]
    pub(crate) messages: u64,
    /// How many read it, each one page after the other.
    #[arg(long, value_name = "N", default_value_t = 16, value_parser = clap::value_parser!(u64).range(1..=1_024))]
    pub(crate) readers: u64,
    /// How many messages a page has.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u64).range(1..=200))]
    pub(crate) page: u64,
    /// How long a message is, in characters.
    #[arg(long, value_name = "N", default_value_t = 100)]
    pub(crate) content: usize,
    /// How long they read before it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "1")]
    pub(crate) warmup: Duration,
    /// How long it is measured, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "5")]
    pub(crate) seconds: Duration,
    /// A process whose time is measured, with all below it; may be given again.
    #[arg(long = "pid", value_name = "PID")]
    pub(crate) pids: Vec<u32>,
}
