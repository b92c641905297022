//! Which paths of the target operations under way may change, so that no two meet.

use std::collections::BTreeMap;

use crate::effect::Place;
use crate::state::Edge;

/// A path that an operation changes.
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Claim {
    path: String,
    /// With everything below it.
    subtree: bool,
}

impl Claim {
    pub fn point(path: &str) -> Self {
        Self { path: path.to_owned(), subtree: false }
    }

    pub fn subtree(place: &Place) -> Self {
        let path = match place {
            Place::Tree(path) => path.clone(),
            // No name holds a NUL.
            Place::Trash(path) => format!("\0/{path}"),
        };
        Self { path, subtree: true }
    }

    fn meets(&self, other: &Self) -> bool {
        self.path == other.path
            || self.subtree && is_below(&other.path, &self.path)
            || other.subtree && is_below(&self.path, &other.path)
    }
}

/// Whether `path` is strictly below `above`; the empty path is the root of the tree.
pub(crate) fn is_below(path: &str, above: &str) -> bool {
    match path.strip_prefix(above) {
        Some(rest) if above.is_empty() => !rest.is_empty() && !rest.starts_with('\0'),
        Some(rest) => rest.starts_with('/'),
        None => false,
    }
}

#[derive(Clone, Debug, Default, Hash)]
pub(crate) struct Claims {
    taken: BTreeMap<Edge, Vec<Claim>>,
    /// Of operations that wait: those that come later must not overtake them for ever.
    wanted: Vec<(Edge, Vec<Claim>)>,
    /// Something was released since the last round of those that wait.
    pub released: bool,
}

impl Claims {
    /// Takes the claims, or notes that they are wanted.
    pub fn take(&mut self, edge: &Edge, claims: Vec<Claim>) -> bool {
        let meets = |others: &[Claim]| others.iter().any(|other| claims.iter().any(|one| one.meets(other)));
        let free = !self.taken.iter().any(|(holder, others)| holder != edge && meets(others))
            && !self.wanted.iter().any(|(other, wanted)| other != edge && meets(wanted));
        if free {
            self.wanted.retain(|(other, _)| other != edge);
            self.taken.insert(edge.clone(), claims);
        } else if !self.wanted.iter().any(|(other, _)| other == edge) {
            self.wanted.push((edge.clone(), claims));
        }
        free
    }

    pub fn release(&mut self, edge: &Edge) {
        self.released |= self.taken.remove(edge).is_some();
        let wanted = self.wanted.len();
        self.wanted.retain(|(other, _)| other != edge);
        self.released |= self.wanted.len() != wanted;
    }

    /// Those that wait are about to ask again, in order.
    pub fn new_round(&mut self) {
        self.released = false;
        self.wanted.clear();
    }
}

#[cfg(test)]
mod tests {
    use livedata_model::node::NodeId;

    use super::*;

    fn edge(name: &str) -> Edge {
        Edge { directory: NodeId::from_bytes([1, 2]), name: name.into() }
    }

    #[test]
    fn what_would_meet_waits_and_is_not_overtaken() {
        let tree = |path: &str| vec![Claim::subtree(&Place::Tree(path.into()))];
        let point = |path: &str| vec![Claim::point(path)];
        let mut claims = Claims::default();
        assert!(claims.take(&edge("a"), point("x/a")));
        assert!(claims.take(&edge("b"), point("x")), "a directory's attributes do not disturb what is in it");
        assert!(claims.take(&edge("c"), point("x/ab")));
        assert!(!claims.take(&edge("d"), tree("x")));
        assert!(!claims.take(&edge("e"), point("x/new")), "it would overtake the move of x");
        claims.release(&edge("a"));
        claims.release(&edge("b"));
        claims.release(&edge("c"));
        claims.new_round();
        assert!(claims.take(&edge("d"), tree("x")));
        assert!(claims.take(&edge("f"), vec![Claim::subtree(&Place::Trash("x".into()))]));
        assert!(!claims.take(&edge("e"), point("x/new")));
        assert!(!is_below("ab", "a") && is_below("a/b", "a") && is_below("a", "") && !is_below("", ""));
    }
}
