//! What happened at a source, in order: positions and changes.

/// A moment in the history of a source: an HDFS transaction id, or the sequence number of a local reader. Grows; equal
/// positions of one feed are the same moment.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Ord, PartialOrd, Hash)]
pub struct Position(pub u64);

/// Something that happened. Paths are absolute at the source: `/data/2024/a b.csv`; `/` is its root.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Change {
    /// What is at this path came, went, or is different now. Says nothing about what is below it.
    Touched { path: String },
    /// Only times of it were set; of no interest to whoever holds this modification time already.
    TimesSet { path: String, modified_ms: i64 },
    /// What was at `from` is at `to`, with everything below it. What was at `to` before is gone.
    Renamed { from: String, to: String },
    /// Anything at this path or below may be different: the reader was not there to see it.
    Unwatched { path: String },
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Event {
    pub position: Position,
    pub change: Change,
}

/// The answer to a read.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum Reading {
    /// Everything after the position that was asked for, up to and with `read_to`, which may have grown without an event.
    /// Several events may share a position; one answer has all of them. Nothing new: no events and the same position.
    Events { events: Vec<Event>, read_to: Position },
    /// Changes after the position that was asked for are lost for ever. Reading goes on from `resume_at`; everything that
    /// a look sees from now on includes what was lost.
    Gap { resume_at: Position, reason: String },
}
