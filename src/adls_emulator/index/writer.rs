//! The writer thread: group commit.
//!
//! Each mutation runs inside a savepoint, so a refused one leaves nothing while its neighbours in the same transaction go on.

use std::path::PathBuf;
use std::sync::{Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::{Connection, TransactionBehavior};
use tokio::sync::oneshot;

use crate::clock;
use crate::service_error::ServiceError;

/// Mutations in one transaction at most, so that the first of a burst does not wait for all of it.
const MAX_BATCH: usize = 512;

type Answer = Box<dyn FnOnce(Result<(), ServiceError>) + Send>;
type Job = Box<dyn FnOnce(&mut Writing<'_>) -> Answer + Send>;

/// What a mutation works with.
pub(crate) struct Writing<'a> {
    pub connection: &'a Connection,
    pub now_ms: i64,
    last_etag: i64,
    /// Files to unlink once the transaction is committed.
    pub unlink: Vec<PathBuf>,
}

impl Writing<'_> {
    pub(crate) fn next_etag(&mut self) -> i64 {
        self.last_etag = clock::etag_floor().max(self.last_etag + 1);
        self.last_etag
    }
}

pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

pub(super) fn last_etag(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM counters WHERE name = 'etag'", [], |row| row.get(0))
}

impl Writer {
    pub(super) fn start(connection: Connection, last_etag: i64) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("adls-index-writer".to_owned())
            .spawn(move || run(connection, last_etag, &queue))?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn submit<T, F>(&self, mutation: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |writing| {
            let outcome = in_savepoint(writing, mutation);
            // A caller that went away does not want the answer.
            Box::new(move |committed| drop(reply.send(committed.and(outcome))))
        });
        let sent = match self.jobs.lock().unwrap_or_else(PoisonError::into_inner).as_ref() {
            Some(jobs) => jobs.send(job).is_ok(),
            None => false,
        };
        if !sent {
            return Err(ServiceError::stopping());
        }
        answer.await.map_err(|_| ServiceError::stopping())?
    }

    pub(super) fn stop(&self) {
        self.jobs.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the index writer thread had panicked");
        }
    }
}

fn run(mut connection: Connection, mut last_etag: i64, queue: &mpsc::Receiver<Job>) {
    while let Ok(first) = queue.recv() {
        let batch = std::iter::once(first).chain(queue.try_iter().take(MAX_BATCH - 1));
        let mut answers = Vec::new();
        let (outcome, unlink) = transact(&mut connection, &mut last_etag, batch, &mut answers);
        for answer in answers {
            answer(outcome.clone());
        }
        for path in unlink {
            crate::content::unlink(&path);
        }
    }
}

fn transact(
    connection: &mut Connection,
    last_etag: &mut i64,
    batch: impl Iterator<Item = Job>,
    answers: &mut Vec<Answer>,
) -> (Result<(), ServiceError>, Vec<PathBuf>) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        // The jobs are dropped, which their callers see as `stopping`.
        Err(error) => return (Err(error.into()), Vec::new()),
    };
    let mut writing = Writing {
        connection: &transaction,
        now_ms: clock::now_ms(),
        last_etag: *last_etag,
        unlink: Vec::new(),
    };
    for job in batch {
        answers.push(job(&mut writing));
    }
    *last_etag = writing.last_etag;
    let unlink = writing.unlink;
    let saved = transaction
        .prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'etag'")
        .and_then(|mut statement| statement.execute([*last_etag]));
    match saved.and_then(|_| transaction.commit()) {
        Ok(()) => (Ok(()), unlink),
        Err(error) => (Err(error.into()), Vec::new()),
    }
}

fn in_savepoint<T>(
    writing: &mut Writing<'_>,
    mutation: impl FnOnce(&mut Writing<'_>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let connection = writing.connection;
    let run = |sql: &str| connection.prepare_cached(sql)?.execute([]);
    run("SAVEPOINT mutation")?;
    let planned_unlinks = writing.unlink.len();
    match mutation(writing) {
        Ok(value) => {
            run("RELEASE mutation")?;
            Ok(value)
        }
        Err(error) => {
            writing.unlink.truncate(planned_unlinks);
            run("ROLLBACK TO mutation")?;
            run("RELEASE mutation")?;
            Err(error)
        }
    }
}
