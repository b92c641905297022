//! Parts of this program that are measured as children of it, so that only their own work counts.

mod bare;
mod feed;
mod scan;

use anyhow::Result;
use clap::Subcommand;

/// The account key stands in this variable: others can see a command line.
pub const KEY: &str = "LIVEDATA_BENCH_KEY";

#[derive(clap::Args)]
pub struct Worker {
    #[command(subcommand)]
    part: Part,
}

#[derive(Subcommand)]
enum Part {
    Bare(bare::Bare),
    Feed(feed::Feed),
    Scan(scan::Scan),
}

pub async fn run(worker: Worker) -> Result<()> {
    match worker.part {
        Part::Bare(bare) => bare::run(bare).await,
        Part::Feed(feed) => feed::run(feed).await.map(|events| println!("{events}")),
        Part::Scan(scan) => scan::run(scan).await.map(|entries| println!("{entries}")),
    }
}
