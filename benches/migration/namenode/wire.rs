//! Hadoop RPC as far as it takes: `RpcHeader.proto`, `ClientNamenodeProtocol.proto`, `inotify.proto`.

use std::io;

use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

#[derive(Clone, PartialEq, Message)]
struct RequestFrame {
    #[prost(sint32, required, tag = "3")]
    call_id: i32,
}

#[derive(Clone, PartialEq, Message)]
struct Call {
    #[prost(string, required, tag = "1")]
    method: String,
}

#[derive(Clone, PartialEq, Message)]
struct AnswerFrame {
    #[prost(uint32, required, tag = "1")]
    call_id: u32,
    /// 0: it went well, 1: it did not.
    #[prost(int32, required, tag = "2")]
    status: i32,
    #[prost(string, optional, tag = "4")]
    exception: Option<String>,
}

#[derive(Clone, PartialEq, Message)]
struct Number {
    #[prost(int64, required, tag = "1")]
    number: i64,
}

#[derive(Clone, PartialEq, Message)]
struct StatusAnswer {
    #[prost(message, optional, tag = "1")]
    status: Option<Status>,
}

#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, required, tag = "1")]
    file_type: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    name: Vec<u8>,
    #[prost(uint64, required, tag = "3")]
    length: u64,
    #[prost(message, required, tag = "4")]
    permission: Permission,
    #[prost(string, required, tag = "5")]
    owner: String,
    #[prost(string, required, tag = "6")]
    group: String,
    #[prost(uint64, required, tag = "7")]
    modified: u64,
    #[prost(uint64, optional, tag = "13")]
    file_id: Option<u64>,
}

#[derive(Clone, PartialEq, Message)]
struct Permission {
    #[prost(uint32, required, tag = "1")]
    bits: u32,
}

#[derive(Clone, PartialEq, Message)]
struct ListingAnswer {
    #[prost(message, optional, tag = "1")]
    listing: Option<Listing>,
}

#[derive(Clone, PartialEq, Message)]
struct Listing {
    #[prost(uint32, required, tag = "2")]
    remaining: u32,
}

#[derive(Clone, PartialEq, Message)]
struct VersionAnswer {
    #[prost(message, required, tag = "1")]
    info: NamespaceInfo,
}

#[derive(Clone, PartialEq, Message)]
struct NamespaceInfo {
    #[prost(string, required, tag = "3")]
    block_pool: String,
    #[prost(message, required, tag = "4")]
    storage: Storage,
    #[prost(string, required, tag = "5")]
    version: String,
}

#[derive(Clone, PartialEq, Message)]
struct Storage {
    #[prost(string, required, tag = "3")]
    cluster: String,
}

#[derive(Clone, PartialEq, Message)]
struct EditsAnswer {
    #[prost(message, required, tag = "1")]
    list: Edits,
}

#[derive(Clone, PartialEq, Message)]
struct Edits {
    #[prost(int64, required, tag = "2")]
    first: i64,
    #[prost(int64, required, tag = "3")]
    last: i64,
    #[prost(int64, required, tag = "4")]
    durable: i64,
    #[prost(message, repeated, tag = "5")]
    batches: Vec<Batch>,
}

#[derive(Clone, PartialEq, Message)]
struct Batch {
    #[prost(int64, required, tag = "1")]
    txid: i64,
    #[prost(message, repeated, tag = "2")]
    events: Vec<Event>,
}

#[derive(Clone, PartialEq, Message)]
struct Event {
    #[prost(int32, required, tag = "1")]
    kind: i32,
    #[prost(bytes = "vec", required, tag = "2")]
    contents: Vec<u8>,
}

const RENAME: i32 = 3;

#[derive(Clone, PartialEq, Message)]
struct Rename {
    #[prost(string, required, tag = "1")]
    from: String,
    #[prost(string, required, tag = "2")]
    to: String,
    #[prost(int64, required, tag = "3")]
    at: i64,
}

pub fn directory(path: &str) -> Bytes {
    let status = Status {
        file_type: 1,
        name: path.trim_start_matches('/').into(),
        length: 0,
        permission: Permission { bits: 0o755 },
        owner: "hdfs".to_owned(),
        group: "hdfs".to_owned(),
        modified: 1_700_000_000_000,
        file_id: Some(16_386),
    };
    StatusAnswer { status: Some(status) }.encode_to_vec().into()
}

pub fn empty_listing() -> Bytes {
    ListingAnswer { listing: Some(Listing { remaining: 0 }) }.encode_to_vec().into()
}

pub fn namespace() -> Bytes {
    let storage = Storage { cluster: "CID-few-lines".to_owned() };
    let info = NamespaceInfo { block_pool: "BP-few-lines".to_owned(), storage, version: "3.4.3".to_owned() };
    VersionAnswer { info }.encode_to_vec().into()
}

pub fn number(number: i64) -> Bytes {
    Number { number }.encode_to_vec().into()
}

pub fn asked_number(body: &[u8]) -> Option<i64> {
    Number::decode(body).ok().map(|asked| asked.number)
}

/// `count` renames, a transaction each, with paths as long as those of tables are.
pub fn edits(first: i64, count: i64, durable: i64) -> Bytes {
    let batches = (first..first + count).map(|txid| {
        let table = format!("/warehouse/sales.db/orders/day=2026-11-{:02}", txid % 30 + 1);
        let (from, to) = (format!("{table}/.staging/part-{txid:012}"), format!("{table}/part-{txid:012}"));
        let contents = Rename { from, to, at: 1_700_000_000_000 }.encode_to_vec();
        Batch { txid, events: vec![Event { kind: RENAME, contents }] }
    });
    let list = Edits { first, last: first + count - 1, durable, batches: batches.collect() };
    EditsAnswer { list }.encode_to_vec().into()
}

pub fn no_edits(durable: i64) -> Bytes {
    let list = Edits { first: -1, last: -1, durable, batches: Vec::new() };
    EditsAnswer { list }.encode_to_vec().into()
}

/// Answers until the client leaves. `None`: it has no such method.
pub async fn serve(mut stream: TcpStream, answer: impl Fn(&str, &[u8]) -> Option<Bytes>) -> io::Result<()> {
    stream.set_nodelay(true)?;
    let mut preamble = [0; 7];
    stream.read_exact(&mut preamble).await?;
    loop {
        let length = stream.read_u32().await?;
        let mut frame = vec![0; length as usize];
        stream.read_exact(&mut frame).await?;
        let mut frame = Bytes::from(frame);
        let header = RequestFrame::decode_length_delimited(&mut frame)?;
        // Who it is, and that it is still there: neither wants an answer.
        if header.call_id < 0 {
            continue;
        }
        let call = Call::decode_length_delimited(&mut frame)?;
        let body = prost::decode_length_delimiter(&mut frame).map(|length| frame.split_to(length))?;
        let outcome = answer(&call.method, &body);
        let (status, exception) = match outcome {
            Some(_) => (0, None),
            None => (1, Some("org.apache.hadoop.ipc.RpcNoSuchMethodException".to_owned())),
        };
        let mut head = AnswerFrame { call_id: header.call_id as u32, status, exception }
            .encode_length_delimited_to_vec();
        let body = outcome.unwrap_or_default();
        if status == 0 {
            prost::encode_length_delimiter(body.len(), &mut head)?;
        }
        let mut out = BytesMut::with_capacity(4 + head.len());
        out.extend_from_slice(&((head.len() + body.len()) as u32).to_be_bytes());
        out.extend_from_slice(&head);
        stream.write_all(&out).await?;
        stream.write_all(&body).await?;
    }
}
