//! Changes of the namespace, from many connections: the NameNode writes together what waits together.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use hdfs_native::{Client, ClientBuilder};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use crate::setting::Cluster;

/// Each with a connection of its own.
const WRITERS: u64 = 64;

pub struct Changes {
    done: Arc<AtomicU64>,
    writers: JoinSet<Result<()>>,
}

impl Changes {
    /// Makes, renames and chmods directories below `path`, `per_second` of them (0: as fast as it goes), until `most` were
    /// made.
    pub fn start(cluster: &Cluster, path: &str, per_second: u64, most: u64) -> Result<Self> {
        let done = Arc::new(AtomicU64::new(0));
        let mut writers = JoinSet::new();
        for number in 0..WRITERS {
            let client = ClientBuilder::new()
                .with_url(cluster.uri())
                .with_user(cluster.superuser_name())
                .with_config_dir("/dev/null")
                .build()?;
            let pace = (per_second > 0).then(|| Duration::from_secs_f64(WRITERS as f64 / per_second as f64));
            let writer = Writer { client, folder: format!("{path}/w{number:02}"), done: Arc::clone(&done) };
            writers.spawn(writer.run(pace, most / WRITERS));
        }
        Ok(Self { done, writers })
    }

    /// How many were made so far.
    pub fn done(&self) -> u64 {
        self.done.load(Ordering::Relaxed)
    }

    pub async fn finish(mut self) -> Result<u64> {
        while let Some(ended) = self.writers.join_next().await {
            ended.context("a writer panicked")??;
        }
        Ok(self.done())
    }
}

struct Writer {
    client: Client,
    folder: String,
    done: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, pace: Option<Duration>, most: u64) -> Result<()> {
        self.client.mkdirs(&self.folder, 0o755, true).await?;
        let begun = Instant::now();
        for number in 0..most {
            if let Some(pace) = pace {
                sleep_until(begun + pace * u32::try_from(number)?).await;
            }
            let (made, moved) =
                (format!("{}/a{}", self.folder, number / 4), format!("{}/b{}", self.folder, number / 4));
            match number % 4 {
                0 => self.client.mkdirs(&made, 0o755, false).await?,
                1 => self.client.set_permission(&made, 0o700).await?,
                2 => self.client.rename(&made, &moved, false).await?,
                _ => self.client.set_permission(&moved, 0o711).await?,
            }
            self.done.fetch_add(1, Ordering::Relaxed);
        }
        Ok(())
    }
}
