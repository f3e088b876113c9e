//! How fast an installation is.
//!
//! Owns one measurement: members join, some of them speak, and what each is given is counted. Promises that what is lost,
//! repeated or out of order is told beside the figures, that waiting counts from when a message was due, and that the
//! processor time is that of the measured processes alone. Never measures while members still join.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail, ensure};
use futures_util::{StreamExt as _, stream};
use parlour_chassis::tasks::Tasks;
use serde::Serialize;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

use crate::{
    config::{Address, Bench},
    installation::Installation,
};

mod dialect;
mod member;
mod meter;
mod pace;
mod process;
mod stalled;

pub(crate) use dialect::Dialect;
pub(crate) use member::opened;
pub(crate) use meter::{Mark, Meter, Quantiles, SHORTEST};
pub(crate) use pace::Load;
pub(crate) use process::Usage;

use member::Member;

/// How many connect at once.
const CONNECTING: usize = 64;
/// How long nothing may come before what has not come counts as lost.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether all has come.
const LOOK: Duration = Duration::from_millis(50);

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Result {
    dialect: Dialect,
    load: String,
    rooms: u64,
    members: u64,
    seconds: f64,
    /// Messages said within the measured time.
    messages: u64,
    /// Messages handed to members within it.
    deliveries: u64,
    /// Of the measured processes, user and system.
    cpu_seconds: f64,
    cpu_us_per_delivery: f64,
    cpu_us_per_message: f64,
    /// From when a message was due until a member had it, in milliseconds.
    latency_ms: Quantiles,
    /// Memory of the measured processes, in KiB: before anybody connected, with everybody there, and at the end.
    memory_kib: [u64; 3],
    memory_kib_per_member: f64,
    /// Of each process that was named, in that order.
    processes: Vec<Share>,
    lost: u64,
    repeated_or_reordered: u64,
    refused: u64,
    /// What came of the room of two.
    beside: Option<Box<Self>>,
}

/// What one of the processes has of it.
#[derive(Debug, Serialize)]
struct Share {
    cpu_us_per_message: f64,
    memory_kib_per_member: f64,
}

impl Result {
    /// Whether every message came to everybody, once and in order: else the figures are none.
    pub(crate) fn is_sound(&self) -> bool {
        self.lost == 0
            && self.repeated_or_reordered == 0
            && self.refused == 0
            && self.beside.as_ref().is_none_or(|beside| beside.is_sound())
    }
}

/// What the measured processes have used: all together, and each.
struct Reading {
    all: Usage,
    each: Vec<Usage>,
}

impl Reading {
    fn of(settings: &Bench) -> std::io::Result<Self> {
        Ok(Self { all: Usage::of(&settings.pids)?, each: Usage::of_each(&settings.pids)? })
    }
}

/// Measures.
pub(crate) async fn run(settings: &Bench, stop: CancellationToken) -> anyhow::Result<Result> {
    let before = Reading::of(settings)?;
    let meter = Arc::new(Meter::new());
    let rooms = match settings.dialect.makes_rooms() {
        true => make_rooms(&settings.url, settings.rooms).await?,
        false => names(settings.rooms),
    };
    let crowd = Tasks::new();
    let mut speakers = Vec::new();
    let joining = rooms.iter().enumerate().flat_map(|(room, name)| {
        let meter = &meter;
        (0..settings.members).map(move |place| Member::join(settings, meter.clone(), room, name, place))
    });
    let mut joining = stream::iter(joining).buffer_unordered(CONNECTING);
    let mut members = Vec::new();
    while let Some(member) = joining.next().await {
        members.push(member?);
        ensure!(!stop.is_cancelled(), "told to stop");
    }
    drop(joining);
    let quiet = CancellationToken::new();
    for mut member in members {
        speakers.extend(member.speaker(settings, quiet.clone()));
        crowd.spawn(member.listen());
    }
    let room = rooms.first().context("there is a room")?;
    let outcome = measured(settings, before, &meter, speakers, &quiet, room, stop).await;
    crowd.finish(Duration::ZERO).await;
    outcome
}

