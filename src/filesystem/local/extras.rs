//! Extended attributes and access control lists of one node.
//!
//! The node is opened without following a link and without any right to its content (`O_PATH`), its id is compared, and
//! what is read then is read through the descriptor: a path that leads elsewhere meanwhile changes nothing.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::path::Path;

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;

use super::node;
use crate::{AclEntry, AclKind, Entry, EntryKind, Error, ErrorKind, Extras, Result};

/// The kernel's own limits (`XATTR_SIZE_MAX`, `XATTR_LIST_MAX`).
const LARGEST_BYTES: usize = 64 * 1024;

const ACCESS_ACL: &str = "system.posix_acl_access";
const DEFAULT_ACL: &str = "system.posix_acl_default";
/// Set by applications. `trusted.` is listed only to those who may read it. The rest, such as `security.`, belongs to this
/// machine.
const APPLICATIONS: [&str; 2] = ["user.", "trusted."];

pub fn read(path: &Path, entry: &Entry) -> Result<Extras> {
    let fail = |error: Errno| node::error("read attributes", path, error.into());
    let is_directory = match entry.kind {
        EntryKind::Directory => true,
        EntryKind::File { .. } => false,
        EntryKind::Symlink | EntryKind::Unsupported { .. } => return Ok(Extras::default()),
    };
    let flags = OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = File::from(rustix::fs::open(path, flags, Mode::empty()).map_err(fail)?);
    let metadata = opened.metadata().map_err(|error| node::error("read attributes", path, error))?;
    let is_same = match is_directory {
        true => metadata.is_dir() && node::id(&metadata) == entry.id,
        false => node::is_file_of(&entry.id, &metadata),
    };
    if !is_same {
        return Err(Error::new(
            ErrorKind::Gone,
            "read attributes",
            path.to_string_lossy(),
            "there is something else at its path now",
        ));
    }
    // The descriptor's own name: calls on the descriptor itself want it opened for reading.
    let held = format!("/proc/self/fd/{}", opened.as_raw_fd());
    let mut extras = Extras::default();
    for name in names(&held).map_err(fail)? {
        let is_ours = APPLICATIONS.iter().any(|prefix| name.starts_with(prefix));
        if !is_ours && name != ACCESS_ACL && name != DEFAULT_ACL {
            continue;
        }
        // Removed since it was listed.
        let Some(value) = value(&held, &name).map_err(fail)? else { continue };
        if is_ours {
            extras.xattrs.insert(name, value);
            continue;
        }
        let entries = parse_acl(&value, name == DEFAULT_ACL).ok_or_else(|| {
            let message = format!("{name} is not in the format of Linux");
            Error::new(ErrorKind::Fatal, "read attributes", path.to_string_lossy(), message)
        })?;
        extras.acl.extend(entries);
    }
    // The access entries first, whatever the file system lists first.
    extras.acl.sort_by_key(|entry| entry.is_default);
    Ok(extras)
}

/// Names that are not UTF-8 cannot be reported, let alone kept.
fn names(held: &str) -> std::result::Result<Vec<String>, Errno> {
    let mut buffer = vec![0; LARGEST_BYTES];
    let length = match rustix::fs::listxattr(held, &mut buffer) {
        Ok(length) => length,
        Err(Errno::OPNOTSUPP) => 0,
        Err(error) => return Err(error),
    };
    let names = buffer[..length].split(|byte| *byte == 0).filter(|name| !name.is_empty());
    Ok(names.filter_map(|name| std::str::from_utf8(name).ok()).map(str::to_owned).collect())
}

fn value(held: &str, name: &str) -> std::result::Result<Option<Vec<u8>>, Errno> {
    let mut buffer = vec![0; LARGEST_BYTES];
    match rustix::fs::getxattr(held, name, &mut buffer) {
        Ok(length) => {
            buffer.truncate(length);
            Ok(Some(buffer))
        }
        Err(Errno::NODATA) => Ok(None),
        Err(error) => Err(error),
    }
}

