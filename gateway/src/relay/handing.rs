//! Handing events to those who only wait for them.
//!
//! Owns the ready bytes of what many readers of a room lack alike, and the turn in which each is handed them. Promises that
//! a run of events is made into bytes once, that a session which leaves meanwhile is handed nothing more, and that whoever
//! needs more than that is woken instead (P3, P8). Never waits for a connection.

use std::{collections::VecDeque, sync::Arc, time::Instant};

use bytes::{Bytes, BytesMut};
use metrics::Counter;
use parlour_feed::{Cursor, Entry, Ring, Weigh as _};
use parlour_proto::v1 as proto;

use super::{
    event::{Form, RoomEvent},
    inbox::Wake,
    room::Room,
};
use crate::metrics::DELIVERIES;

/// How many are handed something before other tasks have their turn.
const TOGETHER: usize = 64;
/// How many events, and bytes of them, are handed over at once; who lacks more takes it by itself.
const EVENTS: usize = 64;
const BYTES: usize = 64 * 1024;
/// How many runs are kept while some are handed one and some another.
const RUNS: usize = 4;

/// A run of events that readers lack alike.
#[derive(Debug)]
struct Run {
    form: Form,
    from: Cursor,
    to: Cursor,
    entries: Vec<Entry<Arc<RoomEvent>>>,
    /// How many frames it is, and the frames.
    ready: Option<(u64, Bytes)>,
}

/// One room's way of handing out its events.
pub(super) struct Handing {
    runs: VecDeque<Run>,
    deliveries: Counter,
}

impl Handing {
    /// Nothing has been handed out yet.
    pub(super) fn new() -> Self {
        Self { runs: VecDeque::new(), deliveries: metrics::counter!(DELIVERIES) }
    }

    /// Hands each what it lacks, or wakes it.
    pub(super) async fn hand(&mut self, room: &Room, waiting: Vec<Arc<Wake>>) {
        let mut frames = 0;
        // Whoever has an answer to write writes both at once: one call of the system less, in a small room.
        let is_small = waiting.len() <= TOGETHER;
        for (nth, some) in waiting.chunks(TOGETHER).enumerate() {
            if nth > 0 {
                tokio::task::yield_now().await;
            }
            let now = super::now();
            for wake in some {
                let writes_anyway = is_small && wake.inbox().has_told();
                if writes_anyway || !self.has_handed(room, wake, now, &mut frames) {
                    wake.wake();
                }
            }
        }
        self.deliveries.increment(frames);
        self.runs.clear(); // the ring holds the events; the next lack others
    }

    fn has_handed(&mut self, room: &Room, wake: &Wake, now: Instant, handed: &mut u64) -> bool {
        let Some((reader, direct)) = wake.direct() else { return false };
        let mut count = 0;
        let has_all = direct.outlet.hand(&mut || {
            let mut found = None;
            let is_all = room.look(|feed| {
                feed.catch_up(reader, now, |from, ring| {
                    found = self.run(direct.form, from, ring);
                    found.is_some()
                })
            });
            let frames;
            (count, frames) = found.map(|run| self.runs[run].ready(direct.make)).unwrap_or_default();
            is_all.then_some(frames)
        });
        *handed += count;
        has_all
    }

    /// Finds or makes the run from there to the ring's end; `None`: it is too long.
    fn run(&mut self, form: Form, from: Cursor, ring: &Ring<Arc<RoomEvent>>) -> Option<usize> {
        let is_it = |run: &Run| (run.form, run.from, run.to) == (form, from, ring.end());
        if let Some(known) = self.runs.iter().rposition(is_it) {
            return Some(known);
        }
        let entries: Vec<_> = ring.after(from.seq).take(EVENTS + 1).cloned().collect();
        let bytes: usize = entries.iter().map(|entry| entry.event.bytes()).sum();
        if entries.len() > EVENTS || (entries.len() > 1 && bytes > BYTES) {
            return None;
        }
        if self.runs.len() == RUNS {
            self.runs.pop_front();
        }
        self.runs.push_back(Run { form, from, to: ring.end(), entries, ready: None });
        Some(self.runs.len() - 1)
    }
}

impl Run {
    fn ready(&mut self, make: fn(&proto::Event) -> Option<Bytes>) -> (u64, Bytes) {
        let Self { form, entries, ready, .. } = self;
        ready
            .get_or_insert_with(|| {
                let events = entries.drain(..).map(|entry| entry.event);
                let frames: Vec<_> =
                    events.filter_map(|event| event.frames.get(*form, || make(&event.event))).collect();
                (frames.len() as u64, joined(frames))
            })
            .clone()
    }
}

