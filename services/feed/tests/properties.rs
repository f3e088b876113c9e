//! P2 to P4 and P8 at one hop, whatever happens between the log and its readers.

use std::time::Duration;

use parlour_feed::{Bounds, Budget, Limits, Pools, ReaderKind};
use proptest::prelude::*;

mod model;

use model::room::{HEAVIEST, Room, forged, quiesce_together, small_limits};

#[derive(Clone, Debug)]
enum Action {
    Append { weight: usize, own: bool },
    Deliver { nth: usize, again: bool },
    Drop { nth: usize },
    Head { behind: u64 },
    CarryOut { nth: usize, cut: usize },
    Answer { nth: usize, fails: bool },
    Pass { ms: u64 },
    Join { relay: bool, at: At },
    Leave { nth: usize },
    Step { nth: usize, events: usize, bytes: usize },
    Verify { nth: usize },
    Presence,
    ShedPresence { nth: usize },
    Shrink { bytes: usize },
    Restore { keep: usize, append: usize },
    Replace { append: usize },
}

#[derive(Clone, Debug)]
enum At {
    Here,
    Head,
    Once { nth: usize },
    Forged { seq: u64, check: u32 },
}

fn at() -> impl Strategy<Value = At> {
    prop_oneof![
        2 => Just(At::Here),
        2 => Just(At::Head),
        4 => any::<usize>().prop_map(|nth| At::Once { nth }),
        1 => (0..60u64, any::<u32>()).prop_map(|(seq, check)| At::Forged { seq, check }),
        1 => any::<u32>().prop_map(|check| At::Forged { seq: u64::MAX, check }),
    ]
}

fn ordinary() -> BoxedStrategy<Action> {
    let nth = any::<usize>;
    prop_oneof![
        12 => (1..=HEAVIEST, prop::bool::weighted(0.2)).prop_map(|(weight, own)| Action::Append { weight, own }),
        12 => (nth(), prop::bool::weighted(0.2)).prop_map(|(nth, again)| Action::Deliver { nth, again }),
        3 => nth().prop_map(|nth| Action::Drop { nth }),
        2 => (0..4u64).prop_map(|behind| Action::Head { behind }),
        8 => (nth(), 1..6usize).prop_map(|(nth, cut)| Action::CarryOut { nth, cut }),
        8 => (nth(), prop::bool::weighted(0.2)).prop_map(|(nth, fails)| Action::Answer { nth, fails }),
        4 => (1..120u64).prop_map(|ms| Action::Pass { ms }),
        5 => (prop::bool::weighted(0.2), at()).prop_map(|(relay, at)| Action::Join { relay, at }),
        2 => nth().prop_map(|nth| Action::Leave { nth }),
        12 => (nth(), 0..5usize, 0..40usize).prop_map(|(nth, events, bytes)| Action::Step { nth, events, bytes }),
        2 => nth().prop_map(|nth| Action::Verify { nth }),
        1 => Just(Action::Presence),
        1 => nth().prop_map(|nth| Action::ShedPresence { nth }),
        1 => (0..90usize).prop_map(|bytes| Action::Shrink { bytes }),
    ]
    .boxed()
}

fn replaced() -> BoxedStrategy<Action> {
    prop_oneof![
        30 => ordinary(),
        1 => (any::<usize>(), 0..6usize).prop_map(|(keep, append)| Action::Restore { keep, append }),
        1 => (0..6usize).prop_map(|append| Action::Replace { append }),
    ]
    .boxed()
}

fn act(room: &mut Room, action: Action) {
    match action {
        Action::Append { weight, own: true } => room.append_own(weight),
        Action::Append { weight, own: false } => room.append(weight),
        Action::Deliver { nth, again } => room.deliver(nth, again),
        Action::Drop { nth } => room.drop_hint(nth),
        Action::Head { behind } => {
            let head = room.log.head();
            let cursor = room.log.cursor_at(head.seq.saturating_sub(behind)).unwrap_or(head);
            room.say_head(cursor);
        }
        Action::CarryOut { nth, cut } => room.carry_out(nth, cut),
        Action::Answer { nth, fails } => room.answer(nth, fails),
        Action::Pass { ms } => room.pass(Duration::from_millis(ms)),
        Action::Join { relay, at } => join(room, if relay { ReaderKind::Hints } else { ReaderKind::Log }, at),
        Action::Leave { nth } => room.leave(nth),
        Action::Step { nth, events, bytes } => room.step(nth, Budget { events, bytes }),
        Action::Verify { nth } => room.verify(nth),
        Action::Presence => room.set_presence(),
        Action::ShedPresence { nth } => room.shed_presence(nth),
        Action::Shrink { bytes } => room.shrink(bytes),
        Action::Restore { keep, append } => {
            let head = usize::try_from(room.log.head().seq).expect("logs are short here");
            room.log.restore(keep % (head + 1));
            (0..append).for_each(|_| room.append(3));
        }
        Action::Replace { append } => {
            room.log.replace();
            (0..append).for_each(|_| room.append(3));
        }
    }
}

