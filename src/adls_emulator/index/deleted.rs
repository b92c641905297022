//! Soft delete: what was deleted while its account keeps deleted paths for some days, and the way back.
//!
//! The node leaves the tree as it is, with all that lies below it, so a directory costs one row. When its days are over the
//! sweeper makes it garbage.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::node::Node;
use super::tree;
use super::writer::Writing;
use crate::service_error::ServiceError;

const MS_PER_DAY: i64 = 24 * 60 * 60 * 1000;

pub(crate) struct Deleted {
    /// Given out once, so that several deletions of one path can be told apart.
    pub id: i64,
    pub path: String,
    pub deleted_ms: i64,
    pub until_ms: i64,
    node: i64,
}

impl Deleted {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            id: row.get(0)?,
            path: row.get(1)?,
            deleted_ms: row.get(2)?,
            until_ms: row.get(3)?,
            node: row.get(4)?,
        })
    }

    /// Whole days that are left, rounded up.
    pub(crate) fn days_left(&self, now_ms: i64) -> u64 {
        self.until_ms.saturating_sub(now_ms).max(0).unsigned_abs().div_ceil(MS_PER_DAY.unsigned_abs())
    }
}

const COLUMNS: &str = "id, path, deleted_ms, until_ms, node";

/// Takes the node out of the tree for `days`. Its lease ends.
pub(crate) fn soft_delete(
    writing: &mut Writing<'_>,
    root: i64,
    path: &str,
    node: i64,
    days: u32,
) -> Result<i64, ServiceError> {
    let connection = writing.connection;
    connection
        .prepare_cached("UPDATE nodes SET parent = NULL, lease = NULL, expires_ms = NULL WHERE id = ?1")?
        .execute([node])?;
    let until_ms = writing.now_ms.saturating_add(i64::from(days) * MS_PER_DAY);
    connection
        .prepare_cached(
            "INSERT INTO deleted (root, path, node, deleted_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![root, path, node, writing.now_ms, until_ms])?;
    Ok(connection.last_insert_rowid())
}

/// In the order of paths and deletions, after the one that is given.
pub(crate) fn deleted_paths(
    connection: &Connection,
    root: i64,
    prefix: &str,
    after: (&str, i64),
    limit: usize,
    now_ms: i64,
) -> Result<Vec<(Deleted, Node)>, ServiceError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deleted WHERE root = ?1 AND (path, id) > (?2, ?3) AND substr(path, 1, length(?4)) = ?4 \
         AND until_ms > ?5 ORDER BY path, id LIMIT ?6"
    );
    let mut statement = connection.prepare_cached(&sql)?;
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let values = params![root, after.0, after.1, prefix, now_ms, limit];
    let mut paths = Vec::new();
    for deleted in statement.query_map(values, Deleted::from_row)? {
        let deleted = deleted?;
        if let Some(node) = tree::node_by_id(connection, deleted.node)? {
            paths.push((deleted, node));
        }
    }
    Ok(paths)
}

/// A deletion of `path`: the one of this id, or the last one.
fn find(
    writing: &Writing<'_>,
    root: i64,
    path: &str,
    id: Option<i64>,
) -> Result<Option<Deleted>, ServiceError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM deleted WHERE root = ?1 AND path = ?2 AND (?3 IS NULL OR id = ?3) AND until_ms > ?4 \
         ORDER BY id DESC LIMIT 1"
    );
    let values = params![root, path, id, writing.now_ms];
    Ok(writing.connection.prepare_cached(&sql)?.query_row(values, Deleted::from_row).optional()?)
}

/// Puts what was deleted at `source` to `destination`, where nothing may be. `None` when there is no such deletion.
pub(crate) fn undelete(
    writing: &mut Writing<'_>,
    root: i64,
    source: &str,
    id: Option<i64>,
    destination: &[String],
) -> Result<Option<Node>, ServiceError> {
    let Some(deleted) = find(writing, root, source, id)? else {
        return Ok(None);
    };
    let Some((name, parents)) = destination.split_last() else {
        return Err(ServiceError::root_operation());
    };
    if let Some(existing) = tree::find(writing.connection, root, destination)? {
        return Err(ServiceError::path_already_exists().about(existing.kind));
    }
    let parent = tree::make_parents(writing, root, parents, crate::permissions::DEFAULT_UMASK, None)?;
    tree::remove_expired(writing, parent, name)?;
    writing
        .connection
        .prepare_cached("UPDATE nodes SET parent = ?2, name = ?3 WHERE id = ?1")?
        .execute(params![deleted.node, parent, name])?;
    forget(writing.connection, deleted.id)?;
    tree::node_by_id(writing.connection, deleted.node)
}

fn forget(connection: &Connection, id: i64) -> Result<(), ServiceError> {
    connection.prepare_cached("DELETE FROM deleted WHERE id = ?1")?.execute([id])?;
    Ok(())
}

/// Makes garbage of what was kept long enough.
pub(super) fn remove_overdue(writing: &mut Writing<'_>, limit: usize) -> Result<(), ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM deleted WHERE until_ms <= ?1 LIMIT ?2");
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let now_ms = writing.now_ms;
    remove_found(writing, &sql, params![now_ms, limit])
}

/// Everything that was deleted in a filesystem goes with it.
pub(super) fn remove_all(writing: &mut Writing<'_>, root: i64) -> Result<(), ServiceError> {
    let sql = format!("SELECT {COLUMNS} FROM deleted WHERE root = ?1");
    remove_found(writing, &sql, params![root])
}

fn remove_found(
    writing: &mut Writing<'_>,
    sql: &str,
    values: &[&dyn rusqlite::ToSql],
) -> Result<(), ServiceError> {
    let mut statement = writing.connection.prepare_cached(sql)?;
    let found = statement.query_map(values, Deleted::from_row)?.collect::<rusqlite::Result<Vec<_>>>()?;
    for deleted in found {
        tree::remove(writing, deleted.node)?;
        forget(writing.connection, deleted.id)?;
    }
    Ok(())
}
