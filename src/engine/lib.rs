//! The migration core: decides what to look at, what to copy, move, publish and remove, and never does any of it.
//!
//! [`Engine::step`] takes one [`Input`] (something that a worker saw or did, or what the change feed told), reads and writes
//! the migration's [`State`], and returns [`Effect`]s. The caller runs each step inside one transaction of the state and
//! lets effects out only after it committed. Dropping the engine at any moment, with or without the last transaction, is a
//! crash that [`Engine::recover`] handles; stopping a migration is exactly that.
//!
//! Topology by log, content by level: the tree at the target changes its shape with the renames that the feed tells, in
//! order ([`ingest`]); everything else is decided by looking at the source now. Rules, as numbered in
//! `docs/architecture.md#rules-of-a-migration`, and where they are:
//! * 2.1 *survey*: what an earlier life of the migration left at the target is known before its first run ([`survey`]);
//! * R0, R2 *scan*: the feed's position comes first; a listing only marks edges ([`scan`]);
//! * R1, R6 *ingest*: an event marks names; a rename moves what surely was renamed; lost events mark everything;
//! * R3 *reconcile*: one operation per edge and per node; nothing is removed before the feed has passed the look that
//!   missed it ([`reconcile`], [`moves`]);
//! * R4 *copy* into staging by node id ([`copy`]), R5 *publish* after another look ([`publish`]), in the order that
//!   readers rely on ([`barrier`]);
//! * R8 *drift*: what somebody else changed at the target shows as a failed condition ([`moves`]);
//! * R9 *mass deletions* wait for the operator; what is removed stays in the trash for a while ([`deletes`]).
//!
//! Promises: a file visible at its final path is a whole closed version of one source file (I1); a mark is cleared only by
//! an operation that began after it was set (I4); no object is destroyed while its node lives where it belongs (I5). With a
//! quiet source everything becomes equal, and [`Engine::watermark`] says up to which position it already is. No clock, no
//! thread, no I/O, no randomness, no unordered iteration.

pub mod attributes;
mod barrier;
mod claims;
mod copy;
mod coverage;
mod deletes;
mod effect;
mod ingest;
mod input;
mod machine;
pub mod memory;
mod moves;
mod paths;
mod policy;
mod publish;
mod reconcile;
mod recover;
mod rules;
mod scan;
mod state;
mod survey;
#[cfg(test)]
mod tests;

pub use coverage::Coverage;
pub use effect::{Effect, Expected, Place};
pub use input::{
    Applied, AttributesOutcome, Cause, Failure, FailureKind, Input, MakeOutcome, MoveOutcome, PublishOutcome,
    Survey, There,
};
pub use machine::{Engine, Limits};
pub use paths::path_of;
pub use policy::Policy;
pub use rules::{Rule, Rules};
pub use state::{
    Checkpoint, Counters, Deletes, Edge, FailedEdge, Front, InFlight, Intent, Mark, Node, NodeKind, Phase,
    Run, Staged, State, UNKNOWN,
};
