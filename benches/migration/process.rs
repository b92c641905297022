//! Children of this program, and what the kernel says of a process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::time::{Instant, sleep};

/// `USER_HZ`, in which `/proc` counts.
pub const TICKS_PER_SECOND: f64 = 100.0;
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// CPU time of a process and of its children that have ended. A process that has ended is still told of until it is waited for.
pub fn cpu_seconds(pid: u32) -> Option<f64> {
    Some(stat(pid)?.0)
}

/// CPU seconds, and whether it has ended.
fn stat(pid: u32) -> Option<(f64, bool)> {
    let text = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, fields) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = fields.split(' ').collect();
    // utime, stime, cutime, cstime, counted from the state
    let ticks = fields.get(11..15)?.iter().filter_map(|ticks| ticks.parse::<f64>().ok());
    Some((ticks.sum::<f64>() / TICKS_PER_SECOND, *fields.first()? == "Z"))
}

/// The most memory that a living process has held.
pub fn peak_bytes(pid: u32) -> Option<u64> {
    kib(&format!("/proc/{pid}/status"), "VmHWM:")
}

pub fn memory_total_bytes() -> u64 {
    kib("/proc/meminfo", "MemTotal:").unwrap_or_default()
}

fn kib(file: &str, field: &str) -> Option<u64> {
    let text = std::fs::read_to_string(file).ok()?;
    let value = text.lines().find_map(|line| line.strip_prefix(field))?;
    value.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kib| kib * 1024)
}

/// What a process took.
#[derive(Clone, Copy, Debug)]
pub struct Taken {
    pub elapsed: Duration,
    pub cpu_seconds: f64,
    pub peak_bytes: u64,
}

/// Runs a command to its end; what it says goes to `log`.
pub async fn measured(command: &mut Command, log: &Path) -> Result<Taken> {
    let begun = Instant::now();
    let mut child = Running::start(command, log)?;
    let mut peak = 0;
    loop {
        peak = peak.max(peak_bytes(child.pid()).unwrap_or(0));
        // Not waited for yet, so its times are still to be had.
        if let Some((cpu_seconds, true)) = stat(child.pid()) {
            let elapsed = begun.elapsed();
            let status = child.child.wait()?;
            ensure!(status.success(), "{} ended with {status}; it said:\n{}", child.name, child.tail());
            return Ok(Taken { elapsed, cpu_seconds, peak_bytes: peak });
        }
        sleep(LOOK_EVERY).await;
    }
}

/// A child that says things to a file. It is killed when it is let go of.
pub struct Running {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Running {
    pub fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name =
            Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let child = command
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .with_context(|| format!("cannot run {name}"))?;
        Ok(Self { child, name, log: log.to_owned() })
    }

    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    pub fn said(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    fn tail(&self) -> String {
        let said = self.said();
        let lines: Vec<&str> = said.lines().collect();
        lines[lines.len().saturating_sub(15)..].join("\n")
    }

    /// Waits until it says this; an error if it ends before.
    pub async fn until_said(&self, what: &str) -> Result<()> {
        while !self.said().contains(what) {
            let ended = stat(self.pid()).is_none_or(|(_, ended)| ended);
            ensure!(!ended || self.said().contains(what), "{} ended; it said:\n{}", self.name, self.tail());
            sleep(LOOK_EVERY).await;
        }
        Ok(())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // One that has ended already cannot be killed, which is as well.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
