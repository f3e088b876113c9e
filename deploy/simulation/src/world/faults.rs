//! What breaks.
//!
//! Owns the faults that last, and how each of a schedule's begins. Promises that what a fault takes away is what such a
//! fault takes away, and nothing else. Never breaks anything in calm.

use super::{Plan, World};
use crate::schedule::{Deed, GATEWAYS};

/// The faults that last.
#[derive(Default)]
pub(super) struct Faults {
    store_fails_until_us: u64,
    store_slow_until_us: u64,
    slow_us: u64,
    kill_after_commit: Option<u64>,
    stop_after_frame: Option<u64>,
    /// How long something has stood still at the longest.
    pub(super) longest_ms: u64,
}

impl Faults {
    /// Whether the store fails now.
    pub(super) fn store_fails(&self, us: u64) -> bool {
        us < self.store_fails_until_us
    }

    /// What the store takes longer now.
    pub(super) fn slow_us(&self, us: u64) -> u64 {
        if us < self.store_slow_until_us { self.slow_us } else { 0 }
    }

    pub(super) fn take_kill_after_commit(&mut self) -> Option<u64> {
        self.kill_after_commit.take()
    }

    /// Everything works from now on.
    pub(super) fn end(&mut self) {
        *self = Self { longest_ms: self.longest_ms, ..Self::default() };
    }
}

impl World {
    pub(super) fn step(&mut self, nth: usize) {
        let Some(step) = self.schedule.steps.get(nth).copied() else { return };
        if let Some(next) = self.schedule.steps.get(nth + 1) {
            self.plan(next.at_us.saturating_sub(self.us), Plan::Step(nth + 1));
        }
        self.judge.note(self.us, || format!("{:?}", step.deed));
        if step.deed.is_clients() {
            self.judge.tally.actions += 1;
            return self.act(step.deed);
        }
        if let Deed::StopReplica(ms) | Deed::StopGateway(_, ms) | Deed::StallLink(_, ms) = step.deed {
            self.faults.longest_ms = self.faults.longest_ms.max(ms);
        }
        match step.deed {
            Deed::KillReplica(back_ms) => self.replica_dies(back_ms),
            Deed::KillReplicaAfterCommit(back_ms) => self.faults.kill_after_commit = Some(back_ms),
            Deed::StopReplica(ms) => self.faults.stop_after_frame = Some(ms),
            Deed::KillGateway(gateway, back_ms) => self.gateway_dies(gateway, back_ms),
            Deed::StopGateway(gateway, ms) => {
                let until_us = self.us + ms * 1_000;
                self.gateways[gateway].still_until_us = until_us;
            }
            Deed::CutLink(gateway, replica_ms) => {
                if let Some(stream) = self.gateways[gateway].stream {
                    self.cut(stream, replica_ms * 1_000);
                    self.note_outage(gateway);
                }
            }
            Deed::HalfOpenLink(gateway) => {
                if let Some(stream) = self.gateways[gateway].stream.and_then(|id| self.streams.get_mut(&id)) {
                    (stream.up.is_lossy, stream.down.is_lossy) = (true, true);
                    self.note_outage(gateway);
                }
            }
            Deed::StallLink(gateway, ms) => {
                let until_us = self.us + ms * 1_000;
                if let Some(stream) = self.gateways[gateway].stream.and_then(|id| self.streams.get_mut(&id)) {
                    stream.up.stall_until(until_us);
                    stream.down.stall_until(until_us);
                }
            }
            Deed::FailStore(ms) => self.faults.store_fails_until_us = self.us + ms * 1_000,
            Deed::SlowStore(ms) => {
                self.faults.store_slow_until_us = self.us + ms * 1_000;
                self.faults.slow_us = ms * 1_000;
            }
            Deed::ReplaceLog(share) => {
                self.store.put_back(share);
                self.judge.log_replaced();
            }
            _ => {}
        }
    }

    /// A frame of a gateway has arrived just now: if the replica is to be stopped, it is, before it does anything more.
    pub(super) fn stop_after_frame(&mut self) {
        if let Some(ms) = self.faults.stop_after_frame.take() {
            self.replica.still_until_us = self.us + ms * 1_000;
        }
    }

    /// The people of a gateway are out of the replica's sight, or of each other's.
    pub(super) fn note_outage(&mut self, gateway: usize) {
        let us = self.us;
        for since in &mut self.gateways[gateway].out_since_us {
            since.get_or_insert(us);
        }
    }

    pub(super) fn note_outages(&mut self) {
        (0..GATEWAYS).for_each(|gateway| self.note_outage(gateway));
    }
}
