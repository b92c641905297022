//! Lists a tree, as many directories at a time as the agent does.

use std::sync::Arc;

use anyhow::Result;
use livedata_filesystem::{EntryKind, NodeId, Source as _};
use livedata_hdfs::HdfsSource;
use tokio::task::JoinSet;
use url::Url;

#[derive(clap::Args)]
pub struct Scan {
    #[arg(long)]
    source: Url,
    #[arg(long)]
    user: String,
    #[arg(long)]
    path: String,
    #[arg(long)]
    listings: usize,
}

/// Entries found.
pub async fn run(scan: Scan) -> Result<u64> {
    let source = Arc::new(HdfsSource::connect(&scan.source, &scan.user)?);
    let root = source.resolve(&scan.path).await?;
    let (mut waiting, mut under_way, mut entries) = (vec![root.id], JoinSet::new(), 0);
    loop {
        while under_way.len() < scan.listings
            && let Some(directory) = waiting.pop()
        {
            under_way.spawn(list(Arc::clone(&source), directory));
        }
        let Some(listed) = under_way.join_next().await else { return Ok(entries) };
        let (found, directories) = listed??;
        entries += found;
        waiting.extend(directories);
    }
}

async fn list(source: Arc<HdfsSource>, directory: NodeId) -> Result<(u64, Vec<NodeId>)> {
    let (mut entries, mut directories, mut after) = (0, Vec::new(), None);
    loop {
        let page = source.list(&directory, after.as_deref()).await?;
        entries += page.entries.len() as u64;
        let below = page.entries.into_iter().filter(|entry| entry.kind == EntryKind::Directory);
        directories.extend(below.map(|entry| entry.id));
        after = page.next;
        if after.is_none() {
            return Ok((entries, directories));
        }
    }
}
