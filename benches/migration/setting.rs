//! What everything is measured in.
//!
//! | variable | what |
//! |---|---|
//! | `LIVEDATA_HADOOP` | `cluster.json` of a running Hadoop |
//! | `LIVEDATA_DISTCP` | arguments for `java` with which `org.apache.hadoop.tools.DistCp` runs |
//! | `LIVEDATA_RCLONE` | the program |

pub mod cluster;
pub mod site;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

pub use cluster::Cluster;
pub use site::Site;

pub struct Setting {
    pub cluster: Cluster,
    pub site: Site,
    folder: tempfile::TempDir,
}

impl Setting {
    pub async fn start() -> Result<Self> {
        let cluster = Cluster::from_environment()?;
        let folder = tempfile::Builder::new().prefix("livedata-bench-").tempdir()?;
        let site = Site::start(folder.path()).await?;
        Ok(Self { cluster, site, folder })
    }

    /// Of this run; it goes with it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    pub fn log(&self, name: &str) -> PathBuf {
        self.folder.path().join(format!("{name}.log"))
    }

    /// Processes that serve whoever is measured.
    pub fn servers(&self) -> Vec<u32> {
        let mut pids = self.cluster.pids();
        pids.push(self.site.pid());
        pids
    }
}

/// A variable that `cargo xtask bench` sets.
pub fn variable(name: &str) -> Result<String> {
    std::env::var(name)
        .with_context(|| format!("{name} is not set: run this with `cargo xtask bench migration`"))
}
