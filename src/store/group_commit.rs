//! One transaction for many changes: a task that owns the only writing connection. It drains the changes that queued while the
//! previous transaction became durable and commits them together, so that the cost of one flush is shared.
//!
//! It lives on the tokio runtime on which it was started and ends when the last [`GroupCommit`] is dropped. A caller that
//! stops waiting for its commit does not undo it.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::{mpsc, oneshot};

use crate::{Change, Error, Result};

/// Changes that may wait; a caller beyond that waits for room, which slows producers down to the disk's pace.
const QUEUE: usize = 1024;
/// Changes in one transaction: bounds the time that the first of them waits for the others.
const BATCH: usize = 256;

/// Who writes a batch.
pub trait Committer: Send + 'static {
    /// One outcome per change, in order, known to be durable. `Err`: the transaction as a whole failed, and none of the changes
    /// happened as far as can be told; the next call begins on a new connection.
    fn commit(&mut self, changes: Vec<Change>) -> impl Future<Output = Result<Vec<Result<()>>>> + Send;

    /// Nothing more will come.
    fn close(self) -> impl Future<Output = ()> + Send;
}

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
pub struct GroupCommit {
    requests: mpsc::Sender<Request>,
    counters: Arc<Counters>,
}

impl GroupCommit {
    pub fn start(committer: impl Committer) -> Self {
        let (requests, queue) = mpsc::channel(QUEUE);
        let counters = Arc::new(Counters::default());
        tokio::spawn(run(committer, queue, counters.clone()));
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

/// Ends when every sender is gone and the queue is empty.
async fn run(mut committer: impl Committer, mut queue: mpsc::Receiver<Request>, counters: Arc<Counters>) {
    let mut requests = Vec::with_capacity(BATCH);
    while queue.recv_many(&mut requests, BATCH).await > 0 {
        let (changes, replies): (Vec<_>, Vec<_>) =
            requests.drain(..).map(|request| (request.change, request.reply)).unzip();
        let count = changes.len();
        let outcomes = match committer.commit(changes).await {
            Ok(outcomes) => {
                counters.count(outcomes.iter().filter(|outcome| outcome.is_ok()).count());
                outcomes
            }
            Err(error) => {
                tracing::error!(%error, changes = count, "a transaction of the store failed");
                std::iter::repeat_with(|| Err(error.clone())).take(count).collect()
            }
        };
        for (reply, outcome) in replies.into_iter().zip(outcomes) {
            // A caller that no longer waits does not need the outcome.
            let _ = reply.send(outcome);
        }
    }
    committer.close().await;
}
