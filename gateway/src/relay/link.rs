//! The stream to the room service.
//!
//! Owns the stream's life: attach, pings, frames in and out, and another stream when it broke. Promises that a stream
//! which nobody hears for 5 s counts as broken though TCP says nothing, that the next is tried within half a second
//! over another connection, and that nothing of an older stream is taken once it was given up. Never keeps what a frame said.

use std::{sync::atomic::Ordering, time::Duration};

use parlour_chassis::backoff::Backoff;
use parlour_proto::v1 as proto;
use parlour_proto::v1::{relay_frame, relay_request::Frame};
use tokio::{sync::mpsc, time::Instant};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Streaming;

use super::{Lane, Relay, event::id_bytes, now};
use crate::limits;

/// Which of the gateway's streams: there is one.
const LANE: u32 = 0;
/// How often the room service is asked for a sign of life.
const PING: Duration = Duration::from_secs(2);
/// How long none may come.
const LOST: Duration = Duration::from_secs(5);
/// How often what is due is looked for; deadlines are seconds.
const TICK: Duration = Duration::from_millis(100);
/// How many frames wait inside the stream; the rest wait in the lane.
const IN_STREAM: usize = 256;

/// Why a stream ended.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("the gateway drains")]
    Drained,
    #[error("the room service cannot be reached: {0}")]
    Refused(tonic::Status),
    #[error("the room service ended the stream: {0}")]
    Failed(tonic::Status),
    #[error("the room service ended the stream")]
    Ended,
    #[error("the room service fell silent")]
    Silent,
}

impl Relay {
    /// Keeps a stream to the room service until `drain` is cancelled, then says what is still to be said and ends it.
    pub async fn run(&self, drain: CancellationToken) {
        tokio::select! {
            () = self.keep_stream(&drain) => {}
            () = self.keep_time() => {}
        }
        self.0.is_ready.store(false, Ordering::Relaxed);
        self.lane(Lane::broke);
    }

    async fn keep_time(&self) {
        let mut ticks = tokio::time::interval(TICK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            if self.lock().expire(now()) {
                self.0.output.notify_one();
            }
        }
    }

    async fn keep_stream(&self, drain: &CancellationToken) {
        let mut backoff = Backoff::new(limits::BACKOFF_LEAST, limits::BACKOFF_GREATEST);
        let mut generation = 0;
        while !drain.is_cancelled() {
            generation += 1;
            let mut was_attached = false;
            let broken = self.stream(generation, &mut was_attached, drain).await;
            self.0.is_ready.store(false, Ordering::Relaxed);
            self.lane(Lane::broke);
            match broken {
                Broken::Drained => return,
                broken if was_attached => {
                    tracing::warn!(generation, error = %broken, "the relay broke; opening another");
                    backoff.reset();
                }
                broken => tracing::debug!(generation, error = %broken, "no relay yet"),
            }
            tokio::select! {
                () = drain.cancelled() => return,
                () = tokio::time::sleep(backoff.next_delay()) => {}
            }
        }
    }

    async fn stream(&self, generation: u64, was_attached: &mut bool, drain: &CancellationToken) -> Broken {
        let (frames_tx, frames_rx) = mpsc::channel(IN_STREAM);
        let attach = proto::Attach { incarnation: id_bytes(&self.0.incarnation), lane: LANE, generation };
        // The first frame is in the stream before the call is awaited: a server may answer only then.
        if frames_tx.try_send(request(Frame::Attach(attach))).is_err() {
            return Broken::Ended;
        }
        let mut client = self.0.upstream.stream();
        let call = tokio::time::timeout(LOST, client.relay(ReceiverStream::new(frames_rx)));
        let responses = tokio::select! {
            () = drain.cancelled() => return Broken::Drained,
            called = call => match called {
                Ok(Ok(response)) => response.into_inner(),
                Ok(Err(status)) => return Broken::Refused(status),
                Err(_) => return Broken::Silent,
            },
        };
        let stream = Stream { relay: self, frames_tx, responses, heard: Instant::now(), was_attached };
        stream.run(drain).await
    }
}

/// One stream, while it lives.
struct Stream<'a> {
    relay: &'a Relay,
    frames_tx: mpsc::Sender<proto::RelayRequest>,
    responses: Streaming<proto::RelayResponse>,
    heard: Instant,
    was_attached: &'a mut bool,
}

impl Stream<'_> {
    async fn run(mut self, drain: &CancellationToken) -> Broken {
        let mut pings = tokio::time::interval(PING);
        let mut number = 0;
        let mut has_output = false;
        let frames_tx = self.frames_tx.clone();
        loop {
            tokio::select! {
                response = self.responses.message() => match response {
                    Ok(Some(response)) => {
                        self.heard = Instant::now();
                        response.frames.into_iter().filter_map(|frame| frame.frame).for_each(|frame| self.take(frame));
                    }
                    Ok(None) => return Broken::Ended,
                    Err(status) => return Broken::Failed(status),
                },
                _ = pings.tick() => {
                    if self.heard.elapsed() > LOST {
                        return Broken::Silent;
                    }
                    number += 1;
                    // Full: frames are going out, and the room service's silence counts all the same.
                    let _ = frames_tx.try_send(request(Frame::Ping(proto::RelayPing { number })));
                }
                () = self.relay.0.output.notified() => has_output = *self.was_attached,
                permit = frames_tx.reserve(), if has_output => match permit {
                    Ok(permit) => match self.relay.lock().next_frame() {
                        Some(frame) => permit.send(request(frame)),
                        None => has_output = false,
                    },
                    Err(_) => return Broken::Ended,
                },
                () = drain.cancelled() => break,
            }
        }
        drop(frames_tx);
        self.finish().await
    }

    /// Says what is still to be said, and ends the stream in order.
    async fn finish(self) -> Broken {
        let Self { relay, frames_tx, mut responses, .. } = self;
        let goodbye = async {
            loop {
                let Some(frame) = relay.lock().next_frame() else { break };
                if frames_tx.send(request(frame)).await.is_err() {
                    return;
                }
            }
            drop(frames_tx);
            while let Ok(Some(_)) = responses.message().await {}
        };
        // Whoever does not end the stream in time has it ended for them.
        let _ = tokio::time::timeout(PING, goodbye).await;
        Broken::Drained
    }

    fn take(&mut self, frame: relay_frame::Frame) {
        use relay_frame::Frame as Down;
        let (relay, now) = (self.relay, now());
        match &frame {
            Down::Attached(_) => {
                *self.was_attached = true;
                tracing::info!("the relay is attached");
            }
            Down::Pong(_) => return relay.echoed(),
            Down::GoingAway(_) => return tracing::info!("the room service is about to end the relay"),
            _ => {}
        }
        // The lane is not held while a room takes what is for its readers.
        for (room, frame) in relay.lane(|lane| lane.take(frame, now)) {
            room.take(frame, now);
        }
    }
}

fn request(frame: Frame) -> proto::RelayRequest {
    proto::RelayRequest { frame: Some(frame) }
}
