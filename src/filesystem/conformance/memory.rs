//! A target in memory, in as few words as the trait can be said: what others are compared with.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::ReadableTarget;
use crate::{
    Attributes, Condition, Error, ErrorKind, Etag, Flush, Result, Target, TargetEntry, TargetPage,
    TargetPath, Upload,
};

#[derive(Debug, Default)]
pub struct MemoryTarget {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// All but the root.
    nodes: BTreeMap<String, Node>,
    /// Given so far.
    etags: u64,
}

#[derive(Clone, Debug)]
struct Node {
    etag: u64,
    permissions: Option<u16>,
    properties: BTreeMap<String, String>,
    /// `None`: a directory.
    content: Option<Content>,
}

#[derive(Clone, Debug, Default)]
struct Content {
    flushed: Vec<u8>,
    /// Uploaded and not flushed.
    waiting: BTreeMap<u64, u8>,
}

impl Content {
    fn upload(&mut self, upload: &Upload) {
        for (position, byte) in (upload.position..).zip(&upload.data) {
            self.waiting.insert(position, *byte);
        }
    }

    /// `None` if a byte is missing.
    fn flush(&mut self, length: u64, flush: Flush) -> Option<()> {
        let begin = self.flushed.len() as u64;
        let missing = || (begin..length).any(|position| !self.waiting.contains_key(&position));
        if length < begin || missing() {
            return None;
        }
        let rest = self.waiting.split_off(&length);
        self.flushed.extend(std::mem::take(&mut self.waiting).into_values());
        if flush == Flush::Prefix {
            self.waiting = rest;
        }
        Some(())
    }
}

fn etag(number: u64) -> Etag {
    Etag(format!("\"{number}\""))
}

fn refused<T>(kind: ErrorKind, path: &str) -> Result<T> {
    Err(Error::new(kind, "use", path, "refused"))
}

fn is_below(path: &str, directory: &str) -> bool {
    directory.is_empty() || path.strip_prefix(directory).is_some_and(|rest| rest.starts_with('/'))
}

fn parent(path: &str) -> Option<&str> {
    path.rsplit_once('/').map(|(parent, _)| parent)
}

impl State {
    fn fresh(&mut self) -> u64 {
        self.etags += 1;
        self.etags
    }

    fn is_directory(&self, path: &str) -> bool {
        path.is_empty() || self.nodes.get(path).is_some_and(|node| node.content.is_none())
    }

    fn check(&self, path: &str, condition: &Condition) -> Result<()> {
        let found = self.nodes.get(path).map(|node| etag(node.etag));
        let holds = match condition {
            Condition::Absent => found.is_none(),
            Condition::Unchanged(expected) => found.as_ref() == Some(expected),
            Condition::Any => true,
        };
        if holds { Ok(()) } else { refused(ErrorKind::Conflict, path) }
    }

    fn file(&mut self, path: &str) -> Result<&mut Content> {
        match self.nodes.get_mut(path) {
            None => refused(ErrorKind::Gone, path),
            Some(Node { content: None, .. }) => refused(ErrorKind::Conflict, path),
            Some(Node { content: Some(content), .. }) => Ok(content),
        }
    }

    fn changed(&mut self, path: &str) -> Etag {
        let number = self.fresh();
        if let Some(node) = self.nodes.get_mut(path) {
            node.etag = number;
        }
        etag(number)
    }

    fn make_parents(&mut self, path: &str) -> Result<()> {
        let parents: Vec<&str> = std::iter::successors(parent(path), |path| parent(path)).collect();
        if parents.iter().any(|path| self.nodes.contains_key(*path) && !self.is_directory(path)) {
            return refused(ErrorKind::Conflict, path);
        }
        for path in parents {
            if !self.nodes.contains_key(path) {
                let node = Node {
                    etag: self.fresh(),
                    permissions: None,
                    properties: BTreeMap::new(),
                    content: None,
                };
                self.nodes.insert(path.to_owned(), node);
            }
        }
        Ok(())
    }

