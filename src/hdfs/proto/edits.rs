//! Calls about the edit log and whose it is: `ClientNamenodeProtocol.proto`, `inotify.proto` of hadoop-hdfs-client,
//! `NamenodeProtocol.proto`, `HdfsServer.proto` of hadoop-hdfs.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct GetCurrentEditLogTxidRequest {}

#[derive(Clone, PartialEq, Message)]
pub struct GetCurrentEditLogTxidResponse {
    #[prost(int64, required, tag = "1")]
    pub txid: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetEditsFromTxidRequest {
    #[prost(int64, required, tag = "1")]
    pub txid: i64,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetEditsFromTxidResponse {
    #[prost(message, required, tag = "1")]
    pub list: EventsList,
}

#[derive(Clone, PartialEq, Message)]
pub struct EventsList {
    /// How servers before Hadoop 2.7 answered: without the transaction of each event.
    #[prost(message, repeated, tag = "1")]
    pub events_without_txid: Vec<Event>,
    /// The first and the last transaction that was read, whether or not it made an event; -1 if none was.
    #[prost(int64, required, tag = "2")]
    pub first_txid: i64,
    #[prost(int64, required, tag = "3")]
    pub last_txid: i64,
    /// The last transaction that is durable; 0 if this NameNode has not made any durable yet.
    #[prost(int64, required, tag = "4")]
    pub sync_txid: i64,
    #[prost(message, repeated, tag = "5")]
    pub batches: Vec<EventBatch>,
}

/// The events of one transaction.
#[derive(Clone, PartialEq, Message)]
pub struct EventBatch {
    #[prost(int64, required, tag = "1")]
    pub txid: i64,
    #[prost(message, repeated, tag = "2")]
    pub events: Vec<Event>,
}

pub const EVENT_CREATE: i32 = 0;
pub const EVENT_CLOSE: i32 = 1;
pub const EVENT_APPEND: i32 = 2;
pub const EVENT_RENAME: i32 = 3;
pub const EVENT_METADATA: i32 = 4;
pub const EVENT_UNLINK: i32 = 5;
/// Since Hadoop 2.8.
pub const EVENT_TRUNCATE: i32 = 6;

#[derive(Clone, PartialEq, Message)]
pub struct Event {
    #[prost(int32, required, tag = "1")]
    pub event_type: i32,
    /// One of the messages below, by type.
    #[prost(bytes = "vec", required, tag = "2")]
    pub contents: Vec<u8>,
}

#[derive(Clone, PartialEq, Message)]
pub struct CreateEvent {
    #[prost(string, required, tag = "2")]
    pub path: String,
}

/// CLOSE, APPEND, UNLINK and TRUNCATE alike begin with the path.
#[derive(Clone, PartialEq, Message)]
pub struct PathEvent {
    #[prost(string, required, tag = "1")]
    pub path: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct RenameEvent {
    #[prost(string, required, tag = "1")]
    pub source: String,
    #[prost(string, required, tag = "2")]
    pub destination: String,
}

pub const METADATA_TIMES: i32 = 0;

#[derive(Clone, PartialEq, Message)]
pub struct MetadataEvent {
    #[prost(string, required, tag = "1")]
    pub path: String,
    #[prost(int32, required, tag = "2")]
    pub update_type: i32,
    /// Milliseconds since 1970; -1 where only the access time was set.
    #[prost(int64, optional, tag = "3")]
    pub modification_time: Option<i64>,
}

#[derive(Clone, PartialEq, Message)]
pub struct VersionRequest {}

#[derive(Clone, PartialEq, Message)]
pub struct VersionResponse {
    #[prost(message, required, tag = "1")]
    pub info: NamespaceInfo,
}

#[derive(Clone, PartialEq, Message)]
pub struct NamespaceInfo {
    #[prost(string, required, tag = "3")]
    pub block_pool_id: String,
    #[prost(message, required, tag = "4")]
    pub storage: StorageInfo,
    #[prost(string, required, tag = "5")]
    pub software_version: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct StorageInfo {
    #[prost(string, required, tag = "3")]
    pub cluster_id: String,
}
