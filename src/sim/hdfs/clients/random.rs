//! What clients do next, by chance: few names, so that they meet, and now and then what must be refused.

use super::{Acl, BLOCK_BYTES, Clients, Operation, Release};
use crate::hdfs::{ROOT, SCOPES};
use crate::random::Random;

const NAMES: [&str; 3] = ["a", "b", "größe 1%"];
/// Names below a scope's root.
const DEEPEST: usize = 4;
const MOST_WRITERS: usize = 3;
const MODES: [u16; 5] = [0o755, 0o700, 0o750, 0o644, 0o400];

/// Of one history, about so many.
const OPERATIONS: usize = 80;

/// What clients do in the history of this seed; in the end nothing is left open.
pub fn history(release: Release, seed: u64) -> Vec<Operation> {
    let mut random = Random::new(seed);
    let mut clients = Clients::new(release);
    let mut all = Vec::new();
    while all.len() < OPERATIONS {
        let next = clients.next(&mut random);
        clients.go_on(next, &mut all);
    }
    let rest = clients.writers.keys().map(|writer| Operation::Close { writer: *writer, bytes: 1 }).collect();
    clients.go_on(rest, &mut all);
    all
}

impl Clients {
    fn go_on(&mut self, next: Vec<Operation>, all: &mut Vec<Operation>) {
        for operation in next {
            // What was refused to be opened is not closed.
            if matches!(&operation, Operation::Close { writer, .. } if !self.writers.contains_key(writer)) {
                continue;
            }
            // Of refusals too: what comes next depends on what is there.
            let _ = self.perform(&operation);
            all.push(operation);
        }
    }

    /// One or more operations, to be done one after another.
    fn next(&self, random: &mut Random) -> Vec<Operation> {
        let writer = (0..=u8::MAX).find(|writer| !self.writers.contains_key(writer)).unwrap_or(0);
        let busy: Vec<u8> = self.writers.keys().copied().collect();
        if let Some(writer) = random.pick(&busy)
            && (busy.len() >= MOST_WRITERS || random.one_in(6))
        {
            return vec![self.close(random, writer)];
        }
        match random.below(31) {
            0..=2 => vec![Operation::MakeDirectories { path: self.any(random) }],
            3..=8 => {
                let create =
                    Operation::Create { path: self.any(random), overwrite: !random.one_in(4), writer };
                self.then_close(random, create, BLOCK_BYTES)
            }
            9 | 10 => {
                let path = self.file(random);
                let append = Operation::Append { writer, path: path.clone() };
                let room = self.room(&path);
                self.then_close(random, append, room)
            }
            11 | 12 => {
                let path = self.file(random);
                vec![Operation::Truncate { length_bytes: self.length(random, &path), path }]
            }
            13..=15 => {
                let (from, to) = (self.node(random), self.place(random));
                vec![Operation::Rename { from, to, overwrite: !random.one_in(3) }]
            }
            16 => {
                // Onto what is there, of the same kind.
                let files = random.one_in(2);
                let mut one = || self.chosen(random, |id| self.is_file(id) == files);
                let (from, to) = (one(), one());
                let (from, to) =
                    (from.unwrap_or_else(|| self.node(random)), to.unwrap_or_else(|| self.node(random)));
                vec![Operation::Rename { from, to, overwrite: true }]
            }
            17 | 18 => {
                let to = if random.one_in(2) { self.directory(random) } else { self.any(random) };
                vec![Operation::RenameInto { from: self.node(random), to }]
            }
            19 => self.swap(random),
            20 | 21 => vec![Operation::Delete { path: self.node(random), recursive: !random.one_in(3) }],
            22 => {
                // Over, under the same name.
                let (path, room) = (self.file(random), BLOCK_BYTES);
                let create = Operation::Create { path: path.clone(), overwrite: false, writer };
                let mut all = vec![Operation::Delete { path, recursive: false }];
                all.extend(self.then_close(random, create, room));
                all
            }
            23 | 24 => vec![self.concatenation(random)],
            25 => {
                let permissions = random.pick(&MODES).unwrap_or(0o755);
                vec![Operation::SetPermissions { path: self.node(random), permissions }]
            }
            26 => {
                let mut bits = || u8::try_from(random.below(8)).unwrap_or(0);
                let acl = Acl { owner: bits(), named: bits(), group: bits(), mask: bits(), other: bits() };
                vec![Operation::SetAcl { path: self.node(random), acl }]
            }
            27 => vec![Operation::RemoveAcl { path: self.node(random) }],
            28 | 29 => {
                let has = |id| self.hdfs.inode(id).is_some_and(|inode| inode.attribute > 0);
                let known = self.chosen(random, has).filter(|_| random.one_in(2));
                let path = known.unwrap_or_else(|| self.node(random));
                if random.one_in(3) {
                    return vec![Operation::RemoveAttribute { path }];
                }
                let value = u8::try_from(1 + random.below(9)).unwrap_or(1);
                vec![Operation::SetAttribute { path, value, anew: random.one_in(2) }]
            }
            _ => {
                let modified_ms = 1_600_000_000_000 + i64::try_from(random.below(1_000_000)).unwrap_or(0);
                vec![Operation::SetTimes { path: self.node(random), modified_ms }]
            }
        }
    }

