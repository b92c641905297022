//! Order of publication: a file that vouches for others (`_SUCCESS`, an entry of a table's log) comes after them, whether it
//! is copied or gets its name by a rename, and a directory is renamed after what was changed in it before, also if it goes by
//! way of the trash. `docs/architecture.md#barriers`.
//!
//! Guarantee: when such a file, made at some moment, is visible at the target, then everything that was in its table's
//! directory at that moment is visible there in that version or a later one. That nothing newer is visible is not promised.

use std::collections::BTreeMap;

use livedata_model::node::{Entry, NodeId};

use crate::input::Cause;
use crate::machine::{Engine, Look};
use crate::rules::Rule;
use crate::state::{Edge, FailedEdge, Mark, Phase, State};

/// What something waits for.
#[derive(Clone, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub(crate) enum Blocker {
    /// The mark on an edge.
    Edge(Edge),
    /// The listing of a directory.
    Front(NodeId),
    /// Another operation on a node.
    Node(NodeId),
}

/// What stands between a node and its new place below itself.
pub(crate) enum Between {
    Nothing,
    WaitsFor(Blocker),
    /// Something at this path, for good.
    GivenUp(String),
}

/// Of something that waits.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Barred {
    pub by: Blocker,
    /// It is a directory that is to be renamed.
    pub moves: bool,
}

/// How many marks a directory's rename is compared with before it is taken for blocked.
const RENAME_LOOKS_AT: usize = 2_000;

impl Engine {
    /// How many directories above its own a file vouches for; `None`: for nothing.
    pub fn vouches(&self, path: &str) -> Option<usize> {
        let mut above = path.rsplit('/');
        let name = above.next()?;
        let parent = above.next().unwrap_or("");
        if path.split('/').rev().skip(1).any(|segment| segment == ".hoodie") {
            return Some(1 + path.split('/').rev().skip(1).position(|segment| segment == ".hoodie")?);
        }
        let log = parent == "_delta_log" && (name.ends_with(".json") || name == "_last_checkpoint");
        let iceberg = name.ends_with(".metadata.json") || name == "version-hint.text";
        if log || iceberg && parent == "metadata" {
            return Some(1);
        }
        let own = name == "_SUCCESS" || name.starts_with("_committed_") || iceberg;
        (own || self.policy.barriers.iter().any(|pattern| pattern.matches(path))).then_some(0)
    }

