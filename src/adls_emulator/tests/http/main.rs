//! The emulator over real HTTP, spoken to by a client of its own that signs requests as the documentation says.

#![expect(clippy::unwrap_used, reason = "tests: a failed step fails the test")]

mod access;
mod access_by_lists;
mod access_recursive;
mod admin;
mod appends;
mod authentication;
mod bad_bodies;
mod batches;
mod blob;
mod blocks;
mod client;
mod clock;
mod conditions;
mod continue_first;
mod copies;
mod delegated_users;
mod durability;
mod expiry;
mod faults;
mod filesystems;
mod identities;
mod in_memory;
mod kills;
mod large_listings;
mod leases;
mod letters;
mod limits;
mod listing;
mod memory;
mod names;
mod parameters;
mod paths;
mod probe;
mod reads;
mod records;
mod refusals;
mod rename;
mod roles;
mod signatures;
mod soft_delete;
mod structured;
mod tls;
mod unfinished;
