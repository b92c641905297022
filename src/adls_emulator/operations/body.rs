//! Taking a request's content to disk while it arrives, and checking it against the checksums that came with it.

use actix_web::web;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use futures::StreamExt as _;

use super::Context;
use crate::content::{Appending, CHUNK_BYTES};
use crate::request::Call;
use crate::service_error::ServiceError;

/// The service's limit for one body.
const MAX_BODY_BYTES: u64 = 4000 * 1024 * 1024;

/// What the client says that its body's checksums are.
pub(super) struct Checksums {
    pub md5: Option<Vec<u8>>,
    crc64: Option<Vec<u8>>,
}

impl Checksums {
    pub(super) fn of(call: &Call) -> Result<Self, ServiceError> {
        Ok(Self { md5: digest(call, "content-md5", 16)?, crc64: digest(call, "x-ms-content-crc64", 8)? })
    }

    pub(super) fn check(&self, appending: &Appending) -> Result<(), ServiceError> {
        let digests = appending.digests();
        if self.crc64.as_ref().is_some_and(|crc64| *crc64 != digests.crc64()) {
            return Err(ServiceError::crc64_mismatch());
        }
        if self
            .md5
            .as_ref()
            .is_some_and(|md5| Some(md5.as_slice()) != digests.md5().as_ref().map(|md5| &md5[..]))
        {
            return Err(ServiceError::md5_mismatch());
        }
        Ok(())
    }
}

fn digest(call: &Call, name: &str, length: usize) -> Result<Option<Vec<u8>>, ServiceError> {
    let decode = |text| match BASE64.decode(text) {
        Ok(bytes) if bytes.len() == length => Ok(bytes),
        _ => Err(ServiceError::invalid_header(name, "not the base64 of a checksum")),
    };
    call.header(name).map(decode).transpose()
}

pub(super) fn announced_length(call: &Call) -> Result<u64, ServiceError> {
    let text = call.header("content-length").ok_or_else(ServiceError::missing_content_length)?;
    match text.parse() {
        Ok(length) if length > MAX_BODY_BYTES => Err(ServiceError::request_body_too_large()),
        Ok(length) => Ok(length),
        Err(_) => Err(ServiceError::invalid_header("Content-Length", "not a number")),
    }
}

pub(super) async fn receive(
    context: &Context,
    payload: &mut web::Payload,
    mut appending: Appending,
    length: u64,
) -> Result<Appending, ServiceError> {
    let (mut received, mut buffer) =
        (0, BytesMut::with_capacity(CHUNK_BYTES.min(usize::try_from(length).unwrap_or(CHUNK_BYTES))));
    loop {
        let chunk = payload.next().await.transpose().map_err(|_| ServiceError::body_cut())?;
        let ended = chunk.is_none();
        if let Some(chunk) = chunk {
            context.counters.add_ingress(chunk.len() as u64);
            received += chunk.len() as u64;
            if received > length {
                return Err(ServiceError::invalid_header("Content-Length", "the body is longer"));
            }
            buffer.extend_from_slice(&chunk);
        }
        if buffer.len() >= CHUNK_BYTES || (ended && !buffer.is_empty()) {
            let data = buffer.split();
            let write = move || appending.write(&data).map(|()| appending);
            let written = tokio::task::spawn_blocking(write).await;
            appending = written.map_err(|error| ServiceError::internal(&error))??;
        }
        if ended {
            return if received == length { Ok(appending) } else { Err(ServiceError::body_cut()) };
        }
    }
}
