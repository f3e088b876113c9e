//! A batch, as a store that takes it in one statement needs it.
//!
//! Owns which drafts of a batch are the first of their key, and which of them may go together. Promises that answers
//! given to the firsts become answers to all (P5). Never judges a draft.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use super::Appended;
use crate::domain::{
    event::{Body, Draft},
    ids::{RoomId, UserId},
    message::RequestKey,
};

/// How a batch is to be taken.
#[derive(Debug)]
pub(super) struct Plan {
    /// The first drafts of each key, by index: one statement a wave, so that a draft which changes its room is the last
    /// of the room in its wave.
    pub(super) waves: Vec<Vec<usize>>,
    /// The first of each draft's key.
    first_of: Vec<usize>,
}

impl Plan {
    pub(super) fn of(drafts: &[Draft]) -> Self {
        let mut firsts: HashMap<(&RoomId, &UserId, &RequestKey), usize> = HashMap::new();
        let mut changed: HashSet<&RoomId> = HashSet::new();
        let mut waves = vec![Vec::new()];
        let mut first_of = Vec::with_capacity(drafts.len());
        for (index, draft) in drafts.iter().enumerate() {
            let first = *firsts.entry((&draft.room, &draft.actor.id, &draft.key)).or_insert(index);
            first_of.push(first);
            if first != index {
                continue;
            }
            if changed.contains(&draft.room) {
                waves.push(Vec::new());
                changed.clear();
            }
            if matches!(draft.body, Body::RoomChanged { .. }) {
                changed.insert(&draft.room);
            }
            if let Some(wave) = waves.last_mut() {
                wave.push(index);
            }
        }
        Self { waves, first_of }
    }

    /// Makes an answer a draft of the answers to the firsts; `None` where one is missing.
    pub(super) fn answers(&self, mut firsts: HashMap<usize, Appended>) -> Option<Vec<Appended>> {
        let mut answers: Vec<Appended> = Vec::with_capacity(self.first_of.len());
        for (index, first) in self.first_of.iter().enumerate() {
            let answer = if *first == index {
                firsts.remove(&index)?
            } else {
                match answers.get(*first)? {
                    Appended::New { event, .. } => Appended::Repeat(Arc::clone(event)),
                    other => other.clone(),
                }
            };
            answers.push(answer);
        }
        Some(answers)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::message::{DisplayName, User};

    fn draft(room: &RoomId, key: &str, changes: bool) -> Draft {
        let body = match changes {
            true => Body::RoomChanged { title: "T".into(), topic: String::new(), archived: true },
            false => Body::Message { content: "x".into(), reply_to: None },
        };
        let actor = User { id: UserId::new("ada"), name: DisplayName::guest(), guest: true };
        Draft { room: room.clone(), actor, key: RequestKey::stored(key), key_is_clients: true, body }
    }

    #[test]
    fn what_follows_a_change_of_its_room_goes_in_a_later_wave() {
        let (lobby, attic) = (RoomId::generate(), RoomId::generate());
        let plan = Plan::of(&[
            draft(&lobby, "1", false),
            draft(&lobby, "2", true),
            draft(&attic, "1", false),
            draft(&lobby, "1", false),
            draft(&lobby, "3", false),
            draft(&attic, "2", true),
            draft(&attic, "3", true),
        ]);
        assert_eq!(plan.waves, [vec![0, 1, 2], vec![4, 5], vec![6]]);
        let firsts = [0, 1, 2, 4, 5, 6].map(|index| (index, Appended::Archived));
        assert_eq!(plan.answers(firsts.into()), Some(vec![Appended::Archived; 7]));
        assert_eq!(plan.answers(HashMap::new()), None);
    }

    #[test]
    fn plain_messages_go_together() {
        let lobby = RoomId::generate();
        let drafts: Vec<Draft> = (0..256).map(|n| draft(&lobby, &format!("{n}"), false)).collect();
        assert_eq!(Plan::of(&drafts).waves, [(0..256).collect::<Vec<_>>()]);
    }
}
