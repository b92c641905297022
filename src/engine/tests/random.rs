//! The engine against a random world: a source that changes while it is copied, a target with etags and conditional
//! renames, effects executed in random order, crashes between any two of them and inside commits.
//!
//! Checked all the time: what is published is one whole version of one source file (I1). Checked at the end, after the
//! source went quiet and one more run: everything that the source has is at the target, equal.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test: a panic is its way to fail")]

use std::collections::BTreeMap;

use livedata_engine::memory::MemoryState;
use livedata_engine::{
    Checkpoint, Edge, Effect, Engine, Expected, Failure, FailureKind, Input, Limits, Phase, PublishOutcome,
    Staged, State,
};
use livedata_model::node::{ContentVersion, Entry, EntryKind, NodeId};

/// SplitMix64 (Steele, Lea, Flood 2014): small, seedable, good enough to pick from lists.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }
    fn below(&mut self, bound: usize) -> usize {
        (self.next() % bound as u64) as usize
    }
    fn one_in(&mut self, n: usize) -> bool {
        self.below(n) == 0
    }
}

#[derive(Clone, Debug)]
struct SourceNode {
    parent: u64,
    name: String,
    /// `None`: a directory. Otherwise the content, told apart by a number that is never used twice.
    content: Option<u64>,
}

/// A source: nodes by id; 1 is the root.
#[derive(Default)]
struct Source {
    nodes: BTreeMap<u64, SourceNode>,
    next: u64,
}

impl Source {
    fn new() -> Self {
        let mut source = Self { next: 2, ..Self::default() };
        source.nodes.insert(1, SourceNode { parent: 0, name: String::new(), content: None });
        source
    }

    fn fresh(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    fn child(&self, parent: u64, name: &str) -> Option<u64> {
        self.nodes
            .iter()
            .find(|(id, node)| **id != 1 && node.parent == parent && node.name == name)
            .map(|(id, _)| *id)
    }

    fn pick(&self, random: &mut Random, directory: bool) -> Option<u64> {
        let ids: Vec<u64> = self
            .nodes
            .iter()
            .filter(|(_, node)| node.content.is_none() == directory)
            .map(|(id, _)| *id)
            .collect();
        (!ids.is_empty()).then(|| ids[random.below(ids.len())])
    }

    fn is_below(&self, mut id: u64, ancestor: u64) -> bool {
        while id != 0 {
            if id == ancestor {
                return true;
            }
            id = self.nodes.get(&id).map_or(0, |node| node.parent);
        }
        false
    }

    fn change(&mut self, random: &mut Random) {
        let name = ["a", "b", "c"][random.below(3)].to_owned();
        let parent = self.pick(random, true).unwrap();
        match random.below(10) {
            0..=2 if self.child(parent, &name).is_none() => {
                let id = self.fresh();
                self.nodes.insert(id, SourceNode { parent, name, content: None });
            }
            3..=6 => {
                let content = self.fresh();
                match self.child(parent, &name) {
                    None => {
                        let id = self.fresh();
                        self.nodes.insert(id, SourceNode { parent, name, content: Some(content) });
                    }
                    // Append, or replace by a file of the same name.
                    Some(id) if self.nodes[&id].content.is_some() => {
                        if random.one_in(2) {
                            self.nodes.get_mut(&id).unwrap().content = Some(content);
                        } else {
                            self.nodes.remove(&id);
                            let id = self.fresh();
                            self.nodes.insert(id, SourceNode { parent, name, content: Some(content) });
                        }
                    }
                    Some(_) => {}
                }
            }
            7 | 8 => {
                let directory = random.one_in(2);
                let Some(moved) = self.pick(random, directory) else { return };
                if moved != 1 && !self.is_below(parent, moved) && self.child(parent, &name).is_none() {
                    let node = self.nodes.get_mut(&moved).unwrap();
                    node.parent = parent;
                    node.name = name;
                }
            }
            _ => {
                if let Some(file) = self.pick(random, false) {
                    self.nodes.remove(&file);
                }
            }
        }
    }

    fn entry(&self, id: u64) -> Option<Entry> {
        let node = self.nodes.get(&id)?;
        let kind = match node.content {
            None => EntryKind::Directory,
            Some(content) => EntryKind::File {
                length_bytes: 10,
                version: ContentVersion::from_bytes(content.to_be_bytes()),
                open_for_write: false,
            },
        };
        Some(Entry {
            name: node.name.clone(),
            id: node_id(id),
            kind,
            permissions: 0o755,
            owner: String::new(),
            group: String::new(),
            modified_ms: 0,
            has_acl: false,
            extras: None,
        })
    }

    fn paths(&self) -> BTreeMap<String, Option<u64>> {
        let path = |mut id: u64| {
            let mut names = Vec::new();
            while id != 1 {
                let node = &self.nodes[&id];
                names.push(node.name.as_str());
                id = node.parent;
            }
            names.reverse();
            names.join("/")
        };
        self.nodes.iter().map(|(id, node)| (path(*id), node.content)).collect()
    }
}

fn node_id(id: u64) -> NodeId {
    NodeId::from_bytes(id.to_be_bytes())
}

fn number(id: &NodeId) -> u64 {
    u64::from_be_bytes(id.as_bytes().try_into().unwrap())
}

/// A target: paths with content and etag. Directories exist explicitly; a rename moves everything below.
#[derive(Default)]
struct Target {
    entries: BTreeMap<String, (Option<u64>, String)>,
    staging: BTreeMap<String, (u64, String)>,
    etags: u64,
}

impl Target {
    fn etag(&mut self) -> String {
        self.etags += 1;
        format!("\"{}\"", self.etags)
    }

