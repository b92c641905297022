//! From edges to paths at the target, and from paths of the source to edges.

use livedata_model::node::NodeId;

use crate::effect::Place;
use crate::state::{Edge, NodeKind, State};

/// Where an edge is.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Located {
    Tree(String),
    Trash(String),
    /// Its directory is not known (any more).
    Lost,
}

impl Located {
    pub fn place(self) -> Option<Place> {
        match self {
            Self::Tree(path) => Some(Place::Tree(path)),
            Self::Trash(path) => Some(Place::Trash(path)),
            Self::Lost => None,
        }
    }
}

pub(crate) fn locate<S: State>(state: &mut S, edge: &Edge) -> Result<Located, S::Error> {
    let mut names = Vec::new();
    let mut at = edge.clone();
    loop {
        if at.is_root() {
            names.reverse();
            return Ok(Located::Tree(names.join("/")));
        }
        let trashed = at.is_trash();
        names.push(at.name);
        if trashed {
            names.reverse();
            return Ok(Located::Trash(names.join("/")));
        }
        match state.node(&at.directory)? {
            Some(parent) => at = parent.parent,
            None => return Ok(Located::Lost),
        }
    }
}

/// For people: as far as it is known.
pub fn path_of<S: State>(state: &mut S, edge: &Edge) -> Result<String, S::Error> {
    Ok(match locate(state, edge)? {
        Located::Tree(path) | Located::Trash(path) => path,
        Located::Lost => edge.name.clone(),
    })
}

/// Whether `node` is `above` or below it, as the target has it.
pub(crate) fn is_within<S: State>(state: &mut S, node: &NodeId, above: &NodeId) -> Result<bool, S::Error> {
    let mut at = node.clone();
    loop {
        if at == *above {
            return Ok(true);
        }
        match state.node(&at)? {
            Some(known) if !known.parent.is_root() && !known.parent.is_trash() => at = known.parent.directory,
            _ => return Ok(false),
        }
    }
}

/// A path of the source against the root of the migration.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum Scope<'a> {
    Outside,
    /// The root itself, or something above it.
    Root,
    Inside(Vec<&'a str>),
}

pub(crate) fn scope<'a>(root: &str, path: &'a str) -> Scope<'a> {
    let segments = |path: &'a str| path.split('/').filter(|segment| !segment.is_empty());
    let mut rest = segments(path);
    for wanted in root.split('/').filter(|segment| !segment.is_empty()) {
        match rest.next() {
            None => return Scope::Root,
            Some(found) if found == wanted => {}
            Some(_) => return Scope::Outside,
        }
    }
    let below: Vec<&str> = rest.collect();
    if below.is_empty() { Scope::Root } else { Scope::Inside(below) }
}

/// Where a path leads in what the target has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Resolved {
    pub edge: Edge,
    /// All directories on the way are known; otherwise `edge` is the first that is not.
    pub exact: bool,
}

pub(crate) fn resolve<S: State>(state: &mut S, names: &[&str]) -> Result<Resolved, S::Error> {
    let mut edge = Edge::root();
    for name in names {
        let Some(directory) = state.child(&edge)? else { return Ok(Resolved { edge, exact: false }) };
        let is_directory = state.node(&directory)?.is_some_and(|node| node.kind == NodeKind::Directory);
        if !is_directory {
            return Ok(Resolved { edge, exact: false });
        }
        edge = Edge { directory, name: (*name).to_owned() };
    }
    Ok(Resolved { edge, exact: true })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn scopes() {
        assert_eq!(scope("/a/b", "/a/b/c/d"), Scope::Inside(vec!["c", "d"]));
        assert_eq!(scope("/a/b", "/a/bc"), Scope::Outside);
        assert_eq!(scope("/a/b", "/a"), Scope::Root);
        assert_eq!(scope("/a/b", "/a/b"), Scope::Root);
        assert_eq!(scope("/", "/x"), Scope::Inside(vec!["x"]));
        assert_eq!(scope("/", "/"), Scope::Root);
    }
}
