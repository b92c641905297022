//! The two daemons as processes that outlive this program.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use crate::hadoop::{configuration, java};

/// A daemon that ignores the polite signal for this long is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// A daemon that was found running, or that this program has started.
pub struct Running {
    pub pid: u32,
    pub child: Option<Child>,
}

impl Running {
    /// A child is asked for directly: while it is being set up its command line may still be empty.
    pub fn has_ended(&mut self, daemon: Daemon, directory: &Path) -> Result<bool> {
        match &mut self.child {
            Some(child) => {
                Ok(child.try_wait().context("cannot ask for the state of a child process")?.is_some())
            }
            None => Ok(!daemon.is_alive(self.pid, directory)),
        }
    }
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Daemon {
    NameNode,
    DataNode,
}

impl Daemon {
    pub fn name(self) -> &'static str {
        match self {
            Self::NameNode => "namenode",
            Self::DataNode => "datanode",
        }
    }

    pub fn main_class(self) -> &'static str {
        match self {
            Self::NameNode => "org.apache.hadoop.hdfs.server.namenode.NameNode",
            Self::DataNode => "org.apache.hadoop.hdfs.server.datanode.DataNode",
        }
    }

    pub fn log(self, directory: &Path) -> PathBuf {
        directory.join("logs").join(format!("{}.log", self.name()))
    }

    /// Stands on the command line, so that a process id that was given to another program is recognised.
    fn mark(self, directory: &Path) -> String {
        format!("-Dlivedata.{}={}", self.name(), directory.display())
    }

    pub fn start(self, directory: &Path, classpath_file: &Path, heap: &str) -> Result<Running> {
        let log_path = self.log(directory);
        let log = File::create(&log_path).with_context(|| format!("cannot create {}", log_path.display()))?;
        let log_settings = directory.join("conf").join(format!("{}-log4j.properties", self.name()));
        let options = [
            format!("-Xmx{heap}"),
            self.mark(directory),
            format!("-Dlog4j.configuration=file://{}", log_settings.display()),
        ];
        let child = java::command(classpath_file, &options, self.main_class())?
            .env("HADOOP_USER_NAME", configuration::SUPERUSER)
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            // Ctrl-C in the terminal is for the program that asked, not for the daemons.
            .process_group(0)
            .spawn()
            .context("cannot run java")?;
        Ok(Running { pid: child.id(), child: Some(child) })
    }

    /// Whether this very daemon of this very instance runs as `pid`. A process that ended but was not collected by its
    /// parent has an empty command line and counts as ended.
    pub fn is_alive(self, pid: u32, directory: &Path) -> bool {
        let mark = self.mark(directory);
        std::fs::read(format!("/proc/{pid}/cmdline"))
            .is_ok_and(|line| line.split(|byte| *byte == 0).any(|argument| argument == mark.as_bytes()))
    }

    pub fn stop(self, pid: u32, directory: &Path) -> Result<()> {
        for signal in ["-TERM", "-KILL"] {
            // Fails when the process has just ended by itself, which the loop then sees.
            Command::new("kill")
                .args([signal, &pid.to_string()])
                .stderr(Stdio::null())
                .status()
                .context("cannot run kill")?;
            let asked = Instant::now();
            while asked.elapsed() < STOP_LIMIT {
                if !self.is_alive(pid, directory) {
                    return Ok(());
                }
                pause();
            }
        }
        anyhow::bail!("the {} (process {pid}) does not end", self.name())
    }

    /// Each start begins a new log.
    pub fn has_logged(self, directory: &Path, text: &str) -> bool {
        std::fs::read_to_string(self.log(directory)).is_ok_and(|log| log.contains(text))
    }
}

/// Between two looks at another process. There is nothing to be woken by: it is not our child, or not any more.
#[expect(
    clippy::disallowed_methods,
    reason = "this program has one thread and polls the state of other processes"
)]
pub fn pause() {
    std::thread::sleep(Duration::from_millis(200));
}
