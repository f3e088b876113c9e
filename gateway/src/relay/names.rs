//! Names of rooms by their ids.
//!
//! Owns a bounded memory of which name an id has; a room's name never changes. Promises that what is not an id passes
//! through untouched. Never remembers a refusal.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError},
};

use parlour_proto::v1 as proto;

use super::refusal::Refusal;
use crate::upstream::Upstream;

/// How many names are remembered; beyond it the memory starts anew.
const REMEMBERED: usize = 16_384;

/// Names by ids.
#[derive(Debug)]
pub struct Names {
    upstream: Upstream,
    known: Mutex<HashMap<String, Arc<str>>>,
}

impl Names {
    /// Knows none yet.
    pub fn new(upstream: Upstream) -> Self {
        Self { upstream, known: Mutex::default() }
    }

    /// The name, where it is known without asking: what is no id is a name already.
    pub fn known(&self, room: &str) -> Option<Arc<str>> {
        if is_id(room) {
            self.known.lock().unwrap_or_else(PoisonError::into_inner).get(room).cloned()
        } else {
            Some(room.into())
        }
    }

    /// The name of a room's id.
    ///
    /// # Errors
    /// There is no such room, or the room service cannot be asked.
    pub async fn ask(&self, id: &str) -> Result<Arc<str>, Refusal> {
        if let Some(name) = self.known(id) {
            return Ok(name);
        }
        let request = proto::GetRoomRequest { room: id.to_owned() };
        let answer = self.upstream.unary(request, async |mut client, request| client.get_room(request).await);
        let room = answer.await.map_err(Refusal::of_status)?.room.ok_or_else(Refusal::unavailable)?;
        let name: Arc<str> = room.name.into();
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(id.to_owned(), Arc::clone(&name));
        Ok(name)
    }
}

/// Whether it is an id rather than a name: "R" and 26 upper-case base32 characters.
fn is_id(room: &str) -> bool {
    room.len() == 27
        && room.starts_with('R')
        && room[1..].bytes().all(|byte| matches!(byte, b'A'..=b'Z' | b'2'..=b'7'))
}

#[cfg(test)]
mod tests {
    use super::is_id;

    #[test]
    fn an_id_is_never_a_name() {
        assert!(is_id("RAAAAAAAAAAAAAAAAAAAAAAAAA7"));
        for name in ["general", "raaaaaaaaaaaaaaaaaaaaaaaaa7", "RAAAA", "RAAAAAAAAAAAAAAAAAAAAAAAAA1", ""] {
            assert!(!is_id(name), "{name}");
        }
    }
}
