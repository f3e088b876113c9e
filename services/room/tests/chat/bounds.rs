//! What a session is refused, and where it ends.

use std::time::Duration;

use parlour_proto::v1::{self, chat_request::Frame as Up, chat_response::Frame as Down};
use tonic::Code;

use super::{
    is, names, reason,
    support::{self, House, chatter::Chatter},
};

/// P5 (c): what waits behind a send that was refused for its rate is refused with it; a repeat of a known key is not.
#[tokio::test]
async fn p5_rates_refuse_a_line_together_but_not_a_repeat() {
    let house = House::with(|settings| (settings.send_rate, settings.send_burst) = (0.01, 3)).await;
    let mut ada = Chatter::open(&house, "Ada").await;
    for n in 1..=20 {
        ada.posts(&n.to_string(), "general", &format!("m{n}"), Some(&format!("k{n}"))).await;
    }
    for n in 1..=20 {
        match ada.answer(&n.to_string()).await {
            Down::Ack(ack) => assert!(n <= 3 && ack.seq == Some(n), "{n}"),
            Down::Error(error) => {
                assert!(n > 3, "{n}");
                assert_eq!(error.code, "RATE_LIMITED");
                assert!(error.retry_after_ms.is_some_and(|wait| wait > 1_000));
            }
            frame => panic!("{frame:?}"),
        }
    }
    ada.posts("again", "general", "m2", Some("k2")).await;
    let Down::Ack(ack) = ada.answer("again").await else { panic!("an ack") };
    assert_eq!(ack.seq, Some(2));
    house.close().await;
}

#[tokio::test]
async fn typing_is_told_to_the_others_and_thinned_out() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    let mut bob = Chatter::open(&house, "Bob").await;
    ada.joins("general", None).await;
    bob.joins("general", None).await;
    for _ in 0..50 {
        ada.says("", Up::Typing(v1::SetTyping { room: "general".into(), typing: true })).await;
    }
    ada.posts("m", "general", "done", None).await;
    let mut typings = 0;
    bob.until(|_, frame| {
        typings += u32::from(matches!(frame, Down::Typing(_)));
        matches!(frame, Down::Event(_)).then_some(())
    })
    .await;
    bob.posts("m", "general", "ok", None).await; // typing may come after the event, never before all else
    bob.until(|_, frame| {
        typings += u32::from(matches!(frame, Down::Typing(_)));
        matches!(frame, Down::Event(event) if event.seq == 2).then_some(())
    })
    .await;
    assert!((1..=2).contains(&typings), "{typings} of 50");
    house.close().await;
}

#[tokio::test]
async fn p11_refusals_are_typed_and_the_session_goes_on() {
    let house = House::open().await;
    let mut ada = Chatter::silent(house.client().await).await;
    ada.says_nothing("u").await;
    let (_, first) = ada.next().await.expect("open").expect("open");
    assert!(matches!(first, Down::Welcome(_)), "the first other frame counts as an empty hello");
    assert_eq!(ada.refusal("u").await, is("UNKNOWN_FRAME", ""));
    ada.posts("1", "nowhere", "x", None).await;
    assert_eq!(ada.refusal("1").await, is("ROOM_NOT_FOUND", ""));
    ada.posts("2", "", "x", None).await;
    assert_eq!(ada.refusal("2").await, is("MISSING_FIELD", "room"));
    ada.posts("3", "general", " ", None).await;
    assert_eq!(ada.refusal("3").await, is("INVALID_CONTENT", "content"));
    ada.posts("4", "general", "x", Some("é")).await;
    assert_eq!(ada.refusal("4").await, is("INVALID_FIELD", "client_message_id"));
    let post =
        v1::Post { room: "general".into(), content: "x".into(), reply_to: Some(9), ..v1::Post::default() };
    ada.says("5", Up::Message(post)).await;
    assert_eq!(ada.refusal("5").await, is("MESSAGE_NOT_FOUND", ""));
    let both = v1::ReadHistory { room: "general".into(), before: Some(1), after: Some(1), limit: None };
    ada.says("6", Up::History(both)).await;
    assert_eq!(ada.refusal("6").await, is("INVALID_FIELD", "after"));
    ada.says("7", Up::Ping(v1::Ping {})).await;
    assert!(matches!(ada.answer("7").await, Down::Pong(_)));
    house.close().await;
}

