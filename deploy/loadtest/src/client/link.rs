//! A client's connection.
//!
//! Owns the two ways to speak the full protocol, as one. Promises that any failure is weather: something to come back
//! from, not to end by. Never interprets a frame.

use std::time::Duration;

use tonic::Code;

use super::{chat::Chat, socket::Socket};
use crate::{
    config::Address,
    truth::Parting,
    wire::{Told, Up},
};

/// How long connecting may take, and writing a frame.
pub(crate) const LIMIT: Duration = Duration::from_secs(10);
/// How long an orderly close may take.
pub(crate) const GOODBYE: Duration = Duration::from_secs(1);

/// Why a connection is over.
#[derive(Clone, Debug, thiserror::Error)]
pub(crate) enum Weather {
    /// It could not be made, or broke.
    #[error("{0}")]
    Broken(String),
    /// The server closed the WebSocket.
    #[error("closed with {0}")]
    Closed(u16),
    /// The server ended the stream.
    #[error("ended with {0:?}")]
    Ended(Code),
    /// What came was no frame.
    #[error("{0}")]
    Nonsense(String),
}

impl Weather {
    /// One made of an error.
    pub(crate) fn broken(error: impl std::fmt::Display) -> Self {
        Self::Broken(error.to_string())
    }

    /// Whether a client that did nothing wrong is turned away for good, or told nonsense.
    pub(crate) fn is_wrong(&self) -> bool {
        match self {
            Self::Broken(_) => false,
            Self::Closed(code) => matches!(code, 1002 | 1003 | 1007 | 1008 | 1009 | 4500..),
            Self::Ended(code) => matches!(
                code,
                Code::FailedPrecondition
                    | Code::Unauthenticated
                    | Code::ResourceExhausted
                    | Code::InvalidArgument
                    | Code::Unimplemented
            ),
            Self::Nonsense(_) => true,
        }
    }
}

/// Where a client connects.
#[derive(Clone, Debug)]
pub(crate) enum Door {
    Gateway(Address),
    RoomService(Address),
}

/// A connection.
pub(crate) enum Link {
    Socket(Box<Socket>),
    Chat(Box<Chat>),
}

impl Link {
    /// Connects.
    ///
    /// # Errors
    /// Nobody is there, or does not answer in time.
    pub(crate) async fn open(door: &Door) -> Result<Self, Weather> {
        let opened = async {
            match door {
                Door::Gateway(address) => Ok(Self::Socket(Box::new(Socket::open(address).await?))),
                Door::RoomService(address) => Ok(Self::Chat(Box::new(Chat::open(address).await?))),
            }
        };
        within(opened).await
    }

    /// Says frames, each with the id that its answer will have.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn say(&mut self, frames: &[(String, Up)]) -> Result<(), Weather> {
        match self {
            Self::Socket(socket) => {
                within(socket.say(frames.iter().map(|(id, up)| up.to_json(id)).collect())).await
            }
            Self::Chat(chat) => {
                within(chat.say(frames.iter().map(|(id, up)| up.to_chat(id)).collect())).await
            }
        }
    }

    /// The next frame. Cancel-safe.
    ///
    /// # Errors
    /// The connection is over.
    pub(crate) async fn next(&mut self) -> Result<Told, Weather> {
        match self {
            Self::Socket(socket) => {
                let text = socket.next().await?;
                Told::from_json(&text).map_err(|error| Weather::Nonsense(format!("{error}: {text}")))
            }
            Self::Chat(chat) => chat.next().await.map(Told::from_chat),
        }
    }

    /// Ends it, in that way. `resets`: a broken TCP connection is reset instead of ended.
    pub(crate) async fn part(self, parting: Parting, resets: bool) {
        match (self, parting) {
            (Self::Socket(socket), Parting::Broken) => socket.cut(resets),
            (Self::Socket(socket), Parting::Closed | Parting::Asked(_)) => socket.close().await,
            (Self::Chat(chat), Parting::Broken) => chat.cut().await,
            (Self::Chat(chat), Parting::Closed | Parting::Asked(_)) => chat.close().await,
        }
    }
}

/// Awaits what must not take long.
pub(crate) async fn within<T>(future: impl Future<Output = Result<T, Weather>>) -> Result<T, Weather> {
    let late = |_| Weather::Broken(format!("nothing happened for {} s", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, future).await.map_err(late)?
}
