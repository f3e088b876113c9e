//! The command: runs schedules by their seeds, and makes what fails small.
//!
//! Owns the command line and what is printed. Promises that a failing seed is printed with the command that plays it
//! again, and exit code 1. Never judges.

use std::{process::ExitCode, time::Instant};

use clap::Parser;
use parlour_feed::planted;
use parlour_simulation::{
    run::{self, Totals},
    schedule::Schedule,
    shrink,
};

/// Runs the product's state machines under virtual time, from seeds, and judges what clients are told.
#[derive(Parser)]
#[command(name = "parlour-simulation", version = planted::version(env!("CARGO_PKG_VERSION")))]
struct Options {
    /// How many schedules to run.
    #[arg(long, default_value_t = 5_000)]
    schedules: u64,
    /// The first seed.
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many threads to use.
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Plays one seed and prints what happens.
    #[arg(long)]
    seed: Option<u64>,
    /// Of that seed, only these steps, by number, separated by commas.
    #[arg(long, requires = "seed", value_delimiter = ',')]
    keep: Option<Vec<usize>>,
    /// Makes this mistake on purpose.
    #[cfg(feature = "planted-mistakes")]
    #[arg(long, value_parser = planted::Mistake::parse)]
    mistake: Option<planted::Mistake>,
    /// Of that seed, only steps without which it does not fail.
    #[arg(long, requires = "seed")]
    shrink: bool,
}

#[expect(clippy::print_stderr, reason = "a command talks")]
fn main() -> ExitCode {
    let options = Options::parse();
    #[cfg(feature = "planted-mistakes")]
    planted::make(options.mistake);
    std::panic::set_hook(Box::new(|_| ())); // a panic is a finding, and is printed as one
    if let Some(seed) = options.seed {
        return play_one(&options, seed);
    }
    let begun = Instant::now();
    let tell = |done: u64| {
        if done.is_multiple_of(1_000) {
            eprintln!("{done} schedules, {:.1} s", begun.elapsed().as_secs_f64());
        }
    };
    let totals = run::play_many(options.from, options.schedules, options.threads, false, tell);
    report(&totals, begun.elapsed().as_secs_f64())
}

fn report(totals: &Totals, seconds: f64) -> ExitCode {
    println!(
        "{} schedules in {seconds:.1} s: {} inputs, {} things done by clients (at least {} a schedule), {} events \
         handed to clients, {} resyncs",
        totals.schedules,
        totals.tally.inputs,
        totals.tally.actions,
        totals.least_actions,
        totals.tally.delivered,
        totals.tally.resyncs
    );
    for (seed, found) in totals.failed.iter().take(20) {
        println!("seed {seed}: {} is broken at {} us: {}", found.promise, found.at_us, found.what);
        println!(
            "  again: parlour-simulation --seed {seed}   smaller: parlour-simulation --seed {seed} --shrink"
        );
    }
    if totals.failed.is_empty() {
        println!("nothing found");
        return ExitCode::SUCCESS;
    }
    println!("{} of {} schedules failed", totals.failed.len(), totals.schedules);
    ExitCode::FAILURE
}

fn play_one(options: &Options, seed: u64) -> ExitCode {
    let whole = Schedule::of(seed);
    let mut schedule = whole.clone();
    if let Some(kept) = &options.keep {
        schedule = shrink::keep(&whole, kept);
    }
    if options.shrink
        && let Some(found) = run::play(&schedule, false).found
    {
        let (small, kept) = shrink::shrink(&schedule, found.promise);
        let kept: Vec<_> = kept.iter().map(usize::to_string).collect();
        println!("again: parlour-simulation --seed {seed} --keep {}", kept.join(","));
        schedule = small;
    }
    let outcome = run::play(&schedule, true);
    for line in &outcome.trace {
        println!("{line}");
    }
    for step in &schedule.steps {
        println!("step {step:?}");
    }
    println!(
        "noise {}, tight {}, pipelined {}, hash {:016x}",
        schedule.noise, schedule.is_tight, schedule.is_pipelined, outcome.hash
    );
    match outcome.found {
        Some(found) => {
            println!("{} is broken at {} us: {}", found.promise, found.at_us, found.what);
            ExitCode::FAILURE
        }
        None => ExitCode::SUCCESS,
    }
}
