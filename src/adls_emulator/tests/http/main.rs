//! The emulator over real HTTP, spoken to by a client of its own that signs requests as the documentation says.

#![expect(clippy::unwrap_used, reason = "tests: a failed step fails the test")]

mod access;
mod admin;
mod appends;
mod authentication;
mod blob;
mod client;
mod conditions;
mod durability;
mod filesystems;
mod identities;
mod listing;
mod names;
mod paths;
mod reads;
mod rename;
mod signatures;
