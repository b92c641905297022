//! Somebody who follows a directory as the traits allow it: changes are reasons to look again, directories are known by
//! their ids, and nothing is taken for gone or replaced before the feed was read up to the moment of the look.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;
use std::time::Duration;

use crate::local::LocalSource;
use crate::local::feed::LocalFeed;
use crate::{Change, ChangeFeed, Entry, EntryKind, ErrorKind, Event, NodeId, Position, Reading, Source};

/// What is compared in the end.
pub type Seen = BTreeMap<String, (NodeId, EntryKind, u16)>;

struct Node {
    kind: EntryKind,
    permissions: u16,
    /// The feed's position after the look that put it where it is.
    seen: Position,
    /// `None` for the root.
    at: Option<(NodeId, String)>,
    children: BTreeMap<String, NodeId>,
}

impl Node {
    fn new(kind: EntryKind, permissions: u16, seen: Position) -> Self {
        Self { kind, permissions, seen, at: None, children: BTreeMap::new() }
    }
}

pub struct Follower {
    source: LocalSource,
    root: NodeId,
    nodes: HashMap<NodeId, Node>,
    /// Names to look at; with `true` everything below as well.
    marks: HashMap<(NodeId, String), bool>,
    at: Position,
    pub gaps: usize,
    pub events: usize,
}

impl Follower {
    pub async fn new(root: &Path, feed: &LocalFeed) -> Self {
        let at = feed.position().await.unwrap();
        let source = LocalSource::new(root.to_owned());
        let entry = source.resolve("/").await.unwrap();
        let mut follower = Self {
            source,
            root: entry.id.clone(),
            nodes: HashMap::new(),
            marks: HashMap::new(),
            at,
            gaps: 0,
            events: 0,
        };
        let root = Node::new(entry.kind, entry.permissions, at);
        follower.nodes.insert(entry.id.clone(), root);
        follower.scan(&entry.id, true).await;
        follower
    }

    /// Reads once and looks at what is marked.
    pub async fn step(&mut self, feed: &LocalFeed) {
        match feed.read(self.at).await.unwrap() {
            Reading::Events { events, read_to } => {
                self.events += events.len();
                for event in events {
                    self.ingest(event);
                }
                self.at = read_to;
            }
            Reading::Gap { resume_at, .. } => {
                self.gaps += 1;
                self.at = resume_at;
                let root = self.root.clone();
                self.scan(&root, true).await;
            }
        }
        for ((directory, name), deep) in std::mem::take(&mut self.marks) {
            self.look(feed, directory, name, deep).await;
        }
    }

    /// Until everything that has happened is known.
    pub async fn catch_up(&mut self, feed: &LocalFeed) {
        let told = async {
            loop {
                let now = feed.position().await.unwrap();
                if self.at >= now && self.marks.is_empty() {
                    return;
                }
                self.step(feed).await;
                // On a busy machine the feed needs the thread more than this does.
                tokio::task::yield_now().await;
            }
        };
        let told = tokio::time::timeout(Duration::from_secs(60), told).await;
        let open = || self.marks.keys().map(|(_, name)| name).collect::<Vec<_>>();
        assert!(told.is_ok(), "never told what became of {:?}", open());
    }

    pub fn known(&self) -> Seen {
        let mut seen = Seen::new();
        let mut open = vec![(String::new(), &self.root)];
        while let Some((path, id)) = open.pop() {
            let node = &self.nodes[id];
            open.extend(node.children.iter().map(|(name, child)| (format!("{path}/{name}"), child)));
            seen.insert(path, (id.clone(), node.kind.clone(), node.permissions));
        }
        seen
    }

    fn ingest(&mut self, event: Event) {
        match event.change {
            Change::Touched { path } => self.mark(&path, false),
            Change::Unwatched { path } => self.mark(&path, true),
            Change::TimesSet { path, .. } => self.mark(&path, false),
            Change::Renamed { from, to } => {
                let moved = self.follow(event.position, &from, &to);
                self.mark(&from, false);
                // Between two moves that nobody could follow, changes were told of under a name that means nothing here.
                self.mark(&to, !moved);
            }
        }
    }

    /// Moves what is known to be at `from`, if it surely is what was renamed and everything below it is known.
    fn follow(&mut self, position: Position, from: &str, to: &str) -> bool {
        let (Some((old, old_name)), Some((new, new_name))) = (self.edge(from), self.edge(to)) else {
            return false;
        };
        let Some(moved) = self.nodes[&old].children.get(&old_name).cloned() else { return false };
        // It came here by a look that the feed has not caught up with: another one was renamed.
        if self.nodes[&moved].seen >= position || self.is_below(&new, &moved) {
            return false;
        }
        let is_deep = self.marks.get(&(old, old_name)).is_some_and(|deep| *deep);
        self.forget(&new, &new_name);
        self.place(&moved, &new, &new_name);
        !is_deep
    }

    /// The directory and the last name, if all directories on the way are known.
    fn edge(&self, path: &str) -> Option<(NodeId, String)> {
        let (directory, name) = self.deepest_edge(path)?;
        path.ends_with(&format!("/{name}")).then_some(())?;
        let depth = path.split('/').count() - 1;
        (self.depth(&directory) + 1 == depth).then_some((directory, name))
    }

