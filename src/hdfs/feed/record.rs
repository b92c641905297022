//! What a NameNode told, for tests that have no such NameNode.

use livedata_filesystem::{Position, Result};
use prost::Message;

use super::{HdfsFeed, position};
use crate::proto::GetEditsFromTxidResponse;

impl HdfsFeed {
    /// The answers to reads after a position up to at least another, each behind its length (protocol buffers' own).
    pub async fn record(&self, mut after: Position, to: Position) -> Result<Vec<u8>> {
        let mut all = Vec::new();
        while after < to {
            let from = i64::try_from(after.0).unwrap_or(i64::MAX).saturating_add(1);
            let list = self.namenode.edits_from(from).await?;
            // An answer of no transaction would come again for ever.
            after = position(list.last_txid).max(Position(after.0 + 1));
            // Whole: the messages leave no field of it out, and an event's own fields stay encoded.
            all.extend(GetEditsFromTxidResponse { list }.encode_length_delimited_to_vec());
        }
        Ok(all)
    }
}