    /// Whether a staged copy may be published now. If not, its edge waits.
    pub(crate) fn may_appear<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        entry: &Entry,
        path: &str,
    ) -> Result<bool, S::Error> {
        let Some(levels) = self.vouches(path).filter(|_| self.rules.hold(Rule::Barrier)) else {
            return Ok(true);
        };
        let Some(busy) = self.busy.get(edge) else { return Ok(false) };
        let run = state.run()?;
        let mut look = Look {
            found: Some(entry.clone()),
            position: busy.position,
            cursor: busy.cursor,
            generation: busy.generation,
        };
        look.position = look.position.max(self.seen_above(state, &edge.directory)?);
        let seen = look.position;
        // Before the feed has passed the look, what it vouches for may not even be marked. Nor before it has told how the
        // directories above came to where they were seen: until then what was changed in them is marked elsewhere.
        if run.live && run.cursor < seen && self.rules.hold(Rule::BarrierFence) {
            self.coverage.fenced += 1;
            self.unlock(edge);
            self.fenced.insert(edge.clone(), look);
            return Ok(false);
        }
        let Some(mut mark) = state.mark(edge)? else { return Ok(true) };
        // It was made by then, whatever set the mark.
        mark.last = mark.last.max(seen);
        let mut table = edge.directory.clone();
        for _ in 0..levels {
            match state.node(&table)? {
                Some(node) if !node.parent.is_root() && !node.parent.is_trash() => {
                    table = node.parent.directory
                }
                _ => break,
            }
        }
        let mut within = Within::new(table);
        if self.made.insert(edge.clone(), entry.modified_ms) != Some(entry.modified_ms) {
            // Now that it is known when it was made, others may go first.
            self.wake(&Blocker::Edge(edge.clone()));
        }
        if self.rules.hold(Rule::BarrierFailed)
            && let Some(failed) = self.failed_within(state, &mut within, edge)?
        {
            let reason = format!("it vouches for '{failed}', which could not be copied; retry that first");
            self.give_up(state, edge, Cause::VouchesForFailed, &reason)?;
            return Ok(false);
        }
        match self.blocker(state, &mut within, edge, mark, entry.modified_ms)? {
            None => Ok(true),
            Some(blocker) => {
                self.coverage.barred += 1;
                self.bar(edge.clone(), blocker, false);
                Ok(false)
            }
        }
    }

    fn blocker<S: State>(
        &mut self,
        state: &mut S,
        within: &mut Within,
        edge: &Edge,
        mark: Mark,
        made_ms: i64,
    ) -> Result<Option<Blocker>, S::Error> {
        if self.rules.hold(Rule::BarrierAbove)
            && let Some(blocker) = self.blocker_above(state, edge, mark)?
        {
            return Ok(Some(blocker));
        }
        if let Some(front) = self.front_within(state, within, mark.last)? {
            return Ok(Some(Blocker::Front(front)));
        }
        let mut after = None;
        loop {
            let marks = state.marks_up_to(mark.last, after.as_ref(), 1_000)?;
            let Some((last, last_mark)) = marks.last() else { return Ok(None) };
            after = Some((last_mark.first, last.clone()));
            for (other, _) in marks {
                let held = self.held.get(&other) == Some(&false);
                if other == *edge || held || !within.contains(state, &other.directory)? {
                    continue;
                }
                // Among those that vouch, the one that was made last comes last. One that is not that far yet may be older.
                let made_there = self.made.get(&other);
                if made_there.is_some_and(|there| (*there, &other) > (made_ms, edge)) {
                    continue;
                }
                return Ok(Some(Blocker::Edge(other)));
            }
        }
    }

    /// When the directories above were last seen to be where they are. One that came back from the trash is listed again,
    /// since then: what was in it all the time may be no less missing than what changed later.
    fn seen_above<S: State>(&mut self, state: &mut S, directory: &NodeId) -> Result<u64, S::Error> {
        let (mut seen, mut at) = (0, directory.clone());
        while let Some(node) = state.node(&at)? {
            seen = seen.max(node.seen);
            at = node.parent.directory;
        }
        Ok(seen)
    }

    /// A question about a directory above is one about the table: it may be another one that is there, or the table with
    /// everything in it may be elsewhere, where the feed told about it under that name. That is so too while its removal
    /// waits for the operator.
    fn blocker_above<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        mark: Mark,
    ) -> Result<Option<Blocker>, S::Error> {
        let mut above = edge.directory.clone();
        while let Some(node) = state.node(&above)? {
            let open = state.mark(&node.parent)?.is_some_and(|other| other.first <= mark.last);
            if open && node.parent != *edge {
                return Ok(Some(Blocker::Edge(node.parent)));
            }
            if node.parent.is_root() || node.parent.is_trash() {
                break;
            }
            above = node.parent.directory;
            if state.front(&above)?.is_some_and(|front| front.first <= mark.last) {
                return Ok(Some(Blocker::Front(above)));
            }
        }
        Ok(None)
    }

    /// The path of something in there that was given up, if there is something.
    fn failed_within<S: State>(
        &mut self,
        state: &mut S,
        within: &mut Within,
        edge: &Edge,
    ) -> Result<Option<String>, S::Error> {
        if state.run()?.counters.files_failed == 0 {
            return Ok(None);
        }
        // A directory above that was given up hides what changed below it.
        let mut above = within.above.clone();
        while let Some(node) = state.node(&above)? {
            if let Some(failed) = state.failed_at(&node.parent)?.filter(is_missing)
                && state.mark(&node.parent)?.is_none()
            {
                return Ok(Some(failed.path));
            }
            if node.parent.is_root() || node.parent.is_trash() {
                break;
            }
            above = node.parent.directory;
        }
        let mut after = None;
        loop {
            let failed = state.failed(after.as_ref(), 1_000)?;
            let Some((last, _)) = failed.last() else { return Ok(None) };
            after = Some(last.clone());
            for (other, failed) in failed.into_iter().filter(|(_, failed)| is_missing(failed)) {
                // What is being tried again blocks by its mark.
                if other != *edge
                    && state.mark(&other)?.is_none()
                    && within.contains(state, &other.directory)?
                {
                    return Ok(Some(failed.path));
                }
            }
        }
    }

    /// Something that was given up has arrived: files that may have waited for it are tried again.
    pub(crate) fn retry_vouching<S: State>(&mut self, state: &mut S) -> Result<(), S::Error> {
        let cursor = state.run()?.cursor;
        for (edge, failed) in state.failed(None, 1_000)? {
            if self.vouches(&failed.path).is_some() {
                self.set_mark(state, &edge, cursor, false)?;
            }
        }
        Ok(())
    }

    /// Whether something below a directory changed up to this position and is not at the target yet, or may have. While the
    /// first scan goes on nothing is promised about several files, and nothing waits.
    pub(crate) fn may_be_changed_below<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        position: u64,
    ) -> Result<bool, S::Error> {
        if state.run()?.phase != Phase::Live || !self.rules.hold(Rule::RenameBarrier) {
            return Ok(false);
        }
        let mut within = Within::new(directory.clone());
        if self.front_within(state, &mut within, position)?.is_some() {
            return Ok(true);
        }
        let marks = state.marks_up_to(position, None, RENAME_LOOKS_AT)?;
        let enough = marks.len() < RENAME_LOOKS_AT;
        for (other, _) in marks {
            if !self.held.contains_key(&other) && within.contains(state, &other.directory)? {
                return Ok(true);
            }
        }
        Ok(!enough)
    }

    /// What the rename of a directory to this edge waits for: everything that changed below it up to this position, except
    /// what itself waits for the rename.
    pub(crate) fn changed_below<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        directory: &NodeId,
        position: u64,
    ) -> Result<Option<Blocker>, S::Error> {
        if state.run()?.phase != Phase::Live || !self.rules.hold(Rule::RenameBarrier) {
            return Ok(None);
        }
        let mut within = Within::new(directory.clone());
        if let Some(front) = self.front_within(state, &mut within, position)? {
            return Ok(Some(Blocker::Front(front)));
        }
        let mut after = None;
        loop {
            let marks = state.marks_up_to(position, after.as_ref(), 1_000)?;
            let Some((last, last_mark)) = marks.last() else { return Ok(None) };
            after = Some((last_mark.first, last.clone()));
            for (other, _) in marks {
                if other == *edge
                    || self.held.contains_key(&other)
                    || !within.contains(state, &other.directory)?
                {
                    continue;
                }
                let blocker = Blocker::Edge(other);
                if !self.waits_for(&blocker, edge) {
                    return Ok(Some(blocker));
                }
            }
        }
    }

    fn front_within<S: State>(
        &mut self,
        state: &mut S,
        within: &mut Within,
        position: u64,
    ) -> Result<Option<NodeId>, S::Error> {
        let mut after = None;
        loop {
            let fronts = state.fronts(after.as_ref(), 1_000)?;
            let Some((last, _)) = fronts.last() else { return Ok(None) };
            after = Some(last.clone());
            for (directory, front) in fronts {
                if front.first <= position && within.contains(state, &directory)? {
                    return Ok(Some(directory));
                }
            }
        }
    }

    /// What must be settled before a node can be moved below what is below it now, as the target has it. One of the names
    /// in between is another one at the source, whether that is known already or not.
    pub(crate) fn in_between<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        above: &NodeId,
    ) -> Result<Between, S::Error> {
        let mut unknown = Vec::new();
        let mut given_up = None;
        let mut in_circle = None;
        let mut at = edge.directory.clone();
        while at != *above {
            let Some(node) = state.node(&at)? else { break };
            at = node.parent.directory.clone();
            if state.mark(&node.parent)?.is_none() {
                given_up = given_up.or(state.failed_at(&node.parent)?.filter(is_missing));
                unknown.push(node.parent);
                continue;
            }
            let blocker = Blocker::Edge(node.parent);
            if !self.waits_for(&blocker, edge) {
                return Ok(Between::WaitsFor(blocker));
            }
            in_circle = in_circle.or(Some(blocker));
        }
        // What left its name waits for everything below, and this is below: whoever begins to wait breaks the circle.
        if let Some(blocker) = in_circle {
            return Ok(Between::WaitsFor(blocker));
        }
        // Looking at it again and again would change nothing.
        if let Some(failed) = given_up {
            return Ok(Between::GivenUp(failed.path));
        }
        // Likewise without a feed: nothing is removed to make way.
        if let Some(between) = unknown.first()
            && !state.run()?.live
        {
            return Ok(Between::GivenUp(crate::paths::path_of(state, between)?));
        }
        let first = state.mark(edge)?.map_or(0, |mark| mark.first);
        for between in &unknown {
            self.set_mark(state, between, first, false)?;
        }
        let waits_for = unknown.into_iter().next().map(Blocker::Edge);
        Ok(waits_for.map_or(Between::Nothing, Between::WaitsFor))
    }

    /// Whether what is waited for itself waits for this edge.
    fn waits_for(&self, blocker: &Blocker, edge: &Edge) -> bool {
        self.chain(blocker).any(|waiting| waiting == edge)
    }

    /// The edges that are waited for, one by the other.
    fn chain<'a>(&'a self, blocker: &'a Blocker) -> impl Iterator<Item = &'a Edge> {
        let edge = |blocker: &'a Blocker| match blocker {
            Blocker::Edge(edge) => Some(edge),
            Blocker::Front(_) | Blocker::Node(_) => None,
        };
        let next = move |at: &&'a Edge| self.barred.get(*at).and_then(|barred| edge(&barred.by));
        // A circle is left after one round.
        std::iter::successors(edge(blocker), next).take(self.barred.len() + 1)
    }

    pub(crate) fn bar(&mut self, edge: Edge, blocker: Blocker, moves: bool) {
        self.unlock(&edge);
        if self.waits_for(&blocker, &edge) && self.rules.hold(Rule::CirclesBreak) {
            // Everybody in this circle waits for somebody else in it. Renames go first: what vouches is missing at the new
            // place then, and nobody relies on what it would vouch for.
            let first: Vec<Edge> = self
                .chain(&blocker)
                .filter(|at| self.barred.get(*at).is_some_and(|barred| barred.moves))
                .cloned()
                .collect();
            for at in first {
                self.unbar(&at);
                self.again.push_back((at, 1));
            }
        }
        self.barred.insert(edge.clone(), Barred { by: blocker.clone(), moves });
        self.barred_by.entry(blocker).or_default().insert(edge);
    }

    pub(crate) fn unbar(&mut self, edge: &Edge) {
        if let Some(Barred { by, .. }) = self.barred.remove(edge)
            && let Some(waiting) = self.barred_by.get_mut(&by)
        {
            waiting.remove(edge);
            if waiting.is_empty() {
                self.barred_by.remove(&by);
            }
        }
    }

    /// What was waited for is over; there may be more to wait for.
    pub(crate) fn wake(&mut self, blocker: &Blocker) {
        for edge in self.barred_by.remove(blocker).unwrap_or_default() {
            self.barred.remove(&edge);
            self.again.push_back((edge, 1));
        }
    }
}

