//! What a node has besides content, times and permission bits, as the model has it.
//!
//! In an access control list that goes beyond the permission bits, HDFS keeps the mask in the group bits and tells only the
//! other entries. With nothing but default entries, the group bits are the group's.

use livedata_filesystem::{AclEntry, AclKind, Extras};

use crate::proto::{
    self, ACL_GROUP, ACL_MASK, ACL_OTHER, ACL_SCOPE_ACCESS, ACL_SCOPE_DEFAULT, ACL_USER, AclStatus,
    XATTR_TRUSTED, XATTR_USER, XAttr,
};

/// `permissions` are those that came with the node's entry: servers before Hadoop 2.7 tell no newer ones with the list.
/// `Err` says what is wrong with the answer.
pub fn extras(xattrs: Vec<XAttr>, acl: Option<&AclStatus>, permissions: u16) -> Result<Extras, String> {
    Ok(Extras {
        acl: acl.map(|status| entries(status, permissions)).transpose()?.unwrap_or_default(),
        xattrs: xattrs
            .into_iter()
            .filter_map(|xattr| {
                // The rest is HDFS' own (encryption, storage) or the security system's.
                let namespace = match xattr.namespace {
                    XATTR_USER => "user",
                    XATTR_TRUSTED => "trusted",
                    _ => return None,
                };
                Some((format!("{namespace}.{}", xattr.name), xattr.value.unwrap_or_default()))
            })
            .collect(),
    })
}

fn entries(status: &AclStatus, permissions: u16) -> Result<Vec<AclEntry>, String> {
    let mut entries = status.entries.iter().map(entry).collect::<Result<Vec<_>, _>>()?;
    // Access entries come before default ones.
    let access = entries.iter().take_while(|entry| !entry.is_default).count();
    let has_mask = entries.iter().take(access).any(|entry| entry.kind == AclKind::Mask);
    if access > 0 && !has_mask {
        let bits = status.permission.as_ref().map_or(u32::from(permissions), |permission| permission.bits);
        let permissions = (bits >> 3 & 7) as u8;
        entries.insert(access, AclEntry { is_default: false, kind: AclKind::Mask, name: None, permissions });
    }
    Ok(entries)
}

fn entry(entry: &proto::AclEntry) -> Result<AclEntry, String> {
    Ok(AclEntry {
        is_default: match entry.scope {
            ACL_SCOPE_ACCESS => false,
            ACL_SCOPE_DEFAULT => true,
            other => return Err(format!("access control scope {other} is not known here")),
        },
        kind: match entry.entry_type {
            ACL_USER => AclKind::User,
            ACL_GROUP => AclKind::Group,
            ACL_MASK => AclKind::Mask,
            ACL_OTHER => AclKind::Other,
            other => return Err(format!("access control entry type {other} is not known here")),
        },
        name: entry.name.clone().filter(|name| !name.is_empty()),
        permissions: u8::try_from(entry.permissions)
            .ok()
            .filter(|bits| *bits <= 7)
            .ok_or_else(|| format!("access control permissions {} are not known here", entry.permissions))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::FilePermission;

    fn told(scope: i32, entry_type: i32, name: &str, permissions: i32) -> proto::AclEntry {
        let name = Some(name).filter(|name| !name.is_empty()).map(str::to_owned);
        proto::AclEntry { entry_type, scope, permissions, name }
    }

    fn shown(extras: &Extras) -> Vec<String> {
        let line = |entry: &AclEntry| {
            let scope = if entry.is_default { "default:" } else { "" };
            let name = entry.name.as_deref().unwrap_or_default();
            format!("{scope}{:?}:{name}:{}", entry.kind, entry.permissions)
        };
        extras.acl.iter().map(line).collect()
    }

    #[test]
    fn the_mask_comes_from_the_group_bits() {
        let status = AclStatus {
            entries: vec![
                told(ACL_SCOPE_ACCESS, ACL_USER, "alice", 7),
                told(ACL_SCOPE_ACCESS, ACL_GROUP, "", 5),
                told(ACL_SCOPE_ACCESS, ACL_GROUP, "analysts", 4),
                told(ACL_SCOPE_DEFAULT, ACL_USER, "", 7),
                told(ACL_SCOPE_DEFAULT, ACL_GROUP, "", 5),
                told(ACL_SCOPE_DEFAULT, ACL_MASK, "", 5),
                told(ACL_SCOPE_DEFAULT, ACL_OTHER, "", 0),
            ],
            permission: Some(FilePermission { bits: 0o1760 }),
        };
        let expected = [
            "User:alice:7",
            "Group::5",
            "Group:analysts:4",
            "Mask::6",
            "default:User::7",
            "default:Group::5",
            "default:Mask::5",
            "default:Other::0",
        ];
        assert_eq!(shown(&extras(Vec::new(), Some(&status), 0o700).unwrap()), expected);
        let without = AclStatus { permission: None, ..status };
        assert!(shown(&extras(Vec::new(), Some(&without), 0o731).unwrap()).contains(&"Mask::3".into()));
    }

    #[test]
    fn only_default_entries_make_no_mask() {
        let entries = vec![told(ACL_SCOPE_DEFAULT, ACL_USER, "alice", 7)];
        let status = AclStatus { entries, permission: Some(FilePermission { bits: 0o750 }) };
        assert_eq!(shown(&extras(Vec::new(), Some(&status), 0o750).unwrap()), ["default:User:alice:7"]);
        assert_eq!(extras(Vec::new(), Some(&AclStatus::default()), 0o750).unwrap(), Extras::default());
    }

    #[test]
    fn applications_attributes_have_full_names_and_the_rest_stays_out() {
        let xattr = |namespace, name: &str, value: Option<&[u8]>| XAttr {
            namespace,
            name: name.into(),
            value: value.map(<[u8]>::to_vec),
        };
        let told = vec![
            xattr(XATTR_USER, "origin", Some(b"\x00\xff")),
            xattr(XATTR_TRUSTED, "origin", None),
            xattr(2, "hdfs.unreadable.by.superuser", None),
            xattr(3, "hdfs.storage", Some(b"x")),
            xattr(4, "hdfs.crypto.encryption.zone", Some(b"x")),
        ];
        let found = extras(told, None, 0o644).unwrap();
        let expected = [("trusted.origin", &b""[..]), ("user.origin", b"\x00\xff")];
        let found: Vec<_> = found.xattrs.iter().map(|(name, value)| (name.as_str(), &value[..])).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn what_is_not_known_is_refused_and_not_left_out() {
        for entry in [told(2, 0, "", 0), told(0, 4, "", 0), told(0, 0, "", 8), told(0, 0, "", -1)] {
            let status = AclStatus { entries: vec![entry], permission: None };
            assert!(extras(Vec::new(), Some(&status), 0).is_err());
        }
    }
}
