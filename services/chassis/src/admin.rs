//! The admin port.
//!
//! Owns `/livez`, `/readyz` and `/metrics`. Promises that they are answered on a port of their own, also while the
//! process drains. Never serves anything a browser or client needs.

use std::sync::Arc;

use axum::{
    Router,
    extract::State,
    http::{StatusCode, header::CONTENT_TYPE},
    response::IntoResponse,
    routing::get,
};
use metrics::{Gauge, Unit, describe_gauge, gauge};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::telemetry;

/// How old the last proof is that readiness rests on, by `service`.
const PROOF_AGE: &str = "parlour_readiness_proof_age_seconds";

/// Says whether the process is ready, or in a sentence why not.
pub type Readiness = Arc<dyn Fn() -> Result<(), String> + Send + Sync>;

/// Serves the admin port until `stop`.
///
/// # Errors
/// The listener fails.
pub async fn serve(
    listener: TcpListener,
    readiness: Readiness,
    stop: CancellationToken,
) -> std::io::Result<()> {
    let router = Router::new()
        .route("/livez", get(async || "ok\n"))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics))
        .with_state(readiness);
    axum::serve(listener, router).with_graceful_shutdown(stop.cancelled_owned()).await
}

/// The gauge that tells how old the last proof of a service's readiness is.
pub fn proof_age(service: &'static str) -> Gauge {
    let what = "How old the last proof of readiness is: of the room service, the oldest writer's commit; of the gateway, \
        its relay's echo.";
    describe_gauge!(PROOF_AGE, Unit::Seconds, what);
    gauge!(PROOF_AGE, "service" => service)
}

async fn readyz(State(readiness): State<Readiness>) -> impl IntoResponse {
    match readiness() {
        Ok(()) => (StatusCode::OK, "ready\n".to_owned()),
        Err(reason) => (StatusCode::SERVICE_UNAVAILABLE, format!("{reason}\n")),
    }
}

async fn metrics() -> impl IntoResponse {
    ([(CONTENT_TYPE, "text/plain; version=0.0.4")], telemetry::metrics().render())
}
