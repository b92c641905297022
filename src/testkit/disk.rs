//! A disk that can be filled.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A file system in memory of its own, which only root may make.
pub struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    pub fn new(megabytes: u32) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mounted = Command::new("mount")
            .args(["-t", "tmpfs", "-o", &format!("size={megabytes}m"), "livedata-test"])
            .arg(folder.path())
            .status()
            .unwrap();
        assert!(mounted.success(), "this test mounts a file system of its own: run it as root");
        Self(folder)
    }

    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// Until nothing fits any more; the file that takes the room.
    pub fn fill(&self) -> PathBuf {
        let path = self.path().join("ballast");
        let mut ballast = std::fs::File::create(&path).unwrap();
        for piece in [1 << 20, 4096, 1] {
            while ballast.write_all(&vec![7; piece]).is_ok() {}
        }
        path
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(self.path()).status();
    }
}
