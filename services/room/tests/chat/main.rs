//! `Chat` over real sockets.

#[path = "../support/mod.rs"]
mod support;

mod bounds;
mod rules;
mod slow;

use std::{collections::HashMap, time::Duration};

use parlour_proto::v1::{self, chat_request::Frame as Up, chat_response::Frame as Down};
use tonic::{Code, Status};
use tonic_types::StatusExt;

use support::{Here, House, chatter::Chatter};

fn reason(status: &Status) -> String {
    status.get_error_details().error_info().expect("a reason").reason.clone()
}

fn names(users: &[v1::User]) -> Vec<&str> {
    users.iter().map(|user| user.name.as_str()).collect()
}

fn is(code: &str, field: &str) -> (String, String) {
    (code.to_owned(), field.to_owned())
}

#[tokio::test]
async fn two_people_chat() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    let mut bob = Chatter::open(&house, "Bob").await;
    assert!(ada.welcome.user.as_ref().is_some_and(|user| user.guest && user.name == "Ada"));
    assert_eq!(ada.welcome.limits.as_ref().map(|limits| limits.page), Some(200));
    let joined = ada.joins("general", None).await;
    assert_eq!((joined.cursor.split(':').nth(1), names(&joined.users)), (Some("0"), vec!["Ada"]));
    let joined = bob.joins("general", None).await;
    assert_eq!((names(&joined.users), joined.count), (vec!["Ada", "Bob"], 2));
    let came = ada.until(|_, frame| if let Down::Presence(p) = frame { Some(p.clone()) } else { None }).await;
    assert_eq!((names(&came.joined), came.count), (vec!["Bob"], 2));
    ada.posts("1", "general", "hello", None).await;
    assert_eq!(bob.hears().await, (1, "hello".into()));
    bob.posts("1", "general", "hi", Some("key")).await;
    assert_eq!(ada.hears().await.0, 1, "one's own comes back too");
    assert_eq!(ada.hears().await, (2, "hi".into()));
    let Down::Ack(ack) = bob.answer("1").await else { panic!("an ack") };
    assert_eq!((ack.seq, ack.room.as_deref()), (Some(2), Some("general")));
    house.close().await;
}

#[tokio::test]
async fn late_joiner_gets_history_then_live_without_a_gap() {
    let house = House::open().await;
    let mut client = house.client().await;
    for n in 1..=60 {
        house.says(&mut client, "general", &format!("m{n}"), &format!("k{n}")).await;
    }
    let mut bob = Chatter::open(&house, "Bob").await;
    let joined = bob.joins("general", None).await;
    let ids: Vec<_> = joined.messages.iter().map(|message| message.id).collect();
    assert_eq!(ids, (11..=60).collect::<Vec<_>>());
    assert!(joined.more);
    house.says(&mut client, "general", "m61", "k61").await;
    assert_eq!(bob.hears().await, (61, "m61".into()));
    let history =
        v1::ReadHistory { room: "general".into(), before: Some(11), limit: Some(5), ..Default::default() };
    bob.says("h", Up::History(history)).await;
    let Down::History(history) = bob.answer("h").await else { panic!("history") };
    assert_eq!((history.messages[0].id, history.messages.len(), history.more), (6, 5, true));
    let history = v1::ReadHistory { room: "general".into(), after: Some(59), ..Default::default() };
    bob.says("h", Up::History(history)).await;
    let Down::History(history) = bob.answer("h").await else { panic!("history") };
    assert_eq!(history.events.iter().map(|event| event.seq).collect::<Vec<_>>(), [60, 61]);
    assert!(!history.more);
    house.close().await;
}

/// P4: whoever returns with a cursor is given what they missed and then goes live, from the ring and from the log alike.
#[tokio::test]
async fn p4_resume_gives_what_was_missed_and_then_goes_live() {
    for ring_events in [512, 4] {
        let house = House::with(|settings| settings.ring_events = ring_events).await;
        let mut client = house.client().await;
        let mut bob = Chatter::open(&house, "Bob").await;
        bob.joins("general", None).await;
        house.says(&mut client, "general", "m1", "k1").await;
        let cursor = bob
            .until(|_, frame| if let Down::Event(event) = frame { Some(event.cursor.clone()) } else { None })
            .await;
        drop(bob);
        for n in 2..=130 {
            house.says(&mut client, "general", &format!("m{n}"), &format!("k{n}")).await;
        }
        let mut bob = Chatter::open(&house, "Bob").await;
        let joined = bob.joins("general", Some(&cursor)).await;
        assert_eq!((joined.cursor, joined.messages.len()), (cursor, 0));
        house.says(&mut client, "general", "m131", "k131").await;
        for n in 2..=131 {
            assert_eq!(bob.hears().await, (n, format!("m{n}")));
        }
        house.close().await;
    }
}

