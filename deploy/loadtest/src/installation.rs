//! The installation, from outside.
//!
//! Owns the few calls to `/api`: making rooms, saying something there, reading their logs, asking who is there. Promises that a gateway which
//! fails is asked again, and the next one, for a while: what is asked here is safe to ask twice. Never judges an answer.

use std::{
    collections::BTreeSet,
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use parlour_chassis::backoff::Backoff;
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::json;

use crate::config::Address;

/// How long one answer may take.
const ANSWER: Duration = Duration::from_secs(10);
/// How long it is asked again.
const PATIENCE: Duration = Duration::from_secs(30);
/// The bounds of the delay between.
const BACKOFF: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(1));
/// The largest answer.
const BODY_BYTES: usize = 16 << 20;
/// Messages a page.
pub(crate) const PAGE: usize = 200;

/// Why nothing can be judged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Unreachable {
    /// Nobody answers, or with a failure of its own.
    #[error("{what} of {authority}: {why}")]
    Silent {
        /// What was asked.
        what: String,
        /// Of whom.
        authority: String,
        /// What came.
        why: String,
    },
}

/// A message of the log.
#[derive(Debug, Deserialize)]
pub(crate) struct Logged {
    pub(crate) seq: u64,
    pub(crate) username: String,
    pub(crate) content: String,
    pub(crate) created_at: String,
    pub(crate) client_message_id: Option<String>,
}

#[derive(Deserialize)]
struct Presence {
    users: Vec<Named>,
    count: u32,
}

#[derive(Deserialize)]
struct Named {
    name: String,
}

/// The installation's gateways.
pub(crate) struct Installation {
    gateways: Vec<Address>,
    client: Client<HttpConnector, Full<Bytes>>,
}

impl Installation {
    /// The one behind these gateways.
    pub(crate) fn new(gateways: Vec<Address>) -> Self {
        Self { gateways, client: Client::builder(TokioExecutor::new()).build_http() }
    }

    /// Makes sure that each gateway answers.
    pub(crate) async fn is_there(&self) -> Result<(), Unreachable> {
        for gateway in 0..self.gateways.len() {
            let _: serde_json::Value = self.ask(gateway..=gateway, "/api/rooms?limit=1", None).await?;
        }
        Ok(())
    }

    /// Makes a room.
    pub(crate) async fn make_room(&self, name: &str) -> Result<(), Unreachable> {
        let body = json!({"name": name, "title": "being verified"}).to_string();
        let _: serde_json::Value = self.ask(self.all(), "/api/rooms", Some((name, body))).await?;
        Ok(())
    }

    /// The messages of a room after a seq, oldest first, at most `PAGE`.
    pub(crate) async fn page(&self, room: &str, after: u64) -> Result<Vec<Logged>, Unreachable> {
        self.ask(self.all(), &format!("/api/rooms/{room}/messages?after={after}&limit={PAGE}"), None).await
    }

    /// So many messages of a room before a seq, oldest first.
    pub(crate) async fn page_before(
        &self,
        room: &str,
        before: u64,
        limit: u64,
    ) -> Result<Vec<Logged>, Unreachable> {
        self.ask(self.all(), &format!("/api/rooms/{room}/messages?before={before}&limit={limit}"), None).await
    }

    /// Sends a message, with its key.
    pub(crate) async fn say(&self, room: &str, key: &str, content: &str) -> Result<(), Unreachable> {
        let body = json!({"username": "a member", "content": content}).to_string();
        let _: serde_json::Value =
            self.ask(self.all(), &format!("/api/rooms/{room}/messages"), Some((key, body))).await?;
        Ok(())
    }

    /// The seq of a room's last message.
    pub(crate) async fn head(&self, room: &str) -> Result<u64, Unreachable> {
        let newest: Vec<Logged> =
            self.ask(self.all(), &format!("/api/rooms/{room}/messages?limit=1"), None).await?;
        Ok(newest.last().map_or(0, |message| message.seq))
    }

    /// Who is said to be in a room: the names that are told, and how many there are.
    pub(crate) async fn presence(&self, room: &str) -> Result<(BTreeSet<String>, u32), Unreachable> {
        let presence: Presence = self.ask(self.all(), &format!("/api/rooms/{room}/presence"), None).await?;
        Ok((presence.users.into_iter().map(|user| user.name).collect(), presence.count))
    }

    fn all(&self) -> std::ops::RangeInclusive<usize> {
        0..=self.gateways.len() - 1
    }

    /// Asks these gateways in turn, until one answers. A body goes with its key.
    async fn ask<T: DeserializeOwned>(
        &self,
        gateways: std::ops::RangeInclusive<usize>,
        path: &str,
        body: Option<(&str, String)>,
    ) -> Result<T, Unreachable> {
        let (started, mut backoff) = (Instant::now(), Backoff::new(BACKOFF.0, BACKOFF.1));
        loop {
            let mut why = String::new();
            let mut authority = String::new();
            for gateway in gateways.clone() {
                let address = &self.gateways[gateway];
                authority = address.authority().to_owned();
                match tokio::time::timeout(ANSWER, self.once(address, path, body.as_ref())).await {
                    Ok(Ok(answer)) => return Ok(answer),
                    Ok(Err(error)) => why = error,
                    Err(_) => why = format!("no answer within {} s", ANSWER.as_secs()),
                }
            }
            if started.elapsed() > PATIENCE {
                return Err(Unreachable::Silent { what: path.to_owned(), authority, why });
            }
            tokio::time::sleep(backoff.next_delay()).await;
        }
    }

    async fn once<T: DeserializeOwned>(
        &self,
        address: &Address,
        path: &str,
        body: Option<&(&str, String)>,
    ) -> Result<T, String> {
        let request =
            Request::builder().uri(format!("http://{}{}{path}", address.authority(), address.path()));
        let request = match body {
            None => request.body(Full::default()),
            Some((key, body)) => request
                .method(http::Method::POST)
                .header(CONTENT_TYPE, "application/json")
                .header("idempotency-key", *key)
                .body(Full::from(body.clone())),
        };
        let request = request.map_err(|error| error.to_string())?;
        let response = self.client.request(request).await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = Limited::new(response.into_body(), BODY_BYTES).collect().await;
        let bytes = body.map_err(|error| error.to_string())?.to_bytes();
        if !matches!(status, StatusCode::OK | StatusCode::CREATED) {
            return Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)));
        }
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }
}
