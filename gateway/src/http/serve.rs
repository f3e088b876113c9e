//! Connections.
//!
//! Owns the listener browsers come to, and the tasks of their connections. Promises that a connection has a seat, that
//! a request's head arrives in time, and that a drain ends idle connections at once and busy ones after their answer
//! (P8, P10). Never believes a header about where a browser is.

use std::{net::SocketAddr, sync::Arc};

use axum::{Router, body::Body, extract::ConnectInfo};
use hyper::{Request, body::Incoming, server::conn::http1};
use hyper_util::{
    rt::{TokioIo, TokioTimer},
    service::TowerToHyperService,
};
use metrics::gauge;
use parlour_chassis::tasks::Tasks;
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
};
use tokio_util::sync::CancellationToken;
use tower::ServiceBuilder;

use crate::{limits, metrics::CONNECTIONS};

/// The right to be connected. Requests carry it as an extension; who keeps a connection beyond its request, as a
/// WebSocket does, keeps it too.
#[derive(Clone, Debug)]
pub struct Seat(#[expect(dead_code, reason = "held, never read")] Arc<Held>);

#[derive(Debug)]
struct Held(#[expect(dead_code, reason = "given back when dropped")] OwnedSemaphorePermit);

impl Seat {
    fn new(permit: OwnedSemaphorePermit) -> Self {
        gauge!(CONNECTIONS).increment(1);
        Self(Arc::new(Held(permit)))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        gauge!(CONNECTIONS).decrement(1);
    }
}

/// Accepts connections until `tasks` drain; each is one of them.
pub async fn serve(listener: TcpListener, router: Router, tasks: &Tasks) {
    let seats = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let drain = tasks.drain().clone();
    while let Some((stream, peer, seat)) = drain.run_until_cancelled(next(&listener, &seats)).await {
        tasks.spawn(connection(stream, peer, seat, router.clone(), drain.clone()));
    }
}

/// The next connection there is a seat for.
async fn next(listener: &TcpListener, seats: &Arc<Semaphore>) -> (TcpStream, SocketAddr, Seat) {
    let permit = Arc::clone(seats).acquire_owned().await.expect("the semaphore is never closed");
    loop {
        match listener.accept().await {
            Ok((stream, peer)) => return (stream, peer, Seat::new(permit)),
            Err(error) => {
                tracing::warn!(%error, "a connection could not be accepted");
                tokio::time::sleep(limits::ACCEPT_PAUSE).await;
            }
        }
    }
}

async fn connection(
    stream: TcpStream,
    peer: SocketAddr,
    seat: Seat,
    router: Router,
    drain: CancellationToken,
) {
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection is gone already");
        return;
    }
    let service = ServiceBuilder::new()
        .map_request(move |mut request: Request<Incoming>| {
            request.extensions_mut().insert(ConnectInfo(peer));
            request.extensions_mut().insert(seat.clone());
            request.map(Body::new)
        })
        .service(router);
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEAD_TIMEOUT)
        .max_buf_size(limits::HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(service))
        .with_upgrades();
    tokio::pin!(served);
    let ended = tokio::select! {
        ended = served.as_mut() => ended,
        () = drain.cancelled() => {
            served.as_mut().graceful_shutdown();
            served.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection ended badly");
    }
}
