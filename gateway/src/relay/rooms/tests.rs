use super::*;

const ADA: Id = [1; 16];
const BOB: Id = [2; 16];
const GRACE: Duration = Duration::from_secs(10);

fn room() -> Arc<str> {
    "general".into()
}

fn enter(rooms: &mut Rooms<&'static str>, id: Id) -> bool {
    rooms.enter(id, &room(), || "the room").is_some()
}

#[test]
fn a_room_is_followed_once_and_shortly_after_its_last_session() {
    let (mut rooms, now) = (Rooms::default(), Instant::now());
    assert!(enter(&mut rooms, ADA));
    assert!(!enter(&mut rooms, BOB));
    rooms.leave(ADA, "general", now);
    assert_eq!(rooms.deadline(), None);
    rooms.close(BOB, GRACE, now);
    assert_eq!(rooms.deadline(), Some(now + IDLE));
    assert!(rooms.expire(now + IDLE / 2).is_empty());
    assert!(!enter(&mut rooms, ADA), "it is followed still");
    assert!(rooms.expire(now + IDLE).is_empty());
    rooms.refuse(ADA, "general", now);
    assert_eq!(rooms.expire(now + IDLE), [(room(), "the room")]);
    assert!(rooms.is_empty());
}

#[test]
fn p7_a_roster_names_who_was_admitted_who_closes_and_who_joins() {
    let (mut rooms, now) = (Rooms::default(), Instant::now());
    let (readers, carl, dan) = (reader_ids(2), [3; 16], [4; 16]);
    for id in [ADA, BOB, carl, dan] {
        enter(&mut rooms, id);
    }
    assert_eq!(rooms.admit(ADA, "general", 7, "ada".into(), false), Some(None));
    rooms.seat(ADA, "general", readers[0]);
    assert_eq!(rooms.admit(BOB, "general", 8, "bob".into(), false), Some(None));
    rooms.seat(BOB, "general", readers[1]);
    assert_eq!(rooms.close(BOB, GRACE, now).len(), 1);
    rooms.leave(dan, "general", now);
    let roster = rooms.roster(now + GRACE / 2);
    let (_, follow) = &roster[0];
    assert_eq!(
        (follow.admitted.len(), follow.admitted[0].as_of, follow.admitted[0].name.as_str()),
        (1, 7, "ada")
    );
    assert_eq!((follow.closing.len(), follow.closing[0].grace_ms), (1, 5_000));
    assert_eq!(follow.joining, [id_bytes(&carl)]);
    assert!(rooms.roster(now + GRACE)[0].1.closing.is_empty());
    // Whoever closes before the answer may have been admitted all the same.
    assert!(rooms.close(carl, GRACE, now).is_empty());
    let roster = rooms.roster(now + GRACE / 2);
    let closing: Vec<_> = roster[0].1.closing.iter().map(|entry| entry.session.clone()).collect();
    assert_eq!(closing, [id_bytes(&carl)]);
    assert_eq!(roster[0].1.joining, [id_bytes(&carl)]);
}

#[test]
fn an_admission_that_comes_after_the_leave_is_void() {
    let (mut rooms, now) = (Rooms::default(), Instant::now());
    enter(&mut rooms, ADA);
    rooms.leave(ADA, "general", now);
    assert_eq!(rooms.admit(ADA, "general", 1, String::new(), false), None);
}

#[test]
fn a_second_join_keeps_the_reader_though_it_is_refused() {
    let (mut rooms, now) = (Rooms::default(), Instant::now());
    let reader = reader_ids(1)[0];
    enter(&mut rooms, ADA);
    rooms.admit(ADA, "general", 1, String::new(), false);
    rooms.seat(ADA, "general", reader);
    enter(&mut rooms, ADA);
    rooms.refuse(ADA, "general", now);
    enter(&mut rooms, ADA);
    assert_eq!(rooms.admit(ADA, "general", 2, String::new(), true), Some(Some(reader)));
}

fn reader_ids(n: usize) -> Vec<ReaderId> {
    use parlour_feed::{Audience, Check, Cursor, Limits, ReaderKind};
    let start = Cursor { check: Check(0), seq: 0 };
    let mut audience = Audience::<Arc<super::super::event::RoomEvent>, ()>::new(start, Limits::default(), 0);
    (0..n).map(|_| audience.join(ReaderKind::Log, None, ())).collect()
}
