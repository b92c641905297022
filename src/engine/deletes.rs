//! R9, and what becomes of the trash.

use livedata_model::node::NodeId;

use crate::claims::Claim;
use crate::effect::{Effect, Place};
use crate::input::Failure;
use crate::machine::Engine;
use crate::moves::{Mover, recovery_edge};
use crate::policy::PERCENT_FLOOR;
use crate::rules::Rule;
use crate::state::{Edge, State};

impl Engine {
    /// Whether a removal stays within the limit. If not, its edge waits for the operator.
    pub(crate) fn may_delete<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        id: &NodeId,
        replaced: bool,
    ) -> Result<bool, S::Error> {
        let mut run = state.run()?;
        let Some(busy) = self.busy.get(edge) else { return Ok(false) };
        let mut counted = busy.counted;
        if busy.generation <= run.deletes.approved || !self.rules.hold(Rule::MassDeletes) {
            return Ok(true);
        }
        let limit = self.policy.mass_delete_limit;
        // More may have been put there while it waited for its turn.
        let objects = state.count_subtree(id, limit.count.saturating_add(1))?;
        if objects <= counted {
            return Ok(true);
        }
        let window_ms = i64::try_from(limit.window_seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
        if self.now_ms.saturating_sub(run.deletes.window_began_ms) >= window_ms {
            run.deletes.window_began_ms = self.now_ms;
            run.deletes.in_window = 0;
            counted = 0;
        }
        let more = run.deletes.in_window + objects - counted;
        let large = |objects: u64| more > PERCENT_FLOOR && more * 100 > u64::from(limit.percent) * objects;
        // Counting takes time with the size of the tree; what was counted last is good enough to stay below.
        if large(run.deletes.objects) {
            run.deletes.objects = state.count_nodes()? + run.deletes.in_window;
        }
        let large_part = large(run.deletes.objects);
        if more > limit.count || large_part {
            state.put_run(&run)?;
            self.coverage.held += 1;
            self.unlock(edge);
            self.held.insert(edge.clone(), replaced);
            return Ok(false);
        }
        if let Some(busy) = self.busy.get_mut(edge) {
            busy.counted = objects;
        }
        run.deletes.in_window = more;
        state.put_run(&run)?;
        Ok(true)
    }

    pub(crate) fn approve_deletes<S: State>(&mut self, state: &mut S) -> Result<(), S::Error> {
        let mut run = state.run()?;
        run.deletes.approved = run.generation;
        state.put_run(&run)?;
        for (edge, _) in std::mem::take(&mut self.held) {
            self.again.push_back((edge, 1));
        }
        Ok(())
    }

    pub(crate) fn tick<S: State>(
        &mut self,
        state: &mut S,
        now_ms: i64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        self.now_ms = now_ms;
        if self.purging.is_some() || !self.probing.is_empty() || !state.run()?.phase.is_active() {
            return Ok(());
        }
        let Some((name, id)) = state.children(&Edge::trash_directory(), None, 1)?.pop() else {
            return Ok(());
        };
        let Some((trashed_ms, _)) = trashed(&name) else { return Ok(()) };
        if now_ms.saturating_sub(trashed_ms) < self.policy.trash_retention_ms {
            return Ok(());
        }
        let cursor = state.run()?.cursor;
        let since = match &self.due {
            Some((due, since)) if *due == id => *since,
            _ => cursor,
        };
        self.due = Some((id.clone(), since));
        // Whatever happened until its time was over must be settled: something of it may still be asked for. (A path that
        // cannot be read for that long loses its claim: it is copied anew.)
        let overdue_ms = now_ms.saturating_sub(trashed_ms).saturating_sub(self.policy.trash_retention_ms);
        if self.rules.hold(Rule::PurgeWatermark) && !self.is_settled(state, since, overdue_ms)? {
            return Ok(());
        }
        if self.moves.contains_key(&id) || self.node_locks.contains_key(&id) {
            return Ok(());
        }
        let at = Place::Trash(name);
        if !self.claims.take(&recovery_edge(&id), vec![Claim::subtree(&at)]) {
            self.claims.release(&recovery_edge(&id));
            return Ok(());
        }
        self.purging = Some(id.clone());
        effects.push(Effect::Purge { node: id, at });
        Ok(())
    }

    /// Whether nothing that happened so far can still ask for something in the trash: up to `since`, and also up to the latest
    /// look, for what moves on before it is looked at under its new name is missed there. On a source that never rests the
    /// latter is not waited for for ever.
    fn is_settled<S: State>(&mut self, state: &mut S, since: u64, overdue_ms: i64) -> Result<bool, S::Error> {
        let Some(watermark) = self.watermark(state)?.filter(|watermark| *watermark >= since) else {
            return Ok(false);
        };
        if overdue_ms >= SETTLE_MS {
            return Ok(true);
        }
        if self.seen.is_none() && state.mark(&Edge::root())?.is_none() {
            // What an earlier process has looked at nobody knows; any look comes after that.
            self.set_mark(state, &Edge::root(), watermark + 1, false)?;
        }
        Ok(self.seen.is_some_and(|seen| watermark >= seen))
    }

    pub(crate) fn purged<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        outcome: Result<(), Failure>,
    ) -> Result<(), S::Error> {
        // Without the rule of the trash a removal comes here too.
        if let Some(Mover::Edge(edge, _)) = self.moves.remove(id) {
            state.remove_subtree(id)?;
            self.later(edge);
            return Ok(());
        }
        if self.purging.as_ref() != Some(id) {
            return Ok(());
        }
        self.purging = None;
        self.claims.release(&recovery_edge(id));
        // What could not be purged is tried again at the next tick.
        if outcome.is_ok() {
            self.coverage.purged += 1;
            state.remove_subtree(id)?;
        }
        Ok(())
    }
}

/// How long a purge waits for the source to rest.
const SETTLE_MS: i64 = 3_600_000;

/// When something was removed, milliseconds since 1970, and the generation that makes its name in the trash its own.
pub(crate) fn trashed(name: &str) -> Option<(i64, u64)> {
    let (time, generation) = name.split_once('-')?;
    Some((time.parse().ok()?, generation.parse().ok()?))
}
