//! One member.
//!
//! Owns its socket and what it has been given. Promises to read whatever comes as it comes, and to say what is due at
//! once. Never measures anything itself.

use std::{
    sync::{Arc, atomic::Ordering},
    time::Duration,
};

use anyhow::{Context as _, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Message, protocol::WebSocketConfig},
};
use tokio_util::sync::CancellationToken;

use super::{
    dialect::{Dialect, Meaning},
    meter::{Heard, Mark, Meter},
    pace::{Load, Speaker},
};
use crate::config::{Address, Bench};

/// What a socket reads at once.
const READ_BYTES: usize = 4 * 1024;
/// How long a member may take to be let in.
const JOINING: Duration = Duration::from_secs(30);

/// Opens a socket over a connection.
pub(crate) async fn opened(
    dialect: Dialect,
    stream: TcpStream,
    address: &Address,
    room: &str,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    stream.set_nodelay(true)?;
    let config = WebSocketConfig::default().read_buffer_size(READ_BYTES);
    let url = format!("ws://{}{}{}", address.authority(), address.path(), dialect.path(room));
    Ok(client_async_with_config(url, stream, Some(config)).await?.0)
}

/// Opens a socket over a connection, and waits until whoever it is is in the room.
pub(crate) async fn admitted(
    dialect: Dialect,
    stream: TcpStream,
    address: &Address,
    name: &str,
    room: &str,
) -> anyhow::Result<WebSocketStream<TcpStream>> {
    let joining = async {
        let mut socket = opened(dialect, stream, address, room).await?;
        if let Some(greeting) = dialect.greeting(name, room) {
            socket.send(greeting).await?;
        }
        while dialect.admits() {
            let frame = socket.next().await.context("the connection ended")??;
            match dialect.meaning(frame.to_text()?) {
                Meaning::Joined => break,
                Meaning::Refused => bail!("refused: {frame}"),
                Meaning::Asks => {
                    if let Some(answer) = dialect.answer(frame.to_text()?, room) {
                        socket.send(answer).await?;
                    }
                }
                Meaning::Other => {}
            }
        }
        anyhow::Ok(socket)
    };
    tokio::time::timeout(JOINING, joining).await.context("a member is not let in")?
}

/// One of those in a room.
pub(crate) struct Member {
    dialect: Dialect,
    meter: Arc<Meter>,
    socket: WebSocketStream<TcpStream>,
    room: String,
    content_chars: usize,
    /// Its place among the room's members, and how many there are.
    place: u64,
    members: u64,
    /// Told apart from all others of the run.
    number: usize,
    heard: Heard,
    said: u64,
    is_windowed: bool,
    due: Option<(mpsc::Receiver<Duration>, CancellationToken)>,
}

impl Member {
    /// Connects, and waits until it is in.
    pub(crate) async fn join(
        settings: &Bench,
        meter: Arc<Meter>,
        index: usize,
        room: &str,
        place: u64,
    ) -> anyhow::Result<Self> {
        let dialect = settings.dialect;
        let stream = TcpStream::connect(settings.url.authority()).await.context("nobody answers")?;
        let number = index * usize::try_from(settings.members)? + usize::try_from(place)?;
        let socket = admitted(dialect, stream, &settings.url, &format!("member {number}"), room).await?;
        Ok(Self {
            dialect,
            meter,
            socket,
            room: room.to_owned(),
            content_chars: settings.content,
            place,
            members: settings.members,
            number,
            heard: Heard::default(),
            said: 0,
            is_windowed: matches!(settings.load, Load::Window(_)),
            due: None,
        })
    }

    /// Makes it a speaker, if it is to be one.
    pub(crate) fn speaker(&mut self, settings: &Bench, quiet: CancellationToken) -> Option<Speaker> {
        let speakers = match settings.load {
            Load::Idle => 0,
            Load::Window(count) => count,
            Load::Rate(_) => settings.speakers,
        };
        (self.place < speakers).then(|| {
            let (speaker, due) = Speaker::new(self.members);
            self.due = Some((due, quiet));
            speaker
        })
    }

    /// Reads, and speaks when it is due, until its task is ended.
    pub(crate) async fn listen(mut self) {
        if let Err(error) = self.heard_all().await {
            self.meter.refused.fetch_add(1, Ordering::Relaxed);
            tracing::warn!(%error, "a member is gone");
        }
    }

    async fn heard_all(&mut self) -> anyhow::Result<()> {
        loop {
            let due = async {
                match &mut self.due {
                    Some((due, _)) => due.recv().await,
                    None => None,
                }
            };
            tokio::select! {
                Some(due) = due => self.say(due).await?,
                frame = self.socket.next() => {
                    let frame = frame.context("the connection ended")??;
                    self.hear(&frame).await?;
                }
            }
        }
    }

    async fn hear(&mut self, frame: &Message) -> anyhow::Result<()> {
        let (Message::Text(_) | Message::Binary(_)) = frame else { return Ok(()) };
        let text = frame.to_text()?;
        let goes_on = self.due.as_ref().is_some_and(|(_, quiet)| self.is_windowed && !quiet.is_cancelled());
        let (mut marks, mut next) = (0, 0);
        for mark in Mark::all(text.as_bytes()) {
            marks += 1;
            if self.heard.takes(mark) {
                if goes_on && mark.speaker as u64 == self.place {
                    // Before its last counts as heard: at no time has all come that is said.
                    self.meter.say(self.members);
                    next += 1;
                }
                self.meter.hear(self.number, mark);
            } else {
                self.meter.repeats.fetch_add(1, Ordering::Relaxed);
            }
        }
        for _ in 0..next {
            self.say(self.meter.now()).await?;
        }
        if marks > 0 {
            return Ok(());
        }
        match self.dialect.meaning(text) {
            Meaning::Asks => {
                if let Some(answer) = self.dialect.answer(text, &self.room) {
                    self.socket.send(answer).await?;
                }
            }
            Meaning::Refused => bail!("refused: {text}"),
            Meaning::Joined | Meaning::Other => {}
        }
        Ok(())
    }

    /// Says the next, which has been counted.
    async fn say(&mut self, due: Duration) -> anyhow::Result<()> {
        let speaker = usize::try_from(self.place)?;
        let mark = Mark { speaker, number: self.said, due };
        self.said += 1;
        Ok(self.socket.send(self.dialect.says(&self.room, &mark.content(self.content_chars))).await?)
    }
}
