//! Signals.
//!
//! Owns the way from SIGTERM and Ctrl-C to one token. Promises that the first asks for a drain and the second ends the
//! process. Never decides what a drain is.

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio_util::sync::CancellationToken;

use crate::tasks::Tasks;

/// The exit status of a process that was told twice to stop: 128 and the number of SIGINT.
const STOPPED_AT_ONCE: i32 = 130;

/// Returns a token that is cancelled at the first SIGTERM or SIGINT; a second one ends the process at once.
///
/// # Errors
/// The system refuses a handler.
pub fn token(tasks: &Tasks) -> std::io::Result<CancellationToken> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let token = CancellationToken::new();
    let drain = token.clone();
    tasks.spawn_detached(async move {
        either(&mut terminate, &mut interrupt).await;
        tracing::info!("asked to stop: draining");
        drain.cancel();
        either(&mut terminate, &mut interrupt).await;
        tracing::warn!("asked to stop again: ending at once");
        std::process::exit(STOPPED_AT_ONCE);
    });
    Ok(token)
}

async fn either(terminate: &mut Signal, interrupt: &mut Signal) {
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
}
