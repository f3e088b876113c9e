//! The room service.
//!
//! Owns rooms, their logs of events, presence, and who is who. Promises P1 to P13 of `services/ARCHITECTURE.md`
//! on its side of the wire. Never knows browsers or JSON.

pub mod app;
pub mod auth;
pub mod config;
pub mod domain;
pub mod error;
pub mod hub;
pub mod metrics;
pub mod readiness;
pub mod rooms;
pub mod rpc;
pub mod store;
