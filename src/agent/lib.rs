//! The agent: the shell around the migration engine, installed beside Hadoop.
//!
//! * [`ledger`]: desired state on disk, acknowledged only when it is there, secrets in a file of their own;
//! * [`supervisor`]: makes the set of running migrations what desired state says;
//! * `migration`: one engine with its journal, its workers and what others may see of it;
//! * `reports`: what the provider is told.
//!
//! The control plane may be away for as long as it likes: migrations go on from what is on disk. Bulk data goes straight
//! to the storage account. Start reading at [`supervisor::Supervisor`].

mod clock;
mod journal;
pub mod ledger;
mod migration;
mod reports;
pub mod supervisor;
mod wiring;
