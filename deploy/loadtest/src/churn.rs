//! What it costs that members come and go.
//!
//! Owns one measurement: a room of which some leave and join again, one after the other, while the others stay. Promises
//! that whoever stays counts each byte of presence that it is told, and that at the end everybody must know how many are
//! there. Never says a message.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, future::try_join_all, stream};
use parlour_chassis::tasks::Tasks;
use serde::Serialize;
use tokio::{sync::mpsc, task::JoinHandle, time::MissedTickBehavior};
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Meter, Quantiles, Usage, make_rooms},
    config::Churn,
};

mod member;

use member::Member;

/// How many connect at once.
const CONNECTING: usize = 64;
/// Moves that may wait at one who moves.
const MOVES: usize = 16;
/// What a session may be told of presence in a second, in bytes, and what at once: so at either end of the measured time.
const BYTES_PER_SECOND: f64 = 4_096.0;
const AT_ONCE: f64 = 5_120.0;

/// What they share.
struct Shared {
    /// One is said to each who stays when nobody moves any more, and heard once it knows how many are there.
    meter: Meter,
    /// Whether what is told is counted.
    is_counting: AtomicBool,
    /// Joins and leaves.
    changes: AtomicU64,
    /// Nobody moves any more, and everybody is there.
    over: CancellationToken,
}

/// The measured time: its ends, and the changes within it.
struct Measured {
    start: Usage,
    end: Usage,
    changes: u64,
}

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    members: u64,
    moving: u64,
    seconds: f64,
    /// Joins and leaves within that time.
    changes: u64,
    /// Of presence that one who stays was told, in bytes a second: on average, and whoever was told most.
    presence_bytes_per_second: f64,
    most_bytes_per_second: f64,
    /// Whoever was told more than a session's share.
    over_budget: usize,
    /// From the last move until those who stay knew how many are there.
    true_after_ms: Quantiles,
    /// Of the measured processes, user and system.
    cpu_seconds: f64,
    cpu_us_per_change: f64,
    /// Who never knew it.
    wrong: u64,
}

impl Outcome {
    /// Whether everybody was told no more than its share, and the truth.
    pub(crate) fn is_sound(&self) -> bool {
        self.over_budget == 0 && self.wrong == 0
    }

    fn new(settings: &Churn, measured: &Measured, told: &[u64], meter: &Meter) -> Self {
        let seconds = (measured.end.at - measured.start.at).as_secs_f64();
        let budget = BYTES_PER_SECOND * seconds + 2.0 * AT_ONCE;
        let cpu = (measured.end.cpu - measured.start.cpu).as_secs_f64();
        Self {
            members: settings.members,
            moving: settings.moving,
            seconds,
            changes: measured.changes,
            presence_bytes_per_second: told.iter().sum::<u64>() as f64 / told.len() as f64 / seconds,
            most_bytes_per_second: told.iter().max().map_or(0.0, |most| *most as f64 / seconds),
            over_budget: told.iter().filter(|bytes| **bytes as f64 > budget).count(),
            true_after_ms: meter.quantiles(),
            cpu_seconds: cpu,
            cpu_us_per_change: cpu * 1e6 / measured.changes.max(1) as f64,
            wrong: meter.missing(),
        }
    }
}

/// Measures.
pub(crate) async fn run(settings: &Churn, stop: CancellationToken) -> anyhow::Result<Outcome> {
    ensure!(settings.moving < settings.members, "somebody must stay");
    let shared = Arc::new(Shared {
        meter: Meter::new(),
        is_counting: AtomicBool::new(false),
        changes: AtomicU64::new(0),
        over: CancellationToken::new(),
    });
    let tasks = Tasks::new();
    let crowd = Crowd::gather(settings, &shared, &tasks).await?;
    let quiet = CancellationToken::new();
    let churning = async {
        tokio::try_join!(measured(settings, &shared, &quiet), pace(settings, &crowd.movers, &shared, &quiet))
    };
    let (measured, ()) = tokio::select! {
        () = stop.cancelled() => bail!("told to stop"),
        churned = churning => churned?,
    };
    let told = crowd.part().await?;
    Ok(Outcome::new(settings, &measured, &told, &shared.meter))
}

/// Everybody, reading.
struct Crowd {
    staying: Vec<JoinHandle<Option<anyhow::Result<u64>>>>,
    moving: Vec<JoinHandle<Option<anyhow::Result<()>>>>,
    /// Where each of those who move is told to join, or to leave.
    movers: Vec<mpsc::Sender<bool>>,
}

