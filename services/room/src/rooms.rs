//! The verbs: what can be done with rooms, their logs and the people in them.
//!
//! Owns the order of effects of each verb: what is checked, in which order, before the log is asked. Promises that every
//! verb ends within the request deadline with an answer or a typed refusal, and that a repeat of a known key is answered
//! with the first answer (P5). Never knows how a request came in.

pub mod rates;
pub mod read;
pub mod send;
pub mod settings;

use std::{future::Future, sync::Arc};

use parlour_chassis::{address::Address, tasks::Tasks};

pub use self::{
    rates::RateKey,
    read::{After, EventsRead, MessagesRead, PresenceRead},
    send::{Send, Sent},
    settings::Settings,
};
use crate::{
    domain::{
        Invalid,
        event::{Body, Draft},
        ids::RoomId,
        message::{RequestKey, User},
        room::{NewRoom, Room, RoomName, check_title, check_topic},
    },
    error::Error,
    hub::{Hub, probe},
    store::{AnyStore, Appended, Store, StoreError, writer::Writer},
};

/// How a request names a room: its name or its id.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum RoomRef {
    /// By name.
    Name(RoomName),
    /// By id.
    Id(RoomId),
}

impl RoomRef {
    /// Reads either.
    ///
    /// # Errors
    /// `MISSING_FIELD` or `INVALID_FIELD` on `room` where the text is neither.
    pub fn parse(text: &str) -> Result<Self, Error> {
        if text.is_empty() {
            return Err(Error::Missing("room"));
        }
        if let Some(id) = RoomId::parse(text) {
            return Ok(Self::Id(id));
        }
        let name = RoomName::parse(text).map_err(|invalid| Invalid { field: "room", ..invalid })?;
        Ok(Self::Name(name))
    }
}

/// Where a room stands for good: what a verb needs to reach its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// Its id.
    pub id: RoomId,
    /// Its name.
    pub name: RoomName,
}

impl Place {
    /// That of a room.
    pub fn of(room: &Room) -> Self {
        Self { id: room.id.clone(), name: room.name.clone() }
    }
}

/// What is to change of a room; `None` leaves it as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Change {
    /// The title.
    pub title: Option<String>,
    /// The topic.
    pub topic: Option<String>,
}

/// The verbs. Clones are handles to the same service.
#[derive(Clone)]
pub struct Rooms(pub(crate) Arc<Inner>);

pub(crate) struct Inner {
    pub(crate) store: Arc<AnyStore>,
    pub(crate) hub: Hub,
    pub(crate) settings: Settings,
    writer: Writer,
    rates: rates::Rates,
}

impl Rooms {
    /// Starts the live side over `store`. Live rooms are tasks of `tasks`; the writers are of `writers`, which is to be
    /// finished after everyone who sends.
    pub fn build(store: Arc<AnyStore>, settings: Settings, tasks: &Tasks, writers: &Tasks) -> Self {
        let hub = Hub::new(Arc::clone(&store), settings.clone(), tasks.clone());
        let writer = Writer::spawn(&store, &Arc::new(hub.clone()), writers);
        tasks.spawn(crate::metrics::watch(hub.pools().clone(), tasks.drain().clone()));
        tasks.spawn(probe::keep(hub.clone(), settings.probe, tasks.drain().clone()));
        let rates = rates::Rates::new(&settings);
        Self(Arc::new(Inner { store, hub, settings, writer, rates }))
    }

    /// The live rooms.
    pub fn hub(&self) -> &Hub {
        &self.0.hub
    }

    /// What appends for everyone.
    pub fn writer(&self) -> &Writer {
        &self.0.writer
    }

    /// The settings it was built with.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Counts a stream that somebody opens.
    ///
    /// # Errors
    /// `RATE_LIMITED`.
    pub fn check_stream(&self, from: Option<Address>) -> Result<(), Error> {
        self.0.rates.check_stream(from)
    }

