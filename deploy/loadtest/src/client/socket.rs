//! A WebSocket.
//!
//! Owns a client's socket to a gateway. Promises an orderly close, and a cut that says nothing. Never reads a frame's
//! text.

use futures_util::{SinkExt as _, StreamExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    WebSocketStream, client_async_with_config,
    tungstenite::{Error, Message, Utf8Bytes, protocol::WebSocketConfig},
};

use super::link::{GOODBYE, Weather};
use crate::config::Address;

/// What a socket reads at once: little, since there are many.
const READ_BYTES: usize = 8 * 1024;
/// The largest frame that is taken: a page and more.
const FRAME_BYTES: usize = 4 << 20;

/// A socket.
pub(crate) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens `/chat`.
    pub(crate) async fn open(address: &Address) -> Result<Self, Weather> {
        let stream = TcpStream::connect(address.authority()).await.map_err(Weather::broken)?;
        stream.set_nodelay(true).map_err(Weather::broken)?;
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .max_message_size(Some(FRAME_BYTES))
            .max_frame_size(Some(FRAME_BYTES));
        let url = format!("ws://{}{}/chat", address.authority(), address.path());
        let (socket, _) =
            client_async_with_config(url, stream, Some(config)).await.map_err(Weather::broken)?;
        Ok(Self(socket))
    }

    /// Sends texts in one write, as far as the system takes it.
    pub(crate) async fn say(&mut self, texts: Vec<String>) -> Result<(), Weather> {
        for text in texts {
            self.0.feed(Message::text(text)).await.map_err(Weather::broken)?;
        }
        self.0.flush().await.map_err(Weather::broken)
    }

    /// The next text. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<Utf8Bytes, Weather> {
        loop {
            match self.0.next().await {
                Some(Ok(Message::Text(text))) => return Ok(text),
                Some(Ok(Message::Close(close))) => {
                    return Err(Weather::Closed(close.map_or(1005, |close| close.code.into())));
                }
                Some(Ok(Message::Binary(_) | Message::Frame(_))) => {
                    return Err(Weather::Nonsense("a frame that is no text".to_owned()));
                }
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Err(error @ (Error::Protocol(_) | Error::Utf8(_) | Error::Capacity(_)))) => {
                    // A connection that breaks within a frame or a handshake is reported as one of these, too.
                    return Err(Weather::broken(error));
                }
                Some(Err(error)) => return Err(Weather::broken(error)),
                None => return Err(Weather::Broken("the connection ended".to_owned())),
            }
        }
    }

    /// Closes in order, as a page does: what comes meanwhile is not read any more.
    pub(crate) async fn close(mut self) {
        let goodbye = async {
            // Whether the other end still hears it makes no difference to whoever goes.
            let _ = self.0.close(None).await;
            while let Some(Ok(_)) = self.0.next().await {}
        };
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }

    /// Cuts the connection.
    pub(crate) fn cut(self, resets: bool) {
        if resets {
            // Where the system refuses, it is cut without a reset.
            let _ = self.0.get_ref().set_zero_linger();
        }
    }
}
