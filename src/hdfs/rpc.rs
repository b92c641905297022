//! Hadoop RPC, version 9, with SIMPLE authentication: one TCP connection that carries many calls at once.
//!
//! The wire format is described in Hadoop's `RpcHeader.proto` and at the head of its `ipc.Server`: a seven byte preamble,
//! then frames of a four byte big-endian length and length-delimited messages. Answers come in any order and are
//! matched by call id.

mod connection;
#[cfg(test)]
pub mod fake;
mod frame;

pub use connection::{Connection, Limits};
pub use frame::Protocol;
