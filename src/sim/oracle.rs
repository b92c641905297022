//! What must hold at every moment, judged from outside: from the source's whole history and the target's objects.

use std::collections::BTreeSet;

use livedata_engine::memory::MemoryState;
use livedata_engine::{Edge, Engine, Node, NodeKind, Place, Policy, Rules, State, attributes};
use livedata_model::node::NodeId;
use livedata_model::pattern::Pattern;
use livedata_model::spec::{DeletePolicy, DriftPolicy};

use crate::adls::{Adls, FOREIGN, Object, key};
use crate::hdfs::{Hdfs, ROOT, Version, number};

/// Counts and, where it judges, errors: each a sentence about what went wrong.
#[derive(Debug, Default)]
pub struct Oracle {
    pub published: u64,
    pub live_destroyed: u64,
    /// Somebody else writes to the target.
    pub drifting: bool,
    /// Paths that were given up, as of now.
    pub excused: Excused,
    /// Somebody else changed these paths; what is there is not judged.
    pub foreign: BTreeSet<String>,
    /// Nodes whose copies somebody else removed.
    pub vanished: BTreeSet<u64>,
    /// Entity tags of what was in the way and of no node that the engine knew there: under `deletePolicy: Keep` also what was
    /// left over, whose node may be unable to come to its new place for the same reason.
    pub set_aside: BTreeSet<String>,
    /// Nodes whose copies somebody else wrote over.
    pub overwritten: BTreeSet<u64>,
    /// Entity tags of what somebody else put in the place of copies that the engine knew of.
    pub theirs: BTreeSet<String>,
    /// What changed after this position is not followed: the migration has no feed.
    pub since: Option<u64>,
    drift: DriftPolicy,
    barriers: Vec<Pattern>,
    /// `deletePolicy` was `Keep` at some time: copies are left over.
    kept: bool,
    /// A journal was lost. Of what node something in the trash is nobody knows then: that is copied anew.
    pub forgot: bool,
}

impl Oracle {
    /// What is judged from now on.
    pub fn obeys(&mut self, policy: &Policy) {
        self.drift = policy.drift;
        self.barriers.clone_from(&policy.barriers);
        self.kept |= policy.deletes == DeletePolicy::Keep;
        // What was found under another policy may have been dealt with already.
        self.theirs.clear();
    }

    /// I1, and the order of publication.
    pub fn published(
        &mut self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        path: &str,
        object: &Object,
    ) -> Result<(), String> {
        self.published += 1;
        let id = object.node.as_ref().map_or(0, number);
        let whole = hdfs.versions.get(&id);
        let Some(version) = whole.and_then(|versions| versions.get(&object.content?)) else {
            return Err(format!("torn: {path} shows {:?}, which node {id} never was", object.content));
        };
        self.vouched(hdfs, adls, root, path, (id, version))
    }

    /// The same order, for a file that is found under another name.
    pub fn moved(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        path: &str,
        object: &Object,
    ) -> Result<(), String> {
        let id = object.node.as_ref().map_or(0, number);
        let versions = hdfs.versions.get(&id).zip(object.content);
        match versions.and_then(|(versions, content)| versions.get(&content)) {
            Some(version) => self.vouched(hdfs, adls, root, path, (id, version)),
            None => Ok(()),
        }
    }

    fn vouches(&self, path: &str) -> Option<usize> {
        let policy = Policy { barriers: self.barriers.clone(), ..Policy::new("/") };
        Engine::new(livedata_engine::Limits::default(), policy, Rules::default()).vouches(path)
    }

