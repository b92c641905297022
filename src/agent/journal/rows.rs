//! Between rows and the engine's types.

use livedata_engine::{Checkpoint, Edge, InFlight, Node, NodeKind, Phase, Staged};
use livedata_model::node::{ContentVersion, NodeId};
use rusqlite::Row;

pub fn phase(number: i64) -> Phase {
    match number {
        1 => Phase::Running,
        2 => Phase::Completed,
        3 => Phase::Failed,
        4 => Phase::RootMissing,
        _ => Phase::Idle,
    }
}

pub fn phase_number(phase: Phase) -> i64 {
    match phase {
        Phase::Idle => 0,
        Phase::Running => 1,
        Phase::Completed => 2,
        Phase::Failed => 3,
        Phase::RootMissing => 4,
    }
}

pub fn node_id(row: &Row<'_>, column: usize) -> rusqlite::Result<NodeId> {
    Ok(NodeId::from_bytes(row.get::<_, Vec<u8>>(column)?))
}

pub fn edge(row: &Row<'_>, directory: usize) -> rusqlite::Result<Edge> {
    Ok(Edge { directory: node_id(row, directory)?, name: row.get(directory + 1)? })
}

/// Columns: parent, name, version, length, crc32c, etag, permissions, modified_ms, run.
pub fn node(row: &Row<'_>) -> rusqlite::Result<Node> {
    let kind = match row.get::<_, Option<Vec<u8>>>(2)? {
        None => NodeKind::Directory,
        Some(version) => NodeKind::File {
            version: ContentVersion::from_bytes(version),
            length_bytes: row.get(3)?,
            crc32c: row.get(4)?,
            etag: row.get(5)?,
        },
    };
    Ok(Node {
        parent: edge(row, 0)?,
        kind,
        permissions: row.get(6)?,
        modified_ms: row.get(7)?,
        run: row.get(8)?,
    })
}

/// Columns: node, version, length, staging, two checkpoints, staged etag, crc32c, permissions, modified_ms; from `first`.
pub fn in_flight(row: &Row<'_>, first: usize) -> rusqlite::Result<InFlight> {
    let checkpoint = |column: usize| -> rusqlite::Result<Option<Checkpoint>> {
        let Some(offset) = row.get::<_, Option<u64>>(column)? else { return Ok(None) };
        Ok(Some(Checkpoint { offset, crc32c: row.get(column + 1)? }))
    };
    let staged = match row.get::<_, Option<String>>(first + 8)? {
        None => None,
        Some(etag) => Some(Staged {
            etag,
            crc32c: row.get(first + 9)?,
            permissions: row.get(first + 10)?,
            modified_ms: row.get(first + 11)?,
        }),
    };
    Ok(InFlight {
        node: node_id(row, first)?,
        version: ContentVersion::from_bytes(row.get::<_, Vec<u8>>(first + 1)?),
        length_bytes: row.get(first + 2)?,
        staging: row.get(first + 3)?,
        checkpoints: [checkpoint(first + 4)?, checkpoint(first + 6)?].into_iter().flatten().collect(),
        staged,
    })
}
