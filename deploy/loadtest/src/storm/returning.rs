//! One who returns.
//!
//! Owns its place in the storm: in its room, away, back. Promises to return with its cursor and as who it was, and that it
//! is live once it has everything up to the head. Never says anything.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::Context as _;
use parlour_feed::Cursor;

use super::{Tally, socket::Socket};
use crate::{
    bench::Mark,
    config::{Address, Storm},
};

/// One that is in its room.
pub(super) struct Session {
    room: usize,
    name: String,
    url: Address,
    socket: Socket,
    tally: Arc<Tally>,
}

/// One that has lost its connection.
pub(super) struct Away {
    pub(super) room: usize,
    name: String,
    url: Address,
    /// Where it stood and as whom, if it was there before.
    from: Option<(Cursor, String)>,
    tally: Arc<Tally>,
}

impl Session {
    /// Connects, and waits until it is in.
    pub(super) async fn join(
        settings: &Storm,
        room: usize,
        name: &str,
        tally: &Arc<Tally>,
    ) -> anyhow::Result<Self> {
        let socket = Socket::open(&settings.url, name, None, tally).await?;
        Ok(Self { room, name: name.to_owned(), url: settings.url.clone(), socket, tally: Arc::clone(tally) })
    }

    /// Its connection is gone, without a word.
    pub(super) fn part(self) -> Away {
        let Self { room, name, url, socket, tally } = self;
        Away { room, name, url, from: Some((socket.at, socket.token.unwrap_or_default())), tally }
    }

    /// Takes whatever comes, until its task is ended.
    pub(super) async fn listen(mut self) {
        let ended = loop {
            if let Err(error) = self.socket.next().await {
                break error;
            }
        };
        self.tally.refused.fetch_add(1, Ordering::Relaxed);
        tracing::warn!("a session that was back is gone: {ended:#}");
    }
}

impl Away {
    /// One that has not been there yet.
    pub(super) fn nowhere(settings: &Storm, room: usize, name: &str, tally: &Arc<Tally>) -> Self {
        Self { room, name: name.to_owned(), url: settings.url.clone(), from: None, tally: Arc::clone(tally) }
    }

    /// Returns, and takes everything up to `head`; then it is live, since `begun`.
    pub(super) async fn comes_back(self, head: u64, begun: Duration) -> anyhow::Result<Session> {
        let Self { room, name, url, from, tally } = self;
        tally.back.say(1);
        let mut socket = Socket::open(&url, &name, from, &tally).await.context("it is not let in")?;
        while socket.at.seq < head {
            socket.next().await?;
        }
        tally.back.hear(room, Mark { speaker: 0, number: 0, due: begun });
        Ok(Session { room, name, url, socket, tally })
    }
}
