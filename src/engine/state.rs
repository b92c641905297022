//! What a migration remembers, and the transactional store that it remembers it in.

use livedata_model::node::{ContentVersion, NodeId};
use livedata_model::report::FailureKind as Cause;

/// An id for something at the target that is of no node, or of one that has its copy elsewhere.
pub(crate) fn made_up(generation: u64) -> NodeId {
    let mut id = vec![MADE_UP];
    id.extend(generation.to_be_bytes());
    NodeId::from_bytes(id)
}

/// No source has a node of it.
pub(crate) fn is_made_up(id: &NodeId) -> bool {
    id.as_bytes().len() == 9 && id.as_bytes().first() == Some(&MADE_UP)
}

const MADE_UP: u8 = 0xff;

/// A name in a directory. The root of a migration hangs on [`Edge::root`], what was removed on [`Edge::trash`].
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Edge {
    pub directory: NodeId,
    pub name: String,
}

/// No source makes ids of one byte.
const TRASH: [u8; 1] = [0];

impl Edge {
    /// The edge above the root: no directory, no name.
    pub fn root() -> Self {
        Self { directory: NodeId::from_bytes([]), name: String::new() }
    }

    pub fn is_root(&self) -> bool {
        self.directory.as_bytes().is_empty()
    }

    /// A place for something that was removed, until it is purged or turns out to live on elsewhere.
    pub fn trash(name: String) -> Self {
        Self { directory: Self::trash_directory(), name }
    }

    pub fn trash_directory() -> NodeId {
        NodeId::from_bytes(TRASH)
    }

    pub fn is_trash(&self) -> bool {
        self.directory.as_bytes() == TRASH
    }
}

/// "This edge may differ between source and target." Cleared only by an operation that began at the same generation.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Mark {
    pub generation: u64,
    /// Its place in the queue: the generation at which it was set, or set again after it had been taken up. A name that
    /// changes all the time is not put off for ever.
    pub queued: u64,
    /// The earliest change of the source that may not be at the target yet.
    pub first: u64,
    /// The latest one that set the mark.
    pub last: u64,
    /// If it is a directory: everything below it may differ too.
    pub deep: bool,
}

/// A directory that is to be listed.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Front {
    /// From after this name.
    pub after: Option<String>,
    /// As [`Mark::first`], for everything below.
    pub first: u64,
}

/// One object at the target that this migration put there, known by its source node.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Node {
    pub parent: Edge,
    pub kind: NodeKind,
    /// Digest of its permissions and extras, as [`crate::attributes`] makes it.
    pub attributes: u64,
    pub modified_ms: i64,
    /// The run that last confirmed it.
    pub run: u64,
    /// Position of the source by which the look was over that found it at `parent`.
    pub seen: u64,
}

/// Attributes of which only a request to set them can say what they are.
pub const UNKNOWN: u64 = 0;

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum NodeKind {
    Directory,
    File {
        /// Empty: not what this migration wrote.
        version: ContentVersion,
        length_bytes: u64,
        /// CRC32C over the whole file as it was read, if this journal's migration read it.
        crc32c: Option<u32>,
        /// Entity tag at the target: the next change of it is conditional on this.
        etag: String,
    },
}

impl NodeKind {
    /// Of a file; directories are not told apart by theirs.
    pub fn etag(&self) -> Option<String> {
        match self {
            Self::Directory => None,
            Self::File { etag, .. } => Some(etag.clone()),
        }
    }

    pub fn is_file(&self) -> bool {
        matches!(self, Self::File { .. })
    }
}

/// A copy of a node that has begun. It follows the node through renames.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct InFlight {
    /// Where it is to be published.
    pub edge: Edge,
    pub version: ContentVersion,
    pub length_bytes: u64,
    /// File name in the staging folder; never used for two versions.
    pub staging: String,
    /// The last two flush positions that were announced, oldest first: the target has at least the first.
    pub checkpoints: Vec<Checkpoint>,
    /// Set when the whole file is durable in staging; from then on only publication is missing.
    pub staged: Option<Staged>,
}

/// How far a copy is, and the CRC32C of everything before.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Checkpoint {
    pub offset: u64,
    pub crc32c: u32,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Staged {
    pub etag: String,
    pub crc32c: u32,
    /// As in [`Node`]: what was applied.
    pub attributes: u64,
    pub modified_ms: i64,
}

/// An operation at the target whose outcome only a look can tell after a crash. Copies are their own intents.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Intent {
    /// A directory for this node is being made there.
    Make { at: Edge },
    /// The node's object is being moved there.
    Move { to: Edge },
}

#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub enum Phase {
    /// Never started.
    #[default]
    Idle,
    /// The source is being listed and copied.
    Running,
    /// Everything that was there at the start has arrived; changes follow.
    Live,
    /// Without a change feed: every mark is cleared and every directory listed.
    Completed,
    /// The root of the source does not exist (any more).
    RootMissing,
    /// The root is unusable, at the source or at the target, or somebody else changes the target and may not.
    Failed,
}

impl Phase {
    /// Work is being done.
    pub fn is_active(self) -> bool {
        matches!(self, Self::Running | Self::Live)
    }
}

/// From an operator's start to the end.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Run {
    /// Passes over the source so far.
    pub number: u64,
    /// The operator's start that this pass answers. A start that finds a pass under way resumes it.
    pub start: u64,
    pub phase: Phase,
    /// It is known what the target had before the first pass.
    pub surveyed: bool,
    /// Generation of the newest mark.
    pub generation: u64,
    /// Follows the change feed of the source.
    pub live: bool,
    /// Position up to which the feed was ingested.
    pub cursor: u64,
    /// Position of the source before the scan began.
    pub scan_from: u64,
    pub counters: Counters,
    pub deletes: Deletes,
}

