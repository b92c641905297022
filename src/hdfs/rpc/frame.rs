//! Bytes of frames, without any socket.

use bytes::{Buf, BufMut, Bytes, BytesMut};
use prost::Message;

use crate::error::RpcError;
use crate::proto::{
    ConnectionContext, KIND_PROTOCOL_BUFFER, OPERATION_FINAL_PACKET, RequestHeader, RpcRequestHeader,
    RpcResponseHeader, STATUS_FATAL, STATUS_SUCCESS, UserInformation,
};

/// `hrpc`, version 9, service class 0, authentication 0 (SIMPLE).
const PREAMBLE: [u8; 7] = *b"hrpc\x09\x00\x00";
/// Call ids below zero are reserved.
const CALL_ID_CONTEXT: i32 = -3;
const CALL_ID_PING: i32 = -4;
const RETRY_COUNT_NONE: i32 = -1;

const PROTOCOL_VERSION: u64 = 1;

/// Whose methods are called. A NameNode serves both at one port and on one connection.
#[derive(Clone, Copy, Debug)]
pub enum Protocol {
    Client,
    /// Of NameNodes among each other.
    NameNode,
}

impl Protocol {
    fn name(self) -> &'static str {
        match self {
            Self::Client => "org.apache.hadoop.hdfs.protocol.ClientProtocol",
            Self::NameNode => "org.apache.hadoop.hdfs.server.protocol.NamenodeProtocol",
        }
    }
}

/// Hadoop's own limit of an answer (`ipc.maximum.response.length`). A longer one is no Hadoop RPC.
const LONGEST_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// Identifies this process' connection in the server's logs and caches.
pub type ClientId = [u8; 16];

/// What opens a connection: the preamble and who is asking.
pub fn opening(client: ClientId, user: &str) -> Bytes {
    let context = ConnectionContext {
        user_info: Some(UserInformation { effective_user: Some(user.to_owned()) }),
        protocol: Some(Protocol::Client.name().to_owned()),
    };
    let mut out = BytesMut::from(&PREAMBLE[..]);
    let header = header(client, CALL_ID_CONTEXT, RETRY_COUNT_NONE);
    put_frame(&mut out, &[header.encode_length_delimited_to_vec(), context.encode_length_delimited_to_vec()]);
    out.freeze()
}

pub fn request(
    client: ClientId,
    call_id: i32,
    protocol: Protocol,
    method: &str,
    body: &impl Message,
) -> Bytes {
    let request = RequestHeader {
        method_name: method.to_owned(),
        declaring_class_protocol_name: protocol.name().to_owned(),
        client_protocol_version: PROTOCOL_VERSION,
    };
    let mut out = BytesMut::new();
    let parts = [
        header(client, call_id, 0).encode_length_delimited_to_vec(),
        request.encode_length_delimited_to_vec(),
        body.encode_length_delimited_to_vec(),
    ];
    put_frame(&mut out, &parts);
    out.freeze()
}

/// The server answers nothing to it: it only shows that the connection carries bytes.
pub fn ping(client: ClientId) -> Bytes {
    let mut out = BytesMut::new();
    put_frame(&mut out, &[header(client, CALL_ID_PING, RETRY_COUNT_NONE).encode_length_delimited_to_vec()]);
    out.freeze()
}

fn header(client: ClientId, call_id: i32, retry_count: i32) -> RpcRequestHeader {
    RpcRequestHeader {
        rpc_kind: Some(KIND_PROTOCOL_BUFFER),
        rpc_op: Some(OPERATION_FINAL_PACKET),
        call_id,
        client_id: client.to_vec(),
        retry_count: Some(retry_count),
    }
}

fn put_frame(out: &mut BytesMut, parts: &[Vec<u8>]) {
    let length: usize = parts.iter().map(Vec::len).sum();
    // Requests hold one path: far below 4 GiB.
    out.put_u32(length as u32);
    for part in parts {
        out.extend_from_slice(part);
    }
}

/// Takes one whole frame off the front, if it has arrived.
pub fn take_frame(received: &mut BytesMut) -> Result<Option<Bytes>, RpcError> {
    let Some(prefix) = received.first_chunk::<4>() else { return Ok(None) };
    let length = u32::from_be_bytes(*prefix) as usize;
    if length > LONGEST_ANSWER_BYTES {
        return Err(RpcError::Malformed(
            "the answer is no Hadoop RPC; is the port the NameNode's RPC port, and not its web port?".into(),
        ));
    }
    if received.len() < 4 + length {
        return Ok(None);
    }
    received.advance(4);
    Ok(Some(received.split_to(length).freeze()))
}

