//! Renames at the target: of what is found under another name, of what is removed (into the trash), of what is in the way.

use livedata_model::node::{ContentVersion, NodeId};
use livedata_model::spec::DriftPolicy;

use crate::barrier::Blocker;
use crate::claims::Claim;
use crate::effect::{Effect, Expected, Place};
use crate::ingest::feed_edge;
use crate::input::{Cause, Failure, MoveOutcome, There};
use crate::machine::{Engine, Look, Waiting};
use crate::paths::{Located, is_within, locate};
use crate::rules::Rule;
use crate::state::{Edge, FailedEdge, Intent, Node, NodeKind, Phase, State, UNKNOWN, is_made_up, made_up};

pub(crate) const CHANGED: &str = "it was changed at the target by somebody else";

/// On whose account a move is made.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Mover {
    /// A rename at the source, by its paths there.
    Feed { from: String, to: String },
    /// An earlier process.
    Recovery,
    /// The operation of an edge, and what it saw.
    Edge(Edge, Box<Look>),
}

impl Engine {
    /// Moves what the target has of a node to this edge, in the place of `replaces` if that is given.
    pub(crate) fn begin_move<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        id: NodeId,
        replaces: Option<NodeId>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        for node in std::iter::once(&id).chain(replaces.as_ref()) {
            if self.moves.contains_key(node) || !self.lock_node(&edge, node) {
                return self.node_is_taken(edge, node);
            }
        }
        let Some(node) = state.node(&id)? else {
            self.later(edge);
            return Ok(());
        };
        let (Some(from), Located::Tree(to)) = (locate(state, &node.parent)?.place(), locate(state, &edge)?)
        else {
            // Its old place is unknown: it cannot be found there. It is made anew.
            state.remove_subtree(&id)?;
            self.later(edge);
            return Ok(());
        };
        let to = Place::Tree(to);
        if !self.claim(&edge, vec![Claim::subtree(&from), Claim::subtree(&to)]) {
            return self.wait(edge, Waiting::Reconcile(look));
        }
        self.coverage.late_moves += 1;
        self.coverage.salvaged += u64::from(matches!(from, Place::Trash(_)));
        let expected = self.expected(state, &edge)?;
        self.issue_move(state, &id, &node, (from, to), &edge, (expected, replaces), effects)?;
        self.moves.insert(id, Mover::Edge(edge, Box::new(look)));
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "one move; each part is named at its only caller's side")]
    fn issue_move<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        node: &Node,
        (from, to): (Place, Place),
        to_edge: &Edge,
        (expected, replaces): (Expected, Option<NodeId>),
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        state.put_intent(id, &Intent::Move { to: to_edge.clone() })?;
        // Without a feed what is replaced is replaced, by a copy as by a move.
        let live = state.run()?.live;
        let replaces =
            replaces.filter(|other| live && !is_made_up(other) && self.rules.hold(Rule::AliveCheck));
        effects.push(Effect::Move { node: id.clone(), from, to, etag: node.kind.etag(), expected, replaces });
        Ok(())
    }

    /// Moves what the target has at this edge to the trash.
    pub(crate) fn remove<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        id: NodeId,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.moves.contains_key(&id) || !self.lock_node(&edge, &id) {
            return self.node_is_taken(edge, &id);
        }
        let (Some(node), Located::Tree(path)) = (state.node(&id)?, locate(state, &edge)?) else {
            self.later(edge);
            return Ok(());
        };
        let from = Place::Tree(path);
        if !self.claim(&edge, vec![Claim::subtree(&from)]) {
            return self.wait(edge, Waiting::Reconcile(look));
        }
        if self.rules.hold(Rule::Trash) {
            let name = self.trash_name(state)?;
            let (trash, to) = (Edge::trash(name.clone()), Place::Trash(name));
            self.issue_move(state, &id, &node, (from, to), &trash, (Expected::Absent, None), effects)?;
        } else {
            effects.push(Effect::Purge { node: id.clone(), at: from });
        }
        self.moves.insert(id, Mover::Edge(edge, Box::new(look)));
        Ok(())
    }

    /// Ordered by time, never used twice.
    fn trash_name<S: State>(&mut self, state: &mut S) -> Result<String, S::Error> {
        let mut run = state.run()?;
        run.generation += 1;
        state.put_run(&run)?;
        let time = u64::try_from(self.now_ms).unwrap_or(0);
        Ok(format!("{time:013}-{}", run.generation))
    }

    pub(crate) fn moved<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        outcome: MoveOutcome,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let (Some(mover), Some(Intent::Move { to })) = (self.moves.remove(id), state.intent(id)?) else {
            return Ok(());
        };
        state.remove_intent(id)?;
        self.arriving.remove(&to);
        match &mover {
            Mover::Feed { .. } => self.claims.release(&feed_edge(id)),
            Mover::Recovery => {
                self.claims.release(&recovery_edge(id));
                self.node_locks.remove(id);
            }
            Mover::Edge(edge, _) => self.claims.release(edge),
        }
        self.wake(&Blocker::Node(id.clone()));
        match outcome {
            MoveOutcome::Done => self.relink(state, id, to, mover, effects),
            MoveOutcome::Gone => {
                // What we held is not there any more: it is made anew.
                self.coverage.drifted += 1;
                state.remove_subtree(id)?;
                self.look_again(mover);
                Ok(())
            }
            MoveOutcome::Differs(there) => match mover {
                Mover::Edge(edge, _) => self.adopt(state, &edge, id, there),
                Mover::Feed { .. } | Mover::Recovery => Ok(()),
            },
            MoveOutcome::Occupied(there) => match mover {
                Mover::Edge(edge, _) => self.occupied(state, edge, to, there, effects),
                Mover::Feed { .. } | Mover::Recovery => Ok(()),
            },
            MoveOutcome::Lives => {
                self.coverage.alive += 1;
                match (mover, state.child(&to)?) {
                    (Mover::Edge(edge, look), Some(other)) => self.remove(state, edge, other, *look, effects),
                    (mover, _) => {
                        self.look_again(mover);
                        Ok(())
                    }
                }
            }
            MoveOutcome::NoParent => match mover {
                Mover::Edge(edge, _) if to == edge => self.parent_is_gone(state, edge),
                mover => {
                    self.look_again(mover);
                    Ok(())
                }
            },
            MoveOutcome::Failed(failure) => match mover {
                Mover::Edge(edge, _) if failure.is_final() => {
                    self.give_up(state, &edge, failure.cause(), &failure.reason)
                }
                mover => {
                    self.look_again(mover);
                    Ok(())
                }
            },
        }
    }

    fn look_again(&mut self, mover: Mover) {
        if let Mover::Edge(edge, _) = mover {
            self.later(edge);
        }
    }

    /// The target has it there now.
    fn relink<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        to: Edge,
        mover: Mover,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(mut node) = state.node(id)? else {
            self.look_again(mover);
            return Ok(());
        };
        if let Some(replaced) = state.child(&to)?.filter(|other| other != id) {
            state.remove_subtree(&replaced)?;
        }
        let is_directory = node.kind == NodeKind::Directory;
        let to_trash = to.is_trash();
        let from = std::mem::replace(&mut node.parent, to.clone());
        if let Mover::Edge(_, look) = &mover {
            node.seen = node.seen.max(look.position);
        }
        state.put_node(id, &node)?;
        // What the name that it had is now was told together with its new name, or the look was wrong.
        if let Mover::Edge(_, look) = &mover
            && !to_trash
            && !from.is_trash()
            && state.mark(&from)?.is_none()
        {
            self.set_mark(state, &from, look.position, false)?;
        }
        self.coverage.trashed += u64::from(to_trash);
        if to_trash && is_directory {
            self.forget_parked(state, id)?;
        }
        // Names below may have been looked up on either side of the rename.
        let late = !matches!(mover, Mover::Feed { .. }) && !to_trash;
        if late && is_directory && self.rules.hold(Rule::LateMoveRescan) {
            let cursor = state.run()?.cursor;
            let first = state.mark(&to)?.map_or(cursor, |mark| mark.first);
            // A position may be told a little too low: it was seen there because of what happened at `first`.
            node.seen = node.seen.max(first);
            state.put_node(id, &node)?;
            self.scan_directory(state, id, first)?;
        }
        // Nothing is left there to be removed.
        if self.held.remove(&from).is_some() {
            self.again.push_back((from.clone(), 1));
        }
        if is_directory
            && matches!(mover, Mover::Feed { .. })
            && let Some(first) = self.deep_since(state, &from)?
            && self.rules.hold(Rule::DeepFollowsRename)
        {
            self.scan_directory(state, id, first)?;
        }
        match mover {
            // Content and attributes, or what comes in its place, are decided by the same look.
            Mover::Edge(edge, look) => self.reconcile(state, edge, *look, effects),
            Mover::Feed { .. } | Mover::Recovery => Ok(()),
        }
    }

    /// Since when what is at and below this edge may differ from the source, if it was to be looked at with everything below,
    /// or if something above was. That is a matter of the directory that was there, not of the name.
    pub(crate) fn deep_since<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
    ) -> Result<Option<u64>, S::Error> {
        let mut since = None;
        let mut add = |first: Option<u64>| since = since.into_iter().chain(first).min();
        let mut at = edge.clone();
        loop {
            add(state.mark(&at)?.filter(|mark| mark.deep).map(|mark| mark.first));
            add(state.failed_at(&at)?.filter(|failed| failed.deep).map(|failed| failed.first));
            add(state.front(&at.directory)?.map(|front| front.first));
            match state.node(&at.directory)? {
                Some(above) => at = above.parent,
                None => return Ok(since),
            }
        }
    }

    /// Names below what was removed wait for nothing any more.
    fn forget_parked<S: State>(&mut self, state: &mut S, removed: &NodeId) -> Result<(), S::Error> {
        let parked: Vec<Edge> = self.barred.keys().chain(self.held.keys()).cloned().collect();
        for edge in parked {
            if is_within(state, &edge.directory, removed)? {
                self.unbar(&edge);
                self.held.remove(&edge);
                self.again.push_back((edge, 1));
            }
        }
        Ok(())
    }

    /// Something that we did not expect is at a destination.
    pub(crate) fn occupied<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        to: Edge,
        there: There,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        match state.child(&to)? {
            Some(held) if !to.is_trash() => self.adopt(state, &edge, &held, there),
            _ if there.is_nothing() => {
                self.later(edge);
                Ok(())
            }
            _ => self.clear_the_way(state, edge, effects),
        }
    }

    /// The target has something else of a node than we believed: what is there counts from now on.
    pub(crate) fn adopt<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        id: &NodeId,
        there: There,
    ) -> Result<(), S::Error> {
        let Some(mut node) = state.node(id)? else {
            self.later(edge.clone());
            return Ok(());
        };
        if there.is_nothing() {
            state.remove_subtree(id)?;
            // The operator knows that something else was there, and took it away.
            if state.failed_at(edge)?.is_some() {
                self.later(edge.clone());
                return Ok(());
            }
            return self.drifted(state, edge, "it vanished at the target");
        }
        let ours = match &mut node.kind {
            NodeKind::File { etag, version, length_bytes, .. } if !there.is_directory => {
                let ours = there.node.as_ref() == Some(id) && there.length_bytes == *length_bytes;
                // Theirs stays: it never becomes the condition of a change of ours.
                if !ours && self.policy.drift != DriftPolicy::Overwrite {
                    return self.drifted(state, edge, CHANGED);
                }
                *etag = there.etag;
                if !ours || there.version.as_ref() != Some(version) {
                    *version = ContentVersion::from_bytes([]);
                }
                // An attribute may have been set without our hearing of it.
                node.attributes = UNKNOWN;
                state.put_node(id, &node)?;
                ours
            }
            NodeKind::Directory if there.is_directory => true,
            _ => {
                state.remove_subtree(id)?;
                false
            }
        };
        if ours {
            self.later(edge.clone());
            return Ok(());
        }
        self.drifted(state, edge, CHANGED)
    }

    /// Somebody else removed the directory above: it is made anew, with everything in it.
    pub(crate) fn parent_is_gone<S: State>(&mut self, state: &mut S, edge: Edge) -> Result<(), S::Error> {
        let Some(parent) = state.node(&edge.directory)? else { return self.forget(state, &edge) };
        let first = state.mark(&edge)?.map_or(0, |mark| mark.first);
        state.remove_subtree(&edge.directory)?;
        self.set_mark(state, &parent.parent, first, true)?;
        self.note_drift(state, &parent.parent)?;
        self.abandon(state, &edge)
    }

    /// Counts a change of somebody else's.
    pub(crate) fn note_drift<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        self.coverage.drifted += 1;
        let mut run = state.run()?;
        run.counters.drifted += 1;
        state.put_run(&run)?;
        let path = crate::paths::path_of(state, edge)?;
        state.note_drift(&path)
    }

    /// R8: somebody else changed the target.
    pub(crate) fn drifted<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        what: &str,
    ) -> Result<(), S::Error> {
        self.note_drift(state, edge)?;
        match self.policy.drift {
            DriftPolicy::Overwrite => {
                self.later(edge.clone());
                Ok(())
            }
            DriftPolicy::Keep => {
                self.give_up(state, edge, Cause::Drifted, &format!("{what}, and driftPolicy is Keep"))
            }
            DriftPolicy::Halt => {
                let path = crate::paths::path_of(state, edge)?;
                let reason = format!("{what}, and driftPolicy is Halt");
                state.put_failed(
                    &Edge::root(),
                    &FailedEdge { path, cause: Cause::Drifted, reason, first: 0, deep: true },
                )?;
                let mut run = state.run()?;
                run.phase = Phase::Failed;
                state.put_run(&run)?;
                self.finished = true;
                Ok(())
            }
        }
    }

    /// Whatever is at this edge and not ours goes to the trash. The edge is looked at again afterwards.
    pub(crate) fn clear_the_way<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.policy.drift != DriftPolicy::Overwrite {
            return self.drifted(state, &edge, "something that this migration did not make is in its place");
        }
        let Located::Tree(path) = locate(state, &edge)? else {
            self.later(edge);
            return Ok(());
        };
        self.claims.release(&edge);
        if path.is_empty() || !self.claim(&edge, vec![Claim::subtree(&Place::Tree(path.clone()))]) {
            self.later(edge);
            return Ok(());
        }
        self.coverage.set_aside += 1;
        let to = Place::Trash(self.trash_name(state)?);
        effects.push(Effect::SetAside { edge, path, to });
        Ok(())
    }

    pub(crate) fn set_aside<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        to: Place,
        outcome: Result<(), Failure>,
    ) -> Result<(), S::Error> {
        match (outcome, to) {
            (Err(failure), _) if failure.is_final() => {
                return self.give_up(state, &edge, failure.cause(), &failure.reason);
            }
            // It is of no node; it is remembered so that it is purged with the rest.
            (Ok(()), Place::Trash(name)) => {
                self.remember_in_trash(state, name)?;
                self.note_drift(state, &edge)?;
            }
            _ => {}
        }
        self.later(edge);
        Ok(())
    }

    /// It is of no node that we know of.
    pub(crate) fn remember_in_trash<S: State>(
        &mut self,
        state: &mut S,
        name: String,
    ) -> Result<(), S::Error> {
        let id = self.made_up_id(state)?;
        let node = Node {
            parent: Edge::trash(name),
            kind: NodeKind::Directory,
            attributes: UNKNOWN,
            modified_ms: 0,
            run: 0,
            seen: 0,
        };
        state.put_node(&id, &node)
    }

    pub(crate) fn made_up_id<S: State>(&mut self, state: &mut S) -> Result<NodeId, S::Error> {
        let mut run = state.run()?;
        run.generation += 1;
        state.put_run(&run)?;
        Ok(made_up(run.generation))
    }

    /// The migration has nothing more to do with it; at the target it stays.
    pub(crate) fn release<S: State>(&mut self, state: &mut S, id: &NodeId) -> Result<(), S::Error> {
        state.remove_subtree(id)
    }
}

/// Under this name the move of an earlier process claims paths.
pub(crate) fn recovery_edge(id: &NodeId) -> Edge {
    Edge { directory: Edge::trash_directory(), name: format!("\0move/{}", id.to_hex()) }
}
