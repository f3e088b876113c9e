//! The lanes of gateways.
//!
//! Owns which stream of a lane is the newest. Promises that a newer attach ends the older stream, that an older attach is
//! refused, also after the newer stream has ended, and memory for a bounded number of lanes. Never touches a session.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use tokio_util::sync::CancellationToken;

use super::presence::Owner;

/// Lanes remembered at most after their streams ended; the longest ended are forgotten first.
const ENDED: usize = 4_096;
/// How long the end of a lane's stream is remembered at least: no older stream lives that long.
const REMEMBERED: Duration = Duration::from_secs(3_600);

#[derive(Debug)]
struct Lane {
    generation: u64,
    superseded: CancellationToken,
    ended: Option<Instant>,
}

/// The newest stream of every lane.
#[derive(Debug, Default)]
pub struct Lanes(HashMap<([u8; 16], u32), Lane>);

impl Lanes {
    /// A stream attaches; the token tells it that a newer one has. `None`: a newer one has already, or this very one.
    pub fn attach(&mut self, owner: Owner, now: Instant) -> Option<CancellationToken> {
        let key = (owner.holder, owner.lane);
        if let Some(lane) = self.0.get(&key) {
            if owner.generation <= lane.generation {
                return None;
            }
            lane.superseded.cancel();
        } else {
            self.forget(now);
        }
        let superseded = CancellationToken::new();
        let lane = Lane { generation: owner.generation, superseded: superseded.clone(), ended: None };
        self.0.insert(key, lane);
        Some(superseded)
    }

    /// A stream has ended.
    pub fn ended(&mut self, owner: Owner, now: Instant) {
        if let Some(lane) = self.0.get_mut(&(owner.holder, owner.lane))
            && lane.generation == owner.generation
        {
            lane.ended = Some(now);
        }
    }

    fn forget(&mut self, now: Instant) {
        if self.0.len() < ENDED {
            return;
        }
        self.0.retain(|_, lane| lane.ended.is_none_or(|ended| now.duration_since(ended) < REMEMBERED));
        let mut ended: Vec<_> = self.0.iter().filter_map(|(key, lane)| Some((lane.ended?, *key))).collect();
        ended.sort_unstable();
        let excess = (self.0.len() + 1).saturating_sub(ENDED);
        for (_, key) in ended.into_iter().take(excess) {
            self.0.remove(&key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn owner(holder: u8, generation: u64) -> Owner {
        Owner { holder: [holder; 16], lane: 1, generation }
    }

    #[test]
    fn p10_a_newer_stream_ends_the_older_and_outlives_its_own_end() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        let first = lanes.attach(owner(1, 1), now).expect("the first");
        let other = lanes.attach(owner(2, 1), now).expect("another gateway's");
        assert!(lanes.attach(owner(1, 1), now).is_none(), "the same generation again");
        let second = lanes.attach(owner(1, 2), now).expect("newer");
        assert!(first.is_cancelled() && !second.is_cancelled() && !other.is_cancelled());
        lanes.ended(owner(1, 1), now);
        lanes.ended(owner(1, 2), now);
        assert!(lanes.attach(owner(1, 1), now).is_none(), "also after the newer has ended");
        assert!(lanes.attach(owner(1, 3), now).is_some());
    }

    #[test]
    fn p8_ended_lanes_are_forgotten_beyond_the_bound() {
        let (mut lanes, now) = (Lanes::default(), Instant::now());
        for generation in 1..=2 {
            assert!(lanes.attach(owner(1, generation), now).is_some());
        }
        lanes.ended(owner(1, 1), now);
        let now = now + Duration::from_secs(1);
        for n in 0..ENDED as u32 + 10 {
            let owner = Owner { holder: [0; 16], lane: n, generation: 1 };
            assert!(lanes.attach(owner, now).is_some());
            lanes.ended(owner, now);
        }
        assert!(lanes.0.len() <= ENDED);
        assert!(lanes.attach(owner(1, 1), now).is_none(), "P10: a lane that goes on is not forgotten");
    }
}
