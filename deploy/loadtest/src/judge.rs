//! What is right.
//!
//! Owns the promises that are judged, and what convicts an installation of breaking one. Promises that everything below
//! is plain: observations in, breaches out, and that a breach is told only for what no timing excuses. Never reads a
//! socket or a clock.

pub(crate) mod answers;
pub(crate) mod audit;
pub(crate) mod doubts;
pub(crate) mod ledger;
pub(crate) mod reader;
pub(crate) mod view;

/// What is judged (the numbers of the documents).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Promise {
    P1,
    P2,
    P3,
    P4,
    P5,
    P6,
    P7,
    P11,
}

impl Promise {
    /// All of them, in order.
    pub(crate) const ALL: [Self; 8] =
        [Self::P1, Self::P2, Self::P3, Self::P4, Self::P5, Self::P6, Self::P7, Self::P11];

    /// Its number.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::P1 => "P1",
            Self::P2 => "P2",
            Self::P3 => "P3",
            Self::P4 => "P4",
            Self::P5 => "P5",
            Self::P6 => "P6",
            Self::P7 => "P7",
            Self::P11 => "P11",
        }
    }

    /// What was looked for.
    pub(crate) const fn claim(self) -> &'static str {
        match self {
            Self::P1 => "whatever anybody saw is in the log",
            Self::P2 => "one gapless order, the same for all, the log's",
            Self::P3 => "each event once and in order, or resync; nothing of a room not joined",
            Self::P4 => "a cursor resumes where it was given, at any gateway",
            Self::P5 => "a repeat returns the first answer, and what is sent in order is applied in order",
            Self::P6 => "what was acknowledged is in the log, once, where the acknowledgement said",
            Self::P7 => "presence is true at the end, and nobody who returned was said to have left",
            Self::P11 => "refusals are typed, leave the session open, and nothing refused was done",
        }
    }

    /// What is counted as an occasion on which it could have been broken.
    pub(crate) const fn occasions(self) -> &'static str {
        match self {
            Self::P1 => "events seen",
            Self::P2 => "events of the log",
            Self::P3 => "deliveries",
            Self::P4 => "resumes",
            Self::P5 => "repeats",
            Self::P6 => "acknowledgements",
            Self::P7 => "views",
            Self::P11 => "refusals",
        }
    }

    /// Its place in `ALL`.
    pub(crate) const fn index(self) -> usize {
        self as usize
    }
}

/// A promise that was broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Breach {
    /// Which.
    pub(crate) promise: Promise,
    /// The seq it is about, where there is one.
    pub(crate) seq: Option<u64>,
    /// What was seen, and what should have been.
    pub(crate) what: String,
}

impl Breach {
    /// One that is about a seq.
    pub(crate) fn at(promise: Promise, seq: u64, what: impl Into<String>) -> Self {
        Self { promise, seq: Some(seq), what: what.into() }
    }

    /// One that is about none.
    pub(crate) fn of(promise: Promise, what: impl Into<String>) -> Self {
        Self { promise, seq: None, what: what.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_promise_stands_where_its_index_says() {
        for (index, promise) in Promise::ALL.into_iter().enumerate() {
            assert_eq!(promise.index(), index);
        }
    }
}
