//! The emulator over real HTTP, spoken to by a client of its own that signs requests as the documentation says.

#![expect(clippy::unwrap_used, reason = "tests: a failed step fails the test")]

mod access;
mod access_recursive;
mod admin;
mod appends;
mod authentication;
mod bad_bodies;
mod batches;
mod blob;
mod client;
mod conditions;
mod copies;
mod durability;
mod expiry;
mod faults;
mod filesystems;
mod identities;
mod in_memory;
mod kills;
mod leases;
mod limits;
mod listing;
mod names;
mod parameters;
mod paths;
mod probe;
mod reads;
mod records;
mod rename;
mod signatures;
mod soft_delete;
mod structured;
mod tls;
