//! The change feed of one source, for all its migrations.
//!
//! A reader of its own, which waits for nobody, writes what the source tells into the [`EventJournal`] on disk; each
//! migration takes it from there at its own pace. So a migration that is slow or stopped never makes the source's
//! history go by unread, and the source is read once however many migrations it has.
//!
//! A feed that breaks for good (a kernel that gives up, a directory that came back) is opened anew; what was missed is a
//! gap, which every migration answers by looking at everything. So is what happened before a source had another
//! [history](ChangeFeed::history), such as an HDFS that was formatted anew: positions here go on growing all the same.

mod journal;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures::future::BoxFuture;
use livedata_filesystem::{ChangeFeed, Error, ErrorKind, Position, Reading, Result};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub use journal::EventJournal;

/// Opens the source's feed; called again after a failure that no retry helps.
pub type Open = Box<dyn Fn() -> BoxFuture<'static, Result<Arc<dyn ChangeFeed>>> + Send + Sync>;

/// Between reads that found something, at least: it is better to find much.
const PAUSE_BUSY: Duration = Duration::from_millis(50);
const PAUSE_IDLE: Duration = Duration::from_millis(150);
/// A read costs a NameNode the more the longer its unfinished log segment is, whatever it finds. So we pause for so many
/// times as long as it took: it is for applications that the NameNode is there.
const PAUSE_FACTOR: u32 = 3;
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
const PAUSE_BROKEN: Duration = Duration::from_secs(5);

#[derive(Clone, Debug, Default)]
pub struct Status {
    /// Where the source was when it was opened: what is before may have happened while nobody looked.
    pub opened_at: Option<Position>,
    /// Where changes are known from after the latest gap of this process.
    pub resumed_at: Option<Position>,
    /// Everything up to here is in the journal; `None` before the source has said where it is.
    pub read_to: Option<Position>,
    /// Why the source's history cannot be read at present.
    pub fault: Option<(ErrorKind, String)>,
    /// It can be read, and its journal cannot be written: it waits at the source.
    pub journal: Option<JournalFault>,
}

/// For the operator.
#[derive(Clone, Debug)]
pub struct JournalFault {
    pub disk_full: bool,
    pub message: String,
}

impl JournalFault {
    /// Of the journal in `folder`.
    pub fn new(error: &journal::Error, folder: &Path) -> Self {
        Self { disk_full: error.is_disk_full(), message: journal::told(error, folder) }
    }
}

pub struct Feed {
    journal: Arc<Mutex<EventJournal>>,
    folder: PathBuf,
    status: watch::Receiver<Status>,
    asked: mpsc::Sender<oneshot::Sender<Result<Position>>>,
    cancel: CancellationToken,
}

impl Drop for Feed {
    fn drop(&mut self) {
        self.cancel.cancel();
    }
}

impl Feed {
    /// Begins to read. The journal lies in `folder`, which is made.
    pub fn start(
        open: Open,
        folder: &Path,
        cancel: CancellationToken,
    ) -> std::result::Result<Self, JournalFault> {
        let journal = EventJournal::open(folder).map_err(|error| JournalFault::new(&error, folder))?;
        let journal = Arc::new(Mutex::new(journal));
        let folder = folder.to_owned();
        let (status, watched) =
            watch::channel(Status { read_to: lock(&journal).read_to(), ..Status::default() });
        let (asked, questions) = mpsc::channel(1_024);
        let (feed, told) = (None, Position(0));
        let reader =
            Reader { open, journal: Arc::clone(&journal), folder: folder.clone(), status, feed, told };
        let stop = cancel.clone();
        tokio::spawn(async move {
            stop.run_until_cancelled(reader.run(questions)).await;
        });
        Ok(Self { journal, folder, status: watched, asked, cancel })
    }

    pub fn status(&self) -> Status {
        self.status.borrow().clone()
    }

    /// Where the source is now. Many that ask at once are answered by one question to the source, asked after all of theirs.
    pub async fn position(&self) -> Result<Position> {
        let gone = || Error::new(ErrorKind::Unreachable, "read", "the change feed", "its reader has ended");
        let (answer, answered) = oneshot::channel();
        self.asked.send(answer).await.map_err(|_| gone())?;
        answered.await.map_err(|_| gone())?
    }

