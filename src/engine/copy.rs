//! R4: a file on its way into the staging area. The copy belongs to the node: a rename on the way does not disturb it.

use livedata_model::node::{Entry, EntryKind, NodeId};

use crate::effect::Effect;
use crate::input::{Failure, FailureKind};
use crate::machine::Engine;
use crate::rules::Rule;
use crate::state::{Checkpoint, Edge, InFlight, Staged, State};

impl Engine {
    pub(crate) fn has_copy_place(&self) -> bool {
        self.copying < self.limits.copies
    }

    /// Goes on with a copy of the same version that was begun before, or begins one. The node is locked.
    pub(crate) fn begin_copy<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let EntryKind::File { version, length_bytes, .. } = &entry.kind else { return Ok(()) };
        let known = state.in_flight(&entry.id)?;
        if let Some(mut copy) = known {
            let same = copy.version == *version && copy.length_bytes == *length_bytes;
            if same || !self.rules.hold(Rule::InFlightVersion) {
                self.coverage.resumed += 1;
                if let Some(busy) = self.busy.get_mut(&edge) {
                    busy.resumed = true;
                }
                copy.edge = edge.clone();
                state.put_in_flight(&entry.id, &copy)?;
                if copy.staged.is_some() {
                    return self.begin_publish(state, edge, entry, effects);
                }
                if !self.take_copy_place(&edge) {
                    self.to_copy.push_back((edge, entry));
                    return Ok(());
                }
                let InFlight { staging, checkpoints, .. } = copy;
                effects.push(Effect::Copy { edge, entry, staging, checkpoints });
                return Ok(());
            }
        }
        self.discard_node(state, &entry.id, effects)?;
        if !self.take_copy_place(&edge) {
            self.to_copy.push_back((edge, entry));
            return Ok(());
        }
        let mut run = state.run()?;
        run.generation += 1;
        state.put_run(&run)?;
        // Generations are never used twice, so neither is the name.
        let staging = format!("{}-{}", entry.id.to_hex(), run.generation);
        let copy = InFlight {
            edge: edge.clone(),
            version: version.clone(),
            length_bytes: *length_bytes,
            staging: staging.clone(),
            checkpoints: Vec::new(),
            staged: None,
        };
        state.put_in_flight(&entry.id, &copy)?;
        effects.push(Effect::Copy { edge, entry, staging, checkpoints: Vec::new() });
        Ok(())
    }

    fn take_copy_place(&mut self, edge: &Edge) -> bool {
        let free = self.has_copy_place();
        if let Some(busy) = self.busy.get_mut(edge) {
            self.copying = self.copying + usize::from(free) - usize::from(busy.copying);
            busy.copying = free;
        }
        free
    }

    /// Announces a flush position. The last two are kept: after a crash the target's flushed length is one of them.
    pub(crate) fn flushing<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        offset: u64,
        crc32c: u32,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(node) = self.copied_node(&edge) else { return Ok(()) };
        if let Some(mut copy) = state.in_flight(&node)? {
            copy.checkpoints.push(Checkpoint { offset, crc32c });
            let surplus = copy.checkpoints.len().saturating_sub(2);
            copy.checkpoints.drain(..surplus);
            state.put_in_flight(&node, &copy)?;
            effects.push(Effect::Flush { edge, offset });
        }
        Ok(())
    }

    fn copied_node(&self, edge: &Edge) -> Option<NodeId> {
        self.busy.get(edge)?.nodes.first().cloned()
    }

    pub(crate) fn copied<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: Result<Staged, Failure>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(busy) = self.busy.get_mut(&edge) else { return Ok(()) };
        self.copying -= usize::from(std::mem::take(&mut busy.copying));
        match outcome {
            Ok(staged) => {
                let Some(mut copy) = state.in_flight(&entry.id)? else {
                    self.later(edge);
                    return Ok(());
                };
                copy.staged = Some(staged);
                state.put_in_flight(&entry.id, &copy)?;
                self.has_flushed(&edge, copy.length_bytes);
                self.begin_publish(state, edge, entry, effects)
            }
            // Look before deciding: it may be gone, replaced, or just longer now.
            Err(Failure { kind: FailureKind::Stale, .. }) => {
                self.discard_node(state, &entry.id, effects)?;
                self.try_again(state, edge, effects)
            }
            Err(failure) => {
                self.discard_node(state, &entry.id, effects)?;
                self.give_up(state, &edge, failure.cause(), &failure.reason)
            }
        }
    }

    /// Forgets the copy of a node and has its staging file removed.
    pub(crate) fn discard_node<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        // Somebody may be writing it under the node's other name.
        let holder = self.node_locks.get(id).and_then(|edge| self.busy.get(edge));
        if let Some(copy) = state.in_flight(id)?
            && !holder.is_some_and(|busy| busy.copying)
        {
            state.remove_in_flight(id)?;
            state.put_garbage(&copy.staging)?;
            effects.push(Effect::Discard { staging: copy.staging });
        }
        Ok(())
    }

    pub(crate) fn discard_of_edge<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        match self.copied_node(edge) {
            Some(node) => self.discard_node(state, &node, effects),
            None => Ok(()),
        }
    }

    /// Copies that nobody works on and nothing asks for any more.
    pub(crate) fn drop_orphans<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        for (id, copy) in state.all_in_flight()? {
            if !self.node_locks.contains_key(&id) && state.mark(&copy.edge)?.is_none() {
                state.remove_in_flight(&id)?;
                state.put_garbage(&copy.staging)?;
                effects.push(Effect::Discard { staging: copy.staging });
            }
        }
        Ok(())
    }
}
