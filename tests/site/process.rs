//! One of our programs, running. It is killed when it is let go of.

use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncRead, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::watch;

const PATIENCE: Duration = Duration::from_secs(120);

pub struct Process {
    child: Child,
    /// Standard output and standard error, lines as they came.
    said: Arc<Mutex<Vec<String>>>,
    lines: watch::Receiver<usize>,
}

impl Process {
    pub fn start(program: &str, arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = Command::new(program)
            .args(arguments)
            .envs(variables.iter().copied())
            .env_remove("LIVEDATA_LOG")
            // Errors that are part of the work would be traced, too, and cost more than the work.
            .env("RUST_LIB_BACKTRACE", "0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .unwrap();
        let (count, lines) = watch::channel(0);
        let (said, count) = (Arc::new(Mutex::new(Vec::new())), Arc::new(count));
        tokio::spawn(listen(child.stdout.take().unwrap(), Arc::clone(&said), Arc::clone(&count)));
        tokio::spawn(listen(child.stderr.take().unwrap(), Arc::clone(&said), count));
        Self { child, said, lines }
    }

    /// Everything that it has said.
    pub fn said(&self) -> String {
        self.said.lock().unwrap().join("\n")
    }

    pub async fn wait_until_said(&self, part: &str) {
        let (said, mut lines) = (Arc::clone(&self.said), self.lines.clone());
        let found = lines.wait_for(|_| said.lock().unwrap().iter().any(|line| line.contains(part)));
        let found = tokio::time::timeout(PATIENCE, found).await.is_ok_and(|found| found.is_ok());
        assert!(found, "{part:?} was never said, but:\n{}", self.said());
    }

    /// Waits for its end; its status and what it said.
    pub async fn finish(&mut self) -> (ExitStatus, String) {
        let status = tokio::time::timeout(PATIENCE, self.child.wait()).await;
        let Ok(status) = status else { panic!("it does not end; it said:\n{}", self.said()) };
        // Both pipes are at their end when nobody counts lines any more.
        let pipes = async { while self.lines.changed().await.is_ok() {} };
        let ended = tokio::time::timeout(PATIENCE, pipes).await;
        assert!(ended.is_ok(), "somebody holds its pipes open; it said:\n{}", self.said());
        (status.unwrap(), self.said())
    }

    /// The most memory that it has held at a time.
    pub fn peak_memory_bytes(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id().unwrap())).unwrap();
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        peak.trim().trim_end_matches(" kB").parse::<u64>().unwrap() * 1024
    }

    /// SIGTERM; see [`Process::finish`].
    pub async fn terminate(mut self) -> (ExitStatus, String) {
        self.signal("-TERM").await;
        self.finish().await
    }

    /// `kill -SIGNAL`.
    pub async fn signal(&self, signal: &str) {
        let id = self.child.id().unwrap().to_string();
        let sent = Command::new("kill").args([signal, &id]).status().await.unwrap();
        assert!(sent.success());
    }

    /// kill -9.
    pub async fn kill(mut self) {
        self.child.kill().await.unwrap();
    }
}

async fn listen(
    output: impl AsyncRead + Unpin,
    said: Arc<Mutex<Vec<String>>>,
    count: Arc<watch::Sender<usize>>,
) {
    let mut lines = BufReader::new(output).lines();
    while let Ok(Some(line)) = lines.next_line().await {
        said.lock().unwrap().push(line);
        count.send_modify(|count| *count += 1);
    }
}
