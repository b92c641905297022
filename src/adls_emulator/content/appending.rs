//! Taking one body to disk while it arrives, with its checksums.

use std::fs::{File, OpenOptions};
use std::os::unix::fs::FileExt as _;

use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::{Digest as _, Md5};

use super::claims::Claim;
use super::{Content, Spool};
use crate::service_error::ServiceError;

/// Where a body goes.
pub(crate) struct Appending {
    file: File,
    place: Place,
    next: u64,
    digests: Digests,
}

enum Place {
    /// In the content file, at the claimed range.
    Direct(Claim),
    /// In a spool file, whose first byte will be at `origin` in the file.
    Aside { origin: u64 },
}

/// Checksums over the body so far. MD5 only where somebody needs it: it costs forty times the CRC.
pub(crate) struct Digests {
    /// CRC-64/NVME, which is the service's transactional CRC64.
    crc64: Crc,
    md5: Option<Md5>,
}

impl Digests {
    pub(crate) fn new(with_md5: bool) -> Self {
        Self { crc64: Crc::new(CrcAlgorithm::Crc64Nvme), md5: with_md5.then(Md5::new) }
    }

    pub(crate) fn update(&mut self, data: &[u8]) {
        self.crc64.update(data);
        if let Some(md5) = &mut self.md5 {
            md5.update(data);
        }
    }

    /// The eight bytes of `x-ms-content-crc64`, least significant first.
    pub(crate) fn crc64(&self) -> [u8; 8] {
        self.crc64.finalize().to_le_bytes()
    }

    pub(crate) fn md5(&self) -> Option<[u8; 16]> {
        self.md5.clone().map(|md5| md5.finalize().into())
    }
}

impl Appending {
    pub(crate) fn direct(
        content: &Content,
        claim: Claim,
        node: i64,
        position: u64,
        md5: bool,
    ) -> std::io::Result<Self> {
        let file = content.open_for_writing(node)?;
        Ok(Self { file, place: Place::Direct(claim), next: position, digests: Digests::new(md5) })
    }

    /// `position`: where in the file the body will be.
    pub(crate) fn aside(spool: &Spool, position: u64, md5: bool) -> std::io::Result<Self> {
        let file = OpenOptions::new().write(true).create_new(true).open(spool.path())?;
        let place = Place::Aside { origin: position };
        Ok(Self { file, place, next: position, digests: Digests::new(md5) })
    }

    pub(crate) fn write(&mut self, data: &[u8]) -> Result<(), ServiceError> {
        self.digests.update(data);
        match &self.place {
            Place::Direct(claim) => {
                if !claim.write(&self.file, data, self.next)? {
                    // A flush committed other data for this range while the body was on its way.
                    return Err(ServiceError::invalid_flush_position());
                }
            }
            Place::Aside { origin } => self.file.write_all_at(data, self.next - origin)?,
        }
        self.next += data.len() as u64;
        Ok(())
    }

    pub(crate) fn digests(&self) -> &Digests {
        &self.digests
    }
}
