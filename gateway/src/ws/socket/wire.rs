//! A connection, and what is written to it.
//!
//! Owns the connection, what it has not taken yet, and the system calls on it. Promises that ready frames are written
//! without a copy, in order, each whole whoever writes. Never knows what a frame is.

use std::{
    collections::VecDeque,
    io::{self, ErrorKind, IoSlice},
    sync::{Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, ready},
};

use bytes::{Buf as _, Bytes};
use parlour_feed::Share;
use tokio::{io::Interest, net::TcpStream};

use super::Gone;
use crate::relay::inbox::Outlet;

/// What waits for a connection to take it: up to this, and what came last beyond it.
const WAITING_BYTES: usize = 16 * 1024;
/// How many frames are written at once.
const AT_ONCE: usize = 64;

/// A connection, as everybody who writes it shares it.
#[derive(Debug)]
pub(super) struct Wire {
    pub(super) stream: TcpStream,
    out: Mutex<Out>,
}

/// What the connection has not taken yet, in order, counted among what all sessions hold. The first may be the rest of a
/// frame.
#[derive(Debug)]
pub(super) struct Out {
    pub(super) waiting: VecDeque<Bytes>,
    pub(super) share: Share,
    /// How many bytes the connection has taken of what had to wait.
    pub(super) taken_bytes: u64,
    /// The connection took no more when it was last written.
    pub(super) is_blocked: bool,
    /// The session has nothing to say, and lets others write.
    pub(super) is_resting: bool,
}

impl Out {
    pub(super) fn is_full(&self) -> bool {
        self.share.bytes() >= WAITING_BYTES
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        self.share.grow(bytes.len());
        self.waiting.push_back(bytes);
    }

    /// Writes as much as the connection takes now.
    fn write(&mut self, stream: &TcpStream) -> io::Result<()> {
        self.is_blocked = false;
        while !self.waiting.is_empty() {
            match write_some(stream, &self.waiting) {
                Ok(taken) => self.taken(taken),
                Err(error) if error.kind() == ErrorKind::WouldBlock => {
                    self.is_blocked = true;
                    return Ok(());
                }
                Err(error) => return Err(error),
            }
        }
        // Who is written to once in a while holds nothing meanwhile.
        self.waiting = VecDeque::new();
        Ok(())
    }

    fn taken(&mut self, mut taken: usize) {
        self.share.shrink(taken);
        self.taken_bytes += taken as u64;
        while let Some(first) = self.waiting.front_mut() {
            if first.len() > taken {
                return first.advance(taken);
            }
            taken -= first.len();
            self.waiting.pop_front();
        }
    }
}

fn write_some(stream: &TcpStream, waiting: &VecDeque<Bytes>) -> io::Result<usize> {
    if let ([one], []) = waiting.as_slices() {
        return stream.try_write(one);
    }
    let mut slices = [IoSlice::new(&[]); AT_ONCE];
    slices.iter_mut().zip(waiting).for_each(|(slice, bytes)| *slice = IoSlice::new(bytes));
    stream.try_write_vectored(&slices[..waiting.len().min(AT_ONCE)])
}

impl Wire {
    /// A connection to which nothing has been written. What waits counts by that share.
    pub(super) fn new(stream: TcpStream, share: Share) -> Self {
        let waiting = VecDeque::new();
        let out = Out { waiting, share, taken_bytes: 0, is_blocked: false, is_resting: false };
        Self { stream, out: Mutex::new(out) }
    }

    pub(super) fn out(&self) -> MutexGuard<'_, Out> {
        // Nothing under this lock can leave it half done.
        self.out.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn write(&self) -> io::Result<()> {
        self.out().write(&self.stream)
    }

    /// Reads what has come. Where that does not fill `into`, it was all: the system is asked again when it has said that
    /// more has come. (As tokio does when a stream is read as one.)
    pub(super) fn read(&self, into: &mut [u8]) -> io::Result<usize> {
        let mut part = None;
        let all =
            self.stream.try_io(Interest::READABLE, || match rustix::io::read(&self.stream, &mut *into)? {
                read if read > 0 && read < into.len() => {
                    part = Some(read);
                    Err(ErrorKind::WouldBlock.into())
                }
                read => Ok(read),
            });
        part.map_or(all, Ok)
    }

    /// Writes until nothing waits.
    pub(super) fn poll_write(&self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        loop {
            self.write().map_err(|_| Gone)?;
            if !self.out().is_blocked {
                return Poll::Ready(Ok(()));
            }
            ready!(self.stream.poll_write_ready(cx)).map_err(|_| Gone)?;
        }
    }
}

impl Outlet for Wire {
    fn hand(&self, take: &mut dyn FnMut() -> Option<Bytes>) -> bool {
        let mut out = self.out();
        if !out.is_resting {
            return false;
        }
        let Some(bytes) = take() else { return false };
        let taken = if bytes.is_empty() { 0 } else { self.stream.try_write(&bytes).unwrap_or(0) };
        if taken < bytes.len() {
            // Where the connection is gone, the session finds that out when it writes this.
            out.push(bytes.slice(taken..));
            (out.is_blocked, out.is_resting) = (true, false);
        }
        out.is_resting
    }
}
