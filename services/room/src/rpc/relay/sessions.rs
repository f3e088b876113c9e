//! A relay's sessions.
//!
//! Owns who each session of a stream is and which rooms it is in. Promises that a plain session is nobody but its names,
//! and that credentials that do not hold are refused with a reason. Never decides what a session may do in a room.

use std::collections::{BTreeSet, HashMap};

use parlour_proto::v1::{self, open_session::Credentials};

use crate::{
    auth::Auth,
    domain::{
        ids::SessionId,
        message::{DisplayName, User},
    },
    error::Error,
    hub::signal::Key,
    rooms::RateKey,
};

/// Sessions of one stream at most; the next is refused.
const SESSIONS: usize = 100_000;

/// Who a session is.
#[derive(Clone, Debug)]
pub(super) enum Identity {
    /// The guest of each frame's display name.
    Plain,
    /// One user.
    User(User),
}

/// One session.
#[derive(Debug)]
pub(super) struct Session {
    pub(super) identity: Identity,
    /// Whether its user may be in rooms of which this replica knows nothing: it is open again, or a guest's token says
    /// who it is.
    has_past: bool,
    /// The rooms it was admitted to.
    pub(super) rooms: BTreeSet<Key>,
}

/// The sessions of one stream.
#[derive(Debug, Default)]
pub(super) struct Sessions(HashMap<SessionId, Session>);

impl Sessions {
    /// Opens a session, or opens it again; answers who it is, and a guest's token.
    pub(super) fn open(&mut self, auth: &Auth, open: &v1::OpenSession) -> Result<v1::SessionOpened, Error> {
        let id = SessionId::from_bytes(&open.session).ok_or(Error::Missing("session"))?;
        let (identity, has_past, opened) = identify(auth, id, open)?;
        if let Some(session) = self.0.get_mut(&id) {
            (session.identity, session.has_past) = (identity, has_past);
        } else if self.0.len() < SESSIONS {
            self.0.insert(id, Session { identity, has_past, rooms: BTreeSet::new() });
        } else {
            return Err(Error::Busy);
        }
        Ok(opened)
    }

    pub(super) fn get_mut(&mut self, id: SessionId) -> Option<&mut Session> {
        self.0.get_mut(&id)
    }

    /// Whether a session's user may be in rooms of which this replica knows nothing.
    pub(super) fn has_past(&self, id: SessionId) -> bool {
        self.0.get(&id).is_some_and(|session| session.has_past)
    }

    pub(super) fn remove(&mut self, id: SessionId) -> Option<Session> {
        self.0.remove(&id)
    }

    /// A room is followed no longer: nobody is in it. Returns who was.
    pub(super) fn leave_all(&mut self, room: Key) -> Vec<SessionId> {
        let was_in = self.0.iter_mut().filter_map(|(id, session)| session.rooms.remove(&room).then_some(*id));
        was_in.collect()
    }

    /// Who a session is in a frame with that display name.
    ///
    /// # Errors
    /// `UNAUTHENTICATED` where it is not open, `INVALID_NAME`.
    pub(super) fn user(&self, auth: &Auth, id: SessionId, name: &str) -> Result<User, Error> {
        match self.0.get(&id).map(|session| &session.identity) {
            Some(Identity::User(user)) => Ok(user.clone()),
            Some(Identity::Plain) => Ok(auth.guest_of_name(&DisplayName::parse(name)?)),
            None => Err(Error::Unauthenticated("this session is not open")),
        }
    }

    /// Whose rate a session's sends count to.
    pub(super) fn rate(&self, id: SessionId, user: &User) -> RateKey {
        match self.0.get(&id).map(|session| &session.identity) {
            Some(Identity::User(_)) => RateKey::User(user.id.clone()),
            Some(Identity::Plain) | None => RateKey::Session(id),
        }
    }
}

fn identify(
    auth: &Auth,
    id: SessionId,
    open: &v1::OpenSession,
) -> Result<(Identity, bool, v1::SessionOpened), Error> {
    let session = super::frames::session(id);
    if let Some(Credentials::Token(_)) = &open.credentials {
        return Err(Error::Unauthenticated("users' tokens are not taken here"));
    }
    auth.admit_guests()?;
    if let Some(Credentials::Plain(_)) = &open.credentials {
        let nobody = v1::User { guest: true, ..v1::User::default() };
        let outcome = Some(v1::session_opened::Outcome::User(nobody));
        let opened = v1::SessionOpened { session, outcome, guest_token: String::new() };
        return Ok((Identity::Plain, open.again, opened));
    }
    let known = match &open.credentials {
        Some(Credentials::GuestToken(token)) => auth.verify(token),
        _ => None,
    };
    let has_past = open.again || known.is_some();
    let guest = known.unwrap_or_else(|| auth.guest_of_session(&id));
    let guest_token = auth.sign(&guest);
    let user = User { id: guest, name: DisplayName::parse(&open.name)?, guest: true };
    let outcome = Some(v1::session_opened::Outcome::User(super::super::convert::user(&user)));
    Ok((Identity::User(user), has_past, v1::SessionOpened { session, outcome, guest_token }))
}
