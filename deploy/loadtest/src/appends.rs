//! How fast sends become durable.
//!
//! Owns one measurement: so many sends are under way in so many rooms, at a room service or at a store alone. Promises that
//! each send has a key of its own and counts once it is acknowledged. Never hands anything to anybody.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use serde::Serialize;
use tokio_util::sync::CancellationToken;

use crate::{
    bench::{Mark, Meter, Quantiles, Usage},
    config::Appends,
};

mod service;
mod store;

/// What came of it.
#[derive(Debug, Serialize)]
pub(crate) struct Outcome {
    rooms: u64,
    senders: u64,
    /// Of a store alone: drafts of one transaction.
    batch: Option<usize>,
    seconds: f64,
    /// Sends that were acknowledged in that time.
    appended: u64,
    appended_per_second: f64,
    /// From a send until its acknowledgement, in milliseconds; of a store, of its batch.
    latency_ms: Quantiles,
    /// Of the measured processes, user and system.
    cpu_seconds: f64,
    /// Their memory, in KiB: when that time began, and at its end.
    memory_kib: [u64; 2],
    refused: u64,
}

impl Outcome {
    /// Whether each send was acknowledged.
    pub(crate) fn is_sound(&self) -> bool {
        self.refused == 0 && self.appended > 0
    }
}

/// What those who append share.
struct Shared {
    meter: Meter,
    quiet: CancellationToken,
}

impl Shared {
    /// So many sends, said at that time, are acknowledged.
    fn appended(&self, count: u64, since: Duration) {
        for _ in 0..count {
            self.meter.say(1);
            self.meter.hear(0, Mark { speaker: 0, number: 0, due: since });
        }
    }
}

/// Measures.
pub(crate) async fn run(settings: &Appends, stop: CancellationToken) -> anyhow::Result<Outcome> {
    let shared = Arc::new(Shared { meter: Meter::new(), quiet: stop.child_token() });
    let appending = async {
        match (&settings.grpc, &settings.store) {
            (Some(address), _) => service::append(settings, address, &shared).await,
            (None, store) => store::append(settings, store.as_deref().unwrap_or_default(), &shared).await,
        }
    };
    let measuring = async {
        tokio::time::sleep(settings.warmup).await;
        shared.meter.is_measuring.store(true, Ordering::Relaxed);
        let (start, before) = (Usage::of(&settings.pids)?, shared.meter.heard());
        tokio::time::sleep(settings.seconds).await;
        let (end, after) = (Usage::of(&settings.pids)?, shared.meter.heard());
        shared.meter.is_measuring.store(false, Ordering::Relaxed);
        shared.quiet.cancel();
        anyhow::Ok((start, end, after - before))
    };
    let ((), (start, end, appended)) = tokio::try_join!(appending, measuring)?;
    let seconds = (end.at - start.at).as_secs_f64();
    Ok(Outcome {
        rooms: settings.rooms,
        senders: settings.senders,
        batch: settings.store.as_ref().map(|_| settings.batch),
        seconds,
        appended,
        appended_per_second: appended as f64 / seconds,
        latency_ms: shared.meter.quantiles(),
        cpu_seconds: (end.cpu - start.cpu).as_secs_f64(),
        memory_kib: [start.memory_kib, end.memory_kib],
        refused: shared.meter.refused.load(Ordering::Relaxed),
    })
}

/// The text of a message.
fn content(settings: &Appends) -> String {
    "x".repeat(settings.content)
}