    fn create(
        &mut self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
        content: Option<Content>,
    ) -> Result<Etag> {
        let path = path.as_str();
        self.check(path, condition)?;
        if path.is_empty()
            || self.nodes.get(path).is_some_and(|node| node.content.is_some() != content.is_some())
        {
            return refused(ErrorKind::Conflict, path);
        }
        if let Some(Node { content: None, etag: number, .. }) = self.nodes.get(path) {
            return Ok(etag(*number));
        }
        self.make_parents(path)?;
        let Attributes { permissions, properties, .. } = attributes.clone();
        let node = Node { etag: self.fresh(), permissions, properties, content };
        let made = etag(node.etag);
        self.nodes.insert(path.to_owned(), node);
        Ok(made)
    }

    fn flush(&mut self, path: &str, length: u64, flush: Flush) -> Result<Etag> {
        match self.file(path)?.flush(length, flush) {
            Some(()) => Ok(self.changed(path)),
            None => refused(ErrorKind::Fatal, path),
        }
    }

    fn append(&mut self, path: &str, upload: &Upload, flush: bool) -> Result<Option<Etag>> {
        let end = upload.position + upload.data.len() as u64;
        if upload.data.is_empty() {
            return if flush { self.flush(path, end, Flush::Complete).map(Some) } else { Ok(None) };
        }
        let content = self.file(path)?;
        let length = content.flushed.len() as u64;
        if flush && upload.position < length && length == end {
            return Ok(self.nodes.get(path).map(|node| etag(node.etag)));
        }
        if upload.position < length {
            return if flush { refused(ErrorKind::Fatal, path) } else { Ok(None) };
        }
        let before = content.clone();
        content.upload(upload);
        if !flush {
            return Ok(None);
        }
        let flushed = self.flush(path, end, Flush::Complete);
        if flushed.is_err() {
            *self.file(path)? = before;
        }
        flushed.map(Some)
    }

    fn rename(&mut self, from: &str, to: &str, condition: &Condition, source: Option<&Etag>) -> Result<()> {
        let Some(moving) = self.nodes.get(from).cloned() else { return refused(ErrorKind::Gone, from) };
        if source.is_some_and(|source| *source != etag(moving.etag)) {
            return refused(ErrorKind::Conflict, from);
        }
        self.check(to, condition)?;
        let into = parent(to).unwrap_or_default();
        let mut above = std::iter::successors(Some(into), |path| parent(path));
        let in_the_way = above.any(|path| self.nodes.get(path).is_some_and(|node| node.content.is_some()));
        if is_below(to, from) || in_the_way {
            return refused(ErrorKind::Conflict, to);
        }
        if !self.is_directory(into) {
            return refused(ErrorKind::Gone, to);
        }
        if from == to {
            return Ok(());
        }
        if let Some(there) = self.nodes.get(to)
            && (there.content.is_some() != moving.content.is_some()
                || self.nodes.keys().any(|path| is_below(path, to)))
        {
            return refused(ErrorKind::Conflict, to);
        }
        let all: Vec<String> =
            self.nodes.keys().filter(|path| *path == from || is_below(path, from)).cloned().collect();
        for path in all {
            if let Some(node) = self.nodes.remove(&path) {
                self.nodes.insert(format!("{to}{}", &path[from.len()..]), node);
            }
        }
        Ok(())
    }

    fn set_attributes(&mut self, path: &str, attributes: &Attributes, condition: &Condition) -> Result<Etag> {
        let Some(node) = self.nodes.get_mut(path) else { return refused(ErrorKind::Gone, path) };
        if attributes.permissions.is_none() && attributes.properties.is_empty() {
            return Ok(etag(node.etag));
        }
        self.check(path, condition)?;
        let number = self.fresh();
        if let Some(node) = self.nodes.get_mut(path) {
            node.etag = number;
            node.permissions = attributes.permissions.or(node.permissions);
            if !attributes.properties.is_empty() {
                node.properties.clone_from(&attributes.properties);
            }
        }
        Ok(etag(number))
    }

