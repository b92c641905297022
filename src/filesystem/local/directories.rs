//! Finding a directory by its id.
//!
//! Each directory that was seen is kept as (parent id, name): about 150 bytes each, for as long as the source lives. The
//! path is put together from there and believed only if the directory at that path has the id. When it has not (a
//! directory above was renamed) or the id is unknown (a new process was handed ids by its journal), the tree is walked
//! until the directory is found; that costs one look at each directory, and is paid once for all that are seen on the
//! way. An id found nowhere is `Gone`.

use std::collections::HashMap;
use std::ffi::{OsStr, OsString};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::node;
use crate::{Error, ErrorKind, NodeId, Result};

/// More segments than any path has. Notes of different times can contradict each other and even go round in a circle.
const DEEPEST: usize = 4096;

#[derive(Debug)]
pub struct Directories {
    root: PathBuf,
    seen: Mutex<HashMap<NodeId, Place>>,
    /// One walk at a time: who waits for it usually finds its own directory seen afterwards.
    walk: Mutex<()>,
}

#[derive(Clone, Debug)]
enum Place {
    Root,
    Child { parent: NodeId, name: OsString },
}

impl Directories {
    pub fn new(root: PathBuf) -> Self {
        Self { root, seen: Mutex::default(), walk: Mutex::default() }
    }

    pub fn note_root(&self, id: &NodeId) {
        lock(&self.seen).insert(id.clone(), Place::Root);
    }

    pub fn note(&self, id: &NodeId, parent: &NodeId, name: &OsStr) {
        lock(&self.seen).insert(id.clone(), Place::Child { parent: parent.clone(), name: name.to_owned() });
    }

    /// Where the directory is now.
    pub fn path(&self, id: &NodeId) -> Result<PathBuf> {
        if let Some(path) = self.believed(id) {
            return Ok(path);
        }
        let _one_walk = lock(&self.walk);
        if let Some(path) = self.believed(id) {
            return Ok(path);
        }
        if let Some(path) = self.search(id)? {
            return Ok(path);
        }
        lock(&self.seen).remove(id);
        let subject = format!("directory {}", id.to_hex());
        Err(Error::new(
            ErrorKind::Gone,
            "find",
            subject,
            format!("it is not below {} any more", self.root.display()),
        ))
    }

    fn believed(&self, id: &NodeId) -> Option<PathBuf> {
        let mut names = Vec::new();
        {
            let seen = lock(&self.seen);
            let mut at = id;
            loop {
                match seen.get(at)? {
                    Place::Root => break,
                    Place::Child { .. } if names.len() == DEEPEST => return None,
                    Place::Child { parent, name } => {
                        names.push(name.clone());
                        at = parent;
                    }
                }
            }
        }
        if names.is_empty() {
            let metadata = std::fs::metadata(&self.root).ok()?;
            return (metadata.is_dir() && node::id(&metadata) == *id).then(|| self.root.clone());
        }
        let mut path = self.root.clone();
        path.extend(names.iter().rev());
        node::is_directory_with_id(&path, id).then_some(path)
    }

    fn search(&self, wanted: &NodeId) -> Result<Option<PathBuf>> {
        let metadata =
            std::fs::metadata(&self.root).map_err(|error| node::error("find", &self.root, error))?;
        let root = node::id(&metadata);
        self.note_root(&root);
        if root == *wanted {
            return Ok(Some(self.root.clone()));
        }
        let mut open = vec![(root, self.root.clone())];
        let mut unread = None;
        while let Some((parent, path)) = open.pop() {
            let entries = match std::fs::read_dir(&path).map_err(|error| node::error("find", &path, error)) {
                Ok(entries) => entries,
                Err(error) => {
                    // What may not be read or has vanished is not where the directory can be found.
                    let passed = matches!(error.kind(), ErrorKind::Denied | ErrorKind::Gone);
                    if !passed || path == self.root {
                        unread = Some(error);
                    }
                    continue;
                }
            };
            for entry in entries.flatten() {
                if !entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                    continue;
                }
                let Ok(metadata) = entry.metadata() else { continue };
                let id = node::id(&metadata);
                self.note(&id, &parent, &entry.file_name());
                if id == *wanted {
                    return Ok(Some(entry.path()));
                }
                open.push((id, entry.path()));
            }
        }
        // It may be where nobody could look.
        unread.map_or(Ok(None), Err)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Nothing that can panic happens between two changes that belong together.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
