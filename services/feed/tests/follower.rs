//! The Follower's rules, one story each (FEED, "Follower").

use std::time::{Duration, Instant};

use parlour_feed::{Change, Cursor, Follower, Hint, Limits, LogRead, ResyncReason, Seq};

mod model;

use model::{Log, Shared};

/// A Follower, the log it follows, and a clock that only the story moves.
struct Story {
    log: Log,
    follower: Follower<Shared>,
    now: Instant,
    ticket: u64,
}

impl Story {
    fn new(before: usize, limits: Limits) -> Self {
        let mut log = Log::new();
        (0..before).for_each(|_| drop(log.append(1)));
        let follower = Follower::new(log.head(), limits, 1);
        Self { log, follower, now: Instant::now(), ticket: 0 }
    }

    fn append(&mut self, events: usize) -> Vec<Hint<Shared>> {
        (0..events).map(|_| self.log.append(1)).collect()
    }

    fn hears(&mut self, hint: &Hint<Shared>) {
        self.follower.hint(hint.clone(), self.now);
    }

    fn passes(&mut self, ms: u64) {
        self.now += Duration::from_millis(ms);
    }

    fn asks(&mut self) -> Option<Seq> {
        self.ticket += 1;
        self.follower.poll_read(self.now, self.ticket)
    }

    fn is_answered(&mut self, answer: LogRead<Shared>) {
        self.follower.read_done(self.ticket, answer, self.now);
    }

    /// The log answers what was asked last.
    fn reads(&mut self, after: Seq) {
        let answer = self.log.read(after, 200);
        self.is_answered(answer);
    }

    fn delivered(&mut self) -> Vec<Seq> {
        let changes = std::iter::from_fn(|| self.follower.next_change());
        changes
            .map(|change| match change {
                Change::Delivered(entry) => entry.cursor.seq,
                Change::Jumped { to, reason } => panic!("jumped to {to} ({reason:?})"),
            })
            .collect()
    }

    fn jumped(&mut self) -> Option<(Cursor, ResyncReason)> {
        match self.follower.next_change() {
            Some(Change::Jumped { to, reason }) => Some((to, reason)),
            Some(Change::Delivered(_)) | None => None,
        }
    }
}

#[test]
fn what_comes_out_of_order_within_the_wait_is_delivered_in_order_without_a_read() {
    let mut story = Story::new(0, Limits::default());
    let hints = story.append(4);
    for nth in [2, 3, 1] {
        story.hears(&hints[nth]);
        story.passes(5);
        assert_eq!(
            (story.delivered(), story.asks()),
            (vec![], None),
            "P3: held until what is before it comes"
        );
    }
    story.hears(&hints[0]);
    assert_eq!(story.delivered(), [1, 2, 3, 4]);
    story.passes(1_000);
    assert_eq!((story.asks(), story.follower.deadline()), (None, None));
    let counters = story.follower.counters();
    assert_eq!((counters.gaps_found, counters.gaps_healed_by_link, counters.reads), (1, 1, 0));
}

#[test]
fn a_gap_that_stays_open_is_read_from_the_log_when_it_is_due() {
    let mut story = Story::new(3, Limits::default());
    let hints = story.append(3);
    story.hears(&hints[2]);
    assert_eq!(story.follower.deadline(), Some(story.now + Duration::from_millis(25)));
    story.passes(24);
    assert_eq!(story.asks(), None);
    story.passes(1);
    assert_eq!(story.asks(), Some(3));
    assert_eq!((story.asks(), story.follower.deadline()), (None, None), "one read at a time");
    story.ticket -= 1;
    story.reads(3);
    assert_eq!(story.delivered(), [4, 5, 6]);
    assert_eq!(story.follower.counters().gaps_healed_by_log, 1);
}

#[test]
fn an_ordered_link_asks_at_once() {
    let mut story = Story::new(3, Limits::ordered());
    let hints = story.append(2);
    story.hears(&hints[1]);
    assert_eq!(story.asks(), Some(3));
}

#[test]
fn a_head_ahead_is_a_gap_that_is_read_now() {
    let mut story = Story::new(3, Limits::default());
    story.append(2);
    let head = story.log.head();
    story.follower.head(head, story.now);
    assert_eq!(story.asks(), Some(3));
    story.reads(3);
    assert_eq!(story.delivered(), [4, 5]);
}

