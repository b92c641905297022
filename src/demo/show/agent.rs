//! The agent as a process of its own: this program again, as `livedata agent`.

use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use tokio::process::{Child, Command};

use super::Error;

pub struct Installation<'a> {
    pub data: &'a Path,
    pub log: &'a Path,
    pub install_key: &'a str,
    pub hadoop_user: &'a str,
    pub local_directory: Option<&'a Path>,
}

pub struct Agent {
    child: Child,
    log: PathBuf,
}

impl Agent {
    /// Enrols with the key, then runs. The child ends when this process does, however that comes about: its standard
    /// input ends then.
    pub async fn install(installation: Installation<'_>) -> Result<Self, Error> {
        let Installation { data, log, install_key, hadoop_user, local_directory } = installation;
        let program = std::env::current_exe().map_err(Error::Agent)?;
        let command = |verb: &str| {
            let mut command = Command::new(&program);
            command.args(["agent", verb, "--data"]).arg(data).kill_on_drop(true);
            command
        };
        let enrolled =
            command("enrol").env("LIVEDATA_INSTALL_KEY", install_key).output().await.map_err(Error::Agent)?;
        if !enrolled.status.success() {
            let said = String::from_utf8_lossy(&enrolled.stderr).trim().to_owned();
            return Err(Error::Enrolment(said));
        }
        let output =
            OpenOptions::new().create(true).append(true).mode(0o600).open(log).map_err(Error::Agent)?;
        let mut command = command("run");
        if let Some(directory) = local_directory {
            command.arg("--local-directory").arg(directory);
        }
        let child = command
            .args(["--hadoop-user", hadoop_user, "--until-stdin-ends"])
            .stdin(Stdio::piped())
            .stdout(output.try_clone().map_err(Error::Agent)?)
            .stderr(output)
            .spawn()
            .map_err(Error::Agent)?;
        Ok(Self { child, log: log.to_owned() })
    }

    pub fn process_id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    /// Fails when the process is gone, which it should not be.
    pub fn check(&mut self) -> Result<(), Error> {
        match self.child.try_wait().map_err(Error::Agent)? {
            None => Ok(()),
            Some(status) => Err(Error::AgentEnded { status: status.to_string(), log: self.log.clone() }),
        }
    }

    /// Asks it to end and waits.
    pub async fn stop(mut self) -> Result<(), Error> {
        drop(self.child.stdin.take());
        self.child.wait().await.map(drop).map_err(Error::Agent)
    }
}
