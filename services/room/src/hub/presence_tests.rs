//! What leases owe, with a clock made of numbers.

use proptest::prelude::*;

use super::{pace::BYTES_PER_SECOND, *};
use crate::domain::{ids::UserId, message::DisplayName};

const LIMITS: Limits =
    Limits { grace_closed: Duration::from_secs(2), grace_broken: Duration::from_secs(10), names: 3 };

fn session(n: u8) -> SessionId {
    SessionId::from_bytes(&[n; 16]).expect("16 bytes")
}

fn user(n: u8) -> User {
    User { id: UserId::new(format!("u{n}")), name: DisplayName::stored("x"), guest: true }
}

fn owner(generation: u64) -> Owner {
    Owner { holder: [7; 16], lane: 0, generation }
}

fn leases() -> (Leases, Instant) {
    let now = Instant::now();
    (Leases::new(LIMITS, now, now), now)
}

fn secs(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

#[test]
fn p7_a_return_within_the_grace_is_not_seen() {
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1));
    leases.advance(t0);
    let told = leases.version();
    leases.close(session(1), owner(1), Ending::Closed, t0);
    leases.advance(t0 + secs(1.9));
    leases.hold(session(2), user(1), owner(1));
    leases.advance(t0 + secs(60.0));
    assert_eq!(leases.version(), told, "neither a leave nor a join was told");
    assert_eq!(leases.count(), 1);
}

#[test]
fn p7_each_ending_has_its_grace() {
    for (ending, grace) in
        [(Ending::Closed, 2.0), (Ending::Broken, 10.0), (Ending::GoingAway(secs(5.0)), 15.0)]
    {
        let (mut leases, t0) = leases();
        leases.hold(session(1), user(1), owner(1));
        leases.close(session(1), owner(1), ending, t0);
        leases.advance(t0 + secs(grace - 0.01));
        assert_eq!(leases.count(), 1, "{ending:?}");
        assert_eq!(leases.deadline(), Some(t0 + secs(grace)));
        leases.advance(t0 + secs(grace));
        assert_eq!(leases.count(), 0, "{ending:?}: no ghost outlives its grace");
        assert!(leases.is_empty());
    }
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1));
    leases.advance(t0);
    leases.leave(session(1), owner(1));
    leases.advance(t0);
    assert_eq!(leases.count(), 0, "a leave has no grace");
}

#[test]
fn p7_an_older_owner_touches_nothing_that_a_newer_has_named() {
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1));
    leases.broken(owner(1), t0);
    leases.roster(owner(2), &HashSet::from([session(1)]));
    assert!(leases.hold(session(1), user(1), owner(2)));
    leases.leave(session(1), owner(1));
    leases.close(session(1), owner(1), Ending::Closed, t0);
    leases.broken(owner(1), t0);
    leases.roster(owner(1), &HashSet::new());
    assert!(!leases.hold(session(1), user(2), owner(1)), "a late stream is refused");
    leases.advance(t0 + secs(100.0));
    assert!(leases.is_held(session(1), owner(2)));
    assert_eq!(leases.users(9), [user(1)]);
}

#[test]
fn p7_what_a_broken_stream_held_is_kept_from_when_it_broke() {
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1));
    leases.advance(t0);
    leases.broken(owner(1), t0 + secs(1.0));
    leases.advance(t0 + secs(10.9));
    assert_eq!(leases.count(), 1);
    leases.advance(t0 + secs(11.0));
    assert_eq!(leases.count(), 0);
}

#[test]
fn p7_what_a_roster_does_not_name_leaves_at_once() {
    let (mut leases, t0) = leases();
    for n in 1..=4 {
        leases.hold(session(n), user(n), owner(1));
    }
    leases.broken(owner(1), t0);
    let named = HashSet::from([session(1), session(2), session(3)]);
    leases.roster(owner(2), &named);
    leases.hold(session(1), user(1), owner(2)); // admitted
    leases.keep_in_grace(session(2), None, owner(2), secs(1.0), t0); // closing
    leases.keep(session(3), owner(2)); // joining
    leases.keep(session(9), owner(2));
    leases.keep_in_grace(session(8), None, owner(2), secs(60.0), t0);
    assert_eq!(leases.check_invariants(), Ok(()), "who was never here stays away");
    leases.advance(t0 + secs(0.5));
    assert_eq!(leases.users(9), [user(1), user(2), user(3)]);
    leases.advance(t0 + secs(1.0));
    assert_eq!(leases.users(9), [user(1), user(3)], "the closing one had a second left");
    leases.advance(t0 + secs(60.0));
    assert_eq!(leases.users(9), [user(1), user(3)]);
}

