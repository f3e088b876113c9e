//! P1 to P5 and P7 to P9 over the product's own machines, from seeds.

use std::thread::available_parallelism;

use parlour_simulation::{run, schedule::Schedule};

/// How many schedules are run each time.
const SCHEDULES: u64 = 5_000;
/// The fewest things that clients do in each.
const ACTIONS: u64 = 50;

/// P1 to P5, P7 to P9.
#[test]
fn no_promise_is_broken_in_five_thousand_schedules() {
    let threads = available_parallelism().map_or(2, |cores| cores.get());
    let totals = run::play_many(1, SCHEDULES, threads, false, |_| ());
    let first = totals.failed.first().map(|(seed, found)| {
        format!("seed {seed}: {found:?}; again: cargo run -p parlour-simulation -- --seed {seed} --shrink")
    });
    assert_eq!(first, None, "{} of {SCHEDULES} schedules failed", totals.failed.len());
    assert!(totals.least_actions >= ACTIONS, "{totals:?}");
    assert!(totals.tally.delivered > 100 * SCHEDULES && totals.tally.resyncs > SCHEDULES / 10, "{totals:?}");
}

/// What a seed's clients are told, and when, is the same each time: else a seed would be no bug report.
#[test]
fn a_seed_runs_the_same_way_twice() {
    for seed in 1..=60 {
        let schedule = Schedule::of(seed);
        let (first, second) = (run::play(&schedule, false), run::play(&schedule, false));
        assert_eq!(first, second, "seed {seed}");
        assert_ne!(first.hash, run::play(&Schedule::of(seed + 1_000), false).hash, "seed {seed}");
    }
}

/// The build that is shipped cannot make a mistake on purpose.
#[test]
#[cfg(not(feature = "planted-mistakes"))]
fn a_usual_build_has_no_planted_mistakes() {
    use parlour_feed::planted::{Mistake, SUFFIX, makes};
    assert_eq!(SUFFIX, "");
    assert!(Mistake::ALL.into_iter().all(|mistake| !makes(mistake)));
}
