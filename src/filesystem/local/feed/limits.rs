//! What the kernel allows, and what a directory needs.

use std::os::fd::AsFd;
use std::path::Path;

use rustix::io::Errno;

use super::kernel;
use crate::local::node;
use crate::{Error, ErrorKind, Result};

/// Directories below a root against the limits of `inotify(7)`, which all programs of a user share. A watch costs the
/// kernel about 1 KiB of memory that is never swapped out.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Limits {
    /// The root, and every directory below that can be seen: each needs a watch.
    pub directories: u64,
    /// `fs.inotify.max_user_watches`; `None` where it cannot be read.
    pub max_user_watches: Option<u64>,
    /// `fs.inotify.max_user_instances`: feeds and other programs' readers.
    pub max_user_instances: Option<u64>,
    /// `fs.inotify.max_queued_events`: more at once is a gap.
    pub max_queued_events: Option<u64>,
}

impl Limits {
    pub fn read(root: &Path) -> Result<Self> {
        let fail = |error: Errno| node::error("count directories below", root, error.into());
        Ok(Self {
            directories: count(root).map_err(fail)?,
            max_user_watches: limit("max_user_watches"),
            max_user_instances: limit("max_user_instances"),
            max_queued_events: limit("max_queued_events"),
        })
    }

    /// Whether the watches are certainly not enough, even if no other program uses any.
    pub fn are_too_low(&self) -> bool {
        self.max_user_watches.is_some_and(|limit| limit < self.directories)
    }
}

pub fn limit(name: &str) -> Option<u64> {
    std::fs::read_to_string(format!("/proc/sys/fs/inotify/{name}")).ok()?.trim().parse().ok()
}

/// `placed`: watches that this feed has. `allowed`: a limit of its own, for want of which the kernel's was met.
pub fn too_few_watches(root: &Path, placed: usize, allowed: Option<usize>) -> Error {
    let directories = count(root).unwrap_or_default().max(placed as u64 + 1);
    let limit = match allowed {
        Some(allowed) => format!("{allowed} set for this feed"),
        None => match limit("max_user_watches") {
            Some(limit) => {
                format!("fs.inotify.max_user_watches = {limit}, which all programs of this user share")
            }
            None => "fs.inotify.max_user_watches".to_owned(),
        },
    };
    // Room to grow, and for other programs.
    let advised = directories.saturating_mul(2).next_power_of_two().max(65_536);
    Error::new(
        ErrorKind::Fatal,
        "watch",
        root.to_string_lossy(),
        format!(
            "there are {directories} directories and each needs a watch; the limit ({limit}) was reached after {placed}; \
             raise it (as root: sysctl -w fs.inotify.max_user_watches={advised}; to keep it, write it to \
             /etc/sysctl.d/) and start again"
        ),
    )
}

/// Those that vanish meanwhile or may not be read hold nothing that can be watched.
fn count(root: &Path) -> std::result::Result<u64, Errno> {
    let mut counted = 1;
    let mut open: Vec<Vec<String>> = kernel::directories_in(kernel::open_root(root)?.as_fd())?
        .into_iter()
        .map(|name| vec![name])
        .collect();
    while let Some(names) = open.pop() {
        counted += 1;
        let found = kernel::open_root(root)
            .and_then(|root| kernel::open_below(root, &names))
            .and_then(|directory| kernel::directories_in(directory.as_fd()));
        match found {
            Ok(below) => open.extend(below.into_iter().map(|name| [names.as_slice(), &[name]].concat())),
            Err(error) if kernel::is_absent(error) || kernel::is_denied(error) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(counted)
}
