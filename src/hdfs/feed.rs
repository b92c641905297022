//! HDFS' edit log as a [`ChangeFeed`]: what Hadoop calls inotify. A [`Position`] is a transaction id.
//!
//! Promises:
//! - A position is durable before it is given out, as far as the NameNode lets one see: a failover or restart right after
//!   does not give its number to another transaction. Transactions that are read are durable in any case.
//! - What is read goes on without a hole, or is a [`Reading::Gap`]: when transactions after the position were purged, and
//!   when the log ends before the position (another cluster, a reformatted or restored one).
//! - A NameNode that cannot read its log right now (it is becoming active, or ceasing to be) shows nothing new, or fails
//!   in a way that may be tried again; it never makes a gap.
//!
//! What HDFS does not tell: that an open file grew (its close is told), storage policies, quotas, snapshots; and before Hadoop
//! 2.8, that a file was truncated at the border of a block.
//!
//! A position means nothing in another namespace, be it at the same address: whoever keeps one keeps the name of the
//! [history](ChangeFeed::history) with it. Once asked for that, a feed refuses to go on with another: each new connection is
//! asked whose it is.
//!
//! One address, of one NameNode. Edits are read from the active one alone: a standby refuses, an observer has no position,
//! and both are asked again until they are active. To follow a failover the address must move with it. A router answers for no NameNode: each
//! namespace has a feed of its own, and its addresses are NameNodes'. Safe mode does not hinder reading.
//!
//! Needs the rights of a superuser. Hadoop 2.7 and newer.
//!
//! Cost: a read that finds something makes the NameNode read the whole unfinished segment of its log, however little is
//! new; one that finds nothing costs it nothing. So read in large bites and not too often, and have the cluster's
//! `dfs.namenode.inotify.max.events.per.rpc` raised from its default of 1,000: 200,000 changes in one segment took minutes
//! to read with 1,000, and seconds with 100,000.

mod preflight;
#[cfg(feature = "real-hdfs")]
mod record;
mod translate;

pub use preflight::Preflight;

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use livedata_filesystem::{ChangeFeed, Error, ErrorKind, Position, Reading, Result};
use url::Url;

use crate::namenode::NameNode;
use crate::proto::EventsList;

/// A sync of the edit log takes milliseconds, so the first pauses are short; they double. Where the last transaction stays
/// behind for longer, it is one that nobody waits for (an expired token), because every client's change is synced before
/// the client is answered.
const DURABLE_LOOKS: u32 = 8;
const FIRST_PAUSE: Duration = Duration::from_millis(2);

/// The changes of one HDFS namespace, as a superuser may read them. Keeps no position: its reader does.
#[derive(Debug)]
pub struct HdfsFeed {
    namenode: NameNode,
    /// The history that was asked for, and the newest connection that told of it.
    followed: Mutex<Option<(String, u64)>>,
}

impl HdfsFeed {
    /// As [`HdfsSource::connect`](crate::HdfsSource::connect); `user` must be a superuser.
    pub fn connect(uri: &Url, user: &str) -> Result<Self> {
        Ok(Self::new(NameNode::from_uri(uri, user)?))
    }

    fn new(namenode: NameNode) -> Self {
        Self { namenode, followed: Mutex::new(None) }
    }

    /// The name of the history, and a connection by which it was told.
    async fn ask_history(&self) -> Result<(String, u64)> {
        // If a newer one tells it, that one is asked once more. The first is made by asking.
        let connection = self.namenode.connections().max(1);
        Ok((self.namenode.namespace_name().await?, connection))
    }

    /// After an answer that may have come over a newer connection than the last that told whose it is.
    async fn same_history(&self) -> Result<()> {
        let followed = || self.followed.lock().unwrap_or_else(PoisonError::into_inner);
        let Some((history, connection)) = followed().clone() else { return Ok(()) };
        if self.namenode.connections() == connection {
            return Ok(());
        }
        let (now, connection) = self.ask_history().await?;
        if now != history {
            let reason =
                format!("this is {now} and was {history}: it was formatted anew, or is another cluster");
            return Err(Error::new(ErrorKind::Fatal, "follow", self.namenode.address(), reason));
        }
        *followed() = Some((history, connection));
        Ok(())
    }

    async fn position_now(&self) -> Result<Position> {
        let Some(written) = self.namenode.written_txid().await? else {
            let reason = "its edit log is not open for writing: it is becoming active, or is an observer";
            return Err(Error::new(ErrorKind::Unreachable, "follow", self.namenode.address(), reason));
        };
        for look in 0..DURABLE_LOOKS {
            if self.namenode.durable_txid().await? >= written {
                break;
            }
            tokio::time::sleep(FIRST_PAUSE * (1 << look)).await;
        }
        Ok(position(written))
    }

    async fn read_on(&self, after: Position) -> Result<Reading> {
        // No log is that long: such a position is answered as one beyond the end.
        let from = i64::try_from(after.0).unwrap_or(i64::MAX).saturating_add(1);
        let list = self.namenode.edits_from(from).await?;
        if list.last_txid < 0 {
            return self.at_the_end(after, &list).await;
        }
        if list.first_txid != from {
            let reason = format!(
                "the NameNode has purged its edit log from transaction {from} up to {}: keep more of it there with \
                 dfs.namenode.num.extra.edits.retained",
                list.first_txid - 1
            );
            return self.gap(reason).await;
        }
        let events = translate::events(&list)
            .map_err(|reason| Error::new(ErrorKind::Fatal, "follow", self.namenode.address(), reason))?;
        Ok(Reading::Events { events, read_to: position(list.last_txid) })
    }

    fn nothing_new(after: Position) -> Reading {
        Reading::Events { events: Vec::new(), read_to: after }
    }

    /// The log shows nothing after `after`. Usually there is nothing; or it is shorter than it was.
    async fn at_the_end(&self, after: Position, list: &EventsList) -> Result<Reading> {
        // 0: this NameNode became active just now and does not know yet.
        if list.sync_txid == 0 || position(list.sync_txid) >= after {
            return Ok(Self::nothing_new(after));
        }
        match self.namenode.written_txid().await? {
            // The position was given out before it was durable.
            Some(written) if position(written) >= after => Ok(Self::nothing_new(after)),
            Some(written) => {
                let reason = format!(
                    "the NameNode's edit log ends at transaction {written}, before {}, which was read already: it is \
                     another cluster, or it was formatted anew or restored from a backup",
                    after.0
                );
                self.gap(reason).await
            }
            None => Ok(Self::nothing_new(after)),
        }
    }

    async fn gap(&self, reason: String) -> Result<Reading> {
        Ok(Reading::Gap { resume_at: self.position_now().await?, reason })
    }
}

#[async_trait]
impl ChangeFeed for HdfsFeed {
    async fn position(&self) -> Result<Position> {
        let position = self.position_now().await?;
        self.same_history().await?;
        Ok(position)
    }

    async fn history(&self) -> Result<Option<String>> {
        let (history, connection) = self.ask_history().await?;
        *self.followed.lock().unwrap_or_else(PoisonError::into_inner) = Some((history.clone(), connection));
        Ok(Some(history))
    }

    async fn read(&self, after: Position) -> Result<Reading> {
        let reading = self.read_on(after).await?;
        self.same_history().await?;
        Ok(reading)
    }
}

/// Transaction ids count from 1; what is below stands for none.
fn position(txid: i64) -> Position {
    Position(u64::try_from(txid).unwrap_or(0))
}

#[cfg(test)]
mod tests;