async fn measured(
    settings: &Bench,
    before: Reading,
    meter: &Arc<Meter>,
    speakers: Vec<pace::Speaker>,
    quiet: &CancellationToken,
    room: &str,
    stop: CancellationToken,
) -> anyhow::Result<Result> {
    tokio::time::sleep(settings.settle).await;
    let full = Reading::of(settings)?;
    let pacing = Tasks::new();
    pacing.spawn(pace::drive(settings.load, speakers, meter.clone(), quiet.clone()));
    let beside = settings.beside.map(|rate| beside(settings, rate, stop.clone()));
    tokio::time::sleep(settings.warmup).await;
    // Held to the end, and not read.
    let _stalled = stalled::join(settings, room).await?;
    meter.is_measuring.store(true, Ordering::Relaxed);
    let (start, messages, deliveries) = (Reading::of(settings)?, meter.said(), meter.heard());
    tokio::select! {
        () = stop.cancelled() => bail!("told to stop"),
        () = tokio::time::sleep(settings.seconds) => {}
    }
    let (end, messages, deliveries) =
        (Reading::of(settings)?, meter.said() - messages, meter.heard() - deliveries);
    meter.is_measuring.store(false, Ordering::Relaxed);
    let beside = match beside {
        Some(beside) => Some(Box::new(beside.await?.context("the room of two")?)),
        None => None,
    };
    quiet.cancel();
    pacing.finish(PATIENCE).await;
    all_came(meter).await;
    let members = settings.rooms * settings.members;
    let cpu = |from: &Usage, to: &Usage| (to.cpu - from.cpu).as_secs_f64();
    let over = |cpu: f64, count: u64| if count == 0 { 0.0 } else { cpu * 1e6 / count as f64 };
    let per_member =
        |from: &Usage, to: &Usage| to.memory_kib.saturating_sub(from.memory_kib) as f64 / members as f64;
    let processes = (0..settings.pids.len()).map(|nth| Share {
        cpu_us_per_message: over(cpu(&start.each[nth], &end.each[nth]), messages),
        memory_kib_per_member: per_member(&before.each[nth], &full.each[nth]),
    });
    let cpu = cpu(&start.all, &end.all);
    Ok(Result {
        dialect: settings.dialect,
        load: settings.load.to_string(),
        rooms: settings.rooms,
        members,
        seconds: (end.all.at - start.all.at).as_secs_f64(),
        messages,
        deliveries,
        cpu_seconds: cpu,
        cpu_us_per_delivery: over(cpu, deliveries),
        cpu_us_per_message: over(cpu, messages),
        latency_ms: meter.quantiles(),
        memory_kib: [before.all.memory_kib, full.all.memory_kib, end.all.memory_kib],
        memory_kib_per_member: per_member(&before.all, &full.all),
        processes: processes.collect(),
        lost: meter.missing(),
        repeated_or_reordered: meter.repeats.load(Ordering::Relaxed),
        refused: meter.refused.load(Ordering::Relaxed),
        beside,
    })
}

/// Measures a room of two, by a thread of its own: so that its members wait for none of ours.
fn beside(settings: &Bench, rate: f64, stop: CancellationToken) -> JoinHandle<anyhow::Result<Result>> {
    let settings = Bench {
        rooms: 1,
        members: 2,
        load: Load::Rate(rate),
        stalled: 0,
        beside: None,
        settle: Duration::ZERO,
        pids: Vec::new(),
        ..settings.clone()
    };
    tokio::task::spawn_blocking(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        runtime.block_on(run(&settings, stop))
    })
}

/// The names of so many rooms of this run.
fn names(rooms: u64) -> Vec<String> {
    let run = format!("bench-{:08x}", rand::random::<u32>());
    (0..rooms).map(|room| format!("{run}-{room}")).collect()
}

/// The same, made at a gateway.
pub(crate) async fn make_rooms(url: &Address, rooms: u64) -> anyhow::Result<Vec<String>> {
    let (names, installation) = (names(rooms), Installation::new(vec![url.clone()]));
    let installation = &installation;
    let mut making = stream::iter(&names).map(|name| installation.make_room(name)).buffer_unordered(8);
    while let Some(made) = making.next().await {
        made.context("no room could be made")?;
    }
    drop(making);
    Ok(names)
}

/// Waits until everybody was given what was said, or nothing comes any more.
async fn all_came(meter: &Meter) {
    let (mut heard, mut since) = (meter.heard(), tokio::time::Instant::now());
    while meter.missing() > 0 && since.elapsed() < PATIENCE {
        tokio::time::sleep(LOOK).await;
        if meter.heard() != heard {
            (heard, since) = (meter.heard(), tokio::time::Instant::now());
        }
    }
}
