//! Small rules of a session that nothing else here relies on.

use std::collections::HashMap;

use parlour_proto::v1::{self, chat_request::Frame as Up, chat_response::Frame as Down};
use tonic::Code;

use super::{
    is, names, reason,
    support::{House, chatter::Chatter},
};

fn types(typing: bool) -> Up {
    Up::Typing(v1::SetTyping { room: "general".into(), typing })
}

fn typist(frame: &Down) -> Option<String> {
    let Down::Typing(typing) = frame else { return None };
    typing.user.as_ref().map(|user| user.name.clone())
}

fn presence(frame: &Down) -> Option<v1::Presence> {
    if let Down::Presence(presence) = frame { Some(presence.clone()) } else { None }
}

fn monitor(monitor: bool) -> Up {
    Up::Join(v1::Join { room: "general".into(), monitor, ..v1::Join::default() })
}

#[tokio::test]
async fn typing_is_not_told_to_whoever_types() {
    let house = House::open().await;
    let (mut ada, mut bob) = (Chatter::open(&house, "Ada").await, Chatter::open(&house, "Bob").await);
    ada.joins("general", None).await;
    bob.joins("general", None).await;
    ada.says("", types(true)).await;
    assert_eq!(bob.until(|_, frame| typist(frame)).await, "Ada");
    bob.says("", types(true)).await;
    assert_eq!(ada.until(|_, frame| typist(frame)).await, "Bob", "its own would have come first");
    house.close().await;
}

#[tokio::test]
async fn leave_and_typing_are_answered_only_where_they_carry_an_id() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.joins("general", None).await;
    ada.says("", types(true)).await;
    ada.says("typing", types(false)).await;
    ada.says("", Up::Leave(v1::Leave { room: "general".into() })).await;
    ada.says("leave", Up::Leave(v1::Leave { room: "general".into() })).await;
    ada.says("ping", Up::Ping(v1::Ping {})).await;
    let mut acked = Vec::new();
    ada.until(|id, frame| {
        match frame {
            Down::Ack(_) => acked.push(id.to_owned()),
            Down::Pong(_) => return Some(()),
            _ => {}
        }
        None
    })
    .await;
    assert_eq!(acked, ["typing", "leave"]);
    house.close().await;
}

#[tokio::test]
async fn p7_a_join_of_a_room_one_is_in_may_change_whether_one_is_present() {
    let house = House::open().await;
    let (mut ada, mut eve) = (Chatter::open(&house, "Ada").await, Chatter::open(&house, "Eve").await);
    ada.joins("general", None).await;
    eve.joins("general", None).await;
    eve.says("m", monitor(true)).await;
    assert!(matches!(eve.answer("m").await, Down::Joined(joined) if joined.count == 1));
    ada.until(|_, frame| presence(frame).filter(|told| names(&told.left) == ["Eve"])).await;
    let mut bob = Chatter::open(&house, "Bob").await;
    bob.joins("general", None).await;
    let told = eve.until(|_, frame| presence(frame).filter(|told| told.count == 2)).await;
    assert!(told.joined.is_empty(), "a monitor is told counts: {told:?}");
    eve.says("p", monitor(false)).await;
    assert!(matches!(eve.answer("p").await, Down::Joined(joined) if joined.count == 3));
    let mut cyd = Chatter::open(&house, "Cyd").await;
    cyd.joins("general", None).await;
    eve.until(|_, frame| presence(frame).filter(|told| names(&told.joined) == ["Cyd"])).await;
    house.close().await;
}

#[tokio::test]
async fn p12_an_unknown_frame_is_neither_abuse_nor_a_good_frame() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    for n in 0..12 {
        ada.says_nothing(&n.to_string()).await;
        assert_eq!(ada.refusal(&n.to_string()).await, is("UNKNOWN_FRAME", ""));
    }
    for n in 0..9 {
        ada.posts(&format!("faulty {n}"), "", "x", None).await;
    }
    ada.says_nothing("unknown").await;
    assert_eq!(ada.refusal("unknown").await, is("UNKNOWN_FRAME", ""));
    ada.posts("the tenth", "", "x", None).await;
    let end = ada.end().await.expect("a status");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::FailedPrecondition, "PROTOCOL_MISUSE"));
    house.close().await;
}

#[tokio::test]
async fn p8_ids_and_frames_have_a_longest() {
    let house = House::open().await;
    let mut ada = Chatter::open(&house, "Ada").await;
    ada.says(&"é".repeat(64), Up::Ping(v1::Ping {})).await;
    assert!(matches!(ada.answer(&"é".repeat(64)).await, Down::Pong(_)));
    ada.says(&"x".repeat(65), Up::Ping(v1::Ping {})).await;
    assert_eq!(ada.refusal("").await, is("INVALID_FIELD", "id"));
    ada.posts("m", "general", &"x".repeat(70_000), None).await;
    let end = ada.end().await.expect("a status");
    assert_eq!((end.code(), reason(&end).as_str()), (Code::ResourceExhausted, "INVALID_FRAME"));
    house.close().await;
}

#[tokio::test]
async fn the_rooms_of_hello_bring_no_history_and_keep_the_limit_of_rooms() {
    let house = House::with(|settings| settings.session_rooms = 2).await;
    house.says(&mut house.client().await, "general", "before", "k").await;
    let rooms = ["general", "random", "tech"].map(|room| (room.to_owned(), String::new()));
    let hello = v1::Hello { rooms: HashMap::from(rooms), ..v1::Hello::default() };
    let mut ada = Chatter::open_with(&house, hello).await;
    let (mut joined, mut gone) = (0, Vec::new());
    while joined + gone.len() < 3 {
        match ada.next().await.expect("open").expect("open").1 {
            Down::Joined(frame) => {
                assert!(frame.messages.is_empty(), "{frame:?}");
                joined += 1;
            }
            Down::Gone(frame) => gone.push(frame.reason),
            _ => {}
        }
    }
    assert_eq!((joined, gone), (2, vec!["TOO_MANY_ROOMS".to_owned()]));
    house.close().await;
}
