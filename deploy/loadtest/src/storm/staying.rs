//! One who stays.
//!
//! Owns the only member of a room that keeps its connection. Promises to say what the others miss, to speak at its pace
//! all through the storm, and to count whom it is told of. Never returns.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use tokio::time::{MissedTickBehavior, interval_at};
use tokio_util::sync::CancellationToken;

use super::{Tally, socket::Socket};
use crate::{
    bench::{Mark, SHORTEST},
    config::Storm,
    wire::Down,
};

/// A member that stays.
pub(super) struct Witness {
    room: String,
    socket: Socket,
    said: u64,
    heard: u64,
    tally: Arc<Tally>,
}

impl Witness {
    /// Connects, and waits until it is in.
    pub(super) async fn join(settings: &Storm, room: &str, tally: &Arc<Tally>) -> anyhow::Result<Self> {
        let socket = Socket::open(&settings.url, room, None, tally).await?;
        Ok(Self { room: room.to_owned(), socket, said: 0, heard: 0, tally: Arc::clone(tally) })
    }

    /// Says so many messages, and waits until it has them; returns where the room stands then.
    pub(super) async fn says_many(&mut self, count: u64) -> anyhow::Result<u64> {
        for _ in 0..count {
            self.say(self.tally.stayed.now()).await?;
        }
        while self.heard < self.said {
            self.hear().await?;
        }
        Ok(self.socket.at.seq)
    }

    /// Speaks every so often, the first time after `first`, until `ending`; then waits for what it has said.
    pub(super) async fn stay(mut self, first: Duration, every: Duration, ending: CancellationToken) {
        if let Err(error) = self.speak(first, every, ending).await {
            self.tally.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!("one who stayed is gone: {error:#}");
        }
    }

    async fn speak(
        &mut self,
        first: Duration,
        every: Duration,
        ending: CancellationToken,
    ) -> anyhow::Result<()> {
        let start = tokio::time::Instant::now();
        let mut due = interval_at(start + first, every);
        due.set_missed_tick_behavior(MissedTickBehavior::Burst); // what is late counts from when it was due
        let (begun, mut is_over) = (self.tally.stayed.now(), false);
        while !is_over || self.heard < self.said {
            tokio::select! {
                () = ending.cancelled(), if !is_over => is_over = true,
                at = due.tick(), if !is_over => self.say(begun + (at - start)).await?,
                heard = self.hear() => heard?,
            }
        }
        Ok(())
    }

    async fn say(&mut self, due: Duration) -> anyhow::Result<()> {
        self.tally.stayed.say(1);
        let mark = Mark { speaker: 0, number: self.said, due };
        self.said += 1;
        self.socket.say(&self.room, &mark.content(SHORTEST)).await
    }

    async fn hear(&mut self) -> anyhow::Result<()> {
        match self.socket.next().await? {
            Down::Event(event) => {
                let content = event.message.map(|message| message.content).unwrap_or_default();
                if let Some(mark) = Mark::all(content.as_bytes()).next() {
                    self.heard += 1;
                    self.tally.stayed.hear(0, mark);
                }
            }
            Down::Change { left, .. } => {
                self.tally.left.fetch_add(left.len() as u64, Ordering::Relaxed);
            }
            _ => {}
        }
        Ok(())
    }
}
