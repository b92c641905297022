//! Reads files by node id and uploads them, several at a time. A file of more than one append goes over lanes, each with a
//! stripe of its own, as the agent's do.

use std::ops::Range;
use std::sync::Arc;

use anyhow::{Context, Result, ensure};
use bytes::{Bytes, BytesMut};
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use livedata_adls::{AfterAppend, CreateOptions, Filesystem, ResourceKind};
use livedata_filesystem::{Condition, Entry, EntryKind, Flush, Source as _, TargetPath, Upload};
use livedata_hdfs::HdfsSource;
use url::Url;

use super::KEY;
use crate::setting::site;

// As in the agent's transfers.
const APPEND_BYTES: u64 = 4 << 20;
const STRIPE_BYTES: u64 = 4 * APPEND_BYTES;
const LANES: usize = 4;

#[derive(clap::Args)]
pub struct Bare {
    #[arg(long)]
    source: Url,
    #[arg(long)]
    user: String,
    #[arg(long)]
    path: String,
    #[arg(long)]
    endpoint: String,
    #[arg(long)]
    container: String,
    #[arg(long)]
    streams: usize,
}

struct Pipe {
    source: HdfsSource,
    target: Filesystem,
}

pub async fn run(bare: Bare) -> Result<()> {
    let key = std::env::var(KEY).with_context(|| format!("{KEY} is not set"))?;
    let source = HdfsSource::connect(&bare.source, &bare.user)?;
    let pipe = Arc::new(Pipe { source, target: site::container(&bare.endpoint, &key, &bare.container)? });
    let root = pipe.source.resolve(&bare.path).await?;
    let mut directories = vec![(root, TargetPath::new(&bare.path))];
    // Listing and copying take turns: the directories are small beside the files.
    while let Some((directory, path)) = directories.pop() {
        let (mut after, mut files) = (None, Vec::new());
        loop {
            let page = pipe.source.list(&directory.id, after.as_deref()).await?;
            for entry in page.entries {
                let path = path.join(&entry.name);
                match entry.kind {
                    EntryKind::Directory => directories.push((entry, path)),
                    _ => files.push((directory.clone(), entry, path)),
                }
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        stream::iter(files)
            .map(|(directory, entry, path)| {
                let pipe = Arc::clone(&pipe);
                tokio::spawn(async move { pipe.copy(&directory, &entry, &path).await })
            })
            .buffer_unordered(bare.streams)
            .map(|ended| ended.context("a copy panicked")?)
            .try_collect::<Vec<()>>()
            .await?;
    }
    Ok(())
}

impl Pipe {
    async fn copy(&self, directory: &Entry, entry: &Entry, path: &TargetPath) -> Result<()> {
        let EntryKind::File { length_bytes, .. } = entry.kind else { return Ok(()) };
        self.target.create(path, ResourceKind::File, &CreateOptions::default(), &Condition::Any).await?;
        if length_bytes <= APPEND_BYTES {
            return self.lane(directory, entry, path, 0..length_bytes, AfterAppend::FlushAndClose).await;
        }
        let stripes = (0..length_bytes).step_by(STRIPE_BYTES as usize);
        stream::iter(stripes)
            .map(|from| {
                let stripe = from..length_bytes.min(from + STRIPE_BYTES);
                self.lane(directory, entry, path, stripe, AfterAppend::Wait)
            })
            .buffer_unordered(LANES)
            .try_collect::<Vec<()>>()
            .await?;
        self.target.flush(path, length_bytes, Flush::Complete).await?;
        Ok(())
    }

    async fn lane(
        &self,
        directory: &Entry,
        entry: &Entry,
        path: &TargetPath,
        stripe: Range<u64>,
        after: AfterAppend,
    ) -> Result<()> {
        let at = (&directory.id, entry.name.as_str());
        let mut bytes = self.source.open(&entry.id, at, stripe.start, stripe.end).await?;
        let (mut position, mut left) = (stripe.start, Bytes::new());
        while position < stripe.end {
            let wanted = APPEND_BYTES.min(stripe.end - position) as usize;
            let mut piece = BytesMut::with_capacity(wanted);
            while piece.len() < wanted {
                if left.is_empty() {
                    left = bytes.next().await.context("the file ended early")??;
                }
                piece.extend_from_slice(&left.split_to(left.len().min(wanted - piece.len())));
            }
            let data = piece.freeze();
            ensure!(!data.is_empty(), "an empty append");
            self.target.append(path, Upload { position, data }, after).await?;
            position += wanted as u64;
        }
        Ok(())
    }
}
