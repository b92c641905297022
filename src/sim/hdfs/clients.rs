//! What applications may ask of the name space by path, and what it refuses, as a NameNode of Hadoop does. The same
//! operations can be done on a real one, and are: results, listings and events must be the same.
//!
//! What releases of Hadoop do differently is in [`Release`]. Left out: users and their rights (everybody is the superuser),
//! default access control entries, symbolic links, snapshots, quotas, encryption, erasure coding.

mod random;

use std::collections::BTreeMap;

use livedata_model::feed::Change;
use livedata_model::node::{AclEntry, AclKind};

pub use random::history;

use super::{Block, Hdfs, Inode, ROOT};

/// Bytes in a block that is full.
pub const BLOCK_BYTES: u64 = 4_096;

#[derive(Clone, Debug, Eq, PartialEq)]
pub enum Operation {
    /// With the directories above it.
    MakeDirectories {
        path: String,
    },
    /// Leaves it open. With the directories above it.
    Create {
        path: String,
        overwrite: bool,
        writer: u8,
    },
    /// Leaves it open.
    Append {
        path: String,
        writer: u8,
    },
    /// Writes so many bytes first. They must fit into the block that is not full, or into a new one.
    Close {
        writer: u8,
        bytes: u64,
    },
    Truncate {
        path: String,
        length_bytes: u64,
    },
    Rename {
        from: String,
        to: String,
        overwrite: bool,
    },
    /// As clients of old ask: onto a directory means into it.
    RenameInto {
        from: String,
        to: String,
    },
    Delete {
        path: String,
        recursive: bool,
    },
    Concat {
        target: String,
        sources: Vec<String>,
    },
    SetPermissions {
        path: String,
        permissions: u16,
    },
    SetAcl {
        path: String,
        acl: Acl,
    },
    RemoveAcl {
        path: String,
    },
    /// `anew`: it must not be there yet; otherwise it must.
    SetAttribute {
        path: String,
        value: u8,
        anew: bool,
    },
    RemoveAttribute {
        path: String,
    },
    SetTimes {
        path: String,
        modified_ms: i64,
    },
}

/// Access entries with one named user, each as `rwx` bits.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Acl {
    pub owner: u8,
    pub named: u8,
    pub group: u8,
    pub mask: u8,
    pub other: u8,
}

pub const NAMED_USER: &str = "alice";

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Refusal {
    /// What it is about, or the directory it should be in, is not there; or it is no file.
    Absent,
    Exists,
    NotEmpty,
    /// A name above it is a file.
    NotDirectory,
    /// Somebody has it open for writing.
    Open,
    Invalid,
}

/// What differs between releases, as far as it shows here.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Release {
    /// Since 2.8 (HDFS-8742) a truncation has an event. Before, one at the border of a block is not told at all, and any
    /// other only by the close that follows it.
    pub tells_truncate: bool,
    /// Before 3, permissions that are set to what they are make a transaction.
    pub tells_same_permissions: bool,
    /// Since 2.8 a path that leads through a file is refused for that, before anything else is looked at. Before, it is
    /// refused too, for one reason or another.
    pub names_files_in_the_way: bool,
}

impl Release {
    /// `version` as a NameNode tells it, such as `2.7.7`.
    pub fn of(version: &str) -> Self {
        Self {
            tells_truncate: !version.starts_with("2.7."),
            tells_same_permissions: version.starts_with("2."),
            names_files_in_the_way: !version.starts_with("2.7."),
        }
    }
}

#[derive(Clone, Debug)]
pub struct Clients {
    pub hdfs: Hdfs,
    release: Release,
    writers: BTreeMap<u8, u64>,
}

impl Clients {
    pub fn new(release: Release) -> Self {
        Self { hdfs: Hdfs::new(), release, writers: BTreeMap::new() }
    }

