//! 2.1: what the target has already. A migration whose journal is new may not be: an earlier agent, or a journal that is
//! gone, has put things there that carry their source's ids and versions. Before its first run the engine has the target
//! listed and takes what is ours for known, as if it had put it there itself: what is equal is not copied again, and what
//! vanished at the source meanwhile is removed, by the rules that hold for every removal.
//!
//! A survey remembers nothing but what it found. When it ends, or is cut off by a crash, the run begins as any other, or the
//! survey does, with a look at the root.

use livedata_model::node::{ContentVersion, NodeId};

use crate::deletes::trashed;
use crate::effect::{Effect, Place};
use crate::input::{Failure, Survey, There};
use crate::machine::Engine;
use crate::rules::Rule;
use crate::state::{Edge, Node, NodeKind, State, UNKNOWN};

/// A survey under way.
#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Surveyor {
    /// The operator's start that it precedes.
    start: u64,
    /// Directories of the target, by the nodes that they are copies of, and where their next page begins. The latest first:
    /// so there are never more of them than pages on the way down hold.
    to_list: Vec<(NodeId, Place, Option<String>)>,
    listing: Vec<(NodeId, Place)>,
}

impl Engine {
    /// Whether the run has to wait for a survey, which is begun.
    pub(crate) fn survey_first<S: State>(
        &mut self,
        state: &mut S,
        start: u64,
        root: &NodeId,
        effects: &mut Vec<Effect>,
    ) -> Result<bool, S::Error> {
        if state.run()?.surveyed || !self.rules.hold(Rule::Survey) {
            return Ok(false);
        }
        // One that was cut off left half of what it found.
        for found in [state.child(&Edge::root())?, Some(Edge::trash_directory())].into_iter().flatten() {
            state.remove_subtree(&found)?;
        }
        let trash = (Edge::trash_directory(), Place::Trash(String::new()), None);
        let tree = (root.clone(), Place::Tree(String::new()), None);
        self.survey = Some(Surveyor { start, to_list: vec![tree, trash], listing: Vec::new() });
        self.survey_more(state, effects)?;
        Ok(true)
    }

    /// What the target has is being looked at; the run begins when that is over.
    pub fn is_surveying(&self) -> bool {
        self.survey.is_some()
    }

    fn survey_more<S: State>(&mut self, state: &mut S, effects: &mut Vec<Effect>) -> Result<(), S::Error> {
        let Some(survey) = &mut self.survey else { return Ok(()) };
        while survey.listing.len() < self.limits.listings
            && let Some((directory, place, after)) = survey.to_list.pop()
        {
            survey.listing.push((directory.clone(), place.clone()));
            effects.push(Effect::Survey { directory, place, after });
        }
        if survey.listing.is_empty() {
            let start = survey.start;
            self.survey = None;
            let mut run = state.run()?;
            run.surveyed = true;
            state.put_run(&run)?;
            effects.push(Effect::Resolve { start });
        }
        Ok(())
    }

    pub(crate) fn surveyed<S: State>(
        &mut self,
        state: &mut S,
        (directory, place): (NodeId, Place),
        page: Result<Option<Survey>, Failure>,
        effects: &mut Vec<Effect>,
    ) -> Result<(), S::Error> {
        let Some(survey) = &mut self.survey else { return Ok(()) };
        // One of a survey that was given up may answer late: the same was asked for again, or is nobody's business.
        let Some(at) = survey.listing.iter().position(|(of, at)| (of, at) == (&directory, &place)) else {
            return Ok(());
        };
        survey.listing.swap_remove(at);
        let page = match page {
            Ok(page) => page,
            Err(failure) if failure.is_final() => {
                let start = survey.start;
                self.survey = None;
                let reason = format!(
                    "what the target has already cannot be seen: {}; start the migration again when it can",
                    failure.reason
                );
                return self.refuse(state, start, false, &reason);
            }
            Err(_) => None,
        };
        if let Some(Survey { found, next }) = page {
            if let Some(after) = next {
                survey.to_list.push((directory.clone(), place.clone(), Some(after)));
            }
            match &place {
                Place::Tree(path) => self.known_there(state, &directory, path, found)?,
                Place::Trash(_) => {
                    found.into_iter().try_for_each(|(name, _)| self.trashed_there(state, name))?;
                }
            }
        }
        self.survey_more(state, effects)
    }

    /// It is purged when its time is over. What has another name than ours is not ours.
    fn trashed_there<S: State>(&mut self, state: &mut S, name: String) -> Result<(), S::Error> {
        let Some((_, generation)) = trashed(&name) else { return Ok(()) };
        let mut run = state.run()?;
        // Names are never used twice.
        run.generation = run.generation.max(generation);
        state.put_run(&run)?;
        self.remember_in_trash(state, name)
    }

    /// What is in a directory that is ours, and carries the id of a node, is taken for known. Its attributes are not.
    fn known_there<S: State>(
        &mut self,
        state: &mut S,
        directory: &NodeId,
        path: &str,
        found: Vec<(String, There)>,
    ) -> Result<(), S::Error> {
        let remembered = |parent: Edge, kind: NodeKind| Node {
            parent,
            kind,
            attributes: UNKNOWN,
            modified_ms: 0,
            run: 0,
            seen: 0,
        };
        if path.is_empty() {
            state.put_node(directory, &remembered(Edge::root(), NodeKind::Directory))?;
        }
        for (name, there) in found {
            let Some(id) = there.node else { continue };
            let edge = Edge { directory: directory.clone(), name: name.clone() };
            // Two things of one node: one of them is a copy that something or somebody left over.
            let taken = state.node(&id)?.is_some_and(|known| known.parent != edge);
            let id = if taken { self.made_up_id(state)? } else { id };
            let kind = if there.is_directory {
                NodeKind::Directory
            } else {
                let version = there.version.unwrap_or_else(|| ContentVersion::from_bytes([]));
                NodeKind::File { version, length_bytes: there.length_bytes, crc32c: None, etag: there.etag }
            };
            if there.is_directory
                && let Some(survey) = &mut self.survey
            {
                let below = if path.is_empty() { name } else { format!("{path}/{name}") };
                survey.to_list.push((id.clone(), Place::Tree(below), None));
            }
            self.coverage.surveyed += 1;
            state.put_node(&id, &remembered(edge, kind))?;
        }
        Ok(())
    }
}
