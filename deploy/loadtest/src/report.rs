//! What is told at the end.
//!
//! Owns the verdicts: a line for each promise, and the same as JSON. Promises that a promise which had no occasion to be
//! broken is called not tried, and that whatever is broken is shown with its evidence. Never judges.

use std::{
    fmt::{self, Display},
    path::Path,
};

use serde::Serialize;

use crate::{
    config::Verify,
    judge::Promise,
    record::{Count, Evidence, Times},
    verify::{Clients, Outcome},
};

/// What became of a promise.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Kept,
    Broken,
    NotTried,
}

/// A promise and its verdict.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    promise: &'static str,
    claim: &'static str,
    verdict: Verdict,
    /// Occasions on which it could have been broken.
    tried: u64,
    occasions: &'static str,
    broken: u64,
    evidence: Vec<Evidence>,
}

impl Line {
    fn new(promise: Promise, tried: u64, broken: u64, evidence: Vec<Evidence>) -> Self {
        let verdict = match (broken, tried) {
            (0, 0) => Verdict::NotTried,
            (0, _) => Verdict::Kept,
            _ => Verdict::Broken,
        };
        let (claim, occasions) = (promise.claim(), promise.occasions());
        Self { promise: promise.name(), claim, verdict, tried, occasions, broken, evidence }
    }
}

/// The report.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    version: &'static str,
    is_kept: bool,
    seed: u64,
    /// What the names of its rooms and clients begin with.
    prefix: String,
    talked_seconds: f64,
    gateways: usize,
    rooms: usize,
    rate: f64,
    clients: Clients,
    counts: serde_json::Map<String, serde_json::Value>,
    acknowledgement_ms: Times,
    recovery_ms: Times,
    agreement_ms: Times,
    promises: Vec<Line>,
}

impl Report {
    /// Of a run.
    pub(crate) fn new(settings: &Verify, outcome: &Outcome) -> Self {
        let (world, record) = (&outcome.world, &outcome.world.record);
        let promises: Vec<_> = Promise::ALL
            .into_iter()
            .map(|promise| {
                let case = record.case(promise);
                Line::new(promise, case.tried, case.broken, case.evidence)
            })
            .collect();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            is_kept: promises.iter().all(|line| line.broken == 0),
            seed: world.seed,
            prefix: world.names.prefix().to_owned(),
            talked_seconds: outcome.talked.as_secs_f64(),
            gateways: world.gateways.len(),
            rooms: world.rooms.len(),
            rate: settings.rate,
            clients: outcome.clients,
            counts: Count::ALL
                .map(|(count, name)| (name.to_owned(), record.counted(count).into()))
                .into_iter()
                .collect(),
            acknowledgement_ms: record.acknowledgements(),
            recovery_ms: record.recoveries(),
            agreement_ms: record.agreements(),
            promises,
        }
    }

    /// Whether no promise was broken.
    pub(crate) const fn is_kept(&self) -> bool {
        self.is_kept
    }

    /// Writes it as JSON.
    ///
    /// # Errors
    /// The file cannot be written.
    pub(crate) fn write(&self, path: &Path) -> std::io::Result<()> {
        let mut json = serde_json::to_vec_pretty(self)?;
        json.push(b'\n');
        std::fs::write(path, json)
    }
}

impl Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Clients { full, grpc, plain } = self.clients;
        let count =
            |name: &str| self.counts.get(name).and_then(serde_json::Value::as_u64).unwrap_or_default();
        writeln!(
            f,
            "{full} full, {grpc} gRPC and {plain} plain clients talked for {:.0} s in {} rooms through {} gateways (seed {})",
            self.talked_seconds, self.rooms, self.gateways, self.seed
        )?;
        writeln!(
            f,
            "{} messages, {} deliveries, {} sessions, {} resumes, {} connections lost",
            count("sends"),
            count("deliveries") + count("plain_deliveries"),
            count("sessions"),
            count("resumes"),
            count("connections_lost"),
        )?;
        writeln!(f, "acknowledged after  {}", self.acknowledgement_ms)?;
        writeln!(f, "back with the rest  {}", self.recovery_ms)?;
        writeln!(f, "quiet, and in view  {}", self.agreement_ms)?;
        writeln!(f)?;
        for line in &self.promises {
            line.fmt(f)?;
        }
        writeln!(f)?;
        f.write_str(if self.is_kept { "kept" } else { "BROKEN" })
    }
}

impl Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let verdict = match self.verdict {
            Verdict::Kept => "kept     ",
            Verdict::Broken => "BROKEN   ",
            Verdict::NotTried => "not tried",
        };
        writeln!(f, "{:<4} {verdict}  {} ({} {})", self.promise, self.claim, self.tried, self.occasions)?;
        for evidence in &self.evidence {
            let at = evidence.seq.map(|seq| format!(" at {seq}")).unwrap_or_default();
            let room = evidence.room.as_deref().unwrap_or("no room");
            let client = evidence.client.as_deref().unwrap_or("the log");
            writeln!(f, "       {room}{at}, {client}, {} ms: {}", evidence.at_ms, evidence.what)?;
            for frame in &evidence.frames {
                writeln!(f, "           {frame}")?;
            }
        }
        let kept = self.evidence.len() as u64;
        if self.broken > kept {
            writeln!(f, "       and {} more", self.broken - kept)?;
        }
        Ok(())
    }
}

impl Display for Times {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { count, p50, p90, p99, p999, max } = self;
        if *count == 0 {
            return f.write_str("never");
        }
        write!(
            f,
            "p50 {p50:.1} ms, p90 {p90:.1}, p99 {p99:.1}, p99.9 {p999:.1}, max {max:.1} ({count} times)"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_had_no_occasion_is_not_claimed() {
        let verdict = |tried, broken| Line::new(Promise::P5, tried, broken, Vec::new()).verdict;
        assert_eq!((verdict(0, 0), verdict(3, 0)), (Verdict::NotTried, Verdict::Kept));
        assert_eq!((verdict(3, 1), verdict(0, 1)), (Verdict::Broken, Verdict::Broken));
    }

    #[test]
    fn a_broken_promise_is_shown_with_its_evidence() {
        let evidence = Evidence {
            room: Some("lobby".to_owned()),
            seq: Some(7),
            client: Some("ada".to_owned()),
            what: "lost".to_owned(),
            frames: vec!["3 ms: event 6".to_owned()],
            at_ms: 4,
        };
        let shown = Line::new(Promise::P3, 9, 2, vec![evidence]).to_string();
        for part in ["P3", "BROKEN", "lobby at 7, ada, 4 ms: lost", "3 ms: event 6", "and 1 more"] {
            assert!(shown.contains(part), "{part}: {shown}");
        }
    }
}
