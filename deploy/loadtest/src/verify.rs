//! One run of `verify`.
//!
//! Owns the order of a run: rooms, clients, talk, hush, settling, comparison, the audit of the log. Promises that every
//! client has ended when it returns, and that a run which is interrupted is judged by what it did until then. Never
//! decides what is right.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use parlour_chassis::tasks::Tasks;
use tokio::{
    sync::{mpsc, watch},
    task::JoinHandle,
};
use tokio_util::sync::CancellationToken;

use crate::{
    client::{Account, Comparison, Last, Making, Phase, World, full::Full, plain::Plain},
    config::Verify,
    installation::{Installation, PAGE, Unreachable},
    judge::{
        Breach, Promise,
        audit::{Audit, Entry, Fate, Sent},
        ledger::{Digest, Ledger},
        view::Present,
    },
    plan::Names,
    progress::Progress,
    record::Count,
    truth::{Graces, Truth},
};

/// How long clients may take to have everything answered, and to settle.
const SETTLE: Duration = Duration::from_secs(60);
/// How long a reader may take to be given the last of the log.
const CATCH: Duration = Duration::from_secs(15);
/// How long everybody is quiet before presence is compared (P7).
const QUIET: Duration = Duration::from_secs(2);
/// How often presence is asked for until it is the truth.
const ASKING: Duration = Duration::from_millis(200);
/// How long clients may take to go.
const END: Duration = Duration::from_secs(15);
/// Messages of all rooms together, at which the talk ends: what is kept of each has a bound.
const MESSAGES: u64 = Ledger::LIMIT;
/// How long a run lasts at most where only deliveries were asked for.
const LONGEST: Duration = Duration::from_secs(2 * 60 * 60);
/// One client in so many is plain; another one, where there is somewhere to, speaks gRPC.
const KINDS: usize = 10;

/// What kinds of clients there were.
#[derive(Clone, Copy, Debug, Default, serde::Serialize)]
pub(crate) struct Clients {
    /// Of the full protocol, by WebSocket.
    pub(crate) full: usize,
    /// Of the full protocol, by gRPC.
    pub(crate) grpc: usize,
    /// Of the plain dialect.
    pub(crate) plain: usize,
}

/// A run that can be judged.
pub(crate) struct Outcome {
    /// What happened.
    pub(crate) world: Arc<World>,
    /// To whom.
    pub(crate) clients: Clients,
    /// How long they talked.
    pub(crate) talked: Duration,
}

/// Runs.
///
/// # Errors
/// The installation is not there, or was not at the end, so that nothing can be judged.
pub(crate) async fn run(
    settings: &Verify,
    seed: u64,
    stop: CancellationToken,
    progress: &mut Progress,
) -> Result<Outcome, Unreachable> {
    let mut run = Run::prepare(settings, seed).await?;
    let started = Instant::now();
    run.talk(settings, stop, progress).await;
    let talked = started.elapsed();
    run.phase(Phase::Hush, SETTLE, progress).await;
    run.phase(Phase::Settle, SETTLE, progress).await;
    let heads = run.heads().await?;
    run.phase(Phase::Catch(Arc::new(heads.clone())), CATCH, progress).await;
    run.quiet(progress).await;
    let accounts = run.compare(&heads, progress).await?;
    run.audit(accounts, progress).await?;
    Ok(Outcome { world: run.world, clients: run.clients, talked })
}

struct Run {
    world: Arc<World>,
    installation: Installation,
    tasks: Tasks,
    lives: Vec<JoinHandle<Option<Account>>>,
    clients: Clients,
    phase: watch::Sender<Phase>,
    ready: mpsc::Receiver<(usize, u8)>,
}

impl Run {
    async fn prepare(settings: &Verify, seed: u64) -> Result<Self, Unreachable> {
        let installation = Installation::new(settings.gateways.clone());
        installation.is_there().await?;
        let clients = usize::try_from(settings.clients).expect("the settings bound it");
        let rooms = usize::try_from(settings.rooms).expect("the settings bound it");
        let names = Names::random();
        for room in 0..rooms {
            installation.make_room(&names.room(room)).await?;
        }
        let graces = Graces {
            closed: settings.grace_closed_seconds,
            broken: settings.grace_broken_seconds,
            unheard: settings.heartbeat_lost_seconds,
        };
        let truth = Truth::new((0..clients).map(|client| names.client(client)).collect(), rooms, graces);
        let (phase, phase_rx) = watch::channel(Phase::Talk);
        // Each client says once in each phase that it is ready.
        let (ready_tx, ready) = mpsc::channel(clients * 8);
        let world = Arc::new(World::new(Making {
            gateways: settings.gateways.clone(),
            grpc: settings.grpc.clone(),
            names,
            rooms,
            seed,
            rate: settings.rate,
            replay_events: settings.replay_events,
            truth,
            phase: phase_rx,
            ready: ready_tx,
        }));
        let mut run = Self {
            world,
            installation,
            tasks: Tasks::new(),
            lives: Vec::with_capacity(clients),
            clients: Clients::default(),
            phase,
            ready,
        };
        (0..clients).for_each(|client| run.start(client));
        Ok(run)
    }