/// Which directories are at or below one, as the target has them; remembers its answers.
struct Within {
    above: NodeId,
    known: BTreeMap<NodeId, bool>,
}

impl Within {
    fn new(above: NodeId) -> Self {
        Self { known: BTreeMap::from([(above.clone(), true)]), above }
    }

    fn contains<S: State>(&mut self, state: &mut S, directory: &NodeId) -> Result<bool, S::Error> {
        let mut path = Vec::new();
        let mut at = directory.clone();
        let answer = loop {
            if let Some(known) = self.known.get(&at) {
                break *known;
            }
            path.push(at.clone());
            match state.node(&at)? {
                Some(node) if !node.parent.is_root() && !node.parent.is_trash() => at = node.parent.directory,
                _ => break at == self.above,
            }
        };
        self.known.extend(path.into_iter().map(|id| (id, answer)));
        Ok(answer)
    }
}

/// Attributes that were left out keep nobody waiting: the content is there.
fn is_missing(failed: &FailedEdge) -> bool {
    failed.cause != Cause::AttributesTooLarge
}

#[cfg(test)]
mod tests {
    use livedata_model::pattern::Pattern;

    use super::*;
    use crate::{Limits, Policy, Rules};

    #[test]
    fn who_vouches_for_what() {
        let mut policy = Policy::new("/");
        policy.barriers = ["*.done", "end-*-of-*"].map(|text| Pattern::parse(text).unwrap()).into();
        let engine = Engine::new(Limits::default(), policy, Rules::default());
        for (path, levels) in [
            ("t/_SUCCESS", Some(0)),
            ("_SUCCESS", Some(0)),
            ("t/part-0", None),
            ("t/_committed_123", Some(0)),
            ("t/_delta_log/0001.json", Some(1)),
            ("t/_delta_log/_last_checkpoint", Some(1)),
            ("t/_delta_log/0001.checkpoint.parquet", None),
            ("t/metadata/v3.metadata.json", Some(1)),
            ("t/metadata/version-hint.text", Some(1)),
            ("t/.hoodie/20240101.commit", Some(1)),
            ("t/.hoodie/metadata/files/x", Some(3)),
            ("t/a.done", Some(0)),
            ("t/a.doner", None),
            ("t/end-1-of-2", Some(0)),
        ] {
            assert_eq!(engine.vouches(path), levels, "{path}");
        }
    }
}
