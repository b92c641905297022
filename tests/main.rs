//! Tests of the whole. Those against real servers of others are in the module `hdfs`, which `cargo xtask test` runs in a
//! stage of its own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod hdfs;
mod workspace;
