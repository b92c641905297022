//! The task that owns the writing connection.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use sqlx::Connection;
use sqlx::sqlite::{SqliteConnectOptions, SqliteConnection};
use tokio::sync::{mpsc, oneshot};

use super::batch;
use crate::{Change, Error, Result};

/// Changes that may wait; a caller beyond that waits for room, which slows producers down to the disk's pace.
const QUEUE: usize = 1024;
/// Changes in one transaction: bounds the time that the first of them waits for the others.
const BATCH: usize = 256;

/// For metrics, and for the test that changes really share transactions.
#[derive(Debug, Default)]
pub struct Counters {
    transactions: AtomicU64,
    changes: AtomicU64,
}

impl Counters {
    /// Transactions that reached the disk.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Ordering::Relaxed)
    }

    /// Changes in them that were applied.
    pub fn changes(&self) -> u64 {
        self.changes.load(Ordering::Relaxed)
    }

    fn count(&self, changes: usize) {
        self.transactions.fetch_add(1, Ordering::Relaxed);
        self.changes.fetch_add(changes as u64, Ordering::Relaxed);
    }
}

/// One queued change and who waits for its outcome.
struct Request {
    change: Change,
    reply: oneshot::Sender<Result<()>>,
}

#[derive(Debug)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
}

impl Writer {
    pub fn start(options: SqliteConnectOptions, connection: SqliteConnection) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let counters = Arc::new(Counters::default());
        let task = Task { options, connection: Some(connection), queue, counters: counters.clone() };
        tokio::spawn(task.run());
        Self { requests, counters }
    }

    pub async fn commit(&self, change: Change) -> Result<()> {
        let ended = || {
            Error::Unavailable(
                "the store's writer has ended; the runtime that opened the store is gone".into(),
            )
        };
        let (reply, outcome) = oneshot::channel();
        self.requests.send(Request { change, reply }).await.map_err(|_| ended())?;
        outcome.await.map_err(|_| ended())?
    }

    pub fn counters(&self) -> Arc<Counters> {
        self.counters.clone()
    }
}

struct Task {
    options: SqliteConnectOptions,
    /// `None` after a transaction failed as a whole: the next batch starts on a new connection.
    connection: Option<SqliteConnection>,
    queue: mpsc::Receiver<Request>,
    counters: Arc<Counters>,
}

impl Task {
    /// Ends when every sender is gone and the queue is empty.
    async fn run(mut self) {
        let mut requests = Vec::with_capacity(BATCH);
        while self.queue.recv_many(&mut requests, BATCH).await > 0 {
            let (changes, replies): (Vec<_>, Vec<_>) =
                requests.drain(..).map(|request| (request.change, request.reply)).unzip();
            let outcomes = match self.commit(&changes).await {
                Ok(outcomes) => {
                    self.counters.count(outcomes.iter().filter(|outcome| outcome.is_ok()).count());
                    outcomes
                }
                Err(error) => {
                    tracing::error!(%error, changes = changes.len(), "a transaction of the store failed");
                    self.connection = None;
                    changes.iter().map(|_| Err(super::failed(&error))).collect()
                }
            };
            for (reply, outcome) in replies.into_iter().zip(outcomes) {
                // A caller that no longer waits does not need the outcome.
                let _ = reply.send(outcome);
            }
        }
        if let Some(connection) = self.connection
            && let Err(error) = connection.close().await
        {
            tracing::warn!(%error, "the store's file did not close cleanly; its log is replayed at the next start");
        }
    }

    async fn commit(&mut self, changes: &[Change]) -> std::result::Result<Vec<Result<()>>, sqlx::Error> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(SqliteConnection::connect_with(&self.options).await?),
        };
        batch::commit(connection, changes).await
    }
}
