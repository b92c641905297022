//! Calls about files and directories: `ClientNamenodeProtocol.proto`, `hdfs.proto` of hadoop-hdfs-client.

use prost::Message;

#[derive(Clone, PartialEq, Message)]
pub struct GetFileInfoRequest {
    #[prost(string, required, tag = "1")]
    pub source: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetFileInfoResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<FileStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetLocatedFileInfoRequest {
    #[prost(string, optional, tag = "1")]
    pub source: Option<String>,
    /// Tokens are for reading blocks, which is not done with this answer.
    #[prost(bool, optional, tag = "2")]
    pub need_block_token: Option<bool>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetLocatedFileInfoResponse {
    #[prost(message, optional, tag = "1")]
    pub status: Option<FileStatus>,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetListingRequest {
    #[prost(string, required, tag = "1")]
    pub source: String,
    #[prost(bytes = "vec", required, tag = "2")]
    pub start_after: Vec<u8>,
    #[prost(bool, required, tag = "3")]
    pub need_location: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetListingResponse {
    #[prost(message, optional, tag = "1")]
    pub listing: Option<DirectoryListing>,
}

#[derive(Clone, PartialEq, Message)]
pub struct DirectoryListing {
    #[prost(message, repeated, tag = "1")]
    pub entries: Vec<FileStatus>,
    #[prost(uint32, required, tag = "2")]
    pub remaining: u32,
}

pub const TYPE_DIRECTORY: i32 = 1;
pub const TYPE_FILE: i32 = 2;
pub const TYPE_SYMLINK: i32 = 3;

#[derive(Clone, PartialEq, Message)]
pub struct FileStatus {
    #[prost(int32, required, tag = "1")]
    pub file_type: i32,
    /// The last segment of the path, in a listing; empty in the answer about a single path.
    #[prost(bytes = "vec", required, tag = "2")]
    pub name: Vec<u8>,
    #[prost(uint64, required, tag = "3")]
    pub length: u64,
    #[prost(message, required, tag = "4")]
    pub permission: FilePermission,
    #[prost(string, required, tag = "5")]
    pub owner: String,
    #[prost(string, required, tag = "6")]
    pub group: String,
    /// Milliseconds since 1970.
    #[prost(uint64, required, tag = "7")]
    pub modification_time: u64,
    #[prost(message, optional, tag = "12")]
    pub blocks: Option<LocatedBlocks>,
    #[prost(uint64, optional, tag = "13")]
    pub file_id: Option<u64>,
    /// Since Hadoop 3; before, the same facts were bits of `permission`.
    #[prost(uint32, optional, tag = "18")]
    pub flags: Option<u32>,
}

/// In `FileStatus.flags`.
pub const FLAG_HAS_ACL: u32 = 1;
/// In `FilePermission.bits`, of Hadoop 2.
pub const PERMISSION_HAS_ACL: u32 = 1 << 12;

#[derive(Clone, PartialEq, Message)]
pub struct FilePermission {
    #[prost(uint32, required, tag = "1")]
    pub bits: u32,
}

#[derive(Clone, PartialEq, Message)]
pub struct LocatedBlocks {
    #[prost(uint64, required, tag = "1")]
    pub file_length: u64,
    #[prost(message, repeated, tag = "2")]
    pub blocks: Vec<LocatedBlock>,
    #[prost(bool, required, tag = "3")]
    pub under_construction: bool,
}

#[derive(Clone, PartialEq, Message)]
pub struct LocatedBlock {
    #[prost(message, required, tag = "1")]
    pub block: ExtendedBlock,
}

#[derive(Clone, PartialEq, Message)]
pub struct ExtendedBlock {
    #[prost(string, required, tag = "1")]
    pub pool_id: String,
    #[prost(uint64, required, tag = "2")]
    pub block_id: u64,
    #[prost(uint64, required, tag = "3")]
    pub generation_stamp: u64,
    #[prost(uint64, optional, tag = "4")]
    pub length_bytes: Option<u64>,
}
