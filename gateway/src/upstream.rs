//! The way to the room service.
//!
//! Owns the gRPC channel: where it leads, how it is kept alive, what it may carry, and the service credential. Promises
//! that a unary call ends by its deadline, and that one which the link loses is made again until then. Never knows what a
//! call means.

use std::{future::Future, time::Duration};

use http::Uri;
use parlour_chassis::{backoff::Backoff, settings::Secret};
use parlour_proto::v1::room_service_client::RoomServiceClient;
use tonic::{
    Code, Request, Response, Status,
    body::Body,
    metadata::{Ascii, MetadataValue},
    service::{Interceptor, Routes, interceptor::InterceptedService},
    transport::{Channel, Endpoint},
};
use tower::{ServiceExt as _, util::BoxCloneSyncService};
use uuid::Uuid;

use crate::limits;

/// A client of the room service, cheap to clone.
pub type Client = RoomServiceClient<InterceptedService<Transport, Credential>>;

/// What carries a call.
pub type Transport = BoxCloneSyncService<http::Request<Body>, http::Response<Body>, Status>;

/// Where the room service is.
#[derive(Clone, Debug)]
pub enum Target {
    /// At these addresses: calls are spread over several.
    Urls(Vec<Uri>),
    /// In this process: calls are made to it without a connection, and its streams are pulled by whoever reads them.
    InProcess(Routes),
}

/// Why there is no way to the room service.
#[derive(Debug, thiserror::Error)]
pub enum UpstreamError {
    /// No address was given.
    #[error("no address of the room service is given")]
    NoAddress,
    /// The service token cannot be carried.
    #[error("the service token has characters that a header cannot carry")]
    Token,
}

/// The way to the room service. Clones share the connections of unary calls; each stream has one of its own.
#[derive(Clone, Debug)]
pub struct Upstream {
    target: Target,
    transport: Transport,
    token: Option<MetadataValue<Ascii>>,
    deadline: Duration,
}

impl Upstream {
    /// Makes the channel; connects at the first call. Calls are spread over several addresses.
    ///
    /// # Errors
    /// There is no address, or the token cannot be carried in a header.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn connect_lazy(
        target: Target,
        token: Option<&Secret>,
        deadline: Duration,
    ) -> Result<Self, UpstreamError> {
        if matches!(&target, Target::Urls(urls) if urls.is_empty()) {
            return Err(UpstreamError::NoAddress);
        }
        let (transport, token) = (target.transport(), token.map(bearer).transpose()?);
        Ok(Self { target, transport, token, deadline })
    }

    /// A client for unary calls: each carries the service credential and the deadline.
    pub fn client(&self) -> Client {
        self.with(self.transport.clone(), Some(self.deadline))
    }

    /// A client for one stream: it carries the service credential; a stream has no deadline. Its connection is new,
    /// because the one before may be dead without a word, which a stream notices sooner than its connection does.
    ///
    /// # Panics
    /// Outside a tokio runtime.
    pub fn stream(&self) -> Client {
        self.with(self.target.transport(), None)
    }

    /// How long a unary call may take.
    pub fn deadline(&self) -> Duration {
        self.deadline
    }

    /// Makes a unary call, and makes it again while the link loses it, until the deadline. A lost call may have been
    /// heard, so what appends must carry its key.
    ///
    /// # Errors
    /// What the room service answers, or `UNAVAILABLE` when nobody did.
    pub async fn unary<M, T, F>(&self, message: M, mut call: impl FnMut(Client, M) -> F) -> Result<T, Status>
    where
        M: Clone,
        F: Future<Output = Result<Response<T>, Status>>,
    {
        let mut last = None;
        let tries = async {
            let mut backoff = Backoff::new(limits::BACKOFF_LEAST, limits::BACKOFF_GREATEST);
            loop {
                match call(self.client(), message.clone()).await {
                    Err(status) if is_of_the_link(&status) => last = Some(status),
                    answer => return answer,
                }
                tokio::time::sleep(backoff.next_delay()).await;
            }
        };
        match tokio::time::timeout(self.deadline, tries).await {
            Ok(answer) => answer.map(Response::into_inner),
            Err(_) => {
                Err(last.unwrap_or_else(|| Status::unavailable("the room service did not answer in time")))
            }
        }
    }

    fn with(&self, transport: Transport, deadline: Option<Duration>) -> Client {
        let credential = Credential { token: self.token.clone(), deadline };
        RoomServiceClient::with_interceptor(transport, credential)
            .max_decoding_message_size(limits::RPC_MESSAGE_BYTES)
            .max_encoding_message_size(limits::RPC_MESSAGE_BYTES)
    }
}

/// What every call carries: the service credential, and how long its caller waits.
#[derive(Clone, Debug)]
pub struct Credential {
    token: Option<MetadataValue<Ascii>>,
    deadline: Option<Duration>,
}

impl Interceptor for Credential {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(token) = &self.token {
            request.metadata_mut().insert("authorization", token.clone());
        }
        if let Some(deadline) = self.deadline {
            request.set_timeout(deadline);
        }
        Ok(request)
    }
}

fn bearer(token: &Secret) -> Result<MetadataValue<Ascii>, UpstreamError> {
    let text = format!("Bearer {}", token.expose());
    let mut value: MetadataValue<Ascii> = text.parse().map_err(|_| UpstreamError::Token)?;
    value.set_sensitive(true);
    Ok(value)
}

/// Whether the link says this rather than the room service, whose own refusals carry details.
fn is_of_the_link(status: &Status) -> bool {
    let is_torn = std::error::Error::source(status).is_some();
    status.details().is_empty() && (status.code() == Code::Unavailable || is_torn)
}

impl Target {
    fn transport(&self) -> Transport {
        let channel = match self {
            Self::Urls(urls) if urls.len() == 1 => endpoint(&urls[0]).connect_lazy(),
            Self::Urls(urls) => Channel::balance_list(urls.iter().map(endpoint)),
            Self::InProcess(routes) => {
                let calls = routes.clone().map_request(|request: http::Request<Body>| request);
                return Transport::new(calls.map_err(|never| match never {}));
            }
        };
        Transport::new(channel.map_err(|error| Status::from_error(error.into())))
    }
}

fn endpoint(url: &Uri) -> Endpoint {
    Endpoint::from(url.clone())
        .connect_timeout(limits::CONNECT_TIMEOUT)
        .tcp_nodelay(true)
        .tcp_keepalive(Some(limits::KEEPALIVE_INTERVAL))
        .http2_keep_alive_interval(limits::KEEPALIVE_INTERVAL)
        .keep_alive_timeout(limits::KEEPALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(limits::STREAM_WINDOW_BYTES)
        .initial_connection_window_size(limits::CONNECTION_WINDOW_BYTES)
}

/// A key for a request that came without one. It begins with the time, so that the log's index of keys grows at a room's
/// end.
pub fn made_key() -> String {
    Uuid::now_v7().simple().to_string()
}
