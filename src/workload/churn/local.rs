//! A lake in a local directory, through `std::fs`. Calls block their thread: each is short.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::{XattrFlags, setxattr};

use super::{Error, FileSystem, Found};

#[derive(Clone, Copy, Debug)]
pub struct Local;

fn fail<'a>(operation: &'static str, path: &'a str) -> impl FnOnce(io::Error) -> Error + 'a {
    move |error| Error::new(operation, path, error)
}

/// Does it again as somebody who may: lakes hold files that their owner may not write.
fn writing<T>(path: &str, work: impl Fn() -> io::Result<T>) -> io::Result<T> {
    match work() {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            fs::set_permissions(path, Permissions::from_mode(0o644))?;
            work()
        }
        result => result,
    }
}

impl FileSystem for Local {
    const HAS_CONCAT: bool = false;

    async fn walk(&self, root: &str) -> Result<Vec<Found>, Error> {
        let mut found = Vec::new();
        let mut open = vec![root.trim_end_matches('/').to_owned()];
        while let Some(directory) = open.pop() {
            for entry in fs::read_dir(&directory).map_err(fail("list", &directory))? {
                let entry = entry.map_err(fail("list", &directory))?;
                let metadata = entry.metadata().map_err(fail("look at", &directory))?;
                let Ok(name) = entry.file_name().into_string() else { continue };
                let path = format!("{directory}/{name}");
                if metadata.is_dir() {
                    open.push(path.clone());
                } else if !metadata.is_file() {
                    continue;
                }
                let bytes = if metadata.is_dir() { 0 } else { metadata.len() };
                found.push(Found { path, is_directory: metadata.is_dir(), bytes });
            }
        }
        Ok(found)
    }

    async fn make_directory(&self, path: &str) -> Result<(), Error> {
        fs::create_dir_all(path).map_err(fail("make directory", path))
    }

    async fn write(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        writing(path, || fs::write(path, &content)).map_err(fail("write", path))
    }

    async fn append(&self, path: &str, content: Vec<u8>) -> Result<(), Error> {
        writing(path, || OpenOptions::new().append(true).open(path))
            .and_then(|mut file| file.write_all(&content))
            .map_err(fail("append to", path))
    }

    async fn truncate(&self, path: &str, bytes: u64) -> Result<(), Error> {
        writing(path, || OpenOptions::new().write(true).open(path))
            .and_then(|file| file.set_len(bytes))
            .map_err(fail("truncate", path))
    }

    async fn rename(&self, from: &str, to: &str) -> Result<(), Error> {
        fs::rename(from, to).map_err(fail("rename", from))
    }

    async fn delete(&self, path: &str) -> Result<(), Error> {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_dir() => fs::remove_dir_all(path),
            _ => fs::remove_file(path),
        }
        .map_err(fail("delete", path))
    }

    async fn set_permissions(&self, path: &str, permissions: u16) -> Result<(), Error> {
        fs::set_permissions(path, Permissions::from_mode(u32::from(permissions))).map_err(fail("chmod", path))
    }

    /// In the format of `linux/posix_acl_xattr.h`.
    async fn grant(&self, path: &str, user: u32, rights: u8) -> Result<(), Error> {
        const NO_ID: u32 = u32::MAX;
        let mode = fs::symlink_metadata(path).map_err(fail("look at", path))?.mode();
        let of = |shift: u32| (mode >> shift & 7) as u16;
        let entries = [
            (0x01, of(6), NO_ID),
            (0x02, u16::from(rights), user),
            (0x04, of(3), NO_ID),
            (0x10, of(3) | u16::from(rights), NO_ID),
            (0x20, of(0), NO_ID),
        ];
        let mut value = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            value.extend(u16::to_le_bytes(tag));
            value.extend(permissions.to_le_bytes());
            value.extend(id.to_le_bytes());
        }
        setxattr(path, "system.posix_acl_access", &value, XattrFlags::empty())
            .map_err(|error| Error::new("setfacl", path, error))
    }

    async fn set_attribute(&self, path: &str, name: &str, value: &[u8]) -> Result<(), Error> {
        writing(path, || Ok(setxattr(path, name, value, XattrFlags::empty())?))
            .map_err(fail("setxattr", path))
    }

    async fn concat(&self, path: &str, _sources: &[String]) -> Result<(), Error> {
        Err(Error::new("concat", path, "local files cannot be joined without copying"))
    }
}
