//! Group commit.
//!
//! Owns the queues in front of the store. Promises that what waits goes as one transaction, and where that is too much,
//! room by room, that a lone draft waits for nobody, that an event is published after its commit and before its answer,
//! in seq order a room (P1, P2), that a full queue refuses (P8), and that a proof of a writer goes through its queue and
//! a commit (P13). Never reads the log and never repeats a batch: the store does.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    sync::Arc,
    time::Instant,
};

use metrics::{Counter, Histogram, counter, histogram};
use parlour_chassis::tasks::Tasks;
use parlour_feed::cursor::Cursor;
use tokio::sync::{mpsc, oneshot};
use tokio_util::sync::CancellationToken;

use super::{Appended, Store, StoreError};
use crate::domain::{
    event::{Body, Draft, Event},
    ids::RoomId,
};

/// How many drafts wait for one writer; the next is refused.
pub const QUEUE_DRAFTS: usize = 4_096;
/// How many drafts go as one transaction.
pub const BATCH_DRAFTS: usize = 256;
/// Among how many that is chosen, beside those of the queue. No others are looked at before these have gone, so however
/// much comes for other rooms, a draft waits for four commits at most from when it is one of them.
pub const AHEAD_DRAFTS: usize = 1_024;

/// Who is told what was committed. Called from the writer's task: it must be quick and never wait.
pub trait Published: Send + Sync + 'static {
    /// `event` is the newest event of `room` that this writer appended, committed just now; `prev` is the cursor of the
    /// event before it. In seq order a room.
    fn appended(&self, room: &RoomId, prev: Cursor, event: &Arc<Event>);

    /// The log of `room` has an event at `at`, which this process may not have been told of: a repeat was answered with
    /// it. (Where the first attempt was committed and its answer lost, nobody was told.) To a Follower it is a head.
    fn reached(&self, room: &RoomId, at: Cursor);
}

/// What appends for everyone. Clones are handles to the same queues.
#[derive(Clone, Debug)]
pub struct Writer {
    lanes: Arc<[mpsc::Sender<Job>]>,
}

/// An answer that is under way. Dropping it does not take the draft back.
#[derive(Debug)]
pub struct Pending(oneshot::Receiver<Result<Appended, StoreError>>);

/// What waits in a writer's queue.
#[derive(Debug)]
enum Job {
    Append(Waiting),
    Prove(oneshot::Sender<Result<(), StoreError>>),
}

#[derive(Debug)]
struct Waiting {
    draft: Draft,
    since: Instant,
    answer_tx: oneshot::Sender<Result<Appended, StoreError>>,
}

/// Whom to answer, for a draft of which room, waiting since when.
type Sender = (RoomId, Instant, oneshot::Sender<Result<Appended, StoreError>>);

struct Lane<S, P> {
    number: usize,
    store: Arc<S>,
    published: Arc<P>,
    inbox: mpsc::Receiver<Job>,
    drain: CancellationToken,
    messages: Counter,
    duration: Histogram,
}

impl Writer {
    /// Starts the writers in front of `store`. When `tasks` drains they commit what waits, refuse what comes later, and
    /// end: so give them a set of their own that is finished after all who send.
    pub fn spawn<S: Store, P: Published>(store: &Arc<S>, published: &Arc<P>, tasks: &Tasks) -> Self {
        let lanes = (0..store.writers().max(1)).map(|number| {
            let (inbox_tx, inbox) = mpsc::channel(QUEUE_DRAFTS);
            let lane = Lane {
                number,
                store: Arc::clone(store),
                published: Arc::clone(published),
                inbox,
                drain: tasks.drain().clone(),
                messages: counter!("parlour_room_messages_appended_total"),
                duration: histogram!("parlour_room_append_duration_seconds"),
            };
            tasks.spawn(lane.run());
            inbox_tx
        });
        Self { lanes: lanes.collect() }
    }

    /// Puts `draft` in its room's queue, now: drafts of one room are applied in the order of these calls.
    ///
    /// # Errors
    /// `Unavailable` where the queue is full or the writer has ended.
    pub fn submit(&self, draft: Draft) -> Result<Pending, StoreError> {
        let (answer_tx, answer) = oneshot::channel();
        let lane = self.lane(&draft.room);
        lane.try_send(Job::Append(Waiting { draft, since: Instant::now(), answer_tx })).map_err(
            |refused| {
                StoreError::Unavailable(match refused {
                    mpsc::error::TrySendError::Full(_) => "too many drafts wait to be written".into(),
                    mpsc::error::TrySendError::Closed(_) => "the writer has ended".into(),
                })
            },
        )?;
        Ok(Pending(answer))
    }

