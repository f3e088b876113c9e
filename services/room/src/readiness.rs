//! Whether the room service is ready.
//!
//! Owns the proofs that each writer commits. Promises P13: ready only while every writer has carried a row of its own
//! through its queue and a commit within the last 5 s, and no drain has begun; that the age of the oldest proof is told;
//! and that it is ready again by itself. Never stops anything.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use futures_util::future::join_all;
use parlour_chassis::admin;
use parlour_proto::v1::room_service_server::RoomServiceServer;
use tokio::time::MissedTickBehavior;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::{rpc::Service, store::writer::Writer};

/// How old the oldest writer's last proof may be.
const PROOF_AGE: Duration = Duration::from_secs(5);
/// How often each writer is asked for one.
const PROVE_EVERY: Duration = Duration::from_secs(1);
/// How often it is told whether the service is ready.
const TELL_EVERY: Duration = Duration::from_millis(500);

/// What is known of the writers and the drain. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    proved: Arc<[Mutex<Instant>]>,
    drain: CancellationToken,
}

impl Readiness {
    /// Ready from now: the store has just been opened.
    pub fn new(writers: usize, drain: CancellationToken) -> Self {
        let now = Instant::now();
        Self { proved: (0..writers).map(|_| Mutex::new(now)).collect(), drain }
    }

    /// Whether the service is ready.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        if self.drain.is_cancelled() {
            return Err("draining".to_owned());
        }
        let age = self.age();
        if age <= PROOF_AGE {
            Ok(())
        } else {
            Err(format!("the store has committed nothing of a writer for {} s", age.as_secs()))
        }
    }

    /// Has the writers prove themselves again and again, and tells gRPC health and the metric, until the drain; then
    /// health is told of that.
    pub async fn keep(self, writer: Writer, health: HealthReporter) {
        let proving = join_all((0..self.proved.len()).map(|number| self.prove(&writer, number)));
        let keeping = async { tokio::join!(proving, self.tell(&health)) };
        self.drain.run_until_cancelled(keeping).await;
        health.set_not_serving::<RoomServiceServer<Service>>().await;
    }

    /// Has one writer prove itself. A proof that does not come is asked for anew.
    async fn prove(&self, writer: &Writer, number: usize) {
        let mut every = tokio::time::interval(PROVE_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            every.tick().await;
            if let Ok(Ok(())) = tokio::time::timeout(PROOF_AGE, writer.prove(number)).await
                && let Some(proved) = self.proved.get(number)
            {
                *proved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
        }
    }

    async fn tell(&self, health: &HealthReporter) {
        let age = admin::proof_age("room");
        let mut every = tokio::time::interval(TELL_EVERY);
        every.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut was_ready = None;
        loop {
            every.tick().await;
            age.set(self.age().as_secs_f64());
            let is_ready = self.check().is_ok();
            match (was_ready.replace(is_ready), is_ready) {
                (None, true) => health.set_serving::<RoomServiceServer<Service>>().await,
                (Some(false), true) => {
                    tracing::info!("the store commits again: ready");
                    health.set_serving::<RoomServiceServer<Service>>().await;
                }
                (None | Some(true), false) => {
                    tracing::warn!("the store does not commit: not ready");
                    health.set_not_serving::<RoomServiceServer<Service>>().await;
                }
                (Some(true), true) | (Some(false), false) => {}
            }
        }
    }

    /// How old the oldest writer's last proof is.
    fn age(&self) -> Duration {
        let proved = self.proved.iter().map(|proved| *proved.lock().unwrap_or_else(PoisonError::into_inner));
        proved.min().map_or(Duration::ZERO, |oldest| oldest.elapsed())
    }
}