    pub fn perform(&mut self, operation: &Operation) -> Result<(), Refusal> {
        match operation {
            Operation::MakeDirectories { path } => match self.find(path)? {
                Some(id) if self.is_file(id) => Err(Refusal::Exists),
                Some(_) => Ok(()),
                None => {
                    self.make_directories(path, Some(0o755));
                    Ok(())
                }
            },
            Operation::Create { path, overwrite, writer } => self.create(path, *overwrite, *writer),
            Operation::Append { path, writer } => {
                let id = self.find(path)?.ok_or(Refusal::Absent)?;
                if !self.is_file(id) {
                    return Err(Refusal::Exists);
                }
                self.is_closed(id)?;
                self.hdfs.open(id);
                self.writers.insert(*writer, id);
                Ok(())
            }
            Operation::Close { writer, bytes } => {
                let stamp = self.hdfs.stamp();
                let id = self.writers.remove(writer).ok_or(Refusal::Absent)?;
                let living = self.hdfs.inodes.get_mut(&id).filter(|inode| inode.died.is_none());
                let inode = living.ok_or(Refusal::Absent)?;
                if *bytes > 0 {
                    let partial = inode.blocks.pop_if(|last| last.bytes < BLOCK_BYTES);
                    let bytes = bytes + partial.map_or(0, |partial| partial.bytes);
                    inode.blocks.push(Block { stamp, bytes });
                }
                self.hdfs.close(id);
                Ok(())
            }
            Operation::Truncate { path, length_bytes } => self.truncate(path, *length_bytes),
            Operation::Rename { from, to, overwrite } => self.rename(from, to, *overwrite),
            Operation::RenameInto { from, to } => self.rename_into(from, to),
            Operation::Delete { path, recursive } => {
                let id = self.find(path)?.ok_or(Refusal::Absent)?;
                if !recursive && self.hdfs.children(id).next().is_some() {
                    return Err(Refusal::NotEmpty);
                }
                self.hdfs.delete(id);
                Ok(())
            }
            Operation::Concat { target, sources } => self.concat(target, sources),
            Operation::SetPermissions { path, permissions } => {
                let id = self.find(path)?.ok_or(Refusal::Absent)?;
                let same = self.hdfs.inode(id).is_some_and(|inode| inode.permissions == *permissions);
                if same && !self.release.tells_same_permissions {
                    return Ok(());
                }
                self.set(path, |inode| {
                    inode.permissions = *permissions;
                    Ok(())
                })
            }
            Operation::SetAcl { path, acl } => self.set(path, |inode| {
                inode.permissions =
                    u16::from(acl.owner) << 6 | u16::from(acl.mask) << 3 | u16::from(acl.other);
                inode.acl = Some((acl.named, acl.group));
                Ok(())
            }),
            Operation::RemoveAcl { path } => self.set(path, |inode| {
                if let Some((_, group)) = inode.acl.take() {
                    inode.permissions = inode.permissions & 0o707 | u16::from(group) << 3;
                }
                Ok(())
            }),
            Operation::SetAttribute { path, value, anew } => self.set(path, |inode| {
                if *anew != (inode.attribute == 0) {
                    return Err(Refusal::Invalid);
                }
                inode.attribute = *value;
                Ok(())
            }),
            Operation::RemoveAttribute { path } => self.set(path, |inode| {
                if inode.attribute == 0 {
                    return Err(Refusal::Invalid);
                }
                inode.attribute = 0;
                Ok(())
            }),
            Operation::SetTimes { path, modified_ms } => {
                let id = self.find(path)?.ok_or(Refusal::Absent)?;
                if let Some(inode) = self.hdfs.inodes.get_mut(&id) {
                    inode.modified_ms = *modified_ms;
                }
                self.hdfs.log([Change::TimesSet { path: path.clone(), modified_ms: *modified_ms }]);
                Ok(())
            }
        }
    }

    /// `None`: nothing is there, and nothing that is not a directory is in the way.
    fn find(&self, path: &str) -> Result<Option<u64>, Refusal> {
        let mut at = ROOT;
        for name in names(path) {
            if self.is_file(at) {
                return Err(Refusal::NotDirectory);
            }
            match self.hdfs.child(at, name) {
                Some(child) => at = child,
                None => return Ok(None),
            }
        }
        Ok(Some(at))
    }

    fn is_file(&self, id: u64) -> bool {
        self.hdfs.inode(id).is_some_and(|inode| inode.content.is_some())
    }

    fn is_closed(&self, id: u64) -> Result<(), Refusal> {
        if self.hdfs.inode(id).is_some_and(|inode| inode.open) { Err(Refusal::Open) } else { Ok(()) }
    }

    fn set(
        &mut self,
        path: &str,
        change: impl FnOnce(&mut Inode) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let id = self.find(path)?.ok_or(Refusal::Absent)?;
        change(self.hdfs.inodes.get_mut(&id).ok_or(Refusal::Absent)?)?;
        self.hdfs.touch(id);
        Ok(())
    }

    /// `permissions`: `None` for those of the nearest directory that is there, with which its owner can go on.
    fn make_directories(&mut self, path: &str, permissions: Option<u16>) -> u64 {
        let mut at = ROOT;
        for name in names(path) {
            at = match self.hdfs.child(at, name) {
                Some(child) => child,
                None => {
                    let inherited = self.hdfs.inode(at).map_or(0, |above| above.permissions & 0o777 | 0o300);
                    let made = self.hdfs.add(at, name, false);
                    if let Some(inode) = self.hdfs.inodes.get_mut(&made) {
                        inode.permissions = permissions.unwrap_or(inherited);
                    }
                    made
                }
            };
        }
        at
    }

