//! Who changes the lake meanwhile, as a process of its own: this program again, as `livedata churn`.

use std::process::Stdio;
use std::time::Duration;

use livedata_workload::SourceSide;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdout, Command};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Error;
use crate::churn::Told;

/// One that is asked to end ends after the operations that are going on; at the latest it is killed.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

pub struct Churner {
    child: Child,
    /// So far.
    changes: watch::Receiver<u64>,
    listening: JoinHandle<Option<String>>,
    complaining: JoinHandle<String>,
}

impl Churner {
    /// The child ends when this process does, however that comes about: its standard input ends then.
    pub fn start(source: &SourceSide, web: Option<&str>, rate: u32, seed: u64) -> Result<Self, Error> {
        let mut command = Command::new(std::env::current_exe().map_err(Error::Churner)?);
        command.args(["churn", "--for-a-program", "--rate", &rate.to_string(), "--seed", &seed.to_string()]);
        match source {
            SourceSide::Directory(directory) => {
                command.arg("--directory").arg(directory);
            }
            SourceSide::Hdfs(hdfs) => {
                let mut url = url::Url::parse(&hdfs.url).map_err(crate::environment::Error::Url)?;
                url.set_path(&hdfs.path);
                command.args(["--hdfs", url.as_str(), "--hadoop-user", &hdfs.user]);
                command.args(["--web", web.ok_or(Error::NoWeb)?]);
            }
        }
        let mut child = command
            .kill_on_drop(true)
            // Ctrl-C in a terminal is for the demo, which ends its children in order.
            .process_group(0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(Error::Churner)?;
        let (told, changes) = watch::channel(0);
        let listening = tokio::spawn(listen(child.stdout.take(), told));
        let complaining = tokio::spawn(read(child.stderr.take()));
        Ok(Self { child, changes, listening, complaining })
    }

    pub fn process_id(&self) -> u32 {
        self.child.id().unwrap_or_default()
    }

    pub fn changes(&self) -> u64 {
        *self.changes.borrow()
    }

    /// Whether it has ended, which it should not by itself.
    pub fn has_ended(&mut self) -> Result<bool, Error> {
        Ok(self.child.try_wait().map_err(Error::Churner)?.is_some())
    }

    /// Asks it to end and waits. What it has done, for people.
    pub async fn stop(mut self) -> Result<String, Error> {
        drop(self.child.stdin.take());
        let ended = tokio::time::timeout(ENDS_WITHIN, self.child.wait()).await;
        let Ok(ended) = ended else {
            self.child.kill().await.map_err(Error::Churner)?;
            return Err(Error::ChurnerEnded(format!("it did not end within {} s", ENDS_WITHIN.as_secs())));
        };
        let status = ended.map_err(Error::Churner)?;
        let broken = |error: tokio::task::JoinError| Error::Broken(error.to_string());
        let (summary, complaint) =
            (self.listening.await.map_err(broken)?, self.complaining.await.map_err(broken)?);
        match summary {
            Some(summary) if status.success() => Ok(summary),
            _ if complaint.is_empty() => Err(Error::ChurnerEnded(status.to_string())),
            _ => Err(Error::ChurnerEnded(complaint.trim().trim_start_matches("error: ").to_owned())),
        }
    }
}

async fn listen(output: Option<ChildStdout>, told: watch::Sender<u64>) -> Option<String> {
    let mut summary = None;
    let mut lines = BufReader::new(output?).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        match Told::read(&line) {
            Told::Changes(changes) => drop(told.send_replace(changes)),
            Told::Summary(text) => summary = Some(text),
        }
    }
    summary
}

async fn read(output: Option<ChildStderr>) -> String {
    let mut text = Vec::new();
    if let Some(mut output) = output {
        // What was read until an error is all there is.
        let _ = output.read_to_end(&mut text).await;
    }
    String::from_utf8_lossy(&text).into_owned()
}
