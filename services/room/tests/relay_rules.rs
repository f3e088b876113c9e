//! Rules of a `Relay` that nothing else here relies on, over real sockets.

mod support;

use std::{
    collections::{HashMap, VecDeque},
    time::{Duration, Instant},
};

use parlour_chassis::settings::Secret;
use parlour_proto::v1::{
    self, chat_response, relay_frame::Frame as Down, relay_request::Frame as Up,
    room_service_client::RoomServiceClient,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Status, transport::Channel};
use tonic_types::StatusExt;

use support::{
    Here, House, SOON,
    chatter::Chatter,
    gateway::{Gateway, answer, following, joined, names, presence, session},
    soon,
};

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("a reason").reason.clone()
}

/// A gateway that only watches a room.
struct Watcher {
    gateway: Gateway,
    here: Here,
    /// Who has left, and was not asked for yet: several may be told of at once.
    left: VecDeque<String>,
}

impl Watcher {
    async fn of(house: &House) -> Self {
        let mut gateway = Gateway::attach(house, 9, 1).await;
        gateway.follows("general").await;
        gateway.until(following).await;
        Self { gateway, here: Here::default(), left: VecDeque::new() }
    }

    /// The next who is said to have left. Its stream says meanwhile that it lives.
    async fn left(&mut self) -> String {
        let since = Instant::now();
        loop {
            if let Some(name) = self.left.pop_front() {
                return name;
            }
            assert!(since.elapsed() < SOON, "nobody is said to have left: {:?}", self.here);
            let told = tokio::time::timeout(Duration::from_secs(1), self.gateway.until(presence)).await;
            let Ok(told) = told else {
                self.gateway.says(Up::Ping(v1::RelayPing { number: 0 })).await;
                continue;
            };
            let changes = self.here.takes(&told).into_iter();
            self.left.extend(changes.filter_map(|told| told.strip_prefix('-').map(str::to_owned)));
        }
    }
}

/// How many are present.
async fn present(client: &mut RoomServiceClient<Channel>) -> u32 {
    let request = v1::GetPresenceRequest { room: "general".into() };
    soon(client.get_presence(request)).await.expect("told").into_inner().count
}

/// A gateway's stream on which these are in a room; the session's number is its place, from 1.
async fn inside(house: &House, people: &[&str]) -> Gateway {
    let mut gateway = Gateway::attach(house, 1, 1).await;
    gateway.follows("general").await;
    for (n, name) in (1..).zip(people) {
        gateway.opens(n, name).await;
        gateway.joins(n, n.into(), "general").await;
        gateway.until(joined).await;
    }
    gateway
}

fn again(admitted: &[u8]) -> v1::Follow {
    let entry = |n: &u8| v1::RosterEntry { session: session(*n), ..v1::RosterEntry::default() };
    let admitted = admitted.iter().map(entry).collect();
    v1::Follow { room: "general".into(), admitted, ..v1::Follow::default() }
}

#[tokio::test]
async fn only_who_has_the_service_credential_may_attach() {
    let house = House::configured(|config| config.service_token = Some(Secret::new("the token"))).await;
    for authorization in [None, Some("Bearer another"), Some("the token")] {
        let (_up, requests) = tokio::sync::mpsc::channel(1);
        let mut request = tonic::Request::new(ReceiverStream::new(requests));
        if let Some(authorization) = authorization {
            request.metadata_mut().insert("authorization", authorization.parse().expect("ascii"));
        }
        let refused = soon(house.client().await.relay(request)).await.expect_err("refused");
        assert_eq!((refused.code(), reason(&refused).as_str()), (Code::Unauthenticated, "UNAUTHENTICATED"));
    }
    house.close().await;
}

#[tokio::test]
async fn attach_comes_first_and_once_and_silence_ends_a_stream() {
    let house = House::open().await;
    let mut twice = Gateway::attach(&house, 1, 1).await;
    twice.says(Up::Attach(v1::Attach { incarnation: session(1), lane: 0, generation: 2 })).await;
    let end = twice.end().await;
    assert_eq!((end.code(), reason(&end).as_str()), (Code::FailedPrecondition, "PROTOCOL_MISUSE"));

    let (up, requests) = tokio::sync::mpsc::channel(1);
    let ping = v1::RelayRequest { frame: Some(Up::Ping(v1::RelayPing { number: 1 })) };
    up.send(ping).await.expect("there is room");
    let mut down =
        soon(house.client().await.relay(ReceiverStream::new(requests))).await.expect("open").into_inner();
    let end = soon(down.message()).await.expect_err("it ends");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::FailedPrecondition, "PROTOCOL_MISUSE"));

    let mut silent = Gateway::attach(&house, 2, 1).await;
    let since = Instant::now();
    let end = silent.end().await;
    assert_eq!((end.code(), reason(&end).as_str()), (Code::Unavailable, "HEARTBEAT_LOST"));
    assert!(since.elapsed() >= Duration::from_secs(4), "{:?}", since.elapsed());
    house.close().await;
}

