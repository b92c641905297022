//! The edit log, and whose it is. All calls are for superusers, and those about transactions are answered by the active NameNode only, in safe
//! mode too.

use livedata_filesystem::{Error, ErrorKind, Result};

use super::{Failure, NameNode};
use crate::error::RpcError;
use crate::proto::{
    EventsList, GetCurrentEditLogTxidRequest, GetCurrentEditLogTxidResponse, GetEditsFromTxidRequest,
    GetEditsFromTxidResponse, NamespaceInfo, VersionRequest, VersionResponse,
};
use crate::rpc::Protocol;

impl NameNode {
    /// The last transaction that was written, durable or not; `None` while the log is not open for writing.
    pub async fn written_txid(&self) -> Result<Option<i64>> {
        let answer: GetCurrentEditLogTxidResponse = self
            .ask("getCurrentEditLogTxid", &GetCurrentEditLogTxidRequest {})
            .await
            .map_err(|failure| self.explain(failure))?;
        Ok(Some(answer.txid).filter(|txid| *txid >= 0))
    }

    /// The last transaction that is durable, 0 if this NameNode has not made any so. Any answer about edits tells it; one
    /// about the end of all logs costs the server nothing.
    pub async fn durable_txid(&self) -> Result<i64> {
        Ok(self.edits_from(i64::MAX).await?.sync_txid)
    }

    /// Durable transactions from `txid` on, as many as `dfs.namenode.inotify.max.events.per.rpc` allows.
    pub async fn edits_from(&self, txid: i64) -> Result<EventsList> {
        let answer: GetEditsFromTxidResponse = self
            .ask("getEditsFromTxid", &GetEditsFromTxidRequest { txid })
            .await
            .map_err(|failure| self.explain(failure))?;
        Ok(answer.list)
    }

    /// Which namespace this is. Not a client's call, but superusers may make it.
    pub async fn namespace(&self) -> Result<NamespaceInfo> {
        let answer: VersionResponse = self
            .ask_in(Protocol::NameNode, "versionRequest", &VersionRequest {})
            .await
            .map_err(|failure| self.explain(failure))?;
        Ok(answer.info)
    }

    /// A name that no other namespace has: the block pool is another one after each formatting.
    pub async fn namespace_name(&self) -> Result<String> {
        let namespace = self.namespace().await?;
        Ok(format!("{} {}", namespace.storage.cluster_id, namespace.block_pool_id))
    }

    fn explain(&self, failure: Failure) -> Error {
        let class = match &failure.error {
            RpcError::Remote { class, .. } => class.rsplit('.').next().unwrap_or(class),
            _ => "",
        };
        let (kind, advice) = match (failure.error.kind(), class) {
            (ErrorKind::Denied, _) => (
                ErrorKind::Denied,
                format!(
                    "; only a superuser may follow the changes of a cluster: use the user that runs the NameNode, or \
                     add `{}` to the group in dfs.permissions.superusergroup",
                    self.user
                ),
            ),
            (kind, "StandbyException") => {
                let advice = "; its changes are told by the active NameNode alone: this goes on by itself when that is the \
                              one at this address again, or give the address of the other one";
                (kind, advice.to_owned())
            }
            // A log segment that could not be read this time, or a JournalNode that did not answer.
            (ErrorKind::Fatal, "IOException" | "QuorumException" | "EOFException") => {
                (ErrorKind::Unreachable, String::new())
            }
            (ErrorKind::Fatal, "NullPointerException") => {
                let advice = "; a router of a federation answers like this: give the address of a NameNode";
                (ErrorKind::Fatal, advice.to_owned())
            }
            (ErrorKind::Fatal, "RpcNoSuchMethodException") => {
                (ErrorKind::Fatal, "; Hadoop 2.7 or newer is needed".to_owned())
            }
            (kind, _) => (kind, String::new()),
        };
        Error::new(kind, "follow", &self.address, format!("{}{advice}", failure.message()))
    }
}
