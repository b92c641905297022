//! Tests of the whole: our programs as processes, driven and judged from outside. What needs programs of others is in the
//! modules `hdfs`, `postgres`, `az` and `judges`, which `cargo xtask test` runs in stages of their own, and so is `demo`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod adls_emulator;
mod agents;
mod az;
mod conformance;
mod demo;
mod findings;
mod hdfs;
mod judges;
mod outages;
mod postgres;
mod provider_process;
mod site;
mod store;
mod telemetry;
mod workspace;
