//! From what the NameNode says about a node to an [`Entry`].
//!
//! The version of a file is SHA-256 over its length and, for each block, pool id, block id, generation stamp and length.
//! Blocks never change once complete: an append or a truncation gives the last block a new generation stamp or a new id,
//! rewriting makes new blocks (and a new inode). Times do not enter, because users can set them. A version may change
//! without the bytes having changed (a recovered write pipeline bumps the stamp); it never stays while they change.

use aws_lc_rs::digest;
use livedata_filesystem::{ContentVersion, Entry, EntryKind, FailureKind, NodeId};

use crate::proto::{FLAG_HAS_ACL, FileStatus, PERMISSION_HAS_ACL, TYPE_DIRECTORY, TYPE_FILE, TYPE_SYMLINK};

/// Bits above are Hadoop's own flags (has an ACL, is encrypted, is erasure coded).
const PERMISSION_MASK: u32 = 0o1777;

/// `Err` says what is wrong with the answer. `name` is given where the answer has none: about a single path.
pub fn entry(status: &FileStatus, name: Option<&str>) -> Result<Entry, String> {
    let (name, is_utf8) = match name {
        Some(name) => (name.to_owned(), true),
        None => match std::str::from_utf8(&status.name) {
            Ok(name) => (name.to_owned(), true),
            Err(_) => (String::from_utf8_lossy(&status.name).into_owned(), false),
        },
    };
    let id =
        status.file_id.filter(|id| *id != 0).ok_or_else(|| format!("`{name}` came without an inode id"))?;
    let kind = match status.file_type {
        _ if !is_utf8 => EntryKind::Unsupported {
            kind: FailureKind::NameRefused,
            reason: "its name is not UTF-8, which the target wants: rename it at the source".into(),
        },
        TYPE_DIRECTORY => EntryKind::Directory,
        TYPE_FILE => file(status).ok_or_else(|| format!("`{name}` came without its blocks"))?,
        TYPE_SYMLINK => EntryKind::Symlink,
        other => EntryKind::Unsupported {
            kind: FailureKind::NotSupported,
            reason: format!("HDFS file type {other} is not known here"),
        },
    };
    Ok(Entry {
        name,
        id: node_id(id),
        kind,
        permissions: (status.permission.bits & PERMISSION_MASK) as u16,
        owner: status.owner.clone(),
        group: status.group.clone(),
        modified_ms: i64::try_from(status.modification_time).unwrap_or(i64::MAX),
        has_acl: status.permission.bits & PERMISSION_HAS_ACL != 0
            || status.flags.unwrap_or(0) & FLAG_HAS_ACL != 0,
        extras: None,
    })
}

fn file(status: &FileStatus) -> Option<EntryKind> {
    let blocks = status.blocks.as_ref()?;
    let mut context = digest::Context::new(&digest::SHA256);
    context.update(&status.length.to_be_bytes());
    for block in blocks.blocks.iter().map(|located| &located.block) {
        context.update(&(block.pool_id.len() as u64).to_be_bytes());
        context.update(block.pool_id.as_bytes());
        for number in [block.block_id, block.generation_stamp, block.length_bytes.unwrap_or(0)] {
            context.update(&number.to_be_bytes());
        }
    }
    Some(EntryKind::File {
        length_bytes: status.length,
        version: ContentVersion::from_bytes(context.finish().as_ref()),
        open_for_write: blocks.under_construction,
    })
}

pub fn node_id(inode: u64) -> NodeId {
    NodeId::from_bytes(inode.to_be_bytes())
}

/// `None` if another kind of source made the id.
pub fn inode(id: &NodeId) -> Option<u64> {
    Some(u64::from_be_bytes(id.as_bytes().try_into().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ExtendedBlock, FilePermission, LocatedBlock, LocatedBlocks};

    fn status(blocks: &[(u64, u64, u64)]) -> FileStatus {
        let length = blocks.iter().map(|block| block.2).sum();
        let blocks = blocks.iter().map(|&(block_id, generation_stamp, length)| LocatedBlock {
            block: ExtendedBlock {
                pool_id: "BP-1".into(),
                block_id,
                generation_stamp,
                length_bytes: Some(length),
            },
        });
        FileStatus {
            file_type: TYPE_FILE,
            name: b"a".to_vec(),
            length,
            permission: FilePermission { bits: 0o1644 },
            modification_time: 5,
            blocks: Some(LocatedBlocks {
                file_length: length,
                blocks: blocks.collect(),
                under_construction: false,
            }),
            file_id: Some(16386),
            ..Default::default()
        }
    }

    fn version(status: &FileStatus) -> ContentVersion {
        match entry(status, None).unwrap().kind {
            EntryKind::File { version, .. } => version,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn every_part_of_a_block_counts_and_nothing_else() {
        let base = status(&[(1, 1001, 10), (2, 1002, 5)]);
        let mut renamed = base.clone();
        renamed.name = b"b".to_vec();
        renamed.modification_time = 6;
        assert_eq!(version(&base), version(&renamed));
        for other in [
            &[(1, 1001, 10), (2, 1003, 5)][..],
            &[(1, 1001, 10), (3, 1002, 5)],
            &[(1, 1001, 10), (2, 1002, 6)],
            &[(1, 1001, 10)],
            &[(2, 1002, 5), (1, 1001, 10)],
            &[],
        ] {
            assert_ne!(version(&base), version(&status(other)), "{other:?}");
        }
        assert_eq!(version(&status(&[])), version(&status(&[])));
    }

    #[test]
    fn an_acl_shows_in_the_flags_of_either_hadoop_and_not_in_the_permissions() {
        let told = |bits, flags| {
            let status = FileStatus { permission: FilePermission { bits }, flags, ..status(&[]) };
            let entry = entry(&status, None).unwrap();
            (entry.permissions, entry.has_acl)
        };
        assert_eq!(told(0o1644, None), (0o1644, false));
        // Hadoop 2: bit 12 is an ACL, bit 13 encryption.
        assert_eq!(told(0o11644, None), (0o1644, true));
        assert_eq!(told(0o21644, None), (0o1644, false));
        // Hadoop 3: 1 is an ACL, 2 encryption, 4 erasure coding.
        assert_eq!(told(0o644, Some(1)), (0o644, true));
        assert_eq!(told(0o644, Some(6)), (0o644, false));
    }

    #[test]
    fn a_name_that_is_not_utf8_is_unsupported() {
        let mut status = status(&[]);
        status.name = b"a\xff".to_vec();
        assert!(matches!(entry(&status, None).unwrap().kind, EntryKind::Unsupported { .. }));
    }

    #[test]
    fn missing_blocks_are_an_error_and_not_an_empty_file() {
        let mut status = status(&[]);
        status.blocks = None;
        assert!(entry(&status, None).is_err());
    }

    #[test]
    fn ids_go_round() {
        assert_eq!(inode(&node_id(16385)), Some(16385));
        assert_eq!(inode(&NodeId::from_bytes([1; 24])), None);
    }
}
