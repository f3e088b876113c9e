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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use axum::routing::get;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    type Accepting = tokio::task::JoinHandle<Option<()>>;

    async fn started(router: Router) -> (SocketAddr, Tasks, Accepting) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let tasks = Tasks::new();
        let served = tasks.clone();
        // The accept loop belongs to a set of its own, as it does in the app.
        let accepting = Tasks::new().spawn(async move { serve(listener, router, &served).await });
        (address, tasks, accepting)
    }

    async fn rest(mut stream: TcpStream) -> String {
        let mut text = String::new();
        tokio::time::timeout(Duration::from_secs(60), stream.read_to_string(&mut text))
            .await
            .unwrap()
            .unwrap();
        text
    }

    #[tokio::test(start_paused = true)]
    async fn p8_a_head_that_does_not_arrive_in_time_ends_its_connection() {
        let (address, tasks, _accepting) = started(Router::new().route("/", get(async || "here"))).await;
        for head in ["", "GET / HTTP/1.1\r\nhost: a\r\nx-dribble: "] {
            let mut stream = TcpStream::connect(address).await.unwrap();
            stream.write_all(head.as_bytes()).await.unwrap();
            let start = tokio::time::Instant::now();
            assert_eq!(rest(stream).await, "", "{head:?}");
            assert!(start.elapsed() >= limits::HEAD_TIMEOUT);
        }
        assert!(tasks.finish(Duration::ZERO).await, "no connection is left");
    }

    #[tokio::test]
    async fn a_head_that_is_too_large_is_refused() {
        let (address, _tasks, _accepting) = started(Router::new()).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        let head = format!("GET / HTTP/1.1\r\nx-long: {}\r\n\r\n", "x".repeat(limits::HEAD_BYTES));
        stream.write_all(head.as_bytes()).await.unwrap();
        assert!(rest(stream).await.starts_with("HTTP/1.1 431 "));
    }

    #[tokio::test]
    async fn p10_a_drain_lets_a_request_have_its_answer() {
        let (reached, gate) = (Arc::new(tokio::sync::Notify::new()), Arc::new(tokio::sync::Notify::new()));
        let (tell, wait) = (Arc::clone(&reached), Arc::clone(&gate));
        let slow = get(async move || {
            tell.notify_one();
            wait.notified().await;
            "at last"
        });
        let (address, tasks, accepting) = started(Router::new().route("/", slow)).await;
        let mut stream = TcpStream::connect(address).await.unwrap();
        stream.write_all(b"GET / HTTP/1.1\r\nhost: a\r\n\r\n").await.unwrap();
        reached.notified().await;
        let finish = tasks.finish(Duration::from_secs(20));
        let answered = async {
            tasks.drain().cancelled().await;
            gate.notify_one();
            rest(stream).await
        };
        let (is_orderly, answer) = tokio::join!(finish, answered);
        assert!(is_orderly && answer.ends_with("at last"), "{answer}");
        accepting.await.unwrap();
        assert!(TcpStream::connect(address).await.is_err(), "nobody listens");
    }
}
