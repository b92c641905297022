//! Both ends of a move are notified one after the other, with nothing that they belong together but a number, and
//! notifications of other directories between them. The second one may come a moment later.

use std::collections::VecDeque;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::inotify::ReadFlags;

use super::{Look, Watcher, join};
use crate::local::feed::kernel::{Name, Notification};
use crate::local::feed::tree::Watch;
use crate::{Change, Result};

/// How far the other end is searched. Only what other processors notified at the same moment comes between.
const BETWEEN: usize = 256;
/// How long to wait for the other end. Whoever moves something holds the processor or is about to get it again. What comes
/// later still is taken for two moves, out of the tree and into it: right, but slower for whoever follows the feed.
const OTHER_END: Timespec = Timespec { tv_sec: 0, tv_nsec: 10_000_000 };

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct End {
    pub watch: Watch,
    pub name: String,
    pub is_directory: bool,
}

impl Watcher {
    pub(super) fn moved_from(
        &mut self,
        from: End,
        cookie: u32,
        rest: &mut VecDeque<Notification>,
    ) -> Result<()> {
        let Some(from_path) = self.end_path(&from) else { return Ok(()) };
        let to = self.take_other_end(cookie, rest)?;
        let Some((to, to_path)) = to.and_then(|to| self.end_path(&to).map(|path| (to, path))) else {
            // Out of the tree, or to where the watcher cannot name it. What is below is not ours any more.
            self.touched(from_path);
            if let Some(child) = self.tree.child(from.watch, &from.name).filter(|_| from.is_directory) {
                self.tree.set_adrift(child);
            }
            return Ok(());
        };
        if self.is_exchange(&from, &to, rest) {
            self.touched(from_path);
            self.touched(to_path);
            self.attach(from.watch, &from.name)?;
            return self.attach(to.watch, &to.name);
        }
        self.push(Change::Renamed { from: from_path, to: to_path });
        if from.is_directory { self.move_directory(&from, &to) } else { Ok(()) }
    }

    fn end_path(&self, end: &End) -> Option<String> {
        self.tree.path(end.watch).map(|directory| join(&directory, &end.name))
    }

    fn move_directory(&mut self, from: &End, to: &End) -> Result<()> {
        let moved = self.tree.child(from.watch, &from.name);
        let seen = match self.find(to.watch, &to.name)? {
            Look::Directory(seen) => Some(seen),
            Look::Nothing | Look::Unseen => None,
        };
        match (moved, seen) {
            // It has been watched all the time: nothing to announce.
            (Some(moved), Some(seen)) if moved == seen => {
                self.tree.place(moved, to.watch, &to.name);
            }
            (moved, Some(seen)) => {
                moved.into_iter().for_each(|moved| self.tree.set_adrift(moved));
                self.settle(seen, to.watch, &to.name);
            }
            // It has moved on already, which is still to be told.
            (Some(moved), None) => {
                self.tree.place(moved, to.watch, &to.name);
            }
            (None, None) => {}
        }
        Ok(())
    }

    fn take_other_end(&mut self, cookie: u32, rest: &mut VecDeque<Notification>) -> Result<Option<End>> {
        if let Some(end) = take_end(rest, cookie) {
            return Ok(end);
        }
        if rest.len() >= BETWEEN {
            return Ok(None);
        }
        for is_last in [false, true] {
            if let Some(end) = take_end(&mut self.incoming, cookie) {
                return Ok(end);
            }
            if is_last {
                let waited = PollFd::new(&self.notifications, PollFlags::IN);
                // Interrupted or not: what is there is read.
                let _ = poll(&mut [waited], Some(&OTHER_END));
            }
            self.read_notifications()?;
        }
        Ok(take_end(&mut self.incoming, cookie).flatten())
    }

    /// Two names changing places (`RENAME_EXCHANGE`) are told as two moves, of which the first seems to replace what the
    /// second moves. Takes the second.
    fn is_exchange(&mut self, from: &End, to: &End, rest: &mut VecDeque<Notification>) -> bool {
        if rest.len() < 2 {
            rest.append(&mut self.incoming);
        }
        let is_at = |index: usize, flag: ReadFlags, end: &End| {
            rest.get(index).is_some_and(|notification| {
                notification.flags.contains(flag)
                    && notification.watch == end.watch
                    && notification.name == Name::Utf8(end.name.clone())
            })
        };
        let is_exchange = is_at(0, ReadFlags::MOVED_FROM, to)
            && is_at(1, ReadFlags::MOVED_TO, from)
            && rest[0].cookie == rest[1].cookie;
        if is_exchange {
            rest.drain(..2);
        }
        is_exchange
    }
}

/// `Some(None)`: it is there and has a name that no path can hold; it stays, to be told as a change of its directory.
fn take_end(notifications: &mut VecDeque<Notification>, cookie: u32) -> Option<Option<End>> {
    let index = notifications.iter().take(BETWEEN).position(|notification| {
        notification.cookie == cookie && notification.flags.contains(ReadFlags::MOVED_TO)
    })?;
    let Name::Utf8(name) = notifications[index].name.clone() else { return Some(None) };
    let notification = notifications.remove(index)?;
    let is_directory = notification.flags.contains(ReadFlags::ISDIR);
    Some(Some(End { watch: notification.watch, name, is_directory }))
}
