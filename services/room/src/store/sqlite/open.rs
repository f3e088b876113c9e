//! Opening the file.
//!
//! Owns the lock, the settings of a connection and the running of migrations. Promises that one process has the file,
//! that what is committed is on the disk (P6), and that a file which is none of ours, broken or too new is refused with a
//! sentence. Never reads or writes a room.

use std::{
    fs::{File, OpenOptions, TryLockError},
    path::{Path, PathBuf},
    time::Duration,
};

use rusqlite::{Connection, OpenFlags, OptionalExtension, TransactionBehavior};

use super::failed;
use crate::store::{
    StoreError,
    migrate::{self, Applied, Migration},
    row::now_us,
};

/// Marks a database as ours ("PRLR").
const APPLICATION_ID: i64 = 0x5052_4c52;
/// How long a connection waits for a lock that SQLite itself takes.
const BUSY_WITHIN: Duration = Duration::from_secs(4);
/// Files up to this size are checked whole at start; what is broken in a larger one is found when it is read.
const CHECKED_BYTES: u64 = 64 * 1024 * 1024;
/// What the writer keeps of the database in memory.
const CACHE_KIB: i64 = 16 * 1024;
/// How many pages the log of changes may have before they are moved into the database: 16 MiB of them.
const CHECKPOINT_PAGES: i64 = 4_000;
const STATEMENTS: usize = 32;

/// Takes the lock that keeps a second process out; the lock ends with the file that is returned.
pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let lock_path = beside(&resolved(path)?, "-lock");
    let unusable = |error: std::io::Error| {
        StoreError::Unusable(format!(
            "cannot lock {}: {error}; is the folder there, and may this user write in it?",
            lock_path.display()
        ))
    };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(unusable)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::Unusable(format!(
            "another process has {} open: stop it, or give this one another file (several replicas need PostgreSQL)",
            path.display()
        ))),
        Err(TryLockError::Error(error)) => Err(unusable(error)),
    }
}

/// Opens the connection that writes, and brings the schema up to date.
pub(super) fn writer(path: &Path) -> Result<Connection, StoreError> {
    let flags =
        OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection =
        Connection::open_with_flags(path, flags).map_err(|error| refused(path, failed(error)))?;
    prepare(path, &mut connection).map_err(|error| refused(path, error))?;
    Ok(connection)
}

/// Opens a connection that only reads.
pub(super) fn reader(path: &Path) -> Result<Connection, StoreError> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection =
        Connection::open_with_flags(path, flags).map_err(|error| refused(path, failed(error)))?;
    connection.busy_timeout(BUSY_WITHIN).map_err(failed)?;
    connection.pragma_update(None, "query_only", true).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

fn prepare(path: &Path, connection: &mut Connection) -> Result<(), StoreError> {
    connection.busy_timeout(BUSY_WITHIN).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    own(connection)?;
    let mode: String =
        connection.query_row("pragma journal_mode = wal", [], |row| row.get(0)).map_err(failed)?;
    if mode != "wal" {
        return Err(StoreError::Unusable(format!(
            "it cannot be kept in WAL mode (SQLite answers \"{mode}\"): its file system is not fit for a database"
        )));
    }
    connection.pragma_update(None, "synchronous", "full").map_err(failed)?;
    // Under load most of the writer's time would go into pages that are read again, and moved into the database again,
    // with every few commits.
    connection.pragma_update(None, "cache_size", -CACHE_KIB).map_err(failed)?;
    connection.pragma_update(None, "wal_autocheckpoint", CHECKPOINT_PAGES).map_err(failed)?;
    connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
    if std::fs::metadata(path).is_ok_and(|file| file.len() <= CHECKED_BYTES) {
        check(connection)?;
    }
    migrate(connection, migrate::SQLITE)
}

/// Refuses a database that some other program made.
fn own(connection: &Connection) -> Result<(), StoreError> {
    let id: i64 = connection.query_row("pragma application_id", [], |row| row.get(0)).map_err(failed)?;
    let tables: i64 =
        connection.query_row("select count(*) from sqlite_schema", [], |row| row.get(0)).map_err(failed)?;
    match (id, tables) {
        (APPLICATION_ID, _) => Ok(()),
        (0, 0) => connection.pragma_update(None, "application_id", APPLICATION_ID).map_err(failed),
        _ => Err(StoreError::Unusable("it is the database of another program: name another file".into())),
    }
}

fn check(connection: &Connection) -> Result<(), StoreError> {
    let verdict: String =
        connection.query_row("pragma quick_check(1)", [], |row| row.get(0)).map_err(failed)?;
    if verdict == "ok" {
        return Ok(());
    }
    Err(StoreError::Unusable(format!("it is damaged ({verdict}): put a backup in its place")))
}

fn migrate(connection: &mut Connection, known: &[Migration]) -> Result<(), StoreError> {
    loop {
        let transaction =
            connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let Some(step) = migrate::next(known, &applied(&transaction)?)? else { return Ok(()) };
        transaction.execute_batch(step.sql).map_err(failed)?;
        transaction
            .execute(
                "insert into migration (version, name, checksum, applied_at) values (?1, ?2, ?3, ?4)",
                (step.version, step.name, step.checksum(), now_us()),
            )
            .map_err(failed)?;
        transaction.commit().map_err(failed)?;
        tracing::info!(version = step.version, name = step.name, "the database's schema moved forward");
    }
}

fn applied(connection: &Connection) -> Result<Vec<Applied>, StoreError> {
    const TABLE: &str = "create table if not exists migration (
        version integer not null,
        name text not null,
        checksum text not null,
        applied_at integer not null,
        constraint migration_pkey primary key (version)
    ) strict";
    const EXISTS: &str = "select 1 from sqlite_schema where type = 'table' and name = 'migration'";
    let exists: Option<i64> =
        connection.query_row(EXISTS, [], |row| row.get(0)).optional().map_err(failed)?;
    if exists.is_none() {
        connection.execute_batch(TABLE).map_err(failed)?;
    }
    let mut statement = connection
        .prepare("select version, checksum from migration order by version limit 1000")
        .map_err(failed)?;
    let rows = statement
        .query_map([], |row| Ok(Applied { version: row.get(0)?, checksum: row.get(1)? }))
        .map_err(failed)?;
    rows.collect::<Result<_, _>>().map_err(failed)
}

/// The file that is meant, whichever way it is named.
fn resolved(path: &Path) -> Result<PathBuf, StoreError> {
    if let Ok(path) = path.canonicalize() {
        return Ok(path);
    }
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let folder = folder.canonicalize().map_err(|error| {
        StoreError::Unusable(format!("the database's folder {} cannot be used: {error}", folder.display()))
    })?;
    let name = path.file_name().ok_or_else(|| {
        StoreError::Unusable(format!("{} does not name a file for the database", path.display()))
    })?;
    Ok(folder.join(name))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// Says which file it is about.
fn refused(path: &Path, error: StoreError) -> StoreError {
    let path = path.display();
    match error {
        StoreError::Unusable(why) => {
            StoreError::Unusable(format!("the database {path} cannot be used: {why}"))
        }
        StoreError::Unavailable(why) => StoreError::Unavailable(format!("{path}: {why}")),
    }
}
