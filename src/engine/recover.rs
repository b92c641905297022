//! After a crash (or a stop, which is one on purpose): goes on from what the state says.
//!
//! Marks and frontier are still there, so every unfinished edge is looked at again. A copy whose record says *staged* may
//! or may not have been published: the look-up leads back to its publication, and the worker compares etags (they survive
//! a rename) before it renames. A move that may have happened is issued again; the worker resolves it in the same way.

use crate::effect::Effect;
use crate::machine::{Engine, path_of};
use crate::state::{Phase, State};

impl Engine {
    /// First call on a state that an earlier engine may have used. A run that is under way goes on, and with that answers
    /// the operator's `start`; otherwise nothing happens, and [`crate::Input::Start`] begins a new one.
    pub fn recover<S: State>(&mut self, state: &mut S, start: u64) -> Result<Vec<Effect>, S::Error> {
        let mut effects = Vec::new();
        let mut run = state.run()?;
        if run.phase != Phase::Running {
            self.leftover = None;
            return Ok(effects);
        }
        run.start = run.start.max(start);
        state.put_run(&run)?;
        // A copy without a mark belongs to nobody: its edge was settled in the same transaction that should have removed it.
        for (edge, copy) in state.all_in_flight()? {
            if state.mark(&edge)?.is_none() {
                state.remove_in_flight(&edge)?;
                effects.push(Effect::Discard { staging: copy.staging });
            }
        }
        if let Some((id, edge)) = state.move_intent()? {
            if let (Some(node), Some(mark)) = (state.node(&id)?, state.mark(&edge)?) {
                let from = path_of(state, &node.parent)?;
                let to = path_of(state, &edge)?;
                self.lock(&edge, mark, 1);
                self.moving = Some(1);
                effects.push(Effect::Move { from, to, etag: node.kind.etag() });
                return Ok(effects);
            }
            state.put_move_intent(None)?;
        }
        self.pump(state, &mut effects)?;
        Ok(effects)
    }
}
