//! The probe.
//!
//! Owns how often, and how, the log is asked where the live rooms stand. Promises that an event nobody here was told of
//! (a batch whose answer was lost, another replica's, a bus that dropped it), a log that was replaced by another, and a
//! room which that other never had, are found without a further append, in either store, at the cost of one query. Never
//! judges: what the log says is a head, or that there is none, and the live room asks on. A store that fails says neither.

use std::{collections::HashMap, sync::Arc, time::Duration};

use parlour_feed::cursor::{Cursor, Seq};
use tokio_util::sync::CancellationToken;

use super::{Hub, room::LiveRoom};
use crate::{domain::ids::RoomId, store::Store};

/// Rooms of one query; where more are live there are several.
const ROOMS: usize = 10_000;
/// What was committed just now reaches its live room by itself within this time: it is no gap.
const ON_ITS_WAY: Duration = Duration::from_millis(250);

/// Probes every so often, until `stop`.
pub async fn keep(hub: Hub, every: Duration, stop: CancellationToken) {
    let turn = async || {
        tokio::time::sleep(every).await;
        hub.probe().await;
    };
    while stop.run_until_cancelled(turn()).await.is_some() {}
}

/// A live room, and where it stood when the log was asked.
struct Asked {
    room: Arc<LiveRoom>,
    stood: Seq,
}

impl Hub {
    /// Asks the log once for the heads of all live rooms, and gives each to its room.
    pub async fn probe(&self) {
        let live: Vec<_> = self.registry().live.values().cloned().collect();
        for rooms in live.chunks(ROOMS) {
            let asked = rooms.iter().map(|room| Asked::of(Arc::clone(room)));
            let mut asked: HashMap<_, _> = asked.map(|asked| (asked.room.place.id.clone(), asked)).collect();
            let ids: Vec<RoomId> = asked.keys().cloned().collect();
            let heads = match self.0.store.heads(&ids).await {
                Ok(heads) => heads,
                Err(error) => {
                    tracing::debug!(%error, "the store does not say where the live rooms stand");
                    continue;
                }
            };
            let mut ahead = Vec::new();
            for (id, head) in heads {
                match asked.remove(&id) {
                    Some(asked) if asked.is_ahead(head) => ahead.push((asked, head)),
                    Some(asked) => asked.tell(head),
                    None => {}
                }
            }
            asked.values().for_each(|asked| asked.room.with(|live, _| live.missing()));
            if !ahead.is_empty() {
                tokio::time::sleep(ON_ITS_WAY).await;
                ahead.iter().for_each(|(asked, head)| asked.tell(*head));
            }
        }
    }
}

impl Asked {
    fn of(room: Arc<LiveRoom>) -> Self {
        let stood = room.look(|live| live.position().seq);
        Self { room, stood }
    }

    fn is_ahead(&self, head: Cursor) -> bool {
        self.room.look(|live| head.seq > live.position().seq)
    }

    fn tell(&self, head: Cursor) {
        self.room.with(|live, now| live.probed(head, self.stood, now));
    }
}