    fn create(&mut self, path: &str, overwrite: bool, writer: u8) -> Result<(), Refusal> {
        if let Some(old) = self.find(path)? {
            if !self.is_file(old) {
                return Err(Refusal::Exists);
            }
            if !overwrite {
                self.is_closed(old)?;
                return Err(Refusal::Exists);
            }
            self.hdfs.die(old, self.hdfs.txid + 1);
        }
        let (above, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = self.make_directories(above, None);
        let id = self.hdfs.add(parent, name, true);
        if let Some(inode) = self.hdfs.inodes.get_mut(&id) {
            inode.blocks.clear();
        }
        self.writers.insert(writer, id);
        Ok(())
    }

    fn truncate(&mut self, path: &str, length_bytes: u64) -> Result<(), Refusal> {
        let id = self.find(path)?.filter(|id| self.is_file(*id)).ok_or(Refusal::Absent)?;
        self.is_closed(id)?;
        let stamp = self.hdfs.stamp();
        let inode = self.hdfs.inodes.get_mut(&id).ok_or(Refusal::Absent)?;
        let length: u64 = inode.blocks.iter().map(|block| block.bytes).sum();
        if length_bytes == length {
            return Ok(());
        }
        if length_bytes > length {
            return Err(Refusal::Invalid);
        }
        let mut left = length_bytes;
        let mut at_border = true;
        inode.blocks.retain_mut(|block| {
            if left > 0 && left < block.bytes {
                at_border = false;
                *block = Block { stamp, bytes: left };
            }
            let stays = left > 0;
            left -= left.min(block.bytes);
            stays
        });
        match (at_border, self.release.tells_truncate) {
            (true, true) => self.hdfs.close(id),
            (true, false) => self.hdfs.close_silently(id),
            (false, tells) => {
                if tells {
                    self.hdfs.open(id);
                }
                self.hdfs.close(id);
            }
        }
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str, overwrite: bool) -> Result<(), Refusal> {
        // What is in the way to either of them is found first.
        let (id, there) = (self.find(from)?, self.find(to)?);
        let id = id.ok_or(Refusal::Absent)?;
        if from == to {
            return Err(Refusal::Exists);
        }
        if is_below(to, from) {
            return Err(Refusal::Invalid);
        }
        if let Some(there) = there {
            if self.is_file(there) != self.is_file(id) {
                return Err(Refusal::Invalid);
            }
            if !overwrite {
                return Err(Refusal::Exists);
            }
            if self.hdfs.children(there).next().is_some() {
                return Err(Refusal::Invalid);
            }
        }
        self.move_to(id, to)
    }

    fn rename_into(&mut self, from: &str, to: &str) -> Result<(), Refusal> {
        let (id, there) = (self.find(from)?, self.find(to)?);
        // Of old, the answer is yes or no, without a reason.
        let id = id.ok_or(Refusal::Invalid)?;
        let name = from.rsplit_once('/').map_or("", |(_, name)| name);
        let to = match there {
            Some(there) if !self.is_file(there) => format!("{to}/{name}"),
            _ => to.to_owned(),
        };
        if from == to {
            self.hdfs.log([Change::Touched { path: to }]);
            return Ok(());
        }
        if is_below(&to, from) || self.find(&to)?.is_some() {
            return Err(Refusal::Invalid);
        }
        self.move_to(id, &to).map_err(|_| Refusal::Invalid)
    }

    fn move_to(&mut self, id: u64, to: &str) -> Result<(), Refusal> {
        let (above, name) = to.rsplit_once('/').unwrap_or(("", to));
        let parent = self.find(above)?.ok_or(Refusal::Absent)?;
        self.hdfs.rename(id, parent, name);
        Ok(())
    }

    fn concat(&mut self, target: &str, sources: &[String]) -> Result<(), Refusal> {
        let into = self.find(target)?.filter(|id| self.is_file(*id)).ok_or(Refusal::Absent)?;
        if self.is_closed(into).is_err() {
            return Err(Refusal::Invalid);
        }
        let parent = |id: u64| self.hdfs.inode(id).map(|inode| inode.parent);
        let mut from = Vec::new();
        for source in sources {
            let id = self.find(source)?.filter(|id| self.is_file(*id)).ok_or(Refusal::Absent)?;
            let usable = self.hdfs.inode(id).is_some_and(|inode| !inode.open && !inode.blocks.is_empty());
            if id == into || parent(id) != parent(into) || !usable {
                return Err(Refusal::Invalid);
            }
            from.push(id);
        }
        if from.iter().enumerate().any(|(at, id)| from.iter().take(at).any(|other| other == id)) {
            return Err(Refusal::Invalid);
        }
        self.hdfs.concat(into, &from);
        Ok(())
    }
}

impl Inode {
    /// As a look tells it.
    pub(super) fn acl_entries(&self) -> Vec<AclEntry> {
        let Some((named, group)) = self.acl else { return Vec::new() };
        let entry = |kind, name: Option<&str>, permissions| AclEntry {
            is_default: false,
            kind,
            name: name.map(str::to_owned),
            permissions,
        };
        let mask = u8::try_from(self.permissions >> 3 & 7).unwrap_or(0);
        vec![
            entry(AclKind::User, Some(NAMED_USER), named),
            entry(AclKind::Group, None, group),
            entry(AclKind::Mask, None, mask),
        ]
    }
}

fn names(path: &str) -> impl Iterator<Item = &str> {
    path.split('/').filter(|name| !name.is_empty())
}

fn is_below(path: &str, above: &str) -> bool {
    path.strip_prefix(above).is_some_and(|rest| rest.starts_with('/'))
}
