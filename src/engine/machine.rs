//! The engine itself: what is going on right now, and the choice of what to begin next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use livedata_model::feed::Event;
use livedata_model::node::{Entry, NodeId};

use crate::barrier::{Barred, Blocker};
use crate::claims::{Claim, Claims};
use crate::coverage::Coverage;
use crate::effect::Effect;
use crate::input::{Cause, Input};
use crate::moves::Mover;
use crate::policy::Policy;
use crate::rules::{Rule, Rules};
use crate::state::{Edge, FailedEdge, Mark, Phase, State};
use crate::survey::Surveyor;

/// How much may go on at once. Memory is bounded by these, whatever the size of the tree.
#[derive(Clone, Copy, Debug, Hash)]
pub struct Limits {
    /// Edges being worked on, besides copies.
    pub operations: usize,
    /// Files being copied.
    pub copies: usize,
    /// Directories being listed.
    pub listings: usize,
    /// Listing pauses while this many looked-at entries wait; nothing new is begun while this many operations do.
    pub waiting: usize,
    /// More marks than this make a change of the source a reason to look at everything again instead of a mark of its own.
    pub marks: u64,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 128, copies: 16, listings: 16, waiting: 4_000, marks: 1_000_000 }
    }
}

/// How often a file that changes while it is copied is tried again within one run that must end.
pub(crate) const MAX_ATTEMPTS: u32 = 5;

/// What was seen on an edge at some moment.
#[derive(Clone, Debug, Hash)]
pub(crate) struct Look {
    pub found: Option<Entry>,
    /// Position of the source when the look was over.
    pub position: u64,
    /// What the feed had told by the time it began: all of that was seen.
    pub cursor: u64,
    /// Of the mark that it answers. A newer mark needs a newer look.
    pub generation: u64,
}

/// The one operation of an edge (the edge lock).
#[derive(Clone, Debug, Hash)]
pub(crate) struct Busy {
    /// Generation of the mark when the operation began looking.
    pub generation: u64,
    pub deep: bool,
    pub attempt: u32,
    /// As in [`Look`].
    pub cursor: u64,
    pub position: u64,
    /// Bytes of the copy that are durable in staging.
    pub flushed: u64,
    /// The nodes that it works on (the node lock).
    pub nodes: Vec<NodeId>,
    /// It holds one of the places for copies.
    pub copying: bool,
    /// The lowest `first` of reasons that were added to the mark since.
    pub added: Option<u64>,
    /// The copy was made by an earlier operation, with the attributes of that time.
    pub resumed: bool,
    /// Objects that it removes and that were counted against the limit of deletions.
    pub counted: u64,
}

/// Why an operation does not go on at the moment.
#[derive(Clone, Debug, Hash)]
pub(crate) enum Waiting {
    /// For operations at the target that it would meet; then it is decided anew what to do.
    Reconcile(Look),
    /// For the same, with the copy done.
    Publish(Entry),
}

