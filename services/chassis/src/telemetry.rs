//! Telemetry.
//!
//! Owns how log lines are written and where metrics are kept. Promises one registry a process and Prometheus' text
//! format. Never logs what people say, their names, addresses or tokens.

use std::{
    io::{IsTerminal, stderr},
    str::FromStr,
    sync::OnceLock,
    time::Duration,
};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::tasks::Tasks;

/// Upper bounds of duration histograms, in seconds.
const DURATION_BUCKETS: [f64; 14] =
    [0.0001, 0.000_25, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];
/// How often histograms are folded into their buckets, so that they do not grow between scrapes.
const UPKEEP: Duration = Duration::from_secs(5);

/// How log lines look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogFormat {
    /// For people.
    Text,
    /// For machines: one object a line.
    Json,
}

impl LogFormat {
    /// Text on a terminal, else JSON.
    pub fn detect() -> Self {
        if stderr().is_terminal() { Self::Text } else { Self::Json }
    }
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("a log format is `text` or `json`".to_owned()),
        }
    }
}

/// Checks a log filter such as `info` or `info,parlour_room=debug`.
///
/// # Errors
/// A sentence where it is not one.
pub fn parse_filter(text: &str) -> Result<String, String> {
    EnvFilter::try_new(text).map(|_| text.to_owned()).map_err(|error| format!("not a log filter: {error}"))
}

/// Starts logging to standard error; does nothing where a subscriber stands already (in tests).
pub fn init_logs(filter: &str, format: LogFormat) {
    let filter = EnvFilter::try_new(filter).unwrap_or_else(|_| EnvFilter::new("info"));
    let registry = tracing_subscriber::registry().with(filter);
    let started = match format {
        LogFormat::Text => {
            registry.with(fmt::layer().with_writer(stderr).with_ansi(stderr().is_terminal())).try_init()
        }
        LogFormat::Json => {
            registry.with(fmt::layer().json().flatten_event(true).with_writer(stderr)).try_init()
        }
    };
    if started.is_err() {
        tracing::debug!("a log subscriber stands already");
    }
}

/// Returns the process' metric registry, made at the first call.
pub fn metrics() -> &'static PrometheusHandle {
    static HANDLE: OnceLock<PrometheusHandle> = OnceLock::new();
    HANDLE.get_or_init(|| {
        PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &DURATION_BUCKETS)
            .expect("there are buckets")
            .install_recorder()
            .expect("this is the only place that installs a recorder")
    })
}

/// Keeps the registry's histograms small until the drain.
pub fn keep_up(tasks: &Tasks) {
    let handle = metrics();
    let drain = tasks.drain().clone();
    tasks.spawn(async move {
        let mut every = tokio::time::interval(UPKEEP);
        while drain.run_until_cancelled(every.tick()).await.is_some() {
            handle.run_upkeep();
        }
    });
}
