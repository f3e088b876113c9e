//! The readers' rules, one story each (FEED, "Reader's step").

use parlour_feed::{Budget, Cursor, Limits, LogRead, ReaderId, ReaderKind, ResyncReason, Step, Verdict};

mod model;

use model::story::Story;

#[test]
fn a_late_joiner_is_given_the_log_then_the_ring_then_what_comes() {
    let mut story = Story::new(120, Limits { ring_events: 10, ..Limits::default() });
    story.appends(30);
    let reader = story.joins(story.at(3));
    assert_eq!(story.reads_out(reader), (4..=150).collect::<Vec<_>>(), "P4: without a seam");
    assert!(story.audience.is_live(reader));
    story.woken();
    story.appends(2);
    assert_eq!(story.woken(), [0]);
    assert_eq!(story.steps(reader), (Step::Events, vec![151, 152]), "several in one write");
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
}

#[test]
fn p3_a_reader_that_only_waits_catches_up_with_the_ring_once_and_with_nothing_else() {
    let mut story = Story::new(5, Limits { ring_events: 10, ..Limits::default() });
    let reader = story.joins(story.at(5));
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
    story.appends(2);
    assert_eq!(story.woken(), [0]);
    assert_eq!(catches_up(&mut story, reader, true), Some(vec![6, 7]));
    assert_eq!(catches_up(&mut story, reader, true), Some(vec![]));
    story.appends(1);
    assert_eq!(story.woken(), [0], "it waits again");
    assert_eq!(catches_up(&mut story, reader, false), None);
    assert_eq!(story.steps(reader), (Step::Events, vec![8]), "what was not taken is still to come");
    story.audience.set_presence(1);
    story.appends(1);
    assert_eq!(catches_up(&mut story, reader, true), None, "a step says what else it is owed");
    assert_eq!(story.steps(reader), (Step::Events, vec![9]));
    assert!(matches!(story.steps(reader).0, Step::Presence { .. }));
    assert_eq!(catches_up(&mut story, reader, true), Some(vec![]));
    story.appends(11);
    assert_eq!(catches_up(&mut story, reader, true), None, "what follows is not in the ring");
    assert_eq!(story.reads_out(reader), (10..=20).collect::<Vec<_>>());
    story.audience.leave(reader);
    story.appends(1);
    assert_eq!(catches_up(&mut story, reader, true), Some(vec![]), "nothing for one who left");
}

fn catches_up(story: &mut Story, reader: ReaderId, takes: bool) -> Option<Vec<u64>> {
    let mut given = Vec::new();
    let has_all = story.audience.catch_up(reader, story.now, |from, ring| {
        given = ring.after(from.seq).map(|entry| entry.cursor.seq).collect();
        takes
    });
    has_all.then_some(given)
}

#[test]
fn thousands_who_return_at_once_share_one_read_of_each_page() {
    let mut story = Story::new(400, Limits { ring_events: 10, ..Limits::default() });
    let readers: Vec<_> = (0..5_000).map(|nth| story.joins(story.at(nth % 50 * 4))).collect();
    let mut given = vec![0; readers.len()];
    let mut waiting: Vec<_> = readers.clone();
    while !waiting.is_empty() {
        waiting.retain(|reader| {
            let (step, events) = story.steps(*reader);
            given[readers.iter().position(|other| other == reader).expect("one of them")] += events.len();
            step != Step::Nothing || !story.audience.is_live(*reader)
        });
        story.answers();
        assert!(story.audience.pages_bytes() <= 8 * 50 * 100, "P8");
    }
    assert!(given.iter().enumerate().all(|(nth, given)| *given == 400 - nth % 50 * 4));
    assert_eq!((story.audience.pages_read(), story.reads), (8, 8), "each page once");
    story.passes(5_000);
    story.asked();
    assert_eq!((story.audience.pages_bytes(), story.audience.deadline()), (0, None), "and not kept for long");
}

