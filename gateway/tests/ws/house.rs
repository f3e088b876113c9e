//! A gateway and a room service over real sockets, and browsers that talk to them.

use std::{ffi::OsString, net::SocketAddr, time::Duration};

use futures_util::{SinkExt as _, StreamExt as _};
use parlour_chassis::{settings::Source, system, tasks::Tasks, telemetry};
use parlour_feed::Pools;
use parlour_gateway::upstream::Target;
use parlour_proto::v1::room_service_client::RoomServiceClient;
use serde_json::{Value, json};
use tokio::net::TcpStream;
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async, connect_async_with_config,
    tungstenite::{
        Error, Message, Utf8Bytes, client::IntoClientRequest as _, handshake::client::Response,
        protocol::WebSocketConfig,
    },
};
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(60);

pub(crate) async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(LIMIT, future).await {
        Ok(done) => done,
        Err(_) => panic!("took too long: {what}"),
    }
}

/// Both services, on ports and a store of their own.
pub(crate) struct House {
    pub(crate) gateway: SocketAddr,
    pub(crate) room: SocketAddr,
    /// What the gateway's rooms and sessions hold.
    pub(crate) pools: Pools,
    vars: Vec<(OsString, OsString)>,
    room_readiness: Option<parlour_chassis::admin::Readiness>,
    room_stop: CancellationToken,
    gateway_stop: CancellationToken,
    room_tasks: Tasks,
    tasks: Tasks,
    _folder: tempfile::TempDir,
}

impl House {
    pub(crate) async fn open() -> Self {
        Self::with(&[]).await
    }

    /// With these settings, named without their prefix.
    pub(crate) async fn with(settings: &[(&str, &str)]) -> Self {
        system::prepare();
        let folder = tempfile::tempdir().expect("a folder");
        let store = format!("sqlite:{}", folder.path().join("parlour.db").display());
        let own = [
            ("STORE", store.as_str()),
            ("ROOM_LISTEN", "127.0.0.1:0"),
            ("GATEWAY_LISTEN", "127.0.0.1:0"),
            ("ADMIN_LISTEN", "127.0.0.1:0"),
            ("DRAIN_SECONDS", "2"),
            ("GRACE_CLOSED_SECONDS", "0.2"),
            ("SEND_RATE", "0"),
        ];
        let given = own.into_iter().filter(|(name, _)| settings.iter().all(|(other, _)| other != name));
        let vars: Vec<(OsString, OsString)> = given
            .chain(settings.iter().copied())
            .map(|(name, value)| (format!("PARLOUR_{name}").into(), value.into()))
            .collect();
        let mut house = Self {
            gateway: ([127, 0, 0, 1], 0).into(),
            room: ([127, 0, 0, 1], 0).into(),
            pools: Pools::default(),
            vars,
            room_readiness: None,
            room_stop: CancellationToken::new(),
            gateway_stop: CancellationToken::new(),
            room_tasks: Tasks::new(),
            tasks: Tasks::new(),
            _folder: folder,
        };
        house.open_room().await;
        house.open_gateway().await;
        house
    }

    async fn open_room(&mut self) {
        let tables = [parlour_room::config::SETTINGS, parlour_gateway::config::SETTINGS];
        let mut source = self.source(&tables);
        let mut config = parlour_room::config::Config::read(&mut source);
        source.finish().expect("the room service's settings are right");
        config.admin_listen = None;
        if self.room.port() != 0 {
            config.listen = self.room;
        }
        let app = parlour_room::app::App::build(config).await.expect("the room service starts");
        self.room_readiness = Some(app.readiness());
        self.room = app.addrs().expect("bound").grpc;
        self.room_stop = CancellationToken::new();
        self.room_tasks = Tasks::new();
        let stop = self.room_stop.clone();
        self.room_tasks.spawn(async move { app.run(stop).await.expect("the room service ends well") });
    }

    async fn open_gateway(&mut self) {
        (self.gateway, self.pools) = self.start_gateway(self.gateway_stop.clone()).await;
    }

