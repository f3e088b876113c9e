use super::*;

const ADA: Id = [1; 16];
const BOB: Id = [2; 16];

/// A lane, and what a stream to it carries.
struct House {
    lane: Lane,
    now: Instant,
}

impl House {
    fn new() -> Self {
        Self { lane: Lane::new(&Limits::default()), now: Instant::now() }
    }

    /// A stream is attached. What is said on it then.
    fn attaches(&mut self) -> Vec<Frame> {
        assert!(self.lane.take(Down::Attached(proto::Attached::default()), self.now).is_empty());
        self.said()
    }

    fn opens(&mut self, session: Id) -> Arc<Inbox> {
        let inbox = Arc::<Inbox>::default();
        let open = proto::OpenSession { session: id_bytes(&session), ..Default::default() };
        self.lane.open(session, open, Arc::clone(&inbox));
        inbox
    }

    fn asks_to_join(&mut self, session: Id, at: Option<Cursor>) -> u64 {
        let join =
            Join { room: "general".into(), name: String::new(), is_monitor: false, at, is_first: false };
        self.lane
            .join(session, join, || Room::new("general".into(), &Limits::default(), 1), self.now)
            .expect("there is room")
    }

    fn hears(&mut self, frame: Down) {
        for (room, frame) in self.lane.take(frame, self.now) {
            room.take(frame, self.now);
        }
    }

    fn is_joined(&mut self, session: Id, request: u64, as_of: u64) {
        let room = "general".to_owned();
        self.hears(Down::Joined(proto::SessionJoined {
            session: id_bytes(&session),
            request,
            room,
            as_of,
            user: None,
        }));
    }

    fn posts(&mut self, session: Id, content: &str) -> u64 {
        let content = content.to_owned();
        let post = proto::SessionPost {
            room: "general".into(),
            key: content.clone(),
            content,
            ..Default::default()
        };
        self.lane.post(session, post, self.now).expect("there is room")
    }

    fn said(&mut self) -> Vec<Frame> {
        std::iter::from_fn(|| self.lane.next_frame()).collect()
    }

    fn room(&self) -> Arc<Room> {
        Arc::clone(self.lane.rooms.get("general").expect("it is followed"))
    }
}

fn following(position: &str) -> Down {
    Down::Following(proto::Following {
        room: "general".into(),
        info: None,
        position: position.into(),
        presence: Some(proto::RoomPresence {
            presence: Some(proto::Presence { room: "general".into(), snapshot: true, ..Default::default() }),
            settling: false,
        }),
    })
}

fn follow(frame: &Frame) -> &proto::Follow {
    if let Frame::Follow(follow) = frame { follow } else { panic!("a follow was expected: {frame:?}") }
}

/// Two sessions in a room at seq 7; a third frame each.
fn house() -> (House, Arc<Inbox>, Arc<Inbox>) {
    let mut house = House::new();
    house.attaches();
    let (ada, bob) = (house.opens(ADA), house.opens(BOB));
    let requests = [ADA, BOB].map(|session| house.asks_to_join(session, None));
    house.hears(following("0000000a:7"));
    house.is_joined(ADA, requests[0], 7);
    house.is_joined(BOB, requests[1], 7);
    house.said();
    (house, ada, bob)
}

fn told(inbox: &Inbox) -> Vec<Told> {
    std::iter::from_fn(|| inbox.next_told()).collect()
}

#[test]
fn p10_the_next_stream_is_told_who_is_where_and_asked_again_what_has_no_answer() {
    let (mut house, ada, _) = house();
    house.posts(ADA, "a");
    house.posts(ADA, "b");
    house.lane.typing(proto::SessionTyping::default());
    told(&ada);
    house.lane.broke();
    assert!(told(&ada).is_empty(), "nobody is told of it");
    let said = house.attaches();
    let [Frame::Open(first), Frame::Open(_), roster, Frame::Message(post)] = &said[..] else {
        panic!("opens, a follow and one append were expected: {said:?}")
    };
    assert!(first.again);
    let roster = follow(roster);
    assert_eq!((roster.position.as_str(), roster.joining.len(), roster.closing.len()), ("0000000a:7", 0, 0));
    let admitted: Vec<_> = roster.admitted.iter().map(|entry| (entry.session.clone(), entry.as_of)).collect();
    assert_eq!(admitted, [(id_bytes(&ADA), 7), (id_bytes(&BOB), 7)]);
    assert_eq!(post.key, "a");
}

