//! What passes between a log, the links that hurry ahead of it, and who follows it.
//!
//! Owns the shapes of events on their way: hints, pages, reads and their answers. Promises that an event never travels
//! without what proves its place. Never decides anything.

use std::sync::Arc;

use crate::cursor::{Check, Cursor, Seq};

/// What an event costs the ring, the shared pages and a reader's budget.
pub trait Weigh {
    /// Its size in memory or on the wire, whichever is the larger; about right is enough, but always the same.
    fn bytes(&self) -> usize;
}

impl<T: Weigh + ?Sized> Weigh for Arc<T> {
    fn bytes(&self) -> usize {
        (**self).bytes()
    }
}

/// An event and where it stands in its log. `E` should be cheap to clone (an `Arc`, `Bytes`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry<E> {
    /// The event's own seq and check.
    pub cursor: Cursor,
    /// The event.
    pub event: E,
}

/// An event as it arrives by a link: after its commit, but maybe late, twice, out of order, or of a log that is no more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hint<E> {
    /// The check of the event before it.
    pub prev: Check,
    /// The event.
    pub entry: Entry<E>,
    /// Whether it is this hop's own fresh append: then it is surely of the log as it is now, however old its seq.
    pub own: bool,
}

/// A run of consecutive events as the log has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Page<E> {
    /// Where it begins: the log's cursor at the seq that was asked for, whatever check the asker held.
    pub base: Cursor,
    /// The events that follow the base, in order and without a gap; fewer than asked for where the page was cut by
    /// bytes or the log ends.
    pub entries: Vec<Entry<E>>,
    /// The log's head at that moment.
    pub head: Cursor,
}

impl<E> Page<E> {
    /// The last event's cursor, or the base.
    pub fn end(&self) -> Cursor {
        self.entries.last().map_or(self.base, |entry| entry.cursor)
    }

    /// The check of the base (0) or of the nth event, which must be there.
    pub(crate) fn check_at(&self, nth: u64) -> Check {
        match usize::try_from(nth) {
            Ok(nth) if nth > 0 => self.entries[nth - 1].cursor.check,
            _ => self.base.check,
        }
    }

    /// Whether it begins after that seq and has no gap. (One that has is an answer to something else: a failed read.)
    pub(crate) fn follows(&self, after: Seq) -> bool {
        self.base.seq == after
            && self.entries.iter().zip(1..).all(|(entry, nth)| entry.cursor.seq - after == nth)
    }

    /// The head, or the page's end where that is later: they may have been read one after the other.
    pub(crate) fn true_head(&self) -> Cursor {
        if self.head.seq < self.end().seq { self.end() } else { self.head }
    }
}

/// The answer to a [`Read`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LogRead<E> {
    /// The log at that place.
    Page(Page<E>),
    /// The log ends before the seq that was asked for.
    Ahead {
        /// The log's head at that moment.
        head: Cursor,
    },
    /// No answer: the store failed, or a deadline passed. It is asked again after a jittered wait.
    Failed,
}

/// What must be read from the log: up to `limit` events after seq `after`, from the primary, never a lagging copy. Every
/// read is answered once, with `read_done`, a failure or a passed deadline too.
#[derive(Debug, PartialEq, Eq)]
#[must_use = "a read that is never answered is waited for without end"]
pub struct Read {
    /// The seq before the first event wanted. The page's `base` is the log's cursor there, not verified.
    pub after: Seq,
    /// How many events at most. An answer may hold fewer; more are ignored.
    pub limit: usize,
    pub(crate) ticket: u64,
}

/// Why a reader, or the Follower, goes on from the head instead of from where it stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ResyncReason {
    /// It is farther behind than the replay length.
    TooFar,
    /// Its check is not the log's: that is no longer the same log.
    OtherLog,
    /// The log ends before its seq.
    Ahead,
}

impl ResyncReason {
    /// The reason as it stands on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TooFar => "TOO_FAR",
            Self::OtherLog => "OTHER_LOG",
            Self::Ahead => "AHEAD",
        }
    }
}