    fn start(&mut self, client: usize) {
        let is_grpc = self.world.grpc.is_some() && client % KINDS == 3;
        let is_plain = client % KINDS == 7;
        self.lives.push(if is_plain {
            self.clients.plain += 1;
            self.tasks.spawn(Plain::new(&self.world, client).live())
        } else {
            *(if is_grpc { &mut self.clients.grpc } else { &mut self.clients.full }) += 1;
            self.tasks.spawn(Full::new(&self.world, client, is_grpc).live())
        });
    }

    /// Lets them talk until it is enough.
    async fn talk(&self, settings: &Verify, stop: CancellationToken, progress: &mut Progress) {
        let limit = if settings.deliveries.is_some() { LONGEST } else { settings.seconds };
        let (started, record) = (Instant::now(), &self.world.record);
        let is_enough = || {
            started.elapsed() >= limit
                || record.counted(Count::Sends) >= MESSAGES
                || settings.deliveries.is_some_and(|wanted| record.counted(Count::Deliveries) >= wanted)
        };
        while !is_enough() && !stop.is_cancelled() {
            progress.say(record, "talking");
            self.world.judge_doubts(false);
            let pause = limit.saturating_sub(started.elapsed()).min(Progress::EVERY);
            let _ = tokio::time::timeout(pause, stop.cancelled()).await;
        }
    }

    /// Begins a phase, and waits until everybody has done what it asks, or the time is over.
    async fn phase(&mut self, phase: Phase, limit: Duration, progress: &mut Progress) {
        self.phase.send_replace(phase);
        self.wait(limit, progress).await;
    }

    /// Waits until everybody has done what the phase asks, or the time is over.
    async fn wait(&mut self, limit: Duration, progress: &mut Progress) {
        let (number, until) = (self.phase.borrow().number(), Instant::now() + limit);
        let mut waiting = self.lives.len();
        while waiting > 0 && Instant::now() < until {
            progress.say(&self.world.record, &format!("waiting for {waiting} clients"));
            self.world.judge_doubts(false);
            if let Ok(Some((_, done))) = tokio::time::timeout(Progress::EVERY, self.ready.recv()).await {
                waiting -= usize::from(done == number);
            }
        }
    }

    async fn heads(&self) -> Result<Vec<u64>, Unreachable> {
        let mut heads = Vec::with_capacity(self.world.rooms.len());
        for room in &self.world.rooms {
            heads.push(self.installation.head(&room.name).await?);
        }
        Ok(heads)
    }

    /// Everybody is quiet, so that presence comes to rest (P7).
    async fn quiet(&self, progress: &mut Progress) {
        progress.say(&self.world.record, "being quiet");
        tokio::time::sleep(QUIET).await;
    }

    /// Compares presence with the truth, as the gateways and as the clients were told it; the clients end.
    async fn compare(&mut self, heads: &[u64], progress: &mut Progress) -> Result<Vec<Account>, Unreachable> {
        let world = Arc::clone(&self.world);
        progress.say(&world.record, "comparing");
        let comparison = Arc::new(self.comparison(heads));
        self.phase.send_replace(Phase::Compare(Arc::clone(&comparison)));
        for (room, last) in comparison.rooms.iter().enumerate() {
            self.ask_who_is_there(room, last, &comparison).await?;
        }
        self.wait(comparison.ends().saturating_sub(world.now()) + END, progress).await;
        world.judge_doubts(true);
        self.phase.send_replace(Phase::Part);
        Ok(self.part().await)
    }

