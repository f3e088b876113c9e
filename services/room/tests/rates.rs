//! What one address may do over gRPC. Addresses are feigned, as a proxy that is trusted would forward them.

mod support;

use std::time::Duration;

use parlour_chassis::{address::Network, settings::Secret};
use parlour_proto::v1::{self, chat_request::Frame as Up, room_service_client::RoomServiceClient};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, transport::Channel};
use tonic_types::StatusExt as _;

use support::{House, soon};

type Client = RoomServiceClient<Channel>;

/// One whose users may send twice, and an address 40 times, at once; then one in 1,000 s, and in 50 s.
async fn house() -> House {
    House::configured(|config| {
        config.service_token = Some(Secret::new("hush"));
        config.trusted_proxies = vec![Network::parse("127.0.0.0/8").expect("a network")];
        (config.settings.send_rate, config.settings.send_burst) = (0.001, 2);
    })
    .await
}

/// A request as a proxy hands it on from that address.
fn from<T>(address: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("x-forwarded-for", address.parse().expect("ASCII"));
    request
}

/// A request of a gateway.
fn of_gateway<T>(message: T) -> Request<T> {
    let mut request = from("203.0.113.7", message);
    request.metadata_mut().insert("authorization", "Bearer hush".parse().expect("ASCII"));
    request
}

fn message(key: &str) -> v1::SendMessageRequest {
    let (room, content) = ("general".to_owned(), "x".to_owned());
    v1::SendMessageRequest { room, content, client_message_id: key.to_owned(), ..Default::default() }
}

fn room(name: &str, key: &str) -> v1::CreateRoomRequest {
    v1::CreateRoomRequest { name: name.to_owned(), request_id: key.to_owned(), ..Default::default() }
}

async fn sends(client: &mut Client, request: Request<v1::SendMessageRequest>) -> Result<(u64, bool), Status> {
    let sent = soon(client.send_message(request)).await?.into_inner();
    Ok((sent.message.expect("a message").id, sent.repeated))
}

async fn makes(client: &mut Client, request: Request<v1::CreateRoomRequest>) -> Result<String, Status> {
    Ok(soon(client.create_room(request)).await?.into_inner().room.expect("a room").id)
}

/// How long a refusal asks to wait.
fn limited<T: std::fmt::Debug>(outcome: Result<T, Status>) -> Duration {
    let status = outcome.expect_err("it is refused");
    let details = status.get_error_details();
    assert_eq!(status.code(), Code::ResourceExhausted, "{status:?}");
    assert_eq!(details.error_info().expect("a reason").reason, "RATE_LIMITED");
    details.retry_info().and_then(|info| info.retry_delay).expect("how long")
}

/// P8: a call without credentials is a new guest, but not from a new address. P5: its repeat is not refused.
#[tokio::test]
async fn p8_sends_of_guests_from_one_address_are_limited_but_not_repeats() {
    let house = house().await;
    let mut client = house.client().await;
    for n in 1..=40 {
        let sent = sends(&mut client, from("203.0.113.7", message(&format!("k{n}")))).await;
        assert_eq!(sent.expect("within the burst"), (n, false));
    }
    let wait = limited(sends(&mut client, from("10.9.9.9, 203.0.113.7", message("k41"))).await);
    assert!((10..=50).contains(&wait.as_secs()), "{wait:?}");
    let again = sends(&mut client, from("203.0.113.7", message("k7"))).await;
    assert_eq!(again.expect("a repeat"), (7, true));
    assert!(sends(&mut client, from("203.0.113.8", message("k41"))).await.is_ok(), "another address");
    for n in 0..50 {
        assert!(sends(&mut client, of_gateway(message(&format!("g{n}")))).await.is_ok(), "a gateway");
        assert!(sends(&mut client, Request::new(message(&format!("h{n}")))).await.is_ok(), "this machine");
    }
    house.close().await;
}

/// P8: rooms have a rate by user and by address. P5: making one again is not refused for it.
#[tokio::test]
async fn p8_rooms_made_from_one_address_are_limited_but_not_repeats() {
    let house = house().await;
    let mut client = house.client().await;
    let first = makes(&mut client, from("203.0.113.7", room("r1", "k1"))).await.expect("made");
    makes(&mut client, from("203.0.113.7", room("r2", "k2"))).await.expect("made");
    limited(makes(&mut client, from("203.0.113.7", room("r3", "k3"))).await);
    let again = makes(&mut client, from("203.0.113.7", room("r1", "k1"))).await;
    assert_eq!(again.expect("a repeat"), first);
    limited(makes(&mut client, from("203.0.113.7", room("r1", "another"))).await);
    limited(makes(&mut client, from("203.0.113.7", room("r1", ""))).await);
    makes(&mut client, from("203.0.113.8", room("r3", "k3"))).await.expect("another address");

    // One user has a rate of their own, by whatever way they come.
    makes(&mut client, of_gateway(room("g1", "same"))).await.expect("made");
    makes(&mut client, of_gateway(room("g2", "same"))).await.expect("made");
    limited(makes(&mut client, of_gateway(room("g3", "same"))).await);
    makes(&mut client, of_gateway(room("g2", "same"))).await.expect("a repeat");
    makes(&mut client, of_gateway(room("g3", "other"))).await.expect("somebody else");
    house.close().await;
}

/// P8: sessions of one address have a rate together, and so have the streams that it opens.
#[tokio::test]
async fn p8_chat_streams_of_one_address_are_limited_and_so_is_what_they_send() {
    let house = house().await;
    let mut client = house.client().await;
    let mut opened = 0;
    let refused = loop {
        let (up, requests) = tokio::sync::mpsc::channel(4);
        let post = v1::Post { room: "general".to_owned(), content: "x".to_owned(), ..Default::default() };
        up.send(v1::ChatRequest { id: "m".to_owned(), frame: Some(Up::Message(post)) }).await.expect("room");
        let answered = soon(client.chat(from("2001:db8::7", ReceiverStream::new(requests)))).await;
        let mut down = match answered {
            Ok(down) => down.into_inner(),
            Err(refused) => break refused,
        };
        opened += 1;
        if opened <= 45 {
            let answer = loop {
                let response = soon(down.message()).await.expect("it goes on").expect("it goes on");
                if response.id == "m" {
                    break response.frame.expect("a known frame");
                }
            };
            let is_refused = matches!(&answer, v1::chat_response::Frame::Error(error)
                if error.code == "RATE_LIMITED" && error.retry_after_ms.is_some_and(|wait| wait > 1_000));
            assert_eq!(is_refused, opened > 40, "{opened}: {answer:?}");
        }
        assert!(opened < 10_000, "none is refused");
    };
    assert!(opened >= 1_000, "{opened} were opened at once");
    assert!(limited::<()>(Err(refused)) <= Duration::from_millis(20));
    let (_up, requests) = tokio::sync::mpsc::channel(4);
    let other = from("2001:db8:0:1::7", ReceiverStream::new(requests));
    soon(client.chat(other)).await.expect("another address");
    house.close().await;
}
