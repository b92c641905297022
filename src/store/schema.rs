//! Which version of the schema a store has, and what brings it to this program's.

use sqlx::migrate::Migrator;
use sqlx::{PgConnection, SqliteConnection};

use crate::{Error, Result, failed};

static SQLITE: Migrator = sqlx::migrate!("./migrations/sqlite");
static POSTGRES: Migrator = sqlx::migrate!("./migrations/postgres");

/// Where a store's schema stands.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Schema {
    /// `None`: there is none yet.
    pub found: Option<i64>,
    /// What this program works with.
    pub wanted: i64,
}

impl Schema {
    fn of(found: Option<i64>, migrator: &Migrator) -> Result<Self> {
        let wanted = migrator.iter().map(|migration| migration.version).max().unwrap_or(0);
        match found {
            Some(found) if found > wanted => Err(Error::Newer { found, known: wanted }),
            found => Ok(Self { found, wanted }),
        }
    }

    pub fn is_current(&self) -> bool {
        self.found == Some(self.wanted)
    }
}

pub async fn of_sqlite(connection: &mut SqliteConnection) -> Result<Schema> {
    let known: i64 = sqlx::query_scalar("SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| failed(&error))?;
    let found: Option<i64> = match known {
        0 => None,
        _ => sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(connection)
            .await
            .map_err(|error| failed(&error))?,
    };
    Schema::of(found, &SQLITE)
}

pub async fn of_postgres(connection: &mut PgConnection) -> Result<Schema> {
    let known: bool = sqlx::query_scalar("SELECT to_regclass('_sqlx_migrations') IS NOT NULL")
        .fetch_one(&mut *connection)
        .await
        .map_err(|error| failed(&error))?;
    let found: Option<i64> = match known {
        false => None,
        true => sqlx::query_scalar("SELECT max(version) FROM _sqlx_migrations WHERE success")
            .fetch_one(connection)
            .await
            .map_err(|error| failed(&error))?,
    };
    Schema::of(found, &POSTGRES)
}

/// What was found before.
pub async fn migrate_sqlite(connection: &mut SqliteConnection) -> Result<Schema> {
    let schema = of_sqlite(connection).await?;
    SQLITE.run(connection).await.map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(schema)
}

/// What was found before. Who migrates at the same time waits.
pub async fn migrate_postgres(connection: &mut PgConnection) -> Result<Schema> {
    let schema = of_postgres(connection).await?;
    POSTGRES.run(connection).await.map_err(|error| Error::Unavailable(error.to_string()))?;
    Ok(schema)
}
