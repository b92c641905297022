//! What the engine wants done. Effects may be executed in any order and at the same time, except where noted.

use livedata_model::node::{Entry, NodeId};

use crate::state::{Checkpoint, Edge, Staged};

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Effect {
    /// List one page.
    List {
        directory: NodeId,
        after: Option<String>,
    },
    LookUp {
        edge: Edge,
    },
    /// Make a directory at `path`, relative to the target's root of the migration.
    MakeDirectory {
        edge: Edge,
        entry: Entry,
        path: String,
    },
    /// Set permissions and properties of an existing path.
    SetAttributes {
        edge: Edge,
        entry: Entry,
        path: String,
    },
    /// Copy a file into the staging area. With checkpoints: the staging file may exist; if its flushed length is one of
    /// them, go on from there, otherwise start over.
    Copy {
        edge: Edge,
        entry: Entry,
        staging: String,
        checkpoints: Vec<Checkpoint>,
    },
    /// The checkpoint is durable: the flush that waits for it may go.
    Flush {
        edge: Edge,
        offset: u64,
    },
    /// Look at the source again; if nothing changed, rename staging to `path` under the condition.
    Publish {
        edge: Edge,
        entry: Entry,
        staging: String,
        staged: Staged,
        path: String,
        expected: Expected,
    },
    /// Rename a whole directory or file at the target, onto nothing. No other effect is outstanding. A file only if it
    /// still has this etag: a publication that nobody heard of may have put another one there.
    Move {
        from: String,
        to: String,
        etag: Option<String>,
    },
    /// Remove a staging file that nothing refers to any more. No answer is expected.
    Discard {
        staging: String,
    },
    /// The run is complete. No answer is expected.
    Finished,
}

/// The condition of a publication.
#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Expected {
    Absent,
    Etag(String),
}
