//! What surrounds a call: `RpcHeader.proto`, `ProtobufRpcEngine.proto`, `IpcConnectionContext.proto` of hadoop-common.

use prost::Message;

/// `RpcRequestHeaderProto.rpcKind`: calls and answers are protocol buffers.
pub const KIND_PROTOCOL_BUFFER: i32 = 2;
/// `RpcRequestHeaderProto.rpcOp`: a complete request in one frame.
pub const OPERATION_FINAL_PACKET: i32 = 0;

#[derive(Clone, PartialEq, Message)]
pub struct RpcRequestHeader {
    #[prost(int32, optional, tag = "1")]
    pub rpc_kind: Option<i32>,
    #[prost(int32, optional, tag = "2")]
    pub rpc_op: Option<i32>,
    #[prost(sint32, required, tag = "3")]
    pub call_id: i32,
    #[prost(bytes = "vec", required, tag = "4")]
    pub client_id: Vec<u8>,
    #[prost(sint32, optional, tag = "5")]
    pub retry_count: Option<i32>,
}

pub const STATUS_SUCCESS: i32 = 0;
/// The connection is of no use any more.
pub const STATUS_FATAL: i32 = 2;

#[derive(Clone, PartialEq, Message)]
pub struct RpcResponseHeader {
    /// The request's signed call id, in its two's complement form.
    #[prost(uint32, required, tag = "1")]
    pub call_id: u32,
    #[prost(int32, required, tag = "2")]
    pub status: i32,
    #[prost(string, optional, tag = "4")]
    pub exception_class_name: Option<String>,
    #[prost(string, optional, tag = "5")]
    pub error_message: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct RequestHeader {
    #[prost(string, required, tag = "1")]
    pub method_name: String,
    #[prost(string, required, tag = "2")]
    pub declaring_class_protocol_name: String,
    #[prost(uint64, required, tag = "3")]
    pub client_protocol_version: u64,
}

#[derive(Clone, PartialEq, Message)]
pub struct UserInformation {
    #[prost(string, optional, tag = "1")]
    pub effective_user: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
pub struct ConnectionContext {
    #[prost(message, optional, tag = "2")]
    pub user_info: Option<UserInformation>,
    #[prost(string, optional, tag = "3")]
    pub protocol: Option<String>,
}
