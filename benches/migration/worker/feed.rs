//! Reads a cluster's changes as fast as they come.

use anyhow::{Result, bail};
use livedata_filesystem::{ChangeFeed as _, Position, Reading};
use livedata_hdfs::HdfsFeed;
use url::Url;

#[derive(clap::Args)]
pub struct Feed {
    #[arg(long)]
    source: Url,
    #[arg(long)]
    user: String,
    #[arg(long)]
    after: u64,
    #[arg(long)]
    up_to: u64,
}

/// Events read.
pub async fn run(from: Feed) -> Result<usize> {
    let feed = HdfsFeed::connect(&from.source, &from.user)?;
    let (mut position, mut count) = (Position(from.after), 0);
    while position.0 < from.up_to {
        match feed.read(position).await? {
            Reading::Events { events, read_to } => (position, count) = (read_to, count + events.len()),
            Reading::Gap { reason, .. } => bail!("{reason}"),
        }
    }
    Ok(count)
}
