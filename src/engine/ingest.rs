//! R1, R6: the change feed. An event marks the names that it is about; a rename besides moves what the target has, if that
//! is surely what was renamed. Nothing is ever replayed: what is there is decided by looking.

use livedata_model::feed::{Change, Event, Reading};
use livedata_model::node::NodeId;

use crate::claims::{Claim, is_below};
use crate::effect::{Effect, Expected, Place};
use crate::machine::Engine;
use crate::moves::Mover;
use crate::paths::{Located, Resolved, Scope, is_within, locate, resolve, scope};
use crate::rules::Rule;
use crate::state::{Edge, Intent, Node, NodeKind, State};

/// Renames that are followed at the same time.
const MOST_FOLLOWED: usize = 32;

/// A rename that the target can follow at once.
struct Follow {
    node: NodeId,
    from: Place,
    to: Place,
    etag: Option<String>,
    replaced: Option<(NodeId, String)>,
}

/// What a rename at the source means for the target.
enum Rename {
    Follow(Follow),
    /// The object is not surely known: looks will tell.
    Look,
    /// What would be moved is being worked on: a moment, please.
    NotYet,
}

impl Engine {
    pub(crate) fn read_feed<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let run = state.run()?;
        if run.live && self.backlog.is_empty() && !self.feeding && run.phase.is_active() {
            self.feeding = true;
            effects.push(Effect::ReadFeed { after: run.cursor });
        }
        Ok(())
    }

    pub(crate) fn fed<S: State>(&mut self, state: &mut S, reading: Reading) -> Result<(), S::Error> {
        self.feeding = false;
        let mut run = state.run()?;
        match reading {
            Reading::Events { events, read_to } => {
                self.backlog_to = read_to.0;
                self.backlog = events.into_iter().filter(|event| event.position.0 > run.cursor).collect();
                if self.backlog.is_empty() && read_to.0 > run.cursor {
                    run.cursor = read_to.0;
                    state.put_run(&run)?;
                }
                Ok(())
            }
            Reading::Gap { resume_at, .. } => {
                // What was lost may be as old as this; what is open below may turn up under other names.
                let first = self.oldest_open(state, run.cursor + 1)?;
                run.cursor = resume_at.0.max(run.cursor);
                run.counters.gaps += 1;
                state.put_run(&run)?;
                self.coverage.gaps += 1;
                if self.rules.hold(Rule::GapRescan) {
                    self.set_mark(state, &Edge::root(), first, true)?;
                }
                Ok(())
            }
        }
    }

    /// Ingests in order, as far as no rename has to wait. Renames that are on their way at the target do not hold up what
    /// has nothing to do with them: what they moved is found at its new name only when they are over.
    pub(crate) fn ingest_backlog<S: State>(
        &mut self,
        state: &mut S,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        if self.moves.values().any(|mover| matches!(mover, Mover::Recovery)) {
            return Ok(());
        }
        let mut followed = self.moves.values().filter(|mover| matches!(mover, Mover::Feed { .. })).count();
        let crowded = !self.backlog.is_empty() && state.count_marks()? > self.limits.marks;
        if crowded {
            self.ingest_coarsely(state)?;
        }
        while let Some(event) = self.backlog.front().cloned() {
            if self.is_of_a_move(&event) && self.rules.hold(Rule::FeedWaitsForMoves) {
                self.coverage.collided += 1;
                return Ok(());
            }
            let following = match &event.change {
                Change::Renamed { .. } if followed >= MOST_FOLLOWED => return Ok(()),
                Change::Renamed { from, to } => match self.renamed(state, event.position.0, from, to)? {
                    Rename::NotYet => {
                        self.coverage.collided += 1;
                        return Ok(());
                    }
                    Rename::Look => None,
                    Rename::Follow(follow) => Some(follow),
                },
                _ => None,
            };
            self.backlog.pop_front();
            self.coverage.events += 1;
            self.mark_event(state, &event, following.is_some())?;
            let last_at_position = self.backlog.front().is_none_or(|next| next.position.0 > event.position.0);
            let mut run = state.run()?;
            // Events of one position count together: a crash between them must not lose the rest.
            if last_at_position {
                run.cursor = if self.backlog.is_empty() { self.backlog_to } else { event.position.0 };
                state.put_run(&run)?;
            }
            if let Some(follow) = following {
                followed += 1;
                self.follow(state, follow, &event, effects)?;
            }
        }
        Ok(())
    }

    /// Whether an event is about a name that a rename on its way takes away or brings, or about one below such a name.
    fn is_of_a_move(&self, event: &Event) -> bool {
        let paths = match &event.change {
            Change::Touched { path } | Change::Unwatched { path } | Change::TimesSet { path, .. } => {
                [path, path]
            }
            Change::Renamed { from, to } => [from, to],
        };
        let followed = self.moves.values().filter_map(|mover| match mover {
            Mover::Feed { from, to } => Some([from, to]),
            Mover::Recovery | Mover::Edge(..) => None,
        });
        let touches = |moved: &String| paths.into_iter().any(|path| path == moved || is_below(path, moved));
        followed.flatten().any(touches)
    }

    /// Since when something may be missing at the target, at this position.
    fn oldest_open<S: State>(&mut self, state: &mut S, position: u64) -> Result<u64, S::Error> {
        Ok(state.lowest_first()?.map_or(position, |first| first.min(position)))
    }

    /// Too many names to remember each: everything will be looked at.
    fn ingest_coarsely<S: State>(&mut self, state: &mut S) -> Result<(), S::Error> {
        self.coverage.coarser += 1;
        let first = self.backlog.front().map_or(self.backlog_to, |event| event.position.0);
        let first = self.oldest_open(state, first)?;
        self.backlog.clear();
        let mut run = state.run()?;
        run.cursor = self.backlog_to.max(run.cursor);
        state.put_run(&run)?;
        self.set_mark(state, &Edge::root(), first, true)?;
        Ok(())
    }

    /// Marks all names of an event.
    fn mark_event<S: State>(&mut self, state: &mut S, event: &Event, followed: bool) -> Result<(), S::Error> {
        let at = event.position.0;
        match &event.change {
            Change::Touched { path } => self.mark_path(state, path, at, false),
            Change::Unwatched { path } => self.mark_path(state, path, at, true),
            Change::TimesSet { path, modified_ms } => {
                if self.holds_time(state, path, *modified_ms)? {
                    return Ok(());
                }
                self.mark_path(state, path, at, false)
            }
            Change::Renamed { from, to } => {
                if followed && !self.rules.hold(Rule::MarkBothNames) {
                    return Ok(());
                }
                // What was to be looked at below a followed one goes with it when it is moved.
                let deep = !followed && self.rules.hold(Rule::DeepOnImpureRename);
                self.coverage.impure_renames += u64::from(!followed);
                // What is not at the target yet goes by the new name from now on.
                let since = match scope(&self.policy.root_path, from) {
                    _ if !self.rules.hold(Rule::OpenFollowsRename) => None,
                    Scope::Inside(names) if followed => {
                        let edge = resolve(state, &names)?.edge;
                        let mark = state.mark(&edge)?.map(|mark| mark.first);
                        self.deep_since(state, &edge)?.into_iter().chain(mark).min()
                    }
                    Scope::Inside(_) => Some(self.oldest_open(state, at)?),
                    Scope::Outside | Scope::Root => None,
                };
                self.mark_path(state, from, at, false)?;
                self.mark_path(state, to, since.map_or(at, |since| since.min(at)), deep)
            }
        }
    }

    fn mark_path<S: State>(
        &mut self,
        state: &mut S,
        path: &str,
        position: u64,
        deep: bool,
    ) -> Result<(), S::Error> {
        let root_path = self.policy.root_path.clone();
        let edge = match scope(&root_path, path) {
            Scope::Outside => return Ok(()),
            Scope::Root => Edge::root(),
            Scope::Inside(names) => {
                let Resolved { edge, exact } = resolve(state, &names)?;
                if !exact {
                    self.coverage.below_unknown += 1;
                    if !self.rules.hold(Rule::MarkDeepestKnown) {
                        return Ok(());
                    }
                }
                edge
            }
        };
        self.set_mark(state, &edge, position, deep)?;
        Ok(())
    }

    /// Our own reading of a file sets its access time, which the source tells as well.
    fn holds_time<S: State>(
        &mut self,
        state: &mut S,
        path: &str,
        modified_ms: i64,
    ) -> Result<bool, S::Error> {
        let root_path = self.policy.root_path.clone();
        let Scope::Inside(names) = scope(&root_path, path) else { return Ok(false) };
        let Resolved { edge, exact: true } = resolve(state, &names)? else { return Ok(false) };
        let Some(id) = state.child(&edge)? else { return Ok(false) };
        Ok(state.mark(&edge)?.is_none()
            && state.node(&id)?.is_some_and(|node| node.kind.is_file() && node.modified_ms == modified_ms))
    }

    /// Whether what the target has at `from` is surely what was renamed, and can be moved now.
    fn renamed<S: State>(
        &mut self,
        state: &mut S,
        position: u64,
        from: &str,
        to: &str,
    ) -> Result<Rename, S::Error> {
        let root_path = self.policy.root_path.clone();
        let (Scope::Inside(from), Scope::Inside(to)) = (scope(&root_path, from), scope(&root_path, to))
        else {
            return Ok(Rename::Look);
        };
        let (from, to) = (resolve(state, &from)?, resolve(state, &to)?);
        if !from.exact || !to.exact || from.edge == to.edge {
            return Ok(Rename::Look);
        }
        let Some(id) = state.child(&from.edge)? else { return Ok(Rename::Look) };
        let Some(node) = state.node(&id)? else { return Ok(Rename::Look) };
        let before = |node: &Node| node.seen < position || !self.rules.hold(Rule::MoveOnlySeenBefore);
        if !before(&node) || is_within(state, &to.edge.directory, &id)? {
            return Ok(Rename::Look);
        }
        let replaced = match state.child(&to.edge)? {
            None => None,
            Some(other) => match state.node(&other)? {
                Some(there) => match there.kind.etag().filter(|_| node.kind.is_file()) {
                    Some(etag) if before(&there) => Some((other, etag)),
                    _ => return Ok(Rename::Look),
                },
                None => return Ok(Rename::Look),
            },
        };
        if node.kind == NodeKind::Directory && self.may_be_changed_below(state, &id, position)? {
            self.coverage.rename_barred += 1;
            return Ok(Rename::Look);
        }
        let (Located::Tree(from), Located::Tree(to)) = (locate(state, &from.edge)?, locate(state, &to.edge)?)
        else {
            return Ok(Rename::Look);
        };
        // By its new name it may vouch for others: tables commit in that way.
        if node.kind.is_file() && self.vouches(&to).is_some() && self.rules.hold(Rule::Barrier) {
            return Ok(Rename::Look);
        }
        let (from, to) = (Place::Tree(from), Place::Tree(to));
        let locked = self.moves.contains_key(&id)
            || replaced.as_ref().is_some_and(|(other, _)| self.moves.contains_key(other));
        let claims = vec![Claim::subtree(&from), Claim::subtree(&to)];
        if locked || !self.claim(&feed_edge(&id), claims) {
            return Ok(Rename::NotYet);
        }
        Ok(Rename::Follow(Follow { node: id, from, to, etag: node.kind.etag(), replaced }))
    }

    /// Issues the move. Cursor, marks and the intent are one transaction.
    fn follow<S: State>(
        &mut self,
        state: &mut S,
        follow: Follow,
        event: &Event,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Change::Renamed { from, to } = &event.change else { return Ok(()) };
        let root_path = self.policy.root_path.clone();
        let Scope::Inside(names) = scope(&root_path, to) else { return Ok(()) };
        let to_edge = resolve(state, &names)?.edge;
        self.arriving.insert(to_edge.clone(), follow.node.clone());
        state.put_intent(&follow.node, &Intent::Move { to: to_edge })?;
        self.moves.insert(follow.node.clone(), Mover::Feed { from: from.clone(), to: to.clone() });
        self.coverage.moved_at_once += 1;
        let (expected, replaces) = match follow.replaced {
            None => (Expected::Absent, None),
            Some((other, etag)) => (Expected::Etag(etag), Some(other)),
        };
        effects.push(Effect::Move {
            node: follow.node,
            from: follow.from,
            to: follow.to,
            etag: follow.etag,
            expected,
            replaces: replaces.filter(|_| self.rules.hold(Rule::AliveCheck)),
        });
        Ok(())
    }

    /// The operator wants a path looked at again, with everything below.
    pub(crate) fn rescan<S: State>(&mut self, state: &mut S, path: &str) -> Result<(), S::Error> {
        let run = state.run()?;
        if !run.phase.is_active() {
            return Ok(());
        }
        let root_path = self.policy.root_path.clone();
        let edge = match scope(&root_path, path) {
            Scope::Outside => return Ok(()),
            Scope::Root => Edge::root(),
            Scope::Inside(names) => resolve(state, &names)?.edge,
        };
        self.set_mark(state, &edge, run.cursor, true)?;
        Ok(())
    }

    pub(crate) fn retry_failed<S: State>(&mut self, state: &mut S) -> Result<(), S::Error> {
        let mut run = state.run()?;
        if !run.phase.is_active() {
            return Ok(());
        }
        run.generation += 1;
        state.put_run(&run)?;
        let mut after = None;
        loop {
            let failed = state.failed(after.as_ref(), 1_000)?;
            // They stay on the list until they are there, or until it is known that they still cannot be.
            let Some((last, _)) = failed.last() else { return Ok(()) };
            after = Some(last.clone());
            for (edge, _) in failed {
                self.add_to_mark(state, &edge, run.generation, run.cursor, true)?;
            }
        }
    }
}

/// Under this name the feed's rename of a node claims paths.
pub(crate) fn feed_edge(id: &NodeId) -> Edge {
    Edge { directory: Edge::trash_directory(), name: format!("\0feed/{}", id.to_hex()) }
}
