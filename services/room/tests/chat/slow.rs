//! Sessions that take what they are given slowly, and are asked for nothing more (P3, P4, P8).

use std::{
    cell::Cell,
    time::{Duration, Instant},
};

use futures_util::{StreamExt as _, stream};
use parlour_proto::v1::{self, chat_response::Frame as Down};

use super::support::{House, SOON, chatter::Chatter};

/// How long a stream may take nothing, and what a slow reader lets pass between two messages.
const STALL: Duration = Duration::from_secs(3);
const PAUSE: Duration = Duration::from_millis(100);
/// So large that few fit in the stream's window.
const CONTENT: usize = 4_000;

async fn house(replay_events: u64) -> House {
    House::with(|settings| {
        settings.stall = STALL;
        settings.replay_events = replay_events;
        settings.ring_events = 16;
        settings.send_rate = 0.0;
    })
    .await
}

/// Has so many messages appended, many at a time.
async fn appends(house: &House, count: u64) {
    let client = house.client().await;
    let sends = stream::iter(0..count).map(|_| {
        let mut client = client.clone();
        let content = "x".repeat(CONTENT);
        let send = v1::SendMessageRequest { room: "general".into(), content, ..Default::default() };
        async move { drop(client.send_message(send).await.expect("sent")) }
    });
    tokio::time::timeout(6 * SOON, sends.buffer_unordered(64).collect::<()>()).await.expect("in time");
}

/// One in the room that may have little unread.
async fn reader(house: &House) -> Chatter {
    let mut reader = Chatter::silent(house.narrow_client().await).await;
    reader.joins("general", None).await;
    reader
}

/// The next frame that says anything of the log.
async fn next_of_log(reader: &mut Chatter) -> Down {
    let is_of_log = |frame: &Down| matches!(frame, Down::Event(_) | Down::Resync(_));
    reader.until(|_, frame| is_of_log(frame).then(|| frame.clone())).await
}

#[tokio::test]
async fn p8_who_is_merely_slow_stays_and_misses_nothing_while_fewer_than_the_replay_length_wait() {
    const WAITING: u64 = 950; // of 1,000
    let house = house(1_000).await;
    let mut slow = reader(&house).await;
    let reads = async {
        let since = Instant::now();
        for seq in 1..=WAITING {
            if since.elapsed() < 3 * STALL {
                tokio::time::sleep(PAUSE).await; // that is how slow it is
            }
            let Down::Event(event) = next_of_log(&mut slow).await else { panic!("resync after {seq}") };
            assert_eq!(event.seq, seq);
        }
    };
    tokio::join!(appends(&house, WAITING), reads);
    house.close().await;
}

#[tokio::test]
async fn p4_who_is_so_slow_that_more_than_the_replay_length_wait_is_told_resync_and_stays() {
    const REPLAY: u64 = 100;
    const APPENDED: u64 = 2_000;
    let house = house(REPLAY).await;
    let mut slow = reader(&house).await;
    let is_appended = Cell::new(false);
    let appending = async {
        appends(&house, APPENDED).await;
        is_appended.set(true);
    };
    let reads = async {
        let (mut last, mut resyncs) = (0, 0);
        while last < APPENDED {
            if !is_appended.get() {
                tokio::time::sleep(PAUSE).await; // that is how slow it is
            }
            match next_of_log(&mut slow).await {
                Down::Event(event) => {
                    assert_eq!(event.seq, last + 1, "each once and in order");
                    last = event.seq;
                }
                Down::Resync(resync) => {
                    assert_eq!(resync.reason, "TOO_FAR");
                    let seq = resync.cursor.split_once(':').and_then(|(_, seq)| seq.parse::<u64>().ok());
                    let missed = seq.expect("a cursor") - last;
                    assert!(missed > REPLAY, "told to reload though only {missed} waited");
                    (last, resyncs) = (last + missed, resyncs + 1);
                }
                frame => panic!("{frame:?}"),
            }
        }
        resyncs
    };
    let ((), resyncs) = tokio::join!(appending, reads);
    assert!(resyncs > 0, "so much waited that it cannot be given");
    appends(&house, 1).await;
    assert_eq!(slow.hears().await.0, APPENDED + 1, "and it is live");
    house.close().await;
}
