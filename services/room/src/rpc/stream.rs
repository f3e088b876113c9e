//! The two streams' way out.
//!
//! Owns the short bounded channel from a stream's task to tonic, and how the stream ends. Promises that backpressure is
//! real (P8): a peer that takes nothing fills the channel and its task sees it; and that the last thing a peer hears is
//! why. Never queues without a bound.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use futures_util::Stream;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tonic::Status;

use super::portions::Taken;

/// The right to have one page, from its reading until the socket asks for what follows it: then most of the page is sent.
pub(super) type Turn = OwnedSemaphorePermit;

/// A response, and the turn of a page.
pub(super) type Response<T> = (T, Option<Turn>);

/// What a stream answers, until its task ends it.
#[derive(Debug)]
pub struct Responses<T> {
    responses: mpsc::Receiver<Response<T>>,
    /// Of the response that was taken last.
    turn: Option<Turn>,
    ending: Arc<Mutex<Option<Status>>>,
    taken: Taken,
}

/// The task's end.
#[derive(Debug)]
pub(super) struct Outgoing<T> {
    responses_tx: mpsc::Sender<Response<T>>,
    ending: Arc<Mutex<Option<Status>>>,
    waiting_since: Option<Instant>,
    taken: Taken,
}

/// Makes both ends, with so many responses between a stream's task and its socket.
pub(super) fn outgoing<T>(responses: usize) -> (Outgoing<T>, Responses<T>) {
    let (responses_tx, responses) = mpsc::channel(responses);
    let (ending, taken) = (Arc::new(Mutex::new(None)), Taken::new());
    let out =
        Outgoing { responses_tx, ending: Arc::clone(&ending), waiting_since: None, taken: taken.clone() };
    (out, Responses { responses, turn: None, ending, taken })
}

/// The answer that carries them, and by which it is known what the peer takes of them.
pub(super) fn answer<T>(responses: Responses<T>) -> tonic::Response<Responses<T>> {
    let taken = responses.taken.clone();
    let mut answer = tonic::Response::new(responses);
    answer.extensions_mut().insert(taken);
    answer
}

impl<T> Outgoing<T> {
    /// Waits for room for one response. Cancel-safe; `None` once nobody takes them any more.
    pub(super) async fn room(&self) -> Option<mpsc::OwnedPermit<Response<T>>> {
        self.responses_tx.clone().reserve_owned().await.ok()
    }

    /// Waits until nobody takes responses any more.
    pub(super) async fn closed(&self) {
        self.responses_tx.closed().await;
    }

    /// Notes whether there is something to send, before waiting for room.
    pub(super) fn note(&mut self, has_something: bool, now: Instant) {
        match (has_something, self.waiting_since) {
            (true, None) => self.waiting_since = Some(now),
            (false, Some(_)) => self.waiting_since = None,
            _ => {}
        }
    }

    /// Notes that there was room.
    pub(super) fn moved(&mut self) {
        self.waiting_since = None;
    }

    /// Waits until there has been something for the peer for `limit`, and it has taken nothing, not even a part of what
    /// it was given before. Cancel-safe.
    pub(super) async fn stalls(&self, limit: Duration) {
        let Some(since) = self.waiting_since else { return std::future::pending().await };
        loop {
            let at = since.max(self.taken.last()) + limit;
            if at <= Instant::now() {
                return;
            }
            sleep_until(Some(at)).await;
        }
    }

    /// Ends the stream with that status, after what is on its way.
    pub(super) fn end(self, status: Status) {
        *self.ending.lock().unwrap_or_else(PoisonError::into_inner) = Some(status);
    }
}

impl<T> Stream for Responses<T> {
    type Item = Result<T, Status>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.turn = None; // nothing more is asked for before the socket can take it
        self.responses.poll_recv(cx).map(|response| match response {
            Some((response, turn)) => {
                self.turn = turn;
                Some(Ok(response))
            }
            None => self.ending.lock().unwrap_or_else(PoisonError::into_inner).take().map(Err),
        })
    }
}

/// Sleeps until then, or for ever.
pub(super) async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
