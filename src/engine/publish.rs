//! R5: a whole copy becomes visible, if the source still has what was copied and all that it vouches for is there.

use livedata_model::node::{Entry, NodeId};
use livedata_model::spec::DriftPolicy;

use crate::attributes;
use crate::claims::Claim;
use crate::effect::Effect;
use crate::input::{Cause, Failure, FailureKind, PublishOutcome, There};
use crate::machine::{Engine, Look, Waiting};
use crate::paths::{Located, locate};
use crate::rules::Rule;
use crate::state::{Edge, InFlight, Node, NodeKind, State, UNKNOWN, is_made_up};

impl Engine {
    /// The record of the staged copy, committed in the same step or before, is the intent that recovery finds.
    pub(crate) fn begin_publish<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(InFlight { staging, staged: Some(staged), .. }) = state.in_flight(&entry.id)? else {
            self.later(edge);
            return Ok(());
        };
        let Located::Tree(path) = locate(state, &edge)? else {
            return self.forget(state, &edge);
        };
        if !self.may_appear(state, &edge, &entry, &path)? {
            return Ok(());
        }
        let live = state.run()?.live;
        let held = state.child(&edge)?;
        let replaces = match &held {
            Some(other) if *other != entry.id => {
                // A directory came there with a rename since we looked.
                if state.node(other)?.is_none_or(|there| !there.kind.is_file()) {
                    self.later(edge);
                    return Ok(());
                }
                if !self.lock_node(&edge, other) || self.moves.contains_key(other) {
                    return self.node_is_taken(edge, other);
                }
                Some(other.clone())
            }
            _ => None,
        };
        if self.moves.contains_key(&entry.id) {
            return self.node_is_taken(edge, &entry.id);
        }
        // A rename took what the target has of it elsewhere since we looked: that must come back first.
        let elsewhere = state.node(&entry.id)?.is_some_and(|node| node.parent != edge);
        if elsewhere && self.rules.hold(Rule::PublishInPlace) {
            self.later(edge);
            return Ok(());
        }
        if !self.claim(&edge, vec![Claim::point(&path)]) {
            return self.wait(edge, Waiting::Publish(entry));
        }
        let expected = self.expected(state, &edge)?;
        let replaces =
            replaces.filter(|other| live && !is_made_up(other) && self.rules.hold(Rule::AliveCheck));
        effects.push(Effect::Publish { edge, entry, staging, staged, path, expected, replaces });
        Ok(())
    }

    pub(crate) fn published<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: PublishOutcome,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(busy) = self.busy.get(&edge) else { return Ok(()) };
        let look = Look {
            found: Some(entry.clone()),
            position: busy.position,
            cursor: busy.cursor,
            generation: busy.generation,
        };
        self.claims.release(&edge);
        match outcome {
            PublishOutcome::Done => self.record(state, &edge, &entry),
            PublishOutcome::SourceChanged => {
                self.coverage.source_changed += 1;
                self.try_again(state, edge, effects)
            }
            PublishOutcome::Occupied(there) => {
                let live = state.run()?.live;
                match state.child(&edge)? {
                    Some(held) => self.adopt(state, &edge, &held, there),
                    None if there.is_nothing() => {
                        self.later(edge);
                        Ok(())
                    }
                    None if !there.is_directory
                        && there.node.as_ref() != Some(&entry.id)
                        && self.policy.drift != DriftPolicy::Overwrite =>
                    {
                        self.discard_node(state, &entry.id, effects)?;
                        self.drifted(
                            state,
                            &edge,
                            "something that this migration did not make is in its place",
                        )
                    }
                    None if !there.is_directory => self.replace_unknown(state, edge, entry, there, effects),
                    None if live => self.clear_the_way(state, edge, effects),
                    None => {
                        self.discard_node(state, &entry.id, effects)?;
                        let reason =
                            "a directory that this migration did not make is at its place at the target";
                        self.give_up(state, &edge, Cause::Obstructed, reason)
                    }
                }
            }
            PublishOutcome::Lives => {
                self.coverage.alive += 1;
                match state.child(&edge)? {
                    Some(other) => self.remove(state, edge, other, look, effects),
                    None => {
                        self.later(edge);
                        Ok(())
                    }
                }
            }
            PublishOutcome::NoParent => self.parent_is_gone(state, edge),
            // The staged copy is gone, or a directory above was moved meanwhile: look again and copy again.
            PublishOutcome::Failed(Failure { kind: FailureKind::Stale, .. }) => {
                self.discard_node(state, &entry.id, effects)?;
                self.try_again(state, edge, effects)
            }
            PublishOutcome::Failed(failure) => {
                self.discard_node(state, &entry.id, effects)?;
                self.give_up(state, &edge, failure.cause(), &failure.reason)
            }
        }
    }

    /// `actionPolicy: Overwrite`: what was there before us is replaced, but only that very version of it.
    fn replace_unknown<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        there: There,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let (Some(copy), Located::Tree(path)) = (state.in_flight(&entry.id)?, locate(state, &edge)?) else {
            self.later(edge);
            return Ok(());
        };
        let Some(staged) = copy.staged else {
            self.later(edge);
            return Ok(());
        };
        if !self.claim(&edge, vec![Claim::point(&path)]) {
            return self.wait(edge, Waiting::Publish(entry));
        }
        // An earlier life of this migration may have left it.
        if there.node.as_ref() != Some(&entry.id) {
            self.note_drift(state, &edge)?;
        }
        let expected = crate::effect::Expected::Etag(there.etag);
        let staging = copy.staging;
        effects.push(Effect::Publish { edge, entry, staging, staged, path, expected, replaces: None });
        Ok(())
    }

    fn record<S: State>(&mut self, state: &mut S, edge: &Edge, entry: &Entry) -> Result<(), S::Error> {
        let Some(copy) = state.in_flight(&entry.id)? else {
            self.later(edge.clone());
            return Ok(());
        };
        self.has_flushed(edge, 0);
        let resumed = self.busy.get(edge).is_some_and(|busy| busy.resumed);
        let Some(node) = self.place(state, &entry.id, copy, edge)? else {
            self.later(edge.clone());
            return Ok(());
        };
        // Attributes may have changed since they were put on the copy.
        let seen = attributes::digest(entry);
        let sure = node.attributes != UNKNOWN && seen.map_or(!resumed, |seen| seen == node.attributes);
        if !sure || node.modified_ms != entry.modified_ms {
            self.later(edge.clone());
            return Ok(());
        }
        self.confirm_file(state, edge, &entry.id, node, None)
    }

    /// A staged copy is at its place: what the target has of the node now.
    pub(crate) fn place<S: State>(
        &mut self,
        state: &mut S,
        id: &NodeId,
        copy: InFlight,
        edge: &Edge,
    ) -> Result<Option<Node>, S::Error> {
        let Some(staged) = copy.staged else { return Ok(None) };
        state.remove_in_flight(id)?;
        // What we had there under another node id was replaced in the same rename.
        if let Some(replaced) = state.child(edge)?.filter(|other| other != id) {
            state.remove_subtree(&replaced)?;
        }
        let run = state.node(id)?.map_or(0, |known| known.run);
        let node = Node {
            parent: edge.clone(),
            kind: NodeKind::File {
                version: copy.version,
                length_bytes: copy.length_bytes,
                crc32c: Some(staged.crc32c),
                etag: staged.etag,
            },
            attributes: staged.attributes,
            modified_ms: staged.modified_ms,
            run,
            seen: 0,
        };
        state.put_node(id, &node)?;
        Ok(Some(node))
    }
}
