use proptest::prelude::*;

use super::*;

fn user(n: u32) -> proto::User {
    proto::User { id: format!("guest_{n}"), name: format!("u{n}"), guest: true }
}

fn snapshot(users: &[u32]) -> proto::Presence {
    let count = users.len() as u32;
    proto::Presence {
        snapshot: true,
        users: users.iter().copied().map(user).collect(),
        count,
        ..Default::default()
    }
}

fn diff(joined: &[u32], left: &[u32], count: u32) -> proto::Presence {
    let users = |numbers: &[u32]| numbers.iter().copied().map(user).collect();
    proto::Presence { joined: users(joined), left: users(left), count, ..Default::default() }
}

fn fold() -> (Fold, Instant) {
    let mut fold = Fold::new("general".into(), 1_000);
    fold.shown_plainly();
    (fold, Instant::now())
}

fn changes(fold: &Fold, version: u64) -> Vec<proto::Presence> {
    match fold.changes_since(version) {
        Owed::Each(changes) => changes.iter().map(|change| change.presence.clone()).collect(),
        Owed::Whole => panic!("the changes are known"),
    }
}

fn notices(fold: &Fold, since: u64) -> Vec<(bool, String, usize)> {
    match fold.notices_since(since) {
        Owed::Each(notices) => {
            notices.iter().map(|notice| (notice.came, notice.name.clone(), notice.names.len())).collect()
        }
        Owed::Whole => panic!("the notices are known"),
    }
}

#[test]
fn p7_a_snapshot_is_told_as_the_difference_it_makes() {
    let (mut fold, now) = fold();
    fold.apply(snapshot(&[1, 2]), false, now);
    let mark = fold.mark();
    fold.apply(snapshot(&[2, 3]), false, now);
    let told = changes(&fold, mark.version);
    assert_eq!((told.len(), &told[0].joined, &told[0].left), (1, &vec![user(3)], &vec![user(1)]));
    fold.apply(snapshot(&[2, 3]), false, now);
    assert_eq!(fold.mark().version, mark.version + 1, "nothing new, nothing told");
}

#[test]
fn p7_a_replica_that_does_not_know_everybody_yet_counts_nobody_away() {
    let (mut fold, now) = fold();
    fold.apply(snapshot(&[1, 2, 3]), false, now);
    fold.apply(snapshot(&[1]), true, now);
    fold.apply(diff(&[4], &[], 2), false, now);
    assert_eq!(fold.shown().count, 4);
    fold.apply(diff(&[], &[4], 1), false, now);
    assert_eq!(fold.shown().count, 3, "who has come since may go");
    fold.apply(diff(&[], &[1], 0), false, now);
    assert_eq!(fold.shown().count, 3, "who was here before that replica may be here by another gateway");
    fold.apply(diff(&[4], &[], 1), false, now);
    fold.apply(snapshot(&[2, 4]), false, now);
    assert_eq!(fold.shown().count, 2, "then it does");
    fold.apply(diff(&[], &[2], 1), false, now);
    assert_eq!(fold.shown().count, 1);
}

#[test]
fn p7_a_settling_snapshot_takes_nobody_away() {
    let (mut fold, now) = fold();
    fold.apply(snapshot(&[1, 2]), false, now);
    fold.apply(snapshot(&[3]), true, now);
    let shown = fold.shown();
    assert_eq!((shown.users.len(), shown.count), (3, 3));
    fold.apply(snapshot(&[3]), false, now);
    assert_eq!(fold.shown().names.as_slice(), ["u3"]);
}

#[test]
fn a_name_comes_and_goes_once_for_plain_clients() {
    let (mut fold, now) = fold();
    let twin = proto::User { id: "guest_twin".into(), ..user(1) };
    fold.apply(diff(&[1], &[], 1), false, now);
    fold.apply(proto::Presence { joined: vec![twin.clone()], count: 2, ..Default::default() }, false, now);
    fold.apply(diff(&[], &[1], 1), false, now);
    assert_eq!(notices(&fold, 0), [(true, "u1".into(), 1)]);
    fold.apply(proto::Presence { left: vec![twin], count: 0, ..Default::default() }, false, now);
    assert_eq!(notices(&fold, 1), [(false, "u1".into(), 0)]);
}