/// See the crate's head. Ordered collections only: equal inputs give equal effects.
#[derive(Clone, Debug, Hash)]
pub struct Engine {
    pub(crate) limits: Limits,
    pub(crate) policy: Policy,
    pub(crate) rules: Rules,
    pub(crate) now_ms: i64,
    pub(crate) survey: Option<Surveyor>,
    /// Directories being listed: the ticket, and what the feed had told when it was asked for.
    pub(crate) listing: BTreeMap<NodeId, (u64, u64)>,
    pub(crate) tickets: u64,
    pub(crate) busy: BTreeMap<Edge, Busy>,
    pub(crate) node_locks: BTreeMap<NodeId, Edge>,
    /// Looks that came with a listing.
    pub(crate) looks: BTreeMap<Edge, Look>,
    /// The last mark that was taken up, in order of the queue.
    pub(crate) taken: Option<(u64, Edge)>,
    /// Marks to take up next.
    pub(crate) pulled: VecDeque<(Edge, Mark)>,
    /// Edges whose mark outlived the operation on it: to be looked at anew.
    pub(crate) again: VecDeque<(Edge, u32)>,
    /// Edges whose look waits until the feed has told everything up to it, by that position.
    pub(crate) fenced: BTreeMap<Edge, Look>,
    /// Files that wait for what they vouch for, and directories whose rename waits for what is below them.
    pub(crate) barred: BTreeMap<Edge, Barred>,
    pub(crate) barred_by: BTreeMap<Blocker, BTreeSet<Edge>>,
    /// When the content of such a file was made, milliseconds since 1970: known once its copy is complete.
    pub(crate) made: BTreeMap<Edge, i64>,
    /// Deletions that wait for the operator, and whether something else is to come in the place.
    pub(crate) held: BTreeMap<Edge, bool>,
    /// Operations that wait while they hold their edge.
    pub(crate) waiting: VecDeque<(Edge, Waiting)>,
    /// Likewise, for a place among the copies.
    pub(crate) to_copy: VecDeque<(Edge, Entry)>,
    /// How many of these places are taken.
    pub(crate) copying: usize,
    /// The sum of what the operations have flushed, kept because it is asked for after every step.
    flushed_bytes: u64,
    pub(crate) claims: Claims,
    /// Moves under way.
    pub(crate) moves: BTreeMap<NodeId, Mover>,
    /// Edges where such a move puts a node, if it is not made by the edge's own operation. What is there is not known before
    /// it is over.
    pub(crate) arriving: BTreeMap<Edge, NodeId>,
    /// What the feed told and is not ingested yet.
    pub(crate) backlog: VecDeque<Event>,
    /// Position that the backlog leads to.
    pub(crate) backlog_to: u64,
    pub(crate) feeding: bool,
    /// Nodes whose place at the target is looked up after a crash: nothing else begins before that is known.
    pub(crate) probing: BTreeSet<NodeId>,
    pub(crate) purging: Option<NodeId>,
    /// Position of the source after the latest look of this process.
    pub(crate) seen: Option<u64>,
    /// The next that is to be purged, and the cursor when its time was over.
    pub(crate) due: Option<(NodeId, u64)>,
    pub coverage: Coverage,
    pub(crate) finished: bool,
    /// No copy is left over.
    pub(crate) tidy: bool,
}

impl Engine {
    /// An engine for a state that nobody else uses. Call [`Engine::recover`] next.
    pub fn new(limits: Limits, policy: Policy, rules: Rules) -> Self {
        Self {
            limits,
            policy,
            rules,
            now_ms: 0,
            survey: None,
            listing: BTreeMap::new(),
            tickets: 0,
            busy: BTreeMap::new(),
            node_locks: BTreeMap::new(),
            looks: BTreeMap::new(),
            taken: None,
            pulled: VecDeque::new(),
            again: VecDeque::new(),
            fenced: BTreeMap::new(),
            barred: BTreeMap::new(),
            barred_by: BTreeMap::new(),
            made: BTreeMap::new(),
            held: BTreeMap::new(),
            waiting: VecDeque::new(),
            to_copy: VecDeque::new(),
            copying: 0,
            flushed_bytes: 0,
            claims: Claims::default(),
            moves: BTreeMap::new(),
            arriving: BTreeMap::new(),
            backlog: VecDeque::new(),
            backlog_to: 0,
            feeding: false,
            probing: BTreeSet::new(),
            purging: None,
            seen: None,
            due: None,
            coverage: Coverage::default(),
            finished: false,
            tidy: false,
        }
    }

