//! HTTP.
//!
//! Owns what the gateway serves besides the sockets themselves: pages, the JSON API, and who may ask. Promises that
//! every refusal is typed. Never decides what a room allows.

pub mod origin;
