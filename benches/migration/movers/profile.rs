//! Where a process spends its time, by `perf`: functions, most expensive first.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::Job;

const LINES: usize = 40;

pub struct Profile {
    recorder: Child,
    data: PathBuf,
}

impl Profile {
    pub fn start(job: &Job<'_>, pid: u32) -> Result<Self> {
        let data = job.setting.folder().join(format!("{}.perf", job.name));
        let recorder = Command::new("perf")
            .args(["record", "--quiet", "--freq", "499", "--pid", &pid.to_string(), "--output"])
            .arg(&data)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .context("cannot run perf: Debian has it in linux-perf")?;
        Ok(Self { recorder, data })
    }

    pub fn show(mut self) -> Result<()> {
        // Interrupted, it writes down what it has.
        let asked = Command::new("kill").args(["-INT", &self.recorder.id().to_string()]).status()?;
        ensure!(asked.success(), "perf had ended before");
        self.recorder.wait()?;
        let report = Command::new("perf")
            .args([
                "report",
                "--stdio",
                "--no-children",
                "--sort",
                "dso,symbol",
                "--percent-limit",
                "0.5",
                "--input",
            ])
            .arg(&self.data)
            .output()?;
        let report = String::from_utf8_lossy(&report.stdout);
        for line in report.lines().filter(|line| !line.is_empty() && !line.starts_with('#')).take(LINES) {
            println!("    {}", line.trim_end());
        }
        Ok(())
    }
}
