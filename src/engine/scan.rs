//! R0, R2: beginning a run, and listing directories. A listing only marks edges and hands over what it saw as a first look.

use std::collections::BTreeSet;

use livedata_model::node::{Entry, EntryKind, NodeId};

use crate::barrier::Blocker;
use crate::effect::Effect;
use crate::input::{Cause, Failure, FailureKind};
use crate::machine::{Engine, Look};
use crate::paths::{Located, locate};
use crate::rules::Rule;
use crate::state::{Counters, Edge, FailedEdge, Front, NodeKind, Phase, State};

impl Engine {
    /// Begins a run: the root is marked, everything else follows from listing it.
    pub(crate) fn start<S: State>(
        &mut self,
        state: &mut S,
        start: u64,
        root: Entry,
        position: Option<u64>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if start <= run.start || run.phase.is_active() {
            return Ok(());
        }
        self.reset();
        if self.survey_first(state, start, &root.id, effects)? {
            return Ok(());
        }
        run.start = start;
        run.number += 1;
        run.phase = Phase::Running;
        run.live = position.is_some();
        run.cursor = position.unwrap_or(0).max(run.cursor);
        run.scan_from = run.cursor;
        run.counters = Counters::default();
        state.put_run(&run)?;
        state.clear_failed()?;
        let known = state.child(&Edge::root())?;
        if known.is_some_and(|known| known != root.id) {
            return self
                .root_is_missing(state, "another directory is there now than the one that was migrated");
        }
        self.set_mark(state, &Edge::root(), 0, true)?;
        self.find_out(state, effects)
    }

