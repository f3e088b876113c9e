//! The gateway as a whole.
//!
//! Owns the order in which it is built and in which it ends. Promises that `build` leaves a gateway that can be reached,
//! and that `run` ends within the drain's deadline (P10). Never reads the environment.

use std::{
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{Router, routing::get};
use parlour_chassis::{address::Proxies, admin, listen, tasks::Tasks, telemetry};
use parlour_feed::Pools;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use crate::{
    config::Config,
    http::{self, Origins},
    limits, metrics,
    rates::Rates,
    relay::Relay,
    upstream::{Upstream, UpstreamError},
    ws::{self, Departure, Gate, Terms},
};

/// Why the gateway cannot start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// A port cannot be bound.
    #[error("cannot listen on {address}")]
    Listen {
        /// Where.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// There is no way to the room service.
    #[error(transparent)]
    Upstream(#[from] UpstreamError),
}

/// A gateway that is bound.
pub struct App {
    browsers: TcpListener,
    admin: Option<TcpListener>,
    addrs: Addrs,
    router: Router,
    relay: Relay,
    /// The relay's rooms.
    rooms: Tasks,
    /// Connections and sessions: what a drain waits for.
    sessions: Tasks,
    /// Cancelled when whoever sends browsers here is to send no more.
    unready: CancellationToken,
    /// How long that comes before the drain.
    notice: Duration,
    drain: Duration,
}

/// Where it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Addrs {
    /// Pages, `/chat` and `/api`.
    pub gateway: SocketAddr,
    /// The admin port, where it has one of its own.
    pub admin: Option<SocketAddr>,
}

impl App {
    /// Binds the ports. The room service need not be there yet.
    ///
    /// # Errors
    /// A sentence: a port cannot be bound, or there is no way to the room service.
    pub async fn build(config: Config) -> Result<Self, StartError> {
        // The registry first: what is described before it stands is lost.
        telemetry::metrics();
        metrics::describe();
        let (browsers, gateway) = bind(config.listen).await?;
        let (admin, admin_address) = match config.admin_listen {
            Some(address) => {
                bind(address).await.map(|(listener, address)| (Some(listener), Some(address)))?
            }
            None => (None, None),
        };
        let token = config.service_token.as_ref();
        let upstream = Upstream::connect_lazy(config.room, token, config.limits.request)?;
        let notice = limits::UNREADY.min(config.drain / 10);
        let drain = config.drain - notice;
        let sessions = Tasks::new();
        let origins = Origins::new(config.allowed_origins, gateway);
        let rooms = Tasks::new();
        let relay = Relay::build(upstream.clone(), config.limits.clone(), rooms.clone());
        let terms = Terms {
            limits: Arc::new(config.limits.clone()),
            drain: sessions.drain().clone(),
            departure: Departure::new(drain),
            deliveries: ::metrics::counter!(metrics::DELIVERIES),
            since: Instant::now().into(),
        };
        let chat = get(ws::upgrade).with_state(Gate::new(relay.clone(), terms, sessions.clone()));
        let rates = Rates::new(Proxies::new(config.trusted_proxies), &config.limits);
        let router = http::router(upstream, origins, rates, &config.limits, chat);
        let addrs = Addrs { gateway, admin: admin_address };
        let unready = CancellationToken::new();
        Ok(Self { browsers, admin, addrs, router, relay, rooms, sessions, unready, notice, drain })
    }

    /// Where it is reached.
    pub fn addrs(&self) -> Addrs {
        self.addrs
    }

    /// What its rooms and sessions hold.
    pub fn pools(&self) -> Pools {
        self.relay.pools().clone()
    }

    /// Whether it is ready, for whoever serves the admin port.
    pub fn readiness(&self) -> admin::Readiness {
        let (unready, relay) = (self.unready.clone(), self.relay.clone());
        Arc::new(move || {
            if unready.is_cancelled() {
                Err("draining".to_owned())
            } else if relay.is_ready() {
                Ok(())
            } else {
                Err("the room service does not answer on the relay".to_owned())
            }
        })
    }

    /// Serves until `stop`, then drains: first unready, a little later nothing more is accepted, sessions are told to
    /// return and all are ended at the deadline. The admin port answers until the end.
    pub async fn run(mut self, stop: CancellationToken) {
        let behind = Tasks::new();
        telemetry::keep_up(&behind);
        self.serve_admin(&behind);
        let Self { browsers, router, relay, rooms, sessions, unready, notice, drain, .. } = self;
        // The relay outlives the sessions, whose goodbyes it carries.
        behind.spawn(metrics::watch(relay.pools().clone(), behind.drain().clone()));
        behind.spawn(tell_echo(relay.clone(), behind.drain().clone()));
        let relay_end = behind.drain().clone();
        behind.spawn(async move { relay.run(relay_end).await });
        let accepting = http::serve(browsers, router, &sessions);
        let draining = async {
            stop.cancelled().await;
            unready.cancel();
            // Balancers need a moment to see that, and what they still send here is served.
            tokio::time::sleep(notice).await;
            let start = Instant::now();
            let open = sessions.len();
            tracing::info!(sessions = open, "draining");
            if !sessions.finish(drain).await {
                tracing::warn!("some sessions were ended at the drain's deadline");
            }
            tracing::info!(duration_ms = start.elapsed().as_secs_f64() * 1e3, "drained");
        };
        tokio::join!(accepting, draining);
        behind.finish(limits::BEHIND_END).await;
        rooms.finish(Duration::ZERO).await;
    }

    fn serve_admin(&mut self, behind: &Tasks) {
        let Some(listener) = self.admin.take() else { return };
        let served = admin::serve(listener, self.readiness(), behind.drain().clone());
        behind.spawn(async move {
            if let Err(error) = served.await {
                tracing::error!(%error, "the admin port failed");
            }
        });
    }
}

/// Tells how old the relay's last echo is, until `end`.
async fn tell_echo(relay: Relay, end: CancellationToken) {
    let age = admin::proof_age("gateway");
    let mut every = tokio::time::interval(limits::TELL_EVERY);
    while end.run_until_cancelled(every.tick()).await.is_some() {
        age.set(relay.echo_age().as_secs_f64());
    }
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), StartError> {
    let refused = |source| StartError::Listen { address, source };
    let listener = listen::bind(address).await.map_err(refused)?;
    let bound = listener.local_addr().map_err(refused)?;
    Ok((listener, bound))
}