    /// A second gateway to the same room service: where it is, and what stops it.
    pub(crate) async fn another_gateway(&self) -> (SocketAddr, CancellationToken) {
        let stop = CancellationToken::new();
        (self.start_gateway(stop.clone()).await.0, stop)
    }

    async fn start_gateway(&self, stop: CancellationToken) -> (SocketAddr, Pools) {
        let tables = [parlour_room::config::SETTINGS, parlour_gateway::config::SETTINGS];
        let mut source = self.source(&tables);
        let mut config = parlour_gateway::config::Config::read(&mut source);
        source.finish().expect("the gateway's settings are right");
        config.admin_listen = None;
        config.room = Target::Urls(vec![format!("http://{}", self.room).parse().expect("a URL")]);
        let app = parlour_gateway::app::App::build(config).await.expect("the gateway starts");
        let started = (app.addrs().gateway, app.pools());
        self.tasks.spawn(app.run(stop));
        started
    }

    /// The store, for who may use it while the room service is stopped.
    pub(crate) fn store(&self) -> String {
        format!("sqlite:{}", self._folder.path().join("parlour.db").display())
    }

    fn source(&self, tables: &[&[parlour_chassis::settings::Setting]]) -> Source {
        let vars = self.vars.iter().cloned();
        Source::read(clap::Command::new("house"), tables, &[], [OsString::from("house")], vars)
            .expect("known settings")
    }