    fn depth(&self, id: &NodeId) -> usize {
        let mut depth = 0;
        let mut at = &self.nodes[id].at;
        while let Some((parent, _)) = at {
            depth += 1;
            at = &self.nodes[parent].at;
        }
        depth
    }

    fn deepest_edge(&self, path: &str) -> Option<(NodeId, String)> {
        let mut at = self.root.clone();
        let mut names = path.split('/').filter(|name| !name.is_empty()).peekable();
        loop {
            let name = names.next()?;
            match self.nodes[&at].children.get(name) {
                // What is told of below a file is of a directory that was there, or that has still to be seen.
                Some(child) if names.peek().is_some() && self.nodes[child].kind == EntryKind::Directory => {
                    at = child.clone();
                }
                _ => return Some((at, name.to_owned())),
            }
        }
    }

    fn mark(&mut self, path: &str, deep: bool) {
        if let Some(edge) = self.deepest_edge(path) {
            *self.marks.entry(edge).or_default() |= deep;
        }
    }

    fn is_below(&self, id: &NodeId, above: &NodeId) -> bool {
        let mut at = Some(id);
        while let Some(id) = at {
            if id == above {
                return true;
            }
            at = self.nodes[id].at.as_ref().map(|(parent, _)| parent);
        }
        false
    }

    fn place(&mut self, id: &NodeId, directory: &NodeId, name: &str) {
        if let Some((parent, name)) = self.nodes.get_mut(id).unwrap().at.take() {
            self.nodes.get_mut(&parent).unwrap().children.remove(&name);
        }
        self.nodes.get_mut(id).unwrap().at = Some((directory.clone(), name.to_owned()));
        self.nodes.get_mut(directory).unwrap().children.insert(name.to_owned(), id.clone());
    }

    fn forget(&mut self, directory: &NodeId, name: &str) {
        let mut open: Vec<NodeId> =
            self.nodes.get_mut(directory).unwrap().children.remove(name).into_iter().collect();
        while let Some(id) = open.pop() {
            open.extend(self.nodes.remove(&id).unwrap().children.into_values());
        }
    }

    async fn scan(&mut self, directory: &NodeId, deep: bool) {
        let mut names: HashSet<String> = self.nodes[directory].children.keys().cloned().collect();
        let mut after = None;
        loop {
            match self.source.list(directory, after.as_deref()).await {
                Ok(page) => {
                    names.extend(page.entries.into_iter().map(|entry| entry.name));
                    after = page.next;
                }
                Err(_) => return self.missed(directory),
            }
            if after.is_none() {
                break;
            }
        }
        for name in names {
            *self.marks.entry((directory.clone(), name)).or_default() |= deep;
        }
    }

    async fn look(&mut self, feed: &LocalFeed, directory: NodeId, name: String, deep: bool) {
        if !self.nodes.contains_key(&directory) {
            return;
        }
        let found = match self.source.look_up(&directory, &name).await {
            Ok(found) => found,
            Err(error) if error.kind() == ErrorKind::Gone => return self.missed(&directory),
            Err(error) => panic!("{error}"),
        };
        let known = self.nodes[&directory].children.get(&name).cloned();
        let same = found.as_ref().map(|entry| &entry.id) == known.as_ref();
        let seen = feed.position().await.unwrap();
        if !same && seen > self.at {
            return self.again(directory, name, deep);
        }
        let Some(Entry { id, kind, permissions, .. }) = found else { return self.forget(&directory, &name) };
        let (mut is_new, mut is_late) = (false, false);
        if !same {
            self.forget(&directory, &name);
            if !self.nodes.contains_key(&id) {
                is_new = true;
                self.nodes.insert(id.clone(), Node::new(kind.clone(), permissions, seen));
            } else if self.is_below(&directory, &id) {
                return self.again(directory, name, deep);
            } else {
                is_late = true;
            }
            self.place(&id, &directory, &name);
        }
        let node = self.nodes.get_mut(&id).unwrap();
        (node.kind, node.permissions, node.seen) = (kind.clone(), permissions, seen);
        if kind == EntryKind::Directory && (is_new || is_late || deep) {
            self.scan(&id, deep || is_late).await;
        }
    }

    /// A directory is not where it was: what is at its name is to be looked at, with everything below.
    fn missed(&mut self, directory: &NodeId) {
        if let Some((parent, name)) = self.nodes[directory].at.clone() {
            self.again(parent, name, true);
        }
    }

    /// Once more is known.
    fn again(&mut self, directory: NodeId, name: String, deep: bool) {
        *self.marks.entry((directory, name)).or_default() |= deep;
    }
}

/// What is there, seen by somebody who comes new.
pub async fn see(root: &Path) -> Seen {
    let source = LocalSource::new(root.to_owned());
    let entry = source.resolve("/").await.unwrap();
    let mut seen = Seen::new();
    let mut open = vec![(String::new(), entry.id.clone())];
    seen.insert(String::new(), (entry.id, entry.kind, entry.permissions));
    while let Some((path, id)) = open.pop() {
        let mut after = None;
        loop {
            let page = source.list(&id, after.as_deref()).await.unwrap();
            for entry in page.entries {
                let path = format!("{path}/{}", entry.name);
                if entry.kind == EntryKind::Directory {
                    open.push((path.clone(), entry.id.clone()));
                }
                seen.insert(path, (entry.id, entry.kind, entry.permissions));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
    }
    seen
}