    fn delete(&mut self, path: &str, recursive: bool, condition: &Condition) -> Result<()> {
        if path.is_empty() {
            return refused(ErrorKind::Fatal, path);
        }
        if !self.nodes.contains_key(path) {
            return Ok(());
        }
        self.check(path, condition)?;
        if !recursive && self.nodes.keys().any(|other| is_below(other, path)) {
            return refused(ErrorKind::Conflict, path);
        }
        self.nodes.retain(|other, _| other != path && !is_below(other, path));
        Ok(())
    }
}

impl Node {
    fn entry(&self, properties: bool) -> TargetEntry {
        TargetEntry {
            is_directory: self.content.is_none(),
            length_bytes: self.content.as_ref().map_or(0, |content| content.flushed.len() as u64),
            etag: etag(self.etag),
            properties: if properties { self.properties.clone() } else { BTreeMap::new() },
        }
    }
}

impl MemoryTarget {
    /// All that there is but the root.
    pub fn paths(&self) -> Vec<TargetPath> {
        self.lock().nodes.keys().map(|path| TargetPath::new(path)).collect()
    }

    /// That were last given to the path.
    pub fn permissions(&self, path: &TargetPath) -> Option<u16> {
        self.lock().nodes.get(path.as_str())?.permissions
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl Target for MemoryTarget {
    async fn create_directory(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.lock().create(path, with, on, None)
    }

    async fn create_file(&self, path: &TargetPath, with: &Attributes, on: &Condition) -> Result<Etag> {
        self.lock().create(path, with, on, Some(Content::default()))
    }

    async fn append(&self, path: &TargetPath, upload: Upload, flush: bool) -> Result<Option<Etag>> {
        self.lock().append(path.as_str(), &upload, flush)
    }

    async fn flush(&self, path: &TargetPath, length_bytes: u64, flush: Flush) -> Result<Etag> {
        self.lock().flush(path.as_str(), length_bytes, flush)
    }

    async fn rename(
        &self,
        from: &TargetPath,
        to: &TargetPath,
        condition: &Condition,
        source_etag: Option<&Etag>,
    ) -> Result<()> {
        self.lock().rename(from.as_str(), to.as_str(), condition, source_etag)
    }

    async fn properties(&self, path: &TargetPath) -> Result<Option<TargetEntry>> {
        let root = Node { etag: 0, permissions: None, properties: BTreeMap::new(), content: None };
        if path.is_root() {
            return Ok(Some(root.entry(true)));
        }
        Ok(self.lock().nodes.get(path.as_str()).map(|node| node.entry(true)))
    }

    async fn list(&self, directory: &TargetPath, _: Option<&str>) -> Result<TargetPage> {
        let (state, at) = (self.lock(), directory.as_str());
        let name = |path: &str| path.rsplit('/').next().unwrap_or_default().to_owned();
        if let Some(file) = state.nodes.get(at).filter(|node| node.content.is_some()) {
            return Ok(TargetPage { entries: vec![(name(at), file.entry(false))], next: None });
        }
        if !state.is_directory(at) {
            return refused(ErrorKind::Gone, at);
        }
        let inside = state.nodes.iter().filter(|(path, _)| parent(path).unwrap_or_default() == at);
        let entries = inside.map(|(path, node)| (name(path), node.entry(false))).collect();
        Ok(TargetPage { entries, next: None })
    }

    async fn set_attributes(
        &self,
        path: &TargetPath,
        attributes: &Attributes,
        condition: &Condition,
    ) -> Result<Etag> {
        self.lock().set_attributes(path.as_str(), attributes, condition)
    }

    async fn delete(&self, path: &TargetPath, recursive: bool, condition: &Condition) -> Result<()> {
        self.lock().delete(path.as_str(), recursive, condition)
    }
}

#[async_trait]
impl ReadableTarget for MemoryTarget {
    type Target = Self;

    fn target(&self) -> &Self {
        self
    }

    async fn content(&self, path: &TargetPath) -> Vec<u8> {
        let state = self.lock();
        let content = state.nodes.get(path.as_str()).and_then(|node| node.content.as_ref());
        content.map(|content| content.flushed.clone()).unwrap_or_default()
    }
}
