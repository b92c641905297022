//! The state as plain maps, for tests and simulations. A transaction is a clone that is put back or not.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::ops::Bound;

use livedata_model::node::NodeId;

use crate::state::{Edge, FailedEdge, Front, InFlight, Intent, Mark, Node, Run, State};

#[derive(Clone, Debug, Default, Hash)]
pub struct MemoryState {
    run: Run,
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeMap<Edge, NodeId>,
    marks: BTreeMap<Edge, Mark>,
    by_queue: BTreeSet<(u64, Edge)>,
    by_first: BTreeSet<(u64, Edge)>,
    fronts: BTreeMap<NodeId, Front>,
    in_flight: BTreeMap<NodeId, InFlight>,
    garbage: BTreeSet<String>,
    intents: BTreeMap<NodeId, Intent>,
    failed: BTreeMap<Edge, FailedEdge>,
}

impl MemoryState {
    /// Of a migration whose target is known to be empty.
    pub fn surveyed() -> Self {
        Self { run: Run { surveyed: true, ..Run::default() }, ..Self::default() }
    }

    pub fn given_up(&self) -> impl Iterator<Item = (&Edge, &FailedEdge)> {
        self.failed.iter()
    }

    pub fn nodes(&self) -> &BTreeMap<NodeId, Node> {
        &self.nodes
    }

    /// What is still to be done, for whoever asks why a run does not end.
    pub fn open(&self) -> (Vec<(&Edge, &Mark)>, Vec<&NodeId>) {
        (self.marks.iter().collect(), self.fronts.keys().collect())
    }

    fn subtree(&self, id: &NodeId) -> Vec<NodeId> {
        let mut found = vec![id.clone()];
        let mut at = 0;
        while let Some(directory) = found.get(at).cloned() {
            found.extend(self.below(&directory, None).map(|(_, id)| id.clone()));
            at += 1;
        }
        found
    }

    fn below(&self, directory: &NodeId, after: Option<&str>) -> impl Iterator<Item = (&Edge, &NodeId)> {
        let from = match after {
            None => Bound::Included(Edge { directory: directory.clone(), name: String::new() }),
            Some(name) => Bound::Excluded(Edge { directory: directory.clone(), name: name.to_owned() }),
        };
        let directory = directory.clone();
        self.edges.range((from, Bound::Unbounded)).take_while(move |(edge, _)| edge.directory == directory)
    }
}

impl State for MemoryState {
    type Error = Infallible;

    fn run(&mut self) -> Result<Run, Infallible> {
        Ok(self.run.clone())
    }

    fn put_run(&mut self, run: &Run) -> Result<(), Infallible> {
        self.run = run.clone();
        Ok(())
    }

    fn node(&mut self, id: &NodeId) -> Result<Option<Node>, Infallible> {
        Ok(self.nodes.get(id).cloned())
    }

    fn put_node(&mut self, id: &NodeId, node: &Node) -> Result<(), Infallible> {
        if let Some(old) = self.nodes.insert(id.clone(), node.clone())
            && self.edges.get(&old.parent) == Some(id)
        {
            self.edges.remove(&old.parent);
        }
        if let Some(other) = self.edges.insert(node.parent.clone(), id.clone()).filter(|other| other != id) {
            self.nodes.remove(&other);
        }
        Ok(())
    }

    fn remove_subtree(&mut self, id: &NodeId) -> Result<(), Infallible> {
        for id in self.subtree(id) {
            if let Some(node) = self.nodes.remove(&id)
                && self.edges.get(&node.parent) == Some(&id)
            {
                self.edges.remove(&node.parent);
            }
        }
        Ok(())
    }

    fn count_subtree(&mut self, id: &NodeId, cap: u64) -> Result<u64, Infallible> {
        Ok((self.subtree(id).len() as u64).min(cap))
    }

    fn count_nodes(&mut self) -> Result<u64, Infallible> {
        Ok(self.nodes.len() as u64)
    }

    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Infallible> {
        Ok(self.edges.get(edge).cloned())
    }

    fn children(
        &mut self,
        directory: &NodeId,
        after: Option<&str>,
        limit: usize,
    ) -> Result<Vec<(String, NodeId)>, Infallible> {
        Ok(self
            .below(directory, after)
            .map(|(edge, id)| (edge.name.clone(), id.clone()))
            .take(limit)
            .collect())
    }

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Infallible> {
        Ok(self.marks.get(edge).copied())
    }

    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Infallible> {
        self.clear_mark(edge)?;
        self.marks.insert(edge.clone(), mark);
        self.by_queue.insert((mark.queued, edge.clone()));
        self.by_first.insert((mark.first, edge.clone()));
        Ok(())
    }

    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Infallible> {
        if let Some(mark) = self.marks.remove(edge) {
            self.by_queue.remove(&(mark.queued, edge.clone()));
            self.by_first.remove(&(mark.first, edge.clone()));
        }
        Ok(())
    }

