//! The room service as a whole.
//!
//! Owns the order in which it is built and in which it ends. Promises that `build` leaves a service that can be reached,
//! and that `run` ends within the drain's deadline (P10). Never reads the environment.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use anyhow::Context as _;
use parlour_chassis::{address::Proxies, admin, listen, tasks::Tasks, telemetry};
use parlour_feed::Pools;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use tonic::{service::Routes, transport::server::TcpIncoming};
use tonic_health::server::HealthReporter;

use crate::{
    auth::{Auth, ServiceCredential},
    config::Config,
    domain::{
        ids::UserId,
        room::{NewRoom, RoomName, Visibility},
    },
    metrics,
    readiness::Readiness,
    rooms::Rooms,
    rpc::{self, Door, Service},
    store::{AnyStore, Options, Store, writer::Writer},
};

/// Who makes the rooms that stand from the start.
const SYSTEM: &str = "system";
/// What the writers may take, after everyone who sends has ended, to commit what waits.
const WRITERS_END: Duration = Duration::from_secs(5);

/// A room service that is bound and connected.
pub struct App {
    grpc: TcpListener,
    admin: Option<TcpListener>,
    routes: Routes,
    store: Arc<AnyStore>,
    health: HealthReporter,
    readiness: Readiness,
    pools: Pools,
    tasks: Tasks,
    writer: Writer,
    writers: Tasks,
    drain: Duration,
}

/// Where it is reached.
#[derive(Clone, Copy, Debug)]
pub struct Addrs {
    /// gRPC.
    pub grpc: SocketAddr,
    /// The admin port, where it has one of its own.
    pub admin: Option<SocketAddr>,
}

impl App {
    /// Opens the store, makes the rooms that are missing, and binds.
    ///
    /// # Errors
    /// A sentence: the store cannot be used, or a port cannot be bound.
    pub async fn build(config: Config) -> anyhow::Result<Self> {
        // The registry first: what is described before it stands is lost.
        telemetry::metrics();
        metrics::describe();
        let options = Options { connections: config.store_connections };
        let store = Arc::new(AnyStore::open(config.store.expose(), options).await?);
        make_rooms(&store, &config.rooms).await?;
        let guest_key = config.guest_key.as_ref().map(|key| key.expose());
        let auth = Arc::new(Auth::new(&store.guest_keys().await?, guest_key, config.guests_allowed));
        let grpc = bind(config.listen).await?;
        let admin = match config.admin_listen {
            Some(address) => Some(bind(address).await?),
            None => None,
        };

        let (tasks, writers) = (Tasks::new(), Tasks::new());
        let rooms = Rooms::build(Arc::clone(&store), config.settings, &tasks, &writers);
        let pools = rooms.hub().pools().clone();
        let writer = rooms.writer().clone();
        let credential = ServiceCredential::new(config.service_token.as_ref().map(|token| token.expose()));
        let door = Door::new(credential, Proxies::new(config.trusted_proxies));
        let health = HealthReporter::new();
        let routes = rpc::routes(Service::new(rooms, auth, door, &tasks), health.clone());
        let readiness = Readiness::new(writer.count(), tasks.drain().clone());
        Ok(Self {
            grpc,
            admin,
            routes,
            store,
            health,
            readiness,
            pools,
            tasks,
            writer,
            writers,
            drain: config.drain,
        })
    }

    /// Where it is reached.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn addrs(&self) -> std::io::Result<Addrs> {
        let admin = self.admin.as_ref().map(TcpListener::local_addr).transpose()?;
        Ok(Addrs { grpc: self.grpc.local_addr()?, admin })
    }

    /// What its port serves, for whoever calls it from within this process.
    pub fn routes(&self) -> Routes {
        self.routes.clone()
    }

    /// What its rooms and streams hold.
    pub fn pools(&self) -> Pools {
        self.pools.clone()
    }

    /// Whether it is ready, for whoever serves the admin port.
    pub fn readiness(&self) -> admin::Readiness {
        let readiness = self.readiness.clone();
        Arc::new(move || readiness.check())
    }

    /// Serves until `stop`, then drains: unready, no new streams, the open ones told, and all ended at the deadline.
    ///
    /// # Errors
    /// A listener fails.
    pub async fn run(self, stop: CancellationToken) -> anyhow::Result<()> {
        let admin_stop = CancellationToken::new();
        let readiness = self.readiness();
        let admin_tasks = Tasks::new();
        telemetry::keep_up(&admin_tasks);
        if let Some(listener) = self.admin {
            let served = admin::serve(listener, readiness, admin_stop.clone());
            admin_tasks.spawn(async move {
                if let Err(error) = served.await {
                    tracing::error!(%error, "the admin port failed");
                }
            });
        }
        let store = Arc::clone(&self.store);
        self.tasks.spawn(self.readiness.keep(self.writer, self.health));
        let incoming = TcpIncoming::from(self.grpc).with_nodelay(Some(true)).with_keepalive(Some(KEEPALIVE));
        let drain = self.tasks.drain().clone();
        let serve = rpc::server()
            .add_routes(self.routes)
            .serve_with_incoming_shutdown(incoming, drain.cancelled_owned());
        let served = drained(serve, stop, &self.tasks, self.drain).await;
        if !self.writers.finish(WRITERS_END).await {
            tracing::warn!("writers were ended before they had committed what waited");
        }
        store.close().await;
        admin_stop.cancel();
        admin_tasks.finish(WRITERS_END).await;
        served.context("the gRPC port failed")
    }
}

/// Keepalive of TCP, which finds peers that vanished beneath a proxy.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// Serves until `stop`; then the tasks finish, and the connections with them, by the deadline.
async fn drained(
    serve: impl Future<Output = Result<(), tonic::transport::Error>>,
    stop: CancellationToken,
    tasks: &Tasks,
    limit: Duration,
) -> Result<(), tonic::transport::Error> {
    tokio::pin!(serve);
    tokio::select! {
        served = &mut serve => return served,
        () = stop.cancelled() => {}
    }
    let deadline = tokio::time::Instant::now() + limit;
    // The connections end once their streams have, so both are waited for, side by side.
    let (served, _) = tokio::join!(tokio::time::timeout_at(deadline, serve), tasks.finish(limit));
    served.unwrap_or_else(|_| {
        tracing::warn!("connections were ended at the drain's deadline");
        Ok(())
    })
}

async fn bind(address: SocketAddr) -> anyhow::Result<TcpListener> {
    listen::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

async fn make_rooms(store: &AnyStore, names: &[RoomName]) -> anyhow::Result<()> {
    for name in names {
        let room = NewRoom {
            name: name.clone(),
            title: name.as_str().to_owned(),
            topic: String::new(),
            visibility: Visibility::Public,
            created_by: UserId::new(SYSTEM),
            request_key: String::new(),
        };
        store.create_room(&room).await?;
    }
    Ok(())
}
