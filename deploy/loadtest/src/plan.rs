//! What clients do, from a seed.
//!
//! Owns the dice of each client, the names and texts of a run, and which text belongs to which message. Promises that
//! a seed and a client's number give the same intentions, and that a text tells whose it is. Never does anything.

use std::time::Duration;

use rand::{RngExt as _, SeedableRng as _, rngs::StdRng};

use crate::{
    judge::{audit::Mark, ledger::Digest},
    truth::Parting,
};

/// Texts that have once been trouble somewhere.
const SAMPLES: [&str; 8] = [
    "hello",
    "<b>not bold</b> & \"quoted\" \\ back\\slash",
    "na\u{ef}ve caf\u{e9} \u{65e5}\u{672c}\u{8a9e} \u{5e9}\u{5dc}\u{5d5}\u{5dd}",
    "\u{1f469}\u{200d}\u{1f680} \u{1f1eb}\u{1f1ee} e\u{301}",
    "two\nlines\tand a tab",
    "{\"type\":\"message\",\"seq\":1}",
    "\u{2028}\u{2029}\u{feff}\u{202e}right to left",
    "'; drop table message; --",
];

/// The names of a run.
#[derive(Clone, Debug)]
pub(crate) struct Names {
    prefix: String,
}

impl Names {
    /// Names that no other run has.
    pub(crate) fn random() -> Self {
        Self { prefix: format!("verify-{:08x}", rand::random::<u32>()) }
    }

    /// What they all begin with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// A room's.
    pub(crate) fn room(&self, room: usize) -> String {
        format!("{}-room-{room}", self.prefix)
    }

    /// A client's.
    pub(crate) fn client(&self, client: usize) -> String {
        format!("{}-{client}", self.prefix)
    }

    /// A message's key.
    pub(crate) fn key(&self, mark: Mark) -> String {
        format!("{}-{}-{}", self.prefix, mark.client, mark.number)
    }

    /// Whose message it is by its key, or by its text, which begins with it.
    pub(crate) fn mark(&self, text: &str) -> Option<Mark> {
        let rest = text.strip_prefix(&self.prefix)?.strip_prefix('-')?;
        let (client, rest) = rest.split_once('-')?;
        let number = rest.split_once(' ').map_or(rest, |(number, _)| number);
        Some(Mark { client: client.parse().ok()?, number: number.parse().ok()? })
    }

    /// A message's text: its key, and something to carry.
    pub(crate) fn text(&self, mark: Mark) -> String {
        let sample = SAMPLES[(mark.client + mark.number as usize) % SAMPLES.len()];
        let times = if mark.number % 31 == 30 { 12 } else { 1 };
        format!("{} {}", self.key(mark), vec![sample; times].join(" "))
    }

    /// What a repeat says, which nobody must ever see.
    pub(crate) fn other_text(&self, mark: Mark) -> String {
        format!("{} says something else", self.key(mark))
    }

    /// What stands for a message's text.
    pub(crate) fn digest(&self, mark: Mark) -> Digest {
        Digest::of(&self.client(mark.client), &self.text(mark))
    }
}

/// Something that a client does beside talking. Rooms and messages are drawn when it is done.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Deed {
    /// Ends its connection, and comes back after a while, at any gateway.
    Part(Parting, Duration),
    /// Leaves a room.
    Leave,
    /// Joins a room.
    Join,
    /// Says again what was acknowledged, in other words.
    Repeat,
    /// Says several things at once.
    Burst(usize),
    /// Types.
    Type,
    /// Asks for what is refused.
    Err(Fault),
}

/// A request that must be refused, in a way that leaves the session open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    UnknownRoom,
    BlankText,
    BadCursor,
    UnknownFrame,
}

impl Fault {
    const ALL: [Self; 4] = [Self::UnknownRoom, Self::BlankText, Self::BadCursor, Self::UnknownFrame];

    /// The code it is refused with.
    pub(crate) const fn code(self) -> &'static str {
        match self {
            Self::UnknownRoom => "ROOM_NOT_FOUND",
            Self::BlankText => "INVALID_CONTENT",
            Self::BadCursor => "INVALID_CURSOR",
            Self::UnknownFrame => "UNKNOWN_FRAME",
        }
    }
}

