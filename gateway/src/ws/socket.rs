//! A browser's socket.
//!
//! Owns what the gateway asks of a WebSocket (`Socket`), the ready frames it is given, and the implementation over
//! axum's. Promises that every buffer is bounded, that a frame is taken whole or not at all, and that what breaks the
//! protocol is told apart from what merely ends. Never knows what a frame says.

use std::{
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use axum::extract::ws::{CloseFrame, Message, Utf8Bytes, WebSocket, WebSocketUpgrade};
use bytes::{BufMut, Bytes, BytesMut};
use futures_util::{Sink, Stream};
use tokio_tungstenite::tungstenite::{Error as WireError, error::ProtocolError};

use super::close::Close;
use crate::http::Taken;

/// What is read from a socket at once.
const READ_BUFFER_BYTES: usize = 4 * 1024;
/// Frames are gathered up to this before they are written; a flush writes less.
const WRITE_BUFFER_BYTES: usize = 8 * 1024;
/// The largest frame that can wait to be written: a page of history, each of its characters escaped.
const MAX_WRITE_BYTES: usize = 4 * 1024 * 1024;
/// How long a peer may take to answer a close, or to take it.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// What kind of WebSocket frame it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Text,
    Ping,
}

/// A WebSocket frame as it goes over the wire: header and body in shared bytes. A clone costs a count.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame(Bytes);

impl Frame {
    /// A text frame with this body.
    pub fn text(body: &str) -> Self {
        Self::new(Kind::Text, body.as_bytes())
    }

    /// An empty ping.
    pub fn ping() -> Self {
        Self::new(Kind::Ping, &[])
    }

    fn new(kind: Kind, body: &[u8]) -> Self {
        let mut wire = BytesMut::with_capacity(body.len() + 10);
        wire.put_u8(match kind {
            Kind::Text => 0x81,
            Kind::Ping => 0x89,
        });
        match body.len() {
            len @ 0..=125 => wire.put_u8(len as u8),
            len @ 126..=0xffff => {
                wire.put_u8(126);
                wire.put_u16(len as u16);
            }
            len => {
                wire.put_u8(127);
                wire.put_u64(len as u64);
            }
        }
        wire.put_slice(body);
        Self(wire.freeze())
    }

    /// Takes back what [`wire`](Self::wire) gave.
    pub fn of_wire(wire: Bytes) -> Self {
        Self(wire)
    }

    /// The whole frame, header first.
    pub fn wire(&self) -> &Bytes {
        &self.0
    }

    /// The body without the header.
    pub fn body(&self) -> Bytes {
        let head = match self.0.get(1) {
            Some(126) => 4,
            Some(127) => 10,
            _ => 2,
        };
        self.0.slice(head.min(self.0.len())..)
    }

    fn kind(&self) -> Kind {
        if self.0.first() == Some(&0x89) { Kind::Ping } else { Kind::Text }
    }

    /// How many bytes it is on the wire.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing to send: never, a header is something.
    pub fn is_empty(&self) -> bool {
        false
    }
}

/// What came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Incoming {
    /// A text.
    Text(Utf8Bytes),
    /// Bytes.
    Binary(Bytes),
    /// A ping, which has been answered, or a pong.
    Alive,
    /// The peer closes in order.
    Closed,
    /// The connection ended without a word.
    Broken,
    /// The peer broke the protocol, and is to be told so.
    Failed(Close),
}

/// The connection is gone: nothing can be written any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection is gone")]
pub struct Gone;

/// One browser's socket, as a session uses it.
///
/// An implementer buffers at most a bounded number of bytes, takes a frame whole or not at all, keeps the order, answers
/// pings by itself, and registers the waker of every method that returns `Pending`.
pub trait Socket: Send + Sized {
    /// Offers a frame; says how many of its bytes were taken: all of them, or `Pending` for none.
    fn poll_push(&mut self, cx: &mut Context<'_>, frame: &Frame) -> Poll<Result<usize, Gone>>;

    /// Writes what was taken to the connection.
    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>>;

    /// How many bytes the connection has taken so far, those of frames under way too.
    fn taken(&self) -> u64;

    /// Takes the next thing that came. After `Closed`, `Broken` and `Failed` nothing more comes.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming>;

    /// Ends the connection with this code, within a bounded time.
    fn close(self, close: Close) -> impl Future<Output = ()> + Send;
}

/// Sets the bounds of a socket before it is upgraded.
pub fn bounded(upgrade: WebSocketUpgrade, frame_bytes: usize) -> WebSocketUpgrade {
    upgrade
        .read_buffer_size(READ_BUFFER_BYTES)
        .write_buffer_size(WRITE_BUFFER_BYTES)
        .max_write_buffer_size(WRITE_BUFFER_BYTES + MAX_WRITE_BYTES)
        .max_message_size(frame_bytes)
        // A frame somewhat too large is still read, so that its sender is not cut off before it sees the close code.
        .max_frame_size(frame_bytes.saturating_mul(2))
}

/// The socket that axum's upgrade gives.
#[derive(Debug)]
pub struct AxumSocket {
    inner: WebSocket,
    taken: Taken,
}

impl AxumSocket {
    /// Takes over an upgraded socket, bounded before by [`bounded`]; `taken` is its connection's.
    pub fn new(inner: WebSocket, taken: Taken) -> Self {
        Self { inner, taken }
    }

