//! Whether the room service is ready.
//!
//! Owns the proof that the store answers. Promises to be ready only while a statement was answered within the last 5 s
//! and no drain has begun. Never stops anything.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use parlour_proto::v1::room_service_server::RoomServiceServer;
use tokio_util::sync::CancellationToken;
use tonic_health::server::HealthReporter;

use crate::{
    rpc::Service,
    store::{AnyStore, Store},
};

/// How old the last proof may be.
const PROOF_AGE: Duration = Duration::from_secs(5);
/// How often the store is asked.
const PROBE_EVERY: Duration = Duration::from_secs(1);

/// What is known of the store and the drain. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    proved: Arc<Mutex<Instant>>,
    drain: CancellationToken,
}

impl Readiness {
    /// Ready from now: the store has just been opened.
    pub fn new(drain: CancellationToken) -> Self {
        Self { proved: Arc::new(Mutex::new(Instant::now())), drain }
    }

    /// Whether the service is ready.
    ///
    /// # Errors
    /// The sentence that says why not.
    pub fn check(&self) -> Result<(), String> {
        if self.drain.is_cancelled() {
            return Err("draining".to_owned());
        }
        let age = self.proved.lock().unwrap_or_else(PoisonError::into_inner).elapsed();
        if age <= PROOF_AGE {
            Ok(())
        } else {
            Err(format!("the store has not answered for {} s", age.as_secs()))
        }
    }

    /// Asks the store again and again, and tells gRPC health, until the drain; then health is told of that.
    pub async fn keep(self, store: Arc<AnyStore>, health: HealthReporter) {
        let mut every = tokio::time::interval(PROBE_EVERY);
        every.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut was_ready = true;
        health.set_serving::<RoomServiceServer<Service>>().await;
        while self.drain.run_until_cancelled(every.tick()).await.is_some() {
            let probe = tokio::time::timeout(PROOF_AGE, store.ping());
            let Some(answer) = self.drain.run_until_cancelled(probe).await else { break };
            if matches!(answer, Ok(Ok(()))) {
                *self.proved.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
            }
            let is_ready = self.check().is_ok();
            if is_ready != was_ready {
                tell(&health, is_ready).await;
                was_ready = is_ready;
            }
        }
        health.set_not_serving::<RoomServiceServer<Service>>().await;
    }
}

async fn tell(health: &HealthReporter, is_ready: bool) {
    if is_ready {
        tracing::info!("the store answers again: ready");
        health.set_serving::<RoomServiceServer<Service>>().await;
    } else {
        tracing::warn!("the store does not answer: not ready");
        health.set_not_serving::<RoomServiceServer<Service>>().await;
    }
}
