//! File bytes, through `hdfs-native`: block locations once per opened file, then DataNodes with CRC checks and fail-over
//! between replicas.
//!
//! Memory: a stream holds what its DataNode connection has read ahead, at most 100 packets of usually 64 KiB.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures::stream::BoxStream;
use futures::{StreamExt, stream};
use hdfs_native::{Client, ClientBuilder, HdfsError};
use livedata_filesystem::{ByteStream, Error, ErrorKind, Result};
use tokio::time::timeout;

use crate::error::kind_of_exception;
use crate::namenode::NameNode;

const LARGEST_PIECE_BYTES: usize = 256 * 1024;
/// `hdfs-native` waits without a limit for an answer of the NameNode.
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// `hdfs-native` reads Hadoop's configuration files from a folder named in the environment unless another is given. This
/// one holds none on any system, so only what is set here counts.
const NO_CONFIGURATION: &str = "/dev/null";

#[derive(Debug)]
pub struct BlockReader {
    client: Client,
    namenode: Arc<NameNode>,
}

impl BlockReader {
    pub fn new(namenode: Arc<NameNode>) -> Result<Self> {
        let url = format!("hdfs://{}", namenode.address());
        let client = ClientBuilder::new()
            .with_url(url.clone())
            .with_user(namenode.user())
            .with_config_dir(NO_CONFIGURATION)
            .with_config([("hadoop.security.authentication", "simple")])
            .build()
            .map_err(|error| Error::new(ErrorKind::Fatal, "connect to", url, error.to_string()))?;
        Ok(Self { client, namenode })
    }

    /// The bytes from `offset` up to the length that the caller believes the file to have, which must be more.
    pub async fn open(&self, path: String, offset: u64, length_bytes: u64) -> Result<ByteStream> {
        let file = File { path, length_bytes, namenode: self.namenode.clone() };
        let opened = timeout(OPEN_LIMIT, self.client.read(&file.path)).await;
        let reader = match opened {
            Ok(Ok(reader)) => reader,
            Ok(Err(error)) => return Err(file.explain(error).await),
            Err(_) => {
                let silence = format!("the NameNode did not answer within {} s", OPEN_LIMIT.as_secs());
                return Err(Error::new(ErrorKind::Unreachable, "read", file.path, silence));
            }
        };
        // Reading past the end is a programming error to `hdfs-native`, so it must not come to it.
        let (Ok(from), Ok(to)) = (usize::try_from(offset), usize::try_from(length_bytes)) else {
            return Err(Error::new(ErrorKind::Fatal, "read", file.path, "it is too long for this machine"));
        };
        if reader.file_length() < to {
            return Err(file.is_shorter(reader.file_length() as u64));
        }
        let pieces = Pieces {
            pieces: reader.read_range_stream(from, to - from).boxed(),
            held: Bytes::new(),
            left: to - from,
            file,
        };
        Ok(stream::try_unfold(pieces, |mut state| async move {
            Ok(state.next().await?.map(|piece| (piece, state)))
        })
        .boxed())
    }
}

struct Pieces {
    pieces: BoxStream<'static, std::result::Result<Bytes, HdfsError>>,
    held: Bytes,
    left: usize,
    file: File,
}

impl Pieces {
    async fn next(&mut self) -> Result<Option<Bytes>> {
        while self.held.is_empty() && self.left > 0 {
            self.held = match self.pieces.next().await {
                Some(Ok(piece)) => piece,
                Some(Err(error)) => return Err(self.file.explain(error).await),
                None => {
                    let missing = format!("the last {} bytes did not come", self.left);
                    return Err(self.file.explain(HdfsError::DataTransferError(missing)).await);
                }
            };
        }
        let piece = self.held.split_to(self.held.len().min(LARGEST_PIECE_BYTES).min(self.left));
        self.left -= piece.len();
        Ok(Some(piece).filter(|piece| !piece.is_empty()))
    }
}

struct File {
    path: String,
    length_bytes: u64,
    namenode: Arc<NameNode>,
}

impl File {
    fn error(&self, kind: ErrorKind, message: impl Into<String>) -> Error {
        Error::new(kind, "read", &self.path, message)
    }

    fn is_shorter(&self, now: u64) -> Error {
        self.error(ErrorKind::Changed, format!("it has {now} bytes now and had {}", self.length_bytes))
    }

    /// A NameNode's refusal speaks for itself. A failed transfer has many causes, most often that the file was deleted
    /// and its blocks with it: only another look tells.
    async fn explain(&self, error: HdfsError) -> Error {
        let kind = match &error {
            HdfsError::FileNotFound(_) => ErrorKind::Gone,
            HdfsError::RPCError(class, message) | HdfsError::FatalRPCError(class, message) => {
                kind_of_exception(class, message)
            }
            HdfsError::IOError(_)
            | HdfsError::DataTransferError(_)
            | HdfsError::ChecksumError
            | HdfsError::BlocksNotFound(_)
            | HdfsError::ErasureCodingError(_) => return self.look_again(error).await,
            _ => ErrorKind::Fatal,
        };
        self.error(kind, first_line(&error))
    }

    async fn look_again(&self, error: HdfsError) -> Error {
        match self.namenode.located_status(&self.path).await {
            Err(found) => found,
            Ok(None) => self.error(ErrorKind::Gone, "it was deleted while it was read"),
            Ok(Some(now)) if now.length < self.length_bytes => self.is_shorter(now.length),
            Ok(Some(now)) if now.blocks.as_ref().is_some_and(|blocks| blocks.under_construction) => {
                self.error(ErrorKind::Changed, "it was opened for writing while it was read")
            }
            Ok(Some(_)) => {
                let advice = "no DataNode delivered it; are the DataNodes up and reachable from here?";
                self.error(ErrorKind::Unreachable, format!("{advice} ({})", first_line(&error)))
            }
        }
    }
}

/// Some messages carry a Java stack trace or a dump of all replicas.
fn first_line(error: &HdfsError) -> String {
    const LONGEST: usize = 300;
    let text = error.to_string();
    text.lines().next().unwrap_or_default().chars().take(LONGEST).collect()
}