#[test]
fn a_failed_read_waits_with_jitter_and_is_asked_again() {
    let mut story = Story::new(0, Limits::ordered());
    let hints = story.append(2);
    story.hears(&hints[1]);
    for _ in 0..5 {
        assert_eq!(story.asks(), Some(0));
        story.is_answered(LogRead::Failed);
        assert_eq!(story.asks(), None);
        let wait = story.follower.deadline().expect("it will ask again") - story.now;
        assert!(wait >= Duration::from_millis(50) && wait <= Duration::from_millis(500), "{wait:?}");
        story.now += wait;
    }
    assert_eq!(story.asks(), Some(0));
    story.reads(0);
    assert_eq!(story.delivered(), [1, 2]);
}

#[test]
fn what_has_another_predecessor_is_not_next() {
    let mut story = Story::new(5, Limits::default());
    story.log.restore(4);
    let hints = story.append(2); // 5 and 6 of the log put back; the Follower holds the former 5
    story.hears(&hints[1]);
    assert_eq!(story.delivered(), [], "two logs spliced in silence");
    assert_eq!(story.asks(), Some(5), "anything else asks the log");
    story.reads(5);
    assert_eq!(story.jumped(), Some((story.log.head(), ResyncReason::OtherLog)));
    assert!(story.follower.ring().is_empty());
}

#[test]
fn what_contradicts_is_a_suspicion_and_the_log_acquits() {
    let mut story = Story::new(5, Limits::default());
    let mut dead = Log::new();
    dead.replace();
    let lies: Vec<_> = (0..6).map(|_| dead.append(1)).collect();
    let hints = story.append(2);
    story.hears(&hints[0]);
    story.hears(&lies[5]); // at the position
    assert_eq!(story.asks(), Some(6));
    story.reads(6);
    assert_eq!(story.delivered(), [6, 7]);
    assert_eq!((story.asks(), story.jumped()), (None, None));
    assert_eq!(story.follower.counters().suspicions, 1);
}

#[test]
fn a_read_from_a_place_no_longer_held_convicts_nobody() {
    let mut story = Story::new(5, Limits::default());
    let hints = story.append(1);
    story.follower.head(Cursor { seq: 5, ..story.log.root() }, story.now); // nonsense: asks the log
    assert_eq!(story.asks(), Some(5));
    story.hears(&hints[0]);
    let mut other = Log::new();
    other.replace();
    (0..9).for_each(|_| drop(other.append(1)));
    story.is_answered(other.read(5, 200));
    assert_eq!(story.delivered(), [6]);
    assert_eq!(story.asks(), Some(6), "it asks again from where it stands");
    story.reads(6);
    assert_eq!((story.delivered(), story.asks()), (vec![], None));
}

#[test]
fn a_page_that_differs_from_what_has_been_delivered_meanwhile_is_looked_into() {
    let mut story = Story::new(5, Limits::default());
    let dead = story.append(1).remove(0);
    story.follower.head(story.log.root(), story.now); // older than the ring: asks the log
    assert_eq!(story.asks(), Some(5));
    story.log.restore(5);
    story.append(1);
    story.hears(&dead);
    story.reads(5);
    assert_eq!(story.delivered(), [6]);
    assert_eq!(story.asks(), Some(6), "the page had another event there");
    story.reads(6);
    assert_eq!(story.jumped(), Some((story.log.head(), ResyncReason::OtherLog)));
}

#[test]
fn a_head_heard_while_the_former_log_was_read_is_held_against_what_it_brought() {
    let mut story = Story::new(2, Limits::default());
    story.append(5);
    let head = story.log.head();
    story.follower.head(head, story.now);
    assert_eq!(story.asks(), Some(2));
    let former = story.log.read(2, 200);
    story.log.restore(2);
    story.append(1);
    let head = story.log.head();
    story.follower.head(head, story.now); // ahead still, so there is nothing to compare it with yet
    story.is_answered(former);
    assert_eq!(story.delivered(), [3, 4, 5, 6, 7]);
    assert_eq!(story.asks(), Some(7));
    story.reads(7);
    assert_eq!(story.jumped(), Some((head, ResyncReason::OtherLog)));
}

#[test]
fn a_log_that_ends_before_the_position_is_an_older_copy() {
    let mut story = Story::new(9, Limits::default());
    story.log.restore(4);
    let hint = story.append(1).remove(0);
    story.hears(&Hint { own: true, ..hint.clone() });
    assert_eq!(story.asks(), Some(9), "its own append is news, however old its seq");
    story.reads(9);
    assert_eq!(story.jumped(), Some((story.log.head(), ResyncReason::OtherLog)));
    story.hears(&hint);
    assert_eq!(story.asks(), None);
}

