//! What stands between a client and its service, or in the service's place: a proxy that tunnels, and a server, with or without
//! TLS, whose answers a test writes.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::lossy_proxy::read_request;

/// Knows CONNECT only, and leads every tunnel to the same place.
pub struct ConnectProxy {
    pub address: SocketAddr,
    /// Of the requests so far.
    heads: Arc<Mutex<Vec<String>>>,
    accepting: JoinHandle<()>,
}

impl ConnectProxy {
    /// With a refusal, a status line, nobody gets through.
    pub async fn start(upstream: SocketAddr, refusal: Option<&'static str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::<Mutex<Vec<String>>>::default();
        let shared = Arc::clone(&heads);
        let accepting = tokio::spawn(async move {
            loop {
                let (mut client, _) = listener.accept().await.unwrap();
                let heads = Arc::clone(&shared);
                tokio::spawn(async move {
                    let Some((head, _)) = read_request(&mut client).await else { return };
                    let is_tunnel = head.starts_with("CONNECT ");
                    heads.lock().unwrap().push(head);
                    if let Some(status) = refusal.or((!is_tunnel).then_some("405 Method Not Allowed")) {
                        let _ = client.write_all(format!("HTTP/1.1 {status}\r\n\r\n").as_bytes()).await;
                        return;
                    }
                    let mut service = TcpStream::connect(upstream).await.unwrap();
                    client.write_all(b"HTTP/1.1 200 Connected\r\n\r\n").await.unwrap();
                    let _ = tokio::io::copy_bidirectional(&mut client, &mut service).await;
                });
            }
        });
        Self { address, heads, accepting }
    }

    pub fn heads(&self) -> Vec<String> {
        self.heads.lock().unwrap().clone()
    }
}

impl Drop for ConnectProxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

#[derive(Clone, Debug)]
pub struct Request {
    /// Request line and headers.
    pub head: String,
    pub body: String,
}

impl Request {
    /// Of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines().filter_map(|line| line.split_once(": "));
        lines.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }
}

/// Answers as it is told.
pub struct Server {
    pub address: SocketAddr,
    requests: Arc<Mutex<Vec<Request>>>,
    accepting: JoinHandle<()>,
}

impl Server {
    /// `answer` makes a status with headers, and a body.
    pub async fn start(
        tls: Option<rustls::ServerConfig>,
        answer: impl Fn(&Request) -> (&'static str, String) + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::<Mutex<Vec<Request>>>::default();
        let (shared, answer) = (Arc::clone(&requests), Arc::new(answer));
        let acceptor = tls.map(|config| TlsAcceptor::from(Arc::new(config)));
        let accepting = tokio::spawn(async move {
            loop {
                let (socket, _) = listener.accept().await.unwrap();
                let (acceptor, requests, answer) =
                    (acceptor.clone(), Arc::clone(&shared), Arc::clone(&answer));
                tokio::spawn(async move {
                    match acceptor {
                        None => serve(socket, &requests, answer.as_ref()).await,
                        Some(acceptor) => {
                            if let Ok(socket) = acceptor.accept(socket).await {
                                serve(socket, &requests, answer.as_ref()).await;
                            }
                        }
                    }
                });
            }
        });
        Self { address, requests, accepting }
    }

    pub fn take_requests(&self) -> Vec<Request> {
        std::mem::take(&mut *self.requests.lock().unwrap())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(
    mut socket: impl AsyncRead + AsyncWrite + Unpin,
    requests: &Mutex<Vec<Request>>,
    answer: &(impl Fn(&Request) -> (&'static str, String) + Send + Sync),
) {
    while let Some((head, body)) = read_request(&mut socket).await {
        let request = Request { head, body: String::from_utf8(body).unwrap() };
        let (status, body) = answer(&request);
        requests.lock().unwrap().push(request);
        let answer = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}", body.len());
        if socket.write_all(answer.as_bytes()).await.is_err() {
            return;
        }
    }
}
