//! `parlour-loadtest`: drives a running installation.
//!
//! Owns the way from the command line to the exit code. Promises 0 where every promise that was tried was kept, 1 where
//! one was broken, 2 where nothing could be judged. Never touches a room that it did not make.

use std::{io::Write as _, process::ExitCode};

use anyhow::Context as _;
use clap::Parser as _;
use parlour_chassis::{signals, system, tasks::Tasks};
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Cli, Command, Verify},
    progress::Progress,
    report::Report,
};

mod appends;
mod bench;
mod churn;
mod client;
mod config;
mod history;
mod installation;
mod judge;
mod peer;
mod plan;
mod progress;
mod record;
mod report;
mod storm;
mod truth;
mod verify;
mod wire;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Nothing could be judged.
const NOT_JUDGED: u8 = 2;

#[tokio::main]
async fn main() -> ExitCode {
    system::prepare();
    let outcome = match Cli::parse().command {
        Command::Verify(settings) => judged(&settings).await,
        Command::Bench(settings) => {
            measured(async |stop| bench::run(&settings, stop).await, bench::Result::is_sound).await
        }
        Command::Storm(settings) => {
            measured(async |stop| storm::run(&settings, stop).await, storm::Outcome::is_sound).await
        }
        Command::Appends(settings) => {
            measured(async |stop| appends::run(&settings, stop).await, appends::Outcome::is_sound).await
        }
        Command::Churn(settings) => {
            measured(async |stop| churn::run(&settings, stop).await, churn::Outcome::is_sound).await
        }
        Command::History(settings) => {
            measured(async |stop| history::run(&settings, stop).await, history::Outcome::is_sound).await
        }
        Command::Peer { kind, listen } => peer::serve(kind, listen).await.map(|()| true),
    };
    match outcome {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            // Where even this cannot be said, the exit code says it.
            let _ = writeln!(std::io::stderr(), "parlour-loadtest: {error:#}");
            ExitCode::from(NOT_JUDGED)
        }
    }
}

/// Runs, and tells what became of the promises; whether all were kept.
async fn judged(settings: &Verify) -> anyhow::Result<bool> {
    let process = Tasks::new();
    let stop = signals::token(&process)?;
    let seed = settings.seed.unwrap_or_else(rand::random);
    let mut progress = Progress::new();
    let outcome = verify::run(settings, seed, stop, &mut progress).await;
    progress.finish();
    let report = Report::new(settings, &outcome.context("nothing could be judged")?);
    writeln!(std::io::stdout(), "{report}")?;
    if let Some(path) = &settings.report {
        report.write(path).with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(report.is_kept())
}

/// Measures, and prints the figures as JSON; whether they are some.
async fn measured<T: Serialize>(
    measure: impl AsyncFnOnce(CancellationToken) -> anyhow::Result<T>,
    is_sound: fn(&T) -> bool,
) -> anyhow::Result<bool> {
    let process = Tasks::new();
    let figures = measure(signals::token(&process)?).await.context("nothing could be measured")?;
    writeln!(std::io::stdout(), "{}", serde_json::to_string(&figures)?)?;
    Ok(is_sound(&figures))
}
