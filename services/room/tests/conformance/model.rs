//! A store against its model.
//!
//! Owns a few lines that say what `append` means, and random batches to compare them with. Promises that a failure names
//! its seed. Never models time: that it rises is asserted elsewhere.

use std::collections::HashMap;

use parlour_room::{
    domain::{
        event::{Body, Draft},
        ids::RoomId,
        message::RequestKey,
    },
    store::{Appended, Store},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

use super::{
    place::Place,
    story::{change, message, room, whole},
};

#[derive(Debug, PartialEq, Eq)]
enum Outcome {
    New(u64),
    Repeat(u64),
    Archived,
    Missing,
    Refused,
}

#[derive(Default)]
struct Model {
    rooms: HashMap<RoomId, Modelled>,
}

#[derive(Default)]
struct Modelled {
    log: Vec<Draft>,
    keys: HashMap<(String, RequestKey), u64>,
    archived: bool,
}

impl Model {
    fn append(&mut self, draft: &Draft) -> Outcome {
        let Some(room) = self.rooms.get_mut(&draft.room) else { return Outcome::Missing };
        let named = (draft.actor.id.to_string(), draft.key.clone());
        if let Some(seq) = room.keys.get(&named) {
            return Outcome::Repeat(*seq);
        }
        if room.archived {
            return Outcome::Archived;
        }
        if matches!(&draft.body, Body::Message { content, .. } if content.contains('\0')) {
            return Outcome::Refused;
        }
        room.log.push(draft.clone());
        let seq = room.log.len() as u64;
        room.keys.insert(named, seq);
        if let Body::RoomChanged { archived, .. } = &draft.body {
            room.archived = *archived;
        }
        Outcome::New(seq)
    }
}

fn outcome(appended: &Appended) -> Outcome {
    match appended {
        Appended::New { event, .. } => Outcome::New(event.seq),
        Appended::Repeat(event) => Outcome::Repeat(event.seq),
        Appended::Archived => Outcome::Archived,
        Appended::Missing => Outcome::Missing,
        Appended::Refused => Outcome::Refused,
        Appended::Held => panic!("nobody holds a room here"),
    }
}

fn draft(rng: &mut StdRng, rooms: &[RoomId]) -> Draft {
    let room = &rooms[rng.random_range(0..rooms.len())];
    let by = ["ada", "bob", "cyd"][rng.random_range(0..3)];
    let with_key = format!("k{}", rng.random_range(0..60));
    match rng.random_range(0..100) {
        0 => change(room, &with_key, "Closed", true),
        1..10 => change(room, &with_key, &format!("Title {}", rng.random_range(0..9)), false),
        10..12 => message(room, by, &with_key, "broken \0"),
        _ => message(room, by, &with_key, &format!("text {}", rng.random_range(0..1_000))),
    }
}

pub(crate) async fn a_store_agrees_with_its_model(place: Place) {
    let store = place.open().await;
    for seed in 0..12 {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut model = Model::default();
        let mut rooms = vec![RoomId::generate()]; // one that is not there
        for number in 0..4 {
            let id = room(&*store, &format!("room-{seed}-{number}")).await.id;
            model.rooms.insert(id.clone(), Modelled::default());
            rooms.push(id);
        }
        for _ in 0..20 {
            let batch: Vec<Draft> = (0..rng.random_range(1..24)).map(|_| draft(&mut rng, &rooms)).collect();
            let expected: Vec<Outcome> = batch.iter().map(|draft| model.append(draft)).collect();
            let answers = store.append(&batch).await.expect("appended");
            let found: Vec<Outcome> = answers.iter().map(outcome).collect();
            assert_eq!(found, expected, "seed {seed}, {batch:#?}");
            for (answer, draft) in answers.iter().zip(&batch) {
                let (Appended::New { event, .. } | Appended::Repeat(event)) = answer else { continue };
                let first = &model.rooms[&draft.room].log[event.seq as usize - 1];
                assert_eq!((&event.body, &event.actor, &event.key), (&first.body, &first.actor, &first.key));
            }
        }
        for (id, room) in &model.rooms {
            let log = whole(&*store, id).await;
            assert_eq!(
                log.iter().map(|event| &event.body).collect::<Vec<_>>(),
                room.log.iter().map(|draft| &draft.body).collect::<Vec<_>>(),
                "seed {seed}"
            );
            assert_eq!(store.room_by_id(id).await.expect("read").expect("there").archived, room.archived);
        }
    }
}
