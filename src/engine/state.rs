//! What a migration remembers, and the transactional store that it remembers it in.

use livedata_model::node::{ContentVersion, NodeId};

/// A name in a directory. The root of a migration hangs on [`Edge::root`].
#[derive(Clone, Debug, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Edge {
    pub directory: NodeId,
    pub name: String,
}

impl Edge {
    /// The edge above the root: no directory, no name.
    pub fn root() -> Self {
        Self { directory: NodeId::from_bytes([]), name: String::new() }
    }

    pub fn is_root(&self) -> bool {
        self.directory.as_bytes().is_empty()
    }
}

/// "This edge may differ between source and target." Cleared only by an operation that began at the same generation.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Mark {
    pub generation: u64,
}

/// One object at the target that this migration put there, known by its source node.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Node {
    pub parent: Edge,
    pub kind: NodeKind,
    pub permissions: u16,
    pub modified_ms: i64,
    /// The run that last confirmed it.
    pub run: u64,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum NodeKind {
    Directory,
    File {
        version: ContentVersion,
        length_bytes: u64,
        /// CRC32C over the whole file as it was read.
        crc32c: u32,
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
}

/// A copy that has begun. At most one per edge.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InFlight {
    pub node: NodeId,
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
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Checkpoint {
    pub offset: u64,
    pub crc32c: u32,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Staged {
    pub etag: String,
    pub crc32c: u32,
    pub permissions: u16,
    pub modified_ms: i64,
}

#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub enum Phase {
    /// Never started.
    #[default]
    Idle,
    Running,
    /// Every mark is cleared and every directory listed.
    Completed,
    /// There is no root at the source; nothing was written.
    RootMissing,
    /// The root is unusable, at the source or at the target; nothing else was tried.
    Failed,
}

/// One pass over the source, from `start` to the end.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Run {
    /// Passes over the source so far.
    pub number: u64,
    /// The operator's start that this pass answers. A start that finds a pass under way resumes it.
    pub start: u64,
    pub phase: Phase,
    /// Generation of the newest mark.
    pub generation: u64,
    pub counters: Counters,
}

/// Durable progress of the present run.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Counters {
    pub directories_scanned: u64,
    pub files_scanned: u64,
    pub bytes_scanned: u64,
    pub files_migrated: u64,
    pub bytes_migrated: u64,
    /// Symbolic links: recorded, not followed.
    pub files_excluded: u64,
    pub files_failed: u64,
}

/// An edge that was given up in this run.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct FailedEdge {
    pub path: String,
    pub reason: String,
}

/// The only thing that a step calls. All calls of one step are one transaction: all of it survives a crash, or nothing.
pub trait State {
    type Error;

    fn run(&mut self) -> Result<Run, Self::Error>;
    fn put_run(&mut self, run: &Run) -> Result<(), Self::Error>;

    fn node(&mut self, id: &NodeId) -> Result<Option<Node>, Self::Error>;
    /// Also moves the edge index: afterwards [`State::child`] finds the node at `node.parent` and nowhere else.
    fn put_node(&mut self, id: &NodeId, node: &Node) -> Result<(), Self::Error>;
    /// Forgets a node, and its edge if that still leads to it.
    fn remove_node(&mut self, id: &NodeId) -> Result<(), Self::Error>;
    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Self::Error>;

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Self::Error>;
    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Self::Error>;
    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Self::Error>;
    /// Marked edges in edge order, strictly after `after`.
    fn marks(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<Edge>, Self::Error>;

    /// Puts a directory on the frontier: to be listed from after the name `after`.
    fn put_front(&mut self, directory: &NodeId, after: Option<&str>) -> Result<(), Self::Error>;
    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Self::Error>;
    /// Directories of the frontier, any order that does not change by itself, at most `limit`.
    fn fronts(&mut self, limit: usize) -> Result<Vec<(NodeId, Option<String>)>, Self::Error>;

    fn in_flight(&mut self, edge: &Edge) -> Result<Option<InFlight>, Self::Error>;
    fn put_in_flight(&mut self, edge: &Edge, copy: &InFlight) -> Result<(), Self::Error>;
    fn remove_in_flight(&mut self, edge: &Edge) -> Result<(), Self::Error>;
    /// All of them: there are never more than operations allowed at a time plus those that a crash left.
    fn all_in_flight(&mut self) -> Result<Vec<(Edge, InFlight)>, Self::Error>;

    /// The directory move that is about to be issued or was, by node id and destination.
    fn move_intent(&mut self) -> Result<Option<(NodeId, Edge)>, Self::Error>;
    fn put_move_intent(&mut self, intent: Option<&(NodeId, Edge)>) -> Result<(), Self::Error>;

    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<(), Self::Error>;
    fn clear_failed(&mut self) -> Result<(), Self::Error>;
}
