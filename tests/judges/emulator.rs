//! `livedata adls-emulator` as a process with one account.

use tempfile::TempDir;

use crate::site::{LIVEDATA, Process};

pub const ACCOUNT: &str = "judge";
/// 64 bytes, as the service's keys have.
pub const KEY: &str =
    "anVkZ2VqdWRnZWp1ZGdlanVkZ2VqdWRnZWp1ZGdlanVkZ2VqdWRnZWp1ZGdlanVkZ2VqdWRnZWp1ZGdlanVkZ2U=";

pub struct Emulator {
    // Before the folder, so that it has ended when that is removed.
    process: Process,
    folder: TempDir,
}

impl Emulator {
    pub async fn start() -> Self {
        Self::start_with(&[]).await
    }

    /// With further arguments.
    pub async fn start_with(more: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data").display().to_string();
        let account = format!("{ACCOUNT}={KEY}");
        let arguments = ["adls-emulator", "--data", &data, "--account", &account, "--admin-token", "judge"];
        let anywhere = ["--listen", "127.0.0.1:0", "--admin-listen", "127.0.0.1:0"];
        let process = Process::start(LIVEDATA, &[&arguments[..], &anywhere, more].concat(), &[]);
        process.wait_until_said("admin endpoint").await;
        Self { process, folder }
    }

    /// Scheme, address and port.
    pub fn endpoint(&self) -> String {
        self.said("storage endpoint: ").strip_suffix("/ACCOUNT").unwrap().to_owned()
    }

    /// Its admin token is `judge`.
    pub fn admin(&self) -> String {
        self.said("admin endpoint: ")
    }

    fn said(&self, what: &str) -> String {
        let said = self.process.said();
        let found = said.lines().find_map(|line| line.strip_prefix(what));
        found.unwrap_or_else(|| panic!("no {what:?} in: {said}")).trim().to_owned()
    }

    /// Address and port.
    pub fn address(&self) -> String {
        self.endpoint().split_once("://").unwrap().1.to_owned()
    }

    /// In path style.
    pub fn account_url(&self) -> String {
        format!("{}/{ACCOUNT}", self.endpoint())
    }

    /// A folder for something else.
    pub fn beside(&self, name: &str) -> std::path::PathBuf {
        self.folder.path().join(name)
    }
}
