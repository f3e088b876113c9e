//! How fast everybody is back.
//!
//! Owns one storm: many sessions lose their connections at once, their rooms go on, and all return together with their
//! cursors. Promises that a session counts as live once it has everything that was said before, that what is lost,
//! repeated or out of order is told beside the figures, and that those who stayed measure what it was like meanwhile.
//! Never measures the load itself.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{StreamExt as _, future::try_join_all, stream};
use parlour_chassis::tasks::Tasks;
use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Meter, Quantiles, Usage, make_rooms},
    config::Storm,
};

mod returning;
mod socket;
mod staying;

use returning::{Away, Session};
use staying::Witness;

/// How many connect at once before the storm.
const CONNECTING: usize = 64;
/// How long a storm may take, with all that comes before it.
const PATIENCE: Duration = Duration::from_secs(180);
/// How long those who stayed wait at the end for what they have said.
const ENDING: Duration = Duration::from_secs(10);

/// What everybody counts.
struct Tally {
    /// One is said for each session that returns, and heard once it is live.
    back: Meter,
    /// What those who stayed say, and hear of themselves.
    stayed: Meter,
    /// Who was told to those who stayed as having left.
    left: AtomicU64,
    /// Given again, or not the next.
    disorder: AtomicU64,
    /// Sessions that were refused, or lost their connection again.
    refused: AtomicU64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    rooms: u64,
    /// Who returned.
    sessions: u64,
    /// Whether they were there before.
    is_fresh: bool,
    /// Messages that each had missed.
    missed: u64,
    /// From the first connection until the last session was live, in milliseconds; and for each of them.
    all_live_ms: f64,
    live_ms: Quantiles,
    /// Messages said meanwhile by those who stayed, and how long until they had them themselves.
    messages: u64,
    latency_ms: Quantiles,
    /// Of the measured processes, user and system, in the storm.
    cpu_seconds: f64,
    cpu_us_per_session: f64,
    /// Memory of the measured processes, in KiB: with everybody there, before the storm, and after it.
    memory_kib: [u64; 3],
    left_told: u64,
    lost: u64,
    repeated_or_reordered: u64,
    refused: u64,
}

impl Outcome {
    /// Whether every session was given everything, once and in order, and nobody was told as having left.
    pub(crate) fn is_sound(&self) -> bool {
        self.lost == 0 && self.repeated_or_reordered == 0 && self.refused == 0 && self.left_told == 0
    }
}

/// Makes a storm.
pub(crate) async fn run(settings: &Storm, stop: CancellationToken) -> anyhow::Result<Outcome> {
    tokio::select! {
        () = stop.cancelled() => bail!("told to stop"),
        outcome = tokio::time::timeout(PATIENCE, storm(settings)) => outcome.context("it does not end")?,
    }
}

async fn storm(settings: &Storm) -> anyhow::Result<Outcome> {
    let rooms = make_rooms(&settings.url, settings.rooms).await?;
    let tally = Arc::new(Tally {
        back: Meter::new(),
        stayed: Meter::new(),
        left: AtomicU64::new(0),
        disorder: AtomicU64::new(0),
        refused: AtomicU64::new(0),
    });
    let mut witnesses = Vec::new();
    for room in &rooms {
        witnesses.push(Witness::join(settings, room, &tally).await?);
    }
    let sessions = if settings.fresh { Vec::new() } else { everybody(settings, &rooms, &tally).await? };
    tokio::time::sleep(settings.settle).await;
    let full = Usage::of(&settings.pids)?;

    let away: Vec<_> = if settings.fresh {
        everywhere(settings, &rooms).map(|(room, name)| Away::nowhere(settings, room, name, &tally)).collect()
    } else {
        sessions.into_iter().map(Session::part).collect()
    };
    // All at once: nobody is to be away for longer than it is counted as present.
    let heads = try_join_all(witnesses.iter_mut().map(|witness| witness.says_many(settings.missed))).await?;
    let (ending, staying) = (CancellationToken::new(), Tasks::new());
    for (number, witness) in witnesses.into_iter().enumerate() {
        let every = Duration::from_secs_f64(settings.rooms as f64 / settings.rate);
        let first = every.mul_f64(number as f64 / settings.rooms as f64);
        staying.spawn(witness.stay(first, every, ending.clone()));
    }

    tally.back.is_measuring.store(true, Ordering::Relaxed);
    tally.stayed.is_measuring.store(true, Ordering::Relaxed);
    let before = Usage::of(&settings.pids)?;
    let (begun, said) = (tally.back.now(), tally.stayed.said());
    let listening = Tasks::new();
    let returning = away.into_iter().map(|away| {
        let head = heads[away.room];
        async move { away.comes_back(head, begun).await }
    });
    let mut returning = stream::iter(returning).buffer_unordered(usize::try_from(settings.connecting)?);
    while let Some(back) = returning.next().await {
        match back {
            Ok(session) => drop(listening.spawn(session.listen())),
            Err(error) => {
                tally.refused.fetch_add(1, Ordering::Relaxed);
                tracing::warn!("a session does not come back: {error:#}");
            }
        }
    }
    drop(returning);
    let all_live = tally.back.now() - begun;
    let (after, said) = (Usage::of(&settings.pids)?, tally.stayed.said() - said);
    ending.cancel();
    staying.finish(ENDING).await;
    listening.finish(Duration::ZERO).await;

    let total = settings.rooms * settings.sessions;
    let cpu = (after.cpu - before.cpu).as_secs_f64();
    Ok(Outcome {
        rooms: settings.rooms,
        sessions: total,
        is_fresh: settings.fresh,
        missed: settings.missed,
        all_live_ms: all_live.as_secs_f64() * 1e3,
        live_ms: tally.back.quantiles(),
        messages: said,
        latency_ms: tally.stayed.quantiles(),
        cpu_seconds: cpu,
        cpu_us_per_session: cpu * 1e6 / total as f64,
        memory_kib: [full.memory_kib, before.memory_kib, after.memory_kib],
        left_told: tally.left.load(Ordering::Relaxed),
        lost: tally.back.missing() + tally.stayed.missing(),
        repeated_or_reordered: tally.disorder.load(Ordering::Relaxed),
        refused: tally.refused.load(Ordering::Relaxed),
    })
}

/// The room of each session, and its name.
fn everywhere<'a>(settings: &Storm, rooms: &'a [String]) -> impl Iterator<Item = (usize, &'a str)> + use<'a> {
    let sessions = settings.sessions;
    rooms.iter().enumerate().flat_map(move |(room, name)| (0..sessions).map(move |_| (room, name.as_str())))
}

/// Lets everybody in who is to return.
async fn everybody(settings: &Storm, rooms: &[String], tally: &Arc<Tally>) -> anyhow::Result<Vec<Session>> {
    let joining = everywhere(settings, rooms).map(|(room, name)| Session::join(settings, room, name, tally));
    let mut joining = stream::iter(joining).buffer_unordered(CONNECTING);
    let mut sessions = Vec::new();
    while let Some(session) = joining.next().await {
        sessions.push(session.context("nobody is let in")?);
    }
    Ok(sessions)
}
