//! Contents and spools as files.

use std::collections::HashSet;
use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Name;

pub(super) struct Folder {
    nodes: PathBuf,
    spools: PathBuf,
}

impl Folder {
    pub(super) fn open(data_folder: &Path) -> io::Result<Self> {
        let (nodes, spools) = (data_folder.join("content"), data_folder.join("spool"));
        std::fs::create_dir_all(&spools)?;
        for fan in 0..=0xff {
            std::fs::create_dir_all(nodes.join(format!("{fan:02x}")))?;
        }
        Ok(Self { nodes, spools })
    }

    fn path(&self, name: &Name) -> PathBuf {
        match name {
            Name::Node(node) => self.nodes.join(format!("{:02x}/{node}", node & 0xff)),
            Name::Spool(spool) => self.spools.join(spool),
        }
    }

    pub(super) fn open_for_writing(&self, name: &Name) -> io::Result<Arc<File>> {
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(self.path(name))?;
        Ok(Arc::new(file))
    }

    pub(super) fn open_for_reading(&self, name: &Name) -> io::Result<Arc<File>> {
        Ok(Arc::new(File::open(self.path(name))?))
    }

    pub(super) fn become_content(&self, spool: &str, node: i64) -> io::Result<()> {
        std::fs::rename(self.spools.join(spool), self.path(&Name::Node(node)))
    }

    pub(super) fn remove(&self, name: &Name) {
        unlink(&self.path(name));
    }

    pub(super) fn remove_stale_spools(&self, live: &HashSet<String>) -> io::Result<()> {
        for entry in std::fs::read_dir(&self.spools)? {
            let entry = entry?;
            if !entry.file_name().to_str().is_some_and(|name| live.contains(name)) {
                unlink(&entry.path());
            }
        }
        Ok(())
    }
}

fn unlink(path: &Path) {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            tracing::warn!(path = %path.display(), %error, "a file that is no longer needed could not be removed");
        }
        _ => {}
    }
}
