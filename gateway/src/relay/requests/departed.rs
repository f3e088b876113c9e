//! Sessions that have closed and whose grace is not over.
//!
//! Owns how each was opened and closed, for as long as the room service holds it. Promises to be bounded (P8): beyond
//! the bound the longest closed are forgotten, and may be told as gone too early by a room service that restarts.
//! Never asks anything for them.

use std::{collections::VecDeque, time::Instant};

use parlour_proto::v1 as proto;

/// How many are remembered.
const REMEMBERED: usize = 65_536;

/// How a session closed.
#[derive(Debug)]
pub(super) struct Goodbye {
    pub(super) close: proto::CloseSession,
    /// Until when the room service holds it; `None` where it was present nowhere.
    pub(super) until: Option<Instant>,
}

#[derive(Debug)]
struct One {
    open: proto::OpenSession,
    close: proto::CloseSession,
    until: Instant,
}

/// The closed sessions, the longest closed first.
#[derive(Debug, Default)]
pub(super) struct Departed(VecDeque<One>);

impl Departed {
    /// A session has closed.
    pub(super) fn add(&mut self, mut open: proto::OpenSession, goodbye: Goodbye, now: Instant) {
        let Some(until) = goodbye.until.filter(|until| *until > now) else { return };
        while self.0.len() >= REMEMBERED || self.0.front().is_some_and(|first| first.until <= now) {
            self.0.pop_front();
        }
        open.again = true;
        self.0.push_back(One { open, close: goodbye.close, until });
    }

    /// Those who are in their grace, as they opened and as they closed.
    pub(super) fn in_grace(&mut self, now: Instant) -> (Vec<proto::OpenSession>, Vec<proto::CloseSession>) {
        self.0.retain(|one| one.until > now);
        self.0.iter().map(|one| (one.open.clone(), one.close.clone())).unzip()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn p8_beyond_the_bound_the_longest_closed_are_forgotten() {
        let (mut departed, now) = (Departed::default(), Instant::now());
        for n in 0..=REMEMBERED {
            let open = proto::OpenSession { name: n.to_string(), ..Default::default() };
            let until = Some(now + Duration::from_secs(10));
            departed.add(open, Goodbye { close: proto::CloseSession::default(), until }, now);
        }
        let (opens, closes) = departed.in_grace(now);
        assert_eq!((opens.len(), closes.len(), opens[0].name.as_str()), (REMEMBERED, REMEMBERED, "1"));
        assert!(departed.in_grace(now + Duration::from_secs(10)).0.is_empty());
    }
}
