//! Mutations: each in a transaction, or in a savepoint of one that it shares, so a refused one leaves nothing.
//!
//! On disk a thread runs them in arrival order, as many as are waiting in one transaction, and answers them after the commit.

use std::sync::{Arc, Mutex, PoisonError, mpsc};
use std::thread::JoinHandle;

use rusqlite::Connection;
use tokio::sync::oneshot;

use crate::clock;
use crate::content::{Content, Name};
use crate::service_error::ServiceError;

/// Mutations in one transaction at most, so that the first of a burst does not wait for all of it.
const MAX_BATCH: usize = 512;

type Answer = Box<dyn FnOnce(Result<(), ServiceError>) + Send>;
/// With why not, where no transaction could be begun.
type Job = Box<dyn FnOnce(Result<&mut Writing<'_>, ServiceError>) -> Answer + Send>;

/// What a mutation works with.
pub(crate) struct Writing<'a> {
    pub connection: &'a Connection,
    pub now_ms: i64,
    last_etag: i64,
    /// To be removed once the transaction is committed.
    pub unlink: Vec<Name>,
    /// To be removed if the transaction cannot be committed. Mutations fill it when nothing of them can be refused any more.
    pub kept: Vec<Name>,
}

impl Writing<'_> {
    pub(crate) fn next_etag(&mut self) -> i64 {
        self.last_etag = clock::etag_floor().max(self.last_etag + 1);
        self.last_etag
    }
}

/// The connection that mutations run on, and what goes with it.
pub(super) struct Mutable {
    pub(super) connection: Connection,
    pub(super) last_etag: i64,
    pub(super) content: Arc<Content>,
}

impl Mutable {
    /// One mutation in a transaction of its own. For an index that is not kept: the last ETag is not saved.
    pub(super) fn run_one<T>(
        &mut self,
        mutation: impl FnOnce(&mut Writing<'_>) -> Result<T, ServiceError>,
    ) -> Result<T, ServiceError> {
        execute(&self.connection, "BEGIN IMMEDIATE")?;
        let mut writing = self.writing();
        let outcome = mutation(&mut writing);
        let Writing { last_etag, unlink, kept, .. } = writing;
        self.last_etag = last_etag;
        let ended = outcome.and_then(|value| Ok((value, execute(&self.connection, "COMMIT")?)));
        match ended {
            Ok((value, ())) => {
                for name in unlink {
                    self.content.remove(&name);
                }
                Ok(value)
            }
            Err(error) => {
                if !self.connection.is_autocommit() {
                    execute(&self.connection, "ROLLBACK")?;
                }
                for name in kept {
                    self.content.remove(&name);
                }
                Err(error)
            }
        }
    }

    fn writing(&self) -> Writing<'_> {
        Writing {
            connection: &self.connection,
            now_ms: clock::now_ms(),
            last_etag: self.last_etag,
            unlink: Vec::new(),
            kept: Vec::new(),
        }
    }

    /// The mutations that wait, in one transaction; then their answers.
    fn run_batch(&mut self, first: Job, queue: &mpsc::Receiver<Job>) {
        if let Err(error) = execute(&self.connection, "BEGIN IMMEDIATE") {
            // The next one has a try of its own.
            first(Err(error.into()))(Ok(()));
            return;
        }
        let mut writing = self.writing();
        let jobs = std::iter::once(first).chain(queue.try_iter()).take(MAX_BATCH);
        let mut answers: Vec<Answer> = Vec::new();
        for job in jobs {
            answers.push(job(Ok(&mut writing)));
            if self.connection.is_autocommit() {
                // A failure such as a full disk made SQLite give up the whole transaction. What follows needs a new one.
                break;
            }
        }
        let Writing { last_etag, unlink, kept, .. } = writing;
        self.last_etag = last_etag;
        let committed = self.commit();
        let unlink = if committed.is_ok() { unlink } else { kept };
        for answer in answers {
            answer(committed.clone());
        }
        for name in unlink {
            self.content.remove(&name);
        }
    }

    fn commit(&self) -> Result<(), ServiceError> {
        if self.connection.is_autocommit() {
            return Err(ServiceError::transaction_lost());
        }
        let save = || {
            let mut statement =
                self.connection.prepare_cached("UPDATE counters SET value = ?1 WHERE name = 'etag'")?;
            statement.execute([self.last_etag])?;
            execute(&self.connection, "COMMIT")
        };
        save().or_else(|error: rusqlite::Error| {
            if !self.connection.is_autocommit() {
                execute(&self.connection, "ROLLBACK")?;
            }
            Err(error.into())
        })
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

pub(super) fn last_etag(connection: &Connection) -> rusqlite::Result<i64> {
    connection.query_row("SELECT value FROM counters WHERE name = 'etag'", [], |row| row.get(0))
}

pub(super) struct Writer {
    jobs: Mutex<Option<mpsc::Sender<Job>>>,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Writer {
    pub(super) fn start(mut mutable: Mutable) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::channel();
        let thread = std::thread::Builder::new().name("adls-index-writer".to_owned()).spawn(move || {
            while let Ok(first) = queue.recv() {
                mutable.run_batch(first, &queue);
            }
        })?;
        Ok(Self { jobs: Mutex::new(Some(jobs)), thread: Mutex::new(Some(thread)) })
    }

    pub(super) async fn submit<T, F>(&self, mutation: F) -> Result<T, ServiceError>
    where
        T: Send + 'static,
        F: FnOnce(&mut Writing<'_>) -> Result<T, ServiceError> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let job: Job = Box::new(move |writing| {
            let outcome = writing.and_then(|writing| alone(writing, mutation));
            // Its own failure says more than that of the transaction. A caller that went away does not want the answer.
            let joined =
                |committed: Result<(), ServiceError>| outcome.and_then(|value| committed.map(|()| value));
            Box::new(move |committed| drop(reply.send(joined(committed))))
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

/// Undoes the mutation if it is refused, and nothing else of the transaction.
fn alone<T>(
    writing: &mut Writing<'_>,
    mutation: impl FnOnce(&mut Writing<'_>) -> Result<T, ServiceError>,
) -> Result<T, ServiceError> {
    let connection = writing.connection;
    execute(connection, "SAVEPOINT mutation")?;
    let planned_unlinks = writing.unlink.len();
    match mutation(writing) {
        Ok(value) => {
            execute(connection, "RELEASE mutation")?;
            Ok(value)
        }
        Err(error) => {
            writing.unlink.truncate(planned_unlinks);
            if connection.is_autocommit() {
                return Err(error);
            }
            execute(connection, "ROLLBACK TO mutation")?;
            execute(connection, "RELEASE mutation")?;
            Err(error)
        }
    }
}
