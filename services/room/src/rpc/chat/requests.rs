//! What a session asks.
//!
//! Owns the way of a request to its room, and the order in which one room's are done: one append of a session and room
//! is under way at a time, and what waits behind one that is refused for now is refused with it (P5 b, c). Never waits.

use std::time::{Duration, Instant};

use parlour_proto::v1::{self, chat_request::Frame as Up};

use super::{
    super::convert,
    frames,
    join::Joining,
    session::{Command, Done, Session, Slot, Stand},
};
use crate::{
    domain::{Invalid, message::RequestKey},
    error::{Error, ErrorKind},
    hub::{live::Typing, signal::Key},
    rooms::{After, Place, RateKey, RoomRef, Rooms, Send, settings::page_size},
    store::Span,
};

/// How often a session may be said to type in a room.
const TYPING: Duration = Duration::from_secs(1);

impl Session {
    /// Takes a request that names a room. Where the room is not known yet it is looked up, and nothing else is read of
    /// the client until it is.
    pub(super) fn ask(&mut self, request: v1::ChatRequest) {
        let room = match RoomRef::parse(room_of(&request)) {
            Ok(room) => room,
            Err(refused) => return self.refuse(&request.id, &refused),
        };
        match self.rooms.hub().known(&room) {
            Some(place) => self.asked(request, place),
            None => {
                let rooms = self.rooms.clone();
                self.resolving += 1;
                self.work
                    .push(Box::pin(async move { Done::Place(Box::new(request), rooms.place(&room).await) }));
            }
        }
    }

    /// Takes what was waited for.
    pub(super) fn done(&mut self, done: Done) {
        match done {
            Done::Place(request, found) => {
                self.resolving -= 1;
                let before = self.faults();
                match found {
                    Ok(place) => self.asked(*request, place),
                    Err(refused) => self.refuse(&request.id, &refused),
                }
                self.judge(before);
            }
            Done::HelloPlace(joining, found) => {
                self.resolving -= 1;
                match found {
                    Ok(place) => self.queue(place, Command::Join(joining)),
                    Err(refused) => self.refuse_join(&joining, &refused),
                }
            }
            Done::Loaded(key, joining, loaded) => self.loaded(key, joining, loaded),
            Done::Past(key, past, read, _turn) => self.past_read(key, past, read),
            Done::Sent(key, id, outcome) => self.sent(key, &id, outcome),
            Done::History(id, Ok(page), turn) => self.say_page(&id, page, turn),
            Done::History(id, Err(refused), _turn) => self.refuse(&id, &refused),
        }
    }

    fn asked(&mut self, request: v1::ChatRequest, place: Place) {
        let id = request.id;
        match request.frame {
            Some(Up::Join(join)) => match self.joining(id.clone(), join) {
                Ok(joining) => self.queue(place, Command::Join(joining)),
                Err(refused) => self.refuse(&id, &refused),
            },
            Some(Up::Leave(_)) => self.queue(place, Command::Leave(id)),
            Some(Up::Message(post)) => self.queue(place, Command::Post(id, post)),
            Some(Up::Typing(typing)) => self.types(&id, &place, typing.typing),
            Some(Up::History(asked)) => {
                let rooms = self.rooms.clone();
                let page = async move { history(&rooms, place, &asked).await };
                self.read(page, |read, turn| Done::History(id, read, turn));
            }
            Some(Up::Hello(_) | Up::Ping(_)) | None => {} // they name no room
        }
    }

    /// Puts a command in its room's line.
    pub(super) fn queue(&mut self, place: Place, command: Command) {
        let key = *self.keys.entry(place.id.clone()).or_insert_with(|| {
            self.next_key = self.next_key.wrapping_add(1);
            self.next_key
        });
        let slot = self.slots.entry(key).or_insert_with(|| Slot {
            place,
            stand: Stand::Out,
            queue: Default::default(),
            is_busy: false,
        });
        slot.queue.push_back(command);
        self.go_on(key);
    }

    /// Does what waits in a room's line, until something has to be waited for.
    pub(super) fn go_on(&mut self, key: Key) {
        loop {
            let Some(slot) = self.slots.get_mut(&key) else { return };
            if slot.is_busy {
                return;
            }
            match slot.queue.pop_front() {
                Some(Command::Join(joining)) => self.begin_join(key, joining),
                Some(Command::Leave(id)) => self.leave(key, &id),
                Some(Command::Post(id, post)) => self.post(key, id, post),
                None => break,
            }
        }
        self.tidy(key);
    }

    /// Forgets a room that the session is not in and asks nothing of.
    fn tidy(&mut self, key: Key) {
        let Some(slot) = self.slots.get(&key) else { return };
        if matches!(slot.stand, Stand::Out) && slot.queue.is_empty() && !slot.is_busy {
            self.keys.remove(&slot.place.id);
            self.slots.remove(&key);
        }
    }

    /// The log has a room no longer.
    pub(super) fn lost(&mut self, key: Key) {
        self.leave(key, "");
        if let Some(slot) = self.slots.get(&key) {
            let name = slot.place.name.to_string();
            self.say("", frames::gone(&name, Error::RoomNotFound.reason()));
        }
        self.go_on(key);
    }

