//! From notifications to changes, and watches where they are needed.
//!
//! Notifications tell of the past; a look tells of now. Where a directory *is* comes from looks at what is there, each
//! checked to be a look into the directory that is meant; notifications say where to look, and fill in where a look comes
//! too late because the directory has moved on. Nothing is concluded about what could not be looked at: it is tried again
//! later, when notifications of what moved it have been read.
//!
//! A directory that gets its watch is announced (`Unwatched`) when it and everything below it are watched: things may have
//! happened there before.

mod moves;

use std::collections::{BTreeSet, VecDeque};
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};

use rustix::fs::inotify::ReadFlags;
use rustix::io::Errno;

use super::kernel::{self, Name, Notification, Notifications};
use super::queue::Queue;
use super::tree::{Placed, Tree, Watch};
use super::{FeedOptions, limits, lock};
use crate::local::node;
use crate::{Change, Error, ErrorKind, Result};

#[derive(Debug)]
pub struct Watcher {
    /// Opened anew for each look: a root that is held open would not be told to be deleted.
    path: PathBuf,
    options: FeedOptions,
    notifications: Notifications,
    tree: Tree,
    queue: Arc<Mutex<Queue>>,
    /// Read from the kernel, not looked at yet.
    incoming: VecDeque<Notification>,
    /// Directories to look through for directories; with `true` also through those that are known already.
    open: Vec<(Watch, bool)>,
    /// Those that were not found where they should be.
    unsettled: BTreeSet<Watch>,
    /// Notifications were dropped: everything has to be looked through again, moves may be among what was lost.
    is_lost: bool,
    /// Watched since the last announcement.
    unannounced: BTreeSet<Watch>,
    stop: Arc<AtomicBool>,
}

/// What a look for a directory found.
enum Look {
    Directory(Watch),
    /// Nothing is there, or nothing that may be watched.
    Nothing,
    /// The directory to look in is not where it should be: it was moved, or something above it was.
    Unseen,
}

impl Watcher {
    /// Watches everything below `path`.
    pub fn start(
        path: PathBuf,
        options: FeedOptions,
        queue: Arc<Mutex<Queue>>,
        stop: Arc<AtomicBool>,
    ) -> Result<Self> {
        let fail = |error: Errno| node::error("watch", &path, error.into());
        let root = kernel::open_root(&path).map_err(fail)?;
        refuse_silent(&root, || path.to_string_lossy().into_owned())?;
        let notifications = Notifications::new().map_err(|error| match error {
            Errno::MFILE => Error::new(
                ErrorKind::Fatal,
                "watch",
                path.to_string_lossy(),
                format!(
                    "too many programs of this user read notifications, or this one has too many files open; the limits \
                     are fs.inotify.max_user_instances = {} and ulimit -n",
                    limits::limit("max_user_instances").unwrap_or_default()
                ),
            ),
            error => fail(error),
        })?;
        let watch = notifications.watch(root.as_fd(), true).map_err(|error| match error {
            Errno::NOSPC => limits::too_few_watches(&path, 0, None),
            error => fail(error),
        })?;
        let mut watcher = Self {
            path,
            options,
            notifications,
            tree: Tree::new(watch),
            queue,
            incoming: VecDeque::new(),
            open: vec![(watch, true)],
            unsettled: BTreeSet::new(),
            is_lost: false,
            unannounced: BTreeSet::new(),
            stop,
        };
        watcher.look_through_open()?;
        // Nobody has looked before the feed was there.
        watcher.unannounced.clear();
        Ok(watcher)
    }

    pub fn notifications(&self) -> &Notifications {
        &self.notifications
    }