    /// What `consumer` has not seen yet, as soon as there is something. What all consumers have seen is dropped.
    pub async fn after(&self, consumer: &str, after: Position) -> std::result::Result<Reading, JournalFault> {
        let mut status = self.status.clone();
        loop {
            status.borrow_and_update();
            let reading = lock(&self.journal).read(consumer, after);
            if let Some(reading) = reading.map_err(|error| JournalFault::new(&error, &self.folder))? {
                return Ok(reading);
            }
            if status.changed().await.is_err() {
                // The reader ends with the agent.
                std::future::pending::<()>().await;
            }
        }
    }

    /// Nothing is kept for migrations that are no more. One of them that comes back all the same meets a gap.
    pub fn keep_only(&self, consumers: &BTreeSet<String>) {
        if let Err(error) = lock(&self.journal).keep_only(consumers) {
            tracing::warn!(
                error = &error as &dyn std::error::Error,
                "events that nobody needs stay for a while"
            );
        }
    }

    /// When the first change after this position was read, milliseconds since 1970; `None`: there is none.
    pub fn first_after_ms(&self, position: Position) -> Option<i64> {
        lock(&self.journal).first_after_ms(position).ok().flatten()
    }
}

fn lock(journal: &Mutex<EventJournal>) -> std::sync::MutexGuard<'_, EventJournal> {
    // A transaction that a panic interrupted was rolled back.
    journal.lock().unwrap_or_else(PoisonError::into_inner)
}

struct Reader {
    open: Open,
    journal: Arc<Mutex<EventJournal>>,
    folder: PathBuf,
    status: watch::Sender<Status>,
    feed: Option<Arc<dyn ChangeFeed>>,
    /// The latest position that a migration was told, and so waits for.
    told: Position,
}

/// What one read of the source has found.
enum Turn {
    Nothing,
    /// Some of what was there; the source does not tell all at once.
    Some,
    /// All that was there when it began.
    All,
}

impl Reader {
    async fn run(mut self, mut questions: mpsc::Receiver<oneshot::Sender<Result<Position>>>) {
        loop {
            let began = Instant::now();
            let pause = match self.turn(&mut questions).await {
                Ok(Turn::Some) => Duration::ZERO,
                Ok(Turn::All) => (began.elapsed() * PAUSE_FACTOR).clamp(PAUSE_BUSY, LONGEST_PAUSE),
                Ok(Turn::Nothing) => PAUSE_IDLE,
                Err(error) => self.failed(&error),
            };
            let until = Instant::now() + pause;
            loop {
                tokio::select! {
                    () = tokio::time::sleep_until(until) => break,
                    question = questions.recv() => {
                        let Some(question) = question else { return };
                        self.answer(question, &mut questions).await;
                    }
                }
            }
        }
    }

    /// Reads once.
    async fn turn(
        &mut self,
        questions: &mut mpsc::Receiver<oneshot::Sender<Result<Position>>>,
    ) -> Result<Turn> {
        let feed = match &self.feed {
            Some(feed) => Arc::clone(feed),
            None => {
                let feed = (self.open)().await?;
                self.follow(feed.as_ref()).await?;
                let opened_at = feed.position().await?;
                let opened_at = lock(&self.journal).of_source(opened_at);
                self.status.send_modify(|status| status.opened_at = Some(opened_at));
                self.feed = Some(Arc::clone(&feed));
                feed
            }
        };
        let known = {
            let journal = lock(&self.journal);
            journal.read_to().map(|read_to| journal.at_source(read_to))
        };
        let Some(after) = known else {
            let now = feed.position().await?;
            self.write(|journal| journal.begin(now))?;
            return Ok(Turn::All);
        };
        let told = self.told;
        let reading = {
            let read = feed.read(after);
            tokio::pin!(read);
            loop {
                tokio::select! {
                    reading = &mut read => break reading?,
                    // A long read must not keep looks waiting.
                    Some(question) = questions.recv() => self.answer(question, questions).await,
                }
            }
        };
        let turn = match &reading {
            Reading::Events { events, read_to } if events.is_empty() && *read_to <= after => Turn::Nothing,
            Reading::Events { read_to, .. } if lock(&self.journal).of_source(*read_to) < told => Turn::Some,
            Reading::Events { .. } => Turn::All,
            Reading::Gap { reason, .. } => {
                tracing::warn!(reason, "changes of the source are lost; everything will be looked at again");
                Turn::All
            }
        };
        if !matches!(turn, Turn::Nothing) {
            let now_ms = crate::clock::now_ms();
            self.write(|journal| journal.append(&reading, now_ms))?;
            if let Reading::Gap { .. } = reading {
                let resumed_at = lock(&self.journal).read_to();
                self.status.send_modify(|status| status.resumed_at = resumed_at);
            }
        } else if self.status.borrow().fault.is_some() {
            self.status.send_modify(|status| status.fault = None);
        }
        Ok(turn)
    }

