//! Everything on one machine: the control plane for a laptop, and the demonstration on top of it.
//!
//! * [`environment`]: front door, provider, relay and storage emulator on one folder, each behind its own listener, with
//!   certificates and secrets that are made on first start and kept;
//! * [`dev`]: the command `livedata dev`, the environment until it is interrupted;
//! * [`churn`]: the command `livedata churn`, a lake in use, until it is interrupted;
//! * [`show`]: the command `livedata demo`: an environment, an agent and a churn in processes of their own, a migration from
//!   a lake to the emulator, and a comparison of both sides by code that shares nothing with what it judges;
//! * [`arm_client`]: a small client of Azure Resource Manager, so that all of it goes through the front door like `az`.
//!
//! Loopback only: nothing here is hardened for a network, and the folder holds every secret.

pub mod arm_client;
pub mod churn;
pub mod dev;
pub mod environment;
pub mod show;
