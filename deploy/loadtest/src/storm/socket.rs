//! A socket in a storm.
//!
//! Owns one connection of the full dialect that is in one room. Promises that events are taken in the room's order, and
//! says of any other that it is out of it. Never returns by itself.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::Ordering},
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use parlour_feed::Cursor;
use tokio::net::TcpStream;
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::Tally;
use crate::{
    bench::{Dialect, opened},
    config::Address,
    wire::{Down, Told, Up, cursor},
};

/// A connection that is in a room.
pub(super) struct Socket {
    inner: WebSocketStream<TcpStream>,
    /// The last event taken.
    pub(super) at: Cursor,
    /// Says who this is, when it comes again.
    pub(super) token: Option<String>,
    tally: Arc<Tally>,
}

impl Socket {
    /// Connects, and waits until it is in the room; `from`: the cursor and the token that it comes with.
    pub(super) async fn open(
        url: &Address,
        room: &str,
        from: Option<(Cursor, String)>,
        tally: &Arc<Tally>,
    ) -> anyhow::Result<Self> {
        let stream = TcpStream::connect(url.authority()).await.context("nobody answers")?;
        let mut inner = opened(Dialect::Parlour, stream, url, room).await?;
        let (at, token) = from.unzip();
        let rooms = BTreeMap::from([(room.to_owned(), at.map(|at| at.to_string()).unwrap_or_default())]);
        let hello = Up::Hello { name: "a member".to_owned(), guest_token: token, rooms };
        inner.send(Message::text(hello.to_json(""))).await?;
        let mut token = None;
        let given = loop {
            match read(&mut inner).await?.down {
                Down::Welcome { guest_token, .. } => token = guest_token,
                Down::Joined { cursor: given, .. } => break cursor(&given).map_err(anyhow::Error::msg)?,
                Down::Other | Down::Snapshot { .. } | Down::Change { .. } => {}
                down => bail!("it is told {down:?}"),
            }
        };
        if let Some(at) = at.filter(|at| *at != given) {
            bail!("it is let in at {given}, and came with {at}");
        }
        Ok(Self { inner, at: given, token, tally: Arc::clone(tally) })
    }

    /// Says a message.
    pub(super) async fn say(&mut self, room: &str, content: &str) -> anyhow::Result<()> {
        Ok(self.inner.send(Dialect::Parlour.says(room, content)).await?)
    }

    /// The next thing told; an event is the next of the room, or counted as out of order.
    pub(super) async fn next(&mut self) -> anyhow::Result<Down> {
        let down = read(&mut self.inner).await?.down;
        match &down {
            Down::Event(event) if event.seq == self.at.seq + 1 => {
                self.at = cursor(&event.cursor).map_err(anyhow::Error::msg)?;
            }
            Down::Event(_) => drop(self.tally.disorder.fetch_add(1, Ordering::Relaxed)),
            Down::Heartbeat { .. } => self.inner.send(Message::text(Up::Ping.to_json(""))).await?,
            Down::Error { .. } | Down::Gone { .. } | Down::Resync { .. } | Down::GoingAway { .. } => {
                bail!("it is told {down:?}")
            }
            _ => {}
        }
        Ok(down)
    }
}

async fn read(socket: &mut WebSocketStream<TcpStream>) -> anyhow::Result<Told> {
    loop {
        let frame = socket.next().await.context("the connection ended")??;
        if let Message::Text(text) = &frame {
            return Ok(Told::from_json(text)?);
        }
    }
}