#[test]
fn a_reader_is_told_the_difference_or_the_whole() {
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1));
    leases.advance(t0);
    let first = leases.update(None, 100, t0);
    assert_eq!(first.what, What::Whole(vec![user(1)]));
    leases.hold(session(2), user(2), owner(1));
    assert_eq!(leases.version_due(), first.version + 1);
    leases.advance(t0);
    let second = leases.update(Some(first.version), 100, t0);
    let What::Diff(diff) = &second.what else { panic!("{second:?}") };
    assert_eq!(diff.joined, [user(2)]);
    assert_eq!(leases.update(Some(second.version), 100, t0).what, What::Nothing);
    leases.hold(session(3), user(3), owner(1));
    leases.advance(t0);
    let third = leases.update(Some(first.version), 100, t0);
    let What::Diff(diff) = &third.what else { panic!("two versions behind: {third:?}") };
    assert_eq!(diff.joined, [user(2), user(3)]);
    leases.hold(session(4), user(4), owner(1));
    leases.advance(t0);
    let beyond = leases.update(Some(leases.version() - 1), 100, t0);
    assert_eq!((beyond.what, beyond.count), (What::Count, 4), "beyond the limit counts only");
    leases.leave(session(4), owner(1));
    leases.advance(t0 + secs(10.0));
    let below = leases.update(Some(leases.version() - 1), 100, t0);
    assert!(matches!(below.what, What::Whole(_)), "the names left out meanwhile are owed");
}

#[test]
fn p7_a_reader_who_missed_more_differences_than_are_kept_is_told_the_whole() {
    let (mut leases, t0) = leases();
    let mut now = t0;
    leases.hold(session(1), user(1), owner(1));
    leases.advance(now);
    let first = leases.version();
    while leases.version() < first + KEPT_DIFFS as u64 + 1 {
        if leases.count() == 1 {
            leases.hold(session(2), user(2), owner(1));
        } else {
            leases.leave(session(2), owner(1));
        }
        now += secs(2.0);
        leases.advance(now);
    }
    assert!(matches!(leases.update(Some(first + 1), 100, now).what, What::Diff(_)));
    assert!(matches!(leases.update(Some(first), 100, now).what, What::Whole(_)));
}

#[test]
fn a_whole_tells_of_everything_so_that_no_later_difference_repeats_it() {
    let (mut leases, t0) = leases();
    leases.hold(session(1), user(1), owner(1)); // not told yet
    let whole = leases.update(None, 100, t0);
    leases.advance(t0 + secs(10.0));
    assert_eq!(leases.version(), whole.version);
}

#[test]
fn p7_one_of_two_sessions_that_leaves_a_young_replica_is_not_told_as_its_users_leaving() {
    let now = Instant::now();
    let mut leases = Leases::new(LIMITS, now + secs(10.0), now);
    leases.returns(&user(1).id); // one gateway is back; another has a session of the same user, and is not
    leases.hold(session(1), user(1), owner(1));
    leases.hold(session(2), user(2), owner(1));
    leases.advance(now);
    let told = leases.version();
    leases.leave(session(1), owner(1));
    leases.leave(session(2), owner(1));
    leases.advance(now + secs(1.0));
    let update = leases.update(Some(told), 100, now + secs(1.0));
    let What::Diff(diff) = &update.what else { panic!("{update:?}") };
    assert_eq!(diff.left, [user(2)], "who came to this replica first is told at once");
    leases.advance(now + secs(10.0));
    assert_eq!(leases.update(Some(update.version), 100, now + secs(10.0)).what, What::Whole(vec![]));
}

#[test]
fn p7_settling_ends_with_a_snapshot_for_everyone() {
    let t0 = Instant::now();
    let mut leases = Leases::new(LIMITS, t0 + secs(10.0), t0);
    leases.hold(session(1), user(1), owner(1));
    leases.advance(t0);
    let first = leases.update(None, 100, t0);
    assert!(first.settling);
    leases.advance(t0 + secs(10.0));
    let settled = leases.update(Some(first.version), 100, t0 + secs(10.0));
    assert!(!settled.settling);
    assert_eq!(settled.what, What::Whole(vec![user(1)]));
    assert_eq!(leases.deadline(), None);
}

