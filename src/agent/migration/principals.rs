//! The owners, groups and named entries of access control lists that the source has: what equality leaves out as long as
//! nobody has said who they are at the target. Each is counted once, as `identityMapping` will have to name each once.

use std::collections::HashSet;
use std::sync::{Mutex, MutexGuard, PoisonError};

use livedata_filesystem::{AclKind, Entry, EntryKind, Extras};

/// How many are kept; beyond, all that is said is that there are more.
const MOST: usize = 10_000;
/// How many are named to the operator.
const EXAMPLES: usize = 5;

#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Principal {
    pub is_group: bool,
    pub name: String,
}

/// Filled by whoever looks at the source; the engine's thread writes what is new into the journal.
#[derive(Default)]
pub struct Principals(Mutex<Met>);

#[derive(Default)]
struct Met {
    users: HashSet<String>,
    groups: HashSet<String>,
    new: Vec<Principal>,
    examples: Vec<String>,
}

/// For people.
#[derive(Clone, Debug, Default, Eq, PartialEq)]
pub struct Unmapped {
    pub users: usize,
    pub groups: usize,
    pub examples: Vec<String>,
    /// There are more than were counted.
    pub more: bool,
}

impl Principals {
    /// With what the journal has of them.
    pub fn new(known: Vec<Principal>) -> Self {
        let mut met = Met::default();
        for Principal { is_group, name } in known {
            met.meet(is_group, &name);
        }
        met.new.clear();
        Self(Mutex::new(met))
    }

    /// Of one look: it locks once, and allocates only for what is new.
    pub fn note<'a>(&self, entries: impl IntoIterator<Item = &'a Entry>) {
        let mut met = self.lock();
        for entry in entries {
            if matches!(entry.kind, EntryKind::Directory | EntryKind::File { .. }) {
                met.meet(false, &entry.owner);
                met.meet(true, &entry.group);
                entry.extras.iter().for_each(|extras| met.meet_all(extras));
            }
        }
    }

    pub fn note_extras(&self, extras: &Extras) {
        if extras.acl.iter().any(|entry| entry.name.is_some()) {
            self.lock().meet_all(extras);
        }
    }

    /// Those that the journal has not got.
    pub fn take_new(&self) -> Vec<Principal> {
        std::mem::take(&mut self.lock().new)
    }

    pub fn summary(&self) -> Unmapped {
        let met = self.lock();
        Unmapped {
            users: met.users.len(),
            groups: met.groups.len(),
            examples: met.examples.clone(),
            more: met.is_full(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Met> {
        // What a panic interrupted is at most one name.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Met {
    fn is_full(&self) -> bool {
        self.users.len() + self.groups.len() >= MOST
    }

    fn meet_all(&mut self, extras: &Extras) {
        for entry in &extras.acl {
            if let (Some(name), AclKind::User | AclKind::Group) = (&entry.name, entry.kind) {
                self.meet(entry.kind == AclKind::Group, name);
            }
        }
    }

    fn meet(&mut self, is_group: bool, name: &str) {
        let full = self.is_full();
        let known = if is_group { &mut self.groups } else { &mut self.users };
        if full || name.is_empty() || known.contains(name) {
            return;
        }
        known.insert(name.to_owned());
        if self.examples.len() < EXAMPLES {
            self.examples.push(format!("{} '{name}'", if is_group { "group" } else { "user" }));
        }
        self.new.push(Principal { is_group, name: name.to_owned() });
    }
}

#[cfg(test)]
mod tests {
    use livedata_filesystem::{AclEntry, NodeId};

    use super::*;

    fn entry(owner: &str, group: &str, named: &[(AclKind, &str)]) -> Entry {
        let acl = named.iter().map(|(kind, name)| AclEntry {
            is_default: false,
            kind: *kind,
            name: Some((*name).to_owned()),
            permissions: 5,
        });
        Entry {
            name: "e".into(),
            id: NodeId::from_bytes([1]),
            kind: EntryKind::Directory,
            permissions: 0o755,
            owner: owner.into(),
            group: group.into(),
            modified_ms: 0,
            has_acl: true,
            extras: Some(Extras { acl: acl.collect(), ..Extras::default() }),
        }
    }

    #[test]
    fn each_is_counted_once_wherever_it_is_met_and_told_to_the_journal_once() {
        let principals = Principals::new(vec![Principal { is_group: false, name: "ann".into() }]);
        principals.note(&[
            entry("ann", "staff", &[]),
            entry("bob", "staff", &[(AclKind::User, "ann"), (AclKind::Group, "ann"), (AclKind::User, "eve")]),
        ]);
        let mut link = entry("nobody", "nobody", &[]);
        link.kind = EntryKind::Symlink;
        principals.note(&[link]);
        let new: Vec<_> = principals.take_new().into_iter().map(|new| (new.is_group, new.name)).collect();
        let expected = [(true, "staff"), (false, "bob"), (true, "ann"), (false, "eve")];
        assert_eq!(new, expected.map(|(is_group, name)| (is_group, name.to_owned())));
        principals.note(&[entry("bob", "staff", &[])]);
        assert!(principals.take_new().is_empty());
        let examples = ["user 'ann'", "group 'staff'", "user 'bob'", "group 'ann'", "user 'eve'"];
        let summary = principals.summary();
        assert_eq!((summary.users, summary.groups, summary.more), (3, 2, false));
        assert_eq!(summary.examples, examples);
    }

    #[test]
    fn there_is_an_end_to_what_is_kept() {
        let principals = Principals::default();
        for number in 0..MOST {
            principals.note(&[entry(&format!("user-{number}"), "staff", &[])]);
        }
        let summary = principals.summary();
        assert_eq!((summary.users + summary.groups, summary.more), (MOST, true));
        assert_eq!(principals.take_new().len(), MOST);
        assert_eq!(summary.examples.len(), EXAMPLES);
    }
}
