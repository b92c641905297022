//! What is measured.

mod cap;
mod large;
mod small;
mod tree;

use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

use crate::emulator::{Emulator, Storage};
use crate::table::Table;
use crate::{machine, process};

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Case {
    /// 100,000 files of 4 KiB in 100 directories: create, append with flush; by the loader and by our client
    Small,
    /// 1 file of 8 GiB, in pieces of 8 MiB over 4 connections, in any order; by the loader and by our client
    Large,
    /// A directory of 1,000,000 files: made, listed, renamed; memory
    Tree,
    /// Our client with a bandwidth cap of 10, 50, 200 MB/s, 20 s each: what arrives at the emulator
    Cap,
}

pub struct Plan {
    pub scale: f64,
    pub connections: usize,
    pub force: bool,
    pub profile: bool,
}

impl Case {
    pub const ALL: [Self; 4] = [Self::Small, Self::Large, Self::Tree, Self::Cap];

    pub fn storages(self) -> &'static [Storage] {
        match self {
            Self::Small => &[Storage::Memory, Storage::Disk],
            Self::Large | Self::Cap => &[Storage::Memory],
            Self::Tree => &[Storage::Disk],
        }
    }

    pub async fn run(self, plan: &Plan, storage: Storage, table: &mut Table) -> Result<()> {
        match self {
            Self::Small => small::run(plan, storage, table).await,
            Self::Large => large::run(plan, storage, table).await,
            Self::Tree => tree::run(plan, storage, table).await,
            Self::Cap => cap::run(plan, storage, table).await,
        }
    }
}

impl Plan {
    /// A new one, on a machine that is quiet.
    async fn emulator(&self, storage: Storage) -> Result<Emulator> {
        let emulator = Emulator::start(storage).await?;
        machine::ensure_quiet(&[emulator.pid()], self.force).await?;
        Ok(emulator)
    }

    fn scaled(&self, full: u64) -> u64 {
        ((full as f64 * self.scale).round() as u64).max(1)
    }
}

/// What a stretch of work took.
pub struct Taken {
    pub elapsed: Duration,
    pub emulator_cpu_seconds: f64,
    pub loader_cpu_seconds: f64,
    /// Share of the machine that others had.
    pub others: f64,
}

impl Taken {
    /// Both, one after the other.
    fn after(self, earlier: Option<Self>) -> Self {
        let Some(earlier) = earlier else { return self };
        Self {
            elapsed: self.elapsed + earlier.elapsed,
            emulator_cpu_seconds: self.emulator_cpu_seconds + earlier.emulator_cpu_seconds,
            loader_cpu_seconds: self.loader_cpu_seconds + earlier.loader_cpu_seconds,
            others: self.others.max(earlier.others),
        }
    }
}

fn measured(plan: &Plan, emulator: &Emulator, work: impl FnOnce() -> Result<()>) -> Result<Taken> {
    let cpu = |pid| process::cpu_seconds(pid).unwrap_or(0.0);
    let _profile = plan.profile.then(|| emulator.profile()).transpose()?;
    let watch = machine::Watch::start(&[emulator.pid()]);
    let before = (cpu(emulator.pid()), cpu(std::process::id()));
    let begun = std::time::Instant::now();
    work()?;
    Ok(Taken {
        elapsed: begun.elapsed(),
        emulator_cpu_seconds: cpu(emulator.pid()) - before.0,
        loader_cpu_seconds: cpu(std::process::id()) - before.1,
        others: watch.others(0.0),
    })
}
