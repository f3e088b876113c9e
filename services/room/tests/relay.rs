//! `Relay` over real sockets.

mod support;

use std::time::Duration;

use parlour_proto::v1::{self, relay_frame::Frame as Down, relay_request::Frame as Up};
use tonic::Code;
use tonic_types::StatusExt;

use support::{
    House,
    gateway::{Gateway, answer, events, following, joined, names, presence, session},
    soon,
};

#[tokio::test]
async fn a_joiner_is_told_of_itself_and_of_the_room_before_it_is_joined() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.opens(1, "Ada").await;
    gateway.follows("general").await;
    gateway.joins(1, 7, "general").await;
    let mut known = None;
    let opened = gateway
        .until(|frame| if let Down::Opened(opened) = frame { Some(opened.clone()) } else { None })
        .await;
    assert!(!opened.guest_token.is_empty());
    let first = gateway.until(following).await;
    assert_eq!(first.position.split(':').nth(1), Some("0"));
    assert_eq!(first.info.expect("info").title, "general");
    let snapshot = first.presence.expect("a snapshot");
    assert!(snapshot.settling, "the replica is younger than the grace");
    let done = gateway
        .until(|frame| {
            known = known.take().or_else(|| presence(frame));
            joined(frame)
        })
        .await;
    let known = known.expect("its own presence came before");
    assert_eq!((names(&known.joined), known.count), (vec!["Ada"], 1));
    assert_eq!((done.request, done.as_of, done.user.expect("a user").name.as_str()), (7, 0, "Ada"));
    house.close().await;
}

#[tokio::test]
async fn p3_each_event_crosses_a_relay_once_however_many_sessions_are_in_the_room() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    for n in 1..=100 {
        gateway.opens(n, &format!("Guest {n}")).await;
        gateway.joins(n, n.into(), "general").await;
    }
    for n in 1..=100 {
        assert_eq!(gateway.until(joined).await.request, n, "in order");
    }
    let mut prev = None;
    let mut seqs = Vec::new();
    for n in 1..=20_u64 {
        gateway.posts(1, n, "general", &format!("message {n}"), &format!("key {n}")).await;
    }
    while seqs.len() < 20 {
        let batch = gateway.until(events).await;
        for event in &batch.events {
            let (check, seq) = event.cursor.split_once(':').expect("a cursor");
            assert_eq!(seq, event.seq.to_string());
            seqs.push(event.seq);
            if let Some(prev) = prev.take().filter(|_| event.seq == batch.events[0].seq) {
                assert_eq!(batch.prev, prev, "batches chain by their checks");
            }
            prev = Some(u32::from_str_radix(check, 16).expect("hex"));
        }
    }
    assert_eq!(seqs, (1..=20).collect::<Vec<_>>());
    let more = gateway.settled(1).await;
    assert!(!more.iter().any(|frame| matches!(frame, Down::Events(_))), "each once");
    house.close().await;
}

#[tokio::test]
async fn p5_a_repeated_key_is_answered_with_the_first_seq() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.opens(1, "Ada").await;
    let mut acks = Vec::new();
    for (request, content) in [(1, "once"), (2, "twice"), (3, "")] {
        gateway.posts(1, request, "general", content, "the key").await;
        let outcome = gateway.until(answer).await;
        let v1::session_answer::Outcome::Ack(ack) = outcome else { panic!("{outcome:?}") };
        acks.push(ack);
    }
    assert_eq!(acks[0].seq, Some(1));
    assert!(acks.iter().all(|ack| *ack == acks[0]), "whatever its body");
    house.close().await;
}

#[tokio::test]
async fn p11_refusals_are_typed_and_unknown_frames_are_ignored() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.opens(1, "Ada").await;
    gateway.says_nothing().await;
    let refused = async |gateway: &mut Gateway, room: &str, content: &str, key: &str| {
        gateway.posts(1, 9, room, content, key).await;
        match gateway.until(answer).await {
            v1::session_answer::Outcome::Error(error) => (error.code, error.field.unwrap_or_default()),
            v1::session_answer::Outcome::Ack(ack) => panic!("{ack:?}"),
        }
    };
    let is = |code: &str, field: &str| (code.to_owned(), field.to_owned());
    assert_eq!(refused(&mut gateway, "nowhere", "x", "k").await, is("ROOM_NOT_FOUND", ""));
    assert_eq!(refused(&mut gateway, "No Room", "x", "k").await, is("INVALID_FIELD", "room"));
    assert_eq!(refused(&mut gateway, "general", " ", "k").await, is("INVALID_CONTENT", "content"));
    assert_eq!(refused(&mut gateway, "general", "x", "").await, is("INVALID_FIELD", "client_message_id"));
    gateway.joins(1, 1, "nowhere").await;
    let v1::session_answer::Outcome::Error(error) = gateway.until(answer).await else { panic!("refused") };
    assert_eq!(error.code, "ROOM_NOT_FOUND");
    gateway.joins(9, 1, "general").await;
    let v1::session_answer::Outcome::Error(error) = gateway.until(answer).await else { panic!("refused") };
    assert_eq!(error.code, "UNAUTHENTICATED", "a session that is not open");
    house.close().await;
}