    /// Appends `draft`: [`Self::submit`], then the answer. Never answers `Held`.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not have been appended, and may be sent again with the same key.
    pub async fn append(&self, draft: Draft) -> Result<Appended, StoreError> {
        self.submit(draft)?.answer().await
    }

    /// How many writers there are, numbered from 0.
    pub fn count(&self) -> usize {
        self.lanes.len()
    }

    /// Proves that the writer of that number commits: by a row of its own, after all that waits before it in its queue.
    /// Where the queue is full the proof waits for its place.
    ///
    /// # Errors
    /// `Unavailable` where it did not commit, or has ended.
    pub async fn prove(&self, number: usize) -> Result<(), StoreError> {
        let ended = || StoreError::Unavailable("the writer has ended".into());
        let (answer_tx, answer) = oneshot::channel();
        let lane = self.lanes.get(number).ok_or_else(ended)?;
        lane.send(Job::Prove(answer_tx)).await.map_err(|_| ended())?;
        answer.await.unwrap_or_else(|_| Err(ended()))
    }

    fn lane(&self, room: &RoomId) -> &mpsc::Sender<Job> {
        let mut hasher = DefaultHasher::new();
        room.hash(&mut hasher);
        let index = hasher.finish() % self.lanes.len() as u64;
        &self.lanes[index as usize]
    }
}

impl Pending {
    /// Waits for the answer. Never `Held`.
    ///
    /// # Errors
    /// `Unavailable`: it may or may not have been appended, and may be sent again with the same key.
    pub async fn answer(self) -> Result<Appended, StoreError> {
        self.0
            .await
            .unwrap_or_else(|_| Err(StoreError::Unavailable("the writer ended before it answered".into())))
    }
}

impl<S: Store, P: Published> Lane<S, P> {
    async fn run(mut self) {
        let mut waiting = Vec::new();
        let drain = self.drain.clone();
        loop {
            if waiting.is_empty() {
                let taken = tokio::select! {
                    biased; // a busy queue must not outlive the drain
                    () = drain.cancelled(), if !self.inbox.is_closed() => {
                        self.inbox.close();
                        continue;
                    }
                    taken = self.inbox.recv_many(&mut waiting, AHEAD_DRAFTS) => taken,
                };
                if taken == 0 {
                    break; // closed and empty
                }
            } else if drain.is_cancelled() {
                self.inbox.close(); // closing twice does no harm
            }
            // The last of them leave room for more, which goes with them.
            while waiting.len() < BATCH_DRAFTS
                && let Ok(job) = self.inbox.try_recv()
            {
                waiting.push(job);
            }
            self.commit(take_batch(&mut waiting)).await;
        }
    }

    /// Commits the drafts of a batch, then the proof of it: one that fails is not followed by another wait.
    async fn commit(&mut self, batch: Vec<Job>) {
        let mut drafts = Vec::with_capacity(batch.len());
        let mut senders = Vec::with_capacity(batch.len());
        let mut proofs = Vec::new();
        for job in batch {
            match job {
                Job::Append(Waiting { draft, since, answer_tx }) => {
                    senders.push((draft.room.clone(), since, answer_tx));
                    drafts.push(draft);
                }
                Job::Prove(answer_tx) => proofs.push(answer_tx),
            }
        }
        proofs.retain(|answer_tx| !answer_tx.is_closed());
        let mut done = if drafts.is_empty() { Ok(()) } else { self.append(drafts, senders).await };
        if done.is_ok() && !proofs.is_empty() {
            done = self.store.prove(self.number).await;
        }
        for answer_tx in proofs {
            let _ = answer_tx.send(done.clone()); // whoever asked may have gone
        }
    }

    async fn append(&self, drafts: Vec<Draft>, senders: Vec<Sender>) -> Result<(), StoreError> {
        match self.store.append(&drafts).await {
            Ok(answers) => {
                debug_assert_eq!(answers.len(), drafts.len(), "an answer a draft");
                for ((room, since, answer_tx), appended) in senders.into_iter().zip(answers) {
                    self.duration.record(since.elapsed());
                    let answer = self.publish(&room, appended);
                    let _ = answer_tx.send(answer); // whoever asked may have gone
                }
                Ok(())
            }
            Err(error) => {
                tracing::warn!(%error, drafts = drafts.len(), "a batch was not appended");
                for (_, _, answer_tx) in senders {
                    let _ = answer_tx.send(Err(error.clone()));
                }
                Err(error)
            }
        }
    }

