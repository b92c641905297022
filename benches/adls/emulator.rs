//! `livedata adls-emulator` as a process of its own.

use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};
use clap::ValueEnum;

use crate::process::Running;

pub const ACCOUNT: &str = "lake";
/// base64 of the key
const KEY: &str = "bGl2ZWRhdGEgYmVuY2htYXJrczogdGhpcyBrZXkgaXMgbm8gc2VjcmV0";

const ADMIN_TOKEN: &str = "benchmarks";

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub enum Storage {
    Memory,
    Disk,
}

impl std::fmt::Display for Storage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(match self {
            Self::Memory => "memory",
            Self::Disk => "disk",
        })
    }
}

pub struct Emulator {
    running: Running,
    pub storage: Storage,
    pub address: SocketAddr,
    admin: String,
    folder: tempfile::TempDir,
}

/// `perf` beside the emulator, until it is let go of.
pub struct Profile {
    perf: Child,
}

impl Emulator {
    pub async fn start(storage: Storage) -> Result<Self> {
        // Where the build is: on a real disk.
        let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR"))?;
        let mut command = Command::new(env!("CARGO_BIN_EXE_livedata"));
        command.args(["adls-emulator", "--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"]);
        command.args(["--admin-token", ADMIN_TOKEN]);
        command.arg("--account").arg(format!("{ACCOUNT}={KEY}"));
        match storage {
            Storage::Memory => command.arg("--in-memory"),
            Storage::Disk => command.arg("--data").arg(folder.path().join("data")),
        };
        let running = Running::start(&mut command, &folder.path().join("log"))?;
        running.until_said("admin endpoint:").await?;
        let said = running.said();
        let url = said.lines().find_map(|line| line.strip_prefix("storage endpoint: http://"));
        let address = url.and_then(|url| url.split_once('/')).and_then(|(address, _)| address.parse().ok());
        let address = address.with_context(|| format!("the emulator did not say where it is:\n{said}"))?;
        let admin =
            said.lines().find_map(|line| line.strip_prefix("admin endpoint:")).unwrap_or_default().trim();
        Ok(Self { running, storage, address, admin: admin.to_owned(), folder })
    }

    pub fn pid(&self) -> u32 {
        self.running.pid()
    }

    pub fn key() -> &'static str {
        KEY
    }

    /// The most body bytes that arrived in any 1000 ms, since this was asked before.
    pub async fn peak_bytes_per_second(&self) -> Result<u64> {
        let url = format!("{}/accounts/{ACCOUNT}/traffic", self.admin);
        let client = reqwest::Client::new();
        let reply = client.get(&url).bearer_auth(ADMIN_TOKEN).send().await?.error_for_status()?;
        let told: serde_json::Value = reply.json().await?;
        client.delete(&url).bearer_auth(ADMIN_TOKEN).send().await?.error_for_status()?;
        told["peakIngressBytesPerSecond"].as_u64().context("the emulator does not tell its traffic")
    }

    /// What it holds now.
    pub fn memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse::<u64>().ok());
        kib.unwrap_or_default() * 1024
    }

    /// Of the files of the index; 0 in memory.
    pub fn index_bytes(&self) -> u64 {
        let data = self.folder.path().join("data");
        let size = |name: &str| std::fs::metadata(data.join(name)).map_or(0, |metadata| metadata.len());
        size("index.sqlite") + size("index.sqlite-wal")
    }

    pub fn profile(&self) -> Result<Profile> {
        let file = std::env::temp_dir().join(format!("adls-emulator-{}.perf", self.pid()));
        println!("perf report -i {} --no-children -g none", file.display());
        let mut command = Command::new("perf");
        command.args(["record", "-F", "499", "-g", "-p", &self.pid().to_string(), "-o"]).arg(file);
        let perf = command.stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot run perf")?;
        Ok(Profile { perf })
    }
}

impl Drop for Profile {
    fn drop(&mut self) {
        // SIGINT, so that it writes what it has.
        let _ = Command::new("kill").args(["-INT", &self.perf.id().to_string()]).status();
        let _ = self.perf.wait();
    }
}
