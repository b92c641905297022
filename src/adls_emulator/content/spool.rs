//! A file for bytes that have no place of their own yet.

use std::io;
use std::path::{Path, PathBuf};

use super::{Content, unlink};

/// Removes its file when dropped without [`Spool::keep`].
pub(crate) struct Spool {
    name: String,
    path: PathBuf,
    kept: bool,
}

impl Spool {
    /// Only the name; whoever needs the file makes it.
    pub(crate) fn new(content: &Content) -> Self {
        let name = uuid::Uuid::new_v4().to_string();
        Self { path: content.spool_path(&name), name, kept: false }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The index refers to it now.
    pub(crate) fn keep(mut self) {
        self.kept = true;
    }

    /// Makes it the whole content of a node, in place of what was there.
    pub(crate) fn become_content(mut self, content: &Content, node: i64) -> io::Result<()> {
        std::fs::rename(&self.path, content.node_path(node))?;
        self.kept = true;
        Ok(())
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.kept {
            unlink(&self.path);
        }
    }
}
