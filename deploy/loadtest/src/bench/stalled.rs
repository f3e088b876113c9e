//! Members who take nothing.
//!
//! Owns their connections. Promises that each, once it is in, asks for more than the system and its outbox hold, and reads
//! nothing any more. Never counts among those who are to hear everything.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};
use futures_util::SinkExt as _;
use parlour_proto::v1::{self, chat_request::Frame};
use serde_json::json;
use tokio::net::{TcpSocket, TcpStream, lookup_host};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

use super::{Dialect, member::admitted};
use crate::{
    client::Chat,
    config::{Address, Bench},
    wire::{Down, Told, Up},
};

/// What the system takes for a socket that is not read.
const RECEIVE_BYTES: u32 = 4 * 1024;
/// Pages of history that each asks for.
const PAGES: u32 = 30;
/// Messages of one.
const PAGE: u32 = 200;

/// One of them.
pub(crate) enum Stalled {
    Socket { _held: Box<WebSocketStream<TcpStream>> },
    Chat { _held: Box<Chat> },
}

/// Lets those join whom the settings ask for.
pub(crate) async fn join(settings: &Bench, room: &str) -> anyhow::Result<Vec<Stalled>> {
    let is_parlour = settings.stalled == 0 || settings.dialect == Dialect::Parlour;
    ensure!(is_parlour, "of others nobody knows how to fill what they hold");
    let mut stalled = Vec::new();
    for number in 0..settings.stalled {
        let name = format!("stalled {number}");
        stalled.push(match &settings.stalled_grpc {
            Some(address) => Stalled::Chat { _held: Box::new(chat(address, &name, room).await?) },
            None => {
                let address = settings.stalled_url.as_ref().unwrap_or(&settings.url);
                let stream = narrow(address).await?;
                let mut socket = admitted(settings.dialect, stream, address, &name, room).await?;
                for id in 0..PAGES {
                    let page = json!({"type": "history", "id": id.to_string(), "room": room, "limit": PAGE});
                    socket.send(Message::text(page.to_string())).await?;
                }
                Stalled::Socket { _held: Box::new(socket) }
            }
        });
    }
    Ok(stalled)
}

async fn narrow(address: &Address) -> anyhow::Result<TcpStream> {
    let peer = lookup_host(address.authority()).await?.next().context("no such host")?;
    let socket = if peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    socket.set_recv_buffer_size(RECEIVE_BYTES)?;
    Ok(socket.connect(peer).await?)
}

async fn chat(address: &Address, name: &str, room: &str) -> anyhow::Result<Chat> {
    let mut chat = Chat::open(address).await?;
    let rooms = BTreeMap::from([(room.to_owned(), String::new())]);
    let hello = Up::Hello { name: name.to_owned(), guest_token: None, rooms };
    chat.say(vec![hello.to_chat("")]).await?;
    loop {
        let told = Told::from_chat(chat.next().await?);
        ensure!(!matches!(told.down, Down::Gone { .. } | Down::Error { .. }), "refused: {told:?}");
        if matches!(told.down, Down::Joined { .. }) {
            break;
        }
    }
    let page = |id: u32| v1::ChatRequest {
        id: id.to_string(),
        frame: Some(Frame::History(v1::ReadHistory {
            room: room.to_owned(),
            limit: Some(PAGE),
            ..v1::ReadHistory::default()
        })),
    };
    chat.say((0..PAGES).map(page).collect()).await?;
    Ok(chat)
}
