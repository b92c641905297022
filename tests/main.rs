//! Tests of the whole. Those against real clients and servers of others are in the modules `az`, `hdfs` and `demo`, which
//! `cargo xtask test` runs in stages of their own.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test that cannot go on ends here")]

mod workspace;
