//! Contents and spools in memory: each the pieces that were written, as they came, so that nothing is copied again and memory
//! grows by what is written.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};

use bytes::Bytes;

use super::Name;

#[derive(Default)]
pub(super) struct Memory {
    files: Mutex<HashMap<Name, Arc<MemoryFile>>>,
}

/// Pieces by where they begin; they do not overlap, and there may be holes.
#[derive(Default)]
pub(crate) struct MemoryFile {
    pieces: RwLock<BTreeMap<u64, Bytes>>,
}

fn missing() -> io::Error {
    io::Error::from(io::ErrorKind::NotFound)
}

impl Memory {
    fn files(&self) -> MutexGuard<'_, HashMap<Name, Arc<MemoryFile>>> {
        self.files.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn open_for_writing(&self, name: &Name) -> Arc<MemoryFile> {
        self.files().entry(name.clone()).or_default().clone()
    }

    pub(super) fn open_for_reading(&self, name: &Name) -> io::Result<Arc<MemoryFile>> {
        self.files().get(name).cloned().ok_or_else(missing)
    }

    pub(super) fn become_content(&self, spool: &str, node: i64) -> io::Result<()> {
        let mut files = self.files();
        let file = files.remove(&Name::Spool(spool.to_owned())).ok_or_else(missing)?;
        files.insert(Name::Node(node), file);
        Ok(())
    }

    pub(super) fn remove(&self, name: &Name) {
        let removed = self.files().remove(name);
        // Outside the lock: a large file takes a while.
        drop(removed);
    }
}

impl MemoryFile {
    /// What was there before at these places is gone.
    pub(super) fn write(&self, data: Bytes, at: u64) {
        let past = at + data.len() as u64;
        let mut pieces = self.pieces.write().unwrap_or_else(PoisonError::into_inner);
        let overlapped = |pieces: &BTreeMap<u64, Bytes>| {
            let (first, piece) = pieces.range(..past).next_back()?;
            (first + piece.len() as u64 > at).then_some(*first)
        };
        while let Some(first) = overlapped(&pieces) {
            let Some(mut old) = pieces.remove(&first) else { return };
            let end = first + old.len() as u64;
            // Positions within a piece are positions in memory.
            if end > past {
                pieces.insert(past, old.split_off((past - first) as usize));
            }
            if first < at {
                old.truncate((at - first) as usize);
                pieces.insert(first, old);
            }
        }
        pieces.insert(at, data);
    }

    /// From the start of `range` to its end or that of the piece there.
    pub(super) fn read(&self, range: Range<u64>) -> io::Result<Bytes> {
        if range.is_empty() {
            return Ok(Bytes::new());
        }
        let pieces = self.pieces.read().unwrap_or_else(PoisonError::into_inner);
        let found = pieces.range(..=range.start).next_back();
        let (first, piece) = found.ok_or_else(|| io::Error::from(io::ErrorKind::UnexpectedEof))?;
        let past = range.end.min(first + piece.len() as u64);
        if past <= range.start {
            return Err(io::Error::from(io::ErrorKind::UnexpectedEof));
        }
        Ok(piece.slice((range.start - first) as usize..(past - first) as usize))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all(file: &MemoryFile, length: u64) -> Vec<u8> {
        let mut content = Vec::new();
        while (content.len() as u64) < length {
            content.extend_from_slice(&file.read(content.len() as u64..length).unwrap());
        }
        content
    }

    /// Against a plain array.
    #[test]
    fn whatever_is_written_in_whatever_order_the_last_counts() {
        let mut random = 1_u64;
        let mut next = |below: u64| {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (random >> 33) % below
        };
        for _ in 0..200 {
            let file = MemoryFile::default();
            file.write(Bytes::from(vec![0; 64]), 0);
            let mut expected = vec![0; 64];
            for step in 1..20_u8 {
                let at = next(60);
                let length = 1 + next(64 - at);
                file.write(Bytes::from(vec![step; usize::try_from(length).unwrap()]), at);
                expected[usize::try_from(at).unwrap()..usize::try_from(at + length).unwrap()].fill(step);
                assert_eq!(all(&file, 64), expected);
            }
        }
    }

    #[test]
    fn a_hole_is_not_read() {
        let file = MemoryFile::default();
        file.write(Bytes::from_static(b"ab"), 4);
        for range in [0..2, 3..5, 6..7] {
            assert_eq!(file.read(range).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        }
        assert_eq!(&file.read(5..9).unwrap()[..], b"b");
    }

    #[test]
    fn what_is_open_outlives_its_name() {
        let memory = Memory::default();
        let spool = Name::Spool("one".to_owned());
        memory.open_for_writing(&spool).write(Bytes::from_static(b"content"), 0);
        memory.become_content("one", 7).unwrap();
        assert!(memory.open_for_reading(&spool).is_err());
        let open = memory.open_for_reading(&Name::Node(7)).unwrap();
        memory.remove(&Name::Node(7));
        assert_eq!(&open.read(0..7).unwrap()[..], b"content");
        assert_eq!(memory.open_for_reading(&Name::Node(7)).err().unwrap().kind(), io::ErrorKind::NotFound);
    }
}
