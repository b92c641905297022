//! The contract between Azure Resource Manager and a resource provider, as a suite that any endpoint can be held against:
//! 124 numbered rules, of which those that can be seen from outside are checked over HTTP.
//!
//! Promises:
//! - A verdict is reached by exchanges over the wire alone. This crate uses none of our own: what it judges cannot have
//!   taught it its mistakes.
//! - A failed rule says what was sent, what came back and what the rule wants.
//! - Everything that a run makes carries the run's own name and is deleted at its end. What was there before is not touched.
//! - Secrets of the profile stand neither in the report nor in the record.
//!
//! A [`Profile`] describes the endpoint: its types, valid and invalid bodies, actions, and whether it is a provider (then
//! this client sends the headers that ARM adds) or a front door before one.
//!
//! Start reading at [`rules`], the table; a check is a function of a [`trial::Trial`]. `suite.rs` runs them, `report.rs` keeps
//! the score, `command.rs` is `livedata conformance`.

pub mod client;
pub mod command;
pub mod exchange;
pub mod profile;
mod record;
pub mod report;
pub mod rules;
mod shape;
pub mod suite;
pub mod trial;
pub mod verdict;

pub use command::{Args, run};
pub use profile::Profile;
