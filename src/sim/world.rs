//! Carries out the engine's effects as an agent's workers do, on the simulated source and target.

use std::collections::{BTreeMap, BTreeSet};

use livedata_engine::{
    Applied, AttributesOutcome, Cause, Edge, Effect, Expected, Failure, FailureKind, Input, MakeOutcome,
    MoveOutcome, Place, PublishOutcome, Staged, Survey, There, attributes,
};
use livedata_model::node::{Entry, EntryKind, NodeId};

use crate::adls::{Adls, Object, Refused, TORN, key};
use crate::chance::Chance;
use crate::hdfs::{Hdfs, number};
use crate::oracle::Oracle;

/// The rules that are kept by the workers and not by the engine.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub struct Workers {
    /// R5: the source is not looked at again before a publication.
    pub publish_blindly: bool,
    /// 2.4: a target's conditions are left out.
    pub unconditionally: bool,
    /// R0: the feed is read from where it is when the scan has begun.
    pub position_after_scan: bool,
    /// I3: the cursor is durable before the marks that it caused.
    pub cursor_alone: bool,
}

/// One migration's view of the world.
pub struct World<'a> {
    pub hdfs: &'a mut Hdfs,
    pub adls: &'a mut Adls,
    pub oracle: &'a mut Oracle,
    pub chance: &'a mut dyn Chance,
    /// Inode of the migration's root.
    pub root: u64,
    /// Inodes that may not be read.
    pub denied: &'a BTreeSet<u64>,
    pub workers: Workers,
    /// The migration follows the feed.
    pub fed: bool,
    /// Directories whose rename was followed at once in the live phase, and the cursor at that time.
    pub ordered: &'a mut BTreeMap<u64, u64>,
    /// Edges.
    pub given_up: BTreeSet<(u64, String)>,
}

fn failure(kind: FailureKind, reason: &str) -> Failure {
    Failure { kind, reason: reason.to_owned() }
}

fn stale(reason: &str) -> Failure {
    failure(FailureKind::Stale, reason)
}

