//! The smallest chat server on axum.
//!
//! Owns a broadcast channel for each room. Promises nothing: who is too slow misses messages.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{
    Router,
    extract::{
        Path, State, WebSocketUpgrade,
        ws::{Message, Utf8Bytes, WebSocket},
    },
    response::Response,
    routing::get,
};
use tokio::{
    net::TcpListener,
    sync::broadcast::{self, error::RecvError},
};

/// Messages that may wait in a room.
const WAITING: usize = 1_024;

type Rooms = Arc<Mutex<HashMap<String, broadcast::Sender<Utf8Bytes>>>>;

/// Serves until it is ended.
pub(crate) async fn serve(listener: TcpListener) -> std::io::Result<()> {
    let app = Router::new().route("/{room}", get(upgrade)).with_state(Rooms::default());
    axum::serve(listener, app).await
}

async fn upgrade(
    Path(room): Path<String>,
    State(rooms): State<Rooms>,
    upgrade: WebSocketUpgrade,
) -> Response {
    let mut rooms = rooms.lock().unwrap_or_else(PoisonError::into_inner);
    let room = rooms.entry(room).or_insert_with(|| broadcast::channel(WAITING).0).clone();
    upgrade.on_upgrade(|socket| member(socket, room))
}

async fn member(mut socket: WebSocket, room: broadcast::Sender<Utf8Bytes>) {
    let mut said = room.subscribe();
    loop {
        tokio::select! {
            frame = socket.recv() => match frame {
                Some(Ok(Message::Text(text))) => {
                    // This one listens, so somebody does.
                    let _ = room.send(text);
                }
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return,
            },
            text = said.recv() => match text {
                Ok(text) => if socket.send(Message::Text(text)).await.is_err() { return },
                Err(RecvError::Lagged(_)) => {}
                Err(RecvError::Closed) => return,
            },
        }
    }
}