#[tokio::test]
async fn p4_a_cursor_of_no_use_is_answered_with_the_head_and_resync() {
    let house = House::with(|settings| (settings.replay_events, settings.ring_events) = (10, 4)).await;
    let mut client = house.client().await;
    let mut bob = Chatter::open(&house, "Bob").await;
    let start = bob.joins("general", None).await.cursor;
    for n in 1..=30 {
        house.says(&mut client, "general", &format!("m{n}"), &format!("k{n}")).await;
    }
    let head = bob
        .until(|_, frame| match frame {
            Down::Event(event) if event.seq == 30 => Some(event.cursor.clone()),
            _ => None,
        })
        .await;
    let ahead = head.replace(":30", ":31");
    for (cursor, expected) in [(start.as_str(), "TOO_FAR"), ("00000000:25", "OTHER_LOG"), (&ahead, "AHEAD")] {
        let mut late = Chatter::open(&house, "Late").await;
        late.asks_to_join("general", Some(cursor)).await;
        let Down::Joined(joined) = late.answer("join").await else { panic!("joined") };
        assert_eq!(joined.cursor, head, "{expected}: live from here");
        let (_, next) = late.next().await.expect("open").expect("open");
        let Down::Resync(resync) = next else { panic!("{expected}: {next:?}") };
        assert_eq!((resync.cursor, resync.reason.as_str()), (head.clone(), expected));
    }
    bob.asks_to_join("random", Some("not a cursor")).await;
    assert_eq!(bob.refusal("join").await, is("INVALID_CURSOR", "cursor"));
    house.close().await;
}

#[tokio::test]
async fn p5_a_repeated_key_is_answered_with_the_first_seq_and_order_is_kept() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    for n in 1..=10 {
        ada.posts(&n.to_string(), "general", &format!("m{n}"), Some(&format!("k{n}"))).await;
    }
    for n in 1..=10 {
        assert_eq!(ada.hears().await, (n, format!("m{n}")), "in the order sent");
    }
    ada.posts("again", "general", "another body", Some("k3")).await;
    let Down::Ack(ack) = ada.answer("again").await else { panic!("an ack") };
    assert_eq!(ack.seq, Some(3));
    house.close().await;
}

#[tokio::test]
async fn p7_many_sessions_are_one_user_and_a_return_is_not_seen() {
    let grace = Duration::from_secs(2);
    let house = House::with(|settings| (settings.grace_closed, settings.grace_broken) = (grace, grace)).await;
    let mut watcher = Chatter::open(&house, "Watcher").await;
    let mut here = Here::default();
    here.takes(&v1::Presence { joined: watcher.joins("general", None).await.users, ..Default::default() });
    let mut tab = Chatter::open(&house, "Ada").await;
    tab.joins("general", None).await;
    let token = tab.welcome.guest_token.clone();
    let hello = v1::Hello { guest_token: token, name: Some("Ada".into()), ..v1::Hello::default() };
    let mut other = Chatter::open_with(&house, hello.clone()).await;
    assert_eq!(other.welcome.user, tab.welcome.user, "the same guest");
    assert_eq!(other.joins("general", None).await.count, 2);
    drop(tab);
    drop(other);
    let mut back = Chatter::open_with(&house, hello).await;
    back.joins("general", None).await;
    let mut cyd = Chatter::open(&house, "Cyd").await;
    cyd.joins("general", None).await;
    let since = std::time::Instant::now();
    drop(back);
    let mut heard = Vec::new();
    let mut hears = async |last: &str| {
        watcher
            .until(|_, frame| {
                if let Down::Presence(presence) = frame {
                    heard.extend(here.takes(presence));
                }
                heard.last().is_some_and(|told| told == last).then_some(())
            })
            .await;
        std::mem::take(&mut heard)
    };
    assert_eq!(hears("-Ada").await, ["+Ada", "+Cyd", "-Ada"], "no leave and no join in between");
    assert!(since.elapsed() >= grace, "after the grace");
    let since = std::time::Instant::now();
    cyd.says("l", Up::Leave(v1::Leave { room: "general".into() })).await;
    assert!(matches!(cyd.answer("l").await, Down::Ack(_)));
    assert_eq!(hears("-Cyd").await, ["-Cyd"]);
    assert!(since.elapsed() < grace, "at once");
    house.close().await;
}

