//! The running cluster, and a folder in it for each test.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use bytes::Bytes;
use hdfs_native::{Client, ClientBuilder, WriteOptions};
use livedata_filesystem::{NodeId, Source};
use livedata_hdfs::{HdfsFeed, HdfsSource};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use url::Url;

pub struct Cluster {
    file: Value,
    uri: Url,
    pub superuser_name: String,
    /// Writes with `hdfs-native`, which the tested metadata client shares nothing with.
    pub superuser: Client,
}

impl Cluster {
    pub fn from_environment() -> Self {
        let path = std::env::var("LIVEDATA_TEST_HDFS")
            .expect("LIVEDATA_TEST_HDFS must name the cluster.json that `cargo xtask hadoop up` wrote");
        Self::read(Path::new(&path))
    }

    pub fn read(path: &Path) -> Self {
        let bytes = std::fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let file: Value = serde_json::from_slice(&bytes).unwrap();
        let uri = Url::parse(&format!("hdfs://{}", file["namenode_rpc"].as_str().unwrap())).unwrap();
        let superuser_name = file["superuser"].as_str().unwrap().to_owned();
        let superuser = ClientBuilder::new()
            .with_url(uri.as_str())
            .with_user(&superuser_name)
            .with_config_dir("/dev/null")
            .build()
            .unwrap();
        Self { file, uri, superuser_name, superuser }
    }

    pub fn source(&self, user: &str) -> HdfsSource {
        HdfsSource::connect(&self.uri, user).unwrap()
    }

    pub fn feed(&self, user: &str) -> HdfsFeed {
        HdfsFeed::connect(&self.uri, user).unwrap()
    }

    /// An operation that `hdfs-native` does not have, through WebHDFS as the superuser. Paths and values must not need
    /// to be escaped.
    pub async fn web(&self, method: &str, path: &str, operation: &str) {
        let (status, answer) = self.ask_web(method, path, operation).await;
        assert!(status == 200, "{method} {operation} {path}: {status} {answer}");
    }

    /// The same, whatever comes of it: the answer's status and body.
    pub async fn ask_web(&self, method: &str, path: &str, operation: &str) -> (u16, String) {
        let address = self.file["namenode_http"].as_str().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let request = format!(
            "{method} /webhdfs/v1{path}?op={operation}&user.name={} HTTP/1.0\r\nHost: {address}\r\nContent-Length: 0\r\n\r\n",
            self.superuser_name
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect(&answer);
        let body = answer.split_once("\r\n\r\n").map_or("", |(_, body)| body);
        (status, body.to_owned())
    }

    pub fn hadoop_version(&self) -> &str {
        self.file["hadoop_version"].as_str().unwrap()
    }

    pub fn directory(&self) -> PathBuf {
        PathBuf::from(self.file["directory"].as_str().unwrap())
    }

    pub fn xtask(&self, arguments: &[&str], directory: &Path) {
        let status = Command::new(self.file["xtask"].as_str().unwrap())
            .arg("hadoop")
            .args(arguments)
            .arg("--dir")
            .arg(directory)
            .status()
            .unwrap();
        assert!(status.success(), "xtask hadoop {arguments:?}: {status}");
    }

    /// Operations of one user, in order.
    pub fn audit_lines(&self, user: &str) -> Vec<String> {
        let log = std::fs::read_to_string(self.file["audit_log"].as_str().unwrap()).unwrap();
        let mark = format!("ugi={user} ");
        log.lines().filter(|line| line.contains(&mark)).map(str::to_owned).collect()
    }

    pub fn block_files_of_length(&self, length: u64) -> usize {
        count_files(&self.directory().join("data").join("blocks"), length)
    }
}

/// Folders and files may vanish while this looks.
fn count_files(folder: &Path, length: u64) -> usize {
    let Ok(entries) = std::fs::read_dir(folder) else { return 0 };
    entries
        .flatten()
        .map(|entry| match entry.metadata() {
            Ok(metadata) if metadata.is_dir() => count_files(&entry.path(), length),
            Ok(metadata) => usize::from(metadata.len() == length),
            Err(_) => 0,
        })
        .sum()
}

pub struct Folder {
    path: String,
    pub id: NodeId,
}

impl Folder {
    pub async fn create(cluster: &Cluster) -> Self {
        let path = format!("/test-{}", uuid::Uuid::new_v4().simple());
        cluster.superuser.mkdirs(&path, 0o755, true).await.unwrap();
        let id = cluster.source(&cluster.superuser_name).resolve(&path).await.unwrap().id;
        Self { path, id }
    }

    pub fn root(&self) -> &str {
        &self.path
    }

    pub fn path(&self, name: &str) -> String {
        format!("{}/{name}", self.path)
    }
}

/// `hdfs-native` gives up where Hadoop's own client asks again: when a block is wanted before the NameNode has heard of
/// the previous one. Writing the file anew is the same to a test.
pub async fn write_file(client: &Client, path: &str, content: &[u8], block_size: Option<u64>) {
    for _ in 0..20 {
        match try_write(client, path, content, block_size).await {
            Ok(()) => return,
            Err(error) if error.to_string().contains("NotReplicatedYet") => {}
            Err(error) => panic!("{path}: {error}"),
        }
    }
    panic!("{path}: the NameNode never heard of a block in time");
}

async fn try_write(
    client: &Client,
    path: &str,
    content: &[u8],
    block_size: Option<u64>,
) -> hdfs_native::Result<()> {
    let options = WriteOptions { block_size, overwrite: true, ..WriteOptions::default() };
    let mut writer = client.create(path, options).await?;
    writer.write_bytes(Bytes::copy_from_slice(content)).await?;
    writer.close().await
}

/// Bytes that differ at any two offsets a mistake could confuse.
pub fn pattern(length: usize) -> Vec<u8> {
    (0..length).map(|at| (at ^ (at >> 8) ^ (at >> 16)) as u8).collect()
}

pub async fn until(mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < Duration::from_secs(60), "the state did not come");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
