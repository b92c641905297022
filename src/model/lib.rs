//! The nouns and rules that the resource provider and the agents share, and the only language between them.
//!
//! * [`spec`]: what a migrator, a target and a migration *should be*;
//! * [`command`]: what an agent is to do once;
//! * [`report`]: what an agent made of it: states, progress, conditions;
//! * [`state`]: the states of a migration and which transitions are legal;
//! * [`pattern`]: patterns of file names and paths;
//! * [`node`]: identifiers and entries of a source file system; [`feed`]: what happened there, in order;
//! * [`message`]: the versioned provider↔agent messages and [`cbor`], their one codec: maps with integer keys, unknown
//!   keys and unknown message kinds ignored, so that the two sides may differ by a version.
//!
//! Pure: no I/O, no clock. Start reading at [`message::Message`].

pub mod cbor;
pub mod command;
pub mod condition;
pub mod feed;
pub mod message;
pub mod metadata;
pub mod node;
pub mod path;
pub mod pattern;
pub mod report;
pub mod rules;
pub mod spec;
pub mod state;
pub mod verification;
