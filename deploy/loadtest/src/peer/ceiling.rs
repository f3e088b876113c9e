//! A bare epoll loop.
//!
//! Owns every socket, in one thread. Promises the least that handing a frame to many sockets can cost: a frame is made
//! ready once, and written to each. Never waits for a socket, drops a frame, or looks at what a frame says.

use std::{
    collections::HashMap,
    io::{self, Cursor, ErrorKind, Read as _, Write as _},
    net::{TcpListener, TcpStream},
};

use bytes::{Buf as _, BufMut as _, Bytes, BytesMut};
use rustix::{
    buffer::spare_capacity,
    event::epoll::{self, EventData, EventFlags},
    fd::OwnedFd,
};
use tokio_tungstenite::tungstenite::{
    handshake::derive_accept_key,
    protocol::frame::{
        FrameHeader,
        coding::{Data, OpCode},
    },
};

/// The listener among the events; sockets are numbered from 0.
const LISTENER: u64 = u64::MAX;
/// What is read at once.
const READ_BYTES: usize = 64 * 1024;
/// Events taken at once.
const EVENTS: usize = 1_024;

/// How frames are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Writing {
    /// Each by itself.
    Each,
    /// All that wait at once.
    Gathered,
}

struct Socket {
    stream: TcpStream,
    inbox: BytesMut,
    room: Option<String>,
    /// What the system has not taken yet.
    waiting: Vec<Bytes>,
}

/// Serves until it is ended.
pub(crate) fn serve(listener: &TcpListener, writing: Writing) -> io::Result<()> {
    let mut server = Server {
        epoll: epoll::create(epoll::CreateFlags::CLOEXEC)?,
        writing,
        sockets: Vec::new(),
        rooms: HashMap::new(),
        said: Vec::new(),
    };
    epoll::add(&server.epoll, listener, EventData::new_u64(LISTENER), EventFlags::IN)?;
    let mut events = Vec::with_capacity(EVENTS);
    loop {
        epoll::wait(&server.epoll, spare_capacity(&mut events), None)?;
        for event in events.drain(..) {
            match event.data.u64() {
                LISTENER => server.accept(listener)?,
                number => server.turn(usize::try_from(number).expect("an index"), event.flags),
            }
        }
        server.tell();
    }
}

struct Server {
    epoll: OwnedFd,
    writing: Writing,
    sockets: Vec<Option<Socket>>,
    rooms: HashMap<String, Vec<usize>>,
    /// What was said in this turn of the loop.
    said: Vec<(String, Bytes)>,
}

impl Server {
    fn accept(&mut self, listener: &TcpListener) -> io::Result<()> {
        while let Some((stream, _)) = unless_blocked(listener.accept())? {
            stream.set_nonblocking(true)?;
            stream.set_nodelay(true)?;
            epoll::add(&self.epoll, &stream, EventData::new_u64(self.sockets.len() as u64), EventFlags::IN)?;
            let (inbox, room, waiting) = (BytesMut::new(), None, Vec::new());
            self.sockets.push(Some(Socket { stream, inbox, room, waiting }));
        }
        Ok(())
    }

    /// A socket can be read or written.
    fn turn(&mut self, number: usize, flags: EventFlags) {
        let Some(socket) = &mut self.sockets[number] else { return };
        let mut done = Ok(());
        if flags.contains(EventFlags::OUT) {
            done = socket.write(self.writing).and_then(|()| socket.watch(&self.epoll, number));
        }
        if flags.intersects(EventFlags::IN | EventFlags::HUP | EventFlags::ERR) {
            done = done.and_then(|()| socket.read()).and_then(|()| self.take(number));
        }
        if done.is_err() {
            self.drop(number);
        }
    }

    /// Takes what a socket has sent: its handshake, then frames.
    fn take(&mut self, number: usize) -> io::Result<()> {
        let Some(socket) = &mut self.sockets[number] else { return Ok(()) };
        if socket.room.is_none() {
            let Some(room) = socket.shake_hands()? else { return Ok(()) };
            socket.room = Some(room.clone());
            self.rooms.entry(room).or_default().push(number);
        }
        let room = socket.room.clone().unwrap_or_default();
        while let Some(frame) = next_frame(&mut socket.inbox)? {
            self.said.push((room.clone(), frame));
        }
        Ok(())
    }

    /// Hands what was said to everybody in the room.
    fn tell(&mut self) {
        let mut said = std::mem::take(&mut self.said);
        if self.writing == Writing::Gathered {
            let mut gathered: HashMap<String, BytesMut> = HashMap::new();
            for (room, frame) in said.drain(..) {
                gathered.entry(room).or_default().put(frame);
            }
            said.extend(gathered.into_iter().map(|(room, frames)| (room, frames.freeze())));
        }
        for (room, frame) in said.drain(..) {
            let mut gone = Vec::new();
            for &number in self.rooms.get(&room).into_iter().flatten() {
                let Some(socket) = &mut self.sockets[number] else { continue };
                if socket.push(frame.clone(), self.writing, &self.epoll, number).is_err() {
                    gone.push(number);
                }
            }
            gone.into_iter().for_each(|number| self.drop(number));
        }
        self.said = said;
    }

