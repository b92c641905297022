//! Who copies a lake from HDFS into a container of the emulator. Each asks the NameNode under a name of its own, by which
//! the audit log tells them apart, and writes into a container of its own.

mod bare;
mod distcp;
mod ours;
mod profile;
mod rclone;

use anyhow::{Result, ensure};
use clap::ValueEnum;
use livedata_adls::{Filesystem, ListOptions};
use livedata_filesystem::{Condition, TargetPath};

use crate::process::Taken;
use crate::setting::Setting;
use crate::setting::cluster::Lake;

#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd, ValueEnum)]
pub enum Kind {
    /// The agent, as a process of its own that is told through ARM
    Livedata,
    /// Reads and uploads with the agent's clients and does nothing else: what the machine allows
    Bare,
    Distcp,
    Rclone,
}

/// One copy to make.
pub struct Job<'a> {
    pub setting: &'a Setting,
    pub lake: &'a Lake,
    /// Exists and is empty.
    pub container: &'a str,
    /// Unique within the run; also who one is at HDFS.
    pub name: &'a str,
    /// Files at a time.
    pub streams: usize,
    pub profile: bool,
}

impl Job<'_> {
    /// What it is called at the target.
    pub fn directory(&self) -> String {
        self.lake.path().trim_start_matches('/').to_owned()
    }
}

impl Kind {
    pub const ALL: [Self; 4] = [Self::Livedata, Self::Bare, Self::Distcp, Self::Rclone];

    pub fn name(self) -> &'static str {
        match self {
            Self::Livedata => "livedata",
            Self::Bare => "bare",
            Self::Distcp => "distcp",
            Self::Rclone => "rclone",
        }
    }

    pub async fn copy(self, job: &Job<'_>) -> Result<Taken> {
        match self {
            Self::Livedata => ours::copy(job).await,
            Self::Bare => bare::copy(job).await,
            Self::Distcp => distcp::copy(job).await,
            Self::Rclone => rclone::copy(job).await,
        }
    }
}

/// Fails unless exactly the lake is at the target, by names counted and lengths summed.
pub async fn check_arrived(container: &Filesystem, job: &Job<'_>) -> Result<()> {
    let root = TargetPath::new(&job.directory());
    let options = ListOptions { recursive: true, ..ListOptions::default() };
    let (mut files, mut bytes) = (0, 0);
    let mut listing = container.list(&root, options);
    while let Some(page) = listing.next_page().await? {
        for entry in page.iter().filter(|entry| !entry.is_directory) {
            files += 1;
            bytes += entry.length_bytes;
        }
    }
    let (lake, name) = (job.lake, job.name);
    ensure!(
        (files, bytes) == (lake.files, lake.bytes()),
        "{name} brought {files} files with {bytes} bytes of {} with {}",
        lake.files,
        lake.bytes()
    );
    Ok(())
}

/// Room for the next copy.
pub async fn clear(container: &Filesystem) -> Result<()> {
    let root = TargetPath::new("");
    while let Some(page) = container.list(&root, ListOptions::default()).next_page().await? {
        if page.is_empty() {
            break;
        }
        for entry in page {
            container.delete(&entry.path, true, &Condition::Any).await?;
        }
    }
    Ok(())
}