    /// How everything is now.
    fn comparison(&self, heads: &[u64]) -> Comparison {
        let (now, record, truth) = (self.world.now(), &self.world.record, self.world.truth());
        // Where connections break unasked, some may have gone without the other end's knowing.
        let is_troubled = record.counted(Count::Losses) + record.counted(Count::Unanswered) > 0;
        let last = |(room, head): (usize, &u64)| {
            let lingering = truth.lingering(room, now, is_troubled);
            Last { head: *head, present: Present { here: truth.present(room), lingering } }
        };
        Comparison { since: now, rooms: heads.iter().enumerate().map(last).collect() }
    }

    /// Compares what the gateways say of a room, once they say the truth or never will.
    async fn ask_who_is_there(
        &self,
        room: usize,
        last: &Last,
        comparison: &Comparison,
    ) -> Result<(), Unreachable> {
        let (record, name) = (&self.world.record, &self.world.rooms[room].name);
        record.tried(Promise::P7, 1);
        loop {
            let (names, count) = self.installation.presence(name).await?;
            let Err(difference) = last.present.compare(&names, count) else { return Ok(()) };
            if comparison.is_final(&difference, self.world.now()) {
                record.breach(difference.breach, Some(name), None, Vec::new());
                return Ok(());
            }
            tokio::time::sleep(ASKING).await;
        }
    }

    /// The clients go, and leave their accounts.
    async fn part(&mut self) -> Vec<Account> {
        self.tasks.finish(END).await;
        let mut accounts = Vec::with_capacity(self.lives.len());
        for (client, life) in self.lives.drain(..).enumerate() {
            if let Ok(Some(account)) = life.await {
                accounts.push(account);
                continue;
            }
            let name = self.world.names.client(client);
            let breach = Breach::of(Promise::P4, "could not come back before the end");
            self.world.record.breach(breach, None, Some(&name), Vec::new());
        }
        accounts
    }

    /// Reads each room's log, and compares it with what was sent, acknowledged and seen.
    async fn audit(&self, accounts: Vec<Account>, progress: &mut Progress) -> Result<(), Unreachable> {
        let mut books: Vec<Vec<Sent>> =
            vec![Vec::new(); self.clients.full + self.clients.grpc + self.clients.plain];
        for account in accounts {
            books[account.client] = account.book;
        }
        let record = &self.world.record;
        let is_acknowledged = |sent: &&Sent| matches!(sent.fate, Fate::Acknowledged(_));
        record.tried(Promise::P6, books.iter().flatten().filter(is_acknowledged).count() as u64);
        record.tried(Promise::P3, record.counted(Count::Deliveries));
        for (number, room) in self.world.rooms.iter().enumerate() {
            progress.say(record, &format!("reading the log of {}", room.name));
            let accuse = |breach| record.breach(breach, Some(&room.name), None, Vec::new());
            let number = u16::try_from(number).expect("the settings bound the rooms");
            let ledger = std::mem::take(&mut *room.ledger());
            let mut audit = Audit::new(number, &ledger, &mut books);
            let mut after = 0;
            loop {
                let page = self.installation.page(&room.name, after).await?;
                let Some(last) = page.last() else { break };
                // A gateway that repeats its page would be read for ever.
                if last.seq <= after {
                    accuse(Breach::at(Promise::P2, after, "the page after it does not lie after it"));
                    break;
                }
                after = last.seq;
                let is_last =
                    page.len() < PAGE && page.iter().map(|one| one.content.len()).sum::<usize>() < 1 << 18;
                for logged in page {
                    let (entry, is_strange) = self.entry(logged);
                    record.tried(Promise::P2, 1);
                    if is_strange {
                        record.count(Count::Strangers);
                    }
                    audit.entry(&entry).into_iter().for_each(accuse);
                }
                if is_last {
                    break;
                }
            }
            record.tried(Promise::P1, audit.compared);
            audit.finish().into_iter().for_each(accuse);
        }
        Ok(())
    }

    fn entry(&self, logged: crate::installation::Logged) -> (Entry, bool) {
        let names = &self.world.names;
        // A plain client's message has a key of the gateway's; its text tells whose it is.
        let key = logged.client_message_id.as_deref().unwrap_or(&logged.content);
        let key = names.mark(key);
        let entry = Entry {
            seq: logged.seq,
            digest: Digest::of(&logged.username, &logged.content),
            key,
            expected: key.map(|mark| names.digest(mark)),
            at_us: logged.created_at.parse().map_or(0, |at: jiff::Timestamp| at.as_microsecond()),
        };
        (entry, key.is_none())
    }
}
