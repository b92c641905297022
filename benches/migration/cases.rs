//! What is measured.

mod changes;
mod copy;
mod events;
mod lag;
mod live;
mod rescan;
mod scan;

use anyhow::Result;
use clap::ValueEnum;

use crate::movers::Kind;
use crate::setting::Setting;
use crate::setting::cluster::Lake;

/// How much the agent does at a time; the peers are given as many.
pub const STREAMS: usize = 16;
/// Directories that the agent lists at a time.
const LISTINGS: usize = 4;

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Case {
    /// 100,000 files of 4 KiB in 1,000 directories
    B1,
    /// 8 files of 1 GiB
    B2,
    /// 1 file of 16 GiB
    B3,
    /// Listing the tree of b1 with the agent's client
    Scan,
    /// Events per second from a fake NameNode into the agent's journal, and from the real one
    Events,
    /// From a change to the target, under 2,000 changes a second
    Lag,
    /// Everything looked at again, nothing changed; and the size of the journal
    #[value(alias = "journal")]
    Rescan,
}

pub struct Plan {
    pub scale: f64,
    pub rounds: usize,
    pub force: bool,
    pub profile: bool,
    pub movers: Vec<Kind>,
}

impl Plan {
    fn scaled(&self, full: u64, least: u64) -> u64 {
        ((full as f64 * self.scale).round() as u64).max(least)
    }

    /// B1: a tenth of it has a tenth of the directories.
    fn small_files(&self) -> Lake {
        Lake { name: "b1", files: self.scaled(100_000, 100), file_bytes: 4 << 10, files_per_directory: 100 }
    }

    /// Of large files the size is scaled, not the number.
    fn large_files(&self, name: &'static str, files: u64, bytes: u64) -> Lake {
        Lake { name, files, file_bytes: self.scaled(bytes, 1 << 20), files_per_directory: 100 }
    }

    /// As it stands behind figures.
    fn scale(&self) -> String {
        if self.scale == 1.0 { "full size".to_owned() } else { format!("SCALE {}", self.scale) }
    }
}

impl Case {
    pub async fn run(self, plan: &Plan, setting: &Setting) -> Result<()> {
        match self {
            Self::B1 => copy::run(plan, setting, &plan.small_files(), true).await,
            Self::B2 => copy::run(plan, setting, &plan.large_files("b2", 8, 1 << 30), false).await,
            Self::B3 => copy::run(plan, setting, &plan.large_files("b3", 1, 16 << 30), false).await,
            Self::Scan => scan::run(plan, setting).await,
            Self::Events => events::run(plan, setting).await,
            Self::Lag => lag::run(plan, setting).await,
            Self::Rescan => rescan::run(plan, setting).await,
        }
    }
}
