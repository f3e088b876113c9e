//! A browser's socket.
//!
//! Owns what the gateway asks of a WebSocket (`Socket`) and the ready frames it is given; `socket/tcp.rs` is the one that
//! ships. Never knows what a frame says.

use std::{
    sync::Arc,
    task::{Context, Poll},
};

use bytes::{BufMut, Bytes, BytesMut};
use tokio_tungstenite::tungstenite::Utf8Bytes;

use super::close::Close;
use crate::relay::inbox::Outlet;

mod tcp;
mod wire;

pub use tcp::{TcpSocket, echo};

/// What kind of WebSocket frame it is: its first byte.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
enum Kind {
    Text = 0x81,
    Binary = 0x82,
    Ping = 0x89,
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
        wire.put_u8(kind as u8);
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

    /// Takes the next thing that came. After `Closed`, `Broken` and `Failed` nothing more comes.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming>;

    /// How many bytes the connection has taken so far of what had to wait, those of frames under way too.
    fn taken(&self) -> u64;

    /// What others write to while the session rests.
    fn outlet(&self) -> Arc<dyn Outlet>;

    /// Whether the session rests from now on: it has nothing to say, and others may write. Once this has been said to be
    /// over, nobody is writing. Where something has not been taken yet, it does not rest.
    fn rest(&mut self, rests: bool);

    /// Ends the connection with this code, within a bounded time.
    fn close(self, close: Close) -> impl Future<Output = ()> + Send;
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
