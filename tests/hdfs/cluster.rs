//! The cluster that `cargo xtask hadoop up` started, written to with `hdfs-native`.

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use bytes::Bytes;
use futures::stream::{self, StreamExt as _};
use hdfs_native::{Client, ClientBuilder, WriteOptions};
use livedata_workload::compare::HdfsSource;
use livedata_workload::lake::{self, Shape, Summary};
use livedata_workload::{SourceSide, churn};
use serde_json::{Value, json};

pub struct Cluster {
    file: Value,
    pub superuser: Client,
}

impl Cluster {
    pub fn from_environment() -> Self {
        let path = std::env::var("LIVEDATA_HADOOP").unwrap_or_else(|_| {
            panic!("LIVEDATA_HADOOP must name the cluster.json that `cargo xtask hadoop up` wrote")
        });
        Self::read(Path::new(&path))
    }

    fn read(path: &Path) -> Self {
        let file: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        let superuser = ClientBuilder::new()
            .with_url(format!("hdfs://{}", file["namenode_rpc"].as_str().unwrap()))
            .with_user(file["superuser"].as_str().unwrap())
            .with_config_dir("/dev/null")
            .build()
            .unwrap();
        Self { file, superuser }
    }

    /// Another cluster, in a folder of its own, for what the other tests must not notice; or the same one once more, after
    /// [`Cluster::down`].
    pub fn up(&self, directory: &Path) -> Self {
        self.up_with(directory, &[])
    }

    /// A NameNode alone. It stays in safe mode, because nobody tells it of the blocks that it knows.
    pub fn up_without_datanode(&self, directory: &Path) -> Self {
        self.up_with(directory, &["--without-datanode"])
    }

    fn up_with(&self, directory: &Path, more: &[&str]) -> Self {
        self.xtask(&[&["up", "--heap", "256m"], more].concat(), directory);
        Self::read(&directory.join("cluster.json"))
    }

    pub fn down(&self, directory: &Path) {
        self.xtask(&["down"], directory);
    }

    /// Removes what is finished of the log of changes, as the NameNode itself does after a while.
    pub fn purge_log(&self) {
        let log = Path::new(self.file["directory"].as_str().unwrap()).join("data/name/current");
        let finished = |path: &PathBuf| path.file_name().unwrap().to_str().unwrap().starts_with("edits_0");
        let segments: Vec<PathBuf> =
            std::fs::read_dir(log).unwrap().map(|entry| entry.unwrap().path()).filter(finished).collect();
        assert!(!segments.is_empty());
        segments.iter().for_each(|segment| std::fs::remove_file(segment).unwrap());
    }

    /// `enter` or `leave`. Nobody can write to the cluster in between.
    pub fn safe_mode(&self, command: &str) {
        let status = Command::new(self.file["xtask"].as_str().unwrap())
            .args(["hadoop", "admin", "--dir", self.file["directory"].as_str().unwrap(), "--"])
            .args(["-safemode", command])
            .status()
            .unwrap();
        assert!(status.success(), "-safemode {command}: {status}");
    }

    fn xtask(&self, command: &[&str], directory: &Path) {
        let status = Command::new(self.file["xtask"].as_str().unwrap())
            .arg("hadoop")
            .args(command)
            .arg("--dir")
            .arg(directory)
            .status()
            .unwrap();
        assert!(status.success(), "hadoop {command:?}: {status}");
    }

    pub fn superuser_name(&self) -> &str {
        self.file["superuser"].as_str().unwrap()
    }

    /// For changing a lake while it is migrated.
    pub fn changes(&self) -> churn::Hdfs {
        let web = format!("http://{}", self.file["namenode_http"].as_str().unwrap());
        churn::Hdfs::new(reqwest::Client::new(), &self.uri(), &web, self.superuser_name()).unwrap()
    }

    /// `properties.source` of a migrator; who reads is said to the agent.
    pub fn source(&self) -> Value {
        json!({"kind": "Hdfs", "uri": self.uri()})
    }

    /// `host:port` of the NameNode.
    pub fn namenode(&self) -> &str {
        self.file["namenode_rpc"].as_str().unwrap()
    }

    fn uri(&self) -> String {
        format!("hdfs://{}", self.file["namenode_rpc"].as_str().unwrap())
    }

    pub fn side(&self, path: &str) -> SourceSide {
        SourceSide::Hdfs(HdfsSource {
            url: self.uri(),
            path: path.to_owned(),
            user: self.file["superuser"].as_str().unwrap().to_owned(),
        })
    }