    pub(crate) fn refuse<S: State>(
        &mut self,
        state: &mut S,
        start: u64,
        missing: bool,
        reason: &str,
    ) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if start <= run.start || run.phase.is_active() {
            return Ok(());
        }
        run.start = start;
        run.number += 1;
        run.phase = if missing { Phase::RootMissing } else { Phase::Failed };
        run.counters = Counters::default();
        state.put_run(&run)?;
        state.clear_failed()?;
        state.put_failed(
            &Edge::root(),
            &FailedEdge {
                path: String::new(),
                cause: Cause::Other,
                reason: reason.to_owned(),
                first: 0,
                deep: true,
            },
        )?;
        Ok(())
    }

    /// Nothing is removed because of it: the run ends.
    pub(crate) fn root_is_missing<S: State>(&mut self, state: &mut S, reason: &str) -> Result<(), S::Error> {
        let mut run = state.run()?;
        run.phase = Phase::RootMissing;
        state.put_run(&run)?;
        state.put_failed(
            &Edge::root(),
            &FailedEdge {
                path: String::new(),
                cause: Cause::Other,
                reason: reason.to_owned(),
                first: 0,
                deep: true,
            },
        )?;
        self.finished = true;
        Ok(())
    }

    pub(crate) fn listed<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        ticket: u64,
        page: Result<(Vec<Entry>, Option<String>), Failure>,
        position: u64,
    ) -> Result<(), S::Error> {
        let Some(&(_, cursor)) = self.listing.get(directory).filter(|(asked, _)| *asked == ticket) else {
            return Ok(());
        };
        self.listing.remove(directory);
        self.seen = self.seen.max(Some(position));
        let Some(front) = state.front(directory)? else { return Ok(()) };
        let edge = match state.node(directory)? {
            Some(node) if !matches!(locate(state, &node.parent)?, Located::Lost) => node.parent,
            // Forgotten meanwhile: whoever finds it again lists it.
            _ => return self.remove_front(state, directory),
        };
        match page {
            Ok((entries, next)) => {
                self.mark_page(state, directory, &front, entries, next.as_deref(), (cursor, position))?;
                match next {
                    Some(after) => state.put_front(directory, &Front { after: Some(after), ..front }),
                    None => {
                        self.remove_front(state, directory)?;
                        let mut run = state.run()?;
                        run.counters.directories_scanned += 1;
                        state.put_run(&run)
                    }
                }
            }
            Err(Failure { kind: FailureKind::Stale, .. }) => {
                self.coverage.stale += 1;
                if self.rules.hold(Rule::StaleMarksDirectory) {
                    self.set_mark(state, &edge, front.first, true)?;
                }
                self.remove_front(state, directory)
            }
            Err(failure) => {
                self.remove_front(state, directory)?;
                let path = crate::paths::path_of(state, &edge)?;
                let first = state.failed_at(&edge)?.map_or(front.first, |known| known.first.min(front.first));
                let failed =
                    FailedEdge { path, cause: failure.cause(), reason: failure.reason, first, deep: true };
                let new = state.put_failed(&edge, &failed)?;
                let mut run = state.run()?;
                run.counters.files_failed += u64::from(new);
                if edge.is_root() {
                    run.phase = Phase::Failed;
                }
                state.put_run(&run)
            }
        }
    }

    pub(crate) fn remove_front<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
    ) -> Result<(), S::Error> {
        state.remove_front(directory)?;
        self.wake(&Blocker::Front(directory.clone()));
        Ok(())
    }

    /// Marks what is on the page, and what the target has between the page's names.
    fn mark_page<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        front: &Front,
        entries: Vec<Entry>,
        next: Option<&str>,
        (cursor, position): (u64, u64),
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
        let generation = run.generation;
        if self.rules.hold(Rule::MarkUnlisted) {
            let listed: BTreeSet<&str> = entries.iter().map(|entry| entry.name.as_str()).collect();
            let mut after = front.after.clone();
            loop {
                let known = state.children(directory, after.as_deref(), 1_000)?;
                let Some((last, _)) = known.last() else { break };
                after = Some(last.clone());
                let past = next.is_some_and(|next| last.as_str() > next);
                for (name, id) in known {
                    if next.is_none_or(|next| name.as_str() <= next) && !listed.contains(name.as_str()) {
                        let edge = Edge { directory: directory.clone(), name };
                        // It may be renamed before it is looked at.
                        let deep = is_directory(state, &id)?;
                        self.add_to_mark(state, &edge, generation, front.first, deep)?;
                    }
                }
                if past {
                    break;
                }
            }
            // What was seen there before, and is being acted upon, is not so any more.
            for edge in self.seen_in(directory, front.after.as_deref(), next) {
                if !listed.contains(edge.name.as_str()) && state.mark(&edge)?.is_some() {
                    self.add_to_mark(state, &edge, generation, front.first, false)?;
                }
            }
        }
        for entry in entries {
            let edge = Edge { directory: directory.clone(), name: entry.name.clone() };
            // New directories are listed in any case.
            let known = entry.kind == EntryKind::Directory && state.node(&entry.id)?.is_some();
            let deep = known
                || match state.child(&edge)? {
                    Some(id) => is_directory(state, &id)?,
                    None => false,
                };
            self.add_to_mark(state, &edge, generation, front.first, deep)?;
            self.looks.insert(edge, Look { found: Some(entry), position, cursor, generation });
        }
        Ok(())
    }

    /// Names of a page about which something is being done because of an earlier look.
    fn seen_in(&self, directory: &NodeId, after: Option<&str>, next: Option<&str>) -> BTreeSet<Edge> {
        let from = Edge { directory: directory.clone(), name: after.unwrap_or_default().to_owned() };
        let within =
            |edge: &&Edge| edge.directory == *directory && next.is_none_or(|next| edge.name.as_str() <= next);
        let busy = self.busy.range(from.clone()..).map(|(edge, _)| edge).take_while(within);
        let fenced = self.fenced.range(from.clone()..).map(|(edge, _)| edge).take_while(within);
        let looks = self.looks.range(from..).map(|(edge, _)| edge).take_while(within);
        let past = |edge: &&Edge| after.is_none_or(|after| edge.name.as_str() > after);
        busy.chain(fenced).chain(looks).filter(past).cloned().collect()
    }

    pub(crate) fn list_more<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let crowded = self.looks.len() + self.count_waiting() >= self.limits.waiting;
        if self.listing.len() >= self.limits.listings || crowded || !state.run()?.phase.is_active() {
            return Ok(());
        }
        let cursor = state.run()?.cursor;
        // Those being listed are still on the frontier, hence the larger limit.
        for (directory, front) in state.fronts(None, self.limits.listings * 2)? {
            if self.listing.len() >= self.limits.listings {
                break;
            }
            if self.listing.contains_key(&directory) {
                continue;
            }
            self.tickets += 1;
            let ticket = self.tickets;
            self.listing.insert(directory.clone(), (ticket, cursor));
            effects.push(Effect::List { directory, after: front.after, ticket });
        }
        Ok(())
    }

    /// Puts a directory on the frontier, from its beginning. A page under way is of no use then: it may be of names that
    /// come before what has to be seen again.
    pub(crate) fn scan_directory<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        first: u64,
    ) -> Result<(), S::Error> {
        self.listing.remove(directory);
        let first = state.front(directory)?.map_or(first, |front| front.first.min(first));
        state.put_front(directory, &Front { after: None, first })
    }
}

fn is_directory<S: State>(state: &mut S, id: &NodeId) -> Result<bool, S::Error> {
    Ok(state.node(id)?.is_some_and(|node| node.kind == NodeKind::Directory))
}
