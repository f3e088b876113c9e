//! What a live room owes, with a clock made of numbers and a log made of vectors.

use parlour_feed::{Check, Page};

use super::*;
use crate::domain::{
    ids::{RoomId, UserId},
    message::{DisplayName, RequestKey},
    room::{RoomName, Visibility},
};

const BUDGET: Budget = Budget { events: 100, bytes: 1 << 20 };

fn room() -> Room {
    Room {
        id: RoomId::generate(),
        name: RoomName::parse("general").expect("a slug"),
        title: "General".into(),
        topic: String::new(),
        visibility: Visibility::Public,
        archived: false,
        head: 0,
        head_at: 1,
        message_count: 0,
        last_message_at: None,
        created_at: 1,
        created_by: UserId::new("u"),
        request_key: String::new(),
    }
}

fn user(n: u8) -> User {
    User { id: UserId::new(format!("u{n}")), name: DisplayName::stored("x"), guest: true }
}

fn session(n: u8) -> SessionId {
    SessionId::from_bytes(&[n; 16]).expect("16 bytes")
}

fn event(seq: u64, body: Body) -> Arc<Event> {
    let key = RequestKey::stored(&format!("k{seq}"));
    let created_at = 1 + i64::try_from(seq).expect("small");
    Arc::new(Event { seq, created_at, actor: user(1), key, key_is_clients: false, body })
}

fn said(seq: u64) -> Arc<Event> {
    event(seq, Body::Message { content: "hello".into(), reply_to: None })
}

/// A live room and the log that it follows.
struct House {
    live: Live<u32>,
    log: Vec<Arc<Event>>,
    now: Instant,
    id: RoomId,
}

impl House {
    fn open(change: impl FnOnce(&mut Settings)) -> Self {
        let (room, now) = (room(), Instant::now());
        let id = room.id.clone();
        let mut settings = Settings::default();
        change(&mut settings);
        Self { live: Live::new(room, &settings, now, 1, now), log: Vec::new(), now, id }
    }

    fn cursor(&self, seq: u64) -> Cursor {
        let time = seq.checked_sub(1).map_or(1, |nth| self.log[nth as usize].created_at);
        Cursor { check: Check::of(self.id.as_str(), time), seq }
    }

    /// Appends; the live room hears of it unless the hint is lost.
    fn append(&mut self, event: Arc<Event>, is_heard: bool) -> Effects<u32> {
        let prev = self.cursor(event.seq - 1);
        self.log.push(Arc::clone(&event));
        if is_heard {
            self.live.appended(prev, event, self.now);
        }
        self.advance()
    }

    /// Does what is due and answers every read from the log.
    fn advance(&mut self) -> Effects<u32> {
        let mut effects = self.live.advance(self.now);
        for read in std::mem::take(&mut effects.reads) {
            let entries = self.log.iter().skip(read.after as usize).take(read.limit);
            let entries = entries.map(|event| Fact::entry(&self.id, Arc::clone(event), None)).collect();
            let (base, head) = (self.cursor(read.after), self.cursor(self.log.len() as u64));
            self.live.read_done(read, LogRead::Page(Page { base, entries, head }), self.now);
            let more = self.advance();
            effects.woken.extend(more.woken);
        }
        effects
    }

    fn take(&mut self, reader: ReaderId) -> Vec<u64> {
        let mut taken = Vec::new();
        loop {
            let mut entries = Vec::new();
            match self.live.step(reader, BUDGET, 100, self.now, &mut entries) {
                Taken::Nothing if self.advance().woken.is_empty() => return taken,
                _ => taken.extend(entries.iter().map(|entry| entry.cursor.seq)),
            }
        }
    }
}

