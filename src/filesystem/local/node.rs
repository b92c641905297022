//! From what the kernel says about a node to an [`Entry`].

use std::ffi::OsStr;
use std::fs::Metadata;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, MetadataExt};
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::{ContentVersion, Entry, EntryKind, Error, ErrorKind, FailureKind, NodeId};

const PERMISSION_MASK: u32 = 0o1777;

/// `parent`: of what is not the root.
pub fn entry(parent: Option<&NodeId>, name: &OsStr, metadata: &Metadata) -> Entry {
    let file_type = metadata.file_type();
    let unsupported =
        |what: &str| EntryKind::Unsupported { kind: FailureKind::NotSupported, reason: what.to_owned() };
    let kind = if name.to_str().is_none() {
        EntryKind::Unsupported {
            kind: FailureKind::NameRefused,
            reason: "its name is not UTF-8, which the target wants: rename it at the source".to_owned(),
        }
    } else if file_type.is_dir() {
        EntryKind::Directory
    } else if file_type.is_file() {
        EntryKind::File { length_bytes: metadata.len(), version: version(metadata), open_for_write: false }
    } else if file_type.is_symlink() {
        EntryKind::Symlink
    } else if file_type.is_fifo() {
        unsupported("it is a pipe")
    } else if file_type.is_socket() {
        unsupported("it is a socket")
    } else {
        unsupported("it is a device")
    };
    let may_have_acl = matches!(kind, EntryKind::Directory | EntryKind::File { .. });
    Entry {
        name: printable(name),
        id: parent
            .filter(|_| is_hard_link(metadata))
            .map_or_else(|| id(metadata), |parent| link_id(parent, name, metadata)),
        kind,
        permissions: (metadata.mode() & PERMISSION_MASK) as u16,
        owner: metadata.uid().to_string(),
        group: metadata.gid().to_string(),
        modified_ms: metadata.mtime().saturating_mul(1000).saturating_add(metadata.mtime_nsec() / 1_000_000),
        has_acl: may_have_acl,
        extras: None,
    }
}

/// A name as text. One that is not UTF-8 has each byte that is of no character as U+FFFD and two hexadecimal digits: two such
/// names are two.
pub fn printable(name: &OsStr) -> String {
    let mut text = String::with_capacity(name.len());
    for chunk in name.as_bytes().utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push(char::REPLACEMENT_CHARACTER);
            text.push_str(&format!("{byte:02x}"));
        }
    }
    text
}

pub fn id(metadata: &Metadata) -> NodeId {
    let birth =
        metadata.created().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).unwrap_or_default();
    let mut bytes = Vec::with_capacity(28);
    bytes.extend(metadata.dev().to_be_bytes());
    bytes.extend(metadata.ino().to_be_bytes());
    bytes.extend(birth.as_secs().to_be_bytes());
    bytes.extend(birth.subsec_nanos().to_be_bytes());
    NodeId::from_bytes(bytes)
}

fn is_hard_link(metadata: &Metadata) -> bool {
    metadata.is_file() && metadata.nlink() > 1
}

/// Of several names of one file each is a node of its own: a data lake knows no second names, and one node that is seen in
/// two places would be taken for one that moves between them.
fn link_id(parent: &NodeId, name: &OsStr, metadata: &Metadata) -> NodeId {
    // Of fixed length: node ids become file names in the staging area.
    let place =
        uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, &[parent.as_bytes(), name.as_bytes()].concat());
    NodeId::from_bytes([id(metadata).as_bytes(), place.as_bytes()].concat())
}

/// Whether this is the file that a node stands for, under whatever name.
pub fn is_file_of(node: &NodeId, metadata: &Metadata) -> bool {
    metadata.is_file() && node.as_bytes().starts_with(id(metadata).as_bytes())
}

pub fn version(metadata: &Metadata) -> ContentVersion {
    let mut bytes = Vec::with_capacity(40);
    bytes.extend(metadata.len().to_be_bytes());
    for time in [metadata.mtime(), metadata.mtime_nsec(), metadata.ctime(), metadata.ctime_nsec()] {
        bytes.extend(time.to_be_bytes());
    }
    ContentVersion::from_bytes(bytes)
}

pub fn is_directory_with_id(path: &Path, directory: &NodeId) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir() && id(&metadata) == *directory)
}

/// Too many open files, too little memory, a file server that is away: not a matter of the one path.
fn is_of_everything(error: &std::io::Error) -> bool {
    use rustix::io::Errno;
    let all = [
        Errno::MFILE,
        Errno::NFILE,
        Errno::NOMEM,
        Errno::AGAIN,
        Errno::INTR,
        Errno::TIMEDOUT,
        Errno::NOTCONN,
        Errno::CONNABORTED,
        Errno::CONNREFUSED,
        Errno::CONNRESET,
        Errno::HOSTDOWN,
        Errno::HOSTUNREACH,
        Errno::NETDOWN,
        Errno::NETUNREACH,
        Errno::SHUTDOWN,
        Errno::NODEV,
        Errno::NXIO,
    ];
    error.raw_os_error().is_none_or(|code| all.iter().any(|known| known.raw_os_error() == code))
}

pub fn error(operation: &'static str, path: &Path, error: std::io::Error) -> Error {
    use std::io::ErrorKind as Io;
    let kind = match error.kind() {
        Io::NotFound | Io::NotADirectory | Io::StaleNetworkFileHandle => ErrorKind::Gone,
        Io::PermissionDenied => ErrorKind::Denied,
        Io::InvalidInput | Io::InvalidFilename => ErrorKind::Fatal,
        _ if is_of_everything(&error) => ErrorKind::Unreachable,
        _ => ErrorKind::Unreadable,
    };
    Error::new(kind, operation, path.to_string_lossy(), error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_ails_one_path_is_told_apart_from_what_ails_all() {
        for (code, kind) in [
            (2, ErrorKind::Gone),
            (13, ErrorKind::Denied),
            // EIO, EUCLEAN
            (5, ErrorKind::Unreadable),
            (117, ErrorKind::Unreadable),
            // EMFILE, ENOTCONN
            (24, ErrorKind::Unreachable),
            (107, ErrorKind::Unreachable),
        ] {
            let found = error("read", Path::new("/x"), std::io::Error::from_raw_os_error(code));
            assert_eq!(found.kind(), kind, "{found}");
        }
    }
}
