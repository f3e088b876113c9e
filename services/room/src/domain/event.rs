//! Events: the entries of a room's log.
//!
//! Owns what can happen in a room for good, as a proposal (`Draft`) and as a fact (`Event`). Promises that events are
//! idempotent facts, never increments. Never gives out a seq: the store does.

use parlour_feed::cursor::{Check, Cursor, Seq};

use super::{
    ids::RoomId,
    message::{Message, RequestKey, User},
};

/// A proposal for a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The room.
    pub room: RoomId,
    /// Who proposes it; with the room and the key it names one event for ever.
    pub actor: User,
    /// What makes a repeat harmless.
    pub key: RequestKey,
    /// Whether the key is the client's own, and so shown as a message's `client_message_id`.
    pub key_is_clients: bool,
    /// What is to happen.
    pub body: Body,
}

/// What can happen in a room.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Body {
    /// A message is posted.
    Message {
        /// Its text.
        content: String,
        /// The message it answers.
        reply_to: Option<Seq>,
    },
    /// The room is changed; it is then as these fields say.
    RoomChanged {
        /// The title.
        title: String,
        /// The topic.
        topic: String,
        /// Whether it is archived.
        archived: bool,
    },
}

/// An entry of a room's log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Its place in the log.
    pub seq: Seq,
    /// When it was committed, in microseconds since 1970; never runs backwards within a room.
    pub created_at: i64,
    /// Who did it.
    pub actor: User,
    /// What made a repeat harmless.
    pub key: RequestKey,
    /// Whether the key was the client's own.
    pub key_is_clients: bool,
    /// What happened.
    pub body: Body,
}

impl Event {
    /// Its cursor in `room`.
    pub fn cursor(&self, room: &RoomId) -> Cursor {
        Cursor { check: Check::of(room.as_str(), self.created_at), seq: self.seq }
    }

    /// The message it posted, if it posted one.
    pub fn message(&self) -> Option<Message> {
        let Body::Message { content, reply_to } = &self.body else { return None };
        Some(Message {
            id: self.seq,
            user: self.actor.clone(),
            content: content.clone(),
            client_message_id: self.key_is_clients.then(|| self.key.clone()),
            reply_to: *reply_to,
            created_at: self.created_at,
        })
    }

    /// Roughly what it costs in memory, in bytes.
    pub fn weight(&self) -> usize {
        let body = match &self.body {
            Body::Message { content, .. } => content.len(),
            Body::RoomChanged { title, topic, .. } => title.len() + topic.len(),
        };
        body + self.key.as_str().len() + self.actor.id.as_str().len() + self.actor.name.as_str().len() + 128
    }
}
