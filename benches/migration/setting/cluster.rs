//! The cluster that `cargo xtask hadoop up` started: its sample data, and what its NameNode was asked.

use std::collections::BTreeMap;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use bytes::Bytes;
use futures::stream::{self, StreamExt as _, TryStreamExt as _};
use hdfs_native::{Client, ClientBuilder, WriteOptions};
use serde_json::Value;
use url::Url;

/// A change waits for the disk of the NameNode, so it takes many writers to be fast.
const WRITERS: usize = 64;
const PIECE_BYTES: usize = 1 << 20;

/// Some files of one size.
#[derive(Clone, Copy, Debug)]
pub struct Lake {
    pub name: &'static str,
    pub files: u64,
    pub file_bytes: u64,
    /// Files are spread over directories of this many.
    pub files_per_directory: u64,
}

impl Lake {
    /// Where it lies on HDFS: lakes of other sizes lie elsewhere, so that one is made once and serves many runs.
    pub fn path(&self) -> String {
        format!("/bench/{}-{}x{}", self.name, self.files, self.file_bytes)
    }

    pub fn bytes(&self) -> u64 {
        self.files * self.file_bytes
    }

    pub fn directories(&self) -> u64 {
        self.files.div_ceil(self.files_per_directory)
    }

    fn file(&self, number: u64) -> String {
        format!("{}/d{:05}/f{number:07}", self.path(), number / self.files_per_directory)
    }
}

#[derive(Clone)]
pub struct Cluster {
    file: Arc<Value>,
    superuser: Client,
}

impl Cluster {
    pub fn from_environment() -> Result<Self> {
        let path = super::variable("LIVEDATA_HADOOP")?;
        let bytes = std::fs::read(&path).with_context(|| format!("cannot read {path}"))?;
        let file: Value = serde_json::from_slice(&bytes)?;
        let text = |name: &str| file[name].as_str().with_context(|| format!("{path} has no {name}"));
        let superuser = ClientBuilder::new()
            .with_url(format!("hdfs://{}", text("namenode_rpc")?))
            .with_user(text("superuser")?)
            .with_config_dir("/dev/null")
            .build()?;
        Ok(Self { file: Arc::new(file), superuser })
    }

    pub fn client(&self) -> &Client {
        &self.superuser
    }

    fn text(&self, name: &str) -> &str {
        self.file[name].as_str().unwrap_or_default()
    }

    pub fn superuser_name(&self) -> &str {
        self.text("superuser")
    }

    pub fn namenode(&self) -> &str {
        self.text("namenode_rpc")
    }

    pub fn uri(&self) -> String {
        format!("hdfs://{}", self.namenode())
    }

    pub fn url(&self) -> Result<Url> {
        Ok(Url::parse(&self.uri())?)
    }

    pub fn pids(&self) -> Vec<u32> {
        let pid = |name: &str| self.file["pids"][name].as_u64().and_then(|pid| pid.try_into().ok());
        ["namenode", "datanode"].into_iter().filter_map(pid).collect()
    }

    /// Makes the lake, unless it is there.
    pub async fn provide(&self, lake: &Lake) -> Result<()> {
        let complete = format!("{}.complete", lake.path());
        if self.superuser.get_file_info(&complete).await.is_ok() {
            return Ok(());
        }
        println!("making {}: {} files of {} bytes", lake.path(), lake.files, lake.file_bytes);
        for number in 0..lake.directories() {
            let directory = format!("{}/d{number:05}", lake.path());
            self.superuser.mkdirs(&directory, 0o755, true).await?;
        }
        // Large files share one disk: two at a time are as fast as more.
        let writers = if lake.file_bytes > PIECE_BYTES as u64 { 2 } else { WRITERS };
        stream::iter(0..lake.files)
            .map(|number| async move { self.write(&lake.file(number), lake.file_bytes, number).await })
            .buffer_unordered(writers)
            .try_collect::<Vec<()>>()
            .await?;
        self.write(&complete, 0, 0).await
    }

    pub async fn remove(&self, lake: &Lake) -> Result<()> {
        self.superuser.delete(&format!("{}.complete", lake.path()), false).await?;
        self.superuser.delete(&lake.path(), true).await?;
        Ok(())
    }

    /// Content that no two files share and that does not compress. `hdfs-native` gives up when a block is wanted before the
    /// NameNode has heard of the previous one; then the file is written anew.
    pub async fn write(&self, path: &str, bytes: u64, seed: u64) -> Result<()> {
        for _ in 0..20 {
            let written = async {
                let options = WriteOptions { overwrite: true, ..WriteOptions::default() };
                let mut writer = self.superuser.create(path, options).await?;
                let (mut left, mut random) =
                    (bytes, seed.wrapping_mul(2).wrapping_add(0x9E37_79B9_7F4A_7C15));
                while left > 0 {
                    let piece = noise(left.min(PIECE_BYTES as u64) as usize, &mut random);
                    left -= piece.len() as u64;
                    writer.write_bytes(piece).await?;
                }
                writer.close().await
            };
            match written.await {
                Ok(()) => return Ok(()),
                Err(error) if error.to_string().contains("NotReplicatedYet") => {
                    tokio::time::sleep(Duration::from_millis(50)).await;
                }
                Err(error) => return Err(error).with_context(|| format!("cannot write {path}")),
            }
        }
        bail!("{path}: the NameNode never heard of a block in time")
    }

    /// Where the audit log ends.
    pub fn audited(&self) -> Result<u64> {
        Ok(std::fs::metadata(self.text("audit_log")).context("the NameNode has no audit log")?.len())
    }

    /// What the NameNode was asked by one user after `from`, by operation.
    pub fn asked_by(&self, user: &str, from: u64) -> Result<BTreeMap<String, u64>> {
        let mut file = std::fs::File::open(self.text("audit_log"))?;
        file.seek(SeekFrom::Start(from))?;
        let mut text = String::new();
        file.read_to_string(&mut text)?;
        let (mark, mut asked) = (format!("ugi={user} "), BTreeMap::new());
        for line in text.lines().filter(|line| line.contains(&mark)) {
            if let Some(command) = line.split_whitespace().find_map(|field| field.strip_prefix("cmd=")) {
                *asked.entry(command.to_owned()).or_default() += 1;
            }
        }
        Ok(asked)
    }
}

fn noise(bytes: usize, random: &mut u64) -> Bytes {
    let mut piece = Vec::with_capacity(bytes + 8);
    while piece.len() < bytes {
        *random ^= *random << 13;
        *random ^= *random >> 7;
        *random ^= *random << 17;
        piece.extend_from_slice(&random.to_le_bytes());
    }
    piece.truncate(bytes);
    piece.into()
}
