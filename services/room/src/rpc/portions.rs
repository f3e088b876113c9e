//! The bodies of streams, handed out in portions.
//!
//! Owns how much of a message goes to h2 at once. Promises that a stream's task knows when its peer last took something,
//! be it a part of a large message (P8). Never changes a byte.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::{Duration, Instant},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tonic::{Status, body::Body};

/// What h2 is given at once; it asks for more when there is room.
const PORTION_BYTES: usize = 16 * 1024;

/// When a stream's peer last took something. The stream's answer carries it as an extension; clones tell of the same.
#[derive(Clone, Debug)]
pub(super) struct Taken {
    start: Instant,
    /// Milliseconds since the start.
    last: Arc<AtomicU64>,
}

impl Taken {
    /// Of a stream that begins now.
    pub(super) fn new() -> Self {
        Self { start: Instant::now(), last: Arc::default() }
    }

    /// When it was.
    pub(super) fn last(&self) -> Instant {
        self.start + Duration::from_millis(self.last.load(Ordering::Relaxed))
    }

    fn note(&self) {
        let millis = self.start.elapsed().as_millis();
        self.last.store(u64::try_from(millis).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

/// Hands out the body of a stream that carries a [`Taken`] in portions, and any other as it is.
pub(super) fn of_streams(answer: http::Response<Body>) -> http::Response<Body> {
    match answer.extensions().get().cloned() {
        Some(taken) => answer.map(|body| Body::new(Portions { body, rest: Bytes::new(), taken })),
        None => answer,
    }
}

struct Portions {
    body: Body,
    /// Of the message under way.
    rest: Bytes,
    taken: Taken,
}

impl http_body::Body for Portions {
    type Data = Bytes;
    type Error = Status;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Status>>> {
        if self.rest.is_empty() {
            match ready!(Pin::new(&mut self.body).poll_frame(cx)).transpose()?.map(Frame::into_data) {
                Some(Ok(data)) => self.rest = data,
                Some(Err(trailers)) => return Poll::Ready(Some(Ok(trailers))),
                None => return Poll::Ready(None),
            }
        }
        self.taken.note();
        let bytes = self.rest.len().min(PORTION_BYTES);
        Poll::Ready(Some(Ok(Frame::data(self.rest.split_to(bytes)))))
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        if self.rest.is_empty() { self.body.size_hint() } else { SizeHint::default() }
    }
}
