//! Running schedules, one or many.
//!
//! Owns the seeds' way over the cores. Promises that each seed is run once, that a panic is a finding like another, and
//! that what is reported of many is the same whatever the number of threads. Never stops at the first finding but where
//! asked to.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use crate::{
    judge::{Found, Tally},
    schedule::Schedule,
    world::World,
};

/// What came of one schedule.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Outcome {
    /// What was found, if anything.
    pub found: Option<Found>,
    /// What was counted.
    pub tally: Tally,
    /// A hash over what clients were told, and when.
    pub hash: u64,
    /// What happened, where it was asked for.
    pub trace: Vec<String>,
}

/// Runs a schedule.
pub fn play(schedule: &Schedule, is_traced: bool) -> Outcome {
    let mut world = World::new(schedule.clone());
    world.judge.trace = is_traced.then(Vec::new);
    let panic = catch_unwind(AssertUnwindSafe(|| world.run())).err();
    let mut judge = std::mem::take(&mut world.judge);
    if let Some(panic) = panic {
        let text = panic.downcast_ref::<String>().cloned();
        let text = text.or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        judge.found("panic", world.now_us(), text.unwrap_or_default());
    }
    Outcome {
        found: judge.found,
        tally: judge.tally,
        hash: judge.hash,
        trace: judge.trace.unwrap_or_default(),
    }
}

/// What came of many.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Schedules run.
    pub schedules: u64,
    /// What was counted of all of them.
    pub tally: Tally,
    /// The fewest things done by the clients of a schedule.
    pub least_actions: u64,
    /// The seeds that failed, with what was found, in order.
    pub failed: Vec<(u64, Found)>,
}

impl Totals {
    fn add(&mut self, seed: u64, outcome: Outcome) {
        let actions = outcome.tally.actions;
        self.least_actions = if self.schedules == 0 { actions } else { self.least_actions.min(actions) };
        self.schedules += 1;
        self.tally += outcome.tally;
        self.failed.extend(outcome.found.map(|found| (seed, found)));
    }
}

/// Runs the seeds from `first` on, that many of them, on that many threads; `until_found` stops at a finding. `tell` is
/// told now and then how many are done.
pub fn play_many(
    first: u64,
    count: u64,
    threads: usize,
    until_found: bool,
    tell: impl Fn(u64) + Sync,
) -> Totals {
    let (next, is_over) = (AtomicU64::new(0), AtomicBool::new(false));
    let totals = Mutex::new(Totals::default());
    let work = || {
        while !is_over.load(Ordering::Relaxed) {
            let nth = next.fetch_add(1, Ordering::Relaxed);
            if nth >= count {
                break;
            }
            let outcome = play(&Schedule::of(first + nth), false);
            if until_found && outcome.found.is_some() {
                is_over.store(true, Ordering::Relaxed);
            }
            let mut totals = totals.lock().unwrap_or_else(PoisonError::into_inner);
            totals.add(first + nth, outcome);
            tell(totals.schedules);
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..threads.max(1) {
            scope.spawn(work);
        }
    });
    let mut totals = totals.into_inner().unwrap_or_else(PoisonError::into_inner);
    totals.failed.sort_by_key(|(seed, _)| *seed);
    totals
}
