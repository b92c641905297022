//! A NameNode of a few lines: one directory with nothing in it, and a log of renames elsewhere that it tells as fast as it
//! is asked.
//!
//! Answers are made before the clock starts, so that what is measured is the one who reads them.

mod wire;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout};

const DIRECTORY: &str = "/quiet";
/// Where its log is when the agent begins.
const FIRST: i64 = 1_000;
const WITHIN: Duration = Duration::from_secs(600);

pub struct FakeNameNode {
    address: String,
    log: Arc<Log>,
    _serving: JoinSet<()>,
}

/// The edit log, cut into answers.
struct Log {
    answers: Vec<Bytes>,
    per_read: i64,
    /// Before, the log ends at [`FIRST`].
    told: AtomicBool,
    /// When what comes after the last transaction was asked for.
    ended: watch::Sender<Option<Instant>>,
}

impl Log {
    fn last(&self) -> i64 {
        if self.told.load(Ordering::Acquire) {
            FIRST + self.answers.len() as i64 * self.per_read
        } else {
            FIRST
        }
    }

    fn edits(&self, from: i64) -> Bytes {
        let last = self.last();
        if (FIRST + 1..=last).contains(&from)
            && let Some(answer) =
                usize::try_from((from - FIRST - 1) / self.per_read).ok().and_then(|n| self.answers.get(n))
        {
            return answer.clone();
        }
        // Everybody asks for the end of all logs to know where this one is.
        if from == last + 1 && last > FIRST {
            self.ended.send_if_modified(|ended| ended.is_none() && ended.replace(Instant::now()).is_none());
        }
        wire::no_edits(last)
    }
}

impl FakeNameNode {
    pub async fn start(events: u64, per_read: u64) -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let address = listener.local_addr()?.to_string();
        let (per_read, reads) = (i64::try_from(per_read)?, i64::try_from(events.div_ceil(per_read))?);
        let last = FIRST + reads * per_read;
        let answers =
            (0..reads).map(|read| wire::edits(FIRST + 1 + read * per_read, per_read, last)).collect();
        let log =
            Arc::new(Log { answers, per_read, told: AtomicBool::new(false), ended: watch::channel(None).0 });
        let mut serving = JoinSet::new();
        let shared = Arc::clone(&log);
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                let log = Arc::clone(&shared);
                connections.spawn(async move {
                    let answers = |method: &str, body: &[u8]| answer(&log, method, body);
                    // A connection that breaks is the client's to open again.
                    let _ = wire::serve(stream, answers).await;
                });
            }
        });
        Ok(Self { address, log, _serving: serving })
    }

    pub fn address(&self) -> &str {
        &self.address
    }

    pub fn directory(&self) -> &'static str {
        DIRECTORY
    }

    /// Shows all events; how long it took until somebody asked for what comes after the last.
    pub async fn tell_all(&self) -> Result<Duration> {
        let mut ended = self.log.ended.subscribe();
        let begun = Instant::now();
        self.log.told.store(true, Ordering::Release);
        let ended =
            timeout(WITHIN, ended.wait_for(Option::is_some)).await.context("the events were never read")?;
        let ended = ended?.context("no time")?;
        Ok(ended - begun)
    }
}

fn answer(log: &Log, method: &str, body: &[u8]) -> Option<Bytes> {
    Some(match method {
        "getFileInfo" | "getLocatedFileInfo" => wire::directory(DIRECTORY),
        "getListing" => wire::empty_listing(),
        "getXAttrs" => Bytes::new(),
        "getCurrentEditLogTxid" => wire::number(log.last()),
        "versionRequest" => wire::namespace(),
        "getEditsFromTxid" => log.edits(wire::asked_number(body)?),
        _ => return None,
    })
}
