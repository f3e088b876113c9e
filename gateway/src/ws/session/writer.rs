//! What a session is about to write.
//!
//! Owns the frames on their way to the socket, in order, and since when the socket takes nothing. Promises that frames are
//! written together while the socket takes them, and that a socket which stands still is noticed. Never reorders.

use std::{
    collections::VecDeque,
    future::poll_fn,
    task::{Context, Poll},
};

use parlour_feed::{Pool, Share};
use tokio::time::Instant;

use crate::ws::socket::{Frame, Gone, Incoming, Socket};

/// What a turn of the socket brought.
#[derive(Debug)]
pub(super) enum Turn {
    /// All frames were handed over: there is room for more.
    Written,
    /// The socket takes nothing for now.
    Blocked,
    /// Something came.
    Incoming(Incoming),
    /// Nothing can be written any more.
    Gone,
}

/// Frames that wait, in order, counted among what all sessions hold.
#[derive(Debug)]
pub(super) struct Queue {
    frames: VecDeque<Frame>,
    share: Share,
}

impl Queue {
    pub(super) fn new(outboxes: &Pool) -> Self {
        Self { frames: VecDeque::new(), share: outboxes.share() }
    }

    pub(super) fn push_back(&mut self, frame: Frame) {
        self.share.grow(frame.len());
        self.frames.push_back(frame);
    }

    pub(super) fn pop_front(&mut self) -> Option<Frame> {
        let frame = self.frames.pop_front()?;
        self.share.shrink(frame.len());
        if self.frames.is_empty() {
            self.frames = VecDeque::new(); // most sessions wait: they hold nothing meanwhile
        }
        Some(frame)
    }

    pub(super) fn len(&self) -> usize {
        self.frames.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    pub(super) fn bytes(&self) -> usize {
        self.share.bytes()
    }
}

/// The frames on their way.
#[derive(Debug)]
pub(super) struct Writer {
    frames: Queue,
    blocked_since: Option<Instant>,
    /// What the socket had taken then.
    taken: u64,
}

impl Writer {
    pub(super) fn new(outboxes: &Pool) -> Self {
        Self { frames: Queue::new(outboxes), blocked_since: None, taken: 0 }
    }

    /// Puts a frame behind the others.
    pub(super) fn put(&mut self, frame: Frame) {
        self.frames.push_back(frame);
    }

    /// Whether all frames were handed over.
    pub(super) fn is_empty(&self) -> bool {
        self.frames.is_empty()
    }

    /// Since when the socket takes nothing.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// Writes what the socket takes, and reads if `reads`.
    pub(super) fn poll_turn(
        &mut self,
        cx: &mut Context<'_>,
        socket: &mut impl Socket,
        reads: bool,
    ) -> Poll<Turn> {
        let was_blocked = self.blocked_since.is_some();
        match self.poll_write(socket, cx) {
            Poll::Ready(Ok(true)) => return Poll::Ready(Turn::Written),
            Poll::Ready(Err(Gone)) => return Poll::Ready(Turn::Gone),
            Poll::Ready(Ok(false)) | Poll::Pending => {}
        }
        if reads && let Poll::Ready(incoming) = socket.poll_read(cx) {
            return Poll::Ready(Turn::Incoming(incoming));
        }
        if !was_blocked && self.blocked_since.is_some() { Poll::Ready(Turn::Blocked) } else { Poll::Pending }
    }

    /// Writes until nothing is left, the socket is gone, or the time is up.
    pub(super) async fn finish(&mut self, socket: &mut impl Socket, until: Instant) {
        let all = poll_fn(|cx| {
            loop {
                match self.poll_write(socket, cx) {
                    Poll::Ready(Ok(true)) => {}
                    Poll::Ready(Ok(false) | Err(Gone)) => return Poll::Ready(()),
                    Poll::Pending => return Poll::Pending,
                }
            }
        });
        // Whoever does not take it in time finds it missing.
        let _ = tokio::time::timeout_at(until, all).await;
    }

    /// Hands frames over; true once all are, then false once they are on their way.
    fn poll_write(&mut self, socket: &mut impl Socket, cx: &mut Context<'_>) -> Poll<Result<bool, Gone>> {
        let mut has_written = false;
        while let Some(frame) = self.frames.frames.front() {
            match socket.poll_push(cx, frame) {
                Poll::Ready(taken) => {
                    has_written |= taken? > 0;
                    self.blocked_since = None;
                    self.frames.pop_front();
                }
                Poll::Pending => return self.blocked(socket),
            }
        }
        if has_written {
            return Poll::Ready(Ok(true));
        }
        // Also what others could not write, and the socket's own answers.
        match socket.poll_flush(cx) {
            Poll::Ready(flushed) => flushed?,
            Poll::Pending => return self.blocked(socket),
        }
        self.blocked_since = None;
        Poll::Ready(Ok(false))
    }

    /// A part of a large frame counts: who takes that is slow, and no more.
    fn blocked<T>(&mut self, socket: &impl Socket) -> Poll<T> {
        let taken = socket.taken();
        if self.blocked_since.is_none() || self.taken != taken {
            (self.blocked_since, self.taken) = (Some(Instant::now()), taken);
        }
        Poll::Pending
    }
}
