//! At a room service.
//!
//! Owns one stream of `Relay`, spoken as a gateway speaks it, with as many sessions as sends are under way. Promises that
//! each session sends the next once its last is acknowledged. Never follows a room.

use std::{sync::atomic::Ordering, time::Duration};

use anyhow::{Context as _, bail};
use bytes::Bytes;
use parlour_proto::v1::{
    self, relay_frame::Frame as Down, relay_request::Frame as Up, room_service_client::RoomServiceClient,
    session_answer::Outcome as Answered,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};

use parlour_room::domain::message::RequestKey;

use super::{Shared, content};
use crate::config::{Address, Appends};

/// Frames on their way to the stream.
const FRAMES: usize = 1_024;
/// How often the room service is told that we live.
const PING: Duration = Duration::from_secs(2);
/// What the connection may have under way.
const WINDOW_BYTES: u32 = 16 << 20;

/// Sends until it is quiet.
pub(super) async fn append(settings: &Appends, address: &Address, shared: &Shared) -> anyhow::Result<()> {
    let endpoint = Endpoint::from_shared(format!("http://{}", address.authority()))?
        .tcp_nodelay(true)
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(WINDOW_BYTES);
    let channel = endpoint.connect().await.context("nobody answers")?;
    let bearer = settings.service_token.as_ref().map(|token| format!("Bearer {token}").parse());
    let bearer = bearer.transpose().context("a header cannot carry that token")?;
    let mut client = RoomServiceClient::with_interceptor(channel, Credential(bearer));
    let rooms = make_rooms(&mut client, settings.rooms).await?;
    let (up, requests) = mpsc::channel(FRAMES);
    let attach = v1::Attach { incarnation: identity(rand::random()), lane: 0, generation: 1 };
    up.send(request(Up::Attach(attach))).await?;
    let mut down = client.relay(ReceiverStream::new(requests)).await?.into_inner();
    let mut senders: Vec<_> = (0..settings.senders)
        .map(|nth| Sender {
            nth,
            room: rooms[(nth % settings.rooms) as usize].clone(),
            since: Duration::ZERO,
        })
        .collect();
    let text = content(settings);
    for sender in &mut senders {
        up.send(request(Up::Open(v1::OpenSession {
            session: identity(sender.nth),
            ..v1::OpenSession::default()
        })))
        .await?;
    }
    for sender in &mut senders {
        up.send(sender.post(&text, shared)).await?;
    }
    let mut pings = tokio::time::interval(PING);
    loop {
        tokio::select! {
            () = shared.quiet.cancelled() => return Ok(()),
            _ = pings.tick() => up.send(request(Up::Ping(v1::RelayPing { number: 1 }))).await?,
            response = down.message() => {
                let response = response?.context("the stream has ended")?;
                for answer in response.frames.into_iter().filter_map(answered) {
                    let sender = senders.get_mut(usize::try_from(answer.request)?).context("an answer to nobody")?;
                    match answer.outcome {
                        Some(Answered::Ack(_)) => shared.appended(1, sender.since),
                        outcome => {
                            shared.meter.refused.fetch_add(1, Ordering::Relaxed);
                            bail!("a send is answered with {outcome:?}");
                        }
                    }
                    up.send(sender.post(&text, shared)).await?;
                }
            }
        }
    }
}

type Client = RoomServiceClient<InterceptedService<Channel, Credential>>;

/// Says with each call that a gateway makes it.
#[derive(Clone)]
struct Credential(Option<MetadataValue<Ascii>>);

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(bearer) = &self.0 {
            request.metadata_mut().insert("authorization", bearer.clone());
        }
        Ok(request)
    }
}

/// One session, whose number is its requests' number, too: one is under way at a time.
struct Sender {
    nth: u64,
    room: String,
    since: Duration,
}

impl Sender {
    fn post(&mut self, text: &str, shared: &Shared) -> v1::RelayRequest {
        self.since = shared.meter.now();
        request(Up::Message(v1::SessionPost {
            session: identity(self.nth),
            request: self.nth,
            room: self.room.clone(),
            content: text.to_owned(),
            key: RequestKey::generate().as_str().to_owned(),
            key_is_clients: true,
            ..v1::SessionPost::default()
        }))
    }
}

fn answered(frame: v1::RelayFrame) -> Option<v1::SessionAnswer> {
    if let Some(Down::Answer(answer)) = frame.frame { Some(answer) } else { None }
}

fn request(frame: Up) -> v1::RelayRequest {
    v1::RelayRequest { frame: Some(frame) }
}

/// Sixteen bytes that nobody else has in this run.
fn identity(nth: u64) -> Bytes {
    Bytes::from([nth.to_be_bytes(), nth.to_be_bytes()].concat())
}

async fn make_rooms(client: &mut Client, rooms: u64) -> anyhow::Result<Vec<String>> {
    let run = format!("appends-{:08x}", rand::random::<u32>());
    let mut names = Vec::new();
    for nth in 0..rooms {
        let name = format!("{run}-{nth}");
        let room = v1::CreateRoomRequest { name: name.clone(), ..v1::CreateRoomRequest::default() };
        client.create_room(room).await.context("no room could be made")?;
        names.push(name);
    }
    Ok(names)
}
