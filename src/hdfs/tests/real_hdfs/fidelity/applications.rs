//! The operations of the simulated clients, done on a real Hadoop: files are written with `hdfs-native`, the rest is asked
//! for through WebHDFS, which tells an exception's class.

use std::collections::BTreeMap;

use bytes::Bytes;
use hdfs_native::{HdfsError, WriteOptions, file::FileWriter};
use livedata_filesystem::{EntryKind, NodeId, Source};
use livedata_hdfs::HdfsSource;
use livedata_sim::hdfs::clients::{BLOCK_BYTES, NAMED_USER, Operation, Refusal};

use crate::cluster::{Cluster, Folder, pattern};

pub struct Applications<'a> {
    cluster: &'a Cluster,
    folder: &'a Folder,
    source: HdfsSource,
    writers: BTreeMap<u8, (NodeId, FileWriter)>,
}

/// What Hadoop said, and what it comes down to.
#[derive(Debug)]
pub struct Refused {
    pub kind: Refusal,
    #[expect(dead_code, reason = "shown")]
    said: String,
}

impl<'a> Applications<'a> {
    pub fn new(cluster: &'a Cluster, folder: &'a Folder) -> Self {
        let source = cluster.source(&cluster.superuser_name);
        Self { cluster, folder, source, writers: BTreeMap::new() }
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.folder.root())
    }

    pub async fn perform(&mut self, operation: &Operation) -> Result<(), Refused> {
        match operation {
            Operation::Create { path, overwrite, writer } => {
                let options = WriteOptions {
                    block_size: Some(BLOCK_BYTES),
                    overwrite: *overwrite,
                    permission: 0o644,
                    ..WriteOptions::default()
                };
                let opened = self.cluster.superuser.create(&self.path(path), options).await;
                let opened = opened.map_err(refused)?;
                let node = self.source.resolve(&self.path(path)).await.unwrap().id;
                self.writers.insert(*writer, (node, opened));
                Ok(())
            }
            Operation::Append { path, writer } => {
                let opened = self.cluster.superuser.append(&self.path(path)).await;
                let opened = opened.map_err(refused)?;
                let node = self.source.resolve(&self.path(path)).await.unwrap().id;
                self.writers.insert(*writer, (node, opened));
                Ok(())
            }
            Operation::Close { writer, bytes } => {
                let (node, mut writer) = self.writers.remove(writer).expect("both have the same writers");
                match close(&mut writer, *bytes).await {
                    Ok(()) => Ok(()),
                    // Of a file that was deleted the DataNode may drop the block before the NameNode is asked.
                    Err(HdfsError::DataTransferError(said) | HdfsError::OperationFailed(said))
                        if self.source.is_alive(&node).await.unwrap() == Some(false) =>
                    {
                        Err(Refused { kind: Refusal::Absent, said })
                    }
                    Err(error) => Err(refused(error)),
                }
            }
            Operation::MakeDirectories { path } => self.web("PUT", path, "MKDIRS&permission=755").await,
            Operation::Truncate { path, length_bytes } => {
                self.web("POST", path, &format!("TRUNCATE&newlength={length_bytes}")).await?;
                self.recovered(path).await;
                Ok(())
            }
            Operation::Rename { from, to, overwrite } => {
                let how = if *overwrite { "OVERWRITE" } else { "NONE" };
                let to = escaped(&self.path(to));
                self.web("PUT", from, &format!("RENAME&renameoptions={how}&destination={to}")).await
            }
            Operation::RenameInto { from, to } => {
                let to = escaped(&self.path(to));
                self.web("PUT", from, &format!("RENAME&destination={to}")).await
            }
            Operation::Delete { path, recursive } => {
                self.web("DELETE", path, &format!("DELETE&recursive={recursive}")).await
            }
            Operation::Concat { target, sources } => {
                let sources: Vec<String> = sources.iter().map(|source| escaped(&self.path(source))).collect();
                self.web("POST", target, &format!("CONCAT&sources={}", sources.join(","))).await
            }
            Operation::SetPermissions { path, permissions } => {
                self.web("PUT", path, &format!("SETPERMISSION&permission={permissions:o}")).await
            }
            Operation::SetAcl { path, acl } => {
                let bits = |bits: u8| {
                    let bit = |mask: u8, letter| if bits & mask != 0 { letter } else { '-' };
                    [bit(4, 'r'), bit(2, 'w'), bit(1, 'x')].iter().collect::<String>()
                };
                let list = format!(
                    "user::{},user:{NAMED_USER}:{},group::{},mask::{},other::{}",
                    bits(acl.owner),
                    bits(acl.named),
                    bits(acl.group),
                    bits(acl.mask),
                    bits(acl.other)
                );
                self.web("PUT", path, &format!("SETACL&aclspec={list}")).await
            }
            Operation::RemoveAcl { path } => self.web("PUT", path, "REMOVEACL").await,
            Operation::SetAttribute { path, value, anew } => {
                let flag = if *anew { "CREATE" } else { "REPLACE" };
                let operation = format!("SETXATTR&flag={flag}&xattr.name=user.a&xattr.value=0x{value:02x}");
                self.web("PUT", path, &operation).await
            }
            Operation::RemoveAttribute { path } => {
                self.web("PUT", path, "REMOVEXATTR&xattr.name=user.a").await
            }
            Operation::SetTimes { path, modified_ms } => {
                self.web("PUT", path, &format!("SETTIMES&modificationtime={modified_ms}")).await
            }
        }
    }

    async fn web(&self, method: &str, path: &str, operation: &str) -> Result<(), Refused> {
        let (status, body) = self.cluster.ask_web(method, &escaped(&self.path(path)), operation).await;
        let answer: serde_json::Value = serde_json::from_str(&body).unwrap_or_default();
        if status == 200 && answer["boolean"] != false {
            return Ok(());
        }
        if status == 200 {
            // A truncation that goes on; a deletion of nothing; a rename of old that nobody gives a reason for.
            let kind = match operation.split('&').next() {
                Some("TRUNCATE") => return Ok(()),
                Some("DELETE") => Refusal::Absent,
                _ => Refusal::Invalid,
            };
            return Err(Refused { kind, said: body });
        }
        let class = answer["RemoteException"]["exception"].as_str().expect(&body);
        let message = answer["RemoteException"]["message"].as_str().unwrap_or_default();
        Err(Refused { kind: kind(class, message), said: format!("{class}: {message}") })
    }

    /// A truncation within a block goes on until a DataNode has cut it.
    async fn recovered(&self, path: &str) {
        loop {
            let entry = self.source.resolve(&self.path(path)).await.unwrap();
            if !matches!(entry.kind, EntryKind::File { open_for_write: true, .. }) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
    }
}