#[tokio::test]
async fn p11_breaking_the_protocol_ends_the_session() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.says("", Up::Hello(v1::Hello::default())).await;
    let ended = ada.end().await.expect("a status");
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::FailedPrecondition, "PROTOCOL_MISUSE"));

    let mut bob = Chatter::silent(house.client().await).await;
    bob.says("h", Up::Hello(v1::Hello { version: Some(2), ..v1::Hello::default() })).await;
    assert_eq!(bob.refusal("h").await, is("INVALID_FIELD", "version"));
    assert_eq!(bob.end().await.expect("a status").code(), Code::FailedPrecondition);

    let mut cyd = Chatter::silent(house.client().await).await;
    cyd.says("h", Up::Hello(v1::Hello { token: Some("jwt".into()), ..v1::Hello::default() })).await;
    assert_eq!(cyd.end().await.expect("a status").code(), Code::Unauthenticated);

    let mut dan = Chatter::silent(house.client().await).await;
    dan.says("h", Up::Hello(v1::Hello { name: Some("<b>".into()), ..v1::Hello::default() })).await;
    assert_eq!(dan.refusal("h").await, is("INVALID_NAME", "name"));
    dan.says("h", Up::Hello(v1::Hello { name: Some("Dan".into()), ..v1::Hello::default() })).await;
    assert!(matches!(dan.answer("h").await, Down::Welcome(_)), "it may say hello again");
    house.close().await;
}

#[tokio::test]
async fn p8_rooms_and_joins_are_limited_and_a_room_left_may_be_joined_again() {
    let house = House::with(|settings| settings.session_rooms = 2).await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    ada.joins("random", None).await;
    ada.asks_to_join("tech", None).await;
    assert_eq!(ada.refusal("join").await, is("TOO_MANY_ROOMS", ""));
    let again = ada.joins("general", None).await;
    assert_eq!((again.count, again.messages.len()), (1, 0), "a join of a room one is in");
    ada.says("", Up::Leave(v1::Leave { room: "random".into() })).await;
    ada.joins("tech", None).await;
    for _ in 0..100 {
        ada.says("j", Up::Join(v1::Join { room: "tech".into(), ..v1::Join::default() })).await;
    }
    let refused =
        ada.until(|_, frame| if let Down::Error(error) = frame { Some(error.clone()) } else { None }).await;
    assert_eq!(refused.code, "RATE_LIMITED");
    assert!(refused.retry_after_ms.is_some());
    house.close().await;
}

#[tokio::test]
async fn p8_a_session_that_takes_nothing_is_ended_and_others_are_not_affected() {
    let house = House::with(|settings| {
        settings.stall = Duration::from_millis(500);
        settings.grace_broken = Duration::from_millis(100);
        settings.send_rate = 0.0;
    })
    .await;
    let mut slow = Chatter::silent(house.narrow_client().await).await;
    slow.asks_to_join("general", None).await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    let content = "x".repeat(4_000);
    let (mut sent, mut seen, mut has_left) = (0, 0, false);
    while !has_left {
        sent += 1;
        assert!(sent < 5_000, "the slow one is ended");
        ada.posts("m", "general", &content, Some(&format!("k{sent}"))).await;
        let mut is_answered = false;
        while !is_answered {
            let (id, frame) = ada.next().await.expect("open").expect("open");
            is_answered = id == "m";
            seen += u64::from(matches!(frame, Down::Event(_)));
            if let Down::Presence(presence) = &frame {
                has_left |= names(&presence.left).contains(&"Guest");
            }
        }
    }
    while seen < sent {
        ada.hears().await;
        seen += 1;
    }
    let ended = slow.end().await.expect("a status");
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "SLOW_CONSUMER"));
    house.close().await;
}

#[tokio::test]
async fn an_archived_room_is_read_but_not_joined_or_written() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    ada.posts("1", "general", "before", None).await;
    ada.answer("1").await;
    let mut client = house.client().await;
    let request = v1::ArchiveRoomRequest { room: "general".into(), request_id: "a".into() };
    support::soon(client.archive_room(request)).await.expect("archived");
    let changed = ada
        .until(|_, frame| {
            let Down::Event(event) = frame else { return None };
            let Some(v1::event::Kind::RoomChanged(changed)) = &event.kind else { return None };
            changed.data.clone()
        })
        .await;
    assert!(changed.info.is_some_and(|info| info.archived));
    ada.posts("2", "general", "after", None).await;
    assert_eq!(ada.refusal("2").await, is("ROOM_ARCHIVED", ""));
    let mut bob = Chatter::open(&house, "Bob").await;
    bob.asks_to_join("general", None).await;
    assert_eq!(bob.refusal("join").await, is("ROOM_ARCHIVED", ""));
    bob.says("h", Up::History(v1::ReadHistory { room: "general".into(), ..Default::default() })).await;
    let Down::History(history) = bob.answer("h").await else { panic!("history") };
    assert_eq!(history.messages.len(), 1);
    house.close().await;
}

