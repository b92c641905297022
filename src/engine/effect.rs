//! What the engine wants done. Effects may be executed in any order and at the same time: those that would disturb each
//! other are never out at once.

use livedata_model::node::{Entry, NodeId};

use crate::state::{Checkpoint, Edge, Staged};

/// Where something is at the target.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Place {
    /// Relative to the target's root of the migration; empty for that root.
    Tree(String),
    /// Relative to the migration's folder for what was removed.
    Trash(String),
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Effect {
    /// Before the first run: see what the target has in this directory, which is the copy of this node or the trash. With the
    /// first page of the root of the tree what is half made in staging goes away.
    Survey { directory: NodeId, place: Place, after: Option<String> },
    /// Look at the root of the source, for the operator's start of this number.
    Resolve { start: u64 },
    /// List one page.
    List {
        directory: NodeId,
        after: Option<String>,
        /// The answer repeats it: a page that was asked for before the listing was started over is of no use.
        ticket: u64,
    },
    /// See what the source has there, extras included.
    LookUp { edge: Edge },
    /// Ask for the extras of what a listing showed there.
    LookCloser { edge: Edge, entry: Entry },
    /// Make a directory at `path`, relative to the target's root of the migration. One that is there is adopted.
    MakeDirectory { edge: Edge, entry: Entry, path: String },
    /// Set permissions and properties of an existing path; of a file only if it has this etag.
    SetAttributes { edge: Edge, entry: Entry, path: String, etag: Option<String> },
    /// Copy a file into the staging area. With checkpoints: the staging file may exist; if its flushed length is one of
    /// them, go on from there, otherwise start over.
    Copy { edge: Edge, entry: Entry, staging: String, checkpoints: Vec<Checkpoint> },
    /// The checkpoint is durable: the flush that waits for it may go.
    Flush { edge: Edge, offset: u64 },
    /// Look at the source again; if nothing changed, rename staging to `path` under the condition.
    Publish {
        edge: Edge,
        entry: Entry,
        staging: String,
        staged: Staged,
        path: String,
        expected: Expected,
        /// What is at `path` is the copy of this other node: if that still exists at the source, do nothing and say so.
        replaces: Option<NodeId>,
    },
    /// Rename a whole directory or a file at the target under the condition. A file only if it still has this etag: a
    /// publication that nobody heard of may have put another one there.
    Move {
        node: NodeId,
        from: Place,
        to: Place,
        etag: Option<String>,
        expected: Expected,
        /// As in [`Effect::Publish`].
        replaces: Option<NodeId>,
    },
    /// Rename whatever is at `path`, and is not ours, out of the way.
    SetAside { edge: Edge, path: String, to: Place },
    /// After a crash: what is there?
    Probe { node: NodeId, path: String },
    /// Remove for ever what was moved to the trash.
    Purge { node: NodeId, at: Place },
    /// Remove a staging file that nothing refers to any more.
    Discard { staging: String },
    /// Answer with what the feed has after this position, as soon as it has something.
    ReadFeed { after: u64 },
    /// Everything that was there at the start has arrived; from now on changes follow. No answer is expected.
    CaughtUp,
    /// The run is complete. No answer is expected.
    Finished,
}

impl Effect {
    /// What is visible at the target, or in the trash.
    pub fn changes_target(&self) -> bool {
        matches!(
            self,
            Self::MakeDirectory { .. }
                | Self::SetAttributes { .. }
                | Self::Publish { .. }
                | Self::Move { .. }
                | Self::SetAside { .. }
                | Self::Purge { .. }
        )
    }
}

/// The condition at a destination.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Expected {
    Absent,
    Etag(String),
}
