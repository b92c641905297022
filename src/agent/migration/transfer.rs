//! One file from source to staging: read by node id, CRC32C over everything, CRC64 on each append (the client's work),
//! flushed now and then to resume from.
//!
//! A file that fits into one append is created and appended with a flush: two requests. A larger one is cut into stripes.
//! Lanes work on one stripe each: they read it at its offset and append it piece by piece, so appends of the file are under
//! way together and arrive out of order. Whenever enough of the file's beginning has arrived whole, that prefix is
//! flushed while the rest goes on.
//!
//! What holds:
//! - The checkpoint of a flush (offset, and CRC32C of all before it) is durable before the flush is sent.
//! - A copy that dies re-sends at most [`UNFLUSHED_BYTES`].
//! - A copy that fails has no request under way any more when it says so: one that arrived later could mix into the next
//!   copy's file at the same path.
//! - Memory: one append buffer per lane. A copy always has its first lane; further ones come from [`SPARE_LANES`], so no
//!   copy ever waits for another, which may be waiting for a store that is away.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::atomic::{AtomicBool, Ordering};

use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;
use futures::stream::FuturesUnordered;
use livedata_engine::{Checkpoint, Edge, Staged, UNKNOWN};
use livedata_filesystem::{
    ByteStream, Condition, Entry, EntryKind, Error, ErrorKind, Etag, Flush, Result, TargetPath, Upload,
};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::executor::Context;
use super::patience::{Side, persist};

/// Bytes of one append request.
const APPEND_BYTES: u64 = 4 * 1024 * 1024;

/// Lanes of one copy, and so its appends under way.
const LANES: usize = 4;

/// A lane reads this much in one go, because to open a source costs requests too. A multiple of [`APPEND_BYTES`].
const STRIPE_BYTES: u64 = 4 * APPEND_BYTES;

/// No stripe is begun whose end would be further than this from what is flushed.
const UNFLUSHED_BYTES: u64 = 64 * 1024 * 1024 + LANES as u64 * APPEND_BYTES;

/// Less than half of what may be unflushed, so that the lanes have work while a flush is on its way.
const FLUSH_EVERY_BYTES: u64 = 32 * 1024 * 1024;

// Otherwise a copy could stand with nothing to flush and no stripe that may begin.
const _: () = assert!(FLUSH_EVERY_BYTES + STRIPE_BYTES <= UNFLUSHED_BYTES);

/// Lanes of all copies of this process beyond each one's first.
static SPARE_LANES: Semaphore = Semaphore::const_new(16);

pub(super) struct Transfer<'a> {
    context: &'a Context,
    edge: &'a Edge,
    entry: &'a Entry,
    staging: &'a TargetPath,
    /// A part has failed: no lane begins another piece.
    failed: AtomicBool,
}

enum Work {
    /// With its place among the lanes; `None`: the copy's own.
    Stripe(Range<u64>, Option<SemaphorePermit<'static>>),
    Flush(Checkpoint),
}

enum Done {
    Sent(Stripe),
    Flushed(u64),
    /// Given up in the middle because another part has failed.
    Stopped,
}

impl<'a> Transfer<'a> {
    pub fn new(context: &'a Context, edge: &'a Edge, entry: &'a Entry, staging: &'a TargetPath) -> Self {
        Self { context, edge, entry, staging, failed: AtomicBool::new(false) }
    }