/// One client's dice.
#[derive(Debug)]
pub(crate) struct Dice {
    rng: StdRng,
    /// It never parts and never leaves a room by itself.
    is_steady: bool,
}

/// How often a client does something beside talking.
const DEEDS_EVERY: Duration = Duration::from_secs(3);
/// The longest absence.
const SLEEP: Duration = Duration::from_secs(6);

impl Dice {
    /// Those of the client with that number.
    pub(crate) fn new(seed: u64, client: usize) -> Self {
        let seed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).wrapping_add(client as u64);
        Self { rng: StdRng::seed_from_u64(seed), is_steady: client.is_multiple_of(3) }
    }

    /// A number below `bound`, which is not 0.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.rng.random_range(0..bound)
    }

    /// One of some, if there are any.
    pub(crate) fn one_of<'a, T>(&mut self, some: &'a [T]) -> Option<&'a T> {
        if some.is_empty() { None } else { some.get(self.below(some.len())) }
    }

    /// True that often.
    pub(crate) fn chance(&mut self, probability: f64) -> bool {
        self.rng.random_bool(probability)
    }

    /// How long until the next of what happens `rate` times a second on average.
    pub(crate) fn wait(&mut self, rate: f64) -> Duration {
        let draw: f64 = self.rng.random_range(1e-9..1.0);
        Duration::from_secs_f64((-draw.ln() / rate).min(60.0))
    }

    /// How long until the next deed.
    pub(crate) fn until_deed(&mut self) -> Duration {
        self.wait(1.0 / DEEDS_EVERY.as_secs_f64())
    }

    /// The next deed.
    pub(crate) fn deed(&mut self) -> Deed {
        let calm = [40, 70, 85, 100];
        let restless = if self.is_steady { 0 } else { 55 };
        if self.below(100) < restless {
            return match self.below(100) {
                0..60 => self.part(),
                60..80 => Deed::Leave,
                _ => Deed::Join,
            };
        }
        let draw = self.below(100);
        match calm.iter().position(|bound| draw < *bound) {
            Some(0) => Deed::Repeat,
            // One in eight is more than a second's worth, and is refused in part.
            Some(1) if self.chance(0.125) => Deed::Burst(30),
            Some(1) => Deed::Burst(self.rng.random_range(3..=8)),
            Some(2) => Deed::Type,
            _ => Deed::Err(Fault::ALL[self.below(Fault::ALL.len())]),
        }
    }

    fn part(&mut self) -> Deed {
        let parting = if self.chance(0.5) { Parting::Closed } else { Parting::Broken };
        // Half of them only change the gateway.
        let pause =
            if self.chance(0.5) { Duration::ZERO } else { SLEEP.mul_f64(self.rng.random_range(0.0..1.0)) };
        Deed::Part(parting, pause)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_and_a_key_tell_whose_they_are() {
        let names = Names::random();
        for mark in [Mark { client: 0, number: 0 }, Mark { client: 41, number: 61 }] {
            assert_eq!(names.mark(&names.key(mark)), Some(mark));
            assert_eq!(names.mark(&names.text(mark)), Some(mark));
            assert_eq!(names.mark(&names.other_text(mark)), Some(mark));
            assert_ne!(names.text(mark), names.other_text(mark));
            assert!(names.key(mark).len() <= 64);
        }
        for other in ["hello", "verify-00000000-1", ""] {
            assert_eq!(names.mark(other), None);
        }
    }

    #[test]
    fn a_seed_gives_the_same_deeds_and_the_steady_never_part() {
        let deeds = |seed, client| {
            let mut dice = Dice::new(seed, client);
            (0..200).map(|_| dice.deed()).collect::<Vec<_>>()
        };
        assert_eq!(deeds(7, 1), deeds(7, 1));
        assert_ne!(deeds(7, 1), deeds(7, 2));
        assert!(deeds(7, 1).iter().any(|deed| matches!(deed, Deed::Part(..))));
        assert!(!deeds(7, 3).iter().any(|deed| matches!(deed, Deed::Part(..) | Deed::Leave)));
    }
}
