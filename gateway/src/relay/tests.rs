//! What all rooms of a gateway owe together. Nothing is awaited, so no driver runs: the tests do its part.

use parlour_feed::{Bounds, Budget, Check, Cursor, LogRead, Page, ReaderId, Step};
use parlour_proto::v1 as proto;

use super::{audience::Start, event, inbox::Wake, *};
use crate::upstream::Target;

const ALL: Budget = Budget { events: 100, bytes: 1 << 20 };

fn cursor(seq: u64) -> Cursor {
    Cursor { check: Check(u32::try_from(seq).expect("few")), seq }
}

fn said(seq: u64) -> proto::Event {
    proto::Event { room: "x".repeat(1_000), seq, cursor: cursor(seq).to_string(), kind: None }
}

/// A room that is followed, and a reader at its beginning.
fn follow(relay: &Relay, name: &str) -> (Arc<Room>, ReaderId) {
    let mut session = relay.session();
    session.open(proto::OpenSession::default());
    let join = Join { room: name.into(), name: String::new(), is_monitor: false, at: None, is_first: false };
    session.join(join).expect("it may");
    let room = relay.lock().rooms().find(|room| &**room.name() == name).cloned().expect("it is made");
    let start = Start {
        info: proto::RoomInfo::default(),
        position: cursor(0),
        presence: proto::Presence::default(),
        settling: false,
    };
    let wake = Wake::new(Arc::default(), name.into(), session.id());
    let reader = room.with(|feed| {
        feed.start(start, now());
        feed.join(None, wake).expect("it is followed")
    });
    (room, reader)
}

fn say(room: &Room, seq: u64) {
    let frame =
        proto::RoomEvents { room: String::new(), prev: cursor(seq - 1).check.0, events: vec![said(seq)] };
    room.with(|feed| feed.hints(event::hints(frame).expect("usable"), now()));
}

fn steps(room: &Room, reader: ReaderId, budget: Budget) -> (Step, Vec<u64>) {
    let mut entries = Vec::new();
    let step = room.look(|feed| feed.step(reader, budget, now(), &mut entries));
    (step, entries.iter().map(|entry| entry.cursor.seq).collect())
}

#[tokio::test]
async fn p8_p3_near_the_bound_of_all_rings_the_longest_unread_shrinks_and_its_reader_loses_nothing() {
    let limits = Limits { bounds: Bounds { rings: 64_000, ..Bounds::default() }, ..Limits::default() };
    let nowhere = Target::Urls(vec!["http://127.0.0.1:1".parse().expect("a URL")]);
    let upstream = Upstream::connect_lazy(nowhere, None, limits.request).expect("it is built");
    let relay = Relay::build(upstream, limits, Tasks::new());
    let ((unread, late), (read, reader)) = (follow(&relay, "general"), follow(&relay, "tech"));
    (1..=8).for_each(|seq| say(&unread, seq));
    say(&read, 1);
    assert_eq!(steps(&read, reader, ALL), (Step::Events, vec![1]));
    let rings = &relay.pools().rings;
    relay.reclaim_rings();
    assert!(rings.bytes() > 9 * 2_000, "there is room");
    let mut last = 1;
    while !rings.is_short() {
        last += 1;
        say(&read, last);
    }
    relay.reclaim_rings();
    assert!(rings.bytes() <= rings.bound() / 4 * 3, "P8");
    assert_eq!(steps(&read, reader, ALL), (Step::Events, (2..=last).collect()), "its ring is whole");

    assert_eq!(steps(&unread, late, ALL), (Step::Nothing, vec![]), "the longest unread");
    let asked = unread.look(|feed| feed.poll_read(now())).expect("the log is asked");
    let entries = (1..=8).map(|seq| event::entry(said(seq)).expect("usable")).collect();
    let page = LogRead::Page(Page { base: cursor(0), entries, head: cursor(8) });
    unread.look(|feed| feed.read_done(asked, page, now()));
    assert_eq!(steps(&unread, late, ALL), (Step::Events, (1..=8).collect()), "P3: and nothing is lost");

    let (mut hog, before) = (rings.share(), rings.bytes());
    hog.grow(rings.bound());
    (last + 1..=last + 30).for_each(|seq| say(&read, seq));
    assert!(
        rings.bytes() < hog.bytes() + before,
        "P8: where nothing else gives way, the one that grows does"
    );
    assert_eq!(steps(&read, reader, ALL), (Step::Nothing, vec![]));
}