    fn has_directory(&self, path: &str) -> bool {
        matches!(self.entries.get(path), Some((None, _)))
    }
}

struct World {
    random: Random,
    source: Source,
    target: Target,
    /// Every content that each node ever had.
    history: BTreeMap<u64, Vec<u64>>,
    published: u64,
}

impl World {
    fn change_source(&mut self) {
        self.source.change(&mut self.random);
        for (id, node) in &self.source.nodes {
            if let Some(content) = node.content {
                let known = self.history.entry(*id).or_default();
                if known.last() != Some(&content) {
                    known.push(content);
                }
            }
        }
    }

    /// Executes one effect at the present state of the world.
    fn execute(&mut self, effect: Effect) -> Option<Input> {
        let stale = |reason: &str| Failure { kind: FailureKind::Stale, reason: reason.into() };
        Some(match effect {
            Effect::List { directory, after } => {
                let id = number(&directory);
                if !self.source.nodes.contains_key(&id) {
                    return Some(Input::Listed { directory, page: Err(stale("gone")) });
                }
                let mut names: Vec<(String, u64)> = self
                    .source
                    .nodes
                    .iter()
                    .filter(|(child, node)| **child != 1 && node.parent == id)
                    .map(|(child, node)| (node.name.clone(), *child))
                    .filter(|(name, _)| after.as_ref().is_none_or(|after| name > after))
                    .collect();
                names.sort();
                let more = names.len() > 1;
                let page: Vec<Entry> =
                    names.into_iter().take(1).filter_map(|(_, id)| self.source.entry(id)).collect();
                let next = if more { page.last().map(|entry| entry.name.clone()) } else { None };
                Input::Listed { directory, page: Ok((page, next)) }
            }
            Effect::LookUp { edge } => {
                let found = self.look(&edge);
                Input::Looked { edge, found: Ok(found) }
            }
            Effect::MakeDirectory { edge, entry, path } => {
                let outcome = match self.target.entries.get(&path) {
                    Some((Some(_), _)) => {
                        Err(Failure { kind: FailureKind::Final, reason: "a file is there".into() })
                    }
                    _ => {
                        let etag = self.target.etag();
                        self.target.entries.insert(path, (None, etag));
                        Ok(())
                    }
                };
                Input::DirectoryMade { edge, entry, outcome }
            }
            Effect::SetAttributes { edge, entry, .. } => {
                Input::AttributesSet { edge, entry, outcome: Err(stale("attributes never differ here")) }
            }
            Effect::Copy { edge, entry, staging, .. } => {
                let id = number(&entry.id);
                let now = self.source.entry(id);
                let outcome = match now {
                    Some(now) if now.kind == entry.kind => {
                        let content = self.source.nodes[&id].content.unwrap();
                        let etag = self.target.etag();
                        self.target.staging.insert(staging, (content, etag.clone()));
                        Ok(Staged { etag, crc32c: 0, permissions: 0o755, modified_ms: 0 })
                    }
                    // The bytes of another version, or half of each: the worker cannot tell.
                    Some(now) if self.random.one_in(2) => {
                        let _ = now;
                        let etag = self.target.etag();
                        self.target.staging.insert(staging, (u64::MAX, etag.clone()));
                        Ok(Staged { etag, crc32c: 0, permissions: 0o755, modified_ms: 0 })
                    }
                    _ => Err(stale("changed while it was read")),
                };
                Input::Copied { edge, entry, outcome }
            }
            Effect::Publish { edge, entry, staging, staged, path, expected } => {
                let outcome = self.publish(&edge, &entry, &staging, &staged, &path, &expected);
                Input::Published { edge, entry, outcome }
            }
            Effect::Move { from, to, etag } => Input::Moved { outcome: self.rename(&from, &to, etag) },
            Effect::Discard { staging } => {
                self.target.staging.remove(&staging);
                return None;
            }
            Effect::Flush { .. } | Effect::Finished => return None,
        })
    }