    /// Everything that a file vouches for must be there: closed files of its table that did not change since it was written.
    fn vouched(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        path: &str,
        (id, version): (u64, &Version),
    ) -> Result<(), String> {
        let Some(levels) = self.vouches(path) else { return Ok(()) };
        // The table that it was written for. If it came by its name later, it vouches for what was there then.
        let at_root = hdfs.path(root);
        let name = format!("{at_root}/{path}");
        let renamed = hdfs.inode(id).and_then(|inode| inode.renamed.iter().rfind(|(_, to)| *to == name));
        let made = version.made.max(renamed.map_or(0, |(at, _)| *at));
        let inside = version.above.iter().take_while(|directory| **directory != ROOT).count();
        let Some(table) = version.above.get(levels.min(inside.saturating_sub(1))).copied() else {
            return Ok(());
        };
        if hdfs.living(id).is_none() || !hdfs.is_below(table, root) || self.drifting {
            return Ok(());
        }
        // Without a feed nobody hears of it when directories above go into another table.
        let moved = |since, above: &u64| {
            hdfs.inode(*above).is_some_and(|inode| inode.renamed.iter().any(|(at, _)| *at > since))
        };
        if self.since.is_some_and(|since| version.above.iter().any(|above| moved(since, above))) {
            return Ok(());
        }
        for other in hdfs.tree(table).into_values() {
            let Some(file) = hdfs.living(other).filter(|file| file.content.is_some() && !file.open) else {
                continue;
            };
            let unseen = self.since.is_some_and(|since| hdfs.touched(other) > since);
            let path_there = hdfs.path(other);
            let below = path_there.strip_prefix(&at_root).unwrap_or("").trim_start_matches('/');
            // Those that vouch come in the order in which their contents were made, which is all that their times tell.
            let made = if self.vouches(below).is_some() { version.made } else { made };
            // What was going on at the same time is not before it.
            let before = hdfs.is_acknowledged(hdfs.touched_within(other, table), made);
            if other == id || !before || unseen {
                continue;
            }
            // Wherever the target has it: the renames of directories above are no matter of this rule.
            let node = Some(crate::hdfs::node_id(other));
            let there = adls.objects.iter().any(|(at, object)| {
                at.starts_with("T/") && object.node == node && object.content == file.content
            });
            if !there && !self.foreign.contains(below) {
                return Err(format!(
                    "order: {path} (written at {}) appeared before {below} (changed at {})",
                    made,
                    hdfs.touched(other)
                ));
            }
        }
        Ok(())
    }

    /// 2.3: a directory whose rename is followed comes after what was changed in it before. Nothing
    /// waits for what the operator holds. What vouches for others may be missing: then nobody relies on them.
    pub fn renamed(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        (id, path, cursor): (u64, &str, u64),
        given_up: &BTreeSet<(u64, String)>,
    ) -> Result<(), String> {
        let Some(directory) = hdfs.living(id).filter(|inode| inode.content.is_none()) else { return Ok(()) };
        // Another one may have been renamed, under a name from which this one had gone already, to the engine's knowledge only
        // that something had happened to it. What is there is not what the rename promises then, and both names are marked.
        let destination = format!("{}/{path}", hdfs.path(root));
        let followed = directory.renamed.iter().rev().find(|(at, to)| *at <= cursor && *to == destination);
        let followed = followed.map(|(at, _)| at);
        let Some(followed) = followed.filter(|_| !self.drifting && !self.excused.held) else { return Ok(()) };
        for (below, other) in hdfs.tree(id) {
            let Some(file) = hdfs.living(other).filter(|file| file.content.is_some() && !file.open) else {
                continue;
            };
            let last = hdfs.touched_within(other, id);
            let mut chain =
                std::iter::successors(Some(other), |at| hdfs.inode(*at).map(|inode| inode.parent))
                    .take_while(|at| *at != id)
                    .filter_map(|at| hdfs.inode(at));
            if last >= *followed
                || self.vouches(&format!("{path}/{below}")).is_some()
                || chain.any(|inode| given_up.contains(&(inode.parent, inode.name.clone())))
            {
                continue;
            }
            if adls
                .objects
                .get(&format!("T/{path}/{below}"))
                .is_none_or(|there| there.content != file.content)
            {
                return Err(format!(
                    "rename: {path} (renamed at {followed}) appeared before {below} in it (changed at {last})"
                ));
            }
        }
        Ok(())
    }

    /// `driftPolicy`: theirs stays.
    pub fn stays(&self, theirs: &Object) -> Result<(), String> {
        // What is left over is nobody's any more.
        if self.drift != DriftPolicy::Overwrite && !self.kept && self.theirs.contains(&theirs.etag) {
            return Err(format!("overwritten: what a stranger wrote ({})", theirs.etag));
        }
        Ok(())
    }

