//! One who stays, or moves.
//!
//! Owns its socket and how many it was told are there. Promises to read whatever comes as it comes. Never comes back.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::Shared;
use crate::{
    bench::{Dialect, Mark, opened},
    config::Churn,
    wire::{Down, Told, Up},
};

/// How long it may take, once nobody moves, until it is known how many are there.
const PATIENCE: Duration = Duration::from_secs(5);
/// A frame of so many bytes has a header of two; a longer one, of four.
const SHORT: usize = 126;

/// A session that is in the room.
pub(super) struct Member {
    room: String,
    socket: WebSocketStream<TcpStream>,
    /// How many are there, as far as it was told.
    known: u64,
    /// Bytes of presence within the measured time.
    told: u64,
    shared: Arc<Shared>,
}

impl Member {
    /// Connects, and waits until it is in.
    pub(super) async fn join(
        settings: &Churn,
        room: &str,
        number: u64,
        shared: &Arc<Shared>,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(settings.url.authority()).await.context("nobody answers")?;
        let socket = opened(Dialect::Parlour, stream, &settings.url, room).await?;
        let mut member =
            Self { room: room.to_owned(), socket, known: 0, told: 0, shared: Arc::clone(shared) };
        let rooms = BTreeMap::from([(room.to_owned(), String::new())]);
        let hello = Up::Hello { name: format!("member {number}"), guest_token: None, rooms };
        member.say(&hello).await?;
        while member.known == 0 {
            member.hear().await?;
        }
        Ok(member)
    }

    /// Stays until it is over and it knows that so many are there; what it was told of presence.
    pub(super) async fn stays(mut self, members: u64) -> anyhow::Result<u64> {
        let over = self.shared.over.clone();
        while let Some(heard) = over.run_until_cancelled(self.hear()).await {
            heard?;
        }
        let shared = Arc::clone(&self.shared);
        shared.meter.say(1);
        let mark = Mark { speaker: 0, number: 0, due: shared.meter.now() };
        let knowing = async {
            while self.known != members {
                self.hear().await?;
            }
            anyhow::Ok(())
        };
        // Who does not know in time is missing.
        if let Ok(known) = tokio::time::timeout(PATIENCE, knowing).await {
            known?;
            shared.meter.hear(0, mark);
        }
        Ok(self.told)
    }

    /// Joins and leaves as it is told, until nobody tells it.
    pub(super) async fn moves(mut self, mut moves: mpsc::Receiver<bool>) -> anyhow::Result<()> {
        loop {
            tokio::select! {
                joins = moves.recv() => match joins {
                    Some(true) => self.say(&Up::Join { room: self.room.clone(), cursor: None }).await?,
                    Some(false) => self.say(&Up::Leave { room: self.room.clone() }).await?,
                    None => return Ok(()),
                },
                heard = self.hear() => heard?,
            }
        }
    }

    async fn say(&mut self, up: &Up) -> anyhow::Result<()> {
        Ok(self.socket.send(Message::text(up.to_json(""))).await?)
    }

    /// Takes the next frame. Where it is cancelled while it answers a heartbeat, the answer is written by the next.
    async fn hear(&mut self) -> anyhow::Result<()> {
        let frame = self.socket.next().await.context("the connection ended")??;
        let Message::Text(text) = &frame else { return Ok(()) };
        match Told::from_json(text)?.down {
            Down::Joined { count, .. } => self.known = count.into(),
            Down::Snapshot { count, .. } | Down::Change { count, .. } => {
                self.known = count.into();
                if self.shared.is_counting.load(Ordering::Relaxed) {
                    self.told += text.len() as u64 + if text.len() < SHORT { 2 } else { 4 };
                }
            }
            Down::Heartbeat { .. } => self.say(&Up::Ping).await?,
            down
            @ (Down::Error { .. } | Down::Gone { .. } | Down::Resync { .. } | Down::GoingAway { .. }) => {
                bail!("it is told {down:?}")
            }
            _ => {}
        }
        Ok(())
    }
}
