//! The provider over real HTTPS with client certificates, on the memory store unless a test says otherwise.
#![expect(clippy::unwrap_used, clippy::panic, reason = "tests")]

#[path = "provider/audit.rs"]
mod audit;
#[path = "provider/bad_input.rs"]
mod bad_input;
#[path = "provider/commands.rs"]
mod commands;
#[path = "provider/concurrency.rs"]
mod concurrency;
#[path = "provider/contract.rs"]
mod contract;
#[path = "provider/custom_provider.rs"]
mod custom_provider;
#[path = "provider/deaths.rs"]
mod deaths;
#[path = "provider/enrolment.rs"]
mod enrolment;
#[path = "provider/failed_paths.rs"]
mod failed_paths;
#[path = "provider/health.rs"]
mod health;
#[path = "provider/insights.rs"]
mod insights;
#[path = "provider/kinds.rs"]
mod kinds;
#[path = "provider/lifecycle.rs"]
mod lifecycle;
#[path = "provider/live.rs"]
mod live;
#[path = "provider/outage.rs"]
mod outage;
#[path = "provider/public.rs"]
mod public;
#[path = "provider/recovery.rs"]
mod recovery;
#[path = "provider/resources.rs"]
mod resources;
#[path = "provider/rotation.rs"]
mod rotation;
#[path = "provider/secrets.rs"]
mod secrets;
#[path = "provider/session.rs"]
mod session;
#[path = "provider/several.rs"]
mod several;
#[path = "provider/world.rs"]
mod world;
