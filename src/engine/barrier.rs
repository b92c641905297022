//! Order of publication: a file that vouches for others (`_SUCCESS`, an entry of a table's log) comes after them, and a
//! directory is renamed after what was changed in it before. `docs/architecture.md#barriers`.
//!
//! Guarantee: when such a file, made at some moment, is visible at the target, then everything that was in its table's
//! directory at that moment is visible there in that version or a later one. That nothing newer is visible is not promised.

use std::collections::BTreeMap;

use livedata_model::node::{Entry, NodeId};

use crate::machine::{Engine, Look};
use crate::rules::Rule;
use crate::state::{Edge, Mark, Phase, State};

/// What something waits for.
#[derive(Clone, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(crate) enum Blocker {
    /// The mark on an edge.
    Edge(Edge),
    /// The listing of a directory.
    Front(NodeId),
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
        let seen = busy.position;
        // Before the feed has passed the look, what it vouches for may not even be marked.
        if run.live && run.cursor < busy.position && self.rules.hold(Rule::BarrierFence) {
            let look = Look {
                found: Some(entry.clone()),
                position: busy.position,
                cursor: busy.cursor,
                generation: busy.generation,
            };
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
            self.give_up(state, edge, &reason)?;
            return Ok(false);
        }
        match self.blocker(state, &mut within, edge, mark, entry.modified_ms)? {
            None => Ok(true),
            Some(blocker) => {
                self.coverage.barred += 1;
                self.bar(edge.clone(), blocker);
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
        if let Some(blocker) = self.blocker_above(state, within.above.clone(), edge, mark)? {
            return Ok(Some(blocker));
        }
        let mut after = None;
        loop {
            let fronts = state.fronts(after.as_ref(), 1_000)?;
            let Some((last, _)) = fronts.last() else { break };
            after = Some(last.clone());
            for (directory, front) in fronts {
                if front.first <= mark.last && within.contains(state, &directory)? {
                    return Ok(Some(Blocker::Front(directory)));
                }
            }
        }
        let mut after = None;
        loop {
            let marks = state.marks_up_to(mark.last, after.as_ref(), 1_000)?;
            let Some((last, last_mark)) = marks.last() else { return Ok(None) };
            after = Some((last_mark.first, last.clone()));
            for (other, other_mark) in marks {
                // What was renamed to there may come from the table, with what changed in it.
                let unknown = other_mark.deep && state.child(&other)?.is_none();
                let outside = !unknown && !within.contains(state, &other.directory)?;
                if other == *edge || self.held.get(&other) == Some(&false) || outside {
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

    /// What is to be looked at again from further up reaches the table on its way down.
    fn blocker_above<S: State>(
        &mut self,
        state: &mut S,
        mut above: NodeId,
        edge: &Edge,
        mark: Mark,
    ) -> Result<Option<Blocker>, S::Error> {
        while let Some(node) = state.node(&above)? {
            let deep = state.mark(&node.parent)?.is_some_and(|other| other.deep && other.first <= mark.last);
            if deep && node.parent != *edge {
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
            if let Some(failed) = state.failed_at(&node.parent)?
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
            for (other, failed) in failed {
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

    /// Something below a directory that changed up to this position and is not at the target yet. While the first scan
    /// goes on nothing is promised about several files, and nothing waits.
    pub(crate) fn changed_below<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        position: u64,
    ) -> Result<Option<Blocker>, S::Error> {
        if state.run()?.phase != Phase::Live || !self.rules.hold(Rule::RenameBarrier) {
            return Ok(None);
        }
        let mut within = Within::new(directory.clone());
        for (edge, _) in state.marks_up_to(position, None, RENAME_LOOKS_AT)? {
            if !self.held.contains_key(&edge) && within.contains(state, &edge.directory)? {
                return Ok(Some(Blocker::Edge(edge)));
            }
        }
        Ok(None)
    }

    pub(crate) fn bar(&mut self, edge: Edge, blocker: Blocker) {
        self.unlock(&edge);
        self.barred.insert(edge.clone(), blocker.clone());
        self.barred_by.entry(blocker).or_default().insert(edge);
    }

    pub(crate) fn unbar(&mut self, edge: &Edge) {
        if let Some(blocker) = self.barred.remove(edge)
            && let Some(waiting) = self.barred_by.get_mut(&blocker)
        {
            waiting.remove(edge);
            if waiting.is_empty() {
                self.barred_by.remove(&blocker);
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