    /// Copies the whole file, or what is missing after the checkpoint that the staging file stands at.
    pub async fn run(&self, checkpoints: &[Checkpoint]) -> Result<Staged> {
        let EntryKind::File { length_bytes, .. } = self.entry.kind else {
            return Err(self.error(ErrorKind::Fatal, "it is not a file"));
        };
        let resumed = self.resume_point(checkpoints).await?;
        let (etag, attributes, from) = match resumed {
            // Of the time when it was begun; they are set anew once the file is at its place.
            Some((etag, point)) => (etag, UNKNOWN, point),
            None => {
                let (etag, attributes) = self.create().await?;
                (etag, attributes, Checkpoint { offset: 0, crc32c: 0 })
            }
        };
        if from.offset > 0 {
            self.context.flushed(self.edge, from.offset).await;
        }
        let (etag, crc32c) = if from.offset == length_bytes {
            (etag, from.crc32c)
        } else if from.offset == 0 && length_bytes <= APPEND_BYTES {
            self.send_at_once(length_bytes).await?
        } else {
            self.send(from, length_bytes).await?
        };
        Ok(Staged { etag: etag.0, crc32c, attributes, modified_ms: self.entry.modified_ms })
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

    /// The digest is of the attributes that it was made with.
    async fn create(&self) -> Result<(Etag, u64)> {
        let (attributes, applied) = self.context.attributes(self.edge, self.entry).await?;
        let target = &self.context.plan.target;
        let created =
            self.at_target(|| target.create_file(self.staging, &attributes, &Condition::Any)).await?;
        Ok((created, applied.digest))
    }

    /// Flushed by its only append: such a file has no checkpoint.
    async fn send_at_once(&self, length: u64) -> Result<(Etag, u32)> {
        let piece = Reader::new(self, 0..length).fill().await?;
        let crc32c = checksum(&piece);
        match self.append(0, piece, true).await? {
            Some(etag) => Ok((etag, crc32c)),
            None => Ok((self.flush(Checkpoint { offset: length, crc32c }, Flush::Complete).await?, crc32c)),
        }
    }

    async fn send(&self, from: Checkpoint, length: u64) -> Result<(Etag, u32)> {
        let stripe_bytes = stripe_bytes(length - from.offset);
        let mut prefix = Prefix { reached: from, beyond: BTreeMap::new() };
        let (mut flushed, mut next) = (from.offset, from.offset);
        let (mut lanes, mut flushing) = (0, false);
        let mut parts = FuturesUnordered::new();
        let mut first_error = None;
        loop {
            while first_error.is_none() && next < length && lanes < LANES {
                let end = length.min(next + stripe_bytes);
                let spare = if lanes > 0 { SPARE_LANES.try_acquire().ok() } else { None };
                if end > flushed + UNFLUSHED_BYTES || (lanes > 0 && spare.is_none()) {
                    break;
                }
                parts.push(self.part(Work::Stripe(next..end, spare)));
                (next, lanes) = (end, lanes + 1);
            }
            if first_error.is_none() && !flushing && prefix.reached.offset - flushed >= FLUSH_EVERY_BYTES {
                parts.push(self.part(Work::Flush(prefix.reached)));
                flushing = true;
            }
            match parts.next().await {
                Some(Ok(Done::Sent(stripe))) => {
                    prefix.add(stripe);
                    lanes -= 1;
                }
                Some(Ok(Done::Flushed(offset))) => (flushed, flushing) = (offset, false),
                Some(Ok(Done::Stopped)) => {}
                Some(Err(error)) => {
                    self.failed.store(true, Ordering::Relaxed);
                    first_error.get_or_insert(error);
                }
                None => break,
            }
        }
        match first_error {
            Some(error) => Err(error),
            None => Ok((self.flush(prefix.reached, Flush::Complete).await?, prefix.reached.crc32c)),
        }
    }

    async fn part(&self, work: Work) -> Result<Done> {
        match work {
            Work::Stripe(range, _lane) => self.stripe(range).await,
            Work::Flush(point) => {
                self.flush(point, Flush::Prefix).await?;
                Ok(Done::Flushed(point.offset))
            }
        }
    }

    async fn stripe(&self, range: Range<u64>) -> Result<Done> {
        let mut stripe = Stripe { offset: range.start, length: 0, crc32c: 0 };
        let mut reader = Reader::new(self, range.clone());
        while stripe.offset + stripe.length < range.end {
            if self.failed.load(Ordering::Relaxed) {
                return Ok(Done::Stopped);
            }
            let piece = reader.fill().await?;
            let position = stripe.offset + stripe.length;
            stripe.crc32c = combine(stripe.crc32c, checksum(&piece), piece.len() as u64);
            stripe.length += piece.len() as u64;
            self.append(position, piece, false).await?;
        }
        Ok(Done::Sent(stripe))
    }

    async fn flush(&self, point: Checkpoint, flush: Flush) -> Result<Etag> {
        let Checkpoint { offset, crc32c } = point;
        self.context.announce_flush(self.edge, offset, crc32c).await;
        let etag = self.at_target(|| self.context.plan.target.flush(self.staging, offset, flush)).await?;
        self.context.flushed(self.edge, offset).await;
        Ok(etag)
    }

    async fn append(&self, position: u64, data: Bytes, flush: bool) -> Result<Option<Etag>> {
        let plan = &self.context.plan;
        let etag = self
            .at_target(|| plan.target.append(self.staging, Upload { position, data: data.clone() }, flush))
            .await?;
        plan.traffic.accepted(data.len() as u64);
        Ok(etag)
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

/// All lanes get something to do, also of a file that is not much larger than one append. Whole appends, so that a copy
/// that goes on after a crash cuts the file at the same places.
fn stripe_bytes(remaining: u64) -> u64 {
    remaining.div_ceil(LANES as u64).next_multiple_of(APPEND_BYTES).min(STRIPE_BYTES)
}

/// A part of the file that has arrived.
struct Stripe {
    offset: u64,
    length: u64,
    crc32c: u32,
}

/// The file's beginning that has arrived without a gap, put together from stripes in any order.
struct Prefix {
    reached: Checkpoint,
    beyond: BTreeMap<u64, Stripe>,
}

impl Prefix {
    fn add(&mut self, stripe: Stripe) {
        self.beyond.insert(stripe.offset, stripe);
        while let Some(next) = self.beyond.remove(&self.reached.offset) {
            self.reached = Checkpoint {
                offset: next.offset + next.length,
                crc32c: combine(self.reached.crc32c, next.crc32c, next.length),
            };
        }
    }
}

/// A range of the source's bytes in pieces of one append.
struct Reader<'a> {
    transfer: &'a Transfer<'a>,
    stream: Option<ByteStream>,
    /// Read from the stream and not handed out yet.
    leftover: Bytes,
    /// Where the next byte out of `leftover`, then `stream`, stands in the file.
    position: u64,
    end: u64,
}

impl<'a> Reader<'a> {
    fn new(transfer: &'a Transfer<'a>, range: Range<u64>) -> Self {
        Self { transfer, stream: None, leftover: Bytes::new(), position: range.start, end: range.end }
    }

    /// Exactly one append's worth of bytes, or all that remain. A stream that breaks is opened again where it broke; that
    /// the file is still the same one is checked before publication. A source that ends early has changed.
    async fn fill(&mut self) -> Result<Bytes> {
        let wanted = (self.end - self.position).min(APPEND_BYTES) as usize;
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

    /// Never nothing.
    async fn read(&mut self) -> Result<Bytes> {
        let ended = || self.transfer.error(ErrorKind::Changed, "it ended before its length");
        while let Some(stream) = &mut self.stream {
            match stream.next().await {
                Some(Ok(bytes)) if bytes.is_empty() => {}
                Some(Ok(bytes)) => return Ok(bytes),
                Some(Err(error)) if error.kind().is_retryable() || error.kind() == ErrorKind::Unreadable => {
                    tracing::debug!(
                        error = &error as &dyn std::error::Error,
                        "the source's stream broke; opening it again"
                    );
                    self.stream = None;
                }
                Some(Err(error)) => return Err(error),
                None => return Err(ended()),
            }
        }
        let (bytes, stream) = open(self.transfer, self.position, self.end).await?.ok_or_else(ended)?;
        self.stream = Some(stream);
        Ok(bytes)
    }
}

/// With the first bytes, because a stream that brings none is not open: a NameNode may know a file whose DataNodes are away.
async fn open(transfer: &Transfer<'_>, position: u64, end: u64) -> Result<Option<(Bytes, ByteStream)>> {
    let Transfer { context, edge, entry, .. } = transfer;
    context
        .at_source(|| async {
            let at = (&edge.directory, edge.name.as_str());
            let mut stream = context.plan.source.open(&entry.id, at, position, end).await?;
            while let Some(bytes) = stream.next().await.transpose()? {
                if !bytes.is_empty() {
                    return Ok(Some((bytes, stream)));
                }
            }
            Ok(None)
        })
        .await
}

fn checksum(bytes: &[u8]) -> u32 {
    crc_fast::checksum(crc_fast::CrcAlgorithm::Crc32Iscsi, bytes) as u32
}

/// CRC32C of two byte strings joined, from their own.
fn combine(first: u32, second: u32, second_length: u64) -> u32 {
    let (first, second) = (u64::from(first), u64::from(second));
    crc_fast::checksum_combine(crc_fast::CrcAlgorithm::Crc32Iscsi, first, second, second_length) as u32
}
