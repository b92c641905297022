//! The agent: the shell around the migration engine, installed beside Hadoop.
//!
//! * [`command`]: the program `livedata-agent`; `process`: an enrolled agent at work;
//! * `installation`: its folder: one identity, one migrator, one process;
//! * [`host`]: what the one who installed it allows on this machine;
//! * `link`: listens at the relay and holds the session with the provider;
//! * [`ledger`]: desired state on disk, acknowledged only when it is there, secrets in a file of their own;
//! * [`supervisor`]: makes the set of running migrations what desired state says;
//! * `feed`: what a source tells, read once for all its migrations and kept on disk;
//! * `migration`: one engine with its journal, its workers and what others may see of it;
//! * `preflight`: what to put right at a source before its changes are lost;
//! * `support`: what this version can act on, and what it says of the rest;
//! * `reports`: what the provider is told.
//!
//! The control plane may be away for as long as it likes: migrations go on from what is on disk. Bulk data goes straight
//! to the storage account. Start reading at [`supervisor::Supervisor`].

mod backoff;
mod clock;
pub mod command;
mod database;
mod durable;
mod feed;
mod hadoop_configuration;
pub mod host;
mod installation;
mod journal;
pub mod ledger;
mod link;
mod migration;
mod preflight;
mod process;
mod reports;
pub mod supervisor;
mod support;
mod wiring;
