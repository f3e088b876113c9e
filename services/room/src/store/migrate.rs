//! The schema's versions.
//!
//! Owns which migrations there are and which of them a database still lacks. Promises that a schema only moves forward,
//! that one made by a newer program or changed behind our back is refused with a sentence, and that both stores have the
//! same numbers and names. Never runs one: each store does, under its own lock.

use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use super::StoreError;

/// One step of the schema.
#[derive(Clone, Copy, Debug)]
pub(super) struct Migration {
    pub(super) version: i64,
    pub(super) name: &'static str,
    pub(super) sql: &'static str,
}

/// A step that a database has taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Applied {
    pub(super) version: i64,
    pub(super) checksum: String,
}

/// The steps of SQLite.
pub(super) const SQLITE: &[Migration] = &[
    Migration { version: 1, name: "room", sql: include_str!("../../migrations/sqlite/0001_room.sql") },
    Migration { version: 2, name: "tracer", sql: include_str!("../../migrations/sqlite/0002_tracer.sql") },
    Migration { version: 3, name: "append", sql: include_str!("../../migrations/sqlite/0003_append.sql") },
    Migration { version: 4, name: "key", sql: include_str!("../../migrations/sqlite/0004_key.sql") },
];

/// The steps of PostgreSQL.
pub(super) const POSTGRES: &[Migration] = &[
    Migration { version: 1, name: "room", sql: include_str!("../../migrations/postgres/0001_room.sql") },
    Migration { version: 2, name: "tracer", sql: include_str!("../../migrations/postgres/0002_tracer.sql") },
    Migration { version: 3, name: "append", sql: include_str!("../../migrations/postgres/0003_append.sql") },
    Migration { version: 4, name: "key", sql: include_str!("../../migrations/postgres/0004_key.sql") },
];

impl Migration {
    /// What tells that its text is still the one that was applied.
    pub(super) fn checksum(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(self.sql))
    }
}

/// Returns the step that follows those `applied` (in order of version), or `None` where there is nothing to do.
///
/// # Errors
/// `Unusable` where the database has a step that this program does not know, or knows otherwise.
pub(super) fn next<'a>(
    known: &'a [Migration],
    applied: &[Applied],
) -> Result<Option<&'a Migration>, StoreError> {
    for (index, done) in applied.iter().enumerate() {
        let Some(migration) = known.get(index) else {
            return Err(StoreError::Unusable(format!(
                "the database has schema version {}, and this program knows versions up to {}: start a program at \
                 least as new as the one that last used this database",
                applied.last().map_or(done.version, |last| last.version),
                known.len()
            )));
        };
        if migration.version != done.version || migration.checksum() != done.checksum {
            return Err(StoreError::Unusable(format!(
                "step {} of the database's schema is not the one this program knows (\"{}\"): it was made by another \
                 build; use that one, or another database",
                done.version, migration.name
            )));
        }
    }
    Ok(known.get(applied.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(migrations: &[Migration]) -> Vec<Applied> {
        migrations.iter().map(|m| Applied { version: m.version, checksum: m.checksum() }).collect()
    }

    #[test]
    fn both_stores_have_the_same_numbers_and_names() {
        let names = |all: &[Migration]| all.iter().map(|m| (m.version, m.name)).collect::<Vec<_>>();
        assert_eq!(names(SQLITE), names(POSTGRES));
        for (index, migration) in SQLITE.iter().enumerate() {
            assert_eq!(migration.version, index as i64 + 1, "versions count up from 1");
        }
    }

    #[test]
    fn an_empty_database_takes_every_step_and_then_none() {
        let mut done = Vec::new();
        while let Some(step) = next(SQLITE, &done).expect("usable") {
            done.push(Applied { version: step.version, checksum: step.checksum() });
        }
        assert_eq!(done, applied(SQLITE));
    }

    #[test]
    fn a_newer_or_a_changed_schema_is_refused_with_a_sentence() {
        let mut newer = applied(SQLITE);
        newer.push(Applied { version: SQLITE.len() as i64 + 1, checksum: "of a later program".into() });
        let refusal = next(SQLITE, &newer).expect_err("refused").to_string();
        assert!(refusal.contains("at least as new"), "{refusal}");

        let mut changed = applied(SQLITE);
        changed[0].checksum = "another".into();
        let refusal = next(SQLITE, &changed).expect_err("refused").to_string();
        assert!(refusal.contains("another build"), "{refusal}");
    }
}
