//! Reading a committed range of a file in chunks, each on the blocking pool.

use std::fs::File;
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

use super::{CHUNK_BYTES, Content, Digests};
use crate::counters::AccountCounters;

/// An open file; what it reads stays readable when the path is deleted, renamed or overwritten meanwhile.
pub(crate) struct Reading {
    file: Arc<File>,
    range: Range<u64>,
}

impl Reading {
    pub(crate) fn open(content: &Content, node: i64, range: Range<u64>) -> io::Result<Self> {
        Ok(Self { file: Arc::new(File::open(content.node_path(node))?), range })
    }

    /// Checksums of the range, read once before it is sent.
    pub(crate) fn digests(&self) -> io::Result<Digests> {
        let mut digests = Digests::new(true);
        let mut at = self.range.start;
        while at < self.range.end {
            let chunk = read_chunk(&self.file, at..self.range.end)?;
            digests.update(&chunk);
            at += chunk.len() as u64;
        }
        Ok(digests)
    }

    pub(crate) fn into_stream(self, counters: Arc<AccountCounters>) -> impl Stream<Item = io::Result<Bytes>> {
        futures::stream::try_unfold((self, counters), |(mut reading, counters)| async move {
            if reading.range.is_empty() {
                return Ok(None);
            }
            let (file, range) = (reading.file.clone(), reading.range.clone());
            let chunk = tokio::task::spawn_blocking(move || read_chunk(&file, range)).await??;
            reading.range.start += chunk.len() as u64;
            counters.add_egress(chunk.len() as u64);
            Ok(Some((chunk, (reading, counters))))
        })
    }
}

fn read_chunk(file: &File, range: Range<u64>) -> io::Result<Bytes> {
    let length = usize::try_from(range.end - range.start).unwrap_or(usize::MAX).min(CHUNK_BYTES);
    let mut chunk = vec![0; length];
    file.read_exact_at(&mut chunk, range.start)?;
    Ok(Bytes::from(chunk))
}
