//! What an operator does to a store as a whole: [`migrate`], [`backup`], [`restore`].
//!
//! A backup is one file ([`file`]) whatever the store, so a backup of SQLite can be restored into PostgreSQL and the other way
//! round. It is what the store was at one moment, also while providers write. It gets its name when it is whole and on
//! disk. A restore reads all of it before it writes anything, and then writes everything or nothing, with the versions that
//! records had.
//!
//! Keys that seal secrets ([`crate::sealed`]) are in no backup.

mod backup;
mod file;
mod location;
mod restore;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

pub use backup::backup;
pub use file::Contents;
pub use location::Location;
pub use restore::{Restored, restore};

use crate::schema::{self, Schema};
use crate::{postgres, sqlite};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error(
        "{0} is no address of a store: give the path of an SQLite file, or postgres://USER:PASSWORD@HOST:PORT/DATABASE"
    )]
    Address(String),
    #[error("there is no store in {0}: check its address")]
    NoStore(Location),
    #[error(
        "{0} holds records already: restore into a file that does not exist yet, or into an empty database"
    )]
    NotEmpty(Location),
    #[error("{} exists already: give the backup another name, or move that file away", .0.display())]
    Exists(PathBuf),
    #[error("{} cannot be {verb}", path.display())]
    File {
        path: PathBuf,
        verb: &'static str,
        #[source]
        source: std::io::Error,
    },
    #[error("{} is no backup that can be restored: {reason}; nothing was written, take another backup", path.display())]
    Damaged { path: PathBuf, reason: String },
    #[error("{} has format {format} of backups, and this program knows {known}: restore it with the version that made it, or a newer one; nothing was written", path.display())]
    NewerFormat { path: PathBuf, format: u32, known: u32 },
    #[error("{location} cannot be used")]
    Store { location: Location, source: crate::Error },
}

pub type Result<T> = std::result::Result<T, Error>;

/// Where the schema stands.
pub async fn schema(location: &Location) -> Result<Schema> {
    let of = |source| Error::Store { location: location.clone(), source };
    match location {
        Location::Sqlite(path) => {
            let mut connection = sqlite::connect_existing(path).await.map_err(of)?;
            let connection = connection.as_mut().ok_or_else(|| Error::NoStore(location.clone()))?;
            schema::of_sqlite(connection).await.map_err(of)
        }
        Location::Postgres(url) => {
            let mut connection = postgres::connect(url).await.map_err(of)?;
            schema::of_postgres(&mut connection).await.map_err(of)
        }
    }
}

/// Brings the schema to this program's version; a store that is not there yet is made. Tells what it found.
pub async fn migrate(location: &Location) -> Result<Schema> {
    let migrated = match location {
        Location::Sqlite(path) => sqlite::connect_or_create(path).await.map(|(_, schema)| schema),
        Location::Postgres(url) => match postgres::connect(url).await {
            Ok(mut connection) => schema::migrate_postgres(&mut connection).await,
            Err(error) => Err(error),
        },
    };
    migrated.map_err(|source| Error::Store { location: location.clone(), source })
}

/// Of a file beside others.
fn folder(path: &Path) -> &Path {
    path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}
