//! A room service on port 0 with a store of its own, and those who talk with it over real sockets.

#![allow(dead_code, unreachable_pub, missing_docs, reason = "each test binary uses its part")]

pub mod chatter;
pub mod gateway;

use std::{future::Future, time::Duration};

use parlour_chassis::{settings::Secret, tasks::Tasks};
use parlour_feed::Pools;
use parlour_proto::v1::{self, room_service_client::RoomServiceClient};
use parlour_room::{app::App, config::Config, rooms::Settings};
use tempfile::TempDir;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Channel, Endpoint};

/// How long anything may take that is to happen.
pub const SOON: Duration = Duration::from_secs(10);

/// Waits for what is to happen soon.
pub async fn soon<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(SOON, what).await.expect("it did not happen in time")
}

/// Who is here by what was told of presence. A difference may come, or a whole: when a replica has settled, a whole tells
/// of whoever left at that moment by not naming them.
#[derive(Debug, Default)]
pub struct Here(Vec<String>);

impl Here {
    /// What that changes: `+` and the name of who came, then `-` and that of who left.
    pub fn takes(&mut self, told: &v1::Presence) -> Vec<String> {
        let names = |users: &[v1::User]| users.iter().map(|user| user.name.clone()).collect::<Vec<_>>();
        let (mut came, mut left) = (names(&told.joined), names(&told.left));
        if told.snapshot {
            came = names(&told.users);
            left = self.0.iter().filter(|name| !came.contains(name)).cloned().collect();
            came.retain(|name| !self.0.contains(name));
        }
        self.0.retain(|name| !left.contains(name));
        self.0.extend(came.iter().cloned());
        let came = came.iter().map(|name| format!("+{name}"));
        came.chain(left.iter().map(|name| format!("-{name}"))).collect()
    }
}

/// A running room service.
pub struct House {
    url: String,
    /// What its rooms and streams hold.
    pub pools: Pools,
    stop: CancellationToken,
    tasks: Tasks,
    folder: TempDir,
}

impl House {
    /// Opens one with the settings of the documents.
    pub async fn open() -> Self {
        Self::with(|_| ()).await
    }

    /// Opens one with other settings.
    pub async fn with(change: impl FnOnce(&mut Settings)) -> Self {
        Self::configured(|config| change(&mut config.settings)).await
    }

    /// Opens one with another configuration.
    pub async fn configured(change: impl FnOnce(&mut Config)) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut config = Config {
            listen: "127.0.0.1:0".parse().expect("an address"),
            admin_listen: None,
            ..Config::default()
        };
        let path = folder.path().join("parlour.db");
        config.store = Secret::new(format!("sqlite:{}", path.display()));
        change(&mut config);
        let app = App::build(config).await.expect("it builds");
        let url = format!("http://{}", app.addrs().expect("bound").grpc);
        let pools = app.pools();
        let (stop, tasks) = (CancellationToken::new(), Tasks::new());
        let run = app.run(stop.clone());
        tasks.spawn(async move { run.await.expect("it runs") });
        Self { url, pools, stop, tasks, folder }
    }

    /// Puts a log in the place of the room service's in which that room never was.
    pub fn never_had(&self, room: &str) {
        let file = rusqlite::Connection::open(self.folder.path().join("parlour.db")).expect("opens");
        let sql = format!(
            "begin; delete from event where room_id = (select id from room where name = '{room}'); \
             delete from room where name = '{room}'; commit"
        );
        file.execute_batch(&sql).expect("never had");
    }

    /// A connection of its own.
    pub async fn client(&self) -> RoomServiceClient<Channel> {
        let endpoint = Endpoint::from_shared(self.url.clone()).expect("a url");
        RoomServiceClient::new(soon(endpoint.connect()).await.expect("it is reached"))
    }

    /// A connection whose streams may have few bytes unread.
    pub async fn narrow_client(&self) -> RoomServiceClient<Channel> {
        let endpoint =
            Endpoint::from_shared(self.url.clone()).expect("a url").initial_stream_window_size(1 << 16);
        RoomServiceClient::new(soon(endpoint.connect()).await.expect("it is reached"))
    }

    /// Sends a message as the guest of its key.
    pub async fn says(
        &self,
        client: &mut RoomServiceClient<Channel>,
        room: &str,
        content: &str,
        key: &str,
    ) -> u64 {
        let request = v1::SendMessageRequest {
            room: room.to_owned(),
            content: content.to_owned(),
            client_message_id: key.to_owned(),
            ..v1::SendMessageRequest::default()
        };
        let sent = soon(client.send_message(request)).await.expect("it is sent").into_inner();
        sent.message.expect("a message").id
    }

    /// How many people are present in a room.
    pub async fn count(&self, client: &mut RoomServiceClient<Channel>, room: &str) -> u32 {
        let request = v1::GetPresenceRequest { room: room.to_owned() };
        soon(client.get_presence(request)).await.expect("it answers").into_inner().count
    }

    /// Begins the drain.
    pub fn drain(&self) {
        self.stop.cancel();
    }

    /// Drains and waits for the end.
    pub async fn close(self) {
        self.stop.cancel();
        assert!(self.tasks.finish(SOON).await, "it ends by itself");
    }
}