#[test]
fn names_are_kept_from_when_somebody_speaks_plainly() {
    let (mut fold, now) = (Fold::new("general".into(), 1_000), Instant::now());
    fold.apply(diff(&[1], &[], 1), false, now);
    assert_eq!((fold.shown().names.len(), fold.mark().notices), (0, 0));
    let shown = fold.shown_plainly();
    assert_eq!((shown.names.as_slice(), shown.mark.notices), (["u1".to_owned()].as_slice(), 0));
    fold.apply(diff(&[2], &[], 2), false, now);
    assert_eq!(notices(&fold, 0), [(true, "u2".into(), 2)]);
}

#[test]
fn p9_notices_beyond_the_rate_are_folded_and_true() {
    let (mut fold, now) = fold();
    for n in 0..50 {
        fold.apply(diff(&[n], &[], n + 1), false, now);
    }
    assert_eq!(fold.mark().notices, u64::from(NOTICES_PER_SECOND));
    let due = fold.deadline().unwrap();
    assert!(!fold.tick(now) && fold.tick(due));
    assert_eq!(notices(&fold, u64::from(NOTICES_PER_SECOND)), [(true, "u49".into(), 50)]);
    assert_eq!(fold.deadline(), None);
}

#[test]
fn p9_above_the_limit_names_are_left_out_and_the_count_is_not() {
    let now = Instant::now();
    let mut fold = Fold::new("general".into(), 2);
    fold.shown_plainly();
    fold.apply(snapshot(&[1, 2]), false, now);
    let mark = fold.mark();
    fold.apply(diff(&[3], &[], 3), false, now);
    let told = changes(&fold, mark.version);
    assert!(told[0].joined.is_empty());
    assert_eq!((told[0].count, fold.mark().notices), (3, mark.notices));
}

#[test]
fn p7_what_everybody_was_told_is_forgotten_and_whoever_comes_later_is_owed_the_whole() {
    let (mut fold, now) = fold();
    fold.apply(diff(&[1], &[], 1), false, now);
    let (before, due) = (fold.mark(), fold.forget_due().unwrap());
    fold.apply(diff(&[2], &[], 2), false, now + Duration::from_secs(1));
    fold.forget(due);
    assert_eq!(changes(&fold, before.version).len(), 1, "the last change counts");
    fold.forget(due + Duration::from_secs(1));
    assert!(matches!(fold.changes_since(before.version), Owed::Whole));
    assert!(matches!(fold.notices_since(before.notices), Owed::Whole));
    let after = fold.mark();
    assert!(changes(&fold, after.version).is_empty() && notices(&fold, after.notices).is_empty());
    assert_eq!((fold.forget_due(), fold.shown().users.len()), (None, 2));
}

#[test]
fn whoever_is_too_far_behind_is_owed_the_whole() {
    let (mut fold, now) = fold();
    for n in 0..100 {
        fold.apply(diff(&[n], &[], n + 1), false, now);
    }
    assert!(matches!(fold.changes_since(1), Owed::Whole));
    assert!(matches!(fold.changes_since(99), Owed::Each(changes) if changes.len() == 1));
}

proptest! {
    /// P7: whoever takes each change, from wherever it was shown the whole, ends with the same people.
    #[test]
    fn a_reader_that_takes_every_change_sees_what_the_fold_sees(
        steps in prop::collection::vec((prop::collection::vec(0_u32..8, 0..5), any::<bool>()), 1..20),
        start in 0_usize..20,
    ) {
        let (mut fold, now) = fold();
        let mut seen: Option<(u64, Vec<String>)> = None;
        for (at, (users, settling)) in steps.iter().enumerate() {
            let mut users = users.clone();
            users.dedup();
            users.sort_unstable();
            users.dedup();
            fold.apply(snapshot(&users), *settling, now);
            if at >= start.min(steps.len() - 1) {
                let (version, known) = seen.get_or_insert_with(|| {
                    let shown = fold.shown();
                    (shown.mark.version, shown.users.iter().map(|user| user.id.clone()).collect())
                });
                for change in changes(&fold, *version) {
                    known.retain(|id| change.left.iter().all(|user| user.id != *id));
                    known.extend(change.joined.iter().map(|user| user.id.clone()));
                }
                *version = fold.mark().version;
                let shown: Vec<_> = fold.shown().users.iter().map(|user| user.id.clone()).collect();
                prop_assert_eq!(&*known, &shown);
            }
        }
    }
}
