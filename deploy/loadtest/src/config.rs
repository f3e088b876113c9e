//! What the command is told.
//!
//! Owns its arguments and what they must be. Promises that whatever is wrong with them is said before anything is
//! touched. Never connects.

use std::{net::SocketAddr, path::PathBuf, str::FromStr, time::Duration};

use clap::{Args, Parser, Subcommand};

use crate::{bench::SHORTEST, peer::Kind};

mod measures;

pub(crate) use measures::{Appends, Bench, Churn, History, Storm};

/// Clients at most.
const CLIENTS: u64 = 5_000;
/// The longest content that is taken by default.
const LONGEST: usize = 4_000;
/// Rooms, or members of one, that are measured at most.
const MANY: u64 = 50_000;
/// Rooms at most: a session may be in no more.
const ROOMS: u64 = 100;

/// Drives a running Parlour, and judges it.
#[derive(Debug, Parser)]
#[command(name = "parlour-loadtest", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// What is done.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Lets many clients talk, part, return and repeat, and says of each promise whether it was kept.
    ///
    /// It makes rooms of its own and talks in no others. Exits with 0 where every promise that was tried was kept, with
    /// 1 where one was broken (the evidence is printed), and with 2 where nothing could be judged.
    Verify(Verify),
    /// Measures how fast an installation hands messages on, and what that costs it.
    ///
    /// Members join rooms made for this; some of them speak. Exits with 0 where each message came to everybody once and in
    /// order, with 1 where not, and with 2 where nothing could be measured.
    Bench(Bench),
    /// Measures how fast everybody is back who lost their connection at the same moment.
    ///
    /// Sessions of rooms made for this lose their connections, their rooms go on, and all return with their cursors.
    /// Exits with 0 where each was given what it missed, once and in order, and nobody was told that they had left; with 1
    /// where not, and with 2 where nothing could be measured.
    Storm(Storm),
    /// Measures how fast sends become durable, at a room service or at a store alone.
    ///
    /// Exits with 0 where all were acknowledged, with 1 where one was refused, and with 2 where nothing could be measured.
    Appends(Appends),
    /// Measures what it costs that members of a full room come and go, and how much of it each is told.
    ///
    /// Exits with 0 where each who stayed was told no more than its share and soon knew how many are there, with 1 where
    /// not, and with 2 where nothing could be measured.
    Churn(Churn),
    /// Measures how fast a long room's history is read, page by page.
    ///
    /// Exits with 0 where each page was what comes right before the last, with 1 where not, and with 2 where nothing could
    /// be measured.
    History(History),
    /// Serves what `bench` compares an installation with; prints where. `deploy/bench` does all of it.
    Peer {
        /// What kind of server.
        kind: Kind,
        /// Where it listens.
        #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:0")]
        listen: SocketAddr,
    },
}

/// How an installation is verified.
#[derive(Clone, Debug, Args)]
pub(crate) struct Verify {
    /// A gateway; several are gateways of one installation, between which clients change.
    #[arg(long = "url", value_name = "ws://HOST:PORT", required = true)]
    pub(crate) gateways: Vec<Address>,
    /// The room service, where some clients speak gRPC to it.
    #[arg(long, value_name = "http://HOST:PORT")]
    pub(crate) grpc: Option<Address>,
    /// How many clients there are.
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u64).range(2..=CLIENTS))]
    pub(crate) clients: u64,
    /// How many rooms they are in.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u64).range(1..=ROOMS))]
    pub(crate) rooms: u64,
    /// How long they talk, in seconds.
    #[arg(long, value_name = "N", value_parser = seconds, conflicts_with = "deliveries", default_value = "30")]
    pub(crate) seconds: Duration,
    /// They talk until so many messages were handed to them, instead.
    #[arg(long, value_name = "N")]
    pub(crate) deliveries: Option<u64>,
    /// How many messages a second each of them says, on average.
    #[arg(long, value_name = "N", default_value_t = 2.0, value_parser = rate)]
    pub(crate) rate: f64,
    /// What decides who does what; drawn where it is not given.
    #[arg(long, value_name = "S")]
    pub(crate) seed: Option<u64>,
    /// Where the report goes, as JSON.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// How many events the installation replays to one who returns (its PARLOUR_REPLAY_EVENTS).
    #[arg(long, value_name = "N", default_value_t = 1_000)]
    pub(crate) replay_events: u64,
    /// For how many seconds it counts one who closed in order as present (its PARLOUR_GRACE_CLOSED_SECONDS).
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "2")]
    pub(crate) grace_closed_seconds: Duration,
    /// For how many seconds it counts one whose connection broke as present (its PARLOUR_GRACE_BROKEN_SECONDS).
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "10")]
    pub(crate) grace_broken_seconds: Duration,
    /// For how many seconds it may take one who went without a word to be there (its PARLOUR_HEARTBEAT_LOST_SECONDS).
    #[arg(long, value_name = "N", value_parser = seconds, default_value = "60")]
    pub(crate) heartbeat_lost_seconds: Duration,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

