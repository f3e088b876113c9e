//! The socket that ships: WebSocket over the TCP connection itself.
//!
//! Owns the reading of frames (tungstenite's), and the goodbye; `wire.rs` writes. Promises that a connection where nothing
//! happens holds no buffer. Never knows what a frame says.

use std::{
    future::poll_fn,
    io::{self, ErrorKind, Read, Write},
    sync::Arc,
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Buf as _, Bytes};
use parlour_feed::Pool;
use tokio::{net::TcpStream, task::coop};
use tokio_tungstenite::tungstenite::{
    Error as WireError, Message, Utf8Bytes,
    error::ProtocolError,
    protocol::{CloseFrame, Role, WebSocketConfig, WebSocketContext, frame::FrameHeader},
};

use super::{Frame, Gone, Incoming, Kind, Socket, wire::Wire};
use crate::{relay::inbox::Outlet, ws::close::Close};

/// What is read from a connection at once, where something has come; of a larger frame, its rest.
const READ_BYTES: usize = 1024;
/// How long a peer may take to answer a close, or to take it.
const CLOSE_LIMIT: Duration = Duration::from_secs(1);

/// A browser's TCP connection that has become a WebSocket.
#[derive(Debug)]
pub struct TcpSocket {
    wire: Arc<Wire>,
    /// What came together with the request for the upgrade.
    early: Bytes,
    /// The reading, while something of a message has come: it holds a buffer.
    reading: Option<Box<Reading>>,
    frame_bytes: usize,
}

/// A reading under way.
#[derive(Debug)]
struct Reading {
    protocol: WebSocketContext,
    /// The bytes read, less the fewest that the messages which came of them can have taken. None are left: of what has
    /// come, nothing is kept.
    open_bytes: usize,
}

impl Reading {
    fn new(frame_bytes: usize) -> Box<Self> {
        let config = WebSocketConfig::default()
            .read_buffer_size(READ_BYTES)
            .write_buffer_size(0)
            .max_write_buffer_size(READ_BYTES)
            .max_message_size(Some(frame_bytes))
            // One somewhat too large is still read, so that its sender is not cut off before it sees the close code.
            .max_frame_size(Some(frame_bytes.saturating_mul(2)));
        Box::new(Self { protocol: WebSocketContext::new(Role::Server, Some(config)), open_bytes: 0 })
    }
}

/// What a reading reads, and where its answers go.
struct Ends<'a> {
    wire: &'a Wire,
    early: &'a mut Bytes,
    read: usize,
    /// An answer has to wait inside the protocol.
    is_blocked: bool,
}

impl Read for Ends<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let read = if self.early.is_empty() {
            self.wire.read(into)?
        } else {
            let read = into.len().min(self.early.len());
            self.early.copy_to_slice(&mut into[..read]);
            read
        };
        self.read += read;
        Ok(read)
    }
}

impl Write for Ends<'_> {
    fn write(&mut self, answer: &[u8]) -> io::Result<usize> {
        let mut out = self.wire.out();
        self.is_blocked = out.is_full();
        if self.is_blocked {
            return Err(ErrorKind::WouldBlock.into());
        }
        out.push(Bytes::copy_from_slice(answer));
        Ok(answer.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.wire.write()
    }
}

impl TcpSocket {
    /// Takes over a connection; `early` is what has been read of it beyond the request. A message may have `frame_bytes`;
    /// what waits to be written counts among `outboxes`.
    pub fn new(stream: TcpStream, early: Bytes, frame_bytes: usize, outboxes: &Pool) -> Self {
        let wire = Arc::new(Wire::new(stream, outboxes.share()));
        Self { wire, early, reading: None, frame_bytes }
    }

    /// Takes what has come; `None`: nothing whole.
    fn take(&mut self) -> Option<Incoming> {
        let Self { wire, early, reading, frame_bytes } = self;
        let mut ends = Ends { wire, early, read: 0, is_blocked: false };
        let open = reading.get_or_insert_with(|| Reading::new(*frame_bytes));
        let taken = open.protocol.read(&mut ends);
        open.open_bytes += ends.read;
        let (body, incoming) = match taken {
            Ok(Message::Text(text)) => (text.len(), Incoming::Text(text)),
            Ok(Message::Binary(bytes)) => (bytes.len(), Incoming::Binary(bytes)),
            Ok(Message::Ping(body) | Message::Pong(body)) => (body.len(), Incoming::Alive),
            Ok(Message::Close(_)) => return Some(Incoming::Closed),
            Ok(Message::Frame(_)) => return Some(Incoming::Broken), // it is never read
            Err(WireError::Io(error)) if error.kind() == ErrorKind::WouldBlock => {
                if open.open_bytes == 0 && !ends.is_blocked {
                    *reading = None;
                }
                return None;
            }
            Err(error) => return Some(failure(&error)),
        };
        open.open_bytes -=
            FrameHeader { mask: Some([0; 4]), ..FrameHeader::default() }.len(body as u64) + body;
        Some(incoming)
    }

