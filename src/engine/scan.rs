//! R2: listing directories. A listing only marks edges and hands over what it saw as a first look.

use livedata_model::node::{Entry, EntryKind, NodeId};

use crate::effect::Effect;
use crate::input::{Failure, FailureKind};
use crate::machine::{Engine, Ready};
use crate::state::{Counters, Edge, FailedEdge, Mark, Phase, State};

impl Engine {
    /// Begins a run: the root is marked, everything else follows from listing it.
    pub(crate) fn start<S: State>(&mut self, state: &mut S, start: u64, root: Entry) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if start <= run.start || run.phase == Phase::Running {
            return Ok(());
        }
        self.reset();
        run.start = start;
        run.number += 1;
        run.phase = Phase::Running;
        run.counters = Counters::default();
        state.put_run(&run)?;
        state.clear_failed()?;
        let mark = self.set_mark(state, &Edge::root())?;
        self.ready.push_back(Ready {
            edge: Edge::root(),
            entry: root,
            generation: mark.generation,
            attempt: 1,
        });
        Ok(())
    }

    pub(crate) fn refuse<S: State>(
        &mut self,
        state: &mut S,
        start: u64,
        missing: bool,
        reason: &str,
    ) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if start <= run.start || run.phase == Phase::Running {
            return Ok(());
        }
        run.start = start;
        run.number += 1;
        run.phase = if missing { Phase::RootMissing } else { Phase::Failed };
        run.counters = Counters::default();
        state.put_run(&run)?;
        state.clear_failed()?;
        state.put_failed(&Edge::root(), &FailedEdge { path: String::new(), reason: reason.to_owned() })
    }

    pub(crate) fn listed<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        page: Result<(Vec<Entry>, Option<String>), Failure>,
    ) -> Result<(), S::Error> {
        if !self.listing.remove(directory) {
            return Ok(());
        }
        match page {
            Ok((entries, next)) => {
                self.mark_page(state, directory, entries)?;
                let mut run = state.run()?;
                if let Some(after) = next {
                    state.put_front(directory, Some(&after))?;
                } else {
                    state.remove_front(directory)?;
                    run.counters.directories_scanned += 1;
                    state.put_run(&run)?;
                }
                Ok(())
            }
            // It vanished while we listed it: its parent's edge was looked at before that, and without a change feed
            // nothing at the target is removed.
            Err(Failure { kind: FailureKind::Stale, .. }) => state.remove_front(directory),
            Err(failure) => {
                state.remove_front(directory)?;
                match state.node(directory)? {
                    Some(node) => self.give_up(state, &node.parent, &failure.reason),
                    None => Ok(()),
                }
            }
        }
    }

    fn mark_page<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        entries: Vec<Entry>,
    ) -> Result<(), S::Error> {
        let mut run = state.run()?;
        for entry in &entries {
            match &entry.kind {
                EntryKind::File { length_bytes, .. } => {
                    run.counters.files_scanned += 1;
                    run.counters.bytes_scanned += length_bytes;
                }
                EntryKind::Symlink | EntryKind::Unsupported { .. } => run.counters.files_scanned += 1,
                EntryKind::Directory => {}
            }
        }
        // One generation for the page: nothing can come between its marks.
        run.generation += 1;
        state.put_run(&run)?;
        let mark = Mark { generation: run.generation };
        for entry in entries {
            let edge = Edge { directory: directory.clone(), name: entry.name.clone() };
            state.put_mark(&edge, mark)?;
            self.ready.push_back(Ready { edge, entry, generation: mark.generation, attempt: 1 });
        }
        Ok(())
    }

    pub(crate) fn list_more<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.listing.len() >= self.limits.listings || self.ready.len() >= self.limits.ready {
            return Ok(());
        }
        // Those being listed are still on the frontier, hence the larger limit.
        for (directory, after) in state.fronts(self.limits.listings * 2)? {
            if self.listing.len() >= self.limits.listings {
                break;
            }
            if self.listing.insert(directory.clone()) {
                effects.push(Effect::List { directory, after });
            }
        }
        Ok(())
    }
}
