//! Digest of what belongs to a node besides name, content and time, as far as it takes part in equality: permission bits,
//! unnamed access control entries, extended attributes. Owner, group and named entries need a mapping of identities first.

use livedata_model::node::Entry;

/// `None` if the look did not ask for extras.
pub fn digest(entry: &Entry) -> Option<u64> {
    let extras = entry.extras.as_ref()?;
    let mut hash = Fnv::default();
    hash.write(&entry.permissions.to_be_bytes());
    let mut acl: Vec<_> = extras.acl.iter().filter(|entry| entry.name.is_none()).collect();
    acl.sort();
    for entry in acl {
        hash.write(&[u8::from(entry.is_default), entry.kind as u8, entry.permissions]);
    }
    for (name, value) in &extras.xattrs {
        for part in [name.as_bytes(), value] {
            hash.write(&(part.len() as u64).to_be_bytes());
            hash.write(part);
        }
    }
    Some(hash.0)
}

/// FNV-1a (Fowler, Noll, Vo), 64 bits. Whoever forges a collision keeps their own attribute from being updated.
struct Fnv(u64);

impl Default for Fnv {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Fnv {
    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::node::{AclEntry, AclKind, EntryKind, Extras, NodeId};

    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "a".into(),
            id: NodeId::from_bytes([1, 2]),
            kind: EntryKind::Directory,
            permissions: 0o750,
            owner: "o".into(),
            group: "g".into(),
            modified_ms: 5,
            has_acl: true,
            extras: Some(Extras::default()),
        }
    }

    #[test]
    fn what_takes_part_in_equality_counts_and_nothing_else() {
        let with = |change: fn(&mut Extras)| {
            let mut entry = entry();
            change(entry.extras.as_mut().unwrap());
            digest(&entry).unwrap()
        };
        let acl = |name: Option<&str>, kind| AclEntry {
            is_default: true,
            kind,
            name: name.map(str::to_owned),
            permissions: 5,
        };
        let plain = digest(&entry()).unwrap();
        let mut renamed = entry();
        (renamed.name, renamed.owner, renamed.modified_ms) = ("b".into(), "p".into(), 6);
        assert_eq!(digest(&renamed), Some(plain));
        let mut other = entry();
        other.permissions = 0o700;
        assert_ne!(digest(&other), Some(plain));
        assert_ne!(with(|extras| drop(extras.xattrs.insert("user.a".into(), vec![]))), plain);
        let mut listed = entry();
        listed.extras = None;
        assert_eq!(digest(&listed), None);
        for (entry, counts) in [(acl(Some("bob"), AclKind::User), false), (acl(None, AclKind::Mask), true)] {
            let mut changed = self::entry();
            changed.extras.as_mut().unwrap().acl.push(entry);
            assert_eq!(digest(&changed) != Some(plain), counts);
        }
    }
}
