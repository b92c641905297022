//! The bytes: one file per node that has any, named by node id under a fan-out folder, and spool files for appended data that
//! overlaps other uncommitted data or comes through the Blob endpoint.
//!
//! A content file may hold more than the committed length; only the index says what counts.

mod appending;
mod claims;
mod reading;
mod spool;
pub(crate) mod structured;

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

pub(crate) use appending::{Appending, Digests};
pub(crate) use claims::Claims;
pub(crate) use reading::Reading;
pub(crate) use spool::Spool;

/// Bytes moved between socket and disk in one step.
pub(crate) const CHUNK_BYTES: usize = 256 * 1024;

pub(crate) struct Content {
    nodes: PathBuf,
    spool: PathBuf,
    claims: Claims,
}

impl Content {
    pub(crate) fn open(data_folder: &Path) -> io::Result<Self> {
        let (nodes, spool) = (data_folder.join("content"), data_folder.join("spool"));
        std::fs::create_dir_all(&spool)?;
        for fan in 0..=0xff {
            std::fs::create_dir_all(nodes.join(format!("{fan:02x}")))?;
        }
        Ok(Self { nodes, spool, claims: Claims::default() })
    }

    pub(crate) fn claims(&self) -> &Claims {
        &self.claims
    }

    pub(crate) fn node_path(&self, node: i64) -> PathBuf {
        self.nodes.join(format!("{:02x}", node & 0xff)).join(node.to_string())
    }

    pub(crate) fn spool_path(&self, name: &str) -> PathBuf {
        self.spool.join(name)
    }

    pub(crate) fn open_for_writing(&self, node: i64) -> io::Result<File> {
        OpenOptions::new().write(true).create(true).truncate(false).open(self.node_path(node))
    }

    /// Removes spool files that a killed process left without an owner.
    pub(crate) fn remove_stale_spools(&self, live: &HashSet<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.spool)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| live.contains(name)) {
                unlink(&entry.path());
            }
        }
        Ok(())
    }
}

/// Removes a file that nothing refers to any more; that it is already gone is fine.
pub(crate) fn unlink(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file that is no longer needed could not be removed");
        }
        _ => {}
    }
}