#[test]
fn few_pages_are_on_their_way_and_few_bytes_kept() {
    let limits = Limits {
        ring_events: 1,
        pages_in_flight: 3,
        pages_bytes: 9_000,
        page_events: 10,
        ..Limits::default()
    };
    let mut story = Story::new(900, limits);
    let readers: Vec<_> = (0..80).map(|nth| story.joins(story.at(nth * 10))).collect();
    readers.iter().for_each(|reader| assert_eq!(story.steps(*reader).0, Step::Nothing));
    let mut rounds = 0;
    while !readers.iter().all(|reader| story.audience.is_live(*reader)) {
        rounds += 1;
        let reads = story.asked();
        assert!(reads.len() <= 3, "P8");
        for read in reads {
            let answer = story.log.read(read.after, read.limit);
            story.audience.read_done(read, answer, story.now);
        }
        assert!(story.audience.pages_bytes() <= 9_000 + 3 * 1_000, "P8");
        if rounds % 3 == 0 {
            readers.iter().for_each(|reader| drop(story.steps(*reader)));
        }
        story.passes(500); // longer than pages are kept, until somebody steps
        assert!(rounds < 10_000, "nobody starves");
    }
}

#[test]
fn readers_slower_than_pages_are_kept_do_not_starve_each_other() {
    let limits = Limits {
        ring_events: 1,
        pages_bytes: 1_000,
        page_events: 10,
        pages_in_flight: 1,
        ..Limits::default()
    };
    let mut story = Story::new(40, limits);
    let readers: Vec<_> = (0..4).map(|nth| story.joins(story.at(nth * 10))).collect();
    for _ in 0..16 {
        readers.iter().for_each(|reader| drop(story.steps(*reader)));
        for _ in 0..6 {
            story.answers();
            story.passes(500);
        }
    }
    assert!(readers.iter().all(|reader| story.audience.is_live(*reader)));
    assert!(story.audience.pages_read() <= 4 + 3 + 2 + 1, "each page read moves somebody on");
}

#[test]
fn a_page_whose_readers_have_left_is_not_held_for_them() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let reader = story.joins(story.at(10));
    story.steps(reader);
    story.answers();
    assert_eq!(story.asked(), []);
    story.audience.leave(reader);
    assert!(story.audience.is_poll_due(), "it may go sooner");
    assert_eq!(
        (story.asked(), story.audience.pages_bytes()),
        (vec![], 5_000),
        "others may come to the same place"
    );
    story.passes(1_000);
    assert_eq!((story.asked(), story.audience.pages_bytes(), story.audience.deadline()), (vec![], 0, None));
}

#[test]
fn a_page_cut_by_bytes_is_read_on() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let reader = story.joins(story.at(10));
    assert_eq!(story.steps(reader).0, Step::Nothing);
    let mut seqs = Vec::new();
    while let Some(read) = story.asked().pop() {
        seqs.push((read.after, read.limit));
        let answer = story.log.read(read.after, read.limit.min(20));
        story.audience.read_done(read, answer, story.now);
    }
    assert_eq!(seqs, [(0, 50), (20, 30), (40, 10)]);
    assert_eq!(story.steps(reader), (Step::Events, (11..=50).collect()));
}

#[test]
fn a_failed_page_is_asked_again_after_a_wait_and_nobody_is_lost() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let reader = story.joins(story.at(10));
    assert_eq!(story.steps(reader).0, Step::Nothing);
    for _ in 0..3 {
        let read = story.asked().pop().expect("a page is asked for");
        story.audience.read_done(read, LogRead::Failed, story.now);
        assert_eq!(story.asked(), []);
        story.now = story.audience.deadline().expect("it will ask again");
    }
    story.woken();
    assert_eq!(story.answers(), 1);
    assert_eq!(story.woken(), [0]);
    assert_eq!(story.steps(reader).0, Step::Events);
}

#[test]
fn waking_thousands_names_each_once_and_forgets_nobody() {
    let mut story = Story::new(0, Limits::default());
    let readers: Vec<_> = (0..10_000).map(|nth| story.audience.join(ReaderKind::Log, None, nth)).collect();
    assert_eq!(story.woken(), (0..10_000).collect::<Vec<_>>(), "who joins is named once");
    readers.iter().for_each(|reader| assert_eq!(story.steps(*reader).0, Step::Nothing));
    story.appends(3);
    assert_eq!(story.woken().len(), 10_000, "once for three events");
    story.appends(1);
    assert_eq!(story.woken(), [], "who has not stepped since is not named again");
    readers.iter().step_by(2).for_each(|reader| drop(story.reads_out(*reader)));
    story.appends(1);
    assert_eq!(story.woken().len(), 5_000);
}

