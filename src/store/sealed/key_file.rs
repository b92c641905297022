//! Keys in a file that only its owner may read: 32 bytes as they are if there is one and always was, or lines, the one that
//! seals last:
//!
//! | line | is |
//! |---|---|
//! | `ID BASE64` | a key |
//! | `ID BASE64 ADDRESS` | a key, wrapped by the key of this address ([`super::WrappingKey`]) |
//! | `# next ID` | which one shall seal next; to versions that do not know it, it is a remark |
//! | `# …` | a remark |
//!
//! The file is never changed in place: what it becomes is written beside it and renamed, so nobody sees half of it. It keeps its
//! owner and mode, so who could read it before still can. Who changes it holds a lock on a second file, so two who do come one
//! after the other.

use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use super::key::{Key, KeyId, LENGTH, random};
use super::wrapping::Wrapped;
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
#[derive(Clone)]
pub struct Lines {
    /// At least one. The last one seals.
    pub all: Vec<Line>,
    /// One of them, which does not seal yet.
    pub next: Option<KeyId>,
}

#[derive(Clone)]
pub enum Line {
    Plain(Key),
    Wrapped(KeyId, Wrapped),
}

impl Line {
    pub fn id(&self) -> KeyId {
        match self {
            Self::Plain(key) => key.id(),
            Self::Wrapped(id, _) => *id,
        }
    }

    /// `None` also if the id is not that of the key: one of them was changed by hand.
    fn parse(text: &str) -> Option<Self> {
        let (id, rest) = text.split_once(' ')?;
        let id = id.parse::<KeyId>().ok()?;
        let (bytes, by) = rest.trim().split_once(' ').map_or((rest, None), |(bytes, by)| (bytes, Some(by)));
        let bytes = STANDARD.decode(bytes.trim()).ok()?;
        match by {
            Some(by) => Some(Self::Wrapped(id, Wrapped { by: by.trim().to_owned(), bytes })),
            None => {
                let key = Key::new(bytes.try_into().ok()?);
                (id == key.id()).then_some(Self::Plain(key))
            }
        }
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(key) => write!(f, "{} {}", key.id(), STANDARD.encode(key.bytes())),
            Self::Wrapped(id, Wrapped { by, bytes }) => write!(f, "{id} {} {by}", STANDARD.encode(bytes)),
        }
    }
}

pub fn load(path: &Path) -> Result<Lines> {
    let mode =
        std::fs::metadata(path).map_err(|error| unavailable(path, "read", &error))?.permissions().mode();
    if mode & 0o077 != 0 {
        let advice =
            format!("others may read {}: run `chmod 600` on it, and replace it if it leaked", path.display());
        return Err(Error::KeyUnavailable(advice));
    }
    let bytes = std::fs::read(path).map_err(|error| unavailable(path, "read", &error))?;
    if let Ok(key) = <[u8; LENGTH]>::try_from(bytes.as_slice()) {
        return Ok(Lines { all: vec![Line::Plain(Key::new(key))], next: None });
    }
    let damaged = |what: &str| {
        Error::Damaged(format!(
            "{} must hold {LENGTH} bytes, or a line of id, Base64 and what wrapped it for each key; {what}: restore it from a backup",
            path.display()
        ))
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| damaged("it is neither"))?;
    let mut all = Vec::new();
    for (line, number) in text.lines().zip(1..).filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
    {
        let line = Line::parse(line).ok_or_else(|| damaged(&format!("line {number} is neither")))?;
        all.push(line);
    }
    let next = text.lines().find_map(|line| line.strip_prefix(NEXT)?.trim().parse().ok());
    let next = next.filter(|next| all.iter().rev().skip(1).any(|line| line.id() == *next));
    if all.is_empty() { Err(empty(path)) } else { Ok(Lines { all, next }) }
}

pub fn empty(path: &Path) -> Error {
    Error::Damaged(format!("{} holds no key: restore it from a backup", path.display()))
}

pub fn is_missing(path: &Path) -> Result<bool> {
    match std::fs::symlink_metadata(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(true),
        Err(error) => Err(unavailable(path, "read", &error)),
        Ok(_) => Ok(false),
    }
}

/// With one key. Never overwrites.
pub fn create(path: &Path, line: &Line) -> Result<()> {
    let created = (|| {
        let draft = match line {
            // As it always was: older versions read it.
            Line::Plain(key) => write_draft(path, key.bytes())?,
            wrapped @ Line::Wrapped(..) => write_draft(path, format!("{HEAD}\n{wrapped}\n").as_bytes())?,
        };
        let linked = std::fs::hard_link(&draft, path);
        std::fs::remove_file(&draft)?;
        match linked {
            // Another process was first: its key counts.
            Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error),
            _ => sync_folder(path),
        }
    })();
    created.map_err(|error| unavailable(path, "create", &error))
}

/// Nobody else changes the file meanwhile.
pub fn change(path: &Path, change: impl FnOnce(&mut Lines)) -> Result<()> {
    let failed = |error: std::io::Error| unavailable(path, "change", &error);
    let lock = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(beside(path, "lock"))
        .map_err(failed)?;
    lock.lock().map_err(failed)?;
    let mut lines = load(path)?;
    change(&mut lines);
    if lines.all.is_empty() {
        return Err(empty(path));
    }
    let mut text = format!("{HEAD}\n");
    if let Some(next) = lines.next {
        text.push_str(&format!("{NEXT}{next}\n"));
    }
    for line in &lines.all {
        text.push_str(&format!("{line}\n"));
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
    Error::KeyUnavailable(format!("cannot {verb} the sealing key {}: {error}", path.display()))
}
