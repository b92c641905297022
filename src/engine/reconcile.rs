//! R3: makes one edge at the target what the source has there now.

use livedata_model::node::{ContentVersion, Entry, EntryKind, NodeId};
use livedata_model::spec::{DeletePolicy, DriftPolicy};

use crate::attributes;
use crate::barrier::{Between, Blocker};
use crate::claims::Claim;
use crate::effect::{Effect, Expected, Place};
use crate::input::{Applied, AttributesOutcome, Cause, Failure, FailureKind, MakeOutcome};
use crate::machine::{Busy, Engine, Look, MAX_ATTEMPTS, Waiting};
use crate::moves::CHANGED;
use crate::paths::{Located, is_within, locate};
use crate::rules::Rule;
use crate::state::{Edge, Intent, Node, NodeKind, State, UNKNOWN};

/// With how many marks, and how many directories of the frontier, a removal is compared at most.
const REMOVAL_LOOKS_AT: u64 = 20_000;
const REMOVAL_AT_FRONTS: usize = 2_000;

impl Engine {
    pub(crate) fn looked<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        found: Result<Option<Entry>, Failure>,
        position: u64,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        self.seen = self.seen.max(Some(position));
        let Some(busy) = self.busy.get(&edge) else { return Ok(()) };
        let (generation, cursor) = (busy.generation, busy.cursor);
        match found {
            Ok(found) => self.reconcile(state, edge, Look { found, position, cursor, generation }, effects),
            Err(Failure { kind: FailureKind::Stale, .. }) if edge.is_root() => {
                self.reconcile(state, edge, Look { found: None, position, cursor, generation }, effects)
            }
            // Its directory is not where it was: that is not to say that the entry is gone.
            Err(Failure { kind: FailureKind::Stale, .. }) => {
                self.coverage.stale += 1;
                let first = state.mark(&edge)?.map_or(cursor, |mark| mark.first);
                if let Some(directory) = state.node(&edge.directory)?
                    && self.rules.hold(Rule::StaleMarksDirectory)
                {
                    self.set_mark(state, &directory.parent, first, true)?;
                }
                self.forgive(state, &edge)?;
                self.abandon(state, &edge)
            }
            Err(failure) => self.give_up(state, &edge, failure.cause(), &failure.reason),
        }
    }

    /// The edge is locked, and the look answers the mark that was there when the lock was taken.
    pub(crate) fn reconcile<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if let Some(busy) = self.busy.get_mut(&edge) {
            (busy.position, busy.cursor) = (look.position, look.cursor);
        }
        if let Some(node) = self.arriving.get(&edge).cloned()
            && self.rules.hold(Rule::ArrivingLock)
        {
            return self.node_is_taken(edge, &node);
        }
        let here = state.child(&edge)?;
        if edge.is_root() {
            let same = match (&here, &look.found) {
                (_, None) => false,
                (Some(known), Some(entry)) => *known == entry.id,
                (None, Some(_)) => true,
            };
            if !same {
                return self.root_is_missing(state, "it was there, and is gone or another one now");
            }
        } else if !matches!(locate(state, &edge)?, Located::Tree(_)) {
            return self.forget(state, &edge);
        }
        let Some(entry) = look.found.clone() else { return self.absent(state, edge, here, look, effects) };
        match &entry.kind {
            EntryKind::Symlink => {
                let mut run = state.run()?;
                run.counters.files_excluded += 1;
                state.put_run(&run)?;
                return self.absent(state, edge, here, look, effects);
            }
            EntryKind::Unsupported { kind, reason } => return self.give_up(state, &edge, *kind, reason),
            EntryKind::Directory | EntryKind::File { .. } => {}
        }
        let known = state.node(&entry.id)?;
        match here {
            Some(other) if other != entry.id => self.replaced(state, edge, other, entry, look, effects),
            None if known.is_some() => self.found_elsewhere(state, edge, entry, look, effects),
            _ => self.in_place(state, edge, entry, known, look, effects),
        }
    }

    /// Its directory was removed or forgotten meanwhile, with everything below; whoever finds it again looks at that.
    pub(crate) fn forget<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        self.forgive(state, edge)?;
        self.abandon(state, edge)
    }

    /// The feed has told everything up to this look. Without a feed there is nothing to wait for.
    fn is_passed<S: State>(&self, state: &mut S, look: &Look, rule: Rule) -> Result<bool, S::Error> {
        let run = state.run()?;
        Ok(!run.live || run.cursor >= look.position || !self.rules.hold(rule))
    }

    /// Waits for the feed; then the look is as good as a fresh one, unless the mark is newer by then.
    fn fence<S: State>(&mut self, edge: Edge, look: Look) -> Result<(), S::Error> {
        self.coverage.fenced += 1;
        self.unlock(&edge);
        self.fenced.insert(edge, look);
        Ok(())
    }

    /// The next look that the feed has passed.
    pub(crate) fn next_passed<S: State>(&mut self, state: &mut S) -> Result<Option<(Edge, Look)>, S::Error> {
        let cursor = state.run()?.cursor;
        let passed = self.fenced.iter().find(|(_, look)| look.position <= cursor);
        let edge = passed.map(|(edge, _)| edge.clone());
        Ok(edge.and_then(|edge| self.fenced.remove_entry(&edge)))
    }

    /// The source has nothing there that belongs at the target.
    fn absent<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        here: Option<NodeId>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(held) = here else {
            self.forgive(state, &edge)?;
            return self.settle(state, &edge);
        };
        // Without a feed nothing is ever removed: what is missing here may have moved to where we have been already.
        if !state.run()?.live {
            self.forgive(state, &edge)?;
            return self.settle(state, &edge);
        }
        if !self.is_passed(state, &look, Rule::DeleteFence)? {
            return self.fence::<S>(edge, look);
        }
        if self.policy.deletes == DeletePolicy::Keep {
            if self.moves.contains_key(&held) || !self.lock_node(&edge, &held) {
                return self.node_is_taken(edge, &held);
            }
            // What is about to appear below it would be of nothing that is known.
            if let Located::Tree(path) = locate(state, &edge)?
                && !self.claim(&edge, vec![Claim::subtree(&Place::Tree(path))])
            {
                return self.wait(edge, Waiting::Reconcile(look));
            }
            self.release(state, &held)?;
            self.forgive(state, &edge)?;
            return self.settle(state, &edge);
        }
        if self.is_awaited(state, &edge, &held, &look)? || !self.may_delete(state, &edge, &held, false)? {
            return Ok(());
        }
        // Another operation may be about to publish it.
        if self.node_locks.get(&held).is_none_or(|holder| *holder == edge) {
            self.discard_node(state, &held, effects)?;
        }
        self.remove(state, edge, held, look, effects)
    }

    /// A directory that left its name may be on its way to another one, perhaps by way of the trash. What was changed in it
    /// before comes first, as with every rename; where it is gone for good that is found out soon.
    fn is_awaited<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        held: &NodeId,
        look: &Look,
    ) -> Result<bool, S::Error> {
        if state.node(held)?.is_none_or(|node| node.kind != NodeKind::Directory) {
            return Ok(false);
        }
        // With so much in question nothing is known of several files anyway, and to look for those below takes too long.
        if state.count_marks()? > REMOVAL_LOOKS_AT
            || state.fronts(None, REMOVAL_AT_FRONTS)?.len() == REMOVAL_AT_FRONTS
        {
            return Ok(false);
        }
        let last = state.mark(edge)?.map_or(look.position, |mark| mark.last);
        let Some(blocker) = self.changed_below(state, edge, held, last)? else { return Ok(false) };
        self.coverage.rename_barred += 1;
        self.bar(edge.clone(), blocker, true);
        Ok(true)
    }

    /// Another node is there now than the target has.
    fn replaced<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        other: NodeId,
        entry: Entry,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let files = entry.kind_is_file() && state.node(&other)?.is_some_and(|node| node.kind.is_file());
        let live = state.run()?.live;
        if !self.rules.hold(Rule::IdentityFence) && live && !files {
            // What a migration does that knows things by their names.
            if let Some(mut node) = state.node(&other)?
                && node.kind == NodeKind::Directory
                && entry.kind == EntryKind::Directory
            {
                state.remove_subtree(&other)?;
                node.seen = look.position;
                state.put_node(&entry.id, &node)?;
                self.scan_directory(state, &entry.id, look.position)?;
                return self.settle(state, &edge);
            }
        }
        if !self.is_passed(state, &look, Rule::IdentityFence)? {
            return self.fence::<S>(edge, look);
        }
        self.coverage.replaced += 1;
        if files {
            return match state.node(&entry.id)? {
                Some(_) => self.late_move(state, edge, entry, Some(other), look, effects),
                // Publication replaces our copy under its etag.
                None => self.file_in_place(state, edge, entry, None, look, effects),
            };
        }
        if !live {
            let reason = "it was replaced while the migration ran; start the migration again";
            return self.give_up(state, &edge, Cause::Replaced, reason);
        }
        if self.policy.deletes == DeletePolicy::Keep {
            let reason = "another thing was there before and deletePolicy is Keep; remove it at the target";
            return self.give_up(state, &edge, Cause::Replaced, reason);
        }
        if self.is_awaited(state, &edge, &other, &look)? || !self.may_delete(state, &edge, &other, true)? {
            return Ok(());
        }
        self.remove(state, edge, other, look, effects)
    }

    /// The target has the node under another name.
    fn found_elsewhere<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if !self.is_passed(state, &look, Rule::LateMoveFence)? {
            return self.fence::<S>(edge, look);
        }
        self.late_move(state, edge, entry, None, look, effects)
    }

    fn late_move<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        replaces: Option<NodeId>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        // It was seen at its other place later than here.
        let newer =
            state.node(&entry.id)?.is_some_and(|node| !node.parent.is_trash() && node.seen > look.position);
        if newer && self.rules.hold(Rule::NewestLook) {
            self.later(edge);
            return Ok(());
        }
        // As the target has it, the destination is below what is to be moved: something in between must move first.
        if is_within(state, &edge.directory, &entry.id)? {
            match self.in_between(state, &edge, &entry.id)? {
                Between::WaitsFor(blocker) => self.bar(edge, blocker, true),
                Between::Nothing => self.later(edge),
                Between::GivenUp(path) => {
                    let reason = format!(
                        "it was moved below '{path}', which the target has below it; retry that first"
                    );
                    return self.give_up(state, &edge, Cause::Replaced, &reason);
                }
            }
            return Ok(());
        }
        if entry.kind_is_file()
            && let Located::Tree(path) = locate(state, &edge)?
            && !self.may_appear(state, &edge, &entry, &path)?
        {
            return Ok(());
        }
        let last = state.mark(&edge)?.map_or(look.position, |mark| mark.last);
        if entry.kind == EntryKind::Directory
            && let Some(blocker) = self.changed_below(state, &edge, &entry.id, last)?
        {
            self.coverage.rename_barred += 1;
            self.bar(edge, blocker, true);
            return Ok(());
        }
        self.begin_move(state, edge, entry.id.clone(), replaces, look, effects)
    }

    /// The right node is there, or nothing that is in the way.
    fn in_place<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        known: Option<Node>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if entry.kind == EntryKind::Directory {
            return self.directory_in_place(state, edge, entry, known, look, effects);
        }
        self.file_in_place(state, edge, entry, known, look, effects)
    }

    fn directory_in_place<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        known: Option<Node>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if !self.lock_node(&edge, &entry.id) {
            return self.node_is_taken(edge, &entry.id);
        }
        let Located::Tree(path) = locate(state, &edge)? else { return self.forget(state, &edge) };
        let Some(node) = known else {
            if !self.claim(&edge, vec![Claim::point(&path)]) {
                return self.wait(edge, Waiting::Reconcile(look));
            }
            state.put_intent(&entry.id, &Intent::Make { at: edge.clone() })?;
            effects.push(Effect::MakeDirectory { edge, entry, path });
            return Ok(());
        };
        match attributes::digest(&entry) {
            Some(digest) if digest == node.attributes => {
                self.confirm_directory(state, &edge, &entry.id, node, None)
            }
            Some(_) => self.set_attributes(state, (edge, look), entry, path, node, effects),
            None => self.look_closer(edge, entry, effects),
        }
    }

    fn file_in_place<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        known: Option<Node>,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let EntryKind::File { version, length_bytes, open_for_write } = &entry.kind else { return Ok(()) };
        if *open_for_write {
            // Its close is told by the feed.
            if state.run()?.live {
                self.forgive(state, &edge)?;
                return self.abandon(state, &edge);
            }
            let reason = "it is open for writing; start the migration again when it is closed";
            return self.give_up(state, &edge, Cause::OpenForWrite, reason);
        }
        if !self.lock_node(&edge, &entry.id) {
            return self.node_is_taken(edge, &entry.id);
        }
        if let Some(mut node) = known {
            let same = matches!(&node.kind, NodeKind::File { version: known, length_bytes: length, .. }
                if known == version && length == length_bytes);
            // As a survey finds it: whoever appends to a copy leaves its properties as they are.
            if let NodeKind::File { version: known, .. } = &mut node.kind
                && known == version
                && !same
            {
                if self.policy.drift == DriftPolicy::Overwrite {
                    *known = ContentVersion::from_bytes([]);
                    state.put_node(&entry.id, &node)?;
                }
                return self.drifted(state, &edge, CHANGED);
            }
            if same {
                return match attributes::digest(&entry) {
                    Some(digest) if digest == node.attributes && node.modified_ms == entry.modified_ms => {
                        self.confirm_file(state, &edge, &entry.id, node, None)
                    }
                    Some(_) => match locate(state, &edge)? {
                        Located::Tree(path) => {
                            self.set_attributes(state, (edge, look), entry, path, node, effects)
                        }
                        _ => self.forget(state, &edge),
                    },
                    None => self.look_closer(edge, entry, effects),
                };
            }
        }
        self.begin_copy(state, edge, entry, effects)
    }

    /// A listing does not show everything.
    fn look_closer<E>(&mut self, edge: Edge, entry: Entry, effects: &mut Vec<Effect>) -> Result<(), E> {
        effects.push(Effect::LookCloser { edge, entry });
        Ok(())
    }

    /// The look before goes on: what it saw of the edge is as old as it was.
    pub(crate) fn looked_closer<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        found: Result<Entry, Failure>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(Busy { position, cursor, generation, .. }) = self.busy.get(&edge).cloned() else {
            return Ok(());
        };
        match found {
            Ok(entry) => self.reconcile(
                state,
                edge,
                Look { found: Some(entry), position, cursor, generation },
                effects,
            ),
            Err(Failure { kind: FailureKind::Stale, .. }) => {
                self.later(edge);
                Ok(())
            }
            Err(failure) => self.give_up(state, &edge, failure.cause(), &failure.reason),
        }
    }

    /// Until it is heard that they were set they are not known: after a crash they may be either.
    fn set_attributes<S: State>(
        &mut self,
        state: &mut S,
        (edge, look): (Edge, Look),
        entry: Entry,
        path: String,
        mut node: Node,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if !self.claim(&edge, vec![Claim::point(&path)]) {
            return self.wait(edge, Waiting::Reconcile(look));
        }
        if self.rules.hold(Rule::AttributesIntent) {
            node.attributes = UNKNOWN;
            state.put_node(&entry.id, &node)?;
        }
        effects.push(Effect::SetAttributes { edge, entry, path, etag: node.kind.etag() });
        Ok(())
    }

    /// Another operation works on the same node, seen under another name.
    pub(crate) fn node_is_taken<E>(&mut self, edge: Edge, node: &NodeId) -> Result<(), E> {
        self.coverage.node_taken += 1;
        self.bar(edge, Blocker::Node(node.clone()), false);
        Ok(())
    }

    pub(crate) fn wait<E>(&mut self, edge: Edge, waiting: Waiting) -> Result<(), E> {
        self.waiting.push_back((edge, waiting));
        Ok(())
    }

    /// Lets those that wait try again.
    pub(crate) fn resume_waiting<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.claims.released {
            self.claims.new_round();
            // The feed's rename goes first: everything else waits behind it.
            self.ingest_backlog(state, effects)?;
            for _ in 0..self.waiting.len() {
                let Some((edge, waiting)) = self.waiting.pop_front() else { break };
                match waiting {
                    _ if !self.busy.contains_key(&edge) => {}
                    Waiting::Reconcile(look) => self.reconcile(state, edge, look, effects)?,
                    Waiting::Publish(entry) => self.begin_publish(state, edge, entry, effects)?,
                }
            }
        }
        while self.has_copy_place()
            && let Some((edge, entry)) = self.to_copy.pop_front()
        {
            if self.busy.contains_key(&edge) {
                self.begin_copy(state, edge, entry, effects)?;
            }
        }
        Ok(())
    }

    pub(crate) fn directory_made<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: MakeOutcome,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(busy) = self.busy.get(&edge) else { return Ok(()) };
        let seen = busy.position;
        match outcome {
            MakeOutcome::Done(Applied { digest, left_out }) => {
                state.remove_intent(&entry.id)?;
                let node = Node {
                    parent: edge.clone(),
                    kind: NodeKind::Directory,
                    attributes: digest,
                    modified_ms: entry.modified_ms,
                    run: 0,
                    seen,
                };
                self.confirm_directory(state, &edge, &entry.id, node, left_out)
            }
            MakeOutcome::Occupied if state.run()?.live => {
                state.remove_intent(&entry.id)?;
                self.clear_the_way(state, edge, effects)
            }
            MakeOutcome::Occupied => {
                state.remove_intent(&entry.id)?;
                let reason = "a file stands where the source has a directory; move it away and start the \
                              migration again";
                self.give_up(state, &edge, Cause::Obstructed, reason)
            }
            MakeOutcome::Failed(Failure { kind: FailureKind::Stale, .. }) => {
                state.remove_intent(&entry.id)?;
                self.later(edge);
                Ok(())
            }
            MakeOutcome::Failed(failure) => {
                state.remove_intent(&entry.id)?;
                self.give_up(state, &edge, failure.cause(), &failure.reason)
            }
        }
    }

    pub(crate) fn attributes_set<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        entry: Entry,
        outcome: AttributesOutcome,
    ) -> Result<(), S::Error> {
        if !self.busy.contains_key(&edge) {
            return Ok(());
        }
        match (outcome, state.node(&entry.id)?) {
            (AttributesOutcome::Done { etag: new_etag, applied }, Some(mut node)) => {
                let Applied { digest, left_out } = applied;
                node.attributes = digest;
                node.modified_ms = entry.modified_ms;
                match &mut node.kind {
                    NodeKind::Directory => self.confirm_directory(state, &edge, &entry.id, node, left_out),
                    NodeKind::File { etag, .. } => {
                        *etag = new_etag;
                        self.confirm_file(state, &edge, &entry.id, node, left_out)
                    }
                }
            }
            (AttributesOutcome::Done { .. }, None) => {
                self.later(edge);
                Ok(())
            }
            (AttributesOutcome::Gone, _) => {
                state.remove_subtree(&entry.id)?;
                self.drifted(state, &edge, "it vanished at the target")?;
                Ok(())
            }
            (AttributesOutcome::Differs(there), _) => self.adopt(state, &edge, &entry.id, there),
            (AttributesOutcome::Failed(Failure { kind: FailureKind::Stale, .. }), _) => {
                self.later(edge);
                Ok(())
            }
            (AttributesOutcome::Failed(failure), _) => {
                self.give_up(state, &edge, failure.cause(), &failure.reason)
            }
        }
    }

    /// The directory is as the source has it, but for what was left out. New ones are listed, and known ones if that was asked
    /// for.
    fn confirm_directory<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        id: &NodeId,
        mut node: Node,
        left_out: Option<String>,
    ) -> Result<(), S::Error> {
        let run = state.run()?;
        let (deep, seen) = self.busy.get(edge).map_or((false, 0), |busy| (busy.deep, busy.position));
        let is_new = state.node(id)?.is_none();
        node.seen = node.seen.max(seen);
        node.run = run.number;
        state.put_node(id, &node)?;
        // A listing of it may have failed since the mark was set.
        let failed = state.failed_at(edge)?.filter(|failed| failed.deep).map(|failed| failed.first);
        if deep || is_new || failed.is_some() {
            let first = state.mark(edge)?.map_or(run.cursor, |mark| mark.first);
            self.scan_directory(state, id, failed.map_or(first, |failed| failed.min(first)))?;
        }
        self.forgive(state, edge)?;
        self.report_left_out(state, edge, left_out)?;
        self.settle(state, edge)
    }

    /// Nobody waits for it.
    fn report_left_out<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        left_out: Option<String>,
    ) -> Result<(), S::Error> {
        match left_out {
            Some(reason) => self.note_failure(state, edge, Cause::AttributesTooLarge, &reason),
            None => Ok(()),
        }
    }

    /// The file is as the source has it, but for what was left out. It counts as migrated once in each run.
    pub(crate) fn confirm_file<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        id: &NodeId,
        mut node: Node,
        left_out: Option<String>,
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
        node.seen = node.seen.max(self.busy.get(edge).map_or(0, |busy| busy.position));
        state.put_node(id, &node)?;
        self.forgive(state, edge)?;
        self.report_left_out(state, edge, left_out)?;
        self.settle(state, edge)
    }

    /// Looks again, a bounded number of times in a run that must end.
    pub(crate) fn try_again<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let live = state.run()?.live;
        let Some(busy) = self.busy.get_mut(&edge) else { return Ok(()) };
        if busy.attempt >= MAX_ATTEMPTS && !live {
            let reason = format!(
                "it changed each of the {MAX_ATTEMPTS} times it was copied; start the migration again when it is quiet"
            );
            self.discard_of_edge(state, &edge, effects)?;
            return self.give_up(state, &edge, Cause::ChangedWhileCopied, &reason);
        }
        busy.attempt += 1;
        self.later(edge);
        Ok(())
    }

    /// The condition at a destination that holds as far as we know.
    pub(crate) fn expected<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<Expected, S::Error> {
        let held = match state.child(edge)? {
            Some(id) => state.node(&id)?,
            None => None,
        };
        Ok(match held.map(|node| node.kind) {
            Some(NodeKind::File { etag, .. }) => Expected::Etag(etag),
            _ => Expected::Absent,
        })
    }
}

/// A question that is asked often.
pub(crate) trait EntryExt {
    fn kind_is_file(&self) -> bool;
}

impl EntryExt for Entry {
    fn kind_is_file(&self) -> bool {
        matches!(self.kind, EntryKind::File { .. })
    }
}
