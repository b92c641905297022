//! Where something at the target came from, as its properties say.

use std::collections::BTreeMap;

use livedata_filesystem::{ContentVersion, Entry, EntryKind, NodeId};

const NODE: &str = "livedata_source_id";
const VERSION: &str = "livedata_version";
/// The root of the migration, in the tree of ids and versions. What lacks it is ours as long as a journal vouches for it.
const TREE: &str = "livedata_source";

/// What the copy of an entry carries.
pub fn properties(entry: &Entry, tree: Option<&str>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::from([
        (NODE.to_owned(), entry.id.to_hex()),
        ("livedata_modified_ms".to_owned(), entry.modified_ms.to_string()),
    ]);
    if let EntryKind::File { version, .. } = &entry.kind {
        properties.insert(VERSION.to_owned(), version.to_hex());
    }
    properties.extend(tree.map(|tree| (TREE.to_owned(), short(tree))));
    properties
}

/// The node and the version that something is a copy of. Nothing of another tree is ours.
pub fn origin(
    properties: &BTreeMap<String, String>,
    tree: Option<&str>,
) -> (Option<NodeId>, Option<ContentVersion>) {
    let other = |known: &&String| Some(known.as_str()) != tree.map(short).as_deref();
    if property(properties, TREE).filter(other).is_some() {
        return (None, None);
    }
    let bytes = |name: &str| -> Option<Vec<u8>> {
        let digits = property(properties, name)?.as_bytes();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    };
    (bytes(NODE).map(NodeId::from_bytes), bytes(VERSION).map(ContentVersion::from_bytes))
}

/// Whether it says that it is of this tree.
pub fn is_of(properties: &BTreeMap<String, String>, tree: &str) -> bool {
    property(properties, TREE).is_some_and(|known| *known == short(tree))
}

fn property<'a>(properties: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// UUID version 5: it goes with every object.
fn short(tree: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, tree.as_bytes()).simple().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Entry {
        Entry {
            name: "a".into(),
            id: NodeId::from_bytes([1, 2]),
            kind: EntryKind::File {
                length_bytes: 3,
                version: ContentVersion::from_bytes([9]),
                open_for_write: false,
            },
            permissions: 0o644,
            owner: "o".into(),
            group: "g".into(),
            modified_ms: 5,
            has_acl: false,
            extras: None,
        }
    }

    #[test]
    fn only_what_says_of_this_tree_that_it_is_a_copy_is_one() {
        let (one, other) = (Some("cluster 1"), Some("cluster 2"));
        let both = (Some(NodeId::from_bytes([1, 2])), Some(ContentVersion::from_bytes([9])));
        let ours = properties(&entry(), one);
        assert_eq!(origin(&ours, one), both);
        assert_eq!((origin(&ours, other), origin(&ours, None)), ((None, None), (None, None)));
        assert!(is_of(&ours, "cluster 1") && !is_of(&ours, "cluster 2"));
        // Of a source that cannot tell, or of an agent before this property was.
        let unnamed = properties(&entry(), None);
        assert_eq!(origin(&unnamed, one), both);
        assert!(!is_of(&unnamed, "cluster 1"));
        // A service may give names back in other letters.
        let upper = ours.into_iter().map(|(name, value)| (name.to_ascii_uppercase(), value)).collect();
        assert_eq!(origin(&upper, one), both);
    }
}
