//! Someone who talks over `Chat`.

use std::collections::HashMap;

use parlour_proto::v1::{
    self, chat_request::Frame as Up, chat_response::Frame as Down, room_service_client::RoomServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Channel};

use super::{House, soon};

/// One session.
pub struct Chatter {
    up: mpsc::Sender<v1::ChatRequest>,
    down: Streaming<v1::ChatResponse>,
    /// The welcome, once there was a hello.
    pub welcome: v1::Welcome,
}

impl Chatter {
    /// Opens a stream and says nothing yet.
    pub async fn silent(mut client: RoomServiceClient<Channel>) -> Self {
        let (up, requests) = mpsc::channel(256);
        let down = soon(client.chat(ReceiverStream::new(requests))).await.expect("it is answered at once");
        Self { up, down: down.into_inner(), welcome: v1::Welcome::default() }
    }

    /// Says hello under that name.
    pub async fn open(house: &House, name: &str) -> Self {
        Self::open_with(house, v1::Hello { name: Some(name.to_owned()), ..v1::Hello::default() }).await
    }

    /// Says that hello.
    pub async fn open_with(house: &House, hello: v1::Hello) -> Self {
        let mut chatter = Self::silent(house.client().await).await;
        chatter.says("", Up::Hello(hello)).await;
        chatter.welcome =
            chatter.until(|_, frame| if let Down::Welcome(w) = frame { Some(w.clone()) } else { None }).await;
        chatter
    }

    pub async fn says(&self, id: &str, frame: Up) {
        let request = v1::ChatRequest { id: id.to_owned(), frame: Some(frame) };
        soon(self.up.send(request)).await.expect("the stream is open");
    }

    /// Sends a frame of a kind that nobody knows yet.
    pub async fn says_nothing(&self, id: &str) {
        let request = v1::ChatRequest { id: id.to_owned(), frame: None };
        soon(self.up.send(request)).await.expect("the stream is open");
    }

    pub async fn asks_to_join(&self, room: &str, cursor: Option<&str>) {
        let join =
            v1::Join { room: room.to_owned(), cursor: cursor.map(str::to_owned), ..v1::Join::default() };
        self.says("join", Up::Join(join)).await;
    }

    pub async fn joins(&mut self, room: &str, cursor: Option<&str>) -> v1::Joined {
        self.asks_to_join(room, cursor).await;
        self.until(|_, frame| if let Down::Joined(joined) = frame { Some(joined.clone()) } else { None })
            .await
    }

    pub async fn posts(&self, id: &str, room: &str, content: &str, key: Option<&str>) {
        let post = v1::Post {
            room: room.to_owned(),
            content: content.to_owned(),
            client_message_id: key.map(str::to_owned),
            reply_to: None,
        };
        self.says(id, Up::Message(post)).await;
    }

    /// The next frame, with the id it answers.
    pub async fn next(&mut self) -> Result<Option<(String, Down)>, Status> {
        let response = soon(self.down.message()).await?;
        Ok(response.map(|response| (response.id, response.frame.expect("a known frame"))))
    }

    /// The first frame that answers; those before it are dropped.
    pub async fn until<T>(&mut self, mut wanted: impl FnMut(&str, &Down) -> Option<T>) -> T {
        loop {
            let (id, frame) = self.next().await.expect("the stream goes on").expect("the stream goes on");
            if let Some(found) = wanted(&id, &frame) {
                return found;
            }
        }
    }

    /// The answer to the request of that id.
    pub async fn answer(&mut self, id: &str) -> Down {
        self.until(|answered, frame| (answered == id).then(|| frame.clone())).await
    }

    /// The code and the field of the refusal of the request of that id.
    pub async fn refusal(&mut self, id: &str) -> (String, String) {
        match self.answer(id).await {
            Down::Error(error) => (error.code, error.field.unwrap_or_default()),
            frame => panic!("{frame:?}"),
        }
    }

    /// The next message: its seq and text.
    pub async fn hears(&mut self) -> (u64, String) {
        self.until(|_, frame| {
            let Down::Event(event) = frame else { return None };
            let Some(v1::event::Kind::Message(posted)) = &event.kind else { return None };
            Some((event.seq, posted.data.as_ref().expect("a message").content.clone()))
        })
        .await
    }

    /// How the stream ends, whatever comes before; `None` for an end that is well.
    pub async fn end(&mut self) -> Option<Status> {
        loop {
            match self.next().await {
                Ok(Some(_)) => {}
                Ok(None) => return None,
                Err(status) => return Some(status),
            }
        }
    }

    /// Says that nothing more is to come; the stream may still be read.
    pub fn finishes(self) -> Finished {
        drop(self.up);
        Finished(self.down)
    }
}

/// One who has finished speaking.
pub struct Finished(Streaming<v1::ChatResponse>);

impl Finished {
    /// All that still comes.
    pub async fn rest(mut self) -> Result<HashMap<String, Down>, Status> {
        let mut answers = HashMap::new();
        while let Some(response) = soon(self.0.message()).await? {
            answers.extend(response.frame.map(|frame| (response.id, frame)));
        }
        Ok(answers)
    }
}
