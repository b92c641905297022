//! Nodes of a source file system: opaque identifiers (equality is all that callers may ask of them) and what one look sees.

use std::fmt;

use crate::report::FailureKind;

macro_rules! opaque {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Eq, PartialEq, Ord, PartialOrd, Hash)]
        pub struct $name(Box<[u8]>);

        impl $name {
            pub fn from_bytes(bytes: impl Into<Box<[u8]>>) -> Self {
                Self(bytes.into())
            }

            pub fn as_bytes(&self) -> &[u8] {
                &self.0
            }

            /// Lower-case hexadecimal: safe in paths, logs and properties.
            pub fn to_hex(&self) -> String {
                use fmt::Write;
                self.0.iter().fold(String::with_capacity(self.0.len() * 2), |mut out, byte| {
                    let _ = write!(out, "{byte:02x}");
                    out
                })
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({})", stringify!($name), self.to_hex())
            }
        }
    };
}

opaque! {
    /// Names one file or directory for as long as it lives, whatever it is called: an HDFS inode id; device, inode and
    /// birth time of a local file.
    NodeId
}

opaque! {
    /// Two equal versions of one node mean byte-equal content: a fingerprint of HDFS blocks (ids, generation stamps,
    /// lengths); size and times of a local file.
    ContentVersion
}

/// One directory entry, as it was at one moment.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Entry {
    /// One path segment, never empty and without `/`. The root of a migration has the last segment of its path.
    pub name: String,
    pub id: NodeId,
    pub kind: EntryKind,
    /// POSIX permission bits, with sticky bit: `0o1777` at most.
    pub permissions: u16,
    pub owner: String,
    pub group: String,
    /// Modification time, milliseconds since 1970.
    pub modified_ms: i64,
    /// It has access control entries beyond its permission bits.
    pub has_acl: bool,
    /// What costs a request of its own to see; `None`: this look did not ask. Listings never do.
    pub extras: Option<Extras>,
}

/// What a node has besides name, content, times and permission bits.
#[derive(Clone, Debug, Default, Eq, Hash, PartialEq)]
pub struct Extras {
    /// Entries beyond the permission bits, in the source's order: named ones, the mask, the unnamed group entry that a mask
    /// hides, and a directory's default entries. Empty: the permission bits say everything.
    pub acl: Vec<AclEntry>,
    /// Extended attributes that applications set, by full name (`user.origin`).
    pub xattrs: std::collections::BTreeMap<String, Vec<u8>>,
}

/// One POSIX access control entry.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct AclEntry {
    /// Inherited by what is made in the directory, without effect on the directory itself.
    pub is_default: bool,
    pub kind: AclKind,
    /// Of a named user or group; `None`: the owner's, the owning group's, the mask, everybody else's.
    pub name: Option<String>,
    /// `rwx`: 7 at most.
    pub permissions: u8,
}

#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub enum AclKind {
    User,
    Group,
    Mask,
    Other,
}

#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub enum EntryKind {
    Directory,
    File {
        length_bytes: u64,
        version: ContentVersion,
        /// Somebody holds it open for writing; length and version may be behind. Its close is what counts.
        open_for_write: bool,
    },
    /// Recorded and reported, never followed.
    Symlink,
    /// A pipe, a socket, a device, or a name that is not UTF-8: reported with the reason, never copied.
    Unsupported {
        kind: FailureKind,
        reason: String,
    },
}
