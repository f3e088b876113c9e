//! The judges.
//!
//! Owns what was found, and by what each client is judged: what it holds of each room. Promises to go by what is true in
//! the store, and by what a client was told, never by the machines' own word. Never lets a run go on after a finding.

mod client;
mod log;
mod rest;
mod share;

use std::ops::AddAssign;

pub use client::View;
pub use share::Told;

use crate::store::ROOMS;

/// Something that must not be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Which promise is broken.
    pub promise: &'static str,
    /// When, in microseconds.
    pub at_us: u64,
    /// What was seen.
    pub what: String,
}

/// What is counted of one schedule, or of many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Inputs of machines.
    pub inputs: u64,
    /// Things done by clients.
    pub actions: u64,
    /// Events handed to clients.
    pub delivered: u64,
    /// Resyncs told.
    pub resyncs: u64,
}

impl AddAssign for Tally {
    fn add_assign(&mut self, other: Self) {
        self.inputs += other.inputs;
        self.actions += other.actions;
        self.delivered += other.delivered;
        self.resyncs += other.resyncs;
    }
}

/// What the judges remember.
#[derive(Debug, Default)]
pub struct Judge {
    /// The first thing found.
    pub found: Option<Found>,
    /// What was counted so far.
    pub tally: Tally,
    /// A hash over everything that clients were told, and when.
    pub hash: u64,
    /// What happened, line by line, where it is wanted.
    pub trace: Option<Vec<String>>,
    log: [log::Order; ROOMS.len()],
}

impl Judge {
    /// Something was found; the first counts.
    pub fn found(&mut self, promise: &'static str, at_us: u64, what: String) {
        self.found.get_or_insert(Found { promise, at_us, what });
    }

    /// Notes what happens, in the hash and where wanted in words.
    pub fn note(&mut self, at_us: u64, what: impl FnOnce() -> String) {
        if self.trace.is_some() {
            let line = format!("{:>12.3} ms  {}", at_us as f64 / 1_000.0, what());
            self.trace.get_or_insert_default().push(line);
        }
    }

    /// Mixes something seen into the hash.
    pub fn mix(&mut self, value: u64) {
        self.hash = (self.hash ^ value).wrapping_mul(0x0100_0000_01b3).rotate_left(23);
    }
}
