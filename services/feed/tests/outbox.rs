//! The outbox against a simple model of it (P8, P9).

use parlour_feed::{Class, Outbox, Pool, Weigh};
use proptest::prelude::*;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Frame {
    nth: usize,
    weight: usize,
}

impl Weigh for Frame {
    fn bytes(&self) -> usize {
        self.weight
    }
}

fn frame(nth: usize, weight: usize) -> Frame {
    Frame { nth, weight }
}

const FRAMES: usize = 6;
const BYTES: usize = 100;

fn outbox() -> Outbox<Frame, &'static str> {
    Outbox::new(FRAMES, BYTES)
}

fn order(outbox: &mut Outbox<Frame, &'static str>) -> Vec<usize> {
    std::iter::from_fn(|| outbox.pop()).map(|item| item.frame.nth).collect()
}

#[test]
fn what_fits_keeps_its_order() {
    let mut outbox = outbox();
    for (nth, class) in [Class::Typing, Class::Answer, Class::Presence, Class::Answer].into_iter().enumerate()
    {
        let pushed = outbox.push(class, "lobby", frame(nth, 10));
        assert!(pushed.is_kept && pushed.presence_shed.is_empty());
    }
    assert_eq!((outbox.len(), outbox.bytes()), (4, 40));
    assert_eq!(order(&mut outbox), [0, 1, 2, 3]);
    assert_eq!((outbox.bytes(), outbox.shed()), (0, 0));
}

#[test]
fn typing_goes_first_then_presence_the_oldest_first_and_its_room_is_named() {
    let mut outbox = outbox();
    let classes =
        [Class::Presence, Class::Typing, Class::Presence, Class::Typing, Class::Answer, Class::Presence];
    let rooms = ["a", "b", "c", "d", "e", "f"];
    for (nth, class) in classes.into_iter().enumerate() {
        assert!(outbox.push(class, rooms[nth], frame(nth, 1)).is_kept);
    }
    assert!(!outbox.push(Class::Typing, "g", frame(6, 1)).is_kept, "typing displaces nothing");
    let pushed = outbox.push(Class::Presence, "h", frame(7, 1));
    assert!(pushed.is_kept && pushed.presence_shed.is_empty(), "typing made room");
    for nth in 8..11 {
        let pushed = outbox.push(Class::Answer, "i", frame(nth, 1));
        assert!(pushed.is_kept);
        let shed: &[&str] = [&[][..], &["a"], &["c"]][nth - 8];
        assert_eq!(pushed.presence_shed, shed);
    }
    assert_eq!(order(&mut outbox), [4, 5, 7, 8, 9, 10]);
}

#[test]
fn presence_without_room_is_owed_itself() {
    let mut outbox = outbox();
    (0..FRAMES).for_each(|nth| assert!(outbox.push(Class::Presence, "a", frame(nth, 1)).is_kept));
    let pushed = outbox.push(Class::Presence, "b", frame(9, 1));
    assert_eq!((pushed.is_kept, pushed.presence_shed), (false, vec!["b"]));
    assert_eq!(outbox.shed(), 1);
}

#[test]
fn answers_are_never_shed_and_it_says_when_it_is_full_of_them() {
    let mut outbox = outbox();
    for nth in 0..2 * FRAMES {
        assert_eq!(outbox.is_full(), nth >= FRAMES);
        assert!(outbox.push(Class::Answer, "a", frame(nth, 1)).is_kept);
    }
    assert!(!outbox.push(Class::Answer, "a", frame(99, 1)).is_kept, "twice the bound is the end");
    assert_eq!(order(&mut outbox), (0..2 * FRAMES).collect::<Vec<_>>());
    assert!(!outbox.is_full());
}

#[test]
fn p8_p9_outboxes_that_are_full_together_shed_typing_then_presence_and_no_answer_and_heal() {
    let pool = Pool::new(160);
    let mut stuck = Outbox::new(100, 1_000).within(&pool);
    let mut other = Outbox::new(100, 1_000).within(&pool);
    assert!(other.push(Class::Typing, "a", frame(0, 1)).is_kept);
    assert!(other.push(Class::Presence, "b", frame(1, 1)).is_kept);
    assert!(stuck.push(Class::Answer, "a", frame(2, 138)).is_kept);
    assert!(!other.push(Class::Typing, "c", frame(3, 1)).is_kept, "typing goes without first");
    let pushed = other.push(Class::Presence, "d", frame(4, 1));
    assert!(pushed.is_kept && pushed.presence_shed.is_empty(), "presence not yet");
    assert_eq!(other.shed(), 2, "and gives way to it");
    assert!(stuck.push(Class::Answer, "a", frame(5, 12)).is_kept);
    let pushed = other.push(Class::Presence, "e", frame(6, 1));
    assert_eq!((pushed.is_kept, pushed.presence_shed), (false, vec!["e"]), "then presence, which is owed");
    let pushed = other.push(Class::Answer, "f", frame(7, 10));
    assert_eq!((pushed.is_kept, pushed.presence_shed), (true, vec!["b", "d"]), "no answer");
    assert!(stuck.is_full() && other.is_full(), "nothing more is read of a peer that has yet to take some");
    assert_eq!(order(&mut other), [7]);
    stuck.push(Class::Answer, "a", frame(8, 10)).presence_shed.clear();
    assert!(stuck.is_full() && !other.is_full(), "one that takes what it is given is read on");
    assert_eq!(order(&mut stuck), [2, 5, 8]);
    assert_eq!(pool.bytes(), 0);
    assert!(other.push(Class::Typing, "g", frame(9, 1)).is_kept && !other.is_full(), "all is well again");
    drop(other);
    assert_eq!(pool.bytes(), 0, "what goes holds nothing");
}

