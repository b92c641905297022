//! Reading one file, with a check at both ends that it is the one that was asked for.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use futures::{StreamExt, stream};

use super::{node, run_blocking};
use crate::{ByteStream, ContentVersion, Error, ErrorKind, NodeId, Result};

const PIECE_BYTES: usize = 256 * 1024;

#[derive(Debug)]
pub struct Reading {
    file: File,
    path: PathBuf,
    version: ContentVersion,
    left: u64,
}

impl Reading {
    /// `Gone` when something else is at the path now: the file was renamed, replaced or deleted.
    pub fn begin(path: PathBuf, id: &NodeId, offset: u64, length_bytes: u64) -> Result<Self> {
        let fail = |error| node::error("read", &path, error);
        // Before opening, because opening a pipe would wait for its writer.
        let before = std::fs::symlink_metadata(&path).map_err(fail)?;
        if !node::is_file_of(id, &before) {
            return Err(is_another(&path));
        }
        let mut file = File::open(&path).map_err(fail)?;
        let metadata = file.metadata().map_err(fail)?;
        if !node::is_file_of(id, &metadata) {
            return Err(is_another(&path));
        }
        if metadata.len() < length_bytes {
            return Err(changed(&path, "it is shorter than it was"));
        }
        file.seek(SeekFrom::Start(offset)).map_err(fail)?;
        Ok(Self { file, version: node::version(&metadata), left: length_bytes.saturating_sub(offset), path })
    }

    pub fn into_stream(self) -> ByteStream {
        stream::try_unfold(Some(self), |state| async move {
            let Some(reading) = state else { return Ok(None) };
            let path = reading.path.clone();
            run_blocking(&path, move || reading.next()).await
        })
        .boxed()
    }

    /// The next piece and what is left to do; `None` after the last piece and the last check.
    fn next(mut self) -> Result<Option<(Bytes, Option<Self>)>> {
        if self.left == 0 {
            return self.check_unchanged().map(|()| None);
        }
        let wanted = self.left.min(PIECE_BYTES as u64);
        let mut piece = Vec::with_capacity(wanted as usize);
        let read = (&self.file)
            .take(wanted)
            .read_to_end(&mut piece)
            .map_err(|error| node::error("read", &self.path, error))?;
        if (read as u64) < wanted {
            return Err(changed(&self.path, "it became shorter while it was read"));
        }
        self.left -= wanted;
        Ok(Some((piece.into(), Some(self))))
    }

    fn check_unchanged(&self) -> Result<()> {
        let metadata = self.file.metadata().map_err(|error| node::error("read", &self.path, error))?;
        if metadata.nlink() == 0 {
            return Err(Error::new(
                ErrorKind::Gone,
                "read",
                self.path.to_string_lossy(),
                "it was deleted while it was read",
            ));
        }
        if node::version(&metadata) != self.version {
            return Err(changed(&self.path, "it changed while it was read"));
        }
        Ok(())
    }
}

fn is_another(path: &Path) -> Error {
    Error::new(ErrorKind::Gone, "read", path.to_string_lossy(), "there is something else at its path now")
}

fn changed(path: &Path, message: &str) -> Error {
    Error::new(ErrorKind::Changed, "read", path.to_string_lossy(), message)
}