    /// Stops the room service in order, and waits until it has.
    pub(crate) async fn stop_room(&mut self) {
        self.room_stop.cancel();
        within("the room service ends", async {
            while !self.room_tasks.is_empty() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Starts the room service again, on the same port and store.
    pub(crate) async fn start_room(&mut self) {
        self.open_room().await;
    }

    /// Waits until the room service says that it is ready.
    pub(crate) async fn room_is_ready(&self) {
        let readiness = self.room_readiness.as_ref().expect("it was started");
        within("the room service is ready", async {
            while readiness().is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }

    /// Asks the gateway to drain.
    pub(crate) fn drain_gateway(&self) {
        self.gateway_stop.cancel();
    }

    /// A browser that has opened its socket and said nothing yet.
    pub(crate) async fn browser(&self) -> Browser {
        Browser::at(self.gateway).await
    }

    /// A browser, as a proxy says that forwarded it from there; or how it was refused.
    pub(crate) async fn browser_from(&self, forwarded: &str) -> Result<Browser, Box<Response>> {
        let mut request = format!("ws://{}/chat", self.gateway).into_client_request().expect("a request");
        request.headers_mut().insert("x-forwarded-for", forwarded.parse().expect("a header"));
        match within("a socket opens or does not", connect_async(request)).await {
            Ok((socket, _)) => Ok(Browser { socket }),
            Err(Error::Http(response)) => Err(response),
            Err(error) => panic!("{error}"),
        }
    }

    /// A browser whose system takes little before it is read.
    pub(crate) async fn narrow_browser(&self) -> Browser {
        let socket = tokio::net::TcpSocket::new_v4().expect("a socket");
        socket.set_recv_buffer_size(4_096).expect("a small buffer");
        let stream = within("a connection opens", socket.connect(self.gateway)).await.expect("a connection");
        let url = format!("ws://{}/chat", self.gateway);
        let opened = tokio_tungstenite::client_async(url, MaybeTlsStream::Plain(stream));
        let (socket, _) = within("a socket opens", opened).await.expect("a socket");
        Browser { socket }
    }

    /// A plain client that is in a room: it has heard of itself.
    pub(crate) async fn plain(&self, room: &str, name: &str) -> Browser {
        let mut browser = self.browser().await;
        browser.says(json!({"type": "join", "room": room, "username": name})).await;
        assert_eq!(browser.next().await["type"], "user_list");
        let joined = browser.next().await;
        assert_eq!((&joined["type"], &joined["username"]), (&json!("user_joined"), &json!(name)));
        browser
    }

    /// A full client that has been welcomed.
    pub(crate) async fn full(&self, name: &str) -> (Browser, Value) {
        let mut browser = self.browser().await;
        browser.says(json!({"type": "hello", "version": 1, "name": name})).await;
        let welcome = browser.next().await;
        assert_eq!(welcome["type"], "welcome", "{welcome}");
        (browser, welcome)
    }

    /// A gRPC client of the room service.
    pub(crate) async fn rpc(&self) -> RoomServiceClient<Channel> {
        RoomServiceClient::connect(format!("http://{}", self.room))
            .await
            .expect("the room service is reached")
    }

    /// A metric's value, all labels together.
    pub(crate) fn metric(name: &str) -> f64 {
        let text = telemetry::metrics().render();
        let lines = text.lines().filter(|line| line.starts_with(name));
        let exact = lines.filter(|line| matches!(line.as_bytes().get(name.len()), Some(b' ' | b'{')));
        exact.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum()
    }
}

impl Drop for House {
    fn drop(&mut self) {
        self.gateway_stop.cancel();
        self.room_stop.cancel();
    }
}

/// A browser's side of a socket.
pub(crate) struct Browser {
    socket: WebSocketStream<MaybeTlsStream<TcpStream>>,
}

impl Browser {
    /// One that has opened a socket to that gateway and said nothing yet.
    pub(crate) async fn at(gateway: SocketAddr) -> Self {
        let url = format!("ws://{gateway}/chat");
        // There are thousands of them in this process: the default would be 128 KiB each.
        let config = WebSocketConfig::default().read_buffer_size(4_096);
        let opening = connect_async_with_config(url, Some(config), false);
        let (socket, _) = within("a socket opens", opening).await.expect("a socket");
        Self { socket }
    }

    pub(crate) async fn says(&mut self, frame: Value) {
        self.says_text(&frame.to_string()).await;
    }

    pub(crate) async fn says_text(&mut self, text: &str) {
        self.sends(Message::text(text)).await;
    }

    pub(crate) async fn sends(&mut self, message: Message) {
        within("a frame is sent", self.socket.send(message)).await.expect("sent");
    }

    /// The next frame.
    pub(crate) async fn next(&mut self) -> Value {
        self.next_unless_closed().await.expect("the socket is open")
    }

    /// The next frame; `None` where the socket is closed with 4000.
    pub(crate) async fn next_unless_closed(&mut self) -> Option<Value> {
        let text = self.next_text().await?;
        Some(serde_json::from_str(&text).expect("JSON"))
    }

    /// The next frame as it came; `None` where the socket is closed with 4000.
    pub(crate) async fn next_text(&mut self) -> Option<Utf8Bytes> {
        loop {
            match within("a frame comes", self.socket.next()).await {
                Some(Ok(Message::Text(text))) => return Some(text),
                Some(Ok(Message::Ping(_) | Message::Pong(_))) => {}
                Some(Ok(Message::Close(Some(close)))) if u16::from(close.code) == 4000 => return None,
                other => panic!("a frame was expected: {other:?}"),
            }
        }
    }

    /// The next frame of that type; others are passed over.
    pub(crate) async fn hears(&mut self, kind: &str) -> Value {
        loop {
            let frame = self.next().await;
            if frame["type"] == kind {
                return frame;
            }
        }
    }

    /// The code the socket is closed with; frames before are passed over.
    pub(crate) async fn closes(&mut self) -> u16 {
        loop {
            match within("the socket closes", self.socket.next()).await {
                Some(Ok(Message::Close(close))) => return close.map_or(1005, |close| close.code.into()),
                Some(Ok(_)) => {}
                Some(Err(_)) | None => return 1006,
            }
        }
    }

    /// Closes in order.
    pub(crate) async fn leaves(mut self) {
        within("the socket closes", self.socket.close(None)).await.expect("closed");
    }
}