/// Deletions of late, against the limit of rule R9.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Deletes {
    pub window_began_ms: i64,
    /// Objects removed since then.
    pub in_window: u64,
    /// Objects at the target and removed, when they were counted last.
    pub objects: u64,
    /// Marks up to this generation may delete what they like.
    pub approved: u64,
}

/// Durable progress of the present run.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
pub struct Counters {
    pub directories_scanned: u64,
    pub files_scanned: u64,
    pub bytes_scanned: u64,
    pub files_migrated: u64,
    pub bytes_migrated: u64,
    /// Symbolic links: recorded, not followed.
    pub files_excluded: u64,
    /// Paths that are given up at present.
    pub files_failed: u64,
    /// Gaps of the change feed, each followed by a look at everything.
    pub gaps: u64,
    /// Objects at the target that somebody else had changed.
    pub drifted: u64,
}

/// An edge that was given up in this run.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct FailedEdge {
    pub path: String,
    pub cause: Cause,
    pub reason: String,
    /// Of the mark that could not be cleared: the earliest change that is missing.
    pub first: u64,
    /// Of the same: everything below may be missing too.
    pub deep: bool,
}

/// The only thing that a step calls. All calls of one step are one transaction: all of it survives a crash, or nothing.
pub trait State {
    type Error;

    fn run(&mut self) -> Result<Run, Self::Error>;
    fn put_run(&mut self, run: &Run) -> Result<(), Self::Error>;

    fn node(&mut self, id: &NodeId) -> Result<Option<Node>, Self::Error>;
    /// Also moves the edge index: afterwards [`State::child`] finds the node at `node.parent` and nowhere else. Another node
    /// that was there is forgotten.
    fn put_node(&mut self, id: &NodeId, node: &Node) -> Result<(), Self::Error>;
    /// Forgets a node and everything below it.
    fn remove_subtree(&mut self, id: &NodeId) -> Result<(), Self::Error>;
    /// Nodes at and below this one, counted up to `cap`.
    fn count_subtree(&mut self, id: &NodeId, cap: u64) -> Result<u64, Self::Error>;
    /// All nodes outside the trash; may be behind what the trash took.
    fn count_nodes(&mut self) -> Result<u64, Self::Error>;
    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Self::Error>;
    /// Names in a directory, ordered, strictly after `after`, at most `limit`.
    fn children(
        &mut self,
        directory: &NodeId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, NodeId)>, Self::Error>;

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Self::Error>;
    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Self::Error>;
    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Self::Error>;
    /// Marked edges in order of their place in the queue, then edge, strictly after `after`.
    fn marks_after(
        &mut self,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Self::Error>;
    /// Marked edges whose `first` is at most `position`, in order of `first`, then edge, strictly after `after`.
    fn marks_up_to(
        &mut self,
        position: u64,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Self::Error>;
    fn count_marks(&mut self) -> Result<u64, Self::Error>;

    /// Puts a directory on the frontier.
    fn put_front(&mut self, directory: &NodeId, front: &Front) -> Result<(), Self::Error>;
    fn front(&mut self, directory: &NodeId) -> Result<Option<Front>, Self::Error>;
    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Self::Error>;
    /// Directories of the frontier in order of their ids, strictly after `after`, at most `limit`.
    fn fronts(&mut self, after: Option<&NodeId>, limit: usize) -> Result<Vec<(NodeId, Front)>, Self::Error>;
    /// The lowest `first` of all marks and fronts.
    fn lowest_first(&mut self) -> Result<Option<u64>, Self::Error>;

    fn in_flight(&mut self, node: &NodeId) -> Result<Option<InFlight>, Self::Error>;
    fn put_in_flight(&mut self, node: &NodeId, copy: &InFlight) -> Result<(), Self::Error>;
    fn remove_in_flight(&mut self, node: &NodeId) -> Result<(), Self::Error>;
    /// All of them: there are never more than copies allowed at a time plus those that a crash or a rename left.
    fn all_in_flight(&mut self) -> Result<Vec<(NodeId, InFlight)>, Self::Error>;

    /// A staging file that is to be removed.
    fn put_garbage(&mut self, staging: &str) -> Result<(), Self::Error>;
    fn remove_garbage(&mut self, staging: &str) -> Result<(), Self::Error>;
    fn all_garbage(&mut self) -> Result<Vec<String>, Self::Error>;

    fn intent(&mut self, node: &NodeId) -> Result<Option<Intent>, Self::Error>;
    fn put_intent(&mut self, node: &NodeId, intent: &Intent) -> Result<(), Self::Error>;
    fn remove_intent(&mut self, node: &NodeId) -> Result<(), Self::Error>;
    fn all_intents(&mut self) -> Result<Vec<(NodeId, Intent)>, Self::Error>;

    /// Whether it was not there before.
    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<bool, Self::Error>;
    fn failed_at(&mut self, edge: &Edge) -> Result<Option<FailedEdge>, Self::Error>;
    /// Whether it was there.
    fn remove_failed(&mut self, edge: &Edge) -> Result<bool, Self::Error>;
    /// In edge order, strictly after `after`, at most `limit`.
    fn failed(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<(Edge, FailedEdge)>, Self::Error>;
    fn clear_failed(&mut self) -> Result<(), Self::Error>;

    /// Somebody else changed the target at this path, below its root of the migration. For the operator: the engine never asks.
    fn note_drift(&mut self, _path: &str) -> Result<(), Self::Error> {
        Ok(())
    }
}