    /// I5, for what a rename put something in the place of.
    pub fn replaced(
        &mut self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        by: &Object,
        replaced: &[Object],
    ) -> Result<(), String> {
        replaced.iter().try_for_each(|object| self.stays(object))?;
        let others: Vec<Object> = replaced.iter().filter(|object| object.node != by.node).cloned().collect();
        self.destroyed(hdfs, adls, root, &others)
    }

    /// I5. Without a feed nobody knows of renames.
    pub fn destroyed(&mut self, hdfs: &Hdfs, adls: &Adls, root: u64, gone: &[Object]) -> Result<(), String> {
        if self.since.is_some() {
            return Ok(());
        }
        for object in gone {
            let id = object.node.as_ref().map_or(0, number);
            let path = hdfs.path(id);
            let below = path.strip_prefix(&hdfs.path(root)).unwrap_or("").trim_start_matches('/');
            // What `deletePolicy: Keep` left over is no copy any more: the engine forgot it, and may find it in the way
            // later. Its node's copy is another one, or was, until a stranger took that away.
            let another = adls.objects.values().any(|other| other.node == object.node)
                || self.vanished.contains(&id)
                || self.overwritten.contains(&id)
                || self.set_aside.contains(&object.etag);
            if self.excused.covers(below) || (self.kept || self.forgot) && another {
                continue;
            }
            if object.content != Some(FOREIGN)
                && hdfs.living(id).is_some()
                && hdfs.is_below(id, root)
                && id != root
                && !hdfs.outside.contains(&(root, id))
            {
                self.live_destroyed += 1;
                return Err(format!("destroyed: the copy of node {id}, which lives at {}", hdfs.path(id)));
            }
        }
        Ok(())
    }

    /// What did not change since the watermark is at the target, and what vanished before it is not.
    pub fn watermark(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        watermark: u64,
        excused: &Excused,
    ) -> Result<(), String> {
        let tree = hdfs.tree(root);
        for (path, id) in &tree {
            if hdfs.touched(*id) <= watermark && !excused.covers(path) && !self.foreign.contains(path) {
                compare(hdfs, adls, path, *id)
                    .map_err(|difference| format!("watermark {watermark} lies: {difference}"))?;
            }
        }
        for (at, object) in adls.objects.iter().filter(|(at, _)| at.starts_with("T/")) {
            let path = at.get(2..).unwrap_or("");
            let id = object.node.as_ref().map_or(0, number);
            let left = hdfs.touched(id);
            // Where a file is being written, the old one stays until it is closed: the path's last change counts.
            let being_written = |there: &u64| hdfs.inode(*there).is_some_and(|inode| inode.open);
            let gone = tree.get(path).is_none_or(|there| *there != id && !being_written(there))
                && hdfs.named(&format!("{}/{path}", hdfs.path(root))) <= watermark;
            let covered = excused.covers(path) || self.foreign.contains(path);
            // A directory's `changed` is that of its own name; below a moved one everything left with it.
            if gone
                && !self.kept
                && id != 0
                && left <= watermark
                && hdfs.inode(id).is_some()
                && !covered
                && !excused.held
            {
                return Err(format!(
                    "watermark {watermark} lies: {path} is still there, its node left at {left}"
                ));
            }
        }
        Ok(())
    }

    /// What did not change since a pass began that has ended is at the target.
    pub fn unchanged(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        since: u64,
        excused: &Excused,
    ) -> Result<(), String> {
        for (path, id) in hdfs.tree(root) {
            if hdfs.touched(id) <= since && !excused.covers(&path) {
                compare(hdfs, adls, &path, id).map_err(|difference| format!("incomplete: {difference}"))?;
            }
        }
        Ok(())
    }

