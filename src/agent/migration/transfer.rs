//! One file from source to staging: read by node id, CRC32C over everything, CRC64 on each append (the client's work),
//! a flush every 64 MiB to resume from. Memory: one append being sent and one being filled.

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use livedata_engine::{Checkpoint, Edge, Staged};
use livedata_filesystem::{
    ByteStream, Condition, Entry, EntryKind, Error, ErrorKind, Etag, Flush, Result, TargetPath, Upload,
};

use super::executor::{Context, attributes_of};
use super::patience::{Side, persist};

/// Bytes of one append request.
pub const APPEND_BYTES: usize = 4 * 1024 * 1024;

/// A copy that dies re-sends at most this and one append.
const FLUSH_EVERY_BYTES: u64 = 64 * 1024 * 1024;

pub(super) struct Transfer<'a> {
    context: &'a Context,
    edge: &'a Edge,
    entry: &'a Entry,
    staging: &'a TargetPath,
}

impl<'a> Transfer<'a> {
    pub fn new(context: &'a Context, edge: &'a Edge, entry: &'a Entry, staging: &'a TargetPath) -> Self {
        Self { context, edge, entry, staging }
    }

    /// Copies the whole file, or what is missing after the checkpoint that the staging file stands at.
    pub async fn run(&self, checkpoints: &[Checkpoint]) -> Result<Staged> {
        let EntryKind::File { length_bytes, .. } = self.entry.kind else {
            return Err(self.error(ErrorKind::Fatal, "it is not a file"));
        };
        let resumed = self.resume_point(checkpoints).await?;
        let (etag, from) = match resumed {
            Some((etag, point)) => (etag, point),
            None => (self.create().await?, Checkpoint { offset: 0, crc32c: 0 }),
        };
        if from.offset > 0 {
            self.context.flushed(self.edge, from.offset).await;
        }
        let (etag, crc32c) = if from.offset == length_bytes {
            (etag, from.crc32c)
        } else {
            self.send(from, length_bytes).await?
        };
        Ok(Staged {
            etag: etag.0,
            crc32c,
            permissions: self.entry.permissions,
            modified_ms: self.entry.modified_ms,
        })
    }

    /// The announced flush position that the staging file has reached, if it has reached one.
    async fn resume_point(&self, checkpoints: &[Checkpoint]) -> Result<Option<(Etag, Checkpoint)>> {
        if checkpoints.is_empty() {
            return Ok(None);
        }
        let there = self.at_target(|| self.context.plan.target.properties(self.staging)).await?;
        let Some(there) = there else { return Ok(None) };
        let reached = checkpoints.iter().find(|point| point.offset == there.length_bytes);
        Ok(reached.map(|point| (there.etag, *point)))
    }

    async fn create(&self) -> Result<Etag> {
        let attributes = attributes_of(self.entry);
        self.at_target(|| self.context.plan.target.create_file(self.staging, &attributes, &Condition::Any))
            .await
    }

    async fn send(&self, from: Checkpoint, length: u64) -> Result<(Etag, u32)> {
        let mut reader =
            Reader { transfer: self, stream: None, leftover: Bytes::new(), position: from.offset, length };
        let mut crc32c = from.crc32c;
        let (mut offset, mut flushed) = (from.offset, from.offset);
        let mut piece = reader.fill().await?;
        loop {
            let next_offset = offset + piece.len() as u64;
            let last = next_offset == length;
            let piece_crc = crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, &piece);
            crc32c = combine(crc32c, piece_crc as u32, piece.len() as u64);
            // Only a file that fits into one append is flushed by it: a checkpoint must be durable before its flush.
            let alone = last && from.offset == 0 && offset == 0;
            let upload = self.append(offset, piece, alone);
            if last {
                if let Some(etag) = upload.await? {
                    return Ok((etag, crc32c));
                }
                return Ok((self.flush(length, crc32c, Flush::Complete).await?, crc32c));
            }
            let (sent, filled) = tokio::join!(upload, reader.fill());
            sent?;
            piece = filled?;
            offset = next_offset;
            if offset - flushed >= FLUSH_EVERY_BYTES {
                self.flush(offset, crc32c, Flush::Prefix).await?;
                flushed = offset;
            }
        }
    }

    async fn flush(&self, offset: u64, crc32c: u32, flush: Flush) -> Result<Etag> {
        self.context.announce_flush(self.edge, offset, crc32c).await;
        let etag = self.at_target(|| self.context.plan.target.flush(self.staging, offset, flush)).await?;
        self.context.flushed(self.edge, offset).await;
        Ok(etag)
    }

    async fn append(&self, position: u64, data: Bytes, flush: bool) -> Result<Option<Etag>> {
        self.at_target(|| {
            self.context.plan.target.append(self.staging, Upload { position, data: data.clone() }, flush)
        })
        .await
    }

    async fn at_target<T, Attempt>(&self, attempt: impl FnMut() -> Attempt) -> Result<T>
    where
        Attempt: Future<Output = Result<T>>,
    {
        persist(&self.context.views, Side::Target, attempt).await
    }

    fn error(&self, kind: ErrorKind, what: &str) -> Error {
        Error::new(kind, "copy", &self.entry.name, what)
    }
}

/// The source's bytes in pieces of one append.
struct Reader<'a> {
    transfer: &'a Transfer<'a>,
    stream: Option<ByteStream>,
    /// Read from the stream and not handed out yet.
    leftover: Bytes,
    /// Where the next byte out of `leftover`, then `stream`, stands in the file.
    position: u64,
    length: u64,
}

impl Reader<'_> {
    /// Exactly one append's worth of bytes, or all that remain. A stream that breaks is opened again where it broke; that
    /// the file is still the same one is checked before publication. A source that ends early has changed.
    async fn fill(&mut self) -> Result<Bytes> {
        let remaining = self.length - self.position;
        let wanted = usize::try_from(remaining).unwrap_or(usize::MAX).min(APPEND_BYTES);
        let mut piece = BytesMut::with_capacity(wanted);
        while piece.len() < wanted {
            if self.leftover.is_empty() {
                self.leftover = self.read().await?;
            }
            let taken = self.leftover.split_to(self.leftover.len().min(wanted - piece.len()));
            self.position += taken.len() as u64;
            piece.extend_from_slice(&taken);
        }
        Ok(piece.freeze())
    }

    async fn read(&mut self) -> Result<Bytes> {
        loop {
            let mut stream = match self.stream.take() {
                Some(stream) => stream,
                None => open(self.transfer, self.position, self.length).await?,
            };
            match stream.next().await {
                Some(Ok(bytes)) => {
                    self.stream = Some(stream);
                    if !bytes.is_empty() {
                        return Ok(bytes);
                    }
                }
                Some(Err(error)) if error.kind().is_retryable() => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the source's stream broke; opening it again"
                    );
                }
                Some(Err(error)) => return Err(error),
                None => return Err(self.transfer.error(ErrorKind::Changed, "it ended before its length")),
            }
        }
    }
}

async fn open(transfer: &Transfer<'_>, position: u64, length: u64) -> Result<ByteStream> {
    let Transfer { context, edge, entry, .. } = transfer;
    let at = (&edge.directory, edge.name.as_str());
    persist(&context.views, Side::Source, || context.plan.source.open(&entry.id, at, position, length)).await
}

/// CRC32C of two byte strings joined, from their own.
fn combine(first: u32, second: u32, second_length: u64) -> u32 {
    let (first, second) = (u64::from(first), u64::from(second));
    crc_fast::checksum_combine(crc_fast::CrcAlgorithm::Crc32Iscsi, first, second, second_length) as u32
}
