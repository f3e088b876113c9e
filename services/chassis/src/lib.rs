//! What every process of Parlour has.
//!
//! Owns signals, telemetry, limits of the system, tasks, ports, the admin port, backoff, and rates with the addresses they
//! are counted by. Promises that whoever starts a task can wait for its end. Never knows anything about chat.

pub mod address;
pub mod admin;
pub mod backoff;
pub mod listen;
pub mod rates;
pub mod settings;
pub mod signals;
pub mod system;
pub mod tasks;
pub mod telemetry;