impl World<'_> {
    /// The answer; `None` if none is expected.
    pub fn execute(&mut self, effect: &Effect) -> Result<Option<Input>, String> {
        let effect = effect.clone();
        Ok(Some(match effect {
            Effect::Survey { directory, place, after } => {
                if place == Place::Tree(String::new()) && after.is_none() {
                    self.adls.staging.clear();
                }
                let limit = self.chance.page();
                let page = self.adls.list(&key(&place), after.as_deref()).map(|all| {
                    let next = all.get(limit).and(all.get(limit.wrapping_sub(1)));
                    Survey {
                        next: next.map(|(name, _)| name.clone()),
                        found: all
                            .iter()
                            .take(limit)
                            .map(|(name, object)| (name.clone(), there(object)))
                            .collect(),
                    }
                });
                Input::Surveyed { directory, place, page: Ok(page) }
            }
            Effect::List { directory, after, ticket } => {
                let limit = self.chance.page();
                let page = if self.chance.is_not_found() {
                    None
                } else {
                    self.hdfs.list(number(&directory), after.as_deref(), limit)
                };
                let page = page.ok_or_else(|| stale("the directory is gone"));
                Input::Listed { directory, ticket, page, position: self.position() }
            }
            Effect::LookUp { edge } => {
                let found = self.look(&edge, true);
                let found = match &found {
                    Ok(Some(entry)) if self.denied.contains(&number(&entry.id)) => {
                        Err(failure(FailureKind::Final(Cause::Denied), "permission denied"))
                    }
                    _ => found,
                };
                Input::Looked { edge, found, position: self.position() }
            }
            Effect::LookCloser { edge, entry } => {
                self.chance.meanwhile(self.hdfs);
                let found = if self.denied.contains(&number(&entry.id)) {
                    Err(failure(FailureKind::Final(Cause::Denied), "permission denied"))
                } else {
                    let now = self.hdfs.entry(number(&entry.id), true).and_then(|now| now.extras);
                    now.map(|extras| Entry { extras: Some(extras), ..entry })
                        .ok_or_else(|| stale("it is gone"))
                };
                Input::LookedCloser { edge, found }
            }
            Effect::MakeDirectory { edge, entry, path } => {
                let outcome = self.make_directory(&edge, &entry, &path);
                Input::DirectoryMade { edge, entry, outcome }
            }
            Effect::SetAttributes { edge, entry, path, etag } => {
                let mut outcome = self.set_attributes(&entry, &path, etag.as_deref());
                if self.chance.reply_is_lost() {
                    outcome = self.set_attributes(&entry, &path, etag.as_deref());
                }
                Input::AttributesSet { edge, entry, outcome }
            }
            Effect::Copy { edge, entry, staging, .. } => {
                let outcome = self.copy(&edge, &entry, &staging);
                Input::Copied { edge, entry, outcome }
            }
            Effect::Publish { edge, entry, staging, staged, path, expected, replaces } => {
                let publication = Publication { staging, staged, path, expected, replaces };
                let mut outcome = self.publish(&edge, &entry, &publication)?;
                if matches!(outcome, PublishOutcome::Done) && self.chance.reply_is_lost() {
                    outcome = self.rename_staged(&publication)?;
                }
                Input::Published { edge, entry, outcome }
            }
            Effect::Move { node, from, to, etag, expected, replaces } => {
                let movement = Movement { from, to, etag, expected, replaces };
                let mut outcome = self.rename(&node, &movement)?;
                if self.chance.reply_is_lost() {
                    outcome = self.rename(&node, &movement)?;
                }
                Input::Moved { node, outcome }
            }
            Effect::SetAside { edge, path, to } => {
                let from = key(&Place::Tree(path));
                let below = format!("{from}/");
                let all = self.adls.objects.iter().filter(|(at, _)| **at == from || at.starts_with(&below));
                let etags: Vec<String> = all.map(|(_, object)| object.etag.clone()).collect();
                let outcome = match self.adls.rename(&from, &key(&to), None, None) {
                    Ok(_) => {
                        self.oracle.set_aside.extend(etags);
                        Ok(())
                    }
                    Err(_) => Err(stale("it is gone")),
                };
                Input::SetAside { edge, to, outcome }
            }
            Effect::Probe { node, path } => {
                let there = self.adls.objects.get(&key(&Place::Tree(path))).map(there);
                Input::Probed { node, there }
            }
            Effect::Purge { node, at } => {
                let gone = self.adls.remove(&key(&at));
                self.adls.purged.insert(key(&at));
                // What cannot be read for the whole retention loses its claim.
                if self.oracle.excused.paths.is_empty() {
                    self.oracle.destroyed(self.hdfs, self.adls, self.root, &gone)?;
                }
                Input::Purged { node, outcome: Ok(()) }
            }
            Effect::Discard { staging } => {
                self.adls.staging.remove(&staging);
                Input::Discarded { staging }
            }
            Effect::Flush { .. }
            | Effect::Resolve { .. }
            | Effect::ReadFeed { .. }
            | Effect::CaughtUp
            | Effect::Finished => {
                return Ok(None);
            }
        }))
    }

    /// Asked for after a look: the source may have moved on.
    fn position(&mut self) -> u64 {
        self.chance.meanwhile(self.hdfs);
        if self.fed { self.chance.position(self.hdfs) } else { 0 }
    }

    fn look(&mut self, edge: &Edge, extras: bool) -> Result<Option<Entry>, Failure> {
        if edge.is_root() {
            return Ok(self.hdfs.entry(self.root, extras));
        }
        let directory = number(&edge.directory);
        if self.chance.is_not_found() || self.hdfs.living(directory).is_none() {
            return Err(stale("the directory is gone"));
        }
        Ok(self.hdfs.child(directory, &edge.name).and_then(|id| self.hdfs.entry(id, extras)))
    }

    fn with_extras(&self, entry: &Entry) -> Option<Entry> {
        match entry.extras {
            Some(_) => Some(entry.clone()),
            None => self.hdfs.entry(number(&entry.id), true),
        }
    }

    fn make_directory(&mut self, _edge: &Edge, entry: &Entry, path: &str) -> MakeOutcome {
        let Some(entry) = self.with_extras(entry) else { return MakeOutcome::Failed(stale("it is gone")) };
        let at = key(&Place::Tree(path.to_owned()));
        let attributes = attributes::digest(&entry).unwrap_or(0);
        if at == "T" {
            return MakeOutcome::Done(Applied { digest: attributes, left_out: None });
        }
        let parent = at.rsplit_once('/').map_or("T", |(parent, _)| parent).to_owned();
        if !self.adls.is_directory(&parent) {
            return MakeOutcome::Failed(stale("the parent is gone"));
        }
        if self.adls.objects.get(&at).is_some_and(|object| object.content.is_some()) {
            return MakeOutcome::Occupied;
        }
        let etag = self.adls.fresh_etag(number(&entry.id));
        let object = Object {
            content: None,
            length_bytes: 0,
            etag,
            node: Some(entry.id.clone()),
            version: None,
            attributes,
            modified_ms: entry.modified_ms,
        };
        self.adls.objects.insert(at, object);
        MakeOutcome::Done(Applied { digest: attributes, left_out: None })
    }

    fn set_attributes(&mut self, entry: &Entry, path: &str, etag: Option<&str>) -> AttributesOutcome {
        let Some(entry) = self.with_extras(entry) else {
            return AttributesOutcome::Failed(stale("it is gone"));
        };
        let attributes = attributes::digest(&entry).unwrap_or(0);
        let at = key(&Place::Tree(path.to_owned()));
        let fresh = self.adls.fresh_etag(number(&entry.id));
        if at == "T" {
            return AttributesOutcome::Done {
                etag: fresh,
                applied: Applied { digest: attributes, left_out: None },
            };
        }
        let Some(object) = self.adls.objects.get_mut(&at) else { return AttributesOutcome::Gone };
        let is_directory = entry.kind == EntryKind::Directory;
        if object.content.is_none() != is_directory || etag.is_some_and(|etag| etag != object.etag) {
            return AttributesOutcome::Differs(there(object));
        }
        (object.attributes, object.modified_ms) = (attributes, entry.modified_ms);
        object.etag.clone_from(&fresh);
        object.node = Some(entry.id.clone());
        AttributesOutcome::Done { etag: fresh, applied: Applied { digest: attributes, left_out: None } }
    }

    fn copy(&mut self, _edge: &Edge, entry: &Entry, staging: &str) -> Result<Staged, Failure> {
        let id = number(&entry.id);
        if self.denied.contains(&id) {
            return Err(failure(FailureKind::Final(Cause::Denied), "permission denied"));
        }
        let Some(full) = self.with_extras(entry) else { return Err(stale("it is gone")) };
        let attributes = attributes::digest(&full).unwrap_or(0);
        let before = self.hdfs.inode(id).and_then(|inode| inode.content);
        self.chance.meanwhile(self.hdfs);
        let Some(now) = self.hdfs.entry(id, false) else { return Err(stale("it is gone")) };
        let content = match &entry.kind {
            EntryKind::File { version, .. } => {
                let wanted = u64::from_be_bytes(version.as_bytes().try_into().unwrap_or_default());
                let unchanged = now.kind == entry.kind && before == Some(wanted);
                // The bytes of another version, or half of each: the worker cannot tell.
                if unchanged { wanted } else { TORN }
            }
            _ => return Err(failure(FailureKind::Final(Cause::NotSupported), "it is not a file")),
        };
        if content == TORN && self.chance.tear_shows() {
            return Err(stale("it changed while it was read"));
        }
        let etag = self.adls.fresh_etag(number(&entry.id));
        let (version, length_bytes) = match &entry.kind {
            EntryKind::File { version, length_bytes, .. } => (Some(version.clone()), *length_bytes),
            _ => (None, 0),
        };
        let object = Object {
            content: Some(content),
            length_bytes,
            etag: etag.clone(),
            node: Some(entry.id.clone()),
            version,
            attributes,
            modified_ms: full.modified_ms,
        };
        self.adls.staging.insert(staging.to_owned(), object);
        Ok(Staged { etag, crc32c: 0, attributes, modified_ms: full.modified_ms })
    }

    fn publish(
        &mut self,
        edge: &Edge,
        entry: &Entry,
        publication: &Publication,
    ) -> Result<PublishOutcome, String> {
        let Publication { staged, path, replaces, .. } = publication;
        let to = key(&Place::Tree(path.clone()));
        let arrived = |adls: &Adls| adls.objects.get(&to).is_some_and(|object| object.etag == staged.etag);
        if !self.workers.publish_blindly {
            match self.look(edge, false) {
                Ok(Some(now)) if (&now.id, &now.kind) == (&entry.id, &entry.kind) => {}
                Ok(_) => return Ok(PublishOutcome::SourceChanged),
                Err(failure) => return Ok(PublishOutcome::Failed(failure)),
            }
        }
        if let Some(replaced) = replaces
            && !arrived(self.adls)
            && self.hdfs.living(number(replaced)).is_some()
        {
            return Ok(PublishOutcome::Lives);
        }
        self.chance.meanwhile(self.hdfs);
        self.rename_staged(publication)
    }

    fn rename_staged(&mut self, publication: &Publication) -> Result<PublishOutcome, String> {
        let Publication { staging, staged, path, expected, .. } = publication;
        let to = key(&Place::Tree(path.clone()));
        let arrived = |adls: &Adls| adls.objects.get(&to).is_some_and(|object| object.etag == staged.etag);
        let wanted = match expected {
            Expected::Absent => None,
            Expected::Etag(etag) => Some(etag.as_str()),
        };
        let Some(object) = self.adls.staging.get(staging).cloned() else {
            return Ok(if arrived(self.adls) {
                PublishOutcome::Done
            } else {
                PublishOutcome::Failed(stale("the staged copy is gone"))
            });
        };
        let wanted = if self.workers.unconditionally {
            self.adls.objects.get(&to).map(|object| object.etag.clone())
        } else {
            wanted.map(str::to_owned)
        };
        match self.adls.check_destination(&to, wanted.as_deref()) {
            Ok(replaced) => {
                self.adls.staging.remove(staging);
                self.oracle.replaced(self.hdfs, self.adls, self.root, &object, &replaced)?;
                self.adls.objects.insert(to.clone(), object.clone());
                self.oracle.published(self.hdfs, self.adls, self.root, path, &object)?;
                Ok(PublishOutcome::Done)
            }
            Err(Refused::Occupied) => Ok(match self.adls.objects.get(&to) {
                Some(object) => PublishOutcome::Occupied(there(object)),
                None => PublishOutcome::Occupied(There {
                    is_directory: false,
                    etag: String::new(),
                    length_bytes: 0,
                    node: None,
                    version: None,
                }),
            }),
            Err(Refused::NoParent) => Ok(PublishOutcome::NoParent),
            Err(_) => Ok(PublishOutcome::Failed(stale("the staged copy is gone"))),
        }
    }

    fn rename(&mut self, node: &NodeId, movement: &Movement) -> Result<MoveOutcome, String> {
        let Movement { from, to, etag, expected, replaces } = movement;
        let (from, to) = (key(from), key(to));
        let arrived = |adls: &Adls| {
            adls.objects.get(&to).is_some_and(|there| match etag {
                Some(etag) => there.etag == *etag,
                None => there.content.is_none() && there.node.as_ref() == Some(node),
            })
        };
        if let Some(replaced) = replaces
            && !arrived(self.adls)
            && self.hdfs.living(number(replaced)).is_some()
        {
            return Ok(MoveOutcome::Lives);
        }
        let wanted = match expected {
            Expected::Absent => None,
            Expected::Etag(etag) => Some(etag.as_str()),
        };
        let (mut etag, mut wanted) = (etag.as_deref(), wanted.map(str::to_owned));
        if self.workers.unconditionally {
            etag = None;
            wanted = self.adls.objects.get(&to).map(|object| object.etag.clone());
        }
        let moving = self.adls.objects.get(&from).cloned();
        Ok(match self.adls.rename(&from, &to, etag, wanted.as_deref()) {
            Ok(replaced) => {
                if let Some(moving) = moving {
                    if to.starts_with("X/") {
                        self.oracle.stays(&moving)?;
                    }
                    self.oracle.replaced(self.hdfs, self.adls, self.root, &moving, &replaced)?;
                    if let Some(path) = to.strip_prefix("T/") {
                        self.oracle.moved(self.hdfs, self.adls, self.root, path, &moving)?;
                    }
                }
                if let Some(path) = to.strip_prefix("T/")
                    && let Some(cursor) = self.ordered.remove(&number(node))
                {
                    let directory = (number(node), path, cursor);
                    self.oracle.renamed(self.hdfs, self.adls, self.root, directory, &self.given_up)?;
                }
                MoveOutcome::Done
            }
            // By an earlier try. While it is still where it was, something else that is of this node is in its way.
            Err(_) if arrived(self.adls) && !self.adls.objects.contains_key(&from) => MoveOutcome::Done,
            Err(Refused::NoSource) => MoveOutcome::Gone,
            Err(Refused::SourceDiffers) => match self.adls.objects.get(&from) {
                Some(object) => MoveOutcome::Differs(there(object)),
                None => MoveOutcome::Gone,
            },
            Err(Refused::NoParent) => MoveOutcome::NoParent,
            Err(Refused::Occupied) => match self.adls.objects.get(&to) {
                Some(object) => MoveOutcome::Occupied(there(object)),
                None => MoveOutcome::Occupied(There {
                    is_directory: false,
                    etag: String::new(),
                    length_bytes: 0,
                    node: None,
                    version: None,
                }),
            },
        })
    }
}

struct Publication {
    staging: String,
    staged: Staged,
    path: String,
    expected: Expected,
    replaces: Option<NodeId>,
}

struct Movement {
    from: Place,
    to: Place,
    etag: Option<String>,
    expected: Expected,
    replaces: Option<NodeId>,
}

fn there(object: &Object) -> There {
    There {
        is_directory: object.content.is_none(),
        etag: object.etag.clone(),
        length_bytes: object.length_bytes,
        node: object.node.clone(),
        version: object.version.clone(),
    }
}
