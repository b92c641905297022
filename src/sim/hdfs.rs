//! A name space like that of HDFS: inodes, files that are open until they are closed, renames that replace, an edit log
//! whose events carry paths only, edits that are told late and purged early.
//!
//! Contents are numbers, never used twice: equal numbers are equal bytes.
//!
//! That it is like HDFS is tested: [`clients`] does what applications do, by path, and a real Hadoop is asked for the same.

pub mod clients;

use std::collections::BTreeMap;

use livedata_model::feed::{Change, Event, Position, Reading};
use livedata_model::node::{ContentVersion, Entry, EntryKind, Extras, NodeId};

use crate::random::Random;

pub const ROOT: u64 = 1;
/// Two directories of the root, each the root of a migration.
pub const SCOPES: [(u64, &str); 2] = [(2, "/in"), (3, "/out")];
const NAMES: [&str; 3] = ["a", "b", "c"];
/// Of what is to be renamed when it is whole.
const BEGUN: &str = "tmp";

#[derive(Clone, Debug, Hash)]
pub struct Inode {
    pub parent: u64,
    pub name: String,
    /// `None`: a directory.
    pub content: Option<u64>,
    pub open: bool,
    /// [`change`](Hdfs::change) has no use for them.
    pub blocks: Vec<Block>,
    pub permissions: u16,
    /// `rwx` bits of the named user and of the group, which the permission bits then do not tell.
    pub acl: Option<(u8, u8)>,
    pub attribute: u8,
    pub modified_ms: i64,
    /// Of the last change of its content.
    pub written: u64,
    /// Of the last change of anything about it: content, attributes, name, place.
    pub changed: u64,
    /// Its renames, and to which path each was.
    pub renamed: Vec<(u64, String)>,
    /// Of its removal.
    pub died: Option<u64>,
}

#[derive(Clone, Debug, Hash)]
pub struct Hdfs {
    inodes: BTreeMap<u64, Inode>,
    /// Living children.
    children: BTreeMap<(u64, String), u64>,
    next: u64,
    /// The last transaction.
    pub txid: u64,
    log: Vec<Event>,
    /// Inodes that were outside of a scope at some time, by the scope's root.
    pub outside: std::collections::BTreeSet<(u64, u64)>,
    /// The last transaction that named a path.
    named: BTreeMap<String, u64>,
    /// Transactions up to this one are gone from the log.
    purged: u64,
    /// Edits are logged behind the name space's back: positions may be a little too low.
    pub asynchronous: bool,
    /// What vouches for others is written under another name, and renamed when it is whole.
    pub commits_by_rename: bool,
    /// Contents that were ever whole, by inode.
    pub versions: BTreeMap<u64, BTreeMap<u64, Version>>,
}

#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct Block {
    /// Another one whenever its bytes change.
    pub stamp: u64,
    pub bytes: u64,
}

/// When and where a content was made whole.
#[derive(Clone, Debug, Hash)]
pub struct Version {
    pub made: u64,
    /// The directories above, nearest first.
    pub above: Vec<u64>,
}

impl Default for Hdfs {
    fn default() -> Self {
        Self::new()
    }
}

impl Hdfs {
    pub fn new() -> Self {
        let mut hdfs = Self {
            inodes: BTreeMap::new(),
            children: BTreeMap::new(),
            next: 100,
            txid: 10,
            log: Vec::new(),
            outside: std::collections::BTreeSet::new(),
            named: BTreeMap::new(),
            purged: 0,
            asynchronous: false,
            commits_by_rename: false,
            versions: BTreeMap::new(),
        };
        let directory = |parent, name: &str| Inode {
            parent,
            name: name.to_owned(),
            content: None,
            open: false,
            blocks: Vec::new(),
            permissions: 0o755,
            acl: None,
            attribute: 0,
            modified_ms: 0,
            written: 0,
            changed: 0,
            renamed: Vec::new(),
            died: None,
        };
        hdfs.inodes.insert(ROOT, directory(0, ""));
        for (id, path) in SCOPES {
            hdfs.inodes.insert(id, directory(ROOT, &path[1..]));
            hdfs.children.insert((ROOT, path[1..].to_owned()), id);
        }
        hdfs
    }

    pub fn inode(&self, id: u64) -> Option<&Inode> {
        self.inodes.get(&id)
    }

    pub fn living(&self, id: u64) -> Option<&Inode> {
        self.inodes.get(&id).filter(|inode| inode.died.is_none())
    }

