//! The gateway.
//!
//! Owns browsers' sockets, the pages they load and the JSON they speak. Promises P1 to P13 of
//! `services/ARCHITECTURE.md` on its side of the wire. Never holds truth or rules: killing it loses nothing.

pub mod app;
pub mod config;
pub mod error;
pub mod http;
pub mod limits;
pub mod metrics;
pub mod rates;
pub mod relay;
pub mod upstream;
pub mod ws;
