//! Taking a request's content to disk while it arrives, and checking it against the checksums that came with it.

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::BytesMut;
use futures::StreamExt as _;

use super::{Context, reply};
use crate::content::structured::{self, Decoder};
use crate::content::{Appending, CHUNK_BYTES, Digests};
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

    /// Of what a copy takes from its source.
    pub(super) fn of_source(call: &Call) -> Result<Self, ServiceError> {
        let md5 = digest(call, "x-ms-source-content-md5", 16)?;
        Ok(Self { md5, crc64: digest(call, "x-ms-source-content-crc64", 8)? })
    }

    pub(super) fn are_given(&self) -> bool {
        self.md5.is_some() || self.crc64.is_some()
    }

    pub(super) fn check(&self, digests: &Digests) -> Result<(), ServiceError> {
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

/// What the headers announce about the body that is to come.
pub(super) struct Announced {
    /// Bytes of content, which is the body itself or what a structured body carries.
    pub length: u64,
    sent: u64,
    structured: bool,
}

impl Announced {
    pub(super) fn of(call: &Call) -> Result<Self, ServiceError> {
        let sent = length(call, "content-length")?.ok_or_else(ServiceError::missing_content_length)?;
        let Some(form) = call.header("x-ms-structured-body") else {
            return Ok(Self { length: sent, sent, structured: false });
        };
        if !form.eq_ignore_ascii_case(structured::FORM) {
            let reason = format!("expected {}", structured::FORM);
            return Err(ServiceError::invalid_header("x-ms-structured-body", &reason));
        }
        let name = "x-ms-structured-content-length";
        let length = length(call, name)?.ok_or_else(|| ServiceError::missing_header(name))?;
        Ok(Self { length, sent, structured: true })
    }

    fn decoder(&self) -> Option<Decoder> {
        self.structured.then(|| Decoder::new(self.sent, self.length))
    }

    /// Clients take the header in the reply as the proof that the checksums were looked at.
    pub(super) fn confirm(&self, response: &mut HttpResponse) {
        if self.structured {
            reply::insert(response, "x-ms-structured-body", structured::FORM);
        }
    }
}

fn length(call: &Call, name: &str) -> Result<Option<u64>, ServiceError> {
    let Some(text) = call.header(name) else {
        return Ok(None);
    };
    match text.parse() {
        Ok(length) if length > MAX_BODY_BYTES => Err(ServiceError::request_body_too_large()),
        Ok(length) => Ok(Some(length)),
        Err(_) => Err(ServiceError::invalid_header(name, "not a number")),
    }
}

pub(super) async fn receive(
    context: &Context,
    payload: &mut web::Payload,
    mut appending: Appending,
    announced: &Announced,
) -> Result<Appending, ServiceError> {
    let length = announced.sent;
    let mut decoder = announced.decoder();
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
            match &mut decoder {
                Some(decoder) => decoder.feed(&chunk, &mut buffer)?,
                None => buffer.extend_from_slice(&chunk),
            }
        }
        if buffer.len() >= CHUNK_BYTES || (ended && !buffer.is_empty()) {
            let data = buffer.split();
            let write = move || appending.write(&data).map(|()| appending);
            let written = tokio::task::spawn_blocking(write).await;
            appending = written.map_err(|error| ServiceError::internal(&error))??;
        }
        if ended {
            if received != length {
                return Err(ServiceError::body_cut());
            }
            if let Some(decoder) = &decoder {
                decoder.finish()?;
            }
            return Ok(appending);
        }
    }
}
