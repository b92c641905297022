//! Faults of connections over TLS, where the socket that breaks lies below what the web server writes to.

use std::io::{ErrorKind, Read as _, Write as _};
use std::net::TcpStream;
use std::sync::Arc;

use livedata_adls_emulator::{Emulator, Options, Running, Storage};
use reqwest::Method;
use rustls::pki_types::PrivateKeyDer;
use rustls::{ClientConfig, ClientConnection, RootCertStore, ServerConfig, StreamOwned};
use serde_json::json;

use crate::client::{Client, options};

/// With a certificate that the client trusts.
struct Secure {
    running: Running,
    client: Client,
    config: Arc<ClientConfig>,
}

/// What came, and how it ended.
type Received = (Vec<u8>, std::io::Result<()>);

impl Secure {
    async fn start() -> Self {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
        let key = PrivateKeyDer::try_from(made.signing_key.serialize_der()).unwrap();
        let certificate = made.cert.der().clone();
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let server = ServerConfig::builder_with_provider(provider.clone());
        let server = server.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let server = server.with_single_cert(vec![certificate.clone()], key).unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(certificate).unwrap();
        let config = ClientConfig::builder_with_provider(provider);
        let config = config.with_safe_default_protocol_versions().unwrap();
        let config = config.with_root_certificates(roots).with_no_client_auth();
        let options = Options { storage_tls: Some(server), ..options(Storage::Memory) };
        let running = Emulator::start(options).await.unwrap();
        let client = Client::to(&running);
        let secure = Self { running, client, config: Arc::new(config) };
        secure.expect(201, "PUT", "lake?resource=filesystem", b"");
        secure
    }

    fn send(&self, method: &str, target: &str, body: &[u8]) -> Received {
        let connection = ClientConnection::new(self.config.clone(), "localhost".try_into().unwrap()).unwrap();
        let socket = TcpStream::connect(self.running.storage_address()).unwrap();
        let mut stream = StreamOwned::new(connection, socket);
        let head = self.client.signed_head_with(method, target, &[("connection", "close")], body.len());
        let sent = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(body));
        if let Err(error) = sent.and_then(|()| stream.flush()) {
            return (Vec::new(), Err(error));
        }
        let mut received = Vec::new();
        let ended = stream.read_to_end(&mut received).map(drop);
        (received, ended)
    }

    #[track_caller]
    fn expect(&self, status: u16, method: &str, target: &str, body: &[u8]) -> Vec<u8> {
        let (received, _) = self.send(method, target, body);
        let start = format!("HTTP/1.1 {status}");
        assert!(received.starts_with(start.as_bytes()), "{}", String::from_utf8_lossy(&received));
        received
    }

    async fn once(&self, effect: serde_json::Value) {
        self.client.fault("one", json!({ "effect": effect, "count": 1 })).await;
    }
}

#[track_caller]
fn was_reset(ended: std::io::Result<()>) {
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::ConnectionReset);
}

fn content_of(received: &[u8]) -> &[u8] {
    let head = received.windows(4).position(|end| end == b"\r\n\r\n").unwrap();
    &received[head + 4..]
}

#[tokio::test]
async fn a_connection_over_tls_is_reset_before_the_operation_or_within_a_body() {
    let secure = Secure::start().await;
    secure.once(json!({ "reset": "beforeOperation" })).await;
    let (received, ended) = secure.send("PUT", "lake/file?resource=file", b"");
    assert!(received.is_empty());
    was_reset(ended);
    secure.expect(404, "HEAD", "lake/file", b"");

    let content: Vec<u8> = (0..1_000_000_u32).map(|at| at.to_le_bytes()[0]).collect();
    secure.expect(201, "PUT", "lake/file?resource=file", b"");
    secure.once(json!({ "reset": { "requestBody": { "afterBytes": 400_000 } } })).await;
    let (received, ended) = secure.send("PATCH", "lake/file?action=append&position=0", &content);
    assert!(received.is_empty());
    // TLS writes on when a write has failed, and then the pipe is broken.
    let kind = ended.unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::ConnectionReset | ErrorKind::BrokenPipe), "{kind}");
    secure.expect(400, "PATCH", "lake/file?action=flush&position=1", b"");

    secure.expect(202, "PATCH", "lake/file?action=append&position=0&flush=true", &content);
    secure.once(json!({ "reset": { "responseBody": { "afterBytes": 123_456 } } })).await;
    let (received, ended) = secure.send("GET", "lake/file", b"");
    was_reset(ended);
    let part = content_of(&received);
    assert!(part.len() <= 123_456 && *part == content[..part.len()], "{}", part.len());
    assert_eq!(content_of(&secure.expect(200, "GET", "lake/file", b"")), content);
    secure.running.stop().await.unwrap();
}

#[tokio::test]
async fn a_lost_reply_over_tls_is_of_an_operation_that_was_done() {
    let secure = Secure::start().await;
    secure.once(json!("lostReply")).await;
    let (received, ended) = secure.send("PUT", "lake/file?resource=file", b"");
    assert!(received.is_empty());
    // The connection has ended, but not with the word by which TLS ends one.
    assert_eq!(ended.unwrap_err().kind(), ErrorKind::UnexpectedEof);
    secure.expect(200, "HEAD", "lake/file", b"");
    let log = secure.client.admin(Method::GET, "/requests", crate::client::ADMIN_TOKEN, "").await.expect(200);
    let log = log.json();
    let struck = log["requests"].as_array().unwrap().iter().filter(|entry| entry["faults"] == json!(["one"]));
    assert_eq!(struck.count(), 1);
    secure.running.stop().await.unwrap();
}
