//! What was said of somebody who, as far as is known, did not do it.
//!
//! Owns the `left` that nothing explains yet. Promises that each is judged only when everybody has had time to notice
//! what happened to them: who was cut off is the last to know. Never holds many: beyond its bound the oldest is judged
//! at once (P8).

use std::{collections::VecDeque, time::Duration};

/// How long it may take until somebody knows what happened to them.
const NOTICE: Duration = Duration::from_secs(5);
/// How many wait at most.
const WAITING: usize = 1_000;

/// A session was told that somebody left, and nobody knows of that.
#[derive(Clone, Debug)]
pub(crate) struct Doubt {
    /// The room's number.
    pub(crate) room: usize,
    /// Who was told.
    pub(crate) client: String,
    /// Who is said to have left.
    pub(crate) user: String,
    /// How often that session was told so.
    pub(crate) told: u32,
    /// When that session began to ask.
    pub(crate) begun: Duration,
    /// When it was told.
    pub(crate) at: Duration,
    /// What it was given before.
    pub(crate) frames: Vec<String>,
}

/// Those that wait, in their order.
#[derive(Debug, Default)]
pub(crate) struct Doubts(VecDeque<Doubt>);

impl Doubts {
    /// Another one.
    pub(crate) fn push(&mut self, doubt: Doubt) {
        self.0.push_back(doubt);
    }

    /// The next that can be judged; `is_over` where nobody will notice anything any more.
    pub(crate) fn pop(&mut self, now: Duration, is_over: bool) -> Option<Doubt> {
        let is_full = self.0.len() > WAITING;
        let first = self.0.front()?;
        if is_over || is_full || first.at + NOTICE <= now { self.0.pop_front() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn doubt(told: u32, at: u64) -> Doubt {
        let (client, user, at) = ("ada".to_owned(), "bob".to_owned(), Duration::from_secs(at));
        Doubt { room: 0, client, user, told, begun: Duration::ZERO, at, frames: Vec::new() }
    }

    #[test]
    fn a_doubt_is_judged_when_everybody_had_time_to_notice() {
        let mut doubts = Doubts::default();
        (0..2).for_each(|told| doubts.push(doubt(told, 10 + u64::from(told))));
        let mut at = |at, is_over| doubts.pop(Duration::from_secs(at), is_over).map(|doubt| doubt.told);
        assert_eq!(at(14, false), None);
        assert_eq!((at(15, false), at(15, false)), (Some(0), None));
        assert_eq!((at(15, true), at(15, true)), (Some(1), None));
    }

    #[test]
    fn p8_more_than_can_wait_are_judged_at_once() {
        let mut doubts = Doubts::default();
        (0..=1_000).for_each(|told| doubts.push(doubt(told, 10)));
        assert_eq!(doubts.pop(Duration::from_secs(10), false).map(|doubt| doubt.told), Some(0));
        assert!(doubts.pop(Duration::from_secs(10), false).is_none());
    }
}
