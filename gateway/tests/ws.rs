//! Browsers' sockets over the whole way: WebSocket, gateway, relay, room service, store.

#[path = "ws/close.rs"]
mod close;
#[path = "ws/full.rs"]
mod full;
#[path = "ws/house.rs"]
#[allow(dead_code, reason = "this binary needs a part of it")]
mod house;
#[path = "ws/plain.rs"]
mod plain;
#[path = "ws/rates.rs"]
mod rates;
#[path = "ws/restart.rs"]
mod restart;
#[path = "ws/rules.rs"]
mod rules;