    fn marks_after(
        &mut self,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Infallible> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let marks = self.by_queue.range((from, Bound::Unbounded)).take(limit);
        Ok(marks.filter_map(|(_, edge)| Some((edge.clone(), *self.marks.get(edge)?))).collect())
    }

    fn marks_up_to(
        &mut self,
        position: u64,
        after: Option<&(u64, Edge)>,
        limit: usize,
    ) -> Result<Vec<(Edge, Mark)>, Infallible> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let marks = self.by_first.range((from, Bound::Unbounded));
        let marks = marks.take_while(|(first, _)| *first <= position).take(limit);
        Ok(marks.filter_map(|(_, edge)| Some((edge.clone(), *self.marks.get(edge)?))).collect())
    }

    fn count_marks(&mut self) -> Result<u64, Infallible> {
        Ok(self.marks.len() as u64)
    }

    fn put_front(&mut self, directory: &NodeId, front: &Front) -> Result<(), Infallible> {
        self.fronts.insert(directory.clone(), front.clone());
        Ok(())
    }

    fn front(&mut self, directory: &NodeId) -> Result<Option<Front>, Infallible> {
        Ok(self.fronts.get(directory).cloned())
    }

    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Infallible> {
        self.fronts.remove(directory);
        Ok(())
    }

    fn fronts(&mut self, after: Option<&NodeId>, limit: usize) -> Result<Vec<(NodeId, Front)>, Infallible> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let fronts = self.fronts.range((from, Bound::Unbounded)).take(limit);
        Ok(fronts.map(|(id, front)| (id.clone(), front.clone())).collect())
    }

    fn lowest_first(&mut self) -> Result<Option<u64>, Infallible> {
        let mark = self.by_first.first().map(|(first, _)| *first);
        let front = self.fronts.values().map(|front| front.first).min();
        Ok(match (mark, front) {
            (Some(mark), Some(front)) => Some(mark.min(front)),
            (mark, front) => mark.or(front),
        })
    }

    fn in_flight(&mut self, node: &NodeId) -> Result<Option<InFlight>, Infallible> {
        Ok(self.in_flight.get(node).cloned())
    }

    fn put_in_flight(&mut self, node: &NodeId, copy: &InFlight) -> Result<(), Infallible> {
        self.in_flight.insert(node.clone(), copy.clone());
        Ok(())
    }

    fn remove_in_flight(&mut self, node: &NodeId) -> Result<(), Infallible> {
        self.in_flight.remove(node);
        Ok(())
    }

    fn all_in_flight(&mut self) -> Result<Vec<(NodeId, InFlight)>, Infallible> {
        Ok(self.in_flight.iter().map(|(id, copy)| (id.clone(), copy.clone())).collect())
    }

    fn put_garbage(&mut self, staging: &str) -> Result<(), Infallible> {
        self.garbage.insert(staging.to_owned());
        Ok(())
    }

    fn remove_garbage(&mut self, staging: &str) -> Result<(), Infallible> {
        self.garbage.remove(staging);
        Ok(())
    }

    fn all_garbage(&mut self) -> Result<Vec<String>, Infallible> {
        Ok(self.garbage.iter().cloned().collect())
    }

    fn intent(&mut self, node: &NodeId) -> Result<Option<Intent>, Infallible> {
        Ok(self.intents.get(node).cloned())
    }

    fn put_intent(&mut self, node: &NodeId, intent: &Intent) -> Result<(), Infallible> {
        self.intents.insert(node.clone(), intent.clone());
        Ok(())
    }

    fn remove_intent(&mut self, node: &NodeId) -> Result<(), Infallible> {
        self.intents.remove(node);
        Ok(())
    }

    fn all_intents(&mut self) -> Result<Vec<(NodeId, Intent)>, Infallible> {
        Ok(self.intents.iter().map(|(id, intent)| (id.clone(), intent.clone())).collect())
    }

    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<bool, Infallible> {
        Ok(self.failed.insert(edge.clone(), failed.clone()).is_none())
    }

    fn failed_at(&mut self, edge: &Edge) -> Result<Option<FailedEdge>, Infallible> {
        Ok(self.failed.get(edge).cloned())
    }

    fn remove_failed(&mut self, edge: &Edge) -> Result<bool, Infallible> {
        Ok(self.failed.remove(edge).is_some())
    }

    fn failed(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<(Edge, FailedEdge)>, Infallible> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        let failed = self.failed.range((from, Bound::Unbounded)).take(limit);
        Ok(failed.map(|(edge, failed)| (edge.clone(), failed.clone())).collect())
    }

    fn clear_failed(&mut self) -> Result<(), Infallible> {
        self.failed.clear();
        Ok(())
    }
}
