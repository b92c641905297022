//! Cleaning up behind detached nodes, in small steps, so that other mutations get their turn in between.

use rusqlite::{Connection, params};

use super::writer::Writing;
use super::{blocks, deleted, tree};
use crate::content::Name;
use crate::service_error::ServiceError;

/// Rows that one step moves or removes at most.
const STEP: usize = 500;

/// What a step found: contents to remove, and whether there may be more to do.
pub(crate) struct Garbage {
    pub contents: Vec<Name>,
    pub more: bool,
}

/// Files whose unlinking is cut short by a kill leave a content file without a node; they cost space and are never read,
/// because node ids are not used twice. To make that rare the caller removes `contents` before it asks for the next step, and a
/// file's garbage row goes only with the step after the removal (`removed`).
pub(crate) fn sweep_step(writing: &mut Writing<'_>, removed: &[Name]) -> Result<Garbage, ServiceError> {
    let connection = writing.connection;
    remove_expired(writing)?;
    deleted::remove_overdue(writing, STEP)?;
    let mut forget = connection.prepare_cached("DELETE FROM garbage WHERE node = ?1")?;
    for name in removed {
        if let Name::Node(node) = name {
            forget.execute([node])?;
        }
    }
    let mut pick = connection.prepare_cached("SELECT node, is_directory FROM garbage LIMIT ?1")?;
    let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
    let picked = pick.query_map([limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let picked = picked.collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    let (mut contents, mut budget) = (Vec::new(), STEP);
    for (node, is_directory) in &picked {
        if *is_directory {
            let adopted = adopt_children(connection, *node, budget)?;
            if adopted < budget {
                forget.execute([node])?;
            }
            budget -= adopted;
            if budget == 0 {
                break;
            }
        } else {
            let mut held = connection
                .prepare_cached("SELECT DISTINCT spool FROM extents WHERE node = ?1 AND spool IS NOT NULL")?;
            for spool in held.query_map([node], |row| row.get::<_, String>(0))? {
                contents.push(Name::Spool(spool?));
            }
            connection.prepare_cached("DELETE FROM extents WHERE node = ?1")?.execute([node])?;
            blocks::forget_committed_blocks(connection, *node)?;
            contents.push(Name::Node(*node));
        }
    }
    Ok(Garbage { contents, more: !picked.is_empty() })
}

/// When the next file expires, or the next deleted path need not be kept any more.
pub(crate) fn next_expiry(connection: &Connection) -> Result<Option<i64>, ServiceError> {
    let next = |find| connection.prepare_cached(find)?.query_row([], |row| row.get::<_, Option<i64>>(0));
    let expiry = next("SELECT min(expires_ms) FROM nodes WHERE expires_ms IS NOT NULL")?;
    let end = next("SELECT min(until_ms) FROM deleted")?;
    Ok([expiry, end].into_iter().flatten().min())
}

/// Files whose time is over were not visible any more; now they go the way of deleted ones.
fn remove_expired(writing: &mut Writing<'_>) -> Result<(), ServiceError> {
    let connection = writing.connection;
    let mut find = connection.prepare_cached("SELECT id FROM nodes WHERE expires_ms <= ?1 LIMIT ?2")?;
    let limit = i64::try_from(STEP).unwrap_or(i64::MAX);
    let expired = find.query_map(params![writing.now_ms, limit], |row| row.get(0))?;
    for id in expired.collect::<rusqlite::Result<Vec<i64>>>()? {
        tree::remove(writing, id)?;
    }
    Ok(())
}

fn adopt_children(connection: &Connection, directory: i64, limit: usize) -> Result<usize, ServiceError> {
    let limit = i64::try_from(limit).unwrap_or(i64::MAX);
    let mut children =
        connection.prepare_cached("SELECT id, is_directory FROM nodes WHERE parent = ?1 LIMIT ?2")?;
    let rows = children.query_map([directory, limit], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let rows = rows.collect::<rusqlite::Result<Vec<(i64, bool)>>>()?;
    let mut detach = connection.prepare_cached("DELETE FROM nodes WHERE id = ?1")?;
    let mut adopt = connection.prepare_cached("INSERT INTO garbage (node, is_directory) VALUES (?1, ?2)")?;
    for (id, is_directory) in &rows {
        detach.execute([id])?;
        adopt.execute((id, is_directory))?;
    }
    Ok(rows.len())
}
