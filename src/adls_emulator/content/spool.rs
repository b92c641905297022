//! A place for bytes that have none of their own yet.

use std::io;
use std::sync::Arc;

use super::{Content, Handle, Name};

/// Removes what was written to it when dropped without [`Spool::keep`].
pub(crate) struct Spool {
    name: String,
    content: Arc<Content>,
    kept: bool,
}

impl Spool {
    /// Only the name; what holds the bytes is made when it is opened.
    pub(crate) fn new(content: &Arc<Content>) -> Self {
        Self { name: uuid::Uuid::new_v4().to_string(), content: content.clone(), kept: false }
    }

    pub(crate) fn name(&self) -> &str {
        &self.name
    }

    pub(crate) fn open_for_writing(&self) -> io::Result<Handle> {
        self.content.open_for_writing(&Name::Spool(self.name.clone()))
    }

    /// The index refers to what is returned now.
    #[must_use]
    pub(crate) fn keep(mut self) -> Name {
        self.kept = true;
        Name::Spool(self.name.clone())
    }

    /// Makes it the whole content of a node, in place of what was there.
    pub(crate) fn become_content(mut self, node: i64) -> io::Result<Name> {
        self.content.become_content(&self.name, node)?;
        self.kept = true;
        Ok(Name::Node(node))
    }
}

impl Drop for Spool {
    fn drop(&mut self) {
        if !self.kept {
            self.content.remove(&Name::Spool(std::mem::take(&mut self.name)));
        }
    }
}
