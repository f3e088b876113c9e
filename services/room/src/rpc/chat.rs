//! `Chat`: one stream is one session.
//!
//! Owns the stream from its first frame to its end: hello, liveness, heartbeats, and how it ends. Promises that whoever
//! vanishes is noticed, that one that takes nothing is ended and costs the others nothing (P8), and that a refusal leaves
//! the session open (P11). Never decides what a room allows.

mod frames;
mod join;
mod presence;
mod pull;
mod requests;
mod session;

use std::{sync::Arc, time::Instant};

use futures_util::StreamExt;
use metrics::counter;
use parlour_chassis::{address::Address, tasks::Tasks};
use parlour_proto::v1;
use prost::Message as _;
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use self::{frames::Response, session::Session};
use super::{
    status,
    stream::{self, Outgoing, sleep_until},
};
use crate::{
    auth::Auth,
    error::{Error, ErrorKind},
    hub::presence::Ending,
    rooms::Rooms,
};

/// Responses on their way beside a session's outbox: each may be a page.
const RESPONSES: usize = 1;

/// What a session is answered.
pub type Responses = stream::Responses<v1::ChatResponse>;

/// Opens sessions.
#[derive(Clone)]
pub struct Chats {
    rooms: Rooms,
    auth: Arc<Auth>,
    tasks: Tasks,
}

/// How a session ends.
enum End {
    /// The client finished and was answered.
    Finished,
    /// The client is gone: nobody hears why.
    Gone,
    /// The client is told why.
    Told(Status),
}

impl Chats {
    /// Sessions are tasks of `tasks`; its drain ends them.
    pub fn new(rooms: Rooms, auth: Arc<Auth>, tasks: Tasks) -> Self {
        Self { rooms, auth, tasks }
    }

    /// Serves a session. Returns at once: the hello happens inside the stream.
    ///
    /// # Errors
    /// `UNAVAILABLE` while the service drains; `RATE_LIMITED` where too many are opened from that address.
    pub fn open(
        &self,
        requests: Streaming<v1::ChatRequest>,
        from: Option<Address>,
    ) -> Result<Responses, Error> {
        let drain = self.tasks.drain().clone();
        if drain.is_cancelled() {
            return Err(Error::Busy);
        }
        self.rooms.check_stream(from)?;
        let (out, responses) = stream::outgoing(RESPONSES);
        let session = Session::new(self.rooms.clone(), Arc::clone(&self.auth), from);
        let now = Instant::now();
        let chat = Chat {
            session,
            requests,
            out,
            drain,
            heard: now,
            beat: now,
            is_draining: false,
            is_finished: false,
            end: None,
        };
        self.tasks.spawn(chat.serve());
        Ok(responses)
    }
}

/// One stream.
struct Chat {
    session: Session,
    requests: Streaming<v1::ChatRequest>,
    out: Outgoing<v1::ChatResponse>,
    drain: CancellationToken,
    /// When the client was last heard, or last not listened to.
    heard: Instant,
    /// When the last heartbeat was due.
    beat: Instant,
    is_draining: bool,
    is_finished: bool,
    /// How it ends once what waits has left.
    end: Option<End>,
}

impl Chat {
    async fn serve(mut self) {
        let end = self.run().await;
        self.session.ending = match &end {
            End::Finished => Ending::Closed,
            End::Gone => Ending::Broken,
            End::Told(_) if self.is_draining => Ending::GoingAway(self.session.rooms.settings().drain_retry),
            End::Told(_) => Ending::Broken,
        };
        let Self { session, out, .. } = self;
        drop(session); // in grace from here
        if let End::Told(status) = end {
            out.end(status);
        }
    }

    async fn run(&mut self) -> End {
        let settings = self.session.rooms.settings().clone();
        let signal = Arc::clone(&self.session.signal);
        loop {
            let has_something = self.session.has_something();
            if self.session.outbox.is_empty()
                && let Some(end) = self.end.take()
            {
                return end;
            }
            let is_ending = self.is_draining || self.is_finished || self.end.is_some();
            if is_ending && self.end.is_none() && !has_something && self.session.is_at_rest() {
                return if self.is_draining { End::Told(going_away()) } else { End::Finished };
            }
            let listens = !is_ending && self.session.listens();
            let now = Instant::now();
            self.out.note(has_something, now);
            if !listens {
                self.heard = now;
            }
            if self.session.is_overflowed {
                return slow();
            }
            let beats = self.session.is_welcomed() && !is_ending;
            let works = !self.session.work.is_empty() && !self.session.outbox.is_full();
            let presence_due = self.session.presence_due();
            tokio::select! {
                () = self.drain.cancelled(), if !self.is_draining => {
                    self.is_draining = true;
                    self.session.say_going_away();
                }
                room = self.out.room(), if has_something => {
                    let Some(room) = room else { return End::Gone };
                    self.out.moved();
                    if let Some(Response(response, turn)) = self.session.response() {
                        room.send((response, turn));
                    }
                }
                () = self.out.closed() => return End::Gone,
                Some(done) = self.session.work.next(), if works => self.session.done(done),
                request = self.requests.message(), if listens => match request {
                    Ok(Some(request)) => {
                        self.heard = Instant::now();
                        self.end = self.take(request).err();
                    }
                    Ok(None) => self.is_finished = true, // it listens until it has its answers
                    Err(_) => return End::Gone,
                },
                () = signal.marked() => self.session.take_marks(),
                () = sleep_until(presence_due) => self.session.tell_presence(),
                () = sleep_until(Some(self.beat + settings.heartbeat)), if beats => {
                    self.beat = Instant::now();
                    self.session.beat();
                }
                () = sleep_until(Some(self.heard + settings.heartbeat_lost)), if listens => return lost(),
                () = self.out.stalls(settings.stall) => {
                    return slow();
                }
            }
        }
    }

    fn take(&mut self, request: v1::ChatRequest) -> Result<(), End> {
        let was_welcomed = self.session.is_welcomed();
        let limit = self.session.rooms.settings().frame_bytes;
        if request.encoded_len() > limit {
            return Err(told(Code::ResourceExhausted, "INVALID_FRAME", "a frame is too large"));
        }
        self.session.take(request).map_err(|error| match error.kind() {
            ErrorKind::Unauthenticated => End::Told(status::from_error(&error)),
            _ => told(Code::FailedPrecondition, "PROTOCOL_MISUSE", &error.to_string()),
        })?;
        if !was_welcomed {
            self.beat = Instant::now();
        }
        Ok(())
    }
}

fn told(code: Code, reason: &str, message: &str) -> End {
    End::Told(status::ending(code, reason, message, None))
}

fn lost() -> End {
    told(Code::Unavailable, "HEARTBEAT_LOST", "nothing was heard for too long")
}

fn slow() -> End {
    counter!("parlour_room_slow_consumers_total", "stream" => "chat").increment(1);
    told(Code::Unavailable, "SLOW_CONSUMER", "nothing was taken for too long")
}

fn going_away() -> Status {
    status::ending(Code::Unavailable, "GOING_AWAY", "the service is about to stop", None)
}
