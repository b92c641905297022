//! The resource provider `LiveData.Platform`: migrators and what hangs below them, spoken to like any Azure resource
//! provider, in two api-versions ([`view`]); `docs/resource-types.md` says what there is.
//!
//! Two listeners, and two more where they are wanted. The ARM one ([`routes`] → [`verbs`]) accepts client certificates only. The [`enrolment`] one gives agents
//! their certificate. The [`custom_provider`] one speaks a dialect behind a secret path, the [`health`] one tells operators how things are. Requests write intent and an operation in one transaction; [`controllers`] turn intent into desired
//! state and end the operation; [`sessions`] carry desired state to the agents and reports back into [`observed`].
//!
//! Promises:
//! - A request that is refused changes nothing. A second writer never overwrites the first unseen: every write is a
//!   compare-and-swap on what was read.
//! - Of several providers on one store, one at a time works for a migrator ([`leases`]); whose lease has ended writes nothing more.
//! - kill -9 at any moment leaves nothing stuck: what is unfinished stands in the store and is picked up at the next start.
//! - Two migrations never write into the same area of a container ([`areas`]).
//! - Secrets are sealed before they are stored, sent inside a session only, and never returned or logged.
//! - Every error has ARM's shape and a code of the table in [`errors`], which is also `docs/errors.md`.
//!
//! It may call `arm`, `model`, `relay`, `session`, `store`, `storage_account`, `telemetry`. It never sees a file system.
//! Start reading at [`Provider::start`], then `routes.rs`, `verbs/write.rs` and one folder of `resources/`.

mod agents;
mod areas;
mod audit;
mod clock;
mod commands;
mod controllers;
mod core;
mod custom_provider;
mod desired;
mod document;
mod duration;
mod enrolment;
pub mod errors;
mod failed_paths;
mod health;
mod insights;
mod install_keys;
mod json;
mod kind;
mod leases;
mod listener;
mod meters;
mod moves;
mod name_availability;
mod observed;
mod operation_routes;
mod operations;
mod options;
mod preflight;
mod provider_operations;
#[cfg(test)]
mod public_examples;
mod registry;
mod request;
mod resources;
pub mod rotation;
mod routes;
mod running;
mod secrets;
mod sessions;
mod subscriptions;
mod verbs;
mod view;
mod wire;

pub use audit::AuditLog;
pub use clock::Clock;
pub use commands::COLLECTION as COMMANDS;
pub use custom_provider::{PathSecret, WeakSecret};
pub use options::{Certificate, CustomProviderListener, HealthListener, Options, RelaySettings, Rule};
pub use registry::{API_VERSIONS, resource_types};
pub use running::{Provider, Running, StartError};
pub use view::{PUBLIC_NAMESPACE, Version};