#[test]
fn p9_presence_keeps_to_its_budget_and_is_told_within_two_seconds_all_the_same() {
    let (mut leases, t0) = leases();
    let mut now = t0;
    let mut told = 0.0;
    let mut since = None;
    for n in 0..20_000_u32 {
        let id = UserId::new(format!("user-{}", n % 2));
        let user = User { id, name: DisplayName::stored(&"n".repeat(64)), guest: false };
        let before = leases.version();
        leases.hold(session(1), user, owner(1));
        leases.advance(now);
        if leases.version() > before {
            let What::Diff(diff) = leases.update(Some(before), 100, now).what else { panic!("a difference") };
            told += diff.weight() as f64;
            since = None;
        } else {
            assert!(now - *since.get_or_insert(now) < secs(2.0));
        }
        now += secs(0.001);
    }
    let seconds = (now - t0).as_secs_f64();
    assert!(told <= BURST_BYTES + BYTES_PER_SECOND * (seconds + 1.0), "{told} bytes in {seconds} s");
}

#[derive(Clone, Debug)]
enum Input {
    Hold(u8, u8, u8),
    Leave(u8, u8),
    Close(u8, u8),
    Broken(u8),
    Keep(u8, u8),
    Roster(u8, Vec<u8>),
    Wait(u16),
}

fn inputs() -> impl Strategy<Value = Vec<Input>> {
    let (s, g) = (0..6_u8, 1..4_u8);
    let input = prop_oneof![
        4 => (s.clone(), 0..4_u8, g.clone()).prop_map(|(s, u, g)| Input::Hold(s, u, g)),
        1 => (s.clone(), g.clone()).prop_map(|(s, g)| Input::Leave(s, g)),
        2 => (s.clone(), g.clone()).prop_map(|(s, g)| Input::Close(s, g)),
        1 => g.clone().prop_map(Input::Broken),
        1 => (s.clone(), g.clone()).prop_map(|(s, g)| Input::Keep(s, g)),
        1 => (g, proptest::collection::vec(s, 0..4)).prop_map(|(g, named)| Input::Roster(g, named)),
        2 => (0..4_000_u16).prop_map(Input::Wait),
    ];
    proptest::collection::vec(input, 0..80)
}

proptest! {
    /// P7: whatever happens, the parts agree, diffs add up to who is here, and once nobody holds anything nobody is
    /// left when the longest grace has passed.
    #[test]
    fn no_ghost_outlives_its_grace_and_what_is_told_is_true(inputs in inputs()) {
        let (mut leases, mut now) = leases();
        let mut known = BTreeSet::new();
        let mut told = None;
        for input in inputs {
            match input {
                Input::Hold(s, u, g) => drop(leases.hold(session(s), user(u), owner(u64::from(g)))),
                Input::Leave(s, g) => leases.leave(session(s), owner(u64::from(g))),
                Input::Close(s, g) => leases.close(session(s), owner(u64::from(g)), Ending::Closed, now),
                Input::Broken(g) => leases.broken(owner(u64::from(g)), now),
                Input::Keep(s, g) => leases.keep(session(s), owner(u64::from(g))),
                Input::Roster(g, named) => {
                    leases.roster(owner(u64::from(g)), &named.into_iter().map(session).collect());
                }
                Input::Wait(ms) => now += Duration::from_millis(u64::from(ms)),
            }
            leases.advance(now);
            prop_assert_eq!(leases.check_invariants(), Ok(()));
            hear(&mut leases, &mut told, &mut known, now);
        }
        for generation in 1..4 {
            leases.broken(owner(generation), now);
        }
        now += secs(1.0); // what the budget held back is told
        leases.advance(now);
        hear(&mut leases, &mut told, &mut known, now);
        let here: BTreeSet<_> = leases.users(99).into_iter().map(|user| user.id).collect();
        if leases.count() <= LIMITS.names {
            prop_assert_eq!(&known, &here);
        }
        leases.advance(now + LIMITS.grace_broken);
        prop_assert!(leases.is_empty());
        prop_assert_eq!(leases.count(), 0);
    }
}

fn hear(leases: &mut Leases, told: &mut Option<u64>, known: &mut BTreeSet<UserId>, now: Instant) {
    let update = leases.update(*told, 100, now);
    *told = Some(update.version);
    match update.what {
        What::Whole(users) => *known = users.into_iter().map(|user| user.id).collect(),
        What::Diff(diff) => {
            for user in &diff.left {
                assert!(known.remove(&user.id));
            }
            for user in &diff.joined {
                assert!(known.insert(user.id.clone()));
            }
        }
        What::Count | What::Nothing => {}
    }
}
