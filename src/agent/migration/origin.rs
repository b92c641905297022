//! Where something at the target came from, as its properties say.

use std::collections::BTreeMap;

use livedata_filesystem::{ContentVersion, Entry, EntryKind, NodeId};

const NODE: &str = "livedata_source_id";
const VERSION: &str = "livedata_version";
/// Of ids and versions. Something without it is taken for of ours as long as a journal vouches for it.
const NAMESPACE: &str = "livedata_source";

/// What the copy of an entry carries.
pub fn properties(entry: &Entry, namespace: Option<&str>) -> BTreeMap<String, String> {
    let mut properties = BTreeMap::from([
        (NODE.to_owned(), entry.id.to_hex()),
        ("livedata_modified_ms".to_owned(), entry.modified_ms.to_string()),
    ]);
    if let EntryKind::File { version, .. } = &entry.kind {
        properties.insert(VERSION.to_owned(), version.to_hex());
    }
    properties.extend(namespace.map(|namespace| (NAMESPACE.to_owned(), short(namespace))));
    properties
}

/// The node and the version that something is a copy of. Nothing of another namespace is.
pub fn origin(
    properties: &BTreeMap<String, String>,
    namespace: Option<&str>,
) -> (Option<NodeId>, Option<ContentVersion>) {
    let other = |known: &&String| Some(known.as_str()) != namespace.map(short).as_deref();
    if property(properties, NAMESPACE).filter(other).is_some() {
        return (None, None);
    }
    let bytes = |name: &str| -> Option<Vec<u8>> {
        let digits = property(properties, name)?.as_bytes();
        digits.chunks(2).map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
    };
    (bytes(NODE).map(NodeId::from_bytes), bytes(VERSION).map(ContentVersion::from_bytes))
}

/// Whether it says that it is of this namespace.
pub fn is_of(properties: &BTreeMap<String, String>, namespace: &str) -> bool {
    property(properties, NAMESPACE).is_some_and(|known| *known == short(namespace))
}

fn property<'a>(properties: &'a BTreeMap<String, String>, name: &str) -> Option<&'a String> {
    properties.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// UUID version 5: it goes with every object.
fn short(namespace: &str) -> String {
    uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_OID, namespace.as_bytes()).simple().to_string()
}
