//! A bandwidth cap, seen by whoever is at the other end of the connection.

use std::sync::Arc;
use std::time::Duration;

use livedata_adls::{AccountKey, AfterAppend, Config, Credential, Filesystem, Throttle};
use livedata_filesystem::throttle::{Bandwidth, GRANT_BYTES};
use livedata_filesystem::{TargetPath, Upload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio::time::Instant;

/// Answers one request; when how many bytes of its body had arrived.
async fn receive(listener: TcpListener, length: usize) -> Vec<(Instant, usize)> {
    let (mut socket, _) = listener.accept().await.unwrap();
    let mut received = Vec::new();
    let body = loop {
        assert!(socket.read_buf(&mut received).await.unwrap() > 0, "no whole head");
        if let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            break at + 4;
        }
    };
    let mut arrived = vec![(Instant::now(), received.len() - body)];
    while received.len() < body + length {
        assert!(socket.read_buf(&mut received).await.unwrap() > 0, "the body ended early");
        arrived.push((Instant::now(), received.len() - body));
    }
    socket.write_all(b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n").await.unwrap();
    arrived
}

/// With a grant a second, on a clock that moves only while nothing else does: at no time is there more than a grant for each
/// second that has begun. A piece that was larger, or that went before it was granted, would be there too early.
#[tokio::test(start_paused = true)]
async fn a_body_arrives_grant_by_grant() {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/account", listener.local_addr().unwrap()).parse().unwrap();
    let key = AccountKey::from_base64("a2V5").unwrap();
    let mut config = Config::new(endpoint, "account", "container", Credential::SharedKey(key));
    let begun = Instant::now();
    config.throttle = Some(Throttle::new(Arc::new(Bandwidth::new(Some(GRANT_BYTES))), begun));
    let filesystem = Filesystem::new(config).unwrap();
    let data = vec![7; 3 * GRANT_BYTES as usize + 1_000];
    let receiving = tokio::spawn(receive(listener, data.len()));
    let upload = Upload { position: 0, data: data.into() };
    filesystem.append(&TargetPath::new("large"), upload, AfterAppend::Wait).await.unwrap();
    let arrived = receiving.await.unwrap();
    for (at, bytes) in &arrived {
        let granted = (at.duration_since(begun).as_secs() + 1) * GRANT_BYTES;
        assert!(*bytes as u64 <= granted, "{bytes} bytes after {:?}: {arrived:?}", at.duration_since(begun));
    }
    let (last, _) = arrived.last().unwrap();
    assert!(last.duration_since(begun) >= Duration::from_secs(3), "{arrived:?}");
}