#[tokio::test]
async fn p7_a_roster_keeps_who_closed_in_their_grace_and_who_joins_if_held() {
    let house = House::with(|settings| settings.grace_closed = Duration::from_secs(60)).await;
    let mut watcher = Watcher::of(&house).await;
    let first = inside(&house, &["Ada", "Bob", "Cyd", "Dan", "Eli"]).await;
    first.closes(2, v1::CloseReason::Closed).await;
    drop(first);
    let mut second = Gateway::attach(&house, 1, 2).await;
    second.opens(1, "Ada").await;
    second.opens(3, "Cyd").await;
    let grace = |n, grace_ms| v1::ClosingEntry { session: session(n), name: String::new(), grace_ms };
    second.opens(5, "Eli").await;
    second.opens(6, "Eve").await;
    let follow = v1::Follow {
        // Eli and Eve closed before their joins had an answer.
        closing: vec![grace(2, 2_000), grace(5, 4_000), grace(6, 60_000)],
        joining: vec![session(3), session(5), session(6)], // Cyd and Eli are held; Eve never was
        ..again(&[1])
    };
    second.says(Up::Follow(follow)).await;
    let snapshot = second.until(following).await.presence.and_then(|told| told.presence).expect("a snapshot");
    assert_eq!(names(&snapshot.users), ["Ada", "Bob", "Cyd", "Eli"], "a join unanswered admits nobody");
    assert_eq!(watcher.left().await, "Dan", "who is not named leaves at once");
    assert_eq!(watcher.left().await, "Bob", "who closed, when what is left of the grace is over");
    assert_eq!(watcher.left().await, "Eli", "and who closed without knowing that it was in");
    house.close().await;
}

/// Its gateway gave its join up with it: nothing but the close tells of it after the roster.
#[tokio::test]
async fn p7_who_was_in_and_closes_before_its_join_is_asked_again_is_in_grace() {
    let house = House::with(|settings| settings.grace_closed = Duration::from_secs(2)).await;
    let mut watcher = Watcher::of(&house).await;
    drop(inside(&house, &["Ada", "Bob"]).await);
    let mut second = Gateway::attach(&house, 1, 2).await;
    second.opens(1, "Ada").await;
    second.opens(2, "Bob").await;
    let joining = vec![session(1), session(2)];
    second.says(Up::Follow(v1::Follow { joining, ..again(&[]) })).await;
    second.closes(1, v1::CloseReason::Closed).await;
    let snapshot = second.until(following).await.presence.and_then(|told| told.presence).expect("a snapshot");
    assert_eq!(names(&snapshot.users), ["Ada", "Bob"]);
    second.closes(2, v1::CloseReason::Closed).await;
    let left = [watcher.left().await, watcher.left().await];
    assert!(left.contains(&"Ada".into()), "who closed while the room was loaded: {left:?}");
    assert!(left.contains(&"Bob".into()), "and who closed after: {left:?}");
    house.close().await;
}

#[tokio::test]
async fn p7_who_leaves_before_the_room_is_loaded_is_not_in_it() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    for (n, name) in [(1, "Ada"), (2, "Bob")] {
        gateway.opens(n, name).await;
        gateway.joins(n, n.into(), "general").await;
        if n == 1 {
            gateway.says(Up::Leave(v1::SessionLeave { session: session(n), room: "general".into() })).await;
        }
    }
    while gateway.until(joined).await.session != session(2) {}
    assert_eq!(present(&mut house.client().await).await, 1);
    house.close().await;
}

/// The replica is younger than the session: nobody but the roster and the session's opening tells it who that is.
#[tokio::test]
async fn p7_a_replica_that_never_saw_a_session_holds_it_for_what_is_left_of_its_grace() {
    let house = House::with(|settings| settings.grace_broken = Duration::from_millis(300)).await;
    let mut watcher = Watcher::of(&house).await;
    let mut gateway = Gateway::attach(&house, 1, 2).await;
    gateway.opens(1, "Ada").await;
    gateway.opens(2, "Bob").await;
    gateway.opens_plain(3).await;
    let grace =
        |n, name: &str, grace_ms| v1::ClosingEntry { session: session(n), name: name.into(), grace_ms };
    let closing = vec![grace(2, "", 60_000), grace(3, "Cyd", 1_500)];
    gateway.says(Up::Follow(v1::Follow { closing, ..again(&[1]) })).await;
    gateway.closes(2, v1::CloseReason::Closed).await;
    gateway.closes(3, v1::CloseReason::Closed).await;
    let snapshot =
        gateway.until(following).await.presence.and_then(|told| told.presence).expect("a snapshot");
    assert_eq!(names(&snapshot.users), ["Ada", "Bob", "Cyd"]);
    assert_eq!(watcher.left().await, "Cyd", "when what is left of the grace is over");
    assert_eq!(present(&mut house.client().await).await, 2);
    house.close().await;
}