    fn publish(&self, room: &RoomId, appended: Appended) -> Result<Appended, StoreError> {
        match &appended {
            Appended::New { event, prev } => {
                if matches!(event.body, Body::Message { .. }) {
                    self.messages.increment(1);
                }
                self.published.appended(room, *prev, event);
            }
            Appended::Repeat(event) => self.published.reached(room, event.cursor(room)),
            Appended::Held => return Err(StoreError::Unavailable("the room is busy elsewhere".into())),
            Appended::Archived | Appended::Missing | Appended::Refused => {}
        }
        Ok(appended)
    }
}

/// Takes what goes as one transaction. Where more waits, it is all of the room whose turn it is, then of the next: few
/// rooms' pages are written, and what each room's readers are given comes at once. A proof stays behind all before it.
fn take_batch(waiting: &mut Vec<Job>) -> Vec<Job> {
    if waiting.len() <= BATCH_DRAFTS {
        return std::mem::take(waiting);
    }
    let mut rooms = HashMap::new();
    for job in waiting.iter() {
        if let Job::Append(Waiting { draft, .. }) = job {
            let turn = rooms.len();
            rooms.entry(draft.room.clone()).or_insert((turn, 0)).1 += 1;
        }
    }
    let mut turns: Vec<_> = rooms.values_mut().collect();
    turns.sort_unstable();
    let mut left = BATCH_DRAFTS;
    for (_, count) in turns {
        *count = left.min(*count);
        left -= *count;
    }
    let (mut batch, mut rest) = (Vec::with_capacity(BATCH_DRAFTS), Vec::with_capacity(waiting.len()));
    for job in waiting.drain(..) {
        let goes = match &job {
            Job::Append(Waiting { draft, .. }) => match rooms.get_mut(&draft.room) {
                Some((_, count)) if *count > 0 => {
                    *count -= 1;
                    true
                }
                _ => false,
            },
            Job::Prove(_) => rest.is_empty(),
        };
        if goes { &mut batch } else { &mut rest }.push(job);
    }
    *waiting = rest;
    batch
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::domain::{
        ids::UserId,
        message::{DisplayName, RequestKey, User},
    };

    fn draft(room: &RoomId, number: usize) -> Job {
        let actor = User { id: UserId::new("ada"), name: DisplayName::stored("Ada"), guest: true };
        let key = RequestKey::stored(&number.to_string());
        let body = Body::Message { content: "hello".to_owned(), reply_to: None };
        let draft = Draft { room: room.clone(), actor, key, key_is_clients: false, body };
        Job::Append(Waiting { draft, since: Instant::now(), answer_tx: oneshot::channel().0 })
    }

    fn said(jobs: &[Job]) -> Vec<(RoomId, usize)> {
        let said = |job: &Job| match job {
            Job::Append(Waiting { draft, .. }) => {
                Some((draft.room.clone(), draft.key.as_str().parse().expect("a number")))
            }
            Job::Prove(_) => None,
        };
        jobs.iter().filter_map(said).collect()
    }

    #[test]
    fn p2_where_too_much_waits_it_goes_room_by_room_and_each_rooms_in_order() {
        const EACH: usize = 100;
        let rooms: Vec<_> = (0..5).map(|_| RoomId::generate()).collect();
        let mut waiting: Vec<_> =
            (0..EACH).flat_map(|number| rooms.iter().map(move |room| draft(room, number))).collect();
        let of = |room: &RoomId, numbers: std::ops::Range<usize>| {
            numbers.map(|number| (room.clone(), number)).collect::<Vec<_>>()
        };
        let mut taken = HashMap::<_, Vec<_>>::new();
        let mut sizes = Vec::new();
        while !waiting.is_empty() {
            let batch = said(&take_batch(&mut waiting));
            sizes.push(batch.iter().map(|(room, _)| room).collect::<HashSet<_>>().len());
            assert!(batch.len() == BATCH_DRAFTS || waiting.is_empty());
            batch.into_iter().for_each(|said| taken.entry(said.0.clone()).or_default().push(said));
        }
        assert_eq!(sizes, [3, 3], "rooms a commit: 256 are two rooms and a half");
        for room in &rooms {
            assert_eq!(taken[room], of(room, 0..EACH));
        }
    }

    #[test]
    fn p13_a_proof_goes_when_all_before_it_have_gone() {
        let room = RoomId::generate();
        let mut waiting: Vec<_> = (0..BATCH_DRAFTS + 1).map(|number| draft(&room, number)).collect();
        waiting.push(Job::Prove(oneshot::channel().0));
        let is_proof = |job: &Job| matches!(job, Job::Prove(_));
        assert!(!take_batch(&mut waiting).iter().any(is_proof));
        assert!(take_batch(&mut waiting).iter().any(is_proof) && waiting.is_empty());
    }
}