#[test]
fn beyond_the_replay_length_a_reader_is_told_to_resync_at_every_step_alike() {
    let limits = Limits { ring_events: 4, replay_events: 20, ..Limits::default() };
    let mut story = Story::new(50, limits);
    let (fresh, late) = (story.audience.join(ReaderKind::Log, None, 0), story.joins(story.at(29)));
    let too_far = Step::Resync { cursor: story.at(50), reason: ResyncReason::TooFar };
    assert_eq!(story.steps(late), (too_far, vec![]), "whoever joins");
    let just = story.joins(story.at(30));
    assert_eq!(story.reads_out(just).len(), 20, "the replay length itself is not too far");
    story.appends(21);
    let too_far = Step::Resync { cursor: story.at(71), reason: ResyncReason::TooFar };
    assert_eq!(story.steps(fresh), (too_far, vec![]), "whoever is slow");
    assert_eq!(story.steps(fresh), (Step::Nothing, vec![]), "and is live now");
}

#[test]
fn a_ring_longer_than_the_replay_length_still_serves() {
    let mut story = Story::new(0, Limits { replay_events: 5, ..Limits::default() });
    let reader = story.audience.join(ReaderKind::Log, None, 0);
    story.appends(30);
    assert_eq!(story.reads_out(reader).len(), 30);
}

#[test]
fn a_reader_one_event_ahead_is_not_told_to_resync() {
    let mut story = Story::new(10, Limits::default());
    let hint = story.log.append(100);
    let reader = story.joins(story.log.head());
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
    assert_eq!(story.asked(), [], "it waits a moment");
    story.woken();
    story.hears(&hint);
    assert_eq!(story.woken(), [0]);
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
    assert!(story.audience.is_live(reader));
    story.passes(1_000);
    assert_eq!(story.asked(), [], "and nothing was read");
}

#[test]
fn one_read_of_the_log_tells_everybody_ahead_of_it() {
    let mut story = Story::new(10, Limits::default());
    story.log.append(100);
    let whole = story.joins(story.log.head());
    let forged: Vec<_> =
        (0..1_000).map(|nth| story.joins(Cursor { seq: 12 + nth * 1_000_000, ..story.at(3) })).collect();
    story.steps(whole);
    forged.iter().for_each(|reader| assert_eq!(story.steps(*reader).0, Step::Nothing));
    story.passes(25);
    assert_eq!(story.answers(), 1);
    let ahead = Step::Resync { cursor: story.at(11), reason: ResyncReason::Ahead };
    forged.iter().for_each(|reader| assert_eq!(story.steps(*reader).0, ahead));
    assert_eq!(story.steps(whole).0, Step::Nothing);
    assert!(story.audience.is_live(whole), "the Follower got there");
    assert_eq!(story.asked(), []);
}

#[test]
fn a_relay_left_behind_is_told_the_head() {
    let mut story = Story::new(0, Limits { ring_events: 4, ..Limits::default() });
    let relay = story.audience.join(ReaderKind::Hints, None, 0);
    assert_eq!(story.steps(relay), (Step::Nothing, vec![]));
    story.appends(4);
    assert_eq!(story.steps(relay), (Step::Events, vec![1, 2, 3, 4]));
    story.appends(5);
    assert_eq!(story.steps(relay), (Step::Head(story.at(9)), vec![]));
    assert_eq!(story.steps(relay), (Step::Nothing, vec![]));
    let ahead = story.audience.join(ReaderKind::Hints, Some(Cursor { seq: 99, ..story.at(1) }), 0);
    assert_eq!(story.steps(ahead), (Step::Head(story.at(9)), vec![]), "a head: it steps nobody back");
    assert_eq!(story.asked(), [], "the log is read by its gateway");
}