    fn drop(&mut self, number: usize) {
        let room = self.sockets[number].take().and_then(|socket| socket.room);
        if let Some(members) = room.and_then(|room| self.rooms.get_mut(&room)) {
            members.retain(|member| *member != number);
        }
    }
}

impl Socket {
    fn read(&mut self) -> io::Result<()> {
        let mut bytes = [0; READ_BYTES];
        match unless_blocked(self.stream.read(&mut bytes))? {
            Some(0) => Err(ErrorKind::UnexpectedEof.into()),
            Some(count) => {
                self.inbox.extend_from_slice(&bytes[..count]);
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Answers the request to upgrade, once it is whole; the room that its path names.
    fn shake_hands(&mut self) -> io::Result<Option<String>> {
        const END: &[u8] = b"\r\n\r\n";
        let Some(end) = memchr::memmem::find(&self.inbox, END) else { return Ok(None) };
        let request = self.inbox.split_to(end + END.len());
        let nonsense = || io::Error::from(ErrorKind::InvalidData);
        let request = std::str::from_utf8(&request).map_err(|_| nonsense())?;
        let mut lines = request.split("\r\n");
        let room = lines.next().and_then(|line| line.split(' ').nth(1)).ok_or_else(nonsense)?.to_owned();
        let mut headers = lines.filter_map(|line| line.split_once(':'));
        let key = headers.find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"));
        let accept = derive_accept_key(key.ok_or_else(nonsense)?.1.trim().as_bytes());
        let head = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n";
        self.stream.write_all(format!("{head}sec-websocket-accept: {accept}\r\n\r\n").as_bytes())?;
        Ok(Some(room))
    }

    /// Writes a frame, as far as the system takes it now.
    fn push(&mut self, frame: Bytes, writing: Writing, epoll: &OwnedFd, number: usize) -> io::Result<()> {
        let was_waiting = !self.waiting.is_empty();
        self.waiting.push(frame);
        if was_waiting {
            return Ok(());
        }
        self.write(writing)?;
        if self.waiting.is_empty() { Ok(()) } else { self.watch(epoll, number) }
    }

    fn write(&mut self, writing: Writing) -> io::Result<()> {
        if writing == Writing::Gathered && self.waiting.len() > 1 {
            let all: BytesMut = self.waiting.drain(..).flatten().collect();
            self.waiting.push(all.freeze());
        }
        let mut written = 0;
        for frame in &mut self.waiting {
            let Some(count) = unless_blocked(self.stream.write(frame))? else { break };
            frame.advance(count);
            if !frame.is_empty() {
                break;
            }
            written += 1;
        }
        self.waiting.drain(..written);
        Ok(())
    }

    /// Asks to be told when it can be written, as long as something waits.
    fn watch(&self, epoll: &OwnedFd, number: usize) -> io::Result<()> {
        let out = if self.waiting.is_empty() { EventFlags::empty() } else { EventFlags::OUT };
        Ok(epoll::modify(epoll, &self.stream, EventData::new_u64(number as u64), EventFlags::IN | out)?)
    }
}

/// The next text of a client as a frame for clients; `None` until there is a whole one.
fn next_frame(inbox: &mut BytesMut) -> io::Result<Option<Bytes>> {
    loop {
        let mut head = Cursor::new(&inbox[..]);
        let Some((header, length)) = FrameHeader::parse(&mut head).map_err(io::Error::other)? else {
            return Ok(None);
        };
        let (start, length) = (usize::try_from(head.position()), usize::try_from(length));
        let (start, length) = (start.map_err(io::Error::other)?, length.map_err(io::Error::other)?);
        if inbox.len() < start + length {
            return Ok(None);
        }
        inbox.advance(start);
        let mut body = inbox.split_to(length);
        if let Some(mask) = header.mask {
            body.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        }
        match header.opcode {
            OpCode::Data(Data::Text | Data::Binary) => {
                let ready = FrameHeader { mask: None, ..header };
                let mut frame = BytesMut::with_capacity(length + 10).writer();
                ready.format(length as u64, &mut frame).map_err(io::Error::other)?;
                let mut frame = frame.into_inner();
                frame.put(body);
                return Ok(Some(frame.freeze()));
            }
            OpCode::Control(_) | OpCode::Data(_) => {}
        }
    }
}

fn unless_blocked<T>(done: io::Result<T>) -> io::Result<Option<T>> {
    match done {
        Ok(done) => Ok(Some(done)),
        Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => Ok(None),
        Err(error) => Err(error),
    }
}
