//! Somebody else writes to the target.

use livedata_engine::path_of;

use crate::adls::{Adls, FOREIGN, Object};
use crate::hdfs::number;

use super::{Migration, Simulation};

impl Simulation<'_> {
    /// Somebody else writes to the target: over a file, at its end, into a free place, or removes a file.
    pub(super) fn drift(&mut self, index: usize) {
        let Migration { adls, oracle, root, state, .. } = &mut self.migrations[index];
        let foreign = |adls: &mut Adls, content: Option<u64>| Object {
            length_bytes: 1,
            content,
            etag: adls.fresh_etag(0),
            node: None,
            version: None,
            attributes: 0,
            modified_ms: 0,
        };
        let is_file = |object: &Object| object.content.is_some();
        let tree = adls.objects.iter().filter(|(at, object)| at.starts_with("T/") && is_file(object));
        let files: Vec<String> = tree.map(|(at, _)| at.clone()).collect();
        let kind = self.random.below(5);
        if self.options.trace {
            println!("  [{index}] a stranger does {kind}");
        }
        match kind {
            0 => {
                let wanted: Vec<String> = self.hdfs.tree(*root).into_keys().collect();
                let Some(path) = self.random.pick(&wanted) else { return };
                let at = format!("T/{path}");
                let parent = at.rsplit_once('/').map_or("T", |(parent, _)| parent);
                if adls.is_directory(parent) && !adls.objects.contains_key(&at) {
                    let content = self.random.one_in(2).then_some(FOREIGN);
                    let object = foreign(adls, content);
                    adls.objects.insert(at, object);
                }
            }
            1 => {
                let ours = |at: &String| adls.objects.get(at).is_some_and(|object| object.node.is_some());
                let ours: Vec<String> = files.into_iter().filter(ours).collect();
                let Some(at) = self.random.pick(&ours) else { return };
                let gone = adls.objects.remove(&at).and_then(|object| object.node);
                oracle.vanished.extend(gone.iter().map(number));
            }
            _ => {
                let Some(at) = self.random.pick(&files) else { return };
                let mut object = foreign(adls, Some(FOREIGN));
                // What is appended to keeps its properties.
                if let (4, Some(there)) = (kind, adls.objects.get(&at)) {
                    let etag = std::mem::take(&mut object.etag);
                    let length_bytes = there.length_bytes + 1;
                    object = Object { content: Some(FOREIGN), length_bytes, etag, ..there.clone() };
                }
                let etag = object.etag.clone();
                let over = adls.objects.insert(at.clone(), object);
                oracle.overwritten.extend(over.iter().filter_map(|over| over.node.as_ref()).map(number));
                let over = over.map(|object| object.etag);
                let known = state.nodes().values().find(|node| node.kind.etag() == over);
                let known = known.map(|node| node.parent.clone());
                let path = known.map(|edge| path_of(state, &edge).unwrap_or_default());
                if path.as_deref() == at.get(2..) {
                    oracle.theirs.insert(etag);
                }
            }
        }
    }
}