fn join(room: &mut Room, kind: ReaderKind, at: At) {
    let cursors = room.log.cursors();
    let cursor = match at {
        At::Here => None,
        At::Head => Some(room.log.head()),
        At::Once { nth } => Some(cursors[nth % cursors.len()]),
        At::Forged { seq, check } => Some(forged(seq, check)),
    };
    room.join(kind, cursor);
}

fn run(limits: Limits, before: usize, actions: Vec<Action>) -> Room {
    let mut room = Room::new(limits, before, 7);
    actions.into_iter().for_each(|action| act(&mut room, action));
    room.quiesce();
    room
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, failure_persistence: None, ..ProptestConfig::default() })]

    /// P3, P4, P8: no log was ever replaced, so whoever was told otherwise was told wrong.
    #[test]
    fn every_reader_is_given_what_follows_its_cursor(
        before in 0..40usize,
        actions in prop::collection::vec(ordinary(), 0..250),
    ) {
        let room = run(small_limits(), before, actions);
        prop_assert_eq!(room.audience.counters().jumps_other_log, 0, "a false conviction");
    }

    /// P3, P4: a log replaced by an older copy or by another one is recognised, and nothing is spliced.
    #[test]
    fn a_log_replaced_by_another_is_recognised(
        before in 0..40usize,
        actions in prop::collection::vec(replaced(), 0..250),
    ) {
        run(small_limits(), before, actions);
    }

    /// The same where the link keeps its order and a gap asks the log at once.
    #[test]
    fn an_ordered_link_makes_no_difference_to_what_is_given(
        before in 0..40usize,
        actions in prop::collection::vec(replaced(), 0..250),
    ) {
        run(Limits { gap_wait: Duration::ZERO, ..small_limits() }, before, actions);
    }
    /// P8: what all rooms hold together is the sum of what each holds, within its bound, and nothing once they are gone.
    /// P3: no room starves another of pages.
    #[test]
    fn rooms_that_share_bounds_hold_no_more_together_and_lose_nothing(
        before in 0..40usize,
        actions in prop::collection::vec((0..3usize, replaced()), 0..250),
    ) {
        let pools = Pools::new(Bounds { rings: 120, pages: 2 * 4 * HEAVIEST, outboxes: 0 });
        let room = |nth| Room::within(small_limits(), before, nth, &pools);
        let mut rooms: Vec<_> = (0..3).map(room).collect();
        for (nth, action) in actions {
            act(&mut rooms[nth], action);
            let rings: usize = rooms.iter().map(|room| room.audience.ring().bytes()).sum();
            prop_assert_eq!(pools.rings.bytes(), rings);
            prop_assert!(rings <= pools.rings.bound(), "P8: the rings");
            let pages: usize = rooms.iter().map(|room| room.audience.pages_bytes()).sum();
            prop_assert!(pages <= pools.pages.bytes(), "what is on its way counts, too");
            prop_assert!(pools.pages.bytes() <= pools.pages.bound(), "P8: the pages");
        }
        quiesce_together(&mut rooms);
        prop_assert_eq!(pools.pages.bytes(), 0);
        rooms.truncate(1);
        prop_assert_eq!(pools.rings.bytes(), rooms[0].audience.ring().bytes());
        rooms.clear();
        prop_assert_eq!(pools.rings.bytes(), 0);
    }

    /// P8: nothing is left over from rooms that go in the middle of something.
    #[test]
    fn a_room_gives_back_all_it_held_however_it_goes(
        actions in prop::collection::vec(replaced(), 0..150),
    ) {
        let pools = Pools::new(Bounds { rings: 120, pages: 4 * HEAVIEST, outboxes: 0 });
        let mut room = Room::within(small_limits(), 20, 7, &pools);
        actions.into_iter().for_each(|action| act(&mut room, action));
        drop(room);
        prop_assert_eq!((pools.rings.bytes(), pools.pages.bytes()), (0, 0));
    }
}