    pub fn child(&self, parent: u64, name: &str) -> Option<u64> {
        self.children.get(&(parent, name.to_owned())).copied()
    }

    pub fn children(&self, parent: u64) -> impl Iterator<Item = (&String, u64)> {
        self.children
            .range((parent, String::new())..(parent + 1, String::new()))
            .map(|((_, name), id)| (name, *id))
    }

    pub fn path(&self, id: u64) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != ROOT {
            let Some(inode) = self.inodes.get(&at) else { break };
            names.push(inode.name.clone());
            at = inode.parent;
        }
        names.reverse();
        format!("/{}", names.join("/"))
    }

    pub fn is_below(&self, id: u64, above: u64) -> bool {
        let mut at = id;
        while at != 0 {
            if at == above {
                return true;
            }
            at = self.inodes.get(&at).map_or(0, |inode| inode.parent);
        }
        false
    }

    /// The last change of anything that decides what is at the inode's path.
    pub fn touched(&self, id: u64) -> u64 {
        self.touched_within(id, 0)
    }

    /// The same, as seen from this directory above it.
    pub fn touched_within(&self, id: u64, directory: u64) -> u64 {
        let mut last = 0;
        let mut at = id;
        let mut own = true;
        while let Some(inode) = self.inodes.get(&at).filter(|_| at != directory) {
            // Attributes of a directory above do not matter, its name does; `changed` of directories is both.
            last = last.max(if own || inode.content.is_none() { inode.changed } else { 0 });
            own = false;
            at = inode.parent;
        }
        last
    }

    /// The last transaction that named this path or one above it.
    pub fn named(&self, path: &str) -> u64 {
        let above = path.match_indices('/').map(|(at, _)| path.get(..at).unwrap_or(""));
        above.chain([path]).filter_map(|path| self.named.get(path)).max().copied().unwrap_or(0)
    }

    /// Everything below a directory, by path relative to it.
    pub fn tree(&self, root: u64) -> BTreeMap<String, u64> {
        let mut found = BTreeMap::new();
        let mut open = vec![(root, String::new())];
        while let Some((directory, path)) = open.pop() {
            for (name, id) in self.children(directory) {
                let path = if path.is_empty() { name.clone() } else { format!("{path}/{name}") };
                found.insert(path.clone(), id);
                if self.inodes.get(&id).is_some_and(|inode| inode.content.is_none()) {
                    open.push((id, path));
                }
            }
        }
        found
    }

    pub fn entry(&self, id: u64, extras: bool) -> Option<Entry> {
        let inode = self.living(id)?;
        let kind = match inode.content {
            None => EntryKind::Directory,
            Some(content) => EntryKind::File {
                length_bytes: inode.blocks.iter().map(|block| block.bytes).sum(),
                version: ContentVersion::from_bytes(content.to_be_bytes()),
                open_for_write: inode.open,
            },
        };
        let xattrs = match inode.attribute {
            0 => BTreeMap::new(),
            value => BTreeMap::from([("user.a".to_owned(), vec![value])]),
        };
        Some(Entry {
            name: inode.name.clone(),
            id: node_id(id),
            kind,
            permissions: inode.permissions,
            owner: "o".to_owned(),
            group: "g".to_owned(),
            modified_ms: inode.modified_ms,
            has_acl: inode.acl.is_some(),
            extras: extras.then(|| Extras { acl: inode.acl_entries(), xattrs }),
        })
    }

    /// `None`: the directory does not exist.
    pub fn list(
        &self,
        directory: u64,
        after: Option<&str>,
        limit: usize,
    ) -> Option<(Vec<Entry>, Option<String>)> {
        self.living(directory).filter(|inode| inode.content.is_none())?;
        let mut names =
            self.children(directory).filter(|(name, _)| after.is_none_or(|after| name.as_str() > after));
        let page: Vec<Entry> =
            names.by_ref().take(limit).filter_map(|(_, id)| self.entry(id, false)).collect();
        let next = if names.next().is_some() { page.last().map(|entry| entry.name.clone()) } else { None };
        Some((page, next))
    }

    /// The last transaction, or a little less: up to so many are visible before they are logged.
    const UNLOGGED: u64 = 3;

    /// Whether a client that makes the second change may have heard that the first one was made: before it hears, its
    /// transaction is logged.
    pub fn is_acknowledged(&self, change: u64, before: u64) -> bool {
        change + if self.asynchronous { Self::UNLOGGED } else { 0 } <= before
    }

    pub fn position(&self, random: &mut Random) -> u64 {
        let behind = if self.asynchronous && random.one_in(3) {
            random.below(1 + Self::UNLOGGED as usize) as u64
        } else {
            0
        };
        self.txid.saturating_sub(behind).max(10)
    }

    /// What the feed tells after a position; `None`: nothing new.
    pub fn read(&self, after: u64, random: &mut Random) -> Option<Reading> {
        if after < self.purged {
            let resume_at = Position(self.txid);
            return Some(Reading::Gap { resume_at, reason: "purged".to_owned() });
        }
        if after >= self.txid {
            return None;
        }
        Some(
            self.events(
                after,
                after + 1 + random.below(usize::try_from(self.txid - after).unwrap_or(1)) as u64,
            ),
        )
    }

    /// The same, all of it.
    pub fn read_all(&self, after: u64) -> Option<Reading> {
        if after < self.purged {
            return Some(Reading::Gap { resume_at: Position(self.txid), reason: "purged".to_owned() });
        }
        (after < self.txid).then(|| self.events(after, self.txid))
    }

    fn events(&self, after: u64, read_to: u64) -> Reading {
        let events = self.log.iter().filter(|event| event.position.0 > after && event.position.0 <= read_to);
        Reading::Events { events: events.cloned().collect(), read_to: Position(read_to) }
    }

    /// Whether there was something to lose.
    pub fn purge(&mut self) -> bool {
        self.purged = self.txid;
        !std::mem::take(&mut self.log).is_empty()
    }

    fn log(&mut self, changes: impl IntoIterator<Item = Change>) -> u64 {
        self.txid += 1;
        let position = Position(self.txid);
        let changes: Vec<Change> = changes.into_iter().collect();
        for change in &changes {
            let paths = match change {
                Change::Touched { path } | Change::Unwatched { path } => vec![path],
                Change::Renamed { from, to } => vec![from, to],
                Change::TimesSet { .. } => vec![],
            };
            self.named.extend(paths.into_iter().map(|path| (path.clone(), self.txid)));
        }
        self.log.extend(changes.into_iter().map(|change| Event { position, change }));
        self.txid
    }

    /// A file, written and closed, also over another one.
    pub fn create(&mut self, parent: u64, name: &str) {
        if let Some(old) = self.child(parent, name) {
            if self.inode(old).is_some_and(|inode| inode.content.is_none()) {
                return;
            }
            self.die(old, self.txid + 1);
        }
        let id = self.add(parent, name, true);
        self.close(id);
    }

    pub fn permit(&mut self, id: u64) {
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.permissions ^= 0o011;
        }
        self.touch(id);
    }

    pub fn touch(&mut self, id: u64) -> u64 {
        let path = self.path(id);
        let at = self.log([Change::Touched { path }]);
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.changed = at;
        }
        at
    }

    pub fn add(&mut self, parent: u64, name: &str, file: bool) -> u64 {
        self.next += 1;
        let id = self.next;
        let content = file.then_some(id);
        let inode = Inode {
            parent,
            name: name.to_owned(),
            content,
            open: file,
            blocks: if file { vec![Block { stamp: id, bytes: 10 }] } else { Vec::new() },
            permissions: 0o644,
            acl: None,
            attribute: 0,
            modified_ms: 1,
            written: 0,
            changed: 0,
            renamed: Vec::new(),
            died: None,
        };
        self.inodes.insert(id, inode);
        self.children.insert((parent, name.to_owned()), id);
        let outside = SCOPES.iter().filter(|(scope, _)| !self.is_below(id, *scope));
        let outside: Vec<(u64, u64)> = outside.map(|(scope, _)| (*scope, id)).collect();
        self.outside.extend(outside);
        self.touch(id);
        id
    }

    fn stamp(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// A file gets new content. An open one is whole when it is closed.
    fn write(&mut self, id: u64) {
        self.next += 1;
        let content = self.next;
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.content = Some(content);
            inode.modified_ms = i64::try_from(self.txid + 1).unwrap_or(0);
        }
    }

    /// To append, or while a truncation within a block is under way.
    fn open(&mut self, id: u64) {
        self.write(id);
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.open = true;
        }
        self.touch(id);
    }

    pub fn close(&mut self, id: u64) {
        self.write(id);
        let at = self.touch(id);
        self.closed(id, at);
    }

    /// A transaction that changes a file and that nobody is told of.
    fn close_silently(&mut self, id: u64) {
        self.write(id);
        let at = self.log([]);
        self.closed(id, at);
    }

    fn closed(&mut self, id: u64, at: u64) {
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.open = false;
            (inode.written, inode.changed) = (at, at);
        }
        self.is_whole(id, at);
    }

    fn is_whole(&mut self, id: u64, made: u64) {
        let Some(content) = self.inodes.get(&id).and_then(|inode| inode.content) else { return };
        let above = std::iter::successors(self.inode(id), |inode| self.inode(inode.parent));
        let above = above.map(|inode| inode.parent).filter(|id| *id != 0).collect();
        self.versions.entry(id).or_default().insert(content, Version { made, above });
    }

    fn die(&mut self, id: u64, at: u64) {
        let below: Vec<u64> = self.children(id).map(|(_, child)| child).collect();
        for child in below {
            self.die(child, at);
        }
        if let Some(inode) = self.inodes.get_mut(&id) {
            inode.died = Some(at);
            inode.changed = at;
            let key = (inode.parent, inode.name.clone());
            self.children.remove(&key);
        }
    }

    pub fn delete(&mut self, id: u64) {
        let path = self.path(id);
        let at = self.log([Change::Touched { path }]);
        self.die(id, at);
    }

    /// Onto nothing, or with overwriting: a file onto a file, a directory onto an empty one.
    pub fn rename(&mut self, id: u64, parent: u64, name: &str) {
        let there = self.child(parent, name);
        let replaces = |hdfs: &Self, other| {
            let file = |id| hdfs.living(id).is_some_and(|inode: &Inode| inode.content.is_some());
            file(id) == file(other) && hdfs.children(other).next().is_none()
        };
        let possible = id > 3
            && there != Some(id)
            && parent != ROOT
            && self.living(parent).is_some_and(|inode| inode.content.is_none())
            && !self.is_below(parent, id)
            && there.is_none_or(|other| replaces(self, other));
        if !possible {
            return;
        }
        let from = self.path(id);
        let to = format!("{}/{name}", self.path(parent));
        let at = self.log([Change::Renamed { from, to: to.clone() }]);
        if let Some(other) = there {
            self.die(other, at);
        }
        for (scope, _) in SCOPES {
            if self.is_below(id, scope) && !self.is_below(parent, scope) {
                let gone: Vec<u64> = self.tree(id).into_values().chain([id]).collect();
                self.outside.extend(gone.into_iter().map(|id| (scope, id)));
            }
        }
        if let Some(inode) = self.inodes.get_mut(&id) {
            self.children.remove(&(inode.parent, inode.name.clone()));
            inode.parent = parent;
            inode.name = name.to_owned();
            inode.changed = at;
            inode.renamed.push((at, to));
        }
        self.children.insert((parent, name.to_owned()), id);
    }

    /// In one transaction: the file is opened, the others go, it is closed.
    fn concat(&mut self, into: u64, from: &[u64]) {
        self.write(into);
        let ids = [into].into_iter().chain(from.iter().copied()).chain([into]);
        let paths: Vec<String> = ids.map(|id| self.path(id)).collect();
        let at = self.log(paths.into_iter().map(|path| Change::Touched { path }));
        let mut blocks = Vec::new();
        for id in from {
            blocks.extend(self.inode(*id).map(|inode| inode.blocks.clone()).unwrap_or_default());
            self.die(*id, at);
        }
        if let Some(inode) = self.inodes.get_mut(&into) {
            inode.blocks.extend(blocks);
        }
        self.closed(into, at);
    }

    fn pick(&self, random: &mut Random, directory: bool) -> Option<u64> {
        let fits = |inode: &Inode| inode.died.is_none() && inode.content.is_none() == directory;
        let ids: Vec<u64> =
            self.children.values().filter(|id| self.inode(**id).is_some_and(fits)).copied().collect();
        random.pick(&ids)
    }

    pub fn open_files(&self) -> Vec<u64> {
        self.children
            .values()
            .filter(|id| self.inode(**id).is_some_and(|inode| inode.open))
            .copied()
            .collect()
    }

    /// One thing that an application does.
    pub fn change(&mut self, random: &mut Random) {
        let name = NAMES[random.below(NAMES.len())];
        let Some(parent) = self.pick(random, true) else { return };
        let there = self.child(parent, name);
        match random.below(26) {
            0..=3 if there.is_none() => drop(self.add(parent, name, false)),
            0..=8 => {
                let file = there.is_none_or(|id| self.inode(id).is_some_and(|inode| inode.content.is_some()));
                if !file {
                    return;
                }
                // Over an existing file: a new inode, and no word about the old one.
                if let Some(old) = there {
                    self.die(old, self.txid + 1);
                }
                let id = self.add(parent, name, true);
                if random.one_in(2) {
                    self.close(id);
                }
            }
            9 | 10 => {
                // Append or truncate: open, or over in one step.
                let Some(id) = self.pick(random, false) else { return };
                if self.inode(id).is_some_and(|inode| inode.open) {
                    self.close(id);
                } else if random.one_in(2) {
                    self.open(id);
                } else {
                    self.close(id);
                }
            }
            11..=15 => {
                let directory = random.one_in(2);
                if let Some(id) = self.pick(random, directory) {
                    self.rename(id, parent, name);
                }
            }
            16 => {
                // a→t, b→a, t→b in one directory.
                let (Some(a), Some(b)) = (self.child(parent, "a"), self.child(parent, "b")) else { return };
                if self.child(parent, "t").is_none() {
                    self.rename(a, parent, "t");
                    self.rename(b, parent, "a");
                    self.rename(a, parent, "b");
                }
            }
            17 | 18 => {
                let directory = random.one_in(3);
                if let Some(id) = self.pick(random, directory).filter(|id| *id > 3) {
                    self.delete(id);
                }
            }
            19 | 20 => {
                let directory = random.one_in(2);
                let Some(id) = self.pick(random, directory).filter(|id| *id > 3) else { return };
                let Some(inode) = self.inodes.get_mut(&id) else { return };
                if random.one_in(2) {
                    inode.permissions ^= 0o011;
                } else {
                    inode.attribute = u8::try_from(random.below(3)).unwrap_or(0);
                }
                self.touch(id);
            }
            21 => {
                let Some(id) = self.pick(random, false) else { return };
                let (path, modified_ms) =
                    (self.path(id), self.inode(id).map_or(0, |inode| inode.modified_ms));
                self.log([Change::TimesSet { path, modified_ms }]);
            }
            22 => {
                // Untranslated: the transaction counts, nobody is told.
                self.txid += 1;
            }
            23 | 24 => self.commit(random, parent),
            _ => {
                // Concat: the last file of the directory goes into the first.
                let files: Vec<u64> = self
                    .children(parent)
                    .map(|(_, id)| id)
                    .filter(|id| self.inode(*id).is_some_and(|inode| inode.content.is_some() && !inode.open))
                    .collect();
                if let [first, .., last] = files[..] {
                    self.concat(first, &[last]);
                }
            }
        }
    }

    /// A job's output: files first, then the file that vouches for them.
    fn commit(&mut self, random: &mut Random, parent: u64) {
        let log = self.child(parent, "_delta_log");
        let begun = [Some(parent), log].into_iter().flatten().find_map(|directory| {
            let id = self.child(directory, BEGUN).filter(|_| self.commits_by_rename)?;
            Some((directory, id))
        });
        if let Some((directory, id)) = begun {
            let name = if directory == parent {
                "_SUCCESS".to_owned()
            } else {
                format!("{:03}.json", self.children(directory).count() - 1)
            };
            if self.inode(id).is_some_and(|inode| inode.open) {
                self.close(id);
            }
            self.rename(id, directory, &name);
            return;
        }
        for name in ["x", "y"] {
            if let Some(old) = self.child(parent, name) {
                self.die(old, self.txid + 1);
            }
            let id = self.add(parent, name, true);
            self.close(id);
        }
        let (directory, name) = if random.one_in(2) {
            (parent, "_SUCCESS".to_owned())
        } else {
            let log = match self.child(parent, "_delta_log") {
                Some(log) => log,
                None => self.add(parent, "_delta_log", false),
            };
            if self.inode(log).is_some_and(|inode| inode.content.is_some()) {
                return;
            }
            (log, format!("{:03}.json", self.children(log).count()))
        };
        let name = if self.commits_by_rename { BEGUN.to_owned() } else { name };
        if let Some(old) = self.child(directory, &name) {
            if self.inode(old).is_some_and(|inode| inode.content.is_none()) {
                return;
            }
            self.die(old, self.txid + 1);
        }
        let id = self.add(directory, &name, true);
        self.close(id);
    }
}

pub fn node_id(id: u64) -> NodeId {
    NodeId::from_bytes(id.to_be_bytes())
}

/// 0 for what is not a node of this source.
pub fn number(id: &NodeId) -> u64 {
    id.as_bytes().try_into().map_or(0, u64::from_be_bytes)
}
