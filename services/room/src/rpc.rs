//! The border to gRPC.
//!
//! Owns how requests come in and answers go out over tonic, and the port's own limits. Promises typed refusals (P11),
//! reflection and health. Never decides what a room allows.

pub mod chat;
pub mod convert;
pub mod relay;
pub mod status;

mod caller;
mod page_token;
mod portions;
mod room_service;
mod stream;

use std::time::Duration;

use parlour_proto::{FILE_DESCRIPTOR_SET, v1::room_service_server::RoomServiceServer};
use tonic::{
    service::{LayerExt as _, Routes, RoutesBuilder},
    transport::Server,
};
use tonic_health::pb::{FILE_DESCRIPTOR_SET as HEALTH_DESCRIPTOR_SET, health_server::HealthServer};
use tonic_health::server::{HealthReporter, HealthService};
use tonic_types::pb::FILE_DESCRIPTOR_SET as DETAILS_DESCRIPTOR_SET;
use tower::util::MapResponseLayer;

pub use caller::Door;
pub use room_service::Service;

/// The largest message of a caller, in bytes: a Relay's largest frame is a roster.
const DECODED_BYTES: usize = 4 * 1024 * 1024;
/// The largest message to a caller, in bytes: a page of 512 KiB with its framing, or a batch for a relay.
const ENCODED_BYTES: usize = 4 * 1024 * 1024;
/// What h2 lets one stream have unread, in bytes.
const STREAM_WINDOW: u32 = 4 * 1024 * 1024;
/// What h2 lets one connection have unread, in bytes. Large, since h2 ends a connection that leaves too many small
/// frames unread, and counts them against half of this.
const CONNECTION_WINDOW: u32 = 64 * 1024 * 1024;
/// Streams of one connection.
const CONNECTION_STREAMS: u32 = 4_096;
/// How often a connection is asked whether its peer still lives, and how long it may take to answer.
const KEEPALIVE: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(10));

/// A server with the port's own limits.
pub fn server() -> Server {
    Server::builder()
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .max_concurrent_streams(CONNECTION_STREAMS)
        .http2_keepalive_interval(Some(KEEPALIVE.0))
        .http2_keepalive_timeout(Some(KEEPALIVE.1))
}

/// Everything the port serves: the service, health, and reflection of both versions.
pub fn routes(service: Service, health: HealthReporter) -> Routes {
    let service = RoomServiceServer::new(service)
        .max_decoding_message_size(DECODED_BYTES)
        .max_encoding_message_size(ENCODED_BYTES);
    let service = MapResponseLayer::new(portions::of_streams).named_layer(service);
    let mut routes = RoutesBuilder::default();
    routes
        .add_service(service)
        .add_service(HealthServer::new(HealthService::from_health_reporter(health)))
        .add_service(reflection().build_v1().expect("the embedded contract is whole"))
        .add_service(reflection().build_v1alpha().expect("the embedded contract is whole"));
    routes.routes()
}

fn reflection() -> tonic_reflection::server::Builder<'static> {
    tonic_reflection::server::Builder::configure()
        .register_encoded_file_descriptor_set(FILE_DESCRIPTOR_SET)
        .register_encoded_file_descriptor_set(HEALTH_DESCRIPTOR_SET)
        // Without it a caller who has no .proto files cannot read why it was refused.
        .register_encoded_file_descriptor_set(DETAILS_DESCRIPTOR_SET)
}