    /// Makes a room. A repeat by the same user with the same name and key returns the room, also where its rate would
    /// have it refused (P5).
    ///
    /// # Errors
    /// `ROOM_EXISTS`, `INVALID_FIELD`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub async fn create(&self, room: NewRoom, from: Option<Address>) -> Result<Room, Error> {
        check_title(&room.title)?;
        check_topic(&room.topic)?;
        let rate = RateKey::User(room.created_by.clone());
        if let Err(refused) = self.0.rates.check_room(&rate, from) {
            return self.made_before(&room, &rate, from).await?.ok_or(refused);
        }
        let (made, is_new) = self.bounded(self.0.store.create_room(&room)).await?;
        if is_new || is_repeat(&room, &made) { Ok(made) } else { Err(Error::RoomExists) }
    }

    /// The room that this is a repeat of, if it is one and there is leave to look it up.
    async fn made_before(
        &self,
        room: &NewRoom,
        rate: &RateKey,
        from: Option<Address>,
    ) -> Result<Option<Room>, Error> {
        if room.request_key.is_empty() || self.0.rates.check_lookup(rate, from).is_err() {
            return Ok(None);
        }
        let known = self.bounded(self.0.store.room_by_name(&room.name)).await?;
        Ok(known.filter(|made| is_repeat(room, made)))
    }

    /// Returns a room, archived ones too.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn get(&self, room: &RoomRef) -> Result<Room, Error> {
        let found = match room {
            RoomRef::Name(name) => self.bounded(self.0.store.room_by_name(name)).await?,
            RoomRef::Id(id) => self.bounded(self.0.store.room_by_id(id)).await?,
        };
        found.ok_or(Error::RoomNotFound)
    }

    /// Returns up to `limit` rooms that are not archived, by name, after `after`.
    ///
    /// # Errors
    /// `UNAVAILABLE`.
    pub async fn list(&self, after: Option<&RoomName>, limit: usize) -> Result<Vec<Room>, Error> {
        self.bounded(self.0.store.rooms(after, limit)).await
    }

    /// How many people are present in a room now.
    pub fn online(&self, room: &RoomId) -> usize {
        self.0.hub.online(room)
    }

    /// Changes a room; appends a `room_changed` event. Where nothing is asked for, nothing happens.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `ROOM_ARCHIVED`, `INVALID_FIELD`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub async fn update(
        &self,
        room: &RoomRef,
        actor: User,
        key: RequestKey,
        change: Change,
        from: Option<Address>,
    ) -> Result<Room, Error> {
        change.title.as_deref().map_or(Ok(()), check_title)?;
        change.topic.as_deref().map_or(Ok(()), check_topic)?;
        let now = self.get(room).await?;
        if change == Change::default() {
            return Ok(now);
        }
        let body = Body::RoomChanged {
            title: change.title.unwrap_or(now.title),
            topic: change.topic.unwrap_or(now.topic),
            archived: now.archived,
        };
        self.change(now.id, actor, key, body, from).await
    }

    /// Archives a room; archiving an archived room does nothing.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `RATE_LIMITED`, `UNAVAILABLE`.
    pub async fn archive(
        &self,
        room: &RoomRef,
        actor: User,
        key: RequestKey,
        from: Option<Address>,
    ) -> Result<Room, Error> {
        let now = self.get(room).await?;
        if now.archived {
            return Ok(now);
        }
        let id = now.id.clone();
        let body = Body::RoomChanged { title: now.title, topic: now.topic, archived: true };
        match self.change(now.id, actor, key, body, from).await {
            Err(Error::RoomArchived) => self.get(&RoomRef::Id(id)).await, // somebody else was quicker
            done => done,
        }
    }

    async fn change(
        &self,
        room: RoomId,
        actor: User,
        key: RequestKey,
        body: Body,
        from: Option<Address>,
    ) -> Result<Room, Error> {
        let rate = RateKey::User(actor.id.clone());
        if let Err(refused) = self.0.rates.check_send(&rate, from) {
            self.first_answer(&room, &actor.id, &key, &rate, from).await?.ok_or(refused)?;
        } else {
            let draft = Draft { room: room.clone(), actor, key, key_is_clients: false, body };
            self.append(draft).await?;
        }
        self.get(&RoomRef::Id(room)).await
    }

    /// Resolves a room for good: what is live, then what is remembered, then the store.
    ///
    /// # Errors
    /// `ROOM_NOT_FOUND`, `UNAVAILABLE`.
    pub async fn place(&self, room: &RoomRef) -> Result<Place, Error> {
        if let Some(place) = self.0.hub.known(room) {
            return Ok(place);
        }
        let place = Place::of(&self.get(room).await?);
        self.0.hub.remember(&place);
        Ok(place)
    }

    /// Appends a draft and answers with the event it is or was, and whether it was.
    async fn append(&self, draft: Draft) -> Result<Sent, Error> {
        let room = draft.room.clone();
        match self.bounded(self.0.writer.append(draft)).await? {
            Appended::New { event, .. } => Ok(Sent { event, repeated: false }),
            Appended::Repeat(event) => Ok(Sent { event, repeated: true }),
            Appended::Archived => Err(Error::RoomArchived),
            Appended::Missing => Err(self.missing(&room)),
            Appended::Held => Err(Error::Busy),
            Appended::Refused => Err(Error::Internal("the store refused a draft that the rules allow")),
        }
    }

    /// The store does not have a room that it had: one of that name is looked up anew.
    fn missing(&self, room: &RoomId) -> Error {
        self.0.hub.forget(room);
        Error::RoomNotFound
    }

    /// Holds a verb to the request deadline.
    async fn bounded<T>(&self, work: impl Future<Output = Result<T, StoreError>>) -> Result<T, Error> {
        match tokio::time::timeout(self.0.settings.request, work).await {
            Ok(done) => done.map_err(Error::Store),
            Err(_) => Err(Error::TimedOut),
        }
    }
}

/// Whether what was made is what this asks for again.
fn is_repeat(asked: &NewRoom, made: &Room) -> bool {
    !asked.request_key.is_empty()
        && made.created_by == asked.created_by
        && made.request_key == asked.request_key
}
