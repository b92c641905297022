//! What one request looks like on the socket, seen by a listener that answers everything with the same reply.

use std::sync::{Arc, Mutex};

use livedata_adls::{
    AccountKey, AfterAppend, Config, CreateOptions, Credential, Filesystem, ResourceKind, Throttle,
};
use livedata_filesystem::throttle::Bandwidth;
use livedata_filesystem::{Condition, Etag, TargetPath, Upload};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

const REPLY: &[u8] = b"HTTP/1.1 201 Created\r\netag: \"0x1\"\r\ncontent-length: 0\r\n\r\n";

#[derive(Clone, Default)]
struct Seen {
    /// Request line and headers in lower case, one element per request.
    heads: Arc<Mutex<Vec<Vec<String>>>>,
    connections: Arc<Mutex<usize>>,
}

async fn listen() -> (Config, Seen) {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("http://{}/account", listener.local_addr().unwrap()).parse().unwrap();
    let seen = Seen::default();
    let shared = seen.clone();
    tokio::spawn(async move {
        loop {
            let (socket, _) = listener.accept().await.unwrap();
            *shared.connections.lock().unwrap() += 1;
            tokio::spawn(serve(socket, shared.clone()));
        }
    });
    let key = AccountKey::from_base64("a2V5").unwrap();
    (Config::new(endpoint, "account", "container", Credential::SharedKey(key)), seen)
}

async fn serve(mut socket: TcpStream, seen: Seen) {
    let mut received = Vec::new();
    loop {
        while let Some(at) = received.windows(4).position(|window| window == b"\r\n\r\n") {
            let mut rest = received.split_off(at + 4);
            let head: Vec<String> = String::from_utf8(std::mem::take(&mut received))
                .unwrap()
                .trim_end()
                .lines()
                .map(str::to_owned)
                .collect();
            let length: usize = head
                .iter()
                .find_map(|line| line.strip_prefix("content-length: "))
                .map_or(0, |length| length.parse().unwrap());
            while rest.len() < length {
                assert!(socket.read_buf(&mut rest).await.unwrap() > 0, "the body ended early");
            }
            received = rest.split_off(length);
            seen.heads.lock().unwrap().push(head);
            socket.write_all(REPLY).await.unwrap();
        }
        if socket.read_buf(&mut received).await.unwrap_or(0) == 0 {
            return;
        }
    }
}

fn values<'a>(head: &'a [String], name: &str) -> Vec<&'a str> {
    let prefix = format!("{name}: ");
    head.iter().filter_map(|line| line.strip_prefix(&prefix)).collect()
}

#[tokio::test]
async fn everything_about_a_new_file_is_in_one_request() {
    let (config, seen) = listen().await;
    let filesystem = Filesystem::new(config).unwrap();
    let options = CreateOptions {
        access: Some(livedata_adls::Access::Permissions(0o640)),
        owner: Some("alice".to_owned()),
        group: Some("staff".to_owned()),
        properties: [("id".to_owned(), "7".to_owned())].into(),
    };
    let path = TargetPath::new("data/a b%.csv");
    filesystem.create(&path, ResourceKind::File, &options, &Condition::Absent).await.unwrap();
    let heads = seen.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 1);
    let head = &heads[0];
    assert_eq!(head[0], "PUT /account/container/data/a%20b%25.csv?resource=file HTTP/1.1");
    for (name, value) in [
        ("x-ms-permissions", "0640"),
        ("x-ms-umask", "0000"),
        ("x-ms-owner", "alice"),
        ("x-ms-group", "staff"),
        ("x-ms-properties", "id=Nw=="),
        ("if-none-match", "*"),
        ("content-length", "0"),
    ] {
        assert_eq!(values(head, name), [value], "{name}");
    }
    assert!(values(head, "user-agent")[0].starts_with("livedata/"));
    assert!(values(head, "authorization")[0].starts_with("SharedKey account:"));
    for name in ["x-ms-date", "x-ms-version", "x-ms-client-request-id"] {
        assert_eq!(values(head, name).len(), 1, "{name}");
    }
}

#[tokio::test]
async fn streamed_bodies_have_one_length_and_share_a_connection() {
    let (mut config, seen) = listen().await;
    let cap = Arc::new(Bandwidth::new(Some(1 << 30)));
    config.throttle = Some(Throttle::new(cap, tokio::time::Instant::now()));
    let filesystem = Filesystem::new(config).unwrap();
    let path = TargetPath::new("large");
    for position in [0, 200_000] {
        let upload = Upload { position, data: vec![7; 200_000].into() };
        filesystem.append(&path, upload, AfterAppend::Wait).await.unwrap();
    }
    let heads = seen.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 2);
    for head in &heads {
        assert_eq!(values(head, "content-length"), ["200000"]);
        assert!(values(head, "transfer-encoding").is_empty(), "the service refuses chunked bodies");
        assert_eq!(values(head, "x-ms-content-crc64").len(), 1);
    }
    assert_eq!(*seen.connections.lock().unwrap(), 1, "connections are kept alive");
}

#[tokio::test]
async fn a_rename_names_its_source_encoded_and_guarded() {
    let (config, seen) = listen().await;
    let filesystem = Filesystem::new(config).unwrap();
    let (from, to) = (TargetPath::new("staging/ü?"), TargetPath::new("final/x"));
    let etag = Etag("\"0x1\"".to_owned());
    filesystem
        .rename(&from, &to, &Condition::Unchanged(Etag("\"0x2\"".to_owned())), Some(&etag))
        .await
        .unwrap();
    let heads = seen.heads.lock().unwrap().clone();
    assert_eq!(heads.len(), 1);
    assert_eq!(heads[0][0], "PUT /account/container/final/x?mode=legacy HTTP/1.1");
    assert_eq!(values(&heads[0], "x-ms-rename-source"), ["/container/staging/%C3%BC%3F"]);
    assert_eq!(values(&heads[0], "x-ms-source-if-match"), ["\"0x1\""]);
    assert_eq!(values(&heads[0], "if-match"), ["\"0x2\""]);
}
