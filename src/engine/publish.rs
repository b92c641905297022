//! R5: a whole copy becomes visible, if the source still has what was copied.

use livedata_model::node::{Entry, EntryKind};

use crate::effect::{Effect, Expected};
use crate::input::PublishOutcome;
use crate::input::{Failure, FailureKind};
use crate::machine::{Engine, path_of};
use crate::state::{Edge, Node, NodeKind, Staged, State};

impl Engine {
    /// The record of the staged copy, committed in the same step, is the intent that recovery finds.
    pub(crate) fn begin_publish<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        staging: String,
        staged: Staged,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let held = match state.child(&edge)? {
            Some(id) => state.node(&id)?,
            None => None,
        };
        let expected = match held.map(|node| node.kind) {
            Some(NodeKind::File { etag, .. }) => Expected::Etag(etag),
            _ => Expected::Absent,
        };
        let path = path_of(state, &edge)?;
        effects.push(Effect::Publish { edge, entry, staging, staged, path, expected });
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
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        match outcome {
            PublishOutcome::Done => self.record(state, &edge, &entry),
            PublishOutcome::SourceChanged(now) => self.try_again(state, edge, now, effects),
            // `actionPolicy: Overwrite`: what was there before us is replaced, but only that very version of it.
            PublishOutcome::Occupied(Some(etag)) => {
                let Some(copy) = state.in_flight(&edge)? else { return self.settle(state, &edge) };
                let Some(staged) = copy.staged else { return self.settle(state, &edge) };
                let path = path_of(state, &edge)?;
                let expected = Expected::Etag(etag);
                effects.push(Effect::Publish { edge, entry, staging: copy.staging, staged, path, expected });
                Ok(())
            }
            PublishOutcome::Occupied(None) => {
                self.discard(state, &edge, effects)?;
                self.give_up(
                    state,
                    &edge,
                    "a directory that this migration did not make is at its place at the target",
                )
            }
            // The staged copy is gone, or a directory above was moved meanwhile: look again and copy again.
            PublishOutcome::Failed(Failure { kind: FailureKind::Stale, .. }) => {
                self.try_again(state, edge, Some(entry), effects)
            }
            PublishOutcome::Failed(failure) => {
                self.discard(state, &edge, effects)?;
                self.give_up(state, &edge, &failure.reason)
            }
        }
    }

    fn record<S: State>(&mut self, state: &mut S, edge: &Edge, entry: &Entry) -> Result<(), S::Error> {
        let (Some(copy), EntryKind::File { .. }) = (state.in_flight(edge)?, &entry.kind) else {
            return self.settle(state, edge);
        };
        let Some(staged) = copy.staged else { return self.settle(state, edge) };
        state.remove_in_flight(edge)?;
        if let Some(busy) = self.busy.get_mut(edge) {
            busy.flushed = 0;
        }
        // What we had there under another node id was replaced in the same rename.
        if let Some(replaced) = state.child(edge)?.filter(|other| *other != copy.node) {
            state.remove_node(&replaced)?;
        }
        let run = match state.node(&copy.node)? {
            Some(known) => known.run,
            None => 0,
        };
        let node = Node {
            parent: edge.clone(),
            kind: NodeKind::File {
                version: copy.version,
                length_bytes: copy.length_bytes,
                crc32c: staged.crc32c,
                etag: staged.etag,
            },
            permissions: staged.permissions,
            modified_ms: staged.modified_ms,
            run,
        };
        self.confirm_file(state, edge, entry, node)
    }
}
