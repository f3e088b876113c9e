//! The judges are judged: each planted mistake is found within so many schedules.
#![cfg(feature = "planted-mistakes")]

use parlour_feed::planted::{self, Mistake};
use parlour_simulation::{run, schedule::Schedule, shrink};

/// Within how many schedules each is found.
const WITHIN: [(Mistake, u64); Mistake::ALL.len()] = [
    (Mistake::PublishBeforeCommit, 50),
    (Mistake::PageCutOffByOne, 100),
    (Mistake::NoLookUpOfRepeats, 100),
    (Mistake::PositionAdvancedOnADrop, 50),
    (Mistake::ReattachFromTheHead, 200),
    (Mistake::NextIsOnlyASeq, 1_000),
    (Mistake::JudgeByThisHopAlone, 200),
    (Mistake::OutboxBesideTheRing, 200),
    (Mistake::DiffsOnlyToTheLive, 200),
    (Mistake::LateStreamActs, 500),
    (Mistake::RosterWithoutTheClosing, 1_000),
    (Mistake::JoinedBeforeItsPresence, 200),
    (Mistake::Pipelining, 500),
    (Mistake::SettlingNeverEnds, 500),
    (Mistake::TakenAwayWhileSettling, 500),
    (Mistake::PresenceUnpaid, 50),
    (Mistake::PageWithoutRoom, 50),
];

/// One test, since a mistake is made in the whole process.
#[test]
fn each_planted_mistake_is_found_and_made_small() {
    let mut missed = Vec::new();
    for (mistake, within) in WITHIN {
        planted::make(Some(mistake));
        let totals = run::play_many(1, within, 2, true, |_| ());
        match totals.failed.first() {
            Some((seed, found)) => {
                let (small, kept) = shrink::shrink(&Schedule::of(*seed), found.promise);
                let again = run::play(&small, false).found;
                assert!(
                    kept.len() < Schedule::of(*seed).steps.len(),
                    "{mistake:?}: seed {seed} is not made smaller"
                );
                assert_eq!(again.map(|again| again.promise), Some(found.promise), "{mistake:?}: seed {seed}");
            }
            None => missed.push(mistake),
        }
    }
    planted::make(None);
    assert!(missed.is_empty(), "not found: {missed:?}");
    assert_eq!(run::play_many(1, 200, 2, false, |_| ()).failed, [], "and without a mistake nothing is found");
}
