//! The agent: the shell around the migration engine, installed beside Hadoop.
//!
//! * [`enrolled`]: who this agent is, from its install key;
//! * [`link`]: listens at the relay, holds the session with the provider;
//! * [`ledger`]: desired state on disk, acknowledged only when it is there, secrets in a file of their own;
//! * [`supervisor`]: makes the set of running migrations what desired state says;
//! * [`migration`]: one engine with its journal, its workers and what others may see of it;
//! * [`reports`]: what the provider is told.
//!
//! The control plane may be away for as long as it likes: migrations go on from what is on disk. The agent speaks outward
//! only, and bulk data goes straight to the storage account. Start reading at [`command::run`], then `supervisor`.

pub mod command;
mod enrolled;
mod journal;
mod ledger;
mod link;
mod migration;
mod reports;
mod supervisor;
mod wiring;

pub use command::{Args, run};
