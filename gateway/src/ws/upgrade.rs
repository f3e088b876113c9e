//! The handshake of a WebSocket.
//!
//! Owns the way from a request to a socket of our own. Promises that nothing of HTTP is kept once the connection is a
//! WebSocket, and that what came right behind the request is read first. Never judges who asks.

use axum::{body::Body, extract::Request, response::Response};
use bytes::Bytes;
use hyper::upgrade::{OnUpgrade, Parts};
use hyper_util::rt::TokioIo;
use parlour_feed::Pool;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::handshake::server::create_response_with_body;

use super::socket::TcpSocket;
use crate::error::Error;

/// A socket that is about to be.
pub(super) struct Opening {
    upgraded: OnUpgrade,
    frame_bytes: usize,
}

/// Reads a request for a WebSocket; gives the answer, and what becomes a socket once it has been written. A message may
/// have `frame_bytes`.
///
/// # Errors
/// It is none, or of another version.
pub(super) fn open(request: &mut Request, frame_bytes: usize) -> Result<(Response, Opening), Error> {
    let response = create_response_with_body(request, Body::empty).map_err(|_| Error::NotAnUpgrade)?;
    Ok((response, Opening { upgraded: hyper::upgrade::on(request), frame_bytes }))
}

impl Opening {
    /// The socket, whose waiting bytes count among `outboxes`; `None` where the connection ended before.
    pub(super) async fn socket(self, outboxes: &Pool) -> Option<TcpSocket> {
        let upgraded = self.upgraded.await.ok()?;
        let Ok(Parts { io, read_buf, .. }) = upgraded.downcast::<TokioIo<TcpStream>>() else {
            tracing::error!("a connection that was upgraded is not TCP");
            return None;
        };
        // What is left is copied, so that the buffer it stands in goes.
        let early = Bytes::copy_from_slice(&read_buf);
        Some(TcpSocket::new(io.into_inner(), early, self.frame_bytes, outboxes))
    }
}
