//! Opening the database.
//!
//! Owns the checks of a database and the running of migrations. Promises that many replicas may start at once, and that
//! a database which is not fit or too new is refused with a sentence. Never reads or writes a room.

use tokio_postgres::{Client, types::Type};

use super::{failure::Failure, read::at, session::Sessions};
use crate::store::{
    StoreError,
    migrate::{self, Applied, Migration},
    row::now_us,
};

/// One migrator at a time, for this transaction; as long as it takes. ("parlour", as a number.)
const BEGIN: &str = "begin isolation level read committed; set local lock_timeout = 0; \
    set local statement_timeout = 0; set local idle_in_transaction_session_timeout = 0; \
    select pg_advisory_xact_lock(31632341465003378)";
const TABLE: &str = "create table if not exists migration (
    version bigint not null,
    name text not null,
    checksum text not null,
    applied_at bigint not null,
    constraint migration_pkey primary key (version)
)";

/// What the server must do for P6 to hold through a power cut, and what may be lost where it does not.
const DURABLE: [(&str, &str); 3] = [
    ("fsync", "a power cut may lose what was acknowledged, and damage the whole database"),
    ("synchronous_commit", "a power cut may lose what was acknowledged in the last second"),
    ("full_page_writes", "a power cut may leave pages half written, and what was acknowledged unreadable"),
];

/// Refuses a database that cannot keep what we write.
pub(super) async fn check(sessions: &Sessions) -> Result<(), StoreError> {
    const QUERY: &str =
        "select current_setting('server_encoding'), current_setting('server_version_num')::int";
    let rows = sessions.query(QUERY, &[]).await?;
    let Some(row) = rows.first() else { return Ok(()) };
    let (encoding, version): (&str, i32) = (at(row, 0)?, at(row, 1)?);
    if encoding != "UTF8" {
        return Err(StoreError::Unusable(format!(
            "the database's encoding is {encoding}: make one with encoding UTF8"
        )));
    }
    if version < 140_000 {
        return Err(StoreError::Unusable("PostgreSQL 14 or newer is needed".into()));
    }
    warn_of_power_cuts(sessions).await
}

/// Says what endangers the database, a line for each setting that is off: it may be meant so.
async fn warn_of_power_cuts(sessions: &Sessions) -> Result<(), StoreError> {
    for (setting, danger) in DURABLE {
        let rows = sessions.query("select current_setting($1)", &[(&setting, Type::TEXT)]).await?;
        let Some(row) = rows.first() else { continue };
        if at::<&str>(row, 0)? == "off" {
            tracing::warn!("{setting} is off in PostgreSQL: {danger}");
        }
    }
    Ok(())
}

/// Brings the schema up to date.
pub(super) async fn migrate(sessions: &Sessions) -> Result<(), StoreError> {
    while step(sessions, migrate::POSTGRES).await? {}
    Ok(())
}

/// Takes the next step, in a transaction of its own; returns whether there was one.
async fn step(sessions: &Sessions, known: &[Migration]) -> Result<bool, StoreError> {
    let session = sessions.session().await?;
    let begin = async {
        session.batch_execute(BEGIN).await?;
        session.batch_execute(TABLE).await?;
        applied(&session).await
    };
    let applied = begin.await?; // on an error the connection is closed, and the transaction with it
    let next = migrate::next(known, &applied)?;
    if let Some(migration) = next {
        take(&session, migration).await?;
        tracing::info!(
            version = migration.version,
            name = migration.name,
            "the database's schema moved forward"
        );
    } else {
        session.batch_execute("commit").await.map_err(Failure::from)?;
    }
    session.whole();
    Ok(next.is_some())
}

async fn take(client: &Client, migration: &Migration) -> Result<(), Failure> {
    const INSERT: &str =
        "insert into migration (version, name, checksum, applied_at) values ($1, $2, $3, $4)";
    client.batch_execute(migration.sql).await?;
    client
        .execute_typed(
            INSERT,
            &[
                (&migration.version, Type::INT8),
                (&migration.name, Type::TEXT),
                (&migration.checksum(), Type::TEXT),
                (&now_us(), Type::INT8),
            ],
        )
        .await?;
    client.batch_execute("commit").await?;
    Ok(())
}

async fn applied(client: &Client) -> Result<Vec<Applied>, Failure> {
    const QUERY: &str = "select version, checksum from migration order by version limit 1000";
    let rows = client.query_typed(QUERY, &[]).await?;
    let read = |row| Ok(Applied { version: at(row, 0)?, checksum: at(row, 1)? });
    rows.iter().map(read).collect::<Result<_, StoreError>>().map_err(Failure::Store)
}
