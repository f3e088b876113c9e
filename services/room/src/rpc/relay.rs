//! `Relay`: one stream is a gateway's, and carries many sessions.
//!
//! Owns the streams of gateways: their attaching, their liveness, their ends. Promises that each event of a room crosses
//! a stream once, that frames about a room are in one order, and that a stream that has ended leaves its sessions in
//! grace. Never decides what a session may do (the desk and its rooms do), and never holds an event for one stream alone.

pub mod desk;
mod early;
mod follow;
mod frames;
mod pull;
mod sessions;

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use futures_util::{
    StreamExt,
    future::{BoxFuture, FutureExt},
    stream::FuturesUnordered,
};
use metrics::counter;
use parlour_chassis::tasks::Tasks;
use parlour_proto::v1::{self, relay_request::Frame as Up};
use tokio_util::sync::CancellationToken;
use tonic::{Code, Status, Streaming};

use self::desk::{Desk, Done, Job};
use super::{
    status,
    stream::{self, Outgoing, sleep_until},
};
use crate::{
    auth::Auth,
    domain::ids::SessionId,
    error::Error,
    hub::presence::Owner,
    rooms::{RoomRef, Rooms},
};

/// After how long without a word a stream is taken as broken.
const SILENCE: Duration = Duration::from_secs(5);
/// Responses on their way beside a stream's outbox.
const RESPONSES: usize = 4;

/// What a relay is answered.
pub type Responses = stream::Responses<v1::RelayResponse>;

/// Opens relays.
#[derive(Clone)]
pub struct Relays {
    rooms: Rooms,
    auth: Arc<Auth>,
    tasks: Tasks,
}

/// How a stream ends.
enum End {
    /// The peer is gone: nobody hears why.
    Gone,
    /// It is told why.
    Told(Status),
}

impl Relays {
    /// Relays are tasks of `tasks`; its drain ends them.
    pub fn new(rooms: Rooms, auth: Arc<Auth>, tasks: Tasks) -> Self {
        Self { rooms, auth, tasks }
    }

    /// Serves a gateway's stream. Returns at once: the handshake happens inside the stream.
    ///
    /// # Errors
    /// `UNAVAILABLE` while the service drains.
    pub fn open(&self, requests: Streaming<v1::RelayRequest>) -> Result<Responses, Error> {
        let drain = self.tasks.drain().clone();
        if drain.is_cancelled() {
            return Err(Error::Busy);
        }
        let (out, responses) = stream::outgoing(RESPONSES);
        let (rooms, auth) = (self.rooms.clone(), Arc::clone(&self.auth));
        self.tasks.spawn(serve(rooms, auth, requests, out, drain));
        Ok(responses)
    }
}

async fn serve(
    rooms: Rooms,
    auth: Arc<Auth>,
    mut requests: Streaming<v1::RelayRequest>,
    out: Outgoing<v1::RelayResponse>,
    drain: CancellationToken,
) {
    let (owner, superseded) = match attach(&rooms, &mut requests).await {
        Ok(attached) => attached,
        Err(End::Gone) => return,
        Err(End::Told(status)) => return out.end(status),
    };
    let (incarnation, settings) = (rooms.hub().incarnation(), rooms.settings().clone());
    let desk = Desk::new(owner, incarnation, auth, settings, &rooms.hub().pools().outboxes);
    let attached = Attached { desk, rooms, owner };
    tracing::info!(relay.lane = owner.lane, relay.generation = owner.generation, "a gateway attached");
    let work = FuturesUnordered::new();
    let mut relay = Relay { attached, work, requests, out, drain, superseded, heard: Instant::now() };
    let end = relay.run().await;
    let Relay { attached, out, .. } = relay;
    drop(attached); // its sessions are in grace from here
    tracing::info!(relay.lane = owner.lane, relay.generation = owner.generation, "a gateway's stream ended");
    if let End::Told(status) = end {
        out.end(status);
    }
}

/// The first frame says whose stream it is.
async fn attach(
    rooms: &Rooms,
    requests: &mut Streaming<v1::RelayRequest>,
) -> Result<(Owner, CancellationToken), End> {
    let first = tokio::time::timeout(SILENCE, requests.message()).await.map_err(|_| silent())?;
    let frame = match first {
        Ok(Some(request)) => request.frame,
        Ok(None) | Err(_) => return Err(End::Gone),
    };
    let Some(Up::Attach(attach)) = frame else { return Err(misuse("attach comes first")) };
    let incarnation =
        SessionId::from_bytes(&attach.incarnation).ok_or_else(|| misuse("an incarnation has 16 bytes"))?;
    let owner = Owner { holder: *incarnation.as_bytes(), lane: attach.lane, generation: attach.generation };
    let superseded = rooms.hub().attach(owner).ok_or_else(superseded)?;
    Ok((owner, superseded))
}

