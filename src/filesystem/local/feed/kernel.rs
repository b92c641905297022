//! What the kernel is asked: notifications, watches, directories. Nothing here follows a symbolic link.

use std::collections::VecDeque;
use std::ffi::{CStr, OsStr};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::fs::inotify::{self, CreateFlags, ReadFlags, Reader, WatchFlags};
use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags};
use rustix::io::Errno;

use super::tree::Watch;
use crate::local::node;

/// Bytes of the smallest notification, one without a name.
const HEADER_BYTES: u64 = 16;
const BUFFER_BYTES: usize = 64 * 1024;

/// File systems that other machines or processes change without this kernel being told, by `statfs(2)`'s magic numbers.
const SILENT: [(u32, &str); 13] = [
    (0x6969, "NFS"),
    (0x517b, "SMB"),
    (0xff53_4d42, "SMB"),
    (0xfe53_4d42, "SMB"),
    (0x00c3_6400, "Ceph"),
    (0x0bd0_0bd0, "Lustre"),
    (0x0102_1997, "9P"),
    (0x5346_414f, "AFS"),
    (0x6573_5546, "FUSE"),
    (0x0116_1970, "GFS2"),
    (0x7461_636f, "OCFS2"),
    (0x4750_4653, "GPFS"),
    (0x1983_0326, "BeeGFS"),
];

#[derive(Debug)]
pub struct Notification {
    pub watch: Watch,
    pub flags: ReadFlags,
    /// The same for both ends of a move.
    pub cookie: u32,
    pub name: Name,
}

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Name {
    /// The watched directory itself.
    None,
    Utf8(String),
    /// As well as it can be written.
    Other(String),
}

#[derive(Debug)]
pub struct Notifications {
    fd: OwnedFd,
    buffer: Vec<MaybeUninit<u8>>,
}

impl Notifications {
    pub fn new() -> Result<Self, Errno> {
        let fd = inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK)?;
        Ok(Self { fd, buffer: vec![MaybeUninit::uninit(); BUFFER_BYTES] })
    }

    /// Takes over at least what is queued up now; what comes meanwhile only as long as it fits the buffer.
    pub fn read(&mut self, out: &mut VecDeque<Notification>) -> Result<(), Errno> {
        let mut left = rustix::io::ioctl_fionread(&self.fd)? / HEADER_BYTES;
        let mut reader = Reader::new(&self.fd, &mut self.buffer);
        while left > 0 || !reader.is_buffer_empty() {
            let event = match reader.next() {
                Ok(event) => event,
                Err(Errno::INTR) => continue,
                Err(Errno::AGAIN) => break,
                Err(error) => return Err(error),
            };
            left = left.saturating_sub(1);
            let name = match event.file_name().map(|name| name.to_str()) {
                None => Name::None,
                Some(Ok(name)) => Name::Utf8(name.to_owned()),
                Some(Err(_)) => {
                    let bytes = event.file_name().map(CStr::to_bytes).unwrap_or_default();
                    Name::Other(node::printable(OsStr::from_bytes(bytes)))
                }
            };
            out.push_back(Notification {
                watch: event.wd(),
                flags: event.events(),
                cookie: event.cookie(),
                name,
            });
        }
        Ok(())
    }

    /// The watch of this very directory, made if there is none yet. The descriptor says which directory is meant: its path
    /// may lead elsewhere by now.
    pub fn watch(&self, directory: BorrowedFd<'_>, is_root: bool) -> Result<Watch, Errno> {
        let mut flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::MODIFY
            | WatchFlags::CLOSE_WRITE
            | WatchFlags::ATTRIB
            | WatchFlags::ONLYDIR
            | WatchFlags::EXCL_UNLINK;
        if is_root {
            flags |= WatchFlags::DELETE_SELF | WatchFlags::MOVE_SELF;
        }
        inotify::add_watch(&self.fd, format!("/proc/self/fd/{}", directory.as_raw_fd()), flags)
    }

    pub fn unwatch(&self, watch: Watch) {
        // Fails when the kernel removed it before us, because the directory is gone.
        let _ = inotify::remove_watch(&self.fd, watch);
    }
}

impl AsFd for Notifications {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }
}

/// A root may be reached through symbolic links.
pub fn open_root(path: &Path) -> Result<OwnedFd, Errno> {
    rustix::fs::open(path, OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty())
}

pub fn open_child(parent: BorrowedFd<'_>, name: &str) -> Result<OwnedFd, Errno> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    rustix::fs::openat(parent, name, flags, Mode::empty())
}

/// Name by name, so that no name on the way can be a symbolic link. For the directories on the way the right to pass is
/// enough.
pub fn open_below<S: AsRef<str>>(root: OwnedFd, names: &[S]) -> Result<OwnedFd, Errno> {
    let Some((last, passed)) = names.split_last() else { return Ok(root) };
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut at = root;
    for name in passed {
        at = rustix::fs::openat(&at, name.as_ref(), flags, Mode::empty())?;
    }
    open_child(at.as_fd(), last.as_ref())
}

/// The directories in a directory that have names in UTF-8; the others hold nothing that could be migrated.
pub fn directories_in(directory: BorrowedFd<'_>) -> Result<Vec<String>, Errno> {
    let mut names = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if matches!(name.to_bytes(), b"." | b"..") {
            continue;
        }
        let is_directory = match entry.file_type() {
            FileType::Directory => true,
            FileType::Unknown => rustix::fs::statat(directory, name, AtFlags::SYMLINK_NOFOLLOW)
                .is_ok_and(|found| FileType::from_raw_mode(found.st_mode) == FileType::Directory),
            _ => false,
        };
        if is_directory && let Some(name) = OsStr::from_bytes(name.to_bytes()).to_str() {
            names.push(name.to_owned());
        }
    }
    Ok(names)
}

/// The name of the directory's file system, if changes on it may go unnoticed.
pub fn silent_filesystem(directory: BorrowedFd<'_>) -> Option<&'static str> {
    let magic = rustix::fs::fstatfs(directory).ok()?.f_type as u32;
    SILENT.iter().find(|(silent, _)| *silent == magic).map(|(_, name)| *name)
}

/// It is not there, or something else is: what happens to directories that others work on.
pub fn is_absent(error: Errno) -> bool {
    matches!(error, Errno::NOENT | Errno::NOTDIR | Errno::LOOP)
}

pub fn is_denied(error: Errno) -> bool {
    matches!(error, Errno::ACCESS | Errno::PERM)
}
