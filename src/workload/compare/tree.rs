//! One side's names, and how two of them differ.

use std::collections::BTreeMap;

use super::report::{Report, What};

/// Keyed by path below the root, `/` between names, without one at the beginning.
pub type Tree = BTreeMap<String, Entry>;

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Entry {
    pub kind: Kind,
    /// Of these, [`Entry::comparable_permissions`] count.
    pub permissions: u16,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    Directory,
    File {
        bytes: u64,
    },
    /// A link, a socket and the like: no data lake can hold it.
    Other,
}

impl Kind {
    pub fn name(self) -> &'static str {
        match self {
            Self::Directory => "directory",
            Self::File { .. } => "file",
            Self::Other => "special file",
        }
    }
}

impl Entry {
    pub fn comparable_permissions(&self) -> u16 {
        self.permissions & if self.kind == Kind::Directory { 0o1777 } else { 0o777 }
    }
}

/// A file whose content is still to be compared; both sides say it has this size, which is not 0.
#[derive(Debug, Eq, PartialEq)]
pub struct Pair {
    pub path: String,
    pub bytes: u64,
}

/// What a migration keeps for itself at the root of the target's filesystem.
const OWN_AREA: &str = ".livedata";

pub fn leave_out_own_area(tree: &mut Tree) {
    tree.retain(|path, _| path.split('/').next() != Some(OWN_AREA));
}

/// Counts the source's entries, notes what names and metadata tell, returns what only contents can tell.
pub fn compare(source: &Tree, target: &Tree, report: &mut Report) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (path, at_source) in source {
        match at_source.kind {
            Kind::Directory => report.directories += 1,
            Kind::File { bytes } => {
                report.files += 1;
                report.bytes += bytes;
            }
            Kind::Other => {}
        }
        let Some(at_target) = target.get(path) else {
            report.add(path.clone(), What::OnlyAtSource(at_source.kind.name()));
            continue;
        };
        if at_source.comparable_permissions() != at_target.comparable_permissions() {
            let (source, target) = (at_source.comparable_permissions(), at_target.comparable_permissions());
            report.add(path.clone(), What::Permissions { source, target });
        }
        match (at_source.kind, at_target.kind) {
            (Kind::File { bytes: source }, Kind::File { bytes: target }) if source != target => {
                report.add(path.clone(), What::Size { source, target });
            }
            // There is nothing to read.
            (Kind::File { bytes: 0 }, Kind::File { .. }) => {}
            (Kind::File { bytes }, Kind::File { .. }) => pairs.push(Pair { path: path.clone(), bytes }),
            (Kind::Directory, Kind::Directory) => {}
            (source, target) => {
                report.add(path.clone(), What::Kind { source: source.name(), target: target.name() });
            }
        }
    }
    for (path, at_target) in target {
        if !source.contains_key(path) {
            report.add(path.clone(), What::OnlyAtTarget(at_target.kind.name()));
        }
    }
    pairs
}
