//! The way of an event, a stage at a time, as often as one likes: what `deploy/counts` counts the instructions of.
//!
//! Owns the inputs of the stages. Promises that each stage is the product's own code, and that a run does the same beside
//! its stage however many events it is of, so that two runs differ by the stage alone. Never measures.

use std::{
    error::Error,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use clap::{Parser, ValueEnum};
use parlour_chassis::tasks::Tasks;
use parlour_feed::{Budget, Pools, Step};
use parlour_gateway::{
    limits::Limits,
    relay::{
        Room,
        event::Form,
        inbox::{Direct, Inbox, Outlet, Wake},
        room::RoomFrame,
    },
    upstream::{Target, Upstream},
    ws::frame,
};
use parlour_proto::v1::{self as proto, relay_frame::Frame as Down, relay_request::Frame as Up};
use parlour_room::{
    auth::Auth,
    domain::{
        event::{Body, Draft},
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, RoomName, Visibility},
    },
    hub::{live::Live, presence::Owner, room::LiveRoom},
    rooms::Settings,
    rpc::relay::desk::{Desk, Done, Job},
    store::{AnyStore, Appended, GuestKey, Options, Store as _},
};
use parlour_simulation::store::Store;
use prost::Message as _;

/// What the services allocate with.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// How many events the inputs are of.
const ALL: usize = 2_000;
/// How many hear an event.
const READERS: usize = 1_000;

#[derive(Parser)]
struct Args {
    stage: Stage,
    /// Of how many events.
    events: usize,
}

#[derive(Clone, Copy, ValueEnum)]
enum Stage {
    /// A draft becomes a row of the log, in a commit of its own.
    Append,
    /// The same, a hundred in a commit.
    AppendMany,
    /// What is committed goes through its live room to a gateway's stream.
    Publish,
    /// What the stream carries becomes bytes.
    Encode,
    /// The gateway reads them.
    Decode,
    /// The event goes into the ring of the gateway's room.
    Take,
    /// It becomes a browser's frame.
    Frame,
    /// It is handed to a thousand who wait for it, as far as their sockets.
    Deliver,
}

fn main() -> Result<(), Box<dyn Error>> {
    let Args { stage, events } = Args::parse();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    match stage {
        Stage::Append => runtime.block_on(append(events, 1))?,
        Stage::AppendMany => runtime.block_on(append(events, 100))?,
        Stage::Publish => drop(publish(events)),
        Stage::Encode => drop(encode(&publish(ALL)[..events])),
        Stage::Decode => drop(decode(&encode(&publish(ALL))[..events])),
        Stage::Take => {
            let gateways = gateways_room();
            publish(ALL).into_iter().take(events).for_each(|response| take(&gateways, response));
        }
        Stage::Frame => publish(ALL)[..events].iter().for_each(frame),
        Stage::Deliver => runtime.block_on(deliver(publish(ALL), events))?,
    }
    Ok(())
}

/// What somebody says in the room of that id, the nth time.
fn draft(room: &RoomId, nth: usize) -> Draft {
    Draft {
        room: room.clone(),
        actor: User { id: UserId::new("guest_7fq2m4xkd3"), name: DisplayName::guest(), guest: true },
        key: RequestKey::stored(&format!("0192f3c4-7d1e-7a52-9c31-{nth:012}")),
        key_is_clients: true,
        body: Body::Message {
            content: "Has anybody seen the lighthouse keeper today?".to_owned(),
            reply_to: None,
        },
    }
}

async fn append(events: usize, batch: usize) -> Result<(), Box<dyn Error>> {
    let folder = tempfile::tempdir()?;
    let url = format!("sqlite:{}", folder.path().join("parlour.db").display());
    let store = AnyStore::open(&url, Options { connections: 1 }).await?;
    let room = NewRoom {
        name: RoomName::parse("general")?,
        title: "General".to_owned(),
        topic: String::new(),
        visibility: Visibility::Public,
        created_by: UserId::new("system"),
        request_key: String::new(),
    };
    let room = store.create_room(&room).await?.0.id;
    let drafts: Vec<_> = (0..ALL).map(|nth| draft(&room, nth)).collect();
    for batch in drafts[..events].chunks(batch) {
        store.append(batch).await?;
    }
    store.close().await;
    Ok(())
}