#[test]
fn p3_a_reader_is_given_each_event_once_though_hints_are_lost() {
    let mut house = House::open(|_| ());
    let reader = house.live.join(ReaderKind::Log, None, 7);
    assert!(house.take(reader).is_empty());
    assert_eq!(house.append(said(1), true).woken, [7]);
    house.append(said(2), false);
    house.append(said(3), true);
    house.now += Duration::from_secs(1); // the gap is due
    house.advance();
    assert_eq!(house.take(reader), [1, 2, 3]);
    house.append(said(4), false);
    assert!(house.take(reader).is_empty(), "nobody has said so");
    let head = house.cursor(4);
    house.live.head(head, house.now);
    house.advance();
    assert_eq!(house.take(reader), [4], "a head tells of a lost last one");
}

#[test]
fn the_room_is_as_the_last_event_delivered_says() {
    let mut house = House::open(|_| ());
    let changed = Body::RoomChanged { title: "Hall".into(), topic: "all".into(), archived: true };
    house.append(event(1, changed), true);
    let room = house.live.room();
    assert_eq!(
        (room.title.as_str(), room.topic.as_str(), room.archived, room.head),
        ("Hall", "all", true, 1)
    );
    assert_eq!(house.live.position(), house.cursor(1));
    house.live.refresh(self::room(), house.now);
    assert_eq!(house.live.room().title, "Hall", "whatever was read before that");
}

#[test]
fn p9_typing_goes_to_who_stands_where_the_room_stands() {
    let mut house = House::open(|_| ());
    house.append(said(1), true);
    let (live, behind) = (house.live.join(ReaderKind::Log, None, 1), house.cursor(0));
    house.live.join(ReaderKind::Log, Some(behind), 2);
    house.take(live);
    house.live.typing(Typing { session: session(1), user: user(1), typing: true });
    let told: Vec<_> = house.advance().typing.into_iter().map(|(waker, _)| waker).collect();
    assert_eq!(told, [1], "not to one who is still reading the past");
}

#[test]
fn p7_an_admission_says_which_presence_tells_of_it() {
    let mut house = House::open(|_| ());
    let reader = house.live.join(ReaderKind::Hints, None, 1);
    let before = house.live.presence(reader, None, 100, house.now).version;
    let admitted =
        house.live.enter(session(1), user(1), Owner::chat(session(1)), house.now).expect("nobody is newer");
    assert!(admitted.presence > before);
    house.advance();
    let mut entries = Vec::new();
    let Taken::Presence(update) = house.live.step(reader, BUDGET, 100, house.now, &mut entries) else {
        panic!("presence moved on")
    };
    assert!(update.version >= admitted.presence);
    let again = house.live.enter(session(1), user(1), Owner::chat(session(1)), house.now).expect("renewed");
    assert_eq!(again.presence, update.version, "who is here already waits for nothing");
    assert_eq!(house.live.check_invariants(), Ok(()));
}

#[test]
fn p8_a_room_is_idle_once_nobody_reads_and_nobody_is_in_grace() {
    let mut house = House::open(|settings| settings.idle_room = Duration::from_secs(60));
    let owner = Owner::chat(session(1));
    let reader = house.live.join(ReaderKind::Log, None, 1);
    house.live.enter(session(1), user(1), owner, house.now);
    house.live.part(reader, house.now);
    house.now += Duration::from_secs(100);
    house.advance();
    assert!(!house.live.is_idle(house.now), "somebody is present");
    let reader = house.live.join(ReaderKind::Log, None, 1);
    house.live.leave(session(1), owner, house.now);
    house.now += Duration::from_secs(100);
    house.advance();
    assert!(!house.live.is_idle(house.now), "somebody reads");
    house.live.enter(session(1), user(1), owner, house.now);
    house.live.part(reader, house.now);
    house.live.close(session(1), owner, Ending::Closed, house.now);
    house.now += Duration::from_secs(2);
    house.advance(); // the grace has passed
    house.now += Duration::from_secs(59);
    house.advance();
    assert!(!house.live.is_idle(house.now), "not for long enough");
    house.now += Duration::from_secs(1);
    assert!(house.live.is_idle(house.now));
    assert!(house.live.deadline().is_some_and(|due| due <= house.now), "its task looks by itself");
}