#[tokio::test]
async fn a_plain_session_is_the_guest_of_each_name() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    let mut ids = Vec::new();
    for (n, name) in [(1, "Ada"), (2, "Ada"), (3, "Bob")] {
        gateway.opens_plain(n).await;
        let join = v1::SessionJoin {
            session: session(n),
            room: "general".into(),
            name: name.into(),
            ..Default::default()
        };
        gateway.says(Up::Join(join)).await;
        ids.push(gateway.until(joined).await.user.expect("a user").id);
    }
    assert_eq!(ids[0], ids[1], "two tabs are one user");
    assert_ne!(ids[0], ids[2]);
    let mut client = house.client().await;
    assert_eq!(house.count(&mut client, "general").await, 2);
    house.close().await;
}

#[tokio::test]
async fn p7_presence_has_grace_after_a_close_and_none_after_a_leave() {
    let house = House::with(|settings| settings.grace_closed = Duration::from_millis(300)).await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    for n in 1..=2 {
        gateway.opens(n, "Ada").await;
        gateway.joins(n, n.into(), "general").await;
        gateway.until(joined).await;
    }
    let since = std::time::Instant::now();
    gateway.closes(1, v1::CloseReason::Closed).await;
    let left = gateway.until(|frame| presence(frame).filter(|presence| !presence.left.is_empty())).await;
    assert!(since.elapsed() >= Duration::from_millis(300), "a grace after a close");
    assert_eq!(left.count, 1);
    gateway.says(Up::Leave(v1::SessionLeave { session: session(2), room: "general".into() })).await;
    let left = gateway.until(|frame| presence(frame).filter(|presence| !presence.left.is_empty())).await;
    assert_eq!(left.count, 0, "at once");
    house.close().await;
}

#[tokio::test]
async fn p10_a_newer_attach_ends_the_older_stream_and_an_older_one_is_refused() {
    let house = House::open().await;
    let mut first = Gateway::attach(&house, 1, 5).await;
    let second = Gateway::attach(&house, 1, 6).await;
    let ended = first.end().await;
    assert_eq!(ended.code(), Code::FailedPrecondition);
    assert_eq!(ended.get_error_details().error_info().expect("a reason").reason, "PROTOCOL_MISUSE");
    drop(second);
    for generation in [5, 6] {
        let mut late = Gateway::open(house.client().await, 1, generation).await;
        assert_eq!(late.end().await.code(), Code::FailedPrecondition, "also after the newer has ended");
    }
    Gateway::attach(&house, 1, 7).await;
    house.close().await;
}