/// Gives a gateway that follows the room each event, in a response of its own.
fn publish(events: usize) -> Vec<proto::RelayResponse> {
    let (now, settings, pools) = (Instant::now(), Settings::default(), Pools::default());
    let mut store = Store::new();
    let live = Live::new(store.room(0), &settings, now, 1, now).within(&pools);
    let live = Arc::new(LiveRoom::new(live, pools.rings.clone()));
    let mut desk = following(&live, &settings, &pools, now);
    let log: Vec<_> = (0..ALL).map(|nth| store.append(0, draft(&live.place.id, nth))).collect();
    let mut responses = Vec::with_capacity(ALL);
    for appended in log.into_iter().take(events) {
        let Appended::New { event, prev } = appended else { panic!("each has a key of its own") };
        live.with(|live, now| live.appended(prev, event, now));
        desk.take_marks();
        responses.push(desk.response(Instant::now()).expect("an event"));
    }
    responses
}

/// The desk of a gateway that follows the room and has been told so.
fn following(live: &Arc<LiveRoom>, settings: &Settings, pools: &Pools, now: Instant) -> Desk {
    let auth = Arc::new(Auth::new(&[GuestKey { id: 1, secret: [7; 32] }], None, true));
    let owner = Owner { holder: [1; 16], lane: 0, generation: 1 };
    let mut desk = Desk::new(owner, [2; 16], auth, settings.clone(), &pools.outboxes);
    let follow = proto::Follow { room: live.place.name.to_string(), ..Default::default() };
    desk.take(Up::Follow(follow), now).expect("it may follow");
    let Some(Job::Load(key, ..)) = desk.next_job() else { panic!("the room is to be loaded") };
    desk.done(Done::Loaded(key, Ok(Arc::clone(live))), now);
    desk.take_marks();
    while desk.response(now).is_some() {}
    desk
}

fn encode(responses: &[proto::RelayResponse]) -> Vec<Bytes> {
    responses.iter().map(|response| response.encode_to_vec().into()).collect()
}

fn decode(responses: &[Bytes]) -> Vec<proto::RelayResponse> {
    let decode = |bytes: &Bytes| proto::RelayResponse::decode(bytes.clone()).expect("a response");
    responses.iter().map(decode).collect()
}

/// The same room at a gateway.
fn gateways_room() -> Arc<Room> {
    let room = Room::new("general".into(), &Limits::default(), 1);
    let (info, presence) = (Some(proto::RoomInfo::default()), Some(proto::RoomPresence::default()));
    let (name, position) = ("general".to_owned(), Store::new().head(0).to_string());
    let following = proto::Following { room: name, info, position, presence };
    room.take(RoomFrame::Following(following), Instant::now());
    room
}

fn take(room: &Room, response: proto::RelayResponse) {
    for frame in response.frames {
        let Some(Down::Events(events)) = frame.frame else { panic!("events") };
        room.take(RoomFrame::Events(events), Instant::now());
    }
}

fn full_event(event: &proto::Event) -> Option<Bytes> {
    Some(frame::event(event).wire().clone())
}

fn frame(response: &proto::RelayResponse) {
    for frame in &response.frames {
        let Some(Down::Events(events)) = &frame.frame else { panic!("events") };
        events.events.iter().for_each(|event| drop(full_event(event)));
    }
}

/// Where a socket would be.
#[derive(Debug)]
struct Counting(Arc<AtomicU64>);

impl Outlet for Counting {
    fn hand(&self, take: &mut dyn FnMut() -> Option<Bytes>) -> bool {
        let has_some = take().is_some();
        self.0.fetch_add(u64::from(has_some), Ordering::Relaxed);
        has_some
    }
}

async fn deliver(responses: Vec<proto::RelayResponse>, events: usize) -> Result<(), Box<dyn Error>> {
    let (room, tasks) = (gateways_room(), Tasks::new());
    let nobody = Target::Urls(vec!["http://127.0.0.1:1".parse()?]);
    let upstream = Upstream::connect_lazy(nobody, None, Duration::from_secs(5))?;
    let handed = Arc::<AtomicU64>::default();
    for _ in 0..READERS {
        let wake = Wake::new(Arc::<Inbox>::default(), Arc::clone(room.name()), [1; 16]);
        let reader = room.look(|feed| feed.join(None, Arc::clone(&wake))).ok_or("it is not followed")?;
        let outlet = Arc::new(Counting(Arc::clone(&handed)));
        wake.be_direct(Direct { outlet, form: Form::Full, make: full_event });
        let budget = Budget { events: 1, bytes: 1 };
        while room.look(|feed| feed.step(reader, budget, Instant::now(), &mut Vec::new())) != Step::Nothing {}
    }
    tasks.spawn(Arc::clone(&room).drive(upstream, || ()));
    for (nth, response) in (1..).zip(responses.into_iter().take(events)) {
        take(&room, response);
        while handed.load(Ordering::Relaxed) < nth * READERS as u64 {
            tokio::task::yield_now().await;
        }
    }
    room.end();
    Ok(())
}