fn class() -> impl Strategy<Value = Class> {
    prop_oneof![Just(Class::Answer), Just(Class::Presence), Just(Class::Typing)]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bounds_hold_order_is_kept_and_nothing_is_lost_in_silence(
        actions in prop::collection::vec((prop::option::weighted(0.7, class()), 1..40usize, 0..5usize), 0..200),
    ) {
        let mut outbox = Outbox::<Frame, usize>::new(FRAMES, BYTES);
        let mut model: Vec<(Class, usize, Frame)> = Vec::new();
        for (nth, (class, weight, room)) in actions.into_iter().enumerate() {
            let Some(class) = class else {
                let item = outbox.pop().map(|item| (item.class, item.key, item.frame));
                prop_assert_eq!(item, (!model.is_empty()).then(|| model.remove(0)));
                continue;
            };
            let pushed = outbox.push(class, room, frame(nth, weight));
            let expected = model_push(&mut model, class, room, frame(nth, weight));
            prop_assert_eq!((pushed.is_kept, pushed.presence_shed), expected);
            prop_assert_eq!(outbox.len(), model.len());
            prop_assert_eq!(outbox.bytes(), model.iter().map(|item| item.2.weight).sum::<usize>());
            let has_ephemeral = model.iter().any(|item| item.0 != Class::Answer);
            prop_assert!(!has_ephemeral || (outbox.len() <= FRAMES && outbox.bytes() <= BYTES), "P8");
        }
        let rest: Vec<_> = std::iter::from_fn(|| outbox.pop()).map(|item| item.frame).collect();
        prop_assert_eq!(rest, model.into_iter().map(|item| item.2).collect::<Vec<_>>());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn p8_outboxes_together_hold_the_sum_and_no_more_than_those_who_take_are_answered(
        actions in prop::collection::vec((0..4usize, prop::option::weighted(0.7, class()), 1..20usize), 0..300),
    ) {
        let pool = Pool::new(160);
        let mut outboxes: Vec<_> = (0..4).map(|_| Outbox::<Frame, usize>::new(1_000, 10_000).within(&pool)).collect();
        for (nth, class, weight) in actions {
            match class {
                None => drop(outboxes[nth].pop()),
                Some(Class::Answer) if outboxes[nth].is_full() => {} // its owner reads and finishes nothing now
                Some(class) => {
                    let kept = outboxes[nth].push(class, 0, frame(0, weight)).is_kept;
                    prop_assert!(kept || class != Class::Answer, "no answer is lost for what others hold");
                }
            }
            prop_assert_eq!(pool.bytes(), outboxes.iter().map(Outbox::bytes).sum::<usize>());
            prop_assert!(pool.bytes() < pool.bound() + outboxes.len() * 20, "P8: one answer more each at most");
        }
        outboxes.pop();
        prop_assert_eq!(pool.bytes(), outboxes.iter().map(Outbox::bytes).sum::<usize>());
        drop(outboxes);
        prop_assert_eq!(pool.bytes(), 0);
    }
}

/// The same by the words of the design, one frame at a time.
fn model_push(
    model: &mut Vec<(Class, usize, Frame)>,
    class: Class,
    room: usize,
    frame: Frame,
) -> (bool, Vec<usize>) {
    let over = |model: &[(Class, usize, Frame)]| {
        let bytes: usize = model.iter().map(|item| item.2.weight).sum();
        model.len() + 1 > FRAMES || bytes + frame.weight > BYTES
    };
    let mut shed = Vec::new();
    if over(model) && class != Class::Typing {
        model.retain(|item| item.0 != Class::Typing);
    }
    while over(model) && class == Class::Answer {
        let Some(nth) = model.iter().position(|item| item.0 == Class::Presence) else { break };
        shed.push(model.remove(nth).1);
    }
    let answers: Vec<_> =
        model.iter().filter(|item| item.0 == Class::Answer).map(|item| item.2.weight).collect();
    let is_kept = match class {
        Class::Answer => {
            answers.len() < 2 * FRAMES && answers.iter().sum::<usize>() + frame.weight <= 2 * BYTES
        }
        Class::Presence | Class::Typing => !over(model),
    };
    if is_kept {
        model.push((class, room, frame));
    } else if class == Class::Presence {
        shed.push(room);
    }
    (is_kept, shed)
}
