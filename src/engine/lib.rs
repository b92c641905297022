//! The migration core: decides what to look at, what to copy, what to publish, and never does any of it.
//!
//! [`Engine::step`] takes one [`Input`] (something that a worker saw or did), reads and writes the migration's [`State`],
//! and returns [`Effect`]s. The caller runs each step inside one transaction of the state and lets effects out only after
//! it committed. Dropping the engine at any moment, with or without the last transaction, is a crash that
//! [`Engine::recover`] handles; stopping a migration is exactly that.
//!
//! Rules, as numbered in `docs/architecture.md#rules-of-a-migration` (this first engine has no change feed, so
//! R1 and the cursor fence are not here, and nothing at the target is ever removed):
//! * R2 *scan*: a listing only marks edges; pages need not be consistent ([`scan`]);
//! * R3 *reconcile*: one operation per edge at a time; what to do is decided by looking at the source now ([`reconcile`]);
//! * R4 *copy*: a file is read by node id into the staging area, with checkpoints to resume from ([`copy`]);
//! * R5 *publish*: look again, rename staging to final under a condition, clear the mark only if no newer one came
//!   ([`publish`]).
//!
//! Promises: a file visible at its final path is a whole version of one source file (I1); a mark is cleared only by an
//! operation that began after it was last set (I4). No clock, no thread, no I/O, no randomness, no unordered iteration.
//! State is keyed by node id, so a rename of a half-scanned directory needs no special case.

mod copy;
mod effect;
mod input;
mod machine;
pub mod memory;
mod publish;
mod reconcile;
mod recover;
mod scan;
mod state;

pub use effect::{Effect, Expected};
pub use input::{Failure, FailureKind, Input, PublishOutcome};
pub use machine::{Engine, Limits};
pub use state::{
    Checkpoint, Counters, Edge, FailedEdge, InFlight, Mark, Node, NodeKind, Phase, Run, Staged, State,
};