    /// Bytes that an append may bring without filling more than one block.
    fn room(&self, path: &str) -> u64 {
        let id = self.find(path).ok().flatten();
        let last = id.and_then(|id| self.hdfs.inode(id)).and_then(|inode| inode.blocks.last());
        last.map_or(BLOCK_BYTES, |last| {
            if last.bytes < BLOCK_BYTES { BLOCK_BYTES - last.bytes } else { BLOCK_BYTES }
        })
    }

    fn close(&self, random: &mut Random, writer: u8) -> Operation {
        let path = self.writers.get(&writer).map(|id| self.hdfs.path(*id));
        let room = path.map_or(BLOCK_BYTES, |path| self.room(&path));
        Operation::Close { writer, bytes: bytes(random, room) }
    }

    fn then_close(&self, random: &mut Random, first: Operation, room: u64) -> Vec<Operation> {
        let writer = match &first {
            Operation::Create { writer, .. } | Operation::Append { writer, .. } => *writer,
            _ => return vec![first],
        };
        if random.one_in(4) {
            return vec![first];
        }
        vec![first, Operation::Close { writer, bytes: bytes(random, room) }]
    }

    /// Onto a border, into a block, to nothing, to what it is, beyond.
    fn length(&self, random: &mut Random, path: &str) -> u64 {
        let id = self.find(path).ok().flatten();
        let inode = id.and_then(|id| self.hdfs.inode(id));
        let blocks: Vec<u64> =
            inode.map(|inode| inode.blocks.iter().map(|block| block.bytes).collect()).unwrap_or_default();
        let length: u64 = blocks.iter().sum();
        match random.below(6) {
            0 => 0,
            1 => length,
            2 => length + 1,
            3 => length.saturating_sub(1 + random.below(600) as u64),
            _ => blocks.iter().take(random.below(blocks.len() + 1)).sum(),
        }
    }

    /// a→t, b→a, t→b.
    fn swap(&self, random: &mut Random) -> Vec<Operation> {
        let both = |id| NAMES[..2].iter().all(|name| self.hdfs.child(id, name).is_some());
        let directory = self.chosen(random, both).unwrap_or_else(|| self.directory(random));
        let path = |name: &str| format!("{directory}/{name}");
        let step =
            |from: &str, to: &str| Operation::Rename { from: path(from), to: path(to), overwrite: false };
        vec![step(NAMES[0], "t"), step(NAMES[1], NAMES[0]), step("t", NAMES[1])]
    }

    fn concatenation(&self, random: &mut Random) -> Operation {
        let whole = |id| self.hdfs.inode(id).is_some_and(|inode| !inode.open && !inode.blocks.is_empty());
        let beside = |id: u64| {
            let parent = self.hdfs.inode(id).map_or(ROOT, |inode| inode.parent);
            self.hdfs.children(parent).map(|(_, other)| other).filter(move |other| *other != id)
        };
        let target = self.chosen(random, |id| self.is_file(id) && beside(id).any(whole));
        let sources = match target.as_deref().and_then(|target| self.find(target).ok().flatten()) {
            Some(id) if !random.one_in(4) => {
                let all = beside(id).filter(|other| whole(*other));
                all.map(|other| self.hdfs.path(other)).collect()
            }
            _ => vec![self.file(random), self.file(random)],
        };
        Operation::Concat { target: target.unwrap_or_else(|| self.file(random)), sources }
    }

    /// Somewhere, whether or not something is there.
    fn any(&self, random: &mut Random) -> String {
        if random.one_in(6) {
            return self.node(random);
        }
        let mut path = self.directory(random);
        for _ in 0..1 + random.below(3) / 2 {
            path = format!("{path}/{}", NAMES[random.below(NAMES.len())]);
        }
        if path.matches('/').count() > DEEPEST + 1 { self.node(random) } else { path }
    }

    /// Somewhere, preferably where nothing is.
    fn place(&self, random: &mut Random) -> String {
        let free = |path: &String| self.find(path) == Ok(None);
        let tries: Vec<String> = (0..3).map(|_| self.any(random)).collect();
        let found = tries.iter().find(|path| free(path)).filter(|_| !random.one_in(4));
        found.or(tries.first()).cloned().unwrap_or_default()
    }

    fn chosen(&self, random: &mut Random, fits: impl Fn(u64) -> bool) -> Option<String> {
        let all = SCOPES.iter().flat_map(|(scope, _)| self.hdfs.tree(*scope).into_values());
        let ids: Vec<u64> = all.filter(|id| fits(*id)).collect();
        random.pick(&ids).map(|id| self.hdfs.path(id))
    }

    /// Something that is there, or should be.
    fn node(&self, random: &mut Random) -> String {
        let there = self.chosen(random, |_| true);
        match there {
            Some(path) if !random.one_in(8) => path,
            _ => format!("{}/{}", self.directory(random), NAMES[random.below(NAMES.len())]),
        }
    }

    fn file(&self, random: &mut Random) -> String {
        match self.chosen(random, |id| self.is_file(id)) {
            Some(path) if !random.one_in(8) => path,
            _ => self.node(random),
        }
    }

    fn directory(&self, random: &mut Random) -> String {
        match self.chosen(random, |id| !self.is_file(id)) {
            Some(path) if random.one_in(2) => path,
            _ => {
                let scope = SCOPES[random.below(SCOPES.len())];
                debug_assert_ne!(scope.0, ROOT);
                scope.1.to_owned()
            }
        }
    }
}

fn bytes(random: &mut Random, most: u64) -> u64 {
    match random.below(4) {
        0 => most,
        _ => 1 + random.below(usize::try_from(most.min(700)).unwrap_or(1)) as u64,
    }
    .min(most)
}