#[test]
fn a_reader_remembers_the_presence_it_was_told() {
    let mut story = Story::new(0, Limits::default());
    let reader = story.audience.join(ReaderKind::Log, None, 0);
    assert_eq!(story.steps(reader).0, Step::Nothing, "none is owed before there is any");
    story.audience.set_presence(4);
    assert_eq!(story.woken(), [0]);
    assert_eq!(story.steps(reader).0, Step::Presence { told: None, now: 4 });
    story.audience.set_presence(5);
    story.appends(1);
    story.audience.set_presence(6);
    assert_eq!(story.steps(reader).0, Step::Events, "P9: events first");
    assert_eq!(story.steps(reader).0, Step::Presence { told: Some(4), now: 6 });
    assert_eq!(story.steps(reader).0, Step::Nothing);
    story.woken();
    story.audience.owe_presence(reader);
    assert_eq!(story.woken(), [0], "what was shed is owed");
    assert_eq!(story.steps(reader).0, Step::Presence { told: None, now: 6 });
    let joiner = story.audience.join(ReaderKind::Log, None, 0);
    story.audience.presence_told(joiner, 6);
    assert_eq!(story.steps(joiner).0, Step::Nothing, "its list came with its joined");
}

#[test]
fn leaving_in_mid_replay_and_joining_again_and_twice_does_no_harm() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let (first, second) = (story.joins(story.at(10)), story.joins(story.at(10)));
    story.steps(first);
    story.steps(second);
    let reads = story.asked();
    assert_eq!(story.audience.leave(first), Some(0));
    assert_eq!(story.audience.leave(first), None);
    let again = story.joins(story.at(60));
    assert_eq!(story.steps(first), (Step::Nothing, vec![]), "its id names nobody now");
    for read in reads {
        let answer = story.log.read(read.after, read.limit);
        story.audience.read_done(read, answer, story.now);
    }
    assert_eq!(story.reads_out(second), (11..=100).collect::<Vec<_>>());
    assert_eq!(story.reads_out(again), (61..=100).collect::<Vec<_>>());
    assert_eq!(story.audience.readers(), 2);
}

#[test]
fn a_budget_is_kept_but_one_event_always_goes() {
    let mut story = Story::new(0, Limits::default());
    let reader = story.audience.join(ReaderKind::Log, None, 0);
    story.appends(9);
    let mut given = Vec::new();
    for (events, bytes, expected) in [(0, 0, 1), (3, 1 << 20, 3), (9, 250, 2), (9, 300, 3), (9, 300, 0)] {
        given.clear();
        story.audience.step(reader, Budget { events, bytes }, story.now, &mut given);
        assert_eq!(given.len(), expected, "P8");
    }
}

#[test]
fn a_shrunk_ring_is_made_good_from_the_log() {
    let mut story = Story::new(0, Limits::default());
    let reader = story.audience.join(ReaderKind::Log, None, 0);
    story.appends(20);
    assert_eq!(story.audience.shrink_ring(300), 1_700);
    assert_eq!((story.audience.ring().len(), story.audience.ring().end()), (3, story.at(20)));
    assert_eq!(story.reads_out(reader), (1..=20).collect::<Vec<_>>());
}

#[test]
fn a_cursor_can_be_verified_before_anything_is_taken() {
    let mut story = Story::new(100, Limits { ring_events: 4, replay_events: 80, ..Limits::default() });
    let known = story.joins(story.at(100));
    assert_eq!(story.audience.verify(known, story.now), Verdict::Usable);
    let late = story.joins(story.at(30));
    assert_eq!(story.audience.verify(late, story.now), Verdict::Unknown);
    story.answers();
    assert_eq!(story.audience.verify(late, story.now), Verdict::Usable);
    assert_eq!(story.reads_out(late), (31..=100).collect::<Vec<_>>());
    let resync = |reason| Verdict::Resync { cursor: story.log.head(), reason };
    let (too_far, other) = (resync(ResyncReason::TooFar), resync(ResyncReason::OtherLog));
    let far = story.joins(story.at(3));
    assert_eq!(story.audience.verify(far, story.now), too_far);
    let wrong = story.joins(Cursor { seq: 60, ..story.at(3) });
    assert_eq!(story.audience.verify(wrong, story.now), Verdict::Unknown);
    story.answers();
    assert_eq!(story.audience.verify(wrong, story.now), other);
}
