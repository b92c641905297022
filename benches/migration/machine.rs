//! The machine: what it is, and whether others worked on it while we measured.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

use crate::process;

/// More than this share of the machine used by others, and figures are not worth printing.
const MOST_OF_OTHERS: f64 = 0.05;
const LOOK: Duration = Duration::from_secs(3);

/// One line: date, commit, machine.
pub fn describe() -> String {
    let said = |program: &str, arguments: &[&str]| {
        let output =
            Command::new(program).args(arguments).output().ok().filter(|output| output.status.success());
        output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()).unwrap_or_default()
    };
    let changed =
        if said("git", &["status", "--porcelain", "-uno"]).is_empty() { "" } else { " with changes" };
    let information = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = information.lines().find_map(|line| line.strip_prefix("model name")?.split_once(": "));
    format!(
        "{}; commit {}{changed}; {} x {}, {} GB memory, Linux {}",
        said("date", &["-u", "+%Y-%m-%d %H:%M UTC"]),
        said("git", &["rev-parse", "--short", "HEAD"]),
        cores(),
        model.map_or("unknown CPU", |(_, model)| model),
        process::memory_total_bytes() / 1_000_000_000,
        said("uname", &["-r"]),
    )
}

/// Fails early instead of in the middle of a copy.
pub fn ensure_room(folder: &Path, bytes: u64) -> Result<()> {
    let listing = Command::new("df").args(["-P", "-k"]).arg(folder).output()?;
    let listing = String::from_utf8_lossy(&listing.stdout).into_owned();
    let free = listing.lines().nth(1).and_then(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok());
    let free = free.with_context(|| format!("df says something unexpected: {listing}"))? * 1024;
    ensure!(
        free >= bytes,
        "{} has {} GB free and this takes {}: make room, or give a --scale, which is said with every figure",
        folder.display(),
        free >> 30,
        bytes >> 30
    );
    Ok(())
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

/// Watches how much of the machine is used by processes that are not ours.
pub struct Watch {
    since: Instant,
    busy: f64,
    ours: HashMap<u32, f64>,
}

impl Watch {
    /// `ours`: the processes that belong to what is measured, besides this one.
    pub fn start(ours: &[u32]) -> Self {
        let mut all = ours.to_vec();
        all.push(std::process::id());
        let ours = all.into_iter().map(|pid| (pid, process::cpu_seconds(pid).unwrap_or(0.0))).collect();
        Self { since: Instant::now(), busy: busy_seconds(), ours }
    }

    /// Share of the machine that others had since the start. `ended`: CPU seconds of children of ours that are gone.
    pub fn others(&self, ended: f64) -> f64 {
        let ours: f64 = self
            .ours
            .iter()
            .map(|(pid, before)| (process::cpu_seconds(*pid).unwrap_or(*before) - before).max(0.0))
            .sum();
        let others = (busy_seconds() - self.busy - ours - ended).max(0.0);
        others / (self.since.elapsed().as_secs_f64() * cores() as f64)
    }
}

/// Refuses to begin while others use the machine, unless `force`.
pub async fn ensure_quiet(ours: &[u32], force: bool) -> Result<()> {
    let watch = Watch::start(ours);
    sleep(LOOK).await;
    let others = watch.others(0.0);
    ensure!(
        force || others <= MOST_OF_OTHERS,
        "others use {:.0} % of this machine: figures would mean little; wait until they are done, or say --force",
        others * 100.0
    );
    Ok(())
}

/// What stands behind a figure that was taken while others worked.
pub fn mark(others: f64) -> String {
    if others <= MOST_OF_OTHERS {
        String::new()
    } else {
        format!(" BUSY: others had {:.0} %", others * 100.0)
    }
}

pub fn is_quiet(others: f64) -> bool {
    others <= MOST_OF_OTHERS
}

/// CPU seconds that anything has used since the machine started.
fn busy_seconds() -> f64 {
    let text = std::fs::read_to_string("/proc/stat").unwrap_or_default();
    let fields = text.lines().next().unwrap_or_default().split_whitespace().skip(1);
    let ticks: Vec<f64> = fields.filter_map(|field| field.parse().ok()).collect();
    // user, nice, system, (idle, iowait,) irq, softirq, steal
    let busy = [0, 1, 2, 5, 6, 7].iter().filter_map(|field| ticks.get(*field));
    busy.sum::<f64>() / process::TICKS_PER_SECOND
}

/// Waits until these processes have nothing to do any more: what one copy left behind must not slow the next one.
pub async fn settle(pids: &[u32]) {
    let used = || pids.iter().filter_map(|pid| process::cpu_seconds(*pid)).sum::<f64>();
    let pause = Duration::from_secs(1);
    for _ in 0..120 {
        let before = used();
        sleep(pause).await;
        if used() - before < 0.15 {
            return;
        }
    }
}
