//! An Azure Data Lake Storage Gen2 service on this machine: the DFS endpoint and the part of the Blob endpoint that
//! the DataLake SDKs and rclone use, over the same data, on one port, kept on disk or in memory.
//!
//! What it promises:
//! - requests are authenticated and authorised for real (SharedKey, shared access signatures, tokens with roles and access
//!   control lists); a wrong signature is answered as the service answers it;
//! - on disk, whatever was acknowledged survives `kill -9` of the process (not a power failure of the machine);
//! - a rename is one row in the index, so it is atomic and costs the same for a file and for a directory of millions;
//! - bodies are streamed: memory does not grow with file size;
//! - append data may arrive at any position in any order; nothing of it is visible before a flush commits it; of an append blob all
//!   that was acknowledged is;
//! - each endpoint reads and replaces every file, and adds content only to those that it has made;
//! - leases, expiry and soft delete behave as on the service, and survive the same kills;
//! - faults, limits and delays happen on demand (`faults`), and what was asked can be read afterwards (`request_log`).
//!
//! Where to start reading: `emulator` (start and stop), `server` (one request from socket to reply), `operations`
//! (what each call does), `index` (the namespace on SQLite), `content` (the bytes).
//!
//! Outside contract: the Azure Storage REST references "Data Lake Storage Gen2 - Path", "- Filesystem" and "Blob
//! service", and "Authorize with Shared Key".

mod account;
mod admin;
mod authorization;
mod clock;
mod command;
mod content;
mod counters;
mod deletions;
mod emulator;
mod error;
mod faults;
mod index;
mod lease;
mod operations;
mod permissions;
mod probe;
mod properties;
mod request;
mod request_log;
mod server;
mod service_error;
mod traffic;

pub use account::AccountKey;
pub use command::{Args, run};
pub use emulator::{Emulator, Options, Running, Storage};
pub use error::{EmulatorError, ErrorKind};
