//! Access control lists as text: `[default:]user|group|mask|other:[id]:rwx`, comma separated.

mod change;

use std::fmt;

use super::{parse_triple, triple};
use crate::service_error::ServiceError;
pub(crate) use change::AclChange;

/// The service's limit for each of the two scopes.
const MAX_ENTRIES_PER_SCOPE: usize = 32;

#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Tag {
    User,
    Group,
    Mask,
    Other,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    default_scope: bool,
    tag: Tag,
    /// Empty for the owner, the owning group, the mask and other.
    id: String,
    bits: u16,
}

impl Entry {
    fn same_place(&self, other: &Self) -> bool {
        (self.default_scope, self.tag, &self.id) == (other.default_scope, other.tag, &other.id)
    }
}

/// A complete list: always with owner, group and other in the access scope, and with a mask where POSIX wants one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Acl {
    entries: Vec<Entry>,
}

impl Acl {
    pub(crate) fn parse(text: &str, is_directory: bool) -> Result<Self, ServiceError> {
        Self::completed(parse_given(text, is_directory)?)
    }

    /// A list that a path gets in place of `before`. Of the three base entries those that it leaves out stay as they are, and
    /// so does the whole access scope when it has only default entries. That is how the service completes a list: the tests of
    /// Hadoop's driver (`ITestAzureBlobFilesystemAcl`) send such lists and look at the outcome.
    pub(crate) fn parse_over(before: &Self, text: &str, is_directory: bool) -> Result<Self, ServiceError> {
        let mut entries = parse_given(text, is_directory)?;
        let only_defaults = entries.iter().all(|entry| entry.default_scope);
        for entry in before.entries.iter().filter(|entry| !entry.default_scope) {
            let stays = only_defaults || (entry.id.is_empty() && entry.tag != Tag::Mask);
            if stays && !entries.iter().any(|given| given.same_place(entry)) {
                entries.push(entry.clone());
            }
        }
        Self::completed(entries)
    }

    /// Owner, group and other alone.
    pub(crate) fn of_mode(mode: u16) -> Self {
        let entry = |(tag, shift): (Tag, u16)| {
            let bits = (mode >> shift) & 7;
            Entry { default_scope: false, tag, id: String::new(), bits }
        };
        Self { entries: [(Tag::User, 6), (Tag::Group, 3), (Tag::Other, 0)].map(entry).to_vec() }
    }

    fn completed(entries: Vec<Entry>) -> Result<Self, ServiceError> {
        let mut acl = Self { entries };
        for tag in [Tag::User, Tag::Group, Tag::Other] {
            let bits =
                acl.base(false, tag).ok_or_else(|| invalid("user::, group:: and other:: are required"))?;
            if acl.has_default_scope() && acl.base(true, tag).is_none() {
                acl.entries.push(Entry { default_scope: true, tag, id: String::new(), bits });
            }
        }
        for default_scope in [false, true] {
            acl.complete_mask(default_scope);
            if acl.entries.iter().filter(|e| e.default_scope == default_scope).count() > MAX_ENTRIES_PER_SCOPE
            {
                return Err(invalid("more than 32 entries in one scope, where the mask is one of them"));
            }
        }
        acl.entries.sort_by(|a, b| (a.default_scope, a.tag, &a.id).cmp(&(b.default_scope, b.tag, &b.id)));
        Ok(acl)
    }

    /// Owner, group class and other as permission bits; the group class is the mask where there is one.
    pub(crate) fn mode(&self) -> u16 {
        let bits = |tag| self.base(false, tag).unwrap_or(0);
        let group = self.base(false, Tag::Mask).unwrap_or_else(|| bits(Tag::Group));
        bits(Tag::User) << 6 | group << 3 | bits(Tag::Other)
    }

    pub(crate) fn is_extended(&self) -> bool {
        self.entries.len() > 3
    }

    /// What a child starts with: the default entries, which a directory also hands on. `None` without any.
    pub(crate) fn inherited(&self, by_directory: bool) -> Option<Self> {
        let defaults = || self.entries.iter().filter(|entry| entry.default_scope).cloned();
        let mut entries: Vec<Entry> =
            defaults().map(|entry| Entry { default_scope: false, ..entry }).collect();
        if entries.is_empty() {
            return None;
        }
        if by_directory {
            entries.extend(defaults());
        }
        Some(Self { entries })
    }

    pub(crate) fn apply_mode(&mut self, mode: u16) {
        let group_tag = if self.base(false, Tag::Mask).is_some() { Tag::Mask } else { Tag::Group };
        for (tag, bits) in [(Tag::User, mode >> 6), (group_tag, mode >> 3), (Tag::Other, mode)] {
            let base = |e: &&mut Entry| !e.default_scope && e.tag == tag && e.id.is_empty();
            if let Some(entry) = self.entries.iter_mut().find(base) {
                entry.bits = bits & 7;
            }
        }
    }

    /// What somebody who is not the owning user gets: as a named user, else by all groups together, else as one of the rest.
    /// The mask holds for each of them, as the service documents it.
    pub(crate) fn bits_of(&self, user: &str, is_member: impl Fn(&str) -> bool, owning_group: &str) -> u16 {
        let mask = self.base(false, Tag::Mask).unwrap_or(7);
        let entries = || self.entries.iter().filter(|entry| !entry.default_scope);
        let named = |entry: &&Entry| {
            entry.tag == Tag::User && !entry.id.is_empty() && entry.id.eq_ignore_ascii_case(user)
        };
        if let Some(entry) = entries().find(named) {
            return entry.bits & mask;
        }
        let group_of = |entry: &Entry| match entry.id.is_empty() {
            true => is_member(owning_group),
            false => is_member(&entry.id),
        };
        let groups: Vec<u16> = entries()
            .filter(|entry| entry.tag == Tag::Group && group_of(entry))
            .map(|entry| entry.bits)
            .collect();
        match groups.is_empty() {
            true => self.base(false, Tag::Other).unwrap_or(0) & mask,
            false => groups.iter().fold(0, |all, bits| all | bits) & mask,
        }
    }

