//! A log replaced by another under the readers, one story each (FEED, "Events and checks", "Reader's step").

use parlour_feed::{Budget, Cursor, Limits, ReaderKind, ResyncReason, Step};

mod model;

use model::story::Story;

#[test]
fn a_check_that_does_not_match_is_convicted_by_the_log_alone() {
    let mut story = Story::new(0, Limits::default());
    story.appends(10);
    let reader = story.joins(Cursor { seq: 7, ..story.at(3) });
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]), "though the ring has that seq");
    assert_eq!(story.answers(), 1);
    let other = Step::Resync { cursor: story.at(10), reason: ResyncReason::OtherLog };
    assert_eq!(story.steps(reader), (other, vec![]));
}

#[test]
fn a_page_kept_from_before_convicts_nobody() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let early = story.joins(story.at(0));
    story.steps(early);
    story.answers();
    story.log.restore(40); // the log is put back, and goes on; this hop has not noticed
    (0..60).for_each(|_| drop(story.log.append(100)));
    let right = story.joins(story.at(45));
    assert_eq!(story.steps(right), (Step::Nothing, vec![]), "asks anew instead");
    story.answers();
    assert_eq!(story.steps(right), (Step::Events, (46..=50).collect()));
}

#[test]
fn who_agrees_with_the_log_waits_until_the_follower_does() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    story.log.restore(97);
    story.log.append(100);
    let reader = story.joins(story.log.head());
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
    story.answers();
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]), "its page ends with it");
    story.answers();
    assert_eq!(story.audience.position(), story.log.head(), "the Follower was on a log that is no more");
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]), "P4: and this reader never was");
    assert!(story.audience.is_live(reader));
}

#[test]
fn another_log_sends_everybody_of_the_former_one_to_its_head() {
    let mut story = Story::new(0, Limits::default());
    story.appends(10);
    let (live, slow) = (story.audience.join(ReaderKind::Log, None, 0), story.joins(story.at(2)));
    story.log.replace();
    (0..6).for_each(|_| drop(story.log.append(100)));
    let head = story.log.head();
    story.steps(live);
    story.audience.head(Cursor { seq: 10, ..head }, story.now);
    story.answers();
    assert_eq!(story.audience.position(), head);
    for reader in [live, slow] {
        let mut step = story.steps(reader).0;
        while step == Step::Nothing {
            story.passes(25);
            assert!(story.answers() > 0, "it asks until it knows");
            step = story.steps(reader).0;
        }
        assert!(matches!(step, Step::Resync { cursor, .. } if cursor == head), "{step:?}");
    }
}

#[test]
fn a_page_that_differs_from_the_ring_makes_the_follower_ask() {
    let mut story = Story::new(100, Limits::default());
    story.log.restore(60);
    (0..60).for_each(|_| drop(story.log.append(100)));
    let reader = story.joins(story.at(52));
    story.steps(reader);
    assert_eq!(story.answers(), 1, "its page, which has another event where the Follower stands");
    assert_eq!(story.answers(), 1, "so the Follower asks");
    assert_eq!(story.audience.position(), story.log.head());
    let mut given = Vec::new();
    while !story.audience.is_live(reader) {
        given.extend(story.steps(reader).1);
        story.answers();
    }
    assert_eq!(given, (53..=120).collect::<Vec<_>>(), "P4: this reader never was on the dead log");
}

#[test]
fn pages_of_a_dead_log_are_given_to_nobody_once_it_is_recognised() {
    let mut story = Story::new(100, Limits::default());
    let (first, second) = (story.joins(story.at(10)), story.joins(story.at(10)));
    story.steps(first);
    story.steps(second);
    story.answers();
    assert_eq!(story.steps(first), (Step::Events, (11..=50).collect()));
    story.log.restore(20);
    (0..70).for_each(|_| drop(story.log.append(100)));
    story.audience.head(story.log.head(), story.now);
    story.answers();
    assert_eq!(story.audience.position(), story.log.head());
    assert_eq!((story.audience.pages_bytes(), story.steps(second)), (0, (Step::Nothing, vec![])));
    assert_eq!(story.answers(), 1, "it is asked for anew");
    let mut given = Vec::new();
    let reader = story.audience.step(second, Budget { events: 40, bytes: 1 << 20 }, story.now, &mut given);
    assert_eq!(reader, Step::Events);
    assert!(given.iter().all(|entry| story.log.holds(entry.cursor)));
}

#[test]
fn a_log_that_is_put_back_and_forth_leaves_nobody_waiting() {
    let mut story = Story::new(100, Limits { ring_events: 1, ..Limits::default() });
    let former = story.log.clone();
    story.log.restore(97);
    story.log.append(100);
    let reader = story.joins(story.log.head());
    story.steps(reader);
    assert_eq!(story.answers(), 1, "its page ends with it");
    story.log = former;
    assert_eq!(story.answers(), 1, "the Follower asks, and is acquitted");
    assert_eq!(
        story.steps(reader),
        (Step::Nothing, vec![]),
        "a page from before the acquittal says otherwise"
    );
    let mut step = Step::Nothing;
    while step == Step::Nothing {
        assert!(story.answers() > 0, "it asks until it knows");
        step = story.steps(reader).0;
    }
    assert_eq!(step, Step::Resync { cursor: story.at(100), reason: ResyncReason::OtherLog });
}

#[test]
fn a_log_put_back_to_an_older_copy_of_itself_is_found_by_its_head_alone() {
    let mut story = Story::new(0, Limits::default());
    story.appends(10);
    let reader = story.audience.join(ReaderKind::Log, None, 0);
    story.steps(reader);
    let before = story.log.head();
    story.log.restore(6); // and nothing was appended since: all of it is in the ring
    let head = story.log.head();
    story.audience.log_head(head, 5, story.now);
    assert_eq!(story.answers(), 0, "it was asked for at 5, and 6 may have come since: no sign of anything");
    story.audience.log_head(head, before.seq, story.now);
    assert_eq!(story.answers(), 1, "the log has less than this hop had when it was asked");
    assert_eq!(story.audience.position(), head);
    assert_eq!(story.steps(reader), (Step::Nothing, vec![]));
    story.passes(25);
    story.answers();
    let resync = Step::Resync { cursor: head, reason: ResyncReason::Ahead };
    assert_eq!(story.steps(reader), (resync, vec![]));
}