#[test]
fn what_is_older_than_the_ring_is_a_repeat() {
    let mut story = Story::new(0, Limits { ring_events: 2, ..Limits::default() });
    let hints = story.append(6);
    hints.iter().for_each(|hint| story.hears(hint));
    story.hears(&hints[0]);
    assert_eq!(story.asks(), None);
    assert_eq!(story.delivered(), [1, 2, 3, 4, 5, 6]);
}

#[test]
fn hints_of_a_dead_log_do_not_make_it_read_for_ever() {
    let mut story = Story::new(5, Limits::ordered());
    let hints = story.append(9);
    story.hears(&hints[8]);
    story.log.restore(6);
    assert_eq!(story.asks(), Some(5));
    story.reads(5);
    assert_eq!(story.delivered(), [6], "what the dead log and this one share");
    story.passes(10_000);
    assert_eq!((story.asks(), story.follower.deadline()), (None, None), "nothing is wanted any more");
    let counters = story.follower.counters();
    assert_eq!(story.follower.pending(), 0);
    assert_eq!(counters.gaps_found, counters.gaps_healed_by_log + counters.gaps_dissolved);
}

#[test]
fn what_is_heard_while_a_read_is_under_way_is_not_forgotten() {
    let mut story = Story::new(0, Limits { pending_events: 1, ..Limits::ordered() });
    let hints = story.append(3);
    story.hears(&hints[2]);
    assert_eq!(story.asks(), Some(0));
    let answer = story.log.read(0, 200);
    let later = story.append(5);
    story.hears(&later[0]);
    story.hears(&later[4]);
    story.is_answered(answer);
    assert_eq!(story.follower.position().seq, 3);
    assert_eq!(story.asks(), Some(3));
    story.reads(3);
    assert_eq!(story.delivered(), [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[test]
fn beyond_the_replay_length_it_goes_on_from_the_head() {
    let mut story = Story::new(3, Limits { replay_events: 10, ..Limits::default() });
    story.append(10);
    let head = story.log.head();
    story.follower.head(head, story.now);
    assert_eq!(story.asks(), Some(3));
    story.reads(3);
    assert_eq!(story.delivered().len(), 10, "the replay length itself is not beyond it");
    story.append(11);
    let head = story.log.head();
    story.follower.head(head, story.now);
    assert_eq!(story.asks(), Some(13));
    story.reads(13);
    assert_eq!(story.jumped(), Some((head, ResyncReason::TooFar)));
    assert!(story.follower.ring().is_empty());
    assert_eq!((story.follower.position(), story.asks()), (head, None));
}

#[test]
fn what_follows_the_head_it_jumped_to_is_delivered_at_once() {
    let mut story = Story::new(3, Limits { replay_events: 10, ..Limits::default() });
    story.append(20);
    let head = story.log.head();
    story.follower.head(head, story.now);
    assert_eq!(story.asks(), Some(3));
    let answer = story.log.read(3, 200);
    let hint = story.append(1).remove(0);
    story.hears(&hint);
    story.is_answered(answer);
    assert_eq!(story.jumped(), Some((head, ResyncReason::TooFar)));
    assert_eq!(story.delivered(), [24]);
    assert_eq!((story.asks(), story.follower.deadline()), (None, None));
}

#[test]
fn no_head_steps_it_back() {
    let mut story = Story::new(0, Limits::default());
    let hints = story.append(5);
    hints.iter().for_each(|hint| story.hears(hint));
    let older = story.log.cursor_at(2).expect("an older head");
    story.follower.head(older, story.now);
    assert_eq!((story.follower.position().seq, story.asks()), (5, None));
}

#[test]
fn an_answer_with_a_hole_is_a_failed_read() {
    let mut story = Story::new(0, Limits::ordered());
    let hints = story.append(4);
    story.hears(&hints[3]);
    assert_eq!(story.asks(), Some(0));
    let LogRead::Page(mut page) = story.log.read(0, 200) else { panic!("the log reaches that far") };
    page.entries.remove(1);
    story.is_answered(LogRead::Page(page));
    assert_eq!((story.delivered(), story.asks()), (vec![], None));
    assert_eq!(story.follower.counters().reads_failed, 1);
    assert!(story.follower.deadline().is_some());
}
