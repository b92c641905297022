//! A change of many lists at once: what `setAccessControlRecursive` asks for with its three modes.

use super::{Acl, Entry, Tag, parse_entries, parse_key};
use crate::permissions::AccessControl;
use crate::service_error::ServiceError;

pub(crate) enum AclChange {
    /// The list becomes this one; a file leaves out the default entries.
    Set(Vec<Entry>),
    /// These entries are added or replace those of the same scope, type and id.
    Modify(Vec<Entry>),
    /// These entries go; their bits do not matter.
    Remove(Vec<Entry>),
}

impl AclChange {
    pub(crate) fn parse(mode: &str, text: &str) -> Result<Self, ServiceError> {
        match mode.to_lowercase().as_str() {
            "set" => {
                let entries = parse_entries(text)?;
                // What would be refused for every path is refused as a whole.
                Acl::completed(entries.clone())?;
                Ok(Self::Set(entries))
            }
            "modify" => Ok(Self::Modify(parse_entries(text)?)),
            "remove" => {
                let mut entries: Vec<Entry> = Vec::new();
                for part in text.split(',') {
                    let entry = parse_key(part.trim());
                    let entry =
                        entry.ok_or_else(|| invalid("an entry to remove is not [scope:]type:[id]"))?;
                    if !entry.default_scope && entry.tag != Tag::Mask && entry.id.is_empty() {
                        return Err(invalid(
                            "the entries of owner, owning group and others cannot be removed",
                        ));
                    }
                    entries.push(entry);
                }
                Ok(Self::Remove(entries))
            }
            _ => Err(ServiceError::invalid_query("mode", "expected set, modify or remove")),
        }
    }

    pub(crate) fn apply_to(
        &self,
        access: &mut AccessControl,
        is_directory: bool,
    ) -> Result<(), ServiceError> {
        let concerned = |entries: &[Entry]| -> Vec<Entry> {
            entries.iter().filter(|entry| is_directory || !entry.default_scope).cloned().collect()
        };
        let mut acl = access.acl();
        match self {
            Self::Set(entries) => acl.entries = concerned(entries),
            Self::Modify(changes) => {
                let changes = concerned(changes);
                acl.forget_masks(&changes);
                for change in changes {
                    acl.entries.retain(|entry| !entry.same_place(&change));
                    acl.entries.push(change);
                }
            }
            Self::Remove(keys) => {
                let keys = concerned(keys);
                acl.forget_masks(&keys);
                acl.entries.retain(|entry| !keys.iter().any(|key| entry.same_place(key)));
            }
        }
        access.set_acl(Acl::completed(acl.entries)?);
        Ok(())
    }
}

fn invalid(reason: &str) -> ServiceError {
    ServiceError::invalid_header("x-ms-acl", reason)
}

impl Acl {
    /// A scope that changes gets a new mask, unless the change brings one: as `setfacl` does it.
    fn forget_masks(&mut self, changes: &[Entry]) {
        for default_scope in [false, true] {
            if changes.iter().any(|change| change.default_scope == default_scope) {
                let is_mask = |entry: &Entry| entry.default_scope == default_scope && entry.tag == Tag::Mask;
                self.entries.retain(|entry| !is_mask(entry));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed(mode: &str, change: &str, before: &str, is_directory: bool) -> String {
        let mut access = AccessControl::from_mode(0);
        access.set_acl(Acl::parse(before, is_directory).unwrap());
        AclChange::parse(mode, change).unwrap().apply_to(&mut access, is_directory).unwrap();
        access.acl_text()
    }

    const PLAIN: &str = "user::rwx,group::r-x,other::---";
    const NAMED: &str = "user::rwx,user:bob:rwx,group::r-x,mask::rwx,other::---";

    #[test]
    fn entries_are_set() {
        let list = "user::rw-,user:al:r--,group::r--,other::---,default:user:al:rwx";
        assert_eq!(
            changed("set", list, NAMED, false),
            "user::rw-,user:al:r--,group::r--,mask::r--,other::---"
        );
        assert_eq!(
            changed("set", list, PLAIN, true),
            "user::rw-,user:al:r--,group::r--,mask::r--,other::---,default:user::rw-,default:user:al:rwx,\
             default:group::r--,default:mask::rwx,default:other::---"
        );
    }

    #[test]
    fn entries_are_modified_and_the_mask_follows_unless_it_is_given() {
        assert_eq!(
            changed("modify", "user:al:r--", PLAIN, false),
            "user::rwx,user:al:r--,group::r-x,mask::r-x,other::---"
        );
        assert_eq!(
            changed("modify", "user:bob:r--,other::r--", NAMED, false),
            "user::rwx,user:bob:r--,group::r-x,mask::r-x,other::r--"
        );
        assert_eq!(
            changed("modify", "mask::r--", NAMED, false),
            "user::rwx,user:bob:rwx,group::r-x,mask::r--,other::---"
        );
        assert_eq!(changed("modify", "default:user:al:rwx", PLAIN, false), PLAIN);
    }

    #[test]
    fn entries_are_removed() {
        assert_eq!(changed("remove", "user:bob,user:nobody", NAMED, false), PLAIN);
        assert_eq!(changed("remove", "mask,user:bob:", NAMED, false), PLAIN);
        let with_default = format!("{PLAIN},default:user:al:r--");
        assert_eq!(
            changed("remove", "default:user:al,default:mask", &with_default, true),
            format!("{PLAIN},default:user::rwx,default:group::r-x,default:other::---")
        );
        let all = "default:user,default:group,default:other,default:mask,default:user:al";
        assert_eq!(changed("remove", all, &with_default, true), PLAIN);
    }

    #[test]
    fn changes_that_cannot_be_are_refused() {
        for (mode, change) in [
            ("set", "user:al:rwx"),
            ("set", ""),
            ("modify", "user:al"),
            ("modify", "user:al:rwx,user:al:r--"),
            ("remove", "user:al:rwx"),
            ("remove", "user::"),
            ("remove", "other"),
            ("remove", "somebody:al"),
            ("append", "user:al:rwx"),
        ] {
            assert!(AclChange::parse(mode, change).is_err(), "{mode} {change}");
        }
        let many: Vec<String> = (0..30).map(|n| format!("user:u{n}:r--")).collect();
        let mut access = AccessControl::from_mode(0o750);
        let change = AclChange::parse("modify", &many.join(",")).unwrap();
        assert!(change.apply_to(&mut access, false).is_err());
        assert_eq!(access, AccessControl::from_mode(0o750));
    }
}