/// A stream's book-keeping while the stream lasts.
struct Attached {
    desk: Desk,
    rooms: Rooms,
    owner: Owner,
}

impl Drop for Attached {
    /// However the stream ends.
    fn drop(&mut self) {
        self.desk.end(Instant::now());
        self.rooms.hub().detached(self.owner);
    }
}

/// One stream.
struct Relay {
    attached: Attached,
    work: FuturesUnordered<BoxFuture<'static, Done>>,
    requests: Streaming<v1::RelayRequest>,
    out: Outgoing<v1::RelayResponse>,
    drain: CancellationToken,
    superseded: CancellationToken,
    /// When the peer was last heard, or last not listened to.
    heard: Instant,
}

impl Relay {
    async fn run(&mut self) -> End {
        let stall = self.attached.rooms.settings().stall;
        let signal = Arc::clone(self.attached.desk.signal());
        let mut is_draining = false;
        loop {
            self.begin_jobs();
            let has_something = self.attached.desk.has_something();
            if is_draining && !has_something && self.work.is_empty() {
                return End::Told(going_away());
            }
            let listens = !is_draining && !self.attached.desk.is_full();
            if self.attached.desk.is_overflowed() {
                return slow();
            }
            let works = !self.work.is_empty() && !self.attached.desk.is_full();
            let now = Instant::now();
            self.out.note(has_something, now);
            if !listens {
                self.heard = now;
            }
            tokio::select! {
                () = self.superseded.cancelled() => return superseded(),
                () = self.drain.cancelled(), if !is_draining => {
                    is_draining = true;
                    self.attached.desk.say_going_away();
                }
                room = self.out.room(), if has_something => {
                    let Some(room) = room else { return End::Gone };
                    self.out.moved();
                    if let Some(response) = self.attached.desk.response(Instant::now()) {
                        room.send((response, None));
                    }
                }
                () = self.out.closed() => return End::Gone,
                Some(done) = self.work.next(), if works => self.attached.desk.done(done, Instant::now()),
                request = self.requests.message(), if listens => match request {
                    Ok(Some(request)) => {
                        self.heard = Instant::now();
                        if let Err(end) = self.take(request) {
                            return end;
                        }
                    }
                    Ok(None) | Err(_) => return End::Gone,
                },
                () = signal.marked() => self.attached.desk.take_marks(),
                () = sleep_until(Some(self.heard + SILENCE)), if listens => return silent(),
                () = self.out.stalls(stall) => {
                    return slow();
                }
            }
        }
    }

    /// Begins what the desk wants done.
    fn begin_jobs(&mut self) {
        while let Some(job) = self.attached.desk.next_job() {
            self.work.push(carry_out(self.attached.rooms.clone(), job).boxed());
        }
    }

    fn take(&mut self, request: v1::RelayRequest) -> Result<(), End> {
        match request.frame {
            Some(Up::Attach(_)) => Err(misuse("attach comes once")),
            Some(frame) => self.attached.desk.take(frame, Instant::now()).map_err(misuse),
            None => {
                self.attached.desk.count_unknown(); // a newer gateway's (P12)
                Ok(())
            }
        }
    }
}

async fn carry_out(rooms: Rooms, job: Job) -> Done {
    match job {
        Job::Load(key, name, wait) => {
            tokio::time::sleep(wait).await;
            Done::Loaded(key, rooms.hub().load(&RoomRef::Name(name)).await)
        }
        Job::Send(session, request, send) => Done::Sent(session, request, rooms.send(*send).await),
    }
}

fn misuse(what: &'static str) -> End {
    End::Told(status::from_error(&Error::ProtocolMisuse(what)))
}

fn superseded() -> End {
    misuse("a newer stream of this lane has attached")
}

fn silent() -> End {
    End::Told(status::ending(Code::Unavailable, "HEARTBEAT_LOST", "nothing was heard for too long", None))
}

fn slow() -> End {
    counter!("parlour_room_slow_consumers_total", "stream" => "relay").increment(1);
    End::Told(status::ending(Code::Unavailable, "SLOW_CONSUMER", "nothing was taken for too long", None))
}

fn going_away() -> Status {
    status::ending(Code::Unavailable, "GOING_AWAY", "the service is about to stop", None)
}