    /// A sample lake at `path`, owned by `owner`; its original stays in `folder`.
    pub async fn make_lake(&self, path: &str, owner: &str, folder: &Path, shape: &Shape) -> Summary {
        let summary = lake::make(folder, shape).unwrap();
        let (mut directories, mut files) = (Vec::new(), Vec::new());
        walk(folder, &mut directories, &mut files);
        let place =
            |local: &Path| format!("{path}/{}", local.strip_prefix(folder).unwrap().to_str().unwrap());
        self.superuser.mkdirs(path, 0o755, true).await.unwrap();
        for directory in &directories {
            self.superuser.mkdirs(&place(directory), mode(directory), true).await.unwrap();
        }
        let (client, place_of) = (&self.superuser, &place);
        stream::iter(&files)
            .for_each_concurrent(32, |file| async move {
                write_file(client, &place_of(file), Bytes::from(std::fs::read(file).unwrap())).await;
                client.set_permission(&place_of(file), mode(file)).await.unwrap();
            })
            .await;
        for directory in &directories {
            self.superuser.set_permission(&place(directory), mode(directory)).await.unwrap();
        }
        self.shell(&["-chown", "-R", owner, path]);
        summary
    }

    /// Empty files `0000000` and so on in a new directory.
    pub async fn make_files(&self, directory: &str, files: u64) {
        self.superuser.mkdirs(directory, 0o755, true).await.unwrap();
        // Each waits for the NameNode's log: it takes many at a time.
        stream::iter(0..files)
            .for_each_concurrent(128, |number| async move {
                write_file(&self.superuser, &format!("{directory}/{number:07}"), Bytes::new()).await;
            })
            .await;
    }

    /// Of what is at a path.
    pub async fn inode(&self, path: &str) -> u64 {
        let namenode = self.file["namenode_http"].as_str().unwrap();
        let url = format!(
            "http://{namenode}/webhdfs/v1{path}?op=GETFILESTATUS&user.name={}",
            self.superuser_name()
        );
        let answer = reqwest::get(url).await.unwrap().text().await.unwrap();
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["FileStatus"]["fileId"].as_u64().unwrap()
    }

    /// What was done in the cluster, in order; a line has `cmd=…`, `src=…`, `dst=…` between tabs.
    pub fn audit_log(&self) -> String {
        std::fs::read_to_string(self.file["audit_log"].as_str().unwrap()).unwrap()
    }

    fn shell(&self, arguments: &[&str]) {
        let status = Command::new(self.file["xtask"].as_str().unwrap())
            .args(["hadoop", "fs", "--dir", self.file["directory"].as_str().unwrap(), "--"])
            .args(arguments)
            .status()
            .unwrap();
        assert!(status.success(), "hadoop fs {arguments:?}: {status}");
    }

    /// `cmd=…` of every operation of one user.
    pub fn audit_commands(&self, user: &str) -> Vec<String> {
        let log = self.audit_log();
        let mark = format!("ugi={user} ");
        let lines = log.lines().filter(|line| line.contains(&mark));
        lines
            .filter_map(|line| {
                line.split_whitespace().find(|field| field.starts_with("cmd=")).map(str::to_owned)
            })
            .collect()
    }
}

/// `hdfs-native` gives up where Hadoop's own client asks again: when a block is wanted before the NameNode has heard of
/// the previous one. Writing the file anew is the same to a test.
async fn write_file(client: &Client, path: &str, content: Bytes) {
    for _ in 0..20 {
        let options = WriteOptions { overwrite: true, ..WriteOptions::default() };
        let written = async {
            let mut writer = client.create(path, options).await?;
            if !content.is_empty() {
                writer.write_bytes(content.clone()).await?;
            }
            writer.close().await
        };
        match written.await {
            Ok(()) => return,
            Err(error) if error.to_string().contains("NotReplicatedYet") => {}
            Err(error) => panic!("{path}: {error}"),
        }
    }
    panic!("{path}: the NameNode never heard of a block in time");
}

fn mode(path: &Path) -> u32 {
    std::fs::symlink_metadata(path).unwrap().permissions().mode() & 0o1777
}

fn walk(folder: &Path, directories: &mut Vec<PathBuf>, files: &mut Vec<PathBuf>) {
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            directories.push(path.clone());
            walk(&path, directories, files);
        } else {
            files.push(path);
        }
    }
}
