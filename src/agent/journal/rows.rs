//! Between rows and the engine's types.

use livedata_engine::{
    Cause, Checkpoint, Edge, FailedEdge, Front, InFlight, Intent, Mark, Node, NodeKind, Phase, Staged,
};
use livedata_model::node::{ContentVersion, NodeId};
use rusqlite::Row;

const PHASES: [Phase; 6] =
    [Phase::Idle, Phase::Running, Phase::Completed, Phase::Failed, Phase::RootMissing, Phase::Live];

pub fn phase(number: usize) -> Phase {
    PHASES.get(number).copied().unwrap_or_default()
}

pub fn phase_number(phase: Phase) -> usize {
    PHASES.iter().position(|known| *known == phase).unwrap_or_default()
}

pub fn node_id(row: &Row<'_>, column: usize) -> rusqlite::Result<NodeId> {
    Ok(NodeId::from_bytes(row.get::<_, Vec<u8>>(column)?))
}

pub fn edge(row: &Row<'_>, directory: usize) -> rusqlite::Result<Edge> {
    Ok(Edge { directory: node_id(row, directory)?, name: row.get(directory + 1)? })
}

pub const NODE: &str = "parent, name, version, length, crc32c, etag, attributes, modified_ms, run, seen";

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
        attributes: bits(row.get(6)?),
        modified_ms: row.get(7)?,
        run: row.get(8)?,
        seen: row.get(9)?,
    })
}

/// SQLite's integers have a sign; a digest uses all 64 bits.
pub fn bits(stored: i64) -> u64 {
    u64::from_ne_bytes(stored.to_ne_bytes())
}

pub fn stored(bits: u64) -> i64 {
    i64::from_ne_bytes(bits.to_ne_bytes())
}

pub const MARK: &str = "generation, queued, first, last, deep";

pub fn mark(row: &Row<'_>, first: usize) -> rusqlite::Result<Mark> {
    Ok(Mark {
        generation: row.get(first)?,
        queued: row.get(first + 1)?,
        first: row.get(first + 2)?,
        last: row.get(first + 3)?,
        deep: row.get(first + 4)?,
    })
}

pub fn marked(row: &Row<'_>) -> rusqlite::Result<(Edge, Mark)> {
    Ok((edge(row, 0)?, mark(row, 2)?))
}

pub fn front(row: &Row<'_>, first: usize) -> rusqlite::Result<Front> {
    Ok(Front { after: row.get(first)?, first: row.get(first + 1)? })
}

pub const IN_FLIGHT: &str = "directory, name, version, length, staging, offset_1, crc32c_1, offset_2, crc32c_2, \
                             staged_etag, staged_crc32c, staged_attributes, staged_modified_ms";

pub fn in_flight(row: &Row<'_>, first: usize) -> rusqlite::Result<InFlight> {
    let checkpoint = |column: usize| -> rusqlite::Result<Option<Checkpoint>> {
        let Some(offset) = row.get::<_, Option<u64>>(column)? else { return Ok(None) };
        Ok(Some(Checkpoint { offset, crc32c: row.get(column + 1)? }))
    };
    let staged = match row.get::<_, Option<String>>(first + 9)? {
        None => None,
        Some(etag) => Some(Staged {
            etag,
            crc32c: row.get(first + 10)?,
            attributes: bits(row.get(first + 11)?),
            modified_ms: row.get(first + 12)?,
        }),
    };
    Ok(InFlight {
        edge: edge(row, first)?,
        version: ContentVersion::from_bytes(row.get::<_, Vec<u8>>(first + 2)?),
        length_bytes: row.get(first + 3)?,
        staging: row.get(first + 4)?,
        checkpoints: [checkpoint(first + 5)?, checkpoint(first + 7)?].into_iter().flatten().collect(),
        staged,
    })
}

/// Columns: whether it is a move, directory, name.
pub fn intent(row: &Row<'_>, first: usize) -> rusqlite::Result<Intent> {
    let edge = edge(row, first + 1)?;
    Ok(if row.get(first)? { Intent::Move { to: edge } } else { Intent::Make { at: edge } })
}

pub const FAILED: &str = "path, cause, reason, first, deep";

pub fn failed(row: &Row<'_>, first: usize) -> rusqlite::Result<FailedEdge> {
    Ok(FailedEdge {
        path: row.get(first)?,
        cause: Cause::from_number(row.get(first + 1)?),
        reason: row.get(first + 2)?,
        first: row.get(first + 3)?,
        deep: row.get(first + 4)?,
    })
}
