//! A room service and a gateway in this process, over real sockets, and a client that speaks HTTP to the latter.

#![expect(clippy::unwrap_used, reason = "this is only for tests")]

use std::{net::SocketAddr, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use parlour_chassis::{settings::Secret, tasks::Tasks};
use parlour_gateway::upstream::Target;
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// How long anything may take.
const LIMIT: Duration = Duration::from_secs(20);

/// Awaits something that must come.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, future).await.expect("it comes in time")
}

/// A service that runs until it is stopped.
pub(crate) struct Running {
    stop: CancellationToken,
    task: JoinHandle<Option<()>>,
}

impl Running {
    fn start(
        run: impl FnOnce(CancellationToken) -> std::pin::Pin<Box<dyn Future<Output = ()> + Send>>,
    ) -> Self {
        let stop = CancellationToken::new();
        let task = Tasks::new().spawn(run(stop.clone()));
        Self { stop, task }
    }

    /// Asks it to stop, and waits until it has.
    pub(crate) async fn stop(self) {
        self.stop.cancel();
        within(self.task).await.expect("no panic").expect("not ended before");
    }
}

/// A place where a room service keeps its store, and where it is found again.
pub(crate) struct Place {
    folder: TempDir,
    address: SocketAddr,
}

impl Place {
    /// Takes a free port, which is let go until a room service starts there.
    pub(crate) async fn free() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        Self { folder: TempDir::new().unwrap(), address: listener.local_addr().unwrap() }
    }

    /// Starts a room service here.
    pub(crate) async fn open(&self) -> Running {
        let store = format!("sqlite:{}", self.folder.path().join("parlour.db").display());
        let config = parlour_room::config::Config {
            listen: self.address,
            admin_listen: None,
            store: Secret::new(store),
            drain: Duration::from_secs(1),
            ..parlour_room::config::Config::default()
        };
        let app = parlour_room::app::App::build(config).await.unwrap();
        Running::start(|stop| Box::pin(async { app.run(stop).await.unwrap() }))
    }
}

/// What a request was answered.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Value,
}

impl Answer {
    /// The status, reason and field of a problem document.
    pub(crate) fn problem(&self) -> (u16, &str, Option<&str>) {
        assert_eq!(self.headers[header::CONTENT_TYPE], "application/problem+json", "{self:?}");
        let code = self.body["code"].as_str().expect("a reason");
        (self.status.as_u16(), code, self.body["field"].as_str())
    }

    /// The ids of a page of messages.
    pub(crate) fn ids(&self) -> Vec<u64> {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.body
            .as_array()
            .expect("an array")
            .iter()
            .map(|message| message["id"].as_u64().unwrap())
            .collect()
    }

    /// Where the `Link` header leads.
    pub(crate) fn link(&self, rel: &str) -> Option<String> {
        let links = self.headers.get(header::LINK)?.to_str().unwrap();
        let end = format!(">; rel=\"{rel}\"");
        links.split(", ").find_map(|link| Some(link.strip_suffix(&end)?.strip_prefix('<')?.to_owned()))
    }
}

/// A gateway and a client of it.
pub(crate) struct House {
    pub(crate) address: SocketAddr,
    running: Running,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl House {
    /// Starts a gateway whose requests wait this long for the room service at a place.
    pub(crate) async fn start(place: &Place, request: Duration) -> Self {
        Self::with(place, |config| config.limits.request = request).await
    }

    /// Starts a gateway with other settings.
    pub(crate) async fn with(
        place: &Place,
        change: impl FnOnce(&mut parlour_gateway::config::Config),
    ) -> Self {
        let mut config = parlour_gateway::config::Config {
            listen: "127.0.0.1:0".parse().unwrap(),
            admin_listen: None,
            room: Target::Urls(vec![format!("http://{}", place.address).parse().unwrap()]),
            drain: Duration::from_secs(5),
            ..Default::default()
        };
        change(&mut config);
        let app = parlour_gateway::app::App::build(config).await.unwrap();
        let address = app.addrs().gateway;
        let running = Running::start(|stop| Box::pin(app.run(stop)));
        Self { address, running, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Stops the gateway.
    pub(crate) async fn stop(self) {
        self.running.stop().await;
    }

    pub(crate) async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, &[], Bytes::new()).await
    }

    pub(crate) async fn post(&self, path: &str, headers: &[(&str, &str)], body: Value) -> Answer {
        let mut all = vec![("content-type", "application/json")];
        all.extend(headers);
        self.ask("POST", path, &all, body.to_string().into()).await
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: Bytes) -> Answer {
        let mut request = Request::builder().method(method).uri(format!("http://{}{path}", self.address));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let request = request.body(Full::new(body)).unwrap();
        let response = within(self.client.request(request)).await.unwrap();
        let (parts, body) = response.into_parts();
        let body = within(body.collect()).await.unwrap().to_bytes();
        let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
        Answer { status: parts.status, headers: parts.headers, body }
    }
}