    /// Says goodbye, and waits for the peer's.
    async fn part(&mut self, close: Close) {
        let code = CloseFrame { code: close.code().into(), reason: Utf8Bytes::from_static(close.reason()) };
        if self.flush().await.is_err() {
            return;
        }
        let Self { wire, early, reading, frame_bytes } = self;
        let mut ends = Ends { wire, early, read: 0, is_blocked: false };
        let open = reading.get_or_insert_with(|| Reading::new(*frame_bytes));
        // A peer that closed first cannot be told any more, but is owed the answer that stands ready: this writes it.
        let told = open.protocol.close(&mut ends, Some(code));
        if self.flush().await.is_err() || told.is_err() {
            return;
        }
        if close.leaves_input() {
            // Input that nobody reads makes the kernel reset the connection, which would overtake the close frame.
            self.discard().await;
        } else {
            while !matches!(self.read().await, Incoming::Closed | Incoming::Broken | Incoming::Failed(_)) {}
        }
    }

    /// Reads, whatever it is, until the peer ends the connection.
    async fn discard(&self) {
        let mut input = [0; 512];
        while self.wire.stream.readable().await.is_ok() {
            match self.wire.stream.try_read(&mut input) {
                Ok(0) => return,
                Ok(_) => coop::consume_budget().await,
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(_) => return,
            }
        }
    }

    async fn read(&mut self) -> Incoming {
        poll_fn(|cx| self.poll_read(cx)).await
    }

    async fn flush(&mut self) -> Result<(), Gone> {
        poll_fn(|cx| self.poll_flush(cx)).await
    }
}

