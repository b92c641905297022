//! The front door over real TLS: a client as any other, a provider of its own behind mutual TLS, a real storage emulator.

#![expect(clippy::unwrap_used, reason = "tests: a failed step fails the test")]

mod az_config;
mod custom_providers;
mod forwarding;
mod groups;
mod provider;
mod registration;
mod resources;
mod sign_in;
mod storage;
mod storage_client;
mod world;
