//! R4: a file on its way into the staging area.

use livedata_model::node::{Entry, EntryKind};

use crate::effect::Effect;
use crate::input::{Failure, FailureKind};
use crate::machine::{Engine, MAX_ATTEMPTS};
use crate::state::{Checkpoint, Edge, InFlight, Staged, State};

impl Engine {
    /// Goes on with a copy of the same version that an earlier process began, or begins one.
    pub(crate) fn begin_copy<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let EntryKind::File { version, length_bytes, .. } = &entry.kind else { return Ok(()) };
        if let Some(copy) = state.in_flight(&edge)? {
            if copy.node == entry.id && copy.version == *version && copy.length_bytes == *length_bytes {
                if let Some(staged) = copy.staged {
                    return self.begin_publish(state, edge, entry, copy.staging, staged, effects);
                }
                effects.push(Effect::Copy {
                    edge,
                    entry,
                    staging: copy.staging,
                    checkpoints: copy.checkpoints,
                });
                return Ok(());
            }
            self.discard(state, &edge, effects)?;
        }
        let mut run = state.run()?;
        run.generation += 1;
        state.put_run(&run)?;
        // Generations are never used twice, so neither is the name.
        let staging = format!("{}-{}", entry.id.to_hex(), run.generation);
        let copy = InFlight {
            node: entry.id.clone(),
            version: version.clone(),
            length_bytes: *length_bytes,
            staging: staging.clone(),
            checkpoints: Vec::new(),
            staged: None,
        };
        state.put_in_flight(&edge, &copy)?;
        effects.push(Effect::Copy { edge, entry, staging, checkpoints: Vec::new() });
        Ok(())
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
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        if let Some(mut copy) = state.in_flight(&edge)? {
            copy.checkpoints.push(Checkpoint { offset, crc32c });
            let surplus = copy.checkpoints.len().saturating_sub(2);
            copy.checkpoints.drain(..surplus);
            state.put_in_flight(&edge, &copy)?;
            effects.push(Effect::Flush { edge, offset });
        }
        Ok(())
    }

    pub(crate) fn flushed(&mut self, edge: &Edge, offset: u64) {
        if let Some(busy) = self.busy.get_mut(edge) {
            busy.flushed = offset;
        }
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
        match outcome {
            Ok(staged) => {
                let Some(mut copy) = state.in_flight(&edge)? else { return self.settle(state, &edge) };
                busy.flushed = copy.length_bytes;
                copy.staged = Some(staged.clone());
                let staging = copy.staging.clone();
                state.put_in_flight(&edge, &copy)?;
                self.begin_publish(state, edge, entry, staging, staged, effects)
            }
            Err(Failure { kind: FailureKind::Stale, .. }) => {
                self.discard(state, &edge, effects)?;
                // Look before deciding: it may be gone, replaced, or just longer now.
                if let Some(busy) = self.busy.get_mut(&edge) {
                    busy.attempt += 1;
                    if busy.attempt > MAX_ATTEMPTS {
                        return self.try_again(state, edge, Some(entry), effects);
                    }
                }
                effects.push(Effect::LookUp { edge });
                Ok(())
            }
            Err(failure) => {
                self.discard(state, &edge, effects)?;
                self.give_up(state, &edge, &failure.reason)
            }
        }
    }

    /// Forgets a copy and has its staging file removed.
    pub(crate) fn discard<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if let Some(copy) = state.in_flight(edge)? {
            state.remove_in_flight(edge)?;
            effects.push(Effect::Discard { staging: copy.staging });
        }
        if let Some(busy) = self.busy.get_mut(edge) {
            busy.flushed = 0;
        }
        Ok(())
    }
}