    /// Quiet: both sides are equal, and what the engine believes of the target is so.
    pub fn equal(
        &self,
        hdfs: &Hdfs,
        adls: &Adls,
        root: u64,
        state: &mut MemoryState,
        excused: &Excused,
    ) -> Result<(), String> {
        let tree = hdfs.tree(root);
        for (path, id) in &tree {
            if !excused.covers(path) && !self.foreign.contains(path) && !self.vanished.contains(id) {
                compare(hdfs, adls, path, *id)?;
            }
        }
        for (at, object) in adls.objects.iter().filter(|(at, _)| at.starts_with("T/")) {
            let path = at.get(2..).unwrap_or("");
            // What somebody else made, and nothing of the source asked for the place of, stays.
            let foreign = self.kept || self.foreign.contains(path) || self.drifting && object.node.is_none();
            if !tree.contains_key(path) && !excused.covers(path) && !foreign {
                return Err(format!("surplus: {path} is at the target only"));
            }
        }
        let nodes = state.nodes().clone();
        for (id, node) in nodes.iter().filter(|(id, _)| !self.vanished.contains(&number(id))) {
            self.believed(adls, &nodes, id, node)?;
        }
        if let Some(staging) = adls.staging.keys().next()
            && state.all_in_flight().is_ok_and(|copies| copies.is_empty())
        {
            return Err(format!("left behind: staging file {staging}"));
        }
        Ok(())
    }

    fn believed(
        &self,
        adls: &Adls,
        nodes: &std::collections::BTreeMap<NodeId, Node>,
        id: &NodeId,
        node: &Node,
    ) -> Result<(), String> {
        let mut names = Vec::new();
        let mut at: Edge = node.parent.clone();
        let trash = loop {
            if at.is_root() {
                break false;
            }
            names.push(at.name.clone());
            if at.is_trash() {
                break true;
            }
            match nodes.get(&at.directory) {
                Some(parent) => at = parent.parent.clone(),
                None => return Err(format!("belief: node {} hangs in the air", id.to_hex())),
            }
        };
        names.reverse();
        let path = names.join("/");
        let place = if trash { Place::Trash(path.clone()) } else { Place::Tree(path.clone()) };
        let there = adls.objects.get(&key(&place));
        // At rest, what somebody else wrote is not taken for a version of ours.
        if let (NodeKind::File { etag, version, length_bytes, .. }, Some(there)) = (&node.kind, there)
            && !version.as_bytes().is_empty()
            && there.etag == *etag
            && there.length_bytes != *length_bytes
        {
            return Err(format!(
                "belief: {path} is of a stranger ({etag}), not version {}",
                version.to_hex()
            ));
        }
        if place == Place::Tree(String::new()) || self.foreign.contains(&path) {
            return Ok(());
        }
        let right = match (&node.kind, there) {
            (NodeKind::Directory, Some(there)) => there.content.is_none() || id.as_bytes().len() == 9,
            (NodeKind::File { etag, .. }, Some(there)) => {
                // A request that was never answered may have been carried out.
                there.etag == *etag || node.attributes == livedata_engine::UNKNOWN
            }
            // A copy that nobody heard of may have taken its place and vanished.
            (_, None) => {
                let top = names.first().map(|name| key(&Place::Trash(name.clone())));
                let purged = trash && top.is_some_and(|top| adls.purged.contains(&top));
                purged || !self.vanished.is_empty()
            }
        };
        if right {
            Ok(())
        } else {
            Err(format!("belief: node {} is at {place:?}, but there is {there:?}", number(id)))
        }
    }
}

/// Paths that nobody expects to be right.
#[derive(Clone, Debug, Default)]
pub struct Excused {
    pub paths: Vec<String>,
    /// Deletions wait for the operator.
    pub held: bool,
}

impl Excused {
    pub fn covers(&self, path: &str) -> bool {
        self.paths.iter().any(|up| path == up || path.starts_with(&format!("{up}/")))
    }
}

fn compare(hdfs: &Hdfs, adls: &Adls, path: &str, id: u64) -> Result<(), String> {
    let Some(inode) = hdfs.inode(id) else { return Ok(()) };
    let Some(entry) = hdfs.entry(id, true).filter(|_| !inode.open) else { return Ok(()) };
    let Some(there) = adls.objects.get(&key(&Place::Tree(path.to_owned()))) else {
        return Err(format!("missing: {path} (node {id}, last changed at {})", hdfs.touched(id)));
    };
    if there.content != inode.content {
        return Err(format!("content: {path} is {:?}, should be {:?}", there.content, inode.content));
    }
    if Some(there.attributes) != attributes::digest(&entry) {
        return Err(format!("attributes: {path} (node {id})"));
    }
    if inode.content.is_some() && there.modified_ms != inode.modified_ms {
        return Err(format!("time: {path} (node {id})"));
    }
    Ok(())
}