impl Crowd {
    /// Lets everybody in.
    async fn gather(settings: &Churn, shared: &Arc<Shared>, tasks: &Tasks) -> anyhow::Result<Self> {
        let rooms = make_rooms(&settings.url, 1).await?;
        let room = rooms.first().context("there is a room")?;
        let joining = (0..settings.members).map(|number| Member::join(settings, room, number, shared));
        let mut joining = stream::iter(joining).buffer_unordered(CONNECTING);
        let mut crowd = Self { staying: Vec::new(), moving: Vec::new(), movers: Vec::new() };
        while let Some(member) = joining.next().await {
            let member = member.context("nobody is let in")?;
            if crowd.movers.len() as u64 == settings.moving {
                crowd.staying.push(tasks.spawn(member.stays(settings.members)));
            } else {
                let (mover, moves) = mpsc::channel(MOVES);
                crowd.movers.push(mover);
                crowd.moving.push(tasks.spawn(member.moves(moves)));
            }
        }
        Ok(crowd)
    }

    /// Waits for everybody; what each of those who stayed was told.
    async fn part(self) -> anyhow::Result<Vec<u64>> {
        let told = try_join_all(self.staying).await?;
        let told = told.into_iter().map(|told| told.context("its task was ended")?);
        let told = told.collect::<anyhow::Result<_>>()?;
        drop(self.movers);
        for moved in try_join_all(self.moving).await? {
            moved.context("its task was ended")??;
        }
        Ok(told)
    }
}

/// Waits for the measured time, and reads what was used in it.
async fn measured(settings: &Churn, shared: &Shared, quiet: &CancellationToken) -> anyhow::Result<Measured> {
    tokio::time::sleep(settings.settle + settings.warmup).await;
    let changes = || shared.changes.load(Ordering::Relaxed);
    let (start, before) = (Usage::of(&settings.pids)?, changes());
    shared.is_counting.store(true, Ordering::Relaxed);
    tokio::time::sleep(settings.seconds).await;
    let (end, after) = (Usage::of(&settings.pids)?, changes());
    shared.is_counting.store(false, Ordering::Relaxed);
    quiet.cancel();
    Ok(Measured { start, end, changes: after - before })
}

/// Lets one after the other go and come, until it is quiet and all are there.
async fn pace(
    settings: &Churn,
    movers: &[mpsc::Sender<bool>],
    shared: &Shared,
    quiet: &CancellationToken,
) -> anyhow::Result<()> {
    tokio::time::sleep(settings.settle).await;
    let mut every = tokio::time::interval(Duration::from_secs_f64(60.0 / settings.rate));
    every.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut turns = Turns::new(movers.len());
    loop {
        let is_quiet = quiet.run_until_cancelled(every.tick()).await.is_none();
        let Some((mover, joins)) = (if is_quiet { turns.home() } else { turns.next() }) else { break };
        movers[mover].send(joins).await.context("one who moves is gone")?;
        shared.changes.fetch_add(1, Ordering::Relaxed);
    }
    shared.meter.is_measuring.store(true, Ordering::Relaxed);
    shared.over.cancel();
    Ok(())
}

/// Whose turn it is: half of those who move go, then one comes for each who goes, whoever has been away longest.
struct Turns {
    inside: VecDeque<usize>,
    outside: VecDeque<usize>,
}

impl Turns {
    fn new(movers: usize) -> Self {
        Self { inside: (0..movers).collect(), outside: VecDeque::new() }
    }

    /// Who moves next, and whether it joins.
    fn next(&mut self) -> Option<(usize, bool)> {
        if self.outside.len() >= self.inside.len() {
            return self.home();
        }
        let mover = self.inside.pop_front()?;
        self.outside.push_back(mover);
        Some((mover, false))
    }

    /// Who of those outside joins next.
    fn home(&mut self) -> Option<(usize, bool)> {
        let mover = self.outside.pop_front()?;
        self.inside.push_back(mover);
        Some((mover, true))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_comes_for_each_who_goes_and_in_the_end_all_are_there() {
        let mut turns = Turns::new(4);
        let moves: Vec<_> = (0..6).filter_map(|_| turns.next()).collect();
        assert_eq!(moves, [(0, false), (1, false), (0, true), (2, false), (1, true), (3, false)]);
        assert_eq!((turns.home(), turns.home(), turns.home()), (Some((2, true)), Some((3, true)), None));
    }
}
