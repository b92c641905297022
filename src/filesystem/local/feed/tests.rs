mod follower;
mod random;

use std::ffi::OsStr;
use std::fs::{self, File, Permissions};
use std::io::Write;
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::*;
use crate::Change;

/// A watched folder `in`, beside one that is not watched, `out`.
struct Watched {
    folder: tempfile::TempDir,
    feed: LocalFeed,
    at: Position,
}

impl Watched {
    async fn new() -> Self {
        Self::with(FeedOptions::default(), |_| {}).await
    }

    async fn with(options: FeedOptions, before: impl FnOnce(&Path)) -> Self {
        let folder = tempfile::tempdir().unwrap();
        for name in ["in", "out"] {
            fs::create_dir(folder.path().join(name)).unwrap();
        }
        before(&folder.path().join("in"));
        let feed = LocalFeed::start(folder.path().join("in"), options).await.unwrap();
        let at = feed.position().await.unwrap();
        Self { folder, feed, at }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn make(&self, name: &str) {
        fs::create_dir_all(self.path(name)).unwrap();
    }

    fn write(&self, name: &str) {
        fs::write(self.path(name), "content").unwrap();
    }

    fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// What was told since the last time.
    async fn told(&mut self) -> Vec<Change> {
        let now = self.feed.position().await.unwrap();
        match self.feed.read(self.at).await.unwrap() {
            Reading::Events { events, read_to } => {
                assert_eq!(read_to, now, "positions are of what can be read");
                self.at = read_to;
                events.into_iter().map(|event| event.change).collect()
            }
            gap => panic!("{gap:?}"),
        }
    }

    async fn gap(&mut self) -> String {
        self.feed.position().await.unwrap();
        match self.feed.read(self.at).await.unwrap() {
            Reading::Gap { resume_at, reason } => {
                self.at = resume_at;
                reason
            }
            events => panic!("{events:?}"),
        }
    }

    /// What the kernel says.
    fn watches(&self) -> usize {
        let fd = lock(&self.feed.inner.watcher).notifications().as_fd().as_raw_fd();
        let about = fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap();
        about.lines().filter(|line| line.starts_with("inotify ")).count()
    }

    /// Things happen while nobody reads notifications: all are of the past when they are read.
    fn unread(&self, happen: impl FnOnce(&Self)) {
        let watcher = lock(&self.feed.inner.watcher);
        happen(self);
        drop(watcher);
    }
}

fn touched(path: &str) -> Change {
    Change::Touched { path: path.to_owned() }
}

fn unwatched(path: &str) -> Change {
    Change::Unwatched { path: path.to_owned() }
}

fn renamed(from: &str, to: &str) -> Change {
    Change::Renamed { from: from.to_owned(), to: to.to_owned() }
}

#[tokio::test]
async fn files() {
    let mut tree = Watched::new().await;
    assert_eq!(tree.told().await, []);
    tree.write("in/f");
    assert_eq!(tree.told().await, [touched("/f")]);
    let mut held = File::options().append(true).open(tree.path("in/f")).unwrap();
    for _ in 0..10 {
        held.write_all(b"more").unwrap();
    }
    assert_eq!(tree.told().await, [touched("/f")], "written, not closed");
    drop(held);
    assert_eq!(tree.told().await, [touched("/f")], "closed");
    fs::set_permissions(tree.path("in/f"), Permissions::from_mode(0o600)).unwrap();
    assert_eq!(tree.told().await, [touched("/f")], "permissions");
    tree.rename("in/f", "in/g");
    assert_eq!(tree.told().await, [renamed("/f", "/g")]);
    tree.rename("in/g", "out/g");
    assert_eq!(tree.told().await, [touched("/g")], "out of the tree");
    tree.rename("out/g", "in/h");
    assert_eq!(tree.told().await, [touched("/h")], "into the tree");
    fs::remove_file(tree.path("in/h")).unwrap();
    assert_eq!(tree.told().await, [touched("/h")]);
}

#[tokio::test]
async fn directories_are_followed_to_their_places() {
    let mut tree = Watched::with(FeedOptions::default(), |root| {
        fs::create_dir_all(root.join("old/below")).unwrap();
    })
    .await;
    tree.write("in/old/below/f");
    assert_eq!(tree.told().await, [touched("/old/below/f")]);
    tree.make("in/d");
    assert_eq!(tree.told().await, [touched("/d"), unwatched("/d")]);
    tree.rename("in/old", "in/d/new");
    assert_eq!(tree.told().await, [renamed("/old", "/d/new")]);
    tree.rename("in/d", "in/e");
    tree.write("in/e/new/below/f");
    assert_eq!(tree.told().await, [renamed("/d", "/e"), touched("/e/new/below/f")]);
    fs::set_permissions(tree.path("in/e/new"), Permissions::from_mode(0o700)).unwrap();
    assert_eq!(tree.told().await, [touched("/e/new")]);

    assert_eq!(tree.watches(), 4);
    tree.rename("in/e/new", "out/new");
    assert_eq!(tree.told().await, [touched("/e/new")]);
    assert_eq!(tree.watches(), 2);
    tree.write("out/new/below/f");
    tree.make("out/new/another");
    assert_eq!(tree.told().await, [], "it is not ours any more");
    tree.rename("out/new", "in/back");
    assert_eq!(tree.told().await, [touched("/back"), unwatched("/back")]);
    tree.write("in/back/another/f");
    assert_eq!(tree.told().await, [touched("/back/another/f")]);

    fs::remove_dir_all(tree.path("in/back")).unwrap();
    let told = tree.told().await;
    assert!(told.contains(&touched("/back/below/f")) && told.contains(&touched("/back")), "{told:?}");
    tree.make("in/back");
    assert_eq!(tree.told().await, [touched("/back"), unwatched("/back")]);
}

#[tokio::test]
async fn names_that_change_places() {
    let mut tree = Watched::with(FeedOptions::default(), |root| {
        fs::create_dir_all(root.join("a")).unwrap();
        fs::create_dir_all(root.join("b")).unwrap();
    })
    .await;
    renameat_with(CWD, tree.path("in/a"), CWD, tree.path("in/b"), RenameFlags::EXCHANGE).unwrap();
    let told = tree.told().await;
    assert_eq!(told[..2], [touched("/a"), touched("/b")]);
    fs::write(tree.path("in/a/from b"), "").unwrap();
    assert_eq!(tree.told().await, [touched("/a/from b")]);
    // Replaced by an empty one.
    fs::remove_file(tree.path("in/a/from b")).unwrap();
    tree.told().await;
    tree.rename("in/b", "in/a");
    tree.write("in/a/f");
    assert_eq!(tree.told().await, [renamed("/b", "/a"), touched("/a/f")]);
}

#[tokio::test]
async fn nothing_leads_out() {
    let mut tree = Watched::new().await;
    symlink(tree.path("out"), tree.path("in/link")).unwrap();
    assert_eq!(tree.told().await, [touched("/link")]);
    tree.unread(|tree| {
        tree.make("in/d/below");
        fs::remove_dir_all(tree.path("in/d")).unwrap();
        tree.make("out/below");
        symlink(tree.path("out"), tree.path("in/d")).unwrap();
    });
    assert_eq!(tree.told().await, [touched("/d")]);
    tree.write("out/f");
    tree.write("out/below/f");
    assert_eq!(tree.told().await, []);
}

#[tokio::test]
async fn names_that_no_path_can_hold() {
    let mut tree = Watched::new().await;
    let bad = tree.path("in/d").join(OsStr::from_bytes(b"bad\xff"));
    tree.make("in/d");
    tree.told().await;
    fs::create_dir(&bad).unwrap();
    assert_eq!(tree.told().await, [touched("/d/bad\u{fffd}ff"), touched("/d")]);
    fs::write(bad.join("f"), "").unwrap();
    assert_eq!(tree.told().await, [], "what is below is not migrated");
    fs::rename(&bad, tree.path("in/good")).unwrap();
    let left = touched("/d/bad\u{fffd}ff");
    assert_eq!(tree.told().await, [left.clone(), touched("/d"), touched("/good"), unwatched("/good")]);
    fs::rename(tree.path("in/good"), &bad).unwrap();
    assert_eq!(tree.told().await, [touched("/good"), left, touched("/d")]);
    fs::write(bad.join("f"), "").unwrap();
    assert_eq!(tree.told().await, []);
}

#[tokio::test]
async fn the_root_itself() {
    let mut tree = Watched::new().await;
    tree.rename("in", "moved");
    assert_eq!(tree.told().await, [touched("/")]);
    fs::remove_dir_all(tree.path("moved")).unwrap();
    assert_eq!(tree.told().await, [touched("/")]);
}

#[tokio::test]
async fn history_that_is_over_when_it_is_read() {
    let mut tree = Watched::new().await;
    tree.make("in/p");
    tree.make("in/s");
    tree.told().await;
    tree.unread(|tree| {
        tree.make("in/s/early");
        tree.rename("in/s", "in/t");
        // What is made below has to be found where it is in the end.
        tree.make("in/p/early");
        tree.rename("in/p", "in/q");
        tree.make("in/q/late/below");
        tree.rename("in/q", "in/r");
        // Another one under the first name, and a third in between.
        tree.make("in/p/other");
        tree.rename("in/p", "in/q");
        tree.make("in/p");
    });
    tree.told().await;
    for path in ["t/early", "r/early", "r/late/below", "q/other", "p"] {
        tree.write(&format!("in/{path}/f"));
        assert_eq!(tree.told().await, [touched(&format!("/{path}/f"))]);
    }
}

#[tokio::test]
async fn a_restart_is_a_gap() {
    let mut tree = Watched::new().await;
    tree.write("in/f");
    tree.told().await;
    let before = tree.at;
    tree.feed = LocalFeed::start(tree.path("in"), FeedOptions::default()).await.unwrap();
    tree.write("in/g");
    assert!(tree.gap().await.contains("started anew"));
    assert!(tree.at > before);
    tree.write("in/h");
    assert_eq!(tree.told().await, [touched("/h")]);
}

#[tokio::test]
async fn when_the_kernel_drops_notifications_all_is_looked_through_again() {
    let mut tree = Watched::with(FeedOptions::default(), |root| {
        fs::create_dir_all(root.join("a/below")).unwrap();
        fs::create_dir_all(root.join("gone/below")).unwrap();
        fs::write(root.join("one"), "").unwrap();
        fs::write(root.join("other"), "").unwrap();
    })
    .await;
    let limit = limits::limit("max_queued_events").unwrap();
    tree.unread(|tree| {
        for _ in 0..=limit / 2 {
            for name in ["in/one", "in/other"] {
                fs::set_permissions(tree.path(name), Permissions::from_mode(0o600)).unwrap();
            }
        }
        tree.rename("in/a", "in/b");
        tree.rename("in/gone", "out/gone");
        tree.make("in/c/below");
    });
    let reason = tree.gap().await;
    assert!(reason.contains("max_queued_events"), "{reason}");
    tree.told().await;
    tree.write("out/gone/below/f");
    for path in ["b/below", "c/below"] {
        tree.write(&format!("in/{path}/f"));
        assert_eq!(tree.told().await, [touched(&format!("/{path}/f"))]);
    }
}

#[tokio::test]
async fn a_limit_of_watches_says_what_to_raise() {
    let folder = tempfile::tempdir().unwrap();
    for number in 0..9 {
        fs::create_dir_all(folder.path().join(format!("{number}/below"))).unwrap();
    }
    let limits = LocalFeed::limits(folder.path().to_owned()).await.unwrap();
    assert_eq!((limits.directories, limits.are_too_low()), (19, false));
    assert!(limits.max_user_watches > Some(19), "{limits:?}");

    let start = |max_watches| {
        LocalFeed::start(
            folder.path().to_owned(),
            FeedOptions { max_watches: Some(max_watches), ..FeedOptions::default() },
        )
    };
    let error = start(18).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Fatal);
    for part in ["19 directories", "after 18", "fs.inotify.max_user_watches", "sysctl -w"] {
        assert!(error.to_string().contains(part), "{part} is not in: {error}");
    }
    let feed = start(19).await.unwrap();
    let now = feed.position().await.unwrap();
    fs::create_dir(folder.path().join("one more")).unwrap();
    for error in [feed.position().await.unwrap_err(), feed.read(now).await.unwrap_err()] {
        assert_eq!(error.kind(), ErrorKind::Fatal);
        assert!(error.to_string().contains("20 directories"), "{error}");
    }
}
