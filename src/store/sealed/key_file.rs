//! 32 random bytes in a file that only its owner may read.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;

use aws_lc_rs::rand;

use crate::{Error, Result};

pub const LENGTH: usize = 32;

pub fn load_or_create(path: &Path) -> Result<[u8; LENGTH]> {
    match load(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            create(path).map_err(|error| unavailable(path, "create", &error))?;
            // Read back what is there: another process may have been first.
            load(path).map_err(|error| unavailable(path, "read", &error))?
        }
        Err(error) => Err(unavailable(path, "read", &error)),
        Ok(key) => key,
    }
}

/// The outer error is of the file, the inner one of its content.
fn load(path: &Path) -> std::io::Result<Result<[u8; LENGTH]>> {
    let mode = std::fs::metadata(path)?.permissions().mode();
    if mode & 0o077 != 0 {
        let advice =
            format!("others may read {}: run `chmod 600` on it, and replace it if it leaked", path.display());
        return Ok(Err(Error::Unavailable(advice)));
    }
    let bytes = std::fs::read(path)?;
    Ok(bytes.try_into().map_err(|_| {
        Error::Damaged(format!("{} must hold {LENGTH} bytes: restore it from a backup", path.display()))
    }))
}

/// Never overwrites, never shows half a key: the draft gets its name only when it is on disk.
fn create(path: &Path) -> std::io::Result<()> {
    let mut key = [0; LENGTH];
    rand::fill(&mut key).map_err(|_| std::io::Error::other("no random bytes"))?;
    let draft = path.with_extension(format!("{}.draft", draft_name()?));
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&draft)?;
    let linked =
        file.write_all(&key).and_then(|()| file.sync_all()).and_then(|()| std::fs::hard_link(&draft, path));
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    File::open(folder)?.sync_all()
}

fn draft_name() -> std::io::Result<String> {
    let mut name = [0; 8];
    rand::fill(&mut name).map_err(|_| std::io::Error::other("no random bytes"))?;
    Ok(format!("{:016x}", u64::from_ne_bytes(name)))
}

fn unavailable(path: &Path, verb: &str, error: &std::io::Error) -> Error {
    Error::Unavailable(format!("cannot {verb} the sealing key {}: {error}", path.display()))
}
