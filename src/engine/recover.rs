//! 2.6: after a crash (or a stop, which is one on purpose): goes on from what the state says.
//!
//! Marks and frontier are still there, so every unfinished edge is looked at again. What the last process may have done at
//! the target without hearing of it is asked for first: a staged copy that may stand at its place already (its etag
//! survives the rename), a directory that may have been made (its properties name the node). A move that may have happened
//! is issued again; the worker finds out in the same way.

use livedata_model::node::NodeId;

use crate::claims::Claim;
use crate::effect::{Effect, Place};
use crate::input::There;
use crate::machine::Engine;
use crate::moves::{Mover, recovery_edge};
use crate::paths::{Located, locate};
use crate::rules::Rule;
use crate::state::{Edge, Intent, Node, NodeKind, State, UNKNOWN};

impl Engine {
    /// First call on a state that an earlier engine may have used. A run that is under way goes on, and with that answers
    /// the operator's `start`; otherwise nothing happens, and [`crate::Input::Start`] begins a new one.
    pub fn recover<S: State>(&mut self, state: &mut S, start: u64) -> Result<Vec<Effect>, S::Error> {
        let mut effects = Vec::new();
        let mut run = state.run()?;
        effects.extend(state.all_garbage()?.into_iter().map(|staging| Effect::Discard { staging }));
        if run.phase.is_active() {
            run.start = run.start.max(start);
            state.put_run(&run)?;
            self.find_out(state, &mut effects)?;
            self.pump(state, &mut effects)?;
        }
        Ok(effects)
    }

    /// What was under way when an earlier process, or an earlier run, ended.
    pub(crate) fn find_out<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        for (id, copy) in state.all_in_flight()? {
            let probed = copy.staged.is_some() && self.rules.hold(Rule::PublicationProbe);
            if let (true, Located::Tree(path)) = (probed, locate(state, &copy.edge)?) {
                self.probing.insert(id.clone());
                effects.push(Effect::Probe { node: id, path });
            }
        }
        for (id, intent) in state.all_intents()? {
            match intent {
                Intent::Make { at } => match locate(state, &at)? {
                    Located::Tree(path) if self.rules.hold(Rule::MakeIntent) => {
                        self.probing.insert(id.clone());
                        effects.push(Effect::Probe { node: id, path });
                    }
                    _ => state.remove_intent(&id)?,
                },
                Intent::Move { to } => self.finish_move(state, id, &to, effects)?,
            }
        }
        Ok(())
    }

    fn finish_move<S: State>(
        &mut self,
        state: &mut S,
        id: NodeId,
        to: &Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(node) = state.node(&id)?.filter(|_| self.rules.hold(Rule::MoveIntent)) else {
            return state.remove_intent(&id);
        };
        let (Some(from), Some(destination)) =
            (locate(state, &node.parent)?.place(), locate(state, to)?.place())
        else {
            return state.remove_intent(&id);
        };
        self.coverage.moves_finished += 1;
        let by = recovery_edge(&id);
        self.claims.take(&by, vec![Claim::subtree(&from), Claim::subtree(&destination)]);
        self.node_locks.insert(id.clone(), by);
        self.moves.insert(id.clone(), Mover::Recovery);
        self.arriving.insert(to.clone(), id.clone());
        let is_tree = matches!(destination, Place::Tree(_));
        let replaces = state.child(to)?.filter(|other| is_tree && *other != id);
        let expected = self.expected(state, to)?;
        effects.push(Effect::Move {
            node: id,
            from,
            to: destination,
            etag: node.kind.etag(),
            expected,
            replaces,
        });
        Ok(())
    }

    pub(crate) fn probed<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        there: Option<There>,
    ) -> Result<(), S::Error> {
        if !self.probing.remove(id) {
            return Ok(());
        }
        let run = state.run()?;
        if let Some(Intent::Make { at }) = state.intent(id)? {
            state.remove_intent(id)?;
            let made =
                there.as_ref().is_some_and(|there| there.is_directory && there.node.as_ref() == Some(id));
            if made && state.node(id)?.is_none() && state.child(&at)?.is_none() {
                self.coverage.found_again += 1;
                let first = state.mark(&at)?.map_or(run.cursor, |mark| mark.first);
                let node = Node {
                    parent: at,
                    kind: NodeKind::Directory,
                    // Not known: whoever looks sets them.
                    attributes: UNKNOWN,
                    modified_ms: 0,
                    run: 0,
                    seen: run.cursor,
                };
                state.put_node(id, &node)?;
                self.scan_directory(state, id, first)?;
            }
            return Ok(());
        }
        let Some(copy) = state.in_flight(id)? else { return Ok(()) };
        let published =
            copy.staged.as_ref().map(|staged| &staged.etag) == there.as_ref().map(|there| &there.etag);
        if published {
            self.coverage.found_again += 1;
            let edge = copy.edge.clone();
            self.place(state, id, copy, &edge)?;
        }
        Ok(())
    }
}