#[derive(Debug)]
pub struct Answer {
    pub call_id: i32,
    /// The still encoded answer message.
    pub outcome: Result<Bytes, RpcError>,
    /// The server closes the connection after this one.
    pub is_fatal: bool,
}

pub fn parse_answer(mut frame: Bytes) -> Result<Answer, RpcError> {
    let malformed = |error: prost::DecodeError| {
        RpcError::Malformed(format!("the NameNode's answer cannot be read: {error}"))
    };
    let header = RpcResponseHeader::decode_length_delimited(&mut frame).map_err(malformed)?;
    let outcome = if header.status == STATUS_SUCCESS {
        let length = prost::decode_length_delimiter(&mut frame).map_err(malformed)?;
        if frame.len() < length {
            return Err(RpcError::Malformed("the NameNode's answer is cut short".into()));
        }
        Ok(frame.split_to(length))
    } else {
        // A Java stack trace follows the first line.
        let message = header.error_message.unwrap_or_default();
        Err(RpcError::Remote {
            class: header.exception_class_name.unwrap_or_else(|| "an error without a class".into()),
            message: message.lines().next().unwrap_or_default().to_owned(),
        })
    };
    Ok(Answer { call_id: header.call_id as i32, outcome, is_fatal: header.status == STATUS_FATAL })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::GetLocatedFileInfoRequest;

    const CLIENT: ClientId = *b"0123456789abcdef";

    #[test]
    fn the_opening_is_as_hadoop_expects_it() {
        let mut expected = b"hrpc\x09\x00\x00".to_vec();
        expected.extend(b"\x00\x00\x00\x58");
        // 26 bytes of header: kind 2, operation 0, call id -3 (zigzag 5), client id, retry count -1 (zigzag 1).
        expected.extend(b"\x1a\x08\x02\x10\x00\x18\x05\x22\x10");
        expected.extend(CLIENT);
        expected.extend(b"\x28\x01");
        // 60 bytes of context: user information with the effective user, then the protocol.
        expected.extend(b"\x3c\x12\x0a\x0a\x08livedata\x1a\x2e");
        expected.extend(Protocol::Client.name().bytes());
        assert_eq!(opening(CLIENT, "livedata"), Bytes::from(expected));
    }

    #[test]
    fn a_request_is_three_delimited_messages_in_one_frame() {
        let body = GetLocatedFileInfoRequest { source: Some("/a".into()), need_block_token: Some(false) };
        let mut bytes =
            BytesMut::from(&request(CLIENT, 7, Protocol::NameNode, "getLocatedFileInfo", &body)[..]);
        let mut frame = take_frame(&mut bytes).unwrap().unwrap();
        assert!(bytes.is_empty());
        let header = RpcRequestHeader::decode_length_delimited(&mut frame).unwrap();
        assert_eq!((header.call_id, header.client_id), (7, CLIENT.to_vec()));
        let header = RequestHeader::decode_length_delimited(&mut frame).unwrap();
        assert_eq!(header.method_name, "getLocatedFileInfo");
        assert!(header.declaring_class_protocol_name.ends_with(".NamenodeProtocol"));
        assert_eq!(GetLocatedFileInfoRequest::decode_length_delimited(&mut frame).unwrap(), body);
        assert!(frame.is_empty());
    }

    #[test]
    fn frames_are_taken_only_when_whole() {
        let whole = ping(CLIENT);
        let mut received = BytesMut::new();
        for byte in &whole[..whole.len() - 1] {
            received.put_u8(*byte);
            assert_eq!(take_frame(&mut received).unwrap(), None);
        }
        received.extend_from_slice(&whole[whole.len() - 1..]);
        received.extend_from_slice(b"next");
        assert_eq!(take_frame(&mut received).unwrap().unwrap(), whole.slice(4..));
        assert_eq!(&received[..], b"next");
    }

    #[test]
    fn a_web_server_is_recognised_as_none() {
        let error = take_frame(&mut BytesMut::from(&b"HTTP/1.1 404"[..])).unwrap_err();
        assert!(error.to_string().contains("RPC port"), "{error}");
    }
}