    /// The next thing that came.
    pub async fn read(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    /// Sends a message whole.
    pub async fn send(&mut self, message: Message) -> Result<(), Gone> {
        self.inner.send(message).await.map_err(|_| Gone)
    }
}

impl Socket for AxumSocket {
    fn poll_push(&mut self, cx: &mut Context<'_>, frame: &Frame) -> Poll<Result<usize, Gone>> {
        ready!(Pin::new(&mut self.inner).poll_ready(cx)).map_err(|_| Gone)?;
        let message = match frame.kind() {
            Kind::Text => Message::Text(Utf8Bytes::try_from(frame.body()).map_err(|_| Gone)?),
            Kind::Ping => Message::Ping(frame.body()),
        };
        Pin::new(&mut self.inner).start_send(message).map_err(|_| Gone)?;
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        Pin::new(&mut self.inner).poll_flush(cx).map_err(|_| Gone)
    }

    fn taken(&self) -> u64 {
        self.taken.bytes()
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        Poll::Ready(match ready!(Pin::new(&mut self.inner).poll_next(cx)) {
            Some(Ok(Message::Text(text))) => Incoming::Text(text),
            Some(Ok(Message::Binary(bytes))) => Incoming::Binary(bytes),
            Some(Ok(Message::Ping(_) | Message::Pong(_))) => Incoming::Alive,
            Some(Ok(Message::Close(_))) => Incoming::Closed,
            Some(Err(error)) => failure(error),
            None => Incoming::Broken,
        })
    }

    async fn close(mut self, close: Close) {
        let code = CloseFrame { code: close.code(), reason: Utf8Bytes::from_static(close.reason()) };
        let goodbye = async {
            let told = self.inner.send(Message::Close(Some(code))).await;
            // A peer that closed first cannot be told any more, but is owed the answer that stands ready: reading on
            // writes it.
            while self.inner.recv().await.is_some_and(|message| message.is_ok()) {}
            if told.is_ok() && close.leaves_input() {
                // Input that nobody reads makes the kernel reset the connection, which would overtake the close frame;
                // the peer is left the time to take it.
                std::future::pending::<()>().await;
            }
        };
        // A peer that takes or answers nothing in time is cut off: what it did not take, it will find missing.
        let _ = tokio::time::timeout(CLOSE_LIMIT, goodbye).await;
    }
}

/// What the failure of a read means.
fn failure(error: axum::Error) -> Incoming {
    let Ok(error) = error.into_inner().downcast::<WireError>() else { return Incoming::Broken };
    match *error {
        WireError::Capacity(_) => Incoming::Failed(Close::TooLarge),
        WireError::Utf8(_) => Incoming::Failed(Close::NotUtf8),
        WireError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Broken,
        WireError::Protocol(_) => Incoming::Failed(Close::Protocol),
        _ => Incoming::Broken,
    }
}

/// Sends every message back, until the peer closes: what a conformance suite needs to judge this socket.
pub async fn echo(mut socket: AxumSocket) {
    loop {
        let message = match socket.read().await {
            Incoming::Text(text) => Message::Text(text),
            Incoming::Binary(bytes) => Message::Binary(bytes),
            Incoming::Alive => continue,
            Incoming::Closed => return socket.close(Close::Normal).await,
            Incoming::Broken => return,
            Incoming::Failed(close) => return socket.close(close).await,
        };
        if socket.send(message).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_has_the_shortest_header_that_holds_its_length() {
        for (len, head) in [(0, 2), (125, 2), (126, 4), (65_535, 4), (65_536, 10)] {
            let body = "x".repeat(len);
            let frame = Frame::text(&body);
            assert_eq!(frame.len(), len + head);
            assert_eq!(frame.body(), body.as_bytes());
            assert_eq!(frame.wire()[0], 0x81);
        }
        assert_eq!(Frame::ping().wire().as_ref(), [0x89, 0]);
    }
}
