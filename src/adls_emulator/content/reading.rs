//! Reading a committed range of a file in chunks, those from disk on the blocking pool.

use std::io;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use futures::Stream;

use super::{Content, Digests, Handle, Name};
use crate::counters::AccountCounters;

/// An open file; what it reads stays readable when the path is deleted, renamed or overwritten meanwhile.
pub(crate) struct Reading {
    file: Handle,
    range: Range<u64>,
}

impl Reading {
    pub(crate) fn open(content: &Content, node: i64, range: Range<u64>) -> io::Result<Self> {
        Ok(Self { file: content.open_for_reading(&Name::Node(node))?, range })
    }

    /// Checksums of the range, read once before it is sent.
    pub(crate) fn digests(&self) -> io::Result<Digests> {
        let mut digests = Digests::new(true);
        let mut at = self.range.start;
        while at < self.range.end {
            let chunk = self.file.read(at..self.range.end)?;
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
            let chunk = match file.may_block() {
                true => tokio::task::spawn_blocking(move || file.read(range)).await??,
                false => file.read(range)?,
            };
            reading.range.start += chunk.len() as u64;
            counters.add_egress(chunk.len() as u64);
            Ok(Some((chunk, (reading, counters))))
        })
    }
}