impl Socket for TcpSocket {
    fn poll_push(&mut self, cx: &mut Context<'_>, frame: &Frame) -> Poll<Result<usize, Gone>> {
        let mut out = self.wire.out();
        if out.is_blocked || out.is_full() {
            drop(out);
            ready!(self.wire.poll_write(cx))?;
            out = self.wire.out();
        }
        out.push(frame.wire().clone());
        Poll::Ready(Ok(frame.len()))
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Gone>> {
        debug_assert!(!self.wire.out().is_resting, "others write while a session rests");
        self.wire.poll_write(cx)
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<Incoming> {
        let turn = ready!(coop::poll_proceed(cx)); // a peer that never pauses is not to keep others waiting
        loop {
            // No buffer is made for what has not come.
            if (self.reading.is_some() || !self.early.is_empty())
                && let Some(incoming) = self.take()
            {
                turn.made_progress();
                return Poll::Ready(incoming);
            }
            if ready!(self.wire.stream.poll_read_ready(cx)).is_err() {
                return Poll::Ready(Incoming::Broken);
            }
            self.reading.get_or_insert_with(|| Reading::new(self.frame_bytes));
        }
    }

    fn taken(&self) -> u64 {
        self.wire.out().taken_bytes
    }

    fn outlet(&self) -> Arc<dyn Outlet> {
        Arc::clone(&self.wire) as _
    }

    fn rest(&mut self, rests: bool) {
        let mut out = self.wire.out();
        out.is_resting = rests && out.waiting.is_empty();
    }

    async fn close(mut self, close: Close) {
        // A peer that takes or answers nothing in time is cut off: what it did not take, it will find missing.
        let _ = tokio::time::timeout(CLOSE_LIMIT, self.part(close)).await;
    }
}

/// What the failure of a read means.
fn failure(error: &WireError) -> Incoming {
    match error {
        WireError::Capacity(_) => Incoming::Failed(Close::TooLarge),
        WireError::Utf8(_) => Incoming::Failed(Close::NotUtf8),
        WireError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => Incoming::Broken,
        WireError::Protocol(_) => Incoming::Failed(Close::Protocol),
        _ => Incoming::Broken,
    }
}

/// Sends every message back, until the peer closes: what a conformance suite needs to judge this socket.
pub async fn echo(mut socket: TcpSocket) {
    loop {
        let frame = match socket.read().await {
            Incoming::Text(text) => Frame::text(&text),
            Incoming::Binary(bytes) => Frame::new(Kind::Binary, &bytes),
            Incoming::Alive => continue,
            Incoming::Closed => return socket.close(Close::Normal).await,
            Incoming::Broken => return,
            Incoming::Failed(close) => return socket.close(close).await,
        };
        if poll_fn(|cx| socket.poll_push(cx, &frame)).await.is_err() || socket.flush().await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::TcpListener,
    };
    use tokio_tungstenite::tungstenite::protocol::frame::coding::{Data, OpCode};

    use super::*;

    const FRAME_BYTES: usize = 65_536;

    /// A socket and its peer.
    async fn connected() -> (TcpSocket, TcpStream) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let peer = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let (stream, _) = listener.accept().await.unwrap();
        (TcpSocket::new(stream, Bytes::new(), FRAME_BYTES, &Pool::new(usize::MAX)), peer)
    }

    fn masked(text: &str) -> Vec<u8> {
        let opcode = OpCode::Data(Data::Text);
        let mut frame = Vec::new();
        let header = FrameHeader { opcode, mask: Some([0; 4]), ..FrameHeader::default() };
        header.format(text.len() as u64, &mut frame).unwrap();
        frame.extend_from_slice(text.as_bytes());
        frame
    }

    async fn is_idle(socket: &mut TcpSocket) -> bool {
        let nothing = tokio::time::timeout(Duration::from_millis(1), socket.read()).await;
        nothing.is_err() && socket.reading.is_none()
    }

    #[tokio::test]
    async fn p8_a_connection_where_nothing_happens_holds_no_buffer() {
        let (mut socket, mut peer) = connected().await;
        assert!(is_idle(&mut socket).await);
        for length in [0, 125, 126, 5_000, 60_000] {
            let (text, rest) = ("x".repeat(length), "later");
            let mut sent = masked(&text);
            sent.extend_from_slice(&masked(rest));
            let (first, second) = sent.split_at(sent.len() - 3);
            peer.write_all(first).await.unwrap();
            assert_eq!(socket.read().await, Incoming::Text(text.into()));
            assert!(!is_idle(&mut socket).await, "something of the next has come");
            peer.write_all(second).await.unwrap();
            assert_eq!(socket.read().await, Incoming::Text(rest.into()));
            assert!(is_idle(&mut socket).await);
        }
    }

    #[tokio::test]
    async fn what_came_with_the_request_is_read_first() {
        let (socket, mut peer) = connected().await;
        let Ok(Wire { stream, .. }) = Arc::try_unwrap(socket.wire) else { panic!("nobody else has it") };
        let mut all = masked("one");
        all.extend_from_slice(&masked("two"));
        let early = Bytes::copy_from_slice(&all[..11]);
        let mut socket = TcpSocket::new(stream, early, FRAME_BYTES, &Pool::new(usize::MAX));
        assert_eq!(socket.read().await, Incoming::Text("one".into()));
        peer.write_all(&all[11..]).await.unwrap();
        assert_eq!(socket.read().await, Incoming::Text("two".into()));
        assert!(is_idle(&mut socket).await);
    }

    #[tokio::test]
    async fn p3_what_others_write_is_whole_and_in_order_and_only_while_the_session_rests() {
        let (mut socket, mut peer) = connected().await;
        let outlet = socket.outlet();
        assert!(!outlet.hand(&mut || panic!("it does not rest")));
        socket.rest(true);
        assert!(!outlet.hand(&mut || None), "there was nothing to hand");
        // Until the peer's side is full, then what is left waits for the session.
        let run: Bytes =
            (0..300).flat_map(|nth| Frame::text(&nth.to_string().repeat(100)).wire().to_vec()).collect();
        let mut expected = BytesMut::new();
        loop {
            expected.extend_from_slice(&run);
            if !outlet.hand(&mut || Some(run.clone())) {
                break;
            }
        }
        assert!(!outlet.hand(&mut || panic!("something is left")));
        socket.rest(true);
        assert!(!outlet.hand(&mut || panic!("as long as it is, nobody else writes")));
        let last = Frame::text("the session's own");
        let pushed = poll_fn(|cx| Poll::Ready(socket.poll_push(cx, &last).is_ready())).await;
        assert!(!pushed, "P8: nothing is added to what the peer does not take");
        expected.extend_from_slice(last.wire());
        let mut taken = vec![0; expected.len()];
        let writing = async {
            poll_fn(|cx| socket.poll_push(cx, &last)).await.unwrap();
            socket.flush().await.unwrap();
        };
        let (_, read) = tokio::join!(writing, peer.read_exact(&mut taken));
        read.unwrap();
        assert!(taken == expected, "each frame once, whole and in order");
        assert_eq!(socket.wire.out().share.bytes(), 0);
        socket.rest(true);
        assert!(outlet.hand(&mut || Some(last.wire().clone())), "it rests again");
    }
}
