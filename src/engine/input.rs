//! What the engine is told. Each input answers one effect, except [`Input::Start`] and
//! [`Input::Refuse`].

use livedata_model::node::Entry;

use crate::state::{Edge, Staged};

/// Why something did not work. Workers retry what can be retried; what arrives here is final for this attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence without the path.
    pub reason: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// It vanished, or is another one now: look again.
    Stale,
    /// It will not work by itself: an operator must do something.
    Final,
}

#[derive(Clone, Debug)]
pub enum Input {
    /// Begin a run for the operator's start of this number, at the root of the source. A start that was answered already,
    /// or that finds a run under way, changes nothing.
    Start {
        start: u64,
        root: Entry,
    },
    /// The run for this start cannot begin: there is no root, or it is unusable. It ends with that and the reason.
    Refuse {
        start: u64,
        missing: bool,
        reason: String,
    },
    Listed {
        directory: livedata_model::node::NodeId,
        /// Entries and where the next page begins.
        page: Result<(Vec<Entry>, Option<String>), Failure>,
    },
    Looked {
        edge: Edge,
        found: Result<Option<Entry>, Failure>,
    },
    DirectoryMade {
        edge: Edge,
        entry: Entry,
        outcome: Result<(), Failure>,
    },
    AttributesSet {
        edge: Edge,
        entry: Entry,
        outcome: Result<String, Failure>,
    },
    /// The worker is about to flush: this must be durable before it does.
    Flushing {
        edge: Edge,
        offset: u64,
        crc32c: u32,
    },
    Flushed {
        edge: Edge,
        offset: u64,
    },
    Copied {
        edge: Edge,
        entry: Entry,
        outcome: Result<Staged, Failure>,
    },
    Published {
        edge: Edge,
        entry: Entry,
        outcome: PublishOutcome,
    },
    Moved {
        outcome: Result<(), Failure>,
    },
}

#[derive(Clone, Debug)]
pub enum PublishOutcome {
    /// The staged file is at its final path now.
    Done,
    /// The source changed since the copy began: what is there now, if anything. Nothing was renamed.
    SourceChanged(Option<Entry>),
    /// Something that this migration does not hold is in the way: a file with this etag, or (`None`) a directory.
    Occupied(Option<String>),
    Failed(Failure),
}
