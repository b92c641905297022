//! Filesystems, which the Blob endpoint calls containers.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::node::etag_text;
use super::tree::{self, Create};
use super::writer::Writing;
use super::{authorization, blocks, deleted};
use crate::lease::Lease;
use crate::permissions::{AccessControl, NewAccess};
use crate::service_error::ServiceError;

/// The root directory's permissions in a new filesystem, as the service sets them.
const ROOT_MODE: u16 = 0o750;

#[derive(Debug, Clone)]
pub(crate) struct Filesystem {
    pub name: String,
    /// Node id of the root directory.
    pub root: i64,
    pub etag: i64,
    pub modified_ms: i64,
    pub properties: String,
    /// Of the filesystem; the root directory itself is never leased, and its node keeps this one.
    pub lease: Lease,
}

impl Filesystem {
    pub(crate) fn etag_text(&self) -> String {
        etag_text(self.etag)
    }

    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            name: row.get(0)?,
            root: row.get(1)?,
            etag: row.get(2)?,
            modified_ms: row.get(3)?,
            properties: row.get(4)?,
            lease: Lease::stored(row.get_ref(5)?.as_str_or_null()?),
        })
    }
}

const COLUMNS: &str = "name, root, etag, modified_ms, properties, \
     (SELECT lease FROM nodes WHERE nodes.id = filesystems.root)";

pub(crate) fn filesystem(
    connection: &Connection,
    account: &str,
    name: &str,
) -> Result<Filesystem, ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM filesystems WHERE account = ?1 AND name = ?2");
    let row = connection.prepare_cached(&sql)?.query_row(params![account, name], Filesystem::from_row);
    row.optional()?.ok_or_else(ServiceError::filesystem_not_found)
}

/// The node id of a filesystem's root directory, which every operation on a path asks for.
pub(crate) fn filesystem_root(
    connection: &Connection,
    account: &str,
    name: &str,
) -> Result<i64, ServiceError> {
    let sql = "SELECT root FROM filesystems WHERE account = ?1 AND name = ?2";
    let root = connection.prepare_cached(sql)?.query_row(params![account, name], |row| row.get(0));
    root.optional()?.ok_or_else(ServiceError::filesystem_not_found)
}

/// In name order, starting after `after`; only names that begin with `prefix`.
pub(crate) fn filesystems_after(
    connection: &Connection,
    account: &str,
    prefix: &str,
    after: &str,
    limit: usize,
) -> Result<Vec<Filesystem>, ServiceError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM filesystems WHERE account = ?1 AND name > ?2 AND substr(name, 1, length(?3)) = ?3 \
         ORDER BY name LIMIT ?4"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let rows = statement.query_map(params![account, after, prefix, limit], Filesystem::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn create_filesystem(
    writing: &mut Writing<'_>,
    account: &str,
    name: &str,
    owner: Option<&str>,
    properties: &str,
) -> Result<Filesystem, ServiceError> {
    match filesystem(writing.connection, account, name) {
        Ok(_) => return Err(ServiceError::filesystem_already_exists()),
        Err(error) if error.code != ServiceError::filesystem_not_found().code => return Err(error),
        Err(_) => {}
    }
    let access = AccessControl::from_mode(ROOT_MODE);
    let mut root = Create::directory(NewAccess::Exactly(access.clone()), 0);
    root.owner = owner.map(str::to_owned);
    root.group = owner.map(str::to_owned);
    let root = tree::insert(writing, None, "", &root, &access, None)?;
    let etag = writing.next_etag();
    writing
        .connection
        .prepare_cached(
            "INSERT INTO filesystems (account, name, root, etag, modified_ms, properties) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![account, name, root, etag, writing.now_ms, properties])?;
    filesystem(writing.connection, account, name)
}

pub(crate) fn update_filesystem(
    writing: &mut Writing<'_>,
    account: &str,
    filesystem: &mut Filesystem,
) -> Result<(), ServiceError> {
    filesystem.etag = writing.next_etag();
    filesystem.modified_ms = writing.now_ms;
    writing
        .connection
        .prepare_cached(
            "UPDATE filesystems SET etag = ?3, modified_ms = ?4, properties = ?5 WHERE account = ?1 AND name = ?2",
        )?
        .execute(params![
            account,
            filesystem.name,
            filesystem.etag,
            filesystem.modified_ms,
            filesystem.properties
        ])?;
    Ok(())
}

pub(crate) fn delete_filesystem(
    writing: &mut Writing<'_>,
    account: &str,
    filesystem: &Filesystem,
) -> Result<(), ServiceError> {
    writing
        .connection
        .prepare_cached("DELETE FROM filesystems WHERE account = ?1 AND name = ?2")?
        .execute(params![account, filesystem.name])?;
    blocks::forget_blocks(writing, filesystem.root)?;
    authorization::forget_policies(writing.connection, filesystem.root)?;
    deleted::remove_all(writing, filesystem.root)?;
    tree::remove(writing, filesystem.root)
}