    fn leave(&mut self, key: Key, id: &str) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let place = slot.place.clone();
        if let Stand::In(inside) = std::mem::replace(&mut slot.stand, Stand::Out) {
            inside.room.with(|live, now| {
                live.part(inside.reader, now);
                live.leave(self.id, self.owner, now);
            });
        }
        if !id.is_empty() {
            self.say(id, frames::ack(&place, None));
        }
    }

    fn post(&mut self, key: Key, id: String, post: v1::Post) {
        let send = match self.checked(key, post) {
            Ok(send) => send,
            Err(refused) => return self.refuse(&id, &refused),
        };
        let Some(slot) = self.slots.get_mut(&key) else { return };
        slot.is_busy = true;
        let rooms = self.rooms.clone();
        self.work.push(Box::pin(async move { Done::Sent(key, id, rooms.send(send).await) }));
    }

    fn checked(&mut self, key: Key, post: v1::Post) -> Result<Send, Error> {
        let actor = self.user.clone().ok_or(Error::Internal("a session asks before it is welcomed"))?;
        let slot = self.slots.get(&key).ok_or(Error::Internal("a room in line has a slot"))?;
        let (request_key, key_is_clients) = match &post.client_message_id {
            Some(given) => (RequestKey::parse(given, "client_message_id")?, true),
            None => (RequestKey::generate(), false),
        };
        Ok(Send {
            room: RoomRef::Name(slot.place.name.clone()),
            rate: RateKey::User(actor.id.clone()),
            from: self.from,
            actor,
            key: request_key,
            key_is_clients,
            content: post.content,
            reply_to: post.reply_to,
        })
    }

    fn sent(&mut self, key: Key, id: &str, outcome: Result<(Place, crate::rooms::Sent), Error>) {
        match outcome {
            Ok((place, sent)) => self.say(id, frames::ack(&place, Some(&sent))),
            Err(refused) => {
                self.refuse(id, &refused);
                if matches!(refused.kind(), ErrorKind::Unavailable | ErrorKind::ResourceExhausted) {
                    self.refuse_waiting(key, &refused);
                }
            }
        }
        self.finished(key);
    }

    /// Refuses the sends that wait in a room's line behind one that was refused for now (P5 c).
    fn refuse_waiting(&mut self, key: Key, refused: &Error) {
        let Some(slot) = self.slots.get_mut(&key) else { return };
        let waiting = std::mem::take(&mut slot.queue);
        let mut posts = Vec::new();
        for command in waiting {
            match command {
                Command::Post(id, _) => posts.push(id),
                other => slot.queue.push_back(other),
            }
        }
        for id in posts {
            self.refuse(&id, refused);
        }
    }

    /// What was under way in a room's line has ended.
    pub(super) fn finished(&mut self, key: Key) {
        if let Some(slot) = self.slots.get_mut(&key) {
            slot.is_busy = false;
        }
        self.go_on(key);
    }

    fn types(&mut self, id: &str, place: &Place, typing: bool) {
        let slot = self.keys.get(&place.id).and_then(|key| self.slots.get_mut(key));
        let (Some(Slot { stand: Stand::In(inside), .. }), Some(user)) = (slot, &self.user) else {
            return self.refuse(id, &Error::Forbidden("typing is for who is in the room"));
        };
        let now = Instant::now();
        if inside.typed.is_none_or(|typed| typed + TYPING <= now) {
            inside.typed = Some(now);
            let typing = Typing { session: self.id, user: user.clone(), typing };
            inside.room.with(|live, _| live.typing(typing));
        }
        if !id.is_empty() {
            self.say(id, frames::ack(place, None));
        }
    }

    pub(super) fn refuse_join(&mut self, joining: &Joining, refused: &Error) {
        if joining.is_hellos {
            self.say("", frames::gone(&joining.asked, refused.reason()));
        } else {
            self.refuse(&joining.id, refused);
        }
    }
}

fn room_of(request: &v1::ChatRequest) -> &str {
    match &request.frame {
        Some(Up::Join(join)) => &join.room,
        Some(Up::Leave(leave)) => &leave.room,
        Some(Up::Message(post)) => &post.room,
        Some(Up::Typing(typing)) => &typing.room,
        Some(Up::History(history)) => &history.room,
        Some(Up::Hello(_) | Up::Ping(_)) | None => "",
    }
}

async fn history(rooms: &Rooms, place: Place, asked: &v1::ReadHistory) -> Result<v1::History, Error> {
    let room = RoomRef::Name(place.name.clone());
    let limit = page_size(asked.limit.unwrap_or_default() as usize);
    let mut history = v1::History { room: place.name.to_string(), ..v1::History::default() };
    match (asked.before, asked.after) {
        (Some(_), Some(_)) => {
            return Err(Invalid::field("after", "either before or after").into());
        }
        (before, None) => {
            let read = rooms.messages(&room, Span::Before(before.unwrap_or(u64::MAX)), limit).await?;
            history.messages = read.messages.into_iter().map(convert::message).collect();
            history.more = read.more;
        }
        (None, Some(after)) => {
            let read = rooms.events(&room, After::Seq(after), limit).await?;
            let last = read.events.last().map_or(after, |event| event.seq);
            history.events =
                read.events.iter().map(|event| convert::event(&place.id, &place.name, event)).collect();
            history.more = read.base.is_some() && last < read.head.seq;
        }
    }
    Ok(history)
}
