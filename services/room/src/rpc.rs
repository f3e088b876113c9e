//! The border to gRPC.
//!
//! Owns how requests come in and answers go out over tonic. Promises typed refusals (P11). Never decides what a room
//! allows.

pub mod convert;
pub mod status;
