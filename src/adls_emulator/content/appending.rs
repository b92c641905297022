//! Taking one body to disk while it arrives, with its checksums.

use bytes::Bytes;
use crc_fast::{CrcAlgorithm, Digest as Crc};
use md5::{Digest as _, Md5};

use super::claims::Claim;
use super::{Content, Handle, Name, Spool};
use crate::service_error::ServiceError;

/// Where a body goes.
pub(crate) struct Appending {
    file: Handle,
    place: Place,
    next: u64,
    digests: Digests,
    whole: bool,
}

enum Place {
    /// In the content, at the claimed range.
    Direct(Claim),
    /// In a spool, whose first byte will be at `origin` in the file.
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
        digests: Digests,
    ) -> std::io::Result<Self> {
        let file = content.open_for_writing(&Name::Node(node))?;
        Ok(Self { file, place: Place::Direct(claim), next: position, digests, whole: true })
    }

    /// `position`: where in the file the body will be.
    pub(crate) fn aside(spool: &Spool, position: u64, digests: Digests) -> std::io::Result<Self> {
        let file = spool.open_for_writing()?;
        let place = Place::Aside { origin: position };
        Ok(Self { file, place, next: position, digests, whole: true })
    }

    /// The next bytes of the body. Where that may wait for a disk it is done on the blocking pool.
    pub(crate) async fn write(mut self, data: Bytes) -> Result<Self, ServiceError> {
        if !self.file.may_block() {
            self.write_now(data)?;
            return Ok(self);
        }
        let write = move || self.write_now(data).map(|()| self);
        tokio::task::spawn_blocking(write).await.map_err(|error| ServiceError::internal(&error))?
    }

    fn write_now(&mut self, data: Bytes) -> Result<(), ServiceError> {
        self.digests.update(&data);
        self.store(data)
    }

    /// For bytes that the checksums know already, on the calling thread.
    pub(crate) fn store(&mut self, data: Bytes) -> Result<(), ServiceError> {
        let length = data.len() as u64;
        match &self.place {
            Place::Direct(claim) => self.whole &= claim.write(&self.file, data, self.next)?,
            Place::Aside { origin } => self.file.write(data, self.next - origin)?,
        }
        self.next += length;
        Ok(())
    }

    pub(crate) fn digests(&self) -> &Digests {
        &self.digests
    }

    /// `false`: a flush committed other data for this range while the body was on its way, and the rest was not written.
    pub(crate) fn is_whole(&self) -> bool {
        self.whole
    }
}
