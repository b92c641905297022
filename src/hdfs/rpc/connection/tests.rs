//! A connection against a server of a few lines on a real socket.

use livedata_filesystem::ErrorKind;
use tokio::net::TcpListener;

use super::*;
use crate::proto::{GetLocatedFileInfoRequest, RequestHeader, RpcResponseHeader};
use crate::rpc::fake::{Peer, exception, success};

const CLIENT: ClientId = *b"0123456789abcdef";

fn path(path: &str) -> GetLocatedFileInfoRequest {
    GetLocatedFileInfoRequest { source: Some(path.into()), need_block_token: None }
}

async fn open(listener: &TcpListener, limits: Limits) -> Arc<Connection> {
    let address = listener.local_addr().unwrap().to_string();
    Arc::new(Connection::open(&address, CLIENT, "reader", limits).await.unwrap())
}

async fn listen() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

fn start(connection: &Arc<Connection>, name: &str) -> tokio::task::JoinHandle<Result<Bytes, RpcError>> {
    let (connection, request) = (connection.clone(), path(name));
    tokio::spawn(async move { connection.call(Protocol::Client, "getLocatedFileInfo", &request).await })
}

#[tokio::test]
async fn answers_in_another_order_reach_their_callers() {
    let listener = listen().await;
    let connection = open(&listener, Limits::default()).await;
    let calls = [start(&connection, "/a"), start(&connection, "/b"), start(&connection, "/c")];
    let mut peer = Peer::accept(&listener).await;
    let mut requests = Vec::new();
    for _ in 0..3 {
        let (header, mut frame) = peer.request().await;
        let request = RequestHeader::decode_length_delimited(&mut frame).unwrap();
        assert_eq!(request.method_name, "getLocatedFileInfo");
        requests
            .push((header.call_id, GetLocatedFileInfoRequest::decode_length_delimited(&mut frame).unwrap()));
    }
    for (call_id, request) in requests.iter().rev() {
        peer.answer(success(*call_id), Some(&request.encode_to_vec())).await;
    }
    for (call, name) in calls.into_iter().zip(["/a", "/b", "/c"]) {
        let answer = call.await.unwrap().unwrap();
        assert_eq!(GetLocatedFileInfoRequest::decode(answer).unwrap(), path(name));
    }
}

#[tokio::test]
async fn an_exception_fails_its_call_and_no_other() {
    let listener = listen().await;
    let connection = open(&listener, Limits::default()).await;
    let call = start(&connection, "/denied");
    let mut peer = Peer::accept(&listener).await;
    let (header, _) = peer.request().await;
    let class = "org.apache.hadoop.security.AccessControlException";
    let message = "Permission denied: user=reader\n\tat java.lang.Thread.run";
    peer.answer(exception(header.call_id, class, message), None).await;
    let error = call.await.unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Denied);
    assert!(error.to_string().ends_with("Permission denied: user=reader"), "{error}");

    let call = start(&connection, "/fine");
    let (header, _) = peer.request().await;
    peer.answer(success(header.call_id), Some(&path("/fine").encode_to_vec())).await;
    assert!(call.await.unwrap().is_ok());
}

#[tokio::test]
async fn a_fatal_answer_fails_every_waiting_call_with_its_reason() {
    let listener = listen().await;
    let connection = open(&listener, Limits::default()).await;
    let calls = [start(&connection, "/a"), start(&connection, "/b")];
    let mut peer = Peer::accept(&listener).await;
    let fatal = RpcResponseHeader {
        status: 2,
        exception_class_name: Some("org.apache.hadoop.security.AccessControlException".into()),
        error_message: Some("SIMPLE authentication is not enabled.".into()),
        ..success(-1)
    };
    peer.request().await;
    peer.request().await;
    peer.answer(fatal, None).await;
    for call in calls {
        assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Denied);
    }
    assert!(!connection.is_open());
}

#[tokio::test]
async fn a_closed_connection_fails_waiting_and_later_calls() {
    let listener = listen().await;
    let connection = open(&listener, Limits::default()).await;
    let call = start(&connection, "/a");
    let mut peer = Peer::accept(&listener).await;
    peer.request().await;
    drop(peer);
    assert_eq!(call.await.unwrap().unwrap_err().kind(), ErrorKind::Unreachable);
    assert!(!connection.is_open());
    assert_eq!(start(&connection, "/b").await.unwrap().unwrap_err().kind(), ErrorKind::Unreachable);
}

#[tokio::test]
async fn a_silent_server_is_pinged_and_then_given_up() {
    let listener = listen().await;
    let limits =
        Limits { silence: Duration::from_millis(20), call: Duration::from_millis(500), ..Limits::default() };
    let connection = open(&listener, limits).await;
    let call = start(&connection, "/a");
    let mut peer = Peer::accept(&listener).await;
    peer.request().await;
    let (ping, _) = peer.request().await;
    assert_eq!(ping.call_id, -4);
    assert!(matches!(call.await.unwrap().unwrap_err(), RpcError::TimedOut { .. }));
    // Forgotten, hence unused: closed at the next silence, after the pings that were sent until then.
    while peer.stream.read_buf(&mut peer.received).await.unwrap() > 0 {}
    assert!(!connection.is_open());
}

#[tokio::test]
async fn nobody_listening_is_unreachable() {
    let listener = listen().await;
    let address = listener.local_addr().unwrap().to_string();
    drop(listener);
    let error = Connection::open(&address, CLIENT, "reader", Limits::default()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unreachable);
    assert!(error.to_string().contains(&address), "{error}");
}
