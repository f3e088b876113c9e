//! A stream of `Chat`.
//!
//! Owns a client's stream to the room service, on a connection of its own. Promises an orderly end, and a
//! cut that does not look like one. Never reads a frame.

use std::net::Shutdown;

use hyper_util::rt::TokioIo;
use parlour_proto::v1::{ChatRequest, ChatResponse, room_service_client::RoomServiceClient};
use tokio::{net::TcpStream, sync::mpsc};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Streaming, transport::Endpoint};

use super::link::{GOODBYE, LIMIT, Weather};
use crate::config::Address;

/// Requests on their way to the connection.
const REQUESTS: usize = 32;
/// What the connection may have under way: h2 ends one that leaves many small frames unread.
const WINDOW_BYTES: u32 = 16 << 20;

/// A stream.
pub(crate) struct Chat {
    /// A second handle of the connection, to cut it by.
    connection: std::net::TcpStream,
    up: mpsc::Sender<ChatRequest>,
    down: Streaming<ChatResponse>,
}

impl Chat {
    /// Opens a connection and a stream.
    pub(crate) async fn open(address: &Address) -> Result<Self, Weather> {
        let endpoint = Endpoint::from_shared(format!("http://{}", address.authority()))
            .map_err(Weather::broken)?
            .connect_timeout(LIMIT)
            .initial_connection_window_size(WINDOW_BYTES);
        let connection = TcpStream::connect(address.authority()).await.map_err(Weather::broken)?;
        connection.set_nodelay(true).map_err(Weather::broken)?;
        let connection = connection.into_std().map_err(Weather::broken)?;
        let ours = connection.try_clone().map_err(Weather::broken)?;
        let mut stream = Some(TcpStream::from_std(ours).map_err(Weather::broken)?);
        // One connection and no other: what it ends with is what the client did.
        let connector = tower::service_fn(move |_: http::Uri| {
            let stream = stream.take().ok_or_else(|| std::io::Error::other("the connection is over"));
            std::future::ready(stream.map(TokioIo::new))
        });
        let channel = endpoint.connect_with_connector(connector).await.map_err(Weather::broken)?;
        let (up, requests) = mpsc::channel(REQUESTS);
        let answered = RoomServiceClient::new(channel).chat(ReceiverStream::new(requests)).await;
        let down = answered.map_err(|status| Weather::Ended(status.code()))?.into_inner();
        Ok(Self { connection, up, down })
    }

    /// Sends frames.
    pub(crate) async fn say(&mut self, requests: Vec<ChatRequest>) -> Result<(), Weather> {
        for request in requests {
            self.up.send(request).await.map_err(|_| Weather::Broken("the stream has ended".to_owned()))?;
        }
        Ok(())
    }

    /// The next frame. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Result<ChatResponse, Weather> {
        match self.down.message().await {
            Ok(Some(response)) => Ok(response),
            Ok(None) => Err(Weather::Ended(tonic::Code::Ok)),
            Err(status) => Err(Weather::Ended(status.code())),
        }
    }

    /// Cuts the connection. The requests end only after it: their end would be an orderly one.
    pub(crate) async fn cut(self) {
        let Self { connection, up, down } = self;
        // One that is over already needs no cutting.
        let _ = connection.shutdown(Shutdown::Both);
        let _ = tokio::time::timeout(GOODBYE, up.closed()).await;
        drop(down);
    }

    /// Says that nothing more comes, and reads to the end.
    pub(crate) async fn close(self) {
        let Self { up, mut down, connection: _ } = self;
        drop(up);
        let goodbye = async { while let Ok(Some(_)) = down.message().await {} };
        // One that does not end in time is cut.
        let _ = tokio::time::timeout(GOODBYE, goodbye).await;
    }
}
