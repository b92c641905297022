//! The engine itself: what is going on right now, and the choice of what to begin next.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use livedata_model::node::{Entry, NodeId};

use crate::effect::Effect;
use crate::input::Input;
use crate::state::{Edge, FailedEdge, Mark, Phase, State};

/// How much may go on at once. Memory is bounded by these, whatever the size of the tree.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Edges being worked on.
    pub operations: usize,
    /// Directories being listed.
    pub listings: usize,
    /// Listing pauses while this many looked-at entries wait.
    pub ready: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { operations: 32, listings: 4, ready: 4_000 }
    }
}

/// How often a file that changes while it is copied is tried again within one run.
pub(crate) const MAX_ATTEMPTS: u32 = 5;

/// An edge with what was last seen there.
#[derive(Clone, Debug)]
pub(crate) struct Ready {
    pub edge: Edge,
    pub entry: Entry,
    /// Of the mark that was set together with this look. A newer mark comes with a newer look of its own.
    pub generation: u64,
    pub attempt: u32,
}

/// The one operation of an edge (the edge lock).
#[derive(Clone, Copy, Debug)]
pub(crate) struct Busy {
    /// Generation of the mark when the operation began looking.
    pub generation: u64,
    pub attempt: u32,
    /// Bytes of the copy that are durable in staging.
    pub flushed: u64,
}

/// See the crate's head. Ordered collections only: equal inputs give equal effects.
#[derive(Debug)]
pub struct Engine {
    pub(crate) limits: Limits,
    pub(crate) listing: BTreeSet<NodeId>,
    pub(crate) busy: BTreeMap<Edge, Busy>,
    pub(crate) ready: VecDeque<Ready>,
    /// Directories being made: a node that a rename shows at two places must not be made at both.
    pub(crate) making: BTreeSet<NodeId>,
    /// Edges whose mark outlived the operation on it: to be looked at anew.
    pub(crate) again: VecDeque<(Edge, u32)>,
    /// Marks that an earlier process left are looked at in edge order; `None` when all were.
    pub(crate) leftover: Option<Option<Edge>>,
    /// A move waits until nothing else is going on at the target, and then runs alone.
    pub(crate) waiting_move: Option<(Edge, NodeId, u32)>,
    /// The attempt count of the edge whose move is under way.
    pub(crate) moving: Option<u32>,
    finished: bool,
}