    fn look(&self, edge: &Edge) -> Option<Entry> {
        let id =
            if edge.is_root() { Some(1) } else { self.source.child(number(&edge.directory), &edge.name) };
        id.and_then(|id| self.source.entry(id))
    }

    fn publish(
        &mut self,
        edge: &Edge,
        entry: &Entry,
        staging: &str,
        staged: &Staged,
        path: &str,
        expected: &Expected,
    ) -> PublishOutcome {
        if self.target.entries.get(path).is_some_and(|(_, etag)| *etag == staged.etag) {
            return PublishOutcome::Done;
        }
        let now = self.look(edge);
        if now.as_ref().map(|now| (&now.id, &now.kind)) != Some((&entry.id, &entry.kind)) {
            return PublishOutcome::SourceChanged(now);
        }
        match (self.target.entries.get(path), expected) {
            (Some((None, _)), _) => return PublishOutcome::Occupied(None),
            (Some((_, etag)), Expected::Absent) => return PublishOutcome::Occupied(Some(etag.clone())),
            (Some((_, etag)), Expected::Etag(wanted)) if etag != wanted => {
                return PublishOutcome::Occupied(Some(etag.clone()));
            }
            _ => {}
        }
        let parent = path.rsplit_once('/').map_or("", |(parent, _)| parent);
        let stale = |reason: &str| {
            PublishOutcome::Failed(Failure { kind: FailureKind::Stale, reason: reason.into() })
        };
        if !self.target.has_directory(parent) {
            return stale("the destination's directory is gone");
        }
        let Some((content, etag)) = self.target.staging.remove(staging) else {
            return stale("the staged copy is gone");
        };
        // I1: one whole version of that very node.
        let versions = &self.history[&number(&entry.id)];
        assert!(versions.contains(&content), "a torn file was published at {path}");
        self.target.entries.insert(path.to_owned(), (Some(content), etag));
        self.published += 1;
        PublishOutcome::Done
    }

