//! What one client has to say in one room.
//!
//! Owns which messages wait and which have no answer. Promises one in flight unless a burst was asked for, that what was
//! refused, or lost with its connection, goes again in its order and with its key, and that waiting is obeyed. Never
//! sends.

use std::{collections::VecDeque, time::Instant};

use crate::judge::{Breach, answers::Answers};

/// How many messages wait in a room at most; more are not said.
const WAITING: usize = 64;

/// A message to say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Say {
    /// Its number.
    pub(crate) number: u32,
    /// It was sent before.
    pub(crate) is_again: bool,
    /// It was sent before, and may have been applied.
    pub(crate) is_open: bool,
}

impl Say {
    /// One that was never said.
    pub(crate) const fn new(number: u32) -> Self {
        Self { number, is_again: false, is_open: false }
    }

    /// One that may have been heard already.
    pub(crate) const fn again(number: u32) -> Self {
        Self { number, is_again: true, is_open: true }
    }
}

/// A message that is on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flight {
    /// Which.
    pub(crate) say: Say,
    /// Since when.
    pub(crate) since: Instant,
}

/// The outbox of a room.
#[derive(Debug)]
pub(crate) struct Outbox {
    waiting: VecDeque<Say>,
    flights: Vec<Flight>,
    refused: Vec<Say>,
    width: usize,
    not_before: Option<Instant>,
    answers: Answers,
}

impl Default for Outbox {
    fn default() -> Self {
        Self {
            waiting: VecDeque::new(),
            flights: Vec::new(),
            refused: Vec::new(),
            width: 1,
            not_before: None,
            answers: Answers::default(),
        }
    }
}

impl Outbox {
    /// Whether nothing waits and nothing lacks its answer.
    pub(crate) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.flights.is_empty() && self.refused.is_empty()
    }

    /// Whether more may be said.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting.len() < WAITING
    }

    /// Another message waits.
    pub(crate) fn push(&mut self, say: Say) {
        self.waiting.push_back(say);
    }

    /// As many as wait go at once, once nothing is in flight.
    pub(crate) fn burst(&mut self) {
        self.width = self.waiting.len().max(1);
    }

    /// When the next may go, where one waits that must not go yet.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.not_before.filter(|_| !self.waiting.is_empty())
    }

    /// The messages that go now.
    pub(crate) fn launch(&mut self, now: Instant) -> Vec<Say> {
        if !self.flights.is_empty() || !self.refused.is_empty() || self.not_before.is_some_and(|at| at > now)
        {
            return Vec::new();
        }
        self.not_before = None;
        let width = std::mem::replace(&mut self.width, 1).min(self.waiting.len());
        let says: Vec<_> = self.waiting.drain(..width).collect();
        for say in &says {
            self.answers.sent(say.number, !say.is_again);
            self.flights.push(Flight { say: *say, since: now });
        }
        says
    }

    /// A message was acknowledged as that event.
    pub(crate) fn acknowledged(&mut self, number: u32, seq: u64) -> (Option<Flight>, Result<(), Breach>) {
        let flight = self.land(number);
        self.put_back();
        (flight, self.answers.acknowledged(number, seq))
    }

    /// A message without an answer.
    pub(crate) fn in_flight(&self, number: u32) -> Option<&Flight> {
        self.flights.iter().find(|flight| flight.say.number == number)
    }

    /// A message was refused, and goes again from then on, or not at all. `is_open`: it may have been applied.
    pub(crate) fn refused(
        &mut self,
        number: u32,
        code: &str,
        again: Option<Instant>,
        is_open: bool,
    ) -> Result<(), Breach> {
        if let (Some(flight), Some(at)) = (self.land(number), again) {
            self.refused.push(Say { is_again: true, is_open: flight.say.is_open || is_open, number });
            self.not_before = Some(self.not_before.map_or(at, |other| other.max(at)));
        }
        self.put_back();
        self.answers.refused(number, code)
    }

    /// The connection is gone: whatever was in flight has an unknown outcome.
    pub(crate) fn broke(&mut self) {
        self.answers = Answers::default();
        let lost = self.flights.drain(..).map(|flight| Say::again(flight.say.number));
        self.refused.extend(lost);
        self.put_back();
    }

    fn land(&mut self, number: u32) -> Option<Flight> {
        let index = self.flights.iter().position(|flight| flight.say.number == number)?;
        Some(self.flights.remove(index))
    }

    /// What was refused goes first again, in its order, once the last of a burst is answered.
    fn put_back(&mut self) {
        if self.flights.is_empty() {
            self.refused.sort_unstable_by_key(|say| say.number);
            self.refused.drain(..).rev().for_each(|say| self.waiting.push_front(say));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn outbox(numbers: std::ops::Range<u32>) -> Outbox {
        let mut outbox = Outbox::default();
        numbers.for_each(|number| outbox.push(Say::new(number)));
        outbox
    }

    fn numbers(says: &[Say]) -> Vec<(u32, bool)> {
        says.iter().map(|say| (say.number, say.is_again)).collect()
    }

    #[test]
    fn one_is_in_flight_and_a_burst_goes_at_once() {
        let (mut outbox, now) = (outbox(0..4), Instant::now());
        assert_eq!(numbers(&outbox.launch(now)), [(0, false)]);
        outbox.burst();
        assert_eq!(outbox.launch(now), []);
        outbox.acknowledged(0, 1).1.unwrap();
        assert_eq!(numbers(&outbox.launch(now)), [(1, false), (2, false), (3, false)]);
        (1..4).for_each(|number| outbox.acknowledged(number, u64::from(number) + 1).1.unwrap());
        assert!(outbox.is_empty());
    }

    #[test]
    fn what_was_refused_goes_again_in_order_when_it_may() {
        let (mut outbox, now) = (outbox(0..4), Instant::now());
        outbox.burst();
        outbox.launch(now);
        let later = now + Duration::from_secs(1);
        outbox.acknowledged(0, 1).1.unwrap();
        outbox.refused(1, "UNAVAILABLE", Some(later), true).unwrap();
        outbox.refused(2, "UNAVAILABLE", Some(now), true).unwrap();
        outbox.refused(3, "FORBIDDEN", None, false).unwrap();
        assert_eq!(outbox.launch(now), []);
        assert_eq!(outbox.due(), Some(later));
        assert_eq!(numbers(&outbox.launch(later)), [(1, true)]);
        outbox.acknowledged(1, 2).1.unwrap();
        assert_eq!(numbers(&outbox.launch(later)), [(2, true)]);
    }

    #[test]
    fn what_was_in_flight_goes_again_after_a_break() {
        let (mut outbox, now) = (outbox(0..3), Instant::now());
        outbox.launch(now);
        outbox.broke();
        assert_eq!(numbers(&outbox.launch(now)), [(0, true)]);
    }
}
