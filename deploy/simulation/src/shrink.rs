//! Making a failing schedule small.
//!
//! Owns the search for fewer steps that still break the same promise. Promises that what it returns fails. Never changes
//! a step: it only leaves some out.

use crate::{run::play, schedule::Schedule};

/// Runs at most for one schedule.
const RUNS: usize = 600;

/// Leaves out steps while the schedule still breaks that promise; says which are left, by their numbers.
pub fn shrink(schedule: &Schedule, promise: &str) -> (Schedule, Vec<usize>) {
    let mut kept: Vec<usize> = (0..schedule.steps.len()).collect();
    let with = |kept: &[usize]| keep(schedule, kept);
    let fails = |kept: &[usize]| play(&with(kept), false).found.is_some_and(|found| found.promise == promise);
    let mut runs = 0;
    let mut size = kept.len().div_ceil(2);
    loop {
        let mut at = 0;
        let before = kept.len();
        while at < kept.len() && runs < RUNS {
            let mut fewer = kept.clone();
            fewer.drain(at..(at + size).min(fewer.len()));
            runs += 1;
            if fails(&fewer) {
                kept = fewer;
            } else {
                at += size;
            }
        }
        if runs >= RUNS || (size == 1 && kept.len() == before) {
            return (with(&kept), kept);
        }
        size = size.div_ceil(2).max(1);
    }
}

/// The schedule with only those of its steps.
pub fn keep(schedule: &Schedule, kept: &[usize]) -> Schedule {
    let steps = kept.iter().filter_map(|nth| schedule.steps.get(*nth).copied()).collect();
    Schedule { steps, ..schedule.clone() }
}