#[test]
fn p7_who_closed_or_left_while_no_stream_stood_is_named_for_what_is_left_of_the_grace_or_not_at_all() {
    let (mut house, _, _) = house();
    let carl = [3; 16];
    house.opens(carl);
    let request = house.asks_to_join(carl, None);
    house.lane.broke();
    let reason = proto::CloseReason::Closed.into();
    let close = proto::CloseSession { session: id_bytes(&ADA), reason, retry_after_ms: 0 };
    house.lane.close(ADA, close, house.now);
    house.lane.leave(BOB, "general", house.now);
    house.now += Duration::from_millis(500);
    let said = house.attaches();
    let roster = said.iter().find(|frame| matches!(frame, Frame::Follow(_))).map(follow).expect("the room");
    assert!(roster.admitted.is_empty());
    assert_eq!((roster.closing.len(), roster.closing[0].grace_ms), (1, 1_500), "2 s after an orderly close");
    assert_eq!(roster.joining, [id_bytes(&carl)]);
    assert!(said.iter().any(|frame| matches!(frame, Frame::Join(join) if join.request == request)));
    assert!(!said.iter().any(|frame| matches!(frame, Frame::Leave(_))), "the roster says it");
}

#[test]
fn p7_a_close_with_a_wait_is_named_for_the_wait_and_the_grace() {
    let (mut house, _, _) = house();
    let reason = proto::CloseReason::GoingAway.into();
    let close = proto::CloseSession { session: id_bytes(&ADA), reason, retry_after_ms: 3_000 };
    house.lane.close(ADA, close, house.now);
    house.lane.broke();
    let said = house.attaches();
    let roster = said.iter().find(|frame| matches!(frame, Frame::Follow(_))).map(follow).expect("the room");
    assert_eq!(roster.closing[0].grace_ms, 13_000);
}

#[test]
fn p7_a_join_given_up_is_undone_but_not_one_of_a_room_that_the_session_is_in() {
    let (mut house, _, _) = house();
    let carl = [3; 16];
    let inbox = house.opens(carl);
    house.asks_to_join(carl, None);
    house.asks_to_join(ADA, None);
    house.said();
    house.now += Limits::default().request;
    house.lane.expire(house.now);
    assert!(matches!(&told(&inbox)[..], [Told::Joined(_, Err(refusal))] if refusal.is_retryable()));
    let said = house.said();
    let [Frame::Leave(leave)] = &said[..] else { panic!("one leave was expected: {said:?}") };
    assert_eq!(leave.session, id_bytes(&carl));
}

#[test]
fn p8_a_room_is_unfollowed_shortly_after_its_last_session() {
    let (mut house, _, _) = house();
    for session in [ADA, BOB] {
        house.lane.leave(session, "general", house.now);
    }
    house.said();
    house.now += crate::relay::rooms::IDLE;
    house.lane.expire(house.now);
    let said = house.said();
    assert!(matches!(&said[..], [Frame::Unfollow(unfollow)] if unfollow.room == "general"), "{said:?}");
    assert!(house.lane.rooms.is_empty());
}

#[test]
fn the_log_is_not_asked_between_two_streams() {
    let (mut house, _, _) = house();
    let (room, now) = (house.room(), house.now);
    house.hears(Down::Heads(proto::RoomHeads {
        heads: vec![proto::RoomHead { room: "general".into(), head: "0000000b:9".into() }],
    }));
    house.lane.broke();
    assert!(room.look(|feed| feed.poll_read(now)).is_none(), "whoever may not read is not known yet");
    assert!(room.look(|feed| feed.deadline()).is_none());
    house.attaches();
    assert!(room.look(|feed| feed.poll_read(now)).is_none());
    house.hears(following("0000000a:7"));
    let read = room.look(|feed| feed.poll_read(now)).expect("the head is ahead");
    assert_eq!(read.after, 7);
}

#[test]
fn p11_a_session_that_may_not_be_opened_again_is_told() {
    let (mut house, ada, _) = house();
    told(&ada);
    house.lane.broke();
    house.attaches();
    let error = Refusal::new("UNAUTHENTICATED", "guests are not allowed").0;
    let outcome = Some(proto::session_opened::Outcome::Error(error));
    house.hears(Down::Opened(proto::SessionOpened {
        session: id_bytes(&ADA),
        outcome,
        ..Default::default()
    }));
    assert!(matches!(&told(&ada)[..], [Told::Opened(Err(_))]));
}
