//! Permission bits and access control entries as one list of the service.
//!
//! Always a list, never bare permission bits: bits leave entries beyond them in place, whether the path had them or
//! took them from a parent with default entries; a list is all that there is. A sticky bit that a directory has already may
//! survive a list without it: it only keeps its users from removing what belongs to others.

use livedata_filesystem::{AclEntry, AclKind};

/// The group bits are the mask's where there is a mask, as everywhere in POSIX; the owning group's own are an entry then.
/// Entries with a name are left out.
pub(super) fn list(permissions: u16, acl: &[AclEntry]) -> String {
    let mut entries: Vec<AclEntry> = acl.iter().filter(|entry| entry.name.is_none()).cloned().collect();
    for (kind, shift) in [(AclKind::User, 6), (AclKind::Group, 3), (AclKind::Other, 0)] {
        if !entries.iter().any(|entry| !entry.is_default && entry.kind == kind) {
            let permissions = (permissions >> shift & 7) as u8;
            entries.push(AclEntry { is_default: false, kind, name: None, permissions });
        }
    }
    entries.sort();
    entries.iter().map(text).collect::<Vec<_>>().join(",")
}

fn text(entry: &AclEntry) -> String {
    let scope = if entry.is_default { "default:" } else { "" };
    let kind = match entry.kind {
        AclKind::User => "user",
        AclKind::Group => "group",
        AclKind::Mask => "mask",
        AclKind::Other => "other",
    };
    let letter = |bit: u8, letter: char| if entry.permissions & bit != 0 { letter } else { '-' };
    format!("{scope}{kind}::{}{}{}", letter(4, 'r'), letter(2, 'w'), letter(1, 'x'))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(is_default: bool, kind: AclKind, name: Option<&str>, permissions: u8) -> AclEntry {
        AclEntry { is_default, kind, name: name.map(str::to_owned), permissions }
    }

    #[test]
    fn bits_alone_are_the_three_base_entries() {
        assert_eq!(list(0o1751, &[]), "user::rwx,group::r-x,other::--x");
    }

    #[test]
    fn entries_complete_the_bits_and_named_ones_are_left_out() {
        let acl = [
            entry(true, AclKind::Other, None, 0),
            entry(true, AclKind::User, None, 7),
            entry(true, AclKind::User, Some("alice"), 7),
            entry(true, AclKind::Group, None, 5),
            entry(false, AclKind::User, Some("alice"), 6),
            entry(false, AclKind::Group, None, 4),
            entry(false, AclKind::Mask, None, 6),
        ];
        assert_eq!(
            list(0o760, &acl),
            "user::rwx,group::r--,mask::rw-,other::---,default:user::rwx,default:group::r-x,default:other::---"
        );
    }
}
