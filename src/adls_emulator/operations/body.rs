//! Taking a request's content in while it arrives, and checking it against the checksums that came with it.

use actix_web::{HttpResponse, web};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use bytes::{Bytes, BytesMut};
use futures::StreamExt as _;

use super::{Context, reply};
use crate::content::structured::{self, Decoder};
use crate::content::{Appending, CHUNK_BYTES, Digests};
use crate::counters::AccountCounters;
use crate::request::Call;
use crate::service_error::ServiceError;

/// The service's limit for one body.
const MAX_BODY_BYTES: u64 = 4000 * 1024 * 1024;

/// What the client says that its body's checksums are.
pub(super) struct Checksums {
    md5: Option<Vec<u8>>,
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

    /// Of a body whose checksums will be checked.
    pub(super) fn digests(&self) -> Digests {
        Digests::new(self.md5.is_some())
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
        _ if name.ends_with("md5") => Err(ServiceError::invalid_md5()),
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

/// A request's content as it arrives.
pub(super) struct Body<'a> {
    payload: &'a mut web::Payload,
    counters: &'a AccountCounters,
    decoder: Option<Decoder>,
    /// Of the body that was announced.
    left_to_arrive: u64,
    /// Of the content that was announced.
    left_to_give: u64,
    /// Content that has arrived and was not given out yet.
    rest: Bytes,
}

impl<'a> Body<'a> {
    pub(super) fn new(context: &'a Context, payload: &'a mut web::Payload, announced: &Announced) -> Self {
        Self {
            payload,
            counters: &context.counters,
            decoder: announced.decoder(),
            left_to_arrive: announced.sent,
            left_to_give: announced.length,
            rest: Bytes::new(),
        }
    }

    /// The next `CHUNK_BYTES`, or what is left; nothing at the end. Each in memory of exactly its size, in which it may be kept.
    pub(super) async fn next(&mut self) -> Result<Option<Bytes>, ServiceError> {
        let size = usize::try_from(self.left_to_give).unwrap_or(CHUNK_BYTES).min(CHUNK_BYTES);
        if size == 0 {
            return match self.arriving().await? {
                None if self.rest.is_empty() => Ok(None),
                _ => Err(longer()),
            };
        }
        let mut buffer = BytesMut::with_capacity(size);
        while buffer.len() < size {
            if self.rest.is_empty() {
                self.rest = self.arriving().await?.ok_or_else(ServiceError::body_cut)?;
            }
            let part = self.rest.split_to(self.rest.len().min(size - buffer.len()));
            buffer.extend_from_slice(&part);
        }
        self.left_to_give -= size as u64;
        Ok(Some(buffer.freeze()))
    }

    /// Some content, or nothing at the end of the body.
    async fn arriving(&mut self) -> Result<Option<Bytes>, ServiceError> {
        while let Some(chunk) = self.payload.next().await {
            let chunk = chunk.map_err(|_| ServiceError::body_cut())?;
            let length = chunk.len() as u64;
            self.counters.add_ingress(length);
            self.left_to_arrive = self.left_to_arrive.checked_sub(length).ok_or_else(longer)?;
            let content = match &mut self.decoder {
                None => chunk,
                Some(decoder) => {
                    let mut content = BytesMut::with_capacity(chunk.len());
                    decoder.feed(&chunk, &mut content)?;
                    content.freeze()
                }
            };
            if !content.is_empty() {
                return Ok(Some(content));
            }
        }
        if self.left_to_arrive > 0 {
            return Err(ServiceError::body_cut());
        }
        self.decoder.as_ref().map_or(Ok(()), Decoder::finish)?;
        Ok(None)
    }
}

fn longer() -> ServiceError {
    ServiceError::invalid_header("Content-Length", "the body is longer")
}

pub(super) async fn receive(
    context: &Context,
    payload: &mut web::Payload,
    mut appending: Appending,
    announced: &Announced,
) -> Result<Appending, ServiceError> {
    let mut body = Body::new(context, payload, announced);
    while let Some(data) = body.next().await? {
        appending = appending.write(data).await?;
    }
    Ok(appending)
}