    /// Positions of one history mean nothing in another.
    async fn follow(&self, feed: &dyn ChangeFeed) -> Result<()> {
        let Some(history) = feed.history().await? else { return Ok(()) };
        let known = lock(&self.journal).history().map(str::to_owned);
        if known.as_ref() == Some(&history) {
            return Ok(());
        }
        let now = feed.position().await?;
        if let Some(known) = known {
            tracing::warn!(known, history, "the source is another one; everything will be looked at again");
        }
        self.write(|journal| journal.follow(&history, now))
    }

    fn write(
        &self,
        write: impl FnOnce(&mut EventJournal) -> std::result::Result<(), journal::Error>,
    ) -> Result<()> {
        let mut journal = lock(&self.journal);
        write(&mut journal).map_err(|error| {
            let fault = JournalFault::new(&error, &self.folder);
            let message = fault.message.clone();
            self.status.send_modify(|status| status.journal = Some(fault));
            Error::new(ErrorKind::Unreachable, "write", "the event journal", message)
        })?;
        let read_to = journal.read_to();
        drop(journal);
        self.status.send_modify(|status| {
            let Status { opened_at, resumed_at, .. } = *status;
            *status = Status { opened_at, resumed_at, read_to, ..Status::default() };
        });
        Ok(())
    }

    /// Says so, and how long to wait.
    fn failed(&mut self, error: &Error) -> Duration {
        if self.status.borrow().fault.is_none() {
            tracing::warn!(error = error as &dyn std::error::Error, "the source's changes cannot be read");
        }
        let fault = (error.kind(), error.message().to_owned());
        self.status.send_modify(|status| status.fault = Some(fault));
        if error.kind().is_retryable() {
            return PAUSE_IDLE;
        }
        self.feed = None;
        PAUSE_BROKEN
    }

    async fn answer(
        &mut self,
        first: oneshot::Sender<Result<Position>>,
        questions: &mut mpsc::Receiver<oneshot::Sender<Result<Position>>>,
    ) {
        let mut all = vec![first];
        while let Ok(question) = questions.try_recv() {
            all.push(question);
        }
        let position = match &self.feed {
            Some(feed) => {
                let position = feed.position().await;
                position.map(|position| lock(&self.journal).of_source(position))
            }
            None => {
                let (kind, message) = self
                    .status
                    .borrow()
                    .fault
                    .clone()
                    .unwrap_or((ErrorKind::Unreachable, "it is being opened".to_owned()));
                Err(Error::new(kind, "read", "the change feed", message))
            }
        };
        if let Ok(position) = &position {
            self.told = self.told.max(*position);
        }
        for question in all {
            let answer = match &position {
                Ok(position) => Ok(*position),
                Err(error) => {
                    // Changes are not of one path.
                    let kind = match error.kind() {
                        ErrorKind::Unreadable => ErrorKind::Unreachable,
                        kind => kind,
                    };
                    Err(Error::new(kind, "read", "the change feed", error.message()))
                }
            };
            // Whoever does not wait any more needs no answer.
            let _ = question.send(answer);
        }
    }
}