/// P11: only what keeps being faulty is ended; a good frame starts the count anew, and refusals do not count.
#[tokio::test]
async fn p11_ten_faulty_frames_in_a_row_end_the_session() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    for round in 0..2 {
        for n in 0..9 {
            ada.posts(&format!("{round}-{n}"), "", "x", None).await;
        }
        ada.posts(&format!("{round}-refused"), "general", " ", None).await;
        assert_eq!(ada.refusal(&format!("{round}-refused")).await, is("INVALID_CONTENT", "content"));
    }
    for _ in 0..10 {
        ada.posts("last", "", "x", None).await;
    }
    let end = ada.end().await.expect("a status");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::FailedPrecondition, "PROTOCOL_MISUSE"));
    house.close().await;
}

/// Whether that frame names somebody as here.
fn tells_of(frame: &Down, name: &str) -> bool {
    let Down::Presence(presence) = frame else { return false };
    names(&presence.joined).contains(&name) || names(&presence.users).contains(&name)
}

#[tokio::test]
async fn p8_p9_outboxes_full_together_cost_typing_then_presence_and_no_answer_or_event() {
    let house = House::open().await;
    let sixteenth = house.pools.outboxes.bound() / 16;
    let mut others = house.pools.outboxes.share(); // stands for those who take nothing
    let mut ada = Chatter::open(&house, "Ada").await;
    let mut bob = Chatter::open(&house, "Bob").await;
    ada.joins("general", None).await;
    bob.joins("general", None).await;

    others.grow(14 * sixteenth);
    bob.says("", Up::Typing(v1::SetTyping { room: "general".into(), typing: true })).await;
    let mut cleo = Chatter::open(&house, "Cleo").await;
    cleo.joins("general", None).await;
    let mut was_told = false;
    ada.until(|_, frame| {
        assert!(!matches!(frame, Down::Typing(_)), "typing goes first");
        was_told |= tells_of(frame, "Cleo");
        was_told.then_some(())
    })
    .await;

    others.grow(sixteenth);
    let mut dan = Chatter::open(&house, "Dan").await;
    dan.joins("general", None).await;
    for seq in 1..=20 {
        others.grow(if seq == 10 { sixteenth } else { 0 });
        bob.posts("m", "general", "hello", None).await;
        bob.answer("m").await;
        ada.posts("a", "general", "hello", None).await;
        let (mut is_answered, mut last) = (false, 0);
        ada.until(|id, frame| {
            assert!(!tells_of(frame, "Dan"), "then presence");
            is_answered |= id == "a";
            if let Down::Event(event) = frame {
                last = event.seq;
            }
            (is_answered && last == 2 * seq).then_some(()) // never these
        })
        .await;
    }

    drop(others);
    ada.until(|_, frame| tells_of(frame, "Dan").then_some(())).await;
    dan.says("", Up::Typing(v1::SetTyping { room: "general".into(), typing: true })).await;
    ada.until(|_, frame| matches!(frame, Down::Typing(_)).then_some(())).await;
    house.close().await;
}

/// What waits for one who takes nothing stays in the log and the ring then.
#[tokio::test]
async fn p8_where_all_outboxes_are_full_one_who_takes_nothing_has_no_event_in_its_own() {
    const CONTENT: usize = 4_000;
    let house = House::with(|settings| settings.send_rate = 0.0).await;
    let outboxes = &house.pools.outboxes;
    let mut others = outboxes.share(); // stands for those who take nothing
    let mut ada = Chatter::open(&house, "Ada").await;
    let beginning = ada.joins("general", None).await.cursor;
    let content = "x".repeat(CONTENT);
    let mut held = Vec::new();
    for missed in [400, 0] {
        for _ in 0..missed {
            ada.posts("m", "general", &content, None).await; // more than the windows of one take
            ada.answer("m").await;
        }
        let stuck = Chatter::silent(house.narrow_client().await).await;
        stuck.says("", Up::Hello(v1::Hello::default())).await;
        stuck.asks_to_join("general", Some(&beginning)).await;
        let mut most = 0;
        for _ in 0..100 {
            ada.posts("m", "general", &content, None).await;
            ada.answer("m").await;
            most = most.max(outboxes.bytes() - others.bytes());
        }
        held.push((most, stuck));
        others.grow(outboxes.bound());
    }
    let (bob, both) = (held[0].0, held[1].0);
    assert!(bob >= 2 * CONTENT, "one has what it was to be given next: {bob}");
    assert!(both < bob + CONTENT, "the other nothing: {both} with that of the one");
    drop(held);
    house.close().await;
}