/// `linux/posix_acl_xattr.h`: version 2, then entries of tag, permissions and id, all little-endian. Of an access list,
/// the owner's and everybody else's entry are left out, being the permission bits; so is the group's, unless a mask hides
/// it. `None`: not this format.
fn parse_acl(value: &[u8], is_default: bool) -> Option<Vec<AclEntry>> {
    const VERSION: [u8; 4] = 2_u32.to_le_bytes();
    let entries = value.strip_prefix(&VERSION)?.chunks(8);
    let parsed: Vec<AclEntry> = entries
        .map(|entry| {
            let entry: [u8; 8] = entry.try_into().ok()?;
            let [tag_low, tag_high, low, high, id @ ..] = entry;
            let id = u32::from_le_bytes(id).to_string();
            let (kind, name) = match u16::from_le_bytes([tag_low, tag_high]) {
                0x01 => (AclKind::User, None),
                0x02 => (AclKind::User, Some(id)),
                0x04 => (AclKind::Group, None),
                0x08 => (AclKind::Group, Some(id)),
                0x10 => (AclKind::Mask, None),
                0x20 => (AclKind::Other, None),
                _ => return None,
            };
            let permissions = u8::try_from(u16::from_le_bytes([low, high])).ok().filter(|bits| *bits <= 7)?;
            Some(AclEntry { is_default, kind, name, permissions })
        })
        .collect::<Option<_>>()?;
    if is_default {
        return Some(parsed);
    }
    let has_mask = parsed.iter().any(|entry| entry.kind == AclKind::Mask);
    let is_beyond = |entry: &AclEntry| match entry.kind {
        AclKind::Mask => true,
        AclKind::Group => has_mask || entry.name.is_some(),
        AclKind::User | AclKind::Other => entry.name.is_some(),
    };
    Some(parsed.into_iter().filter(is_beyond).collect())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::fs;

    use rustix::fs::{XattrFlags, setxattr};

    use super::*;
    use crate::local::LocalSource;
    use crate::{NodeId, Source};

    fn acl(entries: &[(u16, u16, u32)]) -> Vec<u8> {
        let mut bytes = 2_u32.to_le_bytes().to_vec();
        for (tag, permissions, id) in entries {
            bytes.extend(tag.to_le_bytes());
            bytes.extend(permissions.to_le_bytes());
            bytes.extend(id.to_le_bytes());
        }
        bytes
    }

    const NO_ID: u32 = u32::MAX;

    fn of(kind: AclKind, name: Option<&str>, permissions: u8, is_default: bool) -> AclEntry {
        AclEntry { is_default, kind, name: name.map(str::to_owned), permissions }
    }

    /// A folder with a directory `d` and a file `f` in it.
    async fn tree() -> (tempfile::TempDir, LocalSource, NodeId) {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("d")).unwrap();
        fs::write(folder.path().join("d/f"), "content").unwrap();
        let source = LocalSource::new(folder.path().to_owned());
        let directory = source.resolve("/d").await.unwrap().id;
        (folder, source, directory)
    }

    #[tokio::test]
    async fn attributes_and_lists_are_those_of_the_node() {
        let (folder, source, directory) = tree().await;
        let path = folder.path().join("d/f");
        let set = |path: &Path, name: &str, value: &[u8]| {
            setxattr(path, name, value, XattrFlags::empty()).unwrap();
        };
        let entry = source.resolve("/d/f").await.unwrap();
        assert_eq!(source.extras(&entry, &directory).await.unwrap(), Extras::default());

        set(&path, "user.origin", b"\x00\xff");
        set(&path, "user.empty", b"");
        let list =
            [(1, 6, NO_ID), (2, 7, 1001), (4, 5, NO_ID), (8, 1, 70_000), (16, 4, NO_ID), (32, 0, NO_ID)];
        set(&path, ACCESS_ACL, &acl(&list));
        let entry = source.resolve("/d/f").await.unwrap();
        assert!(entry.has_acl);
        let extras = source.extras(&entry, &directory).await.unwrap();
        let xattrs = [("user.empty", vec![]), ("user.origin", vec![0, 255])];
        assert_eq!(extras.xattrs, BTreeMap::from(xattrs.map(|(name, value)| (name.to_owned(), value))));
        let named = [
            of(AclKind::User, Some("1001"), 7, false),
            of(AclKind::Group, None, 5, false),
            of(AclKind::Group, Some("70000"), 1, false),
            of(AclKind::Mask, None, 4, false),
        ];
        assert_eq!(extras.acl, named);

        set(&folder.path().join("d"), DEFAULT_ACL, &acl(&[(1, 7, NO_ID), (4, 5, NO_ID), (32, 0, NO_ID)]));
        let root = source.resolve("/").await.unwrap();
        let entry = source.resolve("/d").await.unwrap();
        let expected = [
            of(AclKind::User, None, 7, true),
            of(AclKind::Group, None, 5, true),
            of(AclKind::Other, None, 0, true),
        ];
        assert_eq!(source.extras(&entry, &root.id).await.unwrap().acl, expected);
        assert_eq!(
            source.extras(&root, &root.id).await.unwrap(),
            Extras::default(),
            "a root has no directory"
        );
    }

    #[tokio::test]
    async fn another_node_under_the_name_is_not_asked() {
        let (folder, source, directory) = tree().await;
        let path = folder.path().join("d/f");
        let entry = source.resolve("/d/f").await.unwrap();
        fs::rename(&path, folder.path().join("d/old")).unwrap();
        fs::write(&path, "another").unwrap();
        setxattr(&path, "user.other", b"x", XattrFlags::empty()).unwrap();
        assert_eq!(source.extras(&entry, &directory).await.unwrap_err().kind(), ErrorKind::Gone);

        fs::remove_file(&path).unwrap();
        assert_eq!(source.extras(&entry, &directory).await.unwrap_err().kind(), ErrorKind::Gone);
        // Not even by a link to it.
        std::os::unix::fs::symlink("old", &path).unwrap();
        assert_eq!(source.extras(&entry, &directory).await.unwrap_err().kind(), ErrorKind::Gone);
        let link = source.resolve("/d/f").await.unwrap();
        assert_eq!(source.extras(&link, &directory).await.unwrap(), Extras::default());
    }

    #[test]
    fn other_formats_are_refused() {
        let good = acl(&[(1, 7, NO_ID)]);
        assert_eq!(parse_acl(&good, false), Some(vec![]));
        let version = [&[3], &good[1..]].concat();
        let tag = acl(&[(3, 7, NO_ID)]);
        let permissions = acl(&[(1, 8, NO_ID)]);
        for wrong in [&good[..11], &good[..3], &version, &tag, &permissions] {
            assert_eq!(parse_acl(wrong, false), None, "{wrong:?}");
        }
    }
}
