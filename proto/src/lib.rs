//! The gRPC contract of Parlour.
//!
//! Owns the `.proto` files beside it and the types generated from them. Promises that whatever outsiders rely on
//! (names, numbers, meanings) changes only by growing. Never holds rules or conversions.

/// The package `parlour.room.v1`: messages, frames, and client and server of `RoomService`.
pub mod v1 {
    #![allow(
        missing_docs,
        unused_qualifications,
        clippy::all,
        reason = "generated from the commented contract"
    )]
    tonic::include_proto!("parlour.room.v1");
}

/// The contract as an encoded `google.protobuf.FileDescriptorSet`, for server reflection.
pub const FILE_DESCRIPTOR_SET: &[u8] = include_bytes!(concat!(env!("OUT_DIR"), "/parlour.bin"));
