//! The rules that protect data, by name, so that a simulation can take one away and watch what goes wrong.
//!
//! In the product every rule holds: without the feature `mutations` there is no way to switch one off.

/// One protection.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum Rule {
    /// 2.1: what the target has of an earlier life of the migration is known before anything is done.
    Survey,
    /// R1: a rename whose object is not surely known re-examines everything below its destination.
    DeepOnImpureRename,
    /// R1: what was to be re-examined below a renamed directory still is, under its new name.
    DeepFollowsRename,
    /// R1: what is not at the target yet is as old under its new name as under the old one.
    OpenFollowsRename,
    /// R1: both names of a rename are marked, also when the object was moved at once.
    MarkBothNames,
    /// R1: an object is only moved by the rename of a node that was seen before it.
    MoveOnlySeenBefore,
    /// R1: what happened to a name that a rename is moving at the target is taken up when that is over.
    FeedWaitsForMoves,
    /// R1: an event below something unknown marks the deepest known name.
    MarkDeepestKnown,
    /// R2: after a listing, what the target has and the listing has not is marked.
    MarkUnlisted,
    /// R3: one operation on a name at a time.
    EdgeLock,
    /// R3: one operation on a node at a time.
    NodeLock,
    /// R3: nothing is concluded about a name that a move is about to fill.
    ArrivingLock,
    /// R3: nothing is removed before the feed has passed the look that missed it.
    DeleteFence,
    /// R3: what stands where another node is now goes before that one comes.
    IdentityFence,
    /// R3: a node found elsewhere is moved only when the feed has passed the look.
    LateMoveFence,
    /// R3: a node is not moved away from where it was seen later.
    NewestLook,
    /// R3: after a late move everything below is listed again.
    LateMoveRescan,
    /// R5: a mark is cleared only by an operation that began after it was set.
    GenerationCheck,
    /// R5: a copy becomes visible where the target has its node, or that comes there first.
    PublishInPlace,
    /// R6: after lost events everything is looked at.
    GapRescan,
    /// 2.3: files that vouch for others come after them.
    Barrier,
    /// 2.3: ... also after those that the feed has not told about yet.
    BarrierFence,
    /// 2.3: ... also while it is not settled what the names above are.
    BarrierAbove,
    /// 2.3: ... and after those that could not be copied.
    BarrierFailed,
    /// 2.3: a directory is renamed after what was changed in it before.
    RenameBarrier,
    /// 2.3: of those that wait for each other in a circle, the renames go first.
    CirclesBreak,
    /// 2.6: a move that was under way at a crash is finished.
    MoveIntent,
    /// 2.6: a directory that was being made at a crash is found again.
    MakeIntent,
    /// 2.6: a publication that was under way at a crash is found again.
    PublicationProbe,
    /// 2.6: attributes that were being set at a crash are not taken for known.
    AttributesIntent,
    /// Operations that would meet at the target wait for each other.
    Claims,
    /// I5: what is removed is kept until it is sure that nothing needs it.
    Trash,
    /// I5: the copy of a node that still exists is not replaced by another.
    AliveCheck,
    /// I5: the trash is purged only of what was settled before.
    PurgeWatermark,
    /// A vanished directory under a look makes its own name the question.
    StaleMarksDirectory,
    /// R9: mass deletions wait for the operator.
    MassDeletes,
    /// A copy is found again under the node's new name only if it is of the same version.
    InFlightVersion,
}

impl Rule {
    pub const ALL: [Self; 37] = [
        Self::Survey,
        Self::DeepOnImpureRename,
        Self::DeepFollowsRename,
        Self::OpenFollowsRename,
        Self::MarkBothNames,
        Self::MoveOnlySeenBefore,
        Self::FeedWaitsForMoves,
        Self::MarkDeepestKnown,
        Self::MarkUnlisted,
        Self::EdgeLock,
        Self::NodeLock,
        Self::ArrivingLock,
        Self::DeleteFence,
        Self::IdentityFence,
        Self::LateMoveFence,
        Self::NewestLook,
        Self::LateMoveRescan,
        Self::GenerationCheck,
        Self::PublishInPlace,
        Self::GapRescan,
        Self::Barrier,
        Self::BarrierFence,
        Self::BarrierAbove,
        Self::BarrierFailed,
        Self::RenameBarrier,
        Self::CirclesBreak,
        Self::MoveIntent,
        Self::MakeIntent,
        Self::PublicationProbe,
        Self::AttributesIntent,
        Self::Claims,
        Self::Trash,
        Self::AliveCheck,
        Self::PurgeWatermark,
        Self::StaleMarksDirectory,
        Self::MassDeletes,
        Self::InFlightVersion,
    ];
}

/// Which rules hold.
#[derive(Clone, Copy, Debug, Default, Hash)]
pub struct Rules {
    #[cfg(feature = "mutations")]
    pub without: Option<Rule>,
}

impl Rules {
    #[cfg(feature = "mutations")]
    pub(crate) fn hold(self, rule: Rule) -> bool {
        self.without != Some(rule)
    }

    #[cfg(not(feature = "mutations"))]
    #[expect(clippy::unused_self, reason = "the same call as with the feature")]
    pub(crate) const fn hold(self, _rule: Rule) -> bool {
        true
    }
}