    /// One transaction of `state`. After an error (of the state, never of the migration) drop the engine and recover.
    pub fn step<S: State>(&mut self, state: &mut S, input: Input) -> Result<Vec<Effect>, S::Error> {
        let mut effects = Vec::new();
        match input {
            Input::Start { start, root, position } => {
                self.start(state, start, root, position, &mut effects)?
            }
            Input::Surveyed { directory, place, page } => {
                self.surveyed(state, (directory, place), page, &mut effects)?
            }
            Input::Refuse { start, missing, reason } => self.refuse(state, start, missing, &reason)?,
            Input::Fed(reading) => self.fed(state, reading)?,
            Input::Rescan { path } => self.rescan(state, &path)?,
            Input::RetryFailed => self.retry_failed(state)?,
            Input::ApproveDeletes => self.approve_deletes(state)?,
            Input::Tick { now_ms } => self.tick(state, now_ms, &mut effects)?,
            Input::Listed { directory, ticket, page, position } => {
                self.listed(state, &directory, ticket, page, position)?
            }
            Input::Looked { edge, found, position } => {
                self.looked(state, edge, found, position, &mut effects)?
            }
            Input::LookedCloser { edge, found } => self.looked_closer(state, edge, found, &mut effects)?,
            Input::DirectoryMade { edge, entry, outcome } => {
                self.directory_made(state, edge, entry, outcome, &mut effects)?
            }
            Input::AttributesSet { edge, entry, outcome } => {
                self.attributes_set(state, edge, entry, outcome)?
            }
            Input::Flushing { edge, offset, crc32c } => {
                self.flushing(state, edge, offset, crc32c, &mut effects)?
            }
            Input::Flushed { edge, offset } => self.has_flushed(&edge, offset),
            Input::Copied { edge, entry, outcome } => {
                self.copied(state, edge, entry, outcome, &mut effects)?
            }
            Input::Published { edge, entry, outcome } => {
                self.published(state, edge, entry, outcome, &mut effects)?
            }
            Input::Moved { node, outcome } => self.moved(state, &node, outcome, &mut effects)?,
            Input::Discarded { staging } => state.remove_garbage(&staging)?,
            Input::SetAside { edge, to, outcome } => self.set_aside(state, edge, to, outcome)?,
            Input::Probed { node, there } => self.probed(state, &node, there)?,
            Input::Purged { node, outcome } => self.purged(state, &node, outcome)?,
        }
        self.pump(state, &mut effects)?;
        if !state.run()?.phase.is_active() {
            // Answers still come in. What they would lead to at the target waits for the next start, which finds out.
            effects.retain(|effect| !effect.changes_target());
        }
        Ok(effects)
    }

    /// Bytes that are durable in staging and not yet counted as migrated.
    pub fn bytes_in_flight(&self) -> u64 {
        self.flushed_bytes
    }

    /// Deletions that wait for the operator.
    pub fn deletes_held(&self) -> usize {
        self.held.len()
    }

    /// Every change of the source up to this position is at the target; `None` before the first scan is over.
    pub fn watermark<S: State>(&self, state: &mut S) -> Result<Option<u64>, S::Error> {
        let run = state.run()?;
        let reached = match state.lowest_first()? {
            Some(first) => first.saturating_sub(1).min(run.cursor),
            None => run.cursor,
        };
        let scanned = run.phase == Phase::Live || reached >= run.scan_from;
        Ok((run.live && scanned).then_some(reached))
    }