    fn has_default_scope(&self) -> bool {
        self.entries.iter().any(|e| e.default_scope)
    }

    fn base(&self, default_scope: bool, tag: Tag) -> Option<u16> {
        let base = |e: &&Entry| e.default_scope == default_scope && e.tag == tag && e.id.is_empty();
        self.entries.iter().find(base).map(|e| e.bits)
    }

    /// Named entries need a mask; when none is given it is the union of what the group class is granted.
    fn complete_mask(&mut self, default_scope: bool) {
        let in_scope = || self.entries.iter().filter(|e| e.default_scope == default_scope);
        let named = in_scope().any(|e| !e.id.is_empty());
        if named && self.base(default_scope, Tag::Mask).is_none() {
            let group_class = in_scope().filter(|e| e.tag == Tag::Group || !e.id.is_empty());
            let bits = group_class.fold(0, |union, e| union | e.bits);
            self.entries.push(Entry { default_scope, tag: Tag::Mask, id: String::new(), bits });
        }
    }
}

fn invalid(reason: &str) -> ServiceError {
    ServiceError::invalid_header("x-ms-acl", reason)
}

fn parse_given(text: &str, is_directory: bool) -> Result<Vec<Entry>, ServiceError> {
    let entries = parse_entries(text)?;
    if !is_directory && entries.iter().any(|entry| entry.default_scope) {
        return Err(invalid("a file has no default entries"));
    }
    Ok(entries)
}

fn parse_entries(text: &str) -> Result<Vec<Entry>, ServiceError> {
    let mut entries: Vec<Entry> = Vec::new();
    for part in text.split(',') {
        let entry =
            parse_entry(part.trim()).ok_or_else(|| invalid("an entry is not [scope:]type:[id]:rwx"))?;
        if entries.iter().any(|known| known.same_place(&entry)) {
            return Err(invalid("an entry is given twice"));
        }
        entries.push(entry);
    }
    Ok(entries)
}

/// `[default:]type[:[id][:]]`: an entry without permissions.
fn parse_key(text: &str) -> Option<Entry> {
    let (scope, rest) = match text.strip_prefix("default:") {
        Some(rest) => ("default:", rest),
        None => ("", text),
    };
    let (tag, id) = rest.split_once(':').unwrap_or((rest, ""));
    let id = id.strip_suffix(':').unwrap_or(id);
    // An id with a colon would be permissions.
    if id.contains(':') { None } else { parse_entry(&format!("{scope}{tag}:{id}:---")) }
}

fn parse_entry(text: &str) -> Option<Entry> {
    let (default_scope, rest) = match text.strip_prefix("default:") {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let mut fields = rest.split(':');
    let (tag, id, permissions) = (fields.next()?, fields.next()?, fields.next()?);
    let tag = match tag {
        "user" => Tag::User,
        "group" => Tag::Group,
        "mask" => Tag::Mask,
        "other" => Tag::Other,
        _ => return None,
    };
    let no_id_allowed = matches!(tag, Tag::Mask | Tag::Other) && !id.is_empty();
    if fields.next().is_some() || no_id_allowed {
        return None;
    }
    let bits = parse_triple(permissions)?;
    Some(Entry { default_scope, tag, id: id.to_owned(), bits })
}

impl fmt::Display for Acl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, entry) in self.entries.iter().enumerate() {
            let comma = if place > 0 { "," } else { "" };
            let scope = if entry.default_scope { "default:" } else { "" };
            let tag = match entry.tag {
                Tag::User => "user",
                Tag::Group => "group",
                Tag::Mask => "mask",
                Tag::Other => "other",
            };
            write!(f, "{comma}{scope}{tag}:{}:{}", entry.id, triple(entry.bits))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn default_scope_is_completed_and_masked() {
        let text = "user::rwx,group::r-x,other::---,default:user:bob:rwx";
        let acl = Acl::parse(text, true).unwrap();
        assert_eq!(
            acl.to_string(),
            "user::rwx,group::r-x,other::---,default:user::rwx,default:user:bob:rwx,default:group::r-x,default:mask::rwx,default:other::---"
        );
        assert!(Acl::parse(text, false).is_err());
    }

    #[test]
    fn malformed_lists_are_refused() {
        for text in
            ["", "user::rwx", "user::rwx,group::r-x,other::--", "user::rwx,user::r--,group::r-x,other::---"]
        {
            assert!(Acl::parse(text, true).is_err(), "{text}");
        }
    }

    #[test]
    fn a_scope_has_room_for_28_named_entries() {
        let named = |scope: &str, count: usize| -> String {
            let entries: String = (0..count).map(|n| format!(",{scope}user:u{n}:r--")).collect();
            format!("user::rwx,group::r-x,other::---{entries}")
        };
        for scope in ["", "default:"] {
            assert!(Acl::parse(&named(scope, 28), true).is_ok(), "{scope}");
            assert!(Acl::parse(&named(scope, 29), true).is_err(), "{scope}");
            assert!(Acl::parse(&format!("{},{scope}mask::r--", named(scope, 28)), true).is_ok(), "{scope}");
        }
    }
}
