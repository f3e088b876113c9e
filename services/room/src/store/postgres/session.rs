//! Connections.
//!
//! Owns the pool, its limits, and what happens to a connection that was left in the middle of something. Promises that
//! no connection with half a transaction, or with an answer still under way, is ever given out again. Relies on no state
//! of a session, so that a transaction pooler may stand in between.

use std::{ops::Deref, time::Duration};

use deadpool_postgres::{
    ClientWrapper, Manager, ManagerConfig, Object, Pool, RecyclingMethod, Runtime, Timeouts,
};
use tokio_postgres::{
    Config, NoTls, Row,
    types::{ToSql, Type},
};

use super::failure::Failure;
use crate::store::StoreError;

/// How long one call may take, whatever it waits for.
pub(super) const CALL_WITHIN: Duration = Duration::from_secs(5);
/// Waiting for, making and proving a connection.
const CONNECT_WITHIN: Duration = Duration::from_secs(3);
/// What the server ends by itself, so that nothing of ours lives on there: a little less than a call may take. And how it
/// finds rows: of a table that it has not counted yet it would collect all of a room's, and sort them, to give one page.
const SERVER_LIMITS: &str = "-c statement_timeout=4s -c idle_in_transaction_session_timeout=5s \
    -c lock_timeout=2s -c enable_bitmapscan=off";

/// The connections of a store.
#[derive(Clone, Debug)]
pub(super) struct Sessions(Pool);

/// A connection of the pool. It goes back only by [`Session::whole`]; dropped otherwise it is closed, which ends
/// whatever was under way.
#[derive(Debug)]
pub(super) struct Session(Option<Object>);

impl Sessions {
    /// Makes the pool, and one connection to prove the URL.
    pub(super) async fn open(url: &str, connections: usize) -> Result<Self, StoreError> {
        let config = configure(url)?;
        let mut limited = config.clone();
        if config.get_options().is_none() {
            limited.options(SERVER_LIMITS);
        }
        let sessions = Self::build(limited, connections)?;
        match sessions.session().await {
            Ok(session) => session.whole(),
            // A pooler that lets no options through: waiting for a room has its own limit, and every call one here.
            Err(Failure::Lost(why) | Failure::Store(why))
                if why.to_string().contains("startup parameter") =>
            {
                tracing::info!(
                    "the pooler before PostgreSQL takes no options: the server's own limits apply"
                );
                let sessions = Self::build(config, connections)?;
                sessions.session().await?.whole();
                return Ok(sessions);
            }
            Err(why) => return Err(why.into()),
        }
        Ok(sessions)
    }

    fn build(config: Config, connections: usize) -> Result<Self, StoreError> {
        let recycling = ManagerConfig { recycling_method: RecyclingMethod::Verified };
        let limit = Some(CONNECT_WITHIN);
        Pool::builder(Manager::from_config(config, NoTls, recycling))
            .max_size(connections.max(1))
            .timeouts(Timeouts { wait: limit, create: limit, recycle: limit })
            .runtime(Runtime::Tokio1)
            .build()
            .map(Self)
            .map_err(|error| StoreError::Unusable(format!("no pool of connections: {error}")))
    }

    /// Takes a connection.
    pub(super) async fn session(&self) -> Result<Session, Failure> {
        Ok(Session(Some(self.0.get().await?)))
    }

    /// Runs one statement, which is a transaction of its own, within the time of a call.
    pub(super) async fn query(
        &self,
        statement: &str,
        params: &[(&(dyn ToSql + Sync), Type)],
    ) -> Result<Vec<Row>, Failure> {
        let run = async {
            let session = self.session().await?;
            let rows = session.query_typed(statement, params).await;
            session.whole(); // the answer is there, or the connection is gone and will not be given out
            rows.map_err(Failure::from)
        };
        let late = || Failure::Lost(StoreError::Unavailable("PostgreSQL does not answer in time".into()));
        tokio::time::timeout(CALL_WITHIN, run).await.unwrap_or_else(|_| Err(late()))
    }

    pub(super) fn close(&self) {
        self.0.close();
    }
}

impl Session {
    /// Gives the connection back: all that was asked of it is answered, and no transaction is open.
    pub(super) fn whole(mut self) {
        drop(self.0.take());
    }
}

impl Deref for Session {
    type Target = ClientWrapper;

    fn deref(&self) -> &ClientWrapper {
        self.0.as_ref().expect("taken only by `whole` and `drop`, which have the last word")
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(object) = self.0.take() {
            drop(Object::take(object)); // out of the pool, and closed
        }
    }
}

fn configure(url: &str) -> Result<Config, StoreError> {
    // The parser's own sentence names a part of the URL at most by its place, never by its text.
    let mut config: Config = url.parse().map_err(|_| {
        StoreError::Unusable("the store's URL is to be postgres://USER:PASSWORD@HOST/DATABASE".into())
    })?;
    if config.get_application_name().is_none() {
        config.application_name("parlour-room");
    }
    config.connect_timeout(CONNECT_WITHIN);
    config.keepalives_idle(Duration::from_secs(15));
    config.keepalives_interval(Duration::from_secs(5));
    config.keepalives_retries(3);
    config.tcp_user_timeout(Duration::from_secs(10));
    Ok(config)
}
