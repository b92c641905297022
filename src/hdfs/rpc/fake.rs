//! A NameNode of a few lines on a real socket, for the tests of this crate.

use std::sync::{Arc, Mutex, PoisonError};

use bytes::{Bytes, BytesMut};
use prost::Message;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::frame;
use crate::proto::{RequestHeader, RpcRequestHeader, RpcResponseHeader};

/// The server's side of one connection.
pub struct Peer {
    pub stream: TcpStream,
    pub received: BytesMut,
}

impl Peer {
    pub async fn accept(listener: &TcpListener) -> Self {
        let (stream, _) = listener.accept().await.unwrap();
        Self::welcome(stream).await
    }

    /// Swallows the opening, which `frame` has its own test for.
    async fn welcome(stream: TcpStream) -> Self {
        let mut peer = Self { stream, received: BytesMut::new() };
        let mut preamble = [0; 7];
        peer.stream.read_exact(&mut preamble).await.unwrap();
        assert_eq!(&preamble, b"hrpc\x09\x00\x00");
        let (context, _) = peer.request().await;
        assert_eq!(context.call_id, -3);
        peer
    }

    pub async fn request(&mut self) -> (RpcRequestHeader, Bytes) {
        self.try_request().await.expect("the client closed")
    }

    async fn try_request(&mut self) -> Option<(RpcRequestHeader, Bytes)> {
        loop {
            if let Some(mut frame) = frame::take_frame(&mut self.received).unwrap() {
                return Some((RpcRequestHeader::decode_length_delimited(&mut frame).unwrap(), frame));
            }
            if self.stream.read_buf(&mut self.received).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    pub async fn answer(&mut self, header: RpcResponseHeader, body: Option<&[u8]>) {
        let mut bytes = header.encode_length_delimited_to_vec();
        if let Some(body) = body {
            prost::encode_length_delimiter(body.len(), &mut bytes).unwrap();
            bytes.extend(body);
        }
        let mut frame = (bytes.len() as u32).to_be_bytes().to_vec();
        frame.extend(bytes);
        // The client may have gone.
        let _ = self.stream.write_all(&frame).await;
    }
}

pub fn success(call_id: i32) -> RpcResponseHeader {
    RpcResponseHeader { call_id: call_id as u32, ..Default::default() }
}

pub fn exception(call_id: i32, class: &str, message: &str) -> RpcResponseHeader {
    RpcResponseHeader {
        status: 1,
        exception_class_name: Some(class.into()),
        error_message: Some(message.into()),
        ..success(call_id)
    }
}

/// What to answer to one call.
pub enum Reply {
    Message(Vec<u8>),
    Exception { class: &'static str, message: &'static str },
}

impl Reply {
    pub fn with(message: &impl Message) -> Self {
        Self::Message(message.encode_to_vec())
    }

    /// As every Hadoop answers to a method that it does not have.
    pub fn unknown_method() -> Self {
        Self::Exception { class: "org.apache.hadoop.ipc.RpcNoSuchMethodException", message: "Unknown method" }
    }
}

pub trait Answers: FnMut(&str, Bytes) -> Reply + Send + 'static {}
impl<F: FnMut(&str, Bytes) -> Reply + Send + 'static> Answers for F {}

/// Answers every call of every connection by a function of the method's name and the encoded request. Ends, connections
/// and all, when dropped.
pub struct FakeNameNode {
    pub address: String,
    calls: Arc<Mutex<Vec<String>>>,
    serving: JoinSet<()>,
}

impl FakeNameNode {
    pub async fn start(answers: impl Answers) -> Self {
        Self::start_at("127.0.0.1:0", answers).await
    }

    pub async fn start_at(address: &str, answers: impl Answers) -> Self {
        let listener = TcpListener::bind(address).await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let calls = Arc::new(Mutex::new(Vec::new()));
        let state = Arc::new(Mutex::new(answers));
        let log = calls.clone();
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                connections.spawn(serve(stream, state.clone(), log.clone()));
            }
        });
        Self { address, calls, serving }
    }

    /// The methods called since the last time this was asked.
    pub fn take_calls(&self) -> Vec<String> {
        std::mem::take(&mut *self.calls.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns when nothing listens any more, and gives the address free.
    pub async fn stop(mut self) -> String {
        self.serving.shutdown().await;
        self.address
    }
}

async fn serve(stream: TcpStream, answers: Arc<Mutex<impl Answers>>, calls: Arc<Mutex<Vec<String>>>) {
    let mut peer = Peer::welcome(stream).await;
    while let Some((header, mut frame)) = peer.try_request().await {
        let request = RequestHeader::decode_length_delimited(&mut frame).unwrap();
        let length = prost::decode_length_delimiter(&mut frame).unwrap();
        assert_eq!(frame.len(), length);
        calls.lock().unwrap().push(request.method_name.clone());
        let reply = (answers.lock().unwrap())(&request.method_name, frame);
        match reply {
            Reply::Message(body) => peer.answer(success(header.call_id), Some(&body)).await,
            Reply::Exception { class, message } => {
                peer.answer(exception(header.call_id, class, message), None).await;
            }
        }
    }
}
