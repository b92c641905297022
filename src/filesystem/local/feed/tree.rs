//! Which watch is for which directory.
//!
//! A watch belongs to a directory, whatever it is called; its place here is corrected by what is seen and told of moves.
//! A directory whose place is not known is *adrift* until a later notification or a look tells where it is, or until
//! nothing is left that could: then it has left the tree.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

pub type Watch = i32;

#[derive(Debug, Default)]
struct Node {
    /// `None`: the root, or adrift.
    place: Option<(Watch, Arc<str>)>,
    children: BTreeMap<Arc<str>, Watch>,
}

#[derive(Debug)]
pub struct Tree {
    root: Watch,
    nodes: HashMap<Watch, Node>,
    adrift: BTreeSet<Watch>,
}

/// What a look told about a watch.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Placed {
    New,
    Moved,
    Same,
    /// The directory would lie below itself: the look or what is known is older than a move that has still to be told.
    Contradiction,
}

impl Tree {
    pub fn new(root: Watch) -> Self {
        Self { root, nodes: HashMap::from([(root, Node::default())]), adrift: BTreeSet::new() }
    }

    pub fn root(&self) -> Watch {
        self.root
    }

    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    pub fn contains(&self, watch: Watch) -> bool {
        self.nodes.contains_key(&watch)
    }

    /// Names from the root down. `None`: adrift, or not known.
    pub fn names(&self, watch: Watch) -> Option<Vec<Arc<str>>> {
        let mut names = Vec::new();
        let mut at = watch;
        while at != self.root {
            let (parent, name) = self.nodes.get(&at)?.place.as_ref()?;
            names.push(name.clone());
            at = *parent;
        }
        names.reverse();
        self.nodes.contains_key(&at).then_some(names)
    }

    /// `/` is the root.
    pub fn path(&self, watch: Watch) -> Option<String> {
        let names = self.names(watch)?;
        Some(if names.is_empty() { "/".to_owned() } else { format!("/{}", names.join("/")) })
    }

    pub fn parent(&self, watch: Watch) -> Option<Watch> {
        Some(self.nodes.get(&watch)?.place.as_ref()?.0)
    }

    pub fn child(&self, parent: Watch, name: &str) -> Option<Watch> {
        self.nodes.get(&parent)?.children.get(name).copied()
    }

    pub fn children(&self, parent: Watch) -> Vec<(Arc<str>, Watch)> {
        let children = self.nodes.get(&parent).map(|node| &node.children);
        children.into_iter().flatten().map(|(name, watch)| (name.clone(), *watch)).collect()
    }

    /// `watch` is at `name` in `parent`, which is known. Whatever was known to be there is adrift.
    pub fn place(&mut self, watch: Watch, parent: Watch, name: &str) -> Placed {
        if self.child(parent, name) == Some(watch) {
            return Placed::Same;
        }
        if watch == self.root || self.is_below(parent, watch) {
            return Placed::Contradiction;
        }
        if let Some(other) = self.child(parent, name) {
            self.set_adrift(other);
        }
        let is_new = !self.contains(watch);
        self.leave(watch);
        self.adrift.remove(&watch);
        let name: Arc<str> = name.into();
        self.nodes.entry(watch).or_default().place = Some((parent, name.clone()));
        if let Some(parent) = self.nodes.get_mut(&parent) {
            parent.children.insert(name, watch);
        }
        if is_new { Placed::New } else { Placed::Moved }
    }

    pub fn set_adrift(&mut self, watch: Watch) {
        if watch != self.root && self.contains(watch) {
            self.leave(watch);
            self.adrift.insert(watch);
        }
    }

    /// The watch is no more. What was below is adrift.
    pub fn remove(&mut self, watch: Watch) {
        self.leave(watch);
        self.adrift.remove(&watch);
        let Some(node) = self.nodes.remove(&watch) else { return };
        for child in node.children.into_values() {
            self.set_adrift(child);
        }
    }

    /// Forgets what is adrift with everything below, and returns it.
    pub fn take_adrift(&mut self) -> Vec<Watch> {
        let mut taken = Vec::new();
        let mut open: Vec<Watch> = std::mem::take(&mut self.adrift).into_iter().collect();
        while let Some(watch) = open.pop() {
            if let Some(node) = self.nodes.remove(&watch) {
                open.extend(node.children.into_values());
                taken.push(watch);
            }
        }
        taken
    }

    fn leave(&mut self, watch: Watch) {
        let place = self.nodes.get_mut(&watch).and_then(|node| node.place.take());
        if let Some(parent) = place.as_ref().and_then(|(parent, _)| self.nodes.get_mut(parent))
            && let Some((_, name)) = &place
        {
            parent.children.remove(name);
        }
    }

    fn is_below(&self, mut watch: Watch, ancestor: Watch) -> bool {
        loop {
            if watch == ancestor {
                return true;
            }
            match self.parent(watch) {
                Some(parent) => watch = parent,
                None => return false,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_follow_what_is_told() {
        let mut tree = Tree::new(1);
        assert_eq!(tree.place(2, 1, "a"), Placed::New);
        assert_eq!(tree.place(3, 2, "b"), Placed::New);
        assert_eq!(tree.place(3, 2, "b"), Placed::Same);
        assert_eq!(tree.path(3).unwrap(), "/a/b");
        assert_eq!(tree.place(2, 1, "z"), Placed::Moved);
        assert_eq!((tree.path(3).unwrap(), tree.child(1, "a")), ("/z/b".to_owned(), None));
        assert_eq!(tree.place(2, 3, "below itself"), Placed::Contradiction);
        assert_eq!(tree.place(1, 3, "root"), Placed::Contradiction);

        // Another takes its place; what was below drifts with it and comes back with it.
        tree.place(4, 1, "z");
        assert_eq!((tree.path(2), tree.path(3)), (None, None));
        tree.place(2, 4, "y");
        assert_eq!(tree.path(3).unwrap(), "/z/y/b");
        assert!(tree.take_adrift().is_empty());
    }

    #[test]
    fn what_stays_adrift_is_forgotten_with_all_below() {
        let mut tree = Tree::new(1);
        for (watch, parent) in [(2, 1), (3, 2), (4, 3), (5, 1)] {
            tree.place(watch, parent, &watch.to_string());
        }
        tree.remove(3);
        assert_eq!(tree.take_adrift(), [4]);
        tree.place(6, 2, "6");
        tree.set_adrift(2);
        let mut gone = tree.take_adrift();
        gone.sort_unstable();
        assert_eq!((gone, tree.len()), (vec![2, 6], 2));
        assert_eq!(tree.path(5).unwrap(), "/5");
    }
}
