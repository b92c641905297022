//! Keys in a file that only its owner may read: 32 bytes as they are if there is one and always was, or lines of id and Base64,
//! the one that seals last. A line `# next ID` tells which one shall seal next; to versions that do not know it, it is a remark.
//!
//! The file is never changed in place: what it becomes is written beside it and renamed, so nobody sees half of it. It keeps its
//! owner and mode, so who could read it before still can. Who changes it holds a lock on a second file, so two who do come one
//! after the other.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{Key, KeyId, LENGTH, random};
use crate::{Error, Result};

const HEAD: &str = "# Keys that seal secrets in a store of livedata. All of them open, the last one seals.";

const NEXT: &str = "# next ";

/// Tells whether the file is still the one that was read.
#[derive(Debug, Eq, PartialEq)]
pub struct Stamp(u64, u64, i64, i64);

impl Stamp {
    pub fn of(path: &Path) -> std::io::Result<Self> {
        let file = std::fs::metadata(path)?;
        Ok(Self(file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
    }
}

/// What stands in the file.
pub struct Keys {
    /// At least one. The last one seals.
    pub all: Vec<Key>,
    /// One of them, which does not seal yet.
    pub next: Option<KeyId>,
}

pub fn load(path: &Path) -> Result<Keys> {
    let mode =
        std::fs::metadata(path).map_err(|error| unavailable(path, "read", &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let advice =
            format!("others may read {}: run `chmod 600` on it, and replace it if it leaked", path.display());
        return Err(Error::Unavailable(advice));
    }
    let bytes = std::fs::read(path).map_err(|error| unavailable(path, "read", &error))?;
    if let Ok(key) = <[u8; LENGTH]>::try_from(bytes.as_slice()) {
        return Ok(Keys { all: vec![Key::new(key)], next: None });
    }
    let damaged = |what: &str| {
        Error::Damaged(format!(
            "{} must hold {LENGTH} bytes, or a line of id and Base64 for each key; {what}: restore it from a backup",
            path.display()
        ))
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is neither"))?;
    let mut keys = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
    {
        let key = key(line).ok_or_else(|| damaged(&format!("line {number} is neither")))?;
        keys.push(key);
    }
    let next = text.lines().find_map(|line| line.strip_prefix(NEXT)?.trim().parse().ok());
    let next = next.filter(|next| keys.iter().rev().skip(1).any(|key| key.id() == *next));
    if keys.is_empty() { Err(empty(path)) } else { Ok(Keys { all: keys, next }) }
}

pub fn empty(path: &Path) -> Error {
    Error::Damaged(format!("{} holds no key: restore it from a backup", path.display()))
}

/// `None` also if the id is not that of the key: one of them was changed by hand.
fn key(line: &str) -> Option<Key> {
    let (id, key) = line.split_once(' ')?;
    let key = Key::new(STANDARD.decode(key.trim()).ok()?.try_into().ok()?);
    (id.parse::<KeyId>().ok()? == key.id()).then_some(key)
}

/// With one key. Never overwrites.
pub fn create_if_missing(path: &Path) -> Result<()> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let created = random().and_then(|key| {
                let draft = write_draft(path, &key)?;
                let linked = std::fs::hard_link(&draft, path);
                std::fs::remove_file(&draft)?;
                match linked {
                    // Another process was first: its key counts.
                    Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
                    _ => sync_folder(path),
                }
            });
            created.map_err(|error| unavailable(path, "create", &error))
        }
        Err(error) => Err(unavailable(path, "read", &error)),
        Ok(_) => Ok(()),
    }
}

/// Nobody else changes the file meanwhile.
pub fn change(path: &Path, change: impl FnOnce(&mut Keys)) -> Result<()> {
    let failed = |error: std::io::Error| unavailable(path, "change", &error);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, "lock"))
        .map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut keys = load(path)?;
    change(&mut keys);
    if keys.all.is_empty() {
        return Err(empty(path));
    }
    let mut text = format!("{HEAD}\n");
    if let Some(next) = keys.next {
        text.push_str(&format!("{NEXT}{next}\n"));
    }
    for key in &keys.all {
        text.push_str(&format!("{} {}\n", key.id(), STANDARD.encode(key.bytes())));
    }
    write_draft(path, text.as_bytes())
        .and_then(|draft| {
            let renamed = inherit(path, &draft).and_then(|()| std::fs::rename(&draft, path));
            if renamed.is_err() {
                // It holds keys.
                let _ = std::fs::remove_file(&draft);
            }
            renamed
        })
        .and_then(|()| sync_folder(path))
        .map_err(failed)
}

/// On disk, under a name that nobody else has.
fn write_draft(path: &Path, content: &[u8]) -> std::io::Result<PathBuf> {
    let name: [u8; LENGTH] = random()?;
    let name: String = name.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    let draft = beside(path, &format!("{name}.draft"));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    file.write_all(content).and_then(|()| file.sync_all())?;
    Ok(draft)
}

/// The draft belongs to whom the file does. Who may not give it away does not replace the file.
fn inherit(path: &Path, draft: &Path) -> std::io::Result<()> {
    let (now, made) = (std::fs::metadata(path)?, File::open(draft)?);
    let created = made.metadata()?;
    if (now.uid(), now.gid()) != (created.uid(), created.gid()) {
        fchown(&made, Some(now.uid()), Some(now.gid()))?;
    }
    made.set_permissions(now.permissions())
}

fn beside(path: &Path, extension: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(extension);
    name.into()
}

fn sync_folder(path: &Path) -> std::io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

pub fn unavailable(path: &Path, verb: &str, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot {verb} the sealing key {}: {error}", path.display()))
}
