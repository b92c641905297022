//! Ranges of appended data that no flush has committed yet.
//!
//! The data of a range lies in the node's content at its own position, or, when it overlaps a range that was there
//! first, in a spool of its own. So data once acknowledged is not overwritten before a flush decides.

use rusqlite::{Connection, Row, params};

use super::node::Node;
use super::writer::Writing;
use crate::content::{Content, Name};
use crate::service_error::ServiceError;

pub(crate) struct NewExtent {
    pub first: u64,
    /// One past the last byte.
    pub past: u64,
    pub spool: Option<String>,
}

struct Extent {
    first: i64,
    past: i64,
    spool: Option<String>,
    /// The file position that the spool's first byte belongs to.
    origin: i64,
}

impl Extent {
    fn from_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { first: row.get(0)?, past: row.get(1)?, spool: row.get(2)?, origin: row.get(3)? })
    }
}

fn offset(value: u64) -> Result<i64, ServiceError> {
    i64::try_from(value).map_err(|_| ServiceError::invalid_query("position", "it is too large"))
}

fn extents_between(
    connection: &Connection,
    node: i64,
    first: i64,
    past: i64,
) -> Result<Vec<Extent>, ServiceError> {
    let mut statement = connection.prepare_cached(
        "SELECT first, past, spool, origin FROM extents WHERE node = ?1 AND first < ?3 AND past > ?2 ORDER BY first",
    )?;
    let rows = statement.query_map(params![node, first, past], Extent::from_row)?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn overlaps_extents(
    connection: &Connection,
    node: i64,
    first: u64,
    past: u64,
) -> Result<bool, ServiceError> {
    Ok(!extents_between(connection, node, offset(first)?, offset(past)?)?.is_empty())
}

/// Records appended data. Where it overlaps earlier data the later one counts.
pub(crate) fn add_extent(writing: &mut Writing<'_>, node: &Node, new: NewExtent) -> Result<(), ServiceError> {
    if new.first < node.length {
        return Err(ServiceError::invalid_flush_position());
    }
    let (first, past) = (offset(new.first)?, offset(new.past)?);
    for old in extents_between(writing.connection, node.id, first, past)? {
        delete(writing.connection, node.id, old.first)?;
        if old.first < first {
            let head = Extent { first: old.first, past: first, spool: old.spool.clone(), origin: old.origin };
            insert(writing.connection, node.id, &head)?;
        }
        if old.past > past {
            let tail = Extent { first: past, past: old.past, spool: old.spool.clone(), origin: old.origin };
            insert(writing.connection, node.id, &tail)?;
        }
        drop_unused_spool(writing, old.spool)?;
    }
    insert(writing.connection, node.id, &Extent { first, past, spool: new.spool, origin: first })
}

/// `add_extent` and `commit_up_to` its end, for a file's usual life in two steps instead of many.
pub(crate) fn add_and_commit(
    writing: &mut Writing<'_>,
    content: &Content,
    node: &mut Node,
    new: NewExtent,
    retain: bool,
) -> Result<(), ServiceError> {
    let position = new.past;
    let continues = new.first == node.length && new.spool.is_none();
    if continues && extents_between(writing.connection, node.id, 0, i64::MAX)?.is_empty() {
        content.claims().revoke(node.id, node.length..position);
        node.length = position;
        return Ok(());
    }
    add_extent(writing, node, new)?;
    commit_up_to(writing, content, node, position, retain)
}

/// Makes the data below `position` part of the file. Refused unless every byte up to there was appended.
pub(crate) fn commit_up_to(
    writing: &mut Writing<'_>,
    content: &Content,
    node: &mut Node,
    position: u64,
    retain: bool,
) -> Result<(), ServiceError> {
    let (length, past) = (offset(node.length)?, offset(position)?);
    let extents = extents_between(writing.connection, node.id, length, i64::MAX)?;
    let mut reached = length;
    for extent in extents.iter().take_while(|extent| extent.first < past) {
        if extent.first > reached {
            return Err(ServiceError::invalid_flush_position());
        }
        reached = extent.past;
    }
    if past < length || reached < past {
        return Err(ServiceError::invalid_flush_position());
    }
    // Writers that still hold a part of this range lose it: their data would change committed bytes.
    content.claims().revoke(node.id, node.length..position);
    for extent in &extents {
        let committed = extent.first < past;
        if committed && let Some(spool) = &extent.spool {
            copy_from_spool(content, node.id, spool, extent, past)?;
        }
        if extent.past <= past || !retain {
            delete(writing.connection, node.id, extent.first)?;
        } else if committed {
            delete(writing.connection, node.id, extent.first)?;
            let rest =
                Extent { first: past, past: extent.past, spool: extent.spool.clone(), origin: extent.origin };
            insert(writing.connection, node.id, &rest)?;
        }
    }
    for extent in extents {
        drop_unused_spool(writing, extent.spool)?;
    }
    node.length = position;
    Ok(())
}

/// Spool files that hold data still needed; all others are left-overs of cut requests.
pub(crate) fn live_spools(connection: &Connection) -> Result<Vec<String>, ServiceError> {
    let mut statement = connection
        .prepare("SELECT spool FROM extents WHERE spool IS NOT NULL UNION SELECT spool FROM blocks")?;
    let rows = statement.query_map([], |row| row.get(0))?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn insert(connection: &Connection, node: i64, extent: &Extent) -> Result<(), ServiceError> {
    connection
        .prepare_cached("INSERT INTO extents (node, first, past, spool, origin) VALUES (?1, ?2, ?3, ?4, ?5)")?
        .execute(params![node, extent.first, extent.past, extent.spool, extent.origin])?;
    Ok(())
}

fn delete(connection: &Connection, node: i64, first: i64) -> Result<(), ServiceError> {
    connection
        .prepare_cached("DELETE FROM extents WHERE node = ?1 AND first = ?2")?
        .execute(params![node, first])?;
    Ok(())
}

fn drop_unused_spool(writing: &mut Writing<'_>, spool: Option<String>) -> Result<(), ServiceError> {
    if let Some(spool) = spool
        && !writing
            .connection
            .prepare_cached("SELECT 1 FROM extents WHERE spool = ?1 LIMIT 1")?
            .exists([&spool])?
    {
        writing.unlink.push(Name::Spool(spool));
    }
    Ok(())
}

/// May run again after a kill: until the commit the range still points to the spool.
fn copy_from_spool(
    content: &Content,
    node: i64,
    spool: &str,
    extent: &Extent,
    past: i64,
) -> Result<(), ServiceError> {
    let source = content.open_for_reading(&Name::Spool(spool.to_owned()))?;
    let target = content.open_for_writing(&Name::Node(node))?;
    let (first, past) = (extent.first.unsigned_abs(), extent.past.min(past).unsigned_abs());
    let origin = extent.origin.unsigned_abs();
    Ok(source.copy(first - origin..past - origin, &target, first)?)
}
