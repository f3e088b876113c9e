//! The deterministic simulation: the product's own state machines under virtual time, from a seed.
//!
//! Owns schedules, the world they run in, and the judges. Promises that a seed is a schedule, that a schedule runs the
//! same way each time, and that what is found is found by what clients were told and what is true in the store. Never
//! opens a socket, reads a clock or decides what a machine of the product does.

pub mod judge;
pub mod random;
pub mod run;
pub mod schedule;
pub mod shrink;
pub mod store;
pub mod words;
pub mod world;
