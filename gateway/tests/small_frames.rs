//! Many small frames that nobody reads, on the connection of those who do (P8).
//!
//! h2 ends a connection, with all its streams, once its peer has left too many small DATA frames unread: their count is
//! bounded by half the connection's window. With h2's own windows each of these tests fails.

use futures_util::{StreamExt as _, stream};
use parlour_gateway::upstream::{Target, Upstream};
use parlour_proto::v1::{
    self as proto, chat_request::Frame as Up, chat_response::Frame as Down,
    room_service_client::RoomServiceClient,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Status, Streaming, transport::Endpoint};

#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;

use house::{House, within};

const STALLED: usize = 40;
const FRAMES: usize = 2_000;

type Opened = Result<tonic::Response<Streaming<proto::ChatResponse>>, Status>;

fn request(frame: Up) -> proto::ChatRequest {
    proto::ChatRequest { id: String::new(), frame: Some(frame) }
}

/// Pings, each in a frame of its own, and then nothing more; tells when the last is on its way.
fn pings(done: mpsc::Sender<()>) -> impl futures_util::Stream<Item = proto::ChatRequest> + Send {
    let each = stream::iter(0..FRAMES).then(|_| async {
        tokio::task::yield_now().await; // what is ready together would share a frame
        request(Up::Ping(proto::Ping {}))
    });
    each.chain(stream::once(async move {
        let _ = done.send(()).await;
        std::future::pending().await
    }))
}

/// One who joins, speaks and hears itself, so often.
async fn talks<F: Future<Output = Opened>>(chat: impl FnOnce(ReceiverStream<proto::ChatRequest>) -> F) {
    let (up, requests) = mpsc::channel(4);
    let join = proto::Join { room: "general".into(), ..Default::default() };
    up.send(request(Up::Join(join))).await.expect("there is room");
    let mut down =
        within("a stream opens", chat(ReceiverStream::new(requests))).await.expect("a stream").into_inner();
    for seq in 1..=20 {
        let post = proto::Post { room: "general".into(), content: "hello".into(), ..Default::default() };
        up.send(request(Up::Message(post))).await.expect("there is room");
        within("it hears itself", async {
            loop {
                let frame = down.message().await.expect("the connection lives").expect("the stream goes on");
                if matches!(frame.frame, Some(Down::Event(event)) if event.seq == seq) {
                    return;
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_streams_whose_requests_wait_unread_do_not_end_the_connection_of_the_others() {
    let house = House::open().await;
    // The room service stops reading a stream that takes no answers: so few bytes are taken here.
    let endpoint = Endpoint::from_shared(format!("http://{}", house.room)).expect("a url");
    let endpoint = endpoint.initial_stream_window_size(1 << 10).initial_connection_window_size(16 << 20);
    let channel = endpoint.connect().await.expect("the room service is reached");
    let client = RoomServiceClient::new(channel);
    let (done_tx, mut done) = mpsc::channel(STALLED);
    let mut unread = Vec::new();
    for _ in 0..STALLED {
        let opened = client.clone().chat(pings(done_tx.clone())).await;
        unread.push(opened.expect("a stream").into_inner());
    }
    for _ in 0..STALLED {
        within("the requests are on their way", done.recv()).await;
    }
    let mut reader = RoomServiceClient::clone(&client);
    talks(|requests| async move { reader.chat(requests).await }).await;
    drop(unread);
}

#[tokio::test(flavor = "multi_thread")]
async fn p8_streams_whose_answers_wait_unread_do_not_end_the_gateways_connection() {
    let house = House::open().await;
    let url = format!("http://{}", house.room).parse().expect("a url");
    let upstream = Upstream::connect_lazy(Target::Urls(vec![url]), None, std::time::Duration::from_secs(5))
        .expect("a channel");
    let client = upstream.stream();
    let (done_tx, mut done) = mpsc::channel(STALLED);
    let mut unread = Vec::new();
    for _ in 0..STALLED {
        let opened = client.clone().chat(pings(done_tx.clone())).await;
        unread.push(opened.expect("a stream").into_inner());
    }
    for _ in 0..STALLED {
        within("the requests are on their way", done.recv()).await;
    }
    talks(|requests| async move { client.clone().chat(requests).await }).await;
    drop(unread);
}
