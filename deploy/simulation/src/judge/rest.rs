//! What must be so once everything has come to rest.
//!
//! Owns the quiet after a schedule, and the last few changes made in it. Promises that P3, P4 and P7 are judged of
//! everybody: whole, answered, and with true views of who is here. Never judges while something is still broken.

use std::collections::BTreeSet;

use crate::{
    schedule::{CLIENTS, GATEWAYS},
    store::ROOMS,
    world::World,
};

/// How long it takes until nothing of before lingers: a vanished client is found out, its grace passes, a young replica
/// has settled, a probe has been made.
const QUIET_US: u64 = 45_000_000;
/// How soon presence must be true once changes stop.
const SOON_US: u64 = 2_000_000;

impl World {
    /// No more faults; everybody comes back; then the last judgement.
    pub(crate) fn come_to_rest(&mut self) {
        self.calm_down();
        self.wait_us(QUIET_US);
        self.judge_rest("after a quiet time");
        for client in 0..CLIENTS {
            let room = client % ROOMS.len();
            if self.view(client, room).is_in && client % 3 == 0 {
                self.leaves(client, room);
            } else {
                self.joins_anew(client, room);
            }
        }
        self.wait_us(SOON_US);
        self.judge_presence_of_all("2 s after the last change");
    }

    fn judge_rest(&mut self, when: &str) {
        if self.judge.found.is_some() {
            return;
        }
        for (room, name) in ROOMS.into_iter().enumerate() {
            let head = self.truths().head(room);
            for gateway in 0..GATEWAYS {
                if let Some(at) = self.feed_position(gateway, room).filter(|at| *at != head) {
                    self.finds("P3", format!("{when} gateway {gateway} is at {at} of {name}, not {head}"));
                }
            }
            for client in 0..CLIENTS {
                let wants = self.wants(client, room);
                let view = self.view(client, room);
                let (is_in, cursor) = (view.is_in, view.cursor);
                if wants != is_in {
                    self.finds("P4", format!("{when} client {client} is {is_in} in {name}"));
                } else if is_in && cursor != Some(head) {
                    self.finds(
                        "P3",
                        format!("{when} client {client} is at {cursor:?} of {name}, not {head}"),
                    );
                }
            }
        }
        for client in 0..CLIENTS {
            let unanswered = self.unanswered(client);
            if unanswered > 0 {
                self.finds("P5", format!("{when} {unanswered} sends of client {client} have no answer"));
            }
        }
        self.judge_presence_of_all(when);
        self.judge_bounds();
    }

    fn judge_presence_of_all(&mut self, when: &str) {
        if self.judge.found.is_some() {
            return;
        }
        for (room, name) in ROOMS.into_iter().enumerate() {
            let mut here = BTreeSet::new();
            for client in 0..CLIENTS {
                let view = self.view(client, room);
                if view.is_in && !view.is_monitor {
                    here.extend(self.user_of(client));
                }
            }
            for client in 0..CLIENTS {
                let view = self.view(client, room);
                if !view.is_in {
                    continue;
                }
                let (count, is_monitor) = (view.count as usize, view.is_monitor);
                let seen = view.users.clone();
                if count != here.len() || (!is_monitor && seen != here) {
                    self.finds(
                        "P7",
                        format!("{when} client {client} sees {count} {seen:?} in {name}, where {here:?} are"),
                    );
                }
            }
        }
    }
}