/// A replica younger than the grace does not know who else is here at a gateway that is not back yet.
#[tokio::test]
async fn p7_who_may_be_here_by_another_session_is_not_told_as_left_before_the_replica_has_settled() {
    let house = House::with(|settings| settings.grace_broken = Duration::from_secs(3)).await;
    let mut watcher = Watcher::of(&house).await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.opens(1, "Ada").await;
    let opened = |frame: &Down| if let Down::Opened(opened) = frame { Some(opened.clone()) } else { None };
    let token = gateway.until(opened).await.guest_token;
    let by_token = v1::OpenSession { session: session(2), name: "Ada".into(), ..v1::OpenSession::default() };
    let credentials = Some(v1::open_session::Credentials::GuestToken(token));
    gateway.says(Up::Open(v1::OpenSession { credentials, ..by_token })).await;
    let returning = v1::OpenSession {
        session: session(3),
        name: "Bob".into(),
        again: true,
        ..v1::OpenSession::default()
    };
    gateway.says(Up::Open(returning)).await;
    gateway.opens(4, "Cyd").await;
    gateway.opens(5, "Eve").await;
    gateway.says(Up::Follow(again(&[5]))).await;
    for n in 2..=4 {
        gateway.joins(n, n.into(), "general").await;
        gateway.until(joined).await;
    }
    for n in [2, 3, 5, 4] {
        gateway.says(Up::Leave(v1::SessionLeave { session: session(n), room: "general".into() })).await;
    }
    assert_eq!(watcher.left().await, "Cyd", "who is new here has no other session");
    let mut left = [watcher.left().await, watcher.left().await, watcher.left().await];
    left.sort();
    assert_eq!(left, ["Ada", "Bob", "Eve"], "once it has settled");
    house.close().await;
}

#[tokio::test]
async fn p7_who_was_admitted_by_a_roster_is_in_grace_after_a_close_and_a_monitor_is_not_present() {
    let house = House::with(|settings| settings.grace_closed = Duration::from_millis(200)).await;
    let mut watcher = Watcher::of(&house).await;
    drop(inside(&house, &["Ada", "Mo"]).await);
    let mut second = Gateway::attach(&house, 1, 2).await;
    second.opens(1, "Ada").await;
    second.opens(2, "Mo").await;
    let mut follow = again(&[1, 2]);
    follow.admitted[1].monitor = true;
    second.says(Up::Follow(follow)).await;
    let snapshot = second.until(following).await.presence.and_then(|told| told.presence).expect("a snapshot");
    assert_eq!(names(&snapshot.users), ["Ada"]);
    assert_eq!(watcher.left().await, "Mo", "who follows without being present");
    second.closes(1, v1::CloseReason::Closed).await;
    // Until the replica has settled nobody whom a roster named is told as having left.
    let mut client = house.client().await;
    soon(async { while present(&mut client).await > 0 {} }).await;
    house.close().await;
}

#[tokio::test]
async fn p7_a_close_that_was_asked_for_or_broke_has_a_longer_grace() {
    let (closed, broken) = (Duration::from_millis(100), Duration::from_secs(3));
    let house =
        House::with(|settings| (settings.grace_closed, settings.grace_broken) = (closed, broken)).await;
    let mut watcher = Watcher::of(&house).await;
    let gateway = inside(&house, &["Broken", "Asked", "Closed"]).await;
    let asked = v1::CloseSession {
        session: session(2),
        reason: v1::CloseReason::GoingAway.into(),
        retry_after_ms: 900,
    };
    let since = Instant::now();
    gateway.says(Up::Close(asked)).await;
    gateway.closes(1, v1::CloseReason::Broken).await;
    gateway.closes(3, v1::CloseReason::Closed).await;
    let mut after = HashMap::new();
    while after.len() < 3 {
        after.insert(watcher.left().await, since.elapsed());
    }
    assert!(after["Closed"] >= closed && after["Closed"] < broken, "{after:?}");
    assert!(after["Broken"] >= broken, "{after:?}");
    assert!(after["Asked"] >= broken + Duration::from_millis(900), "{after:?}");
    house.close().await;
}

