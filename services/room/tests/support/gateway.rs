//! A gateway, as far as the room service sees one.

use std::collections::VecDeque;

use bytes::Bytes;
use parlour_proto::v1::{
    self, open_session::Credentials, relay_frame::Frame as Down, relay_request::Frame as Up,
    room_service_client::RoomServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::{House, soon};

/// One stream of a gateway.
pub struct Gateway {
    up: mpsc::Sender<v1::RelayRequest>,
    down: Streaming<v1::RelayResponse>,
    heard: VecDeque<Down>,
}

/// A session's identity.
pub fn session(n: u8) -> Bytes {
    Bytes::from(vec![n; 16])
}

/// An admission.
pub fn joined(frame: &Down) -> Option<v1::SessionJoined> {
    if let Down::Joined(joined) = frame { Some(joined.clone()) } else { None }
}

/// Events.
pub fn events(frame: &Down) -> Option<v1::RoomEvents> {
    if let Down::Events(events) = frame { Some(events.clone()) } else { None }
}

/// How a request went.
pub fn answer(frame: &Down) -> Option<v1::session_answer::Outcome> {
    if let Down::Answer(answer) = frame { answer.outcome.clone() } else { None }
}

/// That a room is followed.
pub fn following(frame: &Down) -> Option<v1::Following> {
    if let Down::Following(following) = frame { Some(following.clone()) } else { None }
}

/// Who is here, or how that changed.
pub fn presence(frame: &Down) -> Option<v1::Presence> {
    if let Down::Presence(presence) = frame { presence.presence.clone() } else { None }
}

/// Their display names.
pub fn names(users: &[v1::User]) -> Vec<&str> {
    users.iter().map(|user| user.name.as_str()).collect()
}

impl Gateway {
    /// Attaches as that lane's stream; the incarnation is `n` repeated.
    pub async fn attach(house: &House, n: u8, generation: u64) -> Self {
        let mut gateway = Self::open(house.client().await, n, generation).await;
        let Some(Down::Attached(attached)) = gateway.next().await else { panic!("attached comes first") };
        assert_eq!(attached.incarnation.len(), 16);
        gateway
    }

    /// Sends an attach.
    pub async fn open(mut client: RoomServiceClient<Channel>, n: u8, generation: u64) -> Self {
        let (up, requests) = mpsc::channel(64);
        let attach = v1::Attach { incarnation: session(n), lane: 0, generation };
        up.send(v1::RelayRequest { frame: Some(Up::Attach(attach)) }).await.expect("there is room");
        let down = soon(client.relay(ReceiverStream::new(requests))).await.expect("it is answered at once");
        Self { up, down: down.into_inner(), heard: VecDeque::new() }
    }

    pub async fn says(&self, frame: Up) {
        soon(self.up.send(v1::RelayRequest { frame: Some(frame) })).await.expect("the stream is open");
    }

    /// Says something that nobody knows yet.
    pub async fn says_nothing(&self) {
        soon(self.up.send(v1::RelayRequest { frame: None })).await.expect("the stream is open");
    }

    pub async fn opens(&self, n: u8, name: &str) {
        self.says(Up::Open(v1::OpenSession {
            session: session(n),
            name: name.to_owned(),
            ..v1::OpenSession::default()
        }))
        .await;
    }

    pub async fn opens_plain(&self, n: u8) {
        let credentials = Some(Credentials::Plain(v1::PlainSession {}));
        self.says(Up::Open(v1::OpenSession {
            session: session(n),
            credentials,
            ..v1::OpenSession::default()
        }))
        .await;
    }

    pub async fn follows(&self, room: &str) {
        self.says(Up::Follow(v1::Follow { room: room.to_owned(), ..v1::Follow::default() })).await;
    }

    pub async fn joins(&self, n: u8, request: u64, room: &str) {
        self.says(Up::Join(v1::SessionJoin {
            session: session(n),
            request,
            room: room.to_owned(),
            ..v1::SessionJoin::default()
        }))
        .await;
    }

    pub async fn closes(&self, n: u8, reason: v1::CloseReason) {
        self.says(Up::Close(v1::CloseSession {
            session: session(n),
            reason: reason.into(),
            retry_after_ms: 0,
        }))
        .await;
    }

    pub async fn posts(&self, n: u8, request: u64, room: &str, content: &str, key: &str) {
        self.says(Up::Message(v1::SessionPost {
            session: session(n),
            request,
            room: room.to_owned(),
            content: content.to_owned(),
            key: key.to_owned(),
            key_is_clients: true,
            ..v1::SessionPost::default()
        }))
        .await;
    }

    /// The next frame; `None` at the end of the stream.
    pub async fn next(&mut self) -> Option<Down> {
        soon(self.hear()).await.expect("the stream goes on")
    }

    /// How the stream ends, whatever comes before.
    pub async fn end(&mut self) -> Status {
        loop {
            match soon(self.hear()).await {
                Ok(Some(_)) => {}
                Ok(None) => panic!("it ends with a status"),
                Err(status) => return status,
            }
        }
    }

    /// The first frame that answers; those before it are dropped.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&Down) -> Option<T>) -> T {
        loop {
            let frame = self.next().await.expect("the stream goes on");
            if let Some(found) = wanted(&frame) {
                return found;
            }
        }
    }

    /// Every frame up to the pong of a ping sent now: what has come of all that was said before.
    pub async fn settled(&mut self, number: u64) -> Vec<Down> {
        self.says(Up::Ping(v1::RelayPing { number })).await;
        let mut frames = Vec::new();
        loop {
            match self.next().await.expect("the stream goes on") {
                Down::Pong(pong) if pong.number == number => return frames,
                frame => frames.push(frame),
            }
        }
    }

    async fn hear(&mut self) -> Result<Option<Down>, Status> {
        loop {
            if let Some(frame) = self.heard.pop_front() {
                return Ok(Some(frame));
            }
            let Some(response) = self.down.message().await? else { return Ok(None) };
            self.heard.extend(response.frames.into_iter().filter_map(|frame| frame.frame));
        }
    }
}
