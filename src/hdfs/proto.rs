//! The protocol buffer messages that we exchange with a NameNode, reduced to the fields that we read or write.
//!
//! Field numbers and types are those of Apache Hadoop's published protocol files, named at each group. Fields left out
//! are skipped when decoding, as protocol buffers define.

mod edits;
mod extras;
mod file;
mod header;

pub use edits::*;
pub use extras::*;
pub use file::*;
pub use header::*;
