//! What happens, from a seed.
//!
//! Owns the steps of a schedule: what clients do and what breaks, each with its moment and all of its particulars.
//! Promises the same steps for the same seed, and at least fifty things done by clients in each. Never runs one.

use std::fmt;

use crate::{random::Random, store::ROOMS};

/// How many clients there are; the last is another tab of the first.
pub const CLIENTS: usize = 6;
/// How many gateways there are.
pub const GATEWAYS: usize = 2;

/// How a client goes to sleep.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sleep {
    /// It closes its socket in order.
    Close,
    /// Its socket breaks, and both ends see it.
    Break,
    /// It is gone without a word: its gateway finds out by and by.
    Vanish,
}

/// What is done or breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Deed {
    /// A client sends so many messages to a room.
    Send(usize, usize, u64),
    /// A client joins a room, with its cursor if it has one, or `fresh`.
    Join(usize, usize, bool),
    /// A client joins a room to follow it without being present.
    Monitor(usize, usize),
    /// A client leaves a room.
    Leave(usize, usize),
    /// A client is away for so many milliseconds.
    Sleep(usize, Sleep, u64),
    /// A client reads slowly for so many milliseconds.
    Slow(usize, u64),
    /// A client sends again what was acknowledged long ago, with another body.
    Repeat(usize, usize),
    /// A client types.
    Type(usize, usize),

    /// The room replica dies and is back after so many milliseconds.
    KillReplica(u64),
    /// The same, as soon as a batch has been committed and before anybody is told.
    KillReplicaAfterCommit(u64),
    /// The replica stands still for so many milliseconds, from just after a frame of a gateway arrives.
    StopReplica(u64),
    /// A gateway dies and is back after so many milliseconds.
    KillGateway(usize, u64),
    /// A gateway stands still for so many milliseconds.
    StopGateway(usize, u64),
    /// A gateway's stream is cut; its end at the replica comes so many milliseconds later.
    CutLink(usize, u64),
    /// Nothing gets through on a gateway's stream any more, and nobody says so.
    HalfOpenLink(usize),
    /// Nothing moves on a gateway's stream for so many milliseconds.
    StallLink(usize, u64),
    /// Commits fail for so many milliseconds, some of them after all.
    FailStore(u64),
    /// Commits and reads take that many milliseconds more, for as long.
    SlowStore(u64),
    /// An older copy of the log is put in place: of when that share of 100 had been committed.
    ReplaceLog(u64),
}

impl Deed {
    /// Whether it is a client's.
    pub fn is_clients(&self) -> bool {
        use Deed::*;
        matches!(
            self,
            Send(..) | Join(..) | Monitor(..) | Leave(..) | Sleep(..) | Slow(..) | Repeat(..) | Type(..)
        )
    }
}

/// One step.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct Step {
    /// When, in microseconds.
    pub at_us: u64,
    /// What.
    pub deed: Deed,
}

impl fmt::Debug for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:>9.3} ms {:?}", self.at_us as f64 / 1_000.0, self.deed)
    }
}

/// A schedule.
#[derive(Clone, Debug)]
pub struct Schedule {
    /// Its seed, from which the small chances of a run come too: delays, drops, repeats.
    pub seed: u64,
    /// One small fault in so many chances; 0 for none.
    pub noise: u64,
    /// Whether rings, pages and a session's share of presence are so small that a few clients need more.
    pub is_tight: bool,
    /// Whether clients send without waiting for answers, as many as they have.
    pub is_pipelined: bool,
    /// Its steps, in order.
    pub steps: Vec<Step>,
}

impl Schedule {
    /// The schedule of a seed.
    pub fn of(seed: u64) -> Self {
        let mut random = Random::new(seed ^ 0x5eed);
        let noise = [0, 30, 12, 12, 6][random.below(5) as usize];
        let is_pipelined = random.one_in(2);
        let pause_us = [20_000, 150_000, 400_000][random.below(3) as usize];
        let (faults, replaces) = (random.between(0, 8), random.one_in(3));
        let (actions, mut steps, mut at_us) = (random.between(50, 70), Vec::new(), 300_000);
        for _ in 0..actions {
            at_us += random.below(2 * pause_us);
            steps.push(Step { at_us, deed: action(&mut random) });
        }
        for _ in 0..faults {
            fault(&mut random, at_us, &mut steps);
        }
        if replaces {
            steps.push(Step { at_us: random.below(at_us), deed: Deed::ReplaceLog(random.between(20, 100)) });
        }
        steps.sort_by_key(|step| step.at_us);
        let is_tight = random.one_in(2);
        Self { seed, noise, is_tight, is_pipelined, steps }
    }
}

fn action(random: &mut Random) -> Deed {
    let client = random.below(CLIENTS as u64) as usize;
    let room = random.below(ROOMS.len() as u64 + 1) as usize % ROOMS.len(); // the first is the busier
    match random.below(100) {
        0..=44 => Deed::Send(client, room, random.between(1, 3)),
        45..=49 => Deed::Send(client, room, random.between(10, 40)),
        50..=61 => Deed::Join(client, room, random.one_in(4)),
        62..=63 => Deed::Monitor(client, room),
        64..=69 => Deed::Leave(client, room),
        70..=72 => Deed::Sleep(client, Sleep::Close, random.between(50, 1_500)),
        73..=82 => Deed::Sleep(client, Sleep::Break, random.between(50, 9_000)),
        83..=84 => Deed::Sleep(client, Sleep::Vanish, random.between(50, 12_000)),
        85..=90 => Deed::Slow(client, random.between(500, 5_000)),
        91..=96 => Deed::Repeat(client, room),
        _ => Deed::Type(client, room),
    }
}

/// A fault; some come as two, where the second is what makes the first rare.
fn fault(random: &mut Random, end_us: u64, steps: &mut Vec<Step>) {
    let gateway = random.below(GATEWAYS as u64) as usize;
    let at_us = random.below(end_us);
    let deed = match random.below(20) {
        0..=1 => Deed::KillReplica(random.between(20, 4_000)),
        2..=3 => Deed::KillReplicaAfterCommit(random.between(20, 4_000)),
        4..=6 => Deed::StopReplica(random.between(100, 8_500)),
        7..=8 => Deed::KillGateway(gateway, random.between(20, 6_000)),
        9 => Deed::StopGateway(gateway, random.between(100, 8_500)),
        10..=12 => Deed::CutLink(gateway, [1, 30, 400, 3_000][random.below(4) as usize]),
        13..=14 => Deed::HalfOpenLink(gateway),
        15..=16 => Deed::StallLink(gateway, random.between(50, 6_000)),
        17..=18 => Deed::FailStore(random.between(50, 3_000)),
        _ => Deed::SlowStore(random.between(50, 7_000)),
    };
    steps.push(Step { at_us, deed });
    if random.one_in(3) {
        // somebody who was there goes, and is back, while it lasts
        let client = random.below(CLIENTS as u64) as usize;
        let away = Deed::Sleep(client, Sleep::Break, random.between(300, 6_000));
        steps.push(Step { at_us: at_us.saturating_sub(random.below(1_500_000)), deed: away });
    }
}
