//! What to know of a cluster before its changes are followed.

use livedata_filesystem::{ChangeFeed, Position, Result};

use super::{HdfsFeed, position};

/// As the NameNode answered, at one moment.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Preflight {
    /// Such as `3.4.3`.
    pub software_version: String,
    pub cluster_id: String,
    /// The namespace in the cluster, anew each time it is formatted: positions of another one mean nothing.
    pub block_pool_id: String,
    /// The earliest position after which nothing was purged yet; `None` if the log cannot be read right now. The reader
    /// must never be further behind than from here to `newest`, measured in a busy hour.
    pub oldest: Option<Position>,
    pub newest: Position,
    /// About how many events one read brings at most (`dfs.namenode.inotify.max.events.per.rpc`); `None` if the log does not
    /// hold enough to tell. With the default of 1,000 a busy cluster outruns its reader.
    pub events_per_read: Option<usize>,
}

impl HdfsFeed {
    /// `Denied` if the user is no superuser, as reading would be.
    pub async fn preflight(&self) -> Result<Preflight> {
        let namespace = self.namenode.namespace().await?;
        let all = self.namenode.edits_from(1).await?;
        Ok(Preflight {
            software_version: namespace.software_version,
            cluster_id: namespace.storage.cluster_id,
            block_pool_id: namespace.block_pool_id,
            oldest: (all.first_txid > 0).then(|| position(all.first_txid - 1)),
            newest: self.position().await?,
            // What is durable was left out for this reason alone.
            events_per_read: (all.last_txid > 0 && all.last_txid < all.sync_txid)
                .then(|| all.batches.iter().map(|batch| batch.events.len()).sum()),
        })
    }
}