    /// Begins as much as the limits allow; finds out when the run is complete.
    pub(crate) fn pump<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.finished || !self.probing.is_empty() || !state.run()?.phase.is_active() {
            return Ok(());
        }
        self.ingest_backlog(state, effects)?;
        self.resume_waiting(state, effects)?;
        while self.has_room() && state.run()?.phase.is_active() {
            if let Some((edge, attempt)) = self.again.pop_front() {
                self.look_up(state, edge, attempt, effects)?;
            } else if let Some((edge, look)) = self.next_passed(state)? {
                self.take(state, edge, look, effects)?;
            } else if self.is_crowded() {
                break;
            } else if let Some((edge, mark)) = self.next_mark(state)? {
                self.take_up(state, edge, mark, effects)?;
            } else {
                break;
            }
        }
        self.list_more(state, effects)?;
        self.read_feed(state, effects)?;
        self.conclude(state, effects)
    }

    /// Whether another operation may begin. Those that wait for others do not use the source or the target.
    fn has_room(&self) -> bool {
        self.busy.len().saturating_sub(self.count_waiting() + self.copying) < self.limits.operations
    }

    pub(crate) fn count_waiting(&self) -> usize {
        self.waiting.len() + self.to_copy.len()
    }

    /// Enough has been begun that waits for the feed or for its turn. (Files that vouch for others and deletions that are
    /// held may wait for what is still to be begun: they do not count.)
    fn is_crowded(&self) -> bool {
        self.count_waiting() + self.fenced.len() >= self.limits.waiting
    }

    fn conclude<S: State>(&mut self, state: &mut S, effects: &mut Vec<Effect>) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if run.live {
            if run.phase == Phase::Running
                && self.watermark(state)?.is_some()
                && state.fronts(None, 1)?.is_empty()
            {
                run.phase = Phase::Live;
                state.put_run(&run)?;
                effects.push(Effect::CaughtUp);
            }
            if !self.tidy && self.busy.is_empty() && state.count_marks()? == 0 {
                self.drop_orphans(state, effects)?;
                self.tidy = true;
            }
            return Ok(());
        }
        let idle = self.busy.is_empty()
            && self.listing.is_empty()
            && self.again.is_empty()
            && self.fenced.is_empty()
            && self.barred.is_empty();
        if run.phase == Phase::Running && idle && state.fronts(None, 1)?.is_empty() {
            debug_assert!(self.looks.is_empty());
            self.drop_orphans(state, effects)?;
            run.phase = Phase::Completed;
            state.put_run(&run)?;
            self.finished = true;
            effects.push(Effect::Finished);
        }
        Ok(())
    }

    /// The next mark in order of the queue. Those set while we go on stand behind it.
    fn next_mark<S: State>(&mut self, state: &mut S) -> Result<Option<(Edge, Mark)>, S::Error> {
        if self.pulled.is_empty() {
            self.pulled = state.marks_after(self.taken.as_ref(), 64)?.into();
        }
        let next = self.pulled.pop_front();
        if let Some((edge, mark)) = &next {
            self.taken = Some((mark.queued, edge.clone()));
        }
        Ok(next)
    }

    /// Begins with a mark that was just come upon.
    fn take_up<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        pulled: Mark,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let look = self.looks.remove(&edge);
        // It was cleared, or set anew and comes again.
        let Some(mark) = state.mark(&edge)?.filter(|mark| mark.queued == pulled.queued) else {
            return Ok(());
        };
        let look = look.filter(|look| look.generation == mark.generation);
        // The operation on it finds the newer mark when it ends.
        if self.rules.hold(Rule::EdgeLock) && self.busy.contains_key(&edge) {
            return Ok(());
        }
        // Whatever it waited for, it did so with an older look.
        self.fenced.remove(&edge);
        self.held.remove(&edge);
        self.unbar(&edge);
        match look {
            Some(look) => self.take(state, edge, look, effects),
            None => self.look_up(state, edge, 1, effects),
        }
    }

    /// Reconciles what was seen, if it is still an answer to the mark.
    fn take<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        look: Look,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(mark) = state.mark(&edge)? else { return Ok(()) };
        if self.rules.hold(Rule::EdgeLock) && self.busy.contains_key(&edge) {
            return Ok(());
        }
        if mark.generation != look.generation {
            return self.look_up(state, edge, 1, effects);
        }
        self.lock(&edge, mark, 1, look.cursor);
        self.reconcile(state, edge, look, effects)
    }

    pub(crate) fn look_up<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        attempt: u32,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(mark) = state.mark(&edge)? else { return Ok(()) };
        if self.rules.hold(Rule::EdgeLock) && self.busy.contains_key(&edge) {
            return Ok(());
        }
        self.fenced.remove(&edge);
        self.unbar(&edge);
        let cursor = state.run()?.cursor;
        self.lock(&edge, mark, attempt, cursor);
        effects.push(Effect::LookUp { edge });
        Ok(())
    }

    pub(crate) fn lock(&mut self, edge: &Edge, mark: Mark, attempt: u32, cursor: u64) {
        let busy = Busy {
            generation: mark.generation,
            deep: mark.deep,
            attempt,
            cursor,
            position: 0,
            flushed: 0,
            nodes: Vec::new(),
            copying: false,
            counted: 0,
            resumed: false,
            added: None,
        };
        self.tidy = false;
        if let Some(before) = self.busy.insert(edge.clone(), busy) {
            self.copying -= usize::from(before.copying);
            self.flushed_bytes -= before.flushed;
        }
    }

    /// So much of the edge's copy is durable in staging.
    pub(crate) fn has_flushed(&mut self, edge: &Edge, bytes: u64) {
        if let Some(busy) = self.busy.get_mut(edge) {
            self.flushed_bytes = self.flushed_bytes - busy.flushed + bytes;
            busy.flushed = bytes;
        }
    }

    /// Takes the node for the operation of this edge; `false`: another one has it.
    pub(crate) fn lock_node(&mut self, edge: &Edge, node: &NodeId) -> bool {
        if !self.rules.hold(Rule::NodeLock) {
            return true;
        }
        // The feed's rename takes it elsewhere: where it is afterwards is not known before that is over.
        if matches!(self.moves.get(node), Some(Mover::Feed { .. })) {
            return false;
        }
        match self.node_locks.get(node) {
            Some(holder) if holder == edge => true,
            Some(_) => false,
            None => {
                self.node_locks.insert(node.clone(), edge.clone());
                if let Some(busy) = self.busy.get_mut(edge) {
                    busy.nodes.push(node.clone());
                }
                true
            }
        }
    }

    /// Lets go of an edge and of everything that its operation held.
    pub(crate) fn unlock(&mut self, edge: &Edge) -> Option<Busy> {
        let busy = self.busy.remove(edge)?;
        self.copying -= usize::from(busy.copying);
        self.flushed_bytes -= busy.flushed;
        for node in &busy.nodes {
            self.node_locks.remove(node);
            self.wake(&Blocker::Node(node.clone()));
        }
        self.claims.release(edge);
        Some(busy)
    }

    /// Ends an operation whose edge is to be looked at again.
    pub(crate) fn later(&mut self, edge: Edge) {
        let attempt = self.unlock(&edge).map_or(1, |busy| busy.attempt);
        self.again.push_back((edge, attempt));
    }

    /// Ends the operation of an edge. The mark goes only if no newer one was set meanwhile (rule R5, invariant I4).
    pub(crate) fn settle<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        self.end(state, edge, true)
    }

    /// As [`Engine::settle`], where the target does not have what the mark is about: whoever answers for it knows of it.
    pub(crate) fn abandon<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        self.end(state, edge, false)
    }

    /// `reached`: the target has what was seen.
    fn end<S: State>(&mut self, state: &mut S, edge: &Edge, reached: bool) -> Result<(), S::Error> {
        let Some(busy) = self.unlock(edge) else { return Ok(()) };
        self.made.remove(edge);
        match state.mark(edge)? {
            Some(mark) if mark.generation != busy.generation && self.rules.hold(Rule::GenerationCheck) => {
                // What the older reasons were about is at the target now.
                let first = busy.added.filter(|_| reached).unwrap_or(mark.first);
                state.put_mark(edge, Mark { first, ..mark })?;
                self.again.push_back((edge.clone(), busy.attempt));
                self.coverage.outdated += 1;
            }
            Some(_) => {
                self.looks.remove(edge);
                state.clear_mark(edge)?;
            }
            None => {}
        }
        self.wake(&Blocker::Edge(edge.clone()));
        Ok(())
    }

    /// Gives an edge up for this run and says why. The rest goes on.
    pub(crate) fn give_up<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        cause: Cause,
        reason: &str,
    ) -> Result<(), S::Error> {
        self.note_failure(state, edge, cause, reason)?;
        self.coverage.given_up += 1;
        self.end(state, edge, false)
    }

    /// The operator should know of it.
    pub(crate) fn note_failure<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        cause: Cause,
        reason: &str,
    ) -> Result<(), S::Error> {
        let path = crate::paths::path_of(state, edge)?;
        let known = state.failed_at(edge)?;
        let (first, deep) = state.mark(edge)?.map_or((0, true), |mark| (mark.first, mark.deep));
        let first = known.as_ref().map_or(first, |known| known.first.min(first));
        let deep = deep || known.is_some_and(|known| known.deep);
        let new =
            state.put_failed(edge, &FailedEdge { path, cause, reason: reason.to_owned(), first, deep })?;
        let mut run = state.run()?;
        run.counters.files_failed += u64::from(new);
        if edge.is_root() && cause != Cause::AttributesTooLarge {
            run.phase = Phase::Failed;
        }
        state.put_run(&run)
    }

    /// The edge is as the source has it: it is not given up any more.
    pub(crate) fn forgive<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        if state.run()?.counters.files_failed > 0 && state.remove_failed(edge)? {
            let mut run = state.run()?;
            run.counters.files_failed = run.counters.files_failed.saturating_sub(1);
            state.put_run(&run)?;
            self.retry_vouching(state)?;
        }
        Ok(())
    }

    /// Sets a mark of a new generation for changes from this position on, which may not be at the target.
    pub(crate) fn set_mark<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        first: u64,
        deep: bool,
    ) -> Result<Mark, S::Error> {
        let mut run = state.run()?;
        run.generation += 1;
        state.put_run(&run)?;
        self.add_to_mark(state, edge, run.generation, first, deep)
    }

    /// The mark waits in the queue and has not been taken up.
    fn is_to_come(&self, edge: &Edge, mark: Mark) -> bool {
        self.taken.as_ref().is_none_or(|(queued, taken)| (*queued, taken) < (mark.queued, edge))
    }

    /// Adds a reason to the mark of an edge, of a generation that the caller made.
    pub(crate) fn add_to_mark<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        generation: u64,
        first: u64,
        deep: bool,
    ) -> Result<Mark, S::Error> {
        let run = state.run()?;
        let last = first.max(run.cursor);
        // Where something was removed to is no place of the source.
        if edge.is_trash() {
            return Ok(Mark { generation, queued: generation, first, last, deep });
        }
        if let Some(busy) = self.busy.get_mut(edge) {
            busy.added = Some(busy.added.map_or(first, |added| added.min(first)));
        }
        let mark = match state.mark(edge)? {
            Some(known) => Mark {
                generation,
                queued: if self.is_to_come(edge, known) { known.queued } else { generation },
                first: known.first.min(first),
                last: known.last.max(last),
                deep: known.deep || deep,
            },
            None => {
                // What was given up is still missing, since then.
                let failed = if run.counters.files_failed > 0 { state.failed_at(edge)? } else { None };
                match failed {
                    Some(failed) => Mark {
                        generation,
                        queued: generation,
                        first: failed.first.min(first),
                        last,
                        deep: failed.deep || deep,
                    },
                    None => Mark { generation, queued: generation, first, last, deep },
                }
            }
        };
        state.put_mark(edge, mark)?;
        Ok(mark)
    }

    /// Whether an operation may go ahead at the target; its claims are taken if so.
    pub(crate) fn claim(&mut self, edge: &Edge, claims: Vec<Claim>) -> bool {
        if !self.rules.hold(Rule::Claims) {
            return true;
        }
        let taken = self.claims.take(edge, claims);
        if !taken {
            self.coverage.collided += 1;
        }
        taken
    }

    pub(crate) fn reset(&mut self) {
        let fresh = Self::new(self.limits, self.policy.clone(), self.rules);
        let coverage = std::mem::take(&mut self.coverage);
        *self = Self { now_ms: self.now_ms, tickets: self.tickets, coverage, ..fresh };
    }
}
