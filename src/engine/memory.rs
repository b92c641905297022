//! The state as plain maps, for tests and simulations. A transaction is a clone that is put back or not.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::ops::Bound;

use livedata_model::node::NodeId;

use crate::state::{Edge, FailedEdge, InFlight, Mark, Node, Run, State};

#[derive(Clone, Debug, Default)]
pub struct MemoryState {
    run: Run,
    nodes: BTreeMap<NodeId, Node>,
    edges: BTreeMap<Edge, NodeId>,
    marks: BTreeMap<Edge, Mark>,
    fronts: BTreeMap<NodeId, Option<String>>,
    in_flight: BTreeMap<Edge, InFlight>,
    move_intent: Option<(NodeId, Edge)>,
    failed: BTreeMap<Edge, FailedEdge>,
}

impl MemoryState {
    pub fn failed(&self) -> impl Iterator<Item = &FailedEdge> {
        self.failed.values()
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
        self.edges.insert(node.parent.clone(), id.clone());
        Ok(())
    }

    fn remove_node(&mut self, id: &NodeId) -> Result<(), Infallible> {
        if let Some(node) = self.nodes.remove(id)
            && self.edges.get(&node.parent) == Some(id)
        {
            self.edges.remove(&node.parent);
        }
        Ok(())
    }

    fn child(&mut self, edge: &Edge) -> Result<Option<NodeId>, Infallible> {
        Ok(self.edges.get(edge).cloned())
    }

    fn mark(&mut self, edge: &Edge) -> Result<Option<Mark>, Infallible> {
        Ok(self.marks.get(edge).copied())
    }

    fn put_mark(&mut self, edge: &Edge, mark: Mark) -> Result<(), Infallible> {
        self.marks.insert(edge.clone(), mark);
        Ok(())
    }

    fn clear_mark(&mut self, edge: &Edge) -> Result<(), Infallible> {
        self.marks.remove(edge);
        Ok(())
    }

    fn marks(&mut self, after: Option<&Edge>, limit: usize) -> Result<Vec<Edge>, Infallible> {
        let from = after.map_or(Bound::Unbounded, Bound::Excluded);
        Ok(self.marks.range((from, Bound::Unbounded)).map(|(edge, _)| edge.clone()).take(limit).collect())
    }

    fn put_front(&mut self, directory: &NodeId, after: Option<&str>) -> Result<(), Infallible> {
        self.fronts.insert(directory.clone(), after.map(str::to_owned));
        Ok(())
    }

    fn remove_front(&mut self, directory: &NodeId) -> Result<(), Infallible> {
        self.fronts.remove(directory);
        Ok(())
    }

    fn fronts(&mut self, limit: usize) -> Result<Vec<(NodeId, Option<String>)>, Infallible> {
        Ok(self.fronts.iter().map(|(id, after)| (id.clone(), after.clone())).take(limit).collect())
    }

    fn in_flight(&mut self, edge: &Edge) -> Result<Option<InFlight>, Infallible> {
        Ok(self.in_flight.get(edge).cloned())
    }

    fn put_in_flight(&mut self, edge: &Edge, copy: &InFlight) -> Result<(), Infallible> {
        self.in_flight.insert(edge.clone(), copy.clone());
        Ok(())
    }

    fn remove_in_flight(&mut self, edge: &Edge) -> Result<(), Infallible> {
        self.in_flight.remove(edge);
        Ok(())
    }

    fn all_in_flight(&mut self) -> Result<Vec<(Edge, InFlight)>, Infallible> {
        Ok(self.in_flight.iter().map(|(edge, copy)| (edge.clone(), copy.clone())).collect())
    }

    fn move_intent(&mut self) -> Result<Option<(NodeId, Edge)>, Infallible> {
        Ok(self.move_intent.clone())
    }

    fn put_move_intent(&mut self, intent: Option<&(NodeId, Edge)>) -> Result<(), Infallible> {
        self.move_intent = intent.cloned();
        Ok(())
    }

    fn put_failed(&mut self, edge: &Edge, failed: &FailedEdge) -> Result<(), Infallible> {
        self.failed.insert(edge.clone(), failed.clone());
        Ok(())
    }

    fn clear_failed(&mut self) -> Result<(), Infallible> {
        self.failed.clear();
        Ok(())
    }
}
