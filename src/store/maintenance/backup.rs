//! A store into a file, while providers read and write.

use std::path::Path;

use futures::TryStreamExt as _;
use futures::stream::BoxStream;
use sqlx::postgres::PgRow;
use sqlx::sqlite::SqliteRow;
use sqlx::{Connection as _, Row};
use tempfile::NamedTempFile;
use tokio::fs::File;

use super::file::{Contents, Writer};
use super::{Error, Location, Result, folder};
use crate::{Record, failed, postgres, schema, sqlite};

/// In the order that both databases have in common: by bytes.
const ALL: &str = "SELECT key, version, body, collection FROM records ORDER BY collection, key";

/// Writes everything that the store holds at one moment. `to` must not exist, and does not before it is whole.
pub async fn backup(from: &Location, to: &Path) -> Result<Contents> {
    let unwritable = |source| Error::File { path: to.to_owned(), verb: "written", source };
    if to.try_exists().map_err(unwritable)? {
        return Err(Error::Exists(to.to_owned()));
    }
    // Mode 0600: what is not secret in it still is not everybody's.
    let draft = NamedTempFile::with_prefix_in(".livedata-backup-", folder(to)).map_err(unwritable)?;
    let writer = Writer::begin(File::from_std(draft.reopen().map_err(unwritable)?)).await;
    let writer = copy(from, to, writer.map_err(unwritable)?).await?;
    let contents = writer.end().await.map_err(unwritable)?;
    draft.persist_noclobber(to).map_err(|error| match error.error.kind() {
        std::io::ErrorKind::AlreadyExists => Error::Exists(to.to_owned()),
        _ => unwritable(error.error),
    })?;
    let named = std::fs::File::open(folder(to)).and_then(|folder| folder.sync_all());
    named.map_err(unwritable)?;
    Ok(contents)
}

async fn copy(from: &Location, to: &Path, mut writer: Writer) -> Result<Writer> {
    let of = |source| Error::Store { location: from.clone(), source };
    let broken = |error: sqlx::Error| of(failed(&error));
    let none = || Error::NoStore(from.clone());
    match from {
        Location::Sqlite(path) => {
            let mut connection = sqlite::connect_existing(path).await.map_err(of)?.ok_or_else(none)?;
            schema::of_sqlite(&mut connection).await.map_err(of)?.found.ok_or_else(none)?;
            // Its first read fixes what it sees; the write-ahead log keeps that while others write.
            let mut transaction = connection.begin().await.map_err(broken)?;
            let rows = sqlx::query(ALL).fetch(&mut *transaction);
            stream(from, to, &mut writer, rows, sqlite_entry).await?;
        }
        Location::Postgres(url) => {
            let mut connection = postgres::connect(url).await.map_err(of)?;
            schema::of_postgres(&mut connection).await.map_err(of)?.found.ok_or_else(none)?;
            let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY";
            let mut transaction = connection.begin_with(begin).await.map_err(broken)?;
            let rows = sqlx::query(ALL).fetch(&mut *transaction);
            stream(from, to, &mut writer, rows, postgres_entry).await?;
        }
    }
    Ok(writer)
}

async fn stream<R>(
    from: &Location,
    to: &Path,
    writer: &mut Writer,
    mut rows: BoxStream<'_, std::result::Result<R, sqlx::Error>>,
    entry: impl Fn(&R) -> crate::Result<(String, Record)>,
) -> Result<()> {
    let of = |source| Error::Store { location: from.clone(), source };
    while let Some(row) = rows.try_next().await.map_err(|error| of(failed(&error)))? {
        let (collection, record) = entry(&row).map_err(of)?;
        let written = writer.record(&collection, &record).await;
        written.map_err(|source| Error::File { path: to.to_owned(), verb: "written", source })?;
    }
    Ok(())
}

fn sqlite_entry(row: &SqliteRow) -> crate::Result<(String, Record)> {
    let collection = row.try_get(3).map_err(|error| crate::Error::Damaged(error.to_string()))?;
    Ok((collection, sqlite::record(row)?))
}

fn postgres_entry(row: &PgRow) -> crate::Result<(String, Record)> {
    let collection = row.try_get(3).map_err(|error| crate::Error::Damaged(error.to_string()))?;
    Ok((collection, postgres::record(row)?))
}