    fn rename(&mut self, from: &str, to: &str, etag: Option<String>) -> Result<(), Failure> {
        let refused = |reason: &str| Failure { kind: FailureKind::Final, reason: reason.into() };
        let Some((_, from_etag)) = self.target.entries.get(from) else {
            return match (self.target.entries.get(to), etag) {
                (Some((_, there)), Some(etag)) if *there == etag => Ok(()),
                (Some((None, _)), None) => Ok(()),
                _ => Err(Failure { kind: FailureKind::Stale, reason: "nothing there".into() }),
            };
        };
        if etag.is_some_and(|etag| etag != *from_etag) {
            return Err(Failure { kind: FailureKind::Stale, reason: "another file is there".into() });
        }
        let parent = to.rsplit_once('/').map_or("", |(parent, _)| parent);
        if self.target.entries.contains_key(to)
            || !self.target.has_directory(parent)
            || parent.starts_with(&format!("{from}/"))
            || parent == from
        {
            return Err(refused("the destination is taken or not there"));
        }
        let below = format!("{from}/");
        let moved: Vec<String> = self
            .target
            .entries
            .keys()
            .filter(|path| *path == from || path.starts_with(&below))
            .cloned()
            .collect();
        for path in moved {
            let value = self.target.entries.remove(&path).unwrap();
            self.target.entries.insert(format!("{to}{}", &path[from.len()..]), value);
        }
        Ok(())
    }
}

/// Runs until the engine says that it finished. With `busy`, the source changes and the process crashes on the way.
fn run(world: &mut World, state: &mut MemoryState, mut start: u64, busy: bool, crashes: &mut u32) {
    let limits = Limits { operations: 3, listings: 2, ready: 4 };
    let mut engine = Engine::new(limits);
    let mut effects = engine.recover(state, start).unwrap();
    let root = world.source.entry(1).unwrap();
    effects.extend(engine.step(state, Input::Start { start, root: root.clone() }).unwrap());
    let mut changes = 60;
    for _ in 0..200_000 {
        if state.run().unwrap().phase != Phase::Running {
            return;
        }
        if busy && changes > 0 && world.random.one_in(3) {
            changes -= 1;
            world.change_source();
        }
        if busy && world.random.one_in(60) {
            *crashes += 1;
            // Some effects took effect without anybody hearing of it.
            while !effects.is_empty() && world.random.one_in(2) {
                let at = world.random.below(effects.len());
                let _ = world.execute(effects.swap_remove(at));
            }
            // Sometimes it was the operator who stopped it and starts it again.
            start += u64::from(world.random.one_in(2));
            engine = Engine::new(limits);
            effects = engine.recover(state, start).unwrap();
            effects.extend(engine.step(state, Input::Start { start, root: root.clone() }).unwrap());
            continue;
        }
        assert!(!effects.is_empty(), "the engine waits for nothing");
        let at = world.random.below(effects.len());
        let effect = effects.swap_remove(at);
        if let Some(input) = world.execute(effect) {
            let before = state.clone();
            let more = engine.step(state, input).unwrap();
            if busy && world.random.one_in(100) {
                // The commit was lost and with it the process.
                *crashes += 1;
                *state = before;
                engine = Engine::new(limits);
                effects = engine.recover(state, start).unwrap();
                continue;
            }
            effects.extend(more);
        }
    }
    panic!("the run does not end");
}

#[test]
fn histories_converge_and_nothing_torn_is_ever_published() {
    // `cargo xtask prove engine` asks for more.
    let seeds: u64 = std::env::var("LIVEDATA_ENGINE_SEEDS")
        .map_or(20_000, |seeds| seeds.parse().expect("a number of seeds"));
    let (mut crashes, mut published, mut failed) = (0, 0, 0);
    for seed in 0..seeds {
        let mut world = World {
            random: Random(seed),
            source: Source::new(),
            target: Target::default(),
            history: BTreeMap::new(),
            published: 0,
        };
        for _ in 0..20 {
            world.change_source();
        }
        let mut state = MemoryState::default();
        run(&mut world, &mut state, 1, true, &mut crashes);
        // Quiet now. What was given up in the busy run is tried again by the next ones.
        run(&mut world, &mut state, 1_000, false, &mut crashes);
        run(&mut world, &mut state, 1_001, false, &mut crashes);
        let given_up: Vec<String> = state.failed().map(|failed| failed.path.clone()).collect();
        failed += given_up.len();
        for (path, content) in world.source.paths() {
            let excused = given_up.iter().any(|up| path == *up || path.starts_with(&format!("{up}/")));
            let there = world.target.entries.get(&path).map(|(content, _)| *content);
            assert!(
                excused || there == Some(content),
                "seed {seed}: {path:?} is {there:?}, should be {content:?}"
            );
        }
        published += world.published;
    }
    println!("{seeds} seeds, {published} publications, {crashes} crashes, {failed} edges given up");
    assert!(
        crashes > 5_000 && published > 40_000,
        "the histories are too tame: {crashes} crashes, {published} publications"
    );
    assert!(failed < published as usize / 10, "too many edges given up: {failed}");
}

#[test]
fn a_second_run_over_equal_files_copies_nothing() {
    let mut world = World {
        random: Random(7),
        source: Source::new(),
        target: Target::default(),
        history: BTreeMap::new(),
        published: 0,
    };
    for _ in 0..100 {
        world.change_source();
    }
    let mut state = MemoryState::default();
    run(&mut world, &mut state, 1, false, &mut 0);
    let first = world.published;
    run(&mut world, &mut state, 2, false, &mut 0);
    assert!(first > 0);
    assert_eq!(world.published, first);
    assert_eq!(state.run().unwrap().counters.files_migrated, state.run().unwrap().counters.files_scanned);
}

#[test]
fn a_copy_goes_on_from_its_checkpoints_after_a_crash() {
    let mut world = World {
        random: Random(1),
        source: Source::new(),
        target: Target::default(),
        history: BTreeMap::new(),
        published: 0,
    };
    world.source.nodes.insert(5, SourceNode { parent: 1, name: "big".into(), content: Some(9) });
    let mut state = MemoryState::default();
    let mut engine = Engine::new(Limits::default());
    let mut effects = engine.recover(&mut state, 1).unwrap();
    effects.extend(
        engine.step(&mut state, Input::Start { start: 1, root: world.source.entry(1).unwrap() }).unwrap(),
    );
    let (edge, staging) = loop {
        let effect = effects.pop().unwrap();
        if let Effect::Copy { edge, staging, .. } = effect {
            break (edge, staging);
        }
        if let Some(input) = world.execute(effect) {
            effects.extend(engine.step(&mut state, input).unwrap());
        }
    };
    for offset in [64, 128, 192] {
        let go = engine
            .step(&mut state, Input::Flushing { edge: edge.clone(), offset, crc32c: offset as u32 })
            .unwrap();
        assert!(go.contains(&Effect::Flush { edge: edge.clone(), offset }));
    }
    let mut engine = Engine::new(Limits::default());
    let effects = engine.recover(&mut state, 1).unwrap();
    assert_eq!(effects, [Effect::LookUp { edge: edge.clone() }]);
    let again =
        engine.step(&mut state, Input::Looked { edge: edge.clone(), found: Ok(world.look(&edge)) }).unwrap();
    let checkpoints = vec![Checkpoint { offset: 128, crc32c: 128 }, Checkpoint { offset: 192, crc32c: 192 }];
    assert!(
        again.iter().any(|effect| matches!(effect, Effect::Copy { staging: name, checkpoints: points, .. }
        if *name == staging && *points == checkpoints)),
        "{again:?}"
    );
}

#[test]
fn a_file_that_another_replaced_unheard_is_not_moved_in_its_place() {
    let mut world = World {
        random: Random(1),
        source: Source::new(),
        target: Target::default(),
        history: BTreeMap::from([(5, vec![50]), (6, vec![60])]),
        published: 0,
    };
    let file = |name: &str, content| SourceNode { parent: 1, name: name.into(), content: Some(content) };
    world.source.nodes.insert(5, file("a", 50));
    let mut state = MemoryState::default();
    run(&mut world, &mut state, 1, false, &mut 0);
    world.source.nodes.insert(5, file("b", 50));
    world.source.nodes.insert(6, file("a", 60));
    let mut engine = Engine::new(Limits::default());
    let mut effects = engine.recover(&mut state, 2).unwrap();
    let root = world.source.entry(1).unwrap();
    effects.extend(engine.step(&mut state, Input::Start { start: 2, root }).unwrap());
    loop {
        let effect = effects.remove(0);
        let publication = matches!(&effect, Effect::Publish { edge, .. } if edge.name == "a");
        let input = world.execute(effect);
        if publication {
            // The process dies before it hears that the new `a` took the place of the old one.
            break;
        }
        if let Some(input) = input {
            effects.extend(engine.step(&mut state, input).unwrap());
        }
    }
    assert_eq!(world.target.entries["a"].0, Some(60));
    world.source.nodes.remove(&6);
    run(&mut world, &mut state, 2, false, &mut 0);
    assert_eq!(world.target.entries.get("b").map(|(content, _)| *content), Some(Some(50)));
}