async fn close(writer: &mut FileWriter, bytes: u64) -> hdfs_native::Result<()> {
    if bytes > 0 {
        writer.write_bytes(Bytes::from(pattern(usize::try_from(bytes).unwrap()))).await?;
    }
    writer.close().await
}

fn refused(error: HdfsError) -> Refused {
    let said = error.to_string();
    let kind = match &error {
        HdfsError::RPCError(class, message) => kind(class.rsplit('.').next().unwrap_or(class), message),
        HdfsError::FileNotFound(_) => Refusal::Absent,
        // `hdfs-native` makes one of two classes.
        HdfsError::AlreadyExists(message) if message.contains("lease") => Refusal::Open,
        HdfsError::AlreadyExists(_) => Refusal::Exists,
        _ => panic!("{error:?}"),
    };
    Refused { kind, said }
}

fn kind(class: &str, message: &str) -> Refusal {
    match class {
        "FileNotFoundException" | "PathNotFoundException" | "LeaseExpiredException" => Refusal::Absent,
        "FileAlreadyExistsException" => Refusal::Exists,
        "PathIsNotEmptyDirectoryException" => Refusal::NotEmpty,
        "ParentNotDirectoryException" => Refusal::NotDirectory,
        // Hadoop 2.7 does not look before it creates.
        "IllegalStateException" if message.contains("not a directory") => Refusal::NotDirectory,
        "AlreadyBeingCreatedException" | "RecoveryInProgressException" => Refusal::Open,
        "IOException" | "HadoopIllegalArgumentException" | "IllegalArgumentException" => Refusal::Invalid,
        _ => panic!("{class}: {message}"),
    }
}

/// For a path in a URL.
fn escaped(path: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'-' | b'_' | b'.' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    path.bytes().map(byte).collect()
}
