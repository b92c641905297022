//! Changes of a local directory, from `inotify(7)`.
//!
//! - One watch per directory. Directories that appear get theirs, and are then told as [`Change::Unwatched`]: things may
//!   have happened there before. A directory that moves within the tree keeps its watches.
//! - Positions are numbers from the microsecond of the start on, one per change: higher than those of earlier processes.
//!   Every start is a gap. A change stays readable until its position is given to [`ChangeFeed::read`]; there is one reader.
//! - [`ChangeFeed::position`] reads the kernel's notifications until it has all that were queued when the call began. The
//!   kernel queues a notification just *after* the change took effect. For names (creating, deleting, renaming) it does so
//!   while it holds the directory's lock, which listing a directory takes too: a listing never sees a change that position
//!   does not cover. A look at a single path may, in the microseconds between, or as long as the changing thread is
//!   preempted there. The change is told then with a later position: whoever acts on the look alone may, say, delete what
//!   turns out to be renamed, and copies it again when it is told. For contents, too, the change is told a moment later.
//! - Too many changes at once, in the kernel's queue or in this one, are a gap.
//!
//! Not seen: what other machines change on network file systems (refused at the start); a mount that appears on a
//! directory; writing through a memory mapping, until the file is closed and unmapped; at one name of a file what is
//! written through another (hard links); what is below a directory that may not be read, or whose name is not UTF-8.
//! A directory that is mounted at two places below the root is told of at one of them.
//!
//! Needs `/proc`. A thread reads notifications all the time and ends soon after the feed is dropped.

mod kernel;
mod limits;
mod queue;
mod tree;
mod watcher;

use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use rustix::event::{EventfdFlags, PollFd, PollFlags, eventfd, poll};
use rustix::io::Errno;

use super::{node, run_blocking};
use crate::{ChangeFeed, Error, ErrorKind, Position, Reading, Result};
pub use limits::Limits;
use queue::Queue;
use watcher::Watcher;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct FeedOptions {
    /// Changes that wait for their reader, at about 200 bytes each, and notifications that wait for a directory to be looked
    /// through. More is a gap.
    pub queue_changes: usize,
    /// Fewer watches than the system allows.
    pub max_watches: Option<usize>,
}

impl Default for FeedOptions {
    fn default() -> Self {
        Self { queue_changes: 1 << 17, max_watches: None }
    }
}

#[derive(Debug)]
pub struct LocalFeed {
    root: PathBuf,
    inner: Arc<Inner>,
    wake: Arc<OwnedFd>,
}

#[derive(Debug)]
struct Inner {
    /// Whoever holds it reads notifications. Held while directories are looked through; the queue never is.
    watcher: Mutex<Watcher>,
    queue: Arc<Mutex<Queue>>,
    /// Why nothing is seen any more.
    failure: Mutex<Option<Failure>>,
    stop: Arc<AtomicBool>,
}

#[derive(Clone, Debug)]
struct Failure {
    kind: ErrorKind,
    message: String,
}

impl LocalFeed {
    /// Watches every directory below `root`, which may take a minute for millions of them.
    ///
    /// `Fatal` when there are more directories than the system allows watches, or on a file system that does not tell.
    pub async fn start(root: PathBuf, options: FeedOptions) -> Result<Self> {
        let subject = root.clone();
        run_blocking(&subject, move || Self::start_blocking(root, options)).await
    }

    /// What watching `root` needs and what the system allows.
    pub async fn limits(root: PathBuf) -> Result<Limits> {
        let subject = root.clone();
        run_blocking(&subject, move || Limits::read(&root)).await
    }

    fn start_blocking(root: PathBuf, options: FeedOptions) -> Result<Self> {
        let fail = |error: std::io::Error| node::error("watch", &root, error);
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
        let start = Position(u64::try_from(now).unwrap_or(u64::MAX));
        let queue = Arc::new(Mutex::new(Queue::new(start, options.queue_changes)));
        let stop = Arc::new(AtomicBool::new(false));
        let watcher = Watcher::start(root.clone(), options, queue.clone(), stop.clone())?;
        let wake = Arc::new(
            eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK).map_err(|error| fail(error.into()))?,
        );
        let readable = watcher.notifications().as_fd().try_clone_to_owned().map_err(fail)?;
        let inner = Arc::new(Inner { watcher: Mutex::new(watcher), queue, failure: Mutex::default(), stop });
        let (reader, woken) = (inner.clone(), wake.clone());
        std::thread::Builder::new()
            .name("local-feed".to_owned())
            .spawn(move || reader.read_until_stopped(&readable, &woken))
            .map_err(fail)?;
        Ok(Self { root, inner, wake })
    }
}

impl Drop for LocalFeed {
    fn drop(&mut self) {
        self.inner.stop.store(true, Ordering::Relaxed);
        wake(&self.wake);
    }
}

fn wake(reader: &OwnedFd) {
    // Fails only when it is to wake up very often already.
    let _ = rustix::io::write(reader, &1_u64.to_ne_bytes());
}

#[async_trait]
impl ChangeFeed for LocalFeed {
    async fn position(&self) -> Result<Position> {
        let (inner, reader) = (self.inner.clone(), self.wake.clone());
        run_blocking(&self.root, move || {
            if inner.drain(&mut lock(&inner.watcher)) {
                wake(&reader);
            }
            inner.check()?;
            Ok(lock(&inner.queue).position())
        })
        .await
    }

    async fn read(&self, after: Position) -> Result<Reading> {
        self.inner.check()?;
        Ok(lock(&self.inner.queue).read(after))
    }
}

impl Inner {
    fn read_until_stopped(&self, notifications: &OwnedFd, wake: &OwnedFd) {
        while !self.stop.load(Ordering::Relaxed) && self.check().is_ok() {
            let mut waited = [PollFd::new(notifications, PollFlags::IN), PollFd::new(wake, PollFlags::IN)];
            match poll(&mut waited, None) {
                Ok(_) | Err(Errno::INTR) => {}
                Err(error) => {
                    return self.fail(&Error::new(ErrorKind::Unusable, "watch", "", error.to_string()));
                }
            }
            // Nobody was waking it, or it is awake now.
            let _ = rustix::io::read(wake, &mut [0; 8]);
            while self.drain(&mut lock(&self.watcher)) {}
        }
    }

    /// True if there is more to do at once.
    fn drain(&self, watcher: &mut Watcher) -> bool {
        if self.stop.load(Ordering::Relaxed) || self.check().is_err() {
            return false;
        }
        watcher.drain().unwrap_or_else(|error| {
            self.fail(&error);
            false
        })
    }

    fn fail(&self, error: &Error) {
        tracing::error!(%error, "changes are not seen any more");
        let failure = Failure { kind: error.kind(), message: error.to_string() };
        lock(&self.failure).get_or_insert(failure);
    }

    fn check(&self) -> Result<()> {
        match lock(&self.failure).clone() {
            None => Ok(()),
            Some(Failure { kind, message }) => Err(Error::new(kind, "read changes", "", message)),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // A reader that panicked leaves the queue whole; the watcher's next look corrects what it left half done.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