/// The frames as one.
fn joined(mut frames: Vec<Bytes>) -> Bytes {
    if frames.len() == 1 {
        return frames.remove(0);
    }
    let mut all = BytesMut::with_capacity(frames.iter().map(Bytes::len).sum());
    frames.iter().for_each(|frame| all.extend_from_slice(frame));
    all.freeze()
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use parlour_feed::{Budget, ReaderId, Step};

    use super::*;
    use crate::{
        limits::Limits,
        relay::{
            audience::Start,
            inbox::{Direct, Inbox, Outlet, Told},
            room::RoomFrame,
        },
    };

    #[derive(Debug, Default)]
    struct Line(Mutex<Vec<Bytes>>);

    impl Outlet for Line {
        fn hand(&self, take: &mut dyn FnMut() -> Option<Bytes>) -> bool {
            take().map(|bytes| self.0.lock().unwrap().push(bytes)).is_some()
        }
    }

    struct Reader {
        inbox: Arc<Inbox>,
        wake: Arc<Wake>,
        line: Arc<Line>,
    }

    impl Reader {
        fn join(room: &Room) -> Self {
            let inbox = Arc::<Inbox>::default();
            let wake = Wake::new(Arc::clone(&inbox), Arc::clone(room.name()), [1; 16]);
            room.look(|feed| feed.join(None, Arc::clone(&wake)));
            Self { inbox, wake, line: Arc::default() }
        }

        /// Its session says `joined`, takes what there is, and waits.
        fn settles(&self, room: &Room) {
            let make = |event: &proto::Event| Some(format!("<{}>", event.seq).into());
            let outlet = Arc::clone(&self.line) as _;
            self.wake.be_direct(Direct { outlet, form: Form::Full, make });
            let id = self.id();
            let all = Budget { events: 10, bytes: 10_000 };
            let step = || room.look(|feed| feed.step(id, all, crate::relay::now(), &mut Vec::new()));
            while self.was_woken() || step() != Step::Nothing {}
        }

        fn id(&self) -> ReaderId {
            self.wake.direct().unwrap().0
        }

        fn was_woken(&self) -> bool {
            self.inbox.next_room().is_some()
        }

        fn was_handed(&self) -> Vec<Bytes> {
            std::mem::take(&mut *self.line.0.lock().unwrap())
        }
    }

    fn room() -> Arc<Room> {
        let room = Room::new("general".into(), &Limits::default(), 1);
        let (info, presence) = Default::default();
        let start = Start { info, position: "00000000:0".parse().unwrap(), presence, settling: false };
        room.look(|feed| feed.start(start, crate::relay::now()));
        room
    }

    fn happens(room: &Room, seqs: std::ops::RangeInclusive<u64>) {
        let event = |seq| proto::Event { seq, cursor: format!("{seq:08x}:{seq}"), ..Default::default() };
        let prev = u32::try_from(seqs.start() - 1).unwrap();
        let events = proto::RoomEvents { room: "general".into(), prev, events: seqs.map(event).collect() };
        room.take(RoomFrame::Events(events), crate::relay::now());
    }

    async fn drive(room: &Room, handing: &mut Handing) {
        let waiting = room.look(|feed| feed.take_waiting());
        handing.hand(room, waiting).await;
    }

    #[tokio::test]
    async fn p3_nobody_is_handed_anything_before_its_joined_stands_or_after_it_has_left() {
        let (room, mut handing) = (room(), Handing::new());
        let reader = Reader::join(&room);
        happens(&room, 1..=2);
        drive(&room, &mut handing).await;
        assert!(reader.was_woken() && reader.was_handed().is_empty(), "its session says `joined` first");
        reader.settles(&room);
        happens(&room, 3..=4);
        happens(&room, 5..=5);
        drive(&room, &mut handing).await;
        assert_eq!((reader.was_handed(), reader.was_woken()), (vec!["<3><4><5>".into()], false));
        happens(&room, 6..=6);
        room.look(|feed| feed.leave(reader.id()));
        drive(&room, &mut handing).await;
        assert_eq!(reader.was_handed().concat(), b"");
    }

    #[tokio::test]
    async fn whoever_has_an_answer_to_write_is_woken_and_writes_the_event_behind_it() {
        let (room, mut handing) = (room(), Handing::new());
        let reader = Reader::join(&room);
        reader.settles(&room);
        reader.inbox.tell(Told::Posted(1, Ok(proto::Ack::default())));
        happens(&room, 1..=1);
        drive(&room, &mut handing).await;
        assert_eq!((reader.was_handed().len(), reader.was_woken()), (0, true));
        assert!(reader.inbox.next_told().is_some());
        reader.settles(&room);
        happens(&room, 2..=2);
        drive(&room, &mut handing).await;
        assert_eq!((reader.was_handed(), reader.was_woken()), (vec!["<2>".into()], false));
    }

    #[tokio::test]
    async fn p3_each_is_handed_what_it_lacks_itself_where_others_lack_more_or_less() {
        let (room, mut handing) = (room(), Handing::new());
        let early: Vec<_> = (0..=TOGETHER).map(|_| Reader::join(&room)).collect();
        early.iter().for_each(|reader| reader.settles(&room));
        happens(&room, 1..=2);
        let late = Reader::join(&room);
        late.settles(&room);
        happens(&room, 3..=3);
        // Another comes between two turns.
        tokio::join!(drive(&room, &mut handing), async { happens(&room, 4..=4) });
        drive(&room, &mut handing).await;
        assert!(early.iter().all(|reader| reader.was_handed().concat() == b"<1><2><3><4>"));
        assert_eq!(late.was_handed().concat(), b"<3><4>");
    }

    #[tokio::test]
    async fn what_many_lack_alike_is_made_once_and_whoever_lacks_too_much_is_woken() {
        let (room, mut handing) = (room(), Handing::new());
        let readers: Vec<_> = (0..3).map(|_| Reader::join(&room)).collect();
        readers.iter().for_each(|reader| reader.settles(&room));
        happens(&room, 1..=2);
        drive(&room, &mut handing).await;
        let handed: Vec<_> = readers.iter().flat_map(Reader::was_handed).collect();
        assert_eq!(handed, vec![Bytes::from("<1><2>"); 3]);
        assert!(handed.iter().all(|bytes| bytes.as_ptr() == handed[0].as_ptr()), "the same bytes");
        happens(&room, 3..=3 + EVENTS as u64);
        drive(&room, &mut handing).await;
        assert!(readers.iter().all(|reader| reader.was_woken() && reader.was_handed().is_empty()), "P8");
    }
}