/// P7, P10: a gateway that re-attaches with its roster: nobody is told of a leave, and nothing is lost or repeated.
#[tokio::test]
async fn p10_after_a_re_attach_nobody_hears_of_a_leave() {
    let house = House::open().await;
    let mut watcher = Gateway::attach(&house, 2, 1).await;
    watcher.follows("general").await;
    watcher.until(following).await;
    let mut first = Gateway::attach(&house, 1, 1).await;
    first.follows("general").await;
    for (n, name) in [(1, "Ada"), (2, "Bob"), (3, "Cyd")] {
        first.opens(n, name).await;
        first.joins(n, n.into(), "general").await;
        first.until(joined).await;
    }
    first.posts(1, 1, "general", "one", "k1").await;
    let position = first.until(events).await.events[0].cursor.clone();
    drop(first);

    let mut client = house.client().await;
    house.says(&mut client, "general", "two", "k2").await;
    let mut second = Gateway::attach(&house, 1, 2).await;
    for (n, name) in [(1, "Ada"), (2, "Bob")] {
        second.opens(n, name).await;
    }
    let entry = |n| v1::RosterEntry { session: session(n), ..v1::RosterEntry::default() };
    let admitted = vec![entry(1), entry(2), entry(8)];
    let follow =
        v1::Follow { room: "general".into(), position: position.clone(), admitted, ..v1::Follow::default() };
    second.says(Up::Follow(follow)).await;
    let mut gone = Vec::new();
    let again = second
        .until(|frame| {
            if let Down::Gone(frame) = frame {
                gone.push(frame.session.clone());
            }
            following(frame)
        })
        .await;
    assert_eq!(gone, [session(8)], "who is not open is told so before `following`");
    assert_eq!(again.position, position, "what follows it is at hand");
    let snapshot = again.presence.and_then(|presence| presence.presence).expect("a snapshot");
    assert_eq!(names(&snapshot.users), ["Ada", "Bob"], "Cyd was not named and has left at once");
    assert_eq!(second.until(events).await.events[0].seq, 2, "what was missed follows");

    let mut left = Vec::new();
    watcher
        .until(|frame| {
            left.extend(presence(frame).into_iter().flat_map(|presence| presence.left));
            (!left.is_empty()).then_some(())
        })
        .await;
    left.extend(watcher.settled(1).await.iter().filter_map(presence).flat_map(|presence| presence.left));
    assert_eq!(names(&left), ["Cyd"], "nobody else was said to have left");
    house.close().await;
}

#[tokio::test]
async fn p8_a_relay_that_takes_nothing_is_ended_and_others_are_not_affected() {
    let house = House::with(|settings| {
        settings.stall = Duration::from_millis(500);
        settings.grace_broken = Duration::from_millis(100);
        settings.send_rate = 0.0;
    })
    .await;
    let slow = Gateway::open(house.narrow_client().await, 1, 1).await;
    slow.opens(9, "Slow").await;
    slow.joins(9, 1, "general").await;
    let mut quick = Gateway::attach(&house, 2, 1).await;
    quick.opens(1, "Ada").await;
    quick.follows("general").await;
    quick.until(following).await;
    let content = "x".repeat(4_000);
    let (mut seen, mut last, mut has_left) = (0, 0, false);
    while !has_left {
        last += 1;
        assert!(last < 5_000, "the slow one is ended");
        quick.posts(1, last, "general", &content, &format!("k{last}")).await;
        let mut is_answered = false;
        while !is_answered {
            let frame = quick.next().await.expect("it goes on");
            is_answered = answer(&frame).is_some();
            seen += events(&frame).map_or(0, |events| events.events.len() as u64);
            has_left |= presence(&frame).is_some_and(|presence| names(&presence.left).contains(&"Slow"));
        }
    }
    while seen < last {
        seen += quick.until(events).await.events.len() as u64;
    }
    assert_eq!(seen, last, "the other has everything, once");
    let mut slow = slow;
    let status = soon(slow.end()).await;
    assert_eq!(status.code(), Code::Unavailable);
    assert_eq!(status.get_error_details().error_info().expect("a reason").reason, "SLOW_CONSUMER");
    house.close().await;
}

#[tokio::test]
async fn p10_the_drain_tells_a_relay_and_then_ends_it() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    house.drain();
    let told = gateway
        .until(|frame| if let Down::GoingAway(told) = frame { Some(told.clone()) } else { None })
        .await;
    assert_eq!(told.reason, "GOING_AWAY");
    assert_eq!(gateway.end().await.code(), Code::Unavailable);
    house.close().await;
}

#[tokio::test]
async fn an_archived_room_is_joined_no_more() {
    let house = House::open().await;
    let mut gateway = Gateway::attach(&house, 1, 1).await;
    gateway.follows("general").await;
    gateway.opens(1, "Ada").await;
    gateway.opens(2, "Bob").await;
    gateway.joins(1, 1, "general").await;
    gateway.until(joined).await;
    let mut client = house.client().await;
    let request = v1::ArchiveRoomRequest { room: "general".into(), request_id: "a".into() };
    soon(client.archive_room(request)).await.expect("archived");
    let changed = gateway.until(events).await;
    assert!(matches!(changed.events[0].kind, Some(v1::event::Kind::RoomChanged(_))));
    gateway.joins(2, 2, "general").await;
    let v1::session_answer::Outcome::Error(error) = gateway.until(answer).await else { panic!("refused") };
    assert_eq!(error.code, "ROOM_ARCHIVED");
    gateway.joins(1, 3, "general").await;
    assert_eq!(gateway.until(joined).await.request, 3, "who is in it stays in it");
    house.close().await;
}