#[tokio::test]
async fn a_room_that_is_unfollowed_is_told_no_more_and_left() {
    let house = House::open().await;
    let mut watcher = Watcher::of(&house).await;
    let mut gateway = inside(&house, &["Ada"]).await;
    gateway.says(Up::Unfollow(v1::Unfollow { room: "general".into() })).await;
    assert_eq!(watcher.left().await, "Ada");
    gateway.settled(1).await;
    house.says(&mut house.client().await, "general", "unheard", "k").await;
    watcher.gateway.until(|frame| matches!(frame, Down::Events(_)).then_some(())).await;
    assert!(gateway.settled(2).await.is_empty(), "nothing of it");
    gateway.joins(1, 7, "general").await;
    let told = gateway.until(following).await;
    assert_eq!(told.position.split(':').nth(1), Some("1"), "from where the room stands");
    house.close().await;
}

#[tokio::test]
async fn a_room_followed_again_is_told_from_the_position_given_if_it_is_at_hand() {
    let house = House::with(|settings| settings.ring_events = 2).await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    let start = gateway.until(following).await.position;
    let mut client = house.client().await;
    let mut positions = vec![start];
    for n in 1..=4 {
        house.says(&mut client, "general", &format!("m{n}"), &format!("k{n}")).await;
        let told = gateway
            .until(|frame| if let Down::Events(told) = frame { Some(told.clone()) } else { None })
            .await;
        assert_eq!(told.events.len(), 1);
        let before = positions.last().expect("the start").split_once(':').expect("a cursor").0;
        assert_eq!(format!("{:08x}", told.prev), before, "each frame says what it follows");
        positions.push(told.events[0].cursor.clone());
    }
    for (given, expected) in [(3, 3), (0, 4), (4, 4)] {
        gateway.says(Up::Follow(v1::Follow { position: positions[given].clone(), ..again(&[]) })).await;
        assert_eq!(gateway.until(following).await.position, positions[expected], "given {given}");
    }
    house.close().await;
}

#[tokio::test]
async fn a_monitor_is_admitted_without_being_present_and_a_plain_session_is_limited_by_itself() {
    let house = House::with(|settings| (settings.send_rate, settings.send_burst) = (0.01, 1)).await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    gateway.opens(1, "Mo").await;
    gateway.joins(1, 9, "general").await;
    gateway.until(joined).await;
    assert_eq!(present(&mut house.client().await).await, 1);
    gateway
        .says(Up::Join(v1::SessionJoin {
            session: session(1),
            request: 1,
            room: "general".into(),
            monitor: true,
            ..v1::SessionJoin::default()
        }))
        .await;
    gateway.until(joined).await;
    assert_eq!(present(&mut house.client().await).await, 0);
    for n in [2, 3] {
        gateway.opens_plain(n).await;
        let post = v1::SessionPost {
            session: session(n),
            request: n.into(),
            room: "general".into(),
            content: "x".into(),
            key: format!("k{n}"),
            name: "one and the same".into(),
            ..v1::SessionPost::default()
        };
        gateway.says(Up::Message(post)).await;
        let answer = gateway
            .until(|frame| if let Down::Answer(answer) = frame { answer.outcome.clone() } else { None })
            .await;
        assert!(
            matches!(answer, v1::session_answer::Outcome::Ack(_)),
            "each has a rate of its own: {answer:?}"
        );
    }
    house.close().await;
}

/// The log was replaced by one of before the room was made: nobody is left in silence.
#[tokio::test]
async fn p3_who_is_in_a_room_that_the_log_never_had_is_told_that_it_is_gone() {
    let house = House::with(|settings| settings.probe = Duration::from_millis(50)).await;
    let mut chatter = Chatter::open(&house, "Cyd").await;
    chatter.joins("general", None).await;
    chatter.joins("random", None).await;
    let mut gateway = inside(&house, &["Ada", "Bob"]).await;
    house.never_had("general");
    let reason = chatter
        .until(|_, frame| match frame {
            chat_response::Frame::Gone(gone) => Some((gone.room.clone(), gone.reason.clone())),
            _ => None,
        })
        .await;
    assert_eq!(reason, ("general".to_owned(), "ROOM_NOT_FOUND".to_owned()));
    let mut gone = Vec::new();
    while gone.len() < 2 {
        let told =
            gateway.until(|frame| if let Down::Gone(gone) = frame { Some(gone.clone()) } else { None }).await;
        assert_eq!((told.room.as_str(), told.reason.as_str()), ("general", "ROOM_NOT_FOUND"));
        gone.push(told.session);
    }
    gone.sort_unstable();
    assert_eq!(gone, [session(1), session(2)]);
    gateway.joins(1, 9, "general").await;
    let refused = gateway.until(answer).await;
    assert!(
        matches!(&refused, v1::session_answer::Outcome::Error(error) if error.code == "ROOM_NOT_FOUND"),
        "who comes back is told, too: {refused:?}"
    );
    house.says(&mut house.client().await, "random", "still here", "k").await;
    assert_eq!(chatter.hears().await, (1, "still here".to_owned()), "the other rooms go on");
    house.close().await;
}