#[tokio::test]
async fn hello_joins_many_rooms_and_says_which_it_cannot() {
    let house = House::open().await;
    let rooms = [("general", ""), ("tech", ""), ("nowhere", ""), ("random", "junk"), ("NO", "")];
    let rooms = rooms.map(|(room, cursor)| (room.to_owned(), cursor.to_owned()));
    let mut ada =
        Chatter::open_with(&house, v1::Hello { rooms: HashMap::from(rooms), ..v1::Hello::default() }).await;
    let (mut joined, mut gone) = (Vec::new(), Vec::new());
    while joined.len() + gone.len() < 5 {
        match ada.next().await.expect("open").expect("open").1 {
            Down::Joined(frame) => joined.push((frame.room, frame.messages.len())),
            Down::Gone(frame) => gone.push((frame.room, frame.reason)),
            _ => {}
        }
    }
    joined.sort();
    gone.sort();
    assert_eq!(joined, [("general".into(), 0), ("tech".into(), 0)]);
    assert_eq!(
        gone,
        [is("NO", "INVALID_FIELD"), is("nowhere", "ROOM_NOT_FOUND"), is("random", "INVALID_CURSOR")]
    );
    house.close().await;
}

#[tokio::test]
async fn a_monitor_follows_without_being_present() {
    let house = House::open().await;
    let mut eve = Chatter::open(&house, "Eve").await;
    eve.says("j", Up::Join(v1::Join { room: "general".into(), monitor: true, ..v1::Join::default() })).await;
    let Down::Joined(joined) = eve.answer("j").await else { panic!("joined") };
    assert_eq!(joined.count, 0);
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    let counted =
        eve.until(|_, frame| if let Down::Presence(p) = frame { Some(p.clone()) } else { None }).await;
    assert_eq!((counted.count, counted.joined.len()), (1, 0), "counts only");
    ada.posts("m", "general", "hello", None).await;
    assert_eq!(eve.hears().await, (1, "hello".into()));
    house.close().await;
}

#[tokio::test]
async fn p3_heartbeats_carry_the_heads_that_moved_and_silence_ends_the_session() {
    let house = House::with(|settings| {
        settings.heartbeat = Duration::from_millis(200);
        settings.heartbeat_lost = Duration::from_secs(3);
    })
    .await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    ada.joins("random", None).await;
    ada.posts("m", "general", "hello", None).await;
    let cursor = ada
        .until(|_, frame| if let Down::Event(event) = frame { Some(event.cursor.clone()) } else { None })
        .await;
    let heads = ada
        .until(|_, frame| match frame {
            Down::Heartbeat(beat) if !beat.heads.is_empty() => Some(beat.heads.clone()),
            _ => None,
        })
        .await;
    assert_eq!(heads, HashMap::from([("general".to_owned(), cursor)]));
    ada.says("", Up::Ping(v1::Ping {})).await;
    ada.until(|_, frame| {
        assert!(!matches!(frame, Down::Pong(_)), "a ping that answers a heartbeat gets no pong");
        matches!(frame, Down::Heartbeat(beat) if beat.heads.is_empty()).then_some(())
    })
    .await;
    let ended = ada.end().await.expect("a status");
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "HEARTBEAT_LOST"));
    house.close().await;
}

#[tokio::test]
async fn who_finishes_speaking_is_answered_before_the_end() {
    let house = House::open().await;
    let ada = Chatter::open(&house, "Ada").await;
    ada.asks_to_join("general", None).await;
    ada.posts("m", "general", "all at once", None).await;
    let answers = ada.finishes().rest().await.expect("it ends well");
    assert!(matches!(answers.get("join"), Some(Down::Joined(_))));
    assert!(matches!(answers.get("m"), Some(Down::Ack(_))));
    house.close().await;
}

#[tokio::test]
async fn p10_the_drain_tells_a_session_and_then_ends_it() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    house.drain();
    let told =
        ada.until(|_, frame| if let Down::GoingAway(told) = frame { Some(told.clone()) } else { None }).await;
    assert_eq!(told.reason, "GOING_AWAY");
    let ended = ada.end().await.expect("a status");
    assert_eq!((ended.code(), reason(&ended).as_str()), (Code::Unavailable, "GOING_AWAY"));
    house.close().await;
}
