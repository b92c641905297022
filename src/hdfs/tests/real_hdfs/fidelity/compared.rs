//! What is there, on both sides: names, kinds, lengths, permissions, access control lists, attributes, modification times
//! as far as they can be the same, and which node is which.

use std::collections::BTreeMap;

use livedata_filesystem::{ContentVersion, Entry, EntryKind, NodeId, Source};
use livedata_hdfs::HdfsSource;
use livedata_sim::hdfs::{Block, Hdfs, SCOPES, number};

use crate::cluster::Folder;
use crate::list_all;

/// Times below are numbers of simulated transactions.
const SET_BY_A_CLIENT_MS: i64 = 1_600_000_000_000;

pub struct Pairs<'a> {
    source: HdfsSource,
    folder: &'a Folder,
    /// The real node of each simulated one, for as long as the history lasts.
    nodes: BTreeMap<u64, NodeId>,
    /// The real version of the simulated blocks of a node. (Simulated contents never come back; the same blocks do, when what
    /// was appended to them by concatenation is cut off again, and with them a real version.)
    versions: BTreeMap<(u64, Vec<Block>), ContentVersion>,
    /// Of files, the real modification time that belongs to a simulated one.
    times: BTreeMap<(u64, i64), i64>,
}

impl<'a> Pairs<'a> {
    pub fn new(source: HdfsSource, folder: &'a Folder) -> Self {
        Self { source, folder, nodes: BTreeMap::new(), versions: BTreeMap::new(), times: BTreeMap::new() }
    }

    /// `extras`: also what costs a request for each node.
    pub async fn compare(&mut self, hdfs: &Hdfs, extras: bool) -> Result<(), String> {
        for (scope, path) in SCOPES {
            let root = self.source.resolve(&format!("{}{path}", self.folder.root())).await.unwrap();
            let mut open = vec![(scope, root.id)];
            while let Some((simulated, real)) = open.pop() {
                let at = hdfs.path(simulated);
                let (expected, _) = hdfs.list(simulated, None, usize::MAX).ok_or("a directory is gone")?;
                let (mut found, _) = list_all(&self.source, &real).await;
                found.sort_by(|a, b| a.name.cmp(&b.name));
                let names =
                    |entries: &[Entry]| entries.iter().map(|entry| entry.name.clone()).collect::<Vec<_>>();
                if names(&expected) != names(&found) {
                    return Err(format!("{at}: simulated {:?}, real {:?}", names(&expected), names(&found)));
                }
                for (expected, found) in expected.iter().zip(&found) {
                    let path = format!("{at}/{}", expected.name);
                    self.entry(hdfs, expected, found).map_err(|what| format!("{path}: {what}"))?;
                    if extras {
                        let shown = self.source.extras(found, &real).await.unwrap();
                        let simulated = hdfs.entry(number(&expected.id), true).and_then(|entry| entry.extras);
                        if simulated.as_ref() != Some(&shown) {
                            return Err(format!("{path}: simulated {simulated:?}, real {shown:?}"));
                        }
                    }
                    if found.kind == EntryKind::Directory {
                        open.push((number(&expected.id), found.id.clone()));
                    }
                }
            }
        }
        Ok(())
    }

    fn entry(&mut self, hdfs: &Hdfs, expected: &Entry, found: &Entry) -> Result<(), String> {
        let id = number(&expected.id);
        let taken = self.nodes.iter().find(|(_, real)| **real == found.id).map(|(simulated, _)| *simulated);
        let known = self.nodes.entry(id).or_insert_with(|| found.id.clone());
        if *known != found.id || taken.is_some_and(|other| other != id) {
            return Err("it is another node than before".into());
        }
        let same = |what: &str, expected: String, found: String| {
            if expected == found {
                Ok(())
            } else {
                Err(format!("{what}: simulated {expected}, real {found}"))
            }
        };
        same("permissions", format!("{:o}", expected.permissions), format!("{:o}", found.permissions))?;
        same("access control list", expected.has_acl.to_string(), found.has_acl.to_string())?;
        same("kind", kind(expected), kind(found))?;
        let EntryKind::File { version, open_for_write, .. } = &found.kind else { return Ok(()) };
        let Some(inode) = hdfs.inode(id) else { return Err("it is not there".into()) };

        // What is open is not looked at before it is closed.
        if !open_for_write {
            let known = self.versions.entry((id, inode.blocks.clone())).or_insert_with(|| version.clone());
            if known != version {
                return Err("another version of the same bytes".into());
            }
            let of_others = self.versions.iter().filter(|((other, blocks), real)| {
                *other == id && *blocks != inode.blocks && *real == version
            });
            if of_others.count() > 0 {
                return Err("the same version of other bytes".into());
            }
        }
        // A real clock may stand still between two writes; it does not move without one.
        let time = *self.times.entry((id, inode.modified_ms)).or_insert(found.modified_ms);
        let expected = if inode.modified_ms >= SET_BY_A_CLIENT_MS { inode.modified_ms } else { time };
        same("modification time", expected.to_string(), found.modified_ms.to_string())
    }
}

fn kind(entry: &Entry) -> String {
    match &entry.kind {
        EntryKind::File { length_bytes, open_for_write, .. } => {
            format!("file of {length_bytes} bytes{}", if *open_for_write { ", open" } else { "" })
        }
        other => format!("{other:?}"),
    }
}
