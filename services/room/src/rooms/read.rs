//! Reading a room.
//!
//! Owns pages of messages and events, and who is here. Promises that a page says whether there is more, and that a cursor of
//! another log is recognised. Never changes anything, and never cuts a page: the store does.

use parlour_feed::cursor::{Cursor, Seq};

use super::{Place, RoomRef, Rooms};
use crate::{
    domain::{
        event::Event,
        ids::RoomId,
        message::{Message, User},
    },
    error::Error,
    store::{Span, Store},
};

/// After what to read a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum After {
    /// From its beginning.
    Beginning,
    /// After a cursor, which is compared with the log.
    Cursor(Cursor),
    /// After a seq, whatever its check.
    Seq(Seq),
}

/// A page of messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MessagesRead {
    /// The room.
    pub place: Place,
    /// The messages, oldest first.
    pub messages: Vec<Message>,
    /// Whether there are more in the direction asked.
    pub more: bool,
}

/// A page of a log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EventsRead {
    /// The room.
    pub place: Place,
    /// The cursor after which the events stand; `None` where a seq was asked for and the log ends before it.
    pub base: Option<Cursor>,
    /// The events, in order.
    pub events: Vec<Event>,
    /// The newest event's cursor at the moment of reading.
    pub head: Cursor,
}

/// Who is here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PresenceRead {
    /// In order of arrival, as many as were asked for.
    pub users: Vec<User>,
    /// How many there are.
    pub count: usize,
}

impl Rooms {
    /// Returns one message.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `MESSAGE_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn get_message(&self, room: &RoomRef, id: Seq) -> Result<Message, Error> {
        let place = self.place(room).await?;
        let event = self.bounded(self.0.store.event(&place.id, id)).await?;
        event.and_then(|event| event.message()).ok_or(Error::MessageNotFound)
    }

    /// Returns a page of messages, archived rooms' too.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn messages(&self, room: &RoomRef, span: Span, limit: usize) -> Result<MessagesRead, Error> {
        let place = self.place(room).await?;
        let (messages, more) = self.messages_of(&place.id, span, limit).await?;
        Ok(MessagesRead { place, messages, more })
    }

    /// Returns a page of messages of a room known by its id.
    pub(crate) async fn messages_of(
        &self,
        room: &RoomId,
        span: Span,
        limit: usize,
    ) -> Result<(Vec<Message>, bool), Error> {
        if limit == 0 {
            return Ok((Vec::new(), false));
        }
        let (events, more) = self.bounded(self.0.store.messages(room, span, limit)).await?;
        Ok((events.iter().filter_map(Event::message).collect(), more))
    }

    /// Returns a page of a log, archived rooms' too.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `OTHER_LOG`, `AHEAD`, `UNAVAILABLE`.
    pub async fn events(&self, room: &RoomRef, after: After, limit: usize) -> Result<EventsRead, Error> {
        let place = self.place(room).await?;
        let seq = match after {
            After::Beginning => 0,
            After::Cursor(cursor) => cursor.seq,
            After::Seq(seq) => seq,
        };
        let page = self.bounded(self.0.store.events(&place.id, seq, limit)).await?;
        let page = page.ok_or_else(|| self.missing(&place.id))?;
        if let After::Cursor(cursor) = after {
            let base = page.base.ok_or(Error::Ahead)?;
            if base.check != cursor.check {
                return Err(Error::OtherLog);
            }
        }
        Ok(EventsRead { place, base: page.base, events: page.events, head: page.head })
    }

    /// Returns who is present in a room.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn presence(&self, room: &RoomRef, limit: usize) -> Result<PresenceRead, Error> {
        let place = self.place(room).await?;
        let (users, count) = self.0.hub.present(&place.id, limit);
        Ok(PresenceRead { users, count })
    }
}
