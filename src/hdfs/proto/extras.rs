//! Calls about access control lists and extended attributes: `acl.proto`, `xattr.proto` of hadoop-hdfs-client.

use prost::Message;

use super::FilePermission;

#[derive(Clone, PartialEq, Message)]
pub struct GetAclStatusRequest {
    #[prost(string, required, tag = "1")]
    pub source: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetAclStatusResponse {
    #[prost(message, required, tag = "1")]
    pub status: AclStatus,
}

#[derive(Clone, PartialEq, Message)]
pub struct AclStatus {
    #[prost(message, repeated, tag = "4")]
    pub entries: Vec<AclEntry>,
    #[prost(message, optional, tag = "5")]
    pub permission: Option<FilePermission>,
}

pub const ACL_USER: i32 = 0;
pub const ACL_GROUP: i32 = 1;
pub const ACL_MASK: i32 = 2;
pub const ACL_OTHER: i32 = 3;
pub const ACL_SCOPE_ACCESS: i32 = 0;
pub const ACL_SCOPE_DEFAULT: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub struct AclEntry {
    #[prost(int32, required, tag = "1")]
    pub entry_type: i32,
    #[prost(int32, required, tag = "2")]
    pub scope: i32,
    /// `rwx` as in permission bits.
    #[prost(int32, required, tag = "3")]
    pub permissions: i32,
    #[prost(string, optional, tag = "4")]
    pub name: Option<String>,
}

/// All that the caller may see, because it names none.
#[derive(Clone, PartialEq, Message)]
pub struct GetXAttrsRequest {
    #[prost(string, required, tag = "1")]
    pub source: String,
}

#[derive(Clone, PartialEq, Message)]
pub struct GetXAttrsResponse {
    #[prost(message, repeated, tag = "1")]
    pub xattrs: Vec<XAttr>,
}

pub const XATTR_USER: i32 = 0;
pub const XATTR_TRUSTED: i32 = 1;

#[derive(Clone, PartialEq, Message)]
pub struct XAttr {
    #[prost(int32, required, tag = "1")]
    pub namespace: i32,
    /// Without the namespace.
    #[prost(string, required, tag = "2")]
    pub name: String,
    #[prost(bytes = "vec", optional, tag = "3")]
    pub value: Option<Vec<u8>>,
}