    /// Turns into changes what the kernel has queued up now, and places the watches that are missing because of it. True if
    /// there is more that came meanwhile.
    pub fn drain(&mut self) -> Result<bool> {
        self.read_notifications()?;
        let mut current = std::mem::take(&mut self.incoming);
        while let Some(notification) = current.pop_front() {
            if self.is_stopped() {
                return Ok(false);
            }
            self.handle(notification, &mut current)?;
        }
        let unsettled = std::mem::take(&mut self.unsettled);
        self.open.extend(unsettled.into_iter().map(|watch| (watch, false)));
        if std::mem::take(&mut self.is_lost) {
            self.open = vec![(self.tree.root(), true)];
        }
        self.look_through_open()?;
        self.announce();
        let has_more = self.is_lost || !self.incoming.is_empty();
        if !has_more {
            for watch in self.tree.take_adrift() {
                self.notifications.unwatch(watch);
            }
        }
        Ok(has_more)
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    fn read_notifications(&mut self) -> Result<()> {
        self.notifications.read(&mut self.incoming).map_err(|error| self.failure("/", error))?;
        if self.incoming.len() > self.options.queue_changes {
            self.incoming.clear();
            self.lose(format!(
                "more than {} notifications came while directories were looked through",
                self.options.queue_changes
            ));
        }
        Ok(())
    }

    fn lose(&mut self, reason: String) {
        lock(&self.queue).lose(reason);
        self.is_lost = true;
    }

    fn push(&self, change: Change) {
        lock(&self.queue).push(change);
    }

    fn touched(&self, path: String) {
        self.push(Change::Touched { path });
    }

    fn handle(&mut self, notification: Notification, rest: &mut VecDeque<Notification>) -> Result<()> {
        let Notification { watch, flags, cookie, name } = notification;
        if flags.contains(ReadFlags::QUEUE_OVERFLOW) {
            self.lose(format!(
                "the kernel dropped notifications, because more than fs.inotify.max_queued_events = {} waited",
                limits::limit("max_queued_events").unwrap_or_default()
            ));
            return Ok(());
        }
        if flags.contains(ReadFlags::IGNORED) {
            if watch != self.tree.root() {
                self.tree.remove(watch);
            }
            return Ok(());
        }
        // Adrift or forgotten: announced as a whole if it turns up again.
        let Some(directory) = self.tree.path(watch) else { return Ok(()) };
        let name = match name {
            Name::Utf8(name) => name,
            // The directory above tells the same with a name, save for the root.
            Name::None if watch == self.tree.root() => {
                self.touched(directory);
                return Ok(());
            }
            Name::None if flags.contains(ReadFlags::UNMOUNT) => {
                self.push(Change::Unwatched { path: directory });
                let parent = self.tree.parent(watch);
                self.open.extend(parent.map(|parent| (parent, false)));
                return Ok(());
            }
            Name::None => return Ok(()),
            // Such an entry is never migrated; a look at what its name is written as finds out why.
            Name::Other(name) => {
                self.touched(join(&directory, &name));
                self.touched(directory);
                return Ok(());
            }
        };
        let is_directory = flags.contains(ReadFlags::ISDIR);
        if flags.contains(ReadFlags::MOVED_FROM) {
            let from = moves::End { watch, name, is_directory };
            return self.moved_from(from, cookie, rest);
        }
        self.touched(join(&directory, &name));
        if is_directory {
            if flags.intersects(ReadFlags::CREATE | ReadFlags::MOVED_TO | ReadFlags::ATTRIB) {
                self.attach(watch, &name)?;
                // It may have become readable.
                let child = self.tree.child(watch, &name).filter(|_| flags.contains(ReadFlags::ATTRIB));
                self.open.extend(child.map(|child| (child, false)));
            } else if flags.contains(ReadFlags::DELETE)
                && let Some(child) = self.tree.child(watch, &name)
            {
                self.tree.set_adrift(child);
            }
        }
        Ok(())
    }

    /// Looks for a directory called `name` in `parent` and notes what is there.
    fn attach(&mut self, parent: Watch, name: &str) -> Result<()> {
        if let Look::Directory(found) = self.find(parent, name)? {
            self.settle(found, parent, name);
        }
        Ok(())
    }

    /// Looks for a directory called `name` in `parent`, later again if `parent` cannot be looked at now.
    fn find(&mut self, parent: Watch, name: &str) -> Result<Look> {
        match self.open_watched(parent)? {
            Some(directory) => self.find_in(&directory, name),
            None => {
                self.unsettled.insert(parent);
                Ok(Look::Unseen)
            }
        }
    }

    fn find_in(&mut self, parent: &OwnedFd, name: &str) -> Result<Look> {
        let found = kernel::open_child(parent.as_fd(), name)
            .and_then(|directory| Ok((self.notifications.watch(directory.as_fd(), false)?, directory)));
        match found {
            Ok((watch, directory)) if !self.tree.contains(watch) => {
                if self.options.max_watches.is_some_and(|limit| self.tree.len() >= limit) {
                    self.notifications.unwatch(watch);
                    return Err(self.too_few_watches(self.options.max_watches));
                }
                refuse_silent(&directory, || format!("{}, below {}", name, self.path.display()))?;
                Ok(Look::Directory(watch))
            }
            Ok((watch, _)) => Ok(Look::Directory(watch)),
            Err(error) if kernel::is_absent(error) || kernel::is_denied(error) => Ok(Look::Nothing),
            Err(Errno::NOSPC) => Err(self.too_few_watches(None)),
            Err(error) => Err(self.failure(name, error)),
        }
    }

    /// Opens a directory by the path it should have, if it is there.
    fn open_watched(&mut self, watch: Watch) -> Result<Option<OwnedFd>> {
        let Some(names) = self.tree.names(watch) else { return Ok(None) };
        let is_root = watch == self.tree.root();
        let opened = kernel::open_root(&self.path)
            .and_then(|root| kernel::open_below(root, &names))
            .and_then(|directory| Ok((self.notifications.watch(directory.as_fd(), is_root)?, directory)));
        match opened {
            Ok((found, directory)) if found == watch => Ok(Some(directory)),
            Ok((found, _)) => {
                if !self.tree.contains(found) {
                    self.notifications.unwatch(found);
                }
                Ok(None)
            }
            Err(error) if kernel::is_absent(error) || kernel::is_denied(error) => Ok(None),
            Err(Errno::NOSPC) => Err(self.too_few_watches(None)),
            Err(error) => Err(self.failure(&names.join("/"), error)),
        }
    }

    /// `watch` is at `name` in `parent` now.
    fn settle(&mut self, watch: Watch, parent: Watch, name: &str) {
        match self.tree.place(watch, parent, name) {
            Placed::New | Placed::Moved => {
                self.unannounced.insert(watch);
                self.open.push((watch, true));
            }
            Placed::Same => {}
            Placed::Contradiction => {
                self.unsettled.insert(parent);
            }
        }
    }

    /// Looks through all directories that are due, and those found in them.
    fn look_through_open(&mut self) -> Result<()> {
        while let Some((watch, deep)) = self.open.pop() {
            if self.is_stopped() {
                return Ok(());
            }
            self.look_through(watch, deep)?;
            // Or else the kernel's queue may run over meanwhile.
            self.read_notifications()?;
        }
        Ok(())
    }

    fn look_through(&mut self, watch: Watch, deep: bool) -> Result<()> {
        if self.tree.names(watch).is_none() {
            // Adrift or gone: looked through when it turns up.
            return Ok(());
        }
        let Some(directory) = self.open_watched(watch)? else {
            self.unsettled.insert(watch);
            return Ok(());
        };
        let names = match kernel::directories_in(directory.as_fd()) {
            Ok(names) => names,
            // Removed while it was open.
            Err(error) if kernel::is_absent(error) => return Ok(()),
            Err(error) => return Err(self.failure(&self.tree.path(watch).unwrap_or_default(), error)),
        };
        let mut seen = BTreeSet::new();
        for name in names {
            let Look::Directory(found) = self.find_in(&directory, &name)? else { continue };
            seen.insert(found);
            self.settle(found, watch, &name);
            if deep && self.tree.child(watch, &name) == Some(found) && !self.unannounced.contains(&found) {
                self.open.push((found, true));
            }
        }
        for (name, child) in self.tree.children(watch) {
            // Asked again, because a listing may leave out what is renamed meanwhile.
            let is_there = seen.contains(&child)
                || matches!(self.find_in(&directory, &name)?, Look::Directory(found) if found == child);
            if !is_there {
                self.tree.set_adrift(child);
            }
        }
        Ok(())
    }

    /// One announcement for all that are watched below one another.
    fn announce(&mut self) {
        let unannounced = std::mem::take(&mut self.unannounced);
        for watch in &unannounced {
            let mut above = self.tree.parent(*watch);
            while let Some(parent) = above.filter(|parent| !unannounced.contains(parent)) {
                above = self.tree.parent(parent);
            }
            if above.is_none()
                && let Some(path) = self.tree.path(*watch)
            {
                self.push(Change::Unwatched { path });
            }
        }
    }

    fn too_few_watches(&self, allowed: Option<usize>) -> Error {
        limits::too_few_watches(&self.path, self.tree.len(), allowed)
    }

    fn failure(&self, place: &str, error: Errno) -> Error {
        let message = format!(
            "{error}; changes are not seen before the directory is watched anew, which is tried by itself"
        );
        let path = self.path.join(place.trim_start_matches('/'));
        Error::new(ErrorKind::Unusable, "watch", path.to_string_lossy(), message)
    }
}

fn refuse_silent(directory: &OwnedFd, subject: impl Fn() -> String) -> Result<()> {
    match kernel::silent_filesystem(directory.as_fd()) {
        None => Ok(()),
        Some(filesystem) => Err(Error::new(
            ErrorKind::Fatal,
            "watch",
            subject(),
            format!(
                "it is on {filesystem}, where this machine is not told of what others change; migrate without following \
                 changes, or from a machine where the file system is local"
            ),
        )),
    }
}

fn join(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}
