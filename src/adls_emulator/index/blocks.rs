//! Blocks of the Blob endpoint: those that no block list has committed yet, each in a spool file of its own, and the list
//! that a file was put together from.
//!
//! Uncommitted blocks belong to a path, not to a node, for a blob's first blocks come before the blob. Blocks that nobody
//! commits stay until the path is written otherwise or its filesystem goes. Committed blocks are ranges of the file.

use std::collections::HashMap;

use rusqlite::{Connection, OptionalExtension as _, params};

use super::writer::Writing;
use crate::content::Name;
use crate::service_error::ServiceError;

/// Where uncommitted blocks belong.
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

/// An entry of a block list, as clients write it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockId {
    Committed(String),
    Uncommitted(String),
    /// Uncommitted if there is one, else committed.
    Latest(String),
}

/// A block that a list names, and where its bytes are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NamedBlock {
    pub id: String,
    pub length: u64,
    pub source: BlockSource,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum BlockSource {
    Spool(String),
    File { node: i64, first: u64 },
}

/// What Get Block List tells of a block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ListedBlock {
    pub id: String,
    pub length: u64,
}

/// A block of the same id that was there before is gone.
pub(crate) fn put_block(
    writing: &mut Writing<'_>,
    place: &BlockPlace,
    id: &str,
    block: &Block,
) -> Result<(), ServiceError> {
    if has_ids_of_another_length(writing.connection, place, id)? {
        return Err(ServiceError::invalid_blob_or_block());
    }
    if let Some(old) = find_block(writing.connection, place, id)? {
        writing.unlink.push(Name::Spool(old.spool));
    }
    let length = signed(block.length)?;
    writing
        .connection
        .prepare_cached(
            "INSERT OR REPLACE INTO blocks (root, path, id, spool, length) VALUES (?1, ?2, ?3, ?4, ?5)",
        )?
        .execute(params![place.root, place.path, id, block.spool, length])?;
    Ok(())
}

/// The service wants the ids of one blob's blocks to be equally long.
fn has_ids_of_another_length(
    connection: &Connection,
    place: &BlockPlace,
    id: &str,
) -> Result<bool, ServiceError> {
    let find =
        "SELECT EXISTS (SELECT 1 FROM blocks WHERE root = ?1 AND path = ?2 AND length(id) <> length(?3))";
    let mut statement = connection.prepare_cached(find)?;
    Ok(statement.query_row(params![place.root, place.path, id], |row| row.get(0))?)
}

fn signed(length: u64) -> Result<i64, ServiceError> {
    i64::try_from(length).map_err(|_| ServiceError::request_body_too_large())
}

/// The blocks of these ids, in this order; `InvalidBlockList` if one is missing. `node`: the file that is there now.
pub(crate) fn find_blocks(
    connection: &Connection,
    place: &BlockPlace,
    node: Option<i64>,
    ids: &[BlockId],
) -> Result<Vec<NamedBlock>, ServiceError> {
    let committed = match node {
        Some(node) => committed_by_id(connection, node)?,
        None => HashMap::new(),
    };
    let uncommitted = |id: &str| {
        let block = find_block(connection, place, id)?;
        Ok::<_, ServiceError>(block.map(|block| (block.length, BlockSource::Spool(block.spool))))
    };
    let mut named = Vec::with_capacity(ids.len());
    for id in ids {
        let (id, found) = match id {
            BlockId::Committed(id) => (id, committed.get(id).cloned()),
            BlockId::Uncommitted(id) => (id, uncommitted(id)?),
            BlockId::Latest(id) => (id, uncommitted(id)?.or_else(|| committed.get(id).cloned())),
        };
        let (length, source) = found.ok_or_else(ServiceError::invalid_block_list)?;
        named.push(NamedBlock { id: id.clone(), length, source });
    }
    Ok(named)
}

