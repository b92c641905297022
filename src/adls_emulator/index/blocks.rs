//! Blocks of the Blob endpoint that no block list has committed yet: each in a spool file of its own.
//!
//! They belong to a path, not to a node, for a blob's first blocks come before the blob. Blocks that nobody commits stay
//! until the path is written otherwise or its filesystem goes.

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::Writing;
use crate::content::Content;
use crate::service_error::ServiceError;

/// Where blocks belong.
#[derive(Clone)]
pub(crate) struct BlockPlace {
    /// The filesystem's root node.
    pub root: i64,
    pub path: String,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Block {
    pub spool: String,
    pub length: u64,
}

/// A block of the same id that was there before is gone.
pub(crate) fn put_block(
    writing: &mut Writing<'_>,
    content: &Content,
    place: &BlockPlace,
    id: &str,
    block: &Block,
) -> Result<(), ServiceError> {
    if let Some(old) = find_block(writing.connection, place, id)? {
        writing.unlink.push(content.spool_path(&old.spool));
    }
    let length = i64::try_from(block.length).map_err(|_| ServiceError::request_body_too_large())?;
    writing
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO blocks (root, path, id, spool, length) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![place.root, place.path, id, block.spool, length])?;
    Ok(())
}

/// The blocks of these ids, in this order; `InvalidBlockList` if one is missing.
pub(crate) fn blocks(
    connection: &Connection,
    place: &BlockPlace,
    ids: &[String],
) -> Result<Vec<Block>, ServiceError> {
    let find = |id: &String| find_block(connection, place, id)?.ok_or_else(ServiceError::invalid_block_list);
    ids.iter().map(find).collect()
}

fn find_block(connection: &Connection, place: &BlockPlace, id: &str) -> Result<Option<Block>, ServiceError> {
    let mut statement = connection
        .prepare_cached("SELECT spool, length FROM blocks WHERE root = ?1 AND path = ?2 AND id = ?3")?;
    let block = statement.query_row(params![place.root, place.path, id], |row| {
        Ok(Block { spool: row.get(0)?, length: row.get::<_, i64>(1)?.unsigned_abs() })
    });
    Ok(block.optional()?)
}

pub(crate) fn discard_blocks(
    writing: &mut Writing<'_>,
    content: &Content,
    place: &BlockPlace,
) -> Result<(), ServiceError> {
    let connection = writing.connection;
    let mut statement =
        connection.prepare_cached("DELETE FROM blocks WHERE root = ?1 AND path = ?2 RETURNING spool")?;
    let spools = statement.query_map(params![place.root, place.path], |row| row.get::<_, String>(0))?;
    for spool in spools {
        writing.unlink.push(content.spool_path(&spool?));
    }
    Ok(())
}

/// The spool files stay until the next start, which removes what nothing refers to.
pub(super) fn forget_blocks(connection: &Connection, root: i64) -> Result<(), ServiceError> {
    connection.prepare_cached("DELETE FROM blocks WHERE root = ?1")?.execute([root])?;
    Ok(())
}