impl Engine {
    /// An engine for a state that nobody else uses. Call [`Engine::recover`] next.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            listing: BTreeSet::new(),
            busy: BTreeMap::new(),
            ready: VecDeque::new(),
            making: BTreeSet::new(),
            again: VecDeque::new(),
            leftover: Some(None),
            waiting_move: None,
            moving: None,
            finished: false,
        }
    }

    /// One transaction of `state`. After an error (of the state, never of the migration) drop the engine and recover.
    pub fn step<S: State>(&mut self, state: &mut S, input: Input) -> Result<Vec<Effect>, S::Error> {
        let mut effects = Vec::new();
        match input {
            Input::Start { start, root } => self.start(state, start, root)?,
            Input::Refuse { start, missing, reason } => self.refuse(state, start, missing, &reason)?,
            Input::Listed { directory, page } => self.listed(state, &directory, page)?,
            Input::Looked { edge, found } => self.looked(state, edge, found, &mut effects)?,
            Input::DirectoryMade { edge, entry, outcome } => {
                self.directory_made(state, edge, entry, outcome)?
            }
            Input::AttributesSet { edge, entry, outcome } => {
                self.attributes_set(state, edge, entry, outcome)?
            }
            Input::Flushing { edge, offset, crc32c } => {
                self.flushing(state, edge, offset, crc32c, &mut effects)?
            }
            Input::Flushed { edge, offset } => self.flushed(&edge, offset),
            Input::Copied { edge, entry, outcome } => {
                self.copied(state, edge, entry, outcome, &mut effects)?
            }
            Input::Published { edge, entry, outcome } => {
                self.published(state, edge, entry, outcome, &mut effects)?
            }
            Input::Moved { outcome } => self.moved(state, outcome)?,
        }
        self.pump(state, &mut effects)?;
        Ok(effects)
    }

    /// Bytes that are durable in staging and not yet counted as migrated.
    pub fn bytes_in_flight(&self) -> u64 {
        self.busy.values().map(|busy| busy.flushed).sum()
    }

    /// Begins as much as the limits allow; finds out when the run is complete.
    pub(crate) fn pump<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.finished || self.moving.is_some() || state.run()?.phase != Phase::Running {
            return Ok(());
        }
        if self.waiting_move.is_some() && self.begin_move(state, effects)? {
            return Ok(());
        }
        while self.busy.len() < self.limits.operations && self.waiting_move.is_none() {
            if let Some((edge, attempt)) = self.again.pop_front() {
                self.look_up(state, edge, attempt, effects)?;
            } else if let Some(ready) = self.ready.pop_front() {
                self.take(state, ready, effects)?;
            } else if let Some(edge) = self.next_leftover(state)? {
                self.look_up(state, edge, 1, effects)?;
            } else {
                break;
            }
        }
        if self.waiting_move.is_some() {
            return if self.begin_move(state, effects)? { Ok(()) } else { self.pump(state, effects) };
        }
        self.list_more(state, effects)?;
        let idle = self.busy.is_empty()
            && self.listing.is_empty()
            && self.ready.is_empty()
            && self.again.is_empty()
            && self.waiting_move.is_none()
            && self.leftover.is_none();
        if idle {
            let mut run = state.run()?;
            run.phase = Phase::Completed;
            state.put_run(&run)?;
            self.finished = true;
            effects.push(Effect::Finished);
        }
        Ok(())
    }

    /// Reconciles a looked-at entry, unless its edge is being worked on (then its newer mark makes it come back).
    fn take<S: State>(
        &mut self,
        state: &mut S,
        ready: Ready,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.busy.contains_key(&ready.edge) {
            return Ok(());
        }
        // A mark that is gone was settled by an operation that looked later; a newer one has a newer look to go with.
        let Some(mark) = state.mark(&ready.edge)?.filter(|mark| mark.generation == ready.generation) else {
            return Ok(());
        };
        self.lock(&ready.edge, mark, ready.attempt);
        self.reconcile(state, ready.edge, ready.entry, effects)
    }

    fn look_up<S: State>(
        &mut self,
        state: &mut S,
        edge: Edge,
        attempt: u32,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.busy.contains_key(&edge) {
            return Ok(());
        }
        let Some(mark) = state.mark(&edge)? else { return Ok(()) };
        self.lock(&edge, mark, attempt);
        effects.push(Effect::LookUp { edge });
        Ok(())
    }

    /// The next mark of an earlier process. Those that are being worked on already are passed over.
    fn next_leftover<S: State>(&mut self, state: &mut S) -> Result<Option<Edge>, S::Error> {
        while let Some(after) = &self.leftover {
            let Some(edge) = state.marks(after.as_ref(), 1)?.pop() else {
                self.leftover = None;
                break;
            };
            self.leftover = Some(Some(edge.clone()));
            if !self.busy.contains_key(&edge) {
                return Ok(Some(edge));
            }
        }
        Ok(None)
    }

    pub(crate) fn lock(&mut self, edge: &Edge, mark: Mark, attempt: u32) {
        self.busy.insert(edge.clone(), Busy { generation: mark.generation, attempt, flushed: 0 });
    }

    /// Ends the operation of an edge. The mark goes only if no newer one was set meanwhile (rule R5, invariant I4).
    pub(crate) fn settle<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<(), S::Error> {
        let Some(busy) = self.busy.remove(edge) else { return Ok(()) };
        match state.mark(edge)? {
            Some(mark) if mark.generation == busy.generation => state.clear_mark(edge),
            Some(_) => {
                self.again.push_back((edge.clone(), busy.attempt));
                Ok(())
            }
            None => Ok(()),
        }
    }

    /// Gives an edge up for this run and says why. The rest goes on.
    pub(crate) fn give_up<S: State>(
        &mut self,
        state: &mut S,
        edge: &Edge,
        reason: &str,
    ) -> Result<(), S::Error> {
        let path = path_of(state, edge)?;
        state.put_failed(edge, &FailedEdge { path, reason: reason.to_owned() })?;
        let mut run = state.run()?;
        run.counters.files_failed += 1;
        if edge.is_root() {
            run.phase = Phase::Failed;
        }
        state.put_run(&run)?;
        self.settle(state, edge)
    }

    /// Sets a mark of a new generation.
    pub(crate) fn set_mark<S: State>(&mut self, state: &mut S, edge: &Edge) -> Result<Mark, S::Error> {
        let mut run = state.run()?;
        run.generation += 1;
        let mark = Mark { generation: run.generation };
        state.put_run(&run)?;
        state.put_mark(edge, mark)?;
        Ok(mark)
    }

    pub(crate) fn reset(&mut self) {
        *self = Self { leftover: None, ..Self::new(self.limits) };
    }
}

/// Path of an edge below the migration's root, as the target has its ancestors: `a/b/name`; empty for the root.
pub(crate) fn path_of<S: State>(state: &mut S, edge: &Edge) -> Result<String, S::Error> {
    let mut names = Vec::new();
    let mut at = edge.clone();
    while !at.is_root() {
        let parent = state.node(&at.directory)?;
        names.push(at.name);
        // A directory is listed only after it was made, so its node is there; without it the path ends here.
        let Some(node) = parent else { break };
        at = node.parent;
    }
    names.reverse();
    Ok(names.join("/"))
}