fn committed_by_id(
    connection: &Connection,
    node: i64,
) -> Result<HashMap<String, (u64, BlockSource)>, ServiceError> {
    let mut statement =
        connection.prepare_cached("SELECT id, first, length FROM committed_blocks WHERE node = ?1")?;
    let rows = statement.query_map([node], |row| {
        let first = row.get::<_, i64>(1)?.unsigned_abs();
        let length = row.get::<_, i64>(2)?.unsigned_abs();
        Ok((row.get(0)?, (length, BlockSource::File { node, first })))
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

fn find_block(connection: &Connection, place: &BlockPlace, id: &str) -> Result<Option<Block>, ServiceError> {
    let mut statement = connection
        .prepare_cached("SELECT spool, length FROM blocks WHERE root = ?1 AND path = ?2 AND id = ?3")?;
    let block = statement.query_row(params![place.root, place.path, id], |row| {
        Ok(Block { spool: row.get(0)?, length: row.get::<_, i64>(1)?.unsigned_abs() })
    });
    Ok(block.optional()?)
}

/// Remembers what the file was put together from; the blocks follow each other from its beginning.
pub(crate) fn save_committed_blocks(
    writing: &mut Writing<'_>,
    node: i64,
    blocks: &[NamedBlock],
) -> Result<(), ServiceError> {
    let mut statement = writing.connection.prepare_cached(
        "INSERT INTO committed_blocks (node, number, id, first, length) VALUES (?1, ?2, ?3, ?4, ?5)",
    )?;
    let mut first = 0;
    for (number, block) in blocks.iter().enumerate() {
        let number = i64::try_from(number).unwrap_or(i64::MAX);
        statement.execute(params![node, number, block.id, signed(first)?, signed(block.length)?])?;
        first += block.length;
    }
    Ok(())
}

/// Of a file that is gone.
pub(super) fn forget_committed_blocks(connection: &Connection, node: i64) -> Result<(), ServiceError> {
    connection.prepare_cached("DELETE FROM committed_blocks WHERE node = ?1")?.execute([node])?;
    Ok(())
}

pub(crate) fn committed_blocks(connection: &Connection, node: i64) -> Result<Vec<ListedBlock>, ServiceError> {
    let find = "SELECT id, length FROM committed_blocks WHERE node = ?1 ORDER BY number";
    let mut statement = connection.prepare_cached(find)?;
    let rows = statement.query_map([node], |row| {
        Ok(ListedBlock { id: row.get(0)?, length: row.get::<_, i64>(1)?.unsigned_abs() })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

/// In the order of their ids.
pub(crate) fn uncommitted_blocks(
    connection: &Connection,
    place: &BlockPlace,
) -> Result<Vec<ListedBlock>, ServiceError> {
    let find = "SELECT id, length FROM blocks WHERE root = ?1 AND path = ?2 ORDER BY id";
    let mut statement = connection.prepare_cached(find)?;
    let rows = statement.query_map(params![place.root, place.path], |row| {
        Ok(ListedBlock { id: row.get(0)?, length: row.get::<_, i64>(1)?.unsigned_abs() })
    })?;
    Ok(rows.collect::<rusqlite::Result<_>>()?)
}

pub(crate) fn discard_blocks(writing: &mut Writing<'_>, place: &BlockPlace) -> Result<(), ServiceError> {
    let connection = writing.connection;
    let mut statement =
        connection.prepare_cached("DELETE FROM blocks WHERE root = ?1 AND path = ?2 RETURNING spool")?;
    let spools = statement.query_map(params![place.root, place.path], |row| row.get::<_, String>(0))?;
    for spool in spools {
        writing.unlink.push(Name::Spool(spool?));
    }
    Ok(())
}

/// All of a filesystem.
pub(super) fn forget_blocks(writing: &mut Writing<'_>, root: i64) -> Result<(), ServiceError> {
    let connection = writing.connection;
    let mut statement = connection.prepare_cached("DELETE FROM blocks WHERE root = ?1 RETURNING spool")?;
    let spools = statement.query_map([root], |row| row.get::<_, String>(0))?;
    for spool in spools {
        writing.unlink.push(Name::Spool(spool?));
    }
    Ok(())
}