fn content(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(chars) if (SHORTEST..=LONGEST).contains(&chars) => Ok(chars),
        _ => Err(format!("a number from {SHORTEST} to {LONGEST}")),
    }
}

fn per_minute(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= 1e6 { Ok(rate) } else { Err("must be above 0 and at most a million".to_owned()) }
}

fn rate(text: &str) -> Result<f64, String> {
    let rate: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    if rate > 0.0 && rate <= 1_000.0 { Ok(rate) } else { Err("must be above 0 and at most 1000".to_owned()) }
}

/// Where something listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Address {
    authority: String,
    path: String,
}

impl Address {
    /// Host and port.
    pub(crate) fn authority(&self) -> &str {
        &self.authority
    }

    /// What goes before every path: empty, or a path without a slash at its end.
    pub(crate) fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let uri: http::Uri = text.parse().map_err(|error| format!("not an address: {error}"))?;
        let default_port = match uri.scheme_str() {
            Some("ws" | "http") => 80,
            Some("wss" | "https") => {
                return Err("TLS is not spoken here; name the address behind it".to_owned());
            }
            _ => return Err("it begins with ws:// or http://".to_owned()),
        };
        let host = uri.host().ok_or("there is no host in it")?;
        let path = uri.path().trim_end_matches('/');
        Ok(Self {
            authority: format!("{host}:{}", uri.port_u16().unwrap_or(default_port)),
            path: path.strip_suffix("/chat").unwrap_or(path).to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_arguments_are_sound() {
        Cli::command().debug_assert();
        let parse = |line: &str| Cli::try_parse_from(line.split(' ')).map(|cli| cli.command);
        let line = "parlour-loadtest verify --url ws://a:1 --url http://b --seconds 1.5";
        let Command::Verify(verify) = parse(line).unwrap() else { panic!("{line}") };
        assert_eq!(verify.gateways.len(), 2);
        assert_eq!(verify.seconds, Duration::from_millis(1_500));
        for wrong in [
            "parlour-loadtest verify",
            "parlour-loadtest verify --url ws://a --clients 1",
            "parlour-loadtest verify --url ws://a --seconds 5 --deliveries 5",
            "parlour-loadtest verify --url wss://a",
            "parlour-loadtest verify --url ws://a --rate 0",
            "parlour-loadtest bench --url ws://a --load window:0",
            "parlour-loadtest storm --url ws://a --sessions 0",
            "parlour-loadtest churn --url ws://a --rate 0",
            "parlour-loadtest history --url ws://a --page 201",
            "parlour-loadtest peer fastest",
        ] {
            assert_eq!(parse(wrong).unwrap_err().exit_code(), 2, "{wrong}");
        }
    }

    #[test]
    fn an_address_is_host_and_port_and_what_goes_before() {
        let address = |text: &str| text.parse::<Address>().map(|a| (a.authority, a.path)).ok();
        let is = |authority: &str, path: &str| Some((authority.to_owned(), path.to_owned()));
        assert_eq!(address("ws://localhost:9292"), is("localhost:9292", ""));
        assert_eq!(address("ws://localhost/chat"), is("localhost:80", ""));
        assert_eq!(address("http://[::1]:1/rooms/"), is("[::1]:1", "/rooms"));
        assert_eq!(address("localhost:9292"), None);
    }
}
