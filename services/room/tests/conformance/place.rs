//! Where a store is kept during a test.
//!
//! Owns a folder or a database of one test. Promises that it is gone afterwards, also when the test fails, and that a
//! missing PostgreSQL is said aloud. Never starts a server.

use std::{panic::AssertUnwindSafe, panic::resume_unwind, sync::Arc, time::Duration};

use futures_util::FutureExt;
use parlour_room::store::{AnyStore, Options, StoreError};
use tempfile::TempDir;
use tokio_postgres::NoTls;

/// How long one behaviour may take: far more than it needs, so that only a deadlock reaches it.
const LIMIT: Duration = Duration::from_secs(120);

/// Where a store is kept.
#[derive(Clone)]
pub(crate) enum Place {
    Sqlite(Arc<TempDir>),
    Postgres(String),
}

impl Place {
    /// The URL that opens it.
    pub(crate) fn url(&self) -> String {
        match self {
            Self::Sqlite(folder) => format!("sqlite:{}", folder.path().join("parlour.db").display()),
            Self::Postgres(url) => url.clone(),
        }
    }

    /// Opens it, or is refused.
    pub(crate) async fn try_open(&self) -> Result<Arc<AnyStore>, StoreError> {
        AnyStore::open(&self.url(), Options::default()).await.map(Arc::new)
    }

    /// Opens it.
    pub(crate) async fn open(&self) -> Arc<AnyStore> {
        self.try_open().await.expect("the store opens")
    }

    /// Opens it twice, as two replicas do; SQLite lets nobody, and gives the same again.
    pub(crate) async fn open_two(&self) -> [Arc<AnyStore>; 2] {
        let one = self.open().await;
        let other = if self.is_sqlite() { Arc::clone(&one) } else { self.open().await };
        [one, other]
    }

    pub(crate) fn is_sqlite(&self) -> bool {
        matches!(self, Self::Sqlite(_))
    }

    /// Runs SQL behind the store's back.
    pub(crate) async fn meddle(&self, sql: &str) {
        match self {
            Self::Sqlite(folder) => {
                let connection = rusqlite::Connection::open(folder.path().join("parlour.db")).expect("opens");
                connection.execute_batch(sql).expect("meddled");
            }
            Self::Postgres(url) => execute(url, sql).await,
        }
    }
}

/// Runs a behaviour on SQLite.
pub(crate) async fn on_sqlite<F: Future<Output = ()>>(behaviour: impl FnOnce(Place) -> F) {
    let place = Place::Sqlite(Arc::new(tempfile::tempdir().expect("a folder")));
    tokio::time::timeout(LIMIT, behaviour(place)).await.expect("no deadlock");
}

/// Runs a behaviour on PostgreSQL, in a database of its own.
pub(crate) async fn on_postgres<F: Future<Output = ()>>(behaviour: impl FnOnce(Place) -> F) {
    let Some(server) = server() else { return };
    let name = format!("parlour_test_{}", uuid::Uuid::new_v4().simple());
    execute(&server, &format!("create database {name} template template0 encoding 'UTF8'")).await;
    let place = Place::Postgres(with_database(&server, &name));
    let run = tokio::time::timeout(LIMIT, behaviour(place));
    let outcome = AssertUnwindSafe(run).catch_unwind().await;
    execute(&server, &format!("drop database {name} with (force)")).await;
    match outcome {
        Ok(run) => run.expect("no deadlock"),
        Err(panic) => resume_unwind(panic),
    }
}

/// Runs SQL on a server.
pub(crate) async fn execute(url: &str, sql: &str) {
    let (client, connection) = tokio_postgres::connect(url, NoTls).await.expect("PostgreSQL answers");
    let run = async {
        let done = client.batch_execute(sql).await;
        drop(client); // ends the connection
        done
    };
    let (done, _) = tokio::join!(run, connection);
    done.expect("the statement runs");
}

#[expect(
    clippy::disallowed_methods,
    clippy::print_stderr,
    reason = "the runner names the server by a variable"
)]
fn server() -> Option<String> {
    if let Ok(url) = std::env::var("PARLOUR_TEST_POSTGRES") {
        return Some(url);
    }
    let is_set = |name| std::env::var(name).is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"));
    assert!(
        !is_set("CI") && !is_set("PARLOUR_TEST_REQUIRE"),
        "PARLOUR_TEST_POSTGRES is not set: deploy/test starts a PostgreSQL and sets it"
    );
    eprintln!("SKIPPED: PARLOUR_TEST_POSTGRES is not set, so nothing was tested on PostgreSQL");
    None
}

/// The URL of another database of the same server.
fn with_database(server: &str, name: &str) -> String {
    let (base, query) = server.split_once('?').map_or((server, None), |(base, query)| (base, Some(query)));
    let authority_at = base.find("://").expect("a URL") + 3;
    let authority_end = base[authority_at..].find('/').map_or(base.len(), |at| authority_at + at);
    let mut url = format!("{}/{name}", &base[..authority_end]);
    if let Some(query) = query {
        url.push('?');
        url.push_str(query);
    }
    url
}
