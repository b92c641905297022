//! R3: makes one edge at the target what the source has there now.

use livedata_model::node::{Entry, EntryKind};

use crate::effect::Effect;
use crate::input::{Failure, FailureKind};
use crate::machine::{Engine, MAX_ATTEMPTS, path_of};
use crate::state::{Edge, Node, NodeKind, State};

impl Engine {
    pub(crate) fn looked<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        found: Result<Option<Entry>, Failure>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        match found {
            Ok(Some(entry)) => self.reconcile(state, edge, entry, effects),
            Ok(None) | Err(Failure { kind: FailureKind::Stale, .. }) => self.vanished(state, &edge, effects),
            Err(failure) => self.give_up(state, &edge, &failure.reason),
        }
    }

    /// The source has nothing there. Without a change feed the cursor fence is never passed: the target keeps its copy.
    pub(crate) fn vanished<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        self.discard(state, edge, effects)?;
        self.settle(state, edge)
    }

    /// The edge is locked (in `busy`) and `entry` was seen after the mark of that operation was set, or together with it.
    pub(crate) fn reconcile<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        match &entry.kind {
            EntryKind::Symlink => {
                let mut run = state.run()?;
                run.counters.files_excluded += 1;
                state.put_run(&run)?;
                return self.settle(state, &edge);
            }
            EntryKind::Unsupported { reason } => return self.give_up(state, &edge, reason),
            EntryKind::Directory | EntryKind::File { .. } => {}
        }
        let mut held = state.node(&entry.id)?;
        if let Some(other) = state.child(&edge)?.filter(|other| *other != entry.id) {
            // A file replaced by a file: publication replaces our copy under its etag. Anything else would mean to remove.
            let was = state.node(&other)?.map(|node| node.kind);
            let both_files =
                matches!(was, Some(NodeKind::File { .. })) && matches!(entry.kind, EntryKind::File { .. });
            if !both_files {
                return self.give_up(
                    state,
                    &edge,
                    "it was replaced while the migration ran; start the migration again",
                );
            }
            // A copy of it elsewhere cannot be moved onto the occupied name: it is copied anew.
            held = held.filter(|node| node.parent == edge);
        } else if held.as_ref().is_some_and(|node| node.parent != edge) {
            self.move_later(edge, entry);
            return Ok(());
        }
        match &entry.kind {
            EntryKind::Directory => self.reconcile_directory(state, edge, entry, held, effects),
            _ => self.reconcile_file(state, edge, entry, held, effects),
        }
    }

    fn reconcile_directory<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        held: Option<Node>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let path = path_of(state, &edge)?;
        match held {
            None if self.making.insert(entry.id.clone()) => {
                effects.push(Effect::MakeDirectory { edge, entry, path })
            }
            None => {
                let attempt = self.busy.remove(&edge).map_or(1, |busy| busy.attempt);
                self.again.push_back((edge, attempt));
            }
            Some(node) if node.permissions != entry.permissions || node.modified_ms != entry.modified_ms => {
                effects.push(Effect::SetAttributes { edge, entry, path });
            }
            Some(node) => self.confirm_directory(state, &edge, &entry, node)?,
        }
        Ok(())
    }

    fn reconcile_file<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        held: Option<Node>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let EntryKind::File { version, length_bytes, open_for_write } = &entry.kind else { return Ok(()) };
        if *open_for_write {
            let reason = "it is open for writing; start the migration again when it is closed";
            return self.give_up(state, &edge, reason);
        }
        if let Some(node) = held {
            let same = matches!(&node.kind, NodeKind::File { version: known, length_bytes: length, .. }
                if known == version && length == length_bytes);
            if same && node.permissions == entry.permissions && node.modified_ms == entry.modified_ms {
                return self.confirm_file(state, &edge, &entry, node);
            }
            if same {
                let path = path_of(state, &edge)?;
                effects.push(Effect::SetAttributes { edge, entry, path });
                return Ok(());
            }
        }
        self.begin_copy(state, edge, entry, effects)
    }

    pub(crate) fn directory_made<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: Result<(), Failure>,
    ) -> Result<(), S::Error> {
        self.making.remove(&entry.id);
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        match outcome {
            Ok(()) => {
                let node = Node {
                    parent: edge.clone(),
                    kind: NodeKind::Directory,
                    permissions: entry.permissions,
                    modified_ms: entry.modified_ms,
                    run: 0,
                };
                self.confirm_directory(state, &edge, &entry, node)
            }
            Err(failure) => self.give_up(state, &edge, &failure.reason),
        }
    }

    pub(crate) fn attributes_set<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: Result<String, Failure>,
    ) -> Result<(), S::Error> {
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        match (outcome, state.node(&entry.id)?) {
            (Ok(new_etag), Some(mut node)) => {
                node.permissions = entry.permissions;
                node.modified_ms = entry.modified_ms;
                match &mut node.kind {
                    NodeKind::Directory => self.confirm_directory(state, &edge, &entry, node),
                    NodeKind::File { etag, .. } => {
                        *etag = new_etag;
                        self.confirm_file(state, &edge, &entry, node)
                    }
                }
            }
            (Ok(_), None) => self.settle(state, &edge),
            (Err(failure), _) => self.give_up(state, &edge, &failure.reason),
        }
    }

    /// The directory is as the source has it; in each run its children are listed once.
    fn confirm_directory<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        entry: &Entry,
        mut node: Node,
    ) -> Result<(), S::Error> {
        let run = state.run()?;
        if node.run != run.number {
            node.run = run.number;
            state.put_front(&entry.id, None)?;
        }
        state.put_node(&entry.id, &node)?;
        self.settle(state, edge)
    }

    /// The file is as the source has it. It counts as migrated once in each run.
    pub(crate) fn confirm_file<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        entry: &Entry,
        mut node: Node,
    ) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if node.run != run.number {
            node.run = run.number;
            run.counters.files_migrated += 1;
            if let NodeKind::File { length_bytes, .. } = node.kind {
                run.counters.bytes_migrated += length_bytes;
            }
            state.put_run(&run)?;
        }
        state.put_node(&entry.id, &node)?;
        self.settle(state, edge)
    }

    /// Tries the edge again with what is there now, a bounded number of times: a file that changes faster than it can be
    /// copied must not keep a run from ending.
    pub(crate) fn try_again<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        now: Option<Entry>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        self.discard(state, &edge, effects)?;
        let Some(entry) = now else { return self.vanished(state, &edge, effects) };
        let Some(busy) = self.busy.get_mut(&edge) else { return Ok(()) };
        if busy.attempt >= MAX_ATTEMPTS {
            let reason = format!(
                "it changed each of the {MAX_ATTEMPTS} times it was copied; start the migration again when it is quiet"
            );
            return self.give_up(state, &edge, &reason);
        }
        busy.attempt += 1;
        self.reconcile(state, edge, entry, effects)
    }

    /// The node is at the target already, elsewhere: it was renamed at the source while we scanned. Its copy is moved, and
    /// what is below is listed again, because names below may have been looked up on either side of the rename.
    fn move_later(&mut self, edge: Edge, entry: Entry) {
        let attempt = self.busy.remove(&edge).map_or(1, |busy| busy.attempt);
        match &self.waiting_move {
            // One move at a time; the other comes back through its mark.
            Some(_) => self.again.push_back((edge, attempt)),
            None => self.waiting_move = Some((edge, entry.id, attempt)),
        }
    }

    /// Issues the waiting move once nothing else is going on. Whether everything else must hold still.
    pub(crate) fn begin_move<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, S::Error> {
        if !self.busy.is_empty() || !self.listing.is_empty() {
            return Ok(true);
        }
        let Some((edge, id, attempt)) = self.waiting_move.take() else { return Ok(false) };
        let (Some(node), Some(mark)) = (state.node(&id)?, state.mark(&edge)?) else { return Ok(false) };
        let from = path_of(state, &node.parent)?;
        let to = path_of(state, &edge)?;
        self.lock(&edge, mark, attempt);
        state.put_move_intent(Some(&(id, edge)))?;
        self.moving = Some(attempt);
        effects.push(Effect::Move { from, to, etag: node.kind.etag() });
        Ok(true)
    }

    pub(crate) fn moved<S: State>(
        &mut self,
        state: &mut S,
        outcome: Result<(), Failure>,
    ) -> Result<(), S::Error> {
        let Some((id, edge)) = state.move_intent()? else { return Ok(()) };
        state.put_move_intent(None)?;
        let attempt = self.moving.take().unwrap_or(1);
        match outcome {
            Ok(()) => {
                if let Some(mut node) = state.node(&id)? {
                    node.parent = edge.clone();
                    if node.kind == NodeKind::Directory {
                        state.put_front(&id, None)?;
                    }
                    state.put_node(&id, &node)?;
                }
                // Content and attributes are judged by a fresh look.
                self.busy.remove(&edge);
                self.again.push_back((edge, attempt));
                Ok(())
            }
            // What we held is not there any more. A file is copied anew; of a directory we would not know what it holds.
            Err(Failure { kind: FailureKind::Stale, .. })
                if matches!(state.node(&id)?, Some(Node { kind: NodeKind::File { .. }, .. })) =>
            {
                state.remove_node(&id)?;
                self.busy.remove(&edge);
                self.again.push_back((edge, attempt));
                Ok(())
            }
            Err(failure) => {
                let reason = format!(
                    "it was renamed while the migration ran and its copy could not follow: {}",
                    failure.reason
                );
                self.give_up(state, &edge, &reason)
            }
        }
    }
}
