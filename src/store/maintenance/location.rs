//! Where a store is.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;

use sqlx::postgres::PgConnectOptions;

use super::{Error, Result};
use crate::Store;
use crate::postgres::PostgresStore;
use crate::sqlite::SqliteStore;

/// Shows no password.
#[derive(Clone)]
pub enum Location {
    Sqlite(PathBuf),
    Postgres(String),
}

impl Location {
    /// As a provider opens it: made and migrated when it is not there or older.
    pub async fn open(&self) -> Result<Arc<dyn Store>> {
        let opened: crate::Result<Arc<dyn Store>> = match self {
            Self::Sqlite(path) => {
                SqliteStore::open(path).await.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
            Self::Postgres(url) => {
                PostgresStore::open(url).await.map(|store| Arc::new(store) as Arc<dyn Store>)
            }
        };
        opened.map_err(|source| Error::Store { location: self.clone(), source })
    }
}

impl FromStr for Location {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        match text.split_once("://") {
            Some(("postgres" | "postgresql", _)) => Ok(Self::Postgres(text.to_owned())),
            // What follows may hold a password.
            Some((scheme, _)) => Err(Error::Address(format!("{scheme}://…"))),
            None if text.is_empty() => Err(Error::Address("nothing".to_owned())),
            None => Ok(Self::Sqlite(text.into())),
        }
    }
}

impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => write!(f, "{}", path.display()),
            Self::Postgres(url) => match PgConnectOptions::from_str(url) {
                Ok(options) => write!(
                    f,
                    "the database {} on {}:{}",
                    options.get_database().unwrap_or_else(|| options.get_username()),
                    options.get_host(),
                    options.get_port()
                ),
                Err(_) => f.write_str("the database"),
            },
        }
    }
}

impl fmt::Debug for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Location({self})")
    }
}
