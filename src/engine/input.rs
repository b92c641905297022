//! What the engine is told. Inputs answer effects, except the operator's and the clock's.

use livedata_model::feed::Reading;
use livedata_model::node::{ContentVersion, Entry, NodeId};
pub use livedata_model::report::FailureKind as Cause;

use crate::effect::Place;
use crate::state::{Edge, Staged};

/// Why something did not work. Workers retry what can be retried; what arrives here is final for this attempt.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Failure {
    pub kind: FailureKind,
    /// One sentence without the path.
    pub reason: String,
}

impl Failure {
    /// What to tell the operator of it once nobody tries any more.
    pub(crate) fn cause(&self) -> Cause {
        match self.kind {
            FailureKind::Stale => Cause::Replaced,
            FailureKind::Final(cause) => cause,
        }
    }

    pub(crate) fn is_final(&self) -> bool {
        self.kind != FailureKind::Stale
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum FailureKind {
    /// It vanished, or is another one now: look again.
    Stale,
    /// It will not work by itself: an operator must do something, depending on the cause.
    Final(Cause),
}

#[derive(Clone, Debug)]
pub enum Input {
    /// Begin a run for the operator's start of this number, at the root of the source. A start that was answered already,
    /// or that finds a run under way, changes nothing.
    Start {
        start: u64,
        root: Entry,
        /// Position of the feed before the root was looked at (rule R0); `None`: without a feed.
        position: Option<u64>,
    },
    /// The run for this start cannot begin: there is no root, or it is unusable. It ends with that and the reason.
    Refuse {
        start: u64,
        missing: bool,
        reason: String,
    },
    /// What the feed has after the position that was asked for.
    Fed(Reading),
    Surveyed {
        directory: NodeId,
        place: Place,
        /// `None`: there is no such directory.
        page: Result<Option<Survey>, Failure>,
    },
    /// The operator: look at everything at and below this path of the source.
    Rescan {
        path: String,
    },
    /// The operator: try what was given up again.
    RetryFailed,
    /// The operator: the deletions that are held may go ahead.
    ApproveDeletes,
    /// Time goes by. Wall clock, milliseconds since 1970.
    Tick {
        now_ms: i64,
    },

    Listed {
        directory: NodeId,
        ticket: u64,
        /// Entries and where the next page begins.
        page: Result<(Vec<Entry>, Option<String>), Failure>,
        /// Position of the source, asked for after the look was answered; 0 without a feed.
        position: u64,
    },
    Looked {
        edge: Edge,
        found: Result<Option<Entry>, Failure>,
        /// As in `Listed`.
        position: u64,
    },
    /// The entry with its extras. Where it is was seen by the look before; whatever changed since then is told by the feed.
    LookedCloser {
        edge: Edge,
        found: Result<Entry, Failure>,
    },
    DirectoryMade {
        edge: Edge,
        entry: Entry,
        outcome: MakeOutcome,
    },
    AttributesSet {
        edge: Edge,
        entry: Entry,
        outcome: AttributesOutcome,
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
        node: NodeId,
        outcome: MoveOutcome,
    },
    Discarded {
        staging: String,
    },
    SetAside {
        edge: Edge,
        to: Place,
        outcome: Result<(), Failure>,
    },
    Probed {
        node: NodeId,
        there: Option<There>,
    },
    Purged {
        node: NodeId,
        outcome: Result<(), Failure>,
    },
}

/// What is at a path of the target.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct There {
    pub is_directory: bool,
    /// Empty: nothing is there any more, although that was the condition.
    pub etag: String,
    /// Of a file. Who appends to one of ours leaves its properties as they are.
    pub length_bytes: u64,
    /// The source node that it is a copy of, and of which version, as its properties say.
    pub node: Option<NodeId>,
    pub version: Option<ContentVersion>,
}

/// One page of a directory at the target: what is in it, and where the next page begins.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Survey {
    /// By name. What somebody else made has no node.
    pub found: Vec<(String, There)>,
    pub next: Option<String>,
}

impl There {
    pub(crate) fn is_nothing(&self) -> bool {
        self.etag.is_empty()
    }
}

/// What became of attributes that were to be set.
#[derive(Clone, Debug)]
pub struct Applied {
    /// Digest of what the target has now; [`crate::UNKNOWN`] if that is not what it should have.
    pub digest: u64,
    /// What the target does not keep, for the operator.
    pub left_out: Option<String>,
}

#[derive(Clone, Debug)]
pub enum MakeOutcome {
    /// It is there.
    Done(Applied),
    /// A file is in the way.
    Occupied,
    Failed(Failure),
}

#[derive(Clone, Debug)]
pub enum AttributesOutcome {
    /// With the new etag.
    Done {
        etag: String,
        applied: Applied,
    },
    /// There is nothing at the path.
    Gone,
    /// Something else is there.
    Differs(There),
    Failed(Failure),
}

#[derive(Clone, Debug)]
pub enum PublishOutcome {
    /// The staged file is at its final path now.
    Done,
    /// The source changed since the copy began. Nothing was renamed.
    SourceChanged,
    /// The condition does not hold: this is in the way.
    Occupied(There),
    /// What would be replaced is the copy of a node that still exists. Nothing was renamed.
    Lives,
    /// The directory that it should go into is not there.
    NoParent,
    Failed(Failure),
}

#[derive(Clone, Debug)]
pub enum MoveOutcome {
    Done,
    /// There is nothing to move.
    Gone,
    /// Another file than the expected one is there.
    Differs(There),
    /// The condition does not hold: this is in the way.
    Occupied(There),
    /// As in [`PublishOutcome`].
    Lives,
    /// As in [`PublishOutcome`].
    NoParent,
    Failed(Failure),
}
