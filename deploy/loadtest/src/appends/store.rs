//! At a store alone.
//!
//! Owns a store as the room service opens it, and its batches. Promises to append with as many writers as it has, each one
//! transaction after the other. Never queues, publishes or answers.

use std::sync::atomic::Ordering;

use anyhow::{Context as _, bail};
use futures_util::future::try_join_all;
use parlour_room::{
    domain::{
        event::{Body, Draft},
        ids::{RoomId, UserId},
        message::{DisplayName, RequestKey, User},
        room::{NewRoom, RoomName, Visibility},
    },
    store::{AnyStore, Appended, Options, Store as _},
};

use super::{Shared, content};
use crate::config::Appends;

/// Appends until it is quiet.
pub(super) async fn append(settings: &Appends, url: &str, shared: &Shared) -> anyhow::Result<()> {
    let store = AnyStore::open(url, Options { connections: settings.connections }).await?;
    let rooms = make_rooms(&store, settings.rooms).await?;
    let writers = store.writers();
    // A room belongs to one writer.
    let of = |writer: usize| rooms.iter().skip(writer).step_by(writers).cloned().collect::<Vec<_>>();
    let writing = (0..writers)
        .map(of)
        .filter(|rooms| !rooms.is_empty())
        .map(|rooms| write(settings, &store, rooms, shared));
    try_join_all(writing).await?;
    store.close().await;
    Ok(())
}

async fn write(
    settings: &Appends,
    store: &AnyStore,
    rooms: Vec<RoomId>,
    shared: &Shared,
) -> anyhow::Result<()> {
    let name = DisplayName::parse("a member").context("a name")?;
    let actor = User { id: UserId::new("guest_of_appends"), name, guest: true };
    let text = content(settings);
    let mut rooms = rooms.iter().cycle();
    while !shared.quiet.is_cancelled() {
        let draft = |room: &RoomId| Draft {
            room: room.clone(),
            actor: actor.clone(),
            key: RequestKey::generate(),
            key_is_clients: true,
            body: Body::Message { content: text.clone(), reply_to: None },
        };
        let batch: Vec<_> = rooms.by_ref().take(settings.batch).map(draft).collect();
        let since = shared.meter.now();
        let appended = store.append(&batch).await?;
        if !appended.iter().all(|appended| matches!(appended, Appended::New { .. })) {
            shared.meter.refused.fetch_add(1, Ordering::Relaxed);
            bail!("not all of a batch was appended");
        }
        shared.appended(appended.len() as u64, since);
    }
    Ok(())
}

async fn make_rooms(store: &AnyStore, rooms: u64) -> anyhow::Result<Vec<RoomId>> {
    let run = format!("appends-{:08x}", rand::random::<u32>());
    let mut ids = Vec::new();
    for nth in 0..rooms {
        let name = RoomName::parse(&format!("{run}-{nth}")).context("a room's name")?;
        let room = NewRoom {
            title: name.as_str().to_owned(),
            name,
            topic: String::new(),
            visibility: Visibility::Public,
            created_by: UserId::new("system"),
            request_key: String::new(),
        };
        ids.push(store.create_room(&room).await?.0.id);
    }
    Ok(ids)
}
