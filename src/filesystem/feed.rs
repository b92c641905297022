//! What happened at a source, in order.
//!
//! A feed tells *that* something about a path changed, not what is there now: paths are those of the moment of the change
//! and may lead elsewhere by the time somebody reads about it. Consumers treat every change as an invalidation.

use async_trait::async_trait;

pub use livedata_model::feed::{Change, Event, Position, Reading};

use crate::Result;

#[async_trait]
pub trait ChangeFeed: Send + Sync + 'static {
    /// The source's position now: a look that was answered before this call began saw nothing that is later. (HDFS with
    /// asynchronous edit logging, its default since Hadoop 3, may answer a few transactions less.)
    async fn position(&self) -> Result<Position>;

    /// Names the history that positions belong to, where the source can tell. Of one with another name, positions kept from
    /// before mean nothing, whatever their order.
    async fn history(&self) -> Result<Option<String>> {
        Ok(None)
    }

    /// What happened after `after`. Answers at once, also when there is nothing.
    async fn read(&self, after: Position) -> Result<Reading>;
}
